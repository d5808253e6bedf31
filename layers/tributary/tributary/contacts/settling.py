"""What a merge or an attach leaves to do, once it is committed: both can be taken up again by anybody at any point, by many at once, and end the same.

* The rows of a contact that was merged move to the winner, each in one transaction with its removal, its pointer too. Nobody adds rows to a contact that is no
  root, so a partition that was read empty stays empty.
* What a browser said of its person before it was known (identify and group calls, orders, tags) is read from the log and folded in. It is read after the attach
  is committed. An event is in the log before the stream brings it, so one that found its browser unattached was in the log before the attach, and is read here;
  every later one finds the attach.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from tributary.contacts import holdings, profile
from tributary.contacts.holdings import Held
from tributary.contacts.profile import Profile
from tributary.contacts.rows import (
    MEMBER_PREFIX,
    ROOT_SORT,
    Root,
    changed_holdings,
    contact_partition,
    decode,
    decode_pointer,
    digest_of_member,
    encode,
    encode_pointer,
    join_moved,
    pointer_key,
    root_key,
    row_key,
    transactions,
)
from tributary.errors import WriteConflict
from tributary.events import Event
from tributary.identity.digests import Digests
from tributary.identity.identifiers import ANONYMOUS, Identifier, partitions_of
from tributary.identity.rules import IdentityRules
from tributary.ports import ContactRow, ContactStore, EventLog, RemoveRow, RowKey, WriteRow

MAX_HISTORY: Final = 20_000
"""Events of one browser that are looked through for what they say of its person: some 20 MB, seconds. A till of years is not worth a function's life."""

_ROWS_A_MOVE: Final = 33
"""Three changes a row at most (pointer, here, there), 100 a transaction."""
_BYTES_A_MOVE: Final = 1_500_000
_BYTES_WRITTEN_A_MOVE: Final = 2_000_000
"""What rows take where they were, and where they go, where each may join with more than itself: together below DynamoDB's 4 MB a transaction."""
_ATTEMPTS: Final = 10


class Settling:
    """Finishes contacts. `pause` waits between two attempts, given how many have failed."""

    def __init__(self, *, contacts: ContactStore, log: EventLog, digests: Digests, rules: IdentityRules, pause: Callable[[int], None]) -> None:
        self._contacts = contacts
        self._log = log
        self._digests = digests
        self._rules = rules
        self._pause = pause

    def settle(self, contact: str, known: tuple[Root, int] | None = None) -> None:
        """Return once what was left to do at the call is done, by this worker or another. `known`: the root and its revision, where the caller has just written
        it. Raises `WriteConflict` after ten attempts."""
        moved: set[str] = set()
        heard: dict[str, tuple[Event, ...]] = {}
        for attempt in range(_ATTEMPTS):
            if attempt:
                self._pause(attempt)
            found = known if known is not None and not attempt else self._root(contact)
            if found is None:
                return
            root, revision = found
            if root.into is not None or root.is_settled:
                return
            try:
                for loser in root.open:
                    if loser not in moved:
                        self._move(loser, contact)
                        moved.add(loser)
                for anonymous_id in root.unread:
                    if anonymous_id not in heard:
                        heard[anonymous_id] = self._history(anonymous_id)
                self._close(contact, root, revision, [event for anonymous_id in root.unread for event in heard[anonymous_id]])
            except WriteConflict:
                continue
            return
        raise WriteConflict("a contact is being written by many at once")

    def _root(self, contact: str) -> tuple[Root, int] | None:
        row = self._contacts.get({root_key(contact)}).get(root_key(contact))
        return (decode(row.data, Root), row.revision) if row else None

    def _move(self, loser: str, winner: str) -> None:
        more = True
        while more:
            rows, more = _some(row for row in self._contacts.rows(contact_partition(loser)) if row.key.sort != ROOT_SORT)
            if not rows:
                return
            pointers = {row.key: pointer_key(digest_of_member(row.key.sort)) for row in rows if row.key.sort.startswith(MEMBER_PREFIX)}
            there = {row.key: RowKey(contact_partition(winner), row.key.sort) for row in rows}
            existing = self._contacts.get({*pointers.values(), *there.values()})
            changes: list[WriteRow | RemoveRow] = []
            written = 0
            for row in rows:
                here = existing.get(there[row.key])
                data = join_moved(row.key.sort, here.data, row.data) if here else row.data
                written += len(data)
                if changes and written > _BYTES_WRITTEN_A_MOVE:
                    more = True
                    break
                pointer = existing.get(pointers[row.key]) if row.key in pointers else None
                if pointer is not None and decode_pointer(pointer.data) == loser:
                    changes.append(WriteRow(pointer.key, encode_pointer(winner), pointer.revision))
                changes.append(WriteRow(there[row.key], data, here.revision if here else None))
                changes.append(RemoveRow(row.key, row.revision))
            self._contacts.commit(changes)

    def _history(self, anonymous_id: str) -> tuple[Event, ...]:
        """The events of a browser that say something of its person and name nothing else; those that do were resolved by themselves."""
        (partition,) = partitions_of(Identifier(ANONYMOUS, anonymous_id))
        events = itertools.islice(self._log.of(partition), MAX_HISTORY)
        return tuple(event for event in events if holdings.tells_of_a_person(event) and self._rules.link_of(event).is_anonymous)

    def _close(self, contact: str, root: Root, revision: int, history: list[Event]) -> None:
        known: Profile = root.profile
        held: Held = {}
        for event in history:
            known = profile.joined(known, profile.profile_of(event))
            holdings.take(held, event, self._digests)
        keys = {row_key(contact, sort) for sort in held}
        changed = changed_holdings(contact, held, self._contacts.get(keys) if keys else {})
        closed = msgspec.structs.replace(root, profile=known, open=(), unread=())
        # the root as it stands goes with all but the last: what is owed is owed until then
        *some, last = transactions([WriteRow(root_key(contact), encode(root), revision)], changed)
        for together in some:
            self._contacts.commit(together)
        self._contacts.commit([WriteRow(root_key(contact), encode(closed), last[0].expected), *last[1:]])


def _some(rows: Iterator[ContactRow]) -> tuple[list[ContactRow], bool]:
    """The next rows to move, as many as one transaction takes, one at least; and whether there are more."""
    some: list[ContactRow] = []
    size = 0
    for row in rows:
        size += len(row.data)
        if some and (len(some) == _ROWS_A_MOVE or size > _BYTES_A_MOVE):
            return some, True
        some.append(row)
    return some, False
