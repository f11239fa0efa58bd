"""Prospects, memberships, exports and suppressions of the mock."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

from longlist_client.testing import people, rules
from longlist_client.testing.asking import AG, PAGED, Ask, Operation
from longlist_client.testing.refusals import Reply, invalid, not_found
from longlist_client.testing.rules import Bad, Member
from longlist_client.testing.state import Json, Thing, check_tag, counted

_DELETED: Final = {"deleted": True}
_DANGEROUS: Final = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


def csv_bytes(rows: Iterable[Sequence[Any]]) -> bytes:
    """Rows as CSV with CR LF; a cell that a spreadsheet would run gets a leading quote."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(
        [
            "'" + cell if isinstance(cell, str) and cell.startswith(_DANGEROUS) else cell
            for cell in row
        ]
        for row in rows
    )
    return text.getvalue().encode()


def _members(ask: Ask) -> list[Json]:
    audience = ask.group.ready(ask.group.audience(ask.ids[0]))
    return [ask.group.prospects[id_].data for id_ in sorted(audience.members, reverse=True)]


def list_audience_prospects(ask: Ask) -> Reply:
    return Reply(ask.page(_members(ask), lambda row: str(row["id"])))


def add_prospects(ask: Ask) -> Reply:
    audience = ask.group.ready(ask.group.audience(ask.ids[0]))
    seen: set[str] = set()
    items = [
        {"position": position, **people.take(ask.group, audience, sent, seen)}
        for position, sent in enumerate(ask.body["prospects"], 1)
    ]
    return Reply(
        {
            "audienceId": audience.data["id"],
            "prospectCount": audience.data["prospectCount"],
            "counts": counted(items),
            "items": items,
        }
    )


def remove_prospect(ask: Ask) -> Reply:
    audience = ask.group.audience(ask.ids[0])
    if ask.ids[1] not in audience.members:
        raise not_found("prospect")
    ask.group.remove_member(ask.group.ready(audience), ask.ids[1])
    return Reply(_DELETED)


def export_audience(ask: Ask) -> Reply:
    rows = _members(ask)
    chosen = ask.query.get("format")
    if chosen is None:
        by_accept = "application/x-ndjson" in ask.headers.get("accept", "")
        chosen = "ndjson" if by_accept else "csv"
    if chosen == "ndjson":
        kind = "application/x-ndjson"
        body = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    else:
        kind = "text/csv; charset=utf-8"
        company = [f"company.{field}" for field in people.LONGEST_OF_COMPANY]
        table: list[list[Any]] = [["id", *people.LONGEST, *company, "createdAt", "updatedAt"]]
        table += [
            [
                row["id"],
                *(row[field] for field in people.LONGEST),
                *(row["company"][field] for field in people.LONGEST_OF_COMPANY),
                row["createdAt"],
                row["updatedAt"],
            ]
            for row in rows
        ]
        body = csv_bytes(table)
    headers = {
        "Content-Type": kind,
        "Content-Disposition": f'attachment; filename="audience-{ask.ids[0]}.{chosen}"',
        "X-Row-Count": str(len(rows)),
    }
    return Reply(headers=headers, body=body)


def _prospect(ask: Ask) -> Thing:
    found = ask.group.prospects.get(ask.ids[0])
    if found is None:
        raise not_found("prospect")
    check_tag(found, ask.if_match)
    return found


def get_prospect(ask: Ask) -> Reply:
    return ask.tagged(_prospect(ask))


def erase_prospect(ask: Ask) -> Reply:
    people.erase(ask.group, _prospect(ask))
    return Reply(_DELETED)


def find_by_provider_id(ask: Ask) -> Reply:
    (wanted,) = ask.ids
    if len(wanted) > 128 or not all("!" <= character <= "~" for character in wanted):
        field = "path.providerId"
        raise invalid((field, "invalid_format", "Not 1 to 128 visible characters."), status=422)
    found = [p.data for p in ask.group.prospects.values() if p.data["providerId"] == wanted]
    matches = [
        {
            "prospectId": data["id"],
            "personId": None,
            "publicIdentifier": data["publicIdentifier"],
            "linkedinUrl": data["linkedinUrl"],
            "name": data["name"],
            "companyName": data["company"]["name"],
            "title": data["title"],
        }
        for data in found
    ]
    resolution = {0: "none", 1: "single"}.get(len(matches), "multiple")
    return Reply({"providerId": wanted, "resolution": resolution, "matches": matches})


def list_suppressions(ask: Ask) -> Reply:
    found = [
        entry
        for entry in sorted(ask.group.suppressions.values(), key=lambda e: e["id"], reverse=True)
        if ask.query.get("kind") in (None, entry["kind"])
        and ask.query.get("reason") in (None, entry["reason"])
    ]
    return Reply(ask.page(found, lambda row: str(row["id"])))


def create_suppression(ask: Ask) -> Reply:
    body = ask.body
    entry, is_new = people.suppress(
        ask.group, body["kind"], body["value"], body.get("reason", "manual"), body.get("note")
    )
    return Reply(entry, 201 if is_new else 200)


def delete_suppression(ask: Ask) -> Reply:
    if ask.group.suppressions.pop(ask.ids[0], None) is None:
        raise not_found("suppression")
    kept = {key: id_ for key, id_ in ask.group.suppressed.items() if id_ != ask.ids[0]}
    ask.group.suppressed = kept
    return Reply(_DELETED)


_COMPANY: Final = rules.object_of(
    {field: Member(rules.raw_text) for field in people.LONGEST_OF_COMPANY}
)
_INPUT: Final = rules.object_of(
    {
        "prospectId": Member(rules.an_id),
        **{field: Member(rules.raw_text) for field in people.LONGEST},
        "company": Member(_COMPANY),
    }
)


def _prospect_input(raw: Any) -> Any:
    found = _INPUT(raw)
    if "prospectId" in found and len(found) > 1:
        raise Bad("exactly_one", "prospectId stands alone.")
    return found


_KINDS: Final = rules.one_of("email", "domain", "public_identifier", "provider_id")
_MEMBERS: Final = f"{AG}/audiences/{{audienceId}}/prospects"
_ONE: Final = f"{AG}/prospects/{{prospectId}}"

OPERATIONS: Final = (
    Operation("GET", _MEMBERS, list_audience_prospects, "prospects:read", query=PAGED),
    Operation(
        "POST", _MEMBERS, add_prospects, "prospects:write",
        body={"prospects": Member(rules.list_of(_prospect_input, 1_000), required=True)},
    ),
    Operation("DELETE", f"{_MEMBERS}/{{prospectId}}", remove_prospect, "prospects:write"),
    Operation(
        "GET", f"{AG}/audiences/{{audienceId}}/export", export_audience, "prospects:read",
        query={"format": rules.one_of("csv", "ndjson")},
    ),
    Operation(
        "GET", f"{AG}/prospects/by-provider-id/{{providerId}}", find_by_provider_id,
        "prospects:read", invalid_status=422,
    ),
    Operation("GET", _ONE, get_prospect, "prospects:read"),
    Operation("DELETE", _ONE, erase_prospect, "prospects:write"),
    Operation(
        "GET", f"{AG}/suppressions", list_suppressions, "suppressions:read",
        query={
            **PAGED, "kind": _KINDS, "reason": rules.one_of("erasure", "unsubscribe", "manual"),
        },
    ),
    Operation(
        "POST", f"{AG}/suppressions", create_suppression, "suppressions:write",
        body={
            "kind": Member(_KINDS, required=True),
            "value": Member(rules.one_line(2_048), required=True),
            "reason": Member(rules.one_of("unsubscribe", "manual")),
            "note": Member(rules.multi_line(500)),
        },
    ),
    Operation(
        "DELETE", f"{AG}/suppressions/{{suppressionId}}", delete_suppression, "suppressions:write"
    ),
)  # fmt: skip
