"""Query and path parameters, decoded against declared types (contract 1.4, 1.6, 1.10)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Final, Generic, TypeVar, get_args, get_origin
from urllib.parse import unquote_to_bytes

import msgspec
from msgspec.structs import fields

from longlist.decoding.problems import Problem, Rejected, failed, reject, run_check, under
from longlist.decoding.rules import Items, Rule, first_of, shape_of
from longlist.errors import Issue
from longlist.ids import parse_id
from longlist.text import BadText, printable

T = TypeVar("T")


class Query(msgspec.Struct, rename="camel"):
    """The query of a request; a list member is one comma-separated parameter."""

    def check(self) -> Iterable[Issue]:
        """Issues of rules that span parameters; `field` is the parameter's JSON name."""
        return ()


class QueryDecoder(Generic[T]):
    """Decodes the query of one operation; made by `compile_query`."""

    __slots__ = ("_read", "kind")

    def __init__(self, kind: type[T], read: Callable[[bytes], T]) -> None:
        self.kind: Final = kind
        self._read = read

    def decode(self, raw: bytes) -> T:
        """`raw` is what follows the question mark. Raises ValidationFailed, as a body does."""
        try:
            return self._read(raw)
        except Rejected as error:
            raise failed("query", "query", error.problems) from None


def compile_query(kind: type[T]) -> QueryDecoder[T]:
    """The decoder of a Query type."""
    return QueryDecoder(kind, _query_reader(kind))


def path_id(value: str, name: str) -> bytes:
    """The id in the path parameter `name`. Raises ValidationFailed (`invalid_format`)."""
    found = parse_id(value)
    if found is None:
        problem = Problem(name, "invalid_format", "An id is 24 lowercase hex characters.")
        raise failed("path", "path", [problem])
    return found


def path_text(value: str, name: str, rule: Rule) -> Any:
    """The value of another path parameter. Raises ValidationFailed."""
    try:
        return rule.read_text(value)
    except (BadText, Rejected) as error:
        raise failed("path", "path", under(name, error)) from None


def _query_reader(kind: Any) -> Callable[[bytes], Any]:
    infos = fields(kind)
    readers = {info.encode_name: (info.name, _parameter_reader(info.type)) for info in infos}
    required = tuple(info.encode_name for info in infos if info.required)

    def read(raw: bytes) -> Any:
        values: dict[str, Any] = {}
        problems: list[Problem] = []
        seen: set[str] = set()
        for piece in filter(None, raw.split(b"&")):
            name = ""
            try:
                raw_name, _, raw_value = piece.partition(b"=")
                name = _unquoted(raw_name)
                _check_parameter(name, name in readers, name in seen)
                seen.add(name)
                attribute, read_text = readers[name]
                values[attribute] = read_text(_unquoted(raw_value))
            except (BadText, Rejected) as error:
                problems.extend(under(printable(name), error))
        problems.extend(
            Problem(name, "required", f"{name} is required.")
            for name in required
            if name not in seen
        )
        if problems:
            raise Rejected(*problems)
        query = kind(**values)
        run_check(query.check())
        return query

    return read


def _check_parameter(name: str, is_known: bool, is_repeated: bool) -> None:
    if not is_known:
        raise reject("unknown_parameter", "This parameter is not known here.")
    if is_repeated:
        raise reject("repeated_parameter", f"{name} is there more than once.")


_BAD_PERCENT: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")


def _unquoted(raw: bytes) -> str:
    if _BAD_PERCENT.search(raw):
        raise reject("invalid_format", "A percent sign must be followed by two hex digits.")
    try:
        return unquote_to_bytes(raw.replace(b"+", b" ")).decode()
    except UnicodeDecodeError:
        raise reject("invalid_characters", "The value must be UTF-8.") from None


def _parameter_reader(hint: Any) -> Callable[[str], Any]:
    options = shape_of(hint).options
    if len(options) == 1 and get_origin(options[0].kind) is list:
        inner = _parameter_reader(get_args(options[0].kind)[0])
        items = options[0].items or Items(max=0)

        def read_list(text: str) -> list[Any]:
            return items.read(text.split(","), inner)

        return read_list
    rules = [option.rule for option in options if option.rule is not None]
    if len(rules) != len(options):
        raise TypeError(f"{hint!r} cannot be a query parameter")
    return rules[0].read_text if len(rules) == 1 else first_of([r.read_text for r in rules])
