"""Draws the package's rooms, floor by floor, from its imports: `python docs/architecture.py`.

A room stands one floor above the highest room that it imports from. Lines lead down to those that
it imports from and doesn't reach through another one. `configs` holds no code and is left out.
tests/docs/test_architecture.py asserts that the picture is up to date.
"""

import ast
import textwrap
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "explaindebug"
PICTURE = ROOT / "docs/pictures/architecture.svg"
WIDTH, HEIGHT = 2.7, 0.62  # inches of a room
APART, FLOOR = 0.35, 1.0  # inches between rooms, and from floor to floor
INK, LINE, ROOM, MUTED = "#1b1d21", "#9aa1ac", "#eef2f7", "#5d626c"


def rooms() -> dict[str, set[str]]:
    """Room -> the rooms that its modules import from."""
    names = sorted({path.parent.name for path in PACKAGE.glob("*/__init__.py")} - {"configs"})
    return {name: imported(name) & set(names) - {name} for name in names}


def imported(room: str) -> set[str]:
    """What follows `explaindebug.` in all imports of a room's modules."""
    found = set()
    for path in (PACKAGE / room).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                module, *rest = node.module.split(".")
                whole = rest[:1] or [alias.name for alias in node.names]
                found |= set(whole) if module == PACKAGE.name else set()
    return found


def floors(below: Mapping[str, set[str]]) -> list[list[str]]:
    """The rooms of each floor, the ground first."""

    @cache
    def floor(room: str) -> int:
        return 1 + max(map(floor, below[room]), default=-1)

    highest = max(map(floor, below))
    return [sorted(r for r in below if floor(r) == k) for k in range(highest + 1)]


def direct(below: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Of the rooms that a room imports from, those that it doesn't reach through another one."""

    def reached(room: str) -> set[str]:
        return below[room].union(*map(reached, below[room]))

    return {room: own - set().union(*map(reached, own)) for room, own in below.items()}


def question(room: str) -> str:
    """The first line of a room's docstring."""
    tree = ast.parse((PACKAGE / room / "__init__.py").read_text())
    return (ast.get_docstring(tree) or "").split("\n")[0]


def draw() -> Figure:
    """The picture."""
    below = rooms()
    plan = floors(below)
    widest = max(map(len, plan))
    width, height = widest * (WIDTH + APART) + 2 * APART, len(plan) * FLOOR + 0.2
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(0, height))
    axes.set_axis_off()
    places = {}
    for k, row in enumerate(plan):
        left = (width - len(row) * (WIDTH + APART) + APART) / 2
        shift = APART * (k % 2) - APART / 2  # so that lines between distant floors stay visible
        for i, room in enumerate(row):
            places[room] = (left + shift + i * (WIDTH + APART), k * FLOOR + 0.25)
    for room, lower in direct(below).items():
        for other in sorted(lower):
            _line(axes, places[room], places[other])
    for room, place in places.items():
        _room(axes, room, place)
    return figure


def _line(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    x = (start[0] + WIDTH / 2, end[0] + WIDTH / 2)
    axes.plot(x, (start[1], end[1] + HEIGHT), color=LINE, linewidth=0.9, zorder=1)


def _room(axes: Axes, room: str, place: tuple[float, float]) -> None:
    from matplotlib.patches import FancyBboxPatch

    style = "round,pad=0,rounding_size=0.06"
    box = FancyBboxPatch(place, WIDTH, HEIGHT, boxstyle=style, fc=ROOM, ec=LINE, lw=0.8, zorder=2)
    axes.add_patch(box)
    x, y = place
    axes.text(x + 0.1, y + HEIGHT - 0.17, room, color=INK, fontsize=10, weight="bold", va="center")
    said = "\n".join(textwrap.wrap(question(room), 50)[:2])
    axes.text(x + 0.1, y + 0.2, said, color=MUTED, fontsize=6.2, va="center", linespacing=1.25)


def main() -> None:
    import matplotlib

    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "rooms"}):
        draw().savefig(PICTURE, metadata={"Date": None, "Creator": None})
    print(f"{PICTURE.relative_to(ROOT)}: {' < '.join(', '.join(f) for f in floors(rooms()))}")


if __name__ == "__main__":
    main()
