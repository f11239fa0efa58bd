"""`longlist accounts` and `longlist keys`."""

from __future__ import annotations

import re

import pytest
import typer

from longlist.keys.commands import expiry_of
from longlist.keys.secret import is_well_formed
from longlist.keys.store import PERMISSIONS
from tests.cli.place import Place, usage_error

NOW = 1_772_600_707_089
UNKNOWN = "0123456789abcdef01234567"


def test_an_account_group_is_made_listed_and_set(place: Place) -> None:
    place.run("migrate")
    made = place.json("accounts", "create", "  Müller GmbH ")
    assert made["name"] == "Müller GmbH"
    assert made["settings"] == {
        "uniqueAudienceNames": False,
        "maxResultsCap": 2000,
        "fileRowsCap": 5_000_000,
    }
    assert made["credits"] == {"unlimited": True, "available": None, "reserved": None}
    values = ("uniqueAudienceNames=true", "maxResultsCap=10", "fileRowsCap=1_000", "credits=5")
    changed = place.json("accounts", "set", made["id"], *values)
    assert changed["settings"] == {
        "uniqueAudienceNames": True,
        "maxResultsCap": 10,
        "fileRowsCap": 1000,
    }
    assert changed["credits"] == {"unlimited": False, "available": 5, "reserved": 0}
    assert place.json("accounts", "list") == [changed]
    assert "unlimited" in place.run("accounts", "set", made["id"], "credits=unlimited")
    assert made["id"] in place.run("accounts", "list")


@pytest.mark.parametrize(
    "value", ["credits", "credits=-1", "credits=1.5", "maxResultsCap=0", "name=New", "=1"]
)
def test_a_value_that_cannot_be_set_is_a_usage_error(value: str) -> None:
    assert "Invalid value" in usage_error("accounts", "set", UNKNOWN, value)


def test_a_key_is_made_listed_rotated_and_revoked(place: Place) -> None:
    place.run("migrate")
    assert "none yet" in place.run("keys", "create", "--all", code=1)
    group = place.json("accounts", "create", "One")["id"]
    other = place.json("accounts", "create", "Two")["id"]
    assert other in place.run("keys", "create", "--all", code=1)
    limits = ("--rate", "6000", "--burst", "500", "--expires", "90d")
    groups = ("--account-group", group, "--account-group", other)
    made = place.json("keys", "create", "--all", "--name", "Zapier", *groups, *limits)
    assert set(made) == {"id", "key"}
    assert is_well_formed(made["key"])
    (listed,) = place.json("keys", "list")
    assert listed["id"] == made["id"]
    assert listed["name"] == "Zapier"
    assert listed["keyPrefix"] == made["key"][:12]
    assert listed["permissions"] == sorted(PERMISSIONS)
    assert listed["accountGroups"] == sorted([group, other])
    assert listed["rateLimit"] == {"perMinute": 6000, "burst": 500}
    assert listed["revokedAt"] is None
    rotated = place.json("keys", "rotate", made["id"])
    assert rotated["id"] == made["id"]
    assert rotated["key"] != made["key"]
    place.run("keys", "revoke", made["id"])
    assert re.search(rf"{made['id']} +Zapier +\S+ +revoked ", place.run("keys", "list"))
    assert "revoked" in place.run("keys", "rotate", made["id"], code=1)
    assert "There is no key" in place.run("keys", "revoke", UNKNOWN, code=1)


@pytest.mark.parametrize(
    "args",
    [
        (),
        ("--all", "--permission", "audiences:read"),
        ("--permission", "audiences:*"),
        ("--all", "--expires", "soon"),
        ("--all", "--rate", "0"),
    ],
)
def test_a_key_that_cannot_be_made_is_a_usage_error(args: tuple[str, ...]) -> None:
    assert "Invalid value" in usage_error("keys", "create", *args)


def test_commands_do_not_make_a_database_by_mistake(embedded: Place) -> None:
    assert "There is no database in" in embedded.run("keys", "list", code=1)
    assert not (embedded.data / "longlist.sqlite3").exists()


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("90d", NOW + 90 * 86_400_000),
        ("12h", NOW + 12 * 3_600_000),
        ("30m", NOW + 30 * 60_000),
        ("30s", NOW + 30_000),
        ("2030-01-02", 1_893_542_400_000),
        ("2030-01-02T00:00:00Z", 1_893_542_400_000),
        ("2030-01-02T02:00:00+02:00", 1_893_542_400_000),
    ],
)
def test_an_expiry_is_a_duration_or_a_time(text: str, at: int) -> None:
    assert expiry_of(text, NOW) == at


@pytest.mark.parametrize("text", ["", "0s", "-1d", "2020-01-01", "999999999d", "1w", "tomorrow"])
def test_an_expiry_in_the_past_or_beyond_reason_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        expiry_of(text, NOW)
