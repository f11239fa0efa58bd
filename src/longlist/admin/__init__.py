"""The operator's pages at `/admin`: server-rendered, over the same stores as the API.

`PATH` is all that a start of the server needs of this package; the rest, and Jinja2 with it, is
imported at the first request below it.
"""

from __future__ import annotations

from typing import Final

PATH: Final = "/admin"
