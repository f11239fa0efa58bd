"""`longlist audiences`: the lists of people, on a server."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from longlist.console import Trouble, name_of
from longlist.remote.command import command
from longlist.remote.completion import one_of
from longlist.remote.printing import Column, show_json, show_list, show_record

if TYPE_CHECKING:
    from longlist_client import Audience, Download

    from longlist.remote.connection import Remote

app = typer.Typer(help="Audiences on a server.", no_args_is_help=True, rich_markup_mode=None)

AudienceArgument = Annotated[
    str, typer.Argument(metavar="AUDIENCE", help="Its id, or its exact name.")
]
Limit = Annotated[int | None, typer.Option(min=1, help="Show at most so many.")]

_COLUMNS: Final = (
    Column("ID", lambda audience: audience.id),
    Column("NAME", lambda audience: audience.name),
    Column("TYPE", lambda audience: audience.type),
    Column("PROSPECTS", lambda audience: audience.prospect_count, is_number=True),
    Column("CREATED", lambda audience: audience.created_at),
)


@command(app, "list")
def list_(
    remote: Remote,
    search: Annotated[str | None, typer.Option(help="Only names that contain this.")] = None,
    type_: Annotated[str | None, typer.Option("--type", help="Only of this type.")] = None,
    folder: Annotated[
        str | None, typer.Option(metavar="ID", help="Only in this folder; none for ungrouped.")
    ] = None,
    limit: Limit = None,
) -> None:
    """List audiences, newest first, with those that a job fills at this moment.

    In a pipe: id, name, type, prospects, created, state.
    """
    filling: dict[str, str] = {}

    def every() -> Any:
        cursor: str | None = None
        while True:
            page = remote.account.audiences.list_page(
                q=search, type=type_, folder_id=folder, include="filling",
                limit=min(limit or 200, 200), cursor=cursor,
            )  # fmt: skip
            for held in page.filling or []:
                filling[held.audience_id] = f"{held.job_status} {held.progress:.0%}"
            yield from page.items
            cursor = page.next_cursor
            if cursor is None:
                return

    state = Column("STATE", lambda audience: filling.get(audience.id, "ready"))
    show_list(every(), (*_COLUMNS, state), as_json=remote.as_json, limit=limit)


@command(app)
def show(remote: Remote, audience: AudienceArgument) -> None:
    """Show an audience."""
    _show(remote, remote.account.audiences.get(remote.audience_id(audience)))


@command(app)
def create(
    remote: Remote,
    name: Annotated[str, typer.Argument(help="Its name.")],
    type_: Annotated[
        str,
        typer.Option(
            "--type",
            help="on_demand, or monitoring for a search that repeats.",
            autocompletion=one_of("on_demand", "monitoring"),
        ),
    ] = "on_demand",
    description: Annotated[str | None, typer.Option(help="What it is for.")] = None,
) -> None:
    """Make an empty audience."""
    if type_ not in ("on_demand", "monitoring"):
        raise typer.BadParameter("An audience is made as on_demand or monitoring.")
    kind: Any = type_
    made = remote.account.audiences.create(
        name=name_of(name, "an audience"), type=kind, description=description
    )
    _show(remote, made)


@command(app)
def rename(
    remote: Remote,
    audience: AudienceArgument,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The new name.")],
) -> None:
    """Give an audience another name."""
    new = name_of(name, "an audience")
    _show(remote, remote.account.audiences.update(remote.audience_id(audience), name=new))


@command(app)
def describe(
    remote: Remote,
    audience: AudienceArgument,
    text: Annotated[str, typer.Argument(help="The description; an empty text clears it.")],
) -> None:
    """Say what an audience is for."""
    new = text or None
    _show(remote, remote.account.audiences.update(remote.audience_id(audience), description=new))


@command(app)
def delete(
    remote: Remote,
    audience: AudienceArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete an audience; its prospects stay. Asks first, and needs --yes where it cannot."""
    found = remote.account.audiences.get(remote.audience_id(audience))
    if not yes:
        if not sys.stdin.isatty():
            raise typer.BadParameter("Nobody can be asked here: add --yes to delete.")
        typer.confirm(
            f"Delete {found.name} ({found.prospect_count:,} prospects, which stay)?",
            abort=True,
            err=True,
        )
    # What was agreed to is deleted, and not what somebody made of it meanwhile.
    remote.account.audiences.delete(found.id, if_match=found.etag)
    if remote.as_json:
        show_json({"deleted": True, "id": found.id})
    else:
        typer.echo(f"Deleted {found.id}.")


@command(app)
def export(
    remote: Remote,
    audience: AudienceArgument,
    file: Annotated[
        Path | None, typer.Argument(help="Written whole or not at all; without: to the output.")
    ] = None,
    format_: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="csv or ndjson; else by the name of FILE.",
            autocompletion=one_of("csv", "ndjson"),
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite FILE.")] = False,
) -> None:
    """Write every prospect of an audience, as one snapshot."""
    kind: Any = format_ or ("ndjson" if file is not None and _is_ndjson(file) else "csv")
    if kind not in ("csv", "ndjson"):
        raise typer.BadParameter("An export is csv or ndjson.")
    if file is not None and file.exists() and not force:
        raise typer.BadParameter(f"{file} is there already: add --force to overwrite it.")
    if file is None and remote.as_json:
        raise typer.BadParameter("--json tells of a file: name one, or take --format ndjson.")
    id_ = remote.audience_id(audience)
    with remote.account.audiences.export(id_, format=kind) as download:
        rows = download.row_count
        if file is None:
            for piece in download:
                sys.stdout.buffer.write(piece)
            sys.stdout.flush()
            return
        _save(download, file)
    if remote.as_json:
        show_json({"audienceId": id_, "file": str(file), "format": kind, "rows": rows})
    else:
        typer.echo(f"Wrote {rows or 0:,} prospects to {file}.")


def _is_ndjson(file: Path) -> bool:
    return file.suffix.lower() in (".ndjson", ".jsonl")


def _save(download: Download, file: Path) -> None:
    from longlist.remote.progress import progress

    try:
        with progress() as shown:
            told = shown.share("Bytes")
            download.save(file, on_progress=lambda done: told(done, 0.0))
    except OSError as error:
        raise Trouble(f"{file} cannot be written: {error.strerror}.") from error


def _show(remote: Remote, audience: Audience) -> None:
    show_record(
        [
            ("id", audience.id),
            ("name", audience.name),
            ("type", audience.type),
            ("description", audience.description),
            ("folderId", audience.folder_id),
            ("prospectCount", audience.prospect_count),
            ("createdAt", audience.created_at),
        ],
        audience,
        as_json=remote.as_json,
    )
