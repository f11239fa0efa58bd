"""If-Match and If-None-Match (contract 1.7, RFC 9110 section 13).

A tag is strong: `"<id>-<version>"`, where any change of any member of the resource makes a new
version.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from longlist.errors import Issue, ValidationFailed

_TAG: Final = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_LIST: Final = re.compile(rf"[ \t]*(?:{_TAG}[ \t]*)?(?:,[ \t]*(?:{_TAG}[ \t]*)?)*\Z")
_ONE: Final = re.compile(_TAG)


def etag(id_: bytes, version: int) -> str:
    """The tag of a resource at a version."""
    return f'"{id_.hex()}-{version}"'


def _parse(name: str, values: Sequence[str]) -> frozenset[str] | None:
    """The tags of a header, None for `*`. Raises ValidationFailed for a malformed or empty one."""
    text = ", ".join(values)
    if text.strip(" \t") == "*":
        return None
    tags = frozenset(_ONE.findall(text)) if _LIST.match(text) else frozenset()
    if not tags:
        raise ValidationFailed(
            f"The {name} header is not valid.",
            f'Send {name} as the ETag of the resource, such as "66a1f3b9d4e5f60718293a50-2", or *.',
            issues=[
                Issue(f"header.{name}", "invalid_format", "Not * and not a list of entity tags.")
            ],
        )
    return tags


class IfMatch:
    """A parsed If-Match header. `*` matches any existing resource, weak tags never match."""

    __slots__ = ("_tags",)

    def __init__(self, values: Sequence[str]) -> None:
        self._tags = _parse("If-Match", values)

    def allows(self, etag: str) -> bool:
        """True if the resource with this tag may be changed."""
        return self._tags is None or etag in self._tags


class IfNoneMatch:
    """A parsed If-None-Match header, compared weakly."""

    __slots__ = ("_tags",)

    def __init__(self, values: Sequence[str]) -> None:
        tags = _parse("If-None-Match", values)
        self._tags = None if tags is None else {tag.removeprefix("W/") for tag in tags}

    def matches(self, etag: str) -> bool:
        """True if the caller already has the resource with this tag: the answer is 304."""
        return self._tags is None or etag in self._tags
