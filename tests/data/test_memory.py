"""Memory: shared by threads without going over, and refused where there is not enough."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from time import sleep

import numpy as np
import pytest
from PIL import Image

from explaindebug.core.errors import DataError
from explaindebug.data import image_files as reading
from explaindebug.data import memory, photos


@pytest.mark.parametrize(("amount", "most"), [(30, 3), (60, 1), (1000, 1)])
def test_threads_share_the_room(amount: int, most: int) -> None:
    room, lock, inside, seen = memory.Room(100), Lock(), 0, []

    def work(_: int) -> None:
        nonlocal inside
        with room.taken(amount):
            with lock:
                inside += 1
                seen.append(inside)
            sleep(0.01)
            with lock:
                inside -= 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(12)))
    assert max(seen) == most
    with room.taken(100):  # all is given back
        pass


def test_large_pictures_wait_for_each_other(tmp_path: Path, monkeypatch) -> None:
    taken: list[int] = []

    class Counted(memory.Room):
        def taken(self, amount: int):
            taken.append(amount)
            return super().taken(amount)

    monkeypatch.setattr(reading, "DECODING", Counted(10**6))
    for suffix in ("png", "jpg"):
        Image.new("RGB", (800, 400)).save(tmp_path / f"x.{suffix}")
        reading.read_picture(tmp_path / f"x.{suffix}", 16)
    png, jpeg = taken
    assert png >= 800 * 400 * 8
    assert jpeg < png / 2  # it is decoded at an eighth


def test_more_than_there_is_memory_is_refused_before_anything_is_read(
    tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(memory, "memory", lambda: 10**6)
    parts = [[photos.Photo(tmp_path / "gone.jpg", None, 0)] * n for n in (30, 3, 3)]
    with pytest.raises(DataError, match=r"36 pictures of 128 x 128 .* 1.8 MB .* 1.0 MB in total"):
        photos.decoded(parts, ("a", "b"), 128)


def test_the_limit_of_a_container_counts(tmp_path: Path, monkeypatch) -> None:
    assert memory.memory() > 2**27
    monkeypatch.setattr(memory, "CGROUP", tmp_path / "memory.max")
    whole = memory.memory()
    for content, expected in (("max\n", whole), ("5000000\n", 5_000_000)):
        memory.CGROUP.write_text(content)
        assert memory.memory() == expected


def test_a_bomb_is_named_with_its_size(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((14000, 14000), bool)).save(tmp_path / "bomb.png")
    with pytest.raises(DataError, match=r"bomb.png is too large .*196000000 pixels"):
        reading.read_picture(tmp_path / "bomb.png", 16)
