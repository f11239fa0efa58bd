"""The package of docs/howto/write-a-source.md, installed as pip does it, found and run."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from longlist.prospecting.sources import registry
from tests.cli.place import PATIENCE_S, Place
from tests.docs.pages import ROOT, script
from tests.harness.tenant import Tenant
from tests.prospecting.jobs_by_hand import JOBS, run
from tests.prospecting.scripted import set_up

PAGE = ROOT / "docs" / "howto" / "write-a-source.md"
SCANS = """Name,E-mail,Company,Position
Ada Sample,ada@example.com,Example One,CTO
Ben Sample,ben@example.com,Example Two,CFO
Cleo Sample,,Example One,CEO
"""


def install(folder: Path, name: str, entry_points: dict[str, str]) -> None:
    """What pip leaves of a package beside its modules."""
    metadata = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = [f"{point} = {value}" for point, value in entry_points.items()]
    (metadata / "entry_points.txt").write_text(f"[{registry.GROUP}]\n" + "\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of installed packages with the page's own in it."""
    folder = tmp_path_factory.mktemp("site")
    for step in script(PAGE, folder):
        if not step.command.startswith(("mkdir", "cd")):
            subprocess.run(["bash", "-ec", step.command], cwd=folder, check=True)
    with (folder / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    install(folder, project["name"], project["entry-points"][registry.GROUP])
    (folder / "scans.csv").write_text(SCANS)
    return folder


@pytest.fixture
def installed(site: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """While inside, the packages of the folder are installed here."""
    monkeypatch.syspath_prepend(site)
    importlib.invalidate_caches()
    registry.forget()
    yield site
    registry.forget()
    sys.modules.pop("longlist_fair", None)


def search(api: Tenant, query: str, **more: Any) -> Any:
    body = {"type": "directory_search", "query": query, "audienceName": query, **more}
    return run(api, api.post(JOBS, body).expect(202).data["jobId"], page_rows=1)


def test_the_sample_is_found_and_fills_audiences(api: Tenant, installed: Path) -> None:
    assert "fair" in registry.names()
    set_up(api, "fair", {"file": str(installed / "scans.csv")}, token=None)
    everybody = search(api, "example")
    assert (everybody["status"], everybody["counts"]["added"]) == ("completed", 3)
    two = search(api, "one sample")
    assert (two["status"], two["counts"]["added"]) == ("completed", 2)
    assert search(api, "sample", maxResults=1)["counts"]["received"] == 1
    target = f"AG/audiences/{two['audienceId']}/prospects"
    people = api.get(target).expect(200).data["items"]
    assert {(p["name"], p["company"]["name"]) for p in people} == {
        ("Ada Sample", "Example One"),
        ("Cleo Sample", "Example One"),
    }


def test_its_failures_fail_its_jobs(api: Tenant, installed: Path) -> None:
    set_up(api, "fair", {"file": str(installed / "gone.csv")}, token=None)
    job = search(api, "example")
    assert job["error"]["message"] == "The file of scans cannot be read."
    (installed / "other.csv").write_text("Somebody\nAda\n")
    api.server.change(
        (
            "UPDATE sources SET settings = $2 WHERE account_group_id = $1",
            api.group,
            f'{{"file":"{installed / "other.csv"}"}}',
        )
    )
    assert search(api, "ada")["error"]["code"] == "SOURCE_ERROR"


def test_the_command_finds_it_in_a_process_of_its_own(tmp_path: Path, site: Path) -> None:
    place = Place(tmp_path)
    place.environ["PYTHONPATH"] = os.pathsep.join([str(site), *filter(None, sys.path)])
    place.run("migrate")
    place.run("accounts", "create", "One")

    def command(*args: str) -> str:
        return subprocess.run(
            [sys.executable, "-m", "longlist", "sources", *args],
            env=place.environ, cwd=site, capture_output=True, text=True, check=True,
            timeout=PATIENCE_S,
        ).stdout  # fmt: skip

    page = PAGE.read_text(encoding="utf-8").splitlines()
    for line in (
        "longlist sources add Fair --provider fair --set file=scans.csv",
        "longlist sources test Fair",
    ):
        shown = page[page.index(f"$ {line}") + 1]
        assert command(*line.split()[2:]) == f"{shown}\n"


BROKEN = {
    "no_module": ("nowhere.at_all:Provider", "ModuleNotFoundError"),
    "no_name": ("broken_sources:NoName", "its name is not that of its entry point"),
    "serves_files": ("broken_sources:ServesFiles", "serves is not a frozenset"),
    "no_flag": ("broken_sources:NoFlag", "needs_token is neither True nor False"),
    "no_method": ("broken_sources:NoMethod", "it has no method open"),
    "raises": ("broken_sources:RAISES", "AttributeError"),
    "breaks": ("broken_sources:Breaks", "RuntimeError at broken_sources.py:"),
    "exits": ("broken_sources:Exits", "SystemExit at broken_sources.py:"),
}
_SOURCE = """
class NoName:
    name = "another"

class ServesFiles:
    name = "serves_files"
    serves = frozenset({"file_import"})

class NoFlag:
    name = "no_flag"
    serves = frozenset({"directory_search"})

class NoMethod(NoFlag):
    name = "no_method"
    needs_token = several = False
    def check(self): ...
    load = test = check

class Breaks:
    def __init__(self):
        raise RuntimeError("ada@example.com")

class Exits:
    def __init__(self):
        raise SystemExit(3)
"""


def test_broken_packages_take_nothing_down(
    api: Tenant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "broken_sources.py").write_text(_SOURCE)
    install(tmp_path, "broken-sources", {name: value for name, (value, _) in BROKEN.items()})
    install(tmp_path, "impostor", {"unipile": "broken_sources:NoFlag"})
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    registry.forget()
    try:
        assert registry.names() == ["directory", "unipile"]
        found = {broken.name: broken.reason for broken in registry.broken()}
        assert found.keys() == BROKEN.keys()
        for name, (_, reason) in BROKEN.items():
            assert reason in found[name]
            assert f"The provider {name!r} cannot be used: " in caplog.text
        assert "ada@example.com" not in caplog.text + str(found)
        assert registry.find("no_flag") is None
        body = {"type": "directory_search", "query": "x", "audienceName": "X"}
        api.post(JOBS, body).expect(422, "SOURCE_NOT_CONFIGURED")
    finally:
        registry.forget()
        sys.modules.pop("broken_sources", None)
