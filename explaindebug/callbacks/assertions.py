"""Do assertions about the network hold? At every validation, with a verdict at the end of `fit`."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, Unpack, get_args

import numpy as np
import torch
from torch import nn

from explaindebug._lightning import pl
from explaindebug.audit.asserted import SEVERITY, SPREAD, TEST, Asserted, asserted, too_few
from explaindebug.audit.assertions import built
from explaindebug.audit.assertions.base import Case
from explaindebug.audit.assess import TRIAGE, check_rates, severities
from explaindebug.callbacks.base import AttributionCallback
from explaindebug.callbacks.networks import explained, from_checkpoint
from explaindebug.callbacks.options import Attributions, SharedOptions
from explaindebug.callbacks.sinks import Sinks
from explaindebug.core.errors import AssertionsViolated, ConfigError
from explaindebug.core.isolation import private_copy
from explaindebug.debugtests.base import roles
from explaindebug.debugtests.explain import Explain, Measured
from explaindebug.debugtests.panels import panels, shown
from explaindebug.debugtests.probe import Probe
from explaindebug.evaluation.roles import BUG, CONTROL
from explaindebug.evaluation.scores import Floats, Ints, Scores

Fail = Literal["never", "fit_end", "validation"]
Reference = nn.Module | str | Path
COLUMNS = ("name", "claim", "allowed", "n", "rate", "low", "high", "severity", "null", "control")


class Assertions(AttributionCallback):
    """The rate of inputs that violate each assertion, and how severely.

        Assertions([OnObject(0.5), OffRegion("corner", 0.1), "stable"], reference="old.ckpt")

    Logs `debug/assertions/<name>/rate`, its interval `.../low` and `.../high`, `.../severity` and,
    with a reference, `.../rate/control` and `.../severity/control`, the table `debug/assertions`,
    and heat maps of the inputs that violate most. The curves only describe: testing at every epoch
    would multiply false claims. The verdict is that of the last measurement, `asserted`, as in
    `assess`; `fit` prints it at its end.

    Args:
        assertions, method, rate, margin, spread: see `assess`.
        fail: when a violated assertion, or one that has regressed, ends the run with an error:
            `never`, at `fit_end`, or after the `validation` that found it.
        reference: an earlier network, or a checkpoint of the same architecture; or several.
        probe, pictures, options: see `AttributionCallback`; the worst inputs are drawn. For a rate
            of 5 %, 73 or more inputs can show that an assertion holds.

    Raises:
        ConfigError: for assertions or options that can't work.
        DataError: for a missing checkpoint, before anything is computed.
        AssertionsViolated: if `fail` says so, on all processes.
    """

    test = TEST

    def __init__(
        self,
        assertions: Sequence[Any] | Any = TRIAGE,
        *,
        method: Attributions = "intgrad",
        rate: float = 0.05,
        margin: float = 0.05,
        spread: float = SPREAD,
        fail: Fail = "never",
        reference: Reference | Sequence[Reference] | None = None,
        probe: int = 128,
        pictures: int = 4,
        **options: Unpack[SharedOptions],
    ) -> None:
        super().__init__(method, probe=probe, pictures=pictures, **options)
        if len(self.plan.methods) != 1:
            raise ConfigError(f"method must be one method, got {list(self.plan.methods)}.")
        check_rates(rate, margin, 0.05, spread)
        if fail not in get_args(Fail):
            raise ConfigError(f"fail must be one of {', '.join(get_args(Fail))}, got {fail!r}.")
        self.assertions = built(assertions)
        self.rate, self.margin, self.spread, self.fail = rate, margin, spread, fail
        self.reference = _listed(reference)

    @property
    def state_key(self) -> str:
        """Distinguishes callbacks of the same type in a checkpoint."""
        return f"{super().state_key}/{'+'.join(self.assertions)}"

    @property
    def asserted(self) -> Asserted:
        """What the last measurement says of every assertion."""
        how: dict[str, Any] = {"rate": self.rate, "margin": self.margin, "spread": self.spread}
        return asserted(self.assertions, self.scores, seed=self.seed, **how)

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Refuse an unusable checkpoint now, rather than after an epoch."""
        super().setup(trainer, pl_module, stage)
        for path in self.reference:
            if not isinstance(path, nn.Module):
                from_checkpoint(path, explained(pl_module, self.forward, self.output))

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Warn if nothing will be measured, or too little for a verdict."""
        super().on_fit_start(trainer, pl_module)
        if problem := too_few(self.rate, self._intake.collector.count, 0.05):
            self._reports.warn(f"Assertions: {problem}")

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Print the verdict, and raise if that was asked for."""
        if not len(self.scores):
            return
        found = self.asserted
        for one in found.outcomes:
            if one.note:
                self._reports.warn(f"{one.name}: {one.note}")
        pl_module.print(str(found))
        if self.fail == "fit_end":
            _raise(found)

    def measure(self, network: nn.Module, probe: Probe, explain: Explain) -> Iterator[Measured]:
        """Severities of this network, its worst maps, and severities of the references."""
        case = self._case(network, probe, explain)
        found, _ = severities(self.assertions, case, BUG, strict=self.strict)
        yield found
        (method,) = self.plan.methods
        worst = _worst(found.scores)[: self.pictures].tolist()
        maps = {method: case.maps}
        yield shown("worst", panels(probe, probe.image, maps, worst, self.picture))
        # A generator: one copy is alive at a time.
        older = (_before(one, network).to(probe.image.device) for one in self.reference)
        for role, reference in roles(CONTROL, older):
            before = self._case(reference, probe, explain)
            yield severities(self.assertions, before, role, strict=self.strict)[0]

    def log_more(self, trainer: pl.Trainer, sinks: Sinks) -> None:
        """One table of all assertions, with their thresholds."""
        if self.log_scores:
            found = self.asserted.outcomes
            rows = [[getattr(one, column) for column in COLUMNS] for one in found]
            sinks.table(self.key(self.test), COLUMNS, rows)

    def _case(self, network: nn.Module, probe: Probe, explain: Explain) -> Case:
        return Case.of(network, probe, explain, target=self.target, seed=self.seed)

    def _kept(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, whole: Measured, seconds: float
    ) -> Measured:
        kept = super()._kept(trainer, pl_module, whole, seconds)
        where: dict[str, Any] = {} if self.log_scores else {"logger": False}
        for one in self.asserted.outcomes:
            if one.n:
                for end in ("low", "high"):
                    key = self.key(self.test, one.name, end)
                    pl_module.log(key, getattr(one, end), batch_size=1, **where)
        return kept

    def _drawn(self) -> Probe:
        """The inputs that violate most."""
        whole = self._intake.whole
        places = {row: i for i, row in enumerate(whole.row.tolist())}
        worst = [places[row] for row in _worst(self.scores)[: self.pictures].tolist()]
        return whole.select(torch.tensor(worst, dtype=torch.int64))

    def _draw(self, whole: Measured, trainer: pl.Trainer) -> None:
        super()._draw(whole, trainer)
        if self.fail == "validation":  # every process has the same scores, and raises
            _raise(self.asserted)


def _listed(reference: Any) -> list[Reference]:
    """One or several references, checked."""
    several = isinstance(reference, Sequence) and not isinstance(reference, str)
    found = list(reference) if several else [] if reference is None else [reference]
    for one in found:
        if not isinstance(one, Reference) or not str(one):
            raise ConfigError(
                f"reference must be a network or the path of a checkpoint, or a list of them, got "
                f"{one!r}."
            )
    return found


def _before(reference: Reference, network: nn.Module) -> nn.Module:
    if isinstance(reference, nn.Module):
        return private_copy(reference)
    return from_checkpoint(reference, network)


def _worst(scores: Scores) -> Ints:
    """Rows of the inputs that violate an assertion, those that violate most of them first.

    Severities of different assertions have different units, so they only decide ties.
    """
    count, total = dict[int, int](), dict[int, float]()
    for key, (rows, values) in scores:
        if key.role == BUG and key.similarity == SEVERITY:
            known: Floats = np.nan_to_num(values)
            for row, value in zip(rows.tolist(), known.tolist(), strict=True):
                count[row] = count.get(row, 0) + (value > 0)
                total[row] = total.get(row, 0.0) + value
    order = sorted((row for row in count if count[row]), key=lambda r: (-count[r], -total[r], r))
    return np.asarray(order, np.int64)


def _raise(found: Asserted) -> None:
    if found.verdict == "violated":
        bad = [one for one in found.outcomes if one.verdict == "violated" or one.regressed]
        raise AssertionsViolated(" ".join(f"{one.name}: {one.reason}" for one in bad))
