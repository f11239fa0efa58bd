"""`longlist prospects`: the people, on a server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from longlist.remote.command import command
from longlist.remote.printing import Column, jsonable, show_list, show_record

if TYPE_CHECKING:
    from longlist_client import Prospect

    from longlist.remote.connection import Remote

app = typer.Typer(help="Prospects on a server.", no_args_is_help=True, rich_markup_mode=None)

Limit = Annotated[int | None, typer.Option(min=1, help="Show at most so many.")]

_COLUMNS: Final = (
    Column("ID", lambda prospect: prospect.id),
    Column("NAME", lambda prospect: prospect.name),
    Column("EMAIL", lambda prospect: prospect.email),
    Column("TITLE", lambda prospect: prospect.title),
    Column("COMPANY", lambda prospect: prospect.company.name),
)
_MATCH_COLUMNS: Final = (
    Column("ID", lambda match: match.prospect_id),
    Column("NAME", lambda match: match.name),
    Column("LINKEDIN", lambda match: match.linkedin_url),
    Column("TITLE", lambda match: match.title),
    Column("COMPANY", lambda match: match.company_name),
)


@command(app)
def find(
    remote: Remote,
    text: Annotated[
        str | None, typer.Argument(help="Part of a name, an address, a title or a company.")
    ] = None,
    audience: Annotated[
        str | None, typer.Option(help="Where to look: its id or exact name.")
    ] = None,
    provider_id: Annotated[
        str | None, typer.Option(metavar="ID", help="Look by provider id, everywhere.")
    ] = None,
    limit: Limit = None,
) -> None:
    """Find people in an audience by what is remembered of them, or by their provider id.

    An audience is read from its beginning until --limit people are found. In a pipe: id, name,
    e-mail, title, company; with --provider-id LinkedIn's address in place of the e-mail.
    """
    if provider_id is not None:
        if text is not None or audience is not None:
            raise typer.BadParameter("A --provider-id is looked for alone.")
        found = remote.account.prospects.find_by_provider_id(provider_id)
        show_list(found.matches, _MATCH_COLUMNS, as_json=remote.as_json, limit=limit)
        return
    if text is None or audience is None:
        raise typer.BadParameter("Give a TEXT and the --audience to look in, or a --provider-id.")
    people = _found(remote, remote.audience_id(audience), text)
    show_list(people, _COLUMNS, as_json=remote.as_json, limit=limit)


def _found(remote: Remote, audience_id: str, text: str) -> Iterator[Prospect]:
    from longlist.remote.matching import matches
    from longlist.text import fold

    folded = fold(text)
    with remote.account.audiences.export(audience_id, format="ndjson") as download:
        yield from (person for person in download.prospects() if matches(person, folded))


@command(app)
def show(
    remote: Remote,
    prospect: Annotated[str, typer.Argument(metavar="PROSPECT", help="The person's id.")],
) -> None:
    """Show everything that is known of a person."""
    found = remote.account.prospects.get(prospect)
    pairs: list[tuple[str, Any]] = []
    for name, value in jsonable(found).items():
        if isinstance(value, dict):
            pairs += [(f"{name}.{part}", inner) for part, inner in value.items()]
        else:
            pairs.append((name, value))
    show_record(pairs, found, as_json=remote.as_json)
