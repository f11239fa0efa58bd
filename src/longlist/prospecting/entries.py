"""From a source's rows to what the intake takes: checked, normalised and with their keys."""

from __future__ import annotations

from longlist.prospecting.sources import SourceRow
from longlist.prospects import intake
from longlist.prospects.identity import KeyHasher
from longlist.prospects.intake import Entry
from longlist.prospects.person import RowRefused, make_person


def entry_of(hasher: KeyHasher, row: SourceRow) -> Entry:
    """The entry of a row; what is wrong with the row becomes its outcome."""
    if row.reason is not None:
        return intake.refusal(row.position, row.reason, row.message, row.line)
    try:
        return intake.entry(hasher, row.position, make_person(row.values), row.line)
    except RowRefused as refused:
        return intake.refusal(row.position, refused.reason, refused.message, row.line)
