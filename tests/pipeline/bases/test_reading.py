"""Weights are read one tensor at a time, and stand where they stood in the files."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import ModelMixin
from diffusers.configuration_utils import ConfigMixin, register_to_config
from torch import nn
from torch.profiler import ProfilerActivity, profile

from errors import BaseUnavailable
from pipeline.bases import nf4
from pipeline.bases.weights import Storing, read_denoiser

CPU = torch.device("cpu")
WIDTH, LAYERS = 256, 24


class Deep(ModelMixin, ConfigMixin):  # type: ignore[misc]  # read as Any
    """As large transformers are: nearly all of it in many layers of one size."""

    @register_to_config
    def __init__(self, depth: int = LAYERS) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(depth))
        self.proj_out = nn.Linear(WIDTH, 8)
        self.conv = nn.Conv2d(8, 8, 3)
        self.register_buffer("shift", torch.arange(4.0))
        self.register_buffer("angles", torch.arange(6.0), persistent=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of several files, as large bases are."""
    torch.manual_seed(3)
    network = Deep()
    network.shift += 1
    folder: Path = tmp_path_factory.mktemp("deep")
    network.save_pretrained(folder, max_shard_size="1MB")
    assert len(list(folder.glob("*.safetensors"))) > 3
    return folder


def read(folder: Path, *, quantise: bool = True) -> Any:
    return read_denoiser(
        Deep, "deep", folder, Storing(CPU, torch.bfloat16, quantise, ("proj_out",))
    )


def test_what_is_read_is_what_diffusers_reads(folder: Path) -> None:
    plain, ours = Deep.from_pretrained(folder, torch_dtype=torch.float32), read(folder)
    assert ours.shift.tolist() == [1, 2, 3, 4]
    assert ours.angles.tolist() == [0, 1, 2, 3, 4, 5]
    for name, weight in plain.named_parameters():
        found = ours.get_parameter(name)
        if name.startswith("layers.") and name.endswith(".weight"):
            expected = nf4.packed(weight.detach(), CPU, torch.bfloat16)
            assert isinstance(ours.get_submodule(name.removesuffix(".weight")), nf4.Linear)
            assert torch.equal(found.quant_state.absmax, expected.quant_state.absmax)
            assert torch.equal(found, expected)
        else:
            assert torch.equal(found, weight.bfloat16())
    assert ours.conv.weight.is_contiguous(memory_format=torch.channels_last)
    assert type(ours.proj_out) is nn.Linear
    unpacked = read(folder, quantise=False)
    assert not [layer for layer in unpacked.modules() if isinstance(layer, nf4.Linear)]


def peak(do: Callable[[], object]) -> int:
    """Most bytes that torch allocated at the same time."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        do()
    events = sorted(profiled.profiler.kineto_results.events(), key=lambda e: e.start_ns())
    sizes = [event.nbytes() for event in events if event.name() == "[memory]"]
    return max(itertools.accumulate(sizes))


def test_little_more_than_one_tensor_is_in_memory_beside_what_has_been_read(folder: Path) -> None:
    network, full = read(folder), 4 * WIDTH**2
    stored = nf4.stored_bytes(network)
    packing = peak(lambda: nf4.packed(torch.ones(WIDTH, WIDTH), CPU, torch.bfloat16))
    assert stored < peak(lambda: read(folder)) < stored + packing + 3 * full
    assert stored + packing + 3 * full < LAYERS * full / 2  # which all of them would be


def test_cut_missing_and_foreign_weights_are_one_sentence(folder: Path, tmp_path: Path) -> None:
    from shutil import copytree

    index = "diffusion_pytorch_model.safetensors.index.json"
    listed = json.loads((folder / index).read_text())
    for number in range(3):
        copy = Path(copytree(folder, tmp_path / str(number)))
        first = copy / listed["weight_map"]["layers.0.weight"]
        if number == 0:
            first.write_bytes(first.read_bytes()[:-4])
        elif number == 1:
            left = {k: v for k, v in listed["weight_map"].items() if v != first.name}
            (copy / index).write_text(json.dumps(listed | {"weight_map": left}))
        else:
            (copy / "config.json").write_text(json.dumps({"depth": LAYERS + 1}))
        with pytest.raises(BaseUnavailable, match="'deep' is incomplete or damaged"):
            read(copy)
