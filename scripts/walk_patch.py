"""Walk PATCH audience through every status and form of the contract, over real HTTP.

    .venv/bin/python scripts/walk_patch.py

starts a server on a temporary folder and walks it. Against a server that runs:

    .venv/bin/python scripts/walk_patch.py --url http://127.0.0.1:8080 --data ./longlist-data

where `--data` is the operator's data folder, and LONGLIST_DATABASE_URL is set as for the server:
the walk makes two account groups of its own there, with keys, and leaves every other group alone.
One line a form, and a count at the end; the exit code is 1 where an answer was another than the
one to expect.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from longlist import startup
from longlist.accounts import store as accounts
from longlist.context import Context
from longlist.ids import now_ms
from longlist.keys import store as keys
from longlist.limits import Rate
from longlist.settings import Settings, load

UNKNOWN = "0123456789abcdef01234567"
PATIENCE_S = 30.0
FILE = b"E-mail\n" + b"".join(b"walker%d@example.com\n" % at for at in range(50_000))
LEVELS_33 = b'{"x":' + b"[" * 32 + b"]" * 32 + b"}"

BAD_BODIES: dict[str, bytes] = {
    "empty body": b"",
    "white space": b" \n",
    "a word": b"name",
    "unclosed object": b'{"name": "x"',
    "unclosed string": b'{"name": "x',
    "trailing comma": b'{"name": "x",}',
    "trailing garbage": b'{"name": "x"} y',
    "comment": b'{"name": "x" // y\n}',
    "single quotes": b"{'name': 'x'}",
    "bare member name": b'{name: "x"}',
    "raw line feed in a string": b'{"name": "a\nb"}',
    "raw NUL": b'{"name": "a\x00"}',
    "escaped NUL": b'{"name": "a\\u0000"}',
    "unknown escape": b'{"name": "\\q"}',
    "lone surrogate": b'{"name": "\\ud800"}',
    "byte order mark": b'\xef\xbb\xbf{"name": "x"}',
    "UTF-16": '{"name": "x"}'.encode("utf-16"),
    "Latin-1": b'{"name": "caf\xe9"}',
    "overlong UTF-8": b'{"name": "\xc0\xaf"}',
    "NaN": b'{"name": NaN}',
    "Infinity": b'{"name": Infinity}',
    "1e999": b'{"name": 1e999}',
    "integer beyond 63 bits": b'{"name": 9223372036854775808}',
    "leading zero": b'{"name": 01}',
    "duplicate key": b'{"name": "x", "name": "y"}',
    "duplicate key once decoded": b'{"name": "x", "n\\u0061me": "y"}',
    "duplicate key below": b'{"x": {"a": 1, "a": 2}}',
    "33 levels": LEVELS_33,
    "root array": b"[]",
    "root string": b'"x"',
    "root number": b"1",
    "root null": b"null",
    "no member": b"{}",
    "unknown member": b'{"name": "x", "owner": "y"}',
    "member in other case": b'{"Name": "x"}',
    "id": b'{"name": "x", "id": "0123456789abcdef01234567"}',
    "type": b'{"name": "x", "type": "monitoring"}',
    "folderId": b'{"name": "x", "folderId": null}',
    "prospectCount": b'{"name": "x", "prospectCount": 1}',
    "createdAt": b'{"name": "x", "createdAt": null}',
    "name null": b'{"name": null}',
    "name number": b'{"name": 1}',
    "name boolean": b'{"name": true}',
    "name array": b'{"name": ["x"]}',
    "name object": b'{"name": {}}',
    "name empty": b'{"name": ""}',
    "name white space": b'{"name": " \\t\\u00a0\\u3000"}',
    "name invisible": b'{"name": "\\u200b\\ufeff"}',
    "name of 256": b'{"name": "%b"}' % (b"n" * 256),
    "name of 256 four-byte characters": b'{"name": "%b"}' % ("\U0001f600" * 256).encode(),
    "name with line feed": b'{"name": "a\\nb"}',
    "name with tab": b'{"name": "a\\tb"}',
    "name with escape": b'{"name": "a\\u001bb"}',
    "name with C1 control": b'{"name": "a\\u0085b"}',
    "name with line separator": b'{"name": "a\\u2028b"}',
    "name with bidi override": b'{"name": "a\\u202eb"}',
    "name with bidi isolate": b'{"name": "a\\u2066b"}',
    "description number": b'{"description": 1}',
    "description boolean": b'{"description": false}',
    "description array": b'{"description": []}',
    "description of 2,001": b'{"description": "%b"}' % (b"d" * 2001),
    "description with form feed": b'{"description": "a\\fb"}',
    "good name beside bad description": b'{"name": "Good", "description": 1}',
}


@dataclass
class Answer:
    """Status, headers by lowercase name, and body."""

    status: int
    headers: dict[str, str]
    body: Any


@dataclass
class Places:
    """What the walk was given: its account group and keys, and one key of another group."""

    group: str
    key: str
    foreign_group: str
    foreign_key: str
    reader: str
    expired: str
    revoked: str
    slow: str


async def prepare(settings: Settings) -> Places:
    """Two account groups and their keys, made as the operator would make them."""
    everything = keys.PERMISSIONS
    fast = Rate(6_000_000, 100_000)

    async def body(ctx: Context) -> Places:
        own = (await accounts.create_everywhere(ctx, "Walk of PATCH")).id
        other = (await accounts.create_everywhere(ctx, "Walk of PATCH, another group")).id

        async def key(group: bytes, **more: Any) -> tuple[bytes, str]:
            values: dict[str, Any] = {"permissions": everything, "rate": fast, **more}
            return await keys.create_everywhere(ctx, name="Walk", groups=[group], **values)

        revoked_id, revoked = await key(own)
        await keys.revoke_everywhere(ctx, revoked_id)
        return Places(
            own.hex(),
            (await key(own))[1],
            other.hex(),
            (await key(other))[1],
            (await key(own, permissions=["audiences:read"]))[1],
            (await key(own, expires_at=now_ms() - 1))[1],
            revoked,
            (await key(own, rate=Rate(60, 3)))[1],
        )

    async with startup.installation(settings) as installation:
        places: Places = await Context(installation, b"").write(body)
    return places


async def require_unique_names(settings: Settings, group: str) -> None:
    """Switch `uniqueAudienceNames` on for the walk's own group."""

    async def body(ctx: Context) -> None:
        await accounts.set_values(ctx, {"uniqueAudienceNames": True})

    async with startup.installation(settings) as installation:
        await Context(installation, bytes.fromhex(group)).write(body)


class Walk:
    """Sends requests and prints what came of each."""

    def __init__(self, url: str, places: Places) -> None:
        parts = urlsplit(url)
        self.host, self.port = parts.hostname or "127.0.0.1", parts.port or 80
        self.places = places
        self.audiences = f"/v1/accounts/{places.group}/audiences"
        self.walked = self.failed = 0

    def send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str | None] | None = None,
        key: str | None = "",
    ) -> Answer:
        """One request on a connection of its own; a header that is None is left out."""
        sent: dict[str, str | None] = {"Authorization": f"Bearer {key or self.places.key}"}
        if key is None:
            del sent["Authorization"]
        if body is not None:
            sent["Content-Type"] = "application/json"
        sent |= headers or {}
        connection = http.client.HTTPConnection(self.host, self.port, timeout=PATIENCE_S)
        try:
            given = {name: value for name, value in sent.items() if value is not None}
            connection.request(method, path, body, given)
            response = connection.getresponse()
            content = response.read()
            named = {name.lower(): value for name, value in response.getheaders()}
        finally:
            connection.close()
        return Answer(response.status, named, json.loads(content) if content else None)

    def patch(self, audience: str, body: Any, **more: Any) -> Answer:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.send("PATCH", f"{self.audiences}/{audience}", raw, **more)

    def create(self, name: str, key: str = "", group: str = "") -> str:
        path = f"/v1/accounts/{group}/audiences" if group else self.audiences
        body = json.dumps({"name": name, "type": "on_demand", "description": "Old"}).encode()
        answer = self.send("POST", path, body, key=key)
        if answer.status != 201:
            raise SystemExit(f"An audience cannot be made: {answer.status} {answer.body}")
        return str(answer.body["data"]["id"])

    def tell(self, form: str, answer: Answer, status: int, code: str = "", **facts: bool) -> None:
        """Print a line: the answer must have the status, the code, and every fact true."""
        body = answer.body
        error = body["error"] or {}
        facts["envelope"] = list(body) == ["success", "data", "error", "traceId"]
        facts["trace id"] = body["traceId"] == answer.headers.get("x-trace-id")
        facts["success"] = body["success"] is (answer.status < 300)
        facts["status"] = answer.status == status
        facts["code"] = error.get("code", "") == code
        wrong = [name for name, is_true in facts.items() if not is_true]
        self.walked += 1
        self.failed += bool(wrong)
        issues = " ".join(
            f"{i['field'] or '(body)'}:{i['code']}" for i in error.get("issues", [])[:2]
        )
        print(
            f"{'FAIL' if wrong else 'ok  '} {answer.status} {code:22} {form}  {issues}".rstrip(),
            *wrong,
        )


def walk_200(walk: Walk) -> None:
    audience = walk.create("Old")
    kept = "Old words"
    for form, body, name, description in (
        ("name", {"name": "New"}, "New", "Old"),
        ("description", {"description": kept}, "New", kept),
        ("both", {"name": "Both", "description": "Two"}, "Both", "Two"),
        ("null description clears", {"description": None}, "Both", None),
        ("empty description clears", {"description": ""}, "Both", None),
        ("name normalised and trimmed", {"name": " \u00a0Cafe\u0301\u3000"}, "Caf\u00e9", None),
        ("line ends become LF", {"description": "a\r\nb\rc"}, "Caf\u00e9", "a\nb\nc"),
        ("255 four-byte characters", {"name": "\U0001f600" * 255}, "\U0001f600" * 255, "a\nb\nc"),
        ("2,000 characters", {"description": "d" * 2000}, "\U0001f600" * 255, "d" * 2000),
    ):
        answer = walk.patch(audience, body)
        data = answer.body["data"] or {}
        shown = walk.send("GET", f"{walk.audiences}/{audience}")
        walk.tell(
            form, answer, 200,
            values=(data.get("name"), data.get("description")) == (name, description),
            visible=shown.body["data"] == data and shown.headers["etag"] == answer.headers["etag"],
        )  # fmt: skip
    before = walk.send("GET", f"{walk.audiences}/{audience}").headers["etag"]
    answer = walk.patch(audience, {"description": "d" * 2000})
    walk.tell("no change keeps the tag", answer, 200, tag=answer.headers["etag"] == before)
    merge = {"Content-Type": "application/merge-patch+json"}
    walk.tell("merge-patch", walk.patch(audience, {"name": "Merged"}, headers=merge), 200)


def walk_400(walk: Walk) -> None:
    audience = walk.create("Old")
    path = f"{walk.audiences}/{audience}"
    before = walk.send("GET", path).body["data"]
    for form, body in BAD_BODIES.items():
        answer = walk.patch(audience, body)
        unchanged = walk.send("GET", path).body["data"] == before
        named = bool((answer.body["error"] or {}).get("issues"))
        walk.tell(form, answer, 400, "VALIDATION_ERROR", issues=named, unchanged=unchanged)
    for query in ("x=1", "name=x", "limit=1"):
        answer = walk.send("PATCH", f"{path}?{query}", b'{"name": "x"}')
        walk.tell(f"query {query}", answer, 400, "VALIDATION_ERROR")
    for id_ in ("x", audience[:-1], audience + "0", audience.upper() + "G", "%00"):
        walk.tell(f"id {id_}", walk.patch(id_, {"name": "x"}), 400, "VALIDATION_ERROR")
    for tag in ("", "x", '"open', "*, *"):
        answer = walk.patch(audience, {"name": "x"}, headers={"If-Match": tag})
        walk.tell(f"If-Match {tag!r}", answer, 400, "VALIDATION_ERROR")


def walk_401_and_403(walk: Walk) -> None:
    places = walk.places
    audience = walk.create("Old")
    bodies = []
    for form, key in (
        ("no key", None), ("not a key", "x"), ("a typo", places.key[:-1] + "_"),
        ("an expired key", places.expired), ("a revoked key", places.revoked),
    ):  # fmt: skip
        answer = walk.patch(audience, {"name": "x"}, key=key)
        bodies.append(answer.body["error"])
        challenge = answer.headers.get("www-authenticate") == 'Bearer realm="longlist"'
        walk.tell(
            form, answer, 401, "UNAUTHORIZED", challenge=challenge, equal=bodies[0] == bodies[-1]
        )
    answer = walk.patch(audience, b"{", key=places.reader)
    context = (answer.body["error"] or {}).get("context")
    needed = context == {"requiredPermission": "audiences:write"}
    walk.tell("without the permission", answer, 403, "FORBIDDEN", context=needed)
    bodies = []
    for group in (places.foreign_group, UNKNOWN, "x", places.group.upper() + "0"):
        answer = walk.send("PATCH", f"/v1/accounts/{group}/audiences/{audience}", b"{")
        bodies.append(answer.body["error"])
        walk.tell(f"account group {group}", answer, 403, "FORBIDDEN", equal=bodies[0] == bodies[-1])


def walk_404(walk: Walk) -> None:
    places = walk.places
    gone = walk.create("Gone")
    walk.send("DELETE", f"{walk.audiences}/{gone}")
    foreign = walk.create("Theirs", key=places.foreign_key, group=places.foreign_group)
    bodies = []
    for form, id_ in (("never issued", UNKNOWN), ("deleted", gone), ("of another group", foreign)):
        answer = walk.patch(id_, {"name": "x"})
        bodies.append(answer.body["error"])
        walk.tell(form, answer, 404, "NOT_FOUND", equal=bodies[0] == bodies[-1])


def walk_412_413_415(walk: Walk) -> None:
    audience = walk.create("Old")
    tag = walk.patch(audience, {"name": "New"}).headers["etag"]
    for stale in ('"stale"', f"W/{tag}"):
        answer = walk.patch(audience, {"name": "x"}, headers={"If-Match": stale})
        current = answer.headers.get("etag") == tag
        walk.tell(f"If-Match {stale}", answer, 412, "PRECONDITION_FAILED", tag=current)
    for good in ("*", f'"x", {tag}'):
        walk.tell(
            f"If-Match {good}",
            walk.patch(audience, {"name": "New"}, headers={"If-Match": good}),
            200,
        )
    over = b'{"name": "x"' + b" " * (1 << 20) + b"}"
    walk.tell("over 1 MiB", walk.patch(audience, over), 413, "PAYLOAD_TOO_LARGE")
    for form, headers in (
        ("text/plain", {"Content-Type": "text/plain"}),
        ("another charset", {"Content-Type": "application/json; charset=latin1"}),
        ("no media type", {"Content-Type": None}),
        ("coded", {"Content-Encoding": "gzip"}),
    ):
        answer = walk.patch(audience, {"name": "x"}, headers=headers)
        accept = "accept-patch" in answer.headers
        walk.tell(form, answer, 415, "UNSUPPORTED_MEDIA_TYPE", accept=accept)


def walk_409(walk: Walk) -> None:
    """By a real import: uploaded, started, and cancelled again."""
    group = f"/v1/accounts/{walk.places.group}"
    upload = walk.send("POST", f"{group}/files", FILE, {"Content-Type": "text/csv"})
    start = {
        "type": "file_import", "fileId": upload.body["data"]["fileId"],
        "mapping": {"E-mail": "email"}, "audienceName": "Filling",
    }  # fmt: skip
    started = walk.send("POST", f"{group}/prospecting", json.dumps(start).encode()).body["data"]
    audience, job = started["audienceId"], started["jobId"]
    stale = {"headers": {"If-Match": '"stale"'}}
    walk.tell("filling, invalid", walk.patch(audience, {}, **stale), 400, "VALIDATION_ERROR")
    walk.tell(
        "filling, stale", walk.patch(audience, {"name": "x"}, **stale), 412, "PRECONDITION_FAILED"
    )
    answer = walk.patch(audience, {"name": "x"})
    context = (answer.body["error"] or {}).get("context", {})
    walk.tell(
        "filling", answer, 409, "AUDIENCE_NOT_READY",
        context=(context.get("audienceId"), context.get("jobId")) == (audience, job),
        retry=answer.headers.get("retry-after") == str(context.get("retryAfterSeconds")),
    )  # fmt: skip
    walk.send("POST", f"{group}/prospecting/{job}/cancel")
    until = time.monotonic() + PATIENCE_S
    while (
        answer := walk.patch(audience, {"name": "Ready"})
    ).status == 409 and time.monotonic() < until:
        time.sleep(0.1)
    walk.tell("ready again", answer, 200)


def walk_422(walk: Walk) -> None:
    taken, other = walk.create("Stra\u00dfe"), walk.create("Other")
    for name in ("Stra\u00dfe", " STRASSE "):
        answer = walk.patch(other, {"name": name})
        context = (answer.body["error"] or {}).get("context")
        known = context == {"existingId": taken}
        walk.tell(f"name {name!a} in use", answer, 422, "AUDIENCE_NAME_TAKEN", context=known)
    walk.tell("its own name in other case", walk.patch(other, {"name": "OTHER"}), 200)


def walk_429(walk: Walk) -> None:
    audience = walk.create("Limited")
    slow = walk.places.slow
    for at in range(3):
        walk.tell(f"request {at + 1} of 3", walk.patch(audience, {"name": f"L{at}"}, key=slow), 200)
    answer = walk.patch(audience, {"name": "x"}, key=slow)
    wait_s = int(answer.headers.get("retry-after", 0))
    walk.tell("request 4 of 3", answer, 429, "RATE_LIMITED", retry=wait_s >= 1)
    time.sleep(wait_s)
    walk.tell("after Retry-After", walk.patch(audience, {"name": "x"}, key=slow), 200)


@contextmanager
def own_server(data: str) -> Iterator[str]:
    """A server on an empty folder, without a worker so that a started import waits; its URL."""
    command = [sys.executable, "-m", "longlist", "serve", "--port", "0", "--api-only"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("LONGLIST_")}
    with (Path(data) / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, text=True,
            env={**environment, "LONGLIST_DATA": data},
        )  # fmt: skip
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if not line.startswith("Longlist listens on "):
            raise SystemExit(f"The server did not start: {(Path(data) / 'server.log').read_text()}")
        yield line.split()[3]
    finally:
        process.send_signal(signal.SIGTERM)
        process.stdout.close()
        process.wait(PATIENCE_S)


def walk_all(url: str, settings: Settings) -> int:
    """Every walk; the exit code."""
    walk = Walk(url, asyncio.run(prepare(settings)))
    for part in (
        walk_200,
        walk_400,
        walk_401_and_403,
        walk_404,
        walk_412_413_415,
        walk_409,
        walk_429,
    ):
        part(walk)
    tidy(walk)
    asyncio.run(require_unique_names(settings, walk.places.group))
    walk_422(walk)
    tidy(walk)
    print(f"{walk.walked} forms walked, {walk.failed} failed.")
    return 1 if walk.failed else 0


def tidy(walk: Walk) -> None:
    """Delete what was walked: unique names can be required only of audiences that have them."""
    while items := walk.send("GET", f"{walk.audiences}?limit=200").body["data"]["items"]:
        for item in items:
            walk.send("DELETE", f"{walk.audiences}/{item['id']}")


def main() -> int:
    parser = argparse.ArgumentParser(description="Walk PATCH audience through every status.")
    parser.add_argument("--url", help="a server that runs; without it the walk starts its own")
    parser.add_argument("--data", help="that server's data folder")
    given = parser.parse_args()
    if bool(given.url) != bool(given.data):
        parser.error("--url and --data go together")
    if given.url:
        return walk_all(given.url, load(data=given.data))
    with tempfile.TemporaryDirectory(prefix="longlist-walk-") as data, own_server(data) as url:
        return walk_all(url, load({}, data=data))


if __name__ == "__main__":
    sys.exit(main())
