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

if TYPE_CHECKING:
    from longlist_client import AccountGroup, Job

    from longlist.context import Context
    from longlist.prospecting.importing import Report
    from longlist.remote.connection import Remote, Target
    from longlist.remote.progress import Progress
    from longlist.settings import Settings

_KEY_NAME: Final = "longlist import"
_KEY_MS: Final = 3_600_000
_PERMISSIONS: Final = ("audiences:read", "prospecting:read", "prospecting:write")


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
    from longlist.remote.connection import target
    from longlist.remote.exits import explained

    if (audience is None) == (audience_id is None):
        raise typer.BadParameter("Name the --audience, or give its --audience-id.")
    name = "" if audience is None else name_of(audience, "an audience")
    if account_group is not None:
        id_of(account_group, "an account group")
    if audience_id is not None:
        id_of(audience_id, "an audience")
    if not file.is_file():
        raise Trouble(f"There is no file {file}.")
    where = target(url, key, profile, account_group)
    with _connected(where, account_group) as (remote, hint), explained(remote.url):
        report = _run(remote, file, name, audience_id, max_results)
    if json:
        show_json(report)
    else:
        _show(report, file)
        if hint:
            typer.echo(hint)
    if report.status != "completed":
        raise typer.Exit(1)


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


def _run(
    remote: Remote, file: Path, name: str, audience_id: str | None, max_results: int | None
) -> Report:
    from longlist_client import FileImport

    from longlist.prospecting import importing
    from longlist.remote.connection import the_one_named
    from longlist.remote.progress import progress

    began = time.monotonic()
    account = remote.account
    if audience_id is None:
        audience_id = the_one_named(account, name)
    else:
        name = account.audiences.get(audience_id).name
    with progress() as shown:
        uploaded = importing.upload(account, file, shown.bar("Uploading", file.stat().st_size))
        started = account.prospecting.start(
            FileImport(file_id=uploaded.file_id),
            audience_id=audience_id,
            audience_name=name if audience_id is None else None,
            max_results=max_results,
        )
        expected = min(uploaded.row_estimate, max_results or uploaded.row_estimate)
        job = _follow(account, started.job_id, shown, shown.bar("Importing", expected))
    return importing.Report(
        job_id=job.job_id,
        status=job.status,
        audience_id=job.audience_id,
        audience_name=name,
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


def _show(report: Report, file: Path) -> None:
    from longlist.prospecting.importing import OUTCOMES

    counts = report.counts
    width = max(len(f"{counts['received']:,}"), 5)
    typer.echo(
        f"{file.name} -> {report.audience_name} (audience {report.audience_id}):"
        f" {report.status} in {report.seconds} s"
    )
    for outcome in OUTCOMES:
        typer.echo(f"  {outcome:<10}{counts[outcome]:>{width},}")
    typer.echo(f"  {'rows':<10}{counts['received']:>{width},}")
    if report.error is not None:
        typer.echo(f"The job failed: {report.error['message']} ({report.error['code']})")
    for reason in report.reasons:
        lines = ", ".join(map(str, reason.lines)) + (
            ", ..." if reason.rows > len(reason.lines) else ""
        )
        typer.echo(
            f"  {reason.rows:,} {reason.outcome}: {reason.reason} (line {lines}): {reason.message}"
        )
