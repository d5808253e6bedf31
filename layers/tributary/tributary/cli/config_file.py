"""`config.toml`: a stack's sources, connections and account settings as a file; `apply` makes the stack like it, `export` writes it.

    [account]
    name = "Harbour"                              # what is not named stays as it is

    [[sources]]
    label = "Shop"                                # found again by `id` if there is one, else by its label
    linked_connection = "Konnektive"              # by id or label; left out: the only Konnektive connection there is

    [[connections]]
    type = "kissmetrics"
    label = "Kissmetrics"
    sources = ["Shop"]                            # by id or label
    filter = { type = ["track", "identify"] }
    settings = { apiKey = "env:KISSMETRICS_API_KEY" }

A table says everything of its source or connection: what is left out has its default. Credentials alone are different: one that is left out stays as it is, one
that is given is a reference, `env:NAME` or `ssm:/name/of/a/parameter`, never the credential itself. Nothing is removed unless that is asked for.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import msgspec

from tributary.control.problems import of_validation
from tributary.drafts import AccountChange, ConnectionChange, NewConnection, NewSource, SourceChange
from tributary.operator import Operator, Refused, Versioned, check_label
from tributary.settings import Connection, Source, UnreadableConnection

ReadSecret = Callable[[str], str]
"""The credential behind a reference; raises `ConfigInvalid` where there is none."""

_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_REFERENCE: Final = re.compile(r"(?:env|ssm):.+", re.DOTALL)
_CONNECTION_FIELDS: Final = ("label", "enabled", "mode", "history", "sources", "filter", "consent_categories", "consent_default")

T = TypeVar("T", Source, Connection)


class ConfigInvalid(Exception):
    """The file does not fit; one line that says where."""


class SourceTable(NewSource, frozen=True, kw_only=True, forbid_unknown_fields=True):
    id: str | None = None


class ConnectionTable(NewConnection, frozen=True, kw_only=True, forbid_unknown_fields=True):
    id: str | None = None


class ConfigFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    account: AccountChange | None = None
    sources: list[SourceTable] = []
    connections: list[ConnectionTable] = []


@dataclass(frozen=True, kw_only=True)
class Step:
    """One thing that `apply` does. `run` gives what has to be shown once: a new write key."""

    verb: str
    """`create`, `change`, `remove`, `keep` (nothing differs) or `leave` (not in the file)."""
    what: str
    details: Sequence[str] = ()
    run: Callable[[Ids], str | None] | None = None


@dataclass
class Ids:
    """The ids of sources and connections by what the file calls them; filled while new ones are made."""

    by_name: dict[str, str] = field(default_factory=dict)
    connections: dict[str, str] = field(default_factory=dict)

    def of(self, name: str) -> str:
        return self.by_name[name]


@dataclass(frozen=True)
class Plan:
    steps: Sequence[Step]
    ids: Ids

    @property
    def changes(self) -> list[Step]:
        return [step for step in self.steps if step.run is not None]

    def run(self, done: Callable[[Step, str | None], None]) -> None:
        """Do it; `done` is told of each step as it is done, with what has to be shown once."""
        for step in self.changes:
            assert step.run is not None
            done(step, step.run(self.ids))


def read(text: str) -> ConfigFile:
    """Raises `ConfigInvalid` naming the line or the field."""
    try:
        # A date becomes its text, as JSON has it.
        return msgspec.convert(msgspec.to_builtins(tomllib.loads(text)), ConfigFile)
    except tomllib.TOMLDecodeError as error:
        raise ConfigInvalid(f"not TOML: {error}") from error
    except msgspec.ValidationError as error:
        problem = of_validation(error, "field", ConfigFile)
        raise ConfigInvalid(f"{problem.field}: {problem.detail[:1].lower()}{problem.detail[1:].rstrip('.')}") from error


def plan(file: ConfigFile, operator: Operator, read_secret: ReadSecret, *, prune: bool) -> Plan:
    """What would have to be done. Raises `ConfigInvalid`; changes nothing."""
    planner = _Planner(file, operator, read_secret)
    return Plan([*planner.account(), *planner.sources(), *planner.connections(), *planner.links(), *planner.unnamed(prune=prune)], planner.ids)


def export(operator: Operator) -> str:
    """The stack's settings as a file, without credentials. Applying it changes nothing."""
    parts = [_table("[account]", msgspec.structs.asdict(operator.account().value))]
    parts += [_table("[[sources]]", _of_source(source.value)) for source in operator.sources()]
    for connection in operator.connections():
        if isinstance(connection, UnreadableConnection):
            parts.append(f"# The connection {connection.id} is not here: this release cannot read it.\n")
            continue
        value = msgspec.to_builtins(connection.value)
        fields: dict[str, Any] = {"id": connection.value.id, "type": connection.value.type}
        fields |= {name: value[name] for name in _CONNECTION_FIELDS if name in value}
        fields["settings"] = connection.value.settings
        notes = [f'# {name} is a credential: it stays as it is unless settings has {name} = "env:NAME" or "ssm:/name"' for name in connection.value.secrets]
        parts.append(_table("[[connections]]", fields, notes))
    return "\n".join(parts)


def _of_source(source: Source) -> dict[str, Any]:
    linked = {"linked_connection": source.linked_connection} if source.linked_connection else {}
    return {"id": source.id, "label": source.label, "enabled": source.enabled, **linked}


class _Planner:
    def __init__(self, file: ConfigFile, operator: Operator, read_secret: ReadSecret) -> None:
        self._file = file
        self._operator = operator
        self._read_secret = read_secret
        self._sources = operator.sources()
        self._connections = [_readable(one) for one in operator.connections()]
        self._named: set[str] = set()
        """Ids of what the file speaks of."""
        self.ids = Ids()
        for source in self._sources:
            self.ids.by_name.setdefault(source.value.label, source.value.id)
        self.ids.by_name |= {source.value.id: source.value.id for source in self._sources}
        for connection in self._connections:
            self.ids.connections.setdefault(connection.value.label, connection.value.id)
        self.ids.connections |= {connection.value.id: connection.value.id for connection in self._connections}

    def account(self) -> list[Step]:
        change = self._file.account
        if change is None:
            return []
        current = self._operator.account()
        named = {name: value for name, value in msgspec.structs.asdict(change).items() if value is not msgspec.UNSET}
        details = _differences(msgspec.structs.asdict(current.value), named)

        def run(_: Ids) -> None:
            self._operator.update_account(change, version=current.version)

        return [Step(verb="change" if details else "keep", what="account", details=details, run=run if details else None)]

    def sources(self) -> list[Step]:
        _no_duplicates("sources", self._file.sources, lambda table: table.label)
        steps = []
        for number, table in enumerate(self._file.sources):
            try:
                check_label(table.label)
            except Refused as error:
                raise ConfigInvalid(f"sources[{number}].{error.field}: {error}") from error
            found = self._find(f"sources[{number}]", table, self._sources, {"label": table.label})
            steps.append(self._new_source(table) if found is None else self._changed_source(table, found))
        return steps

    def _new_source(self, table: SourceTable) -> Step:
        def run(ids: Ids) -> str:
            made = self._operator.create_source(NewSource(label=table.label, enabled=table.enabled), id=table.id)
            ids.by_name |= {table.label: made.source.value.id, made.source.value.id: made.source.value.id}
            return f'write key of "{table.label}": {made.write_key}'

        # Its id is not known before it is made; that it will be there is.
        self.ids.by_name |= {name: "" for name in (table.label, table.id) if name is not None}
        return Step(verb="create", what=f'source "{table.label}"', run=run)

    def _changed_source(self, table: SourceTable, found: Versioned[Source]) -> Step:
        details = _differences(msgspec.structs.asdict(found.value), {"label": table.label, "enabled": table.enabled})
        self.ids.by_name |= {table.label: found.value.id}

        def run(_: Ids) -> None:
            self._operator.update_source(found.value.id, SourceChange(label=table.label, enabled=table.enabled), version=found.version)

        return Step(verb="change" if details else "keep", what=f'source "{table.label}"', details=details, run=run if details else None)

    def connections(self) -> list[Step]:
        _no_duplicates("connections", self._file.connections, lambda table: f"{table.type} {table.label}")
        steps = []
        for number, table in enumerate(self._file.connections):
            place = f"connections[{number}]"
            for index, name in enumerate(table.sources):
                if name not in self.ids.by_name:
                    raise ConfigInvalid(f"{place}.sources[{index}]: there is no such source, in this file or in the stack")
            found = self._find(place, table, self._connections, {"type": table.type, "label": table.label})
            known = found.value.id if found is not None else ""
            self.ids.connections |= {name: known for name in (table.label, table.id) if name is not None}
            steps.append(self._new_connection(place, table) if found is None else self._changed_connection(place, table, found))
        return steps

    def _new_connection(self, place: str, table: ConnectionTable) -> Step:
        settings = self._with_secrets(place, table)
        self._check(place, table, settings)

        def run(ids: Ids) -> None:
            fields = {name: getattr(table, name) for name in _CONNECTION_FIELDS}
            draft = NewConnection(**{**fields, "type": table.type, "settings": settings, "sources": [ids.of(name) for name in table.sources]})
            made = self._operator.create_connection(draft, id=table.id).value.id
            ids.connections |= {table.label: made, made: made}

        secrets = sorted(settings.keys() & self._operator.secret_names(table.type))
        return Step(verb="create", what=_name(table), details=[f"settings.{name}: set (a credential)" for name in secrets], run=run)

    def _changed_connection(self, place: str, table: ConnectionTable, found: Versioned[Connection]) -> Step:
        if table.type != found.value.type:
            raise ConfigInvalid(f"{place}.type: a connection keeps its type; make another one")
        kept = self._operator.secret_settings(found.value)
        given = self._with_secrets(place, table)
        names = self._operator.secret_names(table.type)
        self._check(place, table, {**kept, **given})
        wanted = {name: getattr(table, name) for name in _CONNECTION_FIELDS if name != "sources"}
        details = _differences(msgspec.structs.asdict(found.value), wanted)
        details += self._sources_differ(table, found.value)
        plain = {name: value for name, value in given.items() if name not in names}
        details += [f"settings.{line}" for line in _differences(found.value.settings, plain, whole=True)]
        secrets = {name: value for name, value in given.items() if name in names and kept.get(name) != value}
        details += [f"settings.{name}: {'changed' if name in kept else 'set'} (a credential)" for name in sorted(secrets)]

        def run(ids: Ids) -> None:
            removed = dict.fromkeys(found.value.settings.keys() - plain.keys())
            change = ConnectionChange(**wanted, sources=[ids.of(name) for name in table.sources], settings={**removed, **given})
            self._operator.update_connection(found.value.id, change, version=found.version)

        return Step(verb="change" if details else "keep", what=_name(table), details=details, run=run if details else None)

    def _sources_differ(self, table: ConnectionTable, connection: Connection) -> list[str]:
        wanted = [self.ids.by_name[name] or name for name in table.sources]
        return [f"sources: {_short(connection.sources)} → {_short(wanted)}"] if sorted(wanted) != sorted(connection.sources) else []

    def links(self) -> list[Step]:
        """After the connections, which a source may be linked to before it has an id."""
        return [step for number, table in enumerate(self._file.sources) if (step := self._link(f"sources[{number}]", table)) is not None]

    def _link(self, place: str, table: SourceTable) -> Step | None:
        wanted = table.linked_connection
        if wanted and wanted not in self.ids.connections:
            raise ConfigInvalid(f"{place}.linked_connection: there is no such connection, in this file or in the stack")
        source = self.ids.by_name[table.label]
        before = next((one.value.linked_connection for one in self._sources if one.value.id == source), "")
        if before == wanted or (before and before == self.ids.connections.get(wanted)):
            return None

        def run(ids: Ids) -> None:
            self._operator.update_source(ids.of(table.label), SourceChange(linked_connection=ids.connections[wanted] if wanted else ""))

        return Step(verb="change", what=f'source "{table.label}"', details=[f"linked_connection: {_short(before)} → {_short(wanted)}"], run=run)

    def unnamed(self, *, prune: bool) -> list[Step]:
        """Connections first: a source that one names is not removed."""
        connections = [
            _left(f'connection "{connection.value.label}" ({connection.value.type})', prune, self._remove_connection(connection))
            for connection in self._connections
            if connection.value.id not in self._named
        ]
        sources = [
            _left(f'source "{source.value.label}"', prune, self._remove_source(source)) for source in self._sources if source.value.id not in self._named
        ]
        return [*connections, *sources]

    def _remove_connection(self, connection: Versioned[Connection]) -> Callable[[Ids], None]:
        return lambda _: self._operator.delete_connection(connection.value.id, version=connection.version)

    def _remove_source(self, source: Versioned[Source]) -> Callable[[Ids], None]:
        return lambda _: self._operator.delete_source(source.value.id, version=source.version)

    def _find(self, place: str, table: SourceTable | ConnectionTable, there: Sequence[Versioned[T]], alike: Mapping[str, str]) -> Versioned[T] | None:
        """The one that a table speaks of: by id, else by what is `alike`."""
        if table.id is not None:
            found = [one for one in there if one.value.id == table.id]
        else:
            found = [one for one in there if all(getattr(one.value, name) == value for name, value in alike.items())]
            if len(found) > 1:
                raise ConfigInvalid(f"{place}: the stack has {len(found)} of this label; name the one by its id")
        if not found:
            return None
        if found[0].value.id in self._named:
            raise ConfigInvalid(f"{place}: another table speaks of the same one")
        self._named.add(found[0].value.id)
        return found[0]

    def _with_secrets(self, place: str, table: ConnectionTable) -> dict[str, Any]:
        """The settings, each reference to a credential replaced by it."""
        settings = dict(table.settings)
        for name in self._operator.secret_names(table.type) & settings.keys():
            reference = settings[name]
            if not isinstance(reference, str) or _REFERENCE.fullmatch(reference) is None:
                raise ConfigInvalid(f'{place}.settings.{name}: a credential is not written into the file; give it as "env:NAME" or "ssm:/name"')
            try:
                settings[name] = self._read_secret(reference)
            except ConfigInvalid as error:
                raise ConfigInvalid(f"{place}.settings.{name}: {error}") from error
        return settings

    def _check(self, place: str, table: ConnectionTable, settings: Mapping[str, Any]) -> None:
        try:
            self._operator.check_connection(NewConnection(type=table.type, label=table.label, settings=dict(settings), filter=table.filter))
        except Refused as error:
            raise ConfigInvalid(f"{place}.{error.field}: {error}") from error


def _readable(connection: Versioned[Connection] | UnreadableConnection) -> Versioned[Connection]:
    """One that cannot be read might be what a table speaks of: it would be made a second time. Raises `ConfigInvalid`."""
    if isinstance(connection, UnreadableConnection):
        raise ConfigInvalid(f"this release cannot read the stack's connection {connection.id}: apply with the release that can")
    return connection


def _left(what: str, prune: bool, run: Callable[[Ids], None]) -> Step:
    return Step(verb="remove", what=what, run=run) if prune else Step(verb="leave", what=what)


def _name(table: ConnectionTable) -> str:
    return f'connection "{table.label}" ({table.type})'


def _no_duplicates(place: str, tables: Sequence[Any], name: Callable[[Any], str]) -> None:
    seen: set[str] = set()
    for number, table in enumerate(tables):
        if table.id is None and name(table) in seen:
            raise ConfigInvalid(f"{place}[{number}]: another table has the same label; name the two by their ids")
        seen.add(name(table))


def _differences(current: Mapping[str, Any], wanted: Mapping[str, Any], *, whole: bool = False) -> list[str]:
    """`name: old → new` for each that differs. `whole`: what is not wanted goes."""
    lines = []
    for name in sorted(current.keys() | wanted.keys() if whole else wanted.keys()):
        old, new = current.get(name), wanted.get(name)
        if old != new or (name in wanted) != (name in current):
            lines.append(f"{name}: {_short(old)} → {_short(new)}")
    return lines


def _short(value: Any) -> str:
    text = "-" if value is None else msgspec.json.encode(value).decode()
    return text if len(text) <= 60 else f"{text[:57]}…"


def _table(header: str, fields: Mapping[str, Any], notes: Sequence[str] = ()) -> str:
    lines = [header, *(f"{_key(name)} = {_value(value)}" for name, value in fields.items() if value is not None)]
    return "\n".join([*lines, *notes]) + "\n"


def _value(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case str():
            # JSON's escapes are TOML's, but that TOML also wants DEL escaped.
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case list() | tuple():
            return f"[{', '.join(_value(one) for one in value)}]"
        case dict():
            inner = ", ".join(f"{_key(name)} = {_value(one)}" for name, one in value.items() if one is not None)
            return f"{{ {inner} }}" if inner else "{}"
        case _:
            raise ConfigInvalid("a list with null in it cannot be written as TOML")


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else _value(name)
