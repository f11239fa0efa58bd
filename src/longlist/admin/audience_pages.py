"""Audiences: the list by folder, and what is done to one of them."""

from __future__ import annotations

from typing import Final, Literal

from longlist import decoding, pages
from longlist.admin.visit import Redirect, Reply, View, Visit
from longlist.audiences import folder_store as folders
from longlist.audiences import store as audiences
from longlist.audiences.routes import CreateAudience, UpdateAudience
from longlist.audiences.store import Filling, Stored
from longlist.context import Context
from longlist.decoding import Cursor, Id, Limit, Query, Search
from longlist.errors import LonglistError, NotFound
from longlist.ids import parse_id
from longlist.pages import Page
from longlist.prospecting import store as jobs


class AudienceList(Query):
    """Which audiences: of a folder, of none, or all; and which page of them."""

    limit: Limit = 50
    cursor: Cursor | None = None
    q: Search | None = None
    folder: Id | Literal["none"] | None = None


_query: Final = decoding.compile_query(AudienceList)
_create: Final = decoding.compile(CreateAudience)
_update: Final = decoding.compile(UpdateAudience)


async def list_audiences(visit: Visit) -> Reply:
    """The audiences of the group, ready and filling, newest first."""
    query = visit.query(_query)
    wide = bool(query.q or query.folder)
    read = visit.read_long if wide else visit.read
    all_folders, page, filling = await read(_page, query)
    values = {
        "folders": all_folders,
        "folder_names": {folder.folder.id: folder.folder.name for folder in all_folders},
        "chosen": query.folder.hex() if isinstance(query.folder, bytes) else query.folder,
        "q": query.q,
        "audiences": page.items,
        "next_cursor": page.next_cursor,
        "is_first": query.cursor is None,
        "filling": filling,
        "note": visit.parameter("note"),
        "renamed": False,
    }
    # A further page is asked for by the last row of the one before.
    part = visit.is_htmx and query.cursor is not None
    return View("audience_rows.html" if part else "audiences.html", values)


async def _page(
    ctx: Context, query: AudienceList
) -> tuple[list[folders.Stored], Page[Stored], dict[str, Filling]]:
    found = await audiences.list_page(
        ctx,
        before=pages.position_of(ctx, query) or pages.LAST_ID,
        limit=query.limit + 1,
        q=query.q,
        folder_id=query.folder if isinstance(query.folder, bytes) else None,
        ungrouped=query.folder == "none",
        filling=True,
    )
    page = pages.page(ctx, query, found, lambda audience: audience.id)
    filling = await audiences.fillings(ctx, list(page.items))
    return await folders.list_all(ctx), page, {each.audience_id: each for each in filling}


async def find(ctx: Context, audience_id: bytes) -> Stored:
    """The audience, ready or filling. Raises NotFound."""
    audience = await audiences.find(ctx, audience_id)
    if audience is None:
        raise NotFound.resource("audience")
    return audience


async def find_with_job(ctx: Context, audience_id: bytes) -> tuple[Stored, jobs.Job | None]:
    """The audience and the job that fills it, None where it is ready."""
    audience = await find(ctx, audience_id)
    job = audience.active_job_id
    return audience, None if job is None else await jobs.get(ctx, job)


async def show_new(visit: Visit) -> Reply:
    """The form of a new audience."""
    all_folders = await visit.read(folders.list_all)
    return View("audience_new.html", {"folders": all_folders, "chosen": visit.parameter("folder")})


async def create(visit: Visit) -> Reply:
    """Make an empty audience, in a folder where one is chosen."""
    form = visit.form
    body = _create.decode(form.given("name", "type", "description"))
    folder = form.get("folder")
    folder_id = decoding.path_id(folder, "folder") if folder else None
    made = await visit.change(_make, body, folder_id)
    return Redirect(f"{visit.here}/audiences/{made.audience.id}")


async def _make(ctx: Context, body: CreateAudience, folder_id: bytes | None) -> Stored:
    if folder_id is not None:
        folders.check_fits(await folders.hold(ctx, folder_id), body.type)
    return await audiences.create(
        ctx, name=body.name, type_=body.type, description=body.description, folder_id=folder_id
    )


async def show_filling(visit: Visit, audience_id: bytes) -> Reply:
    """How far the job is that fills an audience; asked for again and again while it does."""
    audience, job = await visit.read(find_with_job, audience_id)
    if visit.parameter("row"):
        return await _row(visit, audience, job)
    if job is None:
        return View("empty.html", headers={"HX-Refresh": "true"})
    return View("audience_filling.html", {"audience": audience, "job": job, "jobs": jobs})


async def _row(visit: Visit, audience: Stored, job: jobs.Job | None) -> View:
    """How far the job is, for the row of the list; the whole row anew once it has ended."""
    if job is not None:
        values = {
            "id": audience.audience.id,
            "job_id": job.id.hex(),
            "part": job.progress / jobs.FULL,
        }
        return View("audience_busy.html", values)
    return await _whole_row(visit, audience)


async def _whole_row(visit: Visit, audience: Stored, *, renamed: bool = False) -> View:
    """The row of a ready audience, in place of the one there is: its buttons have its name."""
    all_folders = await visit.read(folders.list_all)
    values = {
        "audiences": [audience],
        "filling": {},
        "folder_names": {folder.folder.id: folder.folder.name for folder in all_folders},
        "next_cursor": None,
        "chosen": None,
        "q": None,
        "renamed": renamed,
    }
    row = f"tr[data-audience='{audience.audience.id}']"
    headers = {"HX-Retarget": row, "HX-Reswap": "outerHTML"}
    return View("audience_rows.html", values, headers=headers)


async def show_name(visit: Visit, audience_id: bytes) -> Reply:
    """The name as it stands: what a rename that is given up goes back to."""
    return _name_view(visit, await visit.read(find, audience_id))


def _name_view(visit: Visit, audience: Stored) -> View:
    """`head`: the name is the heading of its own page, not a row of the list."""
    head = bool(visit.parameter("head") or visit.form.get("head"))
    return View("audience_name.html", {"audience": audience, "head": head})


async def show_rename(visit: Visit, audience_id: bytes) -> Reply:
    """The name as a field; where a job fills the audience, that is said at once."""
    audience, job = await visit.read(find_with_job, audience_id)
    error = None
    if job is not None:
        error = await visit.read(audiences.not_ready, audience)
    return _rename_form(visit, audience, audience.audience.name, error)


async def rename(visit: Visit, audience_id: bytes) -> Reply:
    """Change the name in place. A refusal comes back with what was typed."""
    typed = visit.form.get("name")
    try:
        body = _update.decode({"name": typed})
        found = await visit.change_one(audiences.update, audience_id, name=body.name)
    except NotFound:
        raise
    except LonglistError as error:
        audience = await visit.read(find, audience_id)
        return _rename_form(visit, audience, typed, error)
    if visit.form.get("head"):
        return _name_view(visit, found)
    return await _whole_row(visit, found, renamed=True)


def _rename_form(visit: Visit, audience: Stored, typed: str, error: LonglistError | None) -> View:
    head = bool(visit.parameter("head") or visit.form.get("head"))
    values = {"audience": audience, "typed": typed, "error": error, "head": head}
    return View("audience_rename.html", values, 200 if error is None else error.status)


async def show_describe(visit: Visit, audience_id: bytes) -> Reply:
    """The form of the description."""
    audience = await visit.read(audiences.get, audience_id)
    return View("audience_describe.html", {"audience": audience})


async def describe(visit: Visit, audience_id: bytes) -> Reply:
    """Change the description; an empty one clears it."""
    body = _update.decode({"description": visit.form.get("description")})
    await visit.change_one(audiences.update, audience_id, description=body.description)
    return Redirect(f"{visit.here}/audiences/{audience_id.hex()}")


async def show_move(visit: Visit, audience_id: bytes) -> Reply:
    """The folders an audience may go into."""
    audience, job = await visit.read(find_with_job, audience_id)
    fitting = [
        folder
        for folder in await visit.read(folders.list_all)
        if folder.folder.audience_type == folders.kind_of(audience.audience.type)
    ]
    return View("audience_move.html", {"audience": audience, "folders": fitting, "job": job})


async def move(visit: Visit, audience_id: bytes) -> Reply:
    """Put an audience into a folder, or out of its folder where none is named."""
    folder = visit.form.get("folder")
    if folder:
        folder_id = decoding.path_id(folder, "folder")
        await visit.change(folders.move_in, audience_id, folder_id)
    else:
        await visit.change(folders.move_out, audience_id)
    shown = visit.form.get("shown")
    back = f"?folder={shown}" if shown == "none" or parse_id(shown) else ""
    return Redirect(f"{visit.here}/audiences{back}")


async def show_delete(visit: Visit, audience_id: bytes) -> Reply:
    """What deleting an audience means, before it is done."""
    audience, job = await visit.read(find_with_job, audience_id)
    return View("audience_delete.html", {"audience": audience, "job": job})


async def delete(visit: Visit, audience_id: bytes) -> Reply:
    """Delete an audience; the prospects stay."""
    await visit.change_long(audiences.delete, audience_id)
    return Redirect(f"{visit.here}/audiences?note=deleted")
