"""Races, crashes and faults in their long form: `python -m scripts.races --help`.

The tests in `tests/races` run the same scenarios for some seconds. Here the figures are arguments,
workers count as dead after the real ten seconds, and what was found is printed as a line each.
Whatever breaks a promise ends the run with an AssertionError.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from longlist import startup
from longlist.prospecting.sources import registry
from tests.harness import invented
from tests.harness.postgres import running_postgres
from tests.races import (
    cancels,
    crashes,
    faults,
    freezes,
    mixed,
    people,
    revocation,
    start_race,
    writers,
)
from tests.races.lock_machine import Machine
from tests.races.place import Place, Process, Store, running_place

Scenario = Callable[[Place, Store, argparse.Namespace], Coroutine[Any, Any, object]]


def _apis(place: Place) -> list[Process]:
    return [place.start("api") for _ in range(2 if place.engine == "postgres" else 1)]


async def _writers(place: Place, store: Store, args: argparse.Namespace) -> object:
    ledger = await writers.race(
        place, _apis(place), store, writers=args.writers, seconds=args.seconds
    )
    return f"{ledger.acked} acknowledged renames, {ledger.reads} reads, none lost or stale"


async def _starts(place: Place, store: Store, args: argparse.Namespace) -> object:
    return await start_race.race(place.start("api"), store, rounds=args.rounds)


async def _mixed(place: Place, store: Store, args: argparse.Namespace) -> object:
    apis = _apis(place)
    place.start("worker")
    return dict(await mixed.race(apis, store, clients=args.writers, seconds=args.seconds))


async def _kills(place: Place, store: Store, args: argparse.Namespace) -> object:
    """As many kills as asked for, four an import: after the fifth rescue a job is given up.

    Half of the imports have another worker alive, and half of them writers beside them.
    """
    api, made = place.start("api"), people.make(args.rows)
    chance = random.Random(args.seed)
    worker = place.start("worker")
    expected = await crashes.undisturbed(api, store, made)
    worker.end()
    found: list[crashes.Crashed] = []
    while (done := sum(crashed.kills for crashed in found)) < args.kills:
        kills = min(4, args.kills - done)
        # The first as soon as the job is held; one at the end may come too late, and counts not.
        place.slice_rows = (0, 400)[len(found) % 3 % 2]
        moments = [0, *chance.sample(range(args.rows), kills - 1)]
        left, crashed = await crashes.killed(
            place, api, store, made, moments=moments, spare=len(found) % 2 == 0,
            writers=4 if len(found) % 4 < 2 else 0, partly=False, seed=done,
        )  # fmt: skip
        assert left == expected, "the import ended otherwise than undisturbed"
        found.append(crashed)
    if place.engine == "sqlite":
        place.slice_rows = 0
        left, crashed = await crashes.killed(
            place, api, store, made, moments=chance.sample(range(args.rows // 2), 4), spare=True,
            writers=4, partly=True, seed=done,
        )  # fmt: skip
        assert left == expected, "the import ended otherwise than undisturbed"
        assert crashed.partly == crashed.kills > 0
        found.append(crashed)
    kills, partly = (sum(getattr(one, name) for one in found) for name in ("kills", "partly"))
    again = sum(one.fetched - one.pages for one in found)
    summary = (
        f"{kills} kills in {len(found)} imports, {partly} with a page saved in part; {again} pages"
        f" fetched twice; another worker had the job after {max(o.back_s for o in found):.1f} s at"
        f" most; {sum(o.renames for o in found)} renames beside; always {expected.counts}"
    )
    return "\n    ".join([summary, *map(str, found)])


async def _freezes(place: Place, store: Store, args: argparse.Namespace) -> object:
    api, made = place.start("api"), people.make(args.rows)
    found = []
    cases = [(True, False), (False, False)]
    if place.engine == "postgres":
        cases.append((False, True))
    for seed, (thaw_at_once, in_transaction) in enumerate(cases * args.freezes):
        left, frozen = await freezes.freeze(
            place, api, store, made, thaw_at_once=thaw_at_once, in_transaction=in_transaction,
            seed=seed,
        )  # fmt: skip
        assert left.counts["added"] == len(made.people)
        found.append(frozen)
    return found


async def _cancels(place: Place, store: Store, args: argparse.Namespace) -> object:
    """Cancels at random rows, of every second import with writers beside it."""
    api, made = place.start("api"), people.make(args.rows)
    place.start("worker")
    chance = random.Random(args.seed)
    found = []
    for number in range(args.cancels):
        moment = chance.randrange(args.rows // 2)
        writers = 4 * (number % 2)
        found.append(
            await cancels.cancelled(place, api, store, made, moment=moment, writers=writers)
        )
    late = max(one.pages_after for one in found)
    assert late <= 1, found
    slowest = max(one.answer_s for one in found)
    assert slowest < 1, found
    return (
        f"{len(found)} cancels, answered within {1000 * slowest:.0f} ms, after which at most {late}"
        " page was fetched and no row written"
    )


async def _api_kills(place: Place, store: Store, args: argparse.Namespace) -> object:
    api, group = place.start("api"), await store.tenant()

    async def kills(load: faults.Load) -> None:
        nonlocal api
        for _ in range(args.kills):
            await load.until_seen("200", 200)
            api.kill()
            api = await asyncio.to_thread(place.start, "api")
        await load.until_seen("200", 200)

    load = await faults.under_load(group, lambda: int(api.said), args.writers, kills)
    load.is_honest("cut")
    await load.judge(api, store)
    return dict(load.seen)


async def _revocations(place: Place, store: Store, args: argparse.Namespace) -> object:
    apis = [place.start("api") for _ in range(3)]
    late = [await revocation.race(apis, store) for _ in range(args.revocations)]
    assert max(map(max, late)) < revocation.SECOND
    return f"last let in after {max(map(max, late)):.3f} s"


def _property(place: Place, args: argparse.Namespace) -> str:
    invented.install(place.folder)
    sys.path.insert(0, str(place.folder))
    registry.forget()
    loop = asyncio.new_event_loop()
    opening = startup.installation(place.settings)
    Machine.loop = loop
    Machine.installation = loop.run_until_complete(opening.__aenter__())
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=args.examples,
            stateful_step_count=60,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    loop.run_until_complete(opening.__aexit__(None, None, None))
    loop.close()
    return f"{args.examples} sequences of up to 60 steps: {dict(sorted(Machine.done.items()))}"


SCENARIOS: dict[str, Scenario] = {
    "writers": _writers,
    "starts": _starts,
    "mixed": _mixed,
    "kills": _kills,
    "freezes": _freezes,
    "cancels": _cancels,
    "api-kills": _api_kills,
    "revocations": _revocations,
}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", choices=[*SCENARIOS, "property"], default=None)
    parser.add_argument("--engine", nargs="*", choices=["sqlite", "postgres"],
                        default=["sqlite", "postgres"])  # fmt: skip
    parser.add_argument("--writers", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--freezes", type=int, default=5)
    parser.add_argument("--cancels", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--revocations", type=int, default=10)
    parser.add_argument("--examples", type=int, default=1000)
    return parser.parse_args()


@contextmanager
def _place(engine: str) -> Iterator[Place]:
    with tempfile.TemporaryDirectory(prefix="longlist-races-") as folder:
        if engine == "sqlite":
            with running_place(Path(folder)) as place:
                yield place
            return
        with (
            running_postgres() as server,
            running_place(Path(folder), server.new_database()) as place,
        ):
            yield place


async def _run(scenario: Scenario, place: Place, args: argparse.Namespace) -> object:
    async with place.opened() as store:
        return await scenario(place, store, args)


def main() -> None:
    """Run what was asked for, on each engine."""
    args = _arguments()
    wanted = args.only or [*SCENARIOS, "property"]
    for engine in args.engine:
        for name in wanted:
            with _place(engine) as place:
                # Small pages on both, so that there are many moments to be hit.
                place.silence_ms, place.slice_rows = 10_000, 400
                began = time.monotonic()
                if name == "property":
                    found: object = _property(place, args)
                else:
                    found = asyncio.run(_run(SCENARIOS[name], place, args))
                seconds = time.monotonic() - began
                sys.stdout.write(f"{engine:8} {name:12} {seconds:6.1f} s  {found}\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
