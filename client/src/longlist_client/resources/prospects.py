"""Prospects: the people, and in which audiences they are."""

from __future__ import annotations

from collections.abc import Sequence

from longlist_client.binding import (
    AsyncResource,
    Resource,
    async_items,
    async_method,
    items,
    method,
)
from longlist_client.calls import (
    AG,
    Call,
    Scope,
    answering,
    answering_if_changed,
    answering_nothing,
)
from longlist_client.exchange import Request
from longlist_client.inputs import ProspectInput
from longlist_client.models import AddedProspects, Page, Prospect, ProviderIdLookup

_MEMBERS = f"{AG}/audiences/{{audienceId}}/prospects"
_ONE = f"{AG}/prospects/{{prospectId}}"


def list_audience_prospects(
    scope: Scope, audience_id: str, *, limit: int | None = None, cursor: str | None = None
) -> Call[Page[Prospect]]:
    """The prospects of an audience, newest first; `limit` is the page size."""
    query = {"limit": limit, "cursor": cursor}
    return answering(Page[Prospect], scope.request("GET", _MEMBERS, audience_id, query=query))


def add_prospects(
    scope: Scope,
    audience_id: str,
    prospects: Sequence[ProspectInput],
    *,
    idempotency_key: str | None = None,
) -> Call[AddedProspects]:
    """Add 1 to 1,000 people to an audience, in one transaction.

    A person who cannot be taken does not hold up the others: see `items` of what is returned.
    """
    request = scope.request(
        "POST",
        _MEMBERS,
        audience_id,
        body={"prospects": prospects},
        idempotency_key=idempotency_key,
    )
    return answering(AddedProspects, request)


def remove_prospect(scope: Scope, audience_id: str, prospect_id: str) -> Call[None]:
    """Take a person out of an audience; the prospect stays."""
    return answering_nothing(
        scope.request("DELETE", f"{_MEMBERS}/{{prospectId}}", audience_id, prospect_id)
    )


def _get(scope: Scope, prospect_id: str) -> Request:
    return scope.request("GET", _ONE, prospect_id)


def get_prospect(scope: Scope, prospect_id: str) -> Call[Prospect]:
    """A prospect."""
    return answering(Prospect, _get(scope, prospect_id))


def get_prospect_if_changed(scope: Scope, prospect_id: str, etag: str) -> Call[Prospect | None]:
    """A prospect, or None if the tag is still the present one."""
    return answering_if_changed(Prospect, _get(scope, prospect_id), etag)


def erase_prospect(scope: Scope, prospect_id: str, *, if_match: str | None = None) -> Call[None]:
    """Erase a person everywhere in the account group, and suppress them: no import brings them
    back."""
    return answering_nothing(scope.request("DELETE", _ONE, prospect_id, if_match=if_match))


def find_prospects_by_provider_id(scope: Scope, provider_id: str) -> Call[ProviderIdLookup]:
    """Who has a provider id; nobody is an answer, not an error."""
    return answering(
        ProviderIdLookup,
        scope.request("GET", f"{AG}/prospects/by-provider-id/{{providerId}}", provider_id),
    )


class Prospects(Resource):
    """The prospects of an account group."""

    list_page = method(list_audience_prospects)
    list = items(list_audience_prospects)
    get = method(get_prospect)
    get_if_changed = method(get_prospect_if_changed)
    add = method(add_prospects)
    remove = method(remove_prospect)
    erase = method(erase_prospect)
    find_by_provider_id = method(find_prospects_by_provider_id)


class AsyncProspects(AsyncResource):
    """The prospects of an account group."""

    list_page = async_method(list_audience_prospects)
    list = async_items(list_audience_prospects)
    get = async_method(get_prospect)
    get_if_changed = async_method(get_prospect_if_changed)
    add = async_method(add_prospects)
    remove = async_method(remove_prospect)
    erase = async_method(erase_prospect)
    find_by_provider_id = async_method(find_prospects_by_provider_id)
