"""Reads on a replica: whoever asks sees all that was acknowledged, however far it is behind.

The replica is a real one, made and kept by streaming replication; to have it lag its replay is
held. The two servers share nothing but the databases.
"""

from __future__ import annotations

import asyncio
import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

from longlist import doctor
from longlist.db import DatabaseAway, ReplicaFigures, Transaction
from longlist.db.postgres import PostgresDatabase, each_host
from longlist.db.replicas import Mark, Proof, Replica, Replicas
from longlist.metrics import Metrics
from longlist.settings import SettingError, Settings, load
from tests.db.streaming import Standby, running_standby
from tests.harness.answer import Answer
from tests.harness.client import Client
from tests.harness.postgres import Postgres, running_postgres
from tests.harness.server import PATIENCE_S, Longlist, running_longlist, settings_for
from tests.harness.tenant import Tenant

Servers = tuple[Longlist, Longlist]


@pytest.fixture(scope="module")
def primary() -> Iterator[Postgres]:
    """A server of its own: that of the session has much that would be copied in vain."""
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="module")
def url(primary: Postgres) -> str:
    return primary.new_database()


@pytest.fixture(scope="module")
def standby(url: str) -> Iterator[Standby]:
    with running_standby(url) as made:
        yield made


@pytest.fixture(scope="module")
def servers(
    url: str, standby: Standby, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Servers]:
    settings = settings_for(
        tmp_path_factory.mktemp("replicas"),
        database_url=url,
        database_read_url=standby.url(url),
        secret="of two servers on one database and its replica",
    )
    with running_longlist(settings) as first, running_longlist(settings) as second:
        yield first, second


@pytest.fixture
def current(servers: Servers) -> Servers:
    """The servers, once both of them read from the replica."""
    for server in servers:
        until(server, "current")
    return servers


def figures(server: Longlist) -> ReplicaFigures:
    found = server.installation.db.figures().replicas
    assert found is not None
    return found


def reads(server: Longlist) -> dict[str, int]:
    return dict(figures(server).reads)


def eventually(holds: Callable[[], bool]) -> None:
    """Guards against hanging: no test depends on how long it takes."""
    end = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def until(server: Longlist, state: str) -> None:
    """Wait for the replica to be in a state, as a server sees it; requests make it look."""
    key = Tenant(server).key

    def there() -> bool:
        Client(server, key).get("/v1/me").expect(200)
        return figures(server).states[state] == 1

    eventually(there)


class Colleague:
    """Requests to either server, by either of two keys of one account group."""

    def __init__(self, servers: Servers, chance: random.Random) -> None:
        self._tenant = Tenant(servers[0])
        keys = (self._tenant.key, self._tenant.make_key()[1])
        self._desks = [Client(server, key) for server in servers for key in keys]
        self._chance = chance
        self._kept: dict[str, tuple[str, str]] = {}
        self._people: dict[str, int] = {}

    def send(self, method: str, target: str, **more: Any) -> Answer:
        desk = self._chance.choice(self._desks)
        return desk.send(method, self._tenant.path(target), **more)

    def work(self, enough: Callable[[], bool]) -> None:
        """Write at one server and look at another, again and again."""
        end = time.monotonic() + PATIENCE_S
        while not enough():
            assert time.monotonic() < end
            for _ in range(10):
                self._step()
                self.look()

    def _step(self) -> None:
        draw = self._chance.randrange(10)
        if draw < 3 or not self._kept:
            self._create()
        elif draw < 6:
            self._rename()
        elif draw < 8:
            self._add()
        elif draw < 9:
            self._delete()

    def _create(self) -> None:
        name = f"a{len(self._people)}"
        body = {"name": name, "type": "on_demand"}
        answer = self.send("POST", "AG/audiences", json=body).expect(201)
        self._kept[answer.data["id"]] = (name, answer.etag)
        self._people[answer.data["id"]] = 0

    def _any(self) -> str:
        return self._chance.choice(sorted(self._kept))

    def _rename(self) -> None:
        id_ = self._any()
        name, etag = self._kept[id_]
        # The tag, whichever server gave it, is the one of now.
        answer = self.send(
            "PATCH", f"AG/audiences/{id_}", json={"name": name + "'"}, headers={"If-Match": etag}
        ).expect(200)
        self._kept[id_] = (name + "'", answer.etag)

    def _add(self) -> None:
        id_ = self._any()
        slug = f"p{self._chance.randrange(10**12):012d}"
        prospects = [{"linkedinUrl": f"https://linkedin.com/in/{slug}"}]
        self.send("POST", f"AG/audiences/{id_}/prospects", json={"prospects": prospects}).expect(
            200
        )
        self._people[id_] += 1
        self._kept[id_] = (self._kept[id_][0], "*")

    def _delete(self) -> None:
        id_ = self._any()
        self.send("DELETE", f"AG/audiences/{id_}").expect(200)
        del self._kept[id_]
        self.send("GET", f"AG/audiences/{id_}").expect(404)

    def look(self) -> None:
        """Everything is as it was acknowledged."""
        listed: list[str] = []
        cursor = ""
        while True:
            page = self.send("GET", f"AG/audiences?limit=5{cursor}").expect(200).data
            listed += [item["id"] for item in page["items"]]
            if not page["hasMore"]:
                break
            cursor = f"&cursor={page['nextCursor']}"
        assert sorted(listed) == sorted(self._kept)
        if not self._kept:
            return
        id_ = self._any()
        name, etag = self._kept[id_]
        headers = {} if etag == "*" else {"If-None-Match": etag}
        answer = self.send("GET", f"AG/audiences/{id_}", headers=headers)
        if etag == "*":
            data = answer.expect(200).data
            assert (data["name"], data["prospectCount"]) == (name, self._people[id_])
            self._kept[id_] = (name, answer.etag)
        else:
            answer.expect(304)
        members = self.send("GET", f"AG/audiences/{id_}/prospects").expect(200).data
        assert len(members["items"]) == self._people[id_]


def test_reads_are_done_on_the_replica(current: Servers) -> None:
    server, _ = current
    tenant = Tenant(server)
    tenant.audience("Read elsewhere")
    before, sent = reads(server), 0
    while reads(server)["replica"] < before["replica"] + 10:
        assert len(tenant.get("AG/audiences").expect(200).data["items"]) == 1
        sent += 1
        assert sum(reads(server).values()) - sum(before.values()) == sent
        assert sent < 1000


def test_metrics_tell_where_reads_are_done(current: Servers) -> None:
    server, _ = current

    async def render() -> bytes:
        _, text = await Metrics(server.installation, app=server.app).render()
        return text

    text = str(server.call(render).decode())
    assert 'longlist_replicas{state="current"} 1.0' in text
    assert float(re.findall(r'longlist_reads_total{answered="replica"} (\S+)', text)[0]) > 0
    assert "longlist_replica_behind_bytes " in text


@pytest.mark.parametrize("seed", range(2))
def test_no_own_write_is_missed(current: Servers, standby: Standby, seed: int) -> None:
    """Replay is held and released while a group writes at one server and reads at another."""
    before = [reads(server) for server in current]
    over = threading.Event()

    def both() -> bool:
        """Each server has read here and there, often enough to miss something."""
        return all(
            reads(server)[place] - earlier[place] >= 50
            for server, earlier in zip(current, before, strict=True)
            for place in ("replica", "behind")
        )

    def flicker() -> None:
        chance = random.Random(seed)
        while not over.is_set():
            standby.hold()
            over.wait(chance.uniform(0, 0.05))
            standby.resume()
            over.wait(chance.uniform(0, 0.4))

    thread = threading.Thread(target=flicker)
    thread.start()
    try:
        crowd = [Colleague(current, random.Random(f"{seed} {at}")) for at in range(3)]
        with ThreadPoolExecutor(len(crowd)) as threads:
            for done in [threads.submit(colleague.work, both) for colleague in crowd]:
                done.result()
    finally:
        over.set()
        thread.join()
    assert [reads(server)["away"] for server in current] == [each["away"] for each in before]


def test_doctor_tells_of_replicas(current: Servers) -> None:
    here = current[0].settings
    [check] = _replicas_of(here)
    assert (check.state, check.detail) == ("ok", "1 current")
    assert check.facts["current"] == 1
    away = "postgresql://127.0.0.1:1/nowhere"
    [check] = _replicas_of(msgspec.structs.replace(here, database_read_url=away))
    assert check.state == "warning"
    assert check.detail.startswith("0 current, 1 away after 3 s")
    assert _replicas_of(msgspec.structs.replace(here, database_read_url="")) == []


def _replicas_of(settings: Settings) -> list[doctor.Check]:
    return [check for check in doctor.examine(settings).checks if check.name == "replicas"]


def test_a_replica_that_stands_still_is_passed_over(current: Servers, standby: Standby) -> None:
    tenant = Tenant(current[0])
    standby.hold()
    try:
        for number in range(5):
            id_ = tenant.audience(f"Unseen {number}")["id"]
            for server in current:
                Client(server, tenant.key).get(tenant.path(f"AG/audiences/{id_}")).expect(200)
        for server in current:
            eventually(lambda server=server: figures(server).states["behind"] == 1)  # type: ignore[misc]
        eventually(lambda: figures(current[0]).behind_bytes > 0)
    finally:
        standby.resume()
    for server in current:
        until(server, "current")


def test_reads_go_on_where_a_replica_dies_and_it_is_taken_back(
    current: Servers, standby: Standby
) -> None:
    tenant = Tenant(current[0])
    tenant.audience("Seen throughout")
    over = threading.Event()
    failures: list[BaseException] = []

    def read(server: Longlist) -> None:
        client = Client(server, tenant.key)
        try:
            while not over.is_set():
                found = client.get(tenant.path("AG/audiences")).expect(200).data["items"]
                assert len(found) == 1
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=read, args=(server,)) for server in current]
    for thread in threads:
        thread.start()
    standby.kill()
    try:
        for server in current:
            eventually(lambda server=server: figures(server).states["away"] == 1)  # type: ignore[misc]
    finally:
        standby.start()
        for server in current:
            eventually(lambda server=server: figures(server).states["current"] == 1)  # type: ignore[misc]
        over.set()
        for thread in threads:
            thread.join()
    assert failures == []


def test_an_export_is_read_where_its_rows_are_kept(current: Servers, standby: Standby) -> None:
    server, _ = current
    tenant = Tenant(server)
    audience = tenant.audience()["id"]
    for number in range(3):
        tenant.prospect(audience, linkedinUrl=f"https://linkedin.com/in/exported-{number}")

    def exported(place: str) -> bool:
        before = reads(server)
        answer = tenant.get(f"AG/audiences/{audience}/export", headers={"Accept": "text/csv"})
        assert len(answer.expect(200).body.splitlines()) == 4
        after = reads(server)
        assert sum(after.values()) - sum(before.values()) == 1
        return after[place] > before[place]

    eventually(lambda: exported("stream"))
    standby.run("ALTER SYSTEM SET hot_standby_feedback = on")
    standby.run("SELECT pg_reload_conf()")
    eventually(lambda: exported("replica"))


def opened(url: str, read_url: str, work: Callable[[PostgresDatabase], Any]) -> Any:
    """Run with a database of a process that shares nothing with the servers."""

    async def run() -> Any:
        db = PostgresDatabase(url, pool=4, read_url=read_url)
        await db.start()
        try:
            return await work(db)
        finally:
            await db.close()

    return asyncio.run(run())


async def came_to(db: PostgresDatabase, state: str) -> None:
    async def nothing(tx: Transaction) -> None:
        await tx.one("SELECT 1")

    async with asyncio.timeout(PATIENCE_S):
        while True:
            await db.reads.read(nothing)
            found = db.figures().replicas
            assert found is not None
            if found.states[state]:
                return
            await asyncio.sleep(0.02)


def failed(db: PostgresDatabase) -> int:
    found = db.figures().replicas
    assert found is not None
    return found.reads["failed"]


async def _where(tx: Transaction) -> bool:
    row = await tx.one("SELECT pg_is_in_recovery()")
    assert row is not None
    return bool(row[0])


@pytest.mark.parametrize(
    "failure",
    [
        asyncpg.SerializationError("canceling statement due to conflict with recovery"),
        asyncpg.QueryCanceledError("canceling statement due to user request"),
        asyncpg.AdminShutdownError("terminating connection due to conflict with recovery"),
        ConnectionResetError(),
        TimeoutError(),
    ],
    ids=lambda failure: type(failure).__name__,
)
def test_a_read_that_the_replica_cancels_is_done_on_the_primary(
    url: str, standby: Standby, servers: Servers, failure: Exception
) -> None:
    async def body(tx: Transaction) -> bool:
        if on_replica := await _where(tx):
            raise failure
        return on_replica

    async def work(db: PostgresDatabase) -> None:
        await came_to(db, "current")
        for read in (db.reads.read, db.reads.read_long):
            before = failed(db)
            async with asyncio.timeout(PATIENCE_S):
                while failed(db) == before:
                    assert await read(body) is False

    opened(url, standby.url(url), work)


def test_a_read_that_recovery_is_in_the_way_of_is_done_on_the_primary(
    url: str, standby: Standby, servers: Servers
) -> None:
    """The replica wants a lock that the read holds, and may not wait for it."""
    standby.run("ALTER SYSTEM SET max_standby_streaming_delay = 0")
    standby.run("SELECT pg_reload_conf()")
    places: list[bool] = []

    async def work(db: PostgresDatabase) -> int:
        async def slow(tx: Transaction) -> int:
            places.append(await _where(tx))
            row = await tx.one("SELECT count(*) FROM api_keys")
            if places[-1]:
                await db.write(rewrite)
                await tx.one("SELECT pg_sleep(30)")
            assert row is not None
            return int(row[0])

        async def rewrite(tx: Transaction) -> None:
            await tx.run("LOCK TABLE api_keys IN ACCESS EXCLUSIVE MODE")

        async with asyncio.timeout(PATIENCE_S):
            while True:
                places.clear()
                await came_to(db, "current")
                found = int(await db.reads.read_long(slow))
                if places[0]:
                    return found

    assert opened(url, standby.url(url), work) > 0
    assert places == [True, False]


def test_who_is_no_replica_of_the_primary_is_not_read(
    url: str, postgres: Postgres, servers: Servers
) -> None:
    """The primary itself, another server with other data, and nobody at all."""

    async def work(db: PostgresDatabase) -> None:
        assert await db.reads.read(_where) is False
        await asyncio.sleep(0.3)
        assert await db.reads.read(_where) is False
        found = db.figures().replicas
        assert found is not None
        assert found.states == {"current": 0, "behind": 0, "away": 1}
        assert found.reads == {"replica": 0, "behind": 0, "away": 2, "failed": 0, "stream": 0}

    for read_url in (url, postgres.new_database(), "postgresql://postgres@127.0.0.1:1/none"):
        opened(url, read_url, work)


def test_positions_of_another_timeline_prove_nothing(
    url: str, standby: Standby, servers: Servers
) -> None:
    """A primary that was promoted elsewhere notes its timeline; this replica knows nothing of it.

    The note is changed behind the back of a process that has made its own.
    """

    async def note(tx: Transaction, timeline: str) -> None:
        await tx.run("UPDATE installation SET value = $1 WHERE name = 'timeline'", timeline)

    async def work(db: PostgresDatabase) -> None:
        await came_to(db, "current")
        await db.write(note, "0000000A")
        try:
            assert await db.reads.read(_where) is False
            await came_to(db, "behind")
        finally:
            await db.write(note, "00000001")
        async with asyncio.timeout(PATIENCE_S):
            while not await db.reads.read(_where):
                await came_to(db, "current")

    opened(url, standby.url(url), work)


def test_a_proof_covers_what_was_open_before_it_or_is_as_far() -> None:
    class Opened:
        def __init__(self, server: str, opened: float, replayed: int) -> None:
            self.server, self.opened, self.replayed = server, opened, replayed

    proof = Proof("one", position=100, at=5.0)
    assert proof.covers(Opened("one", 4.0, 10))
    assert proof.covers(Opened("one", 6.0, 100))
    assert not proof.covers(Opened("one", 6.0, 99))
    assert not proof.covers(Opened("two", 4.0, 200))


def test_a_proof_serves_those_who_waited_when_it_began_and_nobody_else() -> None:
    """Who comes while the primary is being asked may know of a write that its answer lacks."""

    class AskedPrimary:
        def __init__(self) -> None:
            self.log = 0
            self.asked = asyncio.Event()
            self.answer = asyncio.Event()

        async def mark(self) -> Mark:
            found = self.log
            self.asked.set()
            await self.answer.wait()
            return Mark(found, "1")

    class Asker:
        server = "one"

        async def fetchrow(self, sql: str) -> tuple[int, str, bool]:
            return 1000, "1", True

        def terminate(self) -> None: ...

    async def run() -> None:
        primary = AskedPrimary()
        made: Any = primary
        replica = Replica("", made, number=1, size=1, name="")
        replica._asker = Asker()
        first = asyncio.create_task(replica.prove())
        await primary.asked.wait()
        primary.log = 7
        later = [asyncio.create_task(replica.prove()) for _ in range(3)]
        await asyncio.sleep(0)
        primary.answer.set()
        found = [await first, *await asyncio.gather(*later)]
        assert [proof and proof.position for proof in found] == [0, 7, 7, 7]
        assert found[1] is found[2] is found[3]

    asyncio.run(run())


def test_each_host_is_a_replica_of_its_own() -> None:
    assert each_host("postgresql://u:p%40@a,b:5433/d?sslmode=require") == [
        "postgresql://u:p%40@a/d?sslmode=require",
        "postgresql://u:p%40@b:5433/d?sslmode=require",
    ]
    assert each_host("postgresql://u@/d?host=/run/x") == ["postgresql://u@/d?host=/run/x"]


def test_a_read_url_needs_its_primary(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="LONGLIST_DATABASE_READ_URL"):
        load({"LONGLIST_DATABASE_READ_URL": "postgresql://a/d"})
    with pytest.raises(SettingError, match="LONGLIST_DATABASE_READ_URL"):
        load(
            {
                "LONGLIST_DATABASE_URL": "postgresql://a/d",
                "LONGLIST_DATABASE_READ_URL": "mysql://b/d",
            }
        )


def test_without_replicas_the_primary_answers(url: str, servers: Servers) -> None:
    async def work(db: PostgresDatabase) -> None:
        assert db.reads is db
        assert not isinstance(db.reads, Replicas)
        with pytest.raises(DatabaseAway):
            await PostgresDatabase("postgresql://postgres@127.0.0.1:1/none", pool=1).start()

    opened(url, "", work)
