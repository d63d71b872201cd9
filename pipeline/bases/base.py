"""The frozen base model: what personalisation and generation need of any family.

A family is one module with a subclass of `Base` that encodes prompts and images, computes the
training loss, samples, decodes, and names the layers that an adapter may touch.  Everything else
is here: loading a diffusers folder and checking it, 4-bit storage, the device, the digest that
proves that a job left the base as it was.  What only bases of billions of weights need is in
`pipeline/bases/offloading.py`.

Nothing changes the base's weights: they never require gradients, and adapters sit beside them
(`pipeline/bases/adapter.py`) and are never merged.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import tomllib
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import diffusers
import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from torch import nn

from errors import BaseUnavailable
from pipeline.bases import manifest as manifests
from pipeline.bases import nf4
from pipeline.bases.manifest import Manifest
from pipeline.planning.planner import Plan

FAMILIES = {
    "StableDiffusionPipeline": "pipeline.bases.families.stable_diffusion:StableDiffusion",
    "StableDiffusionXLPipeline": "pipeline.bases.families.sdxl:StableDiffusionXL",
    "ZImagePipeline": "pipeline.bases.families.z_image:ZImage",
    "Flux2KleinPipeline": "pipeline.bases.families.flux2_klein:Flux2Klein",
}
"""Pipeline class in a folder's model_index.json -> module:class that runs it."""

CHECKSUMS = "SHA256SUMS"
"""If a base folder has this file (as `sha256sum` writes it), every file in it is checked."""

RECIPE = "recipe.toml"
"""If a base folder has this file, its keys replace the defaults of `train.Recipe` and whatever
the manifest says about them."""

SMALLEST_OUTPUT_PX = 800
"""Portraits of a base with a lower resolution are enlarged by a whole factor to at least this."""

Conditions = dict[str, torch.Tensor]
"""What the denoiser is told besides latents and timestep; every tensor is [B, ...]."""


@dataclass(frozen=True)
class Sampling:
    """How a family denoises: solver steps, and the weight of classifier-free guidance (1: none)."""

    steps: int
    guidance: float


class Base(ABC):
    """A frozen text-to-image model on its device."""

    sampling: Sampling
    """How portraits are made: the family's, unless the folder's manifest says otherwise."""

    compute_dtype: torch.dtype = torch.bfloat16

    vae: Any
    """The autoencoder; `_take` sets it."""

    batch: int = 12
    """Portraits that are made at once, where nothing is planned."""

    _side: int | None = None
    """Of pictures, in pixels, if it is not the family's own."""

    adapter_prefix: ClassVar[str]
    """The denoiser's part of the diffusers pipeline, e.g. "unet".  Adapter files put it before
    the names of the layers."""

    recipe: dict[str, Any] = {}  # noqa: RUF012  set by `load`, never changed
    """What the folder says about training, over the defaults of `train.Recipe`."""

    def __init__(
        self, folder: Path, pipeline: Any, device: torch.device, *, quantised: bool
    ) -> None:
        self.folder = folder
        self.key = folder.name
        self.device = device
        self.quantised = quantised
        self.denoiser: nn.Module = self._take(pipeline)
        for network in self.networks():
            network.requires_grad_(False).eval()
        self._store()

    @classmethod
    def load(
        cls, folder: Path, *, quantise: bool = True, acknowledged: Collection[str] = ()
    ) -> Base:
        """Load a standard diffusers folder from disk, without any network.

        acknowledged: keys of bases whose licences the operator says to meet.

        Raises:
            BaseUnavailable: the folder is missing, incomplete, altered or of an unknown family,
                or its licence is not acknowledged.
        """
        family = _family(folder)
        manifest = manifests.require_licence(folder, acknowledged)
        _check(folder)
        torch.set_num_threads(_threads())
        device = _device()
        pipeline = read_pipeline(folder, family.reading(device, quantise=quantise))
        base = family(folder, pipeline, device, quantised=quantise)
        base.recipe = _recipe(folder, manifest)
        if manifest is not None and manifest.sampling:
            steps, guidance = manifest.sampling["steps"], manifest.sampling["guidance"]
            base.sampling = Sampling(int(steps), float(guidance))
        return base

    @classmethod
    def reading(cls, device: torch.device, *, quantise: bool) -> dict[str, Any]:
        """Arguments of `from_pretrained` for this family: small bases are read whole."""
        return {"torch_dtype": torch.float32}

    def _store(self) -> None:
        """Bring the denoiser into the form and to the place where it stays."""
        if self.quantised:
            nf4.quantise(self.denoiser, self.device, self.compute_dtype)
        # 4-bit weights are stored as uint8, which a floating type does not change.
        self.denoiser.to(
            device=self.device, dtype=self.compute_dtype, memory_format=torch.channels_last
        )

    def configure(self, plan: Plan) -> None:
        """Work as planned: side of the pictures, what is computed again, what is done in tiles."""
        self._side = plan.resolution
        for denoiser in self._denoisers():
            if plan.checkpointing:
                denoiser.enable_gradient_checkpointing()  # type: ignore[operator]  # every ModelMixin's
            else:
                denoiser.disable_gradient_checkpointing()  # type: ignore[operator]
        if plan.tiling:
            self.vae.enable_tiling()
        else:
            self.vae.disable_tiling()
        if self.device.type != "cpu":
            self.vae.enable_slicing()

    def as_it_is(self, *, rank: int, steps: int, batch: int) -> Plan:
        """The plan of a job that nobody planned: everything as it has been loaded."""
        return Plan(
            resolution=self.resolution,
            rank=rank,
            steps=steps,
            batch=batch,
            micro_batch=batch,
            generation_batch=self.batch,
            checkpointing=bool(getattr(self.denoiser, "is_gradient_checkpointing", False)),
            tiling=self.vae.use_tiling,
        )

    def _denoisers(self) -> list[nn.Module]:
        return [self.denoiser]

    @contextmanager
    def painting(self) -> Iterator[None]:
        """For the time of the block, `denoiser` is what portraits are made with.

        That is the one that adapters are trained beside, unless a family has a distilled one too.
        """
        yield

    def prepare_prompts(self, prompts: Collection[str]) -> None:  # noqa: B027  few need it
        """Told before several calls of `encode_prompts`: a family may encode these at once."""

    def fingerprint(self) -> str:
        """SHA-256 over all weights as they are stored, 4-bit ones and their scales included."""
        return nf4.digest(*self.networks())

    @property
    def output_px(self) -> int:
        """Side of a finished portrait in pixels."""
        if self.resolution >= 512:
            return self.resolution
        return self.resolution * -(-SMALLEST_OUTPUT_PX // self.resolution)

    @property
    def resolution(self) -> int:
        """Side in pixels of the pictures that are learnt and made."""
        return self._side or self._own_resolution

    @property
    @abstractmethod
    def _own_resolution(self) -> int:
        """The side that the family was made for."""

    @abstractmethod
    def _take(self, pipeline: Any) -> nn.Module:
        """Keep the parts of a diffusers pipeline; return the denoiser."""

    @abstractmethod
    def networks(self) -> list[nn.Module]:
        """Every network with weights, always in the same order."""

    @abstractmethod
    def knows(self, text: str) -> bool:
        """Whether the text encoder has a meaning for every word."""

    @abstractmethod
    def encode_prompts(self, prompts: Sequence[str]) -> Conditions:
        """Prompts -> conditions, one row each.  Words the model does not know are left out."""

    @torch.no_grad()
    def encode_images(self, images: NDArray[np.uint8]) -> torch.Tensor:
        """uint8 [B, R, R, 3] RGB, R = `resolution` -> scaled latents, float32 [B, C, h, w]."""
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2).to(self.device).float() / 127.5 - 1
        encoded = self.vae.encode(pixels.contiguous(memory_format=torch.channels_last))
        # The tiny autoencoder has one answer, a variational one a distribution: its mean.
        tiny = isinstance(self.vae, diffusers.AutoencoderTiny)
        return self._scaled(encoded.latents if tiny else encoded.latent_dist.mean)

    @torch.no_grad()
    def decode(self, latents: torch.Tensor) -> NDArray[np.uint8]:
        """Scaled latents [B, C, h, w] -> uint8 [B, R, R, 3] RGB."""
        unscaled = self._unscaled(latents).to(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, self.compute_dtype):
            pixels = self.vae.decode(unscaled).sample
        levels = (pixels.float().clamp(-1, 1) + 1) * 127.5
        return levels.round().byte().permute(0, 2, 3, 1).contiguous().cpu().numpy()

    @abstractmethod
    def _scaled(self, latents: torch.Tensor) -> torch.Tensor:
        """The autoencoder's latents -> the denoiser's, about unit variance."""

    @abstractmethod
    def _unscaled(self, latents: torch.Tensor) -> torch.Tensor:
        """The inverse of `_scaled`."""

    def _start(self, seeds: Sequence[int]) -> torch.Tensor:
        """Noise [B, C, h, w]; each row depends on its own seed only, whatever shares the batch."""
        shape = self._shape()
        rows = [torch.randn(shape, generator=torch.Generator().manual_seed(s)) for s in seeds]
        return torch.stack(rows).to(self.device)

    @abstractmethod
    def _shape(self) -> tuple[int, int, int]:
        """C, h, w of the denoiser's latents."""

    def loss(
        self,
        latents: torch.Tensor,
        conditions: Conditions,
        generator: torch.Generator,
        weight: torch.Tensor | float = 1.0,
    ) -> torch.Tensor:
        """Training loss of a batch at random times and noise from `generator`: a scalar.

        weight: of each place of the latents, [1, 1, h, w] with mean 1.
        """
        # Drawn on the CPU, so that a seed means the same on every device.
        noise = torch.randn(latents.shape, generator=generator).to(self.device)
        times = self._times(len(latents), generator).to(self.device)
        return self.loss_at(latents, conditions, noise, times, weight)

    @abstractmethod
    def _times(self, count: int, generator: torch.Generator) -> torch.Tensor:
        """How noisy each picture of a batch shall be, [B] on the CPU: what `loss_at` takes."""

    @abstractmethod
    def loss_at(
        self,
        latents: torch.Tensor,
        conditions: Conditions,
        noise: torch.Tensor,
        times: torch.Tensor,
        weight: torch.Tensor | float = 1.0,
    ) -> torch.Tensor:
        """Training loss for a given noise [B, C, h, w] and given times [B]: a scalar."""

    @abstractmethod
    def sample(
        self,
        positive: Conditions,
        negative: Conditions,
        seeds: Sequence[int],
        sampling: Sampling,
        stop: Callable[[], bool],
    ) -> torch.Tensor:
        """Denoise one picture per seed -> scaled latents, float32 [B, C, h, w].

        Raises:
            Stopped: `stop()` said so; it is asked before every step.
        """

    @abstractmethod
    def adapter_targets(self) -> list[str]:
        """Names of the denoiser's layers that an adapter sits beside."""


def _device() -> torch.device:
    """The one place that chooses where models run."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _threads() -> int:
    """Threads for computing: all cores but one, which is for pages and uploads.

    Also faster for small models: their operations are so short that threads mostly wait for each
    other.  On two cores the embedded base trains 1.3 steps/s with one thread and 1.5 with two,
    but 1.1 and 0.4 as soon as one other process is busy.
    """
    return max(1, len(os.sched_getaffinity(0)) - 1)


def _family(folder: Path) -> type[Base]:
    index = folder / "model_index.json"
    if not index.is_file():
        raise BaseUnavailable(f"There is no base model in the folder {folder.name!r}.")
    try:
        name = json.loads(index.read_text("utf-8"))["_class_name"]
    except (ValueError, KeyError, TypeError):
        raise BaseUnavailable(_damaged(folder, "model_index.json")) from None
    if name not in FAMILIES:
        raise BaseUnavailable(
            f"The base model {folder.name!r} is a {name}, which is not supported."
        )
    module, _, class_name = FAMILIES[name].partition(":")
    family: type[Base] = getattr(importlib.import_module(module), class_name)
    return family


def _recipe(folder: Path, manifest: Manifest | None) -> dict[str, Any]:
    """How this base likes to be trained, if its folder says so."""
    file = folder / RECIPE
    if not file.is_file():
        return {} if manifest is None else manifest.recipe
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        raise BaseUnavailable(_damaged(folder, RECIPE)) from None


def _check(folder: Path) -> None:
    """Compare the folder with its own list of digests, if it has one."""
    listing = folder / CHECKSUMS
    if not listing.is_file():
        return
    for line in listing.read_text("utf-8").splitlines():
        expected, _, name = line.partition(" ")
        name = name.lstrip(" *")
        path = folder / name
        if not path.is_file():
            raise BaseUnavailable(f"The base model {folder.name!r} lacks the file {name}.")
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != expected:
                raise BaseUnavailable(_damaged(folder, name))


def _damaged(folder: Path, name: str) -> str:
    return f"The base model {folder.name!r} is damaged or was altered: {name}. Install it again."


def read_pipeline(folder: Path, options: dict[str, Any]) -> Any:
    """The diffusers pipeline, read from safetensors only: no pickle, no remote code.

    options: more arguments of `from_pretrained`; a part that is None there is not read.

    Raises:
        BaseUnavailable: files are missing, cut or foreign.
    """
    diffusers.utils.logging.set_verbosity_error()
    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            pipeline = diffusers.DiffusionPipeline.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, **options
            )
        for part, network in pipeline.components.items():
            if isinstance(network, nn.Module):
                require_whole(folder / part, network)
        return pipeline
    except torch.OutOfMemoryError:
        raise BaseUnavailable(
            f"There is not enough memory on this machine's GPU for the base model {folder.name!r}."
        ) from None
    except (
        OSError,
        ValueError,
        KeyError,
        RuntimeError,
        AttributeError,
        SafetensorError,
    ) as problem:
        # What diffusers, transformers and safetensors raise for missing, cut or foreign files.
        raise BaseUnavailable(
            f"The base model {folder.name!r} is incomplete or damaged. Install it again."
        ) from problem


def require_whole(folder: Path, network: nn.Module) -> None:
    """Refuse weights that lack tensors: the libraries would fill these with random numbers.

    Raises:
        ValueError: the network has more parameters than its files have tensors.
    """
    stored = 0
    for path in folder.glob("*.safetensors"):
        with safe_open(path, framework="pt") as file:
            stored += len(file.keys())
    if stored < sum(1 for _ in network.parameters()):
        raise ValueError(f"{folder.name} lacks weights")
