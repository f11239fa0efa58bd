"""Health, readiness and the OpenAPI document (contract 13): no key, no rate limit."""

from __future__ import annotations

import asyncio
from typing import Final, Literal

import msgspec

from longlist import openapi
from longlist.context import Context
from longlist.errors import Overloaded
from longlist.health import store
from longlist.operations import Document, Operation, Work


class Health(msgspec.Struct):
    """The server is up, or able to work."""

    status: Literal["ok"] = "ok"


async def get_health(_ctx: Context) -> Health:
    """The process is up; nothing else is touched."""
    return Health()


async def get_readiness(ctx: Context) -> Health:
    """Database, schema and disk are fit, and the server is not stopping."""
    checks = await store.checks_everywhere(ctx.installation, stopping=ctx.installation.stopping)
    if "failed" in checks.values():
        raise Overloaded(5, context={"checks": checks})
    return Health()


async def get_openapi(_ctx: Context) -> Document:
    """The OpenAPI document of this server."""
    # Made at the first call, which takes a tenth of a second.
    body = await asyncio.to_thread(openapi.document_bytes)
    return Document("application/json; charset=utf-8", body)


OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/healthz",
        section="13",
        summary="The process is up",
        handler=get_health,
        answer=Health,
        answer_name="Health",
        public=True,
        work=Work.NONE,
    ),
    Operation(
        method="GET",
        path="/readyz",
        section="13",
        summary="The server can work",
        handler=get_readiness,
        answer=Health,
        answer_name="Health",
        public=True,
        work=Work.NONE,
        errors={503: ("OVERLOADED",)},
    ),
    Operation(
        method="GET",
        path="/openapi.json",
        section="13",
        summary="The OpenAPI document",
        handler=get_openapi,
        answer=None,
        answer_name="",
        public=True,
        work=Work.NONE,
        errors={503: ("OVERLOADED",)},
        streams=("application/json",),
    ),
)
