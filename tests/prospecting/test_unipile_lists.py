"""Searches, saved searches, lead lists and comments: every fault, read as a job reads them."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import pytest

from longlist.jobs import JobFailed
from longlist.prospecting.sources import SourceRow
from longlist.prospecting.sources.unipile import paging
from longlist.prospecting.sources.unipile.double import Double
from longlist.prospecting.sources.unipile.double_faults import Fault
from longlist.prospecting.sources.unipile.post_commenters import PostCommenters, post_id
from longlist.prospecting.sources.unipile.sales_navigator import (
    SalesNavigator,
    lead_list,
    saved_search,
)
from longlist.prospects.person import Person, make_person
from tests.prospecting.unipile_double import (
    LISTS,
    ROUTE,
    Place,
    ended,
    outcomes,
    pages_of,
    rows_of,
    sources,
    with_double,
)

WIRE_ONCE = [
    Fault("rate_limit"),
    Fault("rate_limit", retry_after="2"),
    Fault("error"),
    Fault("reset"),
    Fault("html"),
    Fault("broken_json"),
]
WIRE_FOR_EVER = [
    *WIRE_ONCE,
    Fault("session_expired"),
    Fault("wrong_shape"),
    Fault("huge"),
    Fault("redirect"),
    Fault("odd_cursor"),
    Fault("error", status=422, type="errors/unprocessable_entity"),
    Fault("error", status=403, type="errors/account_restricted"),
]


def _name(fault: Fault) -> str:
    return "-".join(str(part) for part in (fault.kind, fault.status, fault.retry_after) if part)


def read(
    kind: str, *faults: Fault, limit: int = 100, size: int = 3, people: int = 7, **pace: Any
) -> tuple[list[SourceRow], JobFailed | None, Place]:
    """What a source gives while the double has faults."""

    async def body(place: Place) -> tuple[list[SourceRow], JobFailed | None, Place]:
        place.double.set_faults(*faults)
        rows, failure = await ended(LISTS[kind](place.connect, limit, size))
        assert place.all_closed
        return rows, failure, place

    return with_double(body, people=people, **pace)


def of(kind: str, fault: Any, **more: Any) -> Fault:
    return Fault(fault, route=ROUTE[kind], **more)  # type: ignore[arg-type]


@sources()
def test_everybody_is_read_in_order(kind: str) -> None:
    rows, failure, place = read(kind)
    assert failure is None
    people = [make_person(row.values) for row in rows]
    assert outcomes(rows) == [None] * 7
    assert [person.name for person in people] == [who.name for who in place.double.people]
    assert [person.public_identifier for person in people] == [
        who.slug for who in place.double.people
    ]
    assert place.double.calls[ROUTE[kind]] == 3


def test_what_is_known_of_a_person() -> None:
    who = Double().people[0]
    shared = {
        "name": who.name,
        "headline": f"{who.role} at {who.company}",
        "photo_url": who.photo,
        "linkedin_url": who.page,
        "public_identifier": who.slug,
    }
    for kind, expected in {
        "linkedin_search": {"provider_id": who.id, "location": who.place},
        "post_commenters": {"provider_id": who.id},
        "saved_search": {
            "first_name": who.first,
            "last_name": who.last,
            "location": who.place,
            "title": who.role,
            "company_name": who.company,
            "company_linkedin_identifier": str(9_000 + len(who.company)),
            "company_linkedin_url": f"https://www.linkedin.com/company/{9_000 + len(who.company)}",
            "company_industry": who.industry,
            "company_size": "51-200",
        },
    }.items():
        rows, _, _ = read(kind, limit=1)
        assert make_person(rows[0].values) == Person(**shared, **expected), kind  # type: ignore[arg-type]


@sources()
@pytest.mark.parametrize("limit", [1, 3, 4, 7, 8])
def test_reading_stops_at_the_limit(kind: str, limit: int) -> None:
    rows, failure, place = read(kind, limit=limit)
    assert failure is None
    assert len(rows) == min(7, limit)
    assert place.double.calls[ROUTE[kind]] == (min(limit, 7) + 2) // 3


@sources()
def test_a_page_is_never_larger_than_linkedin_gives(kind: str) -> None:
    rows, failure, place = read(kind, limit=1_000, size=4_000, people=120)
    assert failure is None
    assert len(rows) == 120
    most = "50" if kind == "linkedin_search" else "100"
    assert {request.query.get("limit", most) for request in place.double.requests} == {most}


@sources()
def test_a_job_goes_on_from_any_of_its_cursors(kind: str) -> None:
    async def body(place: Place) -> None:
        def source() -> Any:
            return LISTS[kind](place.connect, 100, 2)

        pages = await pages_of(source())
        assert [len(page.rows) for page in pages] == [2, 2, 2, 1]
        assert pages[-1].cursor is None
        for at, page in enumerate(pages[:-1], 1):
            assert page.cursor is not None
            assert len(page.cursor) < 600
            assert await pages_of(source(), page.cursor) == pages[at:]

    with_double(body)


@sources()
@pytest.mark.parametrize("fault", WIRE_ONCE, ids=_name)
@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_fault_that_passes_changes_nothing(kind: str, fault: Fault, after: int) -> None:
    fault = of(kind, fault.kind, retry_after=fault.retry_after, after=after, times=2)
    rows, failure, place = read(kind, fault)
    assert failure is None
    assert rows == read(kind)[0]
    assert place.double.calls[ROUTE[kind]] == 3 + 2
    assert len(place.time.pauses) == 2


@sources()
@pytest.mark.parametrize("fault", WIRE_FOR_EVER, ids=_name)
def test_a_fault_that_stays_ends_the_job_and_keeps_what_came(kind: str, fault: Fault) -> None:
    fault = of(
        kind, fault.kind, after=1, status=fault.status, type=fault.type,
        retry_after=fault.retry_after,
    )  # fmt: skip
    rows, failure, _ = read(kind, fault, max_bytes=100_000)
    assert failure is not None
    assert failure.code == "SOURCE_ERROR"
    assert "Ada" not in failure.message
    assert outcomes(rows) == [None] * 3


@sources()
@pytest.mark.parametrize("fault", ["slow", "hang"])
def test_a_service_that_goes_silent_ends_the_job(kind: str, fault: str) -> None:
    rows, failure, _ = read(kind, of(kind, fault), answer_s=0.1, tries=2)
    assert (rows, failure and failure.code) == ([], "SOURCE_ERROR")


@sources()
def test_a_long_retry_after_ends_the_job_at_once(kind: str) -> None:
    _, failure, place = read(kind, of(kind, "rate_limit", retry_after="86400"))
    assert failure is not None
    assert place.time.pauses == []


MALFORMED, NOBODY = "MALFORMED_ROW", "NO_IDENTITY"


@sources()
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("wrong_types", MALFORMED),
        ("not_objects", MALFORMED),
        ("placeholders", NOBODY),
        ("companies", MALFORMED),
    ],
)
def test_rows_that_cannot_be_read_fail_alone(kind: str, fault: str, reason: str) -> None:
    rows, failure, _ = read(kind, of(kind, fault), size=10)
    assert failure is None
    assert outcomes(rows) == [None, reason, None, reason, None, reason, None]
    for row in rows:
        if row.reason is not None:
            assert row.values == {}
            assert row.message is not None
            assert row.message.endswith(".")
            assert row.message.isascii()


@sources()
def test_somebody_without_a_name_is_known_by_the_ids(kind: str) -> None:
    rows, failure, place = read(kind, of(kind, "no_name"))
    assert failure is None
    assert outcomes(rows) == [None] * 7
    for row, who in zip(rows, place.double.people, strict=True):
        person = make_person(row.values)
        assert person.name is None
        assert person.public_identifier == who.slug


@sources()
def test_people_who_come_twice_are_two_rows(kind: str) -> None:
    rows, failure, _ = read(kind, of(kind, "duplicates"), size=10)
    assert failure is None
    assert outcomes(rows) == [None] * 14
    assert [row.values for row in rows[::2]] == [row.values for row in rows[1::2]]


@sources()
def test_a_cursor_that_comes_again_ends_the_job(kind: str) -> None:
    rows, failure, place = read(kind, of(kind, "repeated_cursor"))
    assert failure is not None
    assert failure.code == "SOURCE_ERROR"
    assert "again" in failure.message
    assert place.double.calls[ROUTE[kind]] == 2
    assert len(rows) == 6


@sources()
def test_a_circle_is_noticed_after_a_restart(kind: str) -> None:
    async def body(place: Place) -> None:
        place.double.set_faults(of(kind, "repeated_cursor"))
        cursors: list[str | None] = []
        with pytest.raises(JobFailed):
            async for page in LISTS[kind](place.connect, 100, 3).pages(None):
                cursors.append(page.cursor)
        assert len(cursors) == 2
        place.double.calls.clear()
        _, failure = await ended(LISTS[kind](place.connect, 100, 3), cursors[-1])
        assert failure is not None
        assert "again" in failure.message
        assert place.double.calls[ROUTE[kind]] == 1

    with_double(body)


@sources()
def test_pages_of_nobody_new_end_the_job(kind: str) -> None:
    rows, failure, place = read(kind, of(kind, "endless"))
    assert failure is not None
    assert failure.code == "SOURCE_ERROR"
    assert place.double.calls[ROUTE[kind]] == 1 + paging.MAX_BARREN_PAGES
    assert len(rows) == 3 * (1 + paging.MAX_BARREN_PAGES)


@sources()
def test_pages_of_nobody_at_all_end_the_job(kind: str) -> None:
    rows, failure, place = read(kind, of(kind, "empty_pages", after=1))
    assert failure is not None
    assert failure.code == "SOURCE_ERROR"
    assert place.double.calls[ROUTE[kind]] == 1 + paging.MAX_BARREN_PAGES
    assert len(rows) == 3


@sources()
def test_a_few_empty_pages_do_no_harm(kind: str) -> None:
    rows, failure, _ = read(kind, of(kind, "empty_pages", times=paging.MAX_BARREN_PAGES - 1))
    assert failure is None
    assert outcomes(rows) == [None] * 7


@sources()
def test_the_limit_ends_a_list_that_has_no_end(kind: str) -> None:
    rows, failure, _ = read(kind, of(kind, "endless"), limit=8)
    assert failure is None
    assert outcomes(rows) == [None] * 8


@sources()
@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_cursor_that_has_expired_is_walked_to_again(kind: str, at: int) -> None:
    async def body(place: Place) -> None:
        pages = await pages_of(LISTS[kind](place.connect, 100, 2))
        cursor = pages[at].cursor
        place.double.calls.clear()
        place.double.set_faults(of(kind, "expired_cursor", times=1))
        again = await rows_of(LISTS[kind](place.connect, 100, 2), cursor)
        assert again == [row for page in pages[at + 1 :] for row in page.rows]
        assert place.double.calls[ROUTE[kind]] == 1 + len(pages)

    with_double(body)


@sources()
def test_a_cursor_refused_in_the_middle_of_a_run_ends_the_job(kind: str) -> None:
    rows, failure, place = read(kind, of(kind, "expired_cursor"))
    assert failure is not None
    assert failure.code == "SOURCE_ERROR"
    assert len(rows) == 3
    assert place.double.calls[ROUTE[kind]] == 2


@sources()
def test_a_cursor_that_stays_refused_ends_the_job(kind: str) -> None:
    async def body(place: Place) -> None:
        pages = await pages_of(LISTS[kind](place.connect, 100, 2))
        place.double.set_faults(of(kind, "expired_cursor"))
        rows, failure = await ended(LISTS[kind](place.connect, 100, 2), pages[0].cursor)
        assert rows == []
        assert failure is not None

    with_double(body)


@sources()
def test_a_cursor_stays_small_however_long_the_list(kind: str) -> None:
    async def body(place: Place) -> None:
        pages = await pages_of(LISTS[kind](place.connect, 100, 1))
        assert len(pages) == 60
        assert max(len(page.cursor or "") for page in pages) < 600

    with_double(body, people=60)


@sources()
def test_closing_the_pages_hangs_up(kind: str) -> None:
    async def body(place: Place) -> None:
        async with aclosing(LISTS[kind](place.connect, 100, 2).pages(None)) as pages:
            await anext(pages)
            assert not place.all_closed
        assert place.all_closed

    with_double(body)


@sources()
@pytest.mark.parametrize("after", [0, 1])
def test_a_cancelled_fetch_hangs_up(kind: str, after: int) -> None:
    async def body(place: Place) -> None:
        place.double.set_faults(of(kind, "hang", after=after))
        task = asyncio.create_task(ended(LISTS[kind](place.connect, 100, 2)))
        while place.double.calls[ROUTE[kind]] <= after:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert place.all_closed

    with_double(body)


def test_an_empty_search_and_a_post_without_comments_end_well() -> None:
    async def body(place: Place) -> None:
        nobody = SalesNavigator(place.connect, saved_search("50002"), 100, 10)
        assert await ended(nobody) == ([], None)
        silent = PostCommenters(place.connect, place.double.post_url(with_comments=False), 9, 9)
        assert await ended(silent) == ([], None)

    with_double(body)


@pytest.mark.parametrize("body_of", [saved_search, lead_list])
def test_a_list_that_is_not_there_fails_the_job(body_of: Any) -> None:
    async def body(place: Place) -> JobFailed | None:
        _, failure = await ended(SalesNavigator(place.connect, body_of("1"), 100, 10))
        return failure

    failure = with_double(body)
    assert failure is not None
    assert failure.code == "SOURCE_ERROR"


ID, OTHER = "7332661864792854528", "7336013677930006817"


@pytest.mark.parametrize(
    ("path", "id_"),
    [
        (f"posts/ada_a-b-activity-{ID}-hcGT", ID),
        (f"posts/ada_b-ugcPost-{OTHER}-6jfq/", f"urn:li:ugcPost:{OTHER}"),
        (f"posts/ada_b-share-{OTHER}-6jfq?utm=activity-1", f"urn:li:share:{OTHER}"),
        (f"feed/update/urn:li:activity:{ID}/", ID),
        (f"feed/update/urn%3Ali%3Ashare%3A{ID}", f"urn:li:share:{ID}"),
        (f"posts/x_myactivity-{ID}-share-{OTHER}", f"urn:li:share:{OTHER}"),
        ("posts/ada_without-a-number", None),
        (f"feed/update/{ID}", None),
        ("posts/ada-activity-12-x", None),
    ],
)
def test_the_id_in_the_url_of_a_post(path: str, id_: str | None) -> None:
    assert post_id(f"https://www.linkedin.com/{path}") == id_


def test_a_url_without_a_post_fails_the_job_without_a_call() -> None:
    async def body(place: Place) -> tuple[JobFailed | None, int]:
        url = "https://www.linkedin.com/posts/ada_without-a-number"
        _, failure = await ended(PostCommenters(place.connect, url, 10, 10))
        return failure, len(place.double.requests)

    failure, calls = with_double(body)
    assert failure is not None
    assert "names no post" in failure.message
    assert calls == 0


def test_a_post_is_looked_up_once_and_its_comments_by_its_social_id() -> None:
    async def body(place: Place) -> None:
        pages = await pages_of(LISTS["post_commenters"](place.connect, 100, 4))
        await pages_of(LISTS["post_commenters"](place.connect, 100, 4), pages[0].cursor)
        paths = [request.path for request in place.double.requests]
        social = "/api/v1/posts/urn%3Ali%3AugcPost%3A7300000000000000051/comments"
        assert paths == ["/api/v1/posts/7300000000000000001", social, social, social]

    with_double(body)


@pytest.mark.parametrize(
    "fault", [fault for fault in WIRE_FOR_EVER if fault.kind != "odd_cursor"], ids=_name
)
def test_a_post_that_cannot_be_looked_up_fails_the_job(fault: Fault) -> None:
    fault = Fault(fault.kind, "post", status=fault.status, type=fault.type)
    rows, failure, _ = read("post_commenters", fault, max_bytes=100_000)
    assert rows == []
    assert failure is not None
    assert failure.code == "SOURCE_ERROR"


def test_somebody_with_two_comments_is_two_rows_of_one_person() -> None:
    rows, _, _ = read("post_commenters", of("post_commenters", "duplicates"), limit=2)
    first, second = (make_person(row.values) for row in rows)
    assert first == second
