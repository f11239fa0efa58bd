"""What is asked of every cluster: the groups of a key, and the key itself."""

from __future__ import annotations

import base64
import itertools
from typing import cast

import pytest

from longlist.accounts import store as accounts
from longlist.accounts.routes import Account
from longlist.front import cursors
from longlist.front import directory_store as store
from longlist.front.cursors import State
from longlist.front.gathering import Walk
from longlist.keys import store as keys
from longlist.limits import Rate
from longlist.pages import Page
from longlist.tables import METADATA
from tests.front.fronts import RunningFront, through
from tests.harness.client import Client
from tests.harness.server import Longlist
from tests.harness.tenant import Tenant
from tests.harness.walk import check_limits, pages


def put_key(there: Tenant, other: Longlist, groups: list[bytes]) -> None:
    """The same key on another cluster, for groups that are there: as a move leaves it."""
    columns = [column.name for column in METADATA.tables["api_keys"].columns]
    found = there.server.rows(
        f"SELECT {', '.join(columns)} FROM api_keys WHERE id = $1", there.key_id
    )[0]
    marks = ", ".join(f"${at}" for at in range(1, len(columns) + 1))
    other.change(
        (f"INSERT INTO api_keys ({', '.join(columns)}) VALUES ({marks})", *found),
        *(
            (
                "INSERT INTO api_key_groups (api_key_id, account_group_id) VALUES ($1, $2)",
                there.key_id,
                group,
            )
            for group in groups
        ),
    )


class Agency:
    """A key of eleven groups, on both clusters in turns."""

    def __init__(self, front: RunningFront, a: Longlist, b: Longlist) -> None:
        self.names = [f"Client {at}" for at in range(11)]
        self.groups: dict[str, list[bytes]] = {"a": [], "b": []}
        # Long runs on one side as well as changes from row to row.
        for name, side in zip(self.names, "aaababbbbba", strict=True):
            made = (a if side == "a" else b).write(accounts.create_everywhere, name)
            self.groups[side].append(made.id)
            front.change(store.place_everywhere, made.id.hex(), side)
        tenant = Tenant(a)
        self.key_id, self.key = tenant.make_key(groups=self.groups["a"], rate=Rate(60_000, 9_000))
        tenant.key_id, tenant.key = self.key_id, self.key
        put_key(tenant, b, self.groups["b"])
        # Not a tenant's client: that takes the letters AG in a cursor for a group's path.
        self.api = Client(cast(Longlist, front), self.key)


@pytest.fixture(scope="module")
def agency(front: RunningFront, cluster_a: Longlist, cluster_b: Longlist) -> Agency:
    return Agency(front, cluster_a, cluster_b)


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 10, 11, 12, 200])
def test_pages_over_both(agency: Agency, limit: int) -> None:
    found = [item["name"] for page in pages(agency.api, "/v1/accounts", limit) for item in page]
    assert found == agency.names[::-1]


def test_limits_and_cursors(agency: Agency) -> None:
    check_limits(agency.api, "/v1/accounts")
    cursor = agency.api.get("/v1/accounts?limit=4").data["nextCursor"]
    agency.api.get(f"/v1/accounts?limit=200&cursor={cursor}").expect(200)
    for altered in (cursor[:-1], cursor[1:], cursor + "A", cursor.lower(), "x", "A" * 3000):
        answer = agency.api.get(f"/v1/accounts?cursor={altered}").expect(400)
        assert answer.issues == [("query.cursor", "invalid_cursor")]
        assert "ratelimit" in answer.headers
    for bad in ("q=x", "limit=0", "cursor=", "limit=1&limit=2"):
        agency.api.get(f"/v1/accounts?{bad}").expect(400)
        agency.api.with_key("llk_no").get(f"/v1/accounts?{bad}").expect(401)
        agency.api.with_key(None).get(f"/v1/accounts?{bad}").expect(401)
    agency.api.get("/v1/me?x=1").expect(400)
    agency.api.send("GET", "/v1/me", body=b"{}").expect(200)
    agency.api.send("GET", "/v1/accounts", body=b'{"a":1}').expect(400)


def test_a_group_that_moves_between_two_pages() -> None:
    """It is shown once, whichever way it went and wherever the walk was."""
    items = [Account(f"{n:024x}", f"G{n}", "") for n in range(1, 13)]
    secret = b"a secret"
    for start, moved, limit in itertools.product((1, 2), (2, 5, 6, 9, 11), (1, 2, 3, 4)):
        sides = {item.id: "ab"[at // start % 2] for at, item in enumerate(items)}
        shown: list[str] = []
        state = State()
        for step in range(20):
            page = _page(items, sides, state, limit)
            shown += [item.name for item in page.items]
            if step == 1:
                group = items[moved].id
                sides[group] = "b" if sides[group] == "a" else "a"
            if page.next_cursor is None:
                break
            state = cursors.read(secret, page.next_cursor)
        assert shown == [item.name for item in reversed(items)], (start, moved, limit)


def _page(items: list[Account], sides: dict[str, str], state: State, limit: int) -> Page[Account]:
    """A page as the front makes it, of two clusters whose cursors are the last id."""
    walks = [Walk(name, state) for name in "ab"]
    for walk in walks:
        while True:
            rest = [
                item
                for item in reversed(items)
                if sides[item.id] == walk.name and (not walk.cursor or item.id < walk.cursor)
            ]
            part = rest[: limit + 1]
            more = len(rest) > len(part)
            walk.take(Page(part, part[-1].id if more else None, more))
            if not walk.goes_on or len(walk.fresh) >= limit:
                break
    found = Walk.merged(walks, limit)
    if found.state is None:
        return Page(found.items)
    return Page(found.items, cursors.write(b"a secret", found.state), True)


def test_cursors_are_signed_and_written_in_one_way() -> None:
    secret, other = b"one", b"another"
    state = State("0" * 24, {"a": "x", "b": "y"})
    text = cursors.write(secret, state)
    assert cursors.read(secret, text) == state
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    for altered in (text + "=", text[:-1], base64.urlsafe_b64encode(raw[::-1]).decode(), "é"):
        with pytest.raises(Exception, match="cursor"):
            cursors.read(secret, altered)
    with pytest.raises(Exception, match="cursor"):
        cursors.read(other, text)


def test_me_is_one_key(agency: Agency) -> None:
    data = agency.api.get("/v1/me").expect(200).data
    assert [group["name"] for group in data["accountGroups"]] == agency.names[::-1]
    assert data["keyId"] == agency.key_id.hex()
    assert data["permissions"] == sorted(keys.PERMISSIONS)
    assert agency.api.send("HEAD", "/v1/me").expect(200)


def test_a_key_that_one_cluster_knows(front: RunningFront, cluster_b: Longlist) -> None:
    """The other one refuses it, also when it has had enough of keys that it does not know."""
    tenant = Tenant(cluster_b)
    api = through(front, tenant)
    assert [item["id"] for item in api.get("/v1/accounts").data["items"]] == [tenant.group.hex()]
    assert api.get("/v1/me").data["keyId"] == tenant.key_id.hex()
    nowhere = through(front, tenant)
    nowhere.key_id, nowhere.key = tenant.make_key([], groups=[])
    assert nowhere.get("/v1/accounts").data == {"items": [], "nextCursor": None, "hasMore": False}


def test_too_many_bad_keys_on_one_cluster(
    front: RunningFront, cluster_a: Longlist, cluster_b: Longlist
) -> None:
    gate = cluster_a.app.gate
    before, gate._bad_key_rate = gate._bad_key_rate, Rate(1, 1)
    try:
        api = through(front, Tenant(cluster_b))
        for _ in range(3):
            api.get("/v1/me").expect(200)
            api.get("/v1/accounts").expect(200)
        strange = api.with_key("llk_no").get("/v1/me").expect(429, "RATE_LIMITED")
        assert "ratelimit" not in strange.headers
    finally:
        gate._bad_key_rate = before


def test_a_rate_that_is_used_up(front: RunningFront, cluster_a: Longlist) -> None:
    tenant = Tenant(cluster_a)
    api = through(front, tenant)
    api.key_id, api.key = tenant.make_key(rate=Rate(6, 2))
    assert api.get("/v1/me").expect(200).headers["x-ratelimit-remaining"] == "1"
    api.get("/v1/accounts").expect(200)
    refused = api.get("/v1/me").expect(429, "RATE_LIMITED")
    assert refused.headers["x-ratelimit-limit"] == "2"
    api.get(f"/v1/accounts/{'0' * 24}/audiences").expect(429)
