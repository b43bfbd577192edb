"""Maps and logits of a network in every state of a cascade."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from explaindebug.attributions._autograd.backward import Backward
from explaindebug.attributions._engine.batching import division
from explaindebug.attributions._engine.inputs import checked_targets
from explaindebug.attributions._engine.jobs import Job, Maps, Progress, jobs_of
from explaindebug.attributions._engine.plan import Plan, Ready
from explaindebug.attributions._engine.targets import predicted
from explaindebug.cascade.states import LOGITS, InAllStates, Logits, Smoothing, State, Work
from explaindebug.core.parallel import intra_op_threads, run_jobs

ROOM = 2**29  # bytes of activations that states may share, per chunk of images


class Step(NamedTuple):
    """Maps and logits of some images in one state."""

    state: State
    maps: Maps  # method -> raw maps (n, c, h, w)
    logits: Tensor  # (n, k), of the images without noise


@dataclass(frozen=True, eq=False)
class Walk:
    """Called with images, computes their maps and logits in every state of a network.

    A chunk of images goes through all states before the next one, so that activations that a state
    shares with the first one can be reused (see `Replay`). The model is private, see `watch`; there
    is one plan of prepared methods per state.
    """

    model: nn.Module
    states: Sequence[State]
    plans: Sequence[Plan]
    smoothing: Smoothing | None = None
    retake: bool = False  # explain the class that each state predicts, not the first state's
    chunk: int = 32
    workers: int | None = None
    room: int = ROOM  # 0: nothing is reused

    @torch.enable_grad()
    def __call__(
        self, images: Tensor, targets: Tensor | None = None, progress: Progress | None = None
    ) -> list[Step]:
        """One step per state, on the images' device.

        Without targets (n,), the class that the network predicts in its first state is explained.
        """
        run = _Run(self, self.plans[0].ready(self.model, images, self.chunk))
        if self.retake or not self._shows_logits:
            run.logits()
        lists = [run.works(*pair) for pair in zip(self.plans, run.classes(targets), strict=True)]
        run.do(list(zip(*lists, strict=True)), progress)
        steps = []
        for state, found in zip(self.states, run.found, strict=True):
            logits = found.pop(LOGITS)
            maps = {method: raw.to(images.device) for method, raw in found.items()}
            steps.append(Step(state, maps, logits))
        return steps

    @property
    def _shows_logits(self) -> bool:
        """Whether some method passes the unmodified images, so logits need no extra pass."""
        methods = self.plans[0].methods.values()
        return self.smoothing is None and any(isinstance(m.passes, Backward) for m in methods)


class _Run:
    """A walk for given images; `found` collects each state's results for all rows."""

    def __init__(self, walk: Walk, ready: Ready) -> None:
        self.walk, self.ready = walk, ready
        self.images, self.network, self.chunk = ready
        self.found: list[Maps] = [{} for _ in walk.states]

    def logits(self) -> None:
        """Compute the logits of every state, in separate passes."""
        rows = [slice(i, i + self.chunk) for i in range(0, len(self.images), self.chunk)]
        self.do([[Logits(self.images, r)] * len(self.walk.states) for r in rows], None)

    def classes(self, targets: Tensor | None) -> list[Tensor]:
        """The classes (n,) to explain in each state."""
        if self.walk.retake:
            return [predicted(found[LOGITS]) for found in self.found]
        if targets is not None:
            first = checked_targets(targets, self.images)
        elif LOGITS in self.found[0]:
            first = predicted(self.found[0][LOGITS])
        else:
            first = self.ready.predictions(self.walk.model)
        return [first] * len(self.walk.states)

    def works(self, plan: Plan, targets: Tensor) -> list[Job]:
        """The jobs of one state."""
        return list(jobs_of(plan.methods, self.images, targets, self.chunk))

    def do(self, works: Sequence[Sequence[Work]], progress: Progress | None) -> None:
        """Run every job in all states."""
        walk = self.walk
        pieces = [(group, part) for group in works for part in self._parts(len(works))]
        jobs = [
            InAllStates(group[part], walk.states[part], walk.smoothing, walk.room, self.chunk)
            for group, part in pieces
        ]
        workers, threads = self._division(len(jobs))
        costs = [job.cost for job in jobs]
        finished: list[float] = []

        def done(i: int, found: list[Maps]) -> None:
            self._add(jobs[i].rows, pieces[i][1], found)
            finished.append(costs[i])
            if progress:
                progress(jobs[i].names, sum(finished), sum(costs))

        with intra_op_threads(threads):
            run_jobs(walk.model, jobs, workers, done)

    def _parts(self, works: int) -> list[slice]:
        """The states, split into parts if there are too few jobs to occupy every core.

        Within a part, the other states reuse activations of the first, so splitting costs little.
        """
        states = len(self.walk.states)
        parts = max(1, self._division(works * states)[0] // works)
        size = math.ceil(states / parts)
        return [slice(i, i + size) for i in range(0, states, size)]

    def _division(self, jobs: int) -> tuple[int, int | None]:
        return division(self.walk.workers, jobs, self.chunk, self.network, self.images.device)

    def _add(self, rows: slice, states: slice, found: list[Maps]) -> None:
        for total, part in zip(self.found[states], found, strict=True):
            for name, values in part.items():
                if name not in total:
                    total[name] = values.new_zeros(len(self.images), *values.shape[1:])
                total[name][rows] = values
