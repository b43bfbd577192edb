"""Outlines: a drawing is a list of filled shapes, later ones in front of earlier ones.

Coordinates are (x, y), y downwards, in any unit; `framed` transforms a drawing to picture
coordinates, 0 to 1 from the upper left corner.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]  # (k, 2)
Place = Points | tuple[float, float]
Places = Points | Sequence[Place]  # (k, 2)
Rng = np.random.Generator


def _unit(angle: npt.NDArray[np.float64]) -> Points:
    return np.concatenate([np.cos(angle)[..., None], np.sin(angle)[..., None]], axis=-1)


_CIRCLE = _unit(np.linspace(0, 2 * np.pi, 18, endpoint=False))
_ARC = np.linspace(0, 1, 12)


class Shape(NamedTuple):
    """A filled outline; `role` is the number (from 1) of the paint that fills it."""

    outline: Points
    role: int


Drawing = list[Shape]


def xy(x: float, y: float) -> Points:
    """A vector or position as an array."""
    return np.array([x, y])


def facet(role: int, points: Places) -> Drawing:
    """A polygon with sharp corners."""
    return [Shape(np.asarray(points, dtype=float), role)]


def box(
    role: int, left: float, top: float, right: float, bottom: float, lean: float = 0
) -> Drawing:
    """An upright rectangle, its lower side shifted by `lean`."""
    return facet(role, [(left, top), (right, top), (right + lean, bottom), (left + lean, bottom)])


def blob(role: int, points: Places, *, steps: int = 5) -> Drawing:
    """A closed smooth curve through the points (Catmull-Rom spline)."""
    p1 = np.asarray(points, dtype=float)
    p0, p2, p3 = (np.roll(p1, shift, axis=0) for shift in (1, -1, -2))
    t = np.arange(steps)[:, None, None] / steps
    bend, twist = 2 * p0 - 5 * p1 + 4 * p2 - p3, 3 * (p1 - p2) + p3 - p0
    curve = p1 + 0.5 * t * (p2 - p0 + t * (bend + t * twist))  # (steps, k, 2)
    return [Shape(curve.transpose(1, 0, 2).reshape(-1, 2), role)]


def disc(role: int, centre: Place, rx: float, ry: float | None = None, turn: float = 0) -> Drawing:
    """An ellipse, its x axis turned by `turn` radians."""
    ring = _CIRCLE * (rx, rx if ry is None else ry)
    return [Shape((ring @ rotation(turn) if turn else ring) + np.asarray(centre), role)]


def limb(role: int, joints: Places, radii: npt.ArrayLike) -> Drawing:
    """Round joints (k, 2), joined by straight tapering pieces; one radius per joint, or one."""
    points = np.asarray(joints, dtype=float)
    r = np.broadcast_to(np.asarray(radii, dtype=float), len(points))[:, None]
    dx, dy = np.diff(points, axis=0).T[..., None]  # (pieces, 1) each
    heading, length = np.arctan2(dy, dx), np.maximum(np.hypot(dx, dy), 1e-9)
    touch = np.arccos(((r[:-1] - r[1:]) / length).clip(-1, 1))  # where the common tangent touches
    back = heading + touch + _ARC * 2 * (np.pi - touch)
    front = heading - touch + _ARC * 2 * touch
    starts = points[:-1, None] + r[:-1, None] * _unit(back)
    ends = points[1:, None] + r[1:, None] * _unit(front)
    return [Shape(outline, role) for outline in np.concatenate([starts, ends], axis=1)]


def chain(start: Place, headings: npt.ArrayLike, lengths: npt.ArrayLike) -> Points:
    """Joints (k + 1, 2) of a chain: each piece has an absolute heading (radians) and a length."""
    steps = _unit(np.asarray(headings, dtype=float)) * np.expand_dims(lengths, -1)
    joints: Points = np.concatenate([np.zeros((1, 2)), steps.cumsum(axis=0)]) + np.asarray(start)
    return joints


def move(drawing: Drawing, matrix: npt.ArrayLike, shift: Place = (0.0, 0.0)) -> Drawing:
    """The drawing with every point p at `p @ matrix + shift`."""
    m, offset = np.asarray(matrix, dtype=float), np.asarray(shift, dtype=float)
    return [Shape(s.outline @ m + offset, s.role) for s in drawing]


def shifted(drawing: Drawing, shift: Place) -> Drawing:
    """The drawing moved by a vector."""
    return move(drawing, np.eye(2), shift)


def turned(drawing: Drawing, angle: float, about: Place = (0.0, 0.0)) -> Drawing:
    """The drawing turned by `angle` radians about a point, clockwise on the screen."""
    pivot, matrix = np.asarray(about, dtype=float), rotation(angle)
    return move(drawing, matrix, pivot - pivot @ matrix)


def mirrored(drawing: Drawing) -> Drawing:
    """The drawing mirrored left to right."""
    return move(drawing, np.diag([-1.0, 1.0]))


def both_sides(drawing: Drawing) -> Drawing:
    """The drawing and its mirror image."""
    return drawing + mirrored(drawing)


def rotation(angle: float) -> Points:
    """The matrix that turns row vectors by `angle`, from x towards y."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, s], [-s, c]])


def framed(drawing: Drawing, rng: Rng, reach: tuple[float, float], margin: float) -> Drawing:
    """The drawing in picture coordinates, at a random position inside the picture.

    The side of its bounding box (geometric mean of both) is in `reach`, or less if it would come
    closer to the border than `margin`.
    """
    points = np.concatenate([s.outline for s in drawing])
    low, sides = points.min(axis=0), np.ptp(points, axis=0)
    scale = min(rng.uniform(*reach) / np.sqrt(sides.prod()), (1 - 2 * margin) / sides.max())
    corner = margin + (1 - 2 * margin - scale * sides) * rng.random(2)
    return move(drawing, np.eye(2) * scale, corner - low * scale)
