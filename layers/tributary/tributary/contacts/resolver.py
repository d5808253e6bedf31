"""Events → contacts: who is who.

Optimistic throughout. A round reads what the batch needs, works out all changes in memory (`plan`), and commits them contact by contact, each under the
revisions that were read; where somebody else was first, those events alone go through another round. Everything that is written joins what is there, so an
event that comes again, in any order, changes nothing.

Calls of a batch: the pointers of all identifiers and the roots of their contacts, a hundred a BatchGet; one write a contact that changes. An event that knows
nothing but a browser costs none, unless it says something of its person (`identify`, `group`): then it is looked up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass, field
from typing import Final

from tributary.contacts import weak
from tributary.contacts.holdings import tells_of_a_person
from tributary.contacts.plan import Named, Node, Plan, Pointer, Read
from tributary.contacts.rows import Root, decode, decode_pointer, pointer_key, root_key, weak_key
from tributary.contacts.settling import Settling
from tributary.contacts.weak import Visit
from tributary.errors import StoreUnavailable, WriteConflict
from tributary.events import Event
from tributary.identity.digests import Digests
from tributary.identity.identifiers import ANONYMOUS, Identifier, is_usable
from tributary.identity.rules import IdentityRules
from tributary.identity.weak import customer_named, customer_of
from tributary.ports import ContactStore, EventLog, LinkedConnections, Suppressions, WriteRow

MAX_CONFLICTS: Final = 12
"""Rounds lost to other workers before the batch is given back. Each time somebody else got on."""
MAX_HOPS: Final = 20
"""Merged contacts that are followed while others go on merging; at rest it is one."""
MAX_FAILURES: Final = 3
"""Contacts that could not be written before the rest of the batch is not tried: the store is down, not one key hot."""

_FIRST_PAUSE: Final = 0.02
_LONGEST_PAUSE: Final = 1.0


@dataclass
class Outcome:
    """What became of a batch."""

    contacts: dict[tuple[str, str], str] = field(default_factory=dict)
    """By (source, message id): the contact that the event was counted for. None for events that name nobody, or nobody known."""
    suppressed: set[tuple[str, str]] = field(default_factory=set)
    """Events of erased people, by the same."""
    counts: Counter[str] = field(default_factory=Counter)
    """Events: resolved, anonymous, nameless, suppressed; visits by a link that names a customer: by_link, or unlinked where their source has no connection.
    Contacts: created, merged, written. Identifiers: attached, refused. Links that somebody else opened: passed_on. Rounds: conflicts."""


class Resolver:
    """The resolve service. `sleep` takes seconds; `jitter` gives a number from 0 to 1."""

    def __init__(
        self,
        *,
        contacts: ContactStore,
        log: EventLog,
        suppressions: Suppressions,
        digests: Digests,
        sleep: Callable[[float], None],
        jitter: Callable[[], float],
        linked: LinkedConnections,
        rules: IdentityRules | None = None,
    ) -> None:
        self._contacts = contacts
        self._suppressions = suppressions
        self._digests = digests
        self._rules = rules or IdentityRules()
        self._sleep = sleep
        self._jitter = jitter
        self._linked = linked
        self._settling = Settling(contacts=contacts, log=log, digests=digests, rules=self._rules, pause=self._pause)

    def resolve(self, events: Sequence[Event]) -> Outcome:
        """Take the events in, all of them, in the order of their stamps. Raises `StoreUnavailable` where some could not be: others may have been, and the same
        events again do no harm."""
        outcome = Outcome()
        todo, visits = self._relevant(events, outcome)
        if visits:
            weak.keep(self._contacts, visits, self._pause)
        attached: set[str] = set()
        failures: list[StoreUnavailable] = []
        conflicts = 0
        while todo:
            before = len(failures)
            again, progress = self._round(todo, outcome, failures, attached)
            if again and not progress and len(failures) == before:
                conflicts += 1
                outcome.counts["conflicts"] += 1
                if conflicts == MAX_CONFLICTS:
                    raise StoreUnavailable("contacts are being written by others at the same time")
                self._pause(conflicts)
            todo = again
        if failures:
            raise failures[0]
        outcome.counts["passed_on"] += self._passed_on({visit.visitor_digest for visit in visits} | attached)
        return outcome

    def _relevant(self, events: Sequence[Event], outcome: Outcome) -> tuple[list[Named], list[Visit]]:
        """The events that can change a contact, in order, and the visits by links; without what is of erased people."""
        named: list[Named] = []
        visits: list[Visit] = []
        for event in sorted(events, key=lambda event: (event.stamp, event.source, event.message_id)):
            link = self._rules.link_of(event)
            visit = self._visit(event, outcome)
            if visit is not None:
                visits.append(visit)
            if not link.identifiers:
                outcome.counts["nameless"] += 1
            elif link.is_anonymous and not tells_of_a_person(event):
                outcome.counts["anonymous"] += 1
            else:
                named.append(Named(event, link, tuple(self._digests.of(identifier) for identifier in link.identifiers)))
        digests = {digest for one in named for digest in one.digests} | {digest for visit in visits for digest in (visit.visitor_digest, visit.customer_digest)}
        erased = self._suppressions.among(digests) if digests else set()
        kept: list[Named] = []
        for one in named:
            if erased.intersection(one.digests):
                outcome.suppressed.add((one.event.source, one.event.message_id))
            else:
                kept.append(one)
        outcome.counts["suppressed"] += len(named) - len(kept)
        return kept, [visit for visit in visits if not erased & {visit.visitor_digest, visit.customer_digest}]

    def _visit(self, event: Event, outcome: Outcome) -> Visit | None:
        """The visit by a link that names a customer, if the event is one."""
        named = customer_named(event)
        if named is None or event.anonymous_id is None or not is_usable(event.anonymous_id):
            return None
        connection = self._linked.of(event.source)
        if connection is None:
            outcome.counts["unlinked"] += 1
            return None
        visitor, customer = Identifier(ANONYMOUS, event.anonymous_id), customer_of(connection, named)
        if self._rules.blocked & {visitor.value.lower(), customer.value.lower()}:
            return None
        outcome.counts["by_link"] += 1
        return Visit(event, visitor, self._digests.of(visitor), customer, self._digests.of(customer))

    def _passed_on(self, visitors: set[str]) -> int:
        """How many links among those that these visitors opened name somebody whom they are not."""
        rows = self._contacts.get({weak_key(digest) for digest in visitors}) if visitors else {}
        if not rows:
            return 0
        opened = {digest: weak.links_in(rows.get(weak_key(digest))).links for digest in visitors}
        pointers = self._look(opened.keys() | {link.digest for links in opened.values() for link in links}).pointers
        count = 0
        for digest, links in opened.items():
            known = [contact for link in links if link.digest in pointers and (contact := pointers[link.digest].contact) is not None]
            home = pointers[digest].contact if digest in pointers else next(iter(known), None)
            count += sum(contact != home for contact in known)
        return count

    def _round(self, todo: Sequence[Named], outcome: Outcome, failures: list[StoreUnavailable], attached: set[str]) -> tuple[list[Named], bool]:
        """One pass; gives back the events that need another, and whether any were done. `attached` takes the digests of browsers that became somebody's."""
        try:
            plan = Plan(self._read(todo), self._rules, self._digests)
        except WriteConflict:
            return list(todo), False
        again = [named for named in todo if not plan.add(named)]
        wanted = plan.wanted()
        rows = self._contacts.get(wanted) if wanted else {}
        done = len(todo) - len(again) - sum(len(node.events) for node in plan.nodes())
        outcome.counts["anonymous"] += done
        for node in plan.nodes():
            if len(failures) >= MAX_FAILURES:
                raise failures[0]
            try:
                changes: list[WriteRow] = []
                for number, changes in enumerate(plan.changes(node, rows)):
                    self._contacts.commit(changes)
                    if number == 0:
                        _count(node, outcome)
                        attached.update(digest for digest, member in node.members.items() if member.kind == ANONYMOUS)
                if node.needs_settling:
                    self._settling.settle(node.id, _written(changes[0]))
            except WriteConflict:
                again += node.events
                continue
            except StoreUnavailable as error:
                failures.append(error)
                continue
            done += len(node.events)
            outcome.counts["resolved"] += len(node.events)
            outcome.contacts.update({(named.event.source, named.event.message_id): node.id for named in node.events})
        return sorted(again, key=lambda named: (named.event.stamp, named.event.source, named.event.message_id)), done > 0

    def _read(self, todo: Sequence[Named]) -> Read:
        """Pointers and roots of all that the events name. What a merge or an attach left undone is done first: ours of an earlier try, or that of a worker who
        died."""
        digests = {digest for named in todo for digest in named.digests}
        read = self._look(digests)
        unsettled = [contact for contact, (root, _) in read.roots.items() if root.into is None and not root.is_settled]
        if not unsettled:
            return read
        for contact in unsettled:
            self._settling.settle(contact)
        return self._look(digests)

    def _look(self, digests: Set[str]) -> Read:
        rows = self._contacts.get({pointer_key(digest) for digest in digests})
        pointed = {digest: (decode_pointer(row.data), row.revision) for digest in digests if (row := rows.get(pointer_key(digest))) is not None}
        roots = self._roots(contact for contact, _ in pointed.values())
        pointers: dict[str, Pointer] = {}
        for digest, (contact, revision) in pointed.items():
            home: str | None = contact
            while home in roots and roots[home][0].into is not None:
                home = roots[home][0].into
            pointers[digest] = Pointer(home if home in roots else None, revision)
        return Read(pointers, roots)

    def _roots(self, contacts: Iterable[str]) -> dict[str, tuple[Root, int]]:
        """Roots, and those that they were merged into."""
        roots: dict[str, tuple[Root, int]] = {}
        missing = set(contacts)
        for _ in range(MAX_HOPS):
            if not missing:
                return roots
            rows = self._contacts.get({root_key(contact) for contact in missing})
            found = {contact: (decode(row.data, Root), row.revision) for contact in missing if (row := rows.get(root_key(contact))) is not None}
            roots |= found
            missing = {root.into for root, _ in found.values() if root.into is not None} - roots.keys()
        raise WriteConflict("contacts merge faster than they can be followed")

    def _pause(self, failed: int) -> None:
        """Full jitter, so that workers on one person do not meet again."""
        self._sleep(min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**failed) * self._jitter())


def _written(change: WriteRow) -> tuple[Root, int]:
    return decode(change.data, Root), (change.expected or 0) + 1


def _count(node: Node, outcome: Outcome) -> None:
    outcome.counts.update(written=1, created=int(node.stored is None), merged=len(node.losers), attached=len(node.members), refused=len(node.refused))
