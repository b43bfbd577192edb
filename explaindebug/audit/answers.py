"""What every version of a network answers, input by input, and what its maps have to do with it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from explaindebug.attributions._engine.inputs import predictions
from explaindebug.debugtests.base import Arms
from explaindebug.debugtests.check import OBJECT
from explaindebug.debugtests.probe import Probe
from explaindebug.debugtests.reliance import probabilities
from explaindebug.debugtests.versions import HEADLINE, NEW, OLD, ON_OBJECT
from explaindebug.evaluation.roles import BUG, CONTROL
from explaindebug.evaluation.scores import Scores
from explaindebug.evaluation.version_changes import Compared, mean


@dataclass(frozen=True, eq=False)
class Answers:
    """Predicted classes (n,) of all networks, and probabilities (n,) of the old version's class."""

    old: Tensor
    new: Tensor
    seeds: Sequence[Tensor]
    sure_old: Tensor
    sure_new: Tensor

    @classmethod
    def of(cls, arms: Arms, probe: Probe, chunk: int) -> "Answers":
        assert arms.reference is not None

        def answers(network: nn.Module) -> Tensor:
            return predictions(network, probe.image, chunk)

        old = answers(arms.reference)
        sure = (probabilities(n, probe.image, old, chunk) for n in (arms.reference, arms.bug[0]))
        return cls(old, answers(arms.bug[0]), [answers(n) for n in arms.control], *sure)

    @property
    def kept(self) -> Tensor:
        """Bool (n,): where the new version gives the old one's answer."""
        return self.new == self.old

    @property
    def counted(self) -> Tensor:
        """Bool (n,): where all networks give it."""
        same = self.kept
        for seed in self.seeds:
            same = same & (seed == self.old)
        return same

    def accuracies(self, labels: Tensor | None) -> list[tuple[str, str, float]]:
        """Each network's accuracy; nothing without labels."""
        if labels is None:
            return []
        named = {OLD: self.old, NEW: self.new}
        named |= {f"retrained seed {k + 1}": seed for k, seed in enumerate(self.seeds)}
        truth = labels.to(self.old)
        return [(n, "these inputs", float((x == truth).float().mean())) for n, x in named.items()]

    def inputs(self, names: Sequence[str], scores: Scores) -> list[Compared]:
        """All inputs, with the numbers of those whose maps were compared."""
        asked, on = (HEADLINE.condition, HEADLINE.similarity), OBJECT.similarity
        alike = _by_row(scores, *asked, BUG)
        control = _by_row(scores, *asked, CONTROL)
        objects = [_by_row(scores, ON_OBJECT[version], on, BUG) for version in (OLD, NEW)]
        counted = self.counted.tolist()
        columns = (self.old, self.new, self.sure_old, self.sure_new)
        lines = zip(names, *(x.tolist() for x in columns), counted, strict=True)
        return [
            Compared(
                row,
                name,
                old_class=old,
                new_class=new,
                old=sure_old,
                new=sure_new,
                counted=count and row in alike,
                similarity=alike.get(row, {}),
                control=control.get(row, {}),
                object_old=objects[0].get(row, {}),
                object_new=objects[1].get(row, {}),
            )
            for row, (name, old, new, sure_old, sure_new, count) in enumerate(lines)
        ]


def _by_row(
    scores: Scores, condition: str, similarity: str, arm: str
) -> Mapping[int, dict[str, float]]:
    """Row -> method -> score, the mean over an arm's networks."""
    found: dict[int, dict[str, list[float]]] = {}
    for key, (rows, values) in scores.select(condition=condition, similarity=similarity):
        if key.arm == arm:
            for row, value in zip(rows.tolist(), values.tolist(), strict=True):
                found.setdefault(row, {}).setdefault(key.method, []).append(value)
    return {row: {m: mean(values) for m, values in of.items()} for row, of in found.items()}


def captions(inputs: Iterable[Compared], classes: Sequence[str] | None) -> tuple[str, ...]:
    """`a/1.png, dog 0.93, now 0.91`, the probability of the class under both versions."""
    known = dict(enumerate(classes or ()))
    return tuple(
        f"{one.name}, {known.get(one.old_class, f'class {one.old_class}')} "
        f"{one.old:.2f}, now {one.new:.2f}"
        for one in inputs
    )
