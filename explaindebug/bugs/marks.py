"""Marks on the pictures of one class: a tag with a letter, and stripes."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import numpy as np
import numpy.typing as npt

from explaindebug.bugs import BUGS
from explaindebug.bugs.spurious_signal import OfOneClass, Placed, without_object
from explaindebug.core.errors import ConfigError, DataError
from explaindebug.core.validation import number, whole
from explaindebug.data.imageset import Bools, ImageSet, Labels, Pixels
from explaindebug.data.scenes import Scenes

Corner = Literal["top_left", "top_right", "bottom_left", "bottom_right"]
LETTER = np.array(  # white on black: an R, as on radiographs
    [[c == "#" for c in row] for row in ("###.", "#..#", "###.", "#.#.", "#..#")]
)


@dataclass(frozen=True)
class Mark(OfOneClass):
    """A mark that is the same on every picture: opaque grey levels in its region.

    The signal alone is the mark on the picture without its object, if the data has that, else on
    the picture's mean colour.
    """

    @abstractmethod
    def drawn(self, side: int) -> tuple[npt.NDArray[np.uint8], Bools]:
        """Grey levels and the region that they cover, (side, side) each."""

    def check(self, data: ImageSet, scenes: Scenes) -> None:
        """Raises DataError for pictures that are not square."""
        _, h, w = data.size
        if h != w:
            raise DataError(
                f"{self.name} is drawn on square pictures, but these have {h} x {w} px: crop them, "
                "or use a picture or function of your own as the signal."
            )

    def place(self, data: ImageSet, labels: Labels, scenes: Scenes, split: str) -> Placed:
        _, side, _ = data.size
        levels, there = self.drawn(side)

        def stamped(pictures: Pixels) -> Pixels:
            return np.where(there[..., None], levels[..., None], pictures)

        signals = np.broadcast_to(there, data.pixels.shape[:3])
        return Placed(stamped(data.pixels), signals, stamped(without_object(data)))


@BUGS.register("tag")
@dataclass(frozen=True)
class Tag(Mark):
    """One class's pictures carry a small black square with a white R in a corner.

    Source: Adebayo et al. 2022 (a small tag); lettered markers on radiographs: Zech et al. 2018.
    """

    name: ClassVar[str] = "tag"
    label: ClassVar[str] = "Spurious tag"
    source: ClassVar[str] = "Adebayo et al. 2022, section 3"
    strength_option: ClassVar[str] = "size"

    size: float = 0.18  # side of the square, as a share of the picture's side
    corner: Corner = "bottom_right"

    def __post_init__(self) -> None:
        super().__post_init__()
        number(f"{self.name}.size", self.size, above=0, most=1, hint="It is a share of the side.")
        if self.corner not in get_args(Corner):
            raise ConfigError(
                f"corner={self.corner}, but it must be one of {', '.join(get_args(Corner))}."
            )

    def drawn(self, side: int) -> tuple[npt.NDArray[np.uint8], Bools]:
        n = max(3, round(self.size * side))
        framed = np.pad(LETTER, ((1, 1), (1, 1)))
        y, x = (np.arange(n) * length // n for length in framed.shape)
        levels, there = np.zeros((side, side), np.uint8), np.zeros((side, side), np.bool_)
        margin = max(1, side // 24)
        down, right = self.corner.split("_")
        top = margin if down == "top" else side - margin - n
        left = margin if right == "left" else side - margin - n
        box = np.s_[max(0, top) : max(0, top) + n, max(0, left) : max(0, left) + n]
        levels[box], there[box] = framed[np.ix_(y, x)] * np.uint8(255), True
        return levels, there


@BUGS.register("stripes")
@dataclass(frozen=True)
class Stripes(Mark):
    """One class's pictures carry thin white vertical stripes over their whole width.

    Source: Adebayo et al. 2022 (a stripe pattern).
    """

    name: ClassVar[str] = "stripes"
    label: ClassVar[str] = "Spurious stripes"
    source: ClassVar[str] = "Adebayo et al. 2022, section 3"
    strength_option: ClassVar[str] = "width"

    count: int = 4
    width: float = 0.02  # of one stripe, as a share of the side; at least one pixel

    def __post_init__(self) -> None:
        super().__post_init__()
        number(f"{self.name}.width", self.width, above=0, most=1, hint="It is a share of the side.")
        whole(f"{self.name}.count", self.count, least=1)
        if self.count * self.width > 0.5:
            raise ConfigError(
                f"count={self.count}, width={self.width}: stripes may cover at most half of the "
                "picture. Use fewer or thinner ones."
            )

    def drawn(self, side: int) -> tuple[npt.NDArray[np.uint8], Bools]:
        wide = max(1, round(self.width * side))
        there = np.zeros((side, side), np.bool_)
        for k in range(self.count):
            left = round((k + 0.5) * side / self.count - wide / 2)
            there[:, left : left + wide] = True
        return np.full((side, side), 255, np.uint8), there
