"""What metrics are made of, whatever process they tell of: rendering, kinds, requests."""

from __future__ import annotations

import asyncio
import platform
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder

if TYPE_CHECKING:
    from longlist.tally import Tally
    from longlist.telemetry import Telemetry


class Exposition(ABC):
    """The metrics of one process."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    @abstractmethod
    async def _ask(self) -> None:
        """Find out what only others know, for the `collect` that follows."""

    @abstractmethod
    def collect(self) -> Iterator[Metric]:
        """Every metric, for the registry."""

    async def render(self, accept: str = "") -> tuple[str, bytes]:
        """Media type and text of all metrics, in the format that the `Accept` header prefers."""
        encode, media_type = choose_encoder(accept)
        async with self._turn:
            await self._ask()
            # In a thread: hundreds of lines take some milliseconds, which requests would wait for.
            return media_type, await asyncio.to_thread(encode, self._registry)


def build_info(role: str, database: str) -> Metric:
    """Version of Longlist and Python, the database's name and version, and what the process is."""
    build = GaugeMetricFamily(
        "longlist_build_info", "Always 1.", labels=("version", "python", "database", "role")
    )
    build.add_metric((version("longlist"), platform.python_version(), database, role), 1)
    return build


def of_requests(telemetry: Telemetry, under_way: int) -> Iterator[Metric]:
    """The requests of the API that a process has answered, and those it is at."""
    requests = CounterMetricFamily(
        "longlist_requests", "Requests by operation and status.", labels=("operation", "status")
    )
    for (operation, status), counted in list(telemetry.operations.counted.items()):
        requests.add_metric((operation, str(status)), counted.count)
    yield requests
    yield histogram(
        "longlist_request_seconds", "Time to the last byte of the answer.",
        telemetry.operations.seconds, "operation",
    )  # fmt: skip
    yield gauge("longlist_requests_under_way", "Requests being handled.", under_way)


def gauge(name: str, text: str, value: float) -> Metric:
    """A value that rises and falls."""
    return GaugeMetricFamily(name, text, value=value)


def counter(name: str, text: str, value: float) -> Metric:
    """A value that only rises; its name is shown with `_total`."""
    return CounterMetricFamily(name, text, value=value)


def labelled(
    family: type[GaugeMetricFamily | CounterMetricFamily],
    name: str,
    text: str,
    label: str,
    values: Mapping[str, float],
) -> Metric:
    """A family with a value for each value of one label."""
    found = family(name, text, labels=(label,))
    for each, value in list(values.items()):
        found.add_metric((each,), value)
    return found


def histogram(
    name: str, text: str, tallies: Mapping[str, Tally], label: str | None = None
) -> Metric:
    """Tallies, one for each value of a label if there is one."""
    found = HistogramMetricFamily(name, text, labels=() if label is None else (label,))
    for each, tally in list(tallies.items()):
        bounds = (*map(str, tally.bounds), "+Inf")
        buckets = list(zip(bounds, map(float, tally.cumulative()), strict=True))
        found.add_metric(() if label is None else (each,), buckets, sum_value=tally.sum)
    return found
