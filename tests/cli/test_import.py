"""`longlist import`: with a server of its own, and through one that runs."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

from tests.cli.desk import Desk
from tests.cli.place import LEGISLATORS, Place, usage_error

FAIR = """First Name;Post;Private Mail;Firm=Name;Company
Ada;ada@example.com;x@example.com;Example One;C1
Ben;ben-at-example.com;;Example Two;C2
"""


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


def test_a_dry_run_tells_and_changes_nothing(desk: Desk) -> None:
    file = desk.folder / "fair.csv"
    file.write_text(FAIR)
    dry = ("import", str(file), "--audience", "Fair", "--dry-run")
    said = desk.run(*dry).text
    assert said.startswith("fair.csv -> Fair (a new audience): a dry run, nothing was changed\n")
    assert "Found: CSV, utf-8, delimiter semicolon\n" in said
    assert "  First Name -> firstName\n" in said
    assert "  Post -> (left out)\n" in said
    assert dict(re.findall(r"^  (\w+) +(\d+)$", said, re.MULTILINE))["added"] == "2"
    assert desk.json("audiences", "list") == []
    assert desk.json("jobs", "list") == []
    # By hand: a field that another column is suggested for, a column left out, one with a =.
    by_hand = ("--map", "Private Mail=email", "--map", "Firm=Name=company.name", "--map",
               "First Name=")  # fmt: skip
    would = desk.json(*dry, *by_hand)
    assert would["mapping"] == {
        "First Name": None, "Post": None, "Private Mail": "email", "Firm=Name": "company.name",
        "Company": None,
    }  # fmt: skip
    assert (would["counts"]["added"], would["counts"]["failed"]) == (1, 1)
    assert (would["dryRun"], would["audienceId"], would["delimiter"]) == (True, None, ";")
    id_ = desk.tenant.audience("Fair")["id"]
    assert desk.json(*dry)["audienceId"] == id_
    assert desk.json(*dry, "--new")["audienceId"] is None
    with desk.tenant.filling(id_):
        desk.run(*dry, code=5)


def test_a_mapping_that_does_not_fit_is_refused(desk: Desk) -> None:
    file = desk.folder / "fair.csv"
    file.write_text(FAIR)
    args = ("import", str(file), "--audience", "Fair", "--map")
    said = desk.run(*args, "Pots=email", code=2).err
    assert "no column 'Pots'" in said
    assert "Private Mail" in said
    assert "company.name" in desk.run(*args, "Post=mail", code=2).err
    desk.run(*args, "Post", code=2)
    desk.run(*args, "Post=email", "--map", "Post=name", code=2)
    said = desk.run(*args, "Company=", code=2).err
    assert "columns of the file are: First Name, Post, " in said
    assert "--map" in said
    assert desk.json("jobs", "list") == []


def test_failed_rows_go_to_a_file_and_a_new_audience_beside_another(desk: Desk) -> None:
    file, failed = desk.folder / "fair.csv", desk.folder / "failed.csv"
    file.write_text(FAIR)
    args = ("import", str(file), "--audience", "Fair", "--map", "Post=email")
    with desk.working():
        said = desk.run(*args, "--failed-rows", str(failed)).text
        assert said.endswith(f"Wrote 1 failed row to {failed}.\n")
        (row,) = csv.DictReader(failed.read_text().splitlines())
        assert (row["line"], row["reason"]) == ("3", "INVALID_EMAIL")
        failed.write_text("kept")
        assert "--force" in desk.run(*args, "--failed-rows", str(failed), code=2).err
        assert failed.read_text() == "kept"
        first, new = (
            desk.json(*args, "--failed-rows", str(failed), "--force", *more)
            for more in ((), ("--new",))
        )
    assert (first["counts"]["unchanged"], new["counts"]["added"]) == (1, 1)
    assert first["audienceId"] != new["audienceId"]
    assert "INVALID_EMAIL" in failed.read_text()


def test_usage_errors() -> None:
    file = str(LEGISLATORS)
    assert "--audience" in usage_error("import", file)
    args = ("--audience", "A", "--url", "http://127.0.0.1:1")
    assert "LONGLIST_API_KEY" in usage_error("import", file, *args)
    unknown = ("--audience-id", "0123456789abcdef01234567")
    assert "--audience" in usage_error("import", file, *unknown, "--new")
    rows = ("--audience", "A", "--failed-rows")
    assert "--dry-run" in usage_error("import", file, *rows, "f.csv", "--dry-run")
    assert "no folder" in usage_error("import", file, *rows, "/nowhere/at/all/f.csv")
