"""A stand-in for Unipile on this machine: the same routes and shapes, invented people, and faults.

For tests and for trying Longlist without an account:

    python -m longlist.prospecting.sources.unipile.double --port 8099

serves one LinkedIn account (`double-account`, token `double-token`) at http://127.0.0.1:8099. Every
search URL finds the same people; `saved_searches()`, `lead_lists()` and `POSTS` say what else there
is. Routes of its own, without a key:

| route | does |
|---|---|
| `PUT /double/faults` | switches faults on, in place of those before: a JSON list of `Fault` |
| `GET /double/calls` | counts of the calls by route, `{"search": 3}`, faulty ones too |
| `DELETE /double/calls` | counts from 0 again |

What the real service does with a cursor or an id that it does not know is assumed: 400 and 404.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import re
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from longlist.prospecting.sources.unipile import double_people as people
from longlist.prospecting.sources.unipile.double_faults import WIRE, Fault, Faults, altered

TOKEN: Final = "double-token"  # noqa: S105
ACCOUNT_ID: Final = "double-account"
POSTS: Final = ("7300000000000000001", "7300000000000000002")
"""The ids of the posts: one with comments, one without. The social ids are others than those."""

MAX_REQUEST: Final = 1 << 20
_SOCIAL: Final = {f"urn:li:ugcPost:{int(post) + 50}": post for post in POSTS}
_HTML: Final = b"<html><body><h1>Bad gateway</h1></body></html>"
_REASONS: Final = {200: "OK", 302: "Found"}
_ROUTES: Final = (
    ("search", "POST", re.compile(r"/api/v1/linkedin/search")),
    ("parameters", "GET", re.compile(r"/api/v1/linkedin/search/parameters")),
    ("comments", "GET", re.compile(r"/api/v1/posts/([^/]+)/comments")),
    ("post", "GET", re.compile(r"/api/v1/posts/([^/]+)")),
    ("profile", "GET", re.compile(r"/api/v1/users/([^/]+)")),
    ("account", "GET", re.compile(r"/api/v1/accounts/([^/]+)")),
)


class Request(msgspec.Struct):
    """One request, as far as the double looks at it."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


class Refused(Exception):
    """An error as Unipile answers it."""

    def __init__(self, status: int, type_: str) -> None:
        super().__init__(type_)
        self.status = status
        self.type = type_


class Double:
    """The service: `count` invented people of a `seed`. See `running` and `in_thread`."""

    def __init__(
        self, seed: int = 1, count: int = 120, token: str = TOKEN, account_id: str = ACCOUNT_ID
    ) -> None:
        self.people = people.invented(seed, count)
        self.token = token
        self.account_id = account_id
        self.base_url = ""
        self.calls: Counter[str] = Counter()
        self.requests: list[Request] = []
        self.faults = Faults()
        self._numbers = self.faults.numbers
        self._busy: set[asyncio.Task[None]] = set()

    def set_faults(self, *faults: Fault) -> None:
        """Switch faults on, in place of those before."""
        self.faults.set(list(faults))

    def post_url(self, with_comments: bool = True) -> str:
        """The URL of a post, as a browser shows it."""
        post = POSTS[0 if with_comments else 1]
        return f"https://www.linkedin.com/posts/ada-sampleton_invented-activity-{post}-AbCd"

    def saved_searches(self) -> dict[str, str]:
        """Saved searches of the account: id to name. The second one finds nobody."""
        return {"50001": "Heads of sales, Lyon", "50002": "Nobody at all"}

    def lead_lists(self) -> dict[str, str]:
        """Lead lists of the account: id to name."""
        return {"70001": "Trade fair", "70002": "Partners"}

    async def serve(self, host: str, port: int) -> asyncio.Server:
        """Listen; `base_url` is the address from then on."""
        server = await asyncio.start_server(self._connected, host, port)
        self.base_url = f"http://{host}:{server.sockets[0].getsockname()[1]}"
        return server

    async def hang_up(self) -> None:
        """Cut every connection."""
        for task in self._busy:
            task.cancel()
        await asyncio.gather(*self._busy, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # the server makes one for each connection
        self._busy.add(task)
        try:
            request = await _read(reader)
            if request is not None:
                await self._respond(request, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # who asked hung up
        finally:
            self._busy.discard(task)
            writer.close()

    async def _respond(self, request: Request, writer: asyncio.StreamWriter) -> None:
        if request.path.startswith("/double/"):
            await _send(writer, *self._own(request))
            return
        found = _route_of(request)
        if found is None:
            await _send_problem(writer, 404, "errors/resource_not_found")
            return
        route, parts = found
        self.calls[route] += 1
        self.requests.append(request)
        fault = self.faults.take(route, has_cursor="cursor" in request.query)
        if fault is not None and fault.kind in WIRE:
            await _fail(writer, fault, self.base_url)
            return
        try:
            answer = self._answer(route, request, parts)
        except Refused as refused:
            await _send_problem(writer, refused.status, refused.type)
            return
        if fault is not None:
            answer = altered(fault, answer, next(self._numbers))
        await _send(writer, 200, msgspec.json.encode(answer))

    def _own(self, request: Request) -> tuple[int, bytes]:
        match request.method, request.path:
            case "PUT", "/double/faults":
                try:
                    self.faults.set(msgspec.json.decode(request.body, type=list[Fault]))
                except msgspec.DecodeError as error:
                    return 400, msgspec.json.encode({"error": str(error)})
                return 200, b"{}"
            case "GET", "/double/calls":
                return 200, msgspec.json.encode(dict(self.calls))
            case "DELETE", "/double/calls":
                self.calls.clear()
                self.requests.clear()
                return 200, b"{}"
        return 404, b"{}"

    def _answer(self, route: str, request: Request, parts: list[str]) -> dict[str, Any]:
        key = request.headers.get("x-api-key")
        if key is None:
            raise Refused(401, "errors/missing_credentials")
        if key != self.token:
            raise Refused(401, "errors/invalid_credentials")
        account_id = parts[0] if route == "account" else request.query.get("account_id")
        if account_id is None:
            raise Refused(400, "errors/missing_parameters")
        if account_id != self.account_id:
            raise Refused(404, "errors/resource_not_found")
        match route:
            case "account":
                return self._account()
            case "search":
                return self._search(request)
            case "parameters":
                return self._parameters(request)
            case "post":
                return _post(parts[0])
            case "comments":
                return self._comments(parts[0], request)
        return self._profile(parts[0])

    def _account(self) -> dict[str, Any]:
        return {
            "object": "Account",
            "type": "LINKEDIN",
            "id": self.account_id,
            "name": "Ada Sampleton",
            "created_at": "2025-11-03T08:00:00.000Z",
            "connection_params": {"im": {"premiumFeatures": ["sales_navigator"]}},
            "sources": [{"id": f"{self.account_id}_MESSAGING", "status": "OK"}],
        }

    def _search(self, request: Request) -> dict[str, Any]:
        try:
            body = msgspec.json.decode(request.body, type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise Refused(400, "errors/malformed_request") from error
        made, most = people.found_in_classic, 50
        found = self.people
        if "url" in body:
            parts = urlsplit(str(body["url"]))
            if not (parts.hostname or "").endswith("linkedin.com"):
                raise Refused(400, "errors/invalid_url")
        elif body.get("api") == "sales_navigator" and body.get("category") == "people":
            made, most = people.found_in_sales_navigator, 100
            found = self._of_list(body)
        else:
            raise Refused(400, "errors/invalid_parameters")
        start, end, cursor = _window(request, len(found), most)
        return {
            "object": "LinkedinSearch",
            "items": [made(who) for who in found[start:end]],
            "config": {"params": body},
            "paging": {"start": start, "page_count": end - start, "total_count": len(found)},
            "cursor": cursor,
        }

    def _of_list(self, body: dict[str, Any]) -> list[people.Somebody]:
        if "saved_search_id" in body:
            ids, known = [body["saved_search_id"]], self.saved_searches()
        else:
            ids, known = (body.get("lead_lists") or {}).get("include") or [], self.lead_lists()
        if not ids or any(id_ not in known for id_ in ids):
            raise Refused(404, "errors/resource_not_found")
        return [] if "50002" in ids else self.people

    def _parameters(self, request: Request) -> dict[str, Any]:
        lists = {"SAVED_SEARCHES": self.saved_searches(), "LEAD_LISTS": self.lead_lists()}
        found = lists.get(request.query.get("type", ""))
        if found is None or request.query.get("service") != "SALES_NAVIGATOR":
            raise Refused(400, "errors/invalid_parameters")
        return {
            "object": "LinkedinSearchParametersList",
            "items": [
                {"object": "LinkedinSearchParameter", "id": id_, "title": title}
                for id_, title in found.items()
            ],
            "paging": {"page_count": len(found)},
        }

    def _comments(self, social_id: str, request: Request) -> dict[str, Any]:
        post = _SOCIAL.get(social_id)
        if post is None:
            raise Refused(404, "errors/resource_not_found")
        found = self.people if post == POSTS[0] else []
        start, end, cursor = _window(request, len(found), 100)
        return {
            "object": "CommentList",
            "items": [people.comment_of(who, who.at, post) for who in found[start:end]],
            "cursor": cursor,
            "total_items": len(found),
            "paging": {"start": start, "page_count": end - start, "total_count": len(found)},
        }

    def _profile(self, identifier: str) -> dict[str, Any]:
        for who in self.people:
            if identifier in {who.slug, who.id, who.sales_id}:
                return people.profile_of(who)
        raise Refused(404, "errors/resource_not_found")


def _post(id_: str) -> dict[str, Any]:
    for social_id, post in _SOCIAL.items():
        if id_ in {post, social_id}:
            return {
                "object": "Post",
                "provider": "LINKEDIN",
                "id": post,
                "social_id": social_id,
                "share_url": f"https://www.linkedin.com/feed/update/urn:li:activity:{post}",
                "text": "An invented post.",
                "comment_counter": 1,
                "is_repost": False,
            }
    raise Refused(404, "errors/resource_not_found")


def _window(request: Request, total: int, most: int) -> tuple[int, int, str | None]:
    """Where a page starts and ends, and the cursor of the next."""
    limit, start = request.query.get("limit", "10"), 0
    if not limit.isdecimal() or not 1 <= int(limit) <= most:
        raise Refused(400, "errors/invalid_parameters")
    cursor = request.query.get("cursor")
    if cursor is not None and not cursor.startswith(("go-on-", "the-same-again")):
        try:
            start = int(msgspec.json.decode(base64.urlsafe_b64decode(cursor))["start"])
        except (ValueError, KeyError, TypeError, msgspec.DecodeError) as error:
            raise Refused(400, "errors/invalid_parameters") from error
    end = min(total, start + int(limit))
    if end >= total:
        return start, end, None
    following = msgspec.json.encode({"start": end, "limit": int(limit)})
    return start, end, base64.urlsafe_b64encode(following).decode()


def _route_of(request: Request) -> tuple[str, list[str]] | None:
    """The route of a request and what its path names."""
    for route, method, pattern in _ROUTES:
        match = pattern.fullmatch(request.path)
        if match is not None and method == request.method:
            return route, [unquote(part) for part in match.groups()]
    return None


async def _read(reader: asyncio.StreamReader) -> Request | None:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split(" ")
    if len(words) != 3:
        return None
    pairs = (line.partition(":") for line in lines if line)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    length = headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > MAX_REQUEST:
        return None
    body = await reader.readexactly(int(length))
    target = urlsplit(words[1])
    query = {name: values[-1] for name, values in parse_qs(target.query).items()}
    return Request(words[0], target.path, query, headers, body)


async def _send(
    writer: asyncio.StreamWriter,
    status: int,
    body: bytes,
    media_type: str = "application/json",
    more: str = "",
) -> None:
    writer.write(_head(status, media_type, f"Content-Length: {len(body)}\r\n{more}") + body)
    await writer.drain()


def _head(status: int, media_type: str, more: str) -> bytes:
    reason = _REASONS.get(status, "Error")
    head = f"HTTP/1.1 {status} {reason}\r\nContent-Type: {media_type}\r\nConnection: close\r\n"
    return f"{head}{more}\r\n".encode("latin-1")


async def _send_problem(
    writer: asyncio.StreamWriter, status: int, type_: str, more: str = ""
) -> None:
    # The real service quotes what was asked for here, which is why nobody may pass it on.
    problem = {"title": "Error", "detail": "Something of Ada's.", "type": type_, "status": status}
    await _send(writer, status, msgspec.json.encode(problem), more=more)


async def _fail(writer: asyncio.StreamWriter, fault: Fault, base_url: str) -> None:
    match fault.kind:
        case "rate_limit":
            more = "" if fault.retry_after is None else f"Retry-After: {fault.retry_after}\r\n"
            await _send_problem(writer, 429, "errors/too_many_requests", more)
        case "error":
            await _send_problem(writer, fault.status or 500, fault.type)
        case "session_expired":
            await _send_problem(writer, 401, "errors/disconnected_account")
        case "expired_cursor":
            await _send_problem(writer, 400, "errors/invalid_parameters")
        case "reset":
            writer.transport.abort()
        case "hang":
            await asyncio.sleep(3600)
        case "html":
            await _send(writer, fault.status or 200, _HTML, "text/html")
        case "broken_json":
            await _send(writer, 200, b'{"object": "LinkedinSearch", "items": [{"na')
        case "wrong_shape":
            await _send(writer, 200, b'{"object": "LinkedinSearch", "items": {"none": 1}}')
        case "redirect":
            await _send(writer, 302, b"", more=f"Location: {base_url}/api/v1/elsewhere\r\n")
        case "slow" | "huge":
            await _go_on(writer, 1 if fault.kind == "slow" else 1 << 16)


async def _go_on(writer: asyncio.StreamWriter, size: int) -> None:
    """An answer without end, in pieces of `size`; slowly where these are small."""
    writer.write(_head(200, "application/json", ""))
    while True:
        writer.write(b" " * size)
        await writer.drain()
        await asyncio.sleep(0.02 if size == 1 else 0)


@contextlib.asynccontextmanager
async def running(double: Double, port: int = 0) -> AsyncIterator[Double]:
    """The double on 127.0.0.1 in the running loop; port 0 is any free one."""
    server = await double.serve("127.0.0.1", port)
    try:
        yield double
    finally:
        server.close()
        await double.hang_up()


@contextlib.contextmanager
def in_thread(double: Double) -> Iterator[Double]:
    """The double on a free port of 127.0.0.1 in a thread and loop of its own."""
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    ready = threading.Event()

    async def main() -> None:
        async with running(double):
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(main(),), daemon=True)
    thread.start()
    ready.wait(10)
    try:
        yield double
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description="A stand-in for Unipile with invented people.")
    parser.add_argument("--port", type=int, default=0, help="0 is any free one")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--people", type=int, default=120)
    parser.add_argument("--token", default=TOKEN)
    parser.add_argument("--account-id", default=ACCOUNT_ID)
    given = parser.parse_args()
    double = Double(given.seed, given.people, given.token, given.account_id)

    async def serve() -> None:
        async with running(double, given.port):
            sys.stdout.write(f"{double.base_url}\n")
            sys.stdout.flush()
            await asyncio.Event().wait()

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve())


if __name__ == "__main__":
    main()
