"""`longlist import`: a file into an audience, through the API of a running server or of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import msgspec
import typer

from longlist.console import Trouble, id_of, load_settings, name_of, program, show_json, transact
from longlist.remote.command import AccountGroup as AccountGroupOption
from longlist.remote.command import Key, Profile, Url
from longlist.remote.completion import fields

if TYPE_CHECKING:
    from longlist_client import AccountGroup, FileImport, Job, UploadedFile

    from longlist.context import Context
    from longlist.prospecting.importing import Rehearsal, Report, Wanted
    from longlist.remote.connection import Remote, Target
    from longlist.remote.progress import Progress
    from longlist.settings import Settings

_DELIMITERS: Final = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}
_KEY_NAME: Final = "longlist import"
_KEY_MS: Final = 3_600_000
_PERMISSIONS: Final = ("audiences:read", "prospecting:read", "prospecting:write")

ByHand = Annotated[
    list[str] | None,
    typer.Option(
        "--map",
        metavar="COLUMN=FIELD",
        help="What a column is, such as Mail=email or Firm=company.name; COLUMN= leaves it out."
        " May be repeated; the other columns stay as they are suggested.",
        autocompletion=fields,
    ),
]
FailedRows = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write the rows that fail to this CSV file.")
]


class Borrowed(NamedTuple):
    """A key made for one import; `first_group` when it had to make the first account group."""

    id: bytes
    key: str
    group: str
    first_group: bool


def import_file(
    file: Annotated[Path, typer.Argument(help="CSV, NDJSON, Parquet or XLSX.")],
    *,
    audience: Annotated[
        str | None, typer.Option(help="Filled if there is one of this name, else made.")
    ] = None,
    audience_id: Annotated[
        str | None, typer.Option(metavar="ID", help="Fill this audience.")
    ] = None,
    new: Annotated[
        bool, typer.Option("--new", help="Make the --audience, also beside one of its name.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what would happen; up to 100,000 rows.")
    ] = False,
    map_: ByHand = None,
    failed_rows: FailedRows = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite --failed-rows.")] = False,
    account_group: AccountGroupOption = None,
    max_results: Annotated[
        int | None, typer.Option(min=1, help="Import at most so many rows.")
    ] = None,
    url: Url = None,
    key: Key = None,
    profile: Profile = None,
    json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Import a file of people into an audience and say what became of each row.

    Without a key it works on the database of the settings: through the server that runs there, or
    one of its own for the time of the command.
    """
    from longlist.prospecting.importing import Wanted, mapping_by_hand
    from longlist.remote.connection import target
    from longlist.remote.exits import explained

    if (audience is None) == (audience_id is None):
        raise typer.BadParameter("Name the --audience, or give its --audience-id.")
    if new and audience is None:
        raise typer.BadParameter("A --new audience needs a name: --audience NAME.")
    if failed_rows is not None:
        _check_failed_rows(failed_rows, dry_run, force)
    name = "" if audience is None else name_of(audience, "an audience")
    if account_group is not None:
        id_of(account_group, "an account group")
    if audience_id is not None:
        id_of(audience_id, "an audience")
    mapping = mapping_by_hand(map_ or [])
    if not file.is_file():
        raise Trouble(f"There is no file {file}.")
    wanted = Wanted(file, name, audience_id, new, mapping, max_results, failed_rows)
    where = target(url, key, profile, account_group)
    with _connected(where, account_group) as (remote, hint), explained(remote.url):
        is_done = _import(remote, wanted, dry_run=dry_run, json=json)
        if hint and not json:
            typer.echo(hint)
    if not is_done:
        raise typer.Exit(1)


def _check_failed_rows(path: Path, dry_run: bool, force: bool) -> None:
    """Raise typer.BadParameter where the failed rows could not be written at the end."""
    if dry_run:
        raise typer.BadParameter("A --dry-run has no rows to write: leave out --failed-rows.")
    if path.exists() and not force:
        raise typer.BadParameter(f"{path} is there already: add --force to overwrite it.")
    if not path.absolute().parent.is_dir():
        raise typer.BadParameter(f"There is no folder {path.parent}.")


def _import(remote: Remote, wanted: Wanted, *, dry_run: bool, json: bool) -> bool:
    """Import, or tell what would happen; False for a job that did not complete."""
    if dry_run:
        would = _rehearse(remote, wanted)
        if json:
            show_json(would)
        else:
            _show_rehearsal(would, wanted.file)
        return True
    report = _run(remote, wanted)
    if json:
        show_json(report)
    else:
        _show(report, wanted)
    return report.status == "completed"


@contextmanager
def _connected(where: Target | None, account_group: str | None) -> Iterator[tuple[Remote, str]]:
    """The server to work with, and what to tell at the end.

    Where no target is given it is the server of the settings, or one for the time of the command,
    with a key that is made for it and revoked after it.
    """
    from longlist.prospecting.importing import is_longlist
    from longlist.remote.connection import Remote, Target, own_url

    with ExitStack() as stack:
        hint = ""
        if where is None:
            settings = load_settings()
            borrowed = _borrow_key(settings, account_group)
            stack.callback(_give_back, settings, borrowed.id)
            url = own_url(settings)
            if not is_longlist(url, borrowed.key):
                url = stack.enter_context(_local_server(settings))
            where = Target(url, borrowed.key, borrowed.group)
            if borrowed.first_group:
                hint = (
                    'The account group "Default" was made. For a key of your own:'
                    f" {program()} keys create --all"
                )
        yield stack.enter_context(Remote(where)), hint


@contextmanager
def _local_server(settings: Settings) -> Iterator[str]:
    from longlist.serving import local_server

    with local_server(settings) as url:
        yield url


def _borrow_key(settings: Settings, account_group: str | None) -> Borrowed:
    """A key for an hour, straight from the database; its schema is made where there is none."""
    from longlist import upgrade
    from longlist.accounts import store as accounts
    from longlist.keys import store as keys
    from longlist.startup import FIRST_GROUP

    async def body(ctx: Context) -> Borrowed:
        await ctx.tx.exclusive("account_groups")
        groups = {group.id: group.name for group in await accounts.list_all_everywhere(ctx)}
        first = not groups
        if first:
            made = await accounts.create_everywhere(ctx, FIRST_GROUP)
            groups = {made.id: made.name}
        if account_group is not None:
            wanted = bytes.fromhex(account_group)
            if wanted not in groups:
                raise Trouble(f"There is no account group {account_group}.")
        elif len(groups) == 1:
            (wanted,) = groups
        else:
            known = ", ".join(f"{id_.hex()} ({name})" for id_, name in groups.items())
            raise Trouble(f"Name the group with --account-group. There are: {known}.", exit_code=2)
        id_, key = await keys.create_everywhere(
            ctx,
            name=_KEY_NAME,
            permissions=_PERMISSIONS,
            groups=[wanted],
            expires_at=ctx.now + _KEY_MS,
        )
        return Borrowed(id_, key, wanted.hex(), first)

    upgrade.bring_up(settings, unattended=True)
    return transact(body, settings=settings)


def _give_back(settings: Settings, key_id: bytes) -> None:
    from longlist.keys import store as keys

    transact(keys.revoke_everywhere, key_id, settings=settings)


class Prepared(NamedTuple):
    """An import whose file is there: what to start, and into which audience."""

    uploaded: UploadedFile
    source: FileImport
    audience_id: str | None
    name: str

    @property
    def new_name(self) -> str | None:
        """The name of the audience that is made; None where one is filled."""
        return self.name if self.audience_id is None else None


def _prepare(account: AccountGroup, wanted: Wanted, shown: Progress) -> Prepared:
    from longlist_client import FileImport

    from longlist.prospecting import importing
    from longlist.remote.connection import the_one_named

    audience_id, name = wanted.audience_id, wanted.name
    if audience_id is not None:
        name = account.audiences.get(audience_id).name
    elif not wanted.is_new:
        audience_id = the_one_named(account, name)
    sent = shown.bar("Uploading", wanted.file.stat().st_size)
    uploaded = importing.upload(account, wanted.file, sent)
    mapping = importing.whole_mapping(uploaded, wanted.mapping) if wanted.mapping else None
    source = FileImport(file_id=uploaded.file_id, mapping=mapping)
    return Prepared(uploaded, source, audience_id, name)


def _rehearse(remote: Remote, wanted: Wanted) -> Rehearsal:
    from longlist.prospecting import importing
    from longlist.remote.progress import progress

    account = remote.account
    with progress() as shown:
        ready = _prepare(account, wanted, shown)
    uploaded = ready.uploaded
    with importing.mapping_explained(uploaded):
        would = account.prospecting.dry_run(
            ready.source,
            audience_id=ready.audience_id,
            audience_name=ready.new_name,
            max_results=wanted.max_results,
        )
    return importing.Rehearsal(
        dry_run=True,
        audience_id=would.audience_id,
        audience_name=ready.name,
        account_group_id=account.scope.account_group_id,
        counts=msgspec.to_builtins(would.counts),
        estimated_credits=would.estimated_credits,
        format=uploaded.format,
        encoding=uploaded.encoding,
        delimiter=uploaded.delimiter,
        skipped_lines=uploaded.skipped_lines,
        mapping=dict(ready.source.mapping or uploaded.suggested_mapping),
    )


def _run(remote: Remote, wanted: Wanted) -> Report:
    from longlist.prospecting import importing
    from longlist.remote.progress import progress

    began = time.monotonic()
    account, most = remote.account, wanted.max_results
    with progress() as shown:
        ready = _prepare(account, wanted, shown)
        with importing.mapping_explained(ready.uploaded):
            started = account.prospecting.start(
                ready.source,
                audience_id=ready.audience_id,
                audience_name=ready.new_name,
                max_results=most,
            )
        estimate = ready.uploaded.row_estimate
        moved = shown.bar("Importing", min(estimate, most or estimate))
        job = _follow(account, started.job_id, shown, moved)
    if wanted.failed_rows is not None:
        importing.save_failed(account, job, wanted.failed_rows)
    return importing.Report(
        job_id=job.job_id,
        status=job.status,
        audience_id=job.audience_id,
        audience_name=ready.name,
        account_group_id=account.scope.account_group_id,
        counts=msgspec.to_builtins(job.counts),
        reasons=importing.reasons(account, job),
        error=None if job.error is None else msgspec.to_builtins(job.error),
        seconds=round(time.monotonic() - began, 1),
    )


def _follow(
    account: AccountGroup, job_id: str, shown: Progress, moved: Callable[[int], None]
) -> Job:
    """Wait for the job; Ctrl-C asks whether to cancel it, and cancels where nobody can answer."""
    from longlist.remote import jobs

    while True:
        try:
            return jobs.follow(account, job_id, shown, lambda job: moved(job.counts.received))
        except KeyboardInterrupt:
            if shown.may_go_on():
                continue
            return jobs.cancel(account, job_id)


def _show(report: Report, wanted: Wanted) -> None:
    typer.echo(
        f"{wanted.file.name} -> {report.audience_name} (audience {report.audience_id}):"
        f" {report.status} in {report.seconds} s"
    )
    _show_counts(report.counts)
    if report.error is not None:
        typer.echo(f"The job failed: {report.error['message']} ({report.error['code']})")
    for reason in report.reasons:
        lines = ", ".join(map(str, reason.lines)) + (
            ", ..." if reason.rows > len(reason.lines) else ""
        )
        typer.echo(
            f"  {reason.rows:,} {reason.outcome}: {reason.reason} (line {lines}): {reason.message}"
        )
    if wanted.failed_rows is not None:
        failed = report.counts["failed"]
        rows = "row" if failed == 1 else "rows"
        typer.echo(f"Wrote {failed:,} failed {rows} to {wanted.failed_rows}.")


def _show_counts(counts: dict[str, int]) -> None:
    from longlist.prospecting.importing import OUTCOMES

    width = max(len(f"{counts['received']:,}"), 5)
    for outcome in OUTCOMES:
        typer.echo(f"  {outcome:<10}{counts[outcome]:>{width},}")
    typer.echo(f"  {'rows':<10}{counts['received']:>{width},}")


def _show_rehearsal(would: Rehearsal, file: Path) -> None:
    from longlist.remote.exits import clean

    into = "a new audience" if would.audience_id is None else f"audience {would.audience_id}"
    typer.echo(f"{file.name} -> {would.audience_name} ({into}): a dry run, nothing was changed")
    _show_counts(would.counts)
    if would.estimated_credits:
        typer.echo(f"It would cost up to {would.estimated_credits:,} credits.")
    facts = [would.format.upper()]
    if would.encoding is not None:
        facts.append(would.encoding)
    if would.delimiter is not None:
        facts.append(f"delimiter {_DELIMITERS.get(would.delimiter, would.delimiter)}")
    if would.skipped_lines:
        facts.append(f"{would.skipped_lines:,} lines before the header skipped")
    typer.echo(f"Found: {', '.join(facts)}")
    for column, field in would.mapping.items():
        typer.echo(f"  {clean(column, 64)} -> {field or '(left out)'}")
