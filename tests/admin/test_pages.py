"""What the pages show and do, over plain HTTP on both engines."""

from __future__ import annotations

import csv
import hashlib
import io
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from longlist.admin import assets
from longlist.keys import store as keys
from tests.admin.visitor import Visitor
from tests.harness import logs
from tests.harness.server import Longlist
from tests.harness.tenant import UNKNOWN, Tenant

HOSTILE = "<script>alert('x')</script> \"&amp; {{ 7*7 }} <img src=x onerror=alert(1)>"


def base(api: Tenant) -> str:
    return f"/admin/g/{api.group.hex()}"


def test_assets_are_kept_for_good_under_names_that_change_with_them(visitor: Visitor) -> None:
    page = visitor.get("/admin/groups").text
    paths = re.findall(r'(?:src|href)="(/admin/static/[^"]+)"', page)
    assert len(paths) == 4
    for path in paths:
        answer = Visitor(visitor.server).get(path).expect(200)
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert f"-{hashlib.sha256(answer.body).hexdigest()[:12]}." in path
        head = visitor.send("HEAD", path)
        assert (head.body, head.headers["content-length"]) == (b"", str(len(answer.body)))
    for path in ("admin.css", "../site.py", "", "icon.svg"):
        assert visitor.get(f"/admin/static/{path}").status == 404


def test_vendored_files_are_the_ones_noted_beside_them() -> None:
    vendor = Path(assets.__file__).parent / "vendor"
    text = (vendor / "README.md").read_text(encoding="utf-8")
    assert text.startswith(f"# htmx.org {assets.HTMX_VERSION}\n")
    noted = dict(re.findall(r"\| `([^`]+)` \| `([0-9a-f]{64})` \|", text))
    assert {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in vendor.iterdir()
        if path.suffix == ".js"
    } == noted
    assert "Zero-Clause BSD" in (vendor / "LICENSE").read_text(encoding="utf-8")


def test_unknown_paths_and_wrong_methods(visitor: Visitor, api: Tenant) -> None:
    for path in ("/admin/", "/admin/nowhere", f"{base(api)}/audiences/xyz", f"{base(api)}/"):
        visitor.get(path).expect(404)
    answer = visitor.send("DELETE", "/admin/groups").expect(405)
    assert answer.headers["allow"] == "GET"
    visitor.send("HEAD", "/admin/groups").expect(200)
    assert visitor.get(f"/admin/g/{UNKNOWN}/audiences").expect(404)


def test_the_api_takes_no_session(visitor: Visitor, api: Tenant) -> None:
    answer = visitor.server.take_connection()
    answer.request(
        "GET", api.path("AG/audiences"), headers={"Cookie": f"longlist_admin={visitor.session}"}
    )
    response = answer.getresponse()
    assert response.status == 401
    response.read()
    visitor.server.give_back(answer)


def test_audiences_are_made_renamed_described_moved_and_deleted(
    visitor: Visitor, api: Tenant
) -> None:
    here = base(api)
    assert "Your first audience" in visitor.get(f"{here}/audiences").plain
    form = {"name": "  Fintech CTOs ", "type": "on_demand", "description": "By hand"}
    url = visitor.post(f"{here}/audiences/new", form).to
    id_ = url.rpartition("/")[2]
    assert api.get(f"AG/audiences/{id_}").data["name"] == "Fintech CTOs"
    assert "Nobody in here yet" in visitor.get(url).plain

    assert 'value="Fintech CTOs"' in visitor.get(f"{url}/rename", htmx=True).text
    part = visitor.post(f"{url}/rename", {"name": "Fintech CTOs, Benelux"}, htmx=True).expect(200)
    assert "Fintech CTOs, Benelux" in part.plain
    assert "<html" not in part.text
    visitor.post(f"{url}/describe", {"description": "Checked\r\ntwice"}).expect(303)
    assert api.get(f"AG/audiences/{id_}").data["description"] == "Checked\ntwice"
    visitor.post(f"{url}/describe", {"description": ""}).expect(303)
    assert api.get(f"AG/audiences/{id_}").data["description"] is None

    folder, watched = api.folder(), api.folder("Watched", "monitoring")
    choice = visitor.get(f"{url}/move", htmx=True)
    assert folder["id"] in choice.text
    assert watched["id"] not in choice.text
    visitor.post(f"{url}/move", {"folder": folder["id"]}).expect(303)
    assert api.get(f"AG/audiences/{id_}").data["folderId"] == folder["id"]
    assert "Benelux" in visitor.get(f"{here}/audiences?folder={folder['id']}").plain
    assert "Nothing in here yet" in visitor.get(f"{here}/audiences?folder=none").plain
    refused = visitor.post(f"{url}/move", {"folder": watched["id"]}, htmx=True).expect(422)
    assert "another kind" in refused.plain
    visitor.post(f"{url}/move", {"folder": ""}).expect(303)
    assert api.get(f"AG/audiences/{id_}").data["folderId"] is None

    assert "cannot be undone" in visitor.get(f"{url}/delete", htmx=True).plain
    assert visitor.post(f"{url}/delete").to.endswith("note=deleted")
    api.get(f"AG/audiences/{id_}").expect(404)
    assert "audience is deleted" in visitor.get(f"{here}/audiences?note=deleted").plain


@pytest.mark.parametrize("name", ["", "   ", "x" * 256, "a\nb", "\u200b"])
def test_a_name_that_cannot_be_is_refused_as_the_api_refuses_it(
    visitor: Visitor, api: Tenant, name: str
) -> None:
    url = f"{base(api)}/audiences"
    visitor.post(f"{url}/new", {"name": name, "type": "on_demand"}, htmx=True).expect(400)
    id_ = api.audience()["id"]
    answer = visitor.post(f"{url}/{id_}/rename", {"name": name}, htmx=True).expect(400)
    assert "editing" in answer.text
    assert api.get(f"AG/audiences/{id_}").data["name"] == "Fintech CTOs"


def test_a_name_in_use_leads_to_the_audience_that_has_it(visitor: Visitor, api: Tenant) -> None:
    api.set(uniqueAudienceNames=True)
    first, second = api.audience("Taken"), api.audience("Free")
    url = f"{base(api)}/audiences"
    answer = visitor.post(f"{url}/{second['id']}/rename", {"name": "TAKEN"}, htmx=True).expect(422)
    assert "has this name" in answer.plain
    assert f"{url}/{first['id']}" in answer.text
    assert 'value="TAKEN"' in answer.text


def test_a_locked_audience_says_who_holds_it_and_how_far_that_is(
    visitor: Visitor, api: Tenant
) -> None:
    id_ = api.audience()["id"]
    url = f"{base(api)}/audiences/{id_}"
    with api.filling(id_, "running", 4200) as job_id:
        for answer in (
            visitor.get(f"{url}/rename", htmx=True).expect(409),
            visitor.post(f"{url}/rename", {"name": "Another"}, htmx=True).expect(409),
        ):
            assert "being filled" in answer.plain
            assert "running, 42" in answer.plain
            assert f"/jobs/{job_id}" in answer.text
        assert 'value="Another"' in answer.text
        page = visitor.get(url).expect(200)
        assert "Locked while a file import fills it" in page.plain
        assert 'value="4200"' in page.text
        assert 'hx-trigger="every 1s"' in visitor.get(f"{url}/filling", htmx=True).text
        assert "42" in visitor.get(f"{base(api)}/audiences").plain
        busy = visitor.get(f"{url}/filling?row=1", htmx=True)
        assert busy.text.lstrip().startswith('<a class="busy"')
        assert 'value="42"' in busy.text
        for dialog in ("move", "delete"):
            shown = visitor.get(f"{url}/{dialog}", htmx=True).expect(200)
            assert "is locked" in shown.plain
            assert "<form" not in shown.text
        visitor.post(f"{url}/delete", htmx=True).expect(409)
        visitor.post(f"{url}/move", {"folder": ""}, htmx=True).expect(409)
        visitor.get(f"{url}/export.csv").expect(409)
    assert api.get(f"AG/audiences/{id_}").data["name"] == "Fintech CTOs"
    assert visitor.get(f"{url}/filling", htmx=True).headers["hx-refresh"] == "true"
    row = visitor.get(f"{url}/filling?row=1", htmx=True)
    assert row.headers["hx-retarget"] == f"tr[data-audience='{id_}']"
    assert row.text.count("<tr") == 1
    assert "busy" not in row.text


def test_folders_are_made_renamed_and_deleted(visitor: Visitor, api: Tenant) -> None:
    here = base(api)
    url = visitor.post(f"{here}/folders/new", {"name": "Spring", "audienceType": "on_demand"}).to
    id_ = url.rpartition("=")[2]
    audience = api.audience()["id"]
    api.post(f"AG/audiences/{audience}/move-to-folder", {"folderId": id_}).expect(200)
    visitor.post(f"{here}/folders/{id_}/rename", {"name": "Summer"}).expect(303)
    assert "Summer" in visitor.get(url).plain
    visitor.get(f"{here}/folders/{id_}/delete", htmx=True).expect(200)
    with api.filling(audience):
        visitor.post(f"{here}/folders/{id_}/delete", htmx=True).expect(409)
    visitor.post(f"{here}/folders/{id_}/delete").expect(303)
    assert api.get(f"AG/audiences/{audience}").data["folderId"] is None


def test_a_search_for_audiences_and_its_pages(visitor: Visitor, api: Tenant) -> None:
    for at in range(60):
        api.audience(f"List {at:02}")
    url = f"{base(api)}/audiences"
    first = visitor.get(url).text
    assert first.count("data-audience=") == 50
    more = re.findall(r'hx-get="([^"]*cursor=[^"]*)"', first)
    assert len(more) == 1
    rest = visitor.get(more[0].replace("&amp;", "&"), htmx=True).expect(200).text
    assert rest.count("data-audience=") == 10
    assert "<html" not in rest
    assert visitor.get(f"{url}?q=list+3").text.count("data-audience=") == 10
    assert "Nothing found" in visitor.get(f"{url}?q=%25").plain
    visitor.get(f"{url}?q=other&cursor=abc").expect(400)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ADA@Example.com", ["Ada One"]),
        ("https://de.linkedin.com/in/Ada-One/?x=1", ["Ada One"]),
        ("linkedin.com/in/ada-one", ["Ada One"]),
        ("ada-one", ["Ada One"]),
        ("ACo123", ["Ben Two"]),
        (" ada@example.com ", ["Ada One"]),
        ("Ada", ["Ada One"]),
        ("tWO ben", ["Ben Two"]),
        ("_", []),
        ("%", []),
        ("elsewhere@example.com", []),
    ],
)
def test_people_are_found_by_what_they_are_known_by(
    visitor: Visitor, api: Tenant, text: str, found: list[str]
) -> None:
    id_, other = api.audience()["id"], api.audience("Another")["id"]
    api.add(
        id_,
        {
            "name": "Ada One",
            "email": "ada@example.com",
            "linkedinUrl": "https://www.linkedin.com/in/ada-one",
        },
        {"name": "Ben Two", "providerId": "ACo123"},
    )
    api.prospect(other, name="Not in it", email="elsewhere@example.com")
    answer = visitor.send("GET", f"{base(api)}/audiences/{id_}?q={quote(text)}")
    names = re.findall(r'<a class="title"[^>]*>([^<]*)</a>', answer.expect(200).text)
    assert names == found
    assert bool(found) is ("Nobody found" not in answer.plain)


def test_people_by_pages_one_of_them_and_the_export(visitor: Visitor, api: Tenant) -> None:
    id_ = api.audience()["id"]
    api.add(id_, *({"name": f"P {n}", "email": f"p{n}@example.com"} for n in range(120)))
    url = f"{base(api)}/audiences/{id_}"
    seen, path = [], url
    while path:
        text = visitor.get(path, htmx=path != url).expect(200).text
        seen += re.findall(r'<a class="title"[^>]*>(P \d+)</a>', text)
        more = re.findall(r'hx-get="([^"]*cursor=[^"]*)"', text)
        path = more[0].replace("&amp;", "&") if more else ""
    assert seen == [f"P {n}" for n in reversed(range(120))]
    prospect = re.findall(r"/prospects/([0-9a-f]{24})", visitor.get(url).text)[0]
    assert "p119@example.com" in visitor.get(f"{base(api)}/prospects/{prospect}").plain
    answer = visitor.get(f"{url}/export.csv").expect(200)
    assert answer.headers["content-disposition"] == f'attachment; filename="audience-{id_}.csv"'
    assert len(list(csv.reader(io.StringIO(answer.text)))) == 121


def paths_of(api: Tenant, **ids: str) -> list[str]:
    """Every page about something of an account group."""
    here = base(api)
    audience = f"{here}/audiences/{ids['audience']}"
    return [
        audience,
        *(
            f"{audience}/{part}"
            for part in ("name", "rename", "describe", "move", "delete", "filling")
        ),
        f"{audience}/export.csv",
        f"{here}/prospects/{ids['prospect']}",
        f"{here}/prospects/{ids['prospect']}/erase",
        *(f"{here}/folders/{ids['folder']}/{part}" for part in ("rename", "delete")),
        f"{here}/import/{ids['file']}",
        *(f"{here}/jobs/{ids['job']}{part}" for part in ("", "/progress", "/failed.csv")),
    ]


def furnished(api: Tenant, name: str = "Thing") -> dict[str, str]:
    """One of everything, named so; the ids."""
    audience = api.audience(name, description=name)["id"]
    upload = api.send(
        "POST", "AG/files", body=f'"{name.replace(chr(34), chr(34) * 2)}",Email\nx,y\n'.encode(),
        headers={"Content-Type": "text/csv"},
    )  # fmt: skip
    ids = {
        "audience": audience,
        "prospect": api.prospect(audience, name=name, email="ada@example.com", headline=name),
        "folder": api.folder(name)["id"],
        "file": upload.expect(201).data["fileId"],
    }
    with api.filling(api.audience(name)["id"]) as job:
        ids["job"] = job
    return ids


def test_what_is_of_another_group_is_not_there(
    visitor: Visitor, api: Tenant, stranger: Tenant
) -> None:
    ids = furnished(stranger)
    for path in paths_of(stranger, **ids):
        assert visitor.get(path).status == 200, path
    for path in paths_of(api, **ids):
        answer = visitor.get(path)
        assert answer.status == 404, path
        assert "Thing" not in answer.text
    url = f"{base(api)}/audiences/{ids['audience']}"
    for action, form in (("rename", {"name": "x"}), ("delete", {}), ("move", {"folder": ""})):
        visitor.post(f"{url}/{action}", form).expect(404)
    own = api.audience()["id"]
    move = f"{base(api)}/audiences/{own}/move"
    visitor.post(move, {"folder": ids["folder"]}).expect(404)
    visitor.post(f"{base(api)}/jobs/{ids['job']}/cancel").expect(404)
    start = {"target": "new", "audienceName": "x", "once": "a" * 32}
    visitor.post(f"{base(api)}/import/{ids['file']}/start", start).expect(404)
    assert stranger.get(f"AG/audiences/{ids['audience']}").data["name"] == "Thing"


def test_hostile_names_are_text_on_every_page(visitor: Visitor, server: Longlist) -> None:
    api = Tenant(server, HOSTILE)
    ids = furnished(api, HOSTILE)
    server.write(_key_named, api.group)
    here = base(api)
    lists = ["audiences", f"audiences?folder={ids['folder']}", "audiences?q=%3Cscript", "jobs",
             "activity", "settings", "import", "people", "people?q=%3Cscript", "suppressions",
             "suppressions/new", "monitors", "sources", "sources/new", "audiences/new",
             "folders/new"]  # fmt: skip
    pages = [*paths_of(api, **ids), *(f"{here}/{part}" for part in lists), "/admin/groups",
             "/admin/keys", "/admin/keys/new", "/admin/audit"]  # fmt: skip
    escaped = 0
    for path in pages:
        if path.endswith(".csv"):
            continue
        for htmx in (False, True):
            text = visitor.get(path, htmx=htmx).expect(200).text
            assert "<script>alert" not in text, path
            assert "<img" not in text, path
            assert "49" not in re.sub(r"[0-9a-f]{16,}|[\w-]{20,}", "", text).split(), path
            escaped += text.count("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;")
    assert escaped > len(pages)
    visitor.get(f"{here}/audiences?q={'%3Cscript%3E'}&folder=%22%3E").expect(400)
    bad = {"name": HOSTILE * 4, "type": "on_demand"}
    assert "<script>alert" not in visitor.post(f"{here}/audiences/new", bad).expect(400).text


async def _key_named(ctx: Any, group: bytes) -> None:
    await keys.create_everywhere(ctx, name=HOSTILE, permissions=["audiences:read"], groups=[group])


def test_keys_are_made_shown_once_rotated_and_revoked(visitor: Visitor, api: Tenant) -> None:
    form = [("name", "CRM sync"), ("days", "90"), ("perMinute", "120"), ("group", api.group.hex()),
            ("permission", "audiences:read"), ("permission", "prospects:read")]  # fmt: skip
    made = visitor.post("/admin/keys/new", form, htmx=True).expect(200)
    assert made.headers["hx-retarget"] == "#dialog-body"
    key = re.search(r"llk_\w{49}", made.text)
    assert key is not None
    client = api.with_key(key[0])
    me = client.get("/v1/me").expect(200).data
    assert me["permissions"] == ["audiences:read", "prospects:read"]
    assert me["rateLimit"]["perMinute"] == 120
    assert me["expiresAt"] is not None
    page = visitor.get("/admin/keys")
    assert key[0] not in page.text
    assert "See audiences and folders" in page.plain
    url = f"/admin/keys/{me['keyId']}"
    visitor.get(f"{url}/rotate", htmx=True).expect(200)
    second = re.search(r"llk_\w{49}", visitor.post(f"{url}/rotate").expect(200).text)
    assert second is not None
    assert second[0] != key[0]
    assert api.with_key(second[0]).get("/v1/me").expect(200).data["keyId"] == me["keyId"]
    visitor.get(f"{url}/revoke", htmx=True).expect(200)
    assert visitor.post(f"{url}/revoke").to == "/admin/keys?note=revoked"
    assert "Revoked" in visitor.get("/admin/keys").plain
    visitor.post(f"{url}/rotate").expect(400)
    visitor.post(f"/admin/keys/{UNKNOWN}/revoke").expect(404)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": " "}, {"permission": ""}, {"permission": "audiences:*"}, {"group": UNKNOWN},
        {"group": ""}, {"days": "1"}, {"days": "x"}, {"perMinute": "0"}, {"perMinute": "many"},
    ],
)  # fmt: skip
def test_a_key_with_something_wrong_is_not_made(
    visitor: Visitor, api: Tenant, wrong: dict[str, str]
) -> None:
    before = visitor.server.value("SELECT COUNT(*) FROM api_keys")
    form = {"name": "K", "group": api.group.hex(), "permission": "audiences:read", **wrong}
    visitor.post("/admin/keys/new", form, htmx=True).expect(400)
    assert visitor.server.value("SELECT COUNT(*) FROM api_keys") == before


def test_account_groups_are_made_and_limited(visitor: Visitor) -> None:
    url = visitor.post("/admin/groups/new", {"name": "Client A"}).to
    here = url.rpartition("/")[0]
    visitor.get(url).expect(200)
    assert visitor.get("/admin").to == url
    form = {
        "fileRowsCap": "1000",
        "maxResultsCap": "50",
        "credits": "7",
        "uniqueAudienceNames": "on",
    }
    visitor.post(f"{here}/settings", form).expect(303)
    text = visitor.get(f"{here}/settings?note=saved").text
    for value in ('value="1000"', 'value="50"', 'value="7"', "checked", "Saved."):
        assert value in text
    for wrong in ({"credits": "-1"}, {"fileRowsCap": "0"}, {"maxResultsCap": "1e3"}):
        visitor.post(f"{here}/settings", {**form, **wrong}, htmx=True).expect(400)
    visitor.post(f"{here}/settings", {**form, "credits": "", "uniqueAudienceNames": ""})
    assert 'placeholder="unlimited"' in visitor.get(f"{here}/settings").text
    for _ in range(2):
        made = {"name": "Twice", "type": "on_demand"}
        visitor.post(f"{here}/audiences/new", made).expect(303)
    answer = visitor.post(f"{here}/settings", form, htmx=True).expect(400)
    assert "1 names are used by more than one audience" in answer.plain


def test_settings_show_no_secret(visitor: Visitor, server: Longlist) -> None:
    page = visitor.get("/admin/settings").expect(200)
    assert "LONGLIST_MAX_UPLOAD_BYTES" in page.plain
    if server.settings.database_url:
        assert server.settings.database_url not in page.text
    secret = (server.settings.data_path / "secret").read_text().strip()
    assert secret not in page.text


def test_activity_is_read_page_by_page(visitor: Visitor, api: Tenant, stranger: Tenant) -> None:
    url = f"{base(api)}/activity"
    stranger.audience("Not shown")
    assert "Nothing has happened yet" in visitor.get(url).plain
    for at in range(70):
        api.audience(f"Number {at}")
    first = visitor.get(url).text
    more = re.findall(r'hx-get="([^"]*cursor=[^"]*)"', first)
    second = visitor.get(more[0].replace("&amp;", "&"), htmx=True).text
    found = re.findall(r">Number (\d+)</a>", first + second)
    assert [int(n) for n in found] == list(reversed(range(70)))
    assert "Not shown" not in first + second
    foreign = f"{base(stranger)}/activity?{more[0].partition('?')[2]}"
    visitor.get(foreign).expect(400)


def test_a_visit_is_logged_without_what_it_was_about(visitor: Visitor, api: Tenant) -> None:
    id_ = api.audience("A telling name")["id"]
    url = f"{base(api)}/audiences/{id_}"
    for answer, route in (
        (visitor.get(f"{url}?q=ada@example.com"), "/admin/g/{group}/audiences/{audience}"),
        (visitor.post(f"{url}/rename", {"name": "More telling"}), None),
    ):
        (line,) = logs.of(answer.headers["x-trace-id"])
        assert line["status"] == 200
        assert line["user_id"]
        assert route in (None, line["route"])
        for secret in ("telling", "ada@", visitor.session, visitor.csrf, id_):
            assert secret not in str(line)


def test_a_server_that_serves_the_api_alone_loads_none_of_this() -> None:
    program = (
        "import sys, longlist.app, longlist.serving, longlist.cli;"
        "sys.exit(bool({'jinja2', 'argon2', 'longlist.admin.site'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
