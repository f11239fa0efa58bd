"""Uploads streamed to disk: whole or not at all."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import threading
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import pytest

from longlist.errors import (
    LonglistError,
    Overloaded,
    PayloadTooLarge,
    UnsupportedMediaType,
    ValidationFailed,
)
from longlist.prospecting import upload

CONTENT = b"Name,Email\r\n" + b"Ann,a@x.example\r\n" * 200
FORM = "multipart/form-data; boundary=cut"


async def chunks(body: Iterable[bytes]) -> AsyncIterator[bytes]:
    for chunk in body:
        await asyncio.sleep(0)
        yield chunk


def cut(body: bytes, size: int) -> list[bytes]:
    return [body[at : at + size] for at in range(0, len(body), size)]


def receive(
    body: Iterable[bytes], content_type: str | None, directory: Path, max_bytes: int = 10**6
) -> upload.Received:
    return asyncio.run(upload.receive(chunks(body), content_type, directory, max_bytes=max_bytes))


def part(content: bytes = CONTENT, headers: str | None = None) -> bytes:
    if headers is None:
        headers = (
            'Content-Disposition: form-data; name="file"; filename="people.csv"\r\n'
            "Content-Type: text/csv\r\n"
        )
    return b"--cut\r\n" + headers.encode() + b"\r\n" + content + b"\r\n"


END = b"--cut--\r\n"


@pytest.mark.parametrize(
    ("content_type", "stated"),
    [
        ("text/csv", "csv"),
        ("Text/CSV; charset=windows-1252; header=present", "csv"),
        ("application/x-ndjson", "ndjson"),
        ("application/vnd.apache.parquet", "parquet"),
        ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx"),
        ("application/octet-stream", None),
    ],
)
@pytest.mark.parametrize("size", [1000, 10**6])
def test_raw_body(content_type: str, stated: str | None, size: int, tmp_path: Path) -> None:
    got = receive(cut(CONTENT, size), content_type, tmp_path)
    assert got.path.read_bytes() == CONTENT
    assert got.size_bytes == len(CONTENT)
    assert got.digest == hashlib.sha256(CONTENT).hexdigest()
    assert (got.filename, got.stated_format) == (None, stated)
    assert list(tmp_path.iterdir()) == [got.path]
    assert got.path.stat().st_mode & 0o777 == 0o600


def test_empty_body_is_an_empty_file(tmp_path: Path) -> None:
    got = receive([], "text/csv", tmp_path)
    assert got.size_bytes == 0 and got.path.read_bytes() == b""


@pytest.mark.parametrize("size", [1, 7, 64, 10**6])
def test_form(size: int, tmp_path: Path) -> None:
    tricky = CONTENT + b"\r\n--cu\r\n--cut-\r\n-\r\n"
    got = receive(cut(part(tricky) + END, size), FORM, tmp_path)
    assert got.path.read_bytes() == tricky
    assert got.digest == hashlib.sha256(tricky).hexdigest()
    assert (got.size_bytes, got.filename, got.stated_format) == (len(tricky), "people.csv", None)


def test_many_megabytes_are_written_in_order(tmp_path: Path) -> None:
    block = os.urandom(700_000)
    got = receive([block] * 8, "application/octet-stream", tmp_path, 10**7)
    assert got.path.read_bytes() == block * 8


@pytest.mark.parametrize(
    ("filename", "label"),
    [
        ('"people.csv"', "people.csv"),
        ('"Zoë Müller.csv"', "Zoë Müller.csv"),
        ('"Zoe\u0308.csv"', "Zoë.csv"),
        ('"C:\\\\lists\\\\people.csv"', "people.csv"),
        ('"../../people.csv"', "people.csv"),
        ('"a\u202eb\x07c.csv"', "abc.csv"),
        ('"' + "x" * 300 + '"', "x" * 255),
        ('""', None),
        ('"../"', None),
    ],
)
def test_file_name_is_a_label(filename: str, label: str | None, tmp_path: Path) -> None:
    headers = f'Content-Disposition: form-data; name="file"; filename={filename}\r\n'
    got = receive([part(headers=headers) + END], FORM, tmp_path)
    assert got.filename == label
    assert got.path.parent == tmp_path


BAD_FORMS: dict[str, tuple[str, bytes, str]] = {
    "no boundary": ("multipart/form-data", part() + END, "required"),
    "long boundary": ("multipart/form-data; boundary=" + "x" * 300, part() + END, "too_long"),
    "two parts": (FORM, part() + part() + END, "exactly_one"),
    "a field before the file": (
        FORM,
        part(b"x", 'Content-Disposition: form-data; name="note"\r\n') + part() + END,
        "unknown_field",
    ),
    "another name": (
        FORM,
        part(headers='Content-Disposition: form-data; name="upload"; filename="a"\r\n') + END,
        "unknown_field",
    ),
    "no name": (FORM, part(headers="Content-Type: text/csv\r\n") + END, "unknown_field"),
    "not form data": (
        FORM, part(headers='Content-Disposition: attachment; name="file"\r\n') + END,
        "unknown_field",
    ),
    "repeated header": (
        FORM,
        part(headers='Content-Disposition: form-data; name="file"\r\n' * 2) + END,
        "syntax",
    ),
    "transfer encoding": (
        FORM,
        part(
            headers='Content-Disposition: form-data; name="file"\r\n'
            "Content-Transfer-Encoding: base64\r\n"
        )
        + END,
        "invalid_choice",
    ),
    "header flood": (
        FORM,
        part(headers="".join(f"X-{n}: y\r\n" for n in range(1000))) + END,
        "syntax",
    ),
    "endless header": (FORM, b"--cut\r\nContent-Disposition: " + b"x" * 200_000, "syntax"),
    "text after the form": (FORM, part() + END + b"x" * 100_000, "too_long"),
    "no part": (FORM, END, "exactly_one"),
    "nothing": (FORM, b"", "syntax"),
    "another boundary": (FORM, part().replace(b"--cut", b"--bad") + END, "syntax"),
    "cut within the file": (FORM, part()[:500], "syntax"),
    "cut before the end": (FORM, part(), "syntax"),
    "cut within the last boundary": (FORM, part() + b"--cut-", "syntax"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_FORMS)
@pytest.mark.parametrize("size", [13, 10**6])
def test_bad_form_leaves_nothing(case: str, size: int, tmp_path: Path) -> None:
    content_type, body, code = BAD_FORMS[case]
    with pytest.raises(ValidationFailed) as caught:
        receive(cut(body, size), content_type, tmp_path)
    assert [(issue.field, issue.code) for issue in caught.value.issues] == [("file", code)]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content_type", [None, "", "text/plain", "application/json", "text/csvx", "é"]
)
def test_unknown_type(content_type: str | None, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedMediaType) as caught:
        receive([CONTENT], content_type, tmp_path)
    assert "text/csv" in caught.value.context["supported"]
    assert "multipart/form-data" in caught.value.context["supported"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", [False, True])
def test_limit_is_that_of_the_file(form: bool, tmp_path: Path) -> None:
    body = part() + END if form else CONTENT
    kind = FORM if form else "text/csv"
    assert receive([body], kind, tmp_path, len(CONTENT)).size_bytes == len(CONTENT)
    taken: list[bytes] = []

    def watched() -> Iterable[bytes]:
        for chunk in cut(body + b"x" * 10**6, 500):
            taken.append(chunk)
            yield chunk

    (kept,) = tmp_path.iterdir()
    with pytest.raises(PayloadTooLarge) as caught:
        receive(watched(), kind, tmp_path, len(CONTENT) - 1)
    assert caught.value.context == {"limitBytes": len(CONTENT) - 1}
    assert list(tmp_path.iterdir()) == [kept]
    assert sum(map(len, taken)) < 10**5


class GoneError(Exception):
    """Stands for what a server raises when the client has gone away."""


def test_disconnect_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> Iterable[bytes]:
        yield os.urandom(3_000_000)
        assert [path.suffix for path in tmp_path.iterdir()] == [upload.PART_SUFFIX]
        raise GoneError

    with pytest.raises(GoneError):
        receive(broken(), "text/csv", tmp_path, 10**7)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("step", ["stream", "_write", "_publish"])
def test_cancel_leaves_nothing(step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the disk is at work at that moment and goes on working for a while."""

    async def scene() -> None:
        reached = asyncio.Event()
        loop = asyncio.get_running_loop()

        async def body() -> AsyncIterator[bytes]:
            yield b"x" * 2_000_000
            if step == "stream":
                reached.set()
                await asyncio.sleep(60)

        if step != "stream":
            real: Any = getattr(upload._Sink, step)

            def slow(self: Any, *args: Any) -> Any:
                loop.call_soon_threadsafe(reached.set)
                release.wait(10)
                return real(self, *args)

            monkeypatch.setattr(upload._Sink, step, slow)
        task = asyncio.create_task(upload.receive(body(), "text/csv", tmp_path, max_bytes=10**7))
        await reached.wait()
        task.cancel()
        loop.call_later(0.05, release.set)
        with pytest.raises(asyncio.CancelledError):
            await task
        release.set()
        # Let the thread that was cancelled in the middle come to its end.
        await loop.shutdown_default_executor()

    release = threading.Event()
    asyncio.run(scene())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("call", ["write", "fsync"])
def test_full_disk_is_overload(
    number: int, call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, call, full)
    with pytest.raises(Overloaded) as caught:
        receive([CONTENT], "text/csv", tmp_path)
    assert int(caught.value.headers["Retry-After"]) >= 1
    assert list(tmp_path.iterdir()) == []


def test_other_disk_errors_are_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(os, "write", broken)
    with pytest.raises(OSError, match="broken") as caught:
        receive([CONTENT], "text/csv", tmp_path)
    assert not isinstance(caught.value, LonglistError)
    assert list(tmp_path.iterdir()) == []


def test_uploads_beside_each_other_do_not_meet(tmp_path: Path) -> None:
    async def scene() -> list[upload.Received]:
        return await asyncio.gather(
            *(
                upload.receive(
                    chunks([bytes([65 + n]) * 5000] * 3), "text/csv", tmp_path, max_bytes=10**6
                )
                for n in range(8)
            )
        )

    got = asyncio.run(scene())
    assert [one.path.read_bytes() for one in got] == [bytes([65 + n]) * 15000 for n in range(8)]
