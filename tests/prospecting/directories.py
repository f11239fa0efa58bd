"""Directories as a test sets them up: a file, loaded, and searched by jobs or directly."""

# ruff: noqa: RUF001 - a person with a Greek name

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any

from longlist.jobs import JobFailed
from longlist.prospecting.runner import ProspectingRunner
from longlist.prospecting.sources import SourcePage
from longlist.prospecting.sources.directory import PROVIDER
from longlist.prospecting.sources.kept import KeptDirectory, KeptFilters
from longlist.prospecting.sources.providers import SetUp
from tests.harness.tenant import Tenant
from tests.harness.worker import HandWorker
from tests.prospecting import scripted

JOBS = "AG/prospecting"
PEOPLE: list[dict[str, str]] = [
    {"name": "Ada Sample", "title": "Chief Technology Officer", "company.name": "Acme Robotics",
     "location": "Zürich, Switzerland", "company.industry": "Machinery", "headline": "CTO",
     "email": "ada@example.com", "about": "Builds robots.\nLikes long walks."},
    {"name": "Søren Łukasz Muster", "title": "Head of Engineering", "company.name": "Straße & Co",
     "location": "Berlin, Germany", "company.industry": "Software Development",
     "publicIdentifier": "soren-muster"},
    {"name": "Renée O'Model", "title": "VP, Sales (EMEA)", "company.name": "Acme Robotics",
     "location": "Paris, France", "company.industry": "Machinery", "providerId": "ACoAAB1"},
    {"name": "王伟", "title": "东京大学 研究员", "company.name": "东京大学", "location": "東京都",
     "company.industry": "Research", "email": "wang@example.org"},
    {"name": "Ben Nobody", "title": "Engineer", "company.name": "Berlin Bread",
     "location": "Hamburg, Germany", "company.industry": "Food", "email": "ben@example.net",
     "headline": "Not the head of anything"},
    {"name": "Ιωάννα Παράδειγμα", "title": "Διευθύντρια", "company.name": "ΣΟΦΙΑ ΑΕ",
     "location": "Αθήνα", "company.industry": "Education", "email": "ioanna@example.gr"},
]  # fmt: skip
"""Invented people, in the order of their file."""


def write_csv(path: Path, rows: Iterable[Mapping[str, str]]) -> Path:
    """A file of people with the contract's names for columns."""
    rows = list(rows)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    return path


def many(count: int, first: int = 0, **more: str) -> list[dict[str, str]]:
    """Numbered people who all have the title "Many"."""
    return [
        {"name": f"Person {at}", "email": f"p{at}@example.com", "title": "Many", **more}
        for at in range(first, first + count)
    ]


def directory(api: Tenant, path: Path | None = None, name: str = "People", **more: str) -> SetUp:
    """Set a directory up, without loading it."""
    settings = more if path is None else {"file": str(path), **more}
    made = scripted.set_up(api, "directory", settings, name=name, token=None)
    return SetUp(made.id, made.name, made.provider, made.settings)


def load(api: Tenant, set_up: SetUp) -> str:
    """Load or refresh a directory; the sentence for the operator."""
    told: str = api.server.call(PROVIDER.load, api.server.installation, api.group, set_up)
    return told


def loaded(api: Tenant, path: Path, rows: Iterable[Mapping[str, str]], name: str = "P") -> SetUp:
    """A directory of these rows, loaded."""
    made = directory(api, write_csv(path, rows), name)
    load(api, made)
    return made


def forget(api: Tenant, set_up: SetUp) -> None:
    """Delete what a directory took in."""
    api.server.call(PROVIDER.forget, api.server.installation, api.group, set_up)


def pages(
    api: Tenant,
    set_ups: list[SetUp],
    query: str,
    filters: dict[str, list[str]] | None = None,
    *,
    limit: int = 1000,
    page_rows: int = 100,
    cursor: str | None = None,
) -> list[SourcePage]:
    """Every page that a search gives from a cursor on."""
    wanted = KeptDirectory(query, limit, KeptFilters(**(filters or {})))
    source = PROVIDER.open(api.server.installation, api.group, set_ups, wanted, page_rows)

    async def read() -> list[SourcePage]:
        async with aclosing(source.pages(cursor)) as found:
            return [page async for page in found]

    result: list[SourcePage] = api.server.call(read)
    return result


def names(found: Iterable[SourcePage]) -> list[str | None]:
    """The names of the people on some pages, in their order."""
    return [row.values.get("name") for page in found for row in page.rows]


def start(api: Tenant, query: str, **more: Any) -> str:
    """Start a search; the id of its job."""
    target = {} if "audienceId" in more else {"audienceName": "Found"}
    body = {"type": "directory_search", "query": query, **target, **more}
    return str(api.post(JOBS, body).expect(202).data["jobId"])


def run(api: Tenant, job_id: str, page_rows: int = 2) -> Any:
    """Work on a job to its end, as the engine does; the job afterwards."""
    worker = HandWorker(api.server, page_rows=page_rows)
    claim = worker.claim(job_id)
    assert claim is not None
    try:
        assert worker.resume(claim)
    except JobFailed as failed:
        installation = api.server.installation
        end = partial(
            ProspectingRunner(installation).fail, code=failed.code, message=failed.message
        )
        assert api.server.call(installation.db.write, end, claim)
    return job_of(api, job_id)


def job_of(api: Tenant, job_id: str) -> Any:
    """The job as the API shows it."""
    return api.get(f"{JOBS}/{job_id}").expect(200).data


def members(api: Tenant, audience_id: str) -> list[str]:
    """The names of the people in an audience, sorted."""
    items = api.get(f"AG/audiences/{audience_id}/prospects?limit=200").expect(200).data["items"]
    return sorted(item["name"] for item in items)


def kept_rows(api: Tenant) -> dict[str, int]:
    """How many rows each table of directories has for the account group."""
    return {
        table: api.server.value(
            f"SELECT COUNT(*) FROM {table} WHERE account_group_id = $1", api.group
        )
        for table in ("directory_generations", "directory_people", "directory_words")
    }
