"""The picture of the rooms is up to date, and each room is on the page."""

import re
from pathlib import Path

import matplotlib
from docs_scripts import script

import explaindebug

architecture = script("architecture")
PAGE = (architecture.ROOT / "docs/architecture.md").read_text()


def test_the_picture_shows_the_rooms_and_lines_that_there_are() -> None:
    """Texts and lines, not bytes: these depend on matplotlib's version and its fonts."""
    drawn = architecture.PICTURE.read_text()
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        (axes,) = architecture.draw().axes
    for text in axes.texts:
        for line in text.get_text().split("\n"):
            assert f">{line}<" in drawn.replace("&gt;", ">"), "run `python docs/architecture.py`"
    found = re.findall(r'<g id="line2d_\d+">', drawn)
    assert len(found) == len(axes.lines)


def test_floors_follow_the_imports() -> None:
    below = {"a": set(), "b": {"a"}, "c": {"a", "b"}, "d": {"a"}}
    assert architecture.floors(below) == [["a"], ["b", "d"], ["c"]]
    assert architecture.direct(below)["c"] == {"b"}


def test_the_page_has_every_room_and_files_that_exist() -> None:
    for room in architecture.rooms():
        assert f"`{room}`" in PAGE, room
    package = Path(explaindebug.__file__).parent
    for name in re.findall(r"`([\w/]+\.(?:py|yaml))`", PAGE):
        assert (package / name).exists() or (package.parent / name).exists(), name
