"""Lightning under one name, `pl`, and base classes that both of its packages take for theirs.

`lightning.pytorch` and `pytorch_lightning` hold the same classes twice, and a trainer of one
refuses callbacks and data modules of the other. Which one a script uses can't be told when this is
imported (sorted imports put us first), so ours are of both kinds wherever both are installed.
"""

import importlib
from types import ModuleType
from typing import TYPE_CHECKING, Any

PACKAGES = ("pytorch_lightning", "lightning.pytorch")


def _installed() -> list[ModuleType]:
    found = []
    for name in PACKAGES:
        try:
            found.append(importlib.import_module(name))
        except ModuleNotFoundError as error:
            if not name.startswith(str(error.name)):
                raise  # it is there, and something that it needs is not
    if not found:
        raise ModuleNotFoundError("explaindebug's callbacks need: pip install pytorch-lightning")
    return found


if TYPE_CHECKING:
    import pytorch_lightning as pl
    from pytorch_lightning import Callback, LightningDataModule, LightningModule

    MODULES: tuple[type[LightningModule], ...] = ()
else:
    _found = _installed()
    pl: Any = _found[0]
    MODULES = tuple(x.LightningModule for x in _found)
    Callback = type("Callback", tuple(x.Callback for x in _found), {})
    LightningDataModule = type(
        "LightningDataModule", tuple(x.LightningDataModule for x in _found), {}
    )

__all__ = ["MODULES", "Callback", "LightningDataModule", "pl"]
