"""The faults that the double can be told to have, and what each does to an answer."""

from __future__ import annotations

import itertools
from typing import Any, Literal

import msgspec

from longlist.prospecting.sources.unipile.double_people import PLACEHOLDER

Route = Literal["any", "search", "parameters", "post", "comments", "profile", "account"]

WireKind = Literal[
    "rate_limit",  # 429, with `retry_after` as its header where that is given
    "error",  # `status` with the error `type`
    "session_expired",  # 401, the account is disconnected
    "reset",  # the connection is cut
    "hang",  # no answer
    "slow",  # an answer that drips and never ends
    "html",  # a page of a gateway, with `status` if that is given
    "broken_json",  # JSON that stops in the middle
    "wrong_shape",  # JSON of something else
    "huge",  # an answer without end
    "redirect",  # 302 to somewhere else
    "expired_cursor",  # 400 for any cursor
]
AnswerKind = Literal[
    "wrong_types",  # every second item has a number for a name
    "not_objects",  # every second item is a text
    "no_name",  # nobody has a name
    "placeholders",  # every second item is somebody too far away
    "duplicates",  # everybody stands there twice
    "companies",  # every second item is a company
    "repeated_cursor",  # the next page is always the same one
    "endless",  # page after page of the same people, each with a cursor of its own
    "empty_pages",  # page after page of nobody
    "odd_cursor",  # the cursor is a number
    "other_person",  # a profile with somebody else's identifiers
    "renamed",  # a profile with another public identifier than was asked for
    "no_identifiers",  # a profile without any key
]
WIRE: frozenset[str] = frozenset(WireKind.__args__)  # type: ignore[attr-defined]


class Fault(msgspec.Struct, forbid_unknown_fields=True):
    """A fault of a route, from the call after the first `after` on, `times` times or for ever."""

    kind: WireKind | AnswerKind
    route: Route = "any"
    times: int | None = None
    after: int = 0
    status: int | None = None
    type: str = "errors/unexpected_error"
    retry_after: str | None = None


class Faults:
    """The faults that are switched on. `take` uses one up."""

    def __init__(self) -> None:
        self._set: list[Fault] = []
        self.numbers = itertools.count(1)

    def set(self, faults: list[Fault]) -> None:
        """Replace all of them."""
        self._set = [msgspec.structs.replace(fault) for fault in faults]

    def take(self, route: str, *, has_cursor: bool) -> Fault | None:
        """The fault of this call, if it has one; the first that was set wins."""
        for fault in self._set:
            if fault.route not in {"any", route} or fault.times == 0:
                continue
            if fault.kind == "expired_cursor" and not has_cursor:
                continue
            if fault.after > 0:
                fault.after -= 1
                continue
            if fault.times is not None:
                fault.times -= 1
            return fault
        return None


def altered(fault: Fault, answer: dict[str, Any], number: int) -> dict[str, Any]:
    """The answer with its fault. `number` is a fresh one for each call."""
    if "items" not in answer:
        if fault.kind == "other_person":
            another = {"provider_id": f"ACoAA{number:034}", "public_identifier": f"other-{number}"}
            return {**answer, **another}
        return {**answer, **_PROFILES.get(fault.kind, {})}
    items: list[Any] = answer["items"]
    match fault.kind:
        case "wrong_types":
            items = [_with_name(item, 7) if at % 2 else item for at, item in enumerate(items)]
        case "not_objects":
            items = ["nobody" if at % 2 else item for at, item in enumerate(items)]
        case "no_name":
            items = [_with_name(item, None) for item in items]
        case "placeholders":
            items = [_too_far(item) if at % 2 else item for at, item in enumerate(items)]
        case "companies":
            items = [_company(item) if at % 2 else item for at, item in enumerate(items)]
        case "duplicates":
            items = [item for item in items for _ in range(2)]
        case "repeated_cursor":
            return {**answer, "cursor": "the-same-again"}
        case "endless":
            return {**answer, "cursor": f"go-on-{number}"}
        case "empty_pages":
            return {**answer, "items": [], "cursor": f"go-on-{number}"}
        case "odd_cursor":
            return {**answer, "cursor": number}
    return {**answer, "items": items}


_PROFILES: dict[str, dict[str, Any]] = {
    "wrong_types": {"headline": ["CTO"]},
    "renamed": {"public_identifier": "renamed-since"},
    "no_identifiers": {
        "provider_id": None,
        "public_identifier": None,
        "first_name": "LinkedIn",
        "last_name": "Member",
    },
    "no_name": {"first_name": None, "last_name": None},
}


def _with_name(item: dict[str, Any], name: Any) -> dict[str, Any]:
    if "author" in item:
        return {**item, "author": name}
    return {**item, "name": name, "first_name": None, "last_name": None}


def _too_far(item: dict[str, Any]) -> dict[str, Any]:
    if "author" in item:
        return {**item, "author": "LinkedIn Member", "author_details": {}}
    return PLACEHOLDER


def _company(item: dict[str, Any]) -> dict[str, Any]:
    if "author" in item:
        details = {"id": "90001", "profile_url": "https://www.linkedin.com/company/muster-ag"}
        return {**item, "author": "Muster AG", "author_details": details}
    return {"object": "SearchResult", "type": "COMPANY", "id": "90001", "name": "Muster AG"}
