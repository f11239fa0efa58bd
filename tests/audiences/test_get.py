"""GET audience (contract 3.6)."""

from __future__ import annotations

from tests.harness.tenant import UNKNOWN, Tenant


def test_a_ready_audience(api: Tenant) -> None:
    made = api.audience(description="Series A and later")
    assert api.get(f"AG/audiences/{made['id']}").expect(200).data == made


def test_unknown_deleted_and_foreign_look_the_same(api: Tenant, stranger: Tenant) -> None:
    deleted = api.audience()["id"]
    api.delete(f"AG/audiences/{deleted}").expect(200)
    foreign = stranger.audience()["id"]
    found = [
        api.get(f"AG/audiences/{id_}").expect(404).untraced for id_ in (UNKNOWN, deleted, foreign)
    ]
    assert found[0] == found[1] == found[2]


def test_a_filling_audience_is_409_whatever_the_tag(api: Tenant) -> None:
    made = api.audience()
    tag = api.get(f"AG/audiences/{made['id']}").etag
    for status in ("queued", "running"):
        with api.filling(made["id"], status) as job:
            answer = api.get(f"AG/audiences/{made['id']}", headers={"If-None-Match": tag})
            answer.expect(409, "AUDIENCE_NOT_READY")
            assert answer.error["context"]["jobId"] == job
            assert answer.error["context"]["jobStatus"] == status
    api.get(f"AG/audiences/{made['id']}").expect(200)
