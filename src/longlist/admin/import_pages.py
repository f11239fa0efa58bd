"""Importing a file: drop it, see what was found in it, try it, start it."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from pathlib import PurePath
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from longlist import decoding, idempotency, pages
from longlist.admin.visit import Redirect, Reply, View, Visit, invalid
from longlist.audiences import folder_store as folders
from longlist.audiences import store as audiences
from longlist.context import Context
from longlist.ids import parse_id
from longlist.prospecting import file_store as files
from longlist.prospecting import mapping as mappings
from longlist.prospecting.dry_run import DryRun, dry_run
from longlist.prospecting.file_store import StoredFile
from longlist.prospecting.inspection import inspect, preview
from longlist.prospecting.rows import Inspection
from longlist.prospecting.start import StartFileImport, start
from longlist.prospecting.upload import Received, receive

FORM_BYTES: Final = 65_536
"""A form is so much longer than the file in it, at most."""
CHOICES: Final = 200
"""Audiences that the list of existing ones offers: the newest."""
_start: Final = decoding.compile(StartFileImport)


async def show(visit: Visit) -> Reply:
    """Where a file is dropped."""
    return View("import.html", {"audience": _audience_of(visit)})


def _audience_of(visit: Visit) -> str:
    """The audience that an import was asked for, as its page names it; empty without one."""
    text = visit.parameter("audience")
    return "" if parse_id(text) is None else text


async def upload(visit: Visit) -> Reply:
    """Take a file in to disk, in constant memory, and register it."""
    request, settings = visit.request, visit.installation.settings
    request.allow_pauses(settings.request_timeout_s)
    request.check_length(settings.max_upload_bytes + FORM_BYTES)
    content_type = (request.header_values(b"content-type") or [""])[0]
    received = await receive(
        request.chunks(), content_type, settings.files_path, max_bytes=settings.max_upload_bytes
    )
    try:
        found = await asyncio.to_thread(inspect, received.path, stated_format=None)
        file = await visit.change(_register, received, found)
    except BaseException:
        received.path.unlink(missing_ok=True)
        raise
    more = {"name": _name_from(received.filename), "audience": _audience_of(visit)}
    given = {name: value for name, value in more.items() if value}
    return Redirect(f"{visit.here}/import/{file.id.hex()}?{urlencode(given)}")


async def _register(ctx: Context, received: Received, found: Inspection) -> StoredFile:
    suggested = mappings.suggest(found.columns, found.preview)
    return await files.create(ctx, received.path, found, suggested)


def _name_from(filename: str | None) -> str:
    """What an audience made of a file may be called: its name without ending and dashes."""
    words = PurePath(filename or "").stem.replace("_", " ").replace("-", " ").split()
    name = " ".join(words)[:100]
    return name[:1].upper() + name[1:]


async def show_mapping(visit: Visit, file_id: bytes) -> Reply:
    """What was found in a file, which column fills which field, and into which audience."""
    file, all_folders, existing = await visit.read(_choices, file_id)
    rows = await asyncio.to_thread(_preview, file)
    values = {
        "file": file,
        "rows": rows,
        "samples": [
            next((row[column] for row in rows if row.get(column)), None)
            for column in file.inspection.columns
        ],
        "fields": mappings.FIELDS,
        "folders": [f for f in all_folders if f.folder.audience_type == "on_demand"],
        "audiences": existing,
        "chosen": _audience_of(visit),
        "name": visit.parameter("name")[:100],
        "once": secrets.token_hex(16),
        "cap": visit.group and visit.group.file_rows_cap,
    }
    return View("mapping.html", values)


async def _choices(
    ctx: Context, file_id: bytes
) -> tuple[StoredFile, list[folders.Stored], list[audiences.Stored]]:
    file = await files.get(ctx, file_id)
    existing = await audiences.list_page(ctx, before=pages.LAST_ID, limit=CHOICES)
    return file, await folders.list_all(ctx), existing


def _preview(file: StoredFile) -> list[dict[str, str | None]]:
    try:
        return preview(file.path, file.inspection)
    except OSError:
        # Whoever starts the import is told that the file cannot be read.
        return []


async def rehearse(visit: Visit, file_id: bytes) -> Reply:
    """The counts that the import would come to; nothing is changed."""
    body = await _body(visit, file_id, dry_run=True)
    found: DryRun = await visit.read_long(dry_run, body)
    return View("rehearsal.html", {"found": found})


async def begin(visit: Visit, file_id: bytes) -> Reply:
    """Start the import. A form that is sent twice starts one job."""
    body = await _body(visit, file_id, dry_run=False)
    once = parse_once(visit.form.get("once"))
    job_id = await visit.change(_start_once, body, once)
    return Redirect(f"{visit.here}/jobs/{job_id.hex()}")


def parse_once(text: str) -> str:
    """The mark by which a form that is sent twice is known."""
    if len(text) == 32 and text.isalnum() and text.isascii():
        return f"admin:{text}"
    raise invalid("once", "The form is out of date.")


async def _start_once(ctx: Context, body: StartFileImport, once: str) -> bytes:
    same = hashlib.sha256(b"admin start:" + body.file_id).digest()
    stored = await idempotency.find(ctx, once, same)
    if stored is not None:
        assert stored.resource_id is not None
        return stored.resource_id
    job = await start(ctx, body)
    answer = idempotency.Stored(202, msgspec.Raw(b"null"), {}, job.id)
    await idempotency.store(ctx, once, same, answer)
    return job.id


async def _body(visit: Visit, file_id: bytes, *, dry_run: bool) -> StartFileImport:
    """The start that the form describes, by the rules of the API. Raises ValidationFailed."""
    form = visit.form
    file = await visit.read(files.get, file_id)
    raw: dict[str, Any] = {"type": "file_import", "fileId": file_id.hex(), "dryRun": dry_run}
    raw["mapping"] = {
        column: form.get(f"map.{at}") or None for at, column in enumerate(file.inspection.columns)
    }
    if form.get("target") == "existing":
        raw["audienceId"] = form.get("audienceId")
    else:
        raw |= form.given("audienceName", "folderId")
        raw.setdefault("audienceName", "")
    most = form.get("maxResults").strip()
    if most:
        if not (most.isascii() and most.isdigit() and len(most) < 12):
            raise invalid("maxResults", "Write the most rows to import as a whole number.")
        raw["maxResults"] = int(most)
    body: StartFileImport = _start.decode(raw)
    return body
