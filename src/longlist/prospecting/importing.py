"""An import as a client of the API drives it: upload, job, progress, what became of the rows."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import httpx2
import msgspec

from longlist.console import Trouble
from longlist.text import one_line

if TYPE_CHECKING:
    from longlist_client import AccountGroup, Job, UploadedFile

_LINES_SHOWN: Final = 5
OUTCOMES: Final = ("added", "updated", "unchanged", "skipped", "failed")


class Reason(msgspec.Struct):
    """Why rows were skipped or failed, how many, and the first of their lines in the file."""

    outcome: str
    reason: str
    message: str
    rows: int = 0
    lines: list[int] = []


class Report(msgspec.Struct, rename="camel"):
    """What an import did. `counts` adds up: the five outcomes are `received`."""

    job_id: str
    status: str
    audience_id: str
    audience_name: str
    account_group_id: str
    counts: dict[str, int]
    reasons: list[Reason]
    error: dict[str, str] | None
    seconds: float


def is_longlist(url: str, key: str) -> bool:
    """True where a server answers that takes the key: not a stranger on the same port."""
    try:
        health = httpx2.get(f"{url}/healthz", timeout=3.0, trust_env=False)
        if health.json() != {**health.json(), "success": True, "data": {"status": "ok"}}:
            return False
        headers = {"Authorization": f"Bearer {key}"}
        return httpx2.get(f"{url}/v1/me", headers=headers, trust_env=False).status_code == 200
    except (httpx2.TransportError, ValueError, TypeError):
        return False


class _Told(io.FileIO):
    """A file that tells how far it has been read."""

    def __init__(self, path: Path, told: Callable[[int], None]) -> None:
        super().__init__(path)
        self._told = told

    def read(self, size: int | None = -1, /) -> bytes:
        piece = super().read(-1 if size is None else size) or b""
        self._told(self.tell())
        return piece


def upload(account: AccountGroup, path: Path, sent: Callable[[int], None]) -> UploadedFile:
    """Upload a file; `sent` is told how many bytes have gone. Raises Trouble."""
    try:
        with _Told(path, sent) as file:
            return account.files.upload(file, filename=_label(path))
    except OSError as error:
        raise Trouble(f"{path} cannot be read: {error.strerror}.") from error


def _label(path: Path) -> str:
    try:
        return one_line(path.name, 255)
    except ValueError:
        return "file"


def reasons(account: AccountGroup, job: Job) -> list[Reason]:
    """Every reason for which rows of a job were skipped or failed, the most frequent first."""
    found: dict[tuple[str, str], Reason] = {}
    for outcome, rows in (("failed", job.counts.failed), ("skipped", job.counts.skipped)):
        if not rows:
            continue
        with account.prospecting.export_rows(job.job_id, outcome=outcome) as download:
            for row in csv.DictReader(download.lines()):
                at = (outcome, row["reason"])
                reason = found.get(at)
                if reason is None:
                    reason = found[at] = Reason(outcome, row["reason"], row["message"], lines=[])
                reason.rows += 1
                if len(reason.lines) < _LINES_SHOWN:
                    reason.lines.append(int(row["line"] or row["position"]))
    return sorted(found.values(), key=lambda reason: (reason.outcome, -reason.rows))
