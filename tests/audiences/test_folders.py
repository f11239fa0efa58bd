"""Folders and moving audiences between them (contract 3.8, 3.9 and 4)."""

from __future__ import annotations

import json
import time
from functools import partial
from typing import Any

import pytest

from tests.harness.client import at_once
from tests.harness.tenant import UNKNOWN, Tenant

FOLDERS = "AG/audiences/folders"
MEMBERS = ["id", "name", "audienceType", "isPinned", "position", "createdAt", "updatedAt"]


def move(api: Tenant, audience: Any, folder: Any, **more: Any) -> Any:
    return api.post(
        f"AG/audiences/{audience['id']}/move-to-folder", {"folderId": folder["id"]}, **more
    )


@pytest.mark.parametrize("kind", ["on_demand", "monitoring"])
def test_a_new_folder(api: Tenant, kind: str) -> None:
    answer = api.post(FOLDERS, {"name": " Spring\u00a0", "audienceType": kind}).expect(201)
    assert "location" not in answer.headers
    data = answer.data
    assert list(data) == MEMBERS
    assert (data["name"], data["audienceType"], data["isPinned"], data["position"]) == (
        "Spring",
        kind,
        False,
        0,
    )
    assert data["createdAt"] == data["updatedAt"]
    (event,) = api.events()
    assert (event[0], json.loads(event[2])) == ("folder.created", data)
    assert api.folder("Spring")["position"] == 1


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({"name": "x"}, "audienceType", "required"),
        ({"audienceType": "on_demand"}, "name", "required"),
        ({"name": "x", "audienceType": "file_import"}, "audienceType", "invalid_choice"),
        ({"name": "x", "audienceType": None}, "audienceType", "null_not_allowed"),
        ({"name": " ", "audienceType": "on_demand"}, "name", "too_short"),
        ({"name": "x", "audienceType": "on_demand", "position": 1}, "position", "not_settable"),
        ({"name": "x", "audienceType": "on_demand", "isPinned": True}, "isPinned", "not_settable"),
    ],
)
def test_a_bad_new_folder(api: Tenant, body: Any, field: str, code: str) -> None:
    assert (field, code) in api.post(FOLDERS, body).expect(400).issues


def test_positions_are_unique_under_concurrency_and_start_at_0_in_each_group(
    api: Tenant, stranger: Tenant
) -> None:
    made = at_once([partial(api.folder, f"Folder {at}") for at in range(30)])
    assert sorted(folder["position"] for folder in made) == list(range(30))
    assert stranger.folder()["position"] == 0


def test_a_deleted_folders_position_is_not_taken_by_two(api: Tenant) -> None:
    folders = [api.folder() for _ in range(3)]
    api.delete(f"{FOLDERS}/{folders[1]['id']}").expect(200)
    positions = [api.folder()["position"] for _ in range(3)]
    kept = {folders[0]["position"], folders[2]["position"]}
    assert len({*positions, *kept}) == 5


def test_renaming(api: Tenant) -> None:
    made = api.folder()
    target = f"{FOLDERS}/{made['id']}"
    time.sleep(0.002)
    answer = api.patch(target, {"name": " Autumn "}).expect(200)
    assert list(answer.data) == MEMBERS
    assert answer.data == {**made, "name": "Autumn", "updatedAt": answer.data["updatedAt"]}
    assert answer.data["updatedAt"] > made["updatedAt"]
    again = api.patch(target, {"name": "Autumn\u00a0"}).expect(200)
    assert (again.data, again.etag) == (answer.data, answer.etag)
    (event,) = api.events("folder.updated")
    assert json.loads(event[2]) == answer.data
    api.patch(target, {"name": "autumn"}, headers={"If-Match": answer.etag}).expect(200)
    api.patch(target, {"name": "late"}, headers={"If-Match": answer.etag}).expect(412)


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({}, "name", "required"),
        ({"name": None}, "name", "null_not_allowed"),
        ({"name": ""}, "name", "too_short"),
        *[
            ({"name": "x", member: value}, member, "not_settable")
            for member, value in (
                ("id", UNKNOWN),
                ("audienceType", "monitoring"),
                ("isPinned", True),
                ("position", 3),
                ("createdAt", None),
                ("updatedAt", None),
            )
        ],
        ({"name": "x", "description": "x"}, "description", "unknown_field"),
    ],
)
def test_a_bad_renaming(api: Tenant, body: Any, field: str, code: str) -> None:
    made = api.folder()
    answer = api.patch(f"{FOLDERS}/{made['id']}", body).expect(400)
    assert (field, code) in answer.issues
    assert api.events("folder.updated") == []


def test_folders_that_are_not_there(api: Tenant, stranger: Tenant) -> None:
    theirs, gone, audience = stranger.folder(), api.folder(), api.audience()
    api.delete(f"{FOLDERS}/{gone['id']}").expect(200)
    for id_ in (UNKNOWN, theirs["id"], gone["id"]):
        for answer in (
            api.patch(f"{FOLDERS}/{id_}", {"name": "x"}),
            api.delete(f"{FOLDERS}/{id_}?ungroup=true"),
            move(api, audience, {"id": id_}),
        ):
            assert answer.expect(404).error["context"] == {"resource": "folder"}
    assert stranger.get("AG/audiences/navigation").data["folders"][0]["name"] == "Spring"


def test_moving_in_and_out(api: Tenant) -> None:
    folder, other, audience = api.folder(), api.folder(), api.audience()
    answer = move(api, audience, folder).expect(200)
    assert answer.data == {**audience, "folderId": folder["id"]}
    again = move(api, audience, folder).expect(200)
    assert again.etag == answer.etag
    assert len(api.events("audience.updated")) == 1
    assert move(api, audience, other).expect(200).data["folderId"] == other["id"]
    out = f"AG/audiences/{audience['id']}/remove-from-folder"
    removed = api.post(out).expect(200)
    assert removed.data == audience
    assert api.post(out).expect(200).etag == removed.etag
    assert len(api.events("audience.updated")) == 3


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"folderId": None},
        {"folderId": "x"},
        {"folderId": 1},
        {"folderId": UNKNOWN.upper()},
        {"folderId": UNKNOWN, "name": "x"},
        {"folderId": "none"},
    ],
)
def test_a_bad_move(api: Tenant, body: Any) -> None:
    audience = api.audience()
    api.post(f"AG/audiences/{audience['id']}/move-to-folder", body).expect(400, "VALIDATION_ERROR")


def test_a_folder_of_the_other_kind_is_422(api: Tenant) -> None:
    for kind, other in (("on_demand", "monitoring"), ("monitoring", "on_demand")):
        audience, folder = api.audience(type_=kind), api.folder(audience_type=other)
        answer = move(api, audience, folder).expect(422, "FOLDER_TYPE_MISMATCH")
        assert answer.error["context"] == {"audienceType": kind, "folderType": other}
    imported = api.audience()
    change = "UPDATE audiences SET type = 'file_import' WHERE account_group_id = $1 AND id = $2"
    api.server.change((change, api.group, bytes.fromhex(imported["id"])))
    move(api, imported, api.folder(audience_type="monitoring")).expect(422)
    move(api, imported, api.folder(audience_type="on_demand")).expect(200)


def test_the_guards_of_a_move_answer_in_order(api: Tenant) -> None:
    audience, wrong, right = api.audience(), api.folder(audience_type="monitoring"), api.folder()
    unknown, stale = {"id": UNKNOWN}, {"headers": {"If-Match": '"stale"'}}
    with api.filling(audience["id"]):
        answer = move(api, unknown, unknown, **stale).expect(404)
        assert answer.error["context"] == {"resource": "audience"}
        answer = move(api, audience, unknown, **stale).expect(404)
        assert answer.error["context"] == {"resource": "folder"}
        move(api, audience, wrong, **stale).expect(412)
        move(api, audience, wrong).expect(409, "AUDIENCE_NOT_READY")
        api.post(f"AG/audiences/{audience['id']}/remove-from-folder").expect(409)
    move(api, audience, wrong).expect(422)
    move(api, audience, right).expect(200)


def test_only_an_empty_folder_is_deleted_without_ungroup(api: Tenant) -> None:
    folder, audience, filling = api.folder(), api.audience(), api.audience()
    target = f"{FOLDERS}/{folder['id']}"
    for one in (audience, filling):
        move(api, one, folder).expect(200)
    with api.filling(filling["id"]):
        for query in ("", "?ungroup=false"):
            answer = api.delete(target + query).expect(409, "CONFLICT")
            assert answer.error["context"] == {"audienceCount": 2}
        answer = api.delete(f"{target}?ungroup=true").expect(409, "AUDIENCE_NOT_READY")
        assert answer.error["context"]["audienceId"] == filling["id"]
        assert api.get(f"AG/audiences/{audience['id']}").data["folderId"] == folder["id"]
    assert api.events("folder.deleted") == []
    api.delete(f"{target}?ungroup=true").expect(200)
    for one in (audience, filling):
        assert api.get(f"AG/audiences/{one['id']}").data["folderId"] is None
    assert len(api.events("audience.updated")) == 4
    api.delete(target).expect(404)


@pytest.mark.parametrize("value", ["", "1", "TRUE", "yes", "true&ungroup=true"])
def test_a_bad_ungroup(api: Tenant, value: str) -> None:
    api.delete(f"{FOLDERS}/{api.folder()['id']}?ungroup={value}").expect(400)


def test_if_match_of_a_deletion_is_the_folders(api: Tenant) -> None:
    folder, audience = api.folder(), api.audience()
    target = f"{FOLDERS}/{folder['id']}"
    tag = api.patch(target, {"name": "New"}).expect(200).etag
    move(api, audience, folder).expect(200)
    api.delete(f"{target}?ungroup=true", headers={"If-Match": '"stale"'}).expect(412)
    api.delete(f"{target}?ungroup=true", headers={"If-Match": tag}).expect(200)


def test_moves_into_a_folder_that_is_being_deleted(api: Tenant) -> None:
    """Whoever comes first: in the end no audience is in a folder that is gone."""
    for _ in range(5):
        folder = api.folder()
        audiences = [api.audience() for _ in range(4)]
        answers = at_once(
            [
                partial(api.delete, f"{FOLDERS}/{folder['id']}?ungroup=true"),
                *[partial(move, api, audience, folder) for audience in audiences],
            ]
        )
        answers[0].expect(200)
        assert {answer.status for answer in answers[1:]} <= {200, 404}
        for audience in audiences:
            assert api.get(f"AG/audiences/{audience['id']}").data["folderId"] is None
    api.get("AG/audiences/navigation").expect(200)
