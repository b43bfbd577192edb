"""The methods that are computed: all that were requested and support the network."""

from torch import Tensor, nn

from explaindebug.attributions._engine.plan import Plan
from explaindebug.callbacks.networks import chosen_output, logits, name_of
from explaindebug.callbacks.reports import Reports
from explaindebug.core.errors import UnsupportedModelError


class Methods:
    """The methods of a callback, tried once on each network, so that one can't fail the others."""

    def __init__(self, asked: Plan) -> None:
        self.asked = self.plan = asked
        self.explains = ""  # which output of which network, once that is known
        self._tried = False

    def again(self) -> None:
        """Start from all methods again, as the next network may be another one."""
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
        """Try each method on one input; `labels` are those of the whole probe.

        Raises:
            UnsupportedModelError: for a network that can't be explained or, if `strict`, that a
                method does not support.
        """
        if self._tried:
            return
        outputs = logits(network, images, chunk=1)  # raises for outputs that are not logits
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
