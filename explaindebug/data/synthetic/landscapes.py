"""Open scenes, (size, size, 3) in 0..1: skies, land and water, never twice the same."""

import numpy as np

from explaindebug.data.synthetic.brushes import Rng, disc, facet
from explaindebug.data.synthetic.canvas import Floats, coverage, paint
from explaindebug.data.synthetic.noise import cloud, fractal, mix, ramp, step
from explaindebug.data.synthetic.tones import above, between, dots, down, rough, tint

FLOWERS = np.array([(0.95, 0.85, 0.20), (0.95, 0.95, 0.92), (0.85, 0.25, 0.30), (0.65, 0.45, 0.80)])


def sky(rng: Rng, size: int) -> Floats:
    """Blue, paler towards the horizon, with clouds or without."""
    air = down(size, rng.uniform(0.6, 1.1))
    picture = between(rng, (0.22, 0.46, 0.80), (0.62, 0.80, 0.94), air)
    puffs = step(fractal(rng, size, 3, 5, 4) - rng.uniform(0.2, 1.6), 1.2)
    return mix(picture, (0.97, 0.97, 0.98), puffs * rng.uniform(0.6, 0.95))


def sunset(rng: Rng, size: int) -> Floats:
    """Orange to purple, streaked, the sun somewhere."""
    glow = down(size, rng.uniform(0.7, 1.2))
    picture = between(rng, (0.36, 0.22, 0.45), (0.98, 0.62, 0.28), glow)
    streaks = step(fractal(rng, size, 3, 9) - 0.4, 1.5)
    picture = mix(picture, tint(rng, (0.85, 0.36, 0.34)), streaks * 0.8)
    sun = disc(1, rng.uniform((0, 0.5), 1), rng.uniform(0.06, 0.14))
    return paint(coverage(sun, size, 1), picture, [(1.0, 0.90, 0.62)])


def night(rng: Rng, size: int) -> Floats:
    """Stars, perhaps a moon."""
    picture = between(rng, (0.02, 0.03, 0.10), (0.14, 0.16, 0.32), down(size))
    picture = mix(picture, (0.30, 0.32, 0.45), 0.4 * step(fractal(rng, size, 4), 3))
    lights = dots(rng, int(rng.integers(15, 60)), (0.004, 0.011))
    if rng.random() < 0.5:
        lights += disc(1, rng.uniform(0.1, 0.9, 2), rng.uniform(0.05, 0.12))
    return paint(coverage(lights, size, 1), picture, [(0.95, 0.94, 0.84)])


def meadow(rng: Rng, size: int) -> Floats:
    """Grass with flowers, up to a horizon or all over."""
    blades = step(fractal(rng, size, 24, 6), 2.0)
    grass = between(rng, (0.22, 0.42, 0.12), (0.50, 0.66, 0.24), blades)
    flowers = coverage(dots(rng, int(rng.integers(26)), (0.008, 0.02), low=0.35), size, 1)
    picture = paint(flowers, grass, tint(rng, rng.choice(FLOWERS), 0.05)[None])
    air = between(rng, (0.60, 0.78, 0.93), (0.90, 0.93, 0.95), down(size))
    return mix(picture, air, above(rng, size, rng.uniform(-0.2, 0.45)))


def sea(rng: Rng, size: int) -> Floats:
    """Waves, up to a horizon or all over."""
    waves = step(fractal(rng, size, 5, 16), 2.2)
    water = between(rng, (0.05, 0.28, 0.40), (0.25, 0.56, 0.64), waves)
    foam = step(cloud(rng, size, 6, 24) - rng.uniform(1.2, 2.0), 0.6)
    air = between(rng, (0.55, 0.70, 0.82), (0.92, 0.92, 0.90), down(size))
    horizon = above(rng, size, rng.uniform(-0.2, 0.4), wavy=0.02)
    return mix(mix(water, (0.93, 0.96, 0.96), foam), air, horizon)


def desert(rng: Rng, size: int) -> Floats:
    """Sand with ripples."""
    bow = ramp(size, rng.normal(np.pi / 2, 0.3)) * rng.uniform(14, 30) + 2.2 * cloud(rng, size, 3)
    return rough(rng, between(rng, (0.66, 0.48, 0.28), (0.92, 0.78, 0.54), step(np.sin(bow), 3)))


def snow(rng: Rng, size: int) -> Floats:
    """Drifts in blue shade, and flakes."""
    drift = step(fractal(rng, size, 3, 6), 2.4)
    picture = mix(tint(rng, (0.70, 0.77, 0.87)), tint(rng, (0.96, 0.97, 0.99), 0.015), drift)
    flakes = dots(rng, int(rng.integers(40)), (0.006, 0.016))
    return paint(coverage(flakes, size, 1), picture, [(1, 1, 1)])


def mountains(rng: Rng, size: int) -> Floats:
    """Ridges behind ridges."""
    picture = between(rng, (0.50, 0.66, 0.84), (0.90, 0.88, 0.86), down(size))
    near, far = tint(rng, (0.24, 0.30, 0.26), 0.06), tint(rng, (0.60, 0.66, 0.74), 0.05)
    for depth in (0.0, 0.35, 0.7, 1.0):
        peaks = 0.25 + 0.5 * depth - rng.uniform(0, 0.15) + rng.uniform(-0.16, 0.16, 9)
        ridge = np.stack([np.linspace(-0.1, 1.1, 9), peaks], axis=1)
        mass = facet(1, [*ridge, (1.1, 1.2), (-0.1, 1.2)])
        picture = paint(coverage(mass, size, 1), picture, [far + (near - far) * depth])
    return rough(rng, picture, 0.04)
