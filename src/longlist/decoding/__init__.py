"""Turns bodies and queries into the request types that routes declare (contract 1.4, 1.10).

    class UpdateAudience(PatchBody):
        name: Name | UnsetType = UNSET
        description: Description | None | UnsetType = UNSET

    decoder = compile(UpdateAudience)       # once, at import
    body = decoder.decode(loads(raw))       # per request

A decoder finds everything that is wrong before it refuses, names each member by its path and says
what to do. Nothing is coerced. Required members of a type come before those with a default.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Final, Generic, TypeVar, get_args, get_origin, overload

import msgspec
from msgspec import NODEFAULT, UNSET, UnsetType
from msgspec.structs import FieldInfo, fields

from longlist.decoding.parameters import (
    Query,
    QueryDecoder,
    compile_query,
    path_id,
    path_text,
)
from longlist.decoding.problems import Problem, Rejected, failed, reject, run_check, under
from longlist.decoding.rules import (
    Cursor,
    Description,
    HttpsUrl,
    Id,
    Integer,
    Items,
    Limit,
    MultiLine,
    Name,
    OneLine,
    Option,
    Raw,
    Reader,
    Search,
    Time,
    VisibleAscii,
    first_of,
    is_struct,
    shape_of,
    tag_of,
)
from longlist.errors import Issue
from longlist.text import BadText, printable

__all__ = [
    "UNSET",
    "Body",
    "CreateBody",
    "Cursor",
    "Decoder",
    "Description",
    "HttpsUrl",
    "Id",
    "Integer",
    "Items",
    "Limit",
    "MultiLine",
    "Name",
    "OneLine",
    "PatchBody",
    "Query",
    "QueryDecoder",
    "Raw",
    "Search",
    "Time",
    "UnsetType",
    "VisibleAscii",
    "compile",
    "compile_query",
    "members",
    "path_id",
    "path_text",
]

T = TypeVar("T")


class Body(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A JSON object of a request; null is taken only where the type has None.

    `__not_settable__` maps members that exist but cannot be set here to advice that completes
    "Remove it from the body and ..." (`""` for none). `__exactly_one__` lists groups of members,
    each of which must hold exactly one that is there and not null. `__without__` names members of
    a base that this type does not take. All three use JSON names.
    """

    __null_is_missing__: ClassVar[bool] = False
    __at_least_one__: ClassVar[bool] = False
    __not_settable__: ClassVar[Mapping[str, str]] = {}
    __exactly_one__: ClassVar[tuple[tuple[str, ...], ...]] = ()
    __without__: ClassVar[frozenset[str]] = frozenset()

    def check(self) -> Iterable[Issue]:
        """Issues of rules that span members; called once every member is sound by itself."""
        return ()


def members(kind: type[Body]) -> tuple[FieldInfo, ...]:
    """The members that a body of this type takes."""
    return tuple(info for info in fields(kind) if info.encode_name not in kind.__without__)


class CreateBody(Body):
    """The body of a create, start or replace: null equals missing on optional members."""

    __null_is_missing__ = True


class PatchBody(Body):
    """The body of a PATCH: missing (UNSET) keeps, None clears, at least one member is needed."""

    __at_least_one__ = True


class Decoder(Generic[T]):
    """Decodes one request type; made by `compile`."""

    __slots__ = ("_read", "kind")

    def __init__(self, kind: Any, read: Reader) -> None:
        self.kind: Final = kind
        self._read = read

    def decode(self, obj: dict[str, Any]) -> T:
        """Raises ValidationFailed with an issue for each thing that is wrong."""
        try:
            return self._read(obj)  # type: ignore[no-any-return]
        except Rejected as error:
            raise failed("body", "", error.problems) from None


@overload
def compile(kind: type[T]) -> Decoder[T]: ...


@overload
def compile(kind: Any) -> Decoder[Any]: ...


def compile(kind: Any) -> Decoder[Any]:
    """The decoder of a Body type, or of a union of Body types told apart by their tags.

    Raises TypeError for a type with a member that states no rule.
    """
    return Decoder(kind, _parts_reader(shape_of(kind).options))


def _parts_reader(options: tuple[Option, ...]) -> Reader:
    """The reader of an annotation's options: structs by tag, else the first that fits."""
    structs = [option.kind for option in options if is_struct(option.kind)]
    if len(structs) == len(options) and (len(structs) > 1 or tag_of(structs[0])):
        return _union_reader(structs)
    if len(options) == 1:
        return _reader(options[0])
    return first_of([_reader(option) for option in options])


def _reader(option: Option) -> Reader:
    if option.rule is not None:
        return option.rule.read
    if is_struct(option.kind):
        return _struct_reader(option.kind)
    items = option.items or Items(max=0)
    part = get_args(option.kind)[-1]
    inner = _value_reader(part)
    if get_origin(option.kind) is list:
        return _list_reader(inner, items)
    return _mapping_reader(inner, items)


def _value_reader(hint: Any) -> Reader:
    """The reader of an annotation, with null where it has None."""
    shape = shape_of(hint)
    read = _parts_reader(shape.options)
    if not shape.is_nullable:
        return _refusing_null(read)
    if any(isinstance(option.rule, MultiLine) for option in shape.options):
        return lambda raw: None if raw is None else read(raw) or None
    return lambda raw: None if raw is None else read(raw)


def _refusing_null(read: Reader) -> Reader:
    def read_value(raw: Any) -> Any:
        if raw is None:
            raise reject("null_not_allowed", "The value must not be null.")
        return read(raw)

    return read_value


def _field_reader(field: FieldInfo, null_is_missing: bool) -> Reader:
    shape = shape_of(field.type)
    if not null_is_missing or field.required or shape.is_nullable:
        return _value_reader(field.type)
    read = _parts_reader(shape.options)
    if field.default_factory is not NODEFAULT:
        make = field.default_factory
        return lambda raw: make() if raw is None else read(raw)
    default = field.default
    return lambda raw: default if raw is None else read(raw)


def _struct_reader(kind: type[Body]) -> Reader:
    infos = members(kind)
    readers = {
        info.encode_name: (info.name, _field_reader(info, kind.__null_is_missing__))
        for info in infos
    }
    required = tuple(info.encode_name for info in infos if info.required)
    has_rules = bool(required or kind.__at_least_one__ or kind.__exactly_one__)
    has_check = kind.check is not Body.check

    def read(raw: Any) -> Any:
        if type(raw) is not dict:
            raise reject("wrong_type", "The value must be an object.")
        values: dict[str, Any] = {}
        problems: list[Problem] = []
        for member, value in raw.items():
            known = readers.get(member)
            if known is None:
                problems.append(_stranger(kind, member))
                continue
            try:
                values[known[0]] = known[1](value)
            except (BadText, Rejected) as error:
                problems.extend(under(member, error))
        if has_rules:
            problems.extend(_missing(kind, raw, required))
        if problems:
            raise Rejected(*problems)
        body = kind(**values)
        if has_check:
            run_check(body.check())
        return body

    return read


def _stranger(kind: type[Body], member: str) -> Problem:
    advice = kind.__not_settable__.get(member)
    name = printable(member)
    if advice is None:
        return Problem(name, "unknown_field", "This member is not known here.")
    return Problem(name, "not_settable", f"{name} cannot be set here.", advice)


def _missing(kind: type[Body], raw: dict[str, Any], required: tuple[str, ...]) -> Iterator[Problem]:
    for member in required:
        if member not in raw:
            yield Problem(member, "required", f"{member} is required.")
    if kind.__at_least_one__ and not (raw or required):
        listed = ", ".join(info.encode_name for info in members(kind))
        yield Problem(
            "", "at_least_one", f"At least one of {listed} is required.", f"Send one of {listed}."
        )
    for group in kind.__exactly_one__:
        if sum(raw.get(member) is not None for member in group) != 1:
            listed = ", ".join(group)
            yield Problem(
                "", "exactly_one", f"Exactly one of {listed} is required.", f"Send one of {listed}."
            )


def _union_reader(kinds: list[Any]) -> Reader:
    """A flat union: the tag picks the struct, whose members are the only ones taken."""
    tags = [tag_of(kind) for kind in kinds]
    readers = {tag[1]: _struct_reader(kind) for kind, tag in zip(kinds, tags, strict=True) if tag}
    if len(readers) != len(kinds) or len({tag[0] for tag in tags if tag}) != 1:
        raise TypeError("the types of a union need one tag member and a tag each")
    member = next(tag[0] for tag in tags if tag)
    listed = ", ".join(readers)

    def read(raw: Any) -> Any:
        if type(raw) is not dict:
            raise reject("wrong_type", "The value must be an object.")
        tag = raw.get(member)
        if type(tag) is str and tag in readers:
            return readers[tag]({name: raw[name] for name in raw if name != member})
        if member not in raw:
            raise Rejected(Problem(member, "required", f"{member} is required."))
        if tag is None:
            raise Rejected(Problem(member, "null_not_allowed", "The value must not be null."))
        code = "invalid_choice" if type(tag) is str else "wrong_type"
        raise Rejected(Problem(member, code, f"The value must be one of {listed}."))

    return read


def _list_reader(inner: Reader, items: Items) -> Reader:
    def read(raw: Any) -> Any:
        if type(raw) is not list:
            raise reject("wrong_type", "The value must be an array.")
        return items.read(raw, inner)

    return read


def _mapping_reader(inner: Reader, items: Items) -> Reader:
    def read(raw: Any) -> Any:
        if type(raw) is not dict:
            raise reject("wrong_type", "The value must be an object.")
        items.check(len(raw), "members")
        values: dict[str, Any] = {}
        problems: list[Problem] = []
        for member, value in raw.items():
            try:
                values[member] = inner(value)
            except (BadText, Rejected) as error:
                problems.extend(under(printable(member), error))
        if problems:
            raise Rejected(*problems)
        return values

    return read
