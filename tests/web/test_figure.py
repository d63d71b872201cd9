"""What the browser draws with: exact geometry, fields as they are, colours that end softly."""

from __future__ import annotations

import base64
import gzip
import io
import json
import struct
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.compositing.composite import GRADES, graded
from pipeline.compositing.framing import Frame, Wish
from pipeline.compositing.look import PhotoLook
from pipeline.compositing.studio import Sitter, nearest, neutralised, sit
from pipeline.imaging import CutOut
from tests.support.people import mesh_net, person
from web import figure
from web.figure import HEADS


@pytest.fixture(scope="module")
def sitter() -> Sitter:
    somebody = person("a")
    # Room on all sides, so that every frame can be had.
    around = somebody.image.shape[0]
    alpha = np.pad(somebody.alpha, around)
    colours = np.pad(somebody.image, ((around, around), (around, around), (0, 0)))
    colours[alpha == 0] = 0
    landmarks = somebody.landmarks + np.float32(around)
    return neutralised([sit(CutOut(colours, alpha), landmarks, 0.2, mesh_net())])[0]


def unpacked(data: bytes) -> tuple[dict[str, Any], np.ndarray, list[np.ndarray]]:
    """Header, colours, planes, read as `static/editor/figure.js` does."""
    body = gzip.decompress(data)
    (length,) = struct.unpack_from("<I", body)
    header = json.loads(body[4 : 4 + length])
    at = 4 + length
    with Image.open(io.BytesIO(body[at : at + header["jpeg"]])) as image:
        colours = np.asarray(image.convert("RGB"))
    at += header["jpeg"]
    planes = []
    for width, height in [header["size"], *[header["field"]] * 5]:
        planes.append(np.frombuffer(body, np.uint8, width * height, at).reshape(height, width))
        at += width * height
    assert at == len(body)
    return header, colours, planes


def test_a_figure_has_colours_alpha_and_the_fields_of_light(sitter: Sitter) -> None:
    header, colours, (alpha, x, y, face, edge, peak) = unpacked(figure.figure(sitter, clear=True))
    assert header["clear"] is True
    assert colours.shape[:2] == alpha.shape
    assert max(alpha.shape) <= 960
    inside = sitter.cut_out.alpha == 255
    if alpha.shape == sitter.cut_out.alpha.shape:
        assert np.array_equal(alpha, sitter.cut_out.alpha)
        off = np.abs(colours[inside].astype(int) - sitter.cut_out.colours[inside])
        assert off.mean() < 3  # a JPEG
    assert np.hypot(x / 127.5 - 1.0, y / 127.5 - 1.0).max() <= 1.01
    assert face.max() > 200
    assert edge.max() > 200
    assert 0 < peak.mean() < 255
    assert np.reshape(header["balance"], (3, 3)) == pytest.approx(sitter.balance)


def test_frames_lead_from_the_preview_back_to_the_photo(sitter: Sitter) -> None:
    found = figure.frames(sitter, "4:5", fade=False)
    assert len(found) == len(HEADS)
    rows = [frame["matrix"][4] for frame in found if frame is not None and frame["as_wished"]]
    assert len(rows) > 2
    assert rows == sorted(rows, reverse=True)  # the larger the head, the less of the photo
    frame = found[HEADS.index(0.45)]
    full = nearest(sitter.cut_out.alpha, sitter.landmarks, Wish("4:5", side=2048, head=0.45))
    assert frame is not None
    assert isinstance(full, Frame)
    scale = frame["size"][1] / full.size[0]
    assert max(frame["size"]) <= 640
    back = np.reshape(frame["matrix"], (2, 3))
    header, *_ = unpacked(figure.figure(sitter, clear=False))
    shrunk = header["size"][0] / sitter.cut_out.alpha.shape[1]
    for eye in sitter.landmarks[:2]:
        there = full.affine[:, :2] @ eye + full.affine[:, 2]
        preview = (there + 0.5) * scale - 0.5
        again = back[:, :2] @ preview + back[:, 2]
        assert again == pytest.approx((eye + 0.5) * shrunk - 0.5, abs=0.6)


@pytest.mark.parametrize("name", GRADES)
def test_a_grade_as_data_is_the_grade(name: str) -> None:
    row = figure.grade(name)
    matrix = np.reshape(row["matrix"], (3, 3))
    curve = np.frombuffer(base64.b64decode(row["curve"]), np.uint8)
    light = np.random.default_rng(0).uniform(0, 1, (40, 40, 3)).astype(np.float32)
    mixed = np.maximum(light @ matrix.T, 0)
    step = np.minimum(np.rint(np.sqrt(mixed) * (len(curve) - 1)), len(curve) - 1).astype(int)
    wanted = np.clip(graded(light, GRADES[name]) * 255, 0, 255)
    assert np.abs(curve[step] - wanted).max() <= 1.5


def test_a_wall_has_the_shape_and_the_blur_that_were_asked_for() -> None:
    look = PhotoLook("office", depth_of_field=0.5)
    sharp, soft = (
        np.asarray(Image.open(io.BytesIO(figure.wall(look, "wide", blur))), np.float64)
        for blur in (0.0, 1.0)
    )
    assert sharp.shape == soft.shape == (360, 640, 3)
    rough = [np.abs(np.diff(wall, axis=1)).mean() for wall in (sharp, soft)]
    assert rough[0] > 1.5 * rough[1]
    assert figure.wall(look, "wide", None) == figure.wall(look, "wide", 0.5)
