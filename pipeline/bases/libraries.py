"""What we use of bitsandbytes and peft, without torch's compiler."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import torch

# On a machine without the optional package `kernels`, bitsandbytes warns at import.
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)


@contextmanager
def _unwrapped() -> Iterator[None]:
    """bitsandbytes wraps, for torch.compile, what stands in for kernels that are missing.

    Ours are there, and wrapping alone loads the compiler: a fifth of the time of all imports.
    """
    wrap = torch.compile
    vars(torch)["compile"] = lambda function=None, **_: function or (lambda inner: inner)
    try:
        yield
    finally:
        vars(torch)["compile"] = wrap


with _unwrapped():
    from bitsandbytes.nn import Linear4bit, Params4bit
    from bitsandbytes.optim import AdamW8bit

# peft imports bitsandbytes, so only now.
from peft import LoraConfig, inject_adapter_in_model  # noqa: E402
from peft.helpers import disable_input_dtype_casting  # noqa: E402
from peft.tuners.tuners_utils import BaseTunerLayer  # noqa: E402

__all__ = [
    "AdamW8bit",
    "BaseTunerLayer",
    "Linear4bit",
    "LoraConfig",
    "Params4bit",
    "disable_input_dtype_casting",
    "inject_adapter_in_model",
]
