"""How a GPU reads a large base: diffusers packs weights into 4 bits while it reads them.

It does so on a CPU too, once it is kept from asking for an accelerator: the same layers, the same
bytes as `nf4.quantise` makes, and a base that learns and paints.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from bitsandbytes.nn import Linear4bit
from diffusers.quantizers.bitsandbytes.bnb_quantizer import BnB4BitDiffusersQuantizer

from pipeline.bases import adapter, nf4
from pipeline.bases.base import Base
from pipeline.bases.denoising import Sampling
from pipeline.bases.loading import load_base
from pipeline.portraits.generate import generate, plan
from pipeline.portraits.style import load_styles
from settings import ROOT
from tests.support import tiny_base as tiny
from tests.support.nobody import noise_photos
from tests.support.training import SHORT, run

LARGE: dict[str, Callable[[Path], None]] = {
    "sdxl": tiny.build_tiny_sdxl,
    "z-image": tiny.build_tiny_z_image,
    "flux2-klein": tiny.build_tiny_flux2_klein,
}


@pytest.fixture(params=LARGE)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    LARGE[request.param](tmp_path / request.param)
    return tmp_path / str(request.param)


def load_as_on_a_gpu(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Base:
    real = nf4.while_reading

    def while_reading(_: torch.device, *others: Any) -> Any:
        return real(torch.device("cuda"), *others)

    with monkeypatch.context() as patched:
        patched.setattr(BnB4BitDiffusersQuantizer, "validate_environment", lambda *_, **__: None)
        patched.setattr(BnB4BitDiffusersQuantizer, "update_device_map", lambda *_: {"": "cpu"})
        patched.setattr(nf4, "while_reading", while_reading)
        # A kernel of some CPUs repacks weights in place; no GPU does.
        patched.setattr("bitsandbytes.nn.modules.has_avx512bf16", lambda: False)
        return load_base(folder)


def stored(base: Base) -> dict[str, torch.Tensor]:
    """Every weight of the denoisers, and the scales of those in 4 bits."""
    found = {}
    for number, network in enumerate(base._denoisers()):
        for name, weight in network.named_parameters():
            found[f"{number}.{name}"] = weight
        for name, layer in network.named_modules():
            if isinstance(layer, Linear4bit):
                state = layer.weight.quant_state
                found[f"{number}.{name}.scales"] = state.absmax
                found[f"{number}.{name}.scales of scales"] = state.state2.absmax
    return found


@pytest.mark.slow
def test_both_ways_store_the_same(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = load_base(folder), load_as_on_a_gpu(folder, monkeypatch)
    assert not any(getattr(each, "is_quantized", False) for each in ours._denoisers())
    assert all(getattr(each, "is_quantized", False) for each in theirs._denoisers())
    one, other = stored(ours), stored(theirs)
    assert one.keys() == other.keys()
    assert {n: w.dtype for n, w in one.items()} == {n: w.dtype for n, w in other.items()}
    assert sum(name.endswith(".scales") for name in one) > 5
    assert not [name for name in one if not torch.equal(one[name], other[name])]


@pytest.mark.slow
def test_a_base_that_was_read_so_learns_and_paints(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = load_as_on_a_gpu(folder, monkeypatch)
    before = base.fingerprint()
    with adapter.fresh(base, rank=4, alpha=4, seed=1) as parameters:
        assert {parameter.dtype for parameter in parameters} == {torch.float32}
        kinds = {type(layer).__module__ for layer in adapter._layers(base).values()}
    assert "peft.tuners.lora.bnb" in kinds
    person = run(base, noise_photos(1), replace(SHORT, steps=2))
    shots = plan(list(load_styles(ROOT / "styles").values())[:1], 1, seed=1)
    few = Sampling(steps=2, guidance=2.0)
    [(_, image)] = generate(base, person, shots, stop=lambda: False, sampling=few)
    assert image.shape == (base.output_px, base.output_px, 3)
    assert image.std() > 1
    assert base.fingerprint() == before
