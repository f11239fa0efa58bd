"""People-search sources of an account group: listed, added, tested, removed.

A token goes in and is never shown again. What reads the server's own files and databases, which is
a directory, is added on the server alone: the pages would otherwise be a way to read them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import msgspec

from longlist.admin import words
from longlist.admin.visit import Redirect, Reply, View, Visit, invalid
from longlist.context import Context
from longlist.db import DatabaseAway
from longlist.errors import UpstreamError
from longlist.prospecting import source_store as sources
from longlist.prospecting import source_tokens as tokens
from longlist.prospecting.source_store import StoredSource
from longlist.prospecting.sources import registry
from longlist.prospecting.sources.providers import Forgets, Provider, ProviderFailed, SetUp
from longlist.telemetry import log, place_of
from longlist.text import BadText, one_line

T = TypeVar("T")
OF_THE_SERVER: Final = frozenset({"directory"})
"""Providers that read what is on the server's machine."""
ASK_S: Final = 25.0
"""A page is not waited for much longer."""
_MOST_SETTINGS: Final = 50


class Shown(msgspec.Struct):
    """A source and its provider, None where that is not installed or broken."""

    source: StoredSource
    provider: Provider | None


async def list_sources(visit: Visit) -> Reply:
    """The sources of the group, oldest first."""
    found = await visit.read(sources.list_all)
    values = {
        "sources": [Shown(source, registry.find(source.provider)) for source in found],
        "note": visit.parameter("note"),
    }
    return View("sources.html", values)


def _offered() -> list[str]:
    return [name for name in registry.names() if name not in OF_THE_SERVER]


async def show_new(visit: Visit) -> Reply:
    """The form of a new source, or the choice of its provider where there are several."""
    offered = _offered()
    chosen = visit.parameter("provider") or (offered[0] if len(offered) == 1 else "")
    provider = registry.find(chosen) if chosen in offered else None
    return View("source_new.html", {"offered": offered, "provider": provider})


async def add(visit: Visit) -> Reply:
    """Set a provider up for the group. What it cannot take in is taken out again."""
    form = visit.form
    name = form.get("provider")
    provider = registry.find(name) if name in _offered() else None
    if provider is None:
        raise invalid("provider", "Choose a provider.")
    try:
        called = one_line(form.get("name"), 255)
    except BadText as error:
        raise invalid("name", f"The name cannot be used. {error.message}") from None
    token = form.get("token").strip() or None
    if token is None and provider.needs_token:
        raise invalid("token", "This provider needs a token.")
    if token is not None and not tokens.is_usable(token):
        raise invalid("token", tokens.FORM)
    try:
        settings = provider.check(_settings(visit, name))
    except ValueError as error:
        raise invalid("settings", str(error)) from None
    assert visit.group is not None
    visit.act = ("source.added", f"{called}, {visit.group.name}")
    try:
        made = await visit.change(_add, called, provider, settings, token)
    except sources.SourceRefused as refused:
        raise invalid("name", str(refused)) from None
    visit.act = None
    try:
        await _ask(visit, provider.load, made, provider)
    except BaseException:
        await _take_out(visit, made, provider)
        raise
    return Redirect(f"{visit.here}/sources?note=added")


def _settings(visit: Visit, provider: str) -> dict[str, str]:
    """The fields that are known of a provider, or lines of KEY=VALUE. Raises ValidationFailed."""
    form = visit.form
    if provider in words.PROVIDER_FIELDS:
        names = [field.name for field in words.PROVIDER_FIELDS[provider]]
        return {name: value for name in names if (value := form.get(f"set.{name}").strip())}
    given: dict[str, str] = {}
    for line in filter(None, map(str.strip, form.get("settings").splitlines()[:_MOST_SETTINGS])):
        key, equals, value = line.partition("=")
        if not equals or not key or key in given:
            raise invalid("settings", "Write each setting once, on a line, as KEY=VALUE.")
        given[key] = value
    return given


async def _add(
    ctx: Context, name: str, provider: Provider, settings: dict[str, str], token: str | None
) -> StoredSource:
    return await sources.add(ctx, name=name, provider=provider, settings=settings, token=token)


async def _ask(
    visit: Visit,
    call: Callable[..., Awaitable[T]],
    source: StoredSource,
    provider: Provider,
    *,
    with_token: bool = True,
    wait_s: float | None = ASK_S,
) -> T:
    """What a provider answers, outside any transaction. Raises UpstreamError with its sentence."""
    set_up = SetUp(source.id, source.name, source.provider, source.settings)
    try:
        if with_token:
            set_up = source.opened(visit.installation)
        async with asyncio.timeout(wait_s):
            return await call(visit.installation, source.group, set_up)
    except tokens.TokenUnreadable as unreadable:
        raise _failed(str(unreadable)) from None
    except ProviderFailed as failed:
        later = "" if failed.retry_after_s is None else f" Try again in {failed.retry_after_s} s."
        raise _failed(f"{failed}{later}") from None
    except TimeoutError:
        raise _failed(f"{provider.name} gave no answer within {ASK_S:.0f} s.") from None
    except DatabaseAway:
        raise
    except Exception as error:
        log.error(
            "provider broke",
            trace_id=visit.request.trace_id,
            provider=provider.name,
            error=place_of(error),
        )
        raise _failed(f"{provider.name} broke; the log of the server says where.") from None


def _failed(sentence: str) -> UpstreamError:
    error = UpstreamError()
    error.message, error.details = sentence, ""
    return error


async def test(visit: Visit, source_id: bytes) -> Reply:
    """Ask the provider something harmless, with the token that is kept."""
    source, provider = await _with_provider(visit, source_id)
    said = await _ask(visit, provider.test, source, provider)
    return View("source_answer.html", {"said": said})


async def _with_provider(visit: Visit, source_id: bytes) -> tuple[StoredSource, Provider]:
    source = await visit.read(sources.get, source_id)
    provider = registry.find(source.provider)
    if provider is None:
        raise _failed(f"The provider {source.provider} is not there any more, or is broken.")
    return source, provider


async def show_token(visit: Visit, source_id: bytes) -> Reply:
    """The form of another token."""
    return View("source_token.html", {"source": await visit.read(sources.get, source_id)})


async def change_token(visit: Visit, source_id: bytes) -> Reply:
    """Keep another token for a source."""
    source = await visit.read(sources.get, source_id)
    token = visit.form.get("token").strip()
    if not tokens.is_usable(token):
        raise invalid("token", tokens.FORM)
    visit.act = ("source.token", _about(visit, source))
    await visit.change(sources.set_token, source, token)
    return Redirect(f"{visit.here}/sources?note=token")


async def show_remove(visit: Visit, source_id: bytes) -> Reply:
    """What removing a source means, before it is done."""
    return View("source_remove.html", {"source": await visit.read(sources.get, source_id)})


async def remove(visit: Visit, source_id: bytes) -> Reply:
    """Forget a source with its token, and before that what its provider took in for it."""
    source = await visit.read(sources.get, source_id)
    visit.act = ("source.removed", _about(visit, source))
    await _take_out(visit, source, registry.find(source.provider))
    return Redirect(f"{visit.here}/sources?note=removed")


def _about(visit: Visit, source: StoredSource) -> str:
    assert visit.group is not None
    return f"{source.name}, {visit.group.name}"


async def _take_out(visit: Visit, source: StoredSource, provider: Provider | None) -> None:
    if isinstance(provider, Forgets):
        # However long it takes: what is left half forgotten would still be searched.
        await _ask(visit, provider.forget, source, provider, with_token=False, wait_s=None)
    await visit.change(sources.remove, source.id)
