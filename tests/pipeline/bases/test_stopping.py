"""A wish to stop is heard within one block of a network, and within one tensor elsewhere.

Seconds say nothing on tiny bases: what is counted is the work between two looks at the wish.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

from errors import Stopped
from pipeline.bases.base import Base
from pipeline.bases.denoising import Sampling
from pipeline.bases.folder import CHECKSUMS
from pipeline.bases.loading import load_base
from pipeline.bases.stopping import never
from pipeline.portraits.generate import generate, plan
from pipeline.portraits.style import load_styles
from settings import ROOT
from tests.support import tiny_base as tiny
from tests.support.nobody import noise_photos
from tests.support.training import SHORT, run

BUILDERS: dict[str, Callable[[Path], None]] = {
    "stable-diffusion": tiny.build_tiny_base,
    "sdxl": tiny.build_tiny_sdxl,
    "z-image": tiny.build_tiny_z_image,
    "flux2-klein": tiny.build_tiny_flux2_klein,
}
LAYERS_OF_A_BLOCK = 30
"""At most, in any of these; reading one prompt takes klein 300."""


@pytest.fixture(scope="module", params=BUILDERS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("stopping") / request.param
    BUILDERS[request.param](folder)
    return folder


@pytest.fixture
def base(folder: Path) -> Base:
    return load_base(folder)


class Work:
    """A `Stop` that is said at its `say`-th look; counts the layers that begin between two."""

    def __init__(self, say: float = float("inf")) -> None:
        self.say, self.looks, self.layers, self.longest, self.since = say, 0, 0, 0, 0

    def __call__(self) -> bool:
        self.looks += 1
        self.since = 0
        return self.looks >= self.say

    def layer(self, module: nn.Module, _: object) -> None:
        if next(module.parameters(recurse=False), None) is not None:
            self.layers += 1
            self.since += 1
            self.longest = max(self.longest, self.since)


@pytest.fixture
def work() -> Iterator[Work]:
    counted = Work()
    hook = register_module_forward_pre_hook(counted.layer)
    yield counted
    hook.remove()


def learn(base: Base, stop: Callable[[], bool]) -> bytes:
    return run(base, noise_photos(1), replace(SHORT, steps=1), stop=stop, micro_batch=1)


def paint(base: Base, person: bytes, stop: Callable[[], bool]) -> int:
    shots = plan(list(load_styles(ROOT / "styles").values())[:1], 2, seed=1)
    few = Sampling(steps=2, guidance=2.0)
    return sum(1 for _ in generate(base, person, shots, stop=stop, sampling=few, batch=2))


@pytest.mark.slow
def test_no_more_than_a_block_is_computed_between_two_looks(base: Base, work: Work) -> None:
    """Words, pictures to latents and back, steps with activations computed again, painting."""
    person = learn(base, work)
    learnt = work.layers
    assert paint(base, person, work) == 2
    assert learnt > 10 * LAYERS_OF_A_BLOCK
    assert work.layers > 2 * learnt or work.layers > learnt + 10 * LAYERS_OF_A_BLOCK
    assert work.longest <= LAYERS_OF_A_BLOCK


@pytest.mark.slow
def test_wherever_it_is_heard_nothing_of_it_stays(base: Base) -> None:
    before = base.fingerprint()
    person = learn(base, never)
    paint(base, person, never)  # from here on the words are known
    for do in (lambda stop: learn(base, stop), lambda stop: paint(base, person, stop)):
        whole = Work()
        do(whole)
        for part in (1, 3, 5, 7):
            with pytest.raises(Stopped):
                do(Work(say=part * whole.looks // 8))
    assert learn(base, never) == person
    assert base.fingerprint() == before
    assert not [m for n in base.networks() for m in n.modules() if m._forward_pre_hooks]


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["sdxl", "z-image"], indirect=True)
def test_it_is_asked_on_the_way_back_where_nothing_is_computed_again(
    base: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    base.configure(replace(base.as_it_is(rank=4, steps=1, batch=1), checkpointing=False))
    work, looks, back = Work(), list[int](), torch.Tensor.backward

    def counted(loss: torch.Tensor) -> None:
        before = work.looks
        back(loss)
        looks.append(work.looks - before)

    monkeypatch.setattr(torch.Tensor, "backward", counted)
    learn(base, work)
    assert min(looks) >= 3  # these have three blocks and more
    with pytest.raises(Stopped):
        learn(base, Work(say=work.looks - 1))


@pytest.mark.slow
def test_it_is_heard_while_weights_are_read_and_hashed(folder: Path) -> None:
    loading, hashing = Work(), Work()
    base = load_base(folder, stop=loading)
    tensors = sum(1 for network in base.networks() for _ in network.parameters())
    assert loading.looks > tensors
    for part in (1, 3, 5, 7):
        with pytest.raises(Stopped):
            load_base(folder, stop=Work(say=part * loading.looks // 8))
    before = base.fingerprint(hashing)
    assert hashing.looks > tensors
    with pytest.raises(Stopped):
        base.fingerprint(Work(say=hashing.looks // 2))
    assert load_base(folder).fingerprint() == before == base.fingerprint()


@pytest.mark.slow
@pytest.mark.parametrize("key", [key for key in BUILDERS if key != "stable-diffusion"])
def test_it_is_heard_while_text_encoders_are_read(key: str, tmp_path: Path) -> None:
    BUILDERS[key](tmp_path / key)
    base = load_base(tmp_path / key)
    whole = Work()
    with base.heeding(whole):
        expected = base.encode_prompts(["one", "two"])
    again = load_base(tmp_path / key)
    for part in (1, 3, 5, 7):
        with again.heeding(Work(say=part * whole.looks // 8)), pytest.raises(Stopped):
            again.encode_prompts(["one", "two"])
    after = again.encode_prompts(["one", "two"])
    assert all(torch.equal(after[name], expected[name]) for name in expected)


def test_digests_are_compared_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.build_tiny_base(tmp_path / "tiny")
    (tmp_path / "tiny" / "large").write_bytes(bytes(2**20))
    digest = "30e14955ebf1352266dc2ff8067e68104607e750abb9d3b36582b8af909fcb58"
    (tmp_path / "tiny" / CHECKSUMS).write_text(f"{digest} *large\n")
    monkeypatch.setattr("pipeline.bases.folder.AT_ONCE", 2**16)
    with pytest.raises(Stopped):
        load_base(tmp_path / "tiny", stop=Work(say=16))


def test_pictures_are_encoded_and_decoded_one_by_one(
    base: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, list[int]] = {"encode_images": [], "decode": []}
    for name, seen in given.items():
        real = getattr(base, name)

        def one(pictures: Any, real: Any = real, seen: list[int] = seen) -> Any:
            seen.append(len(pictures))
            return real(pictures)

        monkeypatch.setattr(base, name, one)
    person = learn(base, never)
    paint(base, person, never)
    assert given == {"encode_images": [1] * SHORT.variants, "decode": [1, 1]}
    side = base.resolution
    images = np.random.default_rng(1).integers(0, 256, (2, side, side, 3), np.uint8)
    assert base.encode_images(images).shape[0] == 2
