"""Has a server do everything it does with its database, once and quickly, in its own account group.

Over HTTP what there is an operation for, by calling the stores for what the clock, a worker, an
operator or the admin pages do.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from longlist import limits, workers
from longlist.accounts import move_store as moves
from longlist.accounts import store as accounts
from longlist.admin import store as admin
from longlist.audiences import folder_store as folders
from longlist.audiences import size_store as sizes
from longlist.db import Transaction
from longlist.events import store as events
from longlist.health import store as health
from longlist.ids import new_id, now_ms
from longlist.keys import store as keys
from longlist.limits import Rate
from longlist.maintenance import Maintenance
from longlist.pages import LAST_ID
from longlist.prospecting import (
    directory_store,
    monitor_store,
    monitors,
    queue_store,
    quota_store,
    source_store,
)
from longlist.prospecting import store as jobs
from longlist.prospecting.sources.providers import SetUp
from longlist.prospects import member_store, search_store
from longlist.prospects import store as prospects
from longlist.prospects import suppression_store as suppressions
from tests.accounts.moving import fill
from tests.db.crowds import FIRST, GENERATION, MANY, fill_group
from tests.gate.requests import SCOPED, good, target_of
from tests.harness.server import Longlist
from tests.harness.tenant import Tenant
from tests.harness.worker import HandWorker
from tests.prospecting import directories

TOKEN = b"\x07" * 32
CSV = b"Email,First Name\nada1@example.com,Ada\nben@example.com,Benjamin\n"


def do_everything(server: Longlist, folder: Path) -> Tenant:
    """The account group that it was done in."""
    api = Tenant(server)
    fill(api, folder)
    # Nobody outside is asked for anything.
    for source in api.server.write(source_store.list_all, group=api.group):
        if source.provider == "unipile":
            api.server.write(source_store.set_token, source, "another", group=api.group)
            assert api.server.write(source_store.remove, source.id, group=api.group)
    audience = _ask_for_everything(api)
    _fill_again(api, audience)
    _run_jobs(api)
    _be_refused(api)
    _look_at(api, audience)
    _delete(api)
    _operate(api)
    _keep_house(api)
    _look_far(Tenant(server, "Big"))
    return api


def _ask_for_everything(api: Tenant) -> str:
    """Send every operation's request, with ids that are there and ids that are not."""
    audience = str(api.audience()["id"])
    ids = {
        "audienceId": audience,
        "folderId": api.folder()["id"],
        "prospectId": api.prospect(audience, email="ben@example.com"),
        "suppressionId": "0" * 24,
        "jobId": api.get("AG/prospecting").expect(200).data["items"][0]["jobId"],
        "providerId": "ACoAAB1",
    }
    for operation in SCOPED:
        target = operation.path.replace("/v1/accounts/{accountGroupId}", "AG")
        for name, value in ids.items():
            target = target.replace(f"{{{name}}}", value)
        if operation.method != "DELETE":
            assert api.send(operation.method, target, **good(operation)).status < 500, target
        api.send(operation.method, target_of(operation), **good(operation))
    return audience


def _fill_again(api: Tenant, audience: str) -> None:
    """Bring people in who are there already, by hand and by a file, so that they change."""
    api.add(audience, {"email": "ada2@example.com", "title": "CTO"}, {"email": "ben@example.com"})
    for _ in range(2):
        upload = api.send("POST", "AG/files", body=CSV, headers={"Content-Type": "text/csv"})
        start = {
            "type": "file_import", "fileId": upload.expect(201).data["fileId"],
            "audienceId": audience,
        }  # fmt: skip
        job_id = api.post("AG/prospecting", start).expect(202).data["jobId"]
        assert HandWorker(api.server).run(job_id)
    api.get(f"AG/prospecting/{job_id}/rows?outcome=unchanged").expect(200)

    as_csv = {"Accept": "text/csv"}
    for outcome in ("", "?outcome=unchanged"):
        api.get(f"AG/prospecting/{job_id}/rows{outcome}", headers=as_csv).expect(200)
    for format_ in ("csv", "ndjson"):
        api.get(f"AG/audiences/{audience}/export?format={format_}").expect(200)


def _run_jobs(api: Tenant) -> None:
    """What a worker does, and what becomes of the jobs of one that dies."""
    for source in api.server.write(source_store.list_all, group=api.group):
        # Loaded once more: what was there before is deleted.
        set_up = SetUp(source.id, source.name, source.provider, source.settings)
        directories.load(api, set_up)
    directories.run(api, directories.start(api, "cto"))
    worker = HandWorker(api.server)
    job_id = directories.start(api, "cto")
    worker.waiting([job_id])
    assert worker.claim(job_id) is not None
    worker.die()
    claim = worker.claim(job_id)
    assert claim is not None
    write = api.server.installation.db.write
    api.server.write(jobs.hold_allowance, claim.job, 5_000, 1, group=api.group)
    api.server.write(queue_store.release, bytes.fromhex(job_id), claim.job.token, group=api.group)
    api.server.call(write, queue_store.held_everywhere)
    api.server.call(write, queue_store.depth_everywhere)
    api.server.call(write, queue_store.oldest_lock_everywhere)
    api.post(f"AG/prospecting/{job_id}/cancel").expect(200)
    api.server.change(
        ("UPDATE monitors SET next_run_at = 1 WHERE account_group_id = $1", api.group)
    )
    runs = api.server.call(write, monitor_store.due_everywhere, 10, now_ms())
    assert runs
    for run in runs:
        api.server.call(write, partial(monitors.run_due, api.server.installation), run.job_id)
    for item in api.get("AG/prospecting").expect(200).data["items"]:
        if item["status"] == "queued":
            assert worker.run(item["jobId"])


def _be_refused(api: Tenant) -> None:
    """What is looked up only to say why not."""
    audience = api.audience("Busy")["id"]
    with api.filling(audience):
        api.get(f"AG/audiences/{audience}").expect(409)
        api.patch(f"AG/audiences/{audience}", {"name": "x"}).expect(409)
        api.get("AG/audiences?q=u&type=on_demand&include=filling").expect(200)
    other = Tenant(api.server, "Names")
    other.audience("Sole")
    other.set(uniqueAudienceNames=True)
    other.post("AG/audiences", {"name": "Sole", "type": "on_demand"}).expect(422)


def _look_at(api: Tenant, audience: str) -> None:
    """What the admin pages read."""
    read = partial(api.server.write, group=api.group)
    id_ = bytes.fromhex(audience)
    for within in (id_, None):
        read(partial(search_store.search, audience_id=within, before=LAST_ID, limit=5), "ada")
    read(partial(prospects.list_page, before=LAST_ID, limit=5))
    read(partial(monitor_store.list_page, before=LAST_ID, limit=5))
    read(partial(events.list_latest, before=None, limit=5))
    read(sizes.list_since, id_, 0)
    read(jobs.counts_by_day, 0)
    (prospect,) = api.get(f"AG/audiences/{audience}/prospects?limit=1").data["items"]
    read(member_store.audiences_of, bytes.fromhex(prospect["id"]))
    read(suppressions.find_by_keys, [TOKEN[:16]])
    read(folders.get, bytes.fromhex(api.folder("Seen")["id"]))
    for source in read(source_store.list_all):
        read(source_store.find, source.name)
        read(source_store.get, source.id)


def _look_far(api: Tenant) -> None:
    """Pages in the middle of long lists, and few of many: last, so that these are the values."""
    audience, job_id = api.server.call(fill_group, api.server, api.group)
    read = partial(api.server.write, group=api.group)
    middle = b"\x80" * 12
    assert len(read(partial(member_store.list_page, before=middle, limit=100), audience)) == 100
    assert len(read(partial(prospects.list_page, before=middle, limit=100))) == 100
    look = partial(jobs.list_rows, after=FIRST + MANY // 2, limit=100)
    assert len(read(partial(look, outcome=None), job_id)) == 100
    api.get(f"AG/audiences/{audience.hex()}/export?format=csv").expect(200)
    find = partial(directory_store.search, after=0, limit=5)
    found = read(find, GENERATION, [[[f"w{FIRST + 7}"]]])
    assert [number for number, _ in found] == [FIRST + 7]
    read(directory_store.erase, [TOKEN[:16]])
    api.add(audience.hex(), {"email": "eve@example.com", "publicIdentifier": "eve"})


def _delete(api: Tenant) -> None:
    """Take away what there is, each kind once."""
    audience, folder = api.audience("Gone")["id"], api.folder("Gone")["id"]
    member = api.prospect(audience, email="gone@example.com")
    move = {"folderId": folder}
    api.post(f"AG/audiences/{audience}/move-to-folder", move).expect(200)
    api.patch(f"AG/audiences/folders/{folder}", {"name": "Going"}).expect(200)
    api.delete(f"AG/audiences/{audience}/prospects/{member}").expect(200)
    api.delete(f"AG/prospects/{member}").expect(200)
    api.delete(f"AG/audiences/folders/{folder}?ungroup=true").expect(200)
    api.delete(f"AG/audiences/{audience}").expect(200)
    for item in api.get("AG/audiences?type=monitoring").data["items"]:
        api.delete(f"AG/audiences/{item['id']}/monitor")
    entry = {"kind": "email", "value": "ada@example.org"}
    made = api.post("AG/suppressions", entry).expect(201).data["id"]
    api.delete(f"AG/suppressions/{made}").expect(200)
    source = new_id()
    api.server.write(directory_store.give_up, source, 1, group=api.group)
    api.server.write(directory_store.give_up_all, source, group=api.group)


def _operate(api: Tenant) -> None:
    """What the command line and the sign-in to the admin pages do."""
    write = api.server.write
    write(accounts.list_all_everywhere)
    write(moves.list_files_everywhere)
    write(quota_store.list_limits_everywhere, [api.group])
    id_, _ = api.make_key()
    write(keys.rotate_everywhere, id_)
    write(keys.revoke_everywhere, id_)
    write(keys.list_all_everywhere)
    user = write(partial(admin.create_user, name=f"Ada {id_.hex()}", password="x"))
    for call in (admin.has_users, admin.list_users, admin.forget_expired):
        write(call)
    write(admin.find_user, user.name)
    write(admin.set_password, user.id, "y")
    write(admin.replace_hash, user.id, "z")
    session = write(admin.create_session, user.id)
    for with_session in (admin.find_session, admin.touch_session, admin.delete_session):
        write(with_session, session)
    link = write(admin.create_link, user.id)
    write(admin.find_link, link)
    write(admin.use_link, link)
    write(admin.count_attempt, TOKEN, 3)
    write(admin.forgive_one, TOKEN)
    write(admin.forgive, TOKEN)
    write(admin.note_act, "Ada", "group_created", None)
    write(partial(admin.list_acts, before=LAST_ID, limit=5))
    write(admin.delete_user, user.id)


def _keep_house(api: Tenant) -> None:
    """What goes on without anybody asking."""
    server, db = api.server, api.server.installation.db
    server.call(partial(health.checks_everywhere, stopping=False), server.installation)
    maintenance = Maintenance(server.installation, server.app.gate.keys)
    server.call(maintenance.often)
    server.call(maintenance.seldom)

    async def on_its_own(tx: Transaction) -> None:
        await keys.touch_everywhere(tx, api.key_id, now_ms())
        await limits._lease(tx, api.key_id, Rate(60, 10), 5)
        await workers.register(tx, "by-hand")
        await workers.beat(tx, "by-hand")
        await workers.registered(tx)
        await workers.silent(tx)
        await workers.beats(tx)
        await workers.silence_ms(tx, "by-hand")
        await workers.declare_dead(tx, "by-hand")
        await workers.bury(tx, "by-hand")
        await workers.leave(tx, "by-hand")
        await source_store.list_all_everywhere(tx)

    server.call(db.write, on_its_own)
