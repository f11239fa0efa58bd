"""What no one cluster can answer: asked of all of them, and put together.

A key that reaches groups of several clusters is in each of them. Those that do not know it answer
401 and are left out; if all do, that is the answer. One that cannot be asked makes the answer 503:
a list that leaves out a cluster would look like the whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from longlist.accounts.routes import Account, ListAccounts, Me
from longlist.decoding import compile_query
from longlist.dispatch import NoQuery
from longlist.errors import Forbidden, Overloaded, ValidationFailed
from longlist.front import cursors
from longlist.front.forwarding import request_head
from longlist.front.upstream import Away, Broken, Header
from longlist.pages import Page

if TYPE_CHECKING:
    from longlist.front.clusters import Clusters, Member
    from longlist.operations import Operation
    from longlist.request import Request

_ASK_S: Final = 10.0
_ANSWER_BYTES: Final = 4 << 20
_MOST_ITEMS: Final = 200
_RATE: Final = "x-ratelimit-remaining"
_PASSED_ON: Final = frozenset(
    (
        "ratelimit", "ratelimit-policy", "retry-after", "www-authenticate", "x-ratelimit-limit",
        "x-ratelimit-remaining", "x-ratelimit-reset",
    )
)  # fmt: skip

_decode_query: Final = compile_query(ListAccounts).decode
_decode_nothing: Final = compile_query(NoQuery).decode


class Gathered(msgspec.Struct):
    """An answer put together: `data` of the envelope, and headers."""

    data: bytes
    headers: dict[str, str]


class Reply(msgspec.Struct):
    """What one cluster answered."""

    member: str
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def passed_on(self) -> dict[str, str]:
        """The headers that go with it where it is the answer."""
        return {name: value for name, value in self.headers.items() if name in _PASSED_ON}

    @property
    def knows_key(self) -> bool:
        """Whether it comes from a cluster that has the key.

        Where bad keys are too many the status is 429 without a rate: a key that is good elsewhere
        counts as bad here.
        """
        return self.status != 401 and not (self.status == 429 and _RATE not in self.headers)

    def data(self, kind: Any) -> Any:
        """`data` of the envelope. Raises Overloaded for what is none."""
        try:
            raw = msgspec.json.decode(self.body, type=_Envelope).data
            return msgspec.json.decode(raw, type=kind)
        except msgspec.MsgspecError as error:
            raise Overloaded from error


class _Envelope(msgspec.Struct):
    data: msgspec.Raw


class Refusal(Exception):
    """A cluster's own refusal is the answer."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


async def ask(clusters: Clusters, member: Member, target: bytes, headers: list[Header]) -> Reply:
    """What a cluster answers to a GET. Raises Overloaded."""
    pool = member.pool
    data = request_head("GET", target, pool, headers)
    with clusters.room(member):
        for fresh in (False, True):
            try:
                async with asyncio.timeout(_ASK_S):
                    wire, used = await pool.take(fresh=fresh)
                    try:
                        wire.begin(data, is_head=False, expects=False)
                        head = await wire.head()
                        body = b""
                        async for part in wire.body():
                            body += part
                            if len(body) > _ANSWER_BYTES:
                                raise Broken("The answer is too long.")
                    finally:
                        pool.give_back(wire)
            except (Away, Broken, TimeoutError) as error:
                if isinstance(error, Broken) and used and not fresh:
                    continue
                raise Overloaded from error
            found = {name.decode(): value.decode("latin-1") for name, value in head.headers}
            return Reply(member.name, head.status, found, body)
    raise AssertionError("unreachable")


class Gathering:
    """One request, asked of every cluster. `headers` are those that go on to them."""

    def __init__(
        self, clusters: Clusters, request: Request, headers: list[Header], secret: bytes
    ) -> None:
        self._clusters = clusters
        self._request = request
        self._secret = secret
        # Each is asked what it has now, in a form that can be put together.
        kept = (b"authorization", b"traceparent", b"tracestate", b"x-forwarded-for")
        self._headers = [header for header in headers if header[0] in kept]
        self._rates: list[Reply] = []

    async def answer(self, operation: Operation) -> Gathered:
        """The answer to `GET /v1/accounts` or `GET /v1/me`.

        Raises LonglistError.
        """
        try:
            await self._request.no_body(operation)
            query = None
            if operation.query is ListAccounts:
                query = _decode_query(self._request.query)
            else:
                _decode_nothing(self._request.query)
            state = cursors.read(self._secret, query.cursor) if query and query.cursor else None
        except ValidationFailed as error:
            # Whoever has no valid key is told nothing else.
            await self._ask_all(b"/v1/me")
            error.headers.update(self._rate_headers())
            raise
        if query is None:
            replies = await self._ask_all(b"/v1/me")
            data = msgspec.json.encode(_one_me([reply.data(Me) for reply in replies]))
        else:
            data = msgspec.json.encode(await self._page(query.limit, state))
        return Gathered(data, self._rate_headers())

    async def judge_stranger(self, operation: Operation) -> Forbidden:
        """What refuses a request for a group that has no entry. Raises Refusal and Overloaded."""
        replies = await self._ask_all(b"/v1/me")
        permissions = set(_one_me([reply.data(Me) for reply in replies]).permissions)
        if operation.permission is not None and operation.permission not in permissions:
            error = Forbidden.permission(operation.permission)
        else:
            error = Forbidden.account_group()
        error.headers.update(self._rate_headers())
        return error

    async def _ask_all(self, target: bytes) -> list[Reply]:
        members = await self._clusters.all()
        if not members:
            raise Overloaded
        return self._admitted(
            await asyncio.gather(
                *(ask(self._clusters, member, target, self._headers) for member in members)
            )
        )

    def _admitted(self, replies: list[Reply]) -> list[Reply]:
        """The answers of clusters that know the key. Raises Refusal where one refuses it."""
        knowing = [reply for reply in replies if reply.knows_key]
        if not knowing:
            raise Refusal(max(replies, key=lambda reply: reply.status))
        self._rates += knowing
        for reply in sorted(knowing, key=lambda reply: reply.status, reverse=True):
            if reply.status != 200:
                raise Refusal(reply)
        return knowing

    def _rate_headers(self) -> dict[str, str]:
        """Those of the cluster in which the key has the fewest tokens left."""
        if not self._rates:
            return {}
        least = min(self._rates, key=lambda reply: int(reply.headers.get(_RATE, "0")))
        return {name: value for name, value in least.headers.items() if "ratelimit" in name}

    async def _page(self, limit: int, state: cursors.State | None) -> Page[Account]:
        state = state or cursors.State()
        members = await self._clusters.all()
        if not members:
            raise Overloaded
        walks = [Walk(member.name, state) for member in members]
        first = await asyncio.gather(
            *(self._fetch(member, walk, limit) for member, walk in zip(members, walks, strict=True))
        )
        knowing = {reply.member for reply in self._admitted(list(first))}
        walks = [walk for walk in walks if walk.name in knowing]
        by_name = {member.name: member for member in members}
        for walk, reply in zip(walks, [r for r in first if r.member in knowing], strict=True):
            walk.take(reply.data(Page[Account]))
            while walk.goes_on and len(walk.fresh) < limit:
                more = await self._fetch(by_name[walk.name], walk, limit)
                (more,) = self._admitted([more])
                walk.take(more.data(Page[Account]))
        merged = Walk.merged(walks, limit)
        if merged.state is None:
            return Page(merged.items)
        return Page(merged.items, cursors.write(self._secret, merged.state), True)

    async def _fetch(self, member: Member, walk: Walk, limit: int) -> Reply:
        # Those of the page before that were not shown yet are met again.
        target = b"/v1/accounts?limit=%d" % min(_MOST_ITEMS, limit + 1)
        if walk.cursor:
            target += b"&cursor=" + walk.cursor.encode()
        return await ask(self._clusters, member, target, self._headers)


class Merged(NamedTuple):
    """A page of several walks, and where they go on; None at their end."""

    items: list[Account]
    state: cursors.State | None


class Walk:
    """A walk through the groups of one cluster, from where the page before has left it.

    A page of the cluster is left behind only once all of it was shown. What was shown of it is met
    again and passed over, by its place in the common order: so a group that has moved from one
    cluster to another between two pages is neither missed nor shown twice.
    """

    def __init__(self, name: str, state: cursors.State) -> None:
        self.name = name
        self.cursor = state.cursors.get(name, "")
        self.goes_on = False
        self.fresh: list[Account] = []
        self._before = state.before
        self._ends: list[tuple[str, str]] = []

    def take(self, page: Page[Account]) -> None:
        """Add a page of the cluster."""
        self.fresh += [a for a in page.items if not self._before or a.id < self._before]
        self.goes_on = page.next_cursor is not None
        if page.next_cursor is not None:
            last = page.items[-1].id if page.items else self._before
            self._ends.append((last, self.cursor))
            self.cursor = page.next_cursor
        else:
            self._ends.append(("", self.cursor))

    def cursor_after(self, last: str) -> str:
        """The cursor of the page that has the first group after `last`; empty for the first."""
        for end, cursor in self._ends:
            if end < last:
                return cursor
        return self.cursor

    @staticmethod
    def merged(walks: Sequence[Walk], limit: int) -> Merged:
        """The next page of all of them."""
        every = {account.id: account for walk in walks for account in walk.fresh}
        found = sorted(every.values(), key=lambda account: account.id, reverse=True)
        items = found[:limit]
        if len(found) == len(items) and not any(walk.goes_on for walk in walks):
            return Merged(items, None)
        last = items[-1].id
        after = {walk.name: cursor for walk in walks if (cursor := walk.cursor_after(last))}
        return Merged(items, cursors.State(last, after))


def _one_me(found: list[Me]) -> Me:
    """One key out of its rows in several clusters: what holds in all of them."""
    one = found[0]
    groups = {group.id: group for me in found for group in me.account_groups}
    one.account_groups = sorted(groups.values(), key=lambda group: group.id, reverse=True)
    one.permissions = sorted(set.intersection(*(set(me.permissions) for me in found)))
    one.rate_limit.per_minute = min(me.rate_limit.per_minute for me in found)
    one.rate_limit.burst = min(me.rate_limit.burst for me in found)
    one.expires_at = min((me.expires_at for me in found if me.expires_at), default=None)
    one.last_used_at = max((me.last_used_at for me in found if me.last_used_at), default=None)
    return one
