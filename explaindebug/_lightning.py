"""Lightning under one name, `pl`, whichever of its two packages is there.

`lightning.pytorch` and `pytorch_lightning` hold the same classes twice, and a trainer of one does
not know the callbacks of the other. So where a script has already imported one of them, that one
is used.
"""

import sys
from typing import TYPE_CHECKING

_only_the_other = "pytorch_lightning" in sys.modules and "lightning.pytorch" not in sys.modules

if TYPE_CHECKING or _only_the_other:
    import pytorch_lightning as pl
else:
    try:
        import lightning.pytorch as pl
    except ImportError:
        import pytorch_lightning as pl

__all__ = ["pl"]
