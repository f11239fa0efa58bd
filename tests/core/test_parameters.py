"""Query parameters and path ids (contract 1.4, 1.6, 1.10)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longlist.decoding import Query, compile_query, path_id
from longlist.errors import ValidationFailed
from tests.core.request_types import ID, ListAudiences, error_of, found_in

listing = compile_query(ListAudiences)


@pytest.mark.parametrize(
    ("raw", "member", "value"),
    [
        (b"", "limit", 50),
        (b"limit=1", "limit", 1),
        (b"limit=200", "limit", 200),
        (b"limit=007", "limit", 7),
        (b"limit=%31%30", "limit", 10),
        (b"%6Cimit=9", "limit", 9),
        (b"q=a+b%20c", "q", "a b c"),
        (b"q=+", "q", " "),
        (b"q=a=b", "q", "a=b"),
        (b"q=e%CC%81", "q", "\u00e9"),
        (b"q=%25", "q", "%"),
        (b"q=\xc3\xa9", "q", "\u00e9"),
        (b"folderId=none", "folder_id", "none"),
        (b"folderId=" + ID.encode(), "folder_id", bytes.fromhex(ID)),
        (b"ungroup=true", "ungroup", True),
        (b"ungroup=false", "ungroup", False),
        (b"kinds=a,b", "kinds", ["a", "b"]),
        (b"after=9223372036854775807", "after", 2**63 - 1),
        (b"&&limit=3&", "limit", 3),
    ],
)
def test_good_queries(raw: bytes, member: str, value: Any) -> None:
    found = getattr(listing.decode(raw), member)
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize(
    ("raw", "issues"),
    [
        (b"limit=", [("query.limit", "invalid_format")]),
        (b"limit", [("query.limit", "invalid_format")]),
        (b"limit=0", [("query.limit", "out_of_range")]),
        (b"limit=201", [("query.limit", "out_of_range")]),
        (b"limit=-1", [("query.limit", "invalid_format")]),
        (b"limit=+1", [("query.limit", "invalid_format")]),
        (b"limit=1.0", [("query.limit", "invalid_format")]),
        (b"limit=1e1", [("query.limit", "invalid_format")]),
        (b"limit=1_0", [("query.limit", "invalid_format")]),
        (b"limit=%D9%A1", [("query.limit", "invalid_format")]),
        (b"limit=1%0A", [("query.limit", "invalid_format")]),
        (b"limit=" + b"9" * 8000, [("query.limit", "out_of_range")]),
        (b"after=9223372036854775808", [("query.after", "out_of_range")]),
        (b"limit=1&limit=1", [("query.limit", "repeated_parameter")]),
        (b"limit=1&%6cimit=1", [("query.limit", "repeated_parameter")]),
        (b"nope=1", [("query.nope", "unknown_parameter")]),
        (b"Limit=1", [("query.Limit", "unknown_parameter")]),
        (b"folder_id=none", [("query.folder_id", "unknown_parameter")]),
        (b"limit[]=1", [("query.limit[]", "unknown_parameter")]),
        (b"=1", [("query", "unknown_parameter")]),
        (b"a;limit=1", [("query.a;limit", "unknown_parameter")]),
        (b"q=", [("query.q", "too_short")]),
        (b"q=%00", [("query.q", "invalid_characters")]),
        (b"q=%ED%A0%80", [("query.q", "invalid_characters")]),
        (b"q=%FF", [("query.q", "invalid_characters")]),
        (b"q=\xff", [("query.q", "invalid_characters")]),
        (b"q=%", [("query.q", "invalid_format")]),
        (b"q=%4", [("query.q", "invalid_format")]),
        (b"q=%u0041", [("query.q", "invalid_format")]),
        (b"%zz=1", [("query", "invalid_format")]),
        (b"q=" + b"x" * 256, [("query.q", "too_long")]),
        (b"type=other", [("query.type", "invalid_choice")]),
        (b"type=", [("query.type", "invalid_choice")]),
        (b"ungroup=1", [("query.ungroup", "invalid_format")]),
        (b"ungroup=True", [("query.ungroup", "invalid_format")]),
        (b"ungroup=", [("query.ungroup", "invalid_format")]),
        (b"folderId=", [("query.folderId", "invalid_format")]),
        (b"folderId=null", [("query.folderId", "invalid_format")]),
        (b"cursor=", [("query.cursor", "invalid_cursor")]),
        (b"cursor=a%20b", [("query.cursor", "invalid_cursor")]),
        (b"cursor=" + b"x" * 1025, [("query.cursor", "invalid_cursor")]),
        (b"kinds=", [("query.kinds[0]", "invalid_choice")]),
        (b"kinds=a,c", [("query.kinds[1]", "invalid_choice")]),
        (b"kinds=a,b,a", [("query.kinds", "too_long")]),
        (b"x=1&limit=0", [("query.x", "unknown_parameter"), ("query.limit", "out_of_range")]),
    ],
)
def test_bad_queries(raw: bytes, issues: list[tuple[str, str]]) -> None:
    assert found_in(listing.decode, raw) == issues


def test_a_query_without_parameters() -> None:
    error = error_of(compile_query(Query).decode, b"x=1")
    assert error.message == "The request query is not valid."
    assert error.details == "Remove query.x from the query."
    assert compile_query(Query).decode(b"") == Query()


def test_path_ids() -> None:
    assert path_id(ID, "audienceId") == bytes.fromhex(ID)
    for bad in ("", "x", ID.upper(), ID + "\n", ID[1:], ID + "00"):
        assert found_in(path_id, bad, "audienceId") == [("path.audienceId", "invalid_format")]


@given(st.binary(max_size=40))
@settings(max_examples=200, deadline=None)
def test_any_query_decodes_or_is_a_400(raw: bytes) -> None:
    for candidate in (raw, b"q=" + raw, b"limit=" + raw):
        try:
            listing.decode(candidate)
        except ValidationFailed as error:
            assert all(issue.field.startswith("query") for issue in error.issues)
