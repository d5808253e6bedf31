"""Keys: what they are worth, how long an answer is believed, what a refusal says."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from tests.kit.builders import NOON
from tests.kit.config import MemoryKeys, MovingClock
from tributary import access
from tributary.access import Access, AccessRefused, CachedKeys, KeyState, hash_key, require
from tributary.settings import Key

API_KEY = "tk_" + "a" * 40
WRITE_KEY = "wk_" + "w" * 29


def api_key(**changes: object) -> Key:
    key = Key(id="key_1", kind="api", label="Reports", scopes=["events:read"], created_at=NOON)
    return msgspec.structs.replace(key, **changes)


def write_key(**changes: object) -> Key:
    key = Key(id="key_2", kind="write", source="src_1", created_at=NOON)
    return msgspec.structs.replace(key, **changes)


class Door:
    """A key store, the cache before it and a clock."""

    def __init__(self) -> None:
        self.clock = MovingClock()
        self.store = MemoryKeys()
        self.cached = CachedKeys(self.store, self.clock.monotonic)
        self.access = Access(self.cached, now=self.clock.now)


def test_a_key_is_hashed_with_sha_256() -> None:
    assert hash_key("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_header_of_lone_surrogates_is_an_unknown_key_and_no_crash() -> None:
    assert Door().cached.row("\ud800") is None


def test_new_keys_have_their_length_their_prefix_and_no_letter_that_ends_a_header() -> None:
    for made, prefix, length in [(access.new_write_key(), "wk_", 32), (access.new_api_key(), "tk_", 43)]:
        assert made.startswith(prefix)
        assert len(made) == length
        assert set(made) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    assert access.new_api_key() != access.new_api_key()


def test_a_known_key_is_asked_for_once_in_thirty_seconds() -> None:
    door = Door()
    door.store.add(WRITE_KEY, write_key())
    for _ in range(3):
        assert door.cached.row(WRITE_KEY) == write_key()
        door.clock.move(9.9)
    assert door.store.asked == 1
    door.clock.move(1)
    assert door.cached.row(WRITE_KEY) == write_key()
    assert door.store.asked == 2


def test_that_a_key_is_unknown_is_remembered_too() -> None:
    door = Door()
    assert door.cached.row(WRITE_KEY) is None
    assert door.cached.row(WRITE_KEY) is None
    assert door.store.asked == 1
    door.store.add(WRITE_KEY, write_key())
    door.clock.move(30)
    assert door.cached.row(WRITE_KEY) is not None


def test_a_key_that_is_gone_is_remembered_as_unknown() -> None:
    door = Door()
    door.store.add(WRITE_KEY, write_key())
    door.cached.row(WRITE_KEY)
    door.store.rows.clear()
    door.clock.move(30)
    assert [door.cached.row(WRITE_KEY) for _ in range(3)] == [None, None, None]
    assert door.store.asked == 2


def test_a_key_that_is_empty_or_too_long_is_never_looked_up() -> None:
    door = Door()
    assert door.cached.row("") is None
    assert door.cached.row("k" * 201) is None
    assert door.store.asked == 0


def test_a_flood_of_junk_keys_neither_grows_the_cache_nor_pushes_out_a_real_key() -> None:
    door = Door()
    door.store.add(WRITE_KEY, write_key())
    door.cached.row(WRITE_KEY)
    for number in range(access.CACHE_SIZE * 2):
        door.cached.row(f"junk-{number}")
    asked = door.store.asked
    assert door.cached.row(WRITE_KEY) is not None
    assert door.store.asked == asked
    assert door.cached.row("junk-0") is None
    assert door.store.asked == asked + 1, "the oldest junk key was forgotten"


def test_a_key_is_not_kept_in_clear() -> None:
    door = Door()
    door.store.add(WRITE_KEY, write_key())
    door.cached.row(WRITE_KEY)
    assert WRITE_KEY not in repr(vars(door.cached))


def test_a_revoked_key_is_refused_within_thirty_seconds_and_at_once_where_it_writes() -> None:
    door = Door()
    door.store.add(API_KEY, api_key())
    headers = {"x-api-key": API_KEY}
    assert door.access.authenticate(headers).id == "key_1"
    door.store.add(API_KEY, api_key(revoked_at=door.clock.now()))
    door.clock.move(29)
    assert door.access.authenticate(headers).id == "key_1", "a read may trust the cache"
    with pytest.raises(AccessRefused) as refused:
        door.access.authenticate(headers, fresh=True)
    assert (refused.value.status, refused.value.code) == (401, "key_revoked")


def test_what_a_write_found_out_a_read_knows() -> None:
    door = Door()
    door.store.add(API_KEY, api_key())
    door.access.authenticate({"x-api-key": API_KEY})
    door.store.add(API_KEY, api_key(revoked_at=door.clock.now()))
    for fresh in (True, False):
        with pytest.raises(AccessRefused):
            door.access.authenticate({"x-api-key": API_KEY}, fresh=fresh)


def test_a_revoked_key_is_refused_after_thirty_seconds_without_a_write() -> None:
    door = Door()
    door.store.add(API_KEY, api_key())
    door.access.authenticate({"x-api-key": API_KEY})
    door.store.add(API_KEY, api_key(revoked_at=door.clock.now()))
    door.clock.move(30)
    with pytest.raises(AccessRefused, match="revoked"):
        door.access.authenticate({"x-api-key": API_KEY})


def test_a_key_expires_on_time_even_if_it_is_cached() -> None:
    door = Door()
    door.store.add(API_KEY, api_key(expires_at=NOON + timedelta(seconds=10)))
    door.clock.move(9)
    door.access.authenticate({"x-api-key": API_KEY})
    door.clock.move(1)
    with pytest.raises(AccessRefused) as refused:
        door.access.authenticate({"x-api-key": API_KEY})
    assert refused.value.code == "key_expired"


@pytest.mark.parametrize(
    ("row", "state"),
    [
        (None, KeyState.UNKNOWN),
        (write_key(), KeyState.USABLE),
        (write_key(revoked_at=NOON), KeyState.REVOKED),
        (write_key(expires_at=NOON), KeyState.EXPIRED),
        (write_key(source_enabled=False), KeyState.SOURCE_DISABLED),
    ],
)
def test_what_a_key_is_worth(row: Key | None, state: KeyState) -> None:
    assert access.state_of(row, NOON) is state


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": f"Bearer {API_KEY}"},
        {"authorization": f"bearer  {API_KEY} "},
        {"x-api-key": API_KEY},
    ],
)
def test_a_key_may_come_in_either_header(headers: dict[str, str]) -> None:
    door = Door()
    door.store.add(API_KEY, api_key())
    assert door.access.authenticate(headers).id == "key_1"


@pytest.mark.parametrize(
    ("headers", "code", "presented"),
    [
        ({}, "key_missing", False),
        ({"authorization": ""}, "key_malformed", True),
        ({"authorization": "Bearer"}, "key_malformed", True),
        ({"authorization": "Basic dGtfYWFhOg=="}, "key_malformed", True),
        ({"authorization": f"Bearer {API_KEY}, Bearer {API_KEY}"}, "key_ambiguous", True),
        ({"x-api-key": f"{API_KEY},{API_KEY}"}, "key_ambiguous", True),
        ({"x-api-key": API_KEY, "authorization": f"Bearer {API_KEY}"}, "key_ambiguous", True),
        ({"x-api-key": "tk_wrong"}, "key_unknown", True),
        ({"x-api-key": ""}, "key_unknown", True),
        ({"x-api-key": WRITE_KEY}, "key_of_another_kind", True),
    ],
)
def test_a_request_without_one_good_key_is_refused_with_401(headers: dict[str, str], code: str, presented: bool) -> None:
    door = Door()
    door.store.add(API_KEY, api_key())
    door.store.add(WRITE_KEY, write_key())
    with pytest.raises(AccessRefused) as refused:
        door.access.authenticate(headers)
    assert (refused.value.status, refused.value.code, refused.value.presented) == (401, code, presented)
    assert refused.value.challenge == 'Bearer realm="tributary"' + (', error="invalid_token"' if presented else "")
    assert API_KEY not in str(refused.value)


def test_a_missing_scope_is_a_403_that_names_it() -> None:
    require(api_key(), "events:read")
    require(api_key(scopes=["*"]), "keys:write")
    with pytest.raises(AccessRefused, match="events:read_bodies") as refused:
        require(api_key(), "events:read_bodies")
    assert (refused.value.status, refused.value.code, refused.value.scope) == (403, "scope_missing", "events:read_bodies")
    assert refused.value.challenge == 'Bearer realm="tributary", error="insufficient_scope", scope="events:read_bodies"'


def test_the_module_loads_nothing_heavy() -> None:
    """Intake's cold start pays for it."""
    heavy = ("boto3", "botocore", "pydantic", "httpx", "aws_lambda_powertools", "zoneinfo")
    code = f"import sys, tributary.access; print([name for name in {heavy} if name in sys.modules])"
    package = Path(__file__).parents[3] / "layers" / "tributary"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": str(package)})
    assert said.stdout.strip() == "[]"
