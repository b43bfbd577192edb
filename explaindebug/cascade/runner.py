"""The cascade measured: similarity, complexity and drift at every stage, with their controls."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from explaindebug.attributions._engine.jobs import Maps, Progress
from explaindebug.attributions._engine.plan import Plan
from explaindebug.attributions._engine.targets import predicted
from explaindebug.cascade.config import Cascade, Prepared
from explaindebug.cascade.states import TRAINED
from explaindebug.cascade.walk import Step
from explaindebug.core.parallel import cores, side_by_side
from explaindebug.core.validation import number, whole
from explaindebug.evaluation.comparison import Comparison, Reference
from explaindebug.evaluation.map_complexity import entropy, rise
from explaindebug.evaluation.nulls import NULLS, blocks
from explaindebug.evaluation.output_drift import drift
from explaindebug.evaluation.roles import BUG, CONTROL, Role
from explaindebug.evaluation.scores import Key, Scores
from explaindebug.evaluation.unscored import Unscored, restricted

MEMORY = 2**31  # bytes that maps of all states may take at a time
NONE = "none"  # the condition under which nothing is re-initialised
TWIN = "twin"  # the condition of a network that was trained with another seed
Rows = npt.NDArray[np.int64]


class Tables(NamedTuple):
    """The tests under which a cascade's scores stand in one table of scores."""

    similarity: str  # the cascade's own name: "reinit"
    complexity: str
    drift: str

    @classmethod
    def of(cls, test: str) -> "Tables":
        """Those of a cascade that is called `test`."""
        return cls(test, f"{test}_complexity", f"{test}_drift")


@dataclass
class Part:
    """Some of what was measured: scores, and maps (n, c, h, w) of some rows to be shown.

    Beside the similarities, whose test is the cascade's own, stand scores of two more tests: that
    name with `_complexity` (similarity `entropy`, the rise in complexity) and with `_drift` (method
    `logits`, and as similarities what `drift` gives).
    """

    scores: Scores = field(default_factory=Scores)
    missing: list[Unscored] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)  # what stays as trained
    stages: tuple[str, ...] = ()  # names of all stages, in order; in the first part alone
    shown: tuple[str, Maps] | None = None  # stage or "trained", and its maps
    places: Rows = field(default_factory=lambda: np.empty(0, np.int64))  # of which images they are


@dataclass(frozen=True, eq=False)
class Measurement:
    """Called with images (n, c, h, w) and their rows (n,), yields what is measured, in parts.

    The control is the trained network itself, on inputs with a little Gaussian noise (`noise`, the
    standard deviation as a fraction of each input's range): it says how alike maps are where
    nothing was lost. Twins, the same network trained with other seeds, are shown beside it: private
    ones, like the model, on its device.
    """

    how: Cascade
    plan: Plan  # not yet made ready
    comparison: Comparison
    noise: float = 0.01
    bins: int = 100  # of the histogram whose entropy is a map's complexity
    references: Tensor | None = None
    test: str = "reinit"
    chunk: int = 32
    workers: int | None = None
    progress: Progress | None = None

    def __post_init__(self) -> None:
        check_options(self.noise, self.bins)

    def __call__(
        self,
        model: nn.Module,
        images: Tensor,
        rows: Rows,
        targets: Tensor | None = None,
        twins: Iterable[nn.Module] = (),
    ) -> Iterator[Part]:
        """Without `targets` (n,) the class is explained that the trained network predicts."""
        own = self._ready(self.how, model, images)
        yield Part(warnings=own.notes, stages=own.stages)
        none = Cascade(most=0, smoothing=self.how.smoothing, retake=self.how.retake)
        others = [self._ready(none, twin, images) for twin in twins]
        parts = self._parts(images, rows, len(own.walk.states))
        tell = _Told(self.progress, sum(len(mine) + len(more) for mine, more in parts))
        for mine, more in parts:
            taken = np.r_[mine, more]
            block = _Block(self, own, images[taken], rows[taken], tell)
            for part in block(None if targets is None else targets[taken], others):
                yield _of(part, rows, mine)

    def _ready(self, how: Cascade, model: nn.Module, images: Tensor) -> Prepared:
        return how(
            model,
            self.plan,
            images[:1],
            references=self.references,
            chunk=self.chunk,
            workers=self.workers,
        )

    def _parts(self, images: Tensor, rows: Rows, states: int) -> list[tuple[Rows, Rows]]:
        """Places of so many images at a time as all of whose maps can be kept.

        With each those that are explained for the sake of a null that looks at the next input.
        """
        each = 4 * images[:1].numel() * len(self.plan.methods) * states
        most = max(1, MEMORY // max(1, each))
        parts = blocks(rows, -(-len(images) // most))
        if any(NULLS[name].of_neighbour for name in self.comparison.nulls):
            return parts
        return [(mine, mine[:0]) for mine, _ in parts]


def check_options(noise: float, bins: int) -> None:
    """Raises ConfigError for noise or bins of a `Measurement` that can't be."""
    number("noise", noise, above=0, most=1, hint="It is a share of each input's range.")
    whole("bins", bins, least=2)


def _of(part: Part, rows: Rows, mine: Rows) -> Part:
    """Of a part only what was found of some of its images, the first ones."""
    part.scores, part.places = part.scores.of(rows[mine]), mine
    part.missing = restricted(part.missing, rows[mine].tolist())
    if part.shown is not None:
        name, maps = part.shown
        part.shown = name, {method: raw[: len(mine)] for method, raw in maps.items()}
    return part


class _Block:
    """Some images, and what the trained network says of them: all else is compared with that."""

    def __init__(
        self,
        measurement: Measurement,
        own: Prepared,
        images: Tensor,
        rows: Rows,
        tell: "_Told",
    ) -> None:
        self.m, self.own, self.tell = measurement, own, tell
        self.images, self.rows = images, rows

    def __call__(self, targets: Tensor | None, twins: Iterable[Prepared]) -> Iterator[Part]:
        n, walk, still = len(self.images), self.own.walk, self.own.still
        self.trained, *steps = walk(self.images, targets, self.tell(n * len(walk.states)))
        yield Part(shown=(TRAINED.stage, self.trained.maps))
        if targets is None:
            targets = predicted(self.trained.logits)
        targets = targets.to(self.images.device)
        calm = still(self._noisy(), targets, self.tell(n))
        yield self._everywhere(CONTROL, calm)
        if not steps:
            again = still(self._noisy(draw=1), targets, self.tell(n))
            yield self._compared(NONE, BUG, again[0])
        for i, twin in enumerate(twins):
            (step,) = twin.still(self.images, targets, self.tell(n))
            yield self._compared(TWIN, str(Role(CONTROL, i + 1)), step)
        calls = [partial(self._stage, step) for step in steps]
        yield from side_by_side(calls, self._scorers)

    def _stage(self, step: Step) -> Part:
        stage, draw = step.state.stage, step.state.draw
        part = self._compared(stage, str(Role(BUG, draw + 1)), step)
        if draw == 0:
            part.shown = stage, step.maps
        return part

    @property
    def _scorers(self) -> int:
        """Stages that are scored at a time."""
        if self.images.device.type != "cpu":
            return 1
        return self.m.workers or cores()

    def _compared(self, condition: str, role: str, step: Step) -> Part:
        """Scores of one step against the trained network."""
        part, tables = Part(), Tables.of(self.m.test)
        for method, raw in step.maps.items():
            key = Key(self.m.test, method, condition, role)
            part.missing += self.m.comparison.score(
                part.scores, key, self._references[method], raw, self.rows, self.images
            )
            rises = rise(self._entropies[method], entropy(raw, self.m.bins))
            key = key._replace(test=tables.complexity, similarity="entropy")
            part.scores.add(key, self.rows, rises.cpu().numpy())
        for name, values in drift(self.trained.logits, step.logits).items():
            key = Key(tables.drift, "logits", condition, role, name)
            part.scores.add(key, self.rows, values.cpu().numpy())
        return part

    def _everywhere(self, role: str, steps: list[Step]) -> Part:
        """Scores of one step under every stage's name: what the stages are compared with."""
        once = self._compared("", role, steps[0])
        part = Part(missing=once.missing)
        for condition in self.own.stages or (NONE,):
            for key, column in once.scores:
                part.scores.add(key._replace(condition=condition), *column)
        return part

    @cached_property
    def _references(self) -> Mapping[str, Reference]:
        return {method: Reference.of_maps(raw) for method, raw in self.trained.maps.items()}

    @cached_property
    def _entropies(self) -> Mapping[str, Tensor]:
        return {method: entropy(raw, self.m.bins) for method, raw in self.trained.maps.items()}

    def _noisy(self, draw: int = 0) -> Tensor:
        """The images under noise that depends on (seed, draw, row) alone."""
        images = self.images.clone()
        for image, row in zip(images, self.rows.tolist(), strict=True):
            generator = torch.Generator().manual_seed(_mixed(self.m.how.seed, draw, row))
            noise = torch.randn(image.shape, generator=generator).to(image)
            image += self.m.noise * (image.amax() - image.amin()) * noise
        return images


class _Told:
    """Progress over many walks as if each state of all images were one of them."""

    def __init__(self, progress: Progress | None, images: int) -> None:
        self._progress, self._images = progress, images
        self._done = 0.0  # in states of all images
        self._said = 0

    def __call__(self, work: int) -> Progress | None:
        """For a walk of so many images times states."""
        if self._progress is None:
            return None
        start, self._done = self._done, self._done + work / self._images
        whole = self._done - start
        return lambda names, done, total: self._tell(names, start + whole * done / total)

    def _tell(self, names: tuple[str, ...], now: float) -> None:
        assert self._progress is not None
        while now >= self._said + 1 - 1e-9:
            self._said += 1
            self._progress(names, 1.0, 1.0)
        if now > self._said:
            self._progress(names, now - self._said, 1.0)


def _mixed(*key: int) -> int:
    return int(np.random.SeedSequence(key).generate_state(1)[0])
