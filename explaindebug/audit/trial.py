"""Interventions on a candidate's region, beside as much elsewhere in the same pictures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from explaindebug.attributions._engine.inputs import predictions
from explaindebug.audit.candidates.base import Candidate, Floats, Ints
from explaindebug.bugs.interventions import elsewhere, removed
from explaindebug.debugtests.reliance import DROP, HEADLINE, probabilities
from explaindebug.evaluation.heatmaps import Maps, display, to_bytes
from explaindebug.evaluation.results import Gallery, Headline, Layout, TestResult
from explaindebug.evaluation.roles import BUG, CONTROL
from explaindebug.evaluation.scores import Key, Scores

SWAP = "swap"
TWIN = Headline(
    "more than the twin",
    DROP,
    "up",
    "Does the class lose more of its probability than the twin's?",
    "Twin",
    arms=("more than elsewhere", "of the twin"),
)
LAYOUT = Layout("Fill by fill", "Probability that the predicted class loses", rows_are="fill")
ARMS = {"changed in the region": BUG, "changed elsewhere": CONTROL}


@dataclass(frozen=True, eq=False)
class Trial:
    """How candidates are intervened on.

    A swap puts in the same pixels of an input of another predicted class: those of the same class
    may carry the same shortcut.
    """

    network: nn.Module
    images: Tensor  # (n, c, h, w)
    predicted: Ints  # (n,)
    fills: Sequence[str]
    twin: nn.Module | None = None
    picture: Callable[[Tensor], Tensor] | None = None
    pictures: int = 4
    captions: Sequence[str] = ()
    chunk: int = 32
    seed: int = 0

    def __call__(self, candidate: Candidate, donors: Ints) -> list[TestResult]:
        """A candidate's test, and with a twin its test against that; `donors` may be swapped in."""
        rows = torch.from_numpy(candidate.rows).to(self.images.device)
        places = candidate.regions, elsewhere(candidate.regions, self.seed)
        changed = {
            fill: [self._removed(candidate.rows, where, fill, donors) for where in places]
            for fill in self.fills
        }
        lost = self._lost(self.network, rows, changed)
        scores, against = Scores(), Scores()
        for fill, (here, there) in lost.items():
            key = Key(candidate.name, fill, HEADLINE.condition, BUG, DROP)
            scores.add(key, candidate.rows, here)
            scores.add(key._replace(role=CONTROL), candidate.rows, there)
        question = "Does the predicted class lose its probability without the region?"
        headline = Headline(**{**vars(HEADLINE), "question": question})
        names = {fill: f"Region filled by {fill}" for fill in self.fills}
        own = TestResult(
            candidate.name,
            candidate.title,
            headline,
            scores,
            galleries=self._gallery(candidate, changed),
            rows=names,
            layout=LAYOUT,
            same_network=True,
        )
        if self.twin is None:
            return [own]
        beside = self._lost(self.twin, rows, changed)
        for fill in self.fills:
            key = Key(candidate.name, fill, TWIN.condition, BUG, DROP)
            for role, (here, there) in ((BUG, lost[fill]), (CONTROL, beside[fill])):
                against.add(key._replace(role=role), candidate.rows, here - there)
        return [own, TestResult(candidate.name, candidate.title, TWIN, against, rows=names)]

    def _removed(self, rows: Ints, regions: Tensor, fill: str, donors: Ints) -> Tensor:
        images = self.images[torch.from_numpy(rows).to(self.images.device)]
        if fill != SWAP:
            return removed(images, regions, fill)
        chosen = torch.from_numpy(self._donors(rows, donors)).to(images.device)
        return torch.where(regions, self.images[chosen], images)

    def _donors(self, rows: Ints, donors: Ints) -> Ints:
        """For each input another one, of another predicted class where there is one."""
        rng = np.random.default_rng((self.seed, len(donors)))
        chosen = []
        for row in rows.tolist():
            different = donors[self.predicted[donors] != self.predicted[row]]
            pool = different if len(different) else donors[donors != row]
            chosen.append(int(rng.choice(pool)) if len(pool) else row)
        return np.asarray(chosen, np.int64)

    def _lost(
        self, network: nn.Module, rows: Tensor, changed: dict[str, list[Tensor]]
    ) -> dict[str, list[Floats]]:
        """Fill -> probability (m,) of the network's own class that is lost, in each place."""
        images = self.images[rows]
        targets = predictions(network, images, self.chunk)
        before = probabilities(network, images, targets, self.chunk)

        def lost(after: Tensor) -> Floats:
            drop = before - probabilities(network, after, targets, self.chunk)
            return np.asarray(drop.double().cpu(), np.float64)

        return {fill: [lost(after) for after in pair] for fill, pair in changed.items()}

    def _gallery(self, candidate: Candidate, changed: dict[str, list[Tensor]]) -> list[Gallery]:
        """What was changed in the first inputs, in the region and elsewhere."""
        k = min(self.pictures, len(candidate.rows))
        if not k or self.picture is None:
            return []
        rows = candidate.rows[:k].tolist()
        images = self.images[rows]

        def shown(place: int) -> dict[str, Maps]:
            pairs = changed.items()
            return {
                f: display((p[place][:k] - images).abs().sum(1, keepdim=True)) for f, p in pairs
            }

        inputs = np.stack([to_bytes(self.picture(image)) for image in images])
        captions = tuple(self.captions[row] for row in rows)
        maps = {name: shown(place) for place, name in enumerate(ARMS)}
        return [Gallery(inputs, captions, maps, dict(ARMS))]
