"""Bodies that PATCH audience must refuse with 400 (contract 3.5, 1.10).

Each with the field and the issue code of its first issue; the field is a path, empty for the whole
body.
"""

from __future__ import annotations

import json
from typing import Any, Final, NamedTuple


class Bad(NamedTuple):
    """A body and the issue it gets."""

    body: bytes
    field: str
    code: str


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _nested(levels: int) -> bytes:
    """A body `levels` deep, the root counted."""
    return b'{"x":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"


_SYNTAX: Final = {
    "empty": b"",
    "white space": b" \r\n\t",
    "a word": b"name",
    "an open object": b'{"name": "x"',
    "an open string": b'{"name": "x',
    "trailing comma": b'{"name": "x",}',
    "trailing garbage": b'{"name": "x"} x',
    "two objects": b'{"name": "x"}{"name": "y"}',
    "a comment": b'{"name": "x" /* no */}',
    "single quotes": b"{'name': 'x'}",
    "a bare name": b'{name: "x"}',
    "no colon": b'{"name" "x"}',
    "a raw line feed in a string": b'{"name": "a\nb"}',
    "a raw NUL in a string": b'{"name": "a\x00b"}',
    "a raw NUL after it": b'{"name": "x"}\x00',
    "an unknown escape": b'{"name": "\\x41"}',
    "a short escape": b'{"name": "\\u00e"}',
    "a plus sign": b'{"name": +1}',
    "a leading zero": b'{"name": 01}',
    "a bare point": b'{"name": 1.}',
    "a missing digit": b'{"name": .5}',
    "hexadecimal": b'{"name": 0x10}',
    "True": b'{"name": True}',
    "NaN": b'{"name": NaN}',
    "Infinity": b'{"name": Infinity}',
    "minus Infinity": b'{"name": -Infinity}',
    "a byte order mark": b'\xef\xbb\xbf{"name": "x"}',
    "UTF-16": '{"name": "x"}'.encode("utf-16"),
    "Latin-1": '{"name": "é"}'.encode("latin-1"),
    "an overlong form": b'{"name": "\xc0\xaf"}',
    "an encoded surrogate": b'{"name": "\xed\xa0\x80"}',
    "beyond Unicode": b'{"name": "\xf4\x90\x80\x80"}',
    "an unbroken form": b"name=x&description=y",
}

BAD: Final[dict[str, Bad]] = {
    **{f"syntax: {name}": Bad(body, "", "syntax") for name, body in _SYNTAX.items()},
    "33 levels": Bad(_nested(33), "x" + "[0]" * 31, "syntax"),
    "100,000 levels": Bad(_nested(100_000), "x" + "[0]" * 31, "syntax"),
    "root array": Bad(b"[]", "", "wrong_type"),
    "root array with an object": Bad(b'[{"name": "x"}]', "", "wrong_type"),
    "root string": Bad(b'"name"', "", "wrong_type"),
    "root number": Bad(b"1", "", "wrong_type"),
    "root null": Bad(b"null", "", "wrong_type"),
    "root true": Bad(b"true", "", "wrong_type"),
    "no member": Bad(b"{}", "", "at_least_one"),
    "duplicate key": Bad(b'{"name": "a", "name": "b"}', "name", "duplicate_key"),
    "equal duplicate": Bad(b'{"name": "a", "name": "a"}', "name", "duplicate_key"),
    "duplicate once decoded": Bad(b'{"name": "a", "n\\u0061me": "b"}', "name", "duplicate_key"),
    "duplicate below": Bad(b'{"x": [{"a": 1, "a": 2}]}', "x[0].a", "duplicate_key"),
    "escaped NUL": Bad(b'{"name": "a\\u0000b"}', "name", "invalid_characters"),
    "NUL in a member's name": Bad(b'{"a\\u0000": 1}', "", "invalid_characters"),
    "lone high surrogate": Bad(b'{"name": "\\ud800"}', "name", "invalid_characters"),
    "lone low surrogate": Bad(b'{"name": "\\udc00 x"}', "name", "invalid_characters"),
    "surrogates reversed": Bad(b'{"name": "\\udc00\\ud800"}', "name", "invalid_characters"),
    "1e999": Bad(b'{"name": 1e999}', "name", "out_of_range"),
    "-1e999": Bad(b'{"description": -1e999}', "description", "out_of_range"),
    "an integer beyond 63 bits": Bad(b'{"name": 9223372036854775808}', "name", "out_of_range"),
    "an integer of 5,000 digits": Bad(b'{"name": 1%b}' % (b"0" * 5000), "name", "out_of_range"),
    "unknown member": Bad(_json({"nme": "x"}), "nme", "unknown_field"),
    "unknown beside a good one": Bad(_json({"name": "x", "owner": 1}), "owner", "unknown_field"),
    "other case": Bad(_json({"Name": "x"}), "Name", "unknown_field"),
    "snake case": Bad(_json({"folder_id": "x"}), "folder_id", "unknown_field"),
    "an empty member name": Bad(_json({"": "x"}), "", "unknown_field"),
    "a long member name": Bad(_json({"n" * 300: "x"}), "n" * 64, "unknown_field"),
    "version": Bad(_json({"name": "x", "version": 2}), "version", "unknown_field"),
    "activeJobId": Bad(_json({"activeJobId": None}), "activeJobId", "unknown_field"),
    "__proto__": Bad(_json({"name": "x", "__proto__": {}}), "__proto__", "unknown_field"),
    "id": Bad(_json({"name": "x", "id": "0" * 24}), "id", "not_settable"),
    "type": Bad(_json({"name": "x", "type": "monitoring"}), "type", "not_settable"),
    "folderId": Bad(_json({"name": "x", "folderId": None}), "folderId", "not_settable"),
    "prospectCount": Bad(_json({"name": "x", "prospectCount": 0}), "prospectCount", "not_settable"),
    "createdAt": Bad(_json({"name": "x", "createdAt": None}), "createdAt", "not_settable"),
    "folderId alone": Bad(_json({"folderId": "0" * 24}), "folderId", "not_settable"),
    "name null": Bad(_json({"name": None}), "name", "null_not_allowed"),
    "name null beside": Bad(_json({"name": None, "description": "x"}), "name", "null_not_allowed"),
    "name a number": Bad(_json({"name": 1}), "name", "wrong_type"),
    "name a boolean": Bad(_json({"name": True}), "name", "wrong_type"),
    "name an array": Bad(_json({"name": ["x"]}), "name", "wrong_type"),
    "name an object": Bad(_json({"name": {"x": 1}}), "name", "wrong_type"),
    "name empty": Bad(_json({"name": ""}), "name", "too_short"),
    "name of blanks": Bad(_json({"name": "   "}), "name", "too_short"),
    "name of white space": Bad(_json({"name": "\t\n\u00a0\u2003\u3000"}), "name", "too_short"),
    "name of a zero width space": Bad(_json({"name": "\u200b"}), "name", "too_short"),
    "name of invisibles": Bad(_json({"name": "\u200d\u2060\ufeff\u00ad"}), "name", "too_short"),
    "name of 256": Bad(_json({"name": "n" * 256}), "name", "too_long"),
    "name of 256 four-byte": Bad(_json({"name": "\U0001f600" * 256}), "name", "too_long"),
    "name of 100,000": Bad(_json({"name": "n" * 100_000}), "name", "too_long"),
    "name with line feed": Bad(_json({"name": "a\nb"}), "name", "invalid_characters"),
    "name with carriage return": Bad(_json({"name": "a\rb"}), "name", "invalid_characters"),
    "name with tab": Bad(_json({"name": "a\tb"}), "name", "invalid_characters"),
    "name with escape": Bad(_json({"name": "a\u001bb"}), "name", "invalid_characters"),
    "name with delete": Bad(_json({"name": "a\u007fb"}), "name", "invalid_characters"),
    "name with C1": Bad(_json({"name": "a\u0085b"}), "name", "invalid_characters"),
    "name with line separator": Bad(_json({"name": "a\u2028b"}), "name", "invalid_characters"),
    "name with paragraph": Bad(_json({"name": "a\u2029b"}), "name", "invalid_characters"),
    "name with override": Bad(_json({"name": "a\u202eb"}), "name", "invalid_characters"),
    "name with isolate": Bad(_json({"name": "a\u2066b"}), "name", "invalid_characters"),
    "description a number": Bad(_json({"description": 0}), "description", "wrong_type"),
    "description false": Bad(_json({"description": False}), "description", "wrong_type"),
    "description an array": Bad(_json({"description": []}), "description", "wrong_type"),
    "description an object": Bad(_json({"description": {}}), "description", "wrong_type"),
    "description of 2,001": Bad(_json({"description": "d" * 2001}), "description", "too_long"),
    "description with form feed": Bad(
        _json({"description": "a\fb"}), "description", "invalid_characters"
    ),
    "description with backspace": Bad(
        _json({"description": "a\bb"}), "description", "invalid_characters"
    ),
    "description with C1": Bad(
        _json({"description": "a\u0080b"}), "description", "invalid_characters"
    ),
    "good name, bad description": Bad(
        _json({"name": "Good", "description": 1}), "description", "wrong_type"
    ),
}
for _name in ("NaN", "Infinity", "minus Infinity"):
    # The loader can say where these are: they are syntax all the same.
    BAD[f"syntax: {_name}"] = BAD[f"syntax: {_name}"]._replace(field="name")

BAD_QUERIES: Final = {
    "x=1": ("query.x", "unknown_parameter"),
    "name=x": ("query.name", "unknown_parameter"),
    "x": ("query.x", "unknown_parameter"),
    "x=": ("query.x", "unknown_parameter"),
    "limit=1": ("query.limit", "unknown_parameter"),
    "%00=1": ("query", "unknown_parameter"),
    "accountGroupId=x": ("query.accountGroupId", "unknown_parameter"),
}
BAD_IDS: Final = (
    "x",
    "0" * 23,
    "0" * 25,
    "0123456789ABCDEF01234567",
    "g" * 24,
    "%00" * 24,
    "0123456789abcdef0123456%37x",
    "-1",
    "null",
    "%F0%9F%98%80",
    "..",
    "0123456789abcdef01234567%0A",
    "%D9%A0" * 24,
)
