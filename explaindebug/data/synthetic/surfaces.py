"""Close scenes, (size, size, 3) in 0..1: walls, floors and thickets, never twice the same."""

import numpy as np

from explaindebug.data.synthetic.brushes import Drawing, Rng, box, disc, limb
from explaindebug.data.synthetic.canvas import Floats, coverage, paint
from explaindebug.data.synthetic.noise import cloud, fractal, mix, step
from explaindebug.data.synthetic.tones import between, down, pick, rough, shades, tint

FOLIAGE = np.array([(0.28, 0.48, 0.16), (0.75, 0.45, 0.12), (0.70, 0.28, 0.14), (0.55, 0.58, 0.18)])
HOUSES = np.array([(0.70, 0.45, 0.36), (0.80, 0.74, 0.62), (0.45, 0.47, 0.52), (0.60, 0.58, 0.55)])


def bamboo(rng: Rng, size: int) -> Floats:
    """Upright jointed stems, some behind others."""
    gloom = step(fractal(rng, size, 5), 2.5)
    picture = between(rng, (0.10, 0.20, 0.07), (0.42, 0.55, 0.22), gloom)
    for depth in (0.55, 0.75, 1.0):
        stems, joints = _stems(rng, depth)
        green, old = tint(rng, (0.45, 0.62, 0.22), 0.05), tint(rng, (0.30, 0.46, 0.14))
        colours = depth * np.stack([green, old, green * 1.35, old * 0.55])
        picture = paint(coverage(stems + joints, size, 4), picture, colours)
    return picture


def _stems(rng: Rng, depth: float) -> tuple[Drawing, Drawing]:
    """Stems (roles 1 and 2, lit along 3) and the joints on them (4)."""
    stems: Drawing = []
    joints: Drawing = []
    for x in rng.uniform(-0.02, 1.02, rng.integers(3, 6)):
        w, lean = depth * rng.uniform(0.018, 0.036), rng.normal(0, 0.03)
        stems += box(pick(rng, 2), x - w, -0.1, x + w, 1.1, lean)
        stems += box(3, x - w * 0.5, -0.1, x - w * 0.1, 1.1, lean)
        for y in np.arange(rng.uniform(-0.1, 0.1), 1.1, rng.uniform(0.14, 0.24)):
            middle = x + lean * (y + 0.1) / 1.2
            joints += box(4, middle - w * 1.2, y, middle + w * 1.2, y + 0.018)
    return stems, joints


def forest(rng: Rng, size: int) -> Floats:
    """Trunks among dark leaves."""
    gloom = step(fractal(rng, size, 7), 2.5)
    picture = between(rng, (0.08, 0.14, 0.07), (0.32, 0.42, 0.26), gloom)
    trunks: Drawing = []
    for x in rng.uniform(0, 1, rng.integers(3, 7)):
        w, lean = rng.uniform(0.02, 0.06), rng.normal(0, 0.08)
        rising = [(x, 1.1), (x + lean, 0.4), (x + 2 * lean, -0.1)]
        branch = [(x + lean, rng.uniform(0.2, 0.6)), (x + rng.normal(0, 0.25), -0.1)]
        trunks += limb(pick(rng, 2), rising, [w, w * 0.8, w * 0.6])
        trunks += limb(1, branch, [w * 0.5, w * 0.2])
    bark = shades(rng, (0.36, 0.27, 0.20), [1.0, 0.6])
    return rough(rng, paint(coverage(trunks, size, 2), picture, bark))


def leaves(rng: Rng, size: int) -> Floats:
    """Foliage, green or autumnal."""
    colours = shades(rng, FOLIAGE[rng.integers(len(FOLIAGE))], [0.45, 0.7, 0.95, 1.3])
    behind = mix(colours[0] * 0.5, colours[1], step(fractal(rng, size, 6), 2.5))
    heap: Drawing = []
    for x, y, long, wide, turn in rng.uniform(
        (0, 0, 0.05, 0.02, 0), (1, 1, 0.11, 0.045, 3.1), (70, 5)
    ):
        heap += disc(pick(rng, 4), (x, y), long, wide, turn)
    return paint(coverage(heap, size, 4), behind, colours)


def bricks(rng: Rng, size: int) -> Floats:
    """A wall of bricks."""
    high = 1 / int(rng.integers(6, 11))
    wide, gap = high * rng.uniform(1.8, 2.6), high * 0.08
    wall: Drawing = []
    for row, y in enumerate(np.arange(0, 1, high)):
        for x in np.arange(-wide * (0.5 + 0.5 * (row % 2)), 1, wide):
            wall += box(pick(rng, 4), x + gap, y + gap, x + wide - gap, y + high - gap)
    colours = shades(rng, (0.60, 0.30, 0.22), rng.uniform(0.75, 1.2, 4))
    mortar = between(rng, (0.72, 0.69, 0.64), (0.50, 0.48, 0.45), step(cloud(rng, size, 8), 3))
    return rough(rng, paint(coverage(wall, size, 4), mortar, colours))


def cobbles(rng: Rng, size: int) -> Floats:
    """Round stones."""
    pitch = 1 / int(rng.integers(5, 9))
    grid = np.arange(0, 1 + pitch, pitch)
    stones: Drawing = []
    for x, y in np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2):
        place = rng.normal((x, y), 0.12 * pitch)
        rx, ry = pitch * rng.uniform(0.38, 0.53, 2)
        stones += disc(pick(rng, 4), place, rx, ry, rng.uniform(0, 3))
    colours = shades(rng, (0.52, 0.51, 0.50), rng.uniform(0.65, 1.35, 4))
    gaps = mix(colours[0] * 0.35, colours[0] * 0.5, step(cloud(rng, size, 8), 3))
    return rough(rng, paint(coverage(stones, size, 4), gaps, colours))


def planks(rng: Rng, size: int) -> Floats:
    """Boards with grain, lying or standing."""
    count = int(rng.integers(4, 9))
    place = (np.arange(size) + 0.5) / size * count
    tone = rng.uniform(0.75, 1.15, count)[place.astype(int)] * np.where(place % 1 < 0.07, 0.45, 1)
    grain = 1 + 0.09 * cloud(rng, size, 4, 40) + 0.05 * cloud(rng, size, 3, 12)
    boards: Floats = (grain * tone[:, None])[..., None] * tint(rng, (0.58, 0.42, 0.27), 0.06)
    return (boards if rng.random() < 0.5 else boards.transpose(1, 0, 2)).astype(np.float32)


def city(rng: Rng, size: int) -> Floats:
    """Houses with windows, lit or dark."""
    picture = between(rng, (0.62, 0.70, 0.80), (0.88, 0.86, 0.82), down(size))
    glass = (0.25, 0.30, 0.38) if rng.random() < 0.6 else (0.95, 0.85, 0.50)
    for depth in (0.0, 0.25):
        houses: Drawing = []
        for x in np.arange(-0.1, 1, 0.16) + rng.uniform(0, 0.1):
            houses += _house(rng, float(x), depth + rng.uniform(0.0, 0.45))
        walls = [tint(rng, HOUSES[k], 0.05) for k in rng.choice(len(HOUSES), 3)]
        picture = paint(coverage(houses, size, 4), picture, [*walls, tint(rng, glass)])
    return picture


def _house(rng: Rng, left: float, top: float) -> Drawing:
    """Walls of role 1, 2 or 3, windows of role 4."""
    wide, floor = rng.uniform(0.12, 0.24), rng.uniform(0.09, 0.13)
    house = box(pick(rng, 3), left, top, left + wide, 1.1)
    for y in np.arange(top + 0.04, 1, floor):
        for x in np.arange(left + 0.025, left + wide - 0.04, 0.06):
            house += box(4, x, y, x + 0.03, y + 0.05)
    return house
