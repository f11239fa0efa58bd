"""Looking for a person by what is remembered of them.

The API finds a person by id or provider id. By a part of a name or an address one is found here, in
the prospects of one audience as they come.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from longlist.text import fold

if TYPE_CHECKING:
    from longlist_client import Prospect


def matches(prospect: Prospect, folded: str) -> bool:
    """Whether a folded text is part of the person's name, addresses, title or company."""
    company = prospect.company
    texts = (
        prospect.name,
        prospect.email,
        prospect.public_identifier,
        prospect.linkedin_url,
        prospect.title,
        company.name,
        company.domain,
    )
    return any(text is not None and folded in fold(text) for text in texts)
