"""What a front tells Prometheus: its requests, and whether its directory and clusters are there.

The clusters' own figures are theirs: ask each of their processes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client.core import GaugeMetricFamily, Metric

from longlist.exposition import Exposition, build_info, gauge, labelled, of_requests

if TYPE_CHECKING:
    from longlist.front.app import Front, Standing


class FrontMetrics(Exposition):
    """Gathers the figures of a front."""

    def __init__(self, front: Front) -> None:
        super().__init__()
        self._front = front
        self._standing: Standing | None = None

    async def _ask(self) -> None:
        self._standing = await self._front.standing()

    def collect(self) -> Iterator[Metric]:
        """Every metric, for the registry."""
        standing = self._standing
        assert standing is not None
        yield build_info("front", "")
        yield gauge(
            "longlist_front_directory_up", "Whether the directory of groups has answered.",
            standing.directory,
        )  # fmt: skip
        yield labelled(
            GaugeMetricFamily, "longlist_front_cluster_up", "Whether a cluster is ready.",
            "cluster", standing.clusters,
        )  # fmt: skip
        yield labelled(
            GaugeMetricFamily, "longlist_front_cluster_requests_under_way",
            "Requests that a cluster is answering.", "cluster", self._front.clusters.under_way,
        )  # fmt: skip
        yield from of_requests(self._front.telemetry, self._front.under_way)
