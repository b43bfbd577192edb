"""Check that a network's output for an image depends only on that image."""

import copy
from collections.abc import Callable
from contextlib import suppress

import torch
from torch import Tensor, nn

from explaindebug.attributions._engine.targets import logits_of
from explaindebug.core.errors import UnsupportedModelError

TOLERANCE = 1e-4  # of the largest output; larger differences are checked for rounding in float64
ROUNDING = 0.1  # in float64, rounding errors shrink to less than this share

Seen = list[tuple[str, str, Tensor, Tensor]]  # name, class, input and output of each module


def check_independent(model: nn.Module, image: Tensor, logits: Tensor, *, drew: bool) -> None:
    """Compare the logits (1, k) of an image (1, c, h, w) with those that it gets within a batch.

    Costs one forward pass of three images if all is well. `drew` means that random numbers were
    drawn for the logits: they are computed again, and must be the same.

    Raises:
        UnsupportedModelError: if they differ, with the module that causes it.
    """
    with torch.no_grad():
        logits = logits.detach()
        difference = 0.0
        with suppress(Exception):  # a model that takes only single images (chunk=1) can't mix them
            difference = _difference(_in_batch(model, image), logits)
        if drew and not torch.equal(_alone(model, image), _alone(model, image)):
            raise _error(model, image, difference)
        if difference > TOLERANCE and not _is_rounding(model, image, difference):
            raise _error(model, image, difference)


def _alone(model: nn.Module, image: Tensor) -> Tensor:
    return logits_of(model, image)


def _in_batch(model: nn.Module, image: Tensor) -> Tensor:
    # Between a dimmer and a brighter image, to detect dependence on the first, last or largest.
    dimmer, brighter = image.flip((2, 3)) / 2 + 0.25, image.flip(3) * 1.5
    with suppress(Exception):
        return logits_of(model, torch.cat([dimmer, image, brighter]))[1:2]
    # The network may reject values outside a range.
    return logits_of(model, torch.cat([image.flip((2, 3)), image, image.flip(3)]))[1:2]


def _difference(found: Tensor, expected: Tensor) -> float:
    """The largest difference, relative to the largest value; equal NaN and infinities count 0."""
    if not found.numel():
        return 0.0
    same = (found == expected) | (found.isnan() & expected.isnan())
    gap = (found - expected).abs().masked_fill(same, 0).nan_to_num(nan=torch.inf)
    size = expected.nan_to_num(posinf=0, neginf=0).abs().max().clamp(min=1e-30)
    return float((gap / size).max())


def _is_rounding(model: nn.Module, image: Tensor, difference: float) -> bool:
    """Whether a difference comes from rounding, in which case float64 (nearly) removes it."""
    with suppress(Exception):  # a network that requires float32 is judged in float32
        exact, picture = copy.deepcopy(model).double(), image.double()
        alone = _alone(exact, picture)
        return _difference(_in_batch(exact, picture), alone) < ROUNDING * difference
    return False


def _error(model: nn.Module, image: Tensor, difference: float) -> UnsupportedModelError:
    """The error for a model that is random or mixes images, with the module."""
    name = type(model).__name__
    if (random := _difference(_alone(model, image), _alone(model, image))) > 0:
        where = _culprit(model, image, _alone)
        return UnsupportedModelError(
            f"{where} returns different outputs for the same image each time (the logits of {name} "
            f"differ by {100 * random:.2g} % of the largest): it draws random numbers in eval "
            "mode, or keeps state between calls. Make it respect eval mode, as in "
            "F.dropout(x, training=self.training)."
        )
    where = _culprit(model, image, _in_batch)
    return UnsupportedModelError(
        f"{where} mixes the images of a batch: an image's logits of {name} change with the other "
        f"images (by {100 * difference:.2g} % of the largest), but a map must depend only on its "
        "own image. BatchNorm needs running statistics (track_running_stats=True) and eval mode; "
        "GroupNorm needs none."
    )


def _culprit(model: nn.Module, image: Tensor, other: Callable[[nn.Module, Tensor], Tensor]) -> str:
    """The innermost module whose output differs in a second run although its input is the same."""
    runs: list[Seen] = []
    for run in (_alone, other):
        seen: Seen = []
        with suppress(Exception):  # without hooks the module is unknown, but the error stands
            hooks = _noting(model, seen)
            try:
                run(model, image)
            finally:
                for hook in hooks:
                    hook.remove()
        runs.append(seen)
    for (name, kind, *first), (*_, x, y) in zip(*runs, strict=False):
        same = [_same(one, two) for one, two in zip(first, (x, y), strict=True)]
        if same == [True, False]:
            return f"{kind} in {name}" if name else kind
    return type(model).__name__


def _noting(model: nn.Module, seen: Seen) -> list[torch.utils.hooks.RemovableHandle]:
    """Hooks that record each module's input and output, inner modules first."""
    waiting: list[Tensor] = []
    hooks = []
    for name, module in model.named_modules():

        def enter(module: nn.Module, args: tuple[object, ...]) -> None:
            waiting.append(_copied(args[0] if args else None))

        def leave(module: nn.Module, args: object, output: object, name: str = name) -> None:
            seen.append((name, type(module).__name__, waiting.pop(), _copied(output)))

        hooks += [module.register_forward_pre_hook(enter), module.register_forward_hook(leave)]
    return hooks


def _copied(value: object) -> Tensor:
    return value.detach().clone() if isinstance(value, Tensor) else torch.empty(0)


def _same(one: Tensor, two: Tensor) -> bool:
    """Whether an image's values alone equal those in the middle of a batch."""
    if one.numel() and two.numel() % one.numel() == 0:
        batch = two.reshape(-1, *one.shape)
        two = batch[len(batch) // 2]
    return one.shape == two.shape and _difference(two, one) <= TOLERANCE
