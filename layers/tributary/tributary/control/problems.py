"""Every refusal of our own API, as RFC 9457 problem details: `type`, `title`, `status`, `detail`, a stable `code`, and the `field` at fault where one is.

https://www.rfc-editor.org/rfc/rfc9457
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tributary.entered.reading import RowError

if TYPE_CHECKING:
    from msgspec import inspect

CONTENT_TYPE: Final = "application/problem+json"

_TYPE_PREFIX: Final = "urn:problem-type:tributary:"
"""A name, not an address: nothing is to be fetched there."""
_AT: Final = re.compile(r" - at `(?:key` in `)?\$\.?(?P<path>[^`]*)`$")
_STEP: Final = re.compile(r"[^.\[\]]+|\[[^\]]*\]")
_NAMED: Final = re.compile(r"Object (?P<what>contains unknown|missing required) field `(?P<name>[^`]*)`")
_JSON_TYPES: Final = re.compile(r"`([a-z]+(?: \| [a-z]+)*)`")
_JSON_WORDS: Final = {
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "object": "an object",
    "array": "a list",
    "null": "null",
}


class WrongParameter(msgspec.Struct, frozen=True, kw_only=True):
    """One of several things that do not fit."""

    field: Annotated[str, Meta(description="The parameter at fault.")]
    code: Annotated[str, Meta(description="For programs: stable.")]
    detail: Annotated[str, Meta(description="For people.")]


class ProblemDetails(msgspec.Struct, frozen=True, kw_only=True):
    """Why a request was refused."""

    type: Annotated[str, Meta(description="A URN that names the kind of problem.")]
    title: Annotated[str, Meta(description="The kind of problem, for people.")]
    status: int
    detail: Annotated[str, Meta(description="This case, for people.")]
    code: Annotated[str, Meta(description="The kind of problem, for programs: stable.")]
    field: Annotated[str, Meta(description="The parameter or field at fault, as a path such as `settings.apiKey` or `scopes[0]`.")] | UnsetType = UNSET
    parameters: Annotated[list[WrongParameter], Meta(description="Of a question: everything that is wrong with it; `field` is the first.")] | UnsetType = UNSET
    scope: Annotated[str, Meta(description="The scope that the key lacks.")] | UnsetType = UNSET
    errors: Annotated[Sequence[RowError], Meta(description="What was wrong with each row of a batch, the first hundred.")] | UnsetType = UNSET
    instance: Annotated[str, Meta(description="The request's id, as the logs have it.")] | UnsetType = UNSET


class Problem(Exception):
    """Raised anywhere below the router, answered by it. `detail` holds no value that was sent, and no key."""

    def __init__(
        self,
        *,
        status: int,
        code: str,
        detail: str,
        field: str | None = None,
        scope: str | None = None,
        errors: Sequence[RowError] = (),
        parameters: Sequence[WrongParameter] = (),
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.detail = detail
        self.field = field
        self.scope = scope
        self.errors = errors
        self.parameters = list(parameters)
        self.headers = headers

    def details(self, instance: str) -> ProblemDetails:
        return ProblemDetails(
            type=_TYPE_PREFIX + self.code.replace("_", "-"),
            title=self.code.replace("_", " ").capitalize(),
            status=self.status,
            detail=self.detail,
            code=self.code,
            field=UNSET if self.field is None else self.field,
            parameters=self.parameters or UNSET,
            scope=UNSET if self.scope is None else self.scope,
            errors=self.errors or UNSET,
            instance=instance or UNSET,
        )


def of_validation(error: msgspec.ValidationError, noun: str, type: type[msgspec.Struct]) -> Problem:
    """What msgspec found, as a problem that names the field. `noun`: `field` of a body, `parameter` of a query. `type`: what was to be read."""
    text = str(error)
    at = _AT.search(text)
    path = at["path"] if at else ""
    text = text[: at.start()] if at else text
    named = _NAMED.fullmatch(text)
    if named is not None:
        full = f"{path}.{named['name']}" if path else named["name"]
        unknown = named["what"].startswith("contains")
        return Problem(
            status=400, code=f"unknown_{noun}" if unknown else f"missing_{noun}", field=full, detail=f"There is no such {noun}." if unknown else "It is needed."
        )
    if text.startswith("Invalid enum value"):
        text = f"one of {', '.join(_values_at(type, path))}"
    text = _JSON_TYPES.sub(_in_words, text)
    return Problem(status=400, code=f"invalid_{noun}", field=path or ("body" if noun == "field" else None), detail=text[:1].upper() + text[1:] + ".")


def _in_words(found: re.Match[str]) -> str:
    """JSON's types, as msgspec lists them; anything else stays as it is."""
    types = found[1].split(" | ")
    return " or ".join(_JSON_WORDS[type] for type in types) if all(type in _JSON_WORDS for type in types) else found[0]


def _values_at(type: type[msgspec.Struct], path: str) -> list[str]:
    """The values that a field takes which takes only some."""
    from msgspec import inspect  # noqa: PLC0415  (only a refusal needs it)

    here = _parts(inspect.type_info(type))
    for step in _STEP.findall(path):
        if step.startswith("["):
            here = [part for one in here if isinstance(one, inspect.ListType) for part in _parts(one.item_type)]
        else:
            fields = [field for one in here if isinstance(one, inspect.StructType) for field in one.fields]
            here = [part for field in fields if field.encode_name == step for part in _parts(field.type)]
    values: list[str] = []
    for one in here:
        if isinstance(one, inspect.LiteralType):
            values += [str(value) for value in one.values]
        elif isinstance(one, inspect.EnumType):
            values += [str(value) for value in one.cls]
    return values


def _parts(type: inspect.Type) -> list[inspect.Type]:
    """A type without what is only said of it; of a union, each."""
    from msgspec import inspect  # noqa: PLC0415

    if isinstance(type, inspect.Metadata):
        return _parts(type.type)
    return [part for one in type.types for part in _parts(one)] if isinstance(type, inspect.UnionType) else [type]
