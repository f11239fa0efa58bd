"""GET navigation (contract 3.3)."""

from __future__ import annotations

from tests.harness.tenant import Tenant

NAVIGATION = "AG/audiences/navigation"
FOLDER = [
    "id",
    "name",
    "audienceType",
    "isPinned",
    "position",
    "createdAt",
    "updatedAt",
    "audiences",
]


def test_nothing_yet(api: Tenant) -> None:
    assert api.get(NAVIGATION).expect(200).data == {"folders": [], "ungroupedAudiences": []}


def test_folders_in_order_and_audiences_newest_first(api: Tenant, stranger: Tenant) -> None:
    first, second, empty = api.folder("First"), api.folder("Second"), api.folder("Empty")
    made = [api.audience(f"Audience {at}") for at in range(6)]
    for audience, folder in zip(made, (first, second, first, second), strict=False):
        api.post(
            f"AG/audiences/{audience['id']}/move-to-folder", {"folderId": folder["id"]}
        ).expect(200)
    stranger.audience("Theirs")
    stranger.folder("Theirs")
    data = api.get(NAVIGATION).expect(200).data
    assert list(data) == ["folders", "ungroupedAudiences"]
    assert [list(folder) for folder in data["folders"]] == [FOLDER] * 3
    assert [
        (f["name"], f["position"], [a["name"] for a in f["audiences"]]) for f in data["folders"]
    ] == [
        ("First", 0, ["Audience 2", "Audience 0"]),
        ("Second", 1, ["Audience 3", "Audience 1"]),
        ("Empty", 2, []),
    ]
    assert data["ungroupedAudiences"] == [made[5], made[4]]
    assert {**data["folders"][2], "audiences": None} == {**empty, "audiences": None}


def test_pinned_folders_come_first(api: Tenant) -> None:
    folders = [api.folder(f"Folder {at}") for at in range(3)]
    pin = "UPDATE folders SET is_pinned = 1 WHERE account_group_id = $1 AND id = $2"
    api.server.change((pin, api.group, bytes.fromhex(folders[2]["id"])))
    shown = api.get(NAVIGATION).data["folders"]
    assert [(f["name"], f["isPinned"]) for f in shown] == [
        ("Folder 2", True), ("Folder 0", False), ("Folder 1", False),
    ]  # fmt: skip


def test_filling_audiences_are_left_out_and_their_folder_is_not(api: Tenant) -> None:
    folder, inside, outside = api.folder(), api.audience(), api.audience()
    api.post(f"AG/audiences/{inside['id']}/move-to-folder", {"folderId": folder["id"]}).expect(200)
    with api.filling(inside["id"]), api.filling(outside["id"]):
        data = api.get(NAVIGATION).expect(200).data
        assert [f["audiences"] for f in data["folders"]] == [[]]
        assert data["ungroupedAudiences"] == []
