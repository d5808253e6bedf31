"""Facts into files: rows → Parquet → the bucket → the manifest.

A file's name is ten minutes of the clock and a digest of its rows. So whoever tries again within them puts the same file in the same place and names what is
named, while a name that was dropped an hour ago, whose file is about to be deleted, is never taken up again (`facts/compaction.py`).
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from tributary.adapters import dynamo
from tributary.adapters.duck import Engine
from tributary.facts.erasure import without
from tributary.facts.manifest import WHO_IS_WHO, FactFile, FactObjects, Manifests, Place, StoredObject
from tributary.facts.tables import TABLES, Fact, Kind
from tributary.generations import FIRST, prefix_of

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PREFIX: Final = "facts"
_STORE: Final = "the bucket of FACTS"
_GROUP_ROWS: Final = 122_880
"""Rows of a row group: DuckDB's own unit of work."""
_MOST_DELETED: Final = 1_000
"""Keys of one call."""

_KINDS: Final = frozenset(kind.value for kind in Kind)
_encoder: Final = msgspec.json.Encoder()


class S3FactObjects:
    """`FactObjects` on S3: `<prefix>/<kind>/month=<month>/<name>.parquet`."""

    def __init__(self, client: Callable[[], S3Client], bucket: str, *, generation: int = FIRST) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix_of(generation) + PREFIX

    def put(self, place: Place, name: str, path: Path) -> None:
        with path.open("rb") as body:
            dynamo.ask(lambda: self._client().put_object(Bucket=self._bucket, Key=self._key(place, name), Body=body), _STORE)

    def fetch(self, place: Place, name: str, path: Path) -> bool:
        try:
            body = self._client().get_object(Bucket=self._bucket, Key=self._key(place, name))["Body"]
            with path.open("wb") as file:
                shutil.copyfileobj(body, file, 1 << 20)
        except (BotoCoreError, ClientError) as error:
            if dynamo.code_of(error) in ("NoSuchKey", "404"):
                return False
            raise dynamo.unavailable(error, _STORE) from error
        return True

    def delete(self, place: Place, names: Sequence[str]) -> None:
        for first in range(0, len(names), _MOST_DELETED):
            keys = [{"Key": self._key(place, name)} for name in names[first : first + _MOST_DELETED]]
            dynamo.ask(lambda: self._client().delete_objects(Bucket=self._bucket, Delete={"Objects": keys, "Quiet": True}), _STORE)  # type: ignore[typeddict-item]  # noqa: B023  # called at once

    def all(self) -> Iterable[StoredObject]:
        options: dict[str, str] = {}
        while True:
            page = dynamo.ask(lambda: self._client().list_objects_v2(Bucket=self._bucket, Prefix=f"{self._prefix}/", **options), _STORE)  # type: ignore[arg-type]  # noqa: B023
            for item in page.get("Contents", []):
                kind, month, name = item["Key"].removeprefix(f"{self._prefix}/").split("/")
                if kind in _KINDS:
                    yield StoredObject(
                        place=Place(Kind(kind), month.removeprefix("month=")), name=name.removesuffix(".parquet"), written_at=item["LastModified"]
                    )
            if not page.get("IsTruncated"):
                return
            options = {"ContinuationToken": page["NextContinuationToken"]}

    def _key(self, place: Place, name: str) -> str:
        return f"{self._prefix}/{place.kind}/month={place.month}/{name}.parquet"


class FactFiles:
    """`FactSink` on files. `engine` makes them in `folder`, its own. Times of rows are UTC."""

    def __init__(self, objects: FactObjects, manifests: Manifests, engine: Callable[[], Engine], folder: Path, now: Callable[[], datetime]) -> None:
        self._objects = objects
        self._manifests = manifests
        self._engine = engine
        self._folder = folder
        self._now = now
        self._erased: tuple[int, Set[str]] = (0, frozenset())

    def append(self, rows: Mapping[Kind, Sequence[Fact]]) -> None:
        erased = self._erased_nodes()
        placed: dict[Place, list[Fact]] = defaultdict(list)
        for kind, facts in rows.items():
            for fact in without(kind, facts, erased):
                placed[Place(kind, TABLES[kind].month_of(fact))].append(fact)
        # Who is who first: whoever sees a fact sees what was known of its people.
        for place in sorted(placed, key=lambda place: (place.kind not in WHO_IS_WHO, place)):
            self._write(place, placed[place])

    def _write(self, place: Place, facts: Sequence[Fact]) -> None:
        lines = _encoder.encode_lines(facts)
        now = self._now()
        name = f"{now:%Y%m%dT%H}{now.minute // 10}-{hashlib.sha256(lines).hexdigest()[:32]}"
        self._folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._folder) as here:
            written = Path(here) / "rows.json"
            file = Path(here) / "rows.parquet"
            written.write_bytes(lines)
            self._engine().run(_copy(place.kind, written, file))
            self._objects.put(place, name, file)
            self._manifests.add(place, FactFile(name, len(facts), file.stat().st_size))

    def _erased_nodes(self) -> Set[str]:
        """Read again only if there are more."""
        revision = self._manifests.erased_revision()
        if revision != self._erased[0]:
            self._erased = (revision, self._manifests.erased())
        return self._erased[1]


def _copy(kind: Kind, lines: Path, file: Path) -> str:
    table = TABLES[kind]
    columns = ", ".join(f"{name}: '{sql_type}'" for name, sql_type in table.columns.items())
    return (
        f"COPY (SELECT * FROM read_json('{lines}', format = 'newline_delimited', columns = {{{columns}}}) ORDER BY {', '.join((*table.sort, 'key'))}) "
        f"TO '{file}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {_GROUP_ROWS})"
    )
