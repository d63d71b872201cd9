"""Our training step beside that of diffusers' published scripts, number by number.

    python -m tests.support.parity [--scripts FOLDER]

fetches the scripts (or takes them from a folder), lets each one's own `main` run on a tiny base
up to its first backward pass, does the same step with our code, and writes what came out: the
script's numbers to `parity.json`, which `test_parity.py` compares ours with on every run, and a
table to docs/parity.md.  The scripts themselves are not part of this repository.

Both start from the same files, photos and words; whatever is random in a step (noise, timesteps,
the adapter's weights) is given to both.  Everything is float32 on the CPU.
"""

from __future__ import annotations

import argparse
import enum
import hashlib
import importlib.util
import json
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import numpy as np
import torch
from accelerate import Accelerator
from diffusers import DPMSolverMultistepScheduler
from diffusers.loaders.peft import PeftAdapterMixin
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from PIL import Image

import settings as configuration
from pipeline.bases import adapter
from pipeline.bases.base import Base
from pipeline.bases.loading import load_base
from tests.support import tiny_base as tiny

COMMIT = "58eb52c0803ea9af3abec60841c2a093bdf1f951"
URL = "https://raw.githubusercontent.com/huggingface/diffusers/{}/examples/dreambooth/{}"
SCRIPTS = {
    "train_dreambooth_lora.py": (
        "89cd066f65b2c5d4e8ab578f4050f485a880a9c8fc100ddf18c6b0c74eadb5d2"
    ),
    "train_dreambooth_lora_sdxl.py": (
        "ab3165d44c29115028c18933bcf12bb583fd0e868c3d8dd426dec5209eb6d6d1"
    ),
    "train_dreambooth_lora_z_image.py": (
        "7111596fe60ac7f016e662acb08ab7874bb51d1ef855d63f30eea3e5b731585a"
    ),
    "train_dreambooth_lora_flux2_klein.py": (
        "2c746004af6d4aa569d9bff3d32fce70afcb885cf00c7e00ab6abf9beda42225"
    ),
}
"""Name -> SHA-256."""

NUMBERS = Path(__file__).with_name("parity.json")
REPORT = configuration.ROOT / "docs" / "parity.md"
TOLERANCE = 1e-4

PROMPT = "photo of a person"
BATCH = 2
RANK = 4
TIMESTEPS = (20, 700)
"""Of `Case.script`s that draw these: one where Min-SNR caps the weight, one where it does not."""

DENSITIES = (0.2, 0.7)
"""Of those that draw where on the schedule of noise levels a picture is, from 0 to 1."""


def build_with_the_embedded_schedule(folder: Path) -> None:
    """The schedule of `models/studio-mini`, and an autoencoder that the script can read."""
    tiny.build_tiny_sd15(folder)
    schedule = DPMSolverMultistepScheduler.from_pretrained(tiny.MINI / "scheduler")
    schedule.save_pretrained(folder / "scheduler")


@dataclass(frozen=True)
class Case:
    """A tiny base, the script that trains such, and the options that both are given."""

    build: Callable[[Path], None]
    script: str
    options: tuple[str, ...] = ()
    snr_gamma: float | None = None


CASES = {
    "sd15": Case(tiny.build_tiny_sd15, "train_dreambooth_lora.py"),
    "studio-mini": Case(build_with_the_embedded_schedule, "train_dreambooth_lora.py"),
    "sdxl": Case(tiny.build_tiny_sdxl, "train_dreambooth_lora_sdxl.py"),
    "sdxl, Min-SNR": Case(
        tiny.build_tiny_sdxl, "train_dreambooth_lora_sdxl.py", ("--snr_gamma=5",), snr_gamma=5
    ),
    "z-image": Case(tiny.build_tiny_z_image, "train_dreambooth_lora_z_image.py"),
    "flux2-klein": Case(
        tiny.build_tiny_flux2_klein,
        "train_dreambooth_lora_flux2_klein.py",
        # The pipeline's own layers; the script's default ones are of a deeper text encoder.
        ("--text_encoder_out_layers", "9", "18", "27"),
    ),
}


@dataclass(frozen=True)
class Step:
    """What came out of one training step.

    weight: the batch's mean Min-SNR weight, by which our loss is divided and the script's is not.
    """

    loss: float
    gradients: dict[str, torch.Tensor]
    times: list[float]
    order: list[int]
    weight: float = 1.0


def photos() -> np.ndarray:
    """uint8 [BATCH, R, R, 3]."""
    shape = (BATCH, tiny.SIDE, tiny.SIDE, 3)
    return np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)


def noise_like(latents: torch.Tensor) -> torch.Tensor:
    return torch.randn(latents.shape, generator=torch.Generator().manual_seed(2))


def fill(parameters: dict[str, torch.Tensor]) -> None:
    """Weights of a trained adapter: none is zero, which would hide the gradient of the other."""
    for name, parameter in sorted(parameters.items()):
        seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4])
        generator = torch.Generator().manual_seed(seed)
        parameter.data = torch.randn(parameter.shape, generator=generator) / 10


def of_adapter(network: torch.nn.Module, adapter_name: str) -> dict[str, torch.nn.Parameter]:
    """Parameters of an adapter by names that do not depend on its own."""
    return {
        name.replace(f".{adapter_name}.", "."): parameter
        for name, parameter in network.named_parameters()
        if parameter.requires_grad
    }


# Ours


@contextmanager
def loaded(folder: Path) -> Iterator[Base]:
    """A base in float32 on the CPU."""
    with (
        mock.patch.object(Base, "compute_dtype", torch.float32),
        mock.patch("pipeline.bases.device.choose", return_value=torch.device("cpu")),
    ):
        yield load_base(folder, quantise=False)


def ours(case: Case, base: Any, times: list[float], order: list[int]) -> Step:
    """A step at given times; order: which photo is in which row of the batch."""
    base.snr_gamma = case.snr_gamma
    with adapter.fresh(base, rank=RANK, alpha=RANK, seed=1):
        parameters = of_adapter(base.denoiser, adapter.NAME)
        fill(parameters)
        latents = base.encode_images(photos()[order])
        words = base.encode_prompts([PROMPT] * BATCH)
        loss = base.loss_at(latents, words, noise_like(latents), torch.tensor(times))
        loss.backward()
        return Step(loss.item(), _gradients(parameters), times, order)


# Theirs


class _Done(Exception):
    """The script reached its first backward pass."""


def theirs(case: Case, folder: Path, scripts: Path, targets: list[str]) -> Step:
    """The script's own step; targets: the layers that get an adapter, which are ours."""
    script = _read(scripts / case.script)
    seen: dict[str, Any] = {}
    add_adapter = PeftAdapterMixin.add_adapter
    randint = torch.randint

    def our_adapter(network: Any, config: Any, **options: Any) -> None:
        config.target_modules = set(targets)
        add_adapter(network, config, **options)
        fill(of_adapter(network, "default"))

    def backward(_: Accelerator, loss: torch.Tensor) -> None:
        loss.backward()
        seen.update(sys._getframe(1).f_locals)
        raise _Done

    def timesteps(*arguments: Any, **options: Any) -> torch.Tensor:
        if (BATCH,) in arguments:
            return torch.tensor(TIMESTEPS)
        return randint(*arguments, **options)

    with ExitStack() as stack:
        patch = mock.patch.object
        work = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stack.enter_context(patch(PeftAdapterMixin, "add_adapter", our_adapter))
        stack.enter_context(patch(Accelerator, "backward", backward))
        stack.enter_context(patch(torch, "randn_like", noise_like))
        stack.enter_context(patch(torch, "randint", timesteps))
        # The mean of what the autoencoder says, as we and the newer scripts take it.
        mode = DiagonalGaussianDistribution.mode
        stack.enter_context(patch(DiagonalGaussianDistribution, "sample", mode))
        if hasattr(script, "compute_density_for_timestep_sampling"):
            script.compute_density_for_timestep_sampling = lambda **_: torch.tensor(DENSITIES)
        (work / "photos").mkdir()
        for number, photo in enumerate(photos()):
            Image.fromarray(photo).save(work / "photos" / f"{number}.png")
        script.args = script.parse_args(
            [
                f"--pretrained_model_name_or_path={folder}",
                f"--instance_data_dir={work / 'photos'}",
                f"--instance_prompt={PROMPT}",
                f"--output_dir={work / 'out'}",
                f"--resolution={tiny.SIDE}",
                f"--train_batch_size={BATCH}",
                f"--rank={RANK}",
                "--mixed_precision=no",
                "--center_crop",
                "--max_train_steps=1",
                "--seed=3",
                *case.options,
            ]
        )
        try:
            script.main(script.args)
        except _Done:
            pass
        else:
            raise RuntimeError(f"{case.script} ended without a training step")
    network = seen["unet"] if "unet" in seen else seen["transformer"]
    times = seen["sigmas"].flatten() if "noise_scheduler_copy" in seen else seen["timesteps"]
    weights = seen.get("mse_loss_weights")
    return Step(
        seen["loss"].item(),
        _gradients(of_adapter(network, "default")),
        times.tolist(),
        _order(seen["batch"]["pixel_values"]),
        1.0 if weights is None else weights.mean().item(),
    )


def _gradients(parameters: dict[str, torch.nn.Parameter]) -> dict[str, torch.Tensor]:
    return {n: p.grad.clone() for n, p in parameters.items() if p.grad is not None}


def _order(pixels: torch.Tensor) -> list[int]:
    """Which photo is in which row."""
    levels = ((pixels + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
    return [next(i for i, p in enumerate(photos()) if (p == row).all()) for row in levels]


def _read(path: Path) -> Any:
    if hashlib.sha256(path.read_bytes()).hexdigest() != SCRIPTS[path.name]:
        raise SystemExit(f"{path} is not the script of commit {COMMIT}.")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with mock.patch.dict(sys.modules, _torchvision()):
        spec.loader.exec_module(module)
    return module


def _torchvision() -> dict[str, ModuleType]:
    """What the scripts use of torchvision, for photos that have the right size already."""

    def as_it_is(picture: Any, *_: Any, **__: Any) -> Any:
        return picture

    def to_tensor(picture: Image.Image) -> torch.Tensor:
        return torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 255

    def normalize(pixels: torch.Tensor, mean: list[float], spread: list[float]) -> torch.Tensor:
        return (pixels - mean[0]) / spread[0]

    def compose(steps: list[Callable[[Any], Any]]) -> Callable[[Any], Any]:
        def all_steps(picture: Any) -> Any:
            for step in steps:
                picture = step(picture)
            return picture

        return all_steps

    package, transforms = ModuleType("torchvision"), ModuleType("torchvision.transforms")
    functional = ModuleType("torchvision.transforms.functional")
    for name in ("resize", "center_crop", "crop", "hflip"):
        setattr(functional, name, as_it_is)
    for name in ("Resize", "CenterCrop", "RandomCrop", "RandomHorizontalFlip"):
        setattr(transforms, name, lambda *_, **__: as_it_is)
    vars(functional).update(to_tensor=to_tensor, normalize=normalize)
    vars(transforms).update(
        functional=functional,
        Compose=compose,
        ToTensor=lambda: to_tensor,
        Normalize=lambda mean, spread: lambda pixels: normalize(pixels, mean, spread),
        InterpolationMode=enum.Enum("InterpolationMode", ["BILINEAR", "LANCZOS"]),
    )
    vars(package).update(transforms=transforms)
    return {module.__name__: module for module in (package, transforms, functional)}


# Numbers


def summary(step: Step) -> dict[str, Any]:
    """A step in numbers: of each gradient its norm, and its product with the layer's weights."""
    weights = {name: torch.empty_like(gradient) for name, gradient in step.gradients.items()}
    fill(weights)
    gradients = {
        name: [gradient.norm() / step.weight, (gradient * weights[name]).sum() / step.weight]
        for name, gradient in sorted(step.gradients.items())
    }
    return {
        "loss": _short(step.loss / step.weight),
        "times": step.times,
        "order": step.order,
        "gradients": {name: [_short(n) for n in numbers] for name, numbers in gradients.items()},
    }


def _short(number: torch.Tensor | float) -> float:
    return float(f"{float(number):.7g}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scripts", type=Path, help="a folder that has them; else: fetch them")
    folder = parser.parse_args().scripts
    torch.set_num_threads(1)
    numbers, rows, failed = {}, [], []
    with tempfile.TemporaryDirectory() as temporary:
        scripts = folder or _fetched(Path(temporary))
        for key, case in CASES.items():
            built = Path(temporary) / key
            case.build(built)
            with loaded(built) as base:
                reference = theirs(case, built, scripts, base.adapter_targets())
                mine = ours(case, base, reference.times, reference.order)
            error, worst = compare(mine, reference)
            if max(error, worst) > TOLERANCE:
                failed.append(key)
            numbers[key] = summary(reference)
            rows.append(
                f"| {key} | `{case.script}` | {mine.loss:.6f} | {numbers[key]['loss']:.6f} "
                f"| {error:.1e} | {len(mine.gradients)} | {worst:.1e} |"
            )
    print("\n".join(rows))
    if failed:
        print(f"Not the same: {', '.join(failed)}", file=sys.stderr)
        return 1
    NUMBERS.write_text(json.dumps(numbers, indent=1) + "\n")
    REPORT.write_text(_report(rows))
    return 0


def compare(mine: Step, reference: Step) -> tuple[float, float]:
    """Relative error of the loss, and of the worst gradient (norm of the difference)."""
    if mine.gradients.keys() != reference.gradients.keys():
        raise ValueError("The two adapters do not sit beside the same layers.")
    loss = reference.loss / reference.weight
    errors = [
        ((mine.gradients[name] * reference.weight - gradient).norm() / gradient.norm()).item()
        for name, gradient in reference.gradients.items()
    ]
    return abs(mine.loss - loss) / loss, max(errors)


def _fetched(folder: Path) -> Path:
    for name in SCRIPTS:
        with urllib.request.urlopen(URL.format(COMMIT, name), timeout=60) as answer:
            (folder / name).write_bytes(answer.read())
    return folder


def _report(rows: list[str]) -> str:
    table = "\n".join(rows)
    return f"""# Our training step beside diffusers' own

Written by `python -m tests.support.parity`, which runs diffusers' published training scripts
(`examples/dreambooth` at commit `{COMMIT}`), each one's own `main` up to its first backward pass,
and our code on the same files, photos, words, noise, timesteps and adapter weights: tiny bases with
random weights, float32, CPU. The adapter sits beside every layer that ours sits beside in that
family, its weights are random, and every one of its gradients is compared.
`tests/pipeline/bases/test_parity.py` compares ours with the scripts' numbers on every run.

| base | script | loss, ours | loss, theirs | relative error | gradients | worst relative error |
|---|---|---|---|---|---|---|
{table}

Tolerance: {TOLERANCE:g} for the loss and for each gradient (norm of the difference).

What we do otherwise was set neutral: the weight of the face, the distribution of the noise levels
(ours: logit-normal; the scripts' default: uniform on the schedule) and, but for the row that says
so, Min-SNR. The autoencoder's mean stands for its sample in the two scripts that draw one.

With Min-SNR our loss is divided by the batch's mean weight and the script's is not; the table
divides theirs too. For bases that predict a velocity our weight is the paper's, min(SNR, γ) /
(SNR + 1), and at least 0.1, so that pure noise is learnt; the SDXL script has min(SNR, γ) / SNR + 1
there, which is not compared.

The row `studio-mini` has the embedded base's class, schedule and prediction (velocity, zero
terminal SNR) with a variational autoencoder, the only kind that the script reads.

## Painting in few steps

SDXL with a distilled UNet and Euler's steps ("trailing", 8, no guidance) beside diffusers' own
pipeline and `EulerDiscreteScheduler`: tiny bases with random weights, float32, CPU, the same words
and noise. The norm of the difference by that of the latents is 1.4e-07, with an adapter 2.8e-07;
`tests/pipeline/bases/test_few_steps.py` holds both below 0.0001.

## A clip of a portrait

Wan 2.2 TI2V beside diffusers' `WanImageToVideoPipeline`: a tiny one with random weights, float32,
CPU, the same picture, prompts and noise; UniPC with guidance 5. The norm of the difference by that
of the latents is 5.7e-07, and no frame differs by more than rounding to whole levels;
`tests/pipeline/bases/test_wan.py` holds both, the first below 0.0001.
"""


if __name__ == "__main__":
    sys.exit(main())
