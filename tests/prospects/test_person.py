"""Fields in their stored form: limits, reasons of refusal, and what is derived."""

from __future__ import annotations

import re

import email_validator
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longlist.prospects import person as person_module
from longlist.prospects.linkedin import normal_slug, profile_url, read_profile_url
from longlist.prospects.person import (
    FIELDS,
    PLAIN_EMAIL,
    Person,
    RowRefused,
    check_field,
    full_name,
    make_person,
    normal_email,
    validated_email,
)
from tests.prospects.linkedin_urls import CLASSIC, EMAILS, PROFILE_URLS, PROVIDER_IDS, SALES

REASONS = {"INVALID_EMAIL", "INVALID_URL", "INVALID_TEXT", "FIELD_TOO_LONG"}
JANE = "https://www.linkedin.com/in/jane-doe"
ANYTHING = st.text(st.characters(exclude_categories=()), max_size=300)


def outcome(**values: str | None) -> Person | tuple[str, str | None]:
    """The person, or reason and field of the refusal; `company_name` stands for `company.name`."""
    names = {name.replace(".", "_"): name for name in FIELDS}
    try:
        return make_person({names[key]: value for key, value in values.items()})
    except RowRefused as refused:
        return refused.reason, refused.field


def test_fields_are_those_of_the_contract_in_its_order() -> None:
    assert list(FIELDS) == [
        *("firstName", "lastName", "name", "headline", "about", "photoUrl", "linkedinUrl"),
        *("publicIdentifier", "providerId", "title", "location", "email", "phone"),
        *("company.name", "company.linkedinIdentifier", "company.linkedinUrl"),
        *("company.industry", "company.website", "company.domain", "company.size"),
    ]
    assert (*FIELDS.values(), "name_made") == Person.__struct_fields__


@pytest.mark.parametrize(("given_email", "expected"), EMAILS)
def test_email(given_email: str, expected: str) -> None:
    result = outcome(email=given_email)
    if isinstance(result, tuple):
        assert result == (expected, "email")
    else:
        assert (result.email or "") == expected


@pytest.mark.parametrize(("given_id", "expected"), PROVIDER_IDS)
def test_provider_id(given_id: str, expected: str) -> None:
    result = outcome(providerId=given_id)
    if isinstance(result, tuple):
        assert result == (expected, "providerId")
    else:
        assert (result.provider_id or "") == expected


@pytest.mark.parametrize(
    ("field", "limit"),
    [
        *(("firstName", 255), ("lastName", 255), ("name", 255), ("headline", 500)),
        *(("about", 10_000), ("publicIdentifier", 255), ("providerId", 128), ("title", 255)),
        *(("location", 255), ("phone", 64), ("company.name", 255), ("company.industry", 255)),
        *(("company.linkedinIdentifier", 255), ("company.domain", 253), ("company.size", 64)),
    ],
)
def test_limits_count_characters(field: str, limit: int) -> None:
    letter = "a" if field == "providerId" else "é"
    assert getattr(make_person({field: letter * limit}), FIELDS[field]) == letter * limit
    with pytest.raises(RowRefused) as refused:
        make_person({field: letter * (limit + 1)})
    assert (refused.value.reason, refused.value.field) == ("FIELD_TOO_LONG", field)


@pytest.mark.parametrize("field", ["photoUrl", "linkedinUrl", "company.linkedinUrl"])
def test_limit_of_urls(field: str) -> None:
    url = "https://acme.example/" + "a" * 2027
    assert getattr(make_person({field: url}), FIELDS[field]) == url
    with pytest.raises(RowRefused) as refused:
        make_person({field: url + "a"})
    assert (refused.value.reason, refused.value.field) == ("FIELD_TOO_LONG", field)


def test_scheme_that_is_added_counts_towards_the_limit() -> None:
    assert outcome(company_website="acme.example/" + "a" * 2035) == (
        "FIELD_TOO_LONG",
        "company.website",
    )


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("nothing", [None, "", " ", "\u3000\u00a0", "\u200b"])
def test_a_value_with_nothing_visible_is_missing(field: str, nothing: str | None) -> None:
    if field == "about" and nothing == "\u200b":
        assert make_person({field: nothing}).about == nothing  # Only white space is empty there.
    else:
        assert make_person({field: nothing}) == Person()


@pytest.mark.parametrize("field", sorted(set(FIELDS) - {"about"}))
@pytest.mark.parametrize("bad", ["a\x00b", "a\nb", "a\x85b", "a\u2028b", "a\u202eb", "a\ud800b"])
def test_control_characters_are_refused(field: str, bad: str) -> None:
    with pytest.raises(RowRefused) as refused:
        make_person({field: bad})
    assert refused.value.reason == "INVALID_TEXT"


def test_about_keeps_its_lines() -> None:
    assert make_person({"about": " one\r\ntwo\tthree\r"}).about == " one\ntwo\tthree\n"


def test_texts_are_nfc_and_trimmed() -> None:
    assert make_person({"title": " Cre\u0301ateur "}).title == "Créateur"


@pytest.mark.parametrize(
    ("first", "last", "name", "expected"),
    [
        ("Jane", "Doe", None, "Jane Doe"),
        ("Jane", None, None, "Jane"),
        (None, "Doe", " ", "Doe"),
        ("Jane", "Doe", "Dr. Jane Doe", "Dr. Jane Doe"),
        (None, None, None, None),
        ("J" * 255, "D" * 255, None, "J" * 255),
        ("J" * 200, "D" * 255, None, "J" * 200 + " " + "D" * 54),
        ("J" * 254, "D", None, "J" * 254),
    ],
)
def test_name_is_made_when_not_given(
    first: str | None, last: str | None, name: str | None, expected: str | None
) -> None:
    made = make_person({"firstName": first, "lastName": last, "name": name})
    assert made.name == expected
    assert made.name_made == (expected is not None and expected != "Dr. Jane Doe")


@pytest.mark.parametrize(
    "url",
    [
        "https://acme.example",
        "http://acme.example/a?b=c#d",
        "HTTPS://Acme.Example/Jane",
        "https://acme.example:8443/x",
        "https://192.0.2.1/x.png",
        "https://[2001:db8::1]/x.png",
        "https://münchen.example/ü",
        "http://intranet/x",
        "https://cdn_1.acme.example/x?a=b&c=%20",
    ],
)
def test_web_urls_are_kept(url: str) -> None:
    for field in ("photoUrl", "linkedinUrl", "company.website", "company.linkedinUrl"):
        assert getattr(make_person({field: url}), FIELDS[field]) == url


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://acme.example/x", "javascript:alert(1)", "data:text/html,x", "file:///etc/passwd"),
        *("https://", "https:///x", "https:acme.example", "http:/acme.example", "://acme.example"),
        *("https://jane@acme.example/", "https://jane:pw@acme.example/", "https://a b.example"),
        *("https://acme.example/a b", 'https://acme.example/"x', "https://acme.example/<x>"),
        *("https://acme..example", "https://.example", "https://acme.example:x", "mailto:a@b.cd"),
        *("https://acme.example\\x", "n/a", "-", "acme", "https://[::1/x", "https://a%2fb.example"),
    ],
)
def test_other_urls_are_refused(url: str) -> None:
    for field in ("photoUrl", "linkedinUrl", "company.website", "company.linkedinUrl"):
        with pytest.raises(RowRefused) as refused:
            make_person({field: url})
        assert (refused.value.reason, refused.value.field) == ("INVALID_URL", field)
        assert url not in refused.value.message or url == "-"


@pytest.mark.parametrize(
    ("given_url", "stored"),
    [
        ("acme.example", "https://acme.example"),
        ("www.acme.example/about", "https://www.acme.example/about"),
        ("//acme.example", "https://acme.example"),
        ("acme.example:8080/x", "https://acme.example:8080/x"),
    ],
)
def test_scheme_is_added_except_to_photos(given_url: str, stored: str) -> None:
    for field in ("linkedinUrl", "company.website", "company.linkedinUrl"):
        assert getattr(make_person({field: given_url}), FIELDS[field]) == stored
    assert outcome(photoUrl=given_url) == ("INVALID_URL", "photoUrl")


@pytest.mark.parametrize(("url", "expected"), PROFILE_URLS)
def test_profile_urls_settle_the_identity(url: str, expected: str | None) -> None:
    result = outcome(linkedinUrl=url)
    if expected is None:
        # Either refused, or kept as a link that identifies nobody.
        if isinstance(result, tuple):
            assert result[0] in REASONS
        else:
            assert result.public_identifier is None
            assert result.provider_id is None
        return
    assert isinstance(result, Person)
    kind, _, value = expected.partition(":")
    assert result.public_identifier == (value if kind == "in" else None)
    assert result.provider_id == (value if kind == "id" else None)
    assert result.linkedin_url is not None
    if kind == "in":
        assert result.linkedin_url == profile_url(value)
    assert result.linkedin_url.isascii()
    assert make_person({"linkedinUrl": result.linkedin_url}) == result


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"linkedinUrl": JANE, "publicIdentifier": "jane-doe"}, "jane-doe"),
        ({"linkedinUrl": JANE, "publicIdentifier": "Jane-Doe"}, "jane-doe"),
        ({"publicIdentifier": "J%C3%BCrgen"}, "jürgen"),
        ({"linkedinUrl": f"{JANE}?x=1", "publicIdentifier": " "}, "jane-doe"),
        ({"linkedinUrl": "https://acme.example/", "publicIdentifier": "jane-doe"}, "jane-doe"),
        ({"linkedinUrl": f"linkedin.com/in/{CLASSIC}", "publicIdentifier": "j-d"}, "j-d"),
        ({"linkedinUrl": JANE, "publicIdentifier": "john-roe"}, "INVALID_URL"),
        ({"linkedinUrl": f"{JANE}-1", "publicIdentifier": "jane-doe"}, "INVALID_URL"),
        ({"linkedinUrl": "https://www.linkedin.com/in/"}, "INVALID_URL"),
        ({"linkedinUrl": "https://www.linkedin.com/in/null"}, "INVALID_URL"),
        ({"publicIdentifier": "jane doe"}, "INVALID_TEXT"),
        ({"publicIdentifier": JANE}, "INVALID_TEXT"),
        ({"publicIdentifier": "null"}, "INVALID_TEXT"),
        ({"publicIdentifier": "%C3%BC" * 300}, "FIELD_TOO_LONG"),
        ({"linkedinUrl": "https://www.linkedin.com/in/" + "🚀" * 255}, "FIELD_TOO_LONG"),
    ],
)
def test_url_and_public_identifier_agree(values: dict[str, str], expected: str) -> None:
    try:
        result = make_person(values).public_identifier
    except RowRefused as refused:
        result = refused.reason
    assert result == expected


def test_given_provider_id_wins_over_the_token_in_the_url() -> None:
    made = make_person({"linkedinUrl": f"linkedin.com/sales/lead/{SALES},x", "providerId": "p1"})
    assert made.provider_id == "p1"
    assert made.linkedin_url == f"https://www.linkedin.com/sales/lead/{SALES}"


def test_company_identifier_comes_from_its_url() -> None:
    url = "linkedin.com/company/Acme-Metals/"
    made = make_person({"company.linkedinUrl": url})
    assert made.company_linkedin_identifier == "acme-metals"
    assert made.company_linkedin_url == "https://" + url
    kept = make_person({"company.linkedinUrl": url, "company.linkedinIdentifier": "1035"})
    assert kept.company_linkedin_identifier == "1035"


def test_domain_is_lower_case() -> None:
    assert make_person({"company.domain": " Acme.Example. "}).company_domain == "acme.example"


def test_unknown_field_is_the_callers_fault() -> None:
    with pytest.raises(KeyError):
        make_person({"nickname": "J"})


def test_check_field_refuses_what_is_missing() -> None:
    assert check_field("email", "Jane@ACME.example") == "Jane@acme.example"
    for value, reason in ((" ", "INVALID_TEXT"), ("jane", "INVALID_EMAIL")):
        with pytest.raises(RowRefused) as refused:
            check_field("email", value)
        assert refused.value.reason == reason


@given(st.dictionaries(st.sampled_from(list(FIELDS)), st.none() | ANYTHING, max_size=6))
def test_any_text_is_taken_or_refused_without_repeating_it(values: dict[str, str | None]) -> None:
    try:
        made = make_person(values)
    except RowRefused as refused:
        assert refused.reason in REASONS
        assert refused.field is not None
        assert refused.field in FIELDS
        value = values[refused.field] or ""
        assert len(value) < 6 or value not in refused.message
        return
    stored = {name: getattr(made, attribute) for name, attribute in FIELDS.items()}
    assert "" not in stored.values()
    again = make_person(stored)
    again.name_made = made.name_made
    assert again == made


EMAIL_LIKE = st.from_regex(
    re.compile(r"[A-Za-z0-9._+@%' -]{0,12}@([A-Za-z0-9-]{1,8}\.){0,3}[A-Za-z0-9-]{1,6}"),
    fullmatch=True,
)


@given(st.from_regex(PLAIN_EMAIL, fullmatch=True))
def test_plain_addresses_are_what_the_validator_makes_of_them(address: str) -> None:
    if len(address) <= person_module.MAX_EMAIL:
        assert normal_email(address) == validated_email(address)


@given(EMAIL_LIKE | st.emails())
def test_addresses_are_taken_exactly_when_the_validator_takes_them(address: str) -> None:
    address = address.strip()
    try:
        expected = validated_email(address)
    except ValueError:
        with pytest.raises(ValueError, match="not one"):
            normal_email(address)
        return
    assert normal_email(address) == expected
    assert normal_email(expected) == expected
    local, _, domain = expected.rpartition("@")
    assert local == address.rpartition("@")[0]
    assert domain == domain.lower()


@pytest.mark.parametrize(
    "address",
    [
        *("a@" + "b" * 63 + ".cd", "a@" + "b" * 64 + ".cd", "a@b." + "c" * 63, "a@b." + "c" * 64),
        *("a@b-c.de", "a@b--c.de", "a@xn--c.de", "a@ab--c.de", "a@b.c-d", "a@b.c1", "a@1.cd"),
        *("a" * 249 + "@b.cd", "a" * 250 + "@b.cd", "a@" + "b.c" * 90 + ".de", "www@b.cd"),
    ],
)
def test_edges_of_plain_addresses(address: str) -> None:
    try:
        expected = validated_email(address)
    except ValueError:
        with pytest.raises(ValueError, match="not one"):
            normal_email(address)
    else:
        assert normal_email(address) == expected


def test_the_validator_is_the_one_with_every_domain_allowed() -> None:
    assert email_validator.SPECIAL_USE_DOMAIN_NAMES == []


@given(ANYTHING)
def test_slug_is_idempotent(text: str) -> None:
    slug = normal_slug(text)
    if slug is not None:
        assert normal_slug(slug) == slug
        assert len(slug) <= 255
        assert slug == slug.lower()
        profile = read_profile_url(profile_url(slug))
        if len(profile_url(slug)) <= 2048:
            assert profile is not None
            assert profile.public_identifier == slug


@given(st.sampled_from([url for url, _ in PROFILE_URLS]), ANYTHING, st.integers(0, 80))
def test_reading_urls_is_idempotent(url: str, noise: str, at: int) -> None:
    profile = read_profile_url(url[:at] + noise[:5] + url[at:])
    if profile is not None and len(profile.url) <= 2048:
        assert read_profile_url(profile.url) == profile


@given(st.from_regex(re.compile(r"[a-z0-9-]{1,40}", re.ASCII), fullmatch=True))
def test_the_short_way_and_the_long_way_agree(slug: str) -> None:
    short = read_profile_url(f"https://www.linkedin.com/in/{slug}")
    long = read_profile_url(f"https://www.linkedin.com/in/{slug}?trk=x")
    assert short == long


@given(st.text(min_size=1, max_size=255), st.text(min_size=1, max_size=255))
def test_full_name_is_bounded(first: str, last: str) -> None:
    made = full_name(first, last)
    assert made is not None
    assert len(made) <= 255
    assert f"{first} {last}".startswith(made)
