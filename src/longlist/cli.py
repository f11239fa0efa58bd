"""The `longlist` command. What a command needs is imported when it runs: `serve` stays small."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from longlist.accounts import commands as accounts
from longlist.admin import commands as admin
from longlist.agents import commands as agents
from longlist.console import Trouble, load_settings, show_json
from longlist.db import DatabaseAway, SchemaMismatch
from longlist.demo import commands as demo
from longlist.front import commands as front
from longlist.keys import commands as keys
from longlist.prospecting import commands as prospecting
from longlist.prospecting import source_commands as sources
from longlist.remote import audience_commands as audiences
from longlist.remote import job_commands as jobs
from longlist.remote import profile_commands as profiles
from longlist.remote import prospect_commands as prospects
from longlist.remote.command import command
from longlist.settings import SettingError

app = typer.Typer(
    name="longlist",
    help="Self-hosted server for prospect audiences. Settings come from LONGLIST_* variables.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(accounts.app, name="accounts")
app.add_typer(admin.app, name="admin")
app.add_typer(keys.app, name="keys")
app.add_typer(sources.app, name="sources")
app.add_typer(audiences.app, name="audiences")
app.add_typer(prospects.app, name="prospects")
app.add_typer(jobs.app, name="jobs")
app.add_typer(profiles.app, name="profile")
app.add_typer(front.app, name="front")
app.command("import")(prospecting.import_file)
command(app)(profiles.whoami)
app.command()(agents.mcp)
app.command()(demo.demo)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.", min=0, max=65535)] = None,
    api_only: Annotated[
        bool, typer.Option("--api-only", help="No worker here; rate limits in the database.")
    ] = False,
) -> None:
    """Run the API and one worker process."""
    from longlist import serving

    serving.serve(load_settings(host=host, port=port), api_only=api_only)


@app.command()
def worker() -> None:
    """Run jobs. `serve` starts one worker by itself; more may run on other machines."""
    from longlist import serving

    serving.work(load_settings())


@app.command()
def migrate(
    unattended: Annotated[bool, typer.Option("--unattended", hidden=True)] = False,
) -> None:
    """Make the database's schema, or bring it up to this version."""
    from longlist import upgrade

    def tell(text: str) -> None:
        typer.echo(text, err=True)

    typer.echo(upgrade.bring_up(load_settings(), unattended=unattended, tell=tell))


@app.command()
def doctor(json: Json = False) -> None:
    """Show the configuration without secrets and check everything; exit code 1 for a problem."""
    from longlist import doctor as doctor_module

    report = doctor_module.examine(load_settings())
    if json:
        show_json(report)
    else:
        doctor_module.show(report)
    if not report.ok:
        raise typer.Exit(1)


@app.command()
def openapi() -> None:
    """Print the OpenAPI document of this version."""
    from longlist.openapi import document_text

    sys.stdout.write(document_text())


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="The archive to write; .tar, or .tar.gz.")],
    force: Annotated[bool, typer.Option("--force", help="Overwrite FILE.")] = False,
    json: Json = False,
) -> None:
    """Save database, secret and uploaded files to one archive, also while the server runs."""
    from longlist import backups

    saved = backups.save(load_settings(), file, force=force)
    if json:
        show_json(saved)
    else:
        typer.echo(
            f"Saved {saved.database_bytes:,} bytes of database and {saved.files} files to {file}."
        )
        if not saved.with_secret:
            typer.echo("The secret is not in it: it comes from LONGLIST_SECRET. Keep it as well.")


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="An archive of longlist backup.")],
    force: Annotated[
        bool, typer.Option("--force", help="Replace what is there; it is kept beside.")
    ] = False,
) -> None:
    """Put a backup back. The server has to be stopped."""
    from longlist import backups

    for line in backups.restore(load_settings(), file, force=force):
        typer.echo(line)


def _reason(error: BaseException) -> str:
    """What an expected error says, with the system's or the database's word on it."""
    cause = error.__cause__
    # Other causes may quote a URL with its password.
    if isinstance(error, DatabaseAway) and (
        isinstance(cause, OSError) or hasattr(cause, "sqlstate")
    ):
        return f"{error} ({str(cause).strip().splitlines()[0]})"
    return str(error)


def main() -> Any:
    """Run a command. Exit code 0, 1 for what went wrong, 2 for a wrong command line.

    The commands that talk to a server have more of them: see `remote/exits.py`.
    """
    if "LONGLIST_SUPERVISED_WORKER" in os.environ:
        # Ctrl-C reaches the whole process group; the supervisor decides when its worker stops.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        app(prog_name="longlist")
    except (Trouble, SettingError, SchemaMismatch, DatabaseAway) as error:
        sys.stderr.write(f"longlist: {_reason(error)}\n")
        sys.exit(error.exit_code if isinstance(error, Trouble) else 1)
    except KeyboardInterrupt:
        sys.exit(130)
