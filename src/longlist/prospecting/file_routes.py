"""Uploading a file (contract 6.1)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, Final, Literal

import msgspec

from longlist.context import Context
from longlist.decoding import OneLine, Query
from longlist.idempotency import Stored as StoredAnswer
from longlist.ids import rfc3339
from longlist.operations import AG, Answer, Operation, Work
from longlist.prospecting import file_store as store
from longlist.prospecting import mapping
from longlist.prospecting.inspection import inspect, preview
from longlist.prospecting.rows import Inspection
from longlist.prospecting.upload import MEDIA_TYPES, Received, receive
from longlist.request import Request


class UploadFile(Query):
    """What the file is said to be; `filename` is a label only."""

    format: Literal["csv", "ndjson", "parquet", "xlsx"] | None = None
    filename: Annotated[str, OneLine(max=255)] | None = None


class Upload(msgspec.Struct):
    """A file that has arrived whole. It is deleted at the end unless it is `kept`."""

    received: Received
    inspection: Inspection
    filename: str | None
    kept: bool = False

    @property
    def fingerprint(self) -> Any:
        """What makes two uploads the same: the bytes and the name."""
        return {"digest": self.received.digest, "filename": self.filename}


class FileUpload(msgspec.Struct, rename="camel"):
    """An uploaded file and what was found in it.

    `suggestedMapping` names a prospect field for each column, null where none fits.
    """

    file_id: str
    format: Literal["csv", "ndjson", "parquet", "xlsx"]
    encoding: str | None
    delimiter: str | None
    skipped_lines: int
    size_bytes: int
    preview: list[dict[str, str | None]]
    columns: list[str]
    row_estimate: int
    suggested_mapping: dict[str, str | None]
    created_at: str
    expires_at: str


@asynccontextmanager
async def receive_file(ctx: Context, request: Request, query: UploadFile) -> AsyncIterator[Upload]:
    """Take the body in to disk, in constant memory, and look at what it is."""
    settings = ctx.settings
    request.allow_pauses(settings.request_timeout_s)
    # A form is a little longer than the file in it.
    request.check_length(settings.max_upload_bytes + 65_536)
    content_type = (request.header_values(b"content-type") or [""])[0]
    received = await receive(
        request.chunks(), content_type, settings.files_path, max_bytes=settings.max_upload_bytes
    )
    upload: Upload | None = None
    try:
        inspection = await asyncio.to_thread(
            inspect, received.path, stated_format=query.format or received.stated_format
        )
        upload = Upload(received, inspection, query.filename or received.filename)
        yield upload
    except BaseException:
        received.path.unlink(missing_ok=True)
        raise
    if not upload.kept:
        received.path.unlink(missing_ok=True)


async def upload_file(ctx: Context, _query: UploadFile, upload: Upload) -> Answer:
    """Register an uploaded file."""
    found = upload.inspection
    suggested = mapping.suggest(found.columns, found.preview)
    file = await store.create(ctx, upload.received.path, found, suggested)
    upload.kept = True
    shown = _shown(file, found.preview)
    # Rows of the file are not stored with the answer: an erasure would have to find them there.
    return Answer(shown, kept=msgspec.structs.replace(shown, preview=[]), resource_id=file.id)


async def replay_upload(ctx: Context, stored: StoredAnswer) -> Answer:
    """The first answer again; its preview is read from the file, while the file is there."""
    shown = msgspec.json.decode(stored.data, type=FileUpload)
    assert stored.resource_id is not None
    file = await store.find(ctx, stored.resource_id)
    if file is not None and file.path.exists():
        shown.preview = preview(file.path, file.inspection)
    return Answer(shown)


def _shown(file: store.StoredFile, rows: list[dict[str, str | None]]) -> FileUpload:
    found = file.inspection
    return FileUpload(
        file_id=file.id.hex(),
        format=found.format,  # type: ignore[arg-type]
        encoding=found.encoding,
        delimiter=found.delimiter,
        skipped_lines=found.skipped_lines,
        size_bytes=found.size_bytes,
        preview=rows,
        columns=found.columns,
        row_estimate=found.row_estimate,
        suggested_mapping=file.mapping,
        created_at=rfc3339(file.created_at),
        expires_at=rfc3339(file.expires_at),
    )


OPERATIONS: Final = (
    Operation(
        method="POST",
        path=f"{AG}/files",
        section="6.1",
        summary="Upload a file",
        handler=upload_file,
        permission="prospecting:write",
        query=UploadFile,
        receive=receive_file,
        media_types=tuple(MEDIA_TYPES),
        answer=FileUpload,
        answer_name="FileUpload",
        status=201,
        work=Work.WRITE,
        replay=replay_upload,
    ),
)
