"""`longlist doctor` and `longlist openapi`."""

from __future__ import annotations

import json
from typing import Any

from longlist.openapi import document_text
from tests.cli.place import Place


def states(report: Any) -> dict[str, str]:
    return {check["name"]: check["state"] for check in report["checks"]}


def test_a_sound_installation(place: Place) -> None:
    place.run("migrate")
    place.run("accounts", "create", "Acme")
    # The tests' PostgreSQL runs without fsync, which a real one must not.
    durable = not place.database_url
    printed = place.run("doctor", "--json", code=0) if durable else None
    if printed is None:
        assert "Traceback" not in place.run("doctor", "--json", code=1)
        return
    report = json.loads(printed)
    assert report["ok"] is True
    found = states(report)
    assert found.pop("workers") == "warning"
    assert set(found.values()) == {"ok"}
    assert {"data", "disk", "secret", "database", "encoding", "schema", "integrity"} <= set(found)
    assert report["settings"]["database_url"] == "(not set)"
    assert "LONGLIST_DATA=" in place.run("doctor")


def test_a_secret_is_never_shown(embedded: Place) -> None:
    secret = "hushhush" * 5
    embedded.run("migrate", environ={"LONGLIST_SECRET": secret})
    printed = embedded.run("doctor", "--json", environ={"LONGLIST_SECRET": secret})
    assert secret not in printed
    assert json.loads(printed)["settings"]["secret"] == "(set)"


def test_a_secret_that_others_may_read_is_a_failure(embedded: Place) -> None:
    embedded.run("migrate")
    embedded.run("accounts", "create", "Acme")
    (embedded.data / "secret").chmod(0o644)
    embedded.run("doctor", code=1)


def test_no_database_yet_is_a_failure_and_makes_none(embedded: Place) -> None:
    embedded.run("doctor", code=1)
    assert not (embedded.data / "longlist.sqlite3").exists()


def test_openapi_is_the_document(embedded: Place) -> None:
    assert embedded.run("openapi") == document_text()
