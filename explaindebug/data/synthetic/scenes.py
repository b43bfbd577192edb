"""Empty scenes, by kind.

Scenes of a kind differ in colours, weather, scale and arrangement: a kind is a texture and a
palette rather than a picture.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image

from explaindebug.core.registry import Registry
from explaindebug.data.synthetic import landscapes as land
from explaindebug.data.synthetic import surfaces
from explaindebug.data.synthetic.brushes import Rng
from explaindebug.data.synthetic.canvas import Floats, to_bytes

Scene = Callable[[Rng, int], Floats]

SCENES: Registry[Scene] = Registry("drawn scene")
for draw in (  # append only: a kind's place seeds its draws
    land.sky,
    surfaces.bamboo,
    land.meadow,
    land.sea,
    land.desert,
    land.snow,
    surfaces.bricks,
    surfaces.leaves,
    land.night,
    surfaces.planks,
    surfaces.cobbles,
    land.sunset,
    surfaces.city,
    land.mountains,
    surfaces.forest,
):
    SCENES.register(draw.__name__)(draw)
SHIPPED = tuple(SCENES)  # what pictures of animals are drawn from, whatever others register
SOFT = 0.65  # scenes are drawn at this scale and enlarged, as if the focus were on the animal


def scenery(kind: str, rng: Rng, size: int) -> Floats:
    """A scene of a kind, a little out of focus, (size, size, 3) in 0..1."""
    drawn = Image.fromarray(to_bytes(SCENES[kind](rng, round(size * SOFT))))
    blurred = drawn.resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(blurred, dtype=np.float32) / np.float32(255)
