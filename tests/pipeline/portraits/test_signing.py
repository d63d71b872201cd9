"""The key of downloads: refused at start when it cannot be used, left alone when it has expired."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from structlog.testing import capture_logs

from errors import BadSettings
from pipeline.portraits import signing
from pipeline.portraits.signing import Signing
from tests.support.signed import made_chain, made_signer
from tools.signing_chain import main


def pem(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def leave_the_root_out_of_place(folder: Path) -> None:
    made_chain(folder / "other")
    leaf = (folder / "chain.pem").read_bytes().partition(b"-----END CERTIFICATE-----\n")
    foreign_root = (folder / "other" / "root.pem").read_bytes()
    (folder / "chain.pem").write_bytes(leaf[0] + leaf[1] + foreign_root)


def end_it(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()
    made_chain(folder, start=datetime.now(UTC) - timedelta(days=366))


FAULTS: dict[str, Callable[[Path], object]] = {
    "C2PA_KEY.*cannot be read": lambda folder: (folder / "key.pem").unlink(),
    "C2PA_KEY.*read by others": lambda folder: (folder / "key.pem").chmod(0o640),
    "C2PA_KEY.*no private key": lambda folder: (folder / "key.pem").write_bytes(b"nonsense"),
    "C2PA_KEY.*curve": lambda folder: (folder / "key.pem").write_bytes(
        pem(ed25519.Ed25519PrivateKey.generate())
    ),
    "C2PA_CHAIN.*does not begin": lambda folder: (folder / "key.pem").write_bytes(
        pem(ec.generate_private_key(ec.SECP256R1()))
    ),
    "C2PA_CHAIN.*cannot be read": lambda folder: (folder / "chain.pem").unlink(),
    "C2PA_CHAIN.*no certificates": lambda folder: (folder / "chain.pem").write_bytes(b"nonsense"),
    "C2PA_CHAIN.*no certificates for": lambda folder: (folder / "chain.pem").write_bytes(
        (folder / "root.pem").read_bytes()
    ),
    "C2PA_CHAIN.*did not issue": leave_the_root_out_of_place,
    "C2PA_CHAIN.*expired": end_it,
}


@pytest.mark.fact(51)
@pytest.mark.parametrize("told", FAULTS)
def test_what_cannot_sign_is_one_sentence_at_the_start(tmp_path: Path, told: str) -> None:
    key, chain = made_chain(tmp_path)
    assert signing.load(key, chain)() is not None
    FAULTS[told](tmp_path)
    with pytest.raises(BadSettings, match=told) as problem:
        signing.load(key, chain)
    assert len(problem.value.sentence.splitlines()) == 1
    assert "PRIVATE KEY" not in problem.value.sentence


def test_without_a_setting_nobody_signs() -> None:
    assert signing.load("", "")() is None


@pytest.mark.fact(51)
def test_an_end_during_a_run_is_a_line_a_day_and_downloads_go_on(tmp_path: Path) -> None:
    signer = made_signer(tmp_path)
    clock = [time.time()]
    day = 86_400
    signs = Signing(signer, clock[0], lambda: clock[0])
    with capture_logs() as lines:
        assert signs() is signer
        assert lines == []
        clock[0] += day
        assert [signs(), signs()] == [None, None]
        assert [line["event"] for line in lines] == ["downloads_unsigned"]
        clock[0] += day
        assert signs() is None
        assert len(lines) == 2


def test_a_signer_shows_nothing_of_its_key(tmp_path: Path) -> None:
    signer = made_signer(tmp_path)
    number = signer.key.private_numbers().private_value
    assert str(number) not in repr(signer)
    assert f"{number:x}" not in repr(signer)
    assert repr(signer) != repr(made_signer(tmp_path / "other"))


def test_the_command_makes_files_for_their_owner_and_replaces_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "signing"
    assert main([str(folder), "--name", "Acme", "--years", "2"]) == 0
    settings = dict(line.split("=") for line in capsys.readouterr().out.splitlines())
    assert signing.load(settings["LIKENESS_C2PA_KEY"], settings["LIKENESS_C2PA_CHAIN"])()
    assert {file.name: file.stat().st_mode & 0o777 for file in folder.iterdir()} == {
        "key.pem": 0o600,
        "chain.pem": 0o600,
        "root.pem": 0o600,
    }
    before = (folder / "key.pem").read_bytes()
    assert main([str(folder)]) == 2
    assert (folder / "key.pem").read_bytes() == before
