"""Three API processes and two workers on one PostgreSQL, killed at random under a mixed load.

    .venv/bin/python -m scripts.cluster --seconds 180 --requests 1000000

Reads, renames, creates under an idempotency key, prospects added and imports, with a ledger; any
process is killed with -9 every few seconds and started again. At the end every acknowledged write
is there exactly once, every job has ended, and nothing was answered but success, 503 and cut
connections, or the run ends with an AssertionError. The figures are printed as JSON.

PostgreSQL comes from the wheel of the tests and runs without fsync: it is not what is killed here.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import uvloop

from tests.harness.postgres import running_postgres
from tests.races import cluster
from tests.races.place import Place, running_place


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="A cluster under load and kill -9.")
    parser.add_argument("--seconds", type=float, default=180, help="time that the load lasts")
    parser.add_argument("--requests", type=int, default=1_000_000, help="requests at most")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument(
        "--long", action="store_true", help="fewer imports, for millions of requests"
    )
    parser.add_argument("--apis", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--kill-every", type=float, default=5.0, help="seconds, on average")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


async def _run(place: Place, args: argparse.Namespace) -> cluster.Outcome:
    async with place.opened() as store:
        return await cluster.race(
            place, store, requests=args.requests, seconds=args.seconds, apis=args.apis,
            workers=args.workers, clients=args.clients, kill_every_s=args.kill_every,
            seed=args.seed, mix=cluster.LONG if args.long else cluster.Mix(),
        )  # fmt: skip


def main() -> None:
    """Run it in a folder of its own, which is gone afterwards."""
    args = _arguments()
    with (
        tempfile.TemporaryDirectory(prefix="longlist-cluster-") as folder,
        running_postgres() as server,
        running_place(Path(folder), server.new_database()) as place,
    ):
        outcome = uvloop.run(_run(place, args))
    sys.stdout.write(cluster.report(outcome) + "\n")


if __name__ == "__main__":
    main()
