"""`longlist import`: with a server of its own, and through one that runs."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.cli.place import LEGISLATORS, Place, usage_error


def invented(folder: Path) -> Path:
    """Twelve rows: nine people, one of them twice, an e-mail that is none, an empty row's name."""
    lines = ["First Name,Last Name,Email,Company"]
    lines += [f"Ada{at},Invented,ada{at}@example.com,Acme" for at in range(9)]
    lines += ["Ada0,Invented,ada0@example.com,Acme", "Bad,Mail,not-an-email,Acme", "Only,,,"]
    file = folder / "people.csv"
    file.write_text("\n".join(lines) + "\n")
    return file


def test_a_fresh_folder_needs_nothing_else(place: Place) -> None:
    printed = place.run("import", str(LEGISLATORS), "--audience", "Congress")
    rows = len(LEGISLATORS.read_text().splitlines()) - 1
    numbers = dict(re.findall(r"^  (\w+) +([\d,]+)$", printed, re.MULTILINE))
    assert numbers == {
        "added": str(rows),
        "updated": "0",
        "unchanged": "0",
        "skipped": "0",
        "failed": "0",
        "rows": str(rows),
    }
    assert "keys create --all" in printed
    (key,) = place.json("keys", "list")
    assert key["revokedAt"] is not None
    assert key["expiresAt"] is not None


def test_a_running_server_is_used_and_an_audience_of_the_name_is_filled(place: Place) -> None:
    file = invented(place.folder)
    with place.serving() as server:
        key = re.search(r"llk_\w+", server.printed)
        assert key
        environ = {"LONGLIST_URL": server.url, "LONGLIST_KEY": key[0]}
        args = ("import", str(file), "--audience", "Trade fair", "--json")
        first = json.loads(place.run(*args, environ=environ))
        second = json.loads(place.run(*args, environ=environ))
        assert server.stop() == 0
    assert first["audienceId"] == second["audienceId"]
    assert first["status"] == second["status"] == "completed"
    for report in (first, second):
        counts = dict(report["counts"])
        assert counts.pop("received") == sum(counts.values()) == 12
        reasons = sum(reason["rows"] for reason in report["reasons"])
        assert reasons == counts["failed"] + counts["skipped"]
    assert first["counts"]["added"] == 9
    assert second["counts"]["added"] == 0
    (bad,) = [r for r in first["reasons"] if r["reason"] == "INVALID_EMAIL"]
    assert bad["lines"] == [12]
    # The key was given: none was made.
    assert len(place.json("keys", "list")) == 1


def test_the_group_is_named_where_there_are_several(embedded: Place) -> None:
    embedded.run("migrate")
    groups = [embedded.json("accounts", "create", name)["id"] for name in ("One", "Two")]
    file = invented(embedded.folder)
    said = embedded.run("import", str(file), "--audience", "Trade fair", code=2)
    assert all(group in said for group in groups)
    args = ("--audience", "Trade fair", "--account-group", groups[1])
    assert embedded.json("import", str(file), *args)["accountGroupId"] == groups[1]


def test_what_cannot_be_imported_is_one_sentence(embedded: Place) -> None:
    said = embedded.run("import", "nowhere.csv", "--audience", "A", code=1)
    assert said == "longlist: There is no file nowhere.csv.\n"
    empty = embedded.folder / "empty.csv"
    empty.write_text("")
    said = embedded.run("import", str(empty), "--audience", "A", code=1)
    assert said.startswith("longlist: ")
    assert said.count("\n") == 1
    # The key was given back all the same.
    (key,) = embedded.json("keys", "list")
    assert key["revokedAt"] is not None


def test_a_stranger_on_the_port_does_not_get_the_work(embedded: Place, tmp_path: Path) -> None:
    other = Place(tmp_path / "other")
    other.folder.mkdir()
    with other.serving("--api-only") as server:
        port = server.url.rpartition(":")[2]
        file = invented(embedded.folder)
        embedded.run("import", str(file), "--audience", "Mine", environ={"LONGLIST_PORT": port})
    assert len(embedded.json("accounts", "list")) == 1
    assert "longlist import" not in other.run("keys", "list")


def test_usage_errors() -> None:
    assert "--audience" in usage_error("import", str(LEGISLATORS))
    args = ("--audience", "A", "--url", "http://127.0.0.1:1")
    assert "LONGLIST_API_KEY" in usage_error("import", str(LEGISLATORS), *args)
