"""DELETE a prospect from an audience (contract 5.3)."""

from __future__ import annotations

from functools import partial

from tests.harness.client import at_once
from tests.harness.tenant import UNKNOWN, Tenant


def test_only_the_membership_goes(api: Tenant) -> None:
    audience, other = api.audience()["id"], api.audience()["id"]
    prospect = api.prospect(audience, email="ada@example.com")
    api.add(other, {"prospectId": prospect})
    target = f"AG/audiences/{audience}/prospects/{prospect}"
    api.delete(target).expect(200)
    assert api.get(f"AG/audiences/{audience}").data["prospectCount"] == 0
    assert api.get(f"AG/audiences/{other}").data["prospectCount"] == 1
    api.get(f"AG/prospects/{prospect}").expect(200)
    answer = api.delete(target).expect(404)
    assert answer.error["context"] == {"resource": "prospect"}
    assert api.add(audience, {"email": "ada@example.com"})["items"][0]["outcome"] == "added"


def test_guards(api: Tenant, stranger: Tenant) -> None:
    audience = api.audience()["id"]
    prospect = api.prospect(audience, email="ada@example.com")
    their_audience = stranger.audience()["id"]
    theirs = stranger.prospect(their_audience, email="ada@example.com")
    for audience_id, prospect_id, resource in (
        (UNKNOWN, prospect, "audience"),
        (their_audience, theirs, "audience"),
        (audience, theirs, "prospect"),
        (audience, UNKNOWN, "prospect"),
    ):
        answer = api.delete(f"AG/audiences/{audience_id}/prospects/{prospect_id}").expect(404)
        assert answer.error["context"] == {"resource": resource}
    bad = api.delete(f"AG/audiences/{audience}/prospects/x").expect(400)
    assert bad.issues == [("path.prospectId", "invalid_format")]
    with api.filling(audience):
        api.delete(f"AG/audiences/{audience}/prospects/{prospect}").expect(409)
    assert stranger.get(f"AG/audiences/{their_audience}").data["prospectCount"] == 1


def test_of_many_removals_one_happens(api: Tenant) -> None:
    audience = api.audience()["id"]
    prospect = api.prospect(audience, email="ada@example.com")
    target = f"AG/audiences/{audience}/prospects/{prospect}"
    answers = at_once([partial(api.delete, target) for _ in range(16)])
    assert sorted(answer.status for answer in answers) == [200] + [404] * 15
    assert api.get(f"AG/audiences/{audience}").data["prospectCount"] == 0
