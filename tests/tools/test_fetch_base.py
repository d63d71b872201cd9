"""Fetching a base: pinned, resumed, verified, and afterwards without any network."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path

import pytest

import settings as configuration
from errors import BaseUnavailable
from pipeline.assembly import require_base
from pipeline.bases import manifest
from pipeline.bases.loading import load_base
from pipeline.planning.clips import clip_facts_of
from pipeline.planning.facts import facts_of
from pipeline.training.train import Recipe
from tests.support.hub import COMMIT, Hub, serving
from tests.support.tiny_base import build_tiny_z_image
from tools.fetch_base import BASES

MANIFEST = """\
key = "tiny"
title = "Tiny"
licence = "Nobody's"
licence_url = "https://example.org/licence"
acknowledge = true

[sampling]
steps = 3
guidance = 1.0

[recipe]
rank = 2

[[sources]]
repository = "somebody/tiny"
revision = "unpinned"
take = ["model_index.json", "scheduler/*", "tokenizer/*", "text_encoder/*", "transformer/*"]

# The autoencoder of somebody else.
[[sources]]
repository = "else/vae"
revision = "unpinned"
take = ["config.json", "*.fp16.safetensors"]
into = "vae"
drop = ".fp16"
"""
LONG = "scheduler/long.txt"
"""Longer than what the client keeps in memory before it writes."""
WEIGHTS = "transformer/diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    """A base in two repositories."""
    folder = tmp_path_factory.mktemp("hub") / "tiny"
    build_tiny_z_image(folder)
    paths = [p for p in folder.rglob("*") if p.is_file()]
    everything = {str(p.relative_to(folder)): p.read_bytes() for p in paths}
    vae = {p.removeprefix("vae/"): everything.pop(p) for p in list(everything) if p[:4] == "vae/"}
    weights = vae.pop("diffusion_pytorch_model.safetensors")
    vae["diffusion_pytorch_model.fp16.safetensors"] = weights
    everything["pickle.bin"] = b"not taken"
    everything[LONG] = bytes(25_000_000)
    return {"somebody/tiny": everything, "else/vae": vae}


@pytest.fixture
def hub(files: dict[str, dict[str, bytes]]) -> Iterator[Hub]:
    with serving(Hub({repository: dict(content) for repository, content in files.items()})) as hub:
        yield hub


@pytest.fixture
def bases(tmp_path: Path) -> Path:
    folder = tmp_path / "bases"
    folder.mkdir()
    (folder / "tiny.toml").write_text(MANIFEST)
    return folder


@pytest.fixture(scope="module")
def fetched(
    files: dict[str, dict[str, bytes]], tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path]:
    """What --pin left: the text of the manifest, and the models folder."""
    root = tmp_path_factory.mktemp("pinned")
    (root / "tiny.toml").write_text(MANIFEST)
    with serving(Hub(files)) as hub:
        done = run(hub, root, root / "models", "--pin")
    assert done.returncode == 0, done.stderr
    return (root / "tiny.toml").read_text(), root / "models"


@pytest.fixture
def pinned(bases: Path, fetched: tuple[str, Path]) -> Path:
    """The manifests after somebody fetched with --pin, elsewhere."""
    (bases / "tiny.toml").write_text(fetched[0])
    return bases


def run(
    hub: Hub, bases: Path, models: Path, *options: str, key: str = "tiny", **environment: str
) -> subprocess.CompletedProcess[str]:
    limit = int(environment.pop("largest_file", "0"))

    def limited() -> None:
        if limit:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    command = [sys.executable, "-m", "tools.fetch_base", key, "--to", str(models), *options]
    return subprocess.run(
        [*command, "--bases", str(bases)],
        cwd=configuration.ROOT,
        # Other tests of this process may have forbidden the hub.
        env={name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        | {"HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
        | environment,
        capture_output=True,
        text=True,
        timeout=60,
        preexec_fn=limited,
    )


def sentence(done: subprocess.CompletedProcess[str]) -> str:
    """What it said, which is one line and no traceback."""
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if "Trying to resume" not in line]
    lines = [line for line in lines if not line.startswith("Error while downloading")]
    assert len(lines) == 1, done.stderr
    return lines[0]


@pytest.mark.slow
def test_pinned_once_and_then_the_same_everywhere(hub: Hub, bases: Path, tmp_path: Path) -> None:
    models = tmp_path / "models"
    assert "Add --pin" in sentence(run(hub, bases, models))
    assert not models.exists()

    assert run(hub, bases, models, "--pin").returncode == 0
    content = tomllib.loads((bases / "tiny.toml").read_text())
    assert [source["revision"] for source in content["sources"]] == [COMMIT, COMMIT]
    assert content["sources"][1]["into"] == "vae"
    assert "pinned already" in sentence(run(hub, bases, models, "--pin"))

    # Now without any network, here and in the product.
    hub.sent.clear()
    hub.status = 500
    assert run(hub, bases, models, HF_HUB_OFFLINE="1").returncode == 0
    assert hub.sent == []
    folder = models / "tiny"
    present = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert "vae/diffusion_pytorch_model.safetensors" in present
    assert not [name for name in present if name.endswith((".part", ".bin"))]

    with pytest.raises(BaseUnavailable, match="set LIKENESS_ACKNOWLEDGE=tiny"):
        load_base(folder)
    base = load_base(folder, acknowledged=("tiny",))
    assert (base.sampling.steps, base.recipe) == (3, {"rank": 2})
    assert base.encode_prompts(["photo"])["mask"].any()


def test_a_damaged_base_is_a_sentence_and_only_that_file_is_fetched_again(
    hub: Hub, pinned: Path, fetched: tuple[str, Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(fetched[1], tmp_path / "first")) / "tiny"
    (folder / "tokenizer" / "tokenizer.json").unlink()
    with pytest.raises(BaseUnavailable, match=r"lacks the file tokenizer/tokenizer\.json"):
        load_base(folder, acknowledged=("tiny",))
    weights = bytearray((folder / WEIGHTS).read_bytes())
    weights[-1] ^= 1
    (folder / WEIGHTS).write_bytes(weights)
    assert run(hub, pinned, tmp_path / "first").returncode == 0
    assert sorted(name for name, _, _ in hub.sent) == ["tokenizer/tokenizer.json", WEIGHTS]
    load_base(folder, acknowledged=("tiny",))


@pytest.mark.slow
def test_a_download_that_broke_off_goes_on_where_it_stopped(
    hub: Hub, pinned: Path, tmp_path: Path
) -> None:
    models, size = tmp_path / "models", len(hub.files["somebody/tiny"][LONG])
    hub.break_at = size - 1000
    said = sentence(run(hub, pinned, models))
    assert "answered 503" in said
    assert "goes on where it stopped" in said
    broken, first, cut = hub.sent[-1]
    with pytest.raises(BaseUnavailable, match="no base model"):
        load_base(models / "tiny")

    hub.status = None
    hub.sent.clear()
    assert run(hub, pinned, models).returncode == 0
    assert (first, hub.sent[0][0]) == (0, broken)
    assert 0 < hub.sent[0][1] <= cut
    assert hub.sent[0][2] == size - hub.sent[0][1]
    assert len({name for name, _, _ in hub.sent}) == len(hub.sent)


def test_the_beginning_of_another_file_is_not_gone_on_with(
    hub: Hub, pinned: Path, tmp_path: Path
) -> None:
    part = tmp_path / "models" / "tiny" / f"{WEIGHTS}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"something else")
    assert run(hub, pinned, tmp_path / "models").returncode == 0
    assert [first for name, first, _ in hub.sent if name == WEIGHTS] == [14, 0]


def test_bytes_other_than_the_pinned_ones_are_refused_and_deleted(
    hub: Hub, pinned: Path, tmp_path: Path
) -> None:
    content = hub.files["somebody/tiny"]
    content[WEIGHTS] = content[WEIGHTS][:-1] + bytes([content[WEIGHTS][-1] ^ 1])
    said = sentence(run(hub, pinned, tmp_path / "models"))
    assert WEIGHTS in said
    assert "digest differs" in said
    assert not list((tmp_path / "models").rglob("transformer/*.safetensors*"))
    assert not (tmp_path / "models" / "tiny" / "model_index.json").exists()


def test_a_full_disk_is_a_sentence_and_nothing_is_lost(
    hub: Hub, pinned: Path, tmp_path: Path
) -> None:
    models, size = tmp_path / "models", len(hub.files["somebody/tiny"][LONG])
    said = sentence(run(hub, pinned, models, largest_file=str(size // 2)))
    assert "disk is full" in said
    hub.sent.clear()
    assert run(hub, pinned, models).returncode == 0
    assert hub.sent[0][1] > 0


@pytest.mark.slow
def test_unknown_gated_vanished_and_unreachable_are_sentences(
    hub: Hub, pinned: Path, tmp_path: Path
) -> None:
    models = tmp_path / "models"
    assert "There are: tiny." in sentence(run(hub, pinned, models, key="tinny"))
    hub.status, hub.error_code = 403, "GatedRepo"
    assert "accept terms" in sentence(run(hub, pinned, models))
    hub.status, hub.error_code = 404, "EntryNotFound"
    assert "any more" in sentence(run(hub, pinned, models))
    assert "HF_HUB_OFFLINE" in sentence(run(hub, pinned, models, HF_HUB_OFFLINE="1"))


# Manifests


def test_a_licence_is_acknowledged_by_the_name_of_the_base(tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')
    (tmp_path / manifest.NAME).write_text(MANIFEST)
    for said in ((), ("another",)):
        with pytest.raises(BaseUnavailable, match="Tiny is under the licence Nobody's"):
            require_base(tmp_path, said)
    require_base(tmp_path, configuration.load(acknowledge="another tiny").acknowledge)


@pytest.mark.parametrize(
    "broken",
    ["key = ", 'key = "only"', MANIFEST.replace("guidance", "guide")],
    ids=["no TOML", "no title", "no guidance"],
)
def test_a_broken_manifest_is_a_sentence(tmp_path: Path, broken: str) -> None:
    (tmp_path / manifest.NAME).write_text(broken)
    with pytest.raises(BaseUnavailable, match=r"altered: manifest\.toml"):
        require_base(tmp_path)


@pytest.mark.parametrize("file", sorted(BASES.glob("*.toml")), ids=lambda file: file.stem)
def test_every_manifest_is_complete(file: Path, tmp_path: Path) -> None:
    content = tomllib.loads(file.read_text())
    (tmp_path / manifest.NAME).write_text(file.read_text())
    ours = manifest.read(tmp_path)
    assert ours is not None
    assert ours.key == file.stem
    assert ours.acknowledge == ("Non-Commercial" in ours.licence)
    few = {"solver", "spacing"} if file.stem == "sdxl-lightning" else set()
    assert set(ours.sampling) == {"steps", "guidance"} | few
    Recipe(**ours.recipe)
    for source in content["sources"]:
        assert (source["revision"] == "unpinned") != bool(source.get("files"))
        assert not [p for p in source["take"] if p.endswith((".bin", ".ckpt", ".pt", ".py"))]
    counts, clips = facts_of(ours), clip_facts_of(ours)
    assert (counts is None) != (clips is None)
    if clips is not None:
        assert clips.packed < clips.denoiser < 1e10
        assert [row.resolution for row in clips.at] == sorted(
            (row["resolution"] for row in content["clip"]["at"]), reverse=True
        )
    if counts is None:
        return
    assert counts.packed < counts.denoiser < 1e10
    assert counts.words_stay == (file.stem == "sd15")
    assert counts.distilled == any(s.get("into") == "distilled" for s in content["sources"])
    assert len(counts.at) >= 2
    for large, small in pairwise(counts.at):
        assert large.resolution > small.resolution
        assert large.recompute < large.keep
        assert all(asdict(large)[key] > value for key, value in asdict(small).items())
