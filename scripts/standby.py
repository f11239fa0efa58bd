"""A primary with a synchronous standby under a mixed load: the primary dies, the standby goes on.

    .venv/bin/python -m scripts.standby --seconds 60

Two PostgreSQL servers with fsync, API processes and workers with one URL that names both, and
clients with a ledger. After a third of the time every process of the primary is killed with -9 and
the standby is promoted. At the end every acknowledged write is there exactly once, every job has
ended, and nothing was answered but success, 503 and cut connections, or the run ends with an
AssertionError. The figures are printed as JSON.

The programs of PostgreSQL come from the wheel of the tests.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.races import cluster, standby
from tests.races.place import Place, running_place


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="A standby that takes over under load.")
    parser.add_argument("--seconds", type=float, default=60, help="time that the load lasts")
    parser.add_argument("--requests", type=int, default=1_000_000, help="requests at most")
    parser.add_argument("--clients", type=int, default=12)
    parser.add_argument("--apis", type=int, default=2)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--pause", type=float, default=0.0, help="seconds that nobody promotes the standby"
    )
    return parser.parse_args()


async def _run(place: Place, pair: standby.Pair, args: argparse.Namespace) -> standby.Failover:
    async with place.opened() as store:
        return await standby.race(
            place, store, pair, seconds=args.seconds, requests=args.requests, apis=args.apis,
            workers=args.workers, clients=args.clients, pause_s=args.pause,
        )  # fmt: skip


def main() -> None:
    """Run it in folders of its own, which are gone afterwards."""
    args = _arguments()
    with (
        tempfile.TemporaryDirectory(prefix="longlist-standby-data-") as folder,
        standby.running_pair() as pair,
        running_place(Path(folder), pair.url("longlist")) as place,
    ):
        outcome = asyncio.run(_run(place, pair, args))
    sys.stdout.write(cluster.report(outcome) + "\n")


if __name__ == "__main__":
    main()
