"""What each tool takes. The descriptions are written for the model that reads them."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

MOST_ROWS_IN: Final = 200
MOST_PEOPLE_OUT: Final = 50
MOST_AUDIENCES_OUT: Final = 100
LONGEST_WAIT_S: Final = 25
MOST_URLS: Final = 1_000

Text = Annotated[str, Meta(min_length=1, max_length=255)]
Group = Annotated[
    str | None,
    Meta(description="The account group; only needed if find_account shows several."),
]
AudienceText = Annotated[
    str, Meta(description="An audience: its id, or its exact name.", min_length=1, max_length=255)
]
RequestId = Annotated[
    str,
    Meta(
        description="A text that you make up for this one request. If you do not see the answer,"
        " call again with the same requestId and the same arguments: nothing is done twice.",
        min_length=1,
        max_length=100,
    ),
]
Cursor = Annotated[str | None, Meta(description="nextCursor of the page before, to get the next.")]
JobId = Annotated[str, Meta(description="The id of a job.", min_length=1, max_length=64)]


class Arguments(
    msgspec.Struct, forbid_unknown_fields=True, kw_only=True, rename="camel", frozen=True
):
    """Base of what tools take."""

    account_group_id: Group = None


class FindAccount(Arguments, frozen=True, kw_only=True):
    """Nothing but the group."""


class ListAudiences(Arguments, frozen=True, kw_only=True):
    """Which audiences, and how many."""

    name_contains: Annotated[
        Text | None, Meta(description="Only audiences whose name contains this.")
    ] = None
    type: Annotated[
        str | None, Meta(description="Only this type, such as file_import or on_demand.")
    ] = None
    limit: Annotated[int, Meta(ge=1, le=MOST_AUDIENCES_OUT)] = 25
    cursor: Cursor = None


class CreateAudience(Arguments, frozen=True, kw_only=True):
    """A new audience."""

    name: Annotated[str, Meta(min_length=1, max_length=255)]
    request_id: RequestId
    type: Annotated[
        Literal["on_demand", "monitoring"],
        Meta(description="monitoring only for audiences that a repeating search will fill."),
    ] = "on_demand"
    description: Annotated[str, Meta(max_length=2_000)] | None = None


class RenameAudience(Arguments, frozen=True, kw_only=True):
    """Which audience, and its new name."""

    audience: AudienceText
    new_name: Annotated[str, Meta(min_length=1, max_length=255)]
    description: Annotated[
        Annotated[str, Meta(max_length=2_000)] | msgspec.UnsetType,
        Meta(description="Also set the description; an empty text clears it."),
    ] = msgspec.UNSET


class Person(msgspec.Struct, forbid_unknown_fields=True, rename="camel", omit_defaults=True):
    """One person to import: an email or a linkedinUrl, or a name together with a company."""

    name: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    email: str | None = None
    linkedin_url: str | None = None
    title: str | None = None
    location: str | None = None
    phone: str | None = None
    company: Annotated[str | None, Meta(description="The company's name.")] = None


class StartImport(Arguments, frozen=True, kw_only=True):
    """Whom to import, and into which audience."""

    request_id: RequestId
    audience: Annotated[
        str | None, Meta(description="Fill this audience: its id, or its exact name.")
    ] = None
    new_audience: Annotated[
        Text | None, Meta(description="Or make an audience with this name.")
    ] = None
    people: Annotated[
        Annotated[list[Person], Meta(min_length=1, max_length=MOST_ROWS_IN)] | None,
        Meta(description="The people themselves."),
    ] = None
    profile_urls: Annotated[
        Annotated[list[str], Meta(min_length=1, max_length=MOST_URLS)] | None,
        Meta(description="Or LinkedIn profile addresses (https://www.linkedin.com/in/...)."),
    ] = None
    file: Annotated[
        str | None,
        Meta(description="Or a CSV, NDJSON, XLSX or Parquet file in the folder for files, if the"
                         " person who started this server allowed one."),
    ] = None  # fmt: skip
    max_results: Annotated[
        Annotated[int, Meta(ge=1)] | None, Meta(description="Import at most so many.")
    ] = None
    dry_run: Annotated[
        bool, Meta(description="Only tell what would happen: nothing is changed or charged.")
    ] = False


class GetJob(Arguments, frozen=True, kw_only=True):
    """Which job, and how long to wait for its end."""

    job_id: JobId
    wait_seconds: Annotated[
        int,
        Meta(
            description="Wait so long for the end of the job; call again if it still runs.",
            ge=0,
            le=LONGEST_WAIT_S,
        ),
    ] = 0


class FindProspects(Arguments, frozen=True, kw_only=True):
    """Whom to look for."""

    audience: Annotated[
        str | None, Meta(description="With text: where to look, an id or an exact name.")
    ] = None
    text: Annotated[
        Text | None,
        Meta(description="Part of a name, an address, a title or a company."),
    ] = None
    prospect_id: Annotated[
        str | None, Meta(description="Or: everything known of the person with this id.")
    ] = None
    provider_id: Annotated[
        str | None, Meta(description="Or: who has this provider id, in the whole account group.")
    ] = None
    limit: Annotated[int, Meta(ge=1, le=MOST_PEOPLE_OUT)] = 10


class ExportAudience(Arguments, frozen=True, kw_only=True):
    """Which audience, and how much of it."""

    audience: AudienceText
    limit: Annotated[int, Meta(ge=1, le=MOST_PEOPLE_OUT)] = 10
    cursor: Cursor = None
    to_file: Annotated[
        str | None,
        Meta(
            description="Write the whole audience to this new .csv or .ndjson file in the folder"
            " for files, if the person who started this server allowed one, and answer no rows."
        ),
    ] = None


class PlanDeletion(Arguments, frozen=True, kw_only=True):
    """What is to be deleted: exactly one of the two."""

    audience: Annotated[
        str | None, Meta(description="An audience (id or exact name). Its people stay.")
    ] = None
    prospect_id: Annotated[
        str | None,
        Meta(description="Or a person, to be erased everywhere and never imported again."),
    ] = None


class ConfirmDeletion(Arguments, frozen=True, kw_only=True):
    """The plan to carry out."""

    plan_id: Annotated[str, Meta(description="planId of plan_deletion.", max_length=1_000)]


def schema_of(type_: type[Arguments]) -> dict[str, Any]:
    """The JSON Schema of what a tool takes, in one piece."""
    (_reference,), components = msgspec.json.schema_components([type_])
    whole: dict[str, Any] = _inlined(components[type_.__name__], components)
    # The title and the docstring are for readers of the code.
    whole.pop("title", None)
    whole.pop("description", None)
    return whole


def _inlined(node: Any, components: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_inlined(part, components) for part in node]
    if not isinstance(node, dict):
        return node
    reference = node.get("$ref")
    if reference is not None:
        return _inlined(components[reference.rpartition("/")[2]], components)
    return {name: _inlined(part, components) for name, part in node.items()}
