"""The four debugging tests of the paper: which networks, which inputs, and what "shows" means.

Every test compares two arms on the same inputs. The bug arm has a network with the bug, the control
arm one without; both were trained with other seeds than the reference, so that without a bug the
two arms could be exchanged, and what differs between them is the bug.
"""

from explaindebug.app.bugtests.base import CLEAN, TWIN, BugTest
from explaindebug.app.bugtests.labels import Labels
from explaindebug.app.bugtests.ood import Ood
from explaindebug.app.bugtests.reinit import Reinit
from explaindebug.app.bugtests.spurious import Spurious

__all__ = ["CLEAN", "TWIN", "BugTest", "Labels", "Ood", "Reinit", "Spurious"]
