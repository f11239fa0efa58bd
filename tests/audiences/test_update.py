"""PATCH audience (contract 3.5): what changes, what is refused, and in which order."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tests.audiences.bad_updates import BAD, BAD_IDS, BAD_QUERIES
from tests.harness.client import Client, at_once
from tests.harness.server import Longlist
from tests.harness.tenant import UNKNOWN, Tenant

MEMBERS = ["id", "name", "type", "description", "folderId", "prospectCount", "createdAt"]


def state(api: Tenant, audience: Any) -> tuple[Any, ...]:
    """What a refused request must leave as it was: the row, and the number of events."""
    row = api.server.rows(
        "SELECT name, name_folded, description, version FROM audiences"
        " WHERE account_group_id = $1 AND id = $2",
        api.group,
        bytes.fromhex(audience["id"]),
    )
    return (*row[0], len(api.events()))


@pytest.mark.parametrize(
    ("body", "name", "description"),
    [
        ({"name": "New"}, "New", "Old words"),
        ({"description": "New words"}, "Old", "New words"),
        ({"name": "New", "description": "New words"}, "New", "New words"),
        ({"description": None}, "Old", None),
        ({"description": ""}, "Old", None),
        ({"description": " \t\n\u00a0"}, "Old", None),
        ({"name": "New", "description": None}, "New", None),
        ({"name": "  New\u00a0\t\u3000"}, "New", "Old words"),
        ({"name": "Cafe\u0301"}, "Caf\u00e9", "Old words"),
        ({"name": "\u212b"}, "\u00c5", "Old words"),
        ({"name": "\U0001f469\u200d\U0001f52c"}, "\U0001f469\u200d\U0001f52c", "Old words"),
        (
            {"name": "<b>'; DROP TABLE audiences;--\\ %_"},
            "<b>'; DROP TABLE audiences;--\\ %_",
            "Old words",
        ),
        ({"description": "a\r\nb\rc\td"}, "Old", "a\nb\nc\td"),
        ({"description": "  kept  "}, "Old", "  kept  "),
        ({"description": "e\u0301" * 2000}, "Old", "\u00e9" * 2000),
        ({"description": "\r\n" * 1000 + "x" * 1000}, "Old", "\n" * 1000 + "x" * 1000),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_it_changes_what_is_sent_and_keeps_the_rest(
    api: Tenant, body: Any, name: str, description: str | None
) -> None:
    made = api.audience("Old", description="Old words")
    answer = api.patch(f"AG/audiences/{made['id']}", body).expect(200)
    assert list(answer.data) == MEMBERS
    assert answer.data == {**made, "name": name, "description": description}
    got = api.get(f"AG/audiences/{made['id']}").expect(200)
    assert got.data == answer.data
    assert got.etag == answer.etag
    (event,) = api.events("audience.updated")
    assert event[1] == made["id"]
    assert json.loads(event[2]) == answer.data


@pytest.mark.parametrize("character", ["n", "\u00e9", "\u4e2d", "\U0001f600"])
def test_255_characters_fit_and_256_do_not(api: Tenant, character: str) -> None:
    target = f"AG/audiences/{api.audience()['id']}"
    assert api.patch(target, {"name": character * 255}).expect(200).data["name"] == character * 255
    margin = {"name": f"   {character * 255}\u3000"}
    assert api.patch(target, margin).expect(200).data["name"] == character * 255
    assert api.patch(target, {"name": character * 256}).expect(400).issues == [("name", "too_long")]
    decomposed = unicodedata.normalize("NFD", "\u00e9") * 255
    assert api.patch(target, {"name": decomposed}).expect(200).data["name"] == "\u00e9" * 255


def test_values_equal_after_normalisation_change_nothing(api: Tenant) -> None:
    made = api.audience("Caf\u00e9", description="Two\nlines")
    target = f"AG/audiences/{made['id']}"
    tag = api.get(target).etag
    before = state(api, made)
    for body in (
        {"name": "Caf\u00e9"},
        {"name": " Cafe\u0301 "},
        {"description": "Two\r\nlines"},
        {"name": "Caf\u00e9", "description": "Two\nlines"},
    ):
        answer = api.patch(target, body).expect(200)
        assert (answer.data, answer.etag) == (made, tag)
    assert state(api, made) == before
    assert api.patch(target, {"name": "caf\u00e9"}).expect(200).etag != tag


def test_clearing_an_empty_description_changes_nothing(api: Tenant) -> None:
    made = api.audience()
    before = state(api, made)
    for empty in (None, "", " \n"):
        answer = api.patch(f"AG/audiences/{made['id']}", {"description": empty}).expect(200)
        assert answer.data == made
    assert state(api, made) == before


@pytest.mark.parametrize("form", BAD)
def test_a_bad_body_is_400_and_changes_nothing(api: Tenant, form: str) -> None:
    made = api.audience("Old", description="Old words")
    before = state(api, made)
    body, field, code = BAD[form]
    answer = api.send("PATCH", f"AG/audiences/{made['id']}", body=body)
    answer.expect(400, "VALIDATION_ERROR")
    assert answer.issues[0] == (field, code), answer.error
    assert state(api, made) == before


def test_400_never_repeats_a_value(api: Tenant) -> None:
    target = f"AG/audiences/{api.audience()['id']}"
    for body in (
        {"name": ["Sesame"]},
        {"name": "Sesame" * 99},
        {"x": "Sesame"},
        {"name": "Sesame\n1"},
    ):
        assert b"Sesame" not in api.patch(target, body).expect(400).body
    assert b"Sesame" not in api.send("PATCH", target, body=b'{"name": "Sesame"').expect(400).body


def test_every_fault_is_named_at_once(api: Tenant) -> None:
    target = f"AG/audiences/{api.audience()['id']}"
    body = {"name": "", "description": 1, "id": 1, "other": 1}
    answer = api.patch(target, body).expect(400)
    assert sorted(answer.issues) == [
        ("description", "wrong_type"),
        ("id", "not_settable"),
        ("name", "too_short"),
        ("other", "unknown_field"),
    ]
    many = api.patch(target, {f"m{at}": 1 for at in range(80)}).expect(400)
    assert len(many.issues) == 50
    assert many.error["context"] == {"issuesTotal": 80}


def test_folder_id_points_to_move_to_folder(api: Tenant) -> None:
    made = api.audience()
    answer = api.patch(f"AG/audiences/{made['id']}", {"name": "New", "folderId": None}).expect(400)
    assert "move-to-folder" in answer.error["details"]


def test_32_levels_are_not_too_deep(api: Tenant) -> None:
    made = api.audience()
    body = b'{"x":' + b"[" * 31 + b"]" * 31 + b"}"
    answer = api.send("PATCH", f"AG/audiences/{made['id']}", body=body).expect(400)
    assert answer.issues == [("x", "unknown_field")]


@pytest.mark.parametrize("query", BAD_QUERIES)
def test_any_query_parameter_is_400(api: Tenant, query: str) -> None:
    made = api.audience()
    before = state(api, made)
    answer = api.patch(f"AG/audiences/{made['id']}?{query}", {"name": "New"}).expect(400)
    assert answer.issues == [BAD_QUERIES[query]]
    assert state(api, made) == before


@pytest.mark.parametrize("id_", BAD_IDS)
def test_a_malformed_id_is_400(api: Tenant, id_: str) -> None:
    answer = api.patch(f"AG/audiences/{id_}", {"name": "New"}).expect(400, "VALIDATION_ERROR")
    assert answer.issues == [("path.audienceId", "invalid_format")]


def test_404_is_the_same_for_unknown_deleted_and_foreign(api: Tenant, stranger: Tenant) -> None:
    deleted = api.audience()["id"]
    api.delete(f"AG/audiences/{deleted}").expect(200)
    foreign = stranger.audience("Theirs")["id"]
    found = [
        api.patch(f"AG/audiences/{id_}", {"name": "New"}).expect(404, "NOT_FOUND").untraced
        for id_ in (UNKNOWN, deleted, foreign)
    ]
    assert found[0] == found[1] == found[2]
    assert found[0]["error"]["context"] == {"resource": "audience"}
    assert stranger.get(f"AG/audiences/{foreign}").expect(200).data["name"] == "Theirs"


def test_a_filling_audience_is_409(api: Tenant) -> None:
    made = api.audience()
    before = state(api, made)
    with api.filling(made["id"], "running", 4200) as job:
        for body in ({"name": "New"}, {"name": made["name"]}, {"description": None}):
            answer = api.patch(f"AG/audiences/{made['id']}", body).expect(409, "AUDIENCE_NOT_READY")
            assert answer.error["context"] == {
                "audienceId": made["id"], "jobId": job, "jobStatus": "running", "progress": 0.42,
                "since": "2026-03-04T04:53:20.089Z", "retryAfterSeconds": 5,
            }  # fmt: skip
        assert state(api, made) == before
    api.patch(f"AG/audiences/{made['id']}", {"name": "New"}).expect(200)


def test_412_and_the_tag_it_carries(api: Tenant) -> None:
    target = f"AG/audiences/{api.audience()['id']}"
    first = api.get(target).etag
    second = api.patch(target, {"name": "Two"}, headers={"If-Match": first}).expect(200).etag
    assert first != second
    for stale in (first, f"W/{second}", '"other"', f'{first}, "x"'):
        answer = api.patch(target, {"name": "Three"}, headers={"If-Match": stale}).expect(412)
        assert answer.etag == second
    for good in ("*", second, f'"x", {second}', f"{first},{second}"):
        api.patch(target, {"name": "Two"}, headers={"If-Match": good}).expect(200)
    for malformed in ("", "x", '"open', "*, *", second.strip('"')):
        answer = api.patch(target, {"name": "Three"}, headers={"If-Match": malformed}).expect(400)
        assert answer.issues == [("header.If-Match", "invalid_format")]
    assert api.get(target).data["name"] == "Two"


def test_unique_names(api: Tenant) -> None:
    api.set(uniqueAudienceNames=True)
    taken, other = api.audience("Stra\u00dfe"), api.audience("Other")
    target = f"AG/audiences/{other['id']}"
    before = state(api, other)
    for name in ("Stra\u00dfe", "STRASSE", " strasse "):
        answer = api.patch(target, {"name": name, "description": "x"})
        answer.expect(422, "AUDIENCE_NAME_TAKEN")
        assert answer.issues == [("name", "taken")]
        assert answer.error["context"] == {"existingId": taken["id"]}
    assert state(api, other) == before
    with api.filling(taken["id"]):
        api.patch(target, {"name": "strasse"}).expect(422)
    assert api.patch(target, {"name": "OTHER"}).expect(200).data["name"] == "OTHER"
    api.patch(target, {"description": "x"}).expect(200)
    api.delete(f"AG/audiences/{taken['id']}").expect(200)
    api.patch(target, {"name": "strasse"}).expect(200)


def test_names_are_not_unique_by_default(api: Tenant) -> None:
    one, two = api.audience("Same"), api.audience("Other")
    api.patch(f"AG/audiences/{two['id']}", {"name": "Same"}).expect(200)
    assert api.get(f"AG/audiences/{one['id']}").data["name"] == "Same"


def test_unique_names_hold_under_concurrency(api: Tenant) -> None:
    api.set(uniqueAudienceNames=True)
    made = [api.audience(f"Audience {at}") for at in range(12)]
    calls = [partial(api.patch, f"AG/audiences/{one['id']}", {"name": "Wanted"}) for one in made]
    statuses = sorted(answer.status for answer in at_once(calls))
    assert statuses == [200] + [422] * 11


def test_the_guards_answer_in_order(api: Tenant) -> None:
    """What is wrong is taken away one by one, and each next guard answers (contract 1.5)."""
    api.set(uniqueAudienceNames=True)
    api.audience("Taken")
    made = api.audience()
    target, stale = f"AG/audiences/{made['id']}", {"If-Match": '"stale"'}
    bad, taken = {"name": "Taken", "x": 1}, {"name": "Taken"}
    with api.filling(made["id"]):
        api.patch(f"AG/audiences/{UNKNOWN}", bad, headers=stale).expect(400)
        api.patch(f"AG/audiences/{UNKNOWN}", taken, headers={"If-Match": "bad"}).expect(400)
        api.patch(f"AG/audiences/{UNKNOWN}", taken, headers=stale).expect(404)
        api.patch(target, bad, headers=stale).expect(400)
        api.patch(target, taken, headers=stale).expect(412)
        api.patch(target, taken).expect(409)
    api.patch(target, taken, headers=stale).expect(412)
    api.patch(target, taken).expect(422)
    api.patch(target, {"name": "Free"}).expect(200)


def test_patches_of_different_fields_at_once_both_hold(api: Tenant) -> None:
    for round_ in range(10):
        made = api.audience()
        target = f"AG/audiences/{made['id']}"
        name, description = f"Name {round_}", f"Description {round_}"
        one, two = at_once(
            [
                partial(api.patch, target, {"name": name}),
                partial(api.patch, target, {"description": description}),
            ]
        )
        one.expect(200)
        two.expect(200)
        data = api.get(target).data
        assert (data["name"], data["description"]) == (name, description)


def test_of_many_with_one_tag_one_wins(api: Tenant) -> None:
    made = api.audience()
    target = f"AG/audiences/{made['id']}"
    tag = api.get(target).etag
    calls = [
        partial(api.patch, target, {"name": f"Writer {at}"}, headers={"If-Match": tag})
        for at in range(16)
    ]
    answers = at_once(calls)
    assert sorted(answer.status for answer in answers) == [200] + [412] * 15
    (winner,) = [answer for answer in answers if answer.status == 200]
    assert api.get(target).data == winner.data
    assert len(api.events("audience.updated")) == 1


def test_a_change_is_visible_at_once_to_another_process(
    api: Tenant, another_server: Callable[..., Longlist]
) -> None:
    made = api.audience()
    elsewhere = Client(another_server(), api.key)
    target = api.path(f"AG/audiences/{made['id']}")
    for at in range(20):
        name = f"Name {at}"
        api.patch(target, {"name": name}).expect(200)
        assert elsewhere.get(target).expect(200).data["name"] == name


@pytest.mark.parametrize(
    "kind",
    [
        "application/json", "application/merge-patch+json", "application/json; charset=utf-8",
        'Application/JSON;Charset="UTF-8"', "application/merge-patch+json;charset=UTF-8",
    ],
)  # fmt: skip
def test_media_types_taken(api: Tenant, kind: str) -> None:
    target = f"AG/audiences/{api.audience()['id']}"
    api.patch(target, {"name": "New"}, headers={"Content-Type": kind}).expect(200)


@pytest.mark.parametrize(
    "headers",
    [
        [("Content-Type", "text/plain")],
        [("Content-Type", "application/x-www-form-urlencoded")],
        [("Content-Type", "application/json-patch+json")],
        [("Content-Type", "application/json; charset=iso-8859-1")],
        [("Content-Type", "application/json, text/plain")],
        [("Content-Type", "")],
        [("Content-Type", "application/json"), ("Content-Type", "application/json")],
        [("Content-Type", "application/json"), ("Content-Encoding", "gzip")],
    ],
)
def test_415(api: Tenant, headers: list[tuple[str, str]]) -> None:
    made = api.audience()
    before = state(api, made)
    answer = api.patch(f"AG/audiences/{made['id']}", {"name": "New"}, headers=headers).expect(415)
    assert answer.error["context"] == {
        "supported": ["application/json", "application/merge-patch+json"]
    }
    assert answer.headers["accept-patch"] == "application/json, application/merge-patch+json"
    assert state(api, made) == before


def test_no_media_type_is_415(api: Tenant) -> None:
    target = f"AG/audiences/{api.audience()['id']}"
    api.patch(target, {"name": "New"}, headers={"Content-Type": None}).expect(415)
    api.patch(target, headers={"Content-Type": None}).expect(415)


def test_413(api: Tenant) -> None:
    target = f"AG/audiences/{api.audience()['id']}"
    fits = b'{"name": "New"' + b" " * ((1 << 20) - 15) + b"}"
    assert len(fits) == 1 << 20
    api.send("PATCH", target, body=fits).expect(200)
    over = fits + b" "
    for answer in (
        api.send("PATCH", target, body=over),
        api.send("PATCH", target, chunks=[over[:600_000], over[600_000:]]),
    ):
        answer.expect(413, "PAYLOAD_TOO_LARGE")
        assert answer.error["context"] == {"limitBytes": 1 << 20}
    api.send("PATCH", target, chunks=[fits[:600_000], fits[600_000:]]).expect(200)


def test_an_idempotency_key_means_nothing_here(api: Tenant) -> None:
    target = f"AG/audiences/{api.audience()['id']}"
    for value, name in (("same", "One"), ("same", "Two"), ("not visible", "Three")):
        answer = api.patch(target, {"name": name}, headers={"Idempotency-Key": value}).expect(200)
        assert answer.data["name"] == name
        assert "idempotency-replayed" not in answer.headers


def test_the_trace_id_is_the_callers(api: Tenant) -> None:
    target = f"AG/audiences/{api.audience()['id']}"
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    for status, body in ((200, {"name": "New"}), (400, {})):
        headers = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
        answer = api.patch(target, body, headers=headers).expect(status)
        assert answer.json["traceId"] == trace
    bad = {"traceparent": f"00-{'0' * 32}-00f067aa0ba902b7-01"}
    assert api.patch(target, {}, headers=bad).json["traceId"] != "0" * 32
