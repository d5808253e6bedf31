"""CONFIG: the fakes and the adapters on moto behave the same, and what one writes another reads."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, cast

import boto3
import msgspec
import pytest
from botocore.awsrequest import AWSPreparedRequest
from botocore.config import Config
from botocore.exceptions import ReadTimeoutError
from moto import mock_aws

from tests.kit.builders import NOON
from tests.kit.config import KINDS, MemoryRows, MemorySecrets, MovingClock, RowKeys
from tests.kit.contacts import Links
from tests.kit.moto import create_table
from tributary.access import KeyStore, hash_key
from tributary.adapters.config_store import DynamoAccount, DynamoConnections, DynamoKeyStore, DynamoLinkedConnections
from tributary.adapters.settings_store import DynamoRows, SsmSecretStore
from tributary.drafts import AccountChange, ConnectionChange, KeyRotation, NewConnection, NewKey, NewSource, SourceChange
from tributary.errors import CredentialMissing, StoreUnavailable
from tributary.operator import Change, DeleteRow, Operator, PutRow, Row, Rows, SecretStore, VersionConflict
from tributary.ports import LinkedConnections
from tributary.settings import Account, Connection, ConnectionType, Source, UnreadableConnection

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_ssm import SSMClient

TABLE = "config"
TWICE = Config(retries={"mode": "standard", "total_max_attempts": 2})


@pytest.fixture
def dynamodb() -> Iterator[DynamoDBClient]:
    with mock_aws():
        client = boto3.client("dynamodb", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test", config=TWICE)
        create_table(client, TABLE)
        yield client


@pytest.fixture
def ssm() -> Iterator[SSMClient]:
    with mock_aws():
        yield boto3.client("ssm", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test", config=TWICE)


@pytest.fixture(params=["memory", "dynamodb"])
def rows(request: pytest.FixtureRequest) -> Rows:
    if request.param == "memory":
        return MemoryRows()
    client = request.getfixturevalue("dynamodb")
    return DynamoRows(lambda: client, TABLE)


@pytest.fixture(params=["memory", "ssm"])
def secrets(request: pytest.FixtureRequest) -> SecretStore:
    if request.param == "memory":
        return MemorySecrets()
    client = request.getfixturevalue("ssm")
    return SsmSecretStore(lambda: client, "/stack")


# ---------------------------------------------------------------- rows


def test_a_row_is_read_as_it_was_written(rows: Rows) -> None:
    assert rows.get("source", "src_1") is None
    rows.commit([PutRow("source", "src_1", '{"a":1}', 0)])
    assert rows.get("source", "src_1") == Row('{"a":1}', 1)
    rows.commit([PutRow("source", "src_1", '{"a":2}', 1)])
    assert rows.get("source", "src_1") == Row('{"a":2}', 2)


@pytest.mark.parametrize("expected", [0, 2])
def test_a_row_of_another_version_is_not_overwritten(rows: Rows, expected: int) -> None:
    rows.commit([PutRow("source", "src_1", "first", 0)])
    with pytest.raises(VersionConflict):
        rows.commit([PutRow("source", "src_1", "second", expected)])
    with pytest.raises(VersionConflict):
        rows.commit([DeleteRow("source", "src_1", expected)])
    assert rows.get("source", "src_1") == Row("first", 1)


@pytest.mark.parametrize("change", [PutRow("source", "src_none", "x", 1), DeleteRow("source", "src_none", 1)])
def test_a_row_that_is_not_there_is_neither_changed_nor_deleted(rows: Rows, change: Change) -> None:
    with pytest.raises(VersionConflict):
        rows.commit([change])
    assert rows.under("source") == []


def test_a_commit_is_all_or_nothing(rows: Rows) -> None:
    rows.commit([PutRow("source", "src_1", "first", 0)])
    with pytest.raises(VersionConflict):
        rows.commit([PutRow("source", "src_2", "new", 0), DeleteRow("source", "src_1", 9)])
    assert [sk for sk, _ in rows.under("source")] == ["src_1"]


def test_a_partition_is_listed_by_sort_key_and_alone(rows: Rows) -> None:
    rows.commit([PutRow("source", "src_b", "b", 0), PutRow("source", "src_a", "a", 0), PutRow("connection", "con_1", "c", 0)])
    assert rows.under("source") == [("src_a", Row("a", 1)), ("src_b", Row("b", 1))]
    rows.commit([DeleteRow("source", "src_a", 1)])
    assert rows.under("source") == [("src_b", Row("b", 1))]


def test_a_partition_of_several_pages_is_listed_whole(rows: Rows) -> None:
    big = "x" * 300_000
    for number in range(8):
        rows.commit([PutRow("source", f"src_{number}", big, 0)])
    assert len(rows.under("source")) == 8


# ---------------------------------------------------------------- secrets


def test_a_secret_is_read_as_it_was_written_last(secrets: SecretStore) -> None:
    secrets.put("connections/con_1", "one")
    secrets.put("connections/con_1", "two")
    assert secrets.get("connections/con_1") == "two"


def test_a_secret_that_is_there_is_not_replaced_by_put_once(secrets: SecretStore) -> None:
    assert secrets.put_once("digest-key", "one")
    assert not secrets.put_once("digest-key", "two")
    assert secrets.get("digest-key") == "one"


def test_a_deleted_secret_is_missing_and_deleting_it_again_is_nothing(secrets: SecretStore) -> None:
    secrets.put("connections/con_1", "one")
    secrets.delete("connections/con_1")
    secrets.delete("connections/con_1")
    with pytest.raises(CredentialMissing):
        secrets.get("connections/con_1")


def test_secrets_are_encrypted_below_the_stacks_prefix(ssm: SSMClient) -> None:
    SsmSecretStore(lambda: ssm, "/stack").put("connections/con_1", "one")
    SsmSecretStore(lambda: ssm, "/stack").put_once("digest-key", "one")
    for name in ("/stack/connections/con_1", "/stack/digest-key"):
        assert ssm.get_parameter(Name=name)["Parameter"]["Type"] == "SecureString"


# ---------------------------------------------------------------- what the operator writes, the pipeline reads


def test_the_pipeline_reads_what_the_operator_writes(dynamodb: DynamoDBClient) -> None:
    operator = Operator(rows=DynamoRows(lambda: dynamodb, TABLE), secrets=MemorySecrets(), kinds=KINDS, now=lambda: NOON)
    source = operator.create_source(NewSource(label="Shop"))
    connection = operator.create_connection(NewConnection(type="kissmetrics", label="Main", settings={"apiKey": "km", "host": "https://x.example"}))
    key = operator.create_key(NewKey(label="Reports", scopes=["events:read"]))
    keys = DynamoKeyStore(lambda: dynamodb, TABLE)
    assert keys.find(hash_key(source.write_key)) == source.key
    assert keys.find(hash_key(key.secret)) == key.key
    assert keys.find(hash_key("wk_other")) is None
    assert DynamoConnections(lambda: dynamodb, TABLE).all() == (connection.value,)
    operator.update_source(source.source.value.id, SourceChange(enabled=False))
    found = keys.find(hash_key(source.write_key))
    assert found is not None
    assert not found.source_enabled


def test_both_key_stores_read_the_same(rows: Rows, request: pytest.FixtureRequest) -> None:
    operator = Operator(rows=rows, secrets=MemorySecrets(), kinds=KINDS, now=lambda: NOON)
    made = operator.create_source(NewSource(label="Shop"))
    operator.rotate_write_key(made.source.value.id, KeyRotation(keep_old_for_s=0))
    store: KeyStore = RowKeys(rows)
    if isinstance(rows, DynamoRows):
        client = request.getfixturevalue("dynamodb")
        store = DynamoKeyStore(lambda: client, TABLE)
    found = store.find(hash_key(made.write_key))
    assert found is not None
    assert found.expires_at == NOON


def test_connections_are_asked_for_once_in_thirty_seconds(dynamodb: DynamoDBClient) -> None:
    clock = MovingClock()
    operator = Operator(rows=DynamoRows(lambda: dynamodb, TABLE), secrets=MemorySecrets(), kinds=KINDS, now=clock.now)
    made = operator.create_connection(NewConnection(type="kissmetrics", label="Main", settings={"apiKey": "km"})).value
    connections = DynamoConnections(lambda: dynamodb, TABLE, clock.monotonic)

    def modes() -> list[str]:
        return [connection.mode for connection in connections.all() if isinstance(connection, Connection)]

    assert modes() == ["live"]
    operator.update_connection(made.id, ConnectionChange(mode="paused"))
    clock.move(29)
    assert modes() == ["live"]
    clock.move(1)
    assert modes() == ["paused"]


def test_the_row_of_a_newer_version_is_still_read(dynamodb: DynamoDBClient) -> None:
    rows = DynamoRows(lambda: dynamodb, TABLE)
    rows.commit([PutRow("source", "src_1", '{"id":"src_1","label":"Shop","created_at":"2026-03-04T12:00:00Z","colour":"blue"}', 0)])
    rows.commit([PutRow("connection", "con_1", '{"id":"con_1","type":"kissmetrics","label":"Main","created_at":"2026-03-04T12:00:00Z","lane":"fast"}', 0)])
    assert Operator(rows=rows, secrets=MemorySecrets(), kinds=KINDS).source("src_1").value.label == "Shop"
    (connection,) = DynamoConnections(lambda: dynamodb, TABLE).all()
    assert isinstance(connection, Connection)
    assert connection.label == "Main"


@pytest.mark.parametrize(
    "data",
    [
        '{"id":"con_new","type":"tributary_of_tomorrow","label":"New","created_at":"2026-03-04T12:00:00Z"}',
        '{"id":"con_new","type":"kissmetrics","label":"New","mode":"slow","created_at":"2026-03-04T12:00:00Z"}',
        '{"id":"con_new","type":"kissmetrics","label":"New","filter":7,"created_at":"2026-03-04T12:00:00Z"}',
        '{"id":"con_new"',
        "",
    ],
)
def test_a_connection_that_a_newer_release_wrote_does_not_take_the_others_with_it(dynamodb: DynamoDBClient, data: str) -> None:
    old = '{"id":"%s","type":"kissmetrics","label":"Old","created_at":"2026-03-04T12:00:00Z"}'
    rows = [PutRow("connection", name, text, 0) for name, text in (("con_a", old % "con_a"), ("con_new", data), ("con_z", old % "con_z"))]
    DynamoRows(lambda: dynamodb, TABLE).commit(rows)
    found = DynamoConnections(lambda: dynamodb, TABLE).all()
    assert [one.id for one in found] == ["con_a", "con_new", "con_z"]
    assert found[1] == UnreadableConnection("con_new")
    assert all(isinstance(one, Connection) for one in (found[0], found[2]))


def test_what_aws_refuses_is_an_error_of_ours(dynamodb: DynamoDBClient, ssm: SSMClient) -> None:
    def silence(request: object, **_: object) -> None:
        raise ReadTimeoutError(endpoint_url="https://x.example")

    for client in (dynamodb, ssm):
        client.meta.events.register_first("before-send.*.*", silence)
    rows, secrets = DynamoRows(lambda: dynamodb, TABLE), SsmSecretStore(lambda: ssm, "/stack")
    for call in (
        lambda: rows.get("source", "src_1"),
        lambda: rows.under("source"),
        lambda: rows.commit([PutRow("source", "src_1", "x", 0)]),
        lambda: DynamoKeyStore(lambda: dynamodb, TABLE).find("0" * 64),
        lambda: DynamoConnections(lambda: dynamodb, TABLE).all(),
        lambda: secrets.get("x"),
        lambda: secrets.put("x", "y"),
        lambda: secrets.put_once("x", "y"),
        lambda: secrets.delete("x"),
    ):
        with pytest.raises(StoreUnavailable):
            call()


def test_a_change_that_is_sent_again_carries_the_token_of_the_first(dynamodb: DynamoDBClient) -> None:
    """So that AWS, had it applied the first, answers the second with success and not with a conflict."""
    tokens: list[str] = []

    def lose_the_first(request: AWSPreparedRequest, **_: object) -> None:
        tokens.append(json.loads(cast("bytes", request.body))["ClientRequestToken"])
        if len(tokens) == 1:
            raise ReadTimeoutError(endpoint_url=request.url)

    dynamodb.meta.events.register_first("before-send.dynamodb.TransactWriteItems", lose_the_first)
    DynamoRows(lambda: dynamodb, TABLE).commit([PutRow("source", "src_1", "x", 0)])
    assert len(tokens) == 2
    assert tokens[0] == tokens[1]


# ---------------------------------------------------------------- linked connections


def _write_account(client: DynamoDBClient, connection: str, type: ConnectionType = "konnektive") -> None:
    data = msgspec.json.encode(Connection(id=connection, type=type, label=connection, created_at=NOON)).decode()
    DynamoRows(lambda: client, TABLE).commit([PutRow("connection", connection, data, 0)])


def _write_source(client: DynamoDBClient, source: str, linked: str) -> None:
    row = msgspec.json.encode(Source(id=source, label=source, linked_connection=linked, created_at=NOON)).decode()
    DynamoRows(lambda: client, TABLE).commit([PutRow("source", source, row, 0)])


@pytest.fixture(params=["memory", "dynamodb"])
def linked(request: pytest.FixtureRequest) -> Callable[[dict[str, str], list[str]], LinkedConnections]:
    def made(sources: dict[str, str], accounts: list[str]) -> LinkedConnections:
        if request.param == "memory":
            return Links(sources, accounts)
        client = request.getfixturevalue("dynamodb")
        for source, connection in sources.items():
            _write_source(client, source, connection)
        for connection in accounts:
            _write_account(client, connection)
        _write_account(client, "con_km", "kissmetrics")
        return DynamoLinkedConnections(lambda: client, TABLE)

    return made


@pytest.mark.parametrize(
    ("sources", "accounts", "expected"),
    [
        ({}, [], None),
        ({}, ["con_1"], "con_1"),
        ({}, ["con_1", "con_2"], None),
        ({"src_1": "con_2"}, ["con_1", "con_2"], "con_2"),
        ({"src_2": "con_2"}, ["con_1", "con_2"], None),
        ({"src_1": ""}, ["con_1"], "con_1"),
    ],
)
def test_a_source_is_linked_to_the_connection_it_names_else_to_the_only_one_of_konnektive(
    linked: Callable[[dict[str, str], list[str]], LinkedConnections], sources: dict[str, str], accounts: list[str], expected: str | None
) -> None:
    assert linked(sources, accounts).of("src_1") == expected


def test_a_link_is_at_most_thirty_seconds_old_and_a_row_of_a_newer_release_links_nobody(dynamodb: DynamoDBClient) -> None:
    clock = MovingClock()
    links = DynamoLinkedConnections(lambda: dynamodb, TABLE, clock.monotonic)
    DynamoRows(lambda: dynamodb, TABLE).commit([PutRow("source", "src_1", '{"id": 5}', 0)])
    _write_account(dynamodb, "con_1")
    assert links.of("src_1") == "con_1"
    _write_account(dynamodb, "con_2")
    clock.move(29)
    assert links.of("src_1") == "con_1"
    clock.move(1)
    assert links.of("src_1") is None


def test_the_accounts_settings_are_at_most_thirty_seconds_old_and_have_defaults_until_somebody_sets_them(dynamodb: DynamoDBClient) -> None:
    clock = MovingClock()
    account = DynamoAccount(lambda: dynamodb, TABLE, clock.monotonic)
    assert account.get() == Account()
    operator = Operator(rows=DynamoRows(lambda: dynamodb, TABLE), secrets=MemorySecrets(), kinds=KINDS, now=lambda: NOON)
    operator.update_account(AccountChange(report_fields=["plan"]))
    clock.move(29)
    assert account.get().report_fields == []
    clock.move(1)
    assert account.get().report_fields == ["plan"]


def test_an_accounts_settings_that_cannot_be_read_are_never_taken_for_defaults(dynamodb: DynamoDBClient) -> None:
    DynamoRows(lambda: dynamodb, TABLE).commit([PutRow("account", "settings", '{"report_fields": 5}', 0)])
    with pytest.raises(StoreUnavailable):
        DynamoAccount(lambda: dynamodb, TABLE).get()
