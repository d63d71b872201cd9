"""The file that says to which cluster a machine belongs, and the signatures of its machines."""

from __future__ import annotations

from pathlib import Path

import pytest

from errors import BadSettings, TamperedError
from pipeline.cluster.cluster_file import ClusterFile
from pipeline.cluster.lines import Lines, read_line, verify
from pipeline.cluster.lines import main as check
from pipeline.cluster.talk import released
from tests.support.machines import cluster_of
from tools.cluster_certs import main as make


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pki")
    assert make([str(folder), "front=10.0.0.5", "gpu-1=10.0.0.6"]) == 0
    return folder


def test_a_machines_signature_counts_in_its_cluster(folder: Path) -> None:
    machine = ClusterFile.read(folder / "gpu-1" / "cluster.toml")
    front = ClusterFile.read(folder / "front" / "cluster.toml")
    signature = machine.signer.sign(b"a word")
    certificate = machine.signer.certificate
    assert front.address == "10.0.0.5:6379"
    assert front.authority.verify(certificate, signature, b"a word") == "gpu-1"
    for word, other in ((b"another", certificate), (b"a word", front.signer.certificate)):
        with pytest.raises(TamperedError):
            front.authority.verify(other, signature, word)


def test_a_machine_of_another_cluster_is_a_stranger(folder: Path, tmp_path: Path) -> None:
    stranger = cluster_of(tmp_path, "gpu-1")["gpu-1"].signer
    front = ClusterFile.read(folder / "front" / "cluster.toml")
    with pytest.raises(TamperedError):
        front.authority.verify(stranger.certificate, stranger.sign(b"a word"), b"a word")


def test_machines_are_added_later_and_none_is_replaced(folder: Path) -> None:
    assert make([str(folder), "gpu-2=gpu-2.corp.example"]) == 0
    assert ClusterFile.read(folder / "gpu-2" / "cluster.toml").address == "10.0.0.5:6379"
    before = (folder / "gpu-1" / "machine.key").read_bytes()
    assert make([str(folder), "gpu-1=10.0.0.6"]) == 2
    assert (folder / "gpu-1" / "machine.key").read_bytes() == before
    assert make([str(folder), "GPU 3"]) == 2


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "authority"),
        ('colour = "red"', "colour"),
        ('authority = "none.pem"\ncertificate = "c"\nkey = "k"\ntoken = "t"', "none.pem"),
        ("authority =", "TOML"),
        (None, "key of"),
    ],
)
def test_a_mistake_is_one_sentence(
    folder: Path, tmp_path: Path, text: str | None, named: str
) -> None:
    home = folder / "gpu-1"
    for file in ("authority.pem", "machine.pem", "machine.key", "token", "cluster.toml"):
        (tmp_path / file).write_bytes((home / file).read_bytes())
        (tmp_path / file).chmod(0o600)
    if text is None:
        (tmp_path / "machine.key").write_bytes((home / "authority.pem").read_bytes())
    else:
        (tmp_path / "cluster.toml").write_text(text)
    with pytest.raises(BadSettings, match=named):
        ClusterFile.read(tmp_path / "cluster.toml")


def test_a_key_that_others_can_read_is_refused(folder: Path) -> None:
    key = folder / "gpu-1" / "machine.key"
    key.chmod(0o644)
    try:
        with pytest.raises(BadSettings, match="chmod 600"):
            ClusterFile.read(folder / "gpu-1" / "cluster.toml")
    finally:
        key.chmod(0o600)


def test_what_machines_signed_can_be_checked_later(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, path = ClusterFile.read(folder / "gpu-1" / "cluster.toml"), tmp_path / "workers.jsonl"
    signer = file.signer
    for job in ("1", "2"):  # by two processes of the front
        line = f'{{"job": "{job}"}}'.encode()
        parts = (line, signer.certificate, signer.sign(released(line)))
        Lines(path).keep(read_line(file.authority, parts))
    authority = str(folder / "authority.pem")
    assert verify(path, file.authority) == 2
    assert path.read_text().count("BEGIN CERTIFICATE") == 1
    assert path.stat().st_mode & 0o777 == 0o600
    assert check([str(path), authority]) == 0
    assert "2 lines" in capsys.readouterr().out
    path.write_text(path.read_text().replace('\\"2\\"', '\\"3\\"'))
    assert check([str(path), authority]) == 1
    assert "NOT" in capsys.readouterr().out
