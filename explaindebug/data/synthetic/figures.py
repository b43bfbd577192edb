"""Glyphs and garments on paper: ten classes that have nothing to do with animals."""

from collections.abc import Callable

import numpy as np

from explaindebug.data.synthetic.brushes import (
    Drawing,
    Rng,
    blob,
    both_sides,
    box,
    chain,
    disc,
    facet,
    framed,
    limb,
    mirrored,
    turned,
)
from explaindebug.data.synthetic.canvas import Floats, coverage, paint
from explaindebug.data.synthetic.noise import cloud, mix, ramp, step

CLOTH, TRIM, SHADE, INK = 1, 2, 3, 4  # roles of a figure's shapes


def ring(rng: Rng) -> Drawing:
    """A closed round stroke."""
    angle = np.linspace(0, 2 * np.pi, 16)
    oval = np.stack([np.cos(angle) * rng.uniform(0.6, 1), np.sin(angle)], axis=1)
    return limb(CLOTH, oval, _stroke(rng))


def cross(rng: Rng) -> Drawing:
    """Two strokes that cross, upright or diagonal."""
    arm, at = rng.uniform(0.6, 1.0), rng.uniform(-0.3, 0.15)
    strokes = limb(CLOTH, [(0, -1), (0, 1)], _stroke(rng))
    strokes += limb(CLOTH, [(-arm, at), (arm, at)], _stroke(rng))
    return turned(strokes, np.pi / 4 * rng.integers(2))


def zigzag(rng: Rng) -> Drawing:
    """A stroke with two to four sharp bends."""
    bends, steep = rng.integers(3, 6), rng.uniform(0.7, 1.15)
    headings = steep * np.where(np.arange(bends) % 2, 1, -1)
    return turned(
        limb(CLOTH, chain((0, 0), headings, 0.8), _stroke(rng)), rng.choice((0, np.pi / 2))
    )


def spiral(rng: Rng) -> Drawing:
    """A stroke that winds inwards."""
    angle = np.linspace(0, rng.uniform(3.2, 4.6) * np.pi, 28)
    radius = np.linspace(1.0, 0.1, 28)
    path = np.stack([np.cos(angle), np.sin(angle)], axis=1) * radius[:, None]
    return turned(limb(CLOTH, path, rng.uniform(0.07, 0.11)), rng.uniform(0, 2 * np.pi))


def star(rng: Rng) -> Drawing:
    """Filled, with five to seven points."""
    points = int(rng.integers(5, 8))
    angle = np.linspace(0, 2 * np.pi, 2 * points, endpoint=False)
    radius = np.where(np.arange(2 * points) % 2, rng.uniform(0.35, 0.55), 1)[:, None]
    return facet(CLOTH, np.stack([np.sin(angle), -np.cos(angle)], axis=1) * radius)


def shirt(rng: Rng) -> Drawing:
    """Short or long sleeves, a collar or buttons."""
    wide, long = rng.uniform(0.4, 0.55), rng.uniform(0.7, 1.0)
    body = facet(
        CLOTH, [(-wide, -0.6), (wide, -0.6), (wide * rng.uniform(0.9, 1.1), long), (-wide, long)]
    )
    lift, reach = rng.uniform(0.3, 1.2), rng.choice((0.5, 1.1))
    cuff = (wide + reach * np.cos(lift), -0.45 + reach * np.sin(lift))
    sleeves = both_sides(limb(CLOTH, [(wide * 0.85, -0.45), cuff], [0.17, 0.14]))
    neck = disc(TRIM, (0, -0.6), wide * 0.42, 0.16)
    placket = box(TRIM, -0.04, -0.5, 0.04, long) if rng.random() < 0.4 else []
    return sleeves + body + neck + placket


def trousers(rng: Rng) -> Drawing:
    """Two legs, long or short, and a waistband."""
    hip, gap, long = rng.uniform(0.35, 0.48), rng.uniform(0.08, 0.3), rng.choice((0.5, 1.0))
    cuff = rng.uniform(0.18, 0.3)
    inner, outer = gap, gap + cuff
    leg = facet(CLOTH, [(-0.02, -0.8), (hip, -0.8), (outer, long), (inner, long), (-0.02, -0.15)])
    return both_sides(leg) + box(TRIM, -hip, -0.85, hip, -0.68)


def dress(rng: Rng) -> Drawing:
    """A bodice, a flared skirt and straps."""
    bust, waist, hem = rng.uniform(0.25, 0.35), rng.uniform(0.18, 0.25), rng.uniform(0.55, 0.9)
    strap = limb(CLOTH, [(bust * 0.7, -0.55), (bust * 0.55, -0.95)], 0.06)
    bodice = facet(CLOTH, [(-bust, -0.6), (bust, -0.6), (waist, -0.05), (-waist, -0.05)])
    skirt = facet(CLOTH, [(-waist, -0.1), (waist, -0.1), (hem, 1.0), (-hem, 1.0)])
    pleat = facet(SHADE, [(waist * 0.3, 0), (waist * 0.5, 0), (hem * 0.6, 1.0), (hem * 0.35, 1.0)])
    return (
        both_sides(strap) + bodice + skirt + both_sides(pleat) + box(TRIM, -waist, -0.12, waist, 0)
    )


def boot(rng: Rng) -> Drawing:
    """A shaft, high or low, a toe and a sole."""
    top, toe = rng.uniform(-0.9, -0.1), rng.uniform(0.6, 0.9)
    shaft = facet(CLOTH, [(-0.42, top), (0.1, top), (0.12, 0.3), (-0.42, 0.4)])
    foot = blob(CLOTH, [(-0.45, 0.1), (0.1, 0.1), (toe, 0.4), (toe, 0.62), (-0.4, 0.62)])
    heel = box(TRIM, -0.46, 0.6, -0.15, 0.6 + rng.uniform(0.15, 0.35))
    return (
        shaft
        + foot
        + box(TRIM, -0.46, 0.56, toe + 0.08, 0.72)
        + heel
        + box(SHADE, -0.42, top, 0.1, top + 0.1)
    )


def bag(rng: Rng) -> Drawing:
    """A box or a sack with a handle."""
    wide, tall, taper = rng.uniform(0.6, 0.9), rng.uniform(0.4, 0.7), rng.uniform(0.75, 1.1)
    angle = np.linspace(np.pi, 2 * np.pi, 9)
    rise = rng.uniform(0.35, 0.8)
    arch = np.stack([np.cos(angle) * wide * 0.55, np.sin(angle) * rise - tall], axis=1)
    body = facet(
        CLOTH, [(-wide * taper, -tall), (wide * taper, -tall), (wide, tall), (-wide, tall)]
    )
    flap = facet(
        SHADE, [(-wide * taper, -tall), (wide * taper, -tall), (wide * 0.8, 0), (-wide * 0.8, 0)]
    )
    return (
        limb(TRIM, arch, 0.07)
        + body
        + (flap if rng.random() < 0.5 else [])
        + disc(TRIM, (0, 0), 0.1)
    )


FIGURES: dict[str, Callable[[Rng], Drawing]] = {
    f.__name__: f for f in (ring, cross, zigzag, spiral, star, shirt, trousers, dress, boot, bag)
}


def figure(rng: Rng, size: int, name: str) -> tuple[Floats, Floats, Floats]:
    """Picture (size, size, 3), coverage (size, size), and the paper alone; all in 0..1."""
    paper = _paper(rng, size)
    drawing = FIGURES[name](rng)
    drawing = mirrored(drawing) if rng.random() < 0.5 else drawing
    drawing = framed(turned(drawing, rng.normal(0, 0.15)), rng, (0.55, 0.85), margin=0.045)
    cover = coverage(drawing, size, INK, contour=0.015)
    dyes = _dyes(rng, bright=paper.mean() < 0.5)
    return paint(cover, paper, dyes), 1 - cover[..., 0], paper


def _stroke(rng: Rng) -> float:
    return float(rng.uniform(0.1, 0.22))


def _dyes(rng: Rng, *, bright: bool) -> Floats:
    """Colours of cloth, trim, shade and ink; cloth of any hue that shows on the paper."""
    cloth, trim = rng.uniform(0.05, 0.95, (2, 3))
    cloth += (0.35 if bright else -0.35) * (1 - cloth if bright else cloth)
    return np.stack([cloth, trim, cloth * 0.7, cloth * 0.25]).astype(np.float32)


def _paper(rng: Rng, size: int) -> Floats:
    """Plain, graded, striped or cloudy, in two colours of like brightness."""
    one, other = (rng.uniform(0.1, 0.9) + rng.normal(0, 0.08, (2, 3))).clip(0, 1)
    kind, slope = rng.integers(4), ramp(size, rng.uniform(0, 2 * np.pi))
    if kind == 0:
        return mix(one, one, slope)
    if kind == 1:
        return mix(one, other, step(slope, 2.0))
    if kind == 2:
        return mix(one, other, step(np.sin(slope * rng.uniform(8, 24)), 1.0))
    return mix(one, other, step(cloud(rng, size, int(rng.integers(3, 12))), 3.0))
