"""The frozen base model: what personalisation and generation need of any family.

A family is one module with a subclass of `Base` that encodes prompts and images, predicts,
decodes, and names the layers that an adapter may touch. Beside: `denoising` is what all families
learn and paint by, `loading` reads a folder, `registry` lists families, `nf4` packs weights,
`offloading` is for large bases.

Weights never require gradients: adapters (`adapter.py`) sit beside them and are never merged.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Self

import diffusers
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pipeline.bases import device
from pipeline.bases.denoising import Conditions, Denoising, Sampling
from pipeline.bases.fingerprint import fingerprint_of
from pipeline.bases.plan import UNTILED_PX, Plan
from pipeline.bases.stopping import Stop, between_blocks, between_tensors, never
from pipeline.bases.weights import Storing, read_denoiser, read_pipeline

SMALLEST_OUTPUT_PX = 800
"""Portraits of a base with a lower resolution are enlarged by a whole factor to at least this."""


class Base(Denoising):
    """A frozen text-to-image model on its device."""

    sampling: Sampling
    """How portraits are made: the family's, unless the folder's manifest says otherwise."""

    vae: Any  # the autoencoder; `_take` sets it
    batch: int = 12  # portraits that are made at once, where nothing is planned
    _stop: Stop = staticmethod(never)  # what `heeding` was told
    _side: int | None = None  # of pictures, in pixels, if it is not the family's own

    large: ClassVar[bool] = False
    """Whether it knows the world, and so learns from photos as they are."""

    reads_sentences: ClassVar[bool] = False  # as a language model does; CLIP takes 75 tokens

    adapter_prefix: ClassVar[str]
    """The denoiser's part of the pipeline, e.g. "unet": before layers' names in adapter files."""

    recipe: dict[str, Any] = {}  # noqa: RUF012  set by `load_base`, never changed
    """What the folder says about training, over the defaults of `train.Recipe`."""

    denoiser_class: ClassVar[type[Any]]
    """Of diffusers."""

    precise: ClassVar[tuple[str, ...]] = ()
    """Submodules of the denoiser that are too sensitive for 4 bits, and small."""

    exact: ClassVar[tuple[str, ...]] = ()
    """Parts of names of the denoiser's tensors that are too sensitive for 16 bits."""

    def __init__(self, folder: Path, pipeline: Any, storing: Storing) -> None:
        self.folder = folder
        self.key = folder.name
        self.storing = storing
        self.device = storing.device
        self.denoiser: nn.Module = self._take(pipeline)
        for network in self.networks():
            network.requires_grad_(False).eval()
        self._settle()

    @classmethod
    def read(cls, folder: Path, storing: Storing) -> Self:
        """Read a folder of this family.

        Raises:
            BaseUnavailable: files are missing, cut or foreign.
        """
        part = cls.adapter_prefix
        denoiser = read_denoiser(cls.denoiser_class, folder.name, folder / part, storing)
        return cls(folder, read_pipeline(folder, {**cls._others(), part: denoiser}), storing)

    @classmethod
    def _others(cls) -> dict[str, Any]:
        """Arguments of `from_pretrained` for all but the denoiser: small bases are read whole."""
        return {"torch_dtype": torch.float32}

    def _settle(self) -> None:
        """Bring all networks to where they are to begin with."""

    def configure(self, plan: Plan) -> None:
        """Work as planned: side of the pictures, what is computed again, what is done in tiles."""
        self._side = plan.resolution
        for denoiser in self._denoisers():
            if plan.checkpointing:
                denoiser.enable_gradient_checkpointing()  # type: ignore[operator]  # every ModelMixin's
            else:
                denoiser.disable_gradient_checkpointing()  # type: ignore[operator]
        if plan.tiling:
            # Its own are as large as the pictures that it was trained on: no tiles at all for us.
            scale = self.vae.tile_sample_min_size // self.vae.tile_latent_min_size
            self.vae.tile_sample_min_size = UNTILED_PX
            self.vae.tile_latent_min_size = UNTILED_PX // scale
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

    def prepare_prompts(self, prompts: Collection[str]) -> None:
        """Told the prompts of looks: a family may encode these at once, and keep what it read."""

    def expect_prompts(self, prompts: Collection[str]) -> None:
        """Told the prompts of looks that come later: a family may read these with the next ones."""

    @contextmanager
    def heeding(self, stop: Stop) -> Iterator[None]:
        """For the time of the block, `stop` is asked before each block of any network that works.

        Raises:
            Stopped: `stop` said so, out of whatever the base was doing.
        """
        before, self._stop = self._stop, stop
        try:
            with between_blocks(stop, *self.networks()):
                yield
        finally:
            self._stop = before

    def fingerprint(self, stop: Stop = never) -> str:
        """SHA-256 over all weights as they are stored, 4-bit ones and their scales included.

        Raises:
            Stopped: `stop` said so.
        """
        with between_tensors(stop):
            return fingerprint_of(*self.networks())

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

    def told_sizes(self, sizes: Sequence[tuple[int, ...]]) -> Conditions:
        """Conditions that say how large training pictures were, for families that are told.

        sizes: of each the height and width of the photo, the upper and left edge of what is shown
        of it, once it is as small as in the picture, and the picture's height and width; pixels.
        """
        return {}

    def length(self, prompt: str) -> int:
        """Say how long a prompt is; the same of all where each fills the same places."""
        return 0

    @torch.no_grad()
    def encode_images(self, images: NDArray[np.uint8]) -> torch.Tensor:
        """uint8 [B, S, S, 3] RGB -> scaled latents, float32 [B, C, h, w]."""
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2).to(self.device).float() / 127.5 - 1
        encoded = self.vae.encode(pixels.contiguous(memory_format=torch.channels_last))
        # The tiny autoencoder has one answer, a variational one a distribution: its mean.
        tiny = isinstance(self.vae, diffusers.AutoencoderTiny)
        return self.scaled(encoded.latents if tiny else encoded.latent_dist.mean)

    @torch.no_grad()
    def decode(self, latents: torch.Tensor) -> NDArray[np.uint8]:
        """Scaled latents [B, C, h, w] -> uint8 [B, R, R, 3] RGB."""
        unscaled = self.unscaled(latents).to(memory_format=torch.channels_last)
        with device.autocast(self.device, self.compute_dtype):
            pixels = self.vae.decode(unscaled).sample
        levels = (pixels.float().clamp(-1, 1) + 1) * 127.5
        return levels.round().byte().permute(0, 2, 3, 1).contiguous().cpu().numpy()

    @abstractmethod
    def scaled(self, latents: torch.Tensor) -> torch.Tensor:
        """The autoencoder's latents -> the denoiser's, about unit variance."""

    @abstractmethod
    def unscaled(self, latents: torch.Tensor) -> torch.Tensor:
        """The inverse of `_scaled`."""

    @abstractmethod
    def adapter_targets(self) -> list[str]:
        """Names of the denoiser's layers that an adapter sits beside."""
