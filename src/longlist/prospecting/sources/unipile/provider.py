"""Unipile as a provider: its settings, its test, its lists, and the source of each kind of job.

From the documentation: an account's `type` and `sources[].status`, and the six statuses. Assumed,
from answers that others have published: that `connection_params.im.premiumFeatures` names
`sales_navigator` where the account has it; it is only told to the operator.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from longlist.prospecting.sources import Source
from longlist.prospecting.sources.kept import KeptCommenters, KeptNavigator, KeptSearch, KeptUrls
from longlist.prospecting.sources.providers import Listed, ProviderFailed, SetUp
from longlist.prospecting.sources.unipile.client import BRIEF, Pace, UnipileClient, is_private
from longlist.prospecting.sources.unipile.faults import UnipileFailed
from longlist.prospecting.sources.unipile.linkedin_search import LinkedinSearch
from longlist.prospecting.sources.unipile.paging import Connect
from longlist.prospecting.sources.unipile.post_commenters import PostCommenters
from longlist.prospecting.sources.unipile.profiles import Profiles
from longlist.prospecting.sources.unipile.sales_navigator import (
    SalesNavigator,
    lead_list,
    saved_search,
)

if TYPE_CHECKING:
    from longlist.context import Installation
    from longlist.prospecting.sources.kept import Wanted

_ACCOUNT_ID: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,127}")
_HOST: Final = re.compile(r"[A-Za-z0-9_.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]")
_API: Final = "/api/v1"
_STATUSES: Final = {
    "CONNECTING": "is still being connected",
    "CREDENTIALS": "has to be connected again: its session has ended",
    "PERMISSIONS": "lacks a permission",
    "STOPPED": "has been stopped",
    "ERROR": "has met an error and was stopped",
}


class UnipileProvider:
    """The provider `unipile`; see `sources.providers.Provider`.

    Settings: `base_url`, the address (DSN) that Unipile shows for the installation, and
    `account_id`, the LinkedIn account connected there. `pace` and `brief` are the patience of jobs
    and of calls that somebody waits for.
    """

    name = "unipile"
    serves = frozenset({"linkedin_search", "sales_navigator", "post_commenters", "url_upload"})
    needs_token = True
    several = False

    def __init__(self, pace: Pace | None = None, brief: Pace = BRIEF) -> None:
        self._pace = pace or Pace()
        self._brief = brief

    def check(self, settings: Mapping[str, str]) -> dict[str, str]:
        """The settings in normal form. Raises ValueError with a sentence for the operator."""
        for name in settings:
            if name not in {"base_url", "account_id"}:
                raise ValueError("Unipile takes the settings base_url and account_id, no other.")
        account_id = settings.get("account_id", "").strip()
        if not _ACCOUNT_ID.fullmatch(account_id):
            raise ValueError("account_id must be the id that Unipile shows for the account.")
        return {"base_url": _base_url(settings.get("base_url", "")), "account_id": account_id}

    async def load(self, installation: Installation, group: bytes, set_up: SetUp) -> str:
        """Nothing is taken in: every job asks Unipile."""
        return "Nothing to load: each job asks Unipile."

    async def test(self, installation: Installation, group: bytes, set_up: SetUp) -> str:
        """Look the account up, which costs nothing at LinkedIn. Raises ProviderFailed."""
        try:
            async with self._client(set_up, self._brief) as client:
                account = await client.account()
        except UnipileFailed as failure:
            raise _provider_failed(failure) from failure
        return _state_of(account)

    async def saved_searches(
        self, installation: Installation, group: bytes, set_up: SetUp
    ) -> list[Listed]:
        """Every saved search of Sales Navigator. Raises ProviderFailed."""
        return await self._listed(set_up, "SAVED_SEARCHES")

    async def lead_lists(
        self, installation: Installation, group: bytes, set_up: SetUp
    ) -> list[Listed]:
        """Every lead list of Sales Navigator. Raises ProviderFailed."""
        return await self._listed(set_up, "LEAD_LISTS")

    def open(
        self,
        installation: Installation,
        group: bytes,
        set_ups: Sequence[SetUp],
        wanted: Wanted,
        page_rows: int,
    ) -> Source:
        """The source of one job. Nothing is asked before its pages are."""
        (set_up,) = set_ups  # `several` is false
        connect: Connect = lambda: self._client(set_up, self._pace)  # noqa: E731
        match wanted:
            case KeptSearch(search_url=url, limit=limit):
                return LinkedinSearch(connect, url, limit, page_rows)
            case KeptNavigator(limit=limit, saved_search_id=str(id_)):
                return SalesNavigator(connect, saved_search(id_), limit, page_rows)
            case KeptNavigator(limit=limit, lead_list_id=str(id_)):
                return SalesNavigator(connect, lead_list(id_), limit, page_rows)
            case KeptCommenters(post_url=url, limit=limit):
                return PostCommenters(connect, url, limit, page_rows)
            case KeptUrls(profile_urls=urls):
                return Profiles(connect, urls, page_rows)
        raise TypeError(f"Unipile does not serve {type(wanted).__name__}")

    def _client(self, set_up: SetUp, pace: Pace) -> UnipileClient:
        settings = set_up.settings
        return UnipileClient(settings["base_url"], set_up.token or "", settings["account_id"], pace)

    async def _listed(self, set_up: SetUp, type_: str) -> list[Listed]:
        try:
            async with self._client(set_up, self._brief) as client:
                found = await client.parameters(type_)
        except UnipileFailed as failure:
            raise _provider_failed(failure) from failure
        return [Listed(id_, name) for id_, name in found]


PROVIDER: Final = UnipileProvider()


def _base_url(value: str) -> str:
    """An address as `https://host:port`. Raises ValueError.

    Unipile shows it without a scheme, and its samples with the path of the API.
    """
    text = value.strip()
    try:
        parts = urlsplit(text if "://" in text else f"https://{text}")
        port = parts.port
    except ValueError as error:
        raise ValueError("base_url is not an address.") from error
    host = parts.netloc.rpartition(":")[0] if port is not None else parts.netloc.removesuffix(":")
    path = parts.path.rstrip("/").removesuffix(_API)
    if path or parts.query or parts.fragment or not _HOST.fullmatch(host):
        raise ValueError("base_url must be an address such as https://api1.unipile.com:13111.")
    if parts.scheme == "http":
        if not is_private(host):
            raise ValueError("base_url must begin with https://, or its host be a private one.")
    elif parts.scheme != "https":
        raise ValueError("base_url must begin with https://.")
    return f"{parts.scheme}://{host.lower()}" + ("" if port is None else f":{port}")


def _state_of(account: dict[str, Any]) -> str:
    """A sentence about an account that works. Raises ProviderFailed for one that does not."""
    if account.get("type") != "LINKEDIN":
        raise ProviderFailed("Unipile answers, but the account is not a LinkedIn account.")
    sources = account.get("sources")
    for source in sources if isinstance(sources, list) else []:
        status = source.get("status") if isinstance(source, dict) else None
        if status != "OK":
            state = _STATUSES.get(status) if isinstance(status, str) else None
            raise ProviderFailed(
                f"Unipile answers, but the account {state or 'is in a state not known here'}."
            )
    has = " and has Sales Navigator" if _has_sales_navigator(account) else ""
    return f"Unipile answers; the LinkedIn account is connected{has}."


def _has_sales_navigator(account: dict[str, Any]) -> bool:
    found: Any = account
    for name in ("connection_params", "im", "premiumFeatures"):
        found = found.get(name) if isinstance(found, dict) else None
    return isinstance(found, list) and "sales_navigator" in found


def _provider_failed(failure: UnipileFailed) -> ProviderFailed:
    wait = failure.retry_after_s
    return ProviderFailed(failure.message, None if wait is None else math.ceil(wait))
