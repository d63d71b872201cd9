"""systemd's part, for units of deploy/ in a folder that stands for a machine's root.

What a unit says of folders, environment, umask and commands is carried out; its walls are not.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from configparser import ConfigParser
from pathlib import Path

import settings as configuration

STOPPED_BY_SIGNAL = -15
_ROOTED = re.compile(r"(?<![\w./-])/(etc|var/lib|run|srv)/")
_PROGRAM = re.compile(r"(?<![\w./-])/opt/likeness(?![\w.-])")


class Unit(ConfigParser):
    """A unit file. Where a key stands several times, its values are joined by a space."""

    def __init__(self, path: Path) -> None:
        super().__init__(interpolation=None, strict=False)
        self.optionxform = str  # type: ignore[assignment]
        lines: dict[str, str] = {}
        text = []
        for line in path.read_text().splitlines():
            key, equals, value = line.partition("=")
            if equals and not line.startswith("#"):
                lines[key] = f"{lines[key]} {value}" if key in lines else value
                line = f"{key}={lines[key]}"
            text.append(line)
        self.read_string("\n".join(text))


class Machine:
    """A folder as a machine's root: /etc, /var/lib, /run and /srv lie in it, /opt/likeness is this
    repository."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.running: dict[str, subprocess.Popen[str]] = {}
        for folder in ("etc/systemd/system", "var/lib", "run", "srv/backup", "root"):
            (root / folder).mkdir(parents=True)

    def placed(self, text: str) -> str:
        """A text whose paths are those of this machine."""
        text = _ROOTED.sub(lambda found: f"{self.root}/{found[1]}/", text)
        return _PROGRAM.sub(str(configuration.ROOT), text)

    def systemctl(self, *words: str) -> None:
        """`start`, `stop`, `restart`, `enable --now`, each with units; `daemon-reload`."""
        verb, names = words[0], [word for word in words[1:] if not word.startswith("-")]
        for name in names:
            if verb in ("stop", "restart") and name in self.running:
                self.stop(name)
            if verb in ("start", "restart", "enable"):
                self.start(name)

    def start(self, name: str) -> None:
        service = Unit(self.root / f"etc/systemd/system/{name}.service")["Service"]
        for key, place in (("StateDirectory", "var/lib"), ("RuntimeDirectory", "run")):
            for folder in service.get(key, "").split():
                (self.root / place / folder).mkdir(mode=0o700, parents=True, exist_ok=True)
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        settings = service.get("Environment", "")
        if file := service.get("EnvironmentFile"):
            written = Path(self.placed(file)).read_text()
            settings += "\n" + re.sub(r"^#.*$", "", written, flags=re.MULTILINE)
        for one in shlex.split(settings):
            key, _, value = one.partition("=")
            environment[key] = self.placed(value)
        umask = int(service.get("UMask", "0022"), 8)
        folder = self.placed(service.get("WorkingDirectory", "/srv/"))
        if before := service.get("ExecStartPre"):
            command = shlex.split(self.placed(before).replace("$$", "$"))
            subprocess.run(command, cwd=folder, env=environment, umask=umask, check=True)
        self.running[name] = subprocess.Popen(
            shlex.split(self.placed(service["ExecStart"])),
            cwd=folder,
            env=environment,
            umask=umask,
            stdout=subprocess.PIPE,
            text=True,
        )

    def stop(self, name: str) -> None:
        service = Unit(self.root / f"etc/systemd/system/{name}.service")["Service"]
        process = self.running.pop(name)
        process.terminate()
        seconds = int(service.get("TimeoutStopSec", "90"))
        assert process.wait(seconds) in (0, STOPPED_BY_SIGNAL)

    def shell(self, script: str) -> str:
        """Run commands of an administrator, who is root here; what they print."""
        done = subprocess.run(
            ["sh", "-euc", _NO_USERS + self.placed(script)],
            cwd=self.root / "root",
            env={"PATH": os.environ["PATH"], "HOME": str(self.root / "root")},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def walk(self, block: str) -> str:
        """Run the lines of a block of commands, in their order; what they print."""
        printed, ahead = "", ""
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith("systemctl "):
                printed += self.shell(ahead)
                ahead = ""
                self.systemctl(*shlex.split(line)[1:])
            else:
                ahead += line + "\n"
        return printed + self.shell(ahead)


_NO_USERS = """useradd() { :; }
chown() { :; }
runuser() { shift 3; "$@"; }
"""
