"""Which number is explained: the logit of one class."""

import torch
from torch import Tensor

from explaindebug.errors import ConfigError


def predicted(logits: Tensor) -> Tensor:
    """The class (n,) that the logits (n, k) speak for; one logit means class 1 where positive."""
    if logits.ndim == 1 or logits.shape[1] == 1:
        return (logits.reshape(-1) > 0).long()
    return logits.argmax(1)


def score(logits: Tensor, targets: Tensor) -> Tensor:
    """The logit (n,) of each input's target class.

    A single logit is taken with its sign: +logit for class 1, -logit for class 0, so that a map
    always speaks *for* its target. (The paper's one-logit network explains +logit for all; Table 1
    of the protocol: Keras' GBP then starts from a negative value for one of its two classes.)

    Raises:
        ConfigError: for a target outside the classes.
    """
    if logits.ndim == 1 or logits.shape[1] == 1:
        _check(targets, 2)
        return torch.where(targets > 0, 1.0, -1.0).to(logits.dtype) * logits.reshape(-1)
    _check(targets, logits.shape[1])
    return logits.gather(1, targets[:, None]).squeeze(1)


def _check(targets: Tensor, classes: int) -> None:
    low, high = int(targets.min()), int(targets.max())
    if low < 0 or high >= classes:
        raise ConfigError(
            f"target class {low if low < 0 else high} asked for, but the model has {classes} "
            f"classes (0 to {classes - 1})."
        )
