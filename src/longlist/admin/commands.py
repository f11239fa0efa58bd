"""`longlist admin`: who may sign in to the admin pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from longlist.console import Trouble, load_settings, show_table, transact

if TYPE_CHECKING:
    from longlist.admin.store import User
    from longlist.context import Context

app = typer.Typer(help="Users of the admin pages.", no_args_is_help=True, rich_markup_mode=None)


@app.command()
def link(
    user: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="For a new password of this user, not for a new user."),
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="Where browsers reach the server, if not here.")
    ] = None,
) -> None:
    """Print a link that makes a user, or gives one a new password, once and within a day."""
    from longlist.admin import PATH, store

    settings = load_settings()

    async def body(ctx: Context) -> str:
        if user is None:
            return await store.create_link(ctx)
        found = await store.find_user(ctx, user)
        if found is None:
            raise Trouble(f"There is no user {user[:64]!r}. See: longlist admin users")
        return await store.create_link(ctx, found.id)

    token = transact(body, settings=settings)
    base = (url or f"http://{settings.host}:{settings.port}").rstrip("/")
    typer.echo(f"{base}{PATH}/setup/{token}\nIt works once, within 24 hours.")


@app.command()
def users() -> None:
    """List the users in the order in which they came."""
    from longlist.admin import store
    from longlist.ids import rfc3339

    found: list[User] = transact(store.list_users)

    def when(at: int | None) -> str:
        return "never" if at is None else rfc3339(at)[:16].replace("T", " ")

    show_table(
        ("NAME", "SINCE", "LAST SIGNED IN"),
        [(user.name, when(user.created_at), when(user.signed_in_at)) for user in found],
    )


@app.command()
def remove(name: str) -> None:
    """Remove a user; its sessions end at once."""
    from longlist.admin import store

    async def body(ctx: Context) -> None:
        found = await store.find_user(ctx, name)
        if found is None:
            raise Trouble(f"There is no user {name[:64]!r}. See: longlist admin users")
        await store.delete_user(ctx, found.id)

    transact(body)
    typer.echo(f"Removed {name}.")
