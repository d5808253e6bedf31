"""The commands, on moto: a new stack's first hour, and what they say when something is missing."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pytest

from tests.kit.builders import identify, later, page, track
from tests.kit.commands import CommandLine, command_line_on_moto
from tests.kit.contacts import Links
from tests.kit.stores import MemorySuppressions
from tributary import log_codec
from tributary.access import KeyState, hash_key, state_of
from tributary.adapters.config_store import DynamoKeyStore
from tributary.adapters.contacts import DynamoContacts
from tributary.adapters.deliveries import DynamoParking
from tributary.adapters.event_log import DynamoEventLog
from tributary.adapters.feed import DynamoFeed
from tributary.adapters.secrets import SsmSecrets, digests_from
from tributary.adapters.sync_store import DynamoSyncStore
from tributary.contacts.resolver import Resolver
from tributary.drafts import NewConnection, NewSource
from tributary.ports import FeedEntry, FeedStatus, Parked
from tributary.sync.state import Status

SECRET = "km_secret_4711"


@pytest.fixture
def tributary(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[CommandLine]:
    with command_line_on_moto(monkeypatch, capsys) as commands:
        yield commands


def state(key: str) -> KeyState:
    return state_of(DynamoKeyStore(lambda: boto3.client("dynamodb"), "config").find(hash_key(key)), datetime.now(UTC))


def test_init_ends_with_working_keys_and_a_digest_key_that_stays(tributary: CommandLine) -> None:
    done = tributary.run("init")
    assert done.code == 0
    keys = [word for word in done.out.split() if word.startswith(("wk_", "tk_"))]
    assert [state(key) for key in keys] == [KeyState.USABLE, KeyState.USABLE]
    assert "https://api.example/v1" in done.out
    digest_key = boto3.client("ssm").get_parameter(Name="/shop/digest-key", WithDecryption=True)["Parameter"]
    assert digest_key["Type"] == "SecureString"
    assert digest_key["Value"] not in done.out
    again = tributary.run("init")
    assert "Nothing to do" in again.out
    assert "wk_" not in again.out
    assert boto3.client("ssm").get_parameter(Name="/shop/digest-key", WithDecryption=True)["Parameter"]["Value"] == digest_key["Value"]


def test_a_key_is_made_listed_without_itself_and_revoked(tributary: CommandLine) -> None:
    made = tributary.run("keys", "create", "Reports", "--scope", "events:read", "--expires", "90d")
    assert made.out.strip().startswith("tk_"), "the key alone, to be piped"
    assert state(made.out.strip()) is KeyState.USABLE
    listed = tributary.run("keys", "list")
    assert "events:read" in listed.out
    assert made.out.strip() not in listed.out
    key = next(word for word in listed.out.split() if word.startswith("key_"))
    assert "revoked" in tributary.run("keys", "revoke", key).out
    assert state(made.out.strip()) is KeyState.REVOKED
    for words in (["keys", "revoke", "key_none"], ["keys", "create", "x", "--scope", "events:fly"], ["keys", "create", "x", "--expires", "soon"]):
        refused = tributary.run(*words)
        assert refused.code == 1
        assert len(refused.err.splitlines()) == 1


def test_a_source_is_made_and_its_key_rotated_by_label(tributary: CommandLine) -> None:
    first = tributary.run("sources", "create", "Shop").out.strip()
    second = tributary.run("sources", "rotate-key", "Shop", "--keep-old", "0").out.strip()
    assert (state(first), state(second)) == (KeyState.EXPIRED, KeyState.USABLE)
    assert "Shop" in tributary.run("sources", "list").out


def test_a_connection_is_made_and_shown_without_its_credential(tributary: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KM", SECRET)
    made = tributary.run("connections", "create", "kissmetrics", "Main", "--secret", "apiKey=env:KM", "--set", "prefixProperties=false", "--mode", "shadow")
    assert made.code == 0, made.err
    shown = tributary.run("connections", "show", "Main")
    assert json.loads(shown.out)["settings"] == {"prefixProperties": False}
    assert json.loads(shown.out)["secrets"] == ["apiKey"]
    listed = tributary.run("connections", "list")
    assert "shadow" in listed.out
    exported = tributary.run("export")
    refused = [
        tributary.run("connections", "create", "kissmetrics", "Other", "--set", f"apiKey={SECRET}"),
        tributary.run("connections", "create", "kissmetrics", "Other", "--secret", f"apiKey={SECRET}"),
        tributary.run("connections", "create", "kissmetrics", "Other", "--secret", "apiKey=env:NOT"),
        tributary.run("connections", "create", "telegraph", "Other"),
        tributary.run("connections", "create", "kissmetrics", "Other", "--mode", "fast", "--secret", "apiKey=env:KM"),
        tributary.run("connections", "show", "Nothing"),
    ]
    assert [done.code for done in refused] == [1] * 6
    assert all(len(done.err.splitlines()) == 1 for done in refused)
    for done in (made, shown, listed, exported, *refused):
        assert SECRET not in done.out + done.err


def test_a_file_is_applied_exported_and_applied_again(tributary: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    boto3.client("ssm").put_parameter(Name="/mine/km", Value=SECRET, Type="SecureString")
    file = tmp_path / "tributary.toml"
    file.write_text(
        '[account]\nname = "Harbour"\n[[sources]]\nlabel = "Shop"\n'
        '[[connections]]\ntype = "kissmetrics"\nlabel = "Main"\nsources = ["Shop"]\nsettings = { apiKey = "ssm:/mine/km" }\n'
    )
    dry = tributary.run("apply", str(file), "--dry-run")
    assert "Nothing was done." in dry.out
    assert tributary.operator().sources() == []
    done = tributary.run("apply", str(file))
    assert done.code == 0, done.err
    assert "wk_" in done.out
    assert "Nothing to do." in tributary.run("apply", str(file)).out
    exported = tributary.run("export")
    file.write_text(exported.out)
    assert "Nothing to do." in tributary.run("apply", str(file), "--prune").out
    file.write_text(file.read_text().replace("settings = {}", 'settings = { apiKey = "ssm:/mine/none" }'))
    refused = tributary.run("apply", str(file))
    assert (refused.code, refused.err) == (1, "connections[0].settings.apiKey: the parameter /mine/none cannot be read: ParameterNotFound\n")
    assert tributary.run("apply", str(tmp_path / "none.toml")).err.endswith("cannot be read: No such file or directory.\n")
    assert SECRET not in dry.out + done.out + exported.out


def test_events_are_listed_the_newest_last_and_followed(tributary: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tributary.operator().create_source(NewSource(label="Shop")).source.value.id
    client = boto3.client("dynamodb")
    now = datetime.now(UTC)
    event = track(source=source, user_id="orla-12", received_at=now - timedelta(seconds=20), properties={"seat": "7C"})
    DynamoEventLog(lambda: client, "events").put([event])
    feed = DynamoFeed(lambda: client, "events")
    line = FeedEntry(
        source=source,
        received_at=event.received_at,
        index=0,
        status=FeedStatus.ACCEPTED,
        type="track",
        name="Berth Booked",
        message_id=event.message_id,
        event_key=log_codec.key_of(event),
    )
    refused = FeedEntry(
        source=source,
        received_at=now - timedelta(seconds=10),
        index=0,
        status=FeedStatus.REJECTED,
        type="track",
        name=None,
        message_id="m-2",
        code="event_not_defined",
        field="event",
        message="an event name is needed",
        body='{"userId":"orla-12"}',
    )
    feed.append("q-1", [line])
    feed.append("q-2", [refused])
    listed = tributary.run("events")
    assert "Berth Booked" in listed.lines[1]
    assert "event_not_defined at event" in listed.lines[2]
    assert "orla" not in listed.out
    assert "7C" in tributary.run("events", "--bodies", "--source", "Shop").out
    said = [json.loads(line) for line in tributary.run("events", "--json", "--status", "rejected").lines]
    assert [(one["code"], one["field"]) for one in said] == [("event_not_defined", "event")]
    assert "there are more" in tributary.run("events", "--limit", "1").err
    assert "No such events" in tributary.run("events", "--type", "page").err
    for words, text in [(["--since", "9d"], "since: "), (["--type", "x"], "type: "), (["--source", "None"], "There is no source")]:
        wrong = tributary.run("events", *words)
        assert wrong.code == 1
        assert wrong.err.startswith(text)
    looks = []

    def sleep(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 2:
            raise KeyboardInterrupt
        home = FeedEntry(source=source, received_at=datetime.now(UTC), index=0, status=FeedStatus.ACCEPTED, type="page", name="Home", message_id="m-3")
        feed.append("q-3", [home])

    monkeypatch.setattr("tributary.cli.app.time.sleep", sleep)
    followed = tributary.run("events", "--follow")
    assert followed.code == 0
    assert "Home" in followed.lines[-1]
    assert len(followed.lines) == 4, "a header, and each line once"


def test_what_is_parked_is_shown_without_the_person(tributary: CommandLine) -> None:
    connection = tributary.operator().create_connection(NewConnection(type="kissmetrics", label="Main", settings={"apiKey": SECRET})).value.id
    assert "Nothing is parked." in tributary.run("parked", "Main").out
    now = datetime.now(UTC)
    parked = Parked(
        connection=connection,
        source="src_1",
        message_id="m-1",
        event_key=("user#orla@harbour.example", "event#src_1#m-1"),
        received_at=now,
        index=0,
        parked_at=now,
        code="vendor_refused",
        reason="status 400",
        request=None,
        attempts=2,
        last_status=400,
    )
    DynamoParking(lambda: boto3.client("dynamodb"), "events").park(parked)
    shown = tributary.run("parked", connection)
    assert "vendor_refused" in shown.out
    assert "orla" not in shown.out


def test_somebody_is_shown_with_why(tributary: CommandLine) -> None:
    tributary.run("init")
    dynamodb, ssm = boto3.client("dynamodb"), boto3.client("ssm")
    log = DynamoEventLog(lambda: dynamodb, "events")
    event = identify(user_id="orla-12", anonymous_id="visit-9", traits={"email": "Orla@harbour.example", "firstName": "Orla"})
    about = {"page": {"url": "https://harbour.example/", "referrer": "https://www.google.com/"}, "campaign": {"source": "Spring List", "medium": "email"}}
    visit = page(anonymous_id="visit-9", context=about, timestamp=later(-60))
    log.put([event, visit])
    digests = digests_from(SsmSecrets(lambda: ssm, "/shop"))
    contacts = DynamoContacts(lambda: dynamodb, "contacts")
    suppressions, links = MemorySuppressions(), Links()
    resolver = Resolver(contacts=contacts, log=log, suppressions=suppressions, digests=digests, sleep=lambda _: None, jitter=lambda: 0.5, linked=links)
    resolver.resolve([event])
    for words in ("orla@harbour.example", "orla-12", "user:orla-12", "visit-9"):
        shown = tributary.run("contacts", "show", words)
        assert shown.code == 0, shown.err
        assert "Orla" in shown.out
        assert "was named together with" in shown.out
    described = json.loads(tributary.run("contacts", "show", "orla-12", "--json").out)
    assert "Orla" in tributary.run("contacts", "show", described["id"]).out
    journey = described["journey"]
    for name in ("first_touch", "last_touch", "lead_source"):
        assert (journey[name]["source"], journey[name]["channel"]) == ("Spring List", "email")
    assert [touch["referrer_host"] for touch in journey["touches"]] == ["google.com"]
    assert "Spring List / email" in " ".join(tributary.run("contacts", "show", "orla-12").out.split())
    nobody = tributary.run("contacts", "show", "nobody@harbour.example")
    assert (nobody.code, len(nobody.err.splitlines())) == (1, 1)


def test_a_missing_stack_or_credential_is_one_line(tributary: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = tributary.run("keys", "list", stack="other")
    assert (missing.code, missing.err.startswith("There is no stack named other")) == (1, True)
    del tributary.outputs["ConfigTable"]
    assert "has no output ConfigTable" in tributary.run("keys", "list").err
    monkeypatch.chdir(tmp_path)
    for words in (["--local", "keys", "list"], ["local-env"]):
        done = tributary.run(*words, stack=None)
        assert (done.code, done.out, len(done.err.splitlines())) == (1, "", 1)
        assert "make local" in done.err


def test_without_credentials_or_region_the_line_says_what_to_do(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    environment = {
        "PYTHONPATH": str(root / "layers" / "tributary"),
        "HOME": str(tmp_path),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    }

    def run(**more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "tributary.cli", "keys", "list"], capture_output=True, text=True, check=False, env={**environment, **more}, cwd=tmp_path
        )

    for done, words in [(run(), "No AWS region"), (run(AWS_DEFAULT_REGION="eu-west-1"), "No AWS credentials")]:
        assert done.returncode == 1
        assert words in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_the_local_stacks_variables_are_for_a_shell(tributary: CommandLine, tmp_path: Path) -> None:
    file = tributary.write_stack_file(
        tmp_path,
        api_url="http://127.0.0.1:1",
        write_key="wk_'x",
        api_key="tk_y",
        emulator_url="http://127.0.0.1:2",
        fakes={"kissmetrics": "http://127.0.0.1:3"},
    )
    script = tributary.run("local-env", "--file", str(file), stack=None).out + 'echo "$API_URL $WRITE_KEY $API_KEY $KISSMETRICS_URL"'
    said = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True).stdout
    assert said == "http://127.0.0.1:1 wk_'x tk_y http://127.0.0.1:3\n"


def test_init_of_the_local_stack_names_an_address_that_leads_there(tributary: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tributary.run("init")
    (tmp_path / ".local").mkdir()
    tributary.write_stack_file(tmp_path / ".local", stack_name="shop", api_url="http://127.0.0.1:4511", emulator_url="http://127.0.0.1:4510")
    monkeypatch.chdir(tmp_path)
    said = tributary.run("--local", "init", stack=None).out
    assert "http://127.0.0.1:4511/v1" in said
    assert "api.example" not in said


def test_connections_are_listed_although_one_cannot_be_read(tributary: CommandLine) -> None:
    made = tributary.operator().create_connection(NewConnection(type="kissmetrics", label="Main", settings={"apiKey": SECRET})).value.id
    data = '{"id":"con_newer","type":"telegraph"}'
    item = {"pk": {"S": "connection"}, "sk": {"S": "con_newer"}, "data": {"S": data}, "version": {"N": "1"}}
    boto3.client("dynamodb").put_item(TableName="config", Item=item)
    listed = tributary.run("connections", "list")
    assert (listed.code, [line.split()[0] for line in listed.lines[1:]]) == (0, sorted([made, "con_newer"]))
    shown = tributary.run("connections", "show", "con_newer")
    assert (shown.code, shown.err) == (1, "this release cannot read this connection\n")
    assert tributary.run("parked", "con_newer").out == "Nothing is parked.\n"


def test_help_does_not_wait_for_the_aws_sdk() -> None:
    root = Path(__file__).parents[2]
    code = (
        "import sys\nsys.argv = ['tributary', '--help']\nfrom tributary.cli.__main__ import main\n"
        "try:\n    main()\nfinally:\n    print([name for name in ('boto3', 'botocore', 'rich.table', 'pydantic', 'httpx') if name in sys.modules])"
    )
    environment = {"PYTHONPATH": str(root / "layers" / "tributary")}
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert said.stdout.splitlines()[-1] == "[]"


def test_an_account_that_is_made_or_given_another_password_here_is_read_at_once(
    tributary: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sqs = boto3.client("sqs")
    url = sqs.create_queue(QueueName="sync.fifo", Attributes={"FifoQueue": "true", "VisibilityTimeout": "0"})["QueueUrl"]
    tributary.outputs["SyncQueueUrl"] = url
    monkeypatch.setenv("CRM", SECRET)

    def asked() -> int:
        sent = int(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])["Attributes"]["ApproximateNumberOfMessages"])
        sqs.purge_queue(QueueUrl=url)
        return sent

    made = tributary.run("connections", "create", "konnektive", "CRM", "--set", "loginId=tributary", "--secret", "password=env:CRM")
    assert made.code == 0, made.err
    assert asked() > 8
    account = made.out.strip()
    store = DynamoSyncStore(lambda: boto3.client("dynamodb"), "config")
    store.put_status(account, Status(refused="the login is refused"))
    monkeypatch.setenv("CRM", "another-secret")
    file = tmp_path / "config.toml"
    file.write_text(f'[[connections]]\nid = "{account}"\ntype = "konnektive"\nlabel = "CRM"\nsettings = {{ loginId = "tributary", password = "env:CRM" }}\n')
    applied = tributary.run("apply", str(file))
    assert applied.code == 0, applied.err
    assert store.status(account).refused is None
    shown = tributary.run("sync")
    assert "CRM" in shown.out
    assert "initial" in shown.out
    assert SECRET not in made.out + applied.out + shown.out
