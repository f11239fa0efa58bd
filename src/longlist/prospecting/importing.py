"""An import as a client of the API drives it: upload, job, progress, what became of the rows."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import httpx2
import msgspec
import typer

from longlist.console import Trouble
from longlist.prospecting.mapping import FIELDS
from longlist.remote.exits import Exit, clean
from longlist.text import one_line

if TYPE_CHECKING:
    from longlist_client import AccountGroup, Job, UploadedFile

_LINES_SHOWN: Final = 5
OUTCOMES: Final = ("added", "updated", "unchanged", "skipped", "failed")


class Wanted(NamedTuple):
    """An import as it was asked for.

    An audience with the id, or with the name: one that is there, unless a new one is wanted.
    `mapping`: the columns that were mapped by hand; None leaves a column out.
    """

    file: Path
    name: str
    audience_id: str | None
    is_new: bool
    mapping: Mapping[str, str | None]
    max_results: int | None
    failed_rows: Path | None


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


class Rehearsal(msgspec.Struct, rename="camel"):
    """What an import would do. `audience_id` is None where it would make a new audience."""

    dry_run: bool
    audience_id: str | None
    audience_name: str
    account_group_id: str
    counts: dict[str, int]
    estimated_credits: int
    format: str
    encoding: str | None
    delimiter: str | None
    skipped_lines: int
    mapping: dict[str, str | None]


def mapping_by_hand(pairs: Sequence[str]) -> dict[str, str | None]:
    """The mapping that `COLUMN=FIELD` texts give. Raises typer.BadParameter."""
    found: dict[str, str | None] = {}
    for pair in pairs:
        # A column may have an equals sign in its name; a field has none.
        column, equals, field = pair.rpartition("=")
        if not equals or not column or column in found:
            raise typer.BadParameter("Map each column once, as --map COLUMN=FIELD.")
        if field and field not in FIELDS:
            raise typer.BadParameter(
                f"There is no field {clean(field, 64)!r}. The fields are: {', '.join(FIELDS)}."
            )
        found[column] = field or None
    return found


def whole_mapping(
    uploaded: UploadedFile, by_hand: Mapping[str, str | None]
) -> dict[str, str | None]:
    """The suggested mapping with columns mapped by hand, which go first for their field.

    Raises Trouble for a column that the file does not have.
    """
    unknown = [column for column in by_hand if column not in uploaded.columns]
    if unknown:
        columns = clean(", ".join(uploaded.columns))
        raise Trouble(
            f"The file has no column {clean(unknown[0], 64)!r}. Its columns are: {columns}.",
            Exit.USAGE,
        )
    taken = set(by_hand.values())
    suggested = {
        column: None if field in taken else field
        for column, field in uploaded.suggested_mapping.items()
    }
    return {**suggested, **by_hand}


@contextmanager
def mapping_explained(uploaded: UploadedFile) -> Iterator[None]:
    """Raise Trouble that names the columns where the server refuses a mapping inside."""
    from longlist_client import MappingInvalid

    try:
        yield
    except MappingInvalid as error:
        wrong = clean(" ".join(issue.message for issue in error.issues))
        columns = clean(", ".join(uploaded.columns))
        raise Trouble(
            f"{wrong} The columns of the file are: {columns}. Say what they are with --map"
            f" COLUMN=FIELD. The fields are: {', '.join(FIELDS)}.",
            Exit.USAGE,
        ) from error


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


def save_failed(account: AccountGroup, job: Job, path: Path) -> None:
    """Write the rows that failed to a CSV file, whole or not at all. Raises Trouble."""
    try:
        with account.prospecting.export_rows(job.job_id, outcome="failed") as download:
            download.save(path)
    except OSError as error:
        raise Trouble(f"{path} cannot be written: {error.strerror}.") from error
