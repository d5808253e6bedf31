"""What a batch of events does to contacts, worked out in memory from what was read, before anything is written.

Events are taken in order. Each names some identifiers; those that belong to contacts bring these together, the others are attached; what a limit forbids is
refused, the lowest priority first to go. Contacts that come and merge within the batch are never written on the way. What comes out is one group of changes a
contact, each to be committed whole or not at all; an event for which a group has no room any more waits for the next round.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from tributary.contacts import holdings, profile
from tributary.contacts.holdings import Held
from tributary.contacts.rows import (
    MAX_CHANGES,
    MAX_REFUSED,
    Member,
    MergeRecord,
    RefusedLink,
    Root,
    changed_holdings,
    encode,
    encode_pointer,
    member_key,
    merge_key,
    pointer_key,
    reference,
    refused_key,
    root_key,
    row_key,
    transactions,
)
from tributary.contacts.versions import micros
from tributary.events import Event
from tributary.identity.digests import Digests
from tributary.identity.identifiers import ANONYMOUS, Identifier, Link
from tributary.identity.rules import Breach, IdentityRules
from tributary.ports import ContactRow, RowKey, WriteRow


class Named(NamedTuple):
    """An event with what it names, and the keyed digest of each."""

    event: Event
    link: Link
    digests: tuple[str, ...]


class Pointer(NamedTuple):
    """Where an identifier belongs, and the revision of the row that says so."""

    contact: str | None
    revision: int


@dataclass(frozen=True)
class Read:
    """What the store knows of a batch: pointers by digest, followed to their roots; roots with their revisions."""

    pointers: Mapping[str, Pointer]
    roots: Mapping[str, tuple[Root, int]]


@dataclass
class Node:
    """A contact as the batch leaves it."""

    id: str
    root: Root
    stored: tuple[Root, int] | None
    """As it was read, with its revision; None for one that is not in the store yet."""
    members: dict[str, Member] = field(default_factory=dict)
    merges: list[MergeRecord] = field(default_factory=list)
    refused: dict[str, RefusedLink] = field(default_factory=dict)
    losers: list[Node] = field(default_factory=list)
    """Stored contacts that become part of it."""
    held: Held = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)
    events: list[Named] = field(default_factory=list)

    @property
    def changes(self) -> int:
        """Rows that have to be written together, at most."""
        return 1 + 2 * len(self.members) + len(self.merges) + len(self.refused) + len(self.losers)

    @property
    def may_lose(self) -> bool:
        """Only a settled contact may be merged into another: so a reader never has to follow more than one pointer."""
        return self.root.is_settled

    @property
    def needs_settling(self) -> bool:
        return bool(self.losers or self.unread)


class Plan:
    """The plan for one batch. `add` the events in order, read `wanted`, then take the `changes` of each of the `nodes`."""

    def __init__(self, read: Read, rules: IdentityRules, digests: Digests) -> None:
        self._read = read
        self._rules = rules
        self._digests = digests
        self._nodes: dict[str, Node] = {}
        self._home: dict[str, str] = {}
        self._into: dict[str, str] = {}
        self._waiting: set[str] = set()

    def add(self, named: Named) -> bool:
        """Take one event in. False: it has to wait for the next round, and so does every later event of the same people."""
        nodes = [self._node_of(digest) for digest in named.digests]
        touched = {node.id: node for node in nodes if node is not None}
        if self._waiting & (set(named.digests) | touched.keys()) or not self._fits(named, touched.values()):
            self._waiting |= set(named.digests) | touched.keys()
            return False
        if named.link.is_anonymous:
            for node in touched.values():
                self._fold(node, named)
        else:
            self._link(named, nodes)
        return True

    def nodes(self) -> list[Node]:
        """The contacts that the batch touches."""
        return [node for node in self._nodes.values() if node.events]

    def wanted(self) -> set[RowKey]:
        """Rows that `changes` has to know, beside those that were read."""
        keys: set[RowKey] = set()
        for node in self.nodes():
            if node.stored is not None:
                keys |= {row_key(node.id, sort) for sort in node.held}
                if node.root.refused < MAX_REFUSED:
                    keys |= {refused_key(node.id, digest) for digest in node.refused}
        return keys

    def changes(self, node: Node, rows: Mapping[RowKey, ContactRow]) -> Iterator[list[WriteRow]]:
        """The transactions that write one contact, in their order; none if the store says all of it already. All that says who is who is in the first; holdings
        that it has no room for follow. `rows`: those `wanted` that exist."""
        kept = self._new_refused(node, rows)
        held = changed_holdings(node.id, node.held, rows)
        changed: list[WriteRow] = [WriteRow(refused_key(node.id, digest), encode(link), None) for digest, link in kept.items()]
        changed += [WriteRow(merge_key(node.id, record.loser), encode(msgspec.structs.replace(record, winner=node.id)), None) for record in node.merges]
        for digest, member in node.members.items():
            pointer = self._read.pointers.get(digest)
            changed.append(WriteRow(pointer_key(digest), encode_pointer(node.id), pointer.revision if pointer else None))
            changed.append(WriteRow(member_key(node.id, member.kind, digest), encode(member), None))
        for loser in node.losers:
            assert loser.stored is not None
            changed.append(WriteRow(root_key(loser.id), encode(Root(created=loser.root.created, into=node.id)), loser.stored[1]))
        before = node.stored[0] if node.stored else None
        root = msgspec.structs.replace(
            node.root,
            open=node.root.open + tuple(loser.id for loser in node.losers),
            unread=node.root.unread + tuple(node.unread),
            refused=node.root.refused + len(kept),
        )
        if root == before and not changed and not held:
            return iter(())
        return transactions([WriteRow(root_key(node.id), encode(root), node.stored[1] if node.stored else None), *changed], held)

    def _node_of(self, digest: str) -> Node | None:
        contact = self._home.get(digest)
        if contact is None:
            pointer = self._read.pointers.get(digest)
            if pointer is None or pointer.contact is None:
                return None
            contact = pointer.contact
        while contact in self._into:
            contact = self._into[contact]
        if contact not in self._nodes:
            root, revision = self._read.roots[contact]
            self._nodes[contact] = Node(contact, root, (root, revision))
        return self._nodes[contact]

    def _fits(self, named: Named, nodes: Iterable[Node]) -> bool:
        """Whether the groups of changes that this event would make one still fit one transaction; and whether no more than one contact is unsettled."""
        nodes = list(nodes)
        # each identifier costs at most two rows: pointer and member, or loser and merge record
        most = sum(node.changes for node in nodes) + 2 * len(named.digests) + 1
        return most <= MAX_CHANGES and sum(not node.may_lose for node in nodes) <= 1

    def _link(self, named: Named, nodes: Sequence[Node | None]) -> None:
        """Bring together what the event names, as far as the limits let it."""
        accepted, refused = self._choose(named.link, nodes)
        through: dict[str, Identifier] = {}
        for number in accepted:
            node = nodes[number]
            if node is not None:
                through.setdefault(node.id, named.link.identifiers[number])
        home = self._merged(named, [self._nodes[contact] for contact in through], through) if through else self._new(named, accepted[0])
        anchor = through.get(home.id, named.link.identifiers[accepted[0]])
        for number in accepted:
            if nodes[number] is None:
                self._take_in(home, named, number, anchor)
        self._fold(home, named)
        for number, breach in refused:
            self._refuse(home, named, number, breach)

    def _choose(self, link: Link, nodes: Sequence[Node | None]) -> tuple[list[int], list[tuple[int, Breach]]]:
        """Which of the identifiers become one, and which are refused, with the limit each would pass. In the order of priority each is let in that breaches
        nothing together with those before it: so the lowest in a conflict goes, and whoever has no part in it stays."""
        accepted: list[int] = []
        refused: list[tuple[int, Breach]] = []
        together: dict[str, Node] = {}
        counts: dict[str, int] = {}
        merges = 0
        for number, node in enumerate(nodes):
            if node is not None and node.id in together:
                accepted.append(number)
                continue
            theirs = node.root.counts if node is not None else {link.identifiers[number].kind: 1}
            with_theirs = merges + node.root.merges + bool(together) if node is not None else merges
            breach = self._rules.breach(counts, theirs, merges=with_theirs if node is not None and together else 0, strength=link.strength)
            if breach is not None:
                refused.append((number, breach))
                continue
            accepted.append(number)
            counts = _sum(counts, theirs)
            merges = with_theirs
            if node is not None:
                together[node.id] = node
        return accepted, refused

    def _new(self, named: Named, number: int) -> Node:
        node = Node(named.digests[number], Root(created=micros(named.event.received_at)), None)
        self._nodes[node.id] = node
        return node

    def _merged(self, named: Named, nodes: list[Node], through: Mapping[str, Identifier]) -> Node:
        """One contact of all: the unsettled one, else one that is stored, else the larger, the older, the lower id."""
        winner = min(nodes, key=lambda node: (node.may_lose, node.stored is None, -node.root.size, node.root.created, node.id))
        for loser in nodes:
            if loser is winner:
                continue
            sizes = (winner.root.size, loser.root.size)
            between = (through[winner.id], through[loser.id])
            record = MergeRecord(loser=loser.id, winner=winner.id, by=reference(named.event), between=between, sizes=sizes)
            winner.root = msgspec.structs.replace(
                winner.root,
                created=min(winner.root.created, loser.root.created),
                counts=_sum(winner.root.counts, loser.root.counts),
                merges=winner.root.merges + loser.root.merges + 1,
                refused=winner.root.refused + loser.root.refused,
                profile=profile.joined(winner.root.profile, loser.root.profile),
            )
            winner.members |= loser.members
            winner.merges += [*loser.merges, record]
            winner.refused = loser.refused | winner.refused
            winner.losers += [*loser.losers, *([loser] if loser.stored is not None else [])]
            winner.unread += loser.unread
            winner.events += loser.events
            holdings.take_all(winner.held, loser.held.items())
            self._into[loser.id] = winner.id
            del self._nodes[loser.id]
        return winner

    def _take_in(self, home: Node, named: Named, number: int, anchor: Identifier) -> None:
        identifier, digest = named.link.identifiers[number], named.digests[number]
        beside = None if identifier == anchor else anchor
        home.members[digest] = Member(kind=identifier.kind, value=identifier.value, by=reference(named.event), beside=beside)
        home.root = msgspec.structs.replace(home.root, counts=_sum(home.root.counts, {identifier.kind: 1}))
        self._home[digest] = home.id
        if identifier.kind == ANONYMOUS:
            home.unread.append(identifier.value)

    def _refuse(self, home: Node, named: Named, number: int, breach: Breach) -> None:
        identifier = named.link.identifiers[number]
        link = RefusedLink(kind=identifier.kind, value=identifier.value, by=reference(named.event), limit=breach.limit, allowed=breach.allowed)
        home.refused.setdefault(named.digests[number], link)

    def _fold(self, home: Node, named: Named) -> None:
        home.root = msgspec.structs.replace(home.root, profile=profile.joined(home.root.profile, profile.profile_of(named.event)))
        holdings.take(home.held, named.event, self._digests)
        home.events.append(named)

    def _new_refused(self, node: Node, rows: Mapping[RowKey, ContactRow]) -> dict[str, RefusedLink]:
        new = {digest: link for digest, link in node.refused.items() if refused_key(node.id, digest) not in rows}
        return dict(list(new.items())[: max(0, MAX_REFUSED - node.root.refused)])


def _sum(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {kind: one.get(kind, 0) + other.get(kind, 0) for kind in sorted(one.keys() | other.keys())}
