"""The whole main job under the eyes of an attacker: network, disk, time.

The job is real in every part, on a tiny base with random weights so that it takes seconds.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from PIL import Image

import settings as configuration
from errors import UnknownSession
from pipeline import job
from pipeline.assembly import Assembly
from pipeline.orders import Order
from privacy.sessions import Session
from privacy.units import HOUR_S
from tests.pipeline.portraits.test_export import parts
from tests.support.hand import Hand

pytestmark = pytest.mark.slow

CANARY = "CANARY-4e5b1f-48.8584N"
# What any plaintext of ours would show: our canary, marks of image files, an adapter's key names.
# Each is long enough (5 bytes and more) not to turn up in megabytes of ciphertext by chance.
TELLTALES = (CANARY.encode(), b"\x89PNG\r\n", b"JFIF\0", b"Exif\0\0", b"lora_A", b"lora_B")


def with_canary(data: bytes) -> bytes:
    """The same JPEG with a canary in its EXIF, in a comment and behind its end."""
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        tags = image.getexif()
        tags[0x010E] = CANARY  # ImageDescription
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=92, exif=tags, comment=CANARY.encode())
    return buffer.getvalue() + CANARY.encode()


@pytest.fixture
def photos(tmp_path: Path, selfie_jpegs: list[bytes]) -> Path:
    """So many that one is held out, and adapters are tried and kept while others are learnt."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, data in enumerate(selfie_jpegs, start=1):
        (folder / f"{CANARY}-{number}.jpg").write_bytes(with_canary(data))
    return folder


class Watcher:
    """Reads every file of some folders over and over while a job runs, as a thief would."""

    def __init__(self, *folders: Path) -> None:
        self.folders = folders
        self.seen: set[str] = set()
        self.files: set[str] = set()
        self._read_before: dict[Path, tuple[int, int]] = {}
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ending.wait(0.05):
            # os.walk, unlike Path.rglob, carries on when a folder goes while it looks.
            for place, _, names in (step for folder in self.folders for step in os.walk(folder)):
                for name in names:
                    self._read(Path(place, name))

    def _read(self, file: Path) -> None:
        try:
            state = file.stat()
            version = (state.st_mtime_ns, state.st_size)
            if self._read_before.get(file) == version:
                return
            data = file.read_bytes()
        except OSError:
            return  # gone meanwhile
        self._read_before[file] = version
        self.files.add(file.name)
        self.seen |= {str(t) for t in TELLTALES if t in data}
        self.seen |= {CANARY} if CANARY in str(file) else set()


# Runs the command line with every way out closed: an audit hook sees each connect and look-up of
# the process, whatever library makes it, and ends the process with a code of its own.
NO_WAY_OUT = """
import os, runpy, sys
def hook(event, args):
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo"):
        target = args[1] if event == "socket.connect" else args[0]
        host = target[0] if isinstance(target, tuple) else target
        if host not in ("127.0.0.1", "::1", "localhost") and not str(host).startswith("/"):
            os.write(2, f"way out: {event}\\n".encode())
            os._exit(99)
sys.addaudithook(hook)
sys.argv = ["pipeline"] + sys.argv[1:]
runpy.run_module("pipeline", run_name="__main__")
"""


def without_network() -> list[str]:
    """What starts a command in a namespace of its own without interfaces.

    Empty where the kernel allows that neither to root nor to anybody; the audit hook remains.
    """
    if shutil.which("unshare") is None:
        return []
    for prefix in (["unshare", "--net"], ["unshare", "--map-root-user", "--net"]):
        if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0:
            return prefix
    return []


def environment(scratch: Path, temp: Path, base: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("LIKENESS_", "HF_"))}
    return kept | {
        "LIKENESS_SCRATCH": str(scratch),
        "LIKENESS_RECEIPTS": f"{scratch}-receipts",
        "LIKENESS_BASE": str(base),
        "TMPDIR": str(temp),
        "HOME": str(temp),
        "OMP_NUM_THREADS": "1",
    }


@pytest.mark.fact(30)
@pytest.mark.fact(7)
@pytest.mark.fact(26)
def test_the_whole_job_without_network_leaves_no_plaintext_and_no_trace(
    photos: Path, tmp_path: Path, tiny_base: Path
) -> None:
    scratch, temp, out = tmp_path / "scratch", tmp_path / "tmp", tmp_path / "out"
    temp.mkdir()
    command = [sys.executable, "-c", NO_WAY_OUT, str(photos), "--out", str(out)]
    command += ["--way", "both", "--count", "2"]
    with Watcher(scratch, temp) as watcher:
        ran = subprocess.run(
            [*without_network(), *command],
            cwd=configuration.ROOT,
            env=environment(scratch, temp, tiny_base),
            capture_output=True,
            timeout=240,
            check=False,
        )
    assert ran.returncode == 0, ran.stderr.decode()
    assert "likeness.db" in watcher.files  # it did look while the vault was there
    assert watcher.seen == set()
    assert CANARY.encode() not in ran.stdout + ran.stderr
    made = list(out.rglob("*.png"))
    assert len(made) == 4
    assert all(CANARY.encode() not in file.read_bytes() for file in made)
    for file in made:  # the mark that says how it was made, and no other metadata
        kinds = [name for name, _ in parts(file.read_bytes())]
        assert (kinds.count("iTXt"), set(kinds)) == (1, {"IHDR", "iTXt", "IDAT", "IEND"})
    assert [p for folder in (scratch, temp) for p in folder.rglob("*") if p.is_file()] == []


# Tells which ways out there are, by trying them.
WAYS_OUT = """
import errno, fcntl, socket, struct
up, found = 1, []  # IFF_UP
for _, name in socket.if_nameindex():
    with socket.socket() as asking:
        answer = fcntl.ioctl(asking, 0x8913, struct.pack("16s16x8x", name.encode()))  # SIOCGIFFLAGS
    if struct.unpack_from("H", answer, 16)[0] & up:
        found.append(f"{name} is up")
for family, address in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET, "127.0.0.1"),
                        (socket.AF_INET6, "2001:db8::1"), (socket.AF_INET6, "::1")):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(family, kind) as trying:
            trying.settimeout(2)
            problem = trying.connect_ex((address, 9))
        if problem not in (errno.ENETUNREACH, errno.EADDRNOTAVAIL):
            found.append(f"{address}: {errno.errorcode.get(problem, problem)}")
print(found)
"""


@pytest.mark.fact(30)
def test_where_the_job_runs_there_is_no_way_out() -> None:
    """What the namespace of the test above is worth: the kernel itself has nowhere to send."""
    prefix = without_network()
    if not prefix:
        pytest.skip("this kernel gives nobody a network namespace")
    probe = [sys.executable, "-c", WAYS_OUT]
    inside = subprocess.run([*prefix, *probe], capture_output=True, text=True, check=True)
    assert inside.stdout == "[]\n"
    outside = subprocess.run(probe, capture_output=True, text=True, check=True)
    assert "127.0.0.1" in outside.stdout  # the probe does find a way where there is one


def test_the_watcher_and_the_hook_would_have_told(tmp_path: Path) -> None:
    """The test of the test: plaintext on disk is seen, a connection ends the process."""
    with Watcher(tmp_path) as watcher:
        (tmp_path / "leak").write_bytes(b"..." + CANARY.encode())
        while "leak" not in watcher.files:
            pass
    assert watcher.seen
    hook = NO_WAY_OUT.split("sys.argv")[0]
    code = hook + "import socket; socket.create_connection(('192.0.2.1', 9), 0.1)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert ran.returncode == 99


@pytest.fixture
def delivered(assembly: Assembly, selfie_jpegs: list[bytes]) -> tuple[Session, str]:
    """A session whose portraits were just delivered, its adapter kept, and its ticket's text."""
    services = assembly.services
    session, ticket = services.sessions.create()
    for number, data in enumerate(selfie_jpegs[:4]):
        services.album.add(session, with_canary(data), f"{CANARY}-{number}.jpg")
    services.sessions.touch_first_photo(session)
    style = next(iter(services.styles))
    order = Order((style,), count=2, keep_adapter=True)
    job.run(session, order, services, report=lambda _: None, stop=lambda: False)
    return session, ticket.text()


def traces(scratch: Path, session: Session) -> list[str]:
    """Where the volume or the database still hold a byte of a session."""
    needles = (session.id.encode(), CANARY.encode(), b"portrait-0", b"photo-0")
    found = []
    for path in scratch.rglob("*"):
        if session.id in str(path):
            found.append(str(path))
        if path.is_file() and any(needle in path.read_bytes() for needle in needles):
            found.append(f"inside {path.name}")
    return found


@pytest.mark.fact(7)
def test_everything_opens_at_23_59_and_nothing_exists_at_24_01(
    assembly: Assembly, hand: Hand, delivered: tuple[Session, str]
) -> None:
    session, ticket = delivered
    services, scratch = assembly.services, assembly.settings.scratch

    hand.forward(24 * HOUR_S - 60)
    assembly.sweeper.sweep()
    again = services.sessions.open(ticket)
    for entry in services.vault.list(again):
        assert services.vault.open(again, entry.kind, entry.name)
    kinds = {entry.kind for entry in services.vault.list(again)}
    assert kinds == {"photo", "face", "portrait", "sheet", "adapter"}
    assert traces(scratch, session) != []

    hand.forward(2 * 60)
    with pytest.raises(UnknownSession):  # even before the sweep comes by
        services.sessions.open(ticket)
    assembly.sweeper.sweep()
    assert traces(scratch, session) == []
    assert list((scratch / "vault").rglob("*")) == []


@pytest.mark.fact(17)
def test_photos_that_never_became_portraits_die_at_their_maximum_age(
    assembly: Assembly, hand: Hand, selfie_jpegs: list[bytes]
) -> None:
    services = assembly.services
    session, ticket = services.sessions.create()
    hand.forward(HOUR_S)
    services.album.add(session, selfie_jpegs[0], "one.jpg")
    services.sessions.touch_first_photo(session)
    hand.forward(48 * HOUR_S - 60)
    assembly.sweeper.sweep()
    assert services.sessions.open(ticket.text()).id == session.id
    hand.forward(120)
    assembly.sweeper.sweep()
    with pytest.raises(UnknownSession):
        services.sessions.open(ticket.text())
    assert traces(assembly.settings.scratch, session) == []


@pytest.mark.fact(8)
@pytest.mark.fact(9)
def test_the_adapter_is_ciphertext_in_the_vault(
    assembly: Assembly, delivered: tuple[Session, str]
) -> None:
    session, _ = delivered
    plain = assembly.services.vault.open(session, "adapter", "adapter")
    assert b"lora" in plain[:20_000]
    stored = [
        f.read_bytes() for f in (assembly.settings.scratch / "vault").rglob("*") if f.is_file()
    ]
    assert all(plain[:64] not in data and b"lora" not in data[:20_000] for data in stored)
