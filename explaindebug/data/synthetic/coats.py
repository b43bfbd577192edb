"""Coats of animals: parts, colours, markings and light, distributed equally in all classes."""

from enum import IntEnum

import numpy as np

from explaindebug.data.synthetic.brushes import Drawing, Place, Rng, disc
from explaindebug.data.synthetic.canvas import Floats, paint
from explaindebug.data.synthetic.noise import cloud, ramp, step


class Part(IntEnum):
    """Which paint fills a shape of an animal."""

    BODY = 1
    FAR = 2  # limbs behind the body, in shade
    NEAR = 3  # limbs, wings and ears in front of it
    PALE = 4  # belly, muzzle, wing bars
    ACCENT = 5  # beaks and legs, collars and tongues
    DARK = 6  # eyes and noses
    GLINT = 7  # rings of eyes
    INK = 8  # the contour


COATS = np.array(
    [
        (0.93, 0.92, 0.88),  # white
        (0.16, 0.15, 0.17),  # black
        (0.45, 0.28, 0.16),  # brown
        (0.76, 0.58, 0.36),  # tan
        (0.55, 0.54, 0.55),  # grey
        (0.70, 0.35, 0.16),  # rust
        (0.88, 0.74, 0.48),  # cream
        (0.36, 0.39, 0.47),  # slate
        (0.80, 0.63, 0.22),  # gold
    ]
)
ACCENTS = np.array([(0.95, 0.62, 0.12), (0.85, 0.28, 0.18), (0.36, 0.31, 0.29), (0.80, 0.72, 0.40)])
MARKINGS = {"plain": 0.4, "shaded": 0.2, "patches": 0.2, "spots": 0.1, "stripes": 0.1}


def dressed(rng: Rng, cover: Floats, scene: Floats) -> Floats:
    """The scene with an animal in front of it, in colours, markings and light of any kind."""
    size = len(scene)
    plain, marked = _palette(rng), _palette(rng)
    plain_parts = [p - 1 for p in (Part.ACCENT, Part.DARK, Part.GLINT, Part.INK)]
    marked[plain_parts] = plain[plain_parts]
    share = _markings(rng, size)[..., None]
    light = 1 - 0.15 * ramp(size, rng.normal(np.pi / 2, 0.5)) + 0.04 * cloud(rng, size, 24)
    nothing = np.zeros_like(scene)
    coat = paint(cover, nothing, plain) * (1 - share) + paint(cover, nothing, marked) * share
    picture: Floats = scene * cover[..., :1] + coat * light[..., None]
    return picture


def eye(rng: Rng, at: Place, radius: float) -> Drawing:
    """Dark, with or without a bright ring."""
    ring = disc(Part.GLINT, at, radius * 1.6) if rng.random() < 0.5 else []
    return ring + disc(Part.DARK, at, radius)


def _palette(rng: Rng) -> Floats:
    main, second = COATS[rng.choice(len(COATS), 2, replace=False)]
    near = main * (rng.uniform(0.68, 0.82) if main.mean() > 0.3 else rng.uniform(1.4, 1.8))
    accent = ACCENTS[rng.integers(len(ACCENTS))]
    dark, bright, ink = np.full(3, 0.06), np.full(3, 0.95), main * 0.25
    colours = np.stack([main, main * 0.6, near, second, accent, dark, bright, ink])
    return (colours * rng.normal(1, 0.06, (8, 1)) + rng.normal(0, 0.015, (8, 3))).astype(np.float32)


def _markings(rng: Rng, size: int) -> Floats:
    """How much of the second palette shows, (size, size) in 0..1."""
    kind = rng.choice(list(MARKINGS), p=list(MARKINGS.values()))
    if kind == "shaded":
        return step(ramp(size, rng.normal(np.pi / 2, 0.4)) + 0.2 * cloud(rng, size, 4), 1.2)
    if kind == "patches":
        return step(cloud(rng, size, 6) - 0.4)
    if kind == "spots":
        return step(cloud(rng, size, 20) - 0.9)
    if kind == "stripes":
        waves = ramp(size, rng.uniform(0, np.pi)) * rng.uniform(16, 30) + cloud(rng, size, 5)
        return 0.6 * step(np.sin(waves) - 0.3)
    return np.zeros((size, size), dtype=np.float32)
