"""Keys, matching and merging: the same person is found, and nobody else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longlist.prospects.identity import (
    Candidate,
    KeyHasher,
    KeyKind,
    Keys,
    check_suppressed_value,
    decide,
    keys_of,
    linkedin_company_identifier,
    linkedin_public_identifier,
    merge,
    read_profile_url,
    suppression_keys,
)
from longlist.prospects.person import FIELDS, Person, RowRefused, make_person
from tests.prospects.linkedin_urls import (
    CLASSIC,
    COMPANY_URLS,
    EMAILS,
    PROFILE_URLS,
    PROVIDER_IDS,
    SALES,
)

HASHER = KeyHasher(b"a secret of the test suite")
OTHER = KeyHasher(b"another one of the test suite")
ANYTHING = st.text(st.characters(exclude_categories=()), max_size=60)
JANE = "https://www.linkedin.com/in/jane-doe"


def test_the_table_is_large_and_without_repeats() -> None:
    for table, least in ((PROFILE_URLS, 220), (COMPANY_URLS, 15), (EMAILS, 50), (PROVIDER_IDS, 10)):
        values = [value for value, _ in table]
        assert len(values) >= least
        assert len(set(values)) == len(values)


@pytest.mark.parametrize(("url", "expected"), PROFILE_URLS)
def test_profile_url(url: str, expected: str | None) -> None:
    profile = read_profile_url(url)
    slug = expected[3:] if expected is not None and expected.startswith("in:") else None
    assert linkedin_public_identifier(url) == slug
    if expected is None:
        assert profile is None
        return
    assert profile is not None
    kind = "in" if profile.provider_id is None else "id"
    assert f"{kind}:{profile.public_identifier or profile.provider_id}" == expected
    person = make_person({"linkedinUrl": url})
    key_kind = KeyKind.PUBLIC_IDENTIFIER if kind == "in" else KeyKind.PROVIDER_ID
    assert keys_of(person, HASHER).all() == [(key_kind, HASHER.key(key_kind, expected[3:]))]


@pytest.mark.parametrize(("url", "expected"), COMPANY_URLS)
def test_company_url(url: str, expected: str | None) -> None:
    assert linkedin_company_identifier(url) == expected


@pytest.mark.parametrize(
    ("kind", "spellings"),
    [
        (KeyKind.EMAIL, ["jane@acme.example", "JANE@Acme.Example", " mailto:Jane@acme.example "]),
        (KeyKind.EMAIL, ["jo\u0308rg@münchen.example", "JÖRG@xn--mnchen-3ya.example"]),
        (KeyKind.PUBLIC_IDENTIFIER, ["jürgen", "J%C3%9CRGEN", "ju\u0308rgen", " J%25C3%25BCrgen "]),
        (KeyKind.PROVIDER_ID, ["AbC", " AbC "]),
        (KeyKind.NAME_COMPANY, ["Jane Doe\nAcme", " JANE\u00a0 DOE \n acme "]),
        (KeyKind.NAME_COMPANY, ["Zoe\u0308\nStraße", "ZOË\nSTRASSE"]),
        (KeyKind.DOMAIN, ["acme.example", "ACME.example", " acme.example. ", "@acme.example"]),
        (KeyKind.DOMAIN, ["münchen.example", "MÜNCHEN.example", "xn--mnchen-3ya.example"]),
    ],
)
def test_spellings_have_one_key(kind: KeyKind, spellings: list[str]) -> None:
    assert len({HASHER.key(kind, spelling) for spelling in spellings}) == 1


@pytest.mark.parametrize(
    ("kind", "first", "second"),
    [
        (KeyKind.PROVIDER_ID, "AbC", "abc"),
        (KeyKind.EMAIL, "jane@acme.example", "jane+x@acme.example"),
        (KeyKind.EMAIL, "jane@straße.example", "jane@strasse.example"),
        (KeyKind.NAME_COMPANY, "Jane Doe\nAcme", "Jane\nDoe Acme"),
        (KeyKind.DOMAIN, "acme.example", "mail.acme.example"),
        (KeyKind.PUBLIC_IDENTIFIER, "jane-doe", "jane-doe-1"),
    ],
)
def test_other_values_have_other_keys(kind: KeyKind, first: str, second: str) -> None:
    assert HASHER.key(kind, first) != HASHER.key(kind, second)


@given(ANYTHING)
def test_keys_differ_by_kind_and_secret_and_never_raise(value: str) -> None:
    keys = [hasher.key(kind, value) for kind in KeyKind for hasher in (HASHER, OTHER)]
    assert len(set(keys)) == len(keys)
    assert {len(key) for key in keys} == {16}


@pytest.mark.parametrize("secret", [b"", b"short"])
def test_a_weak_secret_is_refused(secret: bytes) -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        KeyHasher(secret)


def test_all_bytes_of_a_long_secret_count() -> None:
    first, second = (KeyHasher(b"s" * 70 + end) for end in (b"1", b"2"))
    assert first.key(KeyKind.EMAIL, "a@b.cd") != second.key(KeyKind.EMAIL, "a@b.cd")


@given(
    st.dictionaries(
        st.sampled_from(["name", "company.name", "email", "publicIdentifier", "providerId"]),
        ANYTHING,
    )
)
def test_keys_of_a_person_are_those_of_its_values(values: dict[str, str]) -> None:
    try:
        person = make_person(values)
        keys = keys_of(person, HASHER)
    except RowRefused:
        return
    for kind, key in keys.all():
        if kind is KeyKind.NAME_COMPANY:
            assert HASHER.key(kind, f"{person.name}\n{person.company_name}") == key
            assert len(keys.all()) == 1
        else:
            assert HASHER.key(kind, getattr(person, kind.value)) == key


def test_name_and_company_count_only_alone() -> None:
    values: dict[str, str | None] = {"firstName": "Jane", "lastName": "Doe", "company.name": "Acme"}
    kinds = [kind for kind, _ in keys_of(make_person(values), HASHER).all()]
    assert kinds == [KeyKind.NAME_COMPANY]
    kinds = [kind for kind, _ in keys_of(make_person({**values, "email": "j@a.bc"}), HASHER).all()]
    assert kinds == [KeyKind.EMAIL]


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"name": "Jane Doe"},
        {"company.name": "Acme"},
        {"name": "Jane Doe", "company.name": " "},
        {"title": "CTO", "phone": "1", "linkedinUrl": "https://www.linkedin.com/company/acme"},
    ],
)
def test_no_identity(values: dict[str, str | None]) -> None:
    with pytest.raises(RowRefused) as refused:
        keys_of(make_person(values), HASHER)
    assert refused.value.reason == "NO_IDENTITY"


def test_suppression_covers_each_key_and_the_exact_domain() -> None:
    person = make_person(
        {"email": "Jane@Mail.Acme.example", "linkedinUrl": JANE, "providerId": "p1"}
    )
    assert suppression_keys(person, keys_of(person, HASHER), HASHER) == [
        HASHER.key(KeyKind.PROVIDER_ID, "p1"),
        HASHER.key(KeyKind.PUBLIC_IDENTIFIER, "jane-doe"),
        HASHER.key(KeyKind.EMAIL, "jane@mail.acme.example"),
        HASHER.key(KeyKind.DOMAIN, "mail.acme.example"),
    ]


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (KeyKind.EMAIL, "Jane@ACME.example", "Jane@acme.example"),
        (KeyKind.EMAIL, "jane", "INVALID_EMAIL"),
        (KeyKind.DOMAIN, "XN--mnchen-3ya.example", "münchen.example"),
        (KeyKind.DOMAIN, "acme", "INVALID_TEXT"),
        (KeyKind.DOMAIN, "jane@acme.example", "INVALID_TEXT"),
        (KeyKind.DOMAIN, "https://acme.example", "INVALID_TEXT"),
        (KeyKind.DOMAIN, "", "INVALID_TEXT"),
        (KeyKind.PUBLIC_IDENTIFIER, "Jane-Doe", "jane-doe"),
        (KeyKind.PUBLIC_IDENTIFIER, "a/b", "INVALID_TEXT"),
        (KeyKind.PROVIDER_ID, "p 1", "INVALID_TEXT"),
    ],
)
def test_suppressed_values(kind: KeyKind, value: str, expected: str) -> None:
    try:
        result = check_suppressed_value(kind, value)
    except RowRefused as refused:
        result = refused.reason
    assert result == expected


def test_name_and_company_cannot_be_suppressed_by_value() -> None:
    with pytest.raises(ValueError, match="cannot be suppressed"):
        check_suppressed_value(KeyKind.NAME_COMPANY, "Jane\nAcme")


A, B = b"a" * 16, b"b" * 16
ID_1, ID_2, ID_3 = b"1" * 12, b"2" * 12, b"3" * 12


@pytest.mark.parametrize(
    ("keys", "candidates", "ids"),
    [
        (Keys(email=A), [], ()),
        (Keys(email=A), [Candidate(ID_1, email=A)], (ID_1,)),
        # The first key that both have decides, though a later one agrees.
        (Keys(provider_id=A, email=A), [Candidate(ID_1, provider_id=B, email=A)], ()),
        (Keys(public_identifier=A, email=A), [Candidate(ID_1, public_identifier=B, email=A)], ()),
        (Keys(provider_id=A, email=B), [Candidate(ID_1, provider_id=A, email=A)], (ID_1,)),
        # A key that one side lacks is passed over.
        (Keys(provider_id=A, email=A), [Candidate(ID_1, email=A)], (ID_1,)),
        (Keys(email=A), [Candidate(ID_1, provider_id=B, email=A)], (ID_1,)),
        # Two people at once.
        (
            Keys(public_identifier=A, email=A),
            [Candidate(ID_2, email=A), Candidate(ID_1, public_identifier=A)],
            (ID_1, ID_2),
        ),
        (
            Keys(provider_id=A, public_identifier=A, email=A),
            [Candidate(ID_1, provider_id=A), Candidate(ID_2, provider_id=B, email=A)],
            (ID_1,),
        ),
        # Name and company join only those who have nothing else.
        (Keys(name_company=A), [Candidate(ID_1, name_company=A)], (ID_1,)),
        (Keys(name_company=A), [Candidate(ID_1, email=A)], ()),
        (Keys(email=A), [Candidate(ID_1, name_company=A)], ()),
    ],
)
def test_decide(keys: Keys, candidates: list[Candidate], ids: tuple[bytes, ...]) -> None:
    match = decide(keys, candidates)
    assert match.ids == ids
    assert match.is_new == (ids == ())
    assert match.is_ambiguous == (len(ids) > 1)
    assert match.id == (ids[0] if len(ids) == 1 else None)


KEY = st.none() | st.sampled_from([A, B])
CANDIDATES = st.lists(
    st.builds(Candidate, st.sampled_from([ID_1, ID_2, ID_3]), KEY, KEY, KEY),
    max_size=5,
    unique_by=lambda candidate: candidate.id,
)


@given(st.builds(Keys, KEY, KEY, KEY), CANDIDATES, st.randoms())
def test_decide_follows_the_rule_in_any_order(
    keys: Keys, candidates: list[Candidate], random: object
) -> None:
    def first_common(candidate: Candidate) -> bool:
        for name in ("provider_id", "public_identifier", "email"):
            pair = (getattr(keys, name), getattr(candidate, name))
            if None not in pair:
                return bool(pair[0] == pair[1])
        return False

    expected = tuple(sorted(c.id for c in candidates if first_common(c)))
    assert decide(keys, candidates).ids == expected
    shuffled = list(candidates)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert decide(keys, shuffled) == decide(keys, candidates)
    assert decide(keys, candidates * 2) == decide(keys, candidates)


def merged(stored: dict[str, str | None], new: dict[str, str | None]) -> dict[str, str]:
    result, _ = merge(make_person(stored), make_person(new))
    values = {name: getattr(result, attribute) for name, attribute in FIELDS.items()}
    return {name: value for name, value in values.items() if value is not None}


@pytest.mark.parametrize(
    ("stored", "new", "name"),
    [
        ({"name": "Dr. Jane Doe"}, {"firstName": "Jane", "lastName": "Doe"}, "Dr. Jane Doe"),
        ({"name": "Dr. Jane Doe"}, {"firstName": "Jane", "name": "Jane"}, "Jane"),
        ({"firstName": "Jane", "lastName": "Doe"}, {"firstName": "Janet"}, "Janet Doe"),
        ({"firstName": "Jane"}, {"lastName": "Doe"}, "Jane Doe"),
        ({"title": "CTO"}, {"firstName": "Jane", "lastName": "Doe"}, "Jane Doe"),
        ({"firstName": "Jane", "lastName": "Doe"}, {"name": "Jane D."}, "Jane D."),
        ({"firstName": "Jane", "lastName": "Doe"}, {"title": "CTO"}, "Jane Doe"),
    ],
)
def test_merged_name(stored: dict[str, str | None], new: dict[str, str | None], name: str) -> None:
    assert merged(stored, new)["name"] == name


LEAD = f"https://www.linkedin.com/sales/lead/{SALES}"
TOKEN_URL = f"https://www.linkedin.com/in/{CLASSIC}"


@pytest.mark.parametrize(
    ("stored", "new", "url", "slug"),
    [
        ({"linkedinUrl": JANE}, {"email": "j@a.bc"}, JANE, "jane-doe"),
        ({"email": "j@a.bc"}, {"linkedinUrl": JANE}, JANE, "jane-doe"),
        ({"linkedinUrl": f"{JANE}-1"}, {"linkedinUrl": JANE}, JANE, "jane-doe"),
        ({"linkedinUrl": f"{JANE}-1"}, {"publicIdentifier": "jane-doe"}, JANE, "jane-doe"),
        ({"linkedinUrl": JANE}, {"publicIdentifier": "Jane-Doe"}, JANE, "jane-doe"),
        ({"linkedinUrl": JANE}, {"linkedinUrl": LEAD}, JANE, "jane-doe"),
        ({"linkedinUrl": JANE}, {"linkedinUrl": TOKEN_URL}, JANE, "jane-doe"),
        ({"linkedinUrl": LEAD}, {"linkedinUrl": JANE}, JANE, "jane-doe"),
        ({"linkedinUrl": LEAD}, {"publicIdentifier": "jane-doe"}, LEAD, "jane-doe"),
        ({"publicIdentifier": "jane-doe"}, {"linkedinUrl": LEAD}, LEAD, "jane-doe"),
        ({"linkedinUrl": LEAD}, {"linkedinUrl": TOKEN_URL}, TOKEN_URL, None),
        ({"publicIdentifier": "jane-1"}, {"publicIdentifier": "jane-2"}, None, "jane-2"),
        ({"linkedinUrl": JANE}, {"publicIdentifier": "🚀" * 255}, None, "🚀" * 255),
    ],
)
def test_merged_url_stays_that_of_the_public_identifier(
    stored: dict[str, str | None], new: dict[str, str | None], url: str | None, slug: str | None
) -> None:
    result = merged(stored, new)
    assert result.get("linkedinUrl") == url
    assert result.get("publicIdentifier") == slug


def test_lead_page_adds_its_provider_id() -> None:
    assert merged({"linkedinUrl": JANE}, {"linkedinUrl": LEAD})["providerId"] == SALES


PEOPLE = st.builds(
    make_person,
    st.dictionaries(
        st.sampled_from(["firstName", "lastName", "name", "title", "company.name", "phone"]),
        st.sampled_from(["Jane", "Doe", "Jane Doe", "Acme"]),
    ).flatmap(
        lambda values: st.sampled_from(
            [{}, {"linkedinUrl": JANE}, {"linkedinUrl": f"{JANE}-1"}, {"linkedinUrl": LEAD}]
        ).map(lambda url: {**values, **url})
    ),
)


@given(PEOPLE, PEOPLE)
def test_merge_replaces_keeps_and_settles(stored: Person, new: Person) -> None:
    before = [getattr(stored, name) for name in Person.__struct_fields__]
    result, changed = merge(stored, new)
    assert before == [getattr(stored, name) for name in Person.__struct_fields__]
    fields = FIELDS.values()
    assert changed == any(getattr(stored, f) != getattr(result, f) for f in fields)
    for field in set(fields) - {"name", "linkedin_url"}:
        value = getattr(new, field)
        assert getattr(result, field) == (getattr(stored, field) if value is None else value)
    if new.name is not None and not new.name_made:
        assert result.name == new.name
    if stored.name is not None:
        assert result.name is not None
    if result.public_identifier is not None:
        assert result.linkedin_url is not None
        assert linkedin_public_identifier(result.linkedin_url) == result.public_identifier
    again, changed_again = merge(result, new)
    assert not changed_again
    assert [getattr(again, f) for f in fields] == [getattr(result, f) for f in fields]


@given(PEOPLE)
def test_merging_nothing_or_the_same_changes_nothing(person: Person) -> None:
    assert merge(person, Person()) == (person, False)
    assert merge(person, person) == (person, False)
