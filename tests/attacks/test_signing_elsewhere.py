"""A signing key that the server never has: a program signs, and may fail, lie or hang."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from errors import BadSettings
from pipeline.portraits import signing
from pipeline.portraits.credentials import marks_of
from tests.pipeline.portraits.test_credentials import download
from tests.support.signed import made_chain, read
from tests.support.web import served, session_of, visitor

SIGNS = """#!{python}
import sys
from pathlib import Path
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

key = load_pem_private_key(Path("{key}").read_bytes(), None)
sys.stdout.buffer.write(key.sign(sys.stdin.buffer.read(), ECDSA(Prehashed(SHA256()))))
"""
HSM = """#!/bin/sh
exec {tool} --module {module} --token-label likeness --pin 1234 --id 01 --sign --mechanism ECDSA \
  --signature-format openssl --input-file /dev/stdin --output-file /dev/stdout 2>/dev/null
"""


def written(program: Path, text: str) -> Path:
    """An executable in the place of an earlier one."""
    new = program.with_suffix(".new")
    new.write_text(text)
    new.chmod(0o700)
    new.replace(program)
    return program


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made_chain(tmp_path / "chain")
    return tmp_path


@pytest.fixture
def chain(folder: Path) -> str:
    return str(folder / "chain" / "chain.pem")


@pytest.fixture
def program(folder: Path) -> Path:
    key = folder / "chain" / "key.pem"
    return written(folder / "sign", SIGNS.format(python=sys.executable, key=key))


@pytest.mark.fact(54)
def test_a_program_signs_what_others_trust_and_signs_it_once(
    folder: Path, chain: str, program: Path
) -> None:
    signs, next_run = (signing.load("", chain, str(program)) for _ in range(2))
    file = download(signs())
    assert read(file, "image/png", folder / "chain" / "root.pem")[0] == "Trusted"
    assert marks_of(file, signs.own).seal == "intact"
    # ECDSA signs at random here. A download that goes on is the same file all the same; in the
    # next run it is another one, and the tag of a download says so.
    assert download(signs()) == file
    assert download(next_run()) != file
    assert repr(next_run()) != repr(signs())


def answers(text: str) -> Callable[[Path], object]:
    return lambda program: written(program, text)


FAULTS: dict[str, Callable[[Path], object]] = {
    "cannot be run .No such file": Path.unlink,
    "cannot be run .Permission": lambda program: program.chmod(0o600),
    "ended with the code 3": answers("#!/bin/sh\nexit 3\n"),
    "not given a signature": answers("#!/bin/sh\nhead -c 70 /dev/zero\n"),
    "not given a signature .DER. by the key": lambda program: written(
        program, program.read_text().replace("/chain/key.pem", "/other/key.pem")
    ),
    "not answered": answers("#!/bin/sh\nexec sleep 60\n"),
}


@pytest.mark.fact(54)
@pytest.mark.parametrize("told", FAULTS)
def test_a_program_that_does_not_sign_is_one_sentence_at_the_start(
    folder: Path, chain: str, program: Path, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if told == "not answered":
        monkeypatch.setattr(signing, "_PATIENCE_S", 0.3)
    made_chain(folder / "other")
    FAULTS[told](program)
    with pytest.raises(BadSettings, match=told) as problem:
        signing.load("", chain, str(program))
    assert problem.value.sentence.startswith("LIKENESS_C2PA_SIGN: ")
    assert len(problem.value.sentence.splitlines()) == 1


@pytest.mark.slow
@pytest.mark.fact(54)
def test_a_program_that_fails_later_is_a_sentence_and_never_an_unsigned_file(
    folder: Path, chain: str, program: Path
) -> None:
    options = {"c2pa_sign": str(program), "c2pa_chain": chain}
    with served(folder / "scratch", **options) as place, closing(visitor(place)) as ann:
        place.job_queue.deliver(session_of(place, ann), 2)
        one, two = (f"/portrait/portrait-00{number}/download?format=jpeg" for number in (1, 2))
        assert marks_of(ann.get(one).content, place.services.signer.own).seal == "intact"
        working = program.read_text()
        written(program, "#!/bin/sh\nexit 3\n")
        with capture_logs() as lines:
            answer = ann.get(two)
        assert answer.status_code == 503
        assert answer.json()["sentence"].startswith("This server needs a hand")
        assert [line["event"] for line in lines] == ["signing_failed"]
        written(program, working)
        assert marks_of(ann.get(two).content, place.services.signer.own).seal == "intact"


@pytest.mark.fact(54)
def test_a_key_in_a_token_signs(folder: Path, chain: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """SoftHSM, through PKCS#11: the key's file is gone before the first signature."""
    utility, tool = shutil.which("softhsm2-util"), shutil.which("pkcs11-tool")
    if utility is None or tool is None:
        pytest.skip("needs SoftHSM and OpenSC: apt install softhsm2 opensc")
    (folder / "tokens").mkdir()
    (folder / "softhsm.conf").write_text(f"directories.tokendir = {folder / 'tokens'}\n")
    monkeypatch.setitem(os.environ, "SOFTHSM2_CONF", str(folder / "softhsm.conf"))
    module = Path(utility).parents[1] / "lib" / "softhsm" / "libsofthsm2.so"
    key = folder / "chain" / "key.pem"
    common = [utility, "--module", str(module), "--pin", "1234"]
    make = ["--init-token", "--free", "--label", "likeness", "--so-pin", "1234"]
    bring = ["--import", str(key), "--token", "likeness", "--label", "key", "--id", "01"]
    for step in (make, bring):
        subprocess.run([*common, *step], check=True, capture_output=True)
    key.unlink()
    program = written(folder / "sign", HSM.format(tool=tool, module=module))
    signs = signing.load("", chain, str(program))
    file = download(signs(), "jpeg")
    assert read(file, "image/jpeg", folder / "chain" / "root.pem")[0] == "Trusted"
