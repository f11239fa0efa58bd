"""PATCH, list and pages of prospects at growing numbers of memberships, and pages at depth.

Every size is an installation of its own, so that the sizes can take turns in each round.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from bench.access import LIST, PATCH, Target
from bench.bulk import Filling, NotFilled, fill
from bench.http_client import UnexpectedAnswer
from bench.postgres import Postgres
from bench.rounds import Contestant, Length, Load, ServerContestant, run_cell
from bench.servers import LONGLIST, LonglistInstall, Place, Server, install_longlist, make_audiences

FIRST_PAGE = "first page"
HALF_PAGE = "page at 50 %"
DEEP_PAGE = "page at 99 %"
PAGES = "pages"
PAGE_ROWS = 100
_DEPTHS = {HALF_PAGE: 0.5, DEEP_PAGE: 0.99}
_FILL_LIMIT_SECONDS = 420.0
_CONNECTIONS = 1
_AGE_MS = 30 * 24 * 3600 * 1000


def _install(place: Place, memberships: int) -> tuple[LonglistInstall, float]:
    """An installation with so many memberships, and the seconds that writing them took.

    The audiences are made through the API; the last is the one that becomes large. The list of 50
    and the PATCH do not know it. Its access has a request for each page.

    A cursor deep in the audience is asked for while only the people behind it are there, as that of
    the first page: cursors stay valid, and the walk of 25,000 pages is saved. Raises NotFilled and
    UnexpectedAnswer.
    """
    install = install_longlist(place)
    with install.serving(LONGLIST) as server:
        make_audiences(server)
        caller = server.caller()
        made = caller.data("POST", server.audiences_path, {"name": "Large", "type": "on_demand"})
        caller.close()
    filling = Filling(
        bytes.fromhex(install.access.group),
        bytes.fromhex(made["id"]),
        [bytes.fromhex(id_) for id_ in install.access.audiences],
        memberships,
        int(time.time() * 1000) - _AGE_MS,
    )
    path = f"{install.access.audiences_path}/{made['id']}/prospects?limit={PAGE_ROWS}"
    behind = {
        max(round(filling.people * (1 - share)), PAGE_ROWS) + PAGE_ROWS: page
        for page, share in _DEPTHS.items()
    }
    access = install.access.with_target(FIRST_PAGE, Target("GET", path))

    def keep_cursor(people: int) -> None:
        nonlocal access
        with install.serving(LONGLIST, "--api-only") as server:
            cursor = server.caller().data("GET", path)["nextCursor"]
        access = access.with_target(behind[people], Target("GET", f"{path}&cursor={cursor}"))

    seconds = fill(install, filling, list(behind), keep_cursor, _FILL_LIMIT_SECONDS)
    return replace(install, access=access), seconds


def _check_pages(server: Server) -> None:
    """Every page is full, and the deeper ones begin with older people. Raises UnexpectedAnswer."""
    caller = server.caller()
    before = "~"
    for page in (FIRST_PAGE, *_DEPTHS):
        rows = caller.data("GET", server.access.targets[page].path)["items"]
        if len(rows) != PAGE_ROWS or rows[0]["id"] >= before:
            raise UnexpectedAnswer(f"{page}: {len(rows)} rows")
        before = rows[0]["id"]
    caller.close()


def measure(
    sizes: Sequence[int],
    place_of: Callable[[str], Place],
    load: Load,
    postgres: Postgres | None,
    length: Length,
    say: Callable[[str], None],
    remark: Callable[[str], None],
) -> dict[str, Any]:
    """Cells of PATCH, list and pages over the sizes; a size that cannot be made is left out."""
    filled: dict[str, float] = {}
    with ExitStack() as stack:
        servers: dict[int, Server] = {}
        for size in sizes:
            place = place_of(f"growth_{size}")
            stack.callback(shutil.rmtree, place.folder, ignore_errors=True)
            try:
                install, filled[str(size)] = _install(place, size)
                say(f"  {size:,} memberships written in {filled[str(size)]:.0f} s")
                server = stack.enter_context(install.serving(LONGLIST, "--api-only"))
                _check_pages(server)
                servers[size] = server
            except (NotFilled, UnexpectedAnswer) as error:
                remark(f"{size:,} memberships were left out: {error}")
        if not servers:
            raise NotFilled("no size could be made")
        cells: dict[str, Any] = {}
        for work in (PATCH, LIST, PAGES):
            say(f"  {work} at {len(servers)} sizes")
            contestants: list[Contestant] = [
                ServerContestant(server, load, postgres, name=f"{size}{suffix}", work=request)
                for size, server in servers.items()
                for suffix, request in (
                    [(f" {page}", page) for page in (FIRST_PAGE, *_DEPTHS)]
                    if work == PAGES
                    else [("", work)]
                )
            ]
            cells[work] = run_cell(contestants, work, _CONNECTIONS, length, remark)
    return {"sizes": list(servers), "fillSeconds": filled, "cells": cells}
