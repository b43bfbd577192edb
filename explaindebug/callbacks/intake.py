"""What a callback takes from an epoch that passes by: inputs to explain, weights to explain."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from explaindebug._lightning import pl
from explaindebug.callbacks.networks import as_attached, as_floats, explained
from explaindebug.callbacks.probe import Collector, Share, Unpack, joined, length
from explaindebug.callbacks.ranks import processes
from explaindebug.core.errors import DataError
from explaindebug.core.isolation import private_copy, undisturbed
from explaindebug.debugtests.probe import Probe


class Intake:
    """The probe, collected once, and a copy of the network, taken anew at each measurement.

    `unpack`, batches and the module are the user's: what they raise ends no training. It is kept,
    and told at the epoch's end by all processes together.
    """

    def __init__(self, count: int, unpack: Unpack) -> None:
        self.collector = Collector(count, unpack)
        self.probe: Probe | None = None  # of all processes, once it is complete
        self.network: nn.Module | None = None  # the weights that are being validated
        self._left: int | None = None  # how many inputs a resumed run had left
        self._trouble: Exception | None = None  # why a batch or the network could not be taken

    @property
    def whole(self) -> Probe:
        """The complete probe of all processes."""
        assert self.probe is not None
        return self.probe

    @property
    def size(self) -> int:
        """How many inputs are explained; 0 before they are known."""
        return 0 if self.probe is None else len(self.probe.row)

    @property
    def resumed(self) -> bool:
        """Whether the number of inputs comes from the run that is resumed."""
        return self._left is not None

    def begin(self) -> None:
        """Make ready for an epoch, whatever an interrupted one has left."""
        self.forget()
        if self.probe is None:
            self.collector.clear()

    def forget(self) -> None:
        """Let go of the network; the probe stays."""
        self.network = self._trouble = None

    def take(
        self,
        trainer: pl.Trainer,
        module: pl.LightningModule,
        forward: str | None,
        output: str | int | None,
    ) -> None:
        """Copy the part of the module that `forward` and `output` name, once in an epoch."""

        def work() -> None:
            self.network = self.network or copied(trainer, module, forward, output)

        self._try(work)

    def add(self, trainer: pl.Trainer, batch: Any) -> None:
        """Take from a batch what belongs to the probe."""

        def work() -> None:
            if self.probe is None:
                rank, world = trainer.global_rank, trainer.world_size
                self.collector.add(batch, rank=rank, world=world, length=length(trainer))

        self._try(work)

    def _try(self, work: Callable[[], None]) -> None:
        if self._trouble is None:
            try:
                work()
            except Exception as error:
                self._trouble = error

    def held(self, copy: Callable[[], nn.Module]) -> tuple[bool, Share | None]:
        """Whether this process has validated anything, and its share of a probe to complete.

        Where it has not, and others may have, `copy` gives it a network, for the weights of theirs.

        Raises:
            Exception: what the user's part has raised in this epoch.
        """
        if self._trouble is not None:
            raise self._trouble
        validated = self.network is not None
        if not validated and processes() > 1:
            self.network = copy()
        return validated, self.collector.share if self.probe is None else None

    def complete(
        self,
        shares: Sequence[Share | None],
        network: nn.Module,
        device: torch.device,
        *,
        labelled: bool,
    ) -> None:
        """Join the shares of all processes to the probe, once; `labelled` if labels are explained.

        Raises:
            DataError: where there are no inputs, or labels that are no classes must be explained.
        """
        if self.probe is not None:
            return
        probe = joined(shares).select(slice(self._left))
        if labelled and bool((probe.label < 0).any()):
            raise DataError(
                "target='label' explains classes, but some labels are none (of a regression, "
                "of several classes at once). Use target='predicted', or give classes by "
                "unpack=."
            )
        self.probe = probe._replace(image=as_floats(network, probe.image, device))
        self.collector.clear()

    def shrink(self, inputs: int) -> None:
        """Keep the first inputs alone from now on."""
        self.probe = self.whole.select(slice(inputs))

    def state(self) -> dict[str, Any]:
        """How many inputs were asked for, and how many are explained, for a checkpoint."""
        inputs = self._left if self.probe is None else self.size
        return {"probe": self.collector.count, "inputs": inputs}

    def resume(self, state: dict[str, Any]) -> None:
        """Go on with as many inputs as the run of that `state`, where it was asked for as many."""
        if state.get("probe") == self.collector.count:
            self._left = state["inputs"]


def copied(
    trainer: pl.Trainer,
    module: pl.LightningModule,
    forward: str | None,
    output: str | int | None,
) -> nn.Module:
    """A private copy of the part of `module` that maps images to logits."""
    with undisturbed(module.device):
        part = explained(module, forward, output)
        return as_attached(private_copy(part, shared=(trainer, *trainer.loggers)), trainer)
