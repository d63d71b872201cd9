"""docs/on-prem.md is walked: its own commands, the shipped units, nginx, a certificate of a CA."""

from __future__ import annotations

import re
import shutil
import ssl
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import settings as configuration
from privacy import verify_log
from tests.support.gradio_client import order_portraits
from tests.support.proxy import free_port
from tests.support.units import Machine, Unit
from tests.support.waiting import until
from tests.test_app import url_of

PAGE = (configuration.ROOT / "docs" / "on-prem.md").read_text()
NAME = "headshots.corp.example"
PHOTO = configuration.ROOT / "tests" / "samples" / "nobody-a.jpg"
NEEDED = ("openssl", "nginx", "curl", "sqlite3")

A_CA = f"""
openssl req -x509 -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
  -keyout ca.key -out company-ca.pem -subj /CN=Acme
openssl x509 -req -in likeness.csr -CA company-ca.pem -CAkey ca.key -CAcreateserial -days 1 \
  -copy_extensions copy -out likeness.crt
echo 'connect-to = "{NAME}:443:127.0.0.1:PORT"' > .curlrc
"""


def blocks(section: str) -> list[str]:
    """The commands of a section that are to be walked."""
    (text,) = re.findall(rf"^## {section}\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    found = re.findall(r"^```sh walk\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert found, section
    return found


class Walked(Machine):
    """A machine on which the page is walked, with free ports instead of 443 and 7860."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.port, self.inner = free_port(), free_port()
        (root / "nginx").mkdir()

    def start(self, name: str) -> None:
        """As an administrator who edits what was copied, then systemd."""
        settings = self.root / "etc/likeness/likeness.env"
        if "LIKENESS_PORT" not in settings.read_text():
            text = self.placed(settings.read_text())
            settings.write_text(f"{text}LIKENESS_PORT={self.inner}\n")
            proxy = self.root / "etc/likeness/nginx.conf"
            text = proxy.read_text()
            for theirs, here in (
                ("127.0.0.1:7860", f"127.0.0.1:{self.inner}"),
                ("listen 443", f"listen 127.0.0.1:{self.port}"),
                ("/tmp/", f"{self.root}/nginx/"),
                ("/certs/", f"{self.root}/etc/likeness/certs/"),
            ):
                assert theirs in text
                text = text.replace(theirs, here)
            proxy.write_text(text)
        super().start(name)
        if name == "likeness":
            assert f":{self.inner}" in url_of(self.running[name])


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Walked]:
    for program in NEEDED:
        if shutil.which(program, path="/usr/sbin:/usr/bin") is None:
            pytest.skip(f"needs {program}")
    made = Walked(tmp_path)
    yield made
    for process in made.running.values():
        process.terminate()
        process.communicate(timeout=60)


@pytest.mark.slow
def test_the_page_leads_from_a_bare_machine_to_a_portrait_a_backup_and_an_upgrade(
    machine: Walked,
) -> None:
    walk, root = machine.walk, machine.root
    state = root / "var/lib/likeness"
    (request,) = blocks("A certificate")
    walk(request)
    machine.shell(A_CA.replace("PORT", str(machine.port)))

    install, health, invite = blocks("systemd, without containers")
    walk(install)
    until(lambda: "ok" in walk(health))
    assert walk(invite) == ""
    assert stat.S_IMODE((root / "run/likeness/master.key").stat().st_mode) == 0o400
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o700 for path in state.iterdir())

    trusted = ssl.create_default_context(cafile=root / "root/company-ca.pem")
    through = httpx.HTTPTransport(verify=trusted)
    url = f"https://localhost:{machine.port}"
    headers = {"host": NAME, "origin": f"https://{NAME}"}
    with httpx.Client(
        transport=_Named(through), base_url=url, headers=headers, timeout=60
    ) as visitor:
        assert visitor.post("/session", data={"consent": "yes"}).status_code == 303
        files = [("files", ("me.jpg", PHOTO.read_bytes(), "image/jpeg"))]
        assert visitor.post("/studio/gradio_api/upload", files=files).status_code == 200
        until(lambda: len(visitor.get("/status").json()["photos"]["list"]) == 1)
        assert order_portraits(visitor, 1) == ""
        until(lambda: visitor.get("/status").json()["stage"] == "done", 60)
        portrait = visitor.get("/portrait/portrait-001").content
        assert portrait

        backup, restore = blocks("Backup")
        walk(backup)
        with tarfile.open(root / "srv/backup/likeness-receipts.tar") as kept:
            names = {Path(name).name for name in kept.getnames() if name != "receipts"}
            assert {"signing.key", "log.pub", "log-000000000.jsonl"} <= names
            assert not [name for name in kept.getnames() if not name.startswith("receipts")]
        # The restart of the upgrade starts it as well, and a start costs seconds.
        assert "systemctl start likeness\n" in restore
        assert "all is well" in walk(restore.replace("systemctl start likeness\n", ""))

        upgrade, count = blocks("Upgrade and roll-back")
        walk(upgrade)
        assert walk(count).strip() == "1"
        assert visitor.get("/portrait/portrait-001").content == portrait
        assert visitor.post("/session/delete").status_code == 200
    assert walk(count).strip() == "0"
    receipts = str(state / "receipts")
    assert verify_log.main([receipts, "--key", f"{receipts}/log.pub"]) == 0


class _Named(httpx.BaseTransport):
    """Greets the proxy by the name of the certificate, wherever it listens."""

    def __init__(self, below: httpx.BaseTransport) -> None:
        self._below = below

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.extensions["sni_hostname"] = NAME
        return self._below.handle_request(request)


def test_the_unit_shuts_in_the_server_but_lets_it_wall_in_the_process_that_opens_photos() -> None:
    """Without these calls, which systemd does not count among a service's usual ones, a photo would
    be opened without walls (`photos_opened_without_walls`)."""
    service = Unit(configuration.ROOT / "deploy" / "likeness.service")["Service"]
    needed = {"seccomp", "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"}
    assert needed <= set(service["SystemCallFilter"].split())
    assert service["IPAddressDeny"] == "any"
    assert service["IPAddressAllow"] == "localhost"
    assert service["ProtectSystem"] == "strict"
    assert "ReadWritePaths" not in service
