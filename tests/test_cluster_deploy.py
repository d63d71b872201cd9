"""deploy/cluster and docs/cluster.md: what they name exists, and they say the same."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

import settings as configuration
from dev.fetch_dev import COMPOSE_SCHEMA
from pipeline.cluster.cluster_file import ClusterFile
from tools.cluster_certs import cluster_toml, write

FOLDER = configuration.ROOT / "deploy" / "cluster"
PAGE = (configuration.ROOT / "docs" / "cluster.md").read_text()
HEAD, WORKER = "likeness-ray-head.service", "likeness-worker.service"
AGENT = "likeness-ray-agent.service"
PLACES = {"likeness", "likeness-photo"}


class Loader(yaml.SafeLoader):
    """Knows Compose's tag that takes away what the file below has."""


Loader.add_multi_constructor("!reset", lambda loader, tag, node: None)


def compose(name: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.load((FOLDER / name).read_text(), Loader)
    return document


def variables(name: str) -> dict[str, str]:
    """What systemd and Compose make of a file of variables."""
    lines = [line for line in (FOLDER / name).read_text().splitlines() if line[:1] not in ("", "#")]
    return {key: "".join(shlex.split(value)) for key, _, value in (x.partition("=") for x in lines)}


def options(text: str) -> dict[str, str]:
    """The options of `ray start`, as written."""
    (words,) = re.findall(r"ray start (.+)", text.replace("\n", " "))
    return {
        name: value.strip('"')
        for name, _, value in (word.partition("=") for word in words.split() if word[:2] == "--")
    }


def started_by(unit: str) -> dict[str, str]:
    (line,) = re.findall(r"^ExecStart=(.+)", (FOLDER / unit).read_text(), re.MULTILINE)
    return options(line)


@pytest.mark.parametrize("name", ["front.yml", "worker.yml"])
def test_compose_files_follow_the_schema(name: str) -> None:
    validator = jsonschema.Draft201909Validator(json.loads(COMPOSE_SCHEMA.path.read_text()))
    document = compose(name)
    for service in document["services"].values():
        for taken_away in [key for key, value in service.items() if value is None]:
            del service[taken_away]
    validator.validate(document)
    next(iter(document["services"].values()))["restrat"] = "always"
    with pytest.raises(jsonschema.ValidationError):  # the schema does look
        validator.validate(document)


@pytest.mark.parametrize(("name", "service"), [("front.yml", "head"), ("worker.yml", "worker")])
def test_containers_of_ray_keep_nothing_and_may_nothing(name: str, service: str) -> None:
    body = compose(name)["services"][service]
    assert body["read_only"] is True
    assert body["cap_drop"] == ["ALL"]
    assert body["mem_limit"] == body["memswap_limit"]  # no swap
    assert body["ulimits"]["core"] == 0
    assert body["restart"] == "unless-stopped"
    assert body["shm_size"] == "1g"
    written = [v for v in body["volumes"] if not v.endswith(":ro")]
    assert written == (["ray:/run/likeness-ray"] if service == "head" else [])
    if service == "head":
        assert compose(name)["volumes"]["ray"]["driver_opts"]["type"] == "tmpfs"
    else:
        assert body["tmpfs"][1].startswith("/run/likeness-ray:")


def test_units_and_containers_start_ray_alike() -> None:
    for unit, name, service in (
        (HEAD, "front.yml", "head"),
        (WORKER, "worker.yml", "worker"),
    ):
        (command,) = [w for w in compose(name)["services"][service]["command"] if "ray" in w]
        there = {key: value.replace("$$", "$") for key, value in options(command).items()}
        here = {key: re.sub(r"\$\{(\w+)\}", r"$\1", v) for key, v in started_by(unit).items()}
        assert there == here, unit


def test_ray_has_a_user_of_its_own_on_the_front_and_likeness_stays_behind_its_walls() -> None:
    for unit in (HEAD, AGENT):
        assert "User=likeness-ray\n" in (FOLDER / unit).read_text()
    added = (FOLDER / "likeness-cluster.conf").read_text()
    assert "SupplementaryGroups=likeness-ray" in added
    assert not re.search(r"IPAddressAllow|RestrictAddressFamilies|ReadWritePaths", added)
    services = compose("front.yml")["services"]
    assert not {"network_mode", "networks", "expose"} & set(services["likeness"])
    private = services["likeness"]["environment"]["LIKENESS_CLUSTER"]
    for service in ("head", "agent"):
        assert not any(Path(private).parent.name in v for v in services[service]["volumes"])
        assert services[service]["network_mode"] == "host"
    path = services["agent"]["command"][-1]
    assert path in (FOLDER / AGENT).read_text()
    assert f'agent = "{path}"' in cluster_toml("front", "10.0.0.5")


def test_ray_tells_nobody_and_shows_nothing() -> None:
    for unit in (HEAD, WORKER):
        given = started_by(unit)
        assert {"--disable-usage-stats", "--block"} <= set(given)
        assert given["--node-ip-address"] == "${ADDRESS}"
        assert given["--temp-dir"] == "/run/likeness-ray"
        assert "$PORTS" in (FOLDER / unit).read_text()
    assert started_by(HEAD)["--include-dashboard"] == "false"
    assert started_by(HEAD)["--num-cpus"] == "0"
    found = variables("ray.env")
    assert found["RAY_USAGE_STATS_ENABLED"] == "0"
    assert (found["RAY_USE_TLS"], found["RAY_AUTH_MODE"]) == ("1", "token")


def test_systemd_understands_the_units() -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd")
    command = ["systemd-analyze", "verify", *(str(FOLDER / unit) for unit in (HEAD, AGENT, WORKER))]
    said = subprocess.run(command, capture_output=True, text=True).stderr.splitlines()
    # Ray is not where it will be.
    assert [line for line in said if ".service" in line and "not executable" not in line] == []


def test_each_port_is_fixed_and_in_the_page() -> None:
    given = options("ray start " + variables("ray.env")["PORTS"].replace("--", " --"))
    given["--port"] = started_by(HEAD)["--port"]
    ports = {name: int(value) for name, value in given.items()}
    assert len(set(ports.values())) == len(ports) == 9
    table = PAGE.split("| port | of |")[1].split("\n\n")[0]
    named = {int(n) for n in re.findall(r"\b\d{4,5}\b", table)}
    assert named == {*ports.values(), 44217}  # the last one Ray does not let anybody choose


def test_the_files_that_are_named_are_those_that_are_made(tmp_path: Path) -> None:
    (home,) = write(tmp_path / "pki", [("front", "10.0.0.5")])
    made = ClusterFile.read(home / "cluster.toml")
    found = variables("ray.env")
    keys = ("RAY_TLS_CA_CERT", "RAY_TLS_SERVER_CERT", "RAY_TLS_SERVER_KEY", "RAY_AUTH_TOKEN_PATH")
    assert [Path(found[key]).name for key in keys] == [file.name for file in made.files]
    assert Path(found["LIKENESS_CLUSTER"]).name == made.path.name
    assert made.address.rpartition(":")[2] == started_by(HEAD)["--port"]


def test_settings_and_places_exist(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = variables("ray.env") | variables("machine.env")
    named = {key for key in found if key.startswith("LIKENESS_")}
    for name in ("front.yml", "worker.yml"):
        for service in compose(name)["services"].values():
            named |= set(service.get("environment", {}))
    assert named <= {f"LIKENESS_{x.upper()}" for x in configuration.Settings.model_fields}
    assert set(json.loads(variables_as_shell("machine.env", "PLACES"))) == PLACES


def variables_as_shell(name: str, key: str) -> str:
    """A variable with its quotes as systemd takes them off."""
    command = ["sh", "-c", f'. "$1"; printf %s "${key}"', "sh", str(FOLDER / name)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_what_the_page_says_to_copy_is_there() -> None:
    named = set(re.findall(r"`(?:deploy/cluster/)?([\w-]+\.(?:service|env|conf|yml))`", PAGE))
    assert {HEAD, WORKER, "likeness-cluster.conf", "ray.env", "machine.env"} <= named
    assert [name for name in sorted(named) if not (FOLDER / name).exists()] == []
    mentioned = set(re.findall(r"python -m (tools\.\w+)", PAGE))
    assert {"tools.cluster_certs", "tools.simulate_load"} == mentioned


def test_the_dockerfile_passes_its_linter() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, FOLDER / "Dockerfile"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
