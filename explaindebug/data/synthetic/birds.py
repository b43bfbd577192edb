"""Birds, looking to the right or at us: a body, a head and wings in one of five poses."""

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
SHOULDER = np.array([0.24, -0.06])


@dataclass(frozen=True)
class Species:
    """Proportions of one bird, in units of about its body's length."""

    chest: float
    neck: float
    head: float
    beak: float
    hook: float  # how far the beak bends down
    legs: float
    bone: float  # radius of a leg
    tail: float
    fork: float
    wing: float
    collar: bool

    @classmethod
    def any(cls, rng: Rng) -> "Species":
        """One of many species."""
        return cls(
            chest=rng.uniform(0.23, 0.32),
            neck=rng.uniform(0.05, 0.2) if rng.random() < 0.75 else rng.uniform(0.2, 0.5),
            head=rng.uniform(0.15, 0.2),
            beak=rng.uniform(0.16, 0.36),
            hook=rng.uniform(-0.02, 0.08),
            legs=rng.uniform(0.15, 0.3) if rng.random() < 0.7 else rng.uniform(0.3, 0.6),
            bone=rng.uniform(0.04, 0.055),
            tail=rng.uniform(0.2, 0.45),
            fork=rng.uniform(-0.06, 0.1),
            wing=rng.uniform(0.8, 1.1),
            collar=bool(rng.random() < 0.3),
        )


def bird(rng: Rng) -> Drawing:
    """A bird of any species in any pose."""
    poses = (_perched, _resting, _passing, _soaring, _facing)
    return poses[rng.integers(len(poses))](rng, Species.any(rng))


def _perched(rng: Rng, s: Species) -> Drawing:
    """On its legs, the body anywhere between level and upright."""
    pitch, stride = rng.uniform(-0.75, 0.1), rng.uniform(0.1, 0.3)
    body = turned(_tail(s) + _torso(s) + _folded(rng, s), pitch)
    shoulder = turned(disc(Part.BODY, SHOULDER, 0.1), pitch)[0].outline.mean(axis=0)
    hip = np.array([-0.02, s.chest * 0.6])
    legs = _leg(Part.FAR, s, hip + xy(0.06, 0), -stride) + _leg(Part.ACCENT, s, hip, stride)
    return legs + body + _head(rng, s, shoulder, rng.uniform(-1.4, -0.7))


def _resting(rng: Rng, s: Species) -> Drawing:
    """Sitting on the ground or swimming."""
    body = turned(_tail(s) + _torso(s) + _folded(rng, s), rng.uniform(-0.15, 0.1))
    return body + _head(rng, s, SHOULDER, rng.uniform(-1.4, -0.9))


def _passing(rng: Rng, s: Species) -> Drawing:
    """Flying past, both wings raised or lowered."""
    side, sweep = rng.choice((-1.0, 1.0), p=(0.65, 0.35)), rng.uniform(-0.35, 0.2)
    near = _raised(Part.NEAR, s, (0.1, 0.05 * side), sweep, side)
    far = _raised(Part.FAR, s, (0.18, 0.05 * side), sweep + rng.uniform(0.2, 0.5), side)
    head = _head(rng, s, SHOULDER, rng.uniform(-0.5, 0.0))
    return turned(far + _tail(s) + _torso(s) + head + near, rng.uniform(-0.5, 0.4))


def _soaring(rng: Rng, s: Species) -> Drawing:
    """Seen from below: wings to both sides, head ahead, tail fanned."""
    top, fan, end = -0.32 - s.neck * 0.7, rng.uniform(0.14, 0.3), 0.3 + s.tail
    tail = facet(Part.NEAR, [(-0.08, 0.2), (0.08, 0.2), (fan, end), (0, end - s.fork), (-fan, end)])
    wings = both_sides(_stretched(s, rng.uniform(-0.35, 0.35)))
    body = limb(Part.BODY, [(0, -0.25), (0, 0.25)], [s.chest * 0.7, s.chest * 0.45])
    neck = limb(Part.BODY, [(0, -0.2), (0, top)], [s.chest * 0.5, s.head * 0.8])
    base = top - s.head * 0.5
    beak = facet(Part.ACCENT, [(-0.08, base), (0, base - s.beak * 1.2), (0.08, base)])
    belly = disc(Part.PALE, (0, 0), s.chest * 0.35, 0.25)
    return turned(tail + wings + beak + neck + body + belly, rng.uniform(-1.0, 1.0))


def _facing(rng: Rng, s: Species) -> Drawing:
    """Perched towards us."""
    w, h = s.chest * rng.uniform(0.95, 1.2), rng.uniform(0.36, 0.46)
    tail = facet(
        Part.FAR, [(-0.08, 0), (0.08, 0), (0.12, h + s.tail * 0.6), (-0.12, h + s.tail * 0.6)]
    )
    foot = np.array([w * 0.45, h * 0.9 + s.legs * 0.8])
    leg = limb(Part.ACCENT, [(w * 0.35, h * 0.7), foot], s.bone)
    toes = limb(Part.ACCENT, [foot - xy(0.07, 0), foot + xy(0.07, 0)], s.bone)
    body = disc(Part.BODY, (0, 0), w, h) + disc(Part.PALE, (0, 0.08), w * 0.65, h * 0.75)
    open_ = rng.uniform(0, 0.5)  # how far the wings stand off
    tip = (w * (0.8 + open_), h * (0.95 - open_))
    wing = blob(
        Part.NEAR, [(w * 0.6, -h * 0.65), (w * (1.15 + open_), -h * 0.1), tip, (w * 0.72, 0)]
    )
    head = np.array([rng.normal(0, 0.03), -h - s.head * 0.3 - s.neck * 0.5])
    neck = limb(Part.BODY, [(0, -h * 0.6), head], [w * 0.6, s.head * 0.9])
    return tail + both_sides(leg + toes) + body + both_sides(wing) + neck + _face(rng, s, head)


def _torso(s: Species) -> Drawing:
    belly = [(0.16, s.chest * 0.35), (-0.2, s.chest * 0.42)]
    return limb(Part.BODY, [(0.14, 0), (-0.4, 0.06)], [s.chest, s.chest * 0.4]) + limb(
        Part.PALE, belly, [s.chest * 0.55, s.chest * 0.3]
    )


def _tail(s: Species) -> Drawing:
    end = -0.45 - s.tail
    return facet(
        Part.NEAR, [(-0.3, -0.06), (end, 0.0), (end + s.fork, 0.09), (end, 0.19), (-0.3, 0.16)]
    )


def _folded(rng: Rng, s: Species) -> Drawing:
    c, tip = s.chest, -0.55 - rng.uniform(0, 0.2)
    rim = [(0.22, -0.1), (0, -c * 0.75), (-0.3, -0.1), (tip, 0.1), (-0.2, c * 0.5), (0.1, c * 0.4)]
    bar = limb(Part.PALE, [(-0.05, 0.06), (-0.4, 0.1)], 0.035) if rng.random() < 0.5 else []
    return blob(Part.NEAR, rim) + bar


def _raised(role: int, s: Species, root: Place, sweep: float, side: float) -> Drawing:
    """A wing from the side, its tip up (side -1) or down (1), swept forward or back."""
    rim = [(0.12, 0), (0.1, 0.45), (-0.15, 1), (-0.28, 0.75), (-0.36, 0.45), (-0.4, 0.1), (-0.3, 0)]
    lean = np.array([[1, 0], [sweep, s.wing * side]])
    return blob(role, np.array(rim) @ lean + np.asarray(root))


def _stretched(s: Species, bend: float) -> Drawing:
    """The right wing from below, its tip bent forward or back."""
    w = s.wing
    front = [(0.02, -0.22), (0.45 * w, -0.32 - 0.1 * bend), (w, -0.1 + 0.5 * bend)]
    return blob(Part.NEAR, [*front, (0.8 * w, 0.06 + 0.4 * bend), (0.4 * w, 0.1), (0.02, 0.14)])


def _leg(role: int, s: Species, hip: Points, stride: float) -> Drawing:
    bends = [DOWN + 0.25 + stride, DOWN - 0.2 + stride]
    joints = chain(hip, bends, (s.legs + s.chest * 0.5) / 2)
    toes = limb(role, [joints[-1] - xy(0.05, 0), joints[-1] + xy(0.13, 0)], s.bone * 0.9)
    return limb(role, joints, s.bone) + toes


def _head(rng: Rng, s: Species, base: Points, heading: float) -> Drawing:
    """Neck and head; the head looks ahead or at us."""
    joints = chain(base, [heading - 0.2, heading + 0.2], s.neck / 2 + s.chest * 0.35)
    middle = max(s.head * 0.6, s.chest * 0.6 - s.neck)
    neck = limb(Part.BODY, joints, [s.chest * 0.7, middle, s.head * 0.8])
    band = [joints[1] - xy(0.1, 0), joints[1] + xy(0.1, 0.02)]
    collar = limb(Part.ACCENT, band, 0.04) if s.collar else []
    look = _face if rng.random() < 0.15 else _profile
    return neck + collar + look(rng, s, joints[-1])


def _profile(rng: Rng, s: Species, at: Place) -> Drawing:
    r = s.head
    beak = facet(
        Part.ACCENT, [(r * 0.6, -r * 0.5), (r * 0.8 + s.beak, s.hook + 0.02), (r * 0.6, r * 0.5)]
    )
    crest = facet(Part.NEAR, [(-r * 0.2, -r * 0.9), (-r * 1.5, -r * 1.3), (-r * 0.95, -r * 0.1)])
    cheek = disc(Part.PALE, (r * 0.1, r * 0.45), r * 0.5, r * 0.35)
    head = (crest if rng.random() < 0.2 else []) + beak + disc(Part.BODY, (0, 0), r)
    head += cheek if rng.random() < 0.4 else []
    head += eye(rng, (r * 0.4, -r * 0.2), r * 0.18)
    return turned(shifted(head, at), rng.uniform(-0.3, 0.3), at)


def _face(rng: Rng, s: Species, at: Place) -> Drawing:
    r = s.head * 1.1
    beak = facet(Part.ACCENT, [(-r * 0.4, 0), (r * 0.4, 0), (0, r * 0.4 + s.beak * 0.7)])
    head = disc(Part.BODY, (0, 0), r) + both_sides(eye(rng, (r * 0.48, -r * 0.2), r * 0.16)) + beak
    return turned(shifted(head, at), rng.uniform(-0.3, 0.3), at)
