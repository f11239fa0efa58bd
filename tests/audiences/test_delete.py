"""DELETE audience (contract 3.7)."""

from __future__ import annotations

import json
from functools import partial

from tests.harness.client import at_once
from tests.harness.tenant import Tenant


def test_it_goes_with_its_memberships_and_the_prospects_stay(api: Tenant) -> None:
    gone, kept = api.audience("Gone"), api.audience("Kept")
    prospect = api.prospect(gone["id"], email="ada@example.com")
    api.add(kept["id"], {"prospectId": prospect})
    api.delete(f"AG/audiences/{gone['id']}").expect(200)
    api.get(f"AG/audiences/{gone['id']}").expect(404)
    api.delete(f"AG/audiences/{gone['id']}").expect(404)
    for target in ("prospects", "export"):
        api.get(f"AG/audiences/{gone['id']}/{target}").expect(404)
    assert [item["name"] for item in api.get("AG/audiences").data["items"]] == ["Kept"]
    assert api.get(f"AG/audiences/{kept['id']}").data["prospectCount"] == 1
    api.get(f"AG/prospects/{prospect}").expect(200)
    memberships = (
        "SELECT COUNT(*) FROM memberships WHERE account_group_id = $1 AND audience_id = $2"
    )
    assert api.server.value(memberships, api.group, bytes.fromhex(gone["id"])) == 0
    (event,) = api.events("audience.deleted")
    assert event[1] == gone["id"]
    assert json.loads(event[2]) == {"id": gone["id"]}


def test_a_filling_audience_stays(api: Tenant) -> None:
    made = api.audience()
    with api.filling(made["id"]):
        api.delete(f"AG/audiences/{made['id']}").expect(409, "AUDIENCE_NOT_READY")
    api.get(f"AG/audiences/{made['id']}").expect(200)


def test_a_strangers_audience_stays(api: Tenant, stranger: Tenant) -> None:
    theirs = stranger.audience()["id"]
    api.delete(f"AG/audiences/{theirs}").expect(404)
    stranger.get(f"AG/audiences/{theirs}").expect(200)


def test_of_many_deletions_one_happens(api: Tenant) -> None:
    made = api.audience()["id"]
    api.add(made, *[{"email": f"p{at}@example.com"} for at in range(50)])
    answers = at_once([partial(api.delete, f"AG/audiences/{made}") for _ in range(12)])
    assert sorted(answer.status for answer in answers) == [200] + [404] * 11
    assert len(api.events("audience.deleted")) == 1


def test_deletions_beside_other_writes(api: Tenant) -> None:
    for _ in range(5):
        made = api.audience()["id"]
        target = f"AG/audiences/{made}"
        people = {"prospects": [{"email": f"p{at}@example.com"} for at in range(20)]}
        answers = at_once(
            [
                partial(api.delete, target),
                *[partial(api.patch, target, {"name": f"Name {at}"}) for at in range(4)],
                *[partial(api.post, f"{target}/prospects", people) for _ in range(4)],
            ]
        )
        assert {answer.status for answer in answers} <= {200, 404}
        left = "SELECT COUNT(*) FROM memberships WHERE account_group_id = $1 AND audience_id = $2"
        assert api.server.value(left, api.group, bytes.fromhex(made)) == 0
