"""The one loader of request bodies (contract 1.10, "JSON in").

The standard library's scanner reads, hooks refuse on the way, and only a refused body is read a
second time, slowly, to say where it went wrong. Values come out as the standard library gives
them: `1e3` is a float here, and the declared type decides whether it may stand for an integer.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any, Final

from longlist.errors import Issue, ValidationFailed
from longlist.text import printable

MAX_DEPTH: Final = 32

_MIN_INTEGER: Final = -(2**63)
_MAX_INTEGER: Final = 2**63 - 1
_MAX_INTEGER_CHARS: Final = 20

# The second reading takes about 0.3 us a lexeme, so it stops here and leaves the position out.
_MAX_LOCATED_CHARS: Final = 128 * 1024

_SUSPECT_ESCAPE: Final = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
_SOUND_ESCAPES: Final = re.compile(
    r"(?:[^\\]|\\[^u]|\\u(?!0000|[dD][89a-fA-F])|\\u[dD][89abAB]..\\u[dD][c-fC-F])*+"
)
# A quote that opens no whole string comes last: it ends the reading at the cut.
_QUOTE: Final = '"'
_LEXEME: Final = re.compile(
    r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\],:]|-?[0-9][0-9.eE+-]*|-?Infinity|NaN|"'
)

_DETAILS: Final = {
    "syntax": "Send one JSON object (RFC 8259) encoded as UTF-8.",
    "duplicate_key": "Send each member of an object once.",
    "out_of_range": "Send integers of at most 63 bits and numbers within double precision.",
    "invalid_characters": "Leave out NUL characters and unpaired surrogates.",
    "wrong_type": "Send a JSON object, with the members of the request inside braces.",
}


class _Refused(Exception):
    """Raised by a hook, with issue code and message; where is found by the second reading."""


_DUPLICATE: Final = ("duplicate_key", "A member is there twice")
_BIG_INTEGER: Final = ("out_of_range", "An integer does not fit in 63 bits and a sign")
_BIG_NUMBER: Final = ("out_of_range", "A number is beyond double range")
_NOT_A_NUMBER: Final = ("syntax", "NaN and Infinity are not JSON")
_BAD_ESCAPE: Final = ("invalid_characters", "A text holds a NUL character or unpaired surrogate")


def loads(body: bytes, *, max_depth: int = MAX_DEPTH) -> dict[str, Any]:
    """The object in `body`; nesting counts the root as 1.

    Raises ValidationFailed with one issue: `syntax`, `duplicate_key`, `out_of_range` (an integer
    beyond 63 bits, a number beyond double range), `invalid_characters` (NUL, a lone surrogate) or
    `wrong_type` (the root is no object). Its message gives a position and never repeats input.
    """
    try:
        text = body.decode()
        value = _decoder.decode(text)
    except UnicodeDecodeError as error:
        raise _failed("syntax", f"The body is not UTF-8 at byte {error.start}.") from None
    except json.JSONDecodeError as error:
        raise _syntax(text, error.pos) from None
    except _Refused as error:
        raise _explain(text, max_depth, *error.args) from None
    except RecursionError:
        raise _explain(text, max_depth, *_too_deep(max_depth)) from None
    if _has_bad_escape(text):
        raise _explain(text, max_depth, *_BAD_ESCAPE)
    if _is_deeper(text, value, max_depth):
        raise _explain(text, max_depth, *_too_deep(max_depth))
    if type(value) is not dict:
        raise _failed("wrong_type", "The body must be a JSON object.")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _Refused(*_DUPLICATE)
    return members


def _integer(digits: str) -> int:
    # The length goes first, for a long literal would cost quadratic time.
    if len(digits) > _MAX_INTEGER_CHARS:
        raise _Refused(*_BIG_INTEGER)
    value = int(digits)
    if not _MIN_INTEGER <= value <= _MAX_INTEGER:
        raise _Refused(*_BIG_INTEGER)
    return value


def _real(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise _Refused(*_BIG_NUMBER)
    return value


def _constant(_name: str) -> None:
    raise _Refused(*_NOT_A_NUMBER)


_decoder: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_real, parse_constant=_constant
)


def _has_bad_escape(text: str) -> bool:
    """Whether a well-formed text holds NUL or a lone surrogate, which only an escape can bring."""
    if "\\u" not in text or not _SUSPECT_ESCAPE.search(text):
        return False
    return _SOUND_ESCAPES.fullmatch(text) is None


def _is_deeper(text: str, root: Any, max_depth: int) -> bool:
    if text.count("{") + text.count("[") <= max_depth:
        return False
    level = [root]
    for _ in range(max_depth):
        level = [
            child
            for node in level
            for child in (node.values() if type(node) is dict else node)
            if type(child) is dict or type(child) is list
        ]
        if not level:
            return False
    return True


class _Frame:
    """An object or array the second reading is inside of."""

    __slots__ = ("at_key", "index", "key", "keys")

    def __init__(self, *, is_object: bool) -> None:
        self.keys: set[str] | None = set() if is_object else None
        self.at_key = is_object
        self.key = ""
        self.index = 0


def _too_deep(max_depth: int) -> tuple[str, str]:
    return "syntax", f"The body is nested deeper than {max_depth} levels"


def _explain(text: str, max_depth: int, code: str, what: str) -> ValidationFailed:
    """The first thing wrong in a text that was refused, or `what` if that lies beyond the cut."""
    stack: list[_Frame] = []
    read = 0
    for match in _LEXEME.finditer(text, 0, _MAX_LOCATED_CHARS):
        lexeme = match[0]
        if lexeme == _QUOTE or match.end() == _MAX_LOCATED_CHARS:
            break
        read = match.end()
        fault = None
        if lexeme in "{[":
            fault = _too_deep(max_depth) if len(stack) == max_depth else None
            if fault is None:
                stack.append(_Frame(is_object=lexeme == "{"))
        elif lexeme in "}]":
            stack.pop()
        elif lexeme in ",:":
            _step(stack[-1], lexeme)
        else:
            fault = _fault(lexeme, stack[-1] if stack else None)
        if fault is not None:
            where = _place(text, match.start())
            return _failed(fault[0], f"{fault[1]} at {where}.", "".join(_path(stack)))
    return _failed(code, f"{what} after byte {_byte_offset(text, read)}.")


def _step(frame: _Frame, lexeme: str) -> None:
    if lexeme == ":":
        frame.at_key = False
    elif frame.keys is None:
        frame.index += 1
    else:
        frame.at_key = True


def _fault(lexeme: str, frame: _Frame | None) -> tuple[str, str] | None:
    """The issue code and message of a string or number, noting the key of the frame on the way."""
    if lexeme[0] != _QUOTE:
        return _number_fault(lexeme)
    if _has_bad_escape(lexeme):
        return _BAD_ESCAPE
    if frame is not None and frame.keys is not None and frame.at_key:
        frame.key = json.loads(lexeme)
        if frame.key in frame.keys:
            return _DUPLICATE
        frame.keys.add(frame.key)
    return None


def _number_fault(lexeme: str) -> tuple[str, str] | None:
    if lexeme.endswith(("y", "N")):
        return _NOT_A_NUMBER
    try:
        (_real if re.search("[.eE]", lexeme) else _integer)(lexeme)
    except _Refused as error:
        code, what = error.args
        return code, what
    return None


def _path(stack: list[_Frame]) -> Iterator[str]:
    for depth, frame in enumerate(stack):
        if frame.keys is None:
            yield f"[{frame.index}]"
        elif frame.key:
            yield f"{'.' if depth else ''}{printable(frame.key)}"


def _syntax(text: str, position: int) -> ValidationFailed:
    if not text:
        return _failed("syntax", "The body is empty.")
    if text[0] == "\ufeff":
        return _failed("syntax", "The body starts with a byte order mark at byte 0.")
    return _failed("syntax", f"The body is not valid JSON at {_place(text, position)}.")


def _place(text: str, position: int) -> str:
    line = text.count("\n", 0, position) + 1
    column = position - text.rfind("\n", 0, position)
    return f"line {line}, column {column} (byte {_byte_offset(text, position)})"


def _byte_offset(text: str, position: int) -> int:
    return len(text[:position].encode())


def _failed(code: str, message: str, field: str = "") -> ValidationFailed:
    return ValidationFailed(
        "The request body is not valid.", _DETAILS[code], issues=[Issue(field, code, message)]
    )
