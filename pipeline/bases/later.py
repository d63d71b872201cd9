"""Libraries that others import at once and hardly ever use."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import Any


def later(name: str) -> None:
    """Have a module imported when something of it is asked for, not before."""
    if name in sys.modules:
        return
    module, spec = ModuleType(name), importlib.util.find_spec(name)
    assert spec is not None
    module.__file__ = spec.origin  # who looks for where code stands asks every module for it

    def of_the_real_one(attribute: str) -> Any:
        if sys.modules.get(name) is module:
            del sys.modules[name]
        return getattr(importlib.import_module(name), attribute)

    module.__getattr__ = of_the_real_one  # type: ignore[method-assign]
    sys.modules[name] = module
