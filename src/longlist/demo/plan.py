"""What the demo shows: an agency, and the lists of its clients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from longlist.demo.people import address_of, invented_file

AGENCY: Final = "Harbour Street Agency"
LEGISLATORS: Final = Path(__file__).parents[3] / "examples" / "legislators.csv"
"""Of a clone; an installed package has no examples."""

SEARCH_URL: Final = "https://www.linkedin.com/search/results/people/?keywords=head%20of%20sales"


@dataclass(frozen=True, kw_only=True)
class FromFile:
    """An audience that is imported from a file, and the folder that it is put in."""

    audience: str
    folder: str
    description: str
    filename: str
    content: Callable[[], bytes]


@dataclass(frozen=True, kw_only=True)
class Client:
    """A client of the agency: an account group.

    `search`: the audience of a search that is running; `commenters`: of a job that the provider
    breaks off; `monitor`: of a search that runs again and again. `suppressed` are e-mail addresses.
    """

    name: str
    lists: tuple[FromFile, ...]
    search: str | None = None
    commenters: str | None = None
    monitor: str | None = None
    suppressed: tuple[str, ...] = ()


def clients() -> tuple[Client, ...]:
    """The clients, each with what is special about it."""
    congress = FromFile(
        audience="Congress",
        folder="Public affairs",
        description="Every member of the United States Congress, from examples/legislators.csv.",
        filename=LEGISLATORS.name,
        content=LEGISLATORS.read_bytes,
    )
    return (
        Client(
            name="Alder & Finch Logistics",
            search="Heads of sales, searched now",
            suppressed=(address_of(17), address_of(1_234)),
            lists=(
                FromFile(
                    audience="Trade fair visitors",
                    folder="Fairs",
                    description="Typed in at the stand, with the mistakes that come with it.",
                    filename="trade-fair.csv",
                    content=lambda: invented_file(range(1_200), with_mistakes=True),
                ),
                FromFile(
                    audience="Newsletter readers",
                    folder="Newsletter",
                    description="Some of them have been at the trade fair as well.",
                    filename="newsletter.csv",
                    content=lambda: invented_file(range(900, 5_400)),
                ),
            ),
        ),
        Client(
            name="Bergamot Robotics",
            commenters="Commenters on the launch post",
            monitor="CTOs, looked for every hour",
            lists=(
                FromFile(
                    audience="Webinar guests",
                    folder="Events",
                    description="Another client's people may be here too: groups never meet.",
                    filename="webinar.csv",
                    content=lambda: invented_file(range(800, 1_450), with_mistakes=True),
                ),
            ),
        ),
        Client(name="Civic Hall", lists=(congress,) if LEGISLATORS.is_file() else ()),
    )
