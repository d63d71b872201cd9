"""The container without a Docker engine: lint, schema, hardening, and its contents really run.

What only an engine can show (the build itself, the internal network) is not shown here; the network
is asserted as text, and that no job needs one is fact 30.
"""

from __future__ import annotations

import datetime
import fnmatch
import json
import os
import re
import resource
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import settings as configuration
from dev.fetch_dev import COMPOSE_SCHEMA
from privacy.keys import MasterKey
from tests.test_app import url_of
from tools import fetch_base

ROOT = configuration.ROOT
COMPOSE = ("docker-compose.yml", "docker-compose.gpu.yml")
CONTAINER_USER = 10001
MOST_TASKS = 512

OWN = {"HOST", "PORT", "SCRATCH", "RECEIPTS", "MASTER_KEY", "MODELS", "STYLES", "HTTPS"} | {
    "TRUSTED_PROXIES"
}
"""Settings that the container decides: the operator mounts something there, or changes nothing."""

POOLS = """
import os
import cv2, numpy, scipy.linalg, torch
square = numpy.ones((600, 600))
square @ square, scipy.linalg.lu(square)
cv2.GaussianBlur(numpy.ones((3000, 3000, 3), numpy.uint8), (9, 9), 3)
torch.ones(900, 900) @ torch.ones(900, 900), torch.ones(4_000_000) + 1
print(len(os.listdir("/proc/self/task")))
"""
"""Has every library that computes compute something that it shares out; prints the threads."""
LIBRARIES = 4
"""That start a thread for each core: numpy, scipy, OpenCV, torch."""
OTHERS = 100
"""Threads of pages (anyio's 40), the queue, the sweeper, decoders, CUDA, the health check."""


def compose(name: str) -> dict[str, Any]:
    """A compose file with `extends` carried out the way Compose does: maps merge, lists append."""
    document = yaml.safe_load((ROOT / name).read_text())
    for service, body in document["services"].items():
        if extends := body.pop("extends", None):
            origin = compose(extends["file"])["services"][extends["service"]]
            document["services"][service] = _merged(origin, body)
    return document


def _merged(below: Any, above: Any) -> Any:
    if isinstance(below, dict) and isinstance(above, dict):
        return below | {k: _merged(below[k], v) if k in below else v for k, v in above.items()}
    if isinstance(below, list) and isinstance(above, list):
        return below + above
    return above


def image_files() -> list[Path]:
    """What `COPY . .` takes, by .dockerignore: everything is out but what a `!` line names."""
    lines = [line.strip() for line in (ROOT / ".dockerignore").read_text().splitlines()]
    wanted = [line[1:] for line in lines if line.startswith("!")]
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    return [
        ROOT / name
        for name in tracked
        if any(name.startswith(w) if w.endswith("/") else fnmatch.fnmatch(name, w) for w in wanted)
        and (ROOT / name).is_file()
    ]


def image_environment() -> dict[str, str]:
    """The ENV of the Dockerfile's last stage."""
    last = (ROOT / "Dockerfile").read_text().split("\nFROM ")[-1].replace("\\\n", " ")
    block = re.search(r"^ENV (.+)$", last, re.MULTILINE)
    assert block is not None
    return dict(pair.split("=", 1) for pair in block[1].split())


def test_the_dockerfile_passes_its_linter() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, ROOT / "Dockerfile"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("name", COMPOSE)
def test_compose_files_follow_the_schema(name: str) -> None:
    validator = jsonschema.Draft201909Validator(json.loads(COMPOSE_SCHEMA.path.read_text()))
    document = yaml.safe_load((ROOT / name).read_text())
    validator.validate(document)
    document["services"]["likeness"]["read_onyl"] = True
    with pytest.raises(jsonschema.ValidationError):  # the schema does look
        validator.validate(document)


def test_compose_files_say_nothing_twice() -> None:
    """PyYAML takes the last of two equal keys; Compose reads neither and stops."""
    for name in COMPOSE:
        pending = [yaml.compose((ROOT / name).read_text())]
        while pending:
            node = pending.pop()
            if isinstance(node, yaml.MappingNode):
                keys = [key.value for key, _ in node.value]
                assert sorted(set(keys)) == sorted(keys), name
                pending += [value for _, value in node.value]


@pytest.mark.parametrize("name", COMPOSE)
def test_every_container_is_locked_down(name: str) -> None:
    document = compose(name)
    for service in document["services"].values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert "cap_add" not in service
        assert "privileged" not in service
        assert "no-new-privileges:true" in service["security_opt"]
        assert service["mem_limit"] == service["memswap_limit"]  # no swap
        assert service["ulimits"]["core"] == 0
        assert service["pids_limit"] <= MOST_TASKS
        assert all("noexec" in mount for mount in service["tmpfs"])
        assert ":" in service["image"]
        assert not service["image"].endswith(":latest")


@pytest.mark.parametrize("name", COMPOSE)
def test_likeness_has_no_way_out_and_only_the_proxy_a_way_in(name: str) -> None:
    document = compose(name)
    likeness, proxy = document["services"]["likeness"], document["services"]["proxy"]
    assert likeness["networks"] == ["inside"]
    assert document["networks"]["inside"] == {"internal": True}
    assert "ports" not in likeness
    assert proxy["ports"] == ["443:8443"]
    assert likeness["user"] == f"{CONTAINER_USER}:{CONTAINER_USER}"
    assert likeness["environment"]["LIKENESS_HTTPS"] == "true"
    mounts = {volume.rsplit(":", 2)[-2]: volume for volume in likeness["volumes"][2:]}
    assert mounts["/bases"].endswith(":ro")
    assert document["secrets"]["master_key"]["file"].endswith("/run/likeness/master.key}")


def test_the_gpu_file_reserves_a_gpu() -> None:
    service = compose("docker-compose.gpu.yml")["services"]["likeness"]
    (device,) = service["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}
    (index,) = service["build"]["args"].values()
    # An empty index leaves PyPI's wheels, which bring the CUDA runtime.
    assert interpolated(index, {}) == ""
    older = "https://download.pytorch.org/whl/cu126"
    assert interpolated(index, {"LIKENESS_TORCH_INDEX": older}) == older
    assert list(service["build"]["args"]) == ["PIP_EXTRA_INDEX_URL"]
    assert "ARG PIP_EXTRA_INDEX_URL=" in (ROOT / "Dockerfile").read_text()


@pytest.mark.parametrize("name", COMPOSE)
def test_settings_that_the_files_name_exist(name: str) -> None:
    names = {*compose(name)["services"]["likeness"]["environment"], *image_environment()}
    fields = {f"LIKENESS_{field.upper()}" for field in configuration.Settings.model_fields}
    assert {name for name in names if name.startswith("LIKENESS_")} <= fields


def handed_on(name: str, operator: dict[str, str]) -> dict[str, str]:
    """The environment in the container: the image's, and what Compose makes of the operator's."""
    found = image_environment()
    for key, value in compose(name)["services"]["likeness"]["environment"].items():
        if value is not None:
            found[key] = interpolated(str(value), operator)
        elif key in operator:
            found[key] = operator[key]
    return found


def interpolated(value: str, operator: dict[str, str]) -> str:
    """Compose's `${NAME:-default}`."""
    return re.sub(r"\$\{(\w+):-([^}]*)\}", lambda m: operator.get(m[1]) or m[2], value)


@pytest.mark.parametrize("name", COMPOSE)
def test_every_setting_of_the_operator_reaches_the_container(name: str) -> None:
    wanted = {
        f"LIKENESS_{field.upper()}": f"as the operator says {field}"
        for field in configuration.Settings.model_fields
        if field.upper() not in OWN
    }
    reached = handed_on(name, wanted)
    assert {key for key, said in wanted.items() if said not in reached.get(key, "")} == set()
    own = {f"LIKENESS_{field}": "not this" for field in OWN}
    assert "not this" not in handed_on(name, own).values()


@pytest.mark.parametrize("name", COMPOSE)
def test_what_the_operator_leaves_alone_is_the_default(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, value in handed_on(name, {}).items():
        if key.startswith("LIKENESS_"):
            monkeypatch.setenv(key, value)
    found = configuration.load()
    base = Path("/bases/sdxl") if "gpu" in name else ROOT / "models" / "studio-mini"
    assert found.base_folder == base
    for field, about in configuration.Settings.model_fields.items():
        if field.upper() not in {*OWN, "BASE"}:
            assert getattr(found, field) == about.default


def test_the_folder_that_a_base_is_fetched_to_is_the_one_that_is_mounted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fetched: list[Path] = []
    monkeypatch.setattr(fetch_base, "fetch", lambda _, to, **__: fetched.append(to) or to)
    assert fetch_base.main(["z-image"]) == 0
    service = compose("docker-compose.gpu.yml")["services"]["likeness"]
    mounted = [interpolated(volume, {}).split(":") for volume in service["volumes"]]
    (source,) = [source for source, target, *_ in mounted if target == "/bases"]
    assert ROOT / source == ROOT / fetched[0]
    # The name that `fetch_base` says at its end.
    monkeypatch.setenv(
        "LIKENESS_BASE",
        handed_on("docker-compose.gpu.yml", {"LIKENESS_BASE": "z-image"})["LIKENESS_BASE"],
    )
    assert configuration.load().base_folder == Path("/bases/z-image")


@pytest.mark.parametrize("name", COMPOSE)
def test_looks_are_mounted_where_the_image_has_its_own(name: str) -> None:
    volumes = compose(name)["services"]["likeness"]["volumes"]
    at = configuration.Settings.model_fields["styles"].default.relative_to(ROOT)
    assert f"${{LIKENESS_STYLES:-./styles}}:/app/{at}:ro" in volumes


@pytest.mark.slow
@pytest.mark.parametrize("name", COMPOSE)
def test_threads_are_bounded_by_the_cores_that_are_granted(name: str) -> None:
    service = compose(name)["services"]["likeness"]
    assert interpolated(str(service["cpus"]), {"LIKENESS_CPUS": "64"}) == "64"
    computing = handed_on(name, {"LIKENESS_CPUS": "1"})
    kept = {key: computing[key] for key in computing if key.endswith(("_THREADS", "_NUM"))}
    counted = subprocess.run(
        [sys.executable, "-c", POOLS], env=kept, capture_output=True, text=True, check=True
    )
    # One for each library and core is what the limit is made for, and there is one core.
    assert int(counted.stdout) == 1
    assert service["pids_limit"] >= LIBRARIES * 64 + OTHERS


def test_what_libraries_write_has_a_place_and_fits() -> None:
    (mount,) = compose("docker-compose.gpu.yml")["services"]["likeness"]["tmpfs"]
    environment = image_environment()
    assert environment["HOME"] == "/tmp" == mount.partition(":")[0]
    megabytes = int(re.search(r"size=(\d+)m", mount)[1])  # type: ignore[index]
    assert 0 < int(environment["CUDA_CACHE_MAXSIZE"]) < megabytes * 2**20


@pytest.fixture
def image() -> Iterator[Path]:
    """A read-only folder with what the image holds."""
    folder = Path(tempfile.mkdtemp(prefix="likeness-image-"))
    for file in image_files():
        target = folder / file.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    # Made by tools/setup.sh inside the image; fetching them again would only test the network.
    shutil.copytree(ROOT / "models" / "faces", folder / "models" / "faces", dirs_exist_ok=True)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield folder
    for path in (folder, *folder.rglob("*")):
        if path.is_dir():
            path.chmod(0o755)
    shutil.rmtree(folder)


@pytest.fixture
def state() -> Iterator[Path]:
    """The two folders that the server may write, as its volumes are."""
    folder = Path(tempfile.mkdtemp(prefix="likeness-state-"))
    for name in ("scratch", "receipts"):
        (folder / name).mkdir(mode=0o700)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def container(image: Path, state: Path) -> Iterator[subprocess.Popen[str]]:
    """The server as the image starts it: its files, its environment, no capabilities."""
    environment = image_environment() | {
        "PATH": "/usr/bin:/bin",
        "LIKENESS_HOST": "127.0.0.1",
        "LIKENESS_PORT": "0",
        "LIKENESS_HTTPS": "true",
        "LIKENESS_SCRATCH": str(state / "scratch"),
        "LIKENESS_RECEIPTS": str(state / "receipts"),
    }
    process = subprocess.Popen(
        [*_without_rights(), sys.executable, "app.py"],
        cwd=image,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    yield process
    process.kill()
    process.communicate()


def _without_rights() -> list[str]:
    """As `cap_drop: ALL` and no-new-privileges: even root cannot write what is read-only.

    Not as the container's own user: a Python under /root would not be his to start.
    """
    if os.geteuid():
        return []
    return [
        "setpriv",
        "--bounding-set=-all",
        "--inh-caps=-all",
        "--ambient-caps=-all",
        "--no-new-privs",
    ]


@pytest.mark.slow
def test_what_the_image_holds_is_enough_to_run(
    container: subprocess.Popen[str], image: Path
) -> None:
    url = url_of(container)
    port = url.rsplit(":", 1)[1]
    check = [sys.executable, "-m", "tools.healthcheck"]
    for _ in range(50):
        healthy = subprocess.run(
            check, cwd=image, env={"LIKENESS_PORT": port}, capture_output=True
        ).returncode
        if healthy == 0:
            break
        time.sleep(0.2)
    assert healthy == 0
    assert "Likeness" in httpx.get(url).text
    container.terminate()
    assert container.wait(15) in (0, -15)
    # With nobody there, the check says so.
    gone = subprocess.run(check, cwd=image, env={"LIKENESS_PORT": port}, capture_output=True)
    assert gone.returncode == 1


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with likeness.crt and likeness.key for 127.0.0.1."""
    folder = tmp_path_factory.mktemp("certs")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "likeness.crt").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    (folder / "likeness.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return folder


@pytest.fixture
def proxy(
    container: subprocess.Popen[str], certificate: Path, tmp_path: Path
) -> Iterator[tuple[str, Path]]:
    """A real nginx with the configuration that ships; its address and its folder for temp files."""
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if nginx is None:
        pytest.skip("needs nginx: apt install nginx-light")
    upstream = url_of(container).removeprefix("http://")
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    port = _free_port()
    written = (ROOT / "deploy" / "nginx.conf").read_text()
    for ours, here in (
        ("likeness:7860", upstream),
        ("/tmp/", f"{temporary}/"),
        ("/certs/", f"{certificate}/"),
        ("listen 8443", f"listen 127.0.0.1:{port}"),
    ):
        assert ours in written
        written = written.replace(ours, here)
    file = tmp_path / "nginx.conf"
    file.write_text(written)
    process = subprocess.Popen([nginx, "-c", file, "-g", "daemon off;"])
    yield f"https://localhost:{port}", temporary
    process.terminate()
    process.wait(10)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.mark.slow
def test_behind_the_shipped_proxy_a_visitor_is_let_in_and_nothing_is_written(
    proxy: tuple[str, Path], certificate: Path, selfie_jpegs: list[bytes]
) -> None:
    url, temporary = proxy
    trusted = ssl.create_default_context(cafile=certificate / "likeness.crt")
    with httpx.Client(base_url=url, verify=trusted, headers={"origin": url}, timeout=60) as visitor:
        _until_up(visitor)
        assert "strict-transport-security" in visitor.get("/").headers
        started = visitor.post("/session", data={"consent": "yes"})
        assert started.status_code == 303
        assert started.headers["location"] == "/studio/"
        cookie = started.headers["set-cookie"]
        assert cookie.startswith("__Host-")
        assert "Secure" in cookie
        answer = visitor.post(
            "/studio/gradio_api/upload",
            files=[("files", (f"{i}.jpg", jpeg)) for i, jpeg in enumerate(selfie_jpegs[:2])],
        )
        assert answer.status_code == 200, answer.text
        photos = visitor.get("/status").json()["photos"]["list"]
        assert [photo["accepted"] for photo in photos] == [True, True]
        picture = b"\x89PNG\r\n\x1a\n" + bytes(3_000_000)
        checked = visitor.post("/check", files={"file": ("a.png", picture)})
        assert "No mark found" in checked.text
        # Another site's form, through the same proxy, is turned away.
        foreign = visitor.post("/session/delete", headers={"origin": "https://evil.example"})
        assert foreign.status_code == 403
        assert visitor.post("/session/delete").status_code == 200
    left = [path for path in temporary.rglob("*") if path.is_file() and path.name != "nginx.pid"]
    assert left == []


@pytest.mark.slow
@pytest.mark.fact(37)
def test_the_shipped_proxy_serves_beside_thousands_of_silent_connections(
    proxy: tuple[str, Path], certificate: Path
) -> None:
    url, _ = proxy
    trusted = ssl.create_default_context(cafile=certificate / "likeness.crt")
    port = int(url.rpartition(":")[2])
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 4096:
        pytest.skip("2,300 connections need more descriptors than this user may have")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4096), hard))
    silent: list[socket.socket] = []
    try:
        with httpx.Client(base_url=url, verify=trusted, timeout=30) as first:
            _until_up(first)
        for _ in range(2300):
            silent.append(socket.create_connection(("127.0.0.1", port), timeout=10))
        with httpx.Client(base_url=url, verify=trusted, timeout=30) as visitor:
            began = time.monotonic()
            assert visitor.get("/health").text == "ok"
            assert time.monotonic() - began < 2
            large = visitor.post("/session", content=b"x" * 2_000_000)
            assert large.status_code == 413
        silent[0].settimeout(20)
        with suppress(ConnectionResetError):
            assert silent[0].recv(1) == b""  # ended by the proxy, not by us
    finally:
        for connection in silent:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _until_up(visitor: httpx.Client) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            if visitor.get("/health").status_code == 200:
                return
        except httpx.ConnectError:
            pass
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_new_master_key_is_well_kept_and_never_replaced(tmp_path: Path) -> None:
    target = tmp_path / "keys" / "master.key"
    command = [str(ROOT / "tools" / "new_master_key.sh"), str(target), str(os.getuid())]
    assert subprocess.run(command, capture_output=True).returncode == 0
    first = target.read_bytes()
    assert len(first) == 32
    assert target.stat().st_mode & 0o777 == 0o400
    MasterKey.from_file(target, tmp_path / "scratch")
    again = subprocess.run(command, capture_output=True, text=True)
    assert again.returncode == 1
    assert "exists already" in again.stderr
    assert target.read_bytes() == first
