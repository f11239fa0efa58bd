"""An import as a client of the API drives it: upload, job, progress, what became of the rows."""

from __future__ import annotations

import csv
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import httpx2
import msgspec

from longlist.console import Trouble
from longlist.text import one_line

_BLOCK: Final = 1 << 18
_TIMEOUT_S: Final = 60.0
_RETRY_FOR_S: Final = 60.0
_RETRY_PAUSE_S: Final = 1.0
_BUSY: Final = (429, 503)
_LINES_SHOWN: Final = 5
TERMINAL: Final = ("completed", "failed", "cancelled")
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


class Api:
    """A client of one account group; refusals become Trouble with the server's own sentences."""

    def __init__(self, url: str, key: str) -> None:
        self.url = url.rstrip("/")
        # A proxy of the environment is for the outside, not for a server on this machine.
        local = httpx2.URL(self.url).host in ("127.0.0.1", "localhost", "::1")
        self._client = httpx2.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {key}"},
            timeout=_TIMEOUT_S,
            trust_env=not local,
        )
        self.group = ""

    def close(self) -> None:
        """Hang up."""
        self._client.close()

    def call(
        self,
        method: str,
        path: str,
        *,
        content: Callable[[], Iterator[bytes]] | None = None,
        repeatable: bool = True,
        headers: dict[str, str] | None = None,
        **more: Any,
    ) -> Any:
        """The `data` of the answer. `AG` in the path is the account group's.

        A busy server is asked again for up to a minute, and so is one that cannot be reached
        when the request may be repeated.
        """
        until = time.monotonic() + _RETRY_FOR_S
        while True:
            try:
                answer = self._client.request(
                    method,
                    path.replace("AG", f"/v1/accounts/{self.group}", 1),
                    content=None if content is None else content(),
                    headers=headers,
                    **more,
                )
            except httpx2.TransportError as error:
                if not repeatable or time.monotonic() > until:
                    raise Trouble(
                        f"The server at {self.url} does not answer ({type(error).__name__})."
                    ) from error
                time.sleep(_RETRY_PAUSE_S)
                continue
            if answer.status_code in _BUSY and time.monotonic() < until:
                time.sleep(_pause_of(answer))
                continue
            return _data_of(answer, self.url)

    def rows_as_csv(self, path: str, outcome: str) -> Iterator[str]:
        """The lines of a job's rows with an outcome."""
        with self._client.stream(
            "GET",
            path.replace("AG", f"/v1/accounts/{self.group}", 1),
            params={"outcome": outcome},
            headers={"Accept": "text/csv"},
        ) as answer:
            if answer.status_code != 200:
                answer.read()
                _data_of(answer, self.url)
            # Not iter_lines, which would split at the rarer line separators of Unicode as well.
            rest = ""
            for text in answer.iter_text():
                *lines, rest = (rest + text).split("\n")
                yield from (line + "\n" for line in lines)
            if rest:
                yield rest


def _pause_of(answer: httpx2.Response) -> float:
    said = answer.headers.get("retry-after", "")
    return min(float(said), 10.0) if said.isdecimal() else _RETRY_PAUSE_S


def _data_of(answer: httpx2.Response, url: str) -> Any:
    try:
        envelope = answer.json()
        error = envelope["error"]
        data = envelope["data"]
    except (ValueError, KeyError, TypeError) as failure:
        raise Trouble(f"What answers at {url} is not Longlist.") from failure
    if error is None:
        return data
    more = "".join(f" {issue['field']}: {issue['message']}" for issue in error.get("issues", []))
    raise Trouble(f"{error['message']} {error['details']}{more} (trace {envelope['traceId']})")


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


def choose_group(api: Api, wanted: str | None) -> None:
    """Work in the wanted account group, or in the only one the key reaches. Raises Trouble."""
    if wanted is not None:
        api.group = wanted
        return
    groups = api.call("GET", "/v1/accounts", params={"limit": 200})["items"]
    if len(groups) != 1:
        known = ", ".join(f"{group['id']} ({group['name']})" for group in groups) or "none"
        raise Trouble(f"Name the group with --account-group. The key reaches: {known}.")
    api.group = groups[0]["id"]


def find_audience(api: Api, name: str) -> str | None:
    """The id of the audience with this name, None where there is none. Raises Trouble for two."""
    found: list[str] = []
    params: dict[str, Any] = {"q": name, "limit": 200, "include": "filling"}
    while True:
        page = api.call("GET", "AG/audiences", params=params)
        found += [item["id"] for item in page["items"] if item["name"] == name]
        if not page["hasMore"]:
            break
        params["cursor"] = page["nextCursor"]
    if len(found) > 1:
        raise Trouble(
            f"{len(found)} audiences have this name ({', '.join(found)}). Say which one with"
            " --audience-id, or rename one."
        )
    return found[0] if found else None


def upload(api: Api, path: Path, sent: Callable[[int], None]) -> Any:
    """Upload a file; `sent` is told how many bytes have gone. The answer of contract 6.1."""
    size = path.stat().st_size

    def blocks() -> Iterator[bytes]:
        done = 0
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                yield block
                done += len(block)
                sent(done)

    return api.call(
        "POST",
        "AG/files",
        content=blocks,
        repeatable=False,
        params={"filename": _label(path)},
        headers={"Content-Type": "application/octet-stream", "Content-Length": str(size)},
    )


def _label(path: Path) -> str:
    try:
        return one_line(path.name, 255)
    except ValueError:
        return "file"


def start(api: Api, file_id: str, audience_id: str | None, name: str, more: Any) -> Any:
    """Start the job; the answer of contract 6.2. Safe to repeat when the answer is lost."""
    audience = {"audienceName": name} if audience_id is None else {"audienceId": audience_id}
    return api.call(
        "POST",
        "AG/prospecting",
        json={"type": "file_import", "fileId": file_id, **audience, **more},
        headers={"Idempotency-Key": secrets.token_hex(16)},
    )


def follow(api: Api, job_id: str, seen: Callable[[Any], None]) -> Any:
    """Wait for the end of a job; `seen` is told its state about once a second. The last state."""
    while True:
        job = api.call("GET", f"AG/prospecting/{job_id}", params={"wait": 1})
        seen(job)
        if job["status"] in TERMINAL:
            return job


def cancel(api: Api, job_id: str) -> Any:
    """Cancel a job unless it has ended meanwhile; its state after that."""
    try:
        api.call("POST", f"AG/prospecting/{job_id}/cancel")
    except Trouble:
        job = api.call("GET", f"AG/prospecting/{job_id}")
        if job["status"] not in TERMINAL:
            raise
        return job
    return api.call("GET", f"AG/prospecting/{job_id}")


def reasons(api: Api, job: Any) -> list[Reason]:
    """Every reason for which rows of a job were skipped or failed, the most frequent first."""
    found: dict[tuple[str, str], Reason] = {}
    for outcome in ("failed", "skipped"):
        if not job["counts"][outcome]:
            continue
        lines = api.rows_as_csv(f"AG/prospecting/{job['jobId']}/rows", outcome)
        for row in csv.DictReader(lines):
            at = (outcome, row["reason"])
            reason = found.get(at)
            if reason is None:
                reason = found[at] = Reason(outcome, row["reason"], row["message"], lines=[])
            reason.rows += 1
            if len(reason.lines) < _LINES_SHOWN:
                reason.lines.append(int(row["line"] or row["position"]))
    return sorted(found.values(), key=lambda reason: (reason.outcome, -reason.rows))
