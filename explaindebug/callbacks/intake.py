"""Collect the inputs to explain, and a copy of the network, during an epoch."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from explaindebug._lightning import pl
from explaindebug.attributions.output_of import Output
from explaindebug.callbacks.networks import as_attached, as_floats, explained
from explaindebug.callbacks.probe import Collector, Share, Unpack, joined, length
from explaindebug.callbacks.ranks import processes
from explaindebug.core.errors import DataError
from explaindebug.core.isolation import private_copy, undisturbed
from explaindebug.debugtests.probe import Probe


class Intake:
    """The probe, collected once, and a copy of the network, made for each measurement.

    `unpack`, batches and the module are the user's, so their errors must not interrupt training.
    They are kept, and reported at the end of the epoch by all processes together.
    """

    def __init__(self, count: int, unpack: Unpack) -> None:
        self.collector = Collector(count, unpack)
        self.probe: Probe | None = None  # of all processes, once it is complete
        self.network: nn.Module | None = None  # with the weights that are validated
        self._left: int | None = None  # number of inputs of the run that is resumed
        self._trouble: Exception | None = None  # from a batch, or from copying the network

    @property
    def whole(self) -> Probe:
        """The complete probe of all processes."""
        assert self.probe is not None
        return self.probe

    @property
    def size(self) -> int:
        """Number of inputs to explain; 0 until they are known."""
        return 0 if self.probe is None else len(self.probe.row)

    @property
    def resumed(self) -> bool:
        """Whether the number of inputs comes from the run that is resumed."""
        return self._left is not None

    def begin(self) -> None:
        """Prepare for an epoch, discarding what an interrupted one has left."""
        self.forget()
        if self.probe is None:
            self.collector.clear()

    def forget(self) -> None:
        """Discard the network; keep the probe."""
        self.network = self._trouble = None

    def take(
        self,
        trainer: pl.Trainer,
        module: pl.LightningModule,
        forward: str | None,
        output: Output | None,
    ) -> None:
        """Copy the part of the module that `forward` and `output` name, once per epoch."""

        def work() -> None:
            self.network = self.network or copied(trainer, module, forward, output)

        self._try(work)

    def add(self, trainer: pl.Trainer, batch: Any) -> None:
        """Add the inputs of a batch that belong to the probe."""

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
        """Whether this process has validated anything, and its share of an incomplete probe.

        If it has not, but other processes may have, `copy` makes a network for their weights.

        Raises:
            Exception: what the user's code has raised in this epoch.
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
        """Join the shares of all processes into the probe, once; `labelled` if labels are targets.

        Raises:
            DataError: if there are no inputs, or a label to explain is not a class.
        """
        if self.probe is not None:
            return
        probe = joined(shares).select(slice(self._left))
        if labelled and bool((probe.label < 0).any()):
            raise DataError(
                "target='label' needs classes, but some labels are not a single class (regression "
                "or multi-label data). Use target='predicted', or return classes from unpack=."
            )
        self.probe = probe._replace(image=as_floats(network, probe.image, device))
        self.collector.clear()

    def shrink(self, inputs: int) -> None:
        """Keep only the first inputs from now on."""
        self.probe = self.whole.select(slice(inputs))

    def state(self) -> dict[str, Any]:
        """The numbers of inputs requested and explained, for a checkpoint."""
        inputs = self._left if self.probe is None else self.size
        return {"probe": self.collector.count, "inputs": inputs}

    def resume(self, state: dict[str, Any]) -> None:
        """Use as many inputs as the run of that `state`, if as many were requested there."""
        if state.get("probe") == self.collector.count:
            self._left = state["inputs"]


def copied(
    trainer: pl.Trainer,
    module: pl.LightningModule,
    forward: str | None,
    output: Output | None,
) -> nn.Module:
    """A private copy of the part of `module` that maps images to logits."""
    with undisturbed(module.device):
        part = explained(module, forward, output)
        return as_attached(private_copy(part, shared=(trainer, *trainer.loggers)), trainer)
