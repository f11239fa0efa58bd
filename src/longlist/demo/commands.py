"""`longlist demo`: a filled system to look at, until Ctrl-C."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from longlist.console import Trouble, load_settings, program

if TYPE_CHECKING:
    from longlist.demo.operating import NewKey
    from longlist.demo.stand_in import Unhurried
    from longlist.remote.connection import Target
    from longlist.settings import Settings

PORT: Final = 8090
FOLDER: Final = "longlist-demo"
_MARK: Final = "README"
_FILLED: Final = "filled"
_SEARCH: Final = (
    '{"type": "linkedin_search", "audienceName": "My search", "maxResults": 100,'
    ' "searchUrl": "https://www.linkedin.com/search/results/people/?keywords=cto"}'
)
_ABOUT: Final = """\
The data of `longlist demo`: invented people, and public officials. Another run of it goes on with
what is here; to start anew, delete this folder while it does not run.
"""


def demo(
    port: Annotated[
        int, typer.Option(help="Port to listen on; 0 is any free one.", min=0, max=65535)
    ] = PORT,
    data: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Its data, apart from that of a server.")
    ] = Path(FOLDER),
) -> None:
    """Run a filled system to look at: account groups, audiences, jobs, a stand-in provider.

    It has a data folder and settings of its own, whatever the environment says, and ends with
    everything it started on Ctrl-C. Another run goes on with what is there.
    """
    _take_folder(data)
    _take_environment(data)
    # As Ctrl-C: everything is stopped in order.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _run(load_settings(), port, data)
    except KeyboardInterrupt:
        again = "make demo" if program().endswith("bin/longlist") else f"{program()} demo"
        typer.echo(f"Stopped. `{again}` goes on; delete {data} to start anew.")


def _take_folder(data: Path) -> None:
    """Make the folder, or see that it is a demo's. Raises Trouble."""
    mark = data / _MARK
    if data.exists() and not mark.exists() and (not data.is_dir() or any(data.iterdir())):
        raise Trouble(f"{data} is not the folder of a demo. Name another with --data.")
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        mark.write_text(_ABOUT)
        # A clone that holds the folder does not show it as a change.
        (data / ".gitignore").write_text("*\n")
    except OSError as error:
        raise Trouble(f"{data} cannot be written to: {error.strerror}.") from error


def _take_environment(data: Path) -> None:
    """Set the environment of this process and of its worker: no setting is meant for the demo."""
    for name in [name for name in os.environ if name.startswith("LONGLIST_")]:
        del os.environ[name]
    os.environ["LONGLIST_DATA"] = str(data.resolve())


def _run(settings: Settings, port: int, data: Path) -> None:
    from longlist import upgrade
    from longlist.demo import operating
    from longlist.demo.plan import AGENCY, clients
    from longlist.demo.stand_in import standing_in
    from longlist.remote.connection import Target
    from longlist.remote.exits import explained
    from longlist.serving import local_server

    upgrade.bring_up(settings, unattended=True)
    filled = settings.data_path / _FILLED
    before = operating.port_of_the_stand_in(settings)
    with standing_in(before) as double, local_server(settings, port) as url:
        typer.echo("Going on with the demo ..." if filled.exists() else "Filling the demo ...")
        names = [client.name for client in clients()]
        groups = operating.groups_named(settings, names, make=not filled.exists())
        if not groups:
            raise Trouble(f"The account groups of the demo are gone. Delete {data} to start anew.")
        for group in groups.values():
            operating.attach(settings, group, double)
        with explained(url), operating.working_key(settings, groups.values()) as key:
            _fill(Target(url, key), groups, double, is_first=not filled.exists())
        made = operating.new_keys(settings, groups, AGENCY)
        link = operating.link_for_the_first_user(settings)
        typer.echo(_told(url, data, groups, made, link))
        filled.touch()
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            typer.echo("\nStopping ...")
            raise


def _fill(where: Target, groups: dict[str, bytes], double: Unhurried, *, is_first: bool) -> None:
    from longlist.demo.filling import FIRST_RUN, LATER_RUN, Filling
    from longlist.demo.plan import clients
    from longlist.remote.connection import Remote

    with Remote(where) as remote:
        fillings = [
            Filling(remote.client.account(groups[client.name].hex()), client, double)
            for client in clients()
            if client.name in groups
        ]
        for step in FIRST_RUN if is_first else LATER_RUN:
            for filling in fillings:
                step(filling)


def _told(
    url: str, data: Path, groups: dict[str, bytes], made: list[NewKey], link: str | None
) -> str:
    """What a person needs to look around."""
    group = next(iter(groups.values())).hex()
    lines = ["", f"The demo is at {url}, with its data in {data}.", ""]
    if link is not None:
        lines += [
            "Pages for people: choose a name and a password at this link, which works once:",
            f"  {url}/admin/setup/{link}",
        ]
    else:
        lines.append(f"Pages for people: {url}/admin")
    lines += ["", "Account groups of the agency's clients:"]
    lines += [f"  {id_.hex()}  {name}" for name, id_ in groups.items()]
    lines.append("")
    if made:
        lines.append("Keys, shown this once:")
        lines += [f"  {one.key}  {one.use}" for one in made]
    else:
        reached = " ".join(f"--account-group {id_.hex()}" for id_ in groups.values())
        lines.append("Keys were shown at the first run. For another:")
        lines.append(f"  LONGLIST_DATA={data} {program()} keys create --all {reached}")
    key = made[0].key if made else "KEY"
    lines += [
        "",
        "There is a search that runs for some minutes, so that its audience is locked, a job that",
        "its provider broke off, and a job with rows that failed. Start a search of your own:",
        f"  curl -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' \\",
        f"    {url}/v1/accounts/{group}/prospecting -d '{_SEARCH}'",
        "",
        f"Every operation: {url}/docs. Ctrl-C ends everything.",
    ]
    return "\n".join(lines)
