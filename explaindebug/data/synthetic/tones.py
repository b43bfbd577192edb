"""What many scenes share: colours that vary, roughness, horizons, scattered dots."""

import numpy as np
import numpy.typing as npt

from explaindebug.data.synthetic.brushes import Drawing, Rng, disc
from explaindebug.data.synthetic.canvas import Floats
from explaindebug.data.synthetic.noise import cloud, mix

RGB = npt.ArrayLike  # (3,), 0 to 1


def tint(rng: Rng, colour: RGB, spread: float = 0.04) -> Floats:
    """A colour near the given one: a bit brighter or darker, and a bit off."""
    shade = rng.normal(1, 1.5 * spread) + rng.normal(0, spread, 3)
    return (np.asarray(colour) * shade).clip(0, 1).astype(np.float32)


def between(rng: Rng, low: RGB, high: RGB, share: Floats) -> Floats:
    """A picture of colours near `low` where the share is 0, near `high` where it is 1."""
    return mix(tint(rng, low), tint(rng, high), share)


def shades(rng: Rng, colour: RGB, factors: npt.ArrayLike) -> Floats:
    """A colour near the given one, once for each factor of brightness, (k, 3)."""
    tones: Floats = tint(rng, colour, 0.06) * np.asarray(factors, dtype=np.float32)[:, None]
    return tones


def rough(rng: Rng, picture: Floats, strength: float = 0.06) -> Floats:
    """The picture on a grainy surface."""
    grainy: Floats = picture * (1 + strength * cloud(rng, len(picture), 36))[..., None]
    return grainy


def down(size: int, reach: float = 1.0) -> Floats:
    """0 at the top, growing downwards to 1 at `reach` of the height."""
    column = ((np.arange(size, dtype=np.float32) + 0.5) / size / reach).clip(0, 1)
    return np.repeat(column[:, None], size, axis=1)


def above(rng: Rng, size: int, height: float, wavy: float = 0.06) -> Floats:
    """1 above a wavy horizon at `height` (0 top, 1 bottom, negative: out of sight), 0 below."""
    line = height + wavy * cloud(rng, size, 4)[:1]
    return ((line - down(size)) * size + 0.5).clip(0, 1).astype(np.float32)


def dots(rng: Rng, count: int, radius: tuple[float, float], low: float = 0.0) -> Drawing:
    """Round dots of role 1 anywhere below the height `low`."""
    places = rng.uniform((0, low, radius[0]), (1, 1, radius[1]), (count, 3))
    return [shape for x, y, r in places for shape in disc(1, (x, y), r)]


def pick(rng: Rng, roles: int) -> int:
    """Any role from 1 to `roles`."""
    return int(rng.integers(1, roles + 1))
