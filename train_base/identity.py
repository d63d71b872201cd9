"""SFace as a differentiable torch function: who a picture shows, and what a face is made of.

The recogniser's ONNX graph (OpenCV Zoo, int8 weights in blocks) is read once, its weights are
dequantised, and its nodes are run with torch.  Agrees with OpenCV's own run to seven digits.
Used as a loss (likeness of a reconstruction) and as perceptual features; never trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import numpy_helper
from torch import Tensor, nn

from pipeline.imaging import EYES_AND_MOUTH, TEMPLATE_SIZE
from train_base.checkpoint import DEVICE
from train_base.faces import RECOGNISER

SFACE_SIZE = 112
_SFACE_POINTS = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655],
     [70.7299, 92.2041]],
    np.float32,
)  # fmt: skip
"""Eyes, nose, mouth corners in SFace's 112 px crop (OpenCV, face_recognize.cpp)."""

_CHANGES_NOTHING = ("Dropout", "Identity")


class SFace(nn.Module):
    """Input float [n, 3, 112, 112] RGB 0..255; output [n, 128], not normalised."""

    def __init__(self, weights: Path) -> None:
        super().__init__()
        graph = onnx.load(str(weights / RECOGNISER)).graph
        self._constants = {
            item.name: torch.from_numpy(numpy_helper.to_array(item).copy())
            for item in graph.initializer
        }
        self._nodes: list[tuple[str, list[str], str, dict]] = []
        for node in graph.node:
            settings = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            if not self._fold(node, settings):
                self._nodes.append((node.op_type, list(node.input), node.output[0], settings))
        self._constants = {
            name: value.float() if value.is_floating_point() else value
            for name, value in self._constants.items()
        }
        self._constants = {name: value.to(DEVICE) for name, value in self._constants.items()}
        self._input = next(i.name for i in graph.input if i.name not in self._constants)
        self._output = graph.output[0].name

    def _fold(self, node: onnx.NodeProto, settings: dict) -> bool:
        """Evaluate a node whose inputs are all constants; True where that was possible."""
        known = self._constants
        if node.op_type == "Constant":
            value = numpy_helper.to_array(settings["value"]).copy()
            known[node.output[0]] = torch.from_numpy(value)
            return True
        if not all(name in known for name in node.input):
            return False
        if node.op_type == "DequantizeLinear":
            known[node.output[0]] = _dequantised([known[i] for i in node.input], settings)
        elif node.op_type == "Reshape":
            shape = tuple(int(v) for v in known[node.input[1]])
            known[node.output[0]] = known[node.input[0]].reshape(shape)
        elif node.op_type == "Identity":
            known[node.output[0]] = known[node.input[0]]
        elif node.op_type == "Transpose":
            known[node.output[0]] = known[node.input[0]].permute(*settings["perm"])
        else:
            return False
        return True

    def forward(self, faces: Tensor, taps: Sequence[int] = ()) -> tuple[Tensor, list[Tensor]]:
        """Embedding [n, 128] and the activations after the convolutions numbered in `taps`."""
        values: dict[str, Tensor] = {self._input: faces}
        features: list[Tensor] = []
        convolutions = 0
        for kind, names, output, settings in self._nodes:
            args = [values[n] if n in values else self._constants[n] for n in names if n]
            values[output] = _run(kind, args, settings, batch=len(faces))
            convolutions += kind == "Conv"
            if kind in ("PRelu", "Relu") and values[output].dim() == 4 and convolutions in taps:
                features.append(values[output])
        return values[self._output], features


def _dequantised(args: list[Tensor], settings: dict) -> Tensor:
    """(x - zero) * scale, with one scale per block of `block_size` along `axis` where given."""
    x, scale = args[0].float(), args[1].float()
    zero = args[2].float() if len(args) > 2 else torch.zeros_like(scale)
    axis, block = settings.get("axis", 1), settings.get("block_size", 0)
    if block:
        scale = scale.repeat_interleave(block, axis).narrow(axis, 0, x.shape[axis])
        zero = zero.repeat_interleave(block, axis).narrow(axis, 0, x.shape[axis])
    elif scale.dim() == 1:
        shape = [1] * x.dim()
        shape[axis] = -1
        scale, zero = scale.view(shape), zero.view(shape)
    return (x - zero) * scale


def _run(kind: str, args: list[Tensor], settings: dict, batch: int) -> Tensor:
    """One ONNX node in torch; only the kinds that SFace has."""
    if kind == "Conv":
        return F.conv2d(
            args[0],
            args[1],
            args[2] if len(args) > 2 else None,
            stride=settings.get("strides", 1),
            padding=tuple(settings.get("pads", [0] * 4)[:2]),
            dilation=settings.get("dilations", 1),
            groups=settings.get("group", 1),
        )
    if kind == "BatchNormalization":
        x, weight, bias, mean, variance = args
        return F.batch_norm(
            x, mean, variance, weight, bias, False, 0.0, settings.get("epsilon", 1e-5)
        )
    if kind == "PRelu":
        return F.prelu(args[0], args[1].reshape(-1))
    if kind == "Relu":
        return F.relu(args[0])
    if kind in ("Add", "Sub", "Mul", "Div"):
        return {"Add": torch.add, "Sub": torch.sub, "Mul": torch.mul, "Div": torch.div}[kind](*args)
    if kind == "Flatten":
        return args[0].flatten(1)
    if kind in _CHANGES_NOTHING:
        return args[0]
    if kind == "Gemm":
        product = args[0] @ (args[1].T if settings.get("transB") else args[1])
        return product + args[2] if len(args) > 2 else product
    if kind == "MatMul":
        return args[0] @ args[1]
    if kind == "Reshape":
        return args[0].reshape([batch, *[int(v) for v in args[1]][1:]])
    if kind == "GlobalAveragePool":
        return args[0].mean((2, 3), keepdim=True)
    if kind == "Transpose":
        return args[0].permute(*settings["perm"])
    raise NotImplementedError(f"ONNX node {kind}")


def sface_grid(size: int = TEMPLATE_SIZE) -> Tensor:
    """Sampling grid [1, 112, 112, 2] that cuts SFace's crop out of an aligned `size` px crop."""
    source = EYES_AND_MOUTH * (size / TEMPLATE_SIZE)
    mouth = (_SFACE_POINTS[3] + _SFACE_POINTS[4]) / 2
    target = np.stack([_SFACE_POINTS[0], _SFACE_POINTS[1], mouth])
    there, _ = cv2.estimateAffinePartial2D(source, target)
    back = cv2.invertAffineTransform(there)
    y, x = np.mgrid[0:SFACE_SIZE, 0:SFACE_SIZE]
    grid_x = back[0, 0] * x + back[0, 1] * y + back[0, 2]
    grid_y = back[1, 0] * x + back[1, 1] * y + back[1, 2]
    grid = (np.stack([grid_x, grid_y], -1) + 0.5) / size * 2 - 1
    return torch.from_numpy(grid).float()[None]


def faces_112(pictures: Tensor, grid: Tensor) -> Tensor:
    """Aligned pictures [n, 3, S, S] in -1..1 -> SFace's crops [n, 3, 112, 112] in 0..255."""
    grid = grid.expand(len(pictures), -1, -1, -1)
    crops = F.grid_sample(pictures, grid, align_corners=False, padding_mode="border")
    return (crops + 1) * 127.5
