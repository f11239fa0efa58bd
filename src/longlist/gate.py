"""Who may come in: key 401, rate 429, permission and account group 403 (contract 1.2, 1.5, 1.9).

All of it is decided before a byte of the body is read. Keys are looked up by hash and kept for
less than a second, so that a revoked key stops within one second in every process.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from typing import TYPE_CHECKING, Final

from longlist.errors import Forbidden, RateLimited, Unauthorized
from longlist.ids import now_ms, parse_id
from longlist.keys import secret, store
from longlist.keys.store import Key
from longlist.limits import Decision, MemoryLimiter, Rate

if TYPE_CHECKING:
    from longlist.context import Installation
    from longlist.db import Transaction
    from longlist.limits import Limiter
    from longlist.operations import Operation
    from longlist.request import Request

KEY_TTL_S: Final = 0.9
CACHE_SIZE: Final = 10_000
TOUCH_EVERY_S: Final = 30.0


class KeyCache:
    """Keys by hash, each at most KEY_TTL_S old. Unknown hashes are not kept."""

    def __init__(self, installation: Installation) -> None:
        self._db = installation.db
        settings = installation.settings
        self._default = Rate(settings.rate_limit_per_minute, settings.rate_limit_burst)
        self._kept: dict[bytes, tuple[float, Key]] = {}
        self._asking: dict[bytes, asyncio.Future[Key | None]] = {}
        self._used: dict[bytes, int] = {}

    async def find(self, token: str) -> Key | None:
        """The valid key that this text is, or None. A typo is told without a look-up."""
        hash_ = secret.hash_of(token)
        kept = self._kept.get(hash_)
        if kept is not None and kept[0] >= time.monotonic():
            key: Key | None = kept[1]
        elif secret.is_well_formed(token):
            key = await self._ask_once(hash_)
        else:
            return None
        if key is None or not key.is_valid(now := now_ms()):
            return None
        self._used[key.id] = now
        return key

    async def _ask_once(self, hash_: bytes) -> Key | None:
        """Ask the database, together with whoever asks for the same key at this moment."""
        asking = self._asking.get(hash_)
        if asking is not None:
            return await asyncio.shield(asking)
        # The age counts from before the look-up: a key revoked during it is not kept longer.
        until = time.monotonic() + KEY_TTL_S
        asking = asyncio.ensure_future(
            self._db.read(store.find_by_hash_everywhere, hash_, self._default)
        )
        self._asking[hash_] = asking
        try:
            key = await asyncio.shield(asking)
        finally:
            self._asking.pop(hash_, None)
        if key is None:
            self._kept.pop(hash_, None)
        else:
            if len(self._kept) >= CACHE_SIZE:
                self._kept.clear()
            self._kept[hash_] = (until, key)
        return key

    async def write_last_used(self) -> None:
        """Store when keys were last used: from time to time, not at every request."""
        used, self._used = self._used, {}

        async def body(tx: Transaction) -> None:
            for id_, at in used.items():
                await store.touch_everywhere(tx, id_, at)

        if used:
            await self._db.write(body)


class Gate:
    """Admits a request or raises what refuses it."""

    def __init__(self, installation: Installation, limiter: Limiter) -> None:
        settings = installation.settings
        self.keys = KeyCache(installation)
        self._limiter = limiter
        self._bad_keys = MemoryLimiter()
        self.limited = {"key": 0, "address": 0}
        """Requests refused for their rate: of a key, or of an address with bad keys."""
        per_minute = settings.bad_key_limit_per_minute
        self._bad_key_rate = Rate(per_minute, per_minute)
        self._proxies = [
            ipaddress.ip_network(text.strip(), strict=False)
            for text in settings.trusted_proxies.split(",")
            if text.strip()
        ]

    async def admit(self, request: Request, operation: Operation, group: str | None) -> bytes:
        """The account group the request is for, `b""` where it is for none.

        Sets `request.key` and `request.rate`. Raises Unauthorized, RateLimited and Forbidden, in
        this order.
        """
        key = await self._authenticate(request)
        request.key = key
        decision = request.rate = await self._limiter.take(key.id, key.rate)
        if not decision.allowed:
            self.limited["key"] += 1
            raise self._too_many(decision)
        if operation.permission is not None and operation.permission not in key.permissions:
            raise Forbidden.permission(operation.permission)
        if group is None:
            return b""
        id_ = parse_id(group)
        if id_ is None or id_ not in key.groups:
            raise Forbidden.account_group()
        return id_

    async def _authenticate(self, request: Request) -> Key:
        values = request.header_values(b"authorization")
        if not values:
            raise Unauthorized
        scheme, _, token = values[0].partition(" ")
        token = token.strip(" ")
        if len(values) == 1 and scheme.lower() == "bearer":
            key = await self.keys.find(token)
            if key is not None:
                return key
        decision = self._bad_keys.take_now(self.client_of(request), self._bad_key_rate)
        if not decision.allowed:
            self.limited["address"] += 1
            raise self._too_many(decision, "Too many requests with a bad key from this address.")
        raise Unauthorized

    @staticmethod
    def _too_many(decision: Decision, message: str | None = None) -> RateLimited:
        return RateLimited(
            limit=decision.limit,
            remaining=0,
            retry_after_s=decision.retry_after_s,
            message=message,
        )

    def client_of(self, request: Request) -> bytes:
        """The client's address: the peer's, or what trusted proxies say of whom they forward.

        X-Forwarded-For is read from the right, as each proxy appends the address it saw.
        """
        address = request.peer
        if self._proxies and self.is_proxy(address):
            chain = ",".join(request.header_values(b"x-forwarded-for")).split(",")
            for hop in reversed([part.strip() for part in chain if part.strip()]):
                address = hop
                if not self.is_proxy(hop):
                    break
        return address.encode("utf-8", "replace")

    def is_proxy(self, address: str) -> bool:
        """Whether a peer is one whose forwarding headers the operator trusts."""
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._proxies)
