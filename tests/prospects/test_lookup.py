"""GET prospects by provider id (contract 7.2)."""

from __future__ import annotations

import pytest

from longlist.ids import new_id
from longlist.prospects.identity import KeyKind
from tests.harness.tenant import Tenant

ID = "ACwAAB-Example_7Qk"
BY_ID = "AG/prospects/by-provider-id/"


def test_a_miss_is_no_error(api: Tenant) -> None:
    answer = api.get(BY_ID + ID).expect(200)
    assert answer.data == {"providerId": ID, "resolution": "none", "matches": []}
    assert list(answer.data) == ["providerId", "resolution", "matches"]


def test_a_single_match(api: Tenant) -> None:
    audience = api.audience()["id"]
    ada = api.prospect(
        audience,
        providerId=ID,
        firstName="Ada",
        lastName="Example",
        linkedinUrl="https://www.linkedin.com/in/ada-example",
        title="CTO",
        company={"name": "Example Ltd"},
    )
    api.prospect(audience, providerId=ID + "2", name="Somebody Else")
    data = api.get(BY_ID + ID).expect(200).data
    assert data["resolution"] == "single"
    assert data["matches"] == [
        {
            "prospectId": ada,
            "personId": None,
            "publicIdentifier": "ada-example",
            "linkedinUrl": "https://www.linkedin.com/in/ada-example",
            "name": "Ada Example",
            "companyName": "Example Ltd",
            "title": "CTO",
        }
    ]


def test_what_is_not_known_is_null(api: Tenant) -> None:
    api.prospect(api.audience()["id"], providerId=ID)
    (match,) = api.get(BY_ID + ID).expect(200).data["matches"]
    assert {name for name, value in match.items() if value is not None} == {"prospectId"}


def test_it_is_compared_to_the_letter(api: Tenant) -> None:
    api.prospect(api.audience()["id"], providerId=ID)
    for other in (ID.lower(), ID[:-1], ID + "x", ID + "%2F", "ada%40example.com"):
        assert api.get(BY_ID + other).expect(200).data["resolution"] == "none"


def test_every_character_can_be_asked_for(api: Tenant) -> None:
    audience = api.audience()["id"]
    characters = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) != "/")
    api.prospect(audience, providerId=characters)
    target = "".join(f"%{ord(character):02X}" for character in characters)
    data = api.get(BY_ID + target).expect(200).data
    assert (data["providerId"], data["resolution"]) == (characters, "single")


def test_among_duplicates_nothing_is_chosen(api: Tenant) -> None:
    """Two of one id are what older data may hold: nothing that is taken in today makes them."""
    audience = api.audience()["id"]
    first = api.prospect(audience, providerId=ID, name="Ada Example")
    second = new_id()
    hasher = api.server.installation.hasher(api.group)
    api.server.change(
        (
            "INSERT INTO prospects (account_group_id, id, name, provider_id, created_at,"
            " updated_at) VALUES ($1, $2, 'Ada E.', $3, 1, 1)",
            api.group, second, ID,
        ),
        (
            "INSERT INTO prospect_keys (account_group_id, key, prospect_id) VALUES ($1, $2, $3)",
            api.group, hasher.key(KeyKind.PROVIDER_ID, ID), second,
        ),
    )  # fmt: skip
    data = api.get(BY_ID + ID).expect(200).data
    assert data["resolution"] == "multiple"
    assert [match["prospectId"] for match in data["matches"]] == [first, second.hex()]
    assert [match["personId"] for match in data["matches"]] == [None, None]


def test_the_value_decides_and_not_its_key(api: Tenant) -> None:
    prospect = api.prospect(api.audience()["id"], providerId=ID)
    api.server.change(
        (
            "UPDATE prospects SET provider_id = 'another' WHERE account_group_id = $1 AND id = $2",
            api.group,
            bytes.fromhex(prospect),
        )
    )
    assert api.get(BY_ID + ID).expect(200).data["resolution"] == "none"


def test_only_this_group(api: Tenant, stranger: Tenant) -> None:
    stranger.prospect(stranger.audience()["id"], providerId=ID)
    assert api.get(BY_ID + ID).expect(200).data["resolution"] == "none"
    assert stranger.get(BY_ID + ID).expect(200).data["resolution"] == "single"


def test_whoever_is_erased_is_not_found(api: Tenant) -> None:
    prospect = api.prospect(api.audience()["id"], providerId=ID)
    api.delete(f"AG/prospects/{prospect}").expect(200)
    assert api.get(BY_ID + ID).expect(200).data["resolution"] == "none"


def test_a_filling_audience_does_not_hold_it_up(api: Tenant) -> None:
    audience = api.audience()["id"]
    api.prospect(audience, providerId=ID)
    with api.filling(audience):
        assert api.get(BY_ID + ID).expect(200).data["resolution"] == "single"


@pytest.mark.parametrize(
    "bad", ["x" * 129, "a%20b", "%20", "a%09", "%00", "a%7F", "%C3%A9", "%FF", "%F0%9F%98%80"]
)
def test_an_id_that_cannot_be_one_is_422(api: Tenant, bad: str) -> None:
    answer = api.get(BY_ID + bad).expect(422, "VALIDATION_ERROR")
    assert answer.issues == [("path.providerId", "invalid_format")]


def test_the_longest_id(api: Tenant) -> None:
    assert api.get(BY_ID + "x" * 128).expect(200).data["resolution"] == "none"


def test_a_query_or_a_body_is_422(api: Tenant) -> None:
    answer = api.get(f"{BY_ID}{ID}?limit=1").expect(422, "VALIDATION_ERROR")
    assert answer.issues == [("query.limit", "unknown_parameter")]
    answer = api.get(BY_ID + ID, json={"providerId": ID}).expect(422, "VALIDATION_ERROR")
    assert answer.issues == [("", "unknown_field")]


def test_an_empty_id_is_an_unknown_path(api: Tenant) -> None:
    api.get(BY_ID).expect(404, "NOT_FOUND")
    api.get(BY_ID + "a/b").expect(404, "NOT_FOUND")
