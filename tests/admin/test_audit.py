"""Who did what, how audiences grew, and what the metrics tell of visits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import Connection, create_engine, text

from longlist import schema_version, startup
from longlist.admin import charts, store
from longlist.admin.charts import DAY_MS, MOST_POINTS, days, growth, round_up
from longlist.audiences import size_store
from longlist.audiences.size_store import HOUR_MS, Size
from longlist.context import Context
from longlist.events import store as events
from longlist.ids import first_id, new_id, now_ms, time_of
from longlist.metrics import Metrics
from longlist.prospects.intake import Counts
from tests.admin.visitor import Visitor, make_user
from tests.harness.server import settings_for
from tests.harness.tenant import UNKNOWN, Tenant


def base(api: Tenant) -> str:
    return f"/admin/g/{api.group.hex()}"


def name_of(visitor: Visitor) -> str:
    page = visitor.get("/admin/groups").text
    return str(re.findall(r'<span class="who" title="([^"]*)"', page)[0])


def test_activity_names_the_operator_and_nobody_for_a_key(visitor: Visitor, api: Tenant) -> None:
    here, name = base(api), name_of(visitor)
    id_ = api.audience("By a key")["id"]
    visitor.post(f"{here}/audiences/{id_}/rename", {"name": "By hand"}).expect(200)
    visitor.post(f"{here}/folders/new", {"name": "Spring", "audienceType": "on_demand"})
    rows = visitor.get(f"{here}/activity").text.split("<tr>")[2:]
    told = [(row.partition("<code>")[2].partition("<")[0], name in row) for row in rows]
    assert told == [
        ("folder.created", True),
        ("audience.updated", True),
        ("audience.created", False),
    ]


def test_a_refused_change_names_nobody(visitor: Visitor, api: Tenant) -> None:
    id_ = api.audience()["id"]
    with api.filling(id_):
        url = f"{base(api)}/audiences/{id_}"
        visitor.post(f"{url}/rename", {"name": "x"}, htmx=True).expect(409)
        visitor.post(f"{url}/delete", htmx=True).expect(409)
    count = "SELECT COUNT(*) FROM event_actors WHERE account_group_id = $1"
    assert visitor.server.value(count, api.group) == 0


def test_names_go_with_their_events(visitor: Visitor, api: Tenant) -> None:
    server, days_kept = visitor.server, visitor.server.settings.event_keep_days

    async def forget(ctx: Context, ahead_ms: int) -> None:
        ctx.now += ahead_ms
        await events.forget_expired_everywhere(ctx)

    form = {"name": "Spring", "audienceType": "on_demand"}
    visitor.post(f"{base(api)}/folders/new", form).expect(303)
    count = "SELECT COUNT(*) FROM event_actors WHERE account_group_id = $1"
    server.write(forget, (days_kept - 1) * DAY_MS)
    assert server.value(count, api.group) == 1
    server.write(forget, (days_kept + 1) * DAY_MS)
    assert server.value(count, api.group) == 0


def test_the_audit_tells_what_operators_did(visitor: Visitor) -> None:
    other = make_user(visitor.server)
    stranger = Visitor(visitor.server)
    stranger.sign_in(other).expect(303)
    stranger.get("/admin/settings")
    url = stranger.post("/admin/groups/new", {"name": "Client of the audit"}).to
    group = url.split("/")[3]
    limits = {"fileRowsCap": "10", "maxResultsCap": "10", "quota.DIRECTORY": "7"}
    stranger.post(f"/admin/g/{group}/settings", limits).expect(303)
    key = {"name": "Audited key", "group": group, "permission": "events:read"}
    made = stranger.post("/admin/keys/new", key).text
    id_ = visitor.server.value("SELECT id FROM api_keys WHERE name = 'Audited key'").hex()
    stranger.post(f"/admin/keys/{id_}/rotate").expect(200)
    stranger.post(f"/admin/keys/{id_}/revoke").expect(303)
    stranger.post(f"/admin/keys/{id_}/rotate").expect(400)
    stranger.post("/admin/keys/new", {**key, "permission": ""}).expect(400)
    stranger.post("/admin/settings/invite").expect(200)
    gone = visitor.server.write(store.find_user, make_user(visitor.server))
    stranger.post(f"/admin/settings/users/{gone.id.hex()}/remove").expect(303)
    page = visitor.get("/admin/audit").plain
    mine = [told.strip() for told in page.partition("Did what")[2].split(other)[1:]]
    assert [re.sub(r" (just now|\d+ min ago).*", "", told) for told in mine][:8] == [
        f"Removed a user {gone.name}",
        "Made a link for a further user",
        "Revoked a key Audited key",
        "Gave a key a new secret Audited key",
        "Made a key Audited key",
        "Changed the limits of an account group Client of the audit",
        "Made an account group Client of the audit",
        "Signed in",
    ]
    secret = re.findall(r"llk_\w{49}", made)[0]
    assert secret not in page
    assert "7" in re.findall(r'name="quota.DIRECTORY"[^>]*value="(\d+)"',
                             visitor.get(f"/admin/g/{group}/settings").text)  # fmt: skip


def test_the_audit_goes_back_for_its_time_and_page_by_page(visitor: Visitor) -> None:
    old = new_id()
    old = (now_ms() - store.ACTS_KEPT_MS - DAY_MS).to_bytes(6) + old[6:]
    visitor.server.change(
        ("INSERT INTO admin_acts (id, actor, act) VALUES ($1, 'long ago', 'signed.in')", old),
        *(
            ("INSERT INTO admin_acts (id, actor, act) VALUES ($1, $2, 'x')", new_id(), f"no {n}.")
            for n in range(60)
        ),
    )
    first = visitor.get("/admin/audit").text
    more = re.findall(r'hx-get="([^"]*cursor=[^"]*)"', first)[0].replace("&amp;", "&")
    text = first + visitor.get(more, htmx=True).text
    found = [int(n) for n in re.findall(r"</span>no (\d+)\.", text)]
    assert found == list(reversed(range(60)))
    visitor.server.write(store.forget_expired)
    count = "SELECT COUNT(*) FROM admin_acts WHERE actor = $1"
    assert visitor.server.value(count, "long ago") == 0
    assert visitor.server.value(count, "no 1.") == 1
    visitor.server.change(("DELETE FROM admin_acts",))
    assert "Nothing yet" in visitor.get("/admin/audit").plain


def test_visits_are_counted_by_page_and_status(visitor: Visitor, api: Tenant) -> None:
    server = visitor.server

    def counts() -> list[float]:
        async def render() -> str:
            _, text = await Metrics(server.installation, app=server.app).render()
            return text.decode()

        text = server.call(render)
        assert api.group.hex() not in text
        labels = (
            ("GET /admin/g/{group}/audiences/{audience}", 200),
            ("GET /admin/g/{group}/audiences/{audience}", 404),
            ("POST /admin/g/{group}/folders/new", 303),
            ("unknown", 404),
        )
        found = []
        for page, status in labels:
            line = f'longlist_admin_requests_total{{page="{page}",status="{status}"}} '
            found.append(float(text.partition(line)[2].partition("\n")[0] or 0))
        timed = 'longlist_admin_request_seconds_count{page="unknown"} '
        found.append(float(text.partition(timed)[2].partition("\n")[0] or 0))
        return found

    before, here = counts(), base(api)
    visitor.get(f"{here}/audiences/{api.audience()['id']}").expect(200)
    visitor.get(f"{here}/audiences/{UNKNOWN}").expect(404)
    visitor.post(f"{here}/folders/new", {"name": "F", "audienceType": "on_demand"}).expect(303)
    visitor.get("/admin/ada@example.com").expect(404)
    visitor.send("TRACE", "/admin/nothing")
    after = counts()
    # TRACE may be refused by the server itself, before there is a visit.
    assert [now - then for now, then in zip(after, before, strict=True)][:3] == [1, 1, 1]
    assert after[3] > before[3]
    assert after[4] > before[4]


def test_an_audience_keeps_how_it_grew(visitor: Visitor, api: Tenant) -> None:
    id_ = api.audience()["id"]
    url = f"{base(api)}/audiences/{id_}"
    assert "Members over time" not in visitor.get(url).plain
    prospect = api.prospect(id_, email="a@example.com")
    api.prospect(id_, email="b@example.com")
    found = visitor.server.write(
        size_store.list_since, bytes.fromhex(id_), now_ms() - DAY_MS, group=api.group
    )
    assert found[-1].count == 2
    page = visitor.get(url)
    assert "Members over time" in page.plain
    assert re.search(r'aria-label="From 0 members on [^"]* to 2 now"', page.text)
    api.delete(f"AG/audiences/{id_}/prospects/{prospect}").expect(200)
    assert " to 1 now" in visitor.get(url).text
    api.delete(f"AG/audiences/{id_}").expect(200)
    count = "SELECT COUNT(*) FROM audience_sizes WHERE audience_id = $1"
    assert visitor.server.value(count, bytes.fromhex(id_)) == 0


def test_the_count_that_held_at_the_beginning_leads(api: Tenant) -> None:
    id_ = bytes.fromhex(api.audience()["id"])
    now = now_ms()

    async def note(ctx: Context, ago_h: int, count: int) -> None:
        ctx.now = now - ago_h * HOUR_MS
        await size_store.note(ctx, id_, count)

    for ago_h, count in ((50, 1), (49, 2), (10, 3), (10, 4), (0, 5)):
        api.server.write(note, ago_h, count, group=api.group)
    found = api.server.write(size_store.list_since, id_, now - DAY_MS, group=api.group)
    assert [size.count for size in found] == [2, 4, 5]


def test_a_growth_chart_begins_where_something_is_known() -> None:
    now = 100 * DAY_MS
    assert growth([], 0, now, 0) is None
    assert growth([Size(0, None)], 0, now, 5) is None
    known = growth([Size(50 * DAY_MS, 40)], 0, now, 40)
    assert known is not None
    assert (known.begin, known.first, known.top, known.last_week) == (0, 0, 40, 0)
    assert known.line == "M0.0 120.0H300.0V0.0H600.0V0.0H600.0"
    migrated = growth([Size(0, None), Size(99 * DAY_MS, 40)], 0, now, 60)
    assert migrated is not None
    assert (migrated.begin, migrated.first, migrated.members) == (99 * DAY_MS, 40, 60)
    assert migrated.last_week is None
    grown = growth([Size(n * DAY_MS, n) for n in range(100)], 0, now, 99)
    assert grown is not None
    assert grown.last_week == 99 - 93


def test_a_long_history_is_thinned_and_keeps_its_ends() -> None:
    sizes = [Size(n * HOUR_MS, n) for n in range(9_000)]
    found = growth(sizes, 0, 9_000 * HOUR_MS, 8_999)
    assert found is not None
    assert MOST_POINTS // 2 < found.line.count("H") <= MOST_POINTS + 3
    assert (found.first, found.members) == (0, 8_999)


@pytest.mark.parametrize(("value", "top"), [(0, 1), (1, 1), (3, 3), (10, 10), (11, 20), (501, 600)])
def test_axes_end_at_round_numbers(value: int, top: int) -> None:
    assert round_up(value) == top


def test_days_without_jobs_have_no_column_and_the_others_add_up() -> None:
    assert days({}, 100, 30) is None
    assert days({50: Counts(received=5, added=5)}, 100, 30) is None
    found = days(
        {100: Counts(received=8, added=6, failed=2), 71: Counts(received=4, added=4)}, 100, 30
    )
    assert found is not None
    assert (found.top, found.total, len(found.columns)) == (8, 12, 30)
    assert [bool(column.pieces) for column in found.columns] == [True, *[False] * 28, True]
    assert found.columns[-1].pieces == [
        ("added", charts.HEIGHT * 0.25, charts.HEIGHT * 0.75),
        ("failed", 0.0, charts.HEIGHT * 0.25),
    ]


def test_jobs_show_what_became_of_rows_day_by_day(visitor: Visitor, api: Tenant) -> None:
    url = f"{base(api)}/jobs"
    with api.filling(api.audience()["id"]) as job:
        visitor.server.change(
            (
                "UPDATE prospecting_jobs SET received = 7, added = 5, failed = 2, created_at = $2"
                " WHERE id = $1",
                bytes.fromhex(job),
                now_ms(),
            )
        )
        page = visitor.get(url)
    assert "Rows a day" in page.plain
    assert "7 rows, 5 added, 2 failed" in page.text
    assert "Rows a day" not in visitor.get(f"{url}?status=failed").plain


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_what_an_audience_had_before_it_was_counted_is_not_known(
    request: pytest.FixtureRequest, tmp_path: Path, engine: str
) -> None:
    url = request.getfixturevalue("postgres").new_database() if engine == "postgres" else ""
    database = startup.database(settings_for(tmp_path, database_url=url))
    config = schema_version._config(database.url)
    command.upgrade(config, "0007")
    now = now_ms()
    old, new = first_id(now - 30 * DAY_MS), first_id(now + DAY_MS)
    made = (
        "INSERT INTO audiences (account_group_id, id, name, name_folded, type, prospect_count,"
        " created_at) VALUES (:group, :id, 'A', 'a', 'on_demand', :count, :at)"
    )
    found = "SELECT audience_id, prospect_count FROM audience_sizes ORDER BY audience_id, hour"
    with opened(database.url) as connection:
        for id_, count in ((old, 40), (new, 2)):
            values = {"group": old, "id": id_, "count": count, "at": time_of(id_)}
            connection.execute(text(made), values)
    command.upgrade(config, "head")
    with opened(database.url) as connection:
        rows = [(bytes(row[0]), row[1]) for row in connection.execute(text(found))]
    assert rows == [(old, None), (old, 40), (new, 2)]


@contextmanager
def opened(url: str) -> Iterator[Connection]:
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()
