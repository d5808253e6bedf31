"""`config.toml`: what apply makes of it, that it says nothing secret, and that an export applied changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kit.config import Bench
from tributary.cli import config_file
from tributary.cli.config_file import ConfigInvalid, Plan, Step
from tributary.conditions import Condition
from tributary.drafts import AccountChange, NewConnection, NewSource
from tributary.operator import PutRow, Row, Versioned
from tributary.settings import Account, Connection, UnreadableConnection

SECRET = "km-secret-4711"
SECRETS = {"env:KM": SECRET, "env:KM2": f"{SECRET}-2", "ssm:/km": f"{SECRET}-3"}

FILE = """
[account]
name = "Harbour"
reporting_currency = "EUR"

[[sources]]
label = "Shop"

[[connections]]
type = "kissmetrics"
label = "Main"
mode = "shadow"
sources = ["Shop"]
filter = { any = [{ type = ["identify"] }, { field = "properties.total", is = "at_least", value = 5 }] }
settings = { apiKey = "env:KM", host = "https://x.example" }
"""


def read_secret(reference: str) -> str:
    if reference not in SECRETS:
        raise ConfigInvalid("nothing there")
    return SECRETS[reference]


def planned(bench: Bench, text: str, *, prune: bool = False) -> Plan:
    return config_file.plan(config_file.read(text), bench.operator, read_secret, prune=prune)


def apply(bench: Bench, text: str, *, prune: bool = False) -> list[tuple[str, str, str | None]]:
    """What was done, with what was shown."""
    done: list[tuple[str, str, str | None]] = []
    planned(bench, text, prune=prune).run(lambda step, shown: done.append((step.verb, step.what, shown)))
    return done


def only_connection(bench: Bench) -> Versioned[Connection]:
    (connection,) = bench.operator.connections()
    assert isinstance(connection, Versioned)
    return connection


def verbs(plan: Plan) -> list[tuple[str, str]]:
    return [(step.verb, step.what) for step in plan.steps]


def said(plan: Plan) -> str:
    return "\n".join(str((step.verb, step.what, step.details)) for step in plan.steps)


def test_a_file_makes_a_stack_like_it() -> None:
    bench = Bench()
    done = apply(bench, FILE)
    assert [(verb, what) for verb, what, _ in done] == [("change", "account"), ("create", 'source "Shop"'), ("create", 'connection "Main" (kissmetrics)')]
    shown = [text for _, _, text in done if text]
    assert len(shown) == 1
    assert shown[0].startswith('write key of "Shop": wk_')
    (source,), connection = bench.operator.sources(), only_connection(bench)
    assert (connection.value.mode, connection.value.sources, connection.value.settings) == ("shadow", [source.value.id], {"host": "https://x.example"})
    assert connection.value.filter == Condition(any=[Condition(type=["identify"]), Condition(field="properties.total", is_="at_least", value=5)])
    assert bench.operator.secret_settings(connection.value) == {"apiKey": SECRET}
    assert (bench.operator.account().value.name, bench.operator.account().value.reporting_currency) == ("Harbour", "EUR")


def test_the_same_file_again_changes_nothing() -> None:
    bench = Bench()
    apply(bench, FILE)
    before = dict(bench.rows.rows)
    assert planned(bench, FILE).changes == []
    assert apply(bench, FILE, prune=True) == []
    assert bench.rows.rows == before


LINKED = FILE.replace('label = "Shop"', 'label = "Shop"\nlinked_connection = "Main"', 1)


def test_a_source_is_linked_to_a_connection_that_the_same_file_makes() -> None:
    bench = Bench()
    apply(bench, LINKED)
    (source,), (connection,) = bench.operator.sources(), bench.operator.connections()
    assert not isinstance(connection, UnreadableConnection)
    assert source.value.linked_connection == connection.value.id
    assert planned(bench, LINKED).changes == planned(bench, config_file.export(bench.operator)).changes == []
    assert apply(bench, FILE) == [("change", 'source "Shop"', None)]
    assert bench.operator.sources()[0].value.linked_connection == ""


def test_a_source_cannot_be_linked_to_a_connection_that_is_nowhere() -> None:
    with pytest.raises(ConfigInvalid, match=r"sources\[0\].linked_connection"):
        planned(Bench(), FILE.replace('label = "Shop"', 'label = "Shop"\nlinked_connection = "None"', 1))


def test_a_plan_alone_changes_nothing() -> None:
    bench = Bench()
    planned(bench, FILE)
    assert bench.rows.rows == {}
    assert bench.secrets.secrets == {}


def test_what_the_file_leaves_out_has_its_default_and_what_differs_is_told() -> None:
    bench = Bench()
    apply(bench, FILE)
    text = '[[connections]]\ntype = "kissmetrics"\nlabel = "Main"\nsettings = { apiKey = "env:KM2" }\n'
    plan = planned(bench, text)
    assert verbs(plan) == [("change", 'connection "Main" (kissmetrics)'), ("leave", 'source "Shop"')]
    source = bench.operator.sources()[0].value.id
    assert [line for line in plan.steps[0].details if not line.startswith("filter")] == [
        'mode: "shadow" → "live"',
        f'sources: ["{source}"] → []',
        'settings.host: "https://x.example" → -',
        "settings.apiKey: changed (a credential)",
    ]
    apply(bench, text)
    connection = only_connection(bench)
    assert (connection.value.mode, connection.value.filter, connection.value.settings) == ("live", None, {})
    assert bench.operator.secret_settings(connection.value) == {"apiKey": f"{SECRET}-2"}
    assert planned(bench, text).changes == []


def test_a_credential_that_is_left_out_stays() -> None:
    bench = Bench()
    apply(bench, FILE)
    apply(bench, FILE.replace('apiKey = "env:KM", ', ""))
    assert bench.operator.secret_settings(only_connection(bench).value) == {"apiKey": SECRET}


def test_nothing_is_removed_unless_asked_for() -> None:
    bench = Bench()
    apply(bench, FILE)
    empty = '[account]\nname = "Harbour"\n'
    assert verbs(planned(bench, empty)) == [("keep", "account"), ("leave", 'connection "Main" (kissmetrics)'), ("leave", 'source "Shop"')]
    assert apply(bench, empty) == []
    assert [verb for verb, _, _ in apply(bench, empty, prune=True)] == ["remove", "remove"]
    assert bench.operator.sources() == []
    assert bench.operator.connections() == []
    assert bench.secrets.secrets == {}


def test_a_label_is_changed_by_naming_the_id() -> None:
    bench = Bench()
    apply(bench, FILE)
    source = bench.operator.sources()[0].value.id
    text = FILE.replace('[[sources]]\nlabel = "Shop"', f'[[sources]]\nid = "{source}"\nlabel = "Store"').replace('sources = ["Shop"]', 'sources = ["Store"]')
    assert verbs(planned(bench, text)) == [("keep", "account"), ("change", 'source "Store"'), ("keep", 'connection "Main" (kissmetrics)')]
    apply(bench, text)
    assert [one.value.label for one in bench.operator.sources()] == ["Store"]


def test_credentials_are_in_nothing_that_is_shown() -> None:
    bench = Bench()
    plan = planned(bench, FILE)
    shown: list[Any] = []
    plan.run(lambda step, text: shown.append((step.what, step.details, text)))
    again = planned(bench, FILE.replace("env:KM", "ssm:/km"))
    assert "(a credential)" in said(again)
    everything = said(plan) + said(again) + repr(shown) + config_file.export(bench.operator) + bench.stored_text()
    assert SECRET not in everything


def test_an_export_applied_changes_nothing_here_and_makes_the_same_elsewhere() -> None:
    bench = Bench()
    apply(bench, FILE)
    defaults = {"model": "linear", "lookback": 30, "half_life": 2.5}
    bench.operator.update_account(AccountChange(time_zone="Europe/Oslo", report_defaults=defaults, report_fields=["plan", "how found"]))
    text = config_file.export(bench.operator)
    assert 'report_fields = ["plan", "how found"]' in text
    assert planned(bench, text).changes == []
    assert SECRET not in text
    other = Bench()
    apply(other, text.replace("settings = {", 'settings = { apiKey = "env:KM",'))
    assert config_file.export(other.operator) == text


@settings(deadline=None)
@given(
    label=st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp", "Cs"]), min_size=1, max_size=20).filter(str.strip),
    defaults=st.dictionaries(
        st.text(st.characters(codec="utf-8"), max_size=8),
        st.recursive(
            st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text(st.characters(codec="utf-8"), max_size=8),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4, alphabet="ab.\" '\\é\x7f"), inner, max_size=3),
            max_leaves=6,
        ),
        max_size=3,
    ),
)
def test_whatever_a_label_or_a_setting_holds_survives_the_file(label: str, defaults: dict[str, Any]) -> None:
    bench = Bench()
    bench.operator.create_source(NewSource(label=label))
    bench.operator.create_connection(NewConnection(type="kissmetrics", label=label, settings={"apiKey": "k", "host": label}))
    kept = msgspec.json.encode(Account(report_defaults=defaults)).decode()
    bench.rows.commit([PutRow("account", "settings", kept, 0)])  # as another release may have let it in
    assert planned(bench, config_file.export(bench.operator)).changes == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[account", "not TOML"),
        ("[acount]\n", "acount: there is no such field"),
        ("[[sources]]\n", "sources[0].label: it is needed"),
        ('[[sources]]\nlabel = "a"\ncolour = 1\n', "sources[0].colour: there is no such field"),
        ('[[sources]]\nlabel = "a"\n[[sources]]\nlabel = "a"\n', "sources[1]: another table has the same label"),
        ('[[sources]]\nlabel = "  "\n', "sources[0].label: a label has something to read in it"),
        ('[[connections]]\ntype = "telegraph"\nlabel = "x"\n', "connections[0].type: one of kissmetrics"),
        ('[[connections]]\ntype = "kissmetrics"\nlabel = "x"\n', "connections[0].settings.apiKey: the API key is missing"),
        (f'[[connections]]\ntype = "kissmetrics"\nlabel = "x"\nsettings = {{ apiKey = "{SECRET}" }}\n', "a credential is not written into the file"),
        ('[[connections]]\ntype = "kissmetrics"\nlabel = "x"\nsettings = { apiKey = "env:NOT" }\n', "connections[0].settings.apiKey: nothing there"),
        (
            '[[connections]]\ntype = "kissmetrics"\nlabel = "x"\nsources = ["Shop"]\nsettings = { apiKey = "env:KM" }\n',
            "connections[0].sources[0]: there is no such source",
        ),
        (
            '[[connections]]\ntype = "kissmetrics"\nlabel = "x"\nsettings = { apiKey = "env:KM" }\nfilter = { field = "a" }\n',
            "connections[0].filter: a comparison has both `field` and `is`",
        ),
    ],
)
def test_a_file_that_does_not_fit_is_refused_by_place(text: str, words: str) -> None:
    bench = Bench()
    with pytest.raises(ConfigInvalid) as refused:
        planned(bench, text)
    assert words in str(refused.value)
    assert SECRET not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_two_of_one_label_in_the_stack_are_told_apart_by_id() -> None:
    bench = Bench()
    one = bench.operator.create_source(NewSource(label="Shop")).source.value.id
    bench.operator.create_source(NewSource(label="Shop"))
    with pytest.raises(ConfigInvalid, match="by its id"):
        planned(bench, '[[sources]]\nlabel = "Shop"\n')
    plan = planned(bench, f'[[sources]]\nid = "{one}"\nlabel = "Shop"\n')
    assert verbs(plan) == [("keep", 'source "Shop"'), ("leave", 'source "Shop"')]


def test_two_tables_do_not_speak_of_the_same_one() -> None:
    bench = Bench()
    one = bench.operator.create_source(NewSource(label="Shop")).source.value.id
    with pytest.raises(ConfigInvalid, match="another table"):
        planned(bench, f'[[sources]]\nid = "{one}"\nlabel = "Store"\n[[sources]]\nid = "{one}"\nlabel = "Shop"\n')


def test_the_file_of_the_readme_is_one() -> None:
    readme = (Path(__file__).parents[3] / "README.md").read_text()
    text = readme.split("```toml\n", 1)[1].split("```", 1)[0].replace("env:KISSMETRICS_API_KEY", "env:KM")
    assert verbs(planned(Bench(), text)) == [("create", 'connection "Kissmetrics" (kissmetrics)')]


def test_a_step_that_keeps_has_nothing_to_run() -> None:
    assert Step(verb="keep", what="account").run is None


def test_a_file_is_not_applied_past_a_connection_that_only_a_newer_release_can_read() -> None:
    bench = Bench()
    apply(bench, FILE)
    bench.rows.rows["connection", "con_newer"] = Row('{"id":"con_newer","type":"telegraph","label":"Main"}', 1)
    with pytest.raises(ConfigInvalid, match="con_newer"):
        planned(bench, FILE)
    exported = config_file.export(bench.operator)
    assert "# The connection con_newer is not here" in exported
    assert 'label = "Main"' in exported
