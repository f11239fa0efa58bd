"""Another tenant sees nothing, changes nothing, and cannot tell what exists (contract 1.4)."""

from __future__ import annotations

from typing import Any

import pytest

from longlist.operations import Operation
from tests.gate.requests import SCOPED, good, name_of, target_of
from tests.harness.tenant import UNKNOWN, Tenant
from tests.harness.walk import items

LISTS = [
    o
    for o in SCOPED
    if o.in_group and not o.ids and "cursor" in getattr(o.query, "__struct_fields__", ())
]
SECRET = "Sesame"


class Theirs:
    """Everything a group can hold, made by somebody else."""

    def __init__(self, tenant: Tenant) -> None:
        self.audience = tenant.audience(SECRET, description=SECRET)["id"]
        self.folder = tenant.folder(SECRET)["id"]
        self.prospect = tenant.prospect(self.audience, email="sesame@example.com", name=SECRET)
        entry = {"kind": "email", "value": "open@example.com", "note": SECRET}
        self.suppression = tenant.post("AG/suppressions", entry).expect(201).data["id"]
        upload = tenant.send(
            "POST", "AG/files", body=b"name\nSesame\n", headers={"Content-Type": "text/csv"}
        )
        self.file = upload.expect(201).data["fileId"]

    def ids(self, operation: Operation) -> dict[str, str]:
        return {
            "audienceId": self.audience, "folderId": self.folder, "prospectId": self.prospect,
            "suppressionId": self.suppression, "jobId": UNKNOWN,
        }  # fmt: skip


def state(tenant: Tenant) -> Any:
    """Everything the group shows of itself."""
    return (
        items(tenant, "AG/audiences"),
        tenant.get("AG/audiences/navigation").data,
        items(tenant, "AG/suppressions"),
        len(tenant.events()),
    )


@pytest.mark.parametrize("operation", [o for o in SCOPED if o.ids], ids=name_of)
def test_another_groups_ids_are_never_issued_ids(
    api: Tenant, stranger: Tenant, operation: Operation
) -> None:
    theirs = Theirs(stranger)
    before = state(stranger)
    target = operation.path
    for name in operation.ids:
        target = target.replace(f"{{{name}}}", theirs.ids(operation)[name])
    target = target.replace("/v1/accounts/{accountGroupId}", "AG")
    foreign = api.send(operation.method, target, **good(operation)).expect(404)
    unknown = api.send(operation.method, target_of(operation), **good(operation)).expect(404)
    assert foreign.untraced == unknown.untraced
    assert SECRET not in foreign.body.decode()
    assert state(stranger) == before


@pytest.mark.parametrize("operation", LISTS, ids=name_of)
def test_lists_are_of_the_group_alone(api: Tenant, stranger: Tenant, operation: Operation) -> None:
    Theirs(stranger)
    answer = api.get(target_of(operation)).expect(200)
    assert answer.data["items"] == []


def test_ids_of_other_groups_in_bodies(api: Tenant, stranger: Tenant) -> None:
    theirs = Theirs(stranger)
    before = state(stranger)
    audience = api.audience()["id"]
    move = api.post(f"AG/audiences/{audience}/move-to-folder", {"folderId": theirs.folder})
    move.expect(404)
    added = api.add(audience, {"prospectId": theirs.prospect}, {"email": "sesame@example.com"})
    assert [item["reason"] for item in added["items"]] == ["NOT_FOUND", None]
    assert added["items"][1]["prospectId"] != theirs.prospect
    start = {
        "type": "file_import",
        "fileId": theirs.file,
        "mapping": {"name": "name"},
        "audienceName": "x",
    }
    api.post("AG/prospecting", start).expect(404)
    api.post("AG/prospecting", {**start, "folderId": theirs.folder}).expect(404)
    assert state(stranger) == before


def test_uniqueness_is_within_the_group(api: Tenant, stranger: Tenant) -> None:
    for tenant in (api, stranger):
        tenant.set(uniqueAudienceNames=True)
        tenant.audience("Same")
        tenant.post("AG/audiences", {"name": "Same", "type": "on_demand"}).expect(422)
