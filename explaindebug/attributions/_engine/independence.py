"""Whether a network's output for an image depends on that image alone."""

import copy
from collections.abc import Callable
from contextlib import suppress

import torch
from torch import Tensor, nn

from explaindebug.attributions._engine.targets import logits_of
from explaindebug.core.errors import UnsupportedModelError

TOLERANCE = 1e-4  # of the largest output; beyond that, float64 says whether it is rounding
ROUNDING = 0.1  # rounding errors shrink to less than this share of theirs in float32

Seen = list[tuple[str, str, Tensor, Tensor]]  # name, class, input and output of each module


def check_independent(model: nn.Module, image: Tensor, logits: Tensor, *, drew: bool) -> None:
    """Compares the logits (1, k) of an image (1, c, h, w) with those that it gets in company.

    One forward pass of three images where all is well. `drew` says that random numbers were drawn
    for the logits: then they are computed again, and have to be the same.

    Raises:
        UnsupportedModelError: where they differ, with the module that makes the difference.
    """
    with torch.no_grad():
        logits = logits.detach()
        difference = 0.0
        with suppress(Exception):  # what takes one image at a time (chunk=1) has nothing to mix
            difference = _difference(_in_company(model, image), logits)
        if drew and not torch.equal(_alone(model, image), _alone(model, image)):
            raise _error(model, image, difference)
        if difference > TOLERANCE and not _is_rounding(model, image, difference):
            raise _error(model, image, difference)


def _alone(model: nn.Module, image: Tensor) -> Tensor:
    return logits_of(model, image)


def _in_company(model: nn.Module, image: Tensor) -> Tensor:
    # Between a dimmer and a brighter one: what depends on the first, the last, the largest is seen.
    dimmer, brighter = image.flip((2, 3)) / 2 + 0.25, image.flip(3) * 1.5
    with suppress(Exception):
        return logits_of(model, torch.cat([dimmer, image, brighter]))[1:2]
    # A network may refuse values outside of a range.
    return logits_of(model, torch.cat([image.flip((2, 3)), image, image.flip(3)]))[1:2]


def _difference(found: Tensor, expected: Tensor) -> float:
    """The largest one, as a share of the largest value; 0 for NaN and infinities alike."""
    same = (found == expected) | (found.isnan() & expected.isnan())
    gap = (found - expected).abs().masked_fill(same, 0).nan_to_num(nan=torch.inf)
    size = expected.nan_to_num(posinf=0, neginf=0).abs().max().clamp(min=1e-30)
    return float((gap / size).max())


def _is_rounding(model: nn.Module, image: Tensor, difference: float) -> bool:
    """Whether a difference is that of another order of summation, which float64 doesn't have."""
    with suppress(Exception):  # a network that insists on float32 is judged by that
        exact, picture = copy.deepcopy(model).double(), image.double()
        alone = _alone(exact, picture)
        return _difference(_in_company(exact, picture), alone) < ROUNDING * difference
    return False


def _error(model: nn.Module, image: Tensor, difference: float) -> UnsupportedModelError:
    """The sentence that says what is so, and where."""
    name = type(model).__name__
    if (random := _difference(_alone(model, image), _alone(model, image))) > 0:
        where = _culprit(model, image, _alone)
        return UnsupportedModelError(
            f"{where} gives other outputs for the same image each time (the logits of {name} "
            f"differ by {100 * random:.2g} % of the largest): it draws random numbers in eval "
            "mode, or keeps something from one call to the next. Make it obey eval mode, as in "
            "F.dropout(x, training=self.training)."
        )
    where = _culprit(model, image, _in_company)
    return UnsupportedModelError(
        f"{where} mixes the images of a batch: next to another image, an image gets other logits "
        f"of {name} (by {100 * difference:.2g} % of the largest), but a map must depend on its "
        "image alone. BatchNorm needs running statistics (track_running_stats=True) and eval mode; "
        "GroupNorm needs none."
    )


def _culprit(model: nn.Module, image: Tensor, other: Callable[[nn.Module, Tensor], Tensor]) -> str:
    """The innermost module that gets the same input in a second run, and gives something else."""
    runs: list[Seen] = []
    for run in (_alone, other):
        seen: Seen = []
        with suppress(Exception):  # without hooks there is no name, but the refusal holds
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
    """Hooks that note what each module gets and gives, the inner ones first."""
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
    """Whether an image has the values that it has alone, in the middle of the second batch."""
    if one.numel() and two.numel() % one.numel() == 0:
        batch = two.reshape(-1, *one.shape)
        two = batch[len(batch) // 2]
    return one.shape == two.shape and _difference(two, one) <= TOLERANCE
