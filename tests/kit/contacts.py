"""CONTACTS in memory, workers that interleave at every call of a store, and a model of who is who to compare with."""

from __future__ import annotations

import dataclasses
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from tests.kit import commerce
from tests.kit.stores import MemoryEventLog, MemorySuppressions
from tributary.contacts.describe import describe
from tributary.contacts.reading import Contact, read_contact, read_contact_by_id
from tributary.contacts.resolver import Outcome, Resolver
from tributary.contacts.rows import POINTER_SORT, ROOT_SORT, WEAK_SORT, Root, decode, decode_pointer
from tributary.errors import StoreUnavailable, WriteConflict
from tributary.events import Event, Group, Identify, Page
from tributary.identity.digests import Digests
from tributary.identity.identifiers import ANONYMOUS, Identifier, is_usable
from tributary.identity.rules import IdentityRules
from tributary.log_codec import key_of
from tributary.ports import ContactRow, ContactStore, EventLog, LinkedConnections, Put, RemoveRow, RowKey, Suppressions, WriteRow

DIGESTS: Final = Digests(b"a key for tests alone")
UNLIMITED: Final = IdentityRules(limits=dict.fromkeys(("user", "email", "spelling", "phone", "external", "anonymous"), 10_000), total=10_000, merges=10_000)

_MAX_CHANGES: Final = 100
_MAX_ITEM: Final = 400 * 1024
_MAX_TRANSACTION: Final = 4 * 1024 * 1024


class MemoryContacts:
    """`ContactStore`. Stricter than the real one: what DynamoDB would refuse as badly formed is an AssertionError here."""

    def __init__(self) -> None:
        self.stored: dict[RowKey, ContactRow] = {}
        self.calls: Counter[str] = Counter()
        self.conditions = True
        """Taken away by tests that have to see a fault found."""
        self._lock = threading.Lock()

    def get(self, keys: Set[RowKey]) -> dict[RowKey, ContactRow]:
        with self._lock:
            self.calls["get"] += -(-len(keys) // 100)
            return {key: self.stored[key] for key in keys if key in self.stored}

    def rows(self, partition: str) -> Iterator[ContactRow]:
        with self._lock:
            self.calls["rows"] += 1
            return iter([row for key, row in sorted(self.stored.items()) if key.partition == partition])

    def commit(self, changes: Sequence[WriteRow | RemoveRow]) -> None:
        assert 1 <= len(changes) <= _MAX_CHANGES, f"{len(changes)} changes"
        assert len({change.key for change in changes}) == len(changes), "a row twice in one transaction"
        sizes = [len(change.data) + 100 for change in changes if isinstance(change, WriteRow)]
        assert max(sizes, default=0) <= _MAX_ITEM, "an item of more than 400 KB"
        assert sum(sizes) <= _MAX_TRANSACTION, "a transaction of more than 4 MB"
        with self._lock:
            self.calls["commit"] += 1
            self.calls["changes"] += len(changes)
            if self.conditions and any(self._revision(change.key) != change.expected for change in changes):
                raise WriteConflict("somebody else was first")
            for change in changes:
                match change:
                    case WriteRow():
                        self.stored[change.key] = ContactRow(change.key, (self._revision(change.key) or 0) + 1, change.data)
                    case RemoveRow():
                        self.stored.pop(change.key, None)

    def _revision(self, key: RowKey) -> int | None:
        row = self.stored.get(key)
        return row.revision if row else None


class Crash(BaseException):
    """The worker dies here."""


Step = Callable[[str], None]


def _nothing(_name: str) -> None:
    pass


class SteppedContacts:
    """A store whose every call is a step: `before` and `after` are told its name, and may block, or raise."""

    def __init__(self, contacts: ContactStore, before: Step = _nothing, after: Step = _nothing) -> None:
        self._contacts = contacts
        self._before = before
        self._after = after

    def get(self, keys: Set[RowKey]) -> dict[RowKey, ContactRow]:
        self._before("get")
        found = self._contacts.get(keys)
        self._after("get")
        return found

    def rows(self, partition: str) -> Iterator[ContactRow]:
        self._before("rows")
        found = list(self._contacts.rows(partition))
        self._after("rows")
        return iter(found)

    def commit(self, changes: Sequence[WriteRow | RemoveRow]) -> None:
        self._before("commit")
        self._contacts.commit(changes)
        self._after("commit")


class SteppedLog:
    """A log whose reading of a partition is a step."""

    def __init__(self, log: EventLog, before: Step = _nothing, after: Step = _nothing) -> None:
        self._log = log
        self._before = before
        self._after = after

    def put(self, events: Sequence[Event], *, batch: str = "") -> list[Put]:
        return self._log.put(events, batch=batch)

    def of(self, identifier: str) -> Iterator[Event]:
        self._before("of")
        found = list(self._log.of(identifier))
        self._after("of")
        return iter(found)

    def get(self, identifier: str, source: str, message_id: str) -> Event | None:
        return self._log.get(identifier, source, message_id)


class Interleaving:
    """Runs workers one call at a time. Each blocks before every call until `choose` picks it among those that are ready; so an order of calls is a list of
    choices, and can be tried again."""

    def __init__(self, choose: Callable[[int], int]) -> None:
        self._choose = choose
        self._turn = threading.Condition()
        self._ready: list[int] = []
        self._running: int | None = None
        self._local = threading.local()

    def step(self, _name: str) -> None:
        """To be called before every call that others may see."""
        with self._turn:
            me: int = self._local.number
            self._ready.append(me)
            self._running = None
            self._turn.notify_all()
            self._turn.wait_for(lambda: self._running == me)

    def run(self, workers: Sequence[Callable[[], None]]) -> None:
        """Run all to their end; raises the first error of any."""
        errors: list[BaseException] = []
        alive = set(range(len(workers)))

        def body(number: int) -> None:
            self._local.number = number
            try:
                self.step("start")
                workers[number]()
            except BaseException as error:  # handed on below
                errors.append(error)
            with self._turn:
                alive.discard(number)
                self._running = None
                self._turn.notify_all()

        threads = [threading.Thread(target=body, args=(number,), daemon=True) for number in range(len(workers))]
        for thread in threads:
            thread.start()
        while True:
            with self._turn:
                self._turn.wait_for(lambda: self._running is None and len(self._ready) == len(alive))
                if not alive:
                    break
                chosen = sorted(self._ready)[self._choose(len(self._ready))]
                self._ready.remove(chosen)
                self._running = chosen
                self._turn.notify_all()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]


class Links:
    """`LinkedConnections` in memory: which connection a source names, and which Konnektive connections there are."""

    def __init__(self, linked: Mapping[str, str] | None = None, accounts: Sequence[str] = ("con_1",)) -> None:
        self._linked = linked or {}
        self._accounts = accounts

    def of(self, source: str) -> str | None:
        return self._linked.get(source) or (self._accounts[0] if len(self._accounts) == 1 else None)


def resolver(
    contacts: ContactStore,
    log: EventLog | None = None,
    *,
    rules: IdentityRules = UNLIMITED,
    suppressions: Suppressions | None = None,
    linked: LinkedConnections | None = None,
) -> Resolver:
    """A resolver that never waits."""
    return Resolver(
        contacts=contacts,
        log=log or MemoryEventLog(),
        suppressions=suppressions or MemorySuppressions(),
        digests=DIGESTS,
        sleep=lambda _seconds: None,
        jitter=lambda: 1.0,
        linked=linked or Links(),
        rules=rules,
    )


def deliver(resolver: Resolver, log: EventLog, events: Sequence[Event], *, times: int = 50) -> Outcome:
    """What the pipeline does: into the log, then to resolve, again for as long as it fails."""
    log.put(events)
    for _ in range(times):
        try:
            return resolver.resolve(events)
        except StoreUnavailable:
            continue
    raise AssertionError(f"a batch failed {times} times")


class World:
    """Contacts, a log and a resolver in memory."""

    def __init__(self, rules: IdentityRules = UNLIMITED, suppressions: Suppressions | None = None, linked: LinkedConnections | None = None) -> None:
        self.contacts = MemoryContacts()
        self.log = MemoryEventLog()
        self.resolver = resolver(self.contacts, self.log, rules=rules, suppressions=suppressions, linked=linked)

    def take(self, *events: Event) -> Outcome:
        """One batch."""
        return deliver(self.resolver, self.log, events)

    def take_each(self, *events: Event) -> None:
        """A batch of each."""
        for event in events:
            self.take(event)

    def contact(self, kind: str, value: str) -> Contact | None:
        return read_contact(self.contacts, DIGESTS, Identifier(kind, value))

    def the(self, kind: str, value: str) -> Contact:
        contact = self.contact(kind, value)
        assert contact is not None, f"{kind} {value} belongs to nobody"
        return contact

    def people(self) -> dict[frozenset[Identifier], Person]:
        return people_in(self.contacts)

    def partition(self) -> set[frozenset[Identifier]]:
        return set(self.people())


@dataclass(frozen=True)
class Person:
    """What is to be the same, whatever the order of events."""

    traits: tuple[tuple[str, str], ...]
    first_seen: int | None
    first_source: str | None
    last_seen: int | None
    groups: tuple[tuple[str, int, int, tuple[tuple[str, str], ...]], ...]
    holds: dict[str, Any]
    """Orders, subscriptions, tags and what they come to, as a person is shown them."""
    visitors: frozenset[str] = frozenset()
    """Browsers that came by a link with a customer id of theirs, and are nobody's else."""


def people_in(contacts: MemoryContacts | ContactsOnDynamo) -> dict[frozenset[Identifier], Person]:
    """Every contact at rest, by its identifiers. Checks on the way what has to be true of any table at rest."""
    found: dict[frozenset[Identifier], Person] = {}
    pointers: dict[str, str] = {}
    roots: dict[str, Root] = {}
    others: dict[str, list[str]] = {}
    for row in contacts.stored.values():
        if row.key.sort == POINTER_SORT:
            pointers[row.key.partition.removeprefix("identifier#")] = decode_pointer(row.data)
        elif row.key.sort == WEAK_SORT:
            pass  # under identifiers, of no contact; what comes of them is read with the contact
        elif row.key.sort == ROOT_SORT:
            roots[row.key.partition.removeprefix("contact#")] = decode(row.data, Root)
        else:
            others.setdefault(row.key.partition.removeprefix("contact#"), []).append(row.key.sort)
    owned: list[str] = []
    for contact_id, root in roots.items():
        if root.into is not None:
            assert contact_id not in others, "a merged contact still has rows"
            assert root.into in roots, "a merged contact went nowhere"
            continue
        assert root.is_settled, "a contact was left unsettled"
        contact = read_contact_by_id(contacts, contact_id)
        assert contact is not None
        assert contact.id == contact_id
        digests = [DIGESTS.of(member.identifier) for member in contact.members]
        assert {pointers[digest] for digest in digests} == {contact_id}, "an identifier points past its contact"
        assert Counter(member.kind for member in contact.members) == Counter(root.counts), "the counts are wrong"
        owned += digests
        found[frozenset(member.identifier for member in contact.members)] = _person(contact)
    assert sorted(owned) == sorted(pointers), "a pointer leads to a contact that does not know of it"
    return found


class ContactsOnDynamo:
    """A real adapter's table, read whole; for `people_in`."""

    def __init__(self, store: ContactStore, everything: Callable[[], Iterable[ContactRow]]) -> None:
        self._store = store
        self._everything = everything

    @property
    def stored(self) -> dict[RowKey, ContactRow]:
        return {row.key: row for row in self._everything()}

    def get(self, keys: Set[RowKey]) -> dict[RowKey, ContactRow]:
        return self._store.get(keys)

    def rows(self, partition: str) -> Iterator[ContactRow]:
        return self._store.rows(partition)

    def commit(self, changes: Sequence[WriteRow | RemoveRow]) -> None:
        self._store.commit(changes)


def _person(contact: Contact) -> Person:
    shown = describe(contact, ())
    holds = {name: shown[name] for name in ("customer_at", "sales", "lifetime", "orders", "subscriptions", "tags")}
    holds["skus"] = [product["sku"] for product in shown["products"]]
    holds["campaign_ids"] = [campaign["id"] for campaign in shown["campaigns"]]
    return Person(
        traits=_pairs(contact.profile.traits.values()),
        first_seen=contact.profile.first_seen,
        first_source=contact.profile.first_source,
        last_seen=contact.profile.last_seen,
        groups=tuple(sorted((group.group, group.first_seen, group.last_seen, _pairs(group.traits.values())) for group in contact.memberships)),
        holds=holds,
        visitors=frozenset(visitor.value for visitor in contact.visitors),
    )


def model(events: Iterable[Event], rules: IdentityRules = UNLIMITED) -> dict[frozenset[Identifier], Person]:
    """Who is who by the definition, without limits: what one event names is one person, and so on from there. An anonymous id counts once something names it
    together with more. A person's traits are those last said by any identify of the person. A browser that nothing names so is a visitor of the first known
    person whose customer id it came with."""
    said = {key_of(event): event for event in events}.values()
    people: list[set[Identifier]] = []
    for event in said:
        link = rules.link_of(event)
        if not link.is_anonymous:
            together = set(link.identifiers)
            for person in [person for person in people if person & together]:
                people.remove(person)
                together |= person
            people.append(together)
    came = _came(said, people)
    return {
        frozenset(person): dataclasses.replace(_modelled(person, said, rules), visitors=frozenset(browser for browser, home in came.items() if home is person))
        for person in people
    }


def _came(said: Iterable[Event], people: list[set[Identifier]]) -> dict[str, set[Identifier]]:
    """By browser: the person they came as."""
    homes: dict[str, set[Identifier]] = {}
    for event in sorted(said, key=lambda event: (_micros(event), event.source, event.message_id)):
        url = event.properties.get("url", "") if isinstance(event, Page) else ""
        customer, browser = Identifier("konnektive:con_1", url.rpartition("seg_cid=")[2]), event.anonymous_id
        if "seg_cid=" in url and browser is not None and is_usable(browser) and not any(Identifier(ANONYMOUS, browser) in person for person in people):
            for person in people:
                if customer in person:
                    homes.setdefault(browser, person)
    return homes


def _modelled(person: set[Identifier], said: Iterable[Event], rules: IdentityRules) -> Person:
    theirs = []
    for event in said:
        named = set(rules.link_of(event).identifiers)
        only_browser = all(identifier.kind == ANONYMOUS for identifier in named)
        if named & person and (not only_browser or event.type in ("identify", "group") or commerce.tells(event)):
            theirs.append(event)
    theirs.sort(key=lambda event: (event.version, event.source))
    traits = _Last()
    groups: dict[str, _Group] = {}
    for event in theirs:
        if isinstance(event, Identify):
            traits.say(event, event.traits or event.context.get("traits", {}))
        if isinstance(event, Group) and is_usable(event.group_id):
            moment = _micros(event)
            group = groups.setdefault(event.group_id, _Group(moment))
            group.last = moment
            group.traits.say(event, event.traits)
    return Person(
        traits=_pairs(traits.values()),
        first_seen=_micros(theirs[0]),
        first_source=min(event.source for event in theirs if event.version[0] == theirs[0].version[0]),
        last_seen=_micros(theirs[-1]),
        groups=tuple(sorted((name, group.first, group.last, _pairs(group.traits.values())) for name, group in groups.items())),
        holds=commerce.modelled(theirs),
    )


class _Last:
    """The last that was said under each name; of two of one version, the one that is written later in JSON."""

    def __init__(self) -> None:
        self._said: dict[str, tuple[tuple[Any, ...], bytes, Any]] = {}

    def say(self, event: Event, values: dict[str, Any]) -> None:
        for name, value in values.items():
            said = ((*event.version, event.source), msgspec.json.encode(value), value)
            self._said[name] = max(said, self._said.get(name, said), key=lambda one: one[:2])

    def values(self) -> dict[str, Any]:
        return {name: value for name, (_, _, value) in self._said.items()}


@dataclass
class _Group:
    first: int
    last: int = 0
    traits: _Last = field(default_factory=_Last)


def _micros(event: Event) -> int:
    moment = event.version[0]
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond


def _pairs(values: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, repr(value)) for name, value in values.items() if value is not None))
