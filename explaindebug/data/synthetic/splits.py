"""Pictures that need no download: birds and dogs in front of scenes, and a second domain.

Picture i of a split depends only on the seed, the split and i: requesting more pictures appends
new ones and changes none, and no two splits share a draw. At another size, the same drawings are
rendered at another resolution.
"""

import math
from collections.abc import Callable

import numpy as np

from explaindebug.core.validation import whole
from explaindebug.data.imageset import ImageSet, Labels, Pixels, Splits
from explaindebug.data.synthetic.animals import ANIMALS, animal
from explaindebug.data.synthetic.brushes import Rng
from explaindebug.data.synthetic.canvas import Floats, to_bytes
from explaindebug.data.synthetic.figures import FIGURES, figure
from explaindebug.data.synthetic.scenes import SCENES, scenery

LARGEST = 4096
SMALLEST = 16  # pixels; in smaller pictures birds and dogs look alike
ANIMAL, FIGURE, SCENE, LABELS = range(4)  # independent streams of random numbers

Draw = Callable[[Rng, int, str], tuple[Floats, Floats, Floats]]  # picture, coverage, scene


def animals(
    *, size: int = 48, train: int = 2000, val: int = 300, test: int = 400, seed: int = 0
) -> Splits:
    """Birds and dogs in front of scenes of any kind, with masks and with the scenes alone.

    Poses, breeds, colours, markings, light, positions and scenes have the same distributions in
    both classes, so only the animal's shape distinguishes them. Labels are shuffled and balanced
    (each pair of pictures 2k, 2k + 1 has one of each). A mask is true where the animal covers half
    of a pixel or more; where it covers nothing, picture and scene are identical.

    Pictures are (n, size, size, 3) bytes, masks (n, size, size).

    Raises:
        ConfigError: for a size below 16, no pictures in a split, or a negative seed.
    """
    counts = {"train": train, "val": val, "test": test}
    return _splits(animal, tuple(ANIMALS), counts, size=size, seed=seed, stream=ANIMAL)


def figures(
    *, size: int = 48, train: int = 2000, val: int = 300, test: int = 400, seed: int = 0
) -> Splits:
    """Five glyphs and five garments on paper: another domain, for out-of-distribution inputs.

    Everything else is as in `animals`; each run of ten pictures has one of each class.

    Raises:
        ConfigError: for a size below 16, no pictures in a split, or a negative seed.
    """
    counts = {"train": train, "val": val, "test": test}
    return _splits(figure, tuple(FIGURES), counts, size=size, seed=seed, stream=FIGURE)


def draw_scenes(kind: str, count: int, *, size: int, seed: int) -> Pixels:
    """Empty scenes of one of `SCENES`, (count, size, size, 3) bytes.

    Scene i depends only on kind, seed and i; it is never one of those behind `animals`.

    Raises:
        ConfigError: for an unknown kind, a size below 16, a count below 1, or a negative seed.
    """
    SCENES[kind]  # raises for an unknown one
    check_drawn({"scenes": count}, size, seed)
    place = SCENES.names.index(kind)
    pictures = [scenery(kind, _rng(seed, SCENE, place, i), size) for i in range(count)]
    return np.stack([to_bytes(picture) for picture in pictures])


def _splits(
    draw: Draw,
    classes: tuple[str, ...],
    counts: dict[str, int],
    *,
    size: int,
    seed: int,
    stream: int,
) -> Splits:
    check_drawn(counts, size, seed)
    parts = enumerate(counts.values())
    return Splits(*(_pictures(draw, classes, n, size, (seed, stream, part)) for part, n in parts))


def _pictures(
    draw: Draw, classes: tuple[str, ...], count: int, size: int, key: tuple[int, int, int]
) -> ImageSet:
    labels = _balanced(len(classes), count, key)
    pixels, scenes = (np.empty((count, size, size, 3), np.uint8) for _ in range(2))
    masks = np.empty((count, size, size), np.bool_)
    for i, label in enumerate(labels):
        picture, cover, scene = draw(_rng(*key, i), size, classes[label])
        pixels[i], masks[i], scenes[i] = to_bytes(picture), cover >= 0.5, to_bytes(scene)
    return ImageSet(pixels, labels, classes, masks, scenes)


def _balanced(classes: int, count: int, key: tuple[int, int, int]) -> Labels:
    """Labels in random order; each run of as many pictures as classes has every class once."""
    seed, stream, part = key
    runs = range(math.ceil(count / classes))
    orders = [_rng(seed, stream + LABELS, part, run).permutation(classes) for run in runs]
    return np.concatenate(orders)[:count]


def _rng(seed: int, stream: int, part: int, i: int) -> Rng:
    return np.random.default_rng((seed, stream, part, i))


def check_drawn(counts: dict[str, int], size: int, seed: int) -> None:
    """Raises ConfigError for invalid counts, size or seed."""
    whole("size", size, least=SMALLEST, most=LARGEST, hint="It is the side in pixels.")
    for name, count in counts.items():
        whole(name, count, least=1, hint="It is a number of pictures.")
    whole("seed", seed, least=0)
