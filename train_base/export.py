"""Stage 5: checkpoints -> a standard diffusers folder that `DiffusionPipeline` loads.

    python -m train_base.export --work /work/train-base [--to FOLDER]

fp16 safetensors, at most 60 MB.  The folder is written beside its place and then moved there,
so that nobody loads half a model.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import torch
from diffusers import DiffusionPipeline, DPMSolverMultistepScheduler, StableDiffusionPipeline

from train_base.autoencoder import load_autoencoder
from train_base.denoiser import averaged
from train_base.sampling import SCHEDULE

MOST_BYTES = 60 * 2**20


def best_autoencoder(work: Path) -> Path:
    """The sharpened checkpoint where there is one: its encoder is the plain one's."""
    sharpened = work / "sharpen" / "last.pt"
    return sharpened if sharpened.exists() else work / "autoencoder" / "last.pt"


def best_denoiser(work: Path) -> Path:
    """The checkpoint that the held-out people liked best, where a run has judged any."""
    best = work / "denoiser" / "best.pt"
    return best if best.exists() else work / "denoiser" / "last.pt"


def export(work: Path, target: Path) -> dict[str, float]:
    """Write the pipeline to `target`; returns what was written, for the log."""
    state = torch.load(best_denoiser(work), weights_only=True)
    trainer = averaged(state)
    autoencoder = load_autoencoder(best_autoencoder(work))
    autoencoder.register_to_config(scaling_factor=float(trainer.scale))
    pipeline = StableDiffusionPipeline(
        vae=autoencoder,
        text_encoder=trainer.text,
        tokenizer=trainer.tokenizer,
        unet=trainer.unet,
        scheduler=DPMSolverMultistepScheduler(**SCHEDULE),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.to(torch.float16)
    part = target.with_name(target.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    pipeline.save_pretrained(part, safe_serialization=True)
    size = sum(path.stat().st_size for path in part.rglob("*") if path.is_file())
    if size > MOST_BYTES:
        raise ValueError(f"{size} bytes are more than the {MOST_BYTES} that are allowed")
    loaded = DiffusionPipeline.from_pretrained(part, torch_dtype=torch.float32)
    loaded.set_progress_bar_config(disable=True)
    side = autoencoder.config.upsampling_scaling_factor**3 * trainer.config.sample_size
    picture = loaded(
        "photo of a person, navy studio backdrop",
        num_inference_steps=4,
        guidance_scale=2.0,
        height=side,
        width=side,
        generator=torch.Generator().manual_seed(0),
    ).images[0]
    old = target.with_name(target.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    part.rename(target)
    shutil.rmtree(old, ignore_errors=True)
    return {
        "megabytes": round(size / 2**20, 1),
        "side": picture.size[0],
        "steps": int(state["done"]),
        "samples": int(state["samples"]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--to", type=Path, help="default <work>/export/studio-mini")
    args = parser.parse_args()
    target = args.to or args.work / "export" / "studio-mini"
    target.parent.mkdir(parents=True, exist_ok=True)
    print(json.dumps(export(args.work, target)))


if __name__ == "__main__":
    main()
