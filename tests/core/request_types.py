"""Request types as routes declare them, and what a refusal says, for the tests beside."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Literal

import msgspec
import pytest

from longlist.decoding import (
    UNSET,
    Body,
    CreateBody,
    Cursor,
    Description,
    HttpsUrl,
    Id,
    Integer,
    Items,
    Limit,
    MultiLine,
    Name,
    OneLine,
    PatchBody,
    Query,
    Raw,
    Search,
    Time,
    UnsetType,
    VisibleAscii,
)
from longlist.errors import Issue, ValidationFailed

ID = "66a1f3b9d4e5f60718293a50"


class UpdateAudience(PatchBody):
    """Changes the name, the description or both."""

    name: Annotated[Name, "Shown in every list."] | UnsetType = UNSET
    description: Description | UnsetType | None = UNSET

    __not_settable__: ClassVar = {
        "id": "",
        "type": "",
        "folderId": "use move-to-folder to change the folder",
        "prospectCount": "",
        "createdAt": "",
    }


class CreateAudience(CreateBody):
    name: Name
    type: Literal["on_demand", "monitoring"]
    description: Description | None = None


class MoveToFolder(Body):
    folder_id: Id


class Company(CreateBody):
    name: Raw = None
    domain: Raw = None


class Row(CreateBody):
    first_name: Raw = None
    email: Raw = None
    company: Company = msgspec.field(default_factory=Company)


class AddProspects(Body):
    prospects: Annotated[list[Row], Items(min=1, max=1000)]


class Start(CreateBody, tag_field="type"):
    audience_id: Id | None = None
    audience_name: Name | None = None
    max_results: Annotated[int, Integer(min=1, max=2000)] | None = None
    dry_run: bool = False

    __exactly_one__: ClassVar = (("audienceId", "audienceName"),)


class Upload(Start, tag="url_upload", kw_only=True):
    profile_urls: Annotated[
        list[Annotated[str, HttpsUrl(host="linkedin.com", path="/in/[^/]+/?")]],
        Items(min=1, max=5),
    ]


class FileImport(Start, tag="file_import", kw_only=True):
    file_id: Id
    mapping: Annotated[dict[str, Raw], Items(max=3)] | None = None


class Message(CreateBody):
    prospect_ids: Annotated[list[Id], Items(min=1, max=3, distinct=True)]
    message: Annotated[str, MultiLine(min=1, max=10)]
    at: Time | None = None
    url: Annotated[str, HttpsUrl(fragment=False)] | None = None
    rotate: Literal[True] | UnsetType = UNSET
    subject: Annotated[str, OneLine(max=5, min=2)] | None = None
    key: Annotated[str, VisibleAscii(max=4)] | None = None
    folder: Id | Literal["none"] | None = None
    labels: Annotated[list[Name], Items(max=2)] = msgspec.field(default_factory=list)

    def check(self) -> Iterable[Issue]:
        if self.subject is None and self.url is not None:
            yield Issue("subject", "required", "subject is required with url.")


class ListAudiences(Query):
    cursor: Cursor | None = None
    limit: Limit = 50
    q: Annotated[Search, "Text the name holds."] | None = None
    type: Literal["on_demand", "monitoring"] | None = None
    folder_id: Id | Literal["none"] | None = None
    ungroup: bool = False
    kinds: Annotated[list[Literal["a", "b"]], Items(max=2)] | None = None
    after: Annotated[int, Integer(min=0, max=2**63 - 1)] = 0


def error_of(call: Any, *args: Any) -> ValidationFailed:
    """The refusal of `call(*args)`."""
    with pytest.raises(ValidationFailed) as caught:
        call(*args)
    assert caught.value.details
    assert all(issue.message for issue in caught.value.issues)
    return caught.value


def found_in(call: Any, *args: Any) -> list[tuple[str, str]]:
    """Field and code of each issue of the refusal."""
    return [(issue.field, issue.code) for issue in error_of(call, *args).issues]
