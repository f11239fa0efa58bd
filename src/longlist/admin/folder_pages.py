"""Folders of audiences."""

from __future__ import annotations

from typing import Final

from longlist import decoding
from longlist.admin.visit import Redirect, Reply, View, Visit
from longlist.audiences import folder_store as folders
from longlist.audiences.folder_routes import CreateFolder, UpdateFolder

_create: Final = decoding.compile(CreateFolder)
_update: Final = decoding.compile(UpdateFolder)


async def show_new(visit: Visit) -> Reply:
    """The form of a new folder."""
    return View("folder_new.html")


async def create(visit: Visit) -> Reply:
    """Make a folder at the end of the list."""
    body = _create.decode(visit.form.given("name", "audienceType"))
    made = await visit.change(folders.create, name=body.name, audience_type=body.audience_type)
    return Redirect(f"{visit.here}/audiences?folder={made.folder.id}")


async def show_rename(visit: Visit, folder_id: bytes) -> Reply:
    """The form of a folder's name."""
    return View("folder_rename.html", {"folder": await visit.read(folders.get, folder_id)})


async def rename(visit: Visit, folder_id: bytes) -> Reply:
    """Rename a folder."""
    body = _update.decode({"name": visit.form.get("name")})
    await visit.change(folders.update, folder_id, name=body.name)
    return Redirect(f"{visit.here}/audiences?folder={folder_id.hex()}")


async def show_delete(visit: Visit, folder_id: bytes) -> Reply:
    """What deleting a folder means, before it is done."""
    return View("folder_delete.html", {"folder": await visit.read(folders.get, folder_id)})


async def delete(visit: Visit, folder_id: bytes) -> Reply:
    """Delete a folder; its audiences become ungrouped."""
    await visit.change(folders.delete, folder_id, ungroup=True)
    return Redirect(f"{visit.here}/audiences?note=folder-deleted")
