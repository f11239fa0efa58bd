"""GET accounts and GET me (contract 2)."""

from __future__ import annotations

from typing import Any

from longlist.accounts import store as accounts
from longlist.ids import now_ms, rfc3339
from longlist.keys.store import PERMISSIONS
from longlist.limits import Rate
from tests.harness.tenant import Tenant
from tests.harness.walk import check_limits, items, pages


def test_only_the_groups_of_the_key(api: Tenant, stranger: Tenant) -> None:
    (item,) = items(api, "/v1/accounts")
    assert list(item) == ["id", "name", "createdAt"]
    assert (item["id"], item["name"]) == (api.group.hex(), "Under test")
    both = api.with_key(api.make_key(groups=[api.group, stranger.group])[1])
    assert [i["name"] for i in items(both, "/v1/accounts")] == ["A stranger", "Under test"]
    nowhere = api.with_key(api.make_key([], groups=[])[1])
    data = nowhere.get("/v1/accounts").expect(200).data
    assert data == {"items": [], "nextCursor": None, "hasMore": False}


def test_pages(api: Tenant) -> None:
    groups = [api.server.write(accounts.create_everywhere, f"Group {at}").id for at in range(7)]
    many = api.with_key(api.make_key([], groups=groups)[1])
    found = [[item["name"] for item in page] for page in pages(many, "/v1/accounts", 3)]
    assert found == [
        ["Group 6", "Group 5", "Group 4"],
        ["Group 3", "Group 2", "Group 1"],
        ["Group 0"],
    ]
    check_limits(many, "/v1/accounts")
    for bad in ("q=x", "name=x"):
        many.get(f"/v1/accounts?{bad}").expect(400)


def test_cursors(api: Tenant) -> None:
    groups = [api.server.write(accounts.create_everywhere, f"Group {at}").id for at in range(3)]
    many = api.with_key(api.make_key([], groups=groups)[1])
    cursor = many.get("/v1/accounts?limit=1").data["nextCursor"]
    for altered in (cursor[1:], cursor + "A", "A" * len(cursor), ""):
        answer = many.get(f"/v1/accounts?cursor={altered}").expect(400)
        assert answer.issues == [("query.cursor", "invalid_cursor")]


def test_me(api: Tenant, stranger: Tenant) -> None:
    expires_at = now_ms() + 86_400_000
    key_id, key = api.make_key(
        ["messages:write", "audiences:read"],
        groups=[api.group, stranger.group],
        expires_at=expires_at,
        rate=Rate(90, 30),
    )
    data: Any = api.with_key(key).get("/v1/me").expect(200).data
    assert list(data) == [
        "keyId",
        "name",
        "keyPrefix",
        "permissions",
        "rateLimit",
        "createdAt",
        "expiresAt",
        "lastUsedAt",
        "accountGroups",
    ]
    assert (data["keyId"], data["name"], data["keyPrefix"]) == (key_id.hex(), "A key", key[:12])
    assert data["permissions"] == ["audiences:read", "messages:write"]
    assert data["rateLimit"] == {"perMinute": 90, "burst": 30}
    assert (data["expiresAt"], data["lastUsedAt"]) == (rfc3339(expires_at), None)
    assert {group["id"] for group in data["accountGroups"]} == {
        api.group.hex(),
        stranger.group.hex(),
    }


def test_me_of_an_unlimited_key(api: Tenant) -> None:
    data = api.get("/v1/me").expect(200).data
    assert data["permissions"] == sorted(PERMISSIONS)
    assert data["expiresAt"] is None
    (group,) = data["accountGroups"]
    assert group == {
        "id": api.group.hex(),
        "name": "Under test",
        "settings": {
            "uniqueAudienceNames": False,
            "maxResultsCap": 2_000,
            "fileRowsCap": 5_000_000,
        },
        "credits": {"unlimited": True, "available": None, "reserved": None},
    }


def test_me_shows_what_the_operator_sets(api: Tenant) -> None:
    api.set(uniqueAudienceNames=True, maxResultsCap=10, fileRowsCap=20, credits=300)
    (group,) = api.get("/v1/me").expect(200).data["accountGroups"]
    assert group["settings"] == {
        "uniqueAudienceNames": True,
        "maxResultsCap": 10,
        "fileRowsCap": 20,
    }
    assert group["credits"] == {"unlimited": False, "available": 300, "reserved": 0}


def test_when_a_key_was_last_used(api: Tenant) -> None:
    api.get("/v1/me").expect(200)
    api.server.call(api.server.app.gate.keys.write_last_used)
    fresh = api.server.rows("SELECT last_used_at FROM api_keys WHERE id = $1", api.key_id)
    assert abs(fresh[0][0] - now_ms()) < 60_000
