"""Random numbers that depend only on a seed and a draw."""

import numpy as np
import torch
from torch import Tensor


def generator(seed: int, draw: int = 0) -> torch.Generator:
    """A private generator for one draw: independent of the global state and of other draws."""
    words = np.random.SeedSequence((seed, draw)).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(words[0] >> np.uint64(1)))


def normal(seed: int, draw: int, like: Tensor) -> Tensor:
    """Standard normal numbers (c, h, w) for a whole batch (n, c, h, w), whatever its size.

    They are drawn on the CPU in float32, so they are the same on every device.
    """
    return torch.randn(like.shape[1:], generator=generator(seed, draw)).to(like)
