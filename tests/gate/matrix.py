"""The matrix of the contract (section 14) for sections 2 to 7 and 13, as it stands there.

Each row: section, method, path (`AG` for the account group's), permission, success, errors.
`200r` is only for a replay, a dry run, or an entry that is there already.
"""

# ruff: noqa: E501  (the rows are the lines of the contract)

from __future__ import annotations

from typing import Final, NamedTuple


class Row(NamedTuple):
    """One endpoint of the matrix."""

    section: str
    method: str
    path: str
    permission: str
    success: str
    errors: str

    @property
    def statuses(self) -> set[int]:
        """Every status that the row names."""
        return {int(s.removesuffix("r")) for s in (*self.success.split(), *self.errors.split())}


_TEXT: Final = """
2.1 | GET | /v1/accounts | any valid key | 200 | 400 401 429 500 503
2.2 | GET | /v1/me | any valid key | 200 | 400 401 429 500 503
3.2 | GET | AG/audiences | audiences:read | 200 | 400 401 403 429 500 502 503
3.3 | GET | AG/audiences/navigation | audiences:read | 200 | 400 401 403 429 500 503
3.4 | POST | AG/audiences | audiences:write | 201 | 400 401 403 409 413 415 422 429 500 503
3.5 | PATCH | AG/audiences/{audienceId} | audiences:write | 200 | 400 401 403 404 409 412 413 415 422 429 500 503
3.6 | GET | AG/audiences/{audienceId} | audiences:read | 200 304 | 400 401 403 404 409 429 500 502 503
3.7 | DELETE | AG/audiences/{audienceId} | audiences:write | 200 | 400 401 403 404 409 412 429 500 503
3.8 | POST | AG/audiences/{audienceId}/move-to-folder | audiences:write | 200 | 400 401 403 404 409 412 413 415 422 429 500 503
3.9 | POST | AG/audiences/{audienceId}/remove-from-folder | audiences:write | 200 | 400 401 403 404 409 412 413 415 429 500 503
4.2 | POST | AG/audiences/folders | audiences:write | 201 | 400 401 403 409 413 415 429 500 503
4.3 | PATCH | AG/audiences/folders/{folderId} | audiences:write | 200 | 400 401 403 404 412 413 415 429 500 503
4.4 | DELETE | AG/audiences/folders/{folderId} | audiences:write | 200 | 400 401 403 404 409 412 429 500 503
5.1 | GET | AG/audiences/{audienceId}/prospects | prospects:read | 200 | 400 401 403 404 409 429 500 502 503
5.2 | POST | AG/audiences/{audienceId}/prospects | prospects:write | 200 | 400 401 403 404 409 413 415 429 500 503
5.3 | DELETE | AG/audiences/{audienceId}/prospects/{prospectId} | prospects:write | 200 | 400 401 403 404 409 429 500 503
5.4 | GET | AG/audiences/{audienceId}/export | prospects:read | 200 | 400 401 403 404 409 429 500 503
5.5 | GET | AG/prospects/{prospectId} | prospects:read | 200 304 | 400 401 403 404 429 500 503
5.6 | DELETE | AG/prospects/{prospectId} | prospects:write | 200 | 400 401 403 404 412 429 500 503
5.7 | GET | AG/suppressions | suppressions:read | 200 | 400 401 403 429 500 503
5.7 | POST | AG/suppressions | suppressions:write | 201 200r | 400 401 403 409 413 415 429 500 503
5.7 | DELETE | AG/suppressions/{suppressionId} | suppressions:write | 200 | 400 401 403 404 429 500 503
6.1 | POST | AG/files | prospecting:write | 201 | 400 401 403 409 413 415 429 500 503
6.2 | POST | AG/prospecting | prospecting:write | 202 200r | 400 401 402 403 404 409 413 415 422 429 500 502 503
6.3 | GET | AG/prospecting | prospecting:read | 200 | 400 401 403 429 500 503
6.4 | GET | AG/prospecting/{jobId} | prospecting:read | 200 | 400 401 403 404 429 500 503
6.5 | POST | AG/prospecting/{jobId}/cancel | prospecting:write | 200 | 400 401 403 404 409 413 415 422 429 500 502 503
6.6 | GET | AG/prospecting/{jobId}/rows | prospecting:read | 200 | 400 401 403 404 429 500 503
6.7 | GET | AG/audiences/{audienceId}/monitor | prospecting:read | 200 304 | 400 401 403 404 429 500 503
6.7 | PUT | AG/audiences/{audienceId}/monitor | prospecting:write | 200 | 400 401 403 404 412 413 415 422 429 500 503
6.7 | DELETE | AG/audiences/{audienceId}/monitor | prospecting:write | 200 | 400 401 403 404 412 429 500 503
7.1 | GET | AG/prospecting/quota | prospecting:read | 200 | 400 401 403 429 500 503
7.2 | GET | AG/prospects/by-provider-id/{providerId} | prospects:read | 200 | 401 403 422 429 500 503
7.3 | GET | AG/sales-navigator/saved-searches | prospecting:read | 200 | 400 401 403 422 429 500 502 503
7.3 | GET | AG/sales-navigator/lead-lists | prospecting:read | 200 | 400 401 403 422 429 500 502 503
13 | GET | /healthz | no key | 200 | 500
13 | GET | /readyz | no key | 200 | 500 503
13 | GET | /openapi.json | no key | 200 | 500 503
"""
MATRIX: Final = [Row(*line.split(" | ")) for line in _TEXT.strip().splitlines()]
