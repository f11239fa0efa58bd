"""`longlist audiences` and `longlist prospects`, over HTTP."""

from __future__ import annotations

import csv
import io
import json

import pytest

from tests.cli.desk import Desk, at_terminal

UNKNOWN = "0123456789abcdef01234567"
MEMBERS = ["id", "name", "type", "description", "folderId", "prospectCount", "createdAt"]


def test_a_list_in_a_pipe_is_one_line_for_each(desk: Desk) -> None:
    first = desk.tenant.audience("First")
    second = desk.tenant.audience("Second", "monitoring")
    lines = desk.run("audiences", "list").lines
    assert lines == [
        [second["id"], "Second", "monitoring", "0", second["createdAt"], "ready"],
        [first["id"], "First", "on_demand", "0", first["createdAt"], "ready"],
    ]
    assert desk.json("audiences", "list") == [second, first]
    assert [line[1] for line in desk.run("audiences", "list", "--limit", "1").lines] == ["Second"]
    assert [a["name"] for a in desk.json("audiences", "list", "--search", "irs")] == ["First"]
    assert desk.json("audiences", "list", "--type", "url_upload") == []
    assert desk.run("audiences", "list", "--search", "nobody").text == ""


def test_every_page_is_listed(desk: Desk) -> None:
    names = [f"Number {at:03}" for at in range(203)]
    for name in names:
        desk.tenant.audience(name)
    assert [line[1] for line in desk.run("audiences", "list").lines] == names[::-1]
    assert len(desk.json("audiences", "list", "--limit", "201")) == 201


def test_an_audience_is_made_renamed_described_and_deleted(desk: Desk) -> None:
    made = desk.json("audiences", "create", "  Fair  ", "--description", "Visitors")
    assert list(made) == MEMBERS
    assert (made["name"], made["type"], made["description"]) == ("Fair", "on_demand", "Visitors")
    assert desk.json("audiences", "rename", "Fair", "Fair 2026")["id"] == made["id"]
    told = desk.json("audiences", "describe", "Fair 2026", "One\ttab\nand a line")
    assert told["description"] == "One\ttab\nand a line"
    pairs = dict(desk.run("audiences", "show", made["id"]).lines)
    assert pairs["description"] == "One\\ttab\\nand a line"
    assert list(pairs) == MEMBERS
    assert desk.json("audiences", "describe", "Fair 2026", "")["description"] is None
    said = desk.run("audiences", "delete", "Fair 2026", code=2)
    assert "--yes" in said.err
    assert desk.run("audiences", "delete", "Fair 2026", "--yes").text == f"Deleted {made['id']}.\n"
    said = desk.run("audiences", "show", made["id"], code=3)
    assert "No such audience" in said.err


def test_a_name_has_to_mean_one_audience(desk: Desk) -> None:
    twins = [desk.tenant.audience("Twin")["id"] for _ in range(2)]
    said = desk.run("audiences", "show", "Twin", code=2)
    assert all(id_ in said.err for id_ in twins)
    near = desk.tenant.audience("Twin towns")["id"]
    said = desk.run("audiences", "show", "Twin t", code=3)
    assert near in said.err
    assert "audiences list" in said.err
    # An exact name is meant, also where other names contain it.
    assert desk.json("audiences", "show", "Twin towns")["id"] == near


def test_a_locked_audience_says_who_holds_it(desk: Desk) -> None:
    id_ = desk.tenant.audience("Held")["id"]
    with desk.tenant.filling(id_, "running", 4_200) as job:
        for args in (
            ("show", "Held"),
            ("rename", "Held", "Free"),
            ("export", "Held"),
            ("delete", id_, "--yes"),
        ):
            said = desk.run("audiences", *args, code=5)
            assert f"job {job} fills it (running, 42% done" in said.err
            assert f"jobs watch {job}" in said.err
            assert said.out == b""
        ((*_, state),) = desk.run("audiences", "list").lines
        assert state == "running 42%"


def test_a_deletion_that_was_agreed_to_is_of_what_was_seen(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    from longlist_client.resources.audiences import Audiences

    id_ = desk.tenant.audience("Seen")["id"]
    seen = Audiences.get

    class Late:
        """Somebody changes the audience right after it was looked at."""

        def __get__(self, resource: Audiences, owner: type) -> object:
            def get(audience_id: str) -> object:
                found = seen.__get__(resource, owner)(audience_id)
                desk.tenant.patch(f"AG/audiences/{audience_id}", {"name": "Changed"}).expect(200)
                return found

            return get

    monkeypatch.setattr(Audiences, "get", Late())
    desk.run("audiences", "delete", id_, "--yes", code=8)
    monkeypatch.undo()
    assert desk.json("audiences", "show", id_)["name"] == "Changed"


def test_an_export_goes_to_the_output_or_to_a_file(desk: Desk) -> None:
    id_ = desk.tenant.audience("Out")["id"]
    people = [{"name": f"Zoë {at}", "email": f"zoe{at}@example.com"} for at in range(3)]
    desk.tenant.add(id_, *people)
    out = desk.run("audiences", "export", "Out").out
    rows = list(csv.DictReader(io.StringIO(out.decode(), newline="")))
    assert {row["email"] for row in rows} == {person["email"] for person in people}
    file = desk.folder / "out.jsonl"
    assert desk.json("audiences", "export", "Out", str(file)) == {
        "audienceId": id_, "file": str(file), "format": "ndjson", "rows": 3,
    }  # fmt: skip
    assert [json.loads(line)["name"] for line in file.read_text().splitlines()] == [
        row["name"] for row in rows
    ]
    assert "--force" in desk.run("audiences", "export", "Out", str(file), code=2).err
    desk.run("audiences", "export", "Out", str(file), "--force", "--format", "csv")
    assert file.read_bytes() == out
    said = desk.run("audiences", "export", "Out", str(desk.folder / "none" / "o.csv"), code=1)
    assert "cannot be written" in said.err


def test_people_are_found_and_shown(desk: Desk) -> None:
    id_ = desk.tenant.audience("People")["id"]
    ada = desk.tenant.prospect(
        id_, name="Ada STRASSE", email="ada@example.com", providerId="p-1",
        company={"name": "Acme"}, about="Two\nlines",
    )  # fmt: skip
    desk.tenant.prospect(id_, name="Ben Other", email="ben@example.org")
    for text in ("straße", "ADA@", "acme"):
        lines = desk.run("prospects", "find", text, "--audience", "People").lines
        assert lines == [[ada, "Ada STRASSE", "ada@example.com", "", "Acme"]]
    assert len(desk.json("prospects", "find", "example", "--audience", id_)) == 2
    found = desk.json("prospects", "find", "example", "--audience", id_, "--limit", "1")
    assert len(found) == 1
    assert desk.run("prospects", "find", "--provider-id", "p-1").lines[0][0] == ada
    assert desk.json("prospects", "find", "--provider-id", "p-2") == []
    desk.run("prospects", "find", "ada", code=2)
    shown = dict(desk.run("prospects", "show", ada).lines)
    assert shown["company.name"] == "Acme"
    assert shown["about"] == "Two\\nlines"
    assert desk.json("prospects", "show", ada) == desk.tenant.get(f"AG/prospects/{ada}").data
    desk.run("prospects", "show", UNKNOWN, code=3)


def test_a_terminal_gets_a_table_and_is_asked(desk: Desk) -> None:
    markup = desk.tenant.audience("[red]A[/red] :smile:")
    desk.tenant.audience("B" * 200)
    code, seen = at_terminal(desk.environ, "audiences", "list")
    assert code == 0
    assert "PROSPECTS" in seen
    assert markup["id"] in seen
    assert "[red]A[/red] :smile:" in seen
    assert "\t" not in seen
    delete = ("audiences", "delete", markup["id"])
    code, seen = at_terminal(desk.environ, *delete, typed="n\n")
    assert code == 1
    assert "0 prospects, which stay" in seen
    assert desk.json("audiences", "show", markup["id"]) == markup
    code, seen = at_terminal(desk.environ, *delete, typed="y\n")
    assert code == 0
    desk.run("audiences", "show", markup["id"], code=3)


def test_a_table_stops_where_a_pipe_does_not(desk: Desk) -> None:
    for at in range(101):
        desk.tenant.audience(f"Number {at:03}")
    _, seen = at_terminal(desk.environ, "audiences", "list")
    assert "Number 001" in seen
    assert "Number 000" not in seen
    assert "--limit" in seen
    assert len(desk.run("audiences", "list").lines) == 101
