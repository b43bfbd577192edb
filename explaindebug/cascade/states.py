"""States of a network with some of its tensors exchanged, and jobs that run in all of them."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from explaindebug.attributions._autograd.backward import Backward
from explaindebug.attributions._autograd.replay import Replay
from explaindebug.attributions._engine.jobs import Job, Maps
from explaindebug.attributions._engine.targets import logits_of
from explaindebug.bugs.reinitialisation import exchanged, tensors_of
from explaindebug.core.rng import normal
from explaindebug.core.validation import number, whole

LOGITS = "logits"  # key of the logits among the methods' maps; not a method's name


class State(NamedTuple):
    """A network with new values in some of its tensors."""

    stage: str  # its name; "trained" for the unchanged network
    draw: int
    tensors: Mapping[str, Tensor]  # full name -> new values

    @contextmanager
    def of(self, model: nn.Module) -> Iterator[None]:
        """Put the model into this state within the block."""
        with exchanged(model, self.tensors):
            yield

    def unlike(self, other: "State") -> set[str]:
        """Names of the tensors whose values differ from those in the other state.

        States of one draw share their tensors, so comparing identities is enough.
        """
        mine, others = self.tensors, other.tensors
        return {name for name in {*mine, *others} if mine.get(name) is not others.get(name)}


TRAINED = State("trained", 0, {})


@dataclass(frozen=True)
class Smoothing:
    """Maps are means over noisy copies of an input, as in Smooth MPRT.

        1 / copies * sum_k E(x + noise * (max x - min x) * n_k), n_k ~ N(0, 1)

    A copy's noise is the same for all inputs, so a map depends only on its own input.

    Raises:
        ConfigError: for fewer than one copy, or noise outside [0, 10].

    Source: Hedström et al. 2024, "A Fresh Look at Sanity Checks for Saliency Maps", section 4.
    """

    copies: int = 50
    noise: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        whole("copies", self.copies, least=1)
        number("noise", self.noise, least=0, most=10, hint="It is a share of each input's range.")

    def __call__(self, images: Tensor) -> Iterator[Tensor]:
        """The noisy copies, each (n, c, h, w)."""
        low, high = (f((1, 2, 3), keepdim=True) for f in (images.amin, images.amax))
        for k in range(self.copies):
            yield images + self.noise * (high - low) * normal(self.seed, k, images)


class Work(Protocol):
    """A job on a model and some rows of the images."""

    @property
    def rows(self) -> slice: ...
    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def cost(self) -> float: ...
    def __call__(self, model: nn.Module) -> Maps: ...


@dataclass(frozen=True, eq=False)
class Logits:
    """A job that computes only the logits (n, k)."""

    images: Tensor
    rows: slice
    names = (LOGITS,)

    @property
    def cost(self) -> float:
        """In forward passes with their backward passes."""
        return len(self.images[self.rows]) / 2

    @torch.no_grad()
    def __call__(self, model: nn.Module) -> Maps:
        return {LOGITS: logits_of(model, self.images[self.rows])}


@dataclass(frozen=True, eq=False)
class InAllStates:
    """Runs one job in every state of a model; returns a dictionary of tensors for each."""

    works: Sequence[Work]  # one per state, on the same rows
    states: Sequence[State]
    smoothing: Smoothing | None
    room: int  # bytes of activations to reuse across states; 0: every state computes everything
    chunk: int = 32  # most images per pass: several noisy copies of a few images

    @property
    def rows(self) -> slice:
        """The rows of the images."""
        return self.works[0].rows

    @property
    def names(self) -> tuple[str, ...]:
        """The methods' names."""
        return self.works[0].names

    @property
    def cost(self) -> float:
        """Passes, summed over images, states and noisy copies."""
        return sum(work.cost for work in self.works) * (1 if self._plain else self._copies)

    def __call__(self, model: nn.Module) -> list[Maps]:
        if self._plain:
            return self._once(model, self.works)
        total: list[Maps] = [{} for _ in self.states]
        for copies, works in self._noisy():
            for sums, found in zip(total, self._once(model, works), strict=True):
                for name, maps in found.items():
                    added = maps.reshape(copies, -1, *maps.shape[1:]).sum(0)
                    sums[name] = sums[name] + added if name in sums else added
        return [{name: maps / self._copies for name, maps in sums.items()} for sums in total]

    def _once(self, model: nn.Module, works: Sequence[Work]) -> list[Maps]:
        known = tensors_of(model)
        always = [known[name] for name in self._always]
        replay = Replay(model, always=always, room=self.room if len(works) > 1 else 0)
        found = []
        for state, work in zip(self.states, works, strict=True):
            changed = [known[name] for name in state.unlike(self.states[0])]
            with state.of(model), replay.run(changed):
                found.append(work(model))
            if self._plain and passes_images(work):
                found[-1][LOGITS] = replay.output
        return found

    @cached_property
    def _always(self) -> set[str]:
        """Names of the tensors that differ from the first state in every other state."""
        first, *others = self.states
        unlike = [state.unlike(first) for state in others]
        return set.intersection(*unlike) if unlike else set()

    @property
    def _plain(self) -> bool:
        return self.smoothing is None or isinstance(self.works[0], Logits)

    @property
    def _copies(self) -> int:
        return 1 if self.smoothing is None else self.smoothing.copies

    def _noisy(self) -> Iterator[tuple[int, Sequence[Work]]]:
        """Noisy copies in batches: their number, and each state's job on them."""
        assert self.smoothing is not None
        first = self.works[0]
        assert isinstance(first, Job)
        images = first.images[self.rows]
        copies = self.smoothing(images)
        while batch := list(islice(copies, max(1, self.chunk // len(images)))):
            yield len(batch), [_on(work, batch) for work in self.works]


def passes_images(work: Work) -> bool:
    """Whether the job passes the unmodified images through the model first."""
    return isinstance(work, Job) and all(isinstance(passes, Backward) for passes in work.group)


def _on(work: Work, copies: Sequence[Tensor]) -> Job:
    """The same job on noisy copies, each (n, c, h, w), of its images, concatenated."""
    assert isinstance(work, Job)
    images, targets = torch.cat(list(copies)), work.targets[work.rows].repeat(len(copies))
    return replace(work, images=images, targets=targets, rows=slice(0, len(images)))
