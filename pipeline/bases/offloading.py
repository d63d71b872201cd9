"""What a base of billions of weights needs to fit on one GPU.

- Weights are read in bfloat16, file by file; on a GPU the denoiser becomes NF4 as it is read.
- Unless a plan finds room for all at once, parts take turns on the GPU: a denoiser that does not
  work, and all of them while words are read, wait in the machine's memory.
- Text encoders, often as large as the denoiser, are in memory only while they work.  What they say
  of a prompt is kept, on the CPU.  No prompt has anything to do with who somebody is: all are made
  of the words in `styles/` and `backdrops`.
- Training recomputes activations instead of keeping them (gradient checkpointing), and the
  autoencoder takes one picture at a time, in tiles when pictures are very large.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import torch
from diffusers import PipelineQuantizationConfig
from torch import nn

from errors import BaseUnavailable
from pipeline.bases import device, nf4
from pipeline.bases.base import Base
from pipeline.bases.denoising import Conditions
from pipeline.bases.plan import Offload, Plan
from pipeline.bases.stopping import between_blocks, between_tensors
from pipeline.bases.weights import read_pipeline

TILES_ABOVE_PX = 1024
"""A picture of this side decodes within a few gigabytes; tiles may show seams, so not before."""

MOST_KEPT_PROMPTS = 512
"""A prompt takes up to 8 MB."""

TEXT_PARTS = ("text_encoder", "text_encoder_2")


class Large(Base):
    """A family whose parts are never all in memory at once."""

    batch = 1
    large: ClassVar[bool] = True

    _offload: Offload = "parts"

    precise: ClassVar[tuple[str, ...]] = ()
    """Submodules of the denoiser that are too sensitive for 4 bits, and small."""

    @classmethod
    def reading(cls, device: torch.device, *, quantise: bool) -> dict[str, Any]:
        types = {"default": cls.compute_dtype, "vae": torch.float32}
        options: dict[str, Any] = {"torch_dtype": types, **dict.fromkeys(cls._text_parts())}
        config = nf4.while_reading(device, cls.compute_dtype, cls.precise) if quantise else None
        if config is not None:
            mapping = {cls.adapter_prefix: config}
            options["quantization_config"] = PipelineQuantizationConfig(quant_mapping=mapping)
        return options

    @classmethod
    def _text_parts(cls) -> tuple[str, ...]:
        """The parts of the pipeline that encode words."""
        return TEXT_PARTS[:1]

    def _store(self) -> None:
        missing = [p for p in self._text_parts() if not (self.folder / p / "config.json").is_file()]
        if missing:
            raise BaseUnavailable(
                f"The base model {self.key!r} lacks the folder {missing[0]}. Install it again."
            )
        self._known: dict[str, Conditions] = {}
        self.vae.enable_slicing()
        if self.resolution > TILES_ABOVE_PX:
            self.vae.enable_tiling()
        for denoiser in self._denoisers():
            self._store_one(denoiser)
            denoiser.to("cpu")
        self.bring(self.denoiser, self.vae)

    def configure(self, plan: Plan) -> None:
        super().configure(plan)
        self._offload = plan.offload
        self.bring(self.denoiser, self.vae)

    def as_it_is(self, *, rank: int, steps: int, batch: int) -> Plan:
        plan = super().as_it_is(rank=rank, steps=steps, batch=batch)
        return replace(plan, offload=self._offload)

    def bring(self, *working: nn.Module) -> None:
        """These networks to the device; the others leave it, unless there is room for all."""
        others = [network for network in self.networks() if network not in working]
        for network in others:
            network.to(self.device if self._offload == "none" else "cpu")
        for network in working:
            network.to(self.device)

    def _store_one(self, denoiser: nn.Module) -> None:
        denoiser.enable_gradient_checkpointing()  # type: ignore[operator]  # every ModelMixin's
        read_so = getattr(denoiser, "is_quantized", False)
        if self.quantised and not read_so:
            nf4.quantise(denoiser, self.device, self.compute_dtype, precise=self.precise)
        nf4.answer_in_compute_type(denoiser)
        if read_so:
            denoiser.to(device=self.device)
            return
        denoiser.to(device=self.device, dtype=self.compute_dtype, memory_format=torch.channels_last)

    # Words

    def knows(self, text: str) -> bool:
        """Large text encoders read anything."""
        return True

    def encode_prompts(self, prompts: Sequence[str]) -> Conditions:
        """On the CPU, whatever the base's device: `loss` and `sample` move what they use."""
        self.prepare_prompts(prompts)
        rows = [self._known[prompt] for prompt in prompts]
        return {key: torch.stack([row[key] for row in rows]) for key in rows[0]}

    @torch.no_grad()
    def prepare_prompts(self, prompts: Collection[str]) -> None:
        """Encode those that are new, in one loading of the text encoders.

        Raises:
            Stopped: as `heeding` says.
        """
        new = [prompt for prompt in dict.fromkeys(prompts) if prompt not in self._known]
        if not new:
            return
        if len(self._known) + len(new) > MOST_KEPT_PROMPTS:
            self._known = {p: self._known[p] for p in prompts if p in self._known}
        without = {self.adapter_prefix: None, "vae": None}
        encoder = None
        try:
            with between_tensors(self._stop):
                encoder = read_pipeline(self.folder, {"torch_dtype": self.compute_dtype, **without})
                self.bring()
                encoder.to("cpu" if self._offload == "words" else self.device)
            with between_blocks(self._stop, *_networks(encoder)):
                for prompt in new:
                    row = self._encode(encoder, prompt)
                    self._known[prompt] = {key: value.cpu() for key, value in row.items()}
        finally:
            encoder = None
            device.release()
            self.bring(self.denoiser, self.vae)

    @abstractmethod
    def _encode(self, encoder: Any, prompt: str) -> Conditions:
        """One prompt by a pipeline that has only its text parts -> one row, without its batch."""


def _networks(pipeline: Any) -> list[nn.Module]:
    return [part for part in pipeline.components.values() if isinstance(part, nn.Module)]
