"""Profiles looked up one by one, and people in every shape that answers come in."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from longlist.jobs import JobFailed
from longlist.prospecting.sources import SourceRow
from longlist.prospecting.sources.unipile.double import Double
from longlist.prospecting.sources.unipile.double_faults import Fault
from longlist.prospecting.sources.unipile.double_people import (
    found_in_classic,
    found_in_sales_navigator,
    profile_of,
)
from longlist.prospecting.sources.unipile.people import comment_row, profile_values, search_row
from longlist.prospecting.sources.unipile.profiles import MAX_FAILURES_IN_A_ROW, Profiles
from longlist.prospects.person import Person, RowRefused, make_person
from tests.prospecting.unipile_double import Place, ended, outcomes, pages_of, with_double

PEOPLE = Double(count=7).people
URLS = [who.page for who in PEOPLE]
GONE = "https://www.linkedin.com/in/gone-away"


def read(
    urls: list[str], *faults: Fault, size: int = 3, **pace: Any
) -> tuple[list[SourceRow], JobFailed | None, Place]:
    """What becomes of URLs while the double has faults."""

    async def body(place: Place) -> tuple[list[SourceRow], JobFailed | None, Place]:
        place.double.set_faults(*faults)
        rows, failure = await ended(Profiles(place.connect, urls, size))
        assert place.all_closed
        return rows, failure, place

    return with_double(body, **pace)


def of(kind: Any, **more: Any) -> Fault:
    return Fault(kind, "profile", **more)


def test_each_profile_is_looked_up() -> None:
    rows, failure, place = read(URLS)
    assert failure is None
    assert outcomes(rows) == [None] * 7
    assert place.double.calls == {"profile": 7}
    who = PEOPLE[0]
    assert make_person(rows[0].values) == Person(
        first_name=who.first,
        last_name=who.last,
        name=who.name,
        headline=f"{who.role} at {who.company}",
        about=f"{who.first} is invented.\n\nSo is {who.company}.",
        photo_url=who.photo,
        linkedin_url=who.page,
        public_identifier=who.slug,
        provider_id=who.id,
        title=who.role,
        location=who.place,
        company_name=who.company,
        company_linkedin_identifier=str(9_000 + len(who.company)),
        name_made=True,
    )


def test_a_profile_can_be_named_by_the_provider_id() -> None:
    rows, _, place = read([f"https://linkedin.com/in/{PEOPLE[2].id}"])
    assert make_person(rows[0].values).public_identifier == PEOPLE[2].slug
    assert place.double.requests[0].path == f"/api/v1/users/{PEOPLE[2].id}"


def test_a_job_goes_on_from_any_of_its_cursors() -> None:
    async def body(place: Place) -> None:
        pages = await pages_of(Profiles(place.connect, URLS, 3))
        assert [page.cursor for page in pages] == ["3", "6", None]
        for at, page in enumerate(pages[:-1], 1):
            assert await pages_of(Profiles(place.connect, URLS, 3), page.cursor) == pages[at:]

    with_double(body)


def test_a_url_that_comes_again_is_not_looked_up_again() -> None:
    rows, failure, place = read([URLS[0], GONE, f"{URLS[0]}/?trk=x", GONE, URLS[1]])
    assert failure is None
    assert outcomes(rows) == [None, "NOT_FOUND", None, "NOT_FOUND", None]
    assert rows[0].values == rows[2].values
    assert place.double.calls["profile"] == 3


def test_a_profile_that_is_not_there_fails_its_row() -> None:
    rows, failure, place = read([URLS[0], GONE, URLS[1], f"{GONE}-too"])
    assert failure is None
    assert outcomes(rows) == [None, "NOT_FOUND", None, "NOT_FOUND"]
    assert place.double.calls == {"profile": 4, "account": 1}


def test_a_profile_that_the_account_may_not_see_fails_its_row() -> None:
    fault = of("error", status=422, type="errors/invalid_recipient", times=1)
    rows, failure, _ = read(URLS[:2], fault)
    assert failure is None
    assert outcomes(rows) == ["NOT_FOUND", None]


def test_an_account_that_is_not_there_is_not_a_thousand_missing_people() -> None:
    async def body(place: Place) -> tuple[list[SourceRow], JobFailed | None]:
        connect = place.connect

        def wrong() -> Any:
            client = connect()
            client._account_id = "another"
            return client

        return await ended(Profiles(wrong, URLS, 3))

    rows, failure = with_double(body)
    assert rows == []
    assert failure is not None
    assert "account_id" in failure.message


TRANSIENT = ["rate_limit", "error", "reset", "html", "broken_json"]


@pytest.mark.parametrize("fault", TRANSIENT)
@pytest.mark.parametrize("after", [0, 3])
def test_a_fault_that_passes_changes_nothing(fault: str, after: int) -> None:
    rows, failure, place = read(URLS, of(fault, after=after, times=4))
    assert failure is None
    assert rows == read(URLS)[0]
    assert place.double.calls["profile"] == 7 + 4


@pytest.mark.parametrize("fault", ["error", "reset", "html", "broken_json"])
def test_a_profile_that_cannot_be_fetched_fails_its_row(fault: str) -> None:
    rows, failure, _ = read(URLS, of(fault, after=1, times=5))
    assert failure is None
    assert outcomes(rows) == [None, "SOURCE_ERROR", None, None, None, None, None]


@pytest.mark.parametrize("fault", ["slow", "hang"])
def test_a_profile_that_never_comes_fails_its_row(fault: str) -> None:
    rows, failure, _ = read(URLS[:2], of(fault), answer_s=0.1, tries=1)
    assert failure is None
    assert outcomes(rows) == ["SOURCE_ERROR", "SOURCE_ERROR"]


@pytest.mark.parametrize("fault", ["error", "reset", "html", "huge"])
def test_several_that_cannot_be_fetched_in_a_row_end_the_job(fault: str) -> None:
    rows, failure, _ = read(URLS, of(fault, after=2), max_bytes=50_000, size=4)
    assert failure is not None
    assert failure.code == "SOURCE_ERROR"
    fails = ["SOURCE_ERROR"] * (MAX_FAILURES_IN_A_ROW - 1)
    assert outcomes(rows) == [None, None, *fails]


def test_failures_that_are_not_in_a_row_do_not_add_up() -> None:
    rows, failure, _ = read(URLS, of("error", times=10), of("error", after=1, times=10))
    assert failure is None
    assert outcomes(rows).count("SOURCE_ERROR") == 4


@pytest.mark.parametrize(
    "fault",
    [
        of("session_expired", after=2),
        of("rate_limit", after=2),
        of("redirect", after=2),
        of("html", status=404, after=2),
        of("error", status=403, type="errors/account_restricted", after=2),
        of("error", status=422, type="errors/limit_exceeded", after=2),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.status}",
)
def test_a_fault_of_the_account_ends_the_job_and_keeps_what_came(fault: Fault) -> None:
    rows, failure, _ = read(URLS, fault)
    assert failure is not None
    assert failure.code == "SOURCE_ERROR"
    assert outcomes(rows) == [None, None]


def test_a_malformed_profile_fails_its_row() -> None:
    rows, failure, _ = read(URLS[:2], of("wrong_types", times=1))
    assert failure is None
    assert outcomes(rows) == ["MALFORMED_ROW", None]


def test_a_profile_without_any_key_fails_its_row() -> None:
    rows, failure, _ = read(URLS[:2], of("no_identifiers", times=1))
    assert failure is None
    assert outcomes(rows) == ["NO_IDENTITY", None]


def test_a_profile_without_a_name_is_known_by_its_ids() -> None:
    rows, _, _ = read(URLS[:1], of("no_name"))
    person = make_person(rows[0].values)
    assert (person.name, person.provider_id) == (None, PEOPLE[0].id)


def test_somebody_else_s_profile_is_asked_for_again() -> None:
    rows, failure, place = read(URLS[:1], of("other_person", times=1))
    assert failure is None
    assert make_person(rows[0].values).provider_id == PEOPLE[0].id
    assert place.double.calls["profile"] == 2


def test_somebody_else_s_profile_is_never_taken() -> None:
    rows, failure, _ = read(URLS[:2], of("other_person", times=2))
    assert failure is None
    assert outcomes(rows) == ["SOURCE_ERROR", None]


def test_somebody_who_renamed_the_profile_is_taken() -> None:
    rows, failure, place = read(URLS[:1], of("renamed"))
    assert failure is None
    person = make_person(rows[0].values)
    assert (person.provider_id, person.public_identifier) == (PEOPLE[0].id, "renamed-since")
    assert person.linkedin_url == "https://www.linkedin.com/in/renamed-since"
    assert place.double.calls["profile"] == 2


def test_a_cancelled_look_up_hangs_up() -> None:
    async def body(place: Place) -> None:
        place.double.set_faults(of("hang"))
        task = asyncio.create_task(ended(Profiles(place.connect, URLS, 3)))
        await place.asked()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert place.all_closed

    with_double(body)


WHO = PEOPLE[0]


def found(**changes: Any) -> Person:
    """The person of a classic search result with changes."""
    row = search_row(1, {**found_in_classic(WHO), **changes})
    assert row.reason is None, row.message
    return make_person(row.values)


def test_the_id_of_sales_navigator_yields_to_the_public_identifier() -> None:
    lead = found_in_sales_navigator(WHO)
    assert make_person(search_row(1, lead).values).provider_id is None
    hidden = {**lead, "public_identifier": None, "public_profile_url": None}
    person = make_person(search_row(1, hidden).values)
    assert (person.provider_id, person.public_identifier) == (WHO.sales_id, None)
    assert person.linkedin_url == f"https://www.linkedin.com/sales/lead/{WHO.sales_id}"


def test_the_url_of_a_sales_lead_does_not_bring_its_id_back() -> None:
    lead = {**found_in_sales_navigator(WHO), "public_profile_url": None}
    person = make_person(search_row(1, lead).values)
    assert (person.provider_id, person.linkedin_url) == (None, WHO.page)


@pytest.mark.parametrize(
    "name",
    ["LinkedIn Member", "linkedin member", "LinkedIn-Mitglied", "Membre de LinkedIn",
     "Miembro de LinkedIn", "Usu\u00e1rio do LinkedIn"],
)  # fmt: skip
def test_a_placeholder_is_never_a_name(name: str) -> None:
    assert found(name=name).name is None
    first, _, last = name.partition(" ")
    assert found(name=None, first_name=first, last_name=last or None).name is None
    nobody = {"type": "PEOPLE", "id": "", "name": name, "headline": "CTO"}
    assert search_row(1, nobody).reason == "NO_IDENTITY"


@pytest.mark.parametrize("id_", ["UNKNOWN", "headless", "", "null"])
def test_a_placeholder_is_never_an_id(id_: str) -> None:
    assert found(id=id_).provider_id is None


def test_somebody_with_a_name_and_no_key_is_left_to_the_intake() -> None:
    item = {"type": "PEOPLE", "id": "", "name": "Ada Sampleton"}
    assert search_row(1, item).values["name"] == "Ada Sampleton"


def test_breaks_in_a_line_become_spaces() -> None:
    assert found(headline="CTO\nand\t founder ").headline == "CTO and founder"


@pytest.mark.parametrize(
    ("headcount", "size"),
    [
        (None, None),
        ({"min": 11, "max": 50}, "11-50"),
        ({"min": 10001}, "10001+"),
        ({"max": 10}, "1-10"),
        ({}, None),
    ],
)
def test_the_size_of_a_company(headcount: Any, size: str | None) -> None:
    place = {"company": "Muster AG", "role": "CTO", "company_headcount": headcount}
    person = found(current_positions=[place])
    assert (person.company_size, person.title) == (size, "CTO")


@pytest.mark.parametrize(
    "changes",
    [
        {"id": 7},
        {"name": ["Ada"]},
        {"headline": {}},
        {"public_identifier": True},
        {"profile_picture_url": 1},
        {"type": 3},
        {"type": "JOB"},
        {"current_positions": "CTO"},
        {"current_positions": ["CTO"]},
        {"current_positions": [{"role": 1}]},
        {"current_positions": [{"company_headcount": "many"}]},
        {"current_positions": [{"company_headcount": {"min": "1"}}]},
    ],
)
def test_a_result_of_wrong_types_fails(changes: dict[str, Any]) -> None:
    row = search_row(9, {**found_in_classic(WHO), **changes})
    assert (row.position, row.reason, row.values) == (9, "MALFORMED_ROW", {})


@pytest.mark.parametrize("item", [None, [], "Ada", 3, True])
def test_what_is_no_object_fails(item: Any) -> None:
    assert search_row(1, item).reason == "MALFORMED_ROW"
    assert comment_row(1, item).reason == "MALFORMED_ROW"
    with pytest.raises(RowRefused):
        profile_values(item)


@pytest.mark.parametrize("author", [WHO.id, "urn:li:person:abc", None])
def test_an_id_in_place_of_the_author_s_name_is_no_name(author: str | None) -> None:
    details = {"id": WHO.id, "profile_url": WHO.page}
    values = comment_row(1, {"author": author, "author_details": details}).values
    person = make_person(values)
    assert (person.name, person.provider_id) == (None, WHO.id)


def test_only_a_present_position_gives_title_and_company() -> None:
    profile = profile_of(WHO)
    past = [{**profile["work_experience"][1]}]
    values = profile_values({**profile, "work_experience": past})
    assert values.get("title") is None
    assert values.get("company.name") is None
    lasting = [{"position": "CTO", "company": "Muster AG", "start": "1/1/2020", "end": None}]
    assert profile_values({**profile, "work_experience": lasting})["title"] == "CTO"


def test_addresses_and_numbers_are_not_read() -> None:
    contact = {"emails": ["ada@example.com"], "phones": ["+49 30 1234567"]}
    person = make_person(profile_values({**profile_of(WHO), "contact_info": contact}))
    assert (person.email, person.phone) == (None, None)


def test_a_company_in_place_of_a_profile_fails() -> None:
    with pytest.raises(RowRefused) as caught:
        profile_values({"object": "CompanyProfile", "id": "1", "name": "Muster AG"})
    assert caught.value.reason == "MALFORMED_ROW"
