"""GET the prospects of an audience (contract 5.1)."""

from __future__ import annotations

from tests.harness.tenant import UNKNOWN, Tenant
from tests.harness.walk import check_limits, items, pages


def people(count: int) -> list[dict[str, str]]:
    return [{"email": f"person{at}@example.com", "name": f"Person {at}"} for at in range(count)]


def test_newest_first_by_the_prospects_own_age(api: Tenant) -> None:
    first, second = api.audience()["id"], api.audience()["id"]
    ids = [item["prospectId"] for item in api.add(first, *people(5))["items"]]
    api.add(second, *[{"prospectId": ids[at]} for at in (0, 4, 2, 1, 3)])
    for audience in (first, second):
        assert [item["id"] for item in items(api, f"AG/audiences/{audience}/prospects")] == ids[
            ::-1
        ]


def test_pages_with_inserts_and_removals_between(api: Tenant) -> None:
    audience = api.audience()["id"]
    target = f"AG/audiences/{audience}/prospects"
    assert api.get(target).expect(200).data == {"items": [], "nextCursor": None, "hasMore": False}
    ids = [item["prospectId"] for item in api.add(audience, *people(12))["items"]]

    def between(page: int) -> None:
        api.prospect(audience, email=f"new{page}@example.com")
        if page == 1:
            api.delete(f"{target}/{ids[1]}").expect(200)

    found = [item["id"] for page in pages(api, target, 4, between) for item in page]
    assert found == [id_ for id_ in ids[::-1] if id_ != ids[1]]


def test_cursors_and_limits(api: Tenant, stranger: Tenant) -> None:
    audience, other = api.audience()["id"], api.audience()["id"]
    for one in (audience, other):
        api.add(one, *people(3))
    target = f"AG/audiences/{audience}/prospects"
    check_limits(api, target)
    cursor = api.get(f"{target}?limit=1").data["nextCursor"]
    api.get(f"{target}?limit=2&cursor={cursor}").expect(200)
    api.get(f"AG/audiences?cursor={cursor}").expect(400)
    for bad in ("q=x", "type=on_demand", "email=x"):
        api.get(f"{target}?{bad}").expect(400)
    assert stranger.get(f"{target}?cursor={cursor}").status in (400, 404)


def test_a_cursor_of_another_audience_is_refused(api: Tenant) -> None:
    """A cursor is bound to its list: the audience in the path is part of that."""
    audience, other = api.audience()["id"], api.audience()["id"]
    for one in (audience, other):
        api.add(one, *people(3))
    cursor = api.get(f"AG/audiences/{audience}/prospects?limit=1").data["nextCursor"]
    answer = api.get(f"AG/audiences/{other}/prospects?limit=1&cursor={cursor}").expect(400)
    assert answer.issues == [("query.cursor", "invalid_cursor")]


def test_guards(api: Tenant, stranger: Tenant) -> None:
    audience = api.audience()["id"]
    theirs = stranger.audience()["id"]
    for id_ in (UNKNOWN, theirs):
        answer = api.get(f"AG/audiences/{id_}/prospects").expect(404)
        assert answer.error["context"] == {"resource": "audience"}
    with api.filling(audience):
        api.get(f"AG/audiences/{audience}/prospects").expect(409, "AUDIENCE_NOT_READY")
