"""Small random shops as the record holds them: calls of a site, of a till and of two Konnektive accounts, in the order in which they came.

People share browsers, change emails, are found to be one; what they buy is told in pieces, late, twice, by clocks that are wrong. Values are few, so that they
meet. As with `histories`, what a thing is follows from the shop's seed and its own number, and which there are is drawn: a shop that shows an error is made
smaller by leaving things out, then single events.

No two touches of one source and no two orders are of the same second: what then decides is a digest, which has no meaning to compare with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

import msgspec
from hypothesis import strategies as st

from tests.oracle.arrivals import ARRIVALS
from tests.oracle.buying import PEOPLE, SITE, TILL, at, bought, subscribed
from tests.oracle.histories import RATES, Chance, a_rate, advertising
from tributary.events import Alias, Event, Group, Identify, Page, Screen, Track
from tributary.facts.tables import AdSpendFact, RateFact

T = TypeVar("T")

LINKED: Final = {SITE: "con_1"}
"""Whose customers the links name that the site's visitors open. Nobody says it of the till's."""
FUTURE: Final = datetime(2035, 1, 1, tzinfo=UTC)
NATIONAL: Final = "(202) 555-0101"
PHONES: Final = {
    (NATIONAL, "US"): "+12025550101",
    (NATIONAL, "DE"): "+492025550101",
    ("+1 202 555 0101", "US"): "+12025550101",
    ("+1 202 555 0101", "DE"): "+12025550101",
    ("+12025550102", "US"): "+12025550102",
    ("+12025550102", "DE"): "+12025550102",
}
"""As written, and the country it is read in → the number."""
COUNTRIES: Final = {"US": "US", "de": "DE", "Germany": "DE", "Atlantis": "Atlantis"}
"""As written → as reports have it."""


@dataclass(frozen=True)
class Shop:
    """`events`: as they came. `seed` decides what is left to chance on the way: batches, repeats, compactions."""

    seed: int
    events: Sequence[Event]
    spend: Sequence[AdSpendFact]
    rates: Sequence[RateFact]

    def __repr__(self) -> str:
        """One thing a line, as who looks for an error reads it."""
        lines = [f"Shop of seed {self.seed}", *(msgspec.json.encode(event).decode() for event in self.events)]
        return "\n  ".join([*lines, *map(repr, (*self.spend, *self.rates))])


def smallest(shop: Shop, fails: Callable[[Shop], bool]) -> Shop:
    """A shop that fails as this one does, and does not where any one thing more is left out."""

    def of_rates(kept: Sequence[RateFact]) -> Shop:
        return replace(shop, rates=kept)

    def of_spend(kept: Sequence[AdSpendFact]) -> Shop:
        return replace(shop, spend=kept)

    def of_events(kept: Sequence[Event]) -> Shop:
        return replace(shop, events=kept)

    shop = of_rates(_fewest(shop.rates, lambda kept: fails(of_rates(kept))))
    shop = of_spend(_fewest(shop.spend, lambda kept: fails(of_spend(kept))))
    return of_events(_fewest(shop.events, lambda kept: fails(of_events(kept))))


def _fewest(things: Sequence[T], fails: Callable[[Sequence[T]], bool]) -> Sequence[T]:
    """Without all that can be left out, many at a time first."""
    size = len(things)
    while size:
        first = 0
        while first < len(things):
            fewer = [*things[:first], *things[first + size :]]
            if fails(fewer):
                things = fewer
            else:
                first += size
        size //= 2
    return things


@st.composite
def shops(draw: st.DrawFn) -> Shop:
    """Up to some 150 events of four people, seven browsers, and what was entered by hand."""
    seed = draw(st.integers(0, 2**32))

    def some(kind: str, most: int) -> list[tuple[int, Chance]]:
        """Numbers of the things that there are, each with what decides the rest of it."""
        there = int.from_bytes(draw(st.binary(min_size=most // 8, max_size=most // 8)))
        return [(number, Chance(f"{seed} {kind} {number}")) for number in range(most) if there >> number & 1]

    told: list[Event] = []
    for kind, most, story in STORIES:
        for number, chance in some(kind, most):
            for piece, event in enumerate(story(number, chance)):
                told.append(_as_it_came(event, f"{kind}-{number:02}-{piece}", chance))
    left_out = draw(st.sets(st.integers(0, 150), max_size=12))
    came = sorted(told, key=lambda event: (event.received_at, event.source, event.message_id))
    events = [msgspec.structs.replace(event, index=number) for number, event in enumerate(came) if number not in left_out]
    return Shop(
        seed,
        events,
        spend=[advertising(number, chance) for number, chance in some("spend", 8)],
        rates=[a_rate(number, chance) for number, chance in some("rate", 32) if number < RATES],
    )


def _as_it_came(event: Event, message_id: str, chance: Chance) -> Event:
    """Mostly at once; now and then days later, or from a clock in another year."""
    received = event.timestamp + timedelta(seconds=1)
    if event.owner is not None:
        received = event.timestamp.replace(minute=0, second=0) + timedelta(hours=1)  # the next poll
    late = chance.random()
    if late < 0.15:
        received += timedelta(days=chance.one(1, 9, 40))
    elif late > 0.95:
        return msgspec.structs.replace(event, message_id=message_id, timestamp=FUTURE, received_at=event.timestamp)
    return msgspec.structs.replace(event, message_id=message_id, received_at=received)


# ---------------------------------------------------------------- who


def _base(chance: Chance, moment: datetime, *, source: str = SITE, **said: Any) -> dict[str, Any]:
    return {"source": source, "message_id": "", "timestamp": moment, "received_at": moment, **said}


def _browser(chance: Chance, person: int) -> str:
    """Their own, mostly; else the one in the kitchen, somebody else's, or nobody's."""
    return chance.one(f"b-{person}", f"b-{person}", f"b-{person}", "b-4", "b-5", "b-6", f"b-{chance.randrange(PEOPLE)}")


def _email(chance: Chance, person: int) -> str:
    return chance.one(f"p{person}@quay.example", f"p{person}@quay.example", f"P{person}@Quay.example", f"p{person}@home.example")


def _who(chance: Chance, person: int) -> dict[str, Any]:
    """The ids of a call."""
    match chance.randrange(8):
        case 0:
            return {"user_id": f"u-{person}"}
        case 1:
            return {"user_id": f"u-{person}", "anonymous_id": _browser(chance, person)}
        case 2:
            return {"user_id": _email(chance, person)}
        case 3:
            return {"user_id": chance.one("guest", "null"), "anonymous_id": chance.one(None, _browser(chance, person))}
        case _:
            return {"anonymous_id": _browser(chance, person)}


def _context(chance: Chance) -> dict[str, Any]:
    context: dict[str, Any] = {}
    if chance.once_in(5):
        context["tags"] = {chance.one("vip", "trial"): chance.one(True, True, False)}
    if chance.once_in(12):
        context["externalIds"] = [{"id": f"l-{chance.randrange(2)}", "type": "loyalty", "collection": "users", "encoding": "none"}]
    return context


def _identify(number: int, chance: Chance) -> Iterator[Event]:
    person = chance.randrange(PEOPLE)
    traits: dict[str, Any] = {}
    if chance.once_in(2):
        traits["email"] = chance.one(_email(chance, person), _email(chance, person), "noreply@quay.example")
    if chance.once_in(3):
        traits["plan"] = chance.one("crew", "captain", None)
    if chance.once_in(5):
        traits["phone"] = chance.choice(list(PHONES))[0]
    if chance.once_in(3):
        country = chance.choice(list(COUNTRIES))
        traits |= {"address": {"country": country}} if chance.once_in(2) else {"country": country}
    if chance.once_in(6):
        traits["createdAt"] = chance.moment().isoformat()
    who, context = _who(chance, person), _context(chance)
    if chance.once_in(8):
        context["traits"], traits = traits, {}
    yield Identify(**_base(chance, at(chance, number), **who, context=context), traits=traits)


def _alias(number: int, chance: Chance) -> Iterator[Event]:
    """Rare: a few make one person of everybody."""
    if not chance.once_in(4):
        return
    person, other = chance.randrange(PEOPLE), chance.randrange(PEOPLE)
    previous = chance.one(f"u-{other}", f"b-{other}", f"p{other}@quay.example")
    yield Alias(**_base(chance, at(chance, number), user_id=f"u-{person}"), previous_id=previous)


def _group(number: int, chance: Chance) -> Iterator[Event]:
    yield Group(**_base(chance, at(chance, number), **_who(chance, chance.randrange(PEOPLE))), group_id="g-1", traits={"email": "all@quay.example"})


# ---------------------------------------------------------------- what they did


def _visit(number: int, chance: Chance) -> Iterator[Event]:
    arrival = chance.choice(ARRIVALS)
    context: dict[str, Any] = _context(chance) | {"userAgent": arrival.user_agent}
    if arrival.campaign:
        context["campaign"] = dict(arrival.campaign)
    place = {name: value for name, value in (("url", arrival.url), ("referrer", arrival.referrer)) if value}
    if arrival.url and chance.once_in(4):
        link = chance.one("seg_cid=901", "seg_cid=902", "seg_cid=903", "seg_cid=[Contacts.Id]", "seg_cid=901&seg_cid=902", "seg_cid=0")
        place["url"] += f"{'&' if '?' in arrival.url else '?'}{link}"
    in_context = chance.once_in(3)
    if in_context:
        context["page"] = place
    who = _base(chance, at(chance, number), source=chance.one(SITE, SITE, SITE, TILL), **_who(chance, chance.randrange(PEOPLE)), context=context)
    yield Page(**who, name="Home", properties={} if in_context else place)


def _deed(number: int, chance: Chance) -> Iterator[Event]:
    person = chance.randrange(PEOPLE)
    context = _context(chance) | ({"userAgent": "curl/8.1"} if chance.once_in(8) else {})
    base = _base(chance, at(chance, number), **_who(chance, person), context=context)
    name = chance.one("Offer Seen", "Offer Seen", "Email Opened", "Email Clicked", "screen")
    if name == "screen":
        yield Screen(**base, name="Cart")
    else:
        yield Track(**base, event=name, properties={"campaign_name": "sale"} | ({"email": f"p{person}@quay.example"} if chance.once_in(3) else {}))


def _bought(number: int, chance: Chance) -> Iterator[Event]:
    person = chance.randrange(PEOPLE)
    return bought(number, chance, _who(chance, person), person)


def _subscribed(number: int, chance: Chance) -> Iterator[Event]:
    return subscribed(number, chance, _who(chance, number % PEOPLE))


STORIES: Final = (
    ("identify", 16, _identify),
    ("alias", 8, _alias),
    ("group", 8, _group),
    ("visit", 32, _visit),
    ("deed", 16, _deed),
    ("order", 16, _bought),
    ("subscription", 8, _subscribed),
)
