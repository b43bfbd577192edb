"""Would the heat map have told you? Debugging tests for attribution methods.

Adebayo, Muelly, Liccardi, Kim: Debugging Tests for Model Explanations, NeurIPS 2020.

The public names are listed, with where each lives, in `__init__.pyi`. They are imported when they
are first used, so that `import explaindebug` takes no time.
"""

from importlib import import_module
from typing import Any

import lazy_loader

__version__ = "0.1.0"

_lazily, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    # `cascade` is a package as well as its function: the package, which can be called, is both.
    return import_module("explaindebug.cascade") if name == "cascade" else _lazily(name)
