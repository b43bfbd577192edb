"""Which methods are computed: those asked for, less those that the network refuses."""

from torch import Tensor, nn

from explaindebug.attributions._engine.plan import Plan
from explaindebug.callbacks.networks import chosen_output, logits, name_of
from explaindebug.callbacks.reports import Reports
from explaindebug.core.errors import UnsupportedModelError


class Methods:
    """The methods of a callback, tried once on each network so that none costs the others."""

    def __init__(self, asked: Plan) -> None:
        self.asked = self.plan = asked
        self.explains = ""  # which output of what, once that is known
        self._tried = False

    def again(self) -> None:
        """Start from all methods: what comes may be another network."""
        self.plan, self._tried = self.asked, False

    def try_on(
        self,
        network: nn.Module,
        images: Tensor,
        labels: Tensor,
        reports: Reports,
        *,
        target: str,
        strict: bool,
    ) -> None:
        """Try each method on one input; `labels` are all of the probe's.

        Raises:
            UnsupportedModelError: for a network that can't be explained, and if `strict` for one
                that a method refuses.
        """
        if self._tried:
            return
        outputs = logits(network, images, chunk=1)  # says what to do about outputs that are none
        try:
            refusals = self.plan.refusals(network, images, images)
        except UnsupportedModelError as error:
            raise UnsupportedModelError(f"{error} Or name another submodule, forward=.") from error
        if refusals and strict:
            raise UnsupportedModelError(" ".join(map(str, refusals.values())))
        for name, refusal in refusals.items():
            reports.warn(f"{name} is left out: {refusal}")
        self.plan = self.plan.without(refusals)
        self._tried = True
        self.explains = f"{name_of(network)}: {chosen_output(outputs, target)}"
        if bool((labels < 0).all()):
            self.explains += " (no label is a class)"
