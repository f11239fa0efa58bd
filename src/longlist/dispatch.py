"""From an admitted request to its answer: inputs decoded, transaction run, answer encoded.

Guards from 404 on and the work itself run in one transaction, and it is committed before a byte of
the answer leaves. A stored idempotency key is settled first inside it (contract 1.5).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final

import msgspec

from longlist import decoding, idempotency, strict_json
from longlist.context import Context
from longlist.errors import LonglistError, ValidationFailed
from longlist.operations import Answer, Document, Operation, Stream, Work
from longlist.preconditions import IfMatch, IfNoneMatch

if TYPE_CHECKING:
    from longlist.context import Installation
    from longlist.db import Transaction
    from longlist.request import Request

POLL_S: Final = 0.2
_encode: Final = msgspec.json.Encoder().encode


class Reply(msgspec.Struct):
    """What is sent: `data` is JSON for the envelope, `error` stands in its place."""

    status: int
    data: bytes = b"null"
    headers: dict[str, str] = {}
    error: LonglistError | None = None
    document: Document | None = None
    stream: Stream | None = None
    closing: AsyncExitStack | None = None
    """Ends the snapshot of a stream once it is sent."""


class NoQuery(decoding.Query):
    """Of an operation without query parameters: any that is sent is unknown."""


class Call:
    """One request to one operation, with its inputs decoded."""

    __slots__ = ("args", "ctx", "key", "known", "operation", "request", "request_hash")

    def __init__(self, ctx: Context, request: Request, operation: Operation) -> None:
        self.ctx, self.request, self.operation = ctx, request, operation
        self.args: list[Any] = []
        self.key: str | None = None
        self.request_hash = b""
        self.known: IfNoneMatch | None = None
        """The tags of If-None-Match: what the caller has already."""


class Dispatcher:
    """Runs operations. Decoders are made once, when the operations are known."""

    def __init__(self, installation: Installation, operations: tuple[Operation, ...]) -> None:
        self._installation = installation
        self._db = installation.db
        self._bodies: dict[str, Callable[[Any], Any]] = {}
        self._queries: dict[str, Callable[[bytes], Any]] = {}
        for operation in operations:
            if operation.body is not None:
                self._bodies[operation.id] = decoding.compile(operation.body).decode
            if not operation.public:
                query = operation.query or NoQuery
                self._queries[operation.id] = decoding.compile_query(query).decode

    async def perform(
        self, request: Request, operation: Operation, group: bytes, values: list[str]
    ) -> Reply:
        """The reply to an admitted request. `values` are those of the path's parameters."""
        try:
            call = await self._decode(request, operation, group, values)
        except ValidationFailed as error:
            if operation.invalid_status == error.status:
                raise
            raise error.as_unprocessable() from error
        if operation.receive is not None:
            # What was received is kept or thrown away by how the work on it ends.
            async with operation.receive(call.ctx, request, *call.args) as received:
                call.args.append(received)
                self._fingerprint(call, received.fingerprint)
                return await self._perform(call)
        return await self._perform(call)

    async def _perform(self, call: Call) -> Reply:
        if call.operation.work is Work.SNAPSHOT:
            return await self._stream(call)
        wait_s = getattr(call.args[-1], "wait", None) if call.args else None
        answer = await self._answer(call)
        if wait_s:
            answer = await self._wait(call, answer, wait_s)
        return answer if isinstance(answer, Reply) else self._reply(call, answer)

    async def _decode(
        self, request: Request, operation: Operation, group: bytes, values: list[str]
    ) -> Call:
        raw = b""
        if operation.has_body:
            request.check_media_type(operation)
            if operation.body is not None:
                raw = await request.body(operation.body_limit)
        else:
            await request.no_body(operation)
        ctx = Context(
            self._installation,
            group,
            key=request.key,
            trace_id=request.trace_id,
            operation=":".join((operation.id, *values)),
            accept=",".join(request.header_values(b"accept")) if operation.streams else "",
        )
        call = Call(ctx, request, operation)
        for name, value in zip(operation.parameters, values, strict=True):
            if name in operation.ids:
                call.args.append(decoding.path_id(value, name))
            elif name in operation.texts:
                call.args.append(decoding.path_text(value, name, operation.texts[name]))
        query = self._query(call)
        if query is not None:
            call.args.append(query)
        self._headers(call)
        loaded: Any = None
        if operation.body is not None:
            loaded = strict_json.loads(raw)
            call.args.append(self._bodies[operation.id](loaded))
        self._fingerprint(call, loaded)
        return call

    def _query(self, call: Call) -> Any:
        decode = self._queries.get(call.operation.id)
        if decode is None:
            return None
        query = decode(call.request.query)
        return None if isinstance(query, NoQuery) else query

    @staticmethod
    def _headers(call: Call) -> None:
        operation, request = call.operation, call.request
        if operation.method == "POST":
            call.key = idempotency.key_of(request.header_values(b"idempotency-key"))
        if not operation.tagged or not operation.takes_if_match:
            return
        if operation.method == "GET":
            if values := request.header_values(b"if-none-match"):
                call.known = IfNoneMatch(values)
        elif values := request.header_values(b"if-match"):
            call.ctx.if_match = IfMatch(values)

    @staticmethod
    def _fingerprint(call: Call, body: Any) -> None:
        if call.key is None:
            return
        request = call.request
        call.request_hash = idempotency.fingerprint(
            request.method, request.path.decode("latin-1"), request.query, body
        )

    async def _answer(self, call: Call) -> Answer | Reply:
        work, db = call.operation.work, self._db
        reads = db.reads if call.operation.method == "GET" else db
        if call.operation.rehearses and call.operation.rehearses(call.args[-1]):
            return await db.read_long(_run, call)
        match work:
            case Work.NONE:
                return _as_answer(await call.operation.handler(call.ctx, *call.args))
            case Work.READ if not (
                call.operation.long_if and call.operation.long_if(call.args[-1])
            ):
                return await reads.read(_run, call)
            case Work.READ:
                return await reads.read_long(_run, call)
            case Work.READ_LONG:
                return await reads.read_long(_run, call)
            case Work.WRITE_SINGLE if call.key is None:
                return await db.write_single(_run, call)
            case Work.WRITE_LONG:
                return await db.write_long(_run_once, call)
            case _:
                return await db.write(_run_once, call)

    async def _wait(self, call: Call, answer: Answer | Reply, wait_s: int) -> Answer | Reply:
        """Look again until the answer is no longer pending or `wait_s` seconds are over."""
        loop = asyncio.get_running_loop()
        until = loop.time() + wait_s
        while isinstance(answer, Answer) and answer.pending and loop.time() < until:
            if self._installation.stopping:
                break
            await asyncio.sleep(min(POLL_S, max(0.0, until - loop.time())))
            answer = await self._answer(call)
        return answer

    async def _stream(self, call: Call) -> Reply:
        async with AsyncExitStack() as stack:
            # Handlers of streams read alone: a snapshot has all they use of a transaction.
            snapshot: Any = await stack.enter_async_context(self._db.reads.snapshot())
            call.ctx.tx = snapshot
            found = await call.operation.handler(call.ctx, *call.args)
            if isinstance(found, Stream):
                # The snapshot stays open for as long as the stream is being sent.
                return Reply(
                    call.operation.status, headers=found.headers, stream=found,
                    closing=stack.pop_all(),
                )  # fmt: skip
            return self._reply(call, _as_answer(found))

    @staticmethod
    def _reply(call: Call, answer: Answer) -> Reply:
        headers = _headers_of(answer)
        if isinstance(answer.data, Document):
            return Reply(call.operation.status, headers=headers, document=answer.data)
        if answer.etag is not None and call.known and call.known.matches(answer.etag):
            return Reply(304, headers=headers)
        return Reply(answer.status or call.operation.status, _encode(answer.data), headers)


def _as_answer(found: Any) -> Answer:
    return found if isinstance(found, Answer) else Answer(found)


def _headers_of(answer: Answer) -> dict[str, str]:
    if answer.etag is None:
        return answer.headers
    return {"ETag": answer.etag, **answer.headers}


async def _run(tx: Transaction, call: Call) -> Answer:
    call.ctx.tx = tx
    return _as_answer(await call.operation.handler(call.ctx, *call.args))


async def _run_once(tx: Transaction, call: Call) -> Answer | Reply:
    """As `_run`, with the stored answer in place of a second effect under an idempotency key."""
    if call.key is None:
        return await _run(tx, call)
    ctx, operation = call.ctx, call.operation
    ctx.tx = tx
    stored = await idempotency.find(ctx, call.key, call.request_hash)
    if stored is not None:
        headers = {**stored.headers, "Idempotency-Replayed": "true"}
        if operation.replay is not None:
            answer: Answer = await operation.replay(ctx, stored)
            return Reply(
                answer.status or operation.status,
                _encode(answer.data),
                {**_headers_of(answer), **headers},
            )
        return Reply(stored.status, bytes(stored.data), headers)
    answer = await _run(tx, call)
    status, data = answer.status or operation.status, _encode(answer.data)
    headers = _headers_of(answer)
    raw = data if answer.kept is None else _encode(answer.kept)
    kept = idempotency.Stored(status, msgspec.Raw(raw), headers, answer.resource_id)
    await idempotency.store(ctx, call.key, call.request_hash, kept)
    return Reply(status, data, headers)
