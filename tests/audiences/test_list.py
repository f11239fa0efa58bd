"""GET audiences (contract 3.2): order, pages, filters, who is left out."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.harness.tenant import UNKNOWN, Tenant
from tests.harness.walk import check_cursors, check_limits, items, pages

LIST = "AG/audiences"


def names(api: Tenant, query: str) -> list[str]:
    return [item["name"] for item in items(api, f"{LIST}?{query}")]


def test_an_empty_group(api: Tenant) -> None:
    data = api.get(LIST).expect(200).data
    assert data == {"items": [], "nextCursor": None, "hasMore": False}


def test_newest_first_and_50_by_default(api: Tenant) -> None:
    made = [api.audience(f"Audience {at}") for at in range(51)]
    assert items(api, LIST) == made[::-1]
    first = api.get(LIST).expect(200).data
    assert first["items"] == made[:0:-1]
    assert first["hasMore"] is True
    rest = api.get(f"{LIST}?cursor={first['nextCursor']}").expect(200).data
    assert rest == {"items": made[:1], "nextCursor": None, "hasMore": False}


@pytest.mark.parametrize("limit", [1, 3, 4, 9, 10, 11])
def test_a_walk_sees_each_once(api: Tenant, limit: int) -> None:
    made = [api.audience(f"Audience {at}")["id"] for at in range(9)]
    found = [item["id"] for page in pages(api, LIST, limit) for item in page]
    assert found == made[::-1]


def test_a_walk_with_inserts_and_deletes_between_pages(api: Tenant) -> None:
    made = [api.audience(f"Audience {at}")["id"] for at in range(12)]
    deleted = {2: made[0], 1: made[4]}

    def between(page: int) -> None:
        api.audience(f"New {page}")
        if page in deleted:
            api.delete(f"{LIST}/{deleted[page]}").expect(200)
        api.patch(f"{LIST}/{made[3]}", {"name": f"Renamed {page}"}).expect(200)

    found = [item["id"] for page in pages(api, LIST, 4, between) for item in page]
    assert found == [id_ for id_ in made[::-1] if id_ not in deleted.values()]
    assert len(found) > 8


def test_a_cursor_whose_row_is_gone_goes_on(api: Tenant) -> None:
    made = [api.audience(f"Audience {at}")["id"] for at in range(4)]
    first = api.get(f"{LIST}?limit=2").data
    api.delete(f"{LIST}/{made[2]}").expect(200)
    rest = api.get(f"{LIST}?limit=2&cursor={first['nextCursor']}").expect(200).data
    assert [item["id"] for item in rest["items"]] == [made[1], made[0]]


def test_cursors_are_bound(api: Tenant, stranger: Tenant) -> None:
    for at in range(3):
        api.audience(f"Audience {at}")
    check_cursors(api, LIST, "q=Audience", stranger)
    cursor = api.get(f"{LIST}?limit=1").data["nextCursor"]
    api.get(f"/v1/accounts?cursor={cursor}").expect(400)
    api.get(f"AG/suppressions?cursor={cursor}").expect(400)
    filtered = api.get(f"{LIST}?limit=1&type=on_demand").data["nextCursor"]
    api.get(f"{LIST}?cursor={filtered}").expect(400)
    api.get(f"{LIST}?cursor={filtered}&type=monitoring").expect(400)
    api.get(f"{LIST}?cursor={filtered}&limit=9&type=on_demand").expect(200)


def test_a_cursor_written_otherwise_is_refused(api: Tenant) -> None:
    """The unused bits at the end of base64 let one cursor be written in sixteen ways."""
    for at in range(3):
        api.audience(f"Audience {at}")
    cursor: str = api.get(f"{LIST}?limit=1").data["nextCursor"]
    body = cursor.rstrip("=")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    taken = [
        last
        for last in alphabet
        if api.get(f"{LIST}?cursor={body[:-1]}{last}{'=' * (len(cursor) - len(body))}").status
        == 200
    ]
    assert taken == [body[-1]]


def test_limits(api: Tenant) -> None:
    check_limits(api, LIST)


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("fintech", ["Fintech CTOs"]),
        ("FINTECH ctos", ["Fintech CTOs"]),
        ("h C", ["Fintech CTOs"]),
        ("e", ["Stra\u00dfe", "Fintech CTOs"]),
        ("strasse", ["Stra\u00dfe"]),
        ("STRASSE", ["Stra\u00dfe"]),
        ("\u1e9e", ["Stra\u00dfe"]),
        ("caf\u00e9", ["Caf\u00e9 100%_!"]),
        ("CAFE\u0301", ["Caf\u00e9 100%_!"]),
        ("cafe", []),
        ("%", ["Caf\u00e9 100%_!"]),
        ("_", ["Caf\u00e9 100%_!"]),
        ("!", ["Caf\u00e9 100%_!"]),
        ("%25", []),
        ("100%_!", ["Caf\u00e9 100%_!"]),
        ("10_%", []),
        (
            "\u03a3\u03af\u03c3\u03c5\u03c6\u03bf\u03c2",
            ["\u03a3\u03af\u03c3\u03c5\u03c6\u03bf\u03c3"],
        ),
        ("'", []),
        ("\\", []),
        (" ", ["Fintech CTOs", "Caf\u00e9 100%_!"]),
        ("x" * 255, []),
        ("\U0001f600" * 255, []),
    ],
    ids=ascii,
)
def test_q_is_a_plain_substring_in_any_case(api: Tenant, q: str, found: list[str]) -> None:
    for name in (
        "Caf\u00e9 100%_!",
        "Fintech CTOs",
        "Stra\u00dfe",
        "\u03a3\u03af\u03c3\u03c5\u03c6\u03bf\u03c3",
    ):
        api.audience(name)
    assert sorted(names(api, f"q={quote(q, safe='')}")) == sorted(found)


def test_filters(api: Tenant) -> None:
    folder, empty = api.folder()["id"], api.folder()["id"]
    inside, outside = api.audience("Inside"), api.audience("Outside")
    api.audience("Monitoring", "monitoring")
    api.post(f"{LIST}/{inside['id']}/move-to-folder", {"folderId": folder}).expect(200)
    assert names(api, "type=on_demand") == ["Outside", "Inside"]
    assert names(api, "type=monitoring") == ["Monitoring"]
    assert names(api, "type=file_import") == []
    assert names(api, f"folderId={folder}") == ["Inside"]
    assert names(api, f"folderId={empty}") == names(api, f"folderId={UNKNOWN}") == []
    assert names(api, "folderId=none") == ["Monitoring", "Outside"]
    assert names(api, "folderId=none&type=on_demand&q=out") == ["Outside"]
    assert outside["folderId"] is None


@pytest.mark.parametrize(
    ("query", "field", "code"),
    [
        ("type=linkedin", "query.type", "invalid_choice"),
        ("type=", "query.type", "invalid_choice"),
        ("type=on_demand&type=on_demand", "query.type", "repeated_parameter"),
        ("q=", "query.q", "too_short"),
        ("q=" + "x" * 256, "query.q", "too_long"),
        ("q=a%00b", "query.q", "invalid_characters"),
        ("q=%FF", "query.q", "invalid_characters"),
        ("q=%ED%A0%80", "query.q", "invalid_characters"),
        ("q=%zz", "query.q", "invalid_format"),
        ("include=all", "query.include", "invalid_choice"),
        ("include=", "query.include", "invalid_choice"),
        ("folder=none", "query.folder", "unknown_parameter"),
        ("Type=on_demand", "query.Type", "unknown_parameter"),
        ("folder_id=none", "query.folder_id", "unknown_parameter"),
    ],
)
def test_a_bad_filter_is_400(api: Tenant, query: str, field: str, code: str) -> None:
    assert api.get(f"{LIST}?{query}").expect(400).issues == [(field, code)]


@pytest.mark.parametrize("value", ["", "NONE", "null", "x", UNKNOWN.upper(), UNKNOWN + "0"])
def test_a_bad_folder_id_is_400(api: Tenant, value: str) -> None:
    answer = api.get(f"{LIST}?folderId={value}").expect(400)
    assert [field for field, _ in answer.issues] == ["query.folderId"]


def test_filling_audiences_only_when_asked(api: Tenant) -> None:
    ready, filling = api.audience("Ready"), api.audience("Filling")
    with api.filling(filling["id"], "running", 1250) as job:
        assert names(api, "q=i") == []
        assert items(api, LIST) == [ready]
        data: Any = api.get(f"{LIST}?include=filling").expect(200).data
        assert list(data) == ["items", "nextCursor", "hasMore", "filling"]
        assert data["items"] == [filling, ready]
        assert data["filling"] == [
            {
                "audienceId": filling["id"], "jobId": job, "jobStatus": "running",
                "progress": 0.125, "since": "2026-03-04T04:53:20.089Z",
            }
        ]  # fmt: skip
        second = api.get(f"{LIST}?include=filling&limit=1").data
        rest = api.get(f"{LIST}?include=filling&limit=1&cursor={second['nextCursor']}").data
        assert (rest["items"], rest["filling"]) == ([ready], [])
        api.get(f"{LIST}?cursor={second['nextCursor']}").expect(400)
    assert items(api, LIST) == [filling, ready]


def test_strangers_do_not_show(api: Tenant, stranger: Tenant) -> None:
    stranger.audience("Theirs")
    folder = stranger.folder()["id"]
    assert names(api, "q=Theirs") == []
    assert names(api, f"folderId={folder}") == []
