"""How a figure that was taken several times is kept."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Median, least and most, and the values themselves in the order they came."""
    return {
        "median": statistics.median(values),
        "min": min(values),
        "max": max(values),
        "values": [float(f"{value:.6g}") for value in values],
    }
