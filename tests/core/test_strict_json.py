"""The loader of request bodies: what it takes, what it refuses, and what it says then."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from longlist.errors import Issue, ValidationFailed
from longlist.strict_json import MAX_DEPTH, loads

REFUSED: list[tuple[bytes, str]] = [
    # nothing, or more than one thing
    (b"", "syntax"),
    (b" ", "syntax"),
    (b"\n\t\r ", "syntax"),
    (b"{} {}", "syntax"),
    (b"{}{}", "syntax"),
    (b"{}x", "syntax"),
    (b"{},", "syntax"),
    (b"{}]", "syntax"),
    (b"{}\x00", "syntax"),
    (b"\x00{}", "syntax"),
    (b"{}\x0b", "syntax"),
    (b"\x0c{}", "syntax"),
    ("\u00a0{}".encode(), "syntax"),
    ("{}\u2028".encode(), "syntax"),
    # encodings
    (b"\xef\xbb\xbf{}", "syntax"),
    ("{}".encode("utf-16"), "syntax"),
    ("{}".encode("utf-16-le"), "syntax"),
    ("{}".encode("utf-32"), "syntax"),
    (b'{"a":"\xff"}', "syntax"),
    (b'{"a":"\xc3"}', "syntax"),
    (b'{"a":"\xc0\x80"}', "syntax"),
    (b'{"a":"\xe0\x80\xaf"}', "syntax"),
    (b'{"a":"\xed\xa0\x80"}', "syntax"),
    (b'{"\xed\xbf\xbf":1}', "syntax"),
    (b'{"a":"\xf4\x90\x80\x80"}', "syntax"),
    (b'{"a":"\xf8\x88\x80\x80\x80"}', "syntax"),
    (b'{"a":"caf\xe9"}', "syntax"),
    # brackets, commas, colons
    (b"{", "syntax"),
    (b"}", "syntax"),
    (b'{"a"', "syntax"),
    (b'{"a":', "syntax"),
    (b'{"a":1', "syntax"),
    (b'{"a":[1}', "syntax"),
    (b'{"a":[1,2', "syntax"),
    (b'{"a":1]', "syntax"),
    (b'{"a":1,}', "syntax"),
    (b'{"a":[1,]}', "syntax"),
    (b'{"a":[,1]}', "syntax"),
    (b"{,}", "syntax"),
    (b'{"a":1,,"b":2}', "syntax"),
    (b'{"a" 1}', "syntax"),
    (b'{"a"::1}', "syntax"),
    (b'{"a":1 "b":2}', "syntax"),
    (b'{"a":[1 2]}', "syntax"),
    (b"{a:1}", "syntax"),
    (b"{'a':1}", "syntax"),
    (b"{1:1}", "syntax"),
    (b"{null:1}", "syntax"),
    (b'{"a":1;}', "syntax"),
    (b'{"a":1} // done', "syntax"),
    (b'/* x */{"a":1}', "syntax"),
    (b'# x\n{"a":1}', "syntax"),
    # literals and numbers
    (b'{"a":NaN}', "syntax"),
    (b'{"a":Infinity}', "syntax"),
    (b'{"a":-Infinity}', "syntax"),
    (b'{"a":[1,NaN]}', "syntax"),
    (b"NaN", "syntax"),
    (b'{"a":nan}', "syntax"),
    (b'{"a":True}', "syntax"),
    (b'{"a":None}', "syntax"),
    (b'{"a":undefined}', "syntax"),
    (b'{"a":tru}', "syntax"),
    (b'{"a":nulll}', "syntax"),
    (b'{"a":01}', "syntax"),
    (b'{"a":-01}', "syntax"),
    (b'{"a":+1}', "syntax"),
    (b'{"a":-}', "syntax"),
    (b'{"a":.5}', "syntax"),
    (b'{"a":1.}', "syntax"),
    (b'{"a":1.e3}', "syntax"),
    (b'{"a":1e}', "syntax"),
    (b'{"a":1e+}', "syntax"),
    (b'{"a":0x10}', "syntax"),
    (b'{"a":1_000}', "syntax"),
    ('{"a":\u0661}'.encode(), "syntax"),
    (b'{"a":1e309}', "out_of_range"),
    (b'{"a":1e999}', "out_of_range"),
    (b'{"a":-1e999}', "out_of_range"),
    (b'{"a":[[1E400]]}', "out_of_range"),
    (b'{"a":' + b"9" * 400 + b".0}", "out_of_range"),
    (b'{"a":9223372036854775808}', "out_of_range"),
    (b'{"a":-9223372036854775809}', "out_of_range"),
    (b'{"a":' + b"1" + b"0" * 400 + b"}", "out_of_range"),
    (b'{"a":' + b"7" * 100_000 + b"}", "out_of_range"),
    (b"1e999", "out_of_range"),
    # strings
    (b'{"a":"', "syntax"),
    (b'{"a":"b}', "syntax"),
    (b'{"a":"\x00"}', "syntax"),
    (b'{"a":"\x1f"}', "syntax"),
    (b'{"a":"b\nc"}', "syntax"),
    (b'{"a":"b\tc"}', "syntax"),
    (b'{"a":"\\x41"}', "syntax"),
    (b'{"a":"\\\'"}', "syntax"),
    (b'{"a":"\\u12"}', "syntax"),
    (b'{"a":"\\u12G4"}', "syntax"),
    (b'{"a":"\\"}', "syntax"),
    (b'{"a":"\\u0000"}', "invalid_characters"),
    (b'{"a":"b\\u0000c"}', "invalid_characters"),
    (b'{"a":"\\\\\\u0000"}', "invalid_characters"),
    (b'{"\\u0000":1}', "invalid_characters"),
    (b'{"a":["x",{"b":"\\u0000"}]}', "invalid_characters"),
    (b'{"a":"\\ud800"}', "invalid_characters"),
    (b'{"a":"\\uDFFF"}', "invalid_characters"),
    (b'{"a":"\\ud83d x"}', "invalid_characters"),
    (b'{"a":"\\ude00\\ud83d"}', "invalid_characters"),
    (b'{"a":"\\ud83d\\ud83d\\ude00"}', "invalid_characters"),
    (b'{"a":"\\ud83d\\\\ude00"}', "invalid_characters"),
    (b'{"a":"\\ud83d\\u0041"}', "invalid_characters"),
    (b'{"\\udc00":1}', "invalid_characters"),
    # keys
    (b'{"a":1,"a":1}', "duplicate_key"),
    (b'{"a":1,"b":2,"a":null}', "duplicate_key"),
    (b'{"a":1,"\\u0061":2}', "duplicate_key"),
    (b'{"\\ud83d\\ude00":1,"\xf0\x9f\x98\x80":2}', "duplicate_key"),
    (b'{"":1,"":2}', "duplicate_key"),
    (b'{"a\\/b":1,"a/b":2}', "duplicate_key"),
    (b'{"a":{"b":1,"b":2}}', "duplicate_key"),
    (b'{"a":[{"b":1},{"b":1,"b":2}]}', "duplicate_key"),
    (b'[{"a":1,"a":1}]', "duplicate_key"),
    # roots
    (b"[]", "wrong_type"),
    (b'[{"a":1}]', "wrong_type"),
    (b"null", "wrong_type"),
    (b"true", "wrong_type"),
    (b"0", "wrong_type"),
    (b"-1.5", "wrong_type"),
    (b'"a"', "wrong_type"),
    (b'"{}"', "wrong_type"),
    # depth
    (b'{"a":' * 33 + b"1" + b"}" * 33, "syntax"),
    (b'{"a":' + b"[" * 32 + b"]" * 32 + b"}", "syntax"),
    (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "syntax"),
    (b"[" * 100_000 + b"]" * 100_000, "syntax"),
    (b"[" * 1_000_000, "syntax"),
    (b'{"a":[' * 100_000, "syntax"),
]


def _issue(body: bytes) -> Issue:
    with pytest.raises(ValidationFailed) as caught:
        loads(body)
    error = caught.value
    assert error.status == 400
    assert error.code == "VALIDATION_ERROR"
    assert error.details
    assert len(error.issues) == 1
    return error.issues[0]


@pytest.mark.parametrize(("body", "code"), REFUSED, ids=[repr(b[:30]) for b, _ in REFUSED])
def test_refused(body: bytes, code: str) -> None:
    assert _issue(body).code == code


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"{}", {}),
        (b" \t\r\n{ } \n", {}),
        (b'{"a":null,"b":true,"c":false}', {"a": None, "b": True, "c": False}),
        (b'{"a":9223372036854775807}', {"a": 2**63 - 1}),
        (b'{"a":-9223372036854775808}', {"a": -(2**63)}),
        (b'{"a":-0}', {"a": 0}),
        (b'{"a":1.0,"b":1e3,"c":1E+3}', {"a": 1.0, "b": 1000.0, "c": 1000.0}),
        (b'{"a":1e308,"b":1e-999}', {"a": 1e308, "b": 0.0}),
        (b'{"a":0.' + b"1" * 100_000 + b"}", {"a": 1 / 9}),
        (b'{"a":"\\\\u0000"}', {"a": "\\u0000"}),
        (b'{"a":"\\\\\\\\ud800"}', {"a": "\\\\ud800"}),
        (b'{"a":"\\ud83d\\ude00"}', {"a": "\U0001f600"}),
        (b'{"a":"\\uD83D\\uDE00\\\\ud800"}', {"a": "\U0001f600\\ud800"}),
        (b'{"a":"\\ue000\\uffff"}', {"a": "\ue000\uffff"}),
        ('{"\u00e9":"\u00e9"}'.encode(), {"\u00e9": "\u00e9"}),
        ('{"\u00e9":1,"e\u0301":2}'.encode(), {"\u00e9": 1, "e\u0301": 2}),
        (b'{"a":{"a":{"a":1}},"b":[{"a":1},{"a":1}]}', {"a": {"a": {"a": 1}}, "b": [{"a": 1}] * 2}),
        (b'{"a":"{[{[","b":"\\"}"}', {"a": "{[{[", "b": '"}'}),
        (b'{"a":"\x7f"}', {"a": "\x7f"}),
    ],
)
def test_taken(body: bytes, value: Any) -> None:
    assert loads(body) == value


def test_types_are_kept_apart() -> None:
    value = loads(b'{"i":1,"f":1.0,"s":"1","b":true}')
    assert [type(item) for item in value.values()] == [int, float, str, bool]


def test_depth_counts_the_root_and_brackets_in_texts_do_not_count() -> None:
    deepest = b'{"a":' * MAX_DEPTH + b"1" + b"}" * MAX_DEPTH
    assert loads(deepest)
    assert loads(b'{"a":' + b"[" * 31 + b"]" * 31 + b"}")
    assert loads(b'{"a":"' + b"[" * 1000 + b'"}')
    assert loads(b'{"a":[' + b"{}," * 1000 + b"[]]}")
    assert loads(b'{"a":{}}', max_depth=2)
    with pytest.raises(ValidationFailed):
        loads(b'{"a":{}}', max_depth=1)


@pytest.mark.parametrize(
    ("body", "field", "position"),
    [
        (b'{"name" "x"}', "", "line 1, column 9 (byte 8)"),
        ('{"n":"\u00e9",\n "m":tru}'.encode(), "", "line 2, column 6 (byte 16)"),
        (b'{"a":"\xff"}', "", "byte 6"),
        (b"\xef\xbb\xbf{}", "", "byte 0"),
        (b'{"a":1,\n"a":2}', "a", "line 2, column 1 (byte 8)"),
        (b'{"a":{"b":1},"c":[0,{"b":1,"b":2}]}', "c[1].b", "byte 27"),
        (b'{"a":{"b":[1,2,1e999]}}', "a.b[2]", "byte 15"),
        (b'{"a":18446744073709551616}', "a", "byte 5"),
        (b'{"a":[true,NaN]}', "a[1]", "byte 11"),
        (b'{"a":1,"name":"x\\u0000"}', "name", "byte 14"),
        (b'{"a":[{},{"b":"\\ud800"}]}', "a[1].b", "byte 14"),
        (b'{"a":' * 33 + b"1" + b"}" * 33, ".".join("a" * 32), "byte 160"),
    ],
)
def test_position(body: bytes, field: str, position: str) -> None:
    issue = _issue(body)
    assert issue.field == field
    assert position in issue.message


@pytest.mark.parametrize(
    ("tail", "code"),
    [
        (b'"a":1,"a":2}', "duplicate_key"),
        (b'"a":1e999}', "out_of_range"),
        (b'"a":"\\ud800"}', "invalid_characters"),
        (b'"a":' + b"[" * 40 + b"]" * 40 + b"}", "syntax"),
    ],
)
def test_what_lies_far_into_a_large_body_is_named_without_its_place(tail: bytes, code: str) -> None:
    issue = _issue(b'{"long":"' + b"x" * 500_000 + b'",' + tail)
    assert (issue.code, issue.field) == (code, "")
    assert "after byte 8." in issue.message


def test_names_in_paths_are_short_and_printable() -> None:
    issue = _issue(b'{"' + b"k" * 500 + b'\\u202e":1e999}')
    assert issue.field == "k" * 64
    assert _issue(b'{"\\n\\u200b":1e999}').field == ""


@pytest.mark.parametrize("body", [b for b, _ in REFUSED if b"secret" not in b][:60])
def test_no_input_is_repeated(body: bytes) -> None:
    marked = body.replace(b'"b', b'"secret').replace(b"1", b"1 secret", 1) + b" secret"
    with pytest.raises(ValidationFailed) as caught:
        loads(marked)
    assert "secret" not in caught.value.message + caught.value.details
    assert "secret" not in caught.value.issues[0].message


_texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8)
_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_texts, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(_texts, _values, max_size=5), st.booleans(), st.sampled_from([None, 1]))
@settings(max_examples=200, deadline=None)
def test_equal_to_the_standard_loader(
    value: dict[str, Any], ensure_ascii: bool, indent: int | None
) -> None:
    body = json.dumps(value, ensure_ascii=ensure_ascii, indent=indent).encode()
    assert loads(body) == json.loads(body) == value


_pieces = st.sampled_from(
    [*'{}[],:"\\ ', "null", "true", "NaN", "1", "-", "0", ".5", "e9", "e999", "9" * 19, "\n", "[]"]
) | st.sampled_from(
    ['"a":', '"b":', '"a"', '{"a":1}', "\\u0061", "\\u0000", "\\ud83d", "\\ude00", "\u00e9"]
)


@given(st.lists(_pieces, max_size=12).map("".join))
@example('"a":"\\ud83d\\ude00"')
@settings(max_examples=500, deadline=None)
def test_what_is_taken_is_json_for_two_other_loaders(inside: str) -> None:
    """Soup that happens to be accepted means the same to everyone, and holds no bad value."""
    body = f"{{{inside}}}".encode()
    try:
        value = loads(body)
    except ValidationFailed:
        return
    assert value == msgspec.json.decode(body) == json.loads(body)
    text = json.dumps(value, ensure_ascii=False)
    text.encode()
    assert "\\u0000" not in text.replace("\\\\", "")
    assert all(math.isfinite(v) for v in value.values() if isinstance(v, float))


@given(st.binary(max_size=40))
@settings(max_examples=200, deadline=None)
def test_any_bytes_give_an_object_or_a_400(body: bytes) -> None:
    for candidate in (body, b'{"a":"' + body + b'"}'):
        try:
            assert type(loads(candidate)) is dict
        except ValidationFailed as error:
            assert len(error.issues) == 1
