"""Lightning callbacks that explain a model during validation or testing, without side effects.

The names in `__init__.pyi` are imported when they are first used: with Lightning, which takes
seconds, and which some modules of this package do without.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
