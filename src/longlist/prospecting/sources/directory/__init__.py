"""The operator's own people data as a source: a file or a query, copied here and searched here."""

from longlist.prospecting.sources.directory.provider import PROVIDER

__all__ = ["PROVIDER"]
