"""A good request for every operation, so that walks over all of them need no list of their own."""

from __future__ import annotations

from typing import Any, Final

from longlist.app import OPERATIONS
from longlist.operations import Operation
from tests.harness.tenant import UNKNOWN

SCOPED: Final = [operation for operation in OPERATIONS if not operation.public]
PUBLIC: Final = [operation for operation in OPERATIONS if operation.public]
IN_GROUP: Final = [operation for operation in SCOPED if operation.in_group]
WITH_JSON: Final = [operation for operation in SCOPED if operation.body is not None]
POSTS: Final = [operation for operation in SCOPED if operation.method == "POST"]

BODIES: Final[dict[str, dict[str, Any]]] = {
    "createAudience": {"name": "Fintech CTOs", "type": "on_demand"},
    "updateAudience": {"name": "Fintech CTOs"},
    "moveAudienceToFolder": {"folderId": UNKNOWN},
    "createFolder": {"name": "Spring", "audienceType": "on_demand"},
    "updateFolder": {"name": "Spring"},
    "addProspects": {"prospects": [{"email": "ada@example.com"}]},
    "createSuppression": {"kind": "email", "value": "ada@example.com"},
    "startProspectingJob": {
        "type": "file_import",
        "fileId": UNKNOWN,
        "mapping": {"E-mail": "email"},
        "audienceName": "Imported",
    },
    "putMonitor": {
        "source": {
            "type": "linkedin_search",
            "searchUrl": "https://www.linkedin.com/search/results/people/?keywords=cto",
        },
        "intervalMinutes": 60,
    },
}
"""By operation id; a walk fails on an operation with a body that is not here."""

UPLOAD: Final = (b"name,company\nAda Example,Example Ltd\n", "text/csv")


def name_of(operation: Operation) -> str:
    """What a walk calls an operation in pytest's output."""
    return operation.id


def target_of(operation: Operation, id_: str = UNKNOWN, group: str | None = None) -> str:
    """The path with every id filled in, `AG` for the account group unless one is named."""
    path = operation.path
    for name in (*operation.ids, *operation.texts):
        path = path.replace(f"{{{name}}}", id_)
    return path.replace(
        "/v1/accounts/{accountGroupId}", "AG" if group is None else f"/v1/accounts/{group}"
    )


def refusal_of(operation: Operation) -> int:
    """The status of a request that is not valid: 400, or 422 where the contract says so (7.2)."""
    return 400 if 400 in operation.statuses else 422


def good(operation: Operation) -> dict[str, Any]:
    """The keyword arguments of `Client.send` for a request without a fault."""
    if operation.receive is not None:
        return {"body": UPLOAD[0], "headers": {"Content-Type": UPLOAD[1]}}
    if operation.body is not None:
        assert operation.id in BODIES, f"Add a body for {operation.id} to tests/gate/requests.py."
        return {"json": BODIES[operation.id]}
    return {}
