"""A plain built-in personalisation loop: what the base must make possible, measured.

The product's trainer is richer (checks, encryption, checkpoints picked by likeness).  This loop
is short on purpose: it judges the base model, and the same settings are used before and after
the base is trained further.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from diffusers import AutoencoderTiny
from numpy.typing import NDArray
from peft import LoraConfig
from torch import Tensor, nn

from pipeline.align import TEMPLATE_SIZE
from pipeline.backdrops import BACKDROPS, LIGHTS, caption, compose
from tools.train_base.checkpoint import step_rng
from tools.train_base.data import MARGIN
from tools.train_base.denoiser import Trainer
from tools.train_base.latents import encode
from tools.train_base.restyle import Person, exposure, jitter
from tools.train_base.words import PERSON_TOKEN, numbers_of

SUBJECT = f"{PERSON_TOKEN} person"


@dataclass(frozen=True)
class Recipe:
    """Of an adapter.  Attention alone cannot paint a face here: convolutions are adapted too."""

    rank: int = 16
    steps: int = 300
    batch: int = 8
    rate: float = 1e-3
    pictures: int = 16
    """Recomposed pictures per photo."""
    no_words: float = 0.0
    seed: int = 0


def eight_photos(rng: np.random.Generator, person: Person) -> list[Person]:
    """Eight "selfies" from one portrait: turned, cropped, lit, blurred, before other walls."""
    photos = []
    for number in range(8):
        image, matte = person.image, person.matte
        if number:
            centre = (image.shape[1] / 2, image.shape[0] / 2)
            turn, scale = float(rng.uniform(-8, 8)), float(rng.uniform(0.92, 1.1))
            transform = cv2.getRotationMatrix2D(centre, turn, scale)
            # The aligner would turn the face back: what stays is resampling and the new frame.
            back = cv2.getRotationMatrix2D(centre, -turn, 1 / scale)
            size = (image.shape[1], image.shape[0])
            for step in (transform, back):
                image = cv2.warpAffine(image, step, size, borderMode=cv2.BORDER_REPLICATE)
                matte = cv2.warpAffine(matte, step, size, borderMode=cv2.BORDER_REPLICATE)
            image = exposure(rng, image)
            if rng.random() < 0.4:
                image = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.4, 0.9)))
            backdrop = str(rng.choice(list(BACKDROPS)))
            light = str(rng.choice(LIGHTS[:4]))
            image = compose(rng, image, matte, backdrop=backdrop, light=light)
        photos.append(Person(image, matte, person.woman, person.in_colour))
    return photos


def recompose(
    rng: np.random.Generator, photos: list[Person], per_photo: int
) -> tuple[list[NDArray[np.uint8]], list[str]]:
    """Photos before studio backdrops with the matching words.  Never mirrored."""
    pictures, captions = [], []
    for photo in photos:
        for _ in range(per_photo):
            image, matte = jitter(rng, photo, mirror=False)
            backdrop = str(rng.choice(list(BACKDROPS)))
            light = str(rng.choice(LIGHTS, p=[0.6, 0.12, 0.12, 0.08, 0.08]))
            grade = str(rng.choice(["", "warm", "cool", "black and white"], p=[0.7, 0.1, 0.1, 0.1]))
            pictures.append(compose(rng, image, matte, backdrop=backdrop, light=light, grade=grade))
            captions.append(caption(subject=SUBJECT, backdrop=backdrop, light=light, grade=grade))
    return pictures, captions


def adapt(
    base: Trainer, autoencoder: AutoencoderTiny, photos: list[Person], recipe: Recipe
) -> None:
    """Train an adapter into `base.unet` (whose own weights stay as they are)."""
    rng = step_rng(recipe.seed, 0)
    pictures, captions = recompose(rng, photos, recipe.pictures)
    latents = torch.cat(
        [encode(autoencoder, pictures[i : i + 32]) for i in range(0, len(pictures), 32)]
    )
    words = numbers_of(base.tokenizer, captions)
    unet = base.unet
    unet.requires_grad_(False)
    base.text.requires_grad_(False)
    torch.manual_seed(recipe.seed)
    unet.add_adapter(
        LoraConfig(r=recipe.rank, lora_alpha=recipe.rank, target_modules=adapted_layers(unet))
    )
    parameters = [p for p in unet.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(parameters, recipe.rate, weight_decay=0.01)
    random = torch.Generator().manual_seed(recipe.seed)
    empty = numbers_of(base.tokenizer, [""])
    for step in range(recipe.steps):
        for group in optimiser.param_groups:
            group["lr"] = recipe.rate * min(1, (step + 1) / 20) * max(0.1, 1 - step / recipe.steps)
        rows = torch.randint(len(latents), (recipe.batch,), generator=random)
        picked: Tensor = latents[rows].float() * base.scale
        prompts = words[rows].clone()
        prompts[torch.rand(len(rows), generator=random) < recipe.no_words] = empty
        noise = torch.randn(picked.shape, generator=random)
        times = torch.randint(1000, (len(rows),), generator=random)
        loss = base.loss(picked, prompts, noise, times).mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()


def adapted_layers(unet: nn.Module) -> list[str]:
    """Names of the linear and convolution layers that carry an adapter."""
    skipped = ("conv_in", "conv_out", "time_emb")
    return [
        name
        for name, layer in unet.named_modules()
        if isinstance(layer, nn.Linear | nn.Conv2d) and not any(word in name for word in skipped)
    ]


def inner(photo: Person) -> NDArray[np.uint8]:
    """The 160 px crop of a stored photo."""
    window = slice(MARGIN, MARGIN + TEMPLATE_SIZE)
    return photo.image[window, window]
