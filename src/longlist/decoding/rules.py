"""What a member of a request may be: each rule reads a value and describes it in JSON Schema.

Request types name the rules in their annotations (`name: Name`, `limit: Limit = 50`), and both the
decoder and the OpenAPI document are made from those, so that a limit stands in one place.
A rule's `read` takes a value as the JSON loader gives it and never coerces. Its `read_text` takes
a query parameter, which is always text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Final, Literal, NamedTuple, Union, get_args, get_origin

import msgspec

from longlist.decoding.problems import Problem, Rejected, reject, under
from longlist.ids import parse_id
from longlist.text import BadText, multi_line, one_line, search_text

JsonSchema = dict[str, Any]
Reader = Callable[[Any], Any]


class Rule:
    """How one kind of value is read and described."""

    __slots__ = ()

    def read(self, raw: Any) -> Any:
        """The value. Raises Rejected or BadText."""
        raise NotImplementedError

    def read_text(self, text: str) -> Any:
        """The value a query parameter stands for; the same as `read` unless a rule says else."""
        return self.read(text)

    def schema(self) -> JsonSchema:
        raise NotImplementedError


def _text(raw: Any) -> str:
    if type(raw) is not str:
        raise reject("wrong_type", "The value must be a string.")
    return raw


# In a class of characters: what one-line text refuses, and what shows nothing of its own.
_REFUSED: Final = (
    r"\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069"  # as in longlist.text
)
_UNSEEN: Final = (
    r"\s\u00a0\u00ad\u0300-\u036f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    r"\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\uffff"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OneLine(Rule):
    """One-line text of contract 1.10: normalised, trimmed, with a visible character."""

    max: int
    min: int = 1

    def read(self, raw: Any) -> str:
        if type(raw) is not str:
            raise reject("wrong_type", "The value must be a string.")
        text = one_line(raw, self.max)
        if len(text) < self.min:
            raise reject("too_short", f"The text must have at least {self.min} characters.")
        return text

    def schema(self) -> JsonSchema:
        return {
            "type": "string",
            "minLength": self.min,
            "maxLength": self.max,
            "pattern": f"^[^{_REFUSED}]*[^{_REFUSED}{_UNSEEN}][^{_REFUSED}]*$",
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiLine(Rule):
    """Multi-line text of contract 1.10; white space only is empty: `""`, or None if it can be."""

    max: int
    min: int = 0

    def read(self, raw: Any) -> str:
        if type(raw) is not str:
            raise reject("wrong_type", "The value must be a string.")
        text = multi_line(raw, self.max)
        if len(text) < self.min:
            raise reject(
                "too_short",
                "The text must have at least one character other than white space."
                if self.min == 1
                else f"The text must have at least {self.min} characters.",
            )
        return text

    def schema(self) -> JsonSchema:
        visible = r"(?=[\s\S]*\S)" if self.min else ""
        return {
            "type": "string",
            "minLength": self.min,
            "maxLength": self.max,
            "pattern": rf"^{visible}[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]*$",
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchText(Rule):
    """A text to look for: normalised, not trimmed."""

    max: int

    def read(self, raw: Any) -> str:
        return search_text(_text(raw), self.max)

    def schema(self) -> JsonSchema:
        return {
            "type": "string",
            "minLength": 1,
            "maxLength": self.max,
            "pattern": f"^[^{_REFUSED}]+$",
        }


@dataclass(frozen=True, slots=True)
class RawText(Rule):
    """A string of which only the type is checked: its value is judged later, row by row."""

    def read(self, raw: Any) -> str:
        return _text(raw)

    def schema(self) -> JsonSchema:
        return {"type": "string"}


@dataclass(frozen=True, slots=True, kw_only=True)
class VisibleAscii(Rule):
    """1 to `max` characters U+0021-U+007E; `code` is the issue code of any other string."""

    max: int
    code: str = "invalid_format"
    pattern: ClassVar[re.Pattern[str]] = re.compile(r"[!-~]+")

    def read(self, raw: Any) -> str:
        text = _text(raw)
        if len(text) > self.max or self.pattern.fullmatch(text) is None:
            raise reject(self.code, f"The value must be 1 to {self.max} visible ASCII characters.")
        return text

    def schema(self) -> JsonSchema:
        return {"type": "string", "minLength": 1, "maxLength": self.max, "pattern": "^[!-~]+$"}


@dataclass(frozen=True, slots=True)
class HexId(Rule):
    """An id: 24 lowercase hex characters outside, 12 bytes inside."""

    def read(self, raw: Any) -> bytes:
        value = parse_id(_text(raw))
        if value is None:
            raise reject("invalid_format", "An id is 24 lowercase hex characters.")
        return value

    def schema(self) -> JsonSchema:
        return {"type": "string", "pattern": "^[0-9a-f]{24}$"}


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Timestamp(Rule):
    """An instant: RFC 3339 in UTC with milliseconds and Z outside, ms since 1970 inside."""

    form: ClassVar[re.Pattern[str]] = re.compile(
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z"
    )

    def read(self, raw: Any) -> int:
        text = _text(raw)
        try:
            if self.form.fullmatch(text) is None:
                raise ValueError
            return (datetime.fromisoformat(text) - _EPOCH) // timedelta(milliseconds=1)
        except ValueError:
            raise reject(
                "invalid_format", "A time has the form 2026-03-04T05:06:07.089Z."
            ) from None

    def schema(self) -> JsonSchema:
        return {"type": "string", "format": "date-time", "pattern": f"^{self.form.pattern}$"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Integer(Rule):
    """A whole number from `min` to `max`; `1.0` and `1e3` are whole."""

    min: int
    max: int
    digits: ClassVar[re.Pattern[str]] = re.compile(r"0*([0-9]+)")

    def read(self, raw: Any) -> int:
        if type(raw) is int:
            value = raw
        elif type(raw) is float and raw.is_integer():
            value = int(raw)
        else:
            raise reject("wrong_type", "The value must be an integer.")
        return self._bounded(value)

    def read_text(self, text: str) -> int:
        match = self.digits.fullmatch(text)
        if match is None:
            raise reject("invalid_format", "The value must be decimal digits.")
        # A longer number is beyond every range; converting it would cost quadratic time.
        return self._bounded(int(match[1][:20]))

    def _bounded(self, value: int) -> int:
        if not self.min <= value <= self.max:
            raise reject("out_of_range", f"The value must be from {self.min} to {self.max}.")
        return value

    def schema(self) -> JsonSchema:
        return {"type": "integer", "minimum": self.min, "maximum": self.max}


@dataclass(frozen=True, slots=True)
class Boolean(Rule):
    """`true` or `false`."""

    def read(self, raw: Any) -> bool:
        if type(raw) is not bool:
            raise reject("wrong_type", "The value must be true or false.")
        return raw

    def read_text(self, text: str) -> bool:
        if text not in ("true", "false"):
            raise reject("invalid_format", "The value must be true or false.")
        return text == "true"

    def schema(self) -> JsonSchema:
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Choice(Rule):
    """One of a few strings, or the constant `true`; the values are of one type."""

    values: tuple[str | bool, ...]

    def read(self, raw: Any) -> str | bool:
        if type(raw) is not type(self.values[0]):
            raise reject("wrong_type", f"The value must be {self._listed()}.")
        if raw not in self.values:
            raise reject("invalid_choice", f"The value must be {self._listed()}.")
        return raw

    def _listed(self) -> str:
        names = [value if isinstance(value, str) else "true" for value in self.values]
        return names[0] if len(names) == 1 else f"one of {', '.join(names)}"

    def schema(self) -> JsonSchema:
        kind = "string" if isinstance(self.values[0], str) else "boolean"
        return {"type": kind, "enum": list(self.values)}


_MAX_PORT: Final = 65_535


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpsUrl(Rule):
    """An https URL without credentials.

    `host` also admits its subdomains; `path` is a pattern the whole path must match, and paths
    with dot segments never do, since they lead elsewhere.
    """

    max: int = 2048
    host: str | None = None
    path: str | None = None
    fragment: bool = True
    form: ClassVar[re.Pattern[str]] = re.compile(
        r"[hH][tT][tT][pP][sS]://"
        r"(?P<host>[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])"
        r"(?::(?P<port>[0-9]{1,5}))?(?P<path>/[^\s?#\\\"<>]*)?"
        r"(?:\?[^\s#\\\"<>]*)?(?P<fragment>#[^\s\\\"<>]*)?"
    )
    dots: ClassVar[re.Pattern[str]] = re.compile(r"/(?:\.|%2e){1,2}(?:/|$)", re.IGNORECASE)

    def read(self, raw: Any) -> str:
        text = one_line(_text(raw), self.max)
        match = self.form.fullmatch(text)
        if match is None or int(match["port"] or 0) > _MAX_PORT:
            raise reject("invalid_format", "The value must be an https URL.")
        if match["fragment"] is not None and not self.fragment:
            raise reject("invalid_format", "The URL must have no fragment.")
        self._check_place(match["host"].lower(), match["path"] or "/")
        return text

    def _check_place(self, host: str, path: str) -> None:
        if self.host is not None and host != self.host and not host.endswith("." + self.host):
            raise reject("invalid_format", f"The URL must be on {self.host}.")
        if self.path is not None and (
            self.dots.search(path) or re.fullmatch(self.path, path) is None
        ):
            raise reject("invalid_format", "The URL has another path than this field takes.")

    def schema(self) -> JsonSchema:
        host = rf"([^/?#@]*\.)?{re.escape(self.host)}" if self.host else r"[^/?#@]+"
        path = self.path or "/.*"
        tail = rf"(:[0-9]+)?{path}" if self.path else rf"(:[0-9]+)?({path})?"
        return {
            "type": "string",
            "format": "uri",
            "maxLength": self.max,
            "pattern": rf"^https://{host}{tail}",
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Items:
    """How many items a list or members a mapping may have, and whether they must differ."""

    max: int
    min: int = 0
    distinct: bool = False

    def check(self, size: int, what: str) -> None:
        """Raises Rejected when there are too few or too many."""
        if size < self.min:
            raise reject("too_short", f"The value must have at least {self.min} {what}.")
        if size > self.max:
            raise reject("too_long", f"The value must have at most {self.max} {what}.")

    def read(self, raw: list[Any], inner: Reader) -> list[Any]:
        """Every item read by `inner`. Raises Rejected with the problems of all of them."""
        self.check(len(raw), "items")
        values: list[Any] = []
        problems: list[Problem] = []
        seen: set[Any] = set()
        for index, value in enumerate(raw):
            try:
                item = inner(value)
            except (BadText, Rejected) as error:
                problems.extend(under(f"[{index}]", error))
                continue
            if self.distinct:
                if item in seen:
                    message = "The value repeats an earlier item."
                    problems.append(Problem(f"[{index}]", "invalid_choice", message))
                seen.add(item)
            values.append(item)
        if problems:
            raise Rejected(*problems)
        return values


def first_of(readers: list[Reader]) -> Reader:
    """A later option may still take what an earlier one refuses; the last one's word counts."""
    *earlier, last = readers

    def read(raw: Any) -> Any:
        for attempt in earlier:
            try:
                return attempt(raw)
            except (BadText, Rejected):
                continue
        return last(raw)

    return read


Name = Annotated[str, OneLine(max=255)]
Description = Annotated[str, MultiLine(max=2000)]
Id = Annotated[bytes, HexId()]
Time = Annotated[int, Timestamp()]
Raw = Annotated[str | None, RawText()]
Search = Annotated[str, SearchText(max=255)]
Limit = Annotated[int, Integer(min=1, max=200)]
Cursor = Annotated[str, VisibleAscii(max=1024, code="invalid_cursor")]


class Option(NamedTuple):
    """One kind of value a member may hold; `rule` is set unless the kind has parts of its own."""

    kind: Any
    rule: Rule | None
    items: Items | None


class Shape(NamedTuple):
    """An annotation taken apart; a plain string in `Annotated` is its description."""

    options: tuple[Option, ...]
    is_nullable: bool
    description: str


def shape_of(hint: Any) -> Shape:
    """Raises TypeError for an annotation without a rule: every member states its limits."""
    parts = list(_parts(hint, ()))
    texts = [note for _, notes in parts for note in notes if isinstance(note, str)]
    options = [_option(kind, notes) for kind, notes in parts if kind is not NoneType]
    # Fixed words first, so that a value that fits nothing is told of the other rule. The order in
    # the annotation does not say: `typing` gives equal unions in the order of the first one seen.
    options.sort(key=lambda option: not isinstance(option.rule, Choice))
    return Shape(
        tuple(options),
        any(kind is NoneType for kind, _ in parts),
        texts[-1] if texts else "",
    )


def is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def tag_of(kind: Any) -> tuple[str, str] | None:
    """The member and the value that tell a struct of a flat union, as declared with `tag=`."""
    config = kind.__struct_config__
    return None if config.tag is None else (config.tag_field, config.tag)


def _parts(hint: Any, notes: tuple[Any, ...]) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    origin = get_origin(hint)
    if origin is Annotated:
        inner, *own = get_args(hint)
        yield from _parts(inner, (*own, *notes))
    elif origin is Union or origin is UnionType:
        for part in get_args(hint):
            yield from _parts(part, notes)
    elif hint is not msgspec.UnsetType:
        yield hint, notes


def _option(kind: Any, notes: tuple[Any, ...]) -> Option:
    rule = next((note for note in notes if isinstance(note, Rule)), None)
    items = next((note for note in notes if isinstance(note, Items)), None)
    origin = get_origin(kind)
    if origin is Literal:
        rule = Choice(get_args(kind))
    elif kind is bool:
        rule = Boolean()
    if rule is None and not is_struct(kind) and (items is None or origin not in (list, dict)):
        raise TypeError(f"{kind!r} needs a rule in its annotation")
    return Option(kind, rule, items)
