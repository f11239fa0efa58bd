"""Files to import."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import BinaryIO, Literal

from longlist_client.binding import AsyncResource, Resource, async_method, method
from longlist_client.calls import AG, Call, Scope, answering
from longlist_client.models import UploadedFile
from longlist_client.uploads import Upload


def upload_file(
    scope: Scope,
    source: str | os.PathLike[str] | bytes | BinaryIO,
    *,
    filename: str | None = None,
    format: Literal["csv", "ndjson", "parquet", "xlsx"] | None = None,
    content_type: str = "application/octet-stream",
    idempotency_key: str | None = None,
) -> Call[UploadedFile]:
    """Upload a file, in pieces: from a path, a binary file object or bytes.

    `filename` is a label, by default the file's own name; the format is found from the content
    unless it is named. A file object is read from where it stands and left open; one that cannot
    seek is sent once only, as it cannot be read again.
    """
    body = Upload(source)
    query = {"format": format, "filename": filename or body.name}
    request = scope.request(
        "POST", f"{AG}/files", query=query, body=body, idempotency_key=idempotency_key
    )
    headers = {**request.headers, "Content-Type": content_type}
    return answering(UploadedFile, replace(request, headers=headers))


class Files(Resource):
    """The uploaded files of an account group; the server deletes them by itself."""

    upload = method(upload_file)


class AsyncFiles(AsyncResource):
    """The uploaded files of an account group; the server deletes them by itself."""

    upload = async_method(upload_file)
