"""What the connected Sales Navigator account offers as sources."""

from __future__ import annotations

from longlist_client.binding import AsyncResource, Resource, async_method, method
from longlist_client.calls import AG, Call, Scope, answering
from longlist_client.models import SalesNavigatorList


def list_saved_searches(scope: Scope) -> Call[SalesNavigatorList]:
    """The saved searches; their ids go into SalesNavigator(saved_search_id=...)."""
    return answering(
        SalesNavigatorList, scope.request("GET", f"{AG}/sales-navigator/saved-searches")
    )


def list_lead_lists(scope: Scope) -> Call[SalesNavigatorList]:
    """The lead lists; their ids go into SalesNavigator(lead_list_id=...)."""
    return answering(SalesNavigatorList, scope.request("GET", f"{AG}/sales-navigator/lead-lists"))


class SalesNavigatorSources(Resource):
    """Saved searches and lead lists. Raises SourceNotConfigured where no account is connected."""

    saved_searches = method(list_saved_searches)
    lead_lists = method(list_lead_lists)


class AsyncSalesNavigatorSources(AsyncResource):
    """Saved searches and lead lists. Raises SourceNotConfigured where no account is connected."""

    saved_searches = async_method(list_saved_searches)
    lead_lists = async_method(list_lead_lists)
