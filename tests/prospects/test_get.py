"""GET prospect (contract 5.5)."""

from __future__ import annotations

from tests.harness.tenant import UNKNOWN, Tenant


def test_its_tag_follows_its_fields(api: Tenant) -> None:
    audience = api.audience()["id"]
    target = f"AG/prospects/{api.prospect(audience, email='ada@example.com')}"
    first = api.get(target).expect(200)
    assert first.data["createdAt"] == first.data["updatedAt"]
    api.add(audience, {"email": "ada@example.com"})
    assert api.get(target).etag == first.etag
    api.add(audience, {"email": "ada@example.com", "title": "CTO"})
    second = api.get(target).expect(200)
    assert second.etag != first.etag
    assert second.data == {**first.data, "title": "CTO", "updatedAt": second.data["updatedAt"]}
    assert second.data["updatedAt"] > second.data["createdAt"]


def test_filling_audiences_do_not_hold_it_up(api: Tenant) -> None:
    audience = api.audience()["id"]
    prospect = api.prospect(audience, email="ada@example.com")
    with api.filling(audience):
        api.get(f"AG/prospects/{prospect}").expect(200)


def test_strangers_and_unknown_look_the_same(api: Tenant, stranger: Tenant) -> None:
    theirs = stranger.prospect(stranger.audience()["id"], email="ada@example.com")
    found = [api.get(f"AG/prospects/{id_}").expect(404).untraced for id_ in (UNKNOWN, theirs)]
    assert found[0] == found[1]
