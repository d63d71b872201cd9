"""Models compute in what the machine is fast in."""

from __future__ import annotations

import pytest
import torch

from pipeline.bases import device


@pytest.mark.parametrize(
    ("gpu", "avx512", "dtype"),
    [
        (True, False, torch.bfloat16),
        (False, True, torch.bfloat16),
        (False, False, torch.float32),
    ],
)
def test_bfloat16_only_where_it_is_fast(
    monkeypatch: pytest.MonkeyPatch, gpu: bool, avx512: bool, dtype: torch.dtype
) -> None:
    monkeypatch.setattr(device, "_usable", lambda: gpu)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: avx512)
    assert device.compute_dtype() == dtype


def test_float32_is_computed_as_it_is() -> None:
    ones = torch.ones(2, 2)
    with device.autocast(torch.device("cpu"), torch.float32):
        assert (ones @ ones).dtype == torch.float32
    with device.autocast(torch.device("cpu"), torch.bfloat16):
        assert (ones @ ones).dtype == torch.bfloat16
