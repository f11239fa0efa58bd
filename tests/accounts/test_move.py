"""`longlist accounts move`: a group goes from one database to another, whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from longlist.accounts.move_tables import GROUP, MARKERS, PARCEL, TABLES, WORDS
from longlist.console import Trouble
from longlist.ids import new_id, now_ms
from longlist.keys import store as keys
from longlist.maintenance import Maintenance
from longlist.prospecting import monitor_store as monitors
from longlist.prospecting import source_store as sources
from longlist.tables import METADATA
from tests.accounts.moving import (
    CSV,
    Pair,
    assert_full,
    exports,
    fill,
    levelled,
    markers,
    move,
    nothing,
    on,
    rows_of,
    settings_of,
    triggers,
)
from tests.harness.server import Longlist, running_longlist
from tests.harness.tenant import Tenant
from tests.prospecting import directories, scripted

WAYS = [("sqlite", "postgres"), ("postgres", "sqlite")]


@pytest.fixture(scope="module", params=WAYS, ids="-".join)
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pair]:
    """Two running servers."""
    settings = []
    for engine in request.param:
        url = ""
        if engine == "postgres":
            url = request.getfixturevalue("postgres").new_database()
        settings.append(settings_of(tmp_path_factory.mktemp(engine), url))
    with running_longlist(settings[0]) as source, running_longlist(settings[1]) as target:
        yield Pair(source, target)


@pytest.fixture
def api(pair: Pair, tmp_path: Path) -> Tenant:
    """A group with something in every table."""
    tenant = Tenant(pair.source)
    fill(tenant, tmp_path)
    return tenant


@pytest.fixture
def neighbours(pair: Pair) -> list[Tenant]:
    """A group on each side that is not moved."""
    found = [Tenant(pair.source, "Stays"), Tenant(pair.target, "Was there")]
    for tenant in found:
        tenant.prospect(tenant.audience()["id"], email="stays@example.com")
    return found


def test_every_table_with_a_group_is_moved(pair: Pair) -> None:
    """Also one that a migration makes and tables.py does not know, as the full-text index is."""
    sql = (
        "SELECT relname::text FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid"
        " WHERE relkind IN ('r', 'p') AND NOT relispartition AND attname = $1"
        " AND relnamespace = current_schema()::regnamespace"
    )
    if not pair.source.settings.database_url:
        sql = (
            "SELECT m.name FROM sqlite_master m JOIN pragma_table_info(m.name) c"
            " WHERE m.type = 'table' AND c.name = $1"
        )
    moved = {table.name for table in TABLES} | {*PARCEL, MARKERS, WORDS}
    grouped = {row[0] for row in pair.source.rows(sql, GROUP)}
    assert grouped == moved - {"account_groups", "api_keys"}
    assert set(METADATA.tables) - moved == {
        "installation", "rate_buckets", "workers",
        "admin_users", "admin_sessions", "admin_links", "admin_attempts", "admin_acts",
    }  # fmt: skip


def test_a_group_moves_whole(pair: Pair, api: Tenant, neighbours: list[Tenant]) -> None:
    stays = [rows_of(tenant.server, tenant.group) for tenant in neighbours]
    before, exported = rows_of(pair.source, api.group), exports(api)
    assert_full(before)
    there = on(pair.target, api)
    there.get("AG/audiences").expect(401)
    report = move(pair, api.group)
    assert levelled(rows_of(pair.target, api.group)) == levelled(before)
    assert exports(there) == exported
    assert nothing(rows_of(pair.source, api.group))
    pair.source.app.gate.keys._kept.clear()
    api.get("AG/audiences").expect(401)
    assert [rows_of(tenant.server, tenant.group) for tenant in neighbours] == stays
    assert triggers(pair.source, api.group) == markers(pair.source, api.group) == []
    assert triggers(pair.target, api.group) == markers(pair.target, api.group) == []
    counted = {table.name: table.rows for table in report.tables}
    assert counted == {table.name: len(before[table.name]) for table in TABLES}
    assert report.exports is not None
    assert report.exports.size == sum(map(len, exported))
    assert (report.keys, report.files, report.shared_keys) == (1, 1, [])
    for path in pair.source.settings.files_path.glob("*.upload"):
        assert path.name not in {row[2] for row in before["files"]}


def test_whoever_was_let_in_before_sees_no_part_of_it(pair: Pair, api: Tenant) -> None:
    """A process believes a key for up to a second: rows go after the wait, not before."""
    exported = exports(api)
    seen: list[str] = []

    def step(part: str) -> None:
        if part in ("arrive", "tidy"):
            assert exports(api) == exported
            api.post("AG/audiences", {"name": "Late", "type": "on_demand"}).expect(503)
            seen.append(part)

    # What is believed here is believed for as long as the test takes.
    gate = pair.source.app.gate.keys
    for hash_, (_, key) in gate._kept.items():
        gate._kept[hash_] = (float("inf"), key)
    move(pair, api.group, step=step)
    assert seen == ["arrive", "tidy"]
    gate._kept.clear()


def test_what_is_secret_is_worth_the_same_there(pair: Pair, api: Tenant) -> None:
    there = on(pair.target, api)
    body = api.get("AG/prospecting?limit=1").expect(200).data["items"][0]
    file_id = rows_of(pair.source, api.group)["files"][0][1].hex()
    move(pair, api.group)
    # Identity: who was erased or suppressed stays away, who is known is found.
    audience = there.audience("New")["id"]
    added = there.add(
        audience,
        {"email": "erased@example.com"},
        {"email": "no@example.com"},
        {"email": "ADA3@example.com", "firstName": "Ada 3"},
    )
    assert [item["reason"] for item in added["items"][:2]] == ["SUPPRESSED", "SUPPRESSED"]
    assert added["items"][2]["outcome"] != "failed"
    # The words of the directory, and the tokens of sources.
    found = {one.name: one for one in there.server.write(sources.list_all, group=api.group)}
    opened = {name: one.opened(pair.target.installation) for name, one in found.items()}
    assert len(directories.names(directories.pages(there, [opened["P"]], "acme"))) == 2
    assert opened["U"].token == scripted.TOKEN
    # A repeated request gets its first answer.
    start = {"type": "file_import", "fileId": file_id, "audienceName": "Imported"}
    again = {"Idempotency-Key": f"start-{api.group.hex()}"}
    replayed = there.post("AG/prospecting", start, headers=again).expect(200)
    assert replayed.data["jobId"] == body["jobId"]
    # The file itself.
    start["audienceName"] = "Once more"
    there.post("AG/prospecting", start).expect(202)


def test_there_and_back(pair: Pair, api: Tenant) -> None:
    before, exported = rows_of(pair.source, api.group), exports(api)
    move(pair, api.group)
    move(pair.back(), api.group)
    assert levelled(rows_of(pair.source, api.group)) == levelled(before)
    assert exports(api) == exported
    assert nothing(rows_of(pair.target, api.group))


def test_sequences_stay_strictly_rising(pair: Pair, neighbours: list[Tenant]) -> None:
    """Also where another group of the target has numbers in between, and for what comes after."""
    first, second = Tenant(pair.source), Tenant(pair.source)
    first.audience("One")
    second.audience("Two")
    first.audience("Three")

    def sequences(tenant: Tenant) -> list[int]:
        sql = "SELECT sequence FROM events WHERE account_group_id = $1 ORDER BY id"
        return [row[0] for row in tenant.server.rows(sql, tenant.group)]

    for tenant in (first, second):
        before = sequences(tenant)
        there = on(pair.target, tenant)
        # Whoever writes there meanwhile gets numbers of its own.
        report = move(
            pair,
            tenant.group,
            step=neighbours[1].audience,
        )
        after = sequences(there)
        assert [at - before[0] for at in before] == [at - after[0] for at in after]
        assert after == sorted(after)
        assert report.events_renumbered == (before != after)
        there.audience("Later")
        assert sequences(there)[-1] > after[-1]


def test_numbers_are_kept_where_nobody_else_has_them(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "two")]
    with (
        running_longlist(settings_of(folders[0])) as source,
        running_longlist(settings_of(folders[1])) as target,
    ):
        there = Tenant(target)
        there.audience()
        directories.loaded(there, tmp_path / "there.csv", directories.PEOPLE)
        api = Tenant(source)
        fill(api, tmp_path)
        before = rows_of(source, api.group)
        report = move(Pair(source, target), api.group)
        after = rows_of(target, api.group)
        assert report.events_renumbered
        assert after["directory_people"] != before["directory_people"]
        assert levelled(after) == levelled(before)
        # Nothing of another group is in between on the way back.
        move(Pair(target, source), api.group)
        assert rows_of(source, api.group) == after


def writes(api: Tenant) -> list[Any]:
    """One write of each kind that a caller can make."""
    items = api.get("AG/audiences").expect(200).data["items"]
    audience = next(item["id"] for item in items if item["name"] == "Fintech CTOs")
    members = api.get(f"AG/audiences/{audience}/prospects").expect(200).data["items"]
    upload = partial(api.send, "POST", "AG/files", body=CSV, headers={"Content-Type": "text/csv"})
    person = {"prospects": [{"email": "late@example.com"}]}
    return [
        partial(api.patch, f"AG/audiences/{audience}", {"name": "Renamed"}),
        partial(api.post, "AG/audiences", {"name": "Late", "type": "on_demand"}),
        partial(api.post, f"AG/audiences/{audience}/prospects", person),
        partial(api.delete, f"AG/audiences/{audience}/prospects/{members[0]['id']}"),
        partial(api.delete, f"AG/prospects/{members[1]['id']}"),
        partial(api.post, "AG/suppressions", {"kind": "email", "value": "x@example.com"}),
        partial(api.delete, f"AG/audiences/{audience}"),
        upload,
    ]


async def due_groups(tx: Any) -> set[bytes | None]:
    """The groups whose monitors are due."""
    found = await monitors.due_everywhere(tx, 1000, now_ms())
    return {await monitors.group_of_run_everywhere(tx, run.job_id) for run in found}


def test_who_writes_meanwhile_is_told_to_wait_and_loses_nothing(
    pair: Pair, api: Tenant, neighbours: list[Tenant]
) -> None:
    before = rows_of(pair.source, api.group)
    due = ("UPDATE monitors SET next_run_at = 1 WHERE account_group_id = $1", api.group)
    pair.source.change(due)
    met: list[str] = []

    def step(part: str) -> None:
        if part not in ("copy events", "copy prospects", "compare", "leave"):
            return
        met.append(part)
        for write in writes(api):
            answer = write().expect(503, "OVERLOADED")
            assert answer.headers["retry-after"] == "5"
            assert answer.error["context"]["retryAfterSeconds"] == 5
        neighbours[0].audience(part)
        # The clock does not start what would be refused.
        assert api.group not in pair.source.call(pair.source.installation.db.read, due_groups)

    move(pair, api.group, step=step)
    assert met == ["copy events", "copy prospects", "compare", "leave"]
    there = on(pair.target, api)
    after = rows_of(pair.target, api.group)
    del before["monitors"], after["monitors"]
    assert levelled(after) == levelled(before)
    uploads = {path.name for path in pair.source.settings.files_path.glob("*")}
    assert not uploads & {row[2] for row in before["files"]}
    assert [write().status for write in writes(there)] == [200, 201, 200, 200, 200, 201, 200, 201]


def test_what_is_past_its_time_goes_later(pair: Pair, api: Tenant) -> None:
    """Sweeps of either side leave the group alone, and go on with the others."""
    neighbour = {side: Tenant(side) for side in (pair.source, pair.target)}

    def age(server: Longlist, group: bytes) -> None:
        server.change(
            (
                "INSERT INTO events (account_group_id, id, type, created_at, resource_id, data)"
                " VALUES ($1, $2, 'old', 1, $2, '{}')",
                group,
                new_id(),
            ),
            ("UPDATE idempotency_keys SET created_at = 1 WHERE account_group_id = $1", group),
            ("UPDATE files SET expires_at = 1 WHERE account_group_id = $1", group),
        )

    age(pair.source, api.group)
    before = rows_of(pair.source, api.group)

    def sweep(part: str) -> None:
        if part == "compare":
            for side, tenant in neighbour.items():
                age(side, tenant.group)
                side.call(Maintenance(side.installation, side.app.gate.keys).seldom)
                assert not [row for row in rows_of(side, tenant.group)["events"] if row[4] == 1]

    move(pair, api.group, step=sweep)
    assert levelled(rows_of(pair.target, api.group)) == levelled(before)


def test_an_upload_that_outlasts_the_move_is_refused(pair: Pair, tmp_path: Path) -> None:
    api = Tenant(pair.source)
    api.audience()

    def slowly() -> Iterator[bytes]:
        yield CSV[:40]
        move(pair, api.group)
        yield CSV[40:]

    kind = {"Content-Type": "text/csv"}
    api.send("POST", "AG/files", chunks=slowly(), headers=kind).expect(403, "FORBIDDEN")
    assert nothing(rows_of(pair.source, api.group))


def test_a_key_of_several_groups_works_on_both_sides(pair: Pair) -> None:
    one, two = Tenant(pair.source), Tenant(pair.source)
    key_id, key = one.make_key(groups=[one.group, two.group])
    report = move(pair, one.group)
    assert report.shared_keys == [f"{key[:12]} A key"]
    there = on(pair.target, one)
    there.key = two.key = key
    there.audience()
    two.audience()
    there.get(two.path("AG/audiences")).expect(403)
    two.get(one.path("AG/audiences")).expect(403)
    # Revoked on one side, it comes to be revoked on the other with the next group.
    pair.source.write(keys.revoke_everywhere, key_id)
    move(pair, two.group)
    sql = "SELECT COUNT(*) FROM api_keys WHERE id = $1 AND revoked_at IS NOT NULL"
    assert pair.target.value(sql, key_id) == 1
    assert pair.source.value("SELECT COUNT(*) FROM api_keys WHERE id = $1", key_id) == 0


def test_a_key_rotated_on_one_side_stands_in_the_way(pair: Pair) -> None:
    one, two = Tenant(pair.source), Tenant(pair.source)
    key_id, _ = one.make_key(groups=[one.group, two.group])
    move(pair, one.group)
    pair.target.write(keys.rotate_everywhere, key_id)
    with pytest.raises(Trouble, match=key_id.hex()):
        move(pair, two.group)
    two.audience()
