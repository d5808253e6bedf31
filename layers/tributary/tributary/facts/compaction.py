"""Fresh files → bases: few files, sorted, a row a key, people resolved; and nothing of who was erased.

Each step leaves FACTS saying what it said. New files are put first, then one conditional write of the manifest takes them in and the old ones out, then, an
hour later, what no manifest names is deleted; a crash in between leaves files that nobody reads. Before any file is put, a row says that the new and the old
ones are to be looked at in an hour: whatever happens, what is not named by then goes.

Identities get *generations*. What came since the last compaction becomes one, as files of its own; a base is *folded* as of one: its rows name people as they
were known then. Readers put on top what came later. A base that has fresh rows is folded when they are merged; another when enough generations have passed, and
only if it names somebody who moved. Weak links are never folded: what is known of a visitor tomorrow may outweigh them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Protocol

import msgspec

from tributary.errors import ReportTooLarge, StoreUnavailable, WriteConflict
from tributary.facts.erasure import PERSONAL
from tributary.facts.manifest import IDENTITIES, WHO_IS_WHO, Base, FactFile, FactObjects, Manifest, Manifests, Partition, Place, Recent, Replaced
from tributary.facts.tables import TABLES
from tributary.lease import Lease, Leasing

LEASE_PARTITION: Final = "facts-compaction"
LEASE_SECONDS: Final = 1_200.0
"""Longer than the function's time: a lease outlives no holder by much."""
RESERVE_SECONDS: Final = 180.0
"""What a partition may take: none is begun with less left."""
KEPT_FOR: Final = timedelta(hours=1)
"""How long a file that was replaced is there for readers who know it. Also longer than any name is tried again (`adapters/fact_files.py`)."""
FOLD_EVERY: Final = 12
"""Generations until a base with nothing fresh is folded: at one in ten minutes, two hours. Until then readers join a table of who moved."""
RECENT_KEPT: Final = 12
"""Generations that stay files of their own although every base is folded as of them: each time the others are merged, all identities are written again."""
ORPHANED_AFTER: Final = timedelta(days=1)
"""A file that nothing has named for as long was left by a writer who died."""


@dataclass(frozen=True)
class Made:
    """A file on this machine, to be put."""

    path: Path
    rows: int


@dataclass(frozen=True, kw_only=True)
class NewBase:
    files: Sequence[Made] = ()
    gone: Sequence[Made] = ()
    shared: Sequence[Made] = ()


class Workshop(Protocol):
    """Makes files of files. Each call raises `StoreUnavailable`, or `ReportTooLarge` where memory or time does not suffice."""

    def merged(self, manifest: Manifest, place: Place, erased: Set[str]) -> NewBase | None:
        """A partition's base and fresh rows together, folded as of the manifest's identities, without erased people; None if its base says the same already.
        `manifest`: the partition, and the identities without what is fresh."""

    def generation(self, identities: Partition, erased: Set[str]) -> Sequence[Made]:
        """The fresh identities that say something new."""

    def consolidated(self, identities: Partition, generation: int) -> NewBase:
        """Base and the recent generations up to one as a base, each node with the contact that is in no other."""

    def without(self, kind_at: Place, files: Sequence[FactFile], erased: Set[str]) -> Sequence[Made] | None:
        """The rows of identities' files but those of erased nodes; None if there are none of theirs."""

    def clear(self) -> None:
        """Remove what was made."""


class Compaction:
    """The compact_facts service. `name`: a new name of a file. `owner`: this sandbox's name in the lease."""

    def __init__(
        self,
        *,
        lease: Leasing,
        manifests: Manifests,
        objects: FactObjects,
        workshop: Workshop,
        owner: str,
        now: Callable[[], datetime],
        name: Callable[[], str],
        fold_every: int = FOLD_EVERY,
        recent_kept: int = RECENT_KEPT,
    ) -> None:
        self._lease = lease
        self._manifests = manifests
        self._objects = objects
        self._workshop = workshop
        self._owner = owner
        self._now = now
        self._name = name
        self._fold_every = fold_every
        self._recent_kept = recent_kept

    def run(self, remaining: Callable[[], float]) -> Counter[str]:
        """Compact what is due, as far as the time goes (`remaining`: seconds). Counts: held (another is at it), merged, unchanged (nothing but the manifest),
        generations, consolidated, deleted (files), too_large (partitions that this function has no room or time for), left (partitions for the next time)."""
        counts: Counter[str] = Counter()
        if self._lease.take(self._owner, self._now(), LEASE_SECONDS) is Lease.HELD:
            counts["held"] += 1
            return counts
        try:
            self._delete_replaced(counts)
            self._identities(counts)
            due = self._due()
            while due and remaining() > RESERVE_SECONDS:
                self._lease.take(self._owner, self._now(), LEASE_SECONDS)
                try:
                    self._partition(due.pop(0), counts)
                except ReportTooLarge:  # the others are not kept from their turn
                    counts["too_large"] += 1
            counts["left"] += len(due)
            if not due:
                self._tidy_identities(counts)
        finally:
            with suppress(StoreUnavailable):  # it ends by itself
                self._lease.release(self._owner)
        return counts

    def sweep(self) -> Counter[str]:
        """Delete what nothing has named for a day: of writers who died before they named what they had put. Counts: orphans."""
        found = [one for one in self._objects.all() if one.written_at < self._now() - ORPHANED_AFTER]
        waiting = {(row.place, name) for row in self._manifests.replaced() for name in row.names}
        manifest = self._manifests.read()
        orphans = [one for one in found if one.name not in _named(manifest.of(one.place)) and (one.place, one.name) not in waiting]
        for place in sorted({one.place for one in orphans}):
            self._objects.delete(place, [one.name for one in orphans if one.place == place])
        return Counter(orphans=len(orphans))

    def _delete_replaced(self, counts: Counter[str]) -> None:
        for row in self._manifests.replaced():
            if row.at > self._now() - KEPT_FOR:
                continue
            (partition,) = self._manifests.read_some([row.place])
            names = sorted(row.names - _named(partition))
            self._objects.delete(row.place, names)
            self._manifests.forget(row)
            counts["deleted"] += len(names)

    def _due(self) -> list[Place]:
        """Those that hold erased people first, then those with most that is fresh."""
        manifest = self._manifests.read()
        generation = manifest.of(IDENTITIES).base.folded
        urgency: dict[Place, tuple[int, int]] = {}
        for place, one in manifest.partitions.items():
            if place == IDENTITIES:
                continue
            held = one.base.every_file
            erasing = place.kind in PERSONAL and bool(held) and one.base.erased < manifest.erased
            folding = TABLES[place.kind].has_person and bool(held) and generation - one.base.folded >= self._fold_every
            if one.fresh or erasing or folding:
                urgency[place] = (-int(erasing), -sum(file.bytes for file in one.fresh))
        return sorted(urgency, key=lambda place: (urgency[place], place))

    def _partition(self, place: Place, counts: Counter[str]) -> None:
        manifest = self._manifests.read()
        erased = self._manifests.erased() if manifest.erased else frozenset()
        before, who = manifest.of(place), manifest.of(IDENTITIES)
        read = replace(manifest, partitions={IDENTITIES: replace(who, fresh=frozenset()), place: before})
        made = self._workshop.merged(read, place, erased)
        base = msgspec.structs.replace(before.base, folded=who.base.folded if TABLES[place.kind].has_person else 0, erased=manifest.erased)
        if made is None:
            self._names(before, (), replaced=before.fresh)
            self._swap(before, base, counts)
            counts["unchanged"] += 1
            return
        names = self._names(before, [*made.files, *made.gone, *made.shared])
        base = msgspec.structs.replace(
            base, files=self._put(place, made.files, names), gone=self._put(place, made.gone, names), shared=self._put(place, made.shared, names)
        )
        self._swap(before, base, counts)
        counts["merged"] += 1

    def _identities(self, counts: Counter[str]) -> None:
        """What is fresh becomes a generation."""
        manifest = self._manifests.read()
        before = manifest.of(IDENTITIES)
        if not before.fresh:
            return
        made = self._workshop.generation(before, self._manifests.erased() if manifest.erased else frozenset())
        base = before.base
        names = self._names(before, made, replaced=before.fresh)
        if made:
            recent = Recent(base.folded + 1, self._put(IDENTITIES, made, names))
            base = msgspec.structs.replace(base, recent=(*base.recent, recent), folded=recent.generation)
            counts["generations"] += 1
        self._swap(before, base, counts)

    def _tidy_identities(self, counts: Counter[str]) -> None:
        """Generations that every base is folded as of become part of the base; once no base holds anybody erased, identities do not either."""
        manifest = self._manifests.read()
        others = [one for place, one in manifest.partitions.items() if place.kind not in WHO_IS_WHO and one.base.every_file]
        who = manifest.of(IDENTITIES)
        everywhere = min((one.base.folded for one in others if TABLES[one.place.kind].has_person), default=who.base.folded)
        settled = [recent for recent in who.base.recent if recent.generation <= everywhere]
        if len(settled) > self._recent_kept:
            self._consolidate(who, settled[-1].generation, counts)
            (who,) = self._manifests.read_some([IDENTITIES])
        if who.base.erased < manifest.erased and all(one.base.erased >= manifest.erased for one in others if one.place.kind in PERSONAL):
            self._erase_identities(who, manifest.erased, counts)

    def _consolidate(self, before: Partition, generation: int, counts: Counter[str]) -> None:
        merging = replace(before, fresh=frozenset())  # what is fresh stays
        made = self._workshop.consolidated(merging, generation)
        names = self._names(merging, [*made.files, *made.gone])
        base = msgspec.structs.replace(
            before.base,
            files=self._put(IDENTITIES, made.files, names),
            gone=self._put(IDENTITIES, made.gone, names),
            recent=tuple(recent for recent in before.base.recent if recent.generation > generation),
        )
        self._swap(merging, base, counts)
        counts["consolidated"] += 1

    def _erase_identities(self, before: Partition, revision: int, counts: Counter[str]) -> None:
        merging = replace(before, fresh=frozenset())
        erased = self._manifests.erased()
        lists = [before.base.files, before.base.gone, *(recent.files for recent in before.base.recent)]
        kept = [self._workshop.without(IDENTITIES, files, erased) if files else None for files in lists]
        changed = [made for made in kept if made is not None]
        names = self._names(merging, [one for made in changed for one in made]) if changed else {}
        files, gone, *recent = [old if made is None else self._put(IDENTITIES, made, names) for old, made in zip(lists, kept, strict=True)]
        base = msgspec.structs.replace(
            before.base,
            files=files,
            gone=gone,
            recent=tuple(Recent(one.generation, some) for one, some in zip(before.base.recent, recent, strict=True)),
            erased=revision,
        )
        self._swap(merging, base, counts)

    def _names(self, before: Partition, made: Sequence[Made], replaced: Iterable[FactFile] | None = None) -> dict[Path, str]:
        """Names for new files; they and those that they replace will be looked at in an hour."""
        names = {one.path: self._name() for one in made}
        old = {file.name for file in (replaced if replaced is not None else (*before.base.every_file, *before.fresh))}
        if old or names:
            self._manifests.will_replace(Replaced(at=self._now(), place=before.place, names=frozenset(old | set(names.values()))))
        return names

    def _put(self, place: Place, made: Sequence[Made], names: dict[Path, str]) -> tuple[FactFile, ...]:
        for one in made:
            self._objects.put(place, names[one.path], one.path)
        return tuple(FactFile(names[one.path], one.rows, one.path.stat().st_size) for one in made)

    def _swap(self, before: Partition, base: Base, counts: Counter[str]) -> None:
        try:
            self._manifests.swap(before, base)
        except WriteConflict:  # a lease that ended: what the other made stands
            counts["lost"] += 1
        finally:
            self._workshop.clear()


def _named(partition: Partition) -> frozenset[str]:
    return frozenset(file.name for file in (*partition.base.every_file, *partition.fresh))
