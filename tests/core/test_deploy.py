"""What stands in deploy/ is true: settings, commands, metrics, ports and paths exist."""

from __future__ import annotations

import configparser
import json
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer.main
import yaml  # type: ignore[import-untyped,unused-ignore]

from longlist import settings
from longlist.app import OPERATIONS
from longlist.cli import app as command_line
from longlist.metrics import Metrics
from longlist.prospecting.runner import ProspectingRunner
from longlist.settings import PREFIX, SECRETS, Settings
from tests.core.test_metrics import samples_of
from tests.harness.server import Longlist

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
METRICS_PORT = 9464
FILES = sorted(path for path in DEPLOY.rglob("*") if path.is_file() and "secrets" not in path.parts)
NAMES = [path.relative_to(DEPLOY).as_posix() for path in FILES]
UNITS = [path for path in FILES if path.suffix == ".service"]
PATHS = {operation.path for operation in OPERATIONS}
_SET = re.compile(r"\bLONGLIST_([A-Z_]+)\b")


def documents(name: str) -> list[Any]:
    """The documents of a YAML file."""
    return [found for found in yaml.safe_load_all((DEPLOY / name).read_text()) if found]


def kubernetes() -> list[Any]:
    """Every object of the manifests."""
    names = documents("kubernetes/kustomization.yaml")[0]["resources"]
    kept = {path.name for path in (DEPLOY / "kubernetes").glob("*.yaml")} - {"kustomization.yaml"}
    assert set(names) == kept
    return [found for name in names for found in documents(f"kubernetes/{name}")]


def of_kind(kind: str) -> list[Any]:
    return [found for found in kubernetes() if found["kind"] == kind]


def pods() -> list[tuple[str, Any]]:
    """Name and pod template of each workload."""
    return [
        (found["metadata"]["name"], found["spec"]["template"])
        for found in [*of_kind("Deployment"), *of_kind("Job")]
    ]


def unit(path: Path) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(path)
    return parser


def test_there_is_something_to_look_at() -> None:
    assert {"Containerfile", "compose.yaml", "grafana/longlist.json"} <= set(NAMES)
    assert len(UNITS) == 4
    assert len(pods()) == 3


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_that_is_named_exists(name: str) -> None:
    known = {field.upper() for field in Settings.__struct_fields__}
    known |= {f"{secret.upper()}_FILE" for secret in SECRETS}
    assert set(_SET.findall((DEPLOY / name).read_text())) <= known


def test_settings_that_are_given_can_be_used() -> None:
    [compose] = documents("compose.yaml")
    given = [compose["x-longlist"]["environment"], of_kind("ConfigMap")[0]["data"]]
    lines = (DEPLOY / "systemd" / "longlist.env").read_text().splitlines()
    given.append(dict(line.split("=", 1) for line in lines if line and not line.startswith("#")))
    for values in given:
        assert all(isinstance(value, str) for value in values.values()), values
        own = {name: value for name, value in values.items() if not name.endswith("_FILE")}
        assert settings.load(own).metrics_port == METRICS_PORT


def command_lines() -> Iterator[tuple[str, list[str]]]:
    """Every command line of `longlist`, with where it stands."""
    for path in UNITS:
        words = unit(path)["Service"]["ExecStart"].split()
        at = words.index("/opt/longlist/bin/longlist")
        yield path.name, words[at + 1 :]
    [compose] = documents("compose.yaml")
    for name, service in compose["services"].items():
        if service.get("image", "").startswith("longlist:"):
            yield f"compose: {name}", service["command"]
    for name, pod in pods():
        for container in pod["spec"]["containers"]:
            yield f"kubernetes: {name}", container["args"]
    [words] = re.findall(r"^CMD (\[.*\])$", (DEPLOY / "Containerfile").read_text(), re.MULTILINE)
    yield "Containerfile", json.loads(words)
    for line in re.findall(r"^\$ .*?longlist ((?:accounts|keys|serve|worker|migrate).*)$",
                           (DEPLOY / "README.md").read_text(), re.MULTILINE):  # fmt: skip
        yield "README.md", line.split()


def test_every_command_exists() -> None:
    found = list(command_lines())
    assert len(found) >= 4 + 3 + 3 + 1 + 1
    for where, line in found:
        command: Any = typer.main.get_command(command_line)
        words = list(line)
        while words and words[0] in getattr(command, "commands", {}):
            command = command.commands[words.pop(0)]
        assert not hasattr(command, "commands"), (where, words)
        options = {option for parameter in command.params for option in parameter.opts}
        assert set(words) <= options, (where, words)


def exposed(server: Longlist) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample of an API process and of a worker."""
    request: Any = SimpleNamespace(method="GET", trace_id="", key=None)
    # One of each, so that there is a sample of each kind.
    server.app.telemetry.request(request, None, 404, 0.001)
    server.app.telemetry.page(request, None, 404, 0.001, None)
    engine: Any = SimpleNamespace(busy=(0, 2), beats=0, buried=0, rescued=0)
    runner = ProspectingRunner(server.installation)
    parts: list[dict[str, Any]] = [
        {"app": server.app, "worker_starts": lambda: 1},
        {"engine": engine, "runner": runner},
    ]

    async def render(more: dict[str, Any]) -> str:
        _, text = await Metrics(server.installation, **more).render()
        return text.decode()

    found = {}
    for more in parts:
        found.update(samples_of(server.call(render, more)))
    return found


_ONLY_ON = {
    "sqlite": re.compile(r"longlist_write_lock_wait_seconds"),
    "postgres": re.compile(r"longlist_pool_connections"),
}
_ELSEWHERE = {
    # Shown by tests/db/test_replicas.py.
    "longlist_replicas", "longlist_replica_behind_bytes", "longlist_reads_total",
    # Shown by tests/front/test_commands.py.
    "longlist_front_directory_up", "longlist_front_cluster_up",
    "longlist_front_cluster_requests_under_way",
}  # fmt: skip


def queries() -> dict[str, list[str]]:
    """Every query of the dashboard and of the alerts."""
    dashboard = json.loads((DEPLOY / "grafana" / "longlist.json").read_text())
    [rules] = documents("prometheus/longlist.rules.yaml")
    return {
        "dashboard": [
            target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())
        ],
        "alerts": [rule["expr"] for group in rules["groups"] for rule in group["rules"]],
    }


def test_every_metric_that_is_asked_for_is_there(server: Longlist) -> None:
    found = exposed(server)
    names = {name for name, _ in found}
    other = _ONLY_ON["sqlite" if server.settings.uses_postgres else "postgres"]
    for where, expressions in queries().items():
        assert expressions
        for expression in expressions:
            for name in re.findall(r"\b(?:longlist|process)_[a-z_]+", expression):
                assert name in names | _ELSEWHERE or other.match(name), (where, name)


def test_every_label_that_is_asked_for_has_that_value(server: Longlist) -> None:
    found = exposed(server)
    labels = {(name, pair) for name, pairs in found for pair in pairs}
    looked = 0
    for expressions in queries().values():
        for expression in expressions:
            for name, inside in re.findall(r"\b(longlist_[a-z_]+)\{([^}]*)\}", expression):
                if _ONLY_ON["postgres"].match(name) and not server.settings.uses_postgres:
                    continue
                for pair in re.findall(r'\b(state|outcome|bucket)="([^"]*)"', inside):
                    assert (name, pair) in labels, (name, pair)
                    looked += 1
    assert looked >= 3


def test_every_metric_is_documented(server: Longlist) -> None:
    page = (ROOT / "docs" / "howto" / "metrics-and-traces.md").read_text()
    told = set(re.findall(r"`(longlist_[a-z_]+)", page))
    ours = {
        re.sub(r"_(bucket|count|sum|created)$", "", name)
        for name, _ in exposed(server)
        if name.startswith("longlist_")
    }
    assert ours <= told
    unknown = told - ours
    other = _ONLY_ON["sqlite" if server.settings.uses_postgres else "postgres"]
    missing = {name for name in unknown if not other.match(name)}
    assert missing == _ELSEWHERE


def test_the_alerts_are_whole() -> None:
    [rules] = documents("prometheus/longlist.rules.yaml")
    for rule in rules["groups"][0]["rules"]:
        assert set(rule) - {"for"} == {"alert", "expr", "labels", "annotations"}
        assert set(rule["annotations"]) == {"summary", "description"}
        assert rule["labels"]["severity"] in ("critical", "warning")


def test_ports_agree() -> None:
    port = Settings().port
    text = (DEPLOY / "Containerfile").read_text()
    [ports] = re.findall(r"^EXPOSE (.*)$", text, re.MULTILINE)
    assert ports.split() == [str(port), str(METRICS_PORT), str(METRICS_PORT + 1)]
    [compose] = documents("compose.yaml")
    services = compose["services"]
    assert services["api"]["expose"] == [str(port), str(METRICS_PORT)]
    assert services["worker"]["expose"] == [str(METRICS_PORT)]
    nginx = (DEPLOY / "nginx.conf").read_text()
    assert f"http://api:{port};" in nginx
    [published] = services["proxy"]["ports"]
    assert f"listen {published.rpartition(':')[2]};" in nginx
    for name, pod in pods():
        [container] = pod["spec"]["containers"]
        found = {each["name"]: each["containerPort"] for each in container.get("ports", ())}
        wanted = {"longlist-api": {"http": port, "metrics": METRICS_PORT}}
        wanted["longlist-worker"] = {"metrics": METRICS_PORT}
        assert found == wanted.get(name, {}), name
        if found:
            scraped = pod["metadata"]["annotations"]["prometheus.io/port"]
            assert scraped == str(METRICS_PORT)
    [service] = of_kind("Service")
    assert [each["port"] for each in service["spec"]["ports"]] == [port]
    [policy] = of_kind("NetworkPolicy")
    opened = [each["port"] for rule in policy["spec"]["ingress"] for each in rule["ports"]]
    assert opened == [port, METRICS_PORT]
    [scrape] = documents("prometheus/prometheus.yaml")
    targets = scrape["scrape_configs"][0]["static_configs"][0]["targets"]
    assert targets == [f"127.0.0.1:{METRICS_PORT}", f"127.0.0.1:{METRICS_PORT + 1}"]


def test_paths_that_are_probed_exist() -> None:
    text = (DEPLOY / "Containerfile").read_text()
    [probed] = re.findall(rf"http://127\.0\.0\.1:{Settings().port}(/\w+)", text)
    assert probed in PATHS
    [api] = [pod for name, pod in pods() if name == "longlist-api"]
    container = api["spec"]["containers"][0]
    probes = {name: container[name]["httpGet"] for name in container if name.endswith("Probe")}
    assert set(probes) == {"readinessProbe", "livenessProbe", "startupProbe"}
    assert probes["readinessProbe"]["path"] == "/readyz"
    assert {probe["path"] for probe in probes.values()} <= PATHS
    assert {probe["port"] for probe in probes.values()} == {"http"}


def test_the_manifests_refer_to_each_other() -> None:
    [files] = of_kind("PersistentVolumeClaim")
    assert files["spec"]["accessModes"] == ["ReadWriteMany"]
    [config] = of_kind("ConfigMap")
    for name, pod in pods():
        spec = pod["spec"]
        [container] = spec["containers"]
        assert container["envFrom"] == [{"configMapRef": {"name": config["metadata"]["name"]}}]
        volumes = {each["name"]: each for each in spec["volumes"]}
        mounts = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
        assert set(mounts) == set(volumes), name
        assert mounts["files"] == "/data"
        claim = volumes["files"]["persistentVolumeClaim"]["claimName"]
        assert claim == files["metadata"]["name"]
        for variable, value in config["data"].items():
            if variable.endswith("_FILE"):
                assert value.startswith(mounts["secrets"] + "/")
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
    labels = {name: pod["metadata"]["labels"] for name, pod in pods()}
    selectors = [
        (found["metadata"]["name"], found["spec"]["selector"])
        for found in [*of_kind("Deployment"), *of_kind("PodDisruptionBudget")]
    ]
    assert len(selectors) == 4
    for name, selector in selectors:
        assert selector["matchLabels"] == labels[name]
    [service] = of_kind("Service")
    assert service["spec"]["selector"] == labels["longlist-api"]


def test_roles_of_compose_share_files_and_secrets() -> None:
    [compose] = documents("compose.yaml")
    ours = {
        name: service for name, service in compose["services"].items()
        if service["image"].startswith("longlist:")
    }  # fmt: skip
    assert {name: each.get("deploy", {}).get("replicas", 1) for name, each in ours.items()} == {
        "migrate": 1, "api": 2, "worker": 2,
    }  # fmt: skip
    for service in ours.values():
        assert service["volumes"] == ["files:/data"]
        assert set(service["secrets"]) == {"database-url", "secret"}
    assert set(compose["volumes"]) == {"database", "files"}
    for name, secret in compose["secrets"].items():
        assert secret["file"] == f"./secrets/{name}"


def test_versions_are_those_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    text = (DEPLOY / "Containerfile").read_text()
    images = set(
        re.findall(r"longlist:(\d+\.\d+\.\d+)", text + (DEPLOY / "compose.yaml").read_text())
    )
    [kustomization] = documents("kubernetes/kustomization.yaml")
    images |= {image["newTag"] for image in kustomization["images"]}
    assert images == {project["version"]}
    makefile = (ROOT / "Makefile").read_text()
    assert re.findall(r"uv==([\d.]+)", text) == re.findall(r"^UV_VERSION := (.*)$", makefile, re.M)
    pythons = set(re.findall(r"^FROM python:(3\.\d+)-slim", text, re.MULTILINE))
    classifiers = {line.rpartition(":: ")[2] for line in project["classifiers"]}
    assert len(pythons) == 1
    assert pythons <= classifiers


def test_what_the_image_is_made_of_is_let_into_its_build() -> None:
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    copied = re.findall(r"^COPY (?!--)(.*) \S+$", (DEPLOY / "Containerfile").read_text(), re.M)
    parts = {word.partition("/")[0] for line in copied for word in line.split()}
    assert {f"!{part}" for part in parts} == {line for line in ignore if line.startswith("!")}
    assert all((ROOT / part).exists() for part in parts)


@pytest.mark.parametrize("path", UNITS, ids=lambda path: str(path.name))
def test_a_unit_is_hardened_and_whole(path: Path, tmp_path: Path) -> None:
    service = unit(path)["Service"]
    assert service["User"] == "longlist"
    assert service["ProtectSystem"] == "strict"
    assert service["NoNewPrivileges"] == "yes"
    assert service["EnvironmentFile"] == "-/etc/longlist/longlist.env"
    text = path.read_text()
    credentials = dict(re.findall(r"^LoadCredential=([\w-]+):(\S+)$", text, re.MULTILINE))
    for name in credentials:
        variable = f"{PREFIX}{name.upper().replace('-', '_')}_FILE"
        assert f"Environment={variable}=%d/{name}\n" in text
    given: dict[str, set[str]] = {"longlist": set(), "longlist-front": {"front-directory"}}
    assert set(credentials) == given.get(path.stem, {"database-url", "secret"})
    if verifier := shutil.which("systemd-analyze"):
        # The program it names is not installed where tests run.
        copy = tmp_path / path.name.replace("@", "@1")
        copy.write_text(text.replace("/opt/longlist/bin/longlist", "/bin/true"))
        done = subprocess.run(
            [verifier, "verify", "--man=no", str(copy)], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout + done.stderr) == (0, "")
