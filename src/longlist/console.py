"""What the commands of `longlist` share: settings, the open installation, and how to print."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from longlist import settings as settings_module

if TYPE_CHECKING:
    from longlist.context import Context, Installation
    from longlist.settings import Settings

T = TypeVar("T")


class Trouble(Exception):
    """A command cannot do its work; the text tells the operator why and what to do."""

    def __init__(self, text: str, exit_code: int = 1) -> None:
        super().__init__(text)
        self.exit_code = exit_code


def load_settings(**overrides: Any) -> Settings:
    """The settings of the environment. Raises SettingError."""
    return settings_module.load(**overrides)


def program() -> str:
    """How the operator calls this program, for the commands that messages name."""
    called = sys.argv[0]
    if Path(called).name != "longlist":
        return f"{sys.executable} -m longlist"
    if shutil.which("longlist") == called:
        return "longlist"
    return min(called, os.path.relpath(called), key=len)


def make_data_folder(settings: Settings) -> None:
    """Make the data folder where it is missing. Raises Trouble unless it can be written to."""
    path = settings.data_path
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        # By chance: in containers that share the folder every process may have the same number.
        probe = path / f".probe.{secrets.token_hex(8)}"
        probe.touch(mode=0o600)
        probe.unlink()
    except OSError as error:
        raise Trouble(
            f"The data folder {path} cannot be written to: {error.strerror}. Set LONGLIST_DATA to"
            " a folder of this user."
        ) from error


def need_database(settings: Settings) -> None:
    """Raise Trouble where the embedded database is not there, rather than make an empty one."""
    from longlist import startup
    from longlist.db.dumps import is_missing

    make_data_folder(settings)
    if is_missing(startup.database(settings)):
        raise Trouble(
            f"There is no database in {settings.data_path}. Set LONGLIST_DATA to the folder of the"
            f" server, or make a database: {program()} migrate"
        )


@asynccontextmanager
async def opened(settings: Settings, session: str = "") -> AsyncIterator[Installation]:
    """The open installation; `session` as in `startup.database`.

    Raises DatabaseAway, SchemaMismatch, SettingError and Trouble.
    """
    from longlist import startup

    async with AsyncExitStack() as stack:
        try:
            installation = await stack.enter_async_context(startup.installation(settings, session))
        except OSError as error:
            raise Trouble(f"{error.filename} cannot be used: {error.strerror}.") from error
        yield installation


def transact(
    body: Callable[..., Awaitable[T]],
    *args: Any,
    group: bytes = b"",
    settings: Settings | None = None,
) -> T:
    """What `body(ctx, *args)` returns, run in one write transaction of the settings' database."""
    from longlist.context import Context

    found = settings or load_settings()
    need_database(found)

    async def run() -> T:
        async with opened(found) as installation:
            ctx: Context = Context(installation, group)
            result: T = await ctx.write(body, *args)
            return result

    return asyncio.run(run())


def id_of(text: str, what: str) -> bytes:
    """The id that an argument names. Raises Trouble."""
    from longlist.ids import parse_id

    found = parse_id(text)
    if found is None:
        raise Trouble(f"{text[:64]!r} is not the id of {what}: an id is 24 hexadecimal characters.")
    return found


def name_of(text: str, what: str) -> str:
    """A name by the rules that names have everywhere. Raises Trouble."""
    from longlist.text import BadText, one_line

    try:
        return one_line(text, 255)
    except BadText as error:
        raise Trouble(f"The name of {what} cannot be used. {error.message}") from error


def show_json(value: Any) -> None:
    """Print a value as JSON on one line."""
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")


def show_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print columns as wide as their texts: nothing is cut, so that ids can be copied."""
    lines = [tuple(heads), *map(tuple, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        sys.stdout.write("  ".join(cells).rstrip() + "\n")
