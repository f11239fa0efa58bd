"""`longlist import`: a file into an audience, through the API of a running server or of its own."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer

from longlist.console import Trouble, id_of, load_settings, name_of, program, show_json, transact

if TYPE_CHECKING:
    from longlist.context import Context
    from longlist.prospecting.importing import Api, Report
    from longlist.settings import Settings

_KEY_NAME: Final = "longlist import"
_KEY_MS: Final = 3_600_000
_PERMISSIONS: Final = ("audiences:read", "prospecting:read", "prospecting:write")
_PATIENCE_S: Final = 10.0


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
    account_group: Annotated[
        str | None, typer.Option(metavar="ID", help="Needed where there are several.")
    ] = None,
    max_results: Annotated[
        int | None, typer.Option(min=1, help="Import at most so many rows.")
    ] = None,
    url: Annotated[
        str | None, typer.Option(envvar="LONGLIST_URL", help="The server; needs a key.")
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(envvar="LONGLIST_KEY", help="Better as LONGLIST_KEY: others see arguments."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Import a file of people into an audience and say what became of each row.

    Without a key it works on the database of the settings: through the server that runs there, or
    one of its own for the time of the command.
    """
    if (audience is None) == (audience_id is None):
        raise typer.BadParameter("Name the --audience, or give its --audience-id.")
    name = "" if audience is None else name_of(audience, "an audience")
    if account_group is not None:
        id_of(account_group, "an account group")
    if audience_id is not None:
        id_of(audience_id, "an audience")
    if not file.is_file():
        raise Trouble(f"There is no file {file}.")
    if url is not None and key is None:
        raise typer.BadParameter("--url needs a key: set LONGLIST_KEY.")
    more = {} if max_results is None else {"maxResults": max_results}
    with _connected(url, key, account_group) as (api, hint):
        report = _run(api, file, name, audience_id, more)
    if json:
        show_json(report)
    else:
        _show(report, file)
        if hint:
            typer.echo(hint)
    if report.status != "completed":
        raise typer.Exit(1)


@contextmanager
def _connected(
    url: str | None, key: str | None, account_group: str | None
) -> Iterator[tuple[Api, str]]:
    """A client with its account group chosen, and what to tell at the end."""
    from longlist.prospecting import importing

    settings = load_settings()
    with ExitStack() as stack:
        hint = ""
        if key is None:
            borrowed = _borrow_key(settings, account_group)
            stack.callback(_give_back, settings, borrowed.id)
            key, account_group = borrowed.key, borrowed.group
            url = _own_url(settings)
            if not importing.is_longlist(url, key):
                url = stack.enter_context(_local_server(settings))
            if borrowed.first_group:
                hint = (
                    'The account group "Default" was made. For a key of your own:'
                    f" {program()} keys create --all"
                )
        api = importing.Api(url or _own_url(settings), key)
        stack.callback(api.close)
        importing.choose_group(api, account_group)
        yield api, hint


def _own_url(settings: Settings) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"


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
            raise Trouble(f"Name the group with --account-group. There are: {known}.")
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


def _run(api: Api, file: Path, name: str, audience_id: str | None, more: Any) -> Report:
    from longlist.prospecting import importing

    began = time.monotonic()
    if audience_id is None:
        audience_id = importing.find_audience(api, name)
    else:
        name = api.call("GET", f"AG/audiences/{audience_id}")["name"]
    with _progress() as progress:
        uploading = progress.bar("Uploading", file.stat().st_size)
        uploaded = importing.upload(api, file, uploading)
        started = importing.start(api, uploaded["fileId"], audience_id, name, more)
        expected = min(uploaded["rowEstimate"], more.get("maxResults", uploaded["rowEstimate"]))
        job = _follow(api, started["jobId"], progress, progress.bar("Importing", expected))
    return importing.Report(
        job_id=job["jobId"],
        status=job["status"],
        audience_id=job["audienceId"],
        audience_name=name,
        account_group_id=api.group,
        counts=job["counts"],
        reasons=importing.reasons(api, job),
        error=job["error"],
        seconds=round(time.monotonic() - began, 1),
    )


def _follow(api: Api, job_id: str, progress: Progress, moved: Callable[[int], None]) -> Any:
    """Wait for the job; Ctrl-C asks whether to cancel it, and cancels where nobody can answer."""
    from longlist.prospecting import importing

    queued_since = time.monotonic()

    def seen(job: Any) -> None:
        moved(job["counts"]["received"])
        if job["status"] == "queued" and time.monotonic() - queued_since > _PATIENCE_S:
            progress.note("The job waits for a worker: is `longlist serve` or a worker running?")

    while True:
        try:
            return importing.follow(api, job_id, seen)
        except KeyboardInterrupt:
            if progress.may_go_on():
                continue
            return importing.cancel(api, job_id)


class Progress:
    """Bars on a terminal, nothing elsewhere. Notes are said once."""

    def __init__(self, bars: Any) -> None:
        self._bars = bars
        self._noted: set[str] = set()

    def bar(self, text: str, total: int) -> Callable[[int], None]:
        """A bar to be told how far it is."""
        if self._bars is None:
            return lambda _done: None
        task = self._bars.add_task(text, total=max(total, 1))
        # An estimate of rows may be too low; a bar does not go beyond its end.
        return lambda done: self._bars.update(task, completed=done, total=max(total, done, 1))

    def note(self, text: str) -> None:
        """Say something once, on standard error."""
        if text not in self._noted:
            self._noted.add(text)
            typer.echo(text, err=True)

    def may_go_on(self) -> bool:
        """Ask whether the job shall go on; it shall not where nobody can answer."""
        if self._bars is None or not sys.stdin.isatty():
            return False
        self._bars.stop()
        try:
            going_on = not typer.confirm("\nCancel the job? What is imported stays.", err=True)
        except (KeyboardInterrupt, typer.Abort):
            typer.echo("", err=True)
            return False
        if going_on:
            self._bars.start()
        return going_on


@contextmanager
def _progress() -> Iterator[Progress]:
    if not sys.stderr.isatty():
        yield Progress(None)
        return
    from rich import progress as rich
    from rich.console import Console

    with rich.Progress(
        rich.TextColumn("{task.description}"),
        rich.BarColumn(),
        rich.TaskProgressColumn(),
        rich.TextColumn("{task.completed:,.0f}"),
        rich.TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bars:
        yield Progress(bars)


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
