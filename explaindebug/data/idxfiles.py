"""Arrays from idx files, the format of MNIST: raw or gzipped, whole or in parts.

Not by torchvision's `MNIST`: it finds no gzipped files and no other folder than `MNIST/raw`, keeps
what a killed download has half unpacked, takes labels and pictures of different numbers, and reads
a whole file before it looks at how much that is.
"""

import gzip
import math
import re
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from explaindebug.core.errors import DataError
from explaindebug.data.imageset import Labels, Pixels
from explaindebug.data.memory import check_memory

CHUNK = 2**20  # bytes
GZIP = 1032  # a gzipped file unpacks to so many times its size, at most
PART = re.compile(r"part(\d+)-of(\d+)")


def load_idx(folders: Sequence[Path], stem: str) -> tuple[Pixels, Labels]:
    """Pictures (n, h, w) and labels (n,) of `train` or `t10k`.

    Where only the first parts of the pictures are there, labels without a picture are left out.

    Raises:
        DataError: for files that are missing, corrupt, truncated, or don't belong together.
    """
    paths = idx_files(folders, f"{stem}-images", 3)
    (label_path,) = idx_files(folders, f"{stem}-labels", 1)
    images = np.concatenate([read_idx(path, 3) for path in paths])
    labels = read_idx(label_path, 1).astype(np.int64)
    first_parts = len(paths) < _parts_in_all(paths[0])
    if len(images) > len(labels) or (len(images) < len(labels) and not first_parts):
        raise DataError(
            f"{', '.join(map(str, paths))}: {len(images)} pictures, but {len(labels)} labels in "
            f"{label_path}. They don't belong together; get both again."
        )
    return images, labels[: len(images)]


def idx_files(folders: Sequence[Path], stem: str, dims: int) -> list[Path]:
    """The file, or its parts in order, in the first folder that has any.

    Raises:
        DataError: where no folder has any, or a part between others is missing.
    """
    name = re.compile(rf"{stem}[-.](part\d+-of\d+[-.])?idx{dims}-ubyte(\.gz)?")
    for folder in (folder for folder in folders if folder.is_dir()):
        found = sorted(p for p in folder.iterdir() if name.fullmatch(p.name) and p.is_file())
        whole = [path for path in found if not PART.search(path.name)]
        if whole:
            return whole[:1]
        if found:
            return _in_order(found)
    raise DataError(
        f"there is no {stem}-idx{dims}-ubyte, with or without .gz, in any of "
        f"{', '.join(str(folder.resolve()) for folder in folders)}. Set `root` to the folder that "
        "holds it, or `download: true` to fetch the data."
    )


def read_idx(path: Path, dims: int) -> Pixels:
    """The file's bytes as an array of `dims` dimensions; raises DataError for what is no such file.

    Layout: two zero bytes, 8 for unsigned bytes, the number of dimensions, each dimension as a
    big-endian 32-bit number, then the bytes.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            return _array(path, file, dims)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} can't be read ({error}). Get the file again.") from error


def _array(path: Path, file: gzip.GzipFile | BinaryIO, dims: int) -> Pixels:
    """No more is read than the file's head promises, whatever a gzipped file unpacks to."""
    head = file.read(4 + 4 * dims)
    if head[:4] != bytes([0, 0, 8, dims]) or len(head) < 4 + 4 * dims:
        raise DataError(
            f"{path} starts with {head[:4].hex(' ') or 'nothing'}, not with 00 00 08 "
            f"{dims:02d}, as an idx file of {dims} dimensions does. Get the file again."
        )
    shape = struct.unpack(f">{dims}I", head[4:])
    promised = math.prod(shape)
    possible = path.stat().st_size * (GZIP if path.suffix == ".gz" else 1)
    check_memory(
        min(promised, possible),
        f"{path}, which says that it holds {' x '.join(map(str, shape))} bytes,",
        "Get the file again, or use a smaller one.",
    )
    content = bytearray()
    while chunk := file.read(min(CHUNK, promised + CHUNK - len(content))):
        content += chunk
    if len(content) != promised:
        more = "more than " if len(content) == promised + CHUNK else ""
        raise DataError(
            f"{path} should hold {' x '.join(map(str, shape))} bytes, but holds {more}"
            f"{len(content)}: it was cut off or damaged. Get the file again."
        )
    return np.frombuffer(content, np.uint8).reshape(shape)


def _in_order(paths: list[Path]) -> list[Path]:
    numbers = [int(match[1]) for path in paths if (match := PART.search(path.name))]
    by_number = dict(sorted(zip(numbers, paths, strict=True)))
    if list(by_number) != list(range(len(by_number))):
        raise DataError(
            f"{paths[0].parent} has parts {', '.join(map(str, by_number))} of "
            f"{_parts_in_all(paths[0])}, but parts can be used only from 0 on without a gap."
        )
    return list(by_number.values())


def _parts_in_all(path: Path) -> int:
    match = PART.search(path.name)
    return int(match[2]) if match else 1
