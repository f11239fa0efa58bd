"""Decoding of request bodies against declared types (contract 1.4, 1.10)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longlist.decoding import UNSET, Body, Name, compile
from longlist.errors import ValidationFailed
from longlist.strict_json import loads
from tests.core.request_types import (
    ID,
    AddProspects,
    CreateAudience,
    FileImport,
    Message,
    MoveToFolder,
    Row,
    UpdateAudience,
    Upload,
    found_in,
)

N, D = "name", "description"

update = compile(UpdateAudience)
create = compile(CreateAudience)
start = compile(Upload | FileImport)
message = compile(Message)


@pytest.mark.parametrize(
    ("body", "issues"),
    [
        ({}, [("name", "required"), ("type", "required")]),
        ({N: "x"}, [("type", "required")]),
        ({N: None, "type": None}, [(N, "null_not_allowed"), ("type", "null_not_allowed")]),
        ({N: "x", "type": "Monitoring"}, [("type", "invalid_choice")]),
        ({N: "x", "type": ""}, [("type", "invalid_choice")]),
        ({N: "x", "type": ["on_demand"]}, [("type", "wrong_type")]),
        ({N: "x", "type": True}, [("type", "wrong_type")]),
        ({N: "x", "type": "on_demand", D: 5}, [(D, "wrong_type")]),
    ],
)
def test_bad_create(body: dict[str, Any], issues: list[tuple[str, str]]) -> None:
    assert found_in(create.decode, body) == issues


def test_null_equals_missing_on_create() -> None:
    assert create.decode({N: "x", "type": "on_demand", D: None}).description is None
    decoded = message.decode({"prospectIds": [ID], "message": "x", "labels": None, "rotate": None})
    assert (decoded.labels, decoded.rotate) == ([], UNSET)
    decoded.labels.append("y")
    assert message.decode({"prospectIds": [ID], "message": "x", "labels": None}).labels == []


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (None, "null_not_allowed"),
        (1, "wrong_type"),
        ("", "invalid_format"),
        (ID[:-1], "invalid_format"),
        (ID + "0", "invalid_format"),
        (ID + "\n", "invalid_format"),
        (ID.upper(), "invalid_format"),
        (" " + ID[1:], "invalid_format"),
        ("\u0661" * 24, "invalid_format"),
    ],
)
def test_ids(value: Any, code: str) -> None:
    move = compile(MoveToFolder)
    assert move.decode({"folderId": ID}).folder_id == bytes.fromhex(ID)
    assert found_in(move.decode, {"folderId": value}) == [("folderId", code)]


URL = "https://www.linkedin.com/in/ada-example"


@pytest.mark.parametrize(
    "url",
    [
        URL,
        URL + "/",
        URL + "?trk=x&y=%20",
        URL + "#top",
        "HTTPS://LinkedIn.com/in/a",
        "https://nl.linkedin.com:443/in/a",
        "https://linkedin.com/in/jos\u00e9",
        f"  {URL}\n",
    ],
)
def test_profile_urls_taken(url: str) -> None:
    body = start.decode({"type": "url_upload", "audienceName": "x", "profileUrls": [url]})
    assert type(body) is Upload
    assert body.profile_urls == [url.strip()]


@pytest.mark.parametrize(
    ("url", "code"),
    [
        (1, "wrong_type"),
        (None, "null_not_allowed"),
        ("", "too_short"),
        (URL + "x" * 2048, "too_long"),
        (URL + "\x00", "invalid_characters"),
        *(
            (bad, "invalid_format")
            for bad in [
                "ada-example",
                "//linkedin.com/in/a",
                "http://linkedin.com/in/a",
                "ftp://linkedin.com/in/a",
                "https:linkedin.com/in/a",
                "https://linkedin.com",
                "https://linkedin.com/in/",
                "https://linkedin.com/in/a/b",
                "https://linkedin.com/in/..",
                "https://linkedin.com/in/%2E%2e",
                "https://linkedin.com/IN/a",
                "https://linkedin.com/company/a",
                "https://evil.example/in/a",
                "https://notlinkedin.com/in/a",
                "https://linkedin.com.evil.example/in/a",
                "https://linkedin.com@evil.example/in/a",
                "https://user:pw@linkedin.com/in/a",
                "https://evil.example\\@linkedin.com/in/a",
                "https://linkedin.com:99999/in/a",
                "https://linkedin.com:/in/a",
                "https://l\u0131nkedin.com/in/a",
                "https://linkedin.com/in/a b",
                "https://linkedin.com/in/a\u3000b",
                "https://-linkedin.com/in/a",
                "https:///in/a",
            ]
        ),
    ],
)
def test_profile_urls_refused(url: Any, code: str) -> None:
    body = {"type": "url_upload", "audienceName": "x", "profileUrls": [URL, URL, url]}
    assert found_in(start.decode, body) == [("profileUrls[2]", code)]


@pytest.mark.parametrize(
    ("body", "issues"),
    [
        ({}, [("type", "required")]),
        ({"type": None}, [("type", "null_not_allowed")]),
        ({"type": 1}, [("type", "wrong_type")]),
        ({"type": []}, [("type", "wrong_type")]),
        ({"type": "Upload", "x": 1}, [("type", "invalid_choice")]),
        (
            {"type": "file_import"},
            [("fileId", "required"), ("", "exactly_one")],
        ),
        (
            {"type": "file_import", "fileId": ID, "audienceId": ID, "audienceName": "x"},
            [("", "exactly_one")],
        ),
        (
            {"type": "file_import", "fileId": ID, "audienceId": ID, "profileUrls": [URL]},
            [("profileUrls", "unknown_field")],
        ),
        (
            {"type": "url_upload", "audienceId": ID, "profileUrls": [URL], "fileId": ID},
            [("fileId", "unknown_field")],
        ),
        (
            {"type": "url_upload", "audienceId": ID, "profileUrls": []},
            [("profileUrls", "too_short")],
        ),
        (
            {"type": "url_upload", "audienceId": ID, "profileUrls": [1] * 6},
            [("profileUrls", "too_long")],
        ),
        (
            {"type": "url_upload", "audienceId": ID, "profileUrls": {"0": URL}},
            [("profileUrls", "wrong_type")],
        ),
        (
            {"type": "file_import", "fileId": ID, "audienceId": ID, "mapping": {"a\n": 1, "b": {}}},
            [("mapping.a", "wrong_type"), ("mapping.b", "wrong_type")],
        ),
        (
            {"type": "file_import", "fileId": ID, "audienceId": ID, "mapping": []},
            [("mapping", "wrong_type")],
        ),
        (
            {
                "type": "file_import",
                "fileId": ID,
                "audienceId": ID,
                "mapping": dict.fromkeys("abcd"),
            },
            [("mapping", "too_long")],
        ),
        (
            {"type": "file_import", "fileId": ID, "audienceId": ID, "dryRun": 1},
            [("dryRun", "wrong_type")],
        ),
        (
            {"type": "file_import", "fileId": ID, "audienceId": ID, "dryRun": "true"},
            [("dryRun", "wrong_type")],
        ),
    ],
)
def test_bad_unions(body: dict[str, Any], issues: list[tuple[str, str]]) -> None:
    assert found_in(start.decode, body) == issues


def test_good_union() -> None:
    body = start.decode(
        {
            "type": "file_import",
            "fileId": ID,
            "audienceId": None,
            "audienceName": " x ",
            "mapping": {"Mail": "email", "Notes": None},
            "dryRun": None,
        }
    )
    assert body == FileImport(
        file_id=bytes.fromhex(ID),
        audience_name="x",
        mapping={"Mail": "email", "Notes": None},
    )


@pytest.mark.parametrize(
    ("literal", "outcome"),
    [
        (b"1", 1),
        (b"2000", 2000),
        (b"1.0", 1),
        (b"1e3", 1000),
        (b"2.0E+3", 2000),
        (b"15e-1", "wrong_type"),
        (b"1.5", "wrong_type"),
        (b'"1"', "wrong_type"),
        (b"true", "wrong_type"),
        (b"[1]", "wrong_type"),
        (b"0", "out_of_range"),
        (b"-1", "out_of_range"),
        (b"2001", "out_of_range"),
        (b"1e300", "out_of_range"),
        (b"9223372036854775807", "out_of_range"),
    ],
)
def test_integers(literal: bytes, outcome: int | str) -> None:
    body = loads(
        b'{"type":"file_import","fileId":"%b","audienceId":"%b","maxResults":%b}'
        % (ID.encode(), ID.encode(), literal)
    )
    if isinstance(outcome, str):
        assert found_in(start.decode, body) == [("maxResults", outcome)]
    else:
        found = start.decode(body).max_results
        assert (type(found), found) == (int, outcome)


@pytest.mark.parametrize(
    ("member", "value", "issues"),
    [
        ("prospectIds", [ID, ID], [("prospectIds[1]", "invalid_choice")]),
        (
            "prospectIds",
            ["x", None, 3],
            [("[0]", "invalid_format"), ("[1]", "null_not_allowed"), ("[2]", "wrong_type")],
        ),
        ("prospectIds", [], [("prospectIds", "too_short")]),
        ("message", "", [("message", "too_short")]),
        ("message", " \n", [("message", "too_short")]),
        ("message", "x" * 11, [("message", "too_long")]),
        ("at", "2026-03-04T05:06:07Z", [("at", "invalid_format")]),
        ("at", "2026-03-04T05:06:07.089+00:00", [("at", "invalid_format")]),
        ("at", "2026-03-04 05:06:07.089Z", [("at", "invalid_format")]),
        ("at", "2026-02-30T05:06:07.089Z", [("at", "invalid_format")]),
        ("at", "2026-03-04T25:06:07.089Z", [("at", "invalid_format")]),
        ("at", "2026-03-04T05:06:60.089Z", [("at", "invalid_format")]),
        ("at", "0000-03-04T05:06:07.089Z", [("at", "invalid_format")]),
        ("at", "2026-03-04T05:06:07.089z", [("at", "invalid_format")]),
        ("at", "2026-03-04T05:06:07.089Z\n", [("at", "invalid_format")]),
        ("at", 1772600767089, [("at", "wrong_type")]),
        ("url", "https://example.com/#x", [("url", "invalid_format")]),
        ("url", "https://example.com/", [("subject", "required")]),
        ("rotate", False, [("rotate", "invalid_choice")]),
        ("rotate", 1, [("rotate", "wrong_type")]),
        ("subject", "x", [("subject", "too_short")]),
        ("subject", "xxxxxx", [("subject", "too_long")]),
        ("key", "a b", [("key", "invalid_format")]),
        ("key", "abcde", [("key", "invalid_format")]),
        ("key", "", [("key", "invalid_format")]),
        ("key", "\u00e9", [("key", "invalid_format")]),
        ("folder", "nowhere", [("folder", "invalid_format")]),
        ("folder", 1, [("folder", "wrong_type")]),
        ("labels", ["x", ""], [("labels[1]", "too_short")]),
    ],
)
def test_bad_members(member: str, value: Any, issues: list[tuple[str, str]]) -> None:
    found = found_in(message.decode, {"prospectIds": [ID], "message": "x", member: value})
    expected = [(member + f if f.startswith("[") else f, code) for f, code in issues]
    assert found == expected


def test_good_members() -> None:
    body = message.decode(
        {
            "prospectIds": [ID, ID[::-1]],
            "message": " x\r\n",
            "at": "2026-03-04T05:06:07.089Z",
            "url": "https://[::1]:8443",
            "rotate": True,
            "subject": " hello ",
            "key": "a!~Z",
            "folder": "none",
            "labels": [" a ", "a"],
        }
    )
    assert body == Message(
        prospect_ids=[bytes.fromhex(ID), bytes.fromhex(ID[::-1])],
        message=" x\n",
        at=1_772_600_767_089,
        url="https://[::1]:8443",
        rotate=True,
        subject="hello",
        key="a!~Z",
        folder="none",
        labels=["a", "a"],
    )
    with_id = message.decode({"prospectIds": [ID], "message": "x", "folder": ID})
    assert with_id.folder == bytes.fromhex(ID)


def test_rows_are_checked_for_shape_and_not_for_values() -> None:
    add = compile(AddProspects)
    rows = [
        {"firstName": "\x00" * 9999, "email": "no", "company": {"name": ""}},
        {"company": None},
    ]
    decoded = add.decode({"prospects": rows})
    assert decoded.prospects[0].first_name == "\x00" * 9999
    assert decoded.prospects[1] == Row()
    assert found_in(
        add.decode,
        {
            "prospects": [
                {"firstName": 1},
                5,
                {"company": {"name": []}},
                {"id": ID},
                None,
                {"company": {"x": 1}, "email": None},
                {"company": "ACME"},
            ]
        },
    ) == [
        ("prospects[0].firstName", "wrong_type"),
        ("prospects[1]", "wrong_type"),
        ("prospects[2].company.name", "wrong_type"),
        ("prospects[3].id", "unknown_field"),
        ("prospects[4]", "null_not_allowed"),
        ("prospects[5].company.x", "unknown_field"),
        ("prospects[6].company", "wrong_type"),
    ]
    assert found_in(add.decode, {"prospects": []}) == [("prospects", "too_short")]
    assert found_in(add.decode, {"prospects": [{}] * 1001}) == [("prospects", "too_long")]
    assert len(add.decode({"prospects": [{}] * 1000}).prospects) == 1000


@pytest.mark.parametrize("hint", [str, int, float, bytes, list[Name], dict[str, Name], Any])
def test_a_member_without_limits_is_refused_at_compile_time(hint: Any) -> None:
    loose = msgspec.defstruct("Loose", [("x", hint)], bases=(Body,))
    with pytest.raises(TypeError):
        compile(loose)


def test_a_union_needs_tags() -> None:
    with pytest.raises(TypeError):
        compile(CreateAudience | UpdateAudience)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
_members = st.sampled_from([N, D, "type", "fileId", "mapping", "audienceId", "prospectIds", "at"])


@given(st.dictionaries(_members | st.text(max_size=4), _json, max_size=5))
@settings(max_examples=200, deadline=None)
def test_any_object_decodes_or_is_a_400(body: dict[str, Any]) -> None:
    for decoder in (update, create, start, message):
        try:
            decoder.decode(body)
        except ValidationFailed as error:
            assert error.issues
