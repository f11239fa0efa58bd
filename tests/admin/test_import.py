"""Importing through the pages: upload, mapping, trying, starting, what became of the rows."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable

import pytest

from tests.admin.test_pages import base
from tests.admin.visitor import Visitor, signed_in
from tests.harness.server import Longlist
from tests.harness.tenant import Tenant
from tests.harness.worker import HandWorker

PEOPLE = (
    b"First Name;E-Mail;Company;line\n"
    b"Ada;ada@example.com;Example One;a\n"
    b"Ben;ben-at-example.com;=Example Two;b\n"
    b"Cleo;;;c\n"
    b"Dora;dora@example.com;Example One;d\n"
)
ONCE = "0123456789abcdef" * 2


def uploaded(
    visitor: Visitor, api: Tenant, content: bytes = PEOPLE, name: str = "people.csv"
) -> str:
    """The page of a file that has been uploaded."""
    return visitor.upload(f"{base(api)}/import", content, name).to


def form_of(visitor: Visitor, page: str) -> dict[str, str]:
    """The form of the mapping as it stands: what a browser would send."""
    text = visitor.get(page).expect(200).text
    form = {"target": "new", "once": re.findall(r'name="once" value="(\w+)"', text)[0]}
    form["audienceName"] = re.findall(r'name="audienceName" value="([^"]*)"', text)[0]
    for at, options in re.findall(r'<select name="(map\.\d+)"[^>]*>(.*?)</select>', text):
        chosen = re.findall(r'value="([^"]*)" selected', options)
        form[at] = chosen[0] if chosen else ""
    return form


def test_a_file_is_matched_tried_and_imported(visitor: Visitor, api: Tenant) -> None:
    page = uploaded(visitor, api, name="trade-fair_2026.csv")
    shown = visitor.get(page)
    assert "4 rows" in shown.plain
    assert "semicolon" in shown.plain
    assert "ada@example.com" in shown.plain
    form = form_of(visitor, page)
    assert form["audienceName"] == "Trade fair 2026"
    assert [form[f"map.{at}"] for at in range(4)] == ["firstName", "email", "company.name", ""]
    url = page.partition("?")[0]

    tried = visitor.post(f"{url}/try", form, htmx=True).expect(200)
    assert re.search(r"Added 2 .*Failed 2 ", tried.plain)
    assert api.get("AG/audiences").data["items"] == []
    assert api.get("AG/prospecting").data["items"] == []

    job = visitor.post(f"{url}/start", form).to
    assert visitor.post(f"{url}/start", form).to == job, "a form that is sent twice starts one job"
    assert len(api.get("AG/prospecting").data["items"]) == 1
    job_id = job.rpartition("/")[2]
    live = visitor.get(f"{job}/progress", htmx=True)
    assert 'hx-trigger="every' in live.text
    assert "hx-refresh" not in live.headers
    assert "Waiting" in visitor.get(job).plain
    assert 'hx-trigger="every 2s"' in visitor.get(f"{base(api)}/jobs").text
    HandWorker(api.server).run(job_id)
    ended = visitor.get(f"{job}/progress", htmx=True)
    assert ended.headers["hx-refresh"] == "true"
    assert "hx-trigger" not in ended.text
    assert "Completed 4 rows" in visitor.get(job).plain
    failed = visitor.get(f"{job}?outcome=failed").plain
    assert "Not an e-mail address" in failed
    assert "Nothing to know the person by" in failed
    assert "No row was skipped" in visitor.get(f"{job}?outcome=skipped").plain

    answer = visitor.get(f"{job}/failed.csv").expect(200)
    assert answer.headers["content-disposition"] == f'attachment; filename="failed-{job_id}.csv"'
    rows = list(csv.reader(io.StringIO(answer.text)))
    assert rows[0] == [
        "First Name",
        "E-Mail",
        "Company",
        "line",
        "longlist line",
        "reason",
        "message",
    ]
    assert [row[:6] for row in rows[1:]] == [
        ["Ben", "ben-at-example.com", "'=Example Two", "b", "3", "INVALID_EMAIL"],
        ["Cleo", "", "", "c", "4", "NO_IDENTITY"],
    ]
    api.server.change(("DELETE FROM files WHERE account_group_id = $1", api.group))
    rows = list(csv.reader(io.StringIO(visitor.get(f"{job}/failed.csv").text)))
    assert [row[:2] for row in rows] == [
        ["line", "reason"],
        ["3", "INVALID_EMAIL"],
        ["4", "NO_IDENTITY"],
    ]


def test_failed_rows_are_found_all_over_a_long_file(visitor: Visitor, api: Tenant) -> None:
    wrong = {1, 2, 1999, 2000, 2001, 4999, 5000}
    content = "Email,Note\n" + "".join(
        f"{'wrong' if n in wrong else f'p{n}@example.com'},note {n}\n" for n in range(1, 5001)
    )
    page = uploaded(visitor, api, content.encode())
    job = visitor.post(f"{page.partition('?')[0]}/start", form_of(visitor, page)).to
    HandWorker(api.server, page_rows=700).run(job.rpartition("/")[2])
    rows = list(csv.reader(io.StringIO(visitor.get(f"{job}/failed.csv").text)))
    assert [row[1] for row in rows[1:]] == [f"note {n}" for n in sorted(wrong)]


def test_a_file_goes_into_an_audience_there_is(visitor: Visitor, api: Tenant) -> None:
    id_ = api.audience("There already")["id"]
    to = visitor.upload(f"{base(api)}/import?audience={id_}", PEOPLE).to
    assert f"audience={id_}" in to
    assert f'value="{id_}" selected' in visitor.get(to).text
    form = {**form_of(visitor, to), "target": "existing", "audienceId": id_, "maxResults": "1"}
    url = to.partition("?")[0]
    with api.filling(id_) as other:
        refused = visitor.post(f"{url}/start", form, htmx=True).expect(409)
        assert f"/jobs/{other}" in refused.text
    job = visitor.post(f"{url}/start", form).to
    assert HandWorker(api.server).run(job.rpartition("/")[2])
    assert api.get(f"AG/audiences/{id_}").data["prospectCount"] == 1


def test_a_job_is_cancelled_once(visitor: Visitor, api: Tenant) -> None:
    page = uploaded(visitor, api)
    job = visitor.post(f"{page.partition('?')[0]}/start", form_of(visitor, page)).to
    assert "Cancel the job" in visitor.get(job).plain
    visitor.post(f"{job}/cancel").expect(303)
    assert "Cancelled" in visitor.get(job).plain
    assert "already ended" in visitor.post(f"{job}/cancel", htmx=True).expect(422).plain


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"audienceName": ""}, "Name of the audience"),
        ({"maxResults": "many"}, "whole number"),
        ({"maxResults": "0"}, "Most rows"),
        ({"maxResults": "2000000000"}, "cap"),
        ({"map.0": "email"}, "mapping does not fit"),
        ({"map.1": "", "map.2": ""}, "mapping does not fit"),
        ({"map.1": "nonsense"}, "mapping does not fit"),
        ({"target": "existing", "audienceId": ""}, "Audience"),
        ({"once": "x"}, "out of date"),
    ],
)
def test_a_start_that_cannot_be_is_refused_with_a_sentence(
    visitor: Visitor, api: Tenant, change: dict[str, str], said: str
) -> None:
    page = uploaded(visitor, api)
    form = {**form_of(visitor, page), **change}
    answer = visitor.post(f"{page.partition('?')[0]}/start", form, htmx=True)
    assert answer.status in (400, 422)
    assert said in answer.plain
    assert api.get("AG/audiences?include=filling").data["items"] == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"PK\x03\x04 not a workbook", "archive"),
        (b"Email,Email\nx,y\n", "same name"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_and_not_kept(
    visitor: Visitor, api: Tenant, content: bytes, said: str
) -> None:
    files = api.server.settings.files_path
    before = set(files.iterdir())
    answer = visitor.upload(f"{base(api)}/import", content, **{"HX-Request": "true"}).expect(400)
    assert said in answer.plain
    assert set(files.iterdir()) == before


def test_an_upload_has_the_limit_of_the_api(
    server: Longlist, another_server: Callable[..., Longlist]
) -> None:
    small, api = another_server(max_upload_bytes=1000), Tenant(server)
    visitor = signed_in(small)
    files = small.settings.files_path
    before = set(files.iterdir())
    long = b"Email\n" + b"ada@example.com\n" * 100
    visitor.upload(f"{base(api)}/import", long).expect(413)
    visitor.upload(f"{base(api)}/import", long * 100).expect(413)
    assert set(files.iterdir()) == before
    assert visitor.upload(f"{base(api)}/import", long[:900]).status == 303


def test_forms_have_a_limit_and_a_type(visitor: Visitor, api: Tenant) -> None:
    url = f"{base(api)}/audiences/new"
    visitor.post(url, {"name": "x" * (1 << 20), "type": "on_demand"}).expect(413)
    visitor.post(url, {"name": "x"}, headers={"Content-Type": "application/json"}).expect(415)
    headers = {"Content-Type": "application/x-www-form-urlencoded", "X-CSRF-Token": visitor.csrf}
    visitor.send("POST", url, b"name=%ff&type=on_demand", headers).expect(400)
    visitor.send("POST", url, "name=ä".encode(), headers).expect(400)
