"""People of an account group: found, looked at, erased; and who must not come back."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest

from longlist.prospects import search_store
from tests.admin.visitor import Shown, Visitor
from tests.harness.tenant import UNKNOWN, Tenant


def base(api: Tenant) -> str:
    return f"/admin/g/{api.group.hex()}"


def names_in(shown: Shown) -> list[str]:
    return re.findall(r'<a class="title"[^>]*>([^<]*)</a>', shown.expect(200).text)


def following(shown: Shown) -> str:
    found = re.findall(r'hx-get="([^"]*cursor=[^"]*)"', shown.text)
    return found[0].replace("&amp;", "&") if found else ""


def walked(visitor: Visitor, path: str) -> tuple[list[str], int]:
    """Everybody whom a walk from page to page shows, and how many pages it took."""
    found, pages, shown = [], 0, visitor.get(path)
    while True:
        found += names_in(shown)
        pages += 1
        if not (path := following(shown)):
            return found, pages
        shown = visitor.get(path, htmx=True)


def test_the_people_of_a_group_are_read_page_by_page(
    visitor: Visitor, api: Tenant, stranger: Tenant
) -> None:
    url = f"{base(api)}/people"
    assert "Nobody yet" in visitor.get(url).plain
    stranger.prospect(stranger.audience()["id"], name="A Stranger", email="s@example.com")
    id_, other = api.audience()["id"], api.audience("Another")["id"]
    api.add(id_, *({"name": f"P {n}", "email": f"p{n}@example.com"} for n in range(70)))
    api.add(other, {"email": "p3@example.com"})
    found, pages = walked(visitor, url)
    assert found == [f"P {n}" for n in reversed(range(70))]
    assert pages == 2
    assert visitor.get(f"{base(stranger)}/people").text.count("A Stranger") == 1


@pytest.mark.parametrize("place", ["people", "audience"])
def test_a_search_looks_at_a_stretch_at_a_time_and_tells_how_far_it_is(
    visitor: Visitor, api: Tenant, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setattr(search_store, "STRETCH", 40)
    id_, other = api.audience()["id"], api.audience("Another")["id"]
    for some in (range(100), range(100, 130)):
        api.add(id_, *({"name": f"Guest no{n}.", "email": f"g{n}@example.com"} for n in some))
    api.prospect(other, name="Guest elsewhere", email="e@example.com")
    in_audience = place == "audience"
    url = f"{base(api)}/{f'audiences/{id_}' if in_audience else 'people'}"

    shown = visitor.get(f"{url}?q=guest+no7.")
    assert names_in(shown) == []
    assert 'hx-trigger="load"' in shown.text
    assert ("40 of 130 people searched" if in_audience else "40 people searched") in shown.plain
    found, _ = walked(visitor, f"{url}?q=guest+no7.")
    assert found == ["Guest no7."]
    found, _ = walked(visitor, f"{url}?q=no7")
    assert found == [f"Guest no{n}." for n in (*reversed(range(70, 80)), 7)]

    found, pages = walked(visitor, f"{url}?q=GUEST+ex")
    elsewhere = [] if in_audience else ["Guest elsewhere"]
    assert found == [*elsewhere, *(f"Guest no{n}." for n in reversed(range(130)))]
    assert pages == 4
    last = visitor.get(f"{url}?q=nobody+at+all")
    assert following(last)
    while path := following(last):
        last = visitor.get(path, htmx=True)
    assert "Nobody found" in last.plain


def test_a_page_full_of_finds_waits_for_more_to_be_asked_for(visitor: Visitor, api: Tenant) -> None:
    id_ = api.audience()["id"]
    api.add(id_, *({"name": f"Guest {n}", "email": f"g{n}@example.com"} for n in range(60)))
    shown = visitor.get(f"{base(api)}/audiences/{id_}?q=guest")
    assert len(names_in(shown)) == 50
    assert 'hx-trigger="load"' not in shown.text
    rest = visitor.get(following(shown), htmx=True)
    assert names_in(rest) == [f"Guest {n}" for n in reversed(range(10))]
    assert "60 found. That is everybody." in rest.plain
    moved = following(shown).replace("q=guest", "q=other")
    visitor.get(moved, htmx=True).expect(400)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("m\u00fcller", ["Jörg Müller", "JÖRG MÜLLER"]),
        ("M\u00dcLLER", ["Jörg Müller", "JÖRG MÜLLER"]),
        ("\u00f6zil", ["Özil Demir"]),
        ("o'br", ["Ann O'Brien"]),
        ("100%", ["Ann O'Brien"]),
        ("acme ann", ["Ann O'Brien"]),
        ("ann nobody", []),
        ("\u674e", ["李雷"]),
    ],
)
def test_a_search_minds_neither_case_nor_the_order_of_words(
    visitor: Visitor, api: Tenant, text: str, found: list[str]
) -> None:
    api.add(
        api.audience()["id"],
        {"name": "JÖRG MÜLLER", "email": "a@example.com"},
        {"name": "Jörg Müller", "email": "b@example.com"},
        {"name": "Özil Demir", "email": "c@example.com"},
        {"name": "Ann O'Brien", "email": "d@example.com", "company": {"name": "ACME 100%"}},
        {"name": "李雷", "email": "e@example.com"},
    )
    shown = visitor.get(f"{base(api)}/people?q={quote(text)}")
    assert [name.replace("&#39;", "'") for name in names_in(shown)] == found


def test_who_is_known_by_the_text_comes_first_and_once(visitor: Visitor, api: Tenant) -> None:
    id_ = api.audience()["id"]
    api.add(
        id_,
        {"name": "By id", "providerId": "Ada"},
        {"name": "Ada Named", "email": "n@example.com"},
        {"name": "Ada Both", "linkedinUrl": "https://www.linkedin.com/in/ada"},
    )
    assert names_in(visitor.get(f"{base(api)}/people?q=Ada")) == ["Ada Both", "By id", "Ada Named"]


def test_a_person_is_erased_for_good(visitor: Visitor, api: Tenant) -> None:
    id_, other = api.audience("First list")["id"], api.audience("Second list")["id"]
    person = {"name": "Ada One", "email": "ada@example.com"}
    prospect = api.prospect(id_, **person)
    api.add(other, person)
    url = f"{base(api)}/prospects/{prospect}"
    page = visitor.get(url)
    assert "In 2 audiences" in page.plain
    assert f"/audiences/{other}" in page.text
    asked = visitor.get(f"{url}/erase", htmx=True).expect(200)
    assert "from 2 audiences, also locked ones" in asked.plain
    assert "cannot be undone" in asked.plain
    with api.filling(other, "running"):
        to = visitor.post(f"{url}/erase").to
    assert to == f"{base(api)}/people?note=erased"
    assert "The person is erased" in visitor.get(to).plain
    visitor.get(url).expect(404)
    visitor.post(f"{url}/erase").expect(404)
    for audience in (id_, other):
        assert api.get(f"AG/audiences/{audience}").data["prospectCount"] == 0
    again = api.post(f"AG/audiences/{id_}/prospects", {"prospects": [person]}).expect(200).data
    assert again["items"][0]["reason"] == "SUPPRESSED"
    looked_up = visitor.get(f"{base(api)}/suppressions?q=ada@example.com")
    assert "is suppressed" in looked_up.plain
    assert "Erased" in looked_up.plain


def test_suppressions_are_added_looked_up_and_taken_off(
    visitor: Visitor, api: Tenant, stranger: Tenant
) -> None:
    url = f"{base(api)}/suppressions"
    assert "Nobody is suppressed" in visitor.get(url).plain
    form = {"kind": "domain", "value": "Rival.example", "reason": "manual", "note": "A rival"}
    assert visitor.post(f"{url}/new", form).to == f"{url}?note=added"
    assert visitor.post(f"{url}/new", form).to == f"{url}?note=there"
    page = visitor.get(url)
    assert "A rival" in page.plain
    assert "rival.example" not in page.plain.lower()
    for text, is_on in (
        ("rival.example", True), ("somebody@RIVAL.example", True), ("a@other.example", False),
    ):  # fmt: skip
        found = visitor.get(f"{url}?q={text}").plain
        assert ("is suppressed" in found) is is_on, text
        assert ("is not suppressed" in found) is not is_on, text
    assert (
        "is not suppressed" in visitor.get(f"{base(stranger)}/suppressions?q=rival.example").plain
    )
    assert "A rival" not in visitor.get(f"{url}?reason=erasure").plain
    for wrong in ({"kind": "email"}, {"value": ""}, {"kind": "name"}, {"reason": "erasure"}):
        visitor.post(f"{url}/new", {**form, **wrong}, htmx=True).expect(400)
    (entry,) = api.get("AG/suppressions").data["items"]
    visitor.get(f"{url}/{entry['id']}/remove", htmx=True).expect(200)
    visitor.post(f"{base(stranger)}/suppressions/{entry['id']}/remove").expect(404)
    assert visitor.post(f"{url}/{entry['id']}/remove").to == f"{url}?note=removed"
    visitor.post(f"{url}/{UNKNOWN}/remove").expect(404)
    assert api.get("AG/suppressions").data["items"] == []


def test_a_long_list_of_suppressions_is_read_page_by_page(visitor: Visitor, api: Tenant) -> None:
    for n in range(60):
        entry = {"kind": "email", "value": f"p{n}@example.com", "note": f"Note {n}."}
        api.post("AG/suppressions", entry).expect(201)
    first = visitor.get(f"{base(api)}/suppressions")
    second = visitor.get(following(first), htmx=True)
    found = re.findall(r"Note (\d+)\.", first.text + second.text)
    assert [int(n) for n in found] == list(reversed(range(60)))
