"""The use cases on settings: what belongs together changes together, secrets stay where they belong."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest

from tests.kit.builders import NOON
from tests.kit.config import Bench, RowKeys
from tributary.access import KeyState, hash_key, state_of
from tributary.conditions import Condition
from tributary.drafts import AccountChange, ConnectionChange, KeyRotation, NewConnection, NewKey, NewSource, SourceChange
from tributary.operator import MAX_WRITE_KEYS, InUse, Invalid, NotFound, VersionConflict
from tributary.settings import Key

SECRET = "km-secret-4711"


def state(bench: Bench, key: str) -> KeyState:
    """What intake would make of it."""
    return state_of(RowKeys(bench.rows).find(hash_key(key)), bench.clock.now())


def connection(bench: Bench, **given: Any) -> str:
    draft = NewConnection(**{"type": "kissmetrics", "label": "Main", "settings": {"apiKey": SECRET}, **given})
    return bench.operator.create_connection(draft).value.id


def test_init_makes_what_a_new_stack_lacks_and_a_second_time_nothing() -> None:
    bench = Bench()
    made = bench.operator.init()
    assert made.digest_key
    assert made.source is not None
    assert made.api_key is not None
    assert len(base64.b64decode(bench.secrets.secrets["digest-key"])) == 32
    assert state(bench, made.source.write_key) is KeyState.USABLE
    assert state(bench, made.api_key.secret) is KeyState.USABLE
    kept = dict(bench.secrets.secrets)
    again = bench.operator.init()
    assert (again.digest_key, again.source, again.api_key) == (False, None, None)
    assert bench.secrets.secrets == kept


def test_init_never_replaces_the_digest_key_and_refuses_one_that_is_none() -> None:
    bench = Bench()
    good = base64.b64encode(b"x" * 32).decode()
    bench.secrets.secrets["digest-key"] = good
    bench.operator.init()
    assert bench.secrets.secrets["digest-key"] == good
    for bad in ("short", base64.b64encode(b"x" * 8).decode(), "not base64 at all, and long enough to be a key of thirty-two"):
        bench.secrets.secrets["digest-key"] = bad
        with pytest.raises(Invalid, match="digest-key"):
            bench.operator.init()
        assert bench.secrets.secrets["digest-key"] == bad


def test_a_key_is_given_once_and_stored_nowhere_in_clear() -> None:
    bench = Bench()
    source = bench.operator.create_source(NewSource(label="Shop"))
    key = bench.operator.create_key(NewKey(label="Reports", scopes=["events:read"]))
    rotated = bench.operator.rotate_write_key(source.source.value.id, KeyRotation())
    stored = bench.stored_text() + repr(bench.secrets.secrets) + repr(bench.operator.keys())
    for secret in (source.write_key, key.secret, rotated.secret):
        assert secret not in stored
        assert state(bench, secret) is KeyState.USABLE


def test_a_disabled_source_has_no_working_key_until_it_is_enabled_again() -> None:
    bench = Bench()
    made = bench.operator.create_source(NewSource(label="Shop"))
    source = made.source.value.id
    second = bench.operator.rotate_write_key(source, KeyRotation())
    bench.operator.update_source(source, SourceChange(enabled=False))
    assert state(bench, made.write_key) is KeyState.SOURCE_DISABLED
    assert state(bench, second.secret) is KeyState.SOURCE_DISABLED
    third = bench.operator.rotate_write_key(source, KeyRotation())
    assert state(bench, third.secret) is KeyState.SOURCE_DISABLED, "a key made meanwhile is no way around it"
    bench.operator.update_source(source, SourceChange(enabled=True))
    assert state(bench, third.secret) is KeyState.USABLE


def test_a_key_made_while_its_source_is_being_disabled_does_not_work() -> None:
    bench = Bench()
    first = bench.operator.create_source(NewSource(label="Shop"))
    source = first.source.value.id
    bench.operator.revoke_key(first.key.id)
    made = []
    bench.rows.before_commit = lambda: made.append(bench.operator.rotate_write_key(source, KeyRotation()))
    with pytest.raises(VersionConflict):
        bench.operator.update_source(source, SourceChange(enabled=False))
    bench.operator.update_source(source, SourceChange(enabled=False))
    assert state(bench, made[0].secret) is KeyState.SOURCE_DISABLED


def test_a_rotated_key_keeps_working_for_as_long_as_was_asked() -> None:
    bench = Bench()
    made = bench.operator.create_source(NewSource(label="Shop"))
    new = bench.operator.rotate_write_key(made.source.value.id, KeyRotation(keep_old_for_s=3600))
    bench.clock.move(3599)
    assert state(bench, made.write_key) is KeyState.USABLE
    bench.clock.move(1)
    assert state(bench, made.write_key) is KeyState.EXPIRED
    assert state(bench, new.secret) is KeyState.USABLE


def test_a_second_rotation_does_not_prolong_an_old_key() -> None:
    bench = Bench()
    made = bench.operator.create_source(NewSource(label="Shop"))
    bench.operator.rotate_write_key(made.source.value.id, KeyRotation(keep_old_for_s=60))
    bench.operator.rotate_write_key(made.source.value.id, KeyRotation(keep_old_for_s=86_400))
    bench.clock.move(60)
    assert state(bench, made.write_key) is KeyState.EXPIRED


def test_a_source_has_at_most_twenty_working_keys() -> None:
    bench = Bench()
    source = bench.operator.create_source(NewSource(label="Shop")).source.value.id
    for _ in range(MAX_WRITE_KEYS - 1):
        bench.operator.rotate_write_key(source, KeyRotation())
    with pytest.raises(Invalid, match="revoke some"):
        bench.operator.rotate_write_key(source, KeyRotation())


def test_a_deleted_source_takes_its_keys_with_it() -> None:
    bench = Bench()
    made = bench.operator.create_source(NewSource(label="Shop"))
    bench.operator.delete_source(made.source.value.id)
    assert state(bench, made.write_key) is KeyState.REVOKED
    assert bench.operator.sources() == []
    with pytest.raises(NotFound):
        bench.operator.source(made.source.value.id)


def test_a_source_that_a_connection_names_is_not_deleted() -> None:
    bench = Bench()
    source = bench.operator.create_source(NewSource(label="Shop")).source.value.id
    user = connection(bench, sources=[source])
    with pytest.raises(InUse, match=user):
        bench.operator.delete_source(source)


def test_a_source_is_linked_to_a_connection_that_is_there_and_that_stays_there() -> None:
    bench = Bench()
    linked = connection(bench)
    source = bench.operator.create_source(NewSource(label="Shop", linked_connection=linked)).source.value.id
    with pytest.raises(InUse, match=source):
        bench.operator.delete_connection(linked)
    for refused in (
        lambda: bench.operator.create_source(NewSource(label="Other", linked_connection="con_none")),
        lambda: bench.operator.update_source(source, SourceChange(linked_connection="con_none")),
    ):
        with pytest.raises(Invalid) as error:
            refused()
        assert error.value.field == "linked_connection"
    bench.operator.update_source(source, SourceChange(linked_connection=""))
    bench.operator.delete_connection(linked)


def test_a_source_comes_back_under_its_old_id() -> None:
    bench = Bench()
    assert bench.operator.create_source(NewSource(label="Shop"), id="src_old1").source.value.id == "src_old1"
    with pytest.raises(VersionConflict):
        bench.operator.create_source(NewSource(label="Shop"), id="src_old1")
    with pytest.raises(Invalid):
        bench.operator.create_source(NewSource(label="Shop"), id="src_../x")


def test_a_revoked_key_stays_in_the_list_and_revoking_again_keeps_its_time() -> None:
    bench = Bench()
    made = bench.operator.create_key(NewKey(label="Reports", scopes=["*"]))
    bench.operator.revoke_key(made.key.id)
    bench.clock.move(60)
    assert bench.operator.revoke_key(made.key.id).revoked_at == NOON
    assert state(bench, made.secret) is KeyState.REVOKED
    listed = bench.operator.keys()
    assert [key.id for key in listed] == [made.key.id]
    with pytest.raises(NotFound):
        bench.operator.revoke_key("key_none")


def test_a_key_revoked_during_a_rotation_stays_revoked() -> None:
    bench = Bench()
    made = bench.operator.create_source(NewSource(label="Shop"))
    bench.rows.before_commit = lambda: bench.operator.revoke_key(made.key.id)
    with pytest.raises(VersionConflict):
        bench.operator.rotate_write_key(made.source.value.id, KeyRotation())
    assert state(bench, made.write_key) is KeyState.REVOKED


@pytest.mark.parametrize(
    ("draft", "field"),
    [
        (NewKey(label="x", scopes=["events:read", "events:fly"]), "scopes[1]"),
        (NewKey(label="x", scopes=["*"], expires_at=NOON), "expires_at"),
    ],
)
def test_a_key_that_makes_no_sense_is_refused(draft: NewKey, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        Bench().operator.create_key(draft)
    assert refused.value.field == field


def test_an_account_is_changed_in_what_is_named() -> None:
    bench = Bench()
    bench.operator.update_account(AccountChange(name="Ferry Shop", time_zone="America/New_York"))
    account = bench.operator.update_account(AccountChange(reporting_currency="JPY", alert_email="ops@shop.example"))
    assert (account.value.name, account.value.time_zone, account.value.reporting_currency) == ("Ferry Shop", "America/New_York", "JPY")
    assert account.version == 2
    assert bench.operator.account() == account


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (AccountChange(time_zone="Mars/Olympus"), "time_zone"),
        (AccountChange(time_zone="../etc/passwd"), "time_zone"),
        (AccountChange(time_zone="America"), "time_zone"),
        (AccountChange(time_zone=""), "time_zone"),
        (AccountChange(reporting_currency="usd"), "reporting_currency"),
        (AccountChange(reporting_currency="XYZ"), "reporting_currency"),
        (AccountChange(alert_email="nobody"), "alert_email"),
        (AccountChange(report_defaults={"x": "y" * 20_000}), "report_defaults"),
        (AccountChange(report_defaults={"model": "linear", "lookback": "long"}), "report_defaults.lookback"),
        (AccountChange(report_fields=["plan", "email"]), "report_fields"),
    ],
)
def test_an_account_setting_that_makes_no_sense_is_refused_by_name(change: AccountChange, field: str) -> None:
    bench = Bench()
    with pytest.raises(Invalid) as refused:
        bench.operator.update_account(change)
    assert refused.value.field == field
    assert bench.rows.rows == {}


def test_the_second_of_two_editors_is_told() -> None:
    bench = Bench()
    bench.operator.update_account(AccountChange(name="One"), version=0)
    with pytest.raises(VersionConflict, match="version 1"):
        bench.operator.update_account(AccountChange(name="Two"), version=0)
    bench.rows.before_commit = lambda: bench.operator.update_account(AccountChange(name="Three"))
    with pytest.raises(VersionConflict):
        bench.operator.update_account(AccountChange(name="Four"))
    assert bench.operator.account().value.name == "Three"


def test_a_change_that_changes_nothing_keeps_the_version() -> None:
    bench = Bench()
    source = bench.operator.create_source(NewSource(label="Shop")).source.value.id
    assert bench.operator.update_source(source, SourceChange(label="Shop")).version == 1
    assert bench.operator.update_source(source, SourceChange(label="Store")).version == 2


def test_a_connections_credential_goes_to_the_parameter_store_alone() -> None:
    bench = Bench()
    made = bench.operator.connection(connection(bench, settings={"apiKey": SECRET, "host": "https://x.example"}))
    assert made.value.settings == {"host": "https://x.example"}
    assert made.value.secrets == ["apiKey"]
    assert bench.secrets.secrets == {f"connections/{made.value.id}": f'{{"apiKey":"{SECRET}"}}'}
    assert SECRET not in bench.stored_text()


def test_settings_are_merged_and_a_credential_left_out_stays() -> None:
    bench = Bench()
    made = connection(bench, settings={"apiKey": SECRET, "host": "https://x.example"})
    changed = bench.operator.update_connection(made, ConnectionChange(settings={"host": "https://y.example"}))
    assert changed.value.settings == {"host": "https://y.example"}
    assert bench.operator.secret_settings(changed.value) == {"apiKey": SECRET}
    changed = bench.operator.update_connection(made, ConnectionChange(settings={"host": None}))
    assert changed.value.settings == {}
    with pytest.raises(Invalid) as refused:
        bench.operator.update_connection(made, ConnectionChange(settings={"apiKey": None}))
    assert refused.value.field == "settings.apiKey"
    assert bench.operator.secret_settings(changed.value) == {"apiKey": SECRET}


def test_a_new_credential_counts_as_a_new_version() -> None:
    bench = Bench()
    made = connection(bench)
    changed = bench.operator.update_connection(made, ConnectionChange(settings={"apiKey": "another"}))
    assert changed.version == 2
    assert bench.operator.secret_settings(changed.value) == {"apiKey": "another"}


def test_who_loses_against_another_editor_has_changed_no_credential() -> None:
    bench = Bench()
    made = connection(bench)
    bench.rows.before_commit = lambda: bench.operator.update_connection(made, ConnectionChange(label="Theirs"))
    with pytest.raises(VersionConflict):
        bench.operator.update_connection(made, ConnectionChange(settings={"apiKey": "another"}))
    assert bench.operator.secret_settings(bench.operator.connection(made).value) == {"apiKey": SECRET}


def test_a_connection_whose_credential_is_gone_can_still_be_paused() -> None:
    bench = Bench()
    made = connection(bench)
    bench.secrets.secrets.clear()
    assert bench.operator.update_connection(made, ConnectionChange(mode="paused")).value.mode == "paused"
    assert bench.operator.update_connection(made, ConnectionChange(settings={"apiKey": "new"})).value.secrets == ["apiKey"]
    assert bench.operator.secret_settings(bench.operator.connection(made).value) == {"apiKey": "new"}


def test_a_deleted_connection_takes_its_credentials_with_it() -> None:
    bench = Bench()
    made = connection(bench)
    bench.operator.delete_connection(made)
    assert bench.secrets.secrets == {}
    assert bench.operator.connections() == []


def deep(levels: int) -> Condition:
    condition = Condition(type=["track"])
    for _ in range(levels - 1):
        condition = Condition(not_=condition)
    return condition


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"settings": {}}, "settings.apiKey"),
        ({"settings": {"apiKey": SECRET, "colour": 1}}, "settings.colour"),
        ({"settings": {"apiKey": SECRET, "host": "h" * 20_000}}, "settings"),
        ({"sources": ["src_none"]}, "sources[0]"),
        ({"filter": deep(9)}, "filter"),
        ({"filter": Condition(event=["e" * 20_000])}, "filter"),
        ({"type": "telegraph"}, "type"),
    ],
)
def test_a_connection_that_makes_no_sense_is_refused_by_name_and_leaves_nothing(given: dict[str, Any], field: str) -> None:
    bench = Bench()
    with pytest.raises(Invalid) as refused:
        connection(bench, **given)
    assert refused.value.field == field
    assert SECRET not in str(refused.value)
    assert bench.rows.rows == {}
    assert bench.secrets.secrets == {}


def test_a_filter_of_eight_levels_is_taken_and_comes_back_the_same() -> None:
    bench = Bench()
    made = connection(bench, filter=deep(8))
    assert bench.operator.connection(made).value.filter == deep(8)
    assert bench.operator.update_connection(made, ConnectionChange(filter=None)).value.filter is None


def test_the_row_that_intake_reads_is_a_key_like_any_other() -> None:
    bench = Bench()
    made = bench.operator.create_source(NewSource(label="Shop"))
    row = RowKeys(bench.rows).find(hash_key(made.write_key))
    assert row == Key(id=made.key.id, kind="write", label="Shop", source=made.source.value.id, created_at=NOON)


def test_a_stored_credential_goes_to_no_other_address_unless_it_is_given_again() -> None:
    bench = Bench()
    made = connection(bench)
    elsewhere = {"endpoint": "https://trk.kissmetrics.com"}
    with pytest.raises(Invalid) as refused:
        bench.operator.update_connection(made, ConnectionChange(settings=elsewhere))
    assert refused.value.field == "settings.apiKey"
    assert "endpoint" not in bench.operator.connection(made).value.settings
    bench.operator.update_connection(made, ConnectionChange(settings={**elsewhere, "apiKey": "km-other"}))
    assert bench.operator.connection(made).value.settings["endpoint"] == "https://trk.kissmetrics.com"


def test_customers_of_two_accounts_never_share_user_ids() -> None:
    bench = Bench()
    account = {"loginId": "shop", "password": "secret"}
    first = bench.operator.create_connection(NewConnection(type="konnektive", label="A", settings={**account, "userId": "customerId"})).value
    with pytest.raises(Invalid) as refused:
        bench.operator.create_connection(NewConnection(type="konnektive", label="B", settings=account))
    assert refused.value.field == "settings.userId"
    bench.operator.update_connection(first.id, ConnectionChange(settings={"userId": "email"}))
    second = bench.operator.create_connection(NewConnection(type="konnektive", label="B", settings=account)).value
    with pytest.raises(Invalid, match="another person in each"):
        bench.operator.update_connection(second.id, ConnectionChange(settings={"userId": "customerId"}))


@pytest.mark.parametrize("given", [{"history": True}, {"filter": Condition(event=["Booked"])}, {"consent_categories": ["marketing"]}])
def test_what_chooses_events_for_a_destination_is_refused_for_an_account_that_is_read(given: dict[str, Any]) -> None:
    bench = Bench()
    account = NewConnection(type="konnektive", label="CRM", settings={"loginId": "shop", "password": "secret"})
    with pytest.raises(Invalid, match="means nothing") as refused:
        bench.operator.create_connection(msgspec.structs.replace(account, **given))
    assert refused.value.field == next(iter(given))
    made = bench.operator.create_connection(account).value
    with pytest.raises(Invalid, match="means nothing"):
        bench.operator.update_connection(made.id, ConnectionChange(**given))
