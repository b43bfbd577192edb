"""Dogs, looking to the right or at us: a trunk, a head and limbs in one of five poses."""

from dataclasses import dataclass

import numpy as np

from explaindebug.data.synthetic.brushes import (
    Drawing,
    Place,
    Points,
    Rng,
    blob,
    both_sides,
    chain,
    disc,
    facet,
    limb,
    shifted,
    turned,
    xy,
)
from explaindebug.data.synthetic.coats import Part, eye

DOWN = np.pi / 2  # heading of a leg at rest


@dataclass(frozen=True)
class Breed:
    """Proportions of one dog, in units of about its length."""

    legs: float
    trunk: float  # half the spine's length
    girth: float
    bone: float  # radius of a leg
    muzzle: float
    head: float
    ear: float
    floppy: bool
    tail: float
    curl: float  # how far the tail bends up, radians
    collar: bool

    @classmethod
    def any(cls, rng: Rng) -> "Breed":
        """One of many breeds."""
        return cls(
            legs=rng.uniform(0.35, 0.7),
            trunk=rng.uniform(0.36, 0.52),
            girth=rng.uniform(0.17, 0.25),
            bone=rng.uniform(0.06, 0.085),
            muzzle=rng.uniform(0.15, 0.3),
            head=rng.uniform(0.17, 0.22),
            ear=rng.uniform(0.16, 0.26),
            floppy=bool(rng.random() < 0.6),
            tail=rng.uniform(0.3, 0.6),
            curl=rng.uniform(0.0, 2.2),
            collar=bool(rng.random() < 0.4),
        )


def dog(rng: Rng) -> Drawing:
    """A dog of any breed in any pose."""
    poses = (_standing, _running, _sitting, _lying, _facing)
    return poses[rng.integers(len(poses))](rng, Breed.any(rng))


def _standing(rng: Rng, b: Breed) -> Drawing:
    swing = rng.uniform(-0.4, 0.4)
    hip, chest = np.array([-b.trunk, 0.0]), np.array([b.trunk * 0.8, 0.02])
    far = _walk(Part.FAR, b, hip + xy(0.08, 0), chest + xy(0.08, 0), -swing)
    near = _walk(Part.NEAR, b, hip, chest, swing)
    return far + _tail(b, hip) + _trunk(b, hip, chest) + near + _head(rng, b, chest)


def _running(rng: Rng, b: Breed) -> Drawing:
    reach = rng.uniform(0.6, 1.0) if rng.random() < 0.65 else rng.uniform(-0.5, -0.2)
    hip, chest = np.array([-b.trunk * 1.1, 0.0]), np.array([b.trunk * 0.9, -0.05])
    far = _gallop(Part.FAR, b, hip + xy(0.08, 0), chest + xy(0.08, 0), reach * 0.75)
    near = _gallop(Part.NEAR, b, hip, chest, reach)
    drawing = far + _tail(b, hip) + _trunk(b, hip, chest) + near + _head(rng, b, chest)
    return turned(drawing, rng.uniform(-0.2, 0.2))


def _sitting(rng: Rng, b: Breed) -> Drawing:
    hip, chest = np.array([-0.3, 0.3]), np.array([0.12, -0.22]) + rng.normal(0, 0.03, 2)
    floor = 0.3 + b.girth * 0.95
    tail = limb(
        Part.BODY, chain(hip + xy(-0.15, 0.12), [2.9, 3.3, 3.3 + b.curl / 2], b.tail / 3), 0.05
    )
    far = limb(Part.FAR, [chest + xy(0.16, 0.1), (0.3, floor)], [b.bone * 1.4, b.bone])
    body = limb(Part.BODY, [hip, chest], [b.girth * 1.15, b.girth])
    leg = limb(Part.NEAR, [chest + xy(0.06, 0.1), (0.14, floor), (0.24, floor)], b.bone * 1.2)
    haunch = disc(Part.NEAR, hip + xy(0.08, 0.02), b.girth, b.girth * 0.85, 0.5)
    foot = limb(Part.NEAR, [(hip[0] + 0.02, floor), (hip[0] + 0.3, floor)], b.bone)
    return tail + far + body + leg + haunch + foot + _head(rng, b, chest, lift=0.25)


def _lying(rng: Rng, b: Breed) -> Drawing:
    hip, chest = np.array([-b.trunk, 0.05]), np.array([b.trunk * 0.8, 0.0])
    floor = b.girth * 0.95
    elbow = chest + xy(0.1, floor)
    tail = limb(Part.BODY, chain(hip, [2.8, 3.2, 3.2 + b.curl / 3], b.tail / 3 + 0.06), 0.05)
    far = limb(Part.FAR, [elbow - xy(0, 0.06), elbow + xy(0.48, -0.05)], b.bone)
    leg = limb(Part.NEAR, [chest, elbow, elbow + xy(0.38, 0)], b.bone)
    haunch = disc(Part.NEAR, hip + xy(0.1, 0.04), b.girth * 1.05, b.girth * 0.85, -0.4)
    foot = limb(Part.NEAR, [(hip[0] + 0.1, floor), (hip[0] + 0.4, floor)], b.bone)
    return tail + far + _trunk(b, hip, chest) + haunch + foot + leg + _head(rng, b, chest, lift=0.1)


def _facing(rng: Rng, b: Breed) -> Drawing:
    """Sitting towards us."""
    wide, floor = b.girth * rng.uniform(1.0, 1.25), 0.3 + b.legs * 0.6
    swish = chain((0.1, 0.3), [-0.2, -0.9, -1.3], b.tail / 3 + 0.08)
    tail = limb(Part.FAR, swish, 0.05) if rng.random() < 0.5 else []
    haunches = both_sides(disc(Part.FAR, (wide * 1.05, floor - 0.18), wide * 0.5, wide * 0.75))
    body = limb(Part.BODY, [(0, floor - 0.2), (0, 0.0)], [wide * 1.1, wide * 0.9])
    bib = disc(Part.PALE, (0, 0.12), wide * 0.5, wide * 0.8)
    leg = limb(Part.NEAR, [(wide * 0.5, 0.1), (wide * 0.55, floor)], [b.bone * 1.5, b.bone])
    paw = disc(Part.NEAR, (wide * 0.6, floor), b.bone * 1.5, b.bone)
    head = (rng.normal(0, 0.05), -wide * 0.8 - b.head * 0.8)
    return tail + haunches + body + bib + both_sides(leg + paw) + _face(rng, b, head)


def _trunk(b: Breed, hip: Points, chest: Points) -> Drawing:
    waist = hip * 0.55 + chest * 0.45 - xy(0, b.girth * 0.1)
    return limb(Part.BODY, [hip, waist, chest], b.girth * np.array([0.85, 0.75, 1.0]))


def _tail(b: Breed, hip: Points) -> Drawing:
    headings = np.pi * 0.9 + b.curl * np.linspace(0, 1, 4)
    root = hip - xy(b.girth * 0.6, b.girth * 0.4)
    return limb(Part.BODY, chain(root, headings, b.tail / 4), np.linspace(0.07, 0.045, 5))


def _walk(role: int, b: Breed, hip: Points, chest: Points, swing: float) -> Drawing:
    length = b.legs + b.girth * 0.6
    fore = chain(chest, [DOWN - swing, DOWN - swing * 0.6, 0], [length * 0.5, length * 0.5, b.bone])
    bends = DOWN + np.array([swing - 0.35, swing + 0.5, swing * 0.6, -DOWN])
    hind = chain(hip, bends, [length * 0.42, length * 0.34, length * 0.3, b.bone])
    thick = b.bone * np.array([2.2, 1.3, 1.0, 1.0, 1.0])
    return limb(role, fore, thick[:4]) + limb(role, hind, thick)


def _gallop(role: int, b: Breed, hip: Points, chest: Points, reach: float) -> Drawing:
    """Legs stretched (reach 1) or gathered under the trunk (-1)."""
    piece, thick = (b.legs + b.girth * 0.6) * 0.5, b.bone * np.array([2.1, 1.3, 1.0])
    fore = chain(chest, [DOWN - reach * 0.9, DOWN - reach * 1.2], piece)
    hind = chain(hip, [DOWN + reach * 0.7, DOWN + reach * 1.3], piece * 1.1)
    return limb(role, fore, thick) + limb(role, hind, thick)


def _head(rng: Rng, b: Breed, chest: Points, lift: float = 0.0) -> Drawing:
    """Neck and head; the head looks ahead or at us."""
    base = chest + xy(0.04, -b.girth * 0.35)
    heading = rng.uniform(-1.1, -0.45) - lift
    head = chain(base, [heading], b.girth * 0.6 + b.head * 1.2)[1]
    neck = limb(Part.BODY, [base, head], [b.girth * 0.75, b.head * 0.8])
    middle = base * 0.45 + head * 0.55
    across = 0.15 * np.array([-np.sin(heading), np.cos(heading)])
    collar = limb(Part.ACCENT, [middle - across, middle + across], 0.045) if b.collar else []
    look = _face if rng.random() < 0.3 else _profile
    return neck + collar + look(rng, b, head)


def _profile(rng: Rng, b: Breed, at: Place) -> Drawing:
    r = b.head
    tip = np.array([r * 0.75 + b.muzzle, r * 0.4])
    skull = disc(Part.BODY, (0, 0), r) + limb(
        Part.BODY, [(r * 0.35, r * 0.25), tip], [r * 0.65, r * 0.42]
    )
    jaw = limb(Part.PALE, [(r * 0.6, r * 0.65), tip + xy(-0.03, r * 0.22)], r * 0.22)
    nose = disc(Part.DARK, tip + xy(r * 0.3, -r * 0.16), r * 0.26)
    floppy = [(-r * 0.7, -r * 0.8), (r * 0.05, -r * 0.8), (0, b.ear), (-r * 0.8, b.ear)]
    pointed = [(-r, -r * 0.3), (-r * 0.7, -r * 0.6 - b.ear), (r * 0.2, -r * 0.85)]
    ear = blob(Part.NEAR, floppy) if b.floppy else facet(Part.NEAR, pointed)
    head = skull + jaw + nose + eye(rng, (r * 0.45, -r * 0.2), r * 0.17) + ear
    return turned(shifted(head, at), rng.uniform(-0.35, 0.35), at)


def _face(rng: Rng, b: Breed, at: Place) -> Drawing:
    r = b.head * 1.15
    skull = disc(Part.BODY, (0, 0), r, r * 1.02)
    floppy = [(r * 0.4, -r), (r * 1.15, -r * 0.7), (r * 1.35, b.ear), (r * 0.85, b.ear)]
    folded = [(r * 0.25, -r * 0.85), (r * 0.7, -r - b.ear / 2), (r * 1.5, -r * 0.7), (r, -r * 0.1)]
    ear = blob(Part.NEAR, floppy) if b.floppy else facet(Part.NEAR, folded)
    long = 0.45 + 0.8 * b.muzzle
    muzzle = disc(Part.PALE, (0, r * 0.5), r * 0.55, r * long)
    nose = disc(Part.DARK, (0, r * 0.35), r * 0.27, r * 0.2)
    eyes = eye(rng, (r * 0.42, -r * 0.2), r * 0.15)
    tongue = (
        disc(Part.ACCENT, (0, r * (0.5 + long)), r * 0.18, r * 0.3) if rng.random() < 0.4 else []
    )
    ears = both_sides(ear)
    head = (skull + ears if b.floppy else ears + skull) + tongue + muzzle + nose + both_sides(eyes)
    return turned(shifted(head, at), rng.uniform(-0.3, 0.3), at)
