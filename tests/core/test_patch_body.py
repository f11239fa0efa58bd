"""PATCH audience bodies (contract 3.5): every way to be wrong, and what is taken."""

from __future__ import annotations

from typing import Any

import pytest

from longlist.decoding import UNSET, compile
from longlist.errors import Issue, error_object
from tests.core.request_types import ID, UpdateAudience, error_of, found_in

update = compile(UpdateAudience)

N, D = "name", "description"
BAD_PATCHES: list[tuple[dict[str, Any], list[tuple[str, str]]]] = [
    ({}, [("", "at_least_one")]),
    ({N: None}, [(N, "null_not_allowed")]),
    ({N: None, D: "x"}, [(N, "null_not_allowed")]),
    ({N: 1}, [(N, "wrong_type")]),
    ({N: 0}, [(N, "wrong_type")]),
    ({N: 1.5}, [(N, "wrong_type")]),
    ({N: True}, [(N, "wrong_type")]),
    ({N: False}, [(N, "wrong_type")]),
    ({N: []}, [(N, "wrong_type")]),
    ({N: ["x"]}, [(N, "wrong_type")]),
    ({N: {}}, [(N, "wrong_type")]),
    ({N: {"name": "x"}}, [(N, "wrong_type")]),
    ({N: ""}, [(N, "too_short")]),
    ({N: " "}, [(N, "too_short")]),
    ({N: "\t\r\n"}, [(N, "too_short")]),
    ({N: "\u00a0\u2003\u3000"}, [(N, "too_short")]),
    ({N: "\u2028"}, [(N, "too_short")]),
    ({N: "\u200b"}, [(N, "too_short")]),
    ({N: " \u200b\u200d "}, [(N, "too_short")]),
    ({N: "\u2060\ufeff"}, [(N, "too_short")]),
    ({N: "\u00ad"}, [(N, "too_short")]),
    ({N: "\u3164"}, [(N, "too_short")]),
    ({N: "\u115f\u1160\uffa0"}, [(N, "too_short")]),
    ({N: "\u2800\u2800"}, [(N, "too_short")]),
    ({N: "\ufe0f"}, [(N, "too_short")]),
    ({N: "\U000e0020\U000e007f"}, [(N, "too_short")]),
    ({N: "\u0301"}, [(N, "too_short")]),
    ({N: "x" * 256}, [(N, "too_long")]),
    ({N: "\u00e9" * 256}, [(N, "too_long")]),
    ({N: "e\u0301" * 256}, [(N, "too_long")]),
    ({N: "\U0001f600" * 256}, [(N, "too_long")]),
    ({N: "\u0958" * 128}, [(N, "too_long")]),
    ({N: "x" * 1_000_000}, [(N, "too_long")]),
    ({N: "a\nb"}, [(N, "invalid_characters")]),
    ({N: "a\tb"}, [(N, "invalid_characters")]),
    ({N: "a\rb"}, [(N, "invalid_characters")]),
    ({N: "a\x00b"}, [(N, "invalid_characters")]),
    ({N: "a\x1bb"}, [(N, "invalid_characters")]),
    ({N: "\x1fa"}, [(N, "invalid_characters")]),
    ({N: "a\x7f"}, [(N, "invalid_characters")]),
    ({N: "a\x85b"}, [(N, "invalid_characters")]),
    ({N: "a\x9fb"}, [(N, "invalid_characters")]),
    ({N: "a\u2028b"}, [(N, "invalid_characters")]),
    ({N: "a\u2029b"}, [(N, "invalid_characters")]),
    ({N: "a\u202eb"}, [(N, "invalid_characters")]),
    ({N: "\u202ax"}, [(N, "invalid_characters")]),
    ({N: "a\u2066b\u2069"}, [(N, "invalid_characters")]),
    ({D: 1}, [(D, "wrong_type")]),
    ({D: True}, [(D, "wrong_type")]),
    ({D: []}, [(D, "wrong_type")]),
    ({D: {}}, [(D, "wrong_type")]),
    ({D: "x" * 2001}, [(D, "too_long")]),
    ({D: " " * 2001}, [(D, "too_long")]),
    ({D: "a\n" * 1001}, [(D, "too_long")]),
    ({D: "\u0958" * 1001}, [(D, "too_long")]),
    ({D: "a\x00"}, [(D, "invalid_characters")]),
    ({D: "a\x0bb"}, [(D, "invalid_characters")]),
    ({D: "\x0c"}, [(D, "invalid_characters")]),
    ({D: "a\x1b[31m"}, [(D, "invalid_characters")]),
    ({D: "a\x85b"}, [(D, "invalid_characters")]),
    ({D: "\x7f"}, [(D, "invalid_characters")]),
    ({"id": ID}, [("id", "not_settable")]),
    ({"type": "on_demand"}, [("type", "not_settable")]),
    ({"folderId": ID}, [("folderId", "not_settable")]),
    ({"folderId": None}, [("folderId", "not_settable")]),
    ({"prospectCount": 0}, [("prospectCount", "not_settable")]),
    ({"createdAt": "2026-03-04T05:06:07.089Z"}, [("createdAt", "not_settable")]),
    ({N: "x", "folderId": ID}, [("folderId", "not_settable")]),
    ({N: "x", "id": None}, [("id", "not_settable")]),
    ({"nope": 1}, [("nope", "unknown_field")]),
    ({N: "x", "nope": None}, [("nope", "unknown_field")]),
    ({"Name": "x"}, [("Name", "unknown_field")]),
    ({"name ": "x"}, [("name ", "unknown_field")]),
    ({"folder_id": ID}, [("folder_id", "unknown_field")]),
    ({"n\u00e4me": "x"}, [("n\u00e4me", "unknown_field")]),
    ({"": "x"}, [("", "unknown_field")]),
    ({"__class__": {}}, [("__class__", "unknown_field")]),
    ({"a\x00\u202eb": "x"}, [("ab", "unknown_field")]),
    ({"k" * 500: "x"}, [("k" * 64, "unknown_field")]),
    ({"updatedAt": "x"}, [("updatedAt", "unknown_field")]),
    ({N: "", D: 1}, [(N, "too_short"), (D, "wrong_type")]),
    (
        {"x": 1, N: None, "folderId": 1, D: "\x00"},
        [
            ("x", "unknown_field"),
            (N, "null_not_allowed"),
            ("folderId", "not_settable"),
            (D, "invalid_characters"),
        ],
    ),
]


@pytest.mark.parametrize(("body", "issues"), BAD_PATCHES, ids=lambda v: repr(v)[:40])
def test_bad_patch(body: dict[str, Any], issues: list[tuple[str, str]]) -> None:
    assert found_in(update.decode, body) == issues


@pytest.mark.parametrize(
    ("body", "name", "description"),
    [
        ({N: "x"}, "x", UNSET),
        ({N: "  Fintech CTOs, Benelux ", D: "Series A"}, "Fintech CTOs, Benelux", "Series A"),
        ({N: "e\u0301" * 255}, "\u00e9" * 255, UNSET),
        ({D: None}, UNSET, None),
        ({D: ""}, UNSET, None),
        ({D: " \r\n\u3000"}, UNSET, None),
        ({D: " a\r\nb\t"}, UNSET, " a\nb\t"),
        ({D: "x" * 2000}, UNSET, "x" * 2000),
        ({D: "\r\n" * 999 + "x"}, UNSET, "\n" * 999 + "x"),
    ],
)
def test_good_patch(body: dict[str, Any], name: Any, description: Any) -> None:
    decoded = update.decode(body)
    assert type(decoded) is UpdateAudience
    assert (decoded.name, decoded.description) == (name, description)


def test_the_contracts_example_of_a_400() -> None:
    error = error_of(update.decode, {"name": "x", "folderId": None})
    assert error.details == (
        "Remove folderId from the body and use move-to-folder to change the folder."
    )
    assert error_object(error)["issues"] == (
        Issue("folderId", "not_settable", "folderId cannot be set here."),
    )


@pytest.mark.parametrize(
    ("body", "details"),
    [
        ({"id": 1}, "Remove id from the body."),
        ({"id": 1, "folderId": 1, "x": 1}, "move-to-folder"),
        ({"x": 1}, "Remove x from the body."),
        ({"{field}{0}": 1}, "Remove {field}{0} from the body."),
        ({}, "Send one of name, description."),
        ({N: None}, "Leave name out of the body, or send a value."),
        ({N: ""}, "Correct name and send the request again."),
        ({N: "", D: 1}, "Correct the fields named in issues and send the request again."),
    ],
)
def test_details_say_what_to_do(body: dict[str, Any], details: str) -> None:
    assert details in error_of(update.decode, body).details


def test_values_are_not_repeated() -> None:
    error = error_of(update.decode, {N: "sec\x00ret" * 100, D: ["sec\x00ret"], "x": "sec\x00ret"})
    text = error.message + error.details + "".join(i.message + i.field for i in error.issues)
    assert "sec" not in text


def test_issues_are_cut_when_written_and_counted() -> None:
    written = error_object(error_of(update.decode, {f"x{n}": n for n in range(1000)}))
    assert len(written["issues"]) == 50
    assert written["context"] == {"issuesTotal": 1000}
