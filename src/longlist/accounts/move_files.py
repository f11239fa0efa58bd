"""Uploaded files of an account group on their way to another data folder."""

from __future__ import annotations

import filecmp
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from longlist.accounts.move_store import KeptFile


class FilesDiffer(Exception):
    """A copied file is not what it was copied from."""


def copy(files: Sequence[KeptFile], source: Path, target: Path) -> int:
    """Copy what is not there yet; how many files there are. A file that is gone is left out.

    What is written is on disk when this returns. Raises OSError.
    """
    found = 0
    for file in files:
        old, new = source / file.stored_as, target / file.stored_as
        try:
            if not (new.exists() and filecmp.cmp(old, new, shallow=False)):
                _copy(old, new)
        except FileNotFoundError:
            continue
        found += 1
    return found


def _copy(old: Path, new: Path) -> None:
    part = new.with_name(f"{new.name}.part")
    with (
        old.open("rb") as reader,
        open(os.open(part, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "wb") as writer,
    ):
        shutil.copyfileobj(reader, writer, 1 << 20)
        writer.flush()
        os.fsync(writer.fileno())
    part.replace(new)


def check(files: Sequence[KeptFile], source: Path, target: Path) -> None:
    """Raise FilesDiffer unless every file is in both folders, byte for byte, or in neither."""
    for file in files:
        old, new = source / file.stored_as, target / file.stored_as
        there = old.exists(), new.exists()
        if there[0] != there[1] or (all(there) and not filecmp.cmp(old, new, shallow=False)):
            raise FilesDiffer(f"The uploaded file {file.stored_as} is not the same in both folders")


def keep_in_place(files: Sequence[KeptFile], folder: Path) -> None:
    """Keep files of two databases that share a folder from being swept up.

    To each of the two the other's files are left-overs, deleted an hour after they were written: so
    they are dated to when they expire.
    """
    for file in files:
        path = folder / file.stored_as
        try:
            if path.stat().st_mtime < file.expires_at / 1000:
                os.utime(path, (file.expires_at / 1000,) * 2)
        except FileNotFoundError:
            continue


def delete(files: Sequence[KeptFile], folder: Path) -> None:
    """Delete files that were moved. Raises OSError."""
    for file in files:
        (folder / file.stored_as).unlink(missing_ok=True)
