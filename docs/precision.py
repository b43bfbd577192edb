"""How far maps of random draws are from their limit: the table of docs/methods.md, in minutes.

`python docs/precision.py` trains the paper's network on drawn pictures of 32 px and explains eight
others. An entry is the median over pictures and seeds of |map - limit| / |limit|, and Spearman's
correlation of the two after the default post-processing, which is what tests compare. The limit is
a long run of another seed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn

from explaindebug.attributions import ATTRIBUTIONS, Plan
from explaindebug.core.isolation import watch
from explaindebug.datamodules import Embedded
from explaindebug.evaluation.postprocessing import ROBUST
from explaindebug.evaluation.similarities import SIMILARITIES
from explaindebug.models import BVDCNN

SEEDS = (1, 2)  # the limit has 0


class Group(NamedTuple):
    """Methods that are looked at with the same numbers of draws, and that of the limit."""

    methods: tuple[str, ...]
    option: str
    counts: tuple[int, ...]
    limit: int


GROUPS = (
    Group(("sgrad", "sgradsq", "vgrad", "egrad"), "samples", (10, 25, 50, 100, 200, 500), 2000),
    Group(("lime", "kernelshap"), "samples", (250, 500, 1000, 2000), 8000),
    Group(("intgrad",), "steps", (5, 10, 20, 50), 1000),
)


@dataclass
class Bench:
    """A network, pictures to explain, and pictures as in training."""

    model: nn.Module
    images: Tensor
    references: Tensor

    @classmethod
    def trained(cls) -> Self:
        """The paper's network, after five epochs, and pictures that it has not seen."""
        train, _, test = Embedded(size=32, train=2000, val=20, test=40).clean
        every = train.batch(slice(None))
        torch.manual_seed(0)
        model = BVDCNN(1, 32)
        _train(model, every.image, every.label)
        return cls(model.eval(), test.batch(slice(0, 8)).image, every.image[:128])

    def maps(self, group: Group, count: int, seed: int) -> dict[str, Tensor]:
        """Maps (n, c, h, w) of each method of a group."""
        options = {group.option: count} | ({"seed": seed} if group.option == "samples" else {})
        with watch(self.model) as private:
            plan = Plan([{method: options} for method in group.methods])
            return plan.prepare(private, self.references)(private, self.images)

    def table(self, group: Group) -> Iterator[str]:
        """The lines of a group's table."""
        yield f"| `{group.option}` | {' | '.join(map(str, group.counts))} |"
        yield f"|---|{'---|' * len(group.counts)}"
        limit = self.maps(group, group.limit, 0)
        seeds = SEEDS if group.option == "samples" else (0,)
        runs = [[self.maps(group, count, seed) for seed in seeds] for count in group.counts]
        for method in group.methods:
            entries = [_entry([maps[method] for maps in some], limit[method]) for some in runs]
            yield f"| {ATTRIBUTIONS[method].label} | {' | '.join(entries)} |"


def _train(model: nn.Module, images: Tensor, labels: Tensor) -> None:
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    for _ in range(5):
        for rows in torch.split(torch.randperm(len(images)), 32):
            logits = model(images[rows]).flatten()
            loss = nn.functional.binary_cross_entropy_with_logits(logits, labels[rows].float())
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()


def _entry(runs: list[Tensor], exact: Tensor) -> str:
    lengths = exact.flatten(1).norm(dim=1)
    errors = [((run - exact).flatten(1).norm(dim=1) / lengths).tolist() for run in runs]
    spearman = SIMILARITIES.build("spearman")
    ranks = [spearman(ROBUST(run), ROBUST(exact)).tolist() for run in runs]
    error, rank = (median(x for values in v for x in values) for v in (errors, ranks))
    return f"{error:.2f}, {rank:.2f}"


if __name__ == "__main__":
    bench = Bench.trained()
    for group in GROUPS:
        print("", *bench.table(group), sep="\n")
