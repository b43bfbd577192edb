"""A picture of one's own on the pictures of one class: a tag, a stamp, a border, a watermark."""

import hashlib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

import numpy as np
from PIL import Image

from explaindebug.bugs import BUGS
from explaindebug.bugs.spurious_signal import OfOneClass, Placed, without_object
from explaindebug.core.errors import ConfigError, DataError, DataWarning
from explaindebug.core.registry import nearest
from explaindebug.core.validation import number
from explaindebug.data.image_files import opened, turn_of, turned
from explaindebug.data.imageset import ImageSet, Labels, Pixels
from explaindebug.data.modes import Notes, colours
from explaindebug.data.scenes import Scenes

Place = Literal["top_left", "top_right", "bottom_left", "bottom_right", "centre", "everywhere"]
USUAL_SIZE = 0.2


@BUGS.register("image")
@dataclass(frozen=True)
class PictureSignal(OfOneClass):
    """One class's pictures carry a picture from a file, blended by its alpha channel.

    out = a x picture + (1 - a) x photograph, with a = alpha x opacity. The signal is where a is
    above 0; without an alpha channel it is the whole rectangle. The file is read once, when this is
    made. On grey pictures its grey levels are used (ITU-R 601).

    Args:
        path: the file, relative to the current folder.
        at: a corner, `centre`, or `everywhere`: stretched over the whole picture, for borders and
            watermarks.
        size: its longer side as a share of the picture's shorter one, 0.2 if not given; not with
            `everywhere`.
        opacity: what its alpha is multiplied by.
        called: what reports call it; by default the file's name.

    Raises:
        ConfigError: for an unknown place, or a size or an opacity outside (0, 1].
        DataError: for a file that can't be read, or that is transparent everywhere.

    Source: the marks of Adebayo et al. 2022, section 3, with a picture of the user's.
    """

    name: ClassVar[str] = "image"
    label: ClassVar[str] = "Spurious picture"
    source: ClassVar[str] = "Adebayo et al. 2022, section 3"

    path: str = field(kw_only=True)
    at: Place = "bottom_right"
    size: float | None = None
    opacity: float = 1.0
    called: str | None = None
    sha256: str = field(init=False)  # of the file: with other content it is another bug
    stamp: Pixels = field(init=False, repr=False, compare=False)  # (h, w, 4), colours and alpha
    notes: Notes = field(init=False, repr=False, compare=False)  # decisions in reading the file

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.at not in get_args(Place):
            known = list(get_args(Place))
            raise ConfigError(
                f"image.at={self.at}: no such place.{nearest(str(self.at), known)} Known: "
                f"{', '.join(known)}."
            )
        if self.at == "everywhere" and self.size is not None:
            raise ConfigError(
                f"image.size={self.size}, but a picture that is everywhere has the size of the "
                "photograph: leave size out, or choose another place."
            )
        size = USUAL_SIZE if self.size is None else self.size
        hint = "It is a share of the photograph's side: 1 is as large as the photograph."
        number("image.size", size, above=0, most=1, hint=hint)
        number("image.opacity", self.opacity, above=0, most=1)
        if not isinstance(self.path, str | Path):
            raise ConfigError(f"image.path={self.path!r}, but it must be a picture file.")
        stamp, notes, sha256 = read_stamp(Path(self.path).expanduser())
        for name, value in (("sha256", sha256), ("stamp", stamp), ("notes", notes)):
            object.__setattr__(self, name, value)

    @property
    def title(self) -> str:
        return f"Spurious {self.called or Path(self.path).stem}"

    @property
    def stronger(self) -> str:
        ways = ["size"] if self.at != "everywhere" else []
        ways += ["opacity"] if self.opacity < 1 else []
        return f"a larger {' or '.join(ways)} of {self.path}" if ways else ""

    @property
    def plain(self) -> Mapping[str, Any]:
        kept = {one.name: getattr(self, one.name) for one in fields(self) if one.repr}
        return kept | {"path": str(self.path)}

    def check(self, data: ImageSet, scenes: Scenes) -> None:
        """Raises DataError if the photographs are too small for it, or it would hide them."""
        for note in self.notes:
            warnings.warn(f"1 signal of 1 {note}: {self.path}.", DataWarning, stacklevel=2)
        channels, height, width = data.size
        if channels == 1 and np.ptp(self.stamp[..., :3], axis=-1).any():
            warnings.warn(
                f"{self.path} has colours, but the photographs are grey: its grey levels are used.",
                DataWarning,
                stacklevel=2,
            )
        alpha = self.drawn((height, width))[..., 3]
        if not alpha.any():
            raise DataError(
                f"{self.path} leaves no trace on photographs of {width} x {height} pixels: make "
                "it larger (size) or more opaque (opacity)."
            )
        if alpha.all():
            raise DataError(
                f"{self.path} covers the whole photograph, so no part of a map would be off the "
                "signal: make it smaller (size), or give it an alpha channel that is 0 where the "
                "photograph should show."
            )

    def drawn(self, shape: tuple[int, int]) -> Pixels:
        """Colours and alpha (h, w, 4), in place on a photograph of this shape (h, w)."""
        h, w = shape
        there = np.zeros((h, w, 4), np.uint8)
        if self.at == "everywhere":
            box, high, wide = np.s_[:, :], h, w
        else:
            box, high, wide = self._box(h, w)
        small = Image.fromarray(self.stamp).resize((wide, high), Image.Resampling.BILINEAR)
        there[box] = np.asarray(small)
        there[..., 3] = np.rint(self.opacity * there[..., 3])
        return there

    def _box(self, h: int, w: int) -> tuple[Any, int, int]:
        """Where it is, its height and its width."""
        high, wide, _ = self.stamp.shape
        side = (USUAL_SIZE if self.size is None else self.size) * min(h, w)
        high, wide = (max(1, round(side * x / max(high, wide))) for x in (high, wide))
        margin = max(1, min(h, w) // 24)
        top, left = (h - high) // 2, (w - wide) // 2  # the centre
        if self.at != "centre":
            down, right = self.at.split("_")
            up, aside = min(margin, top), min(margin, left)
            top = up if down == "top" else h - up - high
            left = aside if right == "left" else w - aside - wide
        return np.s_[top : top + high, left : left + wide], high, wide

    def place(self, data: ImageSet, labels: Labels, scenes: Scenes, split: str) -> Placed:
        channels, height, width = data.size
        drawn = self.drawn((height, width))
        ink = drawn[..., :3] if channels == 3 else _grey(drawn)
        alpha = drawn[..., 3:] / np.float32(255)

        def blended(pictures: Pixels) -> Pixels:
            return np.rint(alpha * ink + (1 - alpha) * pictures).astype(np.uint8)

        signals = np.broadcast_to(drawn[..., 3] > 0, data.pixels.shape[:3])
        return Placed(blended(data.pixels), signals, blended(without_object(data)))


def read_stamp(path: Path) -> tuple[Pixels, Notes, str]:
    """A picture's colours and alpha (h, w, 4), decisions in reading it, and its file's SHA-256.

    Raises:
        DataError: for a file that can't be read, or that is transparent everywhere.
    """
    with opened(path, "signal") as image:
        rgb, notes = (image, ()) if image.has_transparency_data else colours(image)
        stamp = turned(np.asarray(rgb.convert("RGBA")), turn_of(image))
    if not stamp[..., 3].any():
        raise DataError(f"{path} is transparent everywhere, so there is no signal in it.")
    return stamp, notes, hashlib.sha256(path.read_bytes()).hexdigest()


def _grey(drawn: Pixels) -> Pixels:
    """Grey levels (h, w, 1) of a picture (h, w, 4)."""
    return np.asarray(Image.fromarray(drawn).convert("RGB").convert("L"))[..., None]
