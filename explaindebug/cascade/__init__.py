"""What becomes of maps when a network loses its weights, layer after layer.

The package is the function's name as well: `explaindebug.cascade(model, images, ...)` is
`explaindebug.cascade.cascade(model, images, ...)`.
"""

import inspect
import sys
from types import ModuleType

from explaindebug.cascade.api import Cascaded, cascade
from explaindebug.cascade.config import Cascade
from explaindebug.cascade.runner import Measurement
from explaindebug.cascade.states import Smoothing

__all__ = ["Cascade", "Cascaded", "Measurement", "Smoothing", "cascade"]


class _CallableModule(ModuleType):
    __call__ = staticmethod(cascade)


# An import of any of our modules sets `explaindebug.cascade` to this package, whatever it was.
sys.modules[__name__].__class__ = _CallableModule
__signature__ = inspect.signature(cascade)
