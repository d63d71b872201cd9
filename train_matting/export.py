"""Write the trained network as ONNX, operator by operator, with its normalisations folded in."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from train_matting.net import INPUTS, TRUST, Refiner


class _Graph:
    """Nodes and weights gathered while the network is walked."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def add(self, kind: str, inputs: list[str], **attributes: object) -> str:
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def constant(self, value: np.ndarray) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(value, name))
        return name

    def layer(self, layer: nn.Conv2d | nn.ConvTranspose2d, x: str) -> str:
        kind = "Conv" if isinstance(layer, nn.Conv2d) else "ConvTranspose"
        assert layer.bias is not None
        assert not isinstance(layer.padding, str)
        weights = [self.constant(t.detach().numpy()) for t in (layer.weight, layer.bias)]
        pads = list(layer.padding) * 2
        return self.add(
            kind, [x, *weights], kernel_shape=list(layer.kernel_size), strides=list(layer.stride),
            pads=pads,
        )  # fmt: skip

    def block(self, block: nn.Module, x: str) -> str:
        """Convolutions, each followed by a normalisation and a ReLU."""
        layers = [m for m in block.modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d)]
        for conv, norm in zip(layers[::2], layers[1::2], strict=True):
            assert isinstance(conv, nn.Conv2d)
            assert isinstance(norm, nn.BatchNorm2d)
            x = self.add("Relu", [self.layer(fuse_conv_bn_eval(conv, norm), x)])
        return x


@torch.no_grad()
def write_onnx(net: Refiner, file: Path) -> str:
    """Write the network in evaluation mode; return the file's SHA-256, for `refine.SHA256`."""
    graph = _Graph()
    kept = [graph.block(net.first, "x")]
    for step in net.down:
        kept.append(graph.block(step, kept[-1]))
    y = kept[-1]
    for level in reversed(range(len(net.up))):
        up = net.up[level]
        assert isinstance(up, nn.ConvTranspose2d)
        y = graph.add("Relu", [graph.layer(up, y)])
        y = graph.block(net.join[level], graph.add("Concat", [y, kept[level]], axis=1))
    # The mask's share of the logit is a 1 x 1 convolution: slicing a channel is no help to OpenCV.
    weight = np.zeros((1, INPUTS, 1, 1), np.float32)
    weight[0, 3] = TRUST
    mask = graph.add("Conv", ["x", graph.constant(weight)], kernel_shape=[1, 1])
    logit = graph.add("Add", [graph.layer(net.last, y), mask])
    graph.nodes.append(helper.make_node("Sigmoid", [logit], ["alpha"]))
    shapes = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, channels, "h", "w"])
        for name, channels in (("x", INPUTS), ("alpha", 1))
    ]
    whole = helper.make_graph(graph.nodes, "refiner", shapes[:1], shapes[1:], graph.weights)
    model = helper.make_model(whole, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    data = model.SerializeToString()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return hashlib.sha256(data).hexdigest()
