"""Which family runs a base: the pipeline class that its folder names, and our class for it."""

from __future__ import annotations

import importlib
from pathlib import Path

from errors import BaseUnavailable
from pipeline.bases import folder as folders
from pipeline.bases.base import Base

FAMILIES = {
    "StableDiffusionPipeline": "pipeline.bases.families.stable_diffusion:StableDiffusion",
    "StableDiffusionXLPipeline": "pipeline.bases.families.sdxl:StableDiffusionXL",
    "ZImagePipeline": "pipeline.bases.families.z_image:ZImage",
    "Flux2KleinPipeline": "pipeline.bases.families.flux2_klein:Flux2Klein",
    "WanPipeline": "pipeline.bases.families.wan:Wan",
}
"""Pipeline class in a folder's model_index.json -> module:class that runs it."""


def family_of(folder: Path) -> type[Base]:
    """Import the family of a base folder.

    Raises:
        BaseUnavailable: there is no base in the folder, or one of an unknown family.
    """
    name = folders.pipeline_class(folder)
    if name not in FAMILIES:
        raise BaseUnavailable(
            f"The base model {folder.name!r} is a {name}, which is not supported."
        )
    module, _, class_name = FAMILIES[name].partition(":")
    family: type[Base] = getattr(importlib.import_module(module), class_name)
    return family
