"""Callbacks that compare maps: each test says which, all that comes after is here."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from explaindebug.callbacks.base import AttributionCallback
from explaindebug.callbacks.loggers import Sinks
from explaindebug.callbacks.measuring import Maps, Measured
from explaindebug.callbacks.probe import Probe
from explaindebug.comparisons import Comparison, Reference
from explaindebug.unscored import Unscored
from explaindebug.nulls import null
from explaindebug.postprocessing import ROBUST, PostProcessing
from explaindebug.roles import BUG, CONTROL, Role
from explaindebug.scores import Key, Scores
from explaindebug.watching import private_copy

SHOWN = {BUG: "with the bug", CONTROL: "control (no bug)"}  # arms whose maps are drawn
# Method -> what its maps are compared with. A reference keeps what similarities make of it, several
# times its maps: one that is asked for once is best made then, and forgotten.
References = Callable[[str], Reference]


class ComparingCallback(AttributionCallback):
    """An `AttributionCallback` whose maps are compared with references, method by method.

    Beside the scores of the network itself (role "bug") stand those of the matched nulls, and,
    where a network without the bug is given, those of the no-bug control.

    Args:
        attributions: see `AttributionCallback`, as all other arguments.
        similarities: how alike maps are: names, `{name: options}` or objects.
        postprocessing: from raw maps to those that are compared.
        nulls: unrelated maps that go the same way: what a similarity is worth without any relation.
    """

    def __init__(
        self,
        attributions: Sequence[Any] | str = ("grad", "inputgrad", "gbp"),
        *,
        similarities: Sequence[Any] = ("ssim", "spearman"),
        postprocessing: PostProcessing = ROBUST,
        nulls: Sequence[str] = ("gaussian",),
        **options: Any,
    ) -> None:
        super().__init__(attributions, **options)
        self.comparison = Comparison(similarities, postprocessing, nulls, self.seed)

    @property
    def neighbours(self) -> bool:
        """The null "other" pairs an input with that of the next row."""
        return any(null(name).of_neighbour for name in self.comparison.nulls)

    def compare(
        self,
        condition: str,
        role: str,
        references: References,
        candidates: Maps,
        probe: Probe,
        *,
        comparison: Comparison | None = None,
    ) -> Measured:
        """The scores of every method's candidate maps against its reference."""
        scores, missing = Scores(), list[Unscored]()
        rows = probe.row.cpu().numpy().astype(np.int64)
        for method, raw in candidates.items():
            key = Key(self.test, method, condition, role, "")
            how = comparison or self.comparison
            missing += how.score(scores, key, references(method), raw, rows, probe.image)
        return Measured(scores, missing)

    def log_more(self, trainer: Any, sinks: Sinks) -> None:
        """The scores as one tidy table."""
        if not self.log_scores:
            return
        columns = ["test", "method", "condition", "role", "similarity", "n", "mean", "sem"]
        rows: list[list[Any]] = []
        for key, column in self.scores:
            valid = column.values[~np.isnan(column.values)]
            n = len(valid)
            mean = float(valid.mean()) if n else float("nan")
            sem = float(valid.std(ddof=1) / n**0.5) if n > 1 else float("nan")
            condition_and_so_on = [key.test, key.method, key.condition, key.role, key.similarity]
            rows.append([*condition_and_so_on, n, mean, sem])
        sinks.table(self.key(self.test, "scores"), columns, rows)


def references(maps: Maps) -> References:
    """Every method's maps as what several others are compared with."""
    return {method: Reference.of_maps(raw) for method, raw in maps.items()}.__getitem__


Others = nn.Module | Sequence[nn.Module] | None  # one or more networks beside the explained one


def arms(arm: str, others: Others, device: torch.device) -> Iterator[tuple[str, nn.Module]]:
    """Roles and private copies of an arm's networks: `control`, then `control: 2` and so on.

    Several networks in one arm tell how much networks differ that differ in their seeds alone.
    """
    found = [others] if isinstance(others, nn.Module) else list(others or ())
    for i, network in enumerate(found):
        yield str(Role(arm, i + 1)), private_copy(network).to(device)
