"""What a base of billions of weights needs to fit on one GPU.

- Denoisers are packed into NF4 as they are read, tensor by tensor (`weights`).
- Unless a plan finds room for all at once, parts take turns on the GPU: a denoiser that does not
  work, and all of them while words are read, wait in the machine's memory.
- Text encoders, often as large as the denoiser, are in memory only while they work: once in a job,
  for captions and for the prompts that are told to come (`expect_prompts`).  What they say
  of a look's prompt is kept, on the CPU, for as long as the base is loaded: it is made of words in
  `styles/` and has nothing to do with who somebody is.  What they say of a caption is forgotten
  with the training that it was read for.
- Training recomputes activations instead of keeping them (gradient checkpointing), and the
  autoencoder takes one picture at a time, in tiles when pictures are very large.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import nn

from errors import BaseUnavailable
from pipeline.bases import device
from pipeline.bases.base import Base
from pipeline.bases.denoising import Conditions
from pipeline.bases.plan import Offload, Plan
from pipeline.bases.stopping import Stop, between_blocks, between_tensors
from pipeline.bases.weights import read_pipeline

TILES_ABOVE_PX = 1024
"""A picture of this side decodes within a few gigabytes; tiles may show seams, so not before."""

MOST_KEPT_PROMPTS = 512
"""Of looks, those of the latest jobs; a prompt takes up to 8 MB."""

TEXT_PARTS = ("text_encoder", "text_encoder_2")


class Large(Base):
    """A family whose parts are never all in memory at once."""

    batch = 1
    large: ClassVar[bool] = True

    _offload: Offload = "parts"

    @classmethod
    def _others(cls) -> dict[str, Any]:
        return super()._others() | dict.fromkeys(cls._text_parts())

    @classmethod
    def _text_parts(cls) -> tuple[str, ...]:
        """The parts of the pipeline that encode words."""
        return TEXT_PARTS[:1]

    def _settle(self) -> None:
        missing = [p for p in self._text_parts() if not (self.folder / p / "config.json").is_file()]
        if missing:
            raise BaseUnavailable(
                f"The base model {self.key!r} lacks the folder {missing[0]}. Install it again."
            )
        self._looks: dict[str, Conditions] = {}
        self._captions: dict[str, Conditions] = {}
        self._expected: tuple[str, ...] = ()
        self.vae.enable_slicing()
        if self.resolution > TILES_ABOVE_PX:
            self.vae.enable_tiling()
        for denoiser in self._denoisers():
            denoiser.enable_gradient_checkpointing()  # type: ignore[operator]  # every ModelMixin's
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

    # Words

    def knows(self, text: str) -> bool:
        """Large text encoders read anything."""
        return True

    @contextmanager
    def heeding(self, stop: Stop) -> Iterator[None]:
        """As any base does; prompts that nobody prepared are forgotten at the end of the block."""
        try:
            with super().heeding(stop):
                yield
        finally:
            self._captions.clear()

    def encode_prompts(self, prompts: Sequence[str]) -> Conditions:
        """On the CPU, whatever the base's device: `loss` and `sample` move what they use."""
        if new := [p for p in prompts if p not in self._looks and p not in self._captions]:
            # No words are asked for next, and nobody's.
            looks = ["", *(p for p in self._expected if p not in self._looks)]
            read = self._read([*looks, *new])
            self._looks |= {prompt: read.pop(prompt) for prompt in dict.fromkeys(looks)}
            self._captions |= read
        rows = [self._looks.get(prompt) or self._captions[prompt] for prompt in prompts]
        return {key: torch.stack([row[key] for row in rows]) for key in rows[0]}

    def expect_prompts(self, prompts: Collection[str]) -> None:
        self._expected = tuple(prompts)

    def prepare_prompts(self, prompts: Collection[str]) -> None:
        """Encode those of looks that are new, in one loading of the text encoders, and keep them.

        Raises:
            Stopped: as `heeding` says.
        """
        looks = self._looks | self._read([p for p in prompts if p not in self._looks])
        for prompt in dict.fromkeys(prompts):
            looks[prompt] = looks.pop(prompt)  # the latest are the last
        most = max(MOST_KEPT_PROMPTS, len(set(prompts)))
        self._looks = dict(list(looks.items())[-most:])

    @torch.no_grad()
    def _read(self, prompts: Sequence[str]) -> dict[str, Conditions]:
        """Prompts by the text encoders, which are loaded for that unless there are none."""
        if not prompts:
            return {}
        without = {self.adapter_prefix: None, "vae": None}
        encoder, read = None, dict[str, Conditions]()
        try:
            with between_tensors(self._stop):
                encoder = read_pipeline(self.folder, {"torch_dtype": self.compute_dtype, **without})
                self.bring()
                encoder.to("cpu" if self._offload == "words" else self.device)
            with between_blocks(self._stop, *_networks(encoder)):
                for prompt in dict.fromkeys(prompts):
                    row = self._encode(encoder, prompt)
                    read[prompt] = {key: value.cpu() for key, value in row.items()}
            return read
        finally:
            encoder = None
            device.release()
            self.bring(self.denoiser, self.vae)

    @abstractmethod
    def _encode(self, encoder: Any, prompt: str) -> Conditions:
        """One prompt by a pipeline that has only its text parts -> one row, without its batch."""


def _networks(pipeline: Any) -> list[nn.Module]:
    return [part for part in pipeline.components.values() if isinstance(part, nn.Module)]
