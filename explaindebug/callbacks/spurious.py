"""Does the map lie on the background? The test for spurious backgrounds."""

from collections.abc import Iterator
from typing import Unpack

from torch import nn

from explaindebug.callbacks.comparing import ComparingCallback, Others, copies
from explaindebug.callbacks.options import METHODS, Attributions, ComparingOptions
from explaindebug.core.errors import DataError
from explaindebug.debugtests.base import Arms
from explaindebug.debugtests.explain import Explain, Measured
from explaindebug.debugtests.probe import Probe
from explaindebug.debugtests.spurious import Spurious


class SpuriousSimilarity(ComparingCallback):
    """Similarity of maps to where the spurious signal is, and their share on it.

    Logs `debug/spurious/<method>/<similarity>/gt1`, `.../gt2` and `.../fam`, and
    `debug/spurious/<method>/background/share`. The probe's batches must carry `signal`, boolean
    (n, 1, h, w), True where the signal is (of a background: `~mask` of the object's mask). With
    `scene` (n, c, h, w), the same pictures without their object, there is `gt2`, too
    (`explaindebug.data.MaskedSample` has all of them); pictures should carry the signal.

    GT-1 is 1 on the signal and 0 elsewhere (K-SSD of the follow-up: would a known signal be seen?).
    GT-2 is GT-1 times the same method's map of the scene alone, under the same network. The class
    explained on the scene is that of the picture. Both ground truths are multiplied before or after
    normalisation, as the post-processing's `mask` says.

    FAM compares the first control's maps with those of the network, same pictures (false alarm:
    where they are as like as those of two controls, a good network looks like a bad one); under
    the role "control" with those of the second control.

    Args:
        attributions, options: see `ComparingCallback`.
        control: one or more networks trained without the spurious signal.

    Raises:
        DataError: where batches have no signal, or it is no boolean mask.

    Source: Adebayo et al. 2020, section 3.1 and Table 2; Adebayo et al. 2022, section 3.
    """

    test = Spurious.name

    def __init__(
        self,
        attributions: Attributions = METHODS,
        *,
        control: Others = None,
        **options: Unpack[ComparingOptions],
    ) -> None:
        super().__init__(attributions, **options)
        self.control = control

    def measure(self, network: nn.Module, probe: Probe, explain: Explain) -> Iterator[Measured]:
        """GT-1, GT-2 and the share on the signal, for the network and for the control; FAM."""
        if probe.signal is None:
            raise DataError(
                "SpuriousSimilarity needs batches with `signal`, boolean (n, 1, h, w), True where "
                "the spurious signal is. Of a mask that is True on the object it is ~mask, where "
                "the background is the signal. unpack= may return a Probe with it."
            )
        arms = Arms([network], copies(self.control, probe.image.device))
        return Spurious().pairs(arms, probe, self.instrument(explain))
