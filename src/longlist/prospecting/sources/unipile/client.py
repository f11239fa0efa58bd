"""Calls to Unipile for one connected LinkedIn account.

From the documentation of version 1 of Unipile's API: the paths and parameters below; the token in
`X-API-KEY`; `account_id` in the query; lists as `{"object", "items", "cursor"}` with the next page
asked for by `cursor` beside the same body; `limit` from 1 to 100; the body forms `{"url"}` and
`{"api": "sales_navigator", "category": "people", "saved_search_id" | "lead_lists"}`; the types
SAVED_SEARCHES and LEAD_LISTS of search parameters; comments only by the `social_id` of the post;
sections of a profile by repeated `linkedin_sections`.

Assumed, for the documentation does not say: that classic searches take no more than 50 at once;
that a list of search parameters may have a cursor like the other lists (it is followed if there is
one); that an account's `sources[].status` is `OK` while it works.

One call at a time goes out for an account in a process, as a person would act: LinkedIn watches for
more, and profiles of other people were seen in answers to calls made side by side. Nothing is
logged but what kind of call met what kind of fault.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote
from weakref import WeakValueDictionary

import httpx2
import msgspec

from longlist.prospecting.sources.unipile.faults import (
    NO_ANSWER,
    NOT_JSON,
    NOT_UNIPILE,
    TOO_LARGE,
    UNKNOWN_ACCOUNT,
    WRONG_SHAPE,
    Kind,
    UnipileFailed,
    decoded,
    failure_of,
)

CLASSIC_LIMIT: Final = 50
PAGE_LIMIT: Final = 100
MAX_ITEMS: Final = 1_000
MAX_CURSOR_CHARS: Final = 16_384
MAX_PARAMETER_PAGES: Final = 10

_PROFILE_SECTIONS: Final = ("experience", "about")

_log = logging.getLogger("longlist.sources.unipile")
# At INFO it logs every URL, and a profile's URL has the person's name in it.
logging.getLogger("httpx2").setLevel(logging.WARNING)
logging.getLogger("httpcore2").setLevel(logging.WARNING)

_Params = Sequence[tuple[str, str]]

_turns: WeakValueDictionary[tuple[object, str, str], asyncio.Lock] = WeakValueDictionary()


def _jitter(most_s: float) -> float:
    return random.uniform(0.0, most_s)  # noqa: S311 - spreads retries, keeps no secret


class Pace(msgspec.Struct, frozen=True):
    """How long to wait for answers, how often and how long to try; in seconds.

    `silence_s` is the longest pause inside an answer, `answer_s` the longest time for a whole one.
    A pause before try n is drawn from 0 to `base_s` * 2^(n-1), at most `pause_s` (full jitter).
    What Retry-After asks for is waited in full, or, beyond `retry_after_s`, not at all. No try
    begins after `total_s`. The functions are there to be replaced in tests.
    """

    tries: int = 5
    base_s: float = 1.0
    pause_s: float = 20.0
    retry_after_s: float = 60.0
    total_s: float = 180.0
    connect_s: float = 10.0
    silence_s: float = 30.0
    answer_s: float = 60.0
    max_bytes: int = 8 * 1024 * 1024
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    clock: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    jitter: Callable[[float], float] = _jitter


BRIEF: Final = Pace(tries=2, pause_s=2.0, retry_after_s=2.0, total_s=10.0, answer_s=10.0)
"""For calls that somebody waits for."""


class Answer(msgspec.Struct):
    """One page of a list, and the cursor of the next; None after the last."""

    items: list[Any]
    cursor: str | None


class UnipileClient:
    """One account at one address; use it as an async context manager.

    Every call raises UnipileFailed, after retries where the fault may pass. A call that is
    cancelled hangs up at once, also while it pauses.
    """

    def __init__(
        self, base_url: str, token: str, account_id: str, pace: Pace | None = None
    ) -> None:
        if not (token and token.isascii() and token.isprintable()):
            raise UnipileFailed(Kind.ACCOUNT, "The token has characters that no token has.")
        self._base_url = base_url
        self._account_id = account_id
        self._pace = pace or Pace()
        host = httpx2.URL(base_url).host
        self._http = httpx2.AsyncClient(
            headers={
                "X-API-KEY": token,
                "Accept": "application/json",
                # The bytes that count against the bound are then the bytes that came.
                "Accept-Encoding": "identity",
                "User-Agent": "longlist",
            },
            timeout=httpx2.Timeout(self._pace.silence_s, connect=self._pace.connect_s),
            follow_redirects=False,
            # A proxy of the environment is for the outside.
            trust_env=not is_private(host),
        )
        self._turn: asyncio.Lock | None = None

    def __repr__(self) -> str:
        return f"UnipileClient({self._base_url!r})"

    async def __aenter__(self) -> Self:
        place = (asyncio.get_running_loop(), self._base_url, self._account_id)
        self._turn = _turns.setdefault(place, asyncio.Lock())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.aclose()

    async def account(self) -> dict[str, Any]:
        """The account as Unipile sees it: asks LinkedIn nothing."""
        try:
            return await self._ask("GET", f"accounts/{_segment(self._account_id)}", [])
        except UnipileFailed as failure:
            if failure.kind is not Kind.MISSING:
                raise
            raise UnipileFailed(Kind.ACCOUNT, UNKNOWN_ACCOUNT) from failure

    async def search(
        self, body: Mapping[str, Any], *, limit: int, cursor: str | None = None
    ) -> Answer:
        """One page of a search, `body` being one of the forms that the documentation has."""
        found = await self._ask("POST", "linkedin/search", self._page(limit, cursor), body)
        return _answer(found)

    async def parameters(self, type_: str) -> list[tuple[str, str]]:
        """Id and name of every search parameter of a type of Sales Navigator's, up to 1,000."""
        entries: list[tuple[str, str]] = []
        cursor: str | None = None
        for _ in range(MAX_PARAMETER_PAGES):
            params = [
                *self._page(PAGE_LIMIT, cursor), ("type", type_), ("service", "SALES_NAVIGATOR"),
            ]  # fmt: skip
            answer = _answer(await self._ask("GET", "linkedin/search/parameters", params))
            for item in answer.items:
                id_ = item.get("id") if isinstance(item, dict) else None
                title = item.get("title") if isinstance(item, dict) else None
                if not isinstance(id_, str) or not isinstance(title, str):
                    raise UnipileFailed(Kind.UNREADABLE, WRONG_SHAPE)
                entries.append((id_, title))
            if answer.cursor is None:
                return entries
            cursor = answer.cursor
        raise UnipileFailed(Kind.UNREADABLE, TOO_LARGE)

    async def post(self, post_id: str) -> dict[str, Any]:
        """A post by the id that stands in its URL."""
        return await self._ask("GET", f"posts/{_segment(post_id)}", self._of_account())

    async def comments(self, social_id: str, *, limit: int, cursor: str | None = None) -> Answer:
        """One page of the comments on a post, replies to them left out."""
        path = f"posts/{_segment(social_id)}/comments"
        return _answer(await self._ask("GET", path, self._page(limit, cursor)))

    async def profile(self, identifier: str) -> dict[str, Any]:
        """A person by public identifier or provider id. LinkedIn tells them nothing of it."""
        sections = [("linkedin_sections", section) for section in _PROFILE_SECTIONS]
        params = [*self._of_account(), *sections]
        return await self._ask("GET", f"users/{_segment(identifier)}", params)

    def _of_account(self) -> list[tuple[str, str]]:
        return [("account_id", self._account_id)]

    def _page(self, limit: int, cursor: str | None) -> list[tuple[str, str]]:
        params = [*self._of_account(), ("limit", str(limit))]
        return params if cursor is None else [*params, ("cursor", cursor)]

    async def _ask(
        self, method: str, path: str, params: _Params, body: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        pace = self._pace
        begun = pace.clock()
        for tried in range(1, pace.tries + 1):
            try:
                return await self._once(method, path, params, body)
            except UnipileFailed as failure:
                pause = self._pause(failure, tried, pace.clock() - begun)
                route = path.partition("/")[0]
                _log.info("%s %s: %s, try %d", method, route, failure.kind.value, tried)
                if pause is None:
                    raise
            await pace.sleep(pause)
        raise AssertionError("the last try returns or raises")

    def _pause(self, failure: UnipileFailed, tried: int, spent_s: float) -> float | None:
        """How long to wait before the next try; None where there is none."""
        pace = self._pace
        if not failure.passes or tried >= pace.tries:
            return None
        asked_s = failure.retry_after_s
        if asked_s is None:
            pause = pace.jitter(min(pace.pause_s, pace.base_s * 2 ** (tried - 1)))
        elif asked_s > pace.retry_after_s:
            return None
        else:
            pause = asked_s + pace.jitter(pace.base_s)
        return pause if spent_s + pause <= pace.total_s else None

    async def _once(
        self, method: str, path: str, params: _Params, body: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        assert self._turn is not None  # the client is used inside its context
        try:
            async with self._turn, asyncio.timeout(self._pace.answer_s):
                status, headers, content = await self._exchange(method, path, params, body)
        except (TimeoutError, httpx2.RequestError) as error:
            raise UnipileFailed(Kind.UNAVAILABLE, NO_ANSWER, passes=True) from error
        if not 200 <= status < 300:
            raise failure_of(status, content, headers.get("retry-after"), self._pace.wall())
        try:
            found = decoded(content)
        except ValueError as error:
            raise UnipileFailed(Kind.UNAVAILABLE, NOT_JSON, passes=True) from error
        if not isinstance(found, dict):
            raise UnipileFailed(Kind.UNREADABLE, WRONG_SHAPE)
        return found

    async def _exchange(
        self, method: str, path: str, params: _Params, body: Mapping[str, Any] | None
    ) -> tuple[int, httpx2.Headers, bytes]:
        async with self._http.stream(
            method,
            f"{self._base_url}/api/v1/{path}",
            params=httpx2.QueryParams(list(params)),
            json=body,
        ) as response:
            if response.headers.get("content-encoding", "identity") != "identity":
                raise UnipileFailed(Kind.UNREADABLE, NOT_UNIPILE)
            content = bytearray()
            async for chunk in response.aiter_raw():
                content += chunk
                if len(content) > self._pace.max_bytes:
                    raise UnipileFailed(Kind.UNREADABLE, TOO_LARGE)
            return response.status_code, response.headers, bytes(content)


def is_private(host: str) -> bool:
    """Whether a host is on this machine or network by its name or address; nothing is resolved."""
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        name = host.lower().removesuffix(".")
        return "." not in name or name.endswith((".localhost", ".local", ".internal", ".home.arpa"))
    return address.is_private and not address.is_link_local and not address.is_unspecified


def _segment(value: str) -> str:
    return quote(value, safe="")


def _answer(found: dict[str, Any]) -> Answer:
    items, cursor = found.get("items"), found.get("cursor")
    if (
        not isinstance(items, list)
        or len(items) > MAX_ITEMS
        or not isinstance(cursor, str | None)
        or len(cursor or "") > MAX_CURSOR_CHARS
    ):
        raise UnipileFailed(Kind.UNREADABLE, WRONG_SHAPE)
    return Answer(items, cursor or None)
