"""What a caller needs to work with a server: key, audiences, and how its two requests look."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

PATCH = "patch"
LIST = "list"
PAGE_SIZE = 50


@dataclass(frozen=True)
class Target:
    """One kind of request. `{id}` in the path and `{name}` in the body stand for an audience."""

    method: str
    path: str
    body: str = ""

    def as_command(self) -> dict[str, str]:
        """What the load generator is told."""
        return {"method": self.method, "path": self.path, "body": self.body}

    def filled(self, audience_id: str, name: str) -> tuple[str, str, bytes]:
        """Method, path and body for one audience."""
        body = self.body.replace("{name}", name).encode()
        return self.method, self.path.replace("{id}", audience_id), body


@dataclass(frozen=True)
class Access:
    """The key, the audiences oldest first, and the requests by the name of the work.

    `items` leads to the rows in the answer of a list: names of members, outermost first.
    """

    key: str
    group: str
    audiences: list[str]
    targets: Mapping[str, Target]
    items: tuple[str, ...] = ("data", "items")

    @property
    def audiences_path(self) -> str:
        """Longlist's path of the audience list."""
        return f"/v1/accounts/{self.group}/audiences"

    def rows(self, answer: bytes) -> list[dict[str, Any]]:
        """The rows of a list's answer."""
        found: Any = json.loads(answer)
        for name in self.items:
            found = found[name]
        rows: list[dict[str, Any]] = found
        return rows

    def with_target(self, work: str, target: Target) -> Self:
        """The same, with one more kind of request."""
        return replace(self, targets={**self.targets, work: target})


def longlist_access(
    key: str, group: str, audiences: list[str] | None = None, **more: Any
) -> Access:
    """Access to Longlist, or to a peer that has its paths and its envelope."""
    base = f"/v1/accounts/{group}/audiences"
    targets = {
        PATCH: Target("PATCH", f"{base}/{{id}}", '{"name": "{name}"}'),
        LIST: Target("GET", f"{base}?limit={PAGE_SIZE}"),
    }
    return Access(key, group, [] if audiences is None else audiences, targets, **more)
