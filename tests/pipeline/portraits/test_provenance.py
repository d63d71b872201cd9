"""Content Credentials, read by the reference reader, which others wrote."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import cast, get_args

import c2pa
import numpy as np
import pytest
from PIL import Image

from pipeline.assembly import Assembly
from pipeline.orders import Way
from pipeline.portraits.archive import archive, length
from pipeline.portraits.export import FORMATS, MARKS, SIZES, Finish, Masks, finish
from pipeline.portraits.provenance import SOURCE_TYPES
from pipeline.portraits.score import PortraitRecord
from pipeline.portraits.signing import Signer
from tests.support.signed import made_signer, read

FACE = (0.35, 0.25, 0.3, 0.35)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("chain")


@pytest.fixture(scope="module")
def signer(folder: Path) -> Signer:
    return made_signer(folder)


def png(side: int = 320) -> bytes:
    pixels = np.random.default_rng(side).integers(90, 160, (side, side, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def cut(pixels: np.ndarray) -> np.ndarray:
    return np.dstack([pixels, pixels[..., :1]])


MASKS = Masks(lambda _: pytest.fail("no matte is needed"), cut)


def pixels_of(file: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(file)))


def record(number: int, way: Way) -> PortraitRecord:
    return PortraitRecord(f"portrait-{number:03d}", "corporate", number, 0.5, False, way=way)


@pytest.mark.fact(50)
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("way", SOURCE_TYPES)
def test_the_reference_reader_trusts_every_way_and_format(
    signer: Signer, folder: Path, way: str, format: str
) -> None:
    file = finish(png(), Finish(format=format, signer=signer), FACE, cast(Way, way), MASKS)
    state, manifest, failures = read(file, FORMATS[format], folder / "root.pem")
    assert (state, failures) == ("Trusted", set())
    (assertion,) = manifest["assertions"]
    (action,) = assertion["data"]["actions"]
    assert action == {"action": "c2pa.created", "digitalSourceType": SOURCE_TYPES[way]}
    # The field that older readers know says the same.
    info = Image.open(io.BytesIO(file)).info
    assert MARKS[cast(Way, way)] == (info.get("xmp") or info["XML:com.adobe.xmp"].encode())
    assert SOURCE_TYPES[way].encode() in MARKS[cast(Way, way)]


def test_every_way_has_its_source_type() -> None:
    assert set(get_args(Way)) <= SOURCE_TYPES.keys()


@pytest.mark.fact(50)
@pytest.mark.parametrize("size", SIZES)
def test_every_size_is_signed(signer: Signer, folder: Path, size: str) -> None:
    file = finish(png(), Finish(size, "jpeg", "Ada", signer=signer), FACE)
    assert read(file, "image/jpeg", folder / "root.pem")[0] == "Trusted"


@pytest.mark.parametrize("format", FORMATS)
def test_a_signature_changes_no_pixel_and_tells_no_name_and_no_time(
    signer: Signer, folder: Path, format: str
) -> None:
    plain = finish(png(), Finish(format=format, name="Ada"), FACE, masks=MASKS)
    file = finish(png(), Finish(format=format, name="Ada", signer=signer), FACE, masks=MASKS)
    assert np.array_equal(pixels_of(plain), pixels_of(file))
    manifest = read(file, FORMATS[format], folder / "root.pem")[1]
    generator = manifest.pop("claim_generator_info")
    assert [entry["name"] for entry in generator] == ["Likeness"]
    assert "time" not in manifest["signature_info"]
    told = {"assertions", "instance_id", "signature_info", "label", "claim_version"}
    assert {key for key, value in manifest.items() if value} - {"alg"} == told


@pytest.mark.fact(50)
@pytest.mark.parametrize("format", FORMATS)
def test_a_changed_pixel_is_told(signer: Signer, folder: Path, format: str) -> None:
    file = finish(png(), Finish(format=format, signer=signer), FACE, masks=MASKS)
    # Towards the end of the pixels: a WebP's manifest and mark come behind them.
    at = file.find(b"C2PA") // 2 if format == "webp" else len(file) - 1000
    changed = file[:at] + bytes([file[at] ^ 1]) + file[at + 1 :]
    state, _, failures = read(changed, FORMATS[format], folder / "root.pem")
    assert state == "Invalid"
    assert "assertion.dataHash.mismatch" in failures


@pytest.mark.fact(50)
def test_a_foreign_chain_and_a_foreign_statement_are_told(
    signer: Signer, folder: Path, tmp_path: Path
) -> None:
    foreign = finish(png(), Finish(signer=made_signer(tmp_path)))
    state, _, failures = read(foreign, "image/png", folder / "root.pem")
    assert (state, failures) == ("Valid", {"signingCredential.untrusted"})
    ours = finish(png(), Finish(signer=signer))
    # The statement itself, in the signed part: a photograph is made of what was painted.
    at = ours.index(b"trainedAlgorithmicMedia", ours.index(b"c2pa.actions"))
    state, _, _ = read(ours[:at] + b"drained" + ours[at + 7 :], "image/png", folder / "root.pem")
    assert state == "Invalid"


@pytest.mark.parametrize("how", [Finish(marked=False), Finish(format="jpeg")])
def test_without_a_mark_or_a_signer_nothing_is_signed(
    signer: Signer, folder: Path, how: Finish
) -> None:
    if not how.marked:
        how = Finish(marked=False, signer=signer)
    with pytest.raises(c2pa.C2paError, match="ManifestNotFound"):
        read(finish(png(), how), FORMATS[how.format], folder / "root.pem")


@pytest.mark.fact(50)
def test_a_zip_is_signed_has_the_length_that_was_told_and_comes_twice_alike(
    assembly: Assembly, signer: Signer, folder: Path
) -> None:
    services = assembly.services
    session, _ = services.sessions.create()
    records = [record(1, "painted"), record(2, "photo")]
    stored = {known.id: png(64 + known.seed) for known in records}
    for name, picture in stored.items():
        services.vault.put(session, "portrait", name, picture)
    how = Finish(signer=signer)
    bundle = b"".join(archive(services.vault, session, records, how))
    assert bundle == b"".join(archive(services.vault, session, records, how))
    assert len(bundle) == length({n: len(p) for n, p in stored.items()}, records, how)
    with zipfile.ZipFile(io.BytesIO(bundle)) as opened:
        for name in opened.namelist():
            assert read(opened.read(name), "image/png", folder / "root.pem")[0] == "Trusted"
