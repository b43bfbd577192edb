"""Occlusion: how much the logit drops where a window is switched off."""

import math
from dataclasses import dataclass, replace
from itertools import product
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn

from explaindebug.attributions._engine.method import ATTRIBUTIONS, Method, Passes
from explaindebug.attributions._engine.targets import logits_of
from explaindebug.attributions._support.off import (
    Off,
    checked_off,
    of_references,
    off_images,
    require_colour,
)
from explaindebug.attributions._support.options import one_of
from explaindebug.attributions._support.perturbation import at_once, mixed, output_of
from explaindebug.core.errors import AttributionError
from explaindebug.core.validation import number


class Window(NamedTuple):
    """A rectangle of pixels."""

    rows: slice
    columns: slice


@dataclass(frozen=True)
class Occluded(Passes):
    """The drop (n, windows) of the explained output as each window is switched off, in float64."""

    size: float
    stride: float
    off: Off
    output: str

    @property
    def calls(self) -> tuple[float, float]:
        return 1.0 + _along(self.size, self.stride) ** 2, 0.0

    def windows(self, height: int, width: int) -> list[Window]:
        """All windows of a picture; together they cover every pixel."""
        sides = (_spans(side, self.size, self.stride) for side in (height, width))
        return [Window(*pair) for pair in product(*sides)]

    def check_images(self, images: Tensor) -> None:
        height, width = images.shape[2:]
        if self.size * min(height, width) < 1:
            raise AttributionError(
                f"a window of size={self.size:g} is less than a pixel of images of {height} x "
                f"{width}: use a size of at least {1 / min(height, width):.2g}."
            )

    @torch.no_grad()
    def run(self, model: nn.Module, images: Tensor, targets: Tensor, batch: int = 32) -> Tensor:
        windows = self.windows(*images.shape[2:])
        whole = output_of(logits_of(model, images), targets, self.output).double()
        step = at_once(images, batch, len(windows))
        found = []
        for image, target in zip(images, targets, strict=True):
            few = (windows[i : i + step] for i in range(0, len(windows), step))
            found.append(torch.cat([self._outputs(model, image, target, w) for w in few]))
        return whole[:, None] - torch.stack(found)

    def _outputs(
        self, model: nn.Module, image: Tensor, target: Tensor, windows: list[Window]
    ) -> Tensor:
        """The outputs (k,) for one image (c, h, w) with one of k windows off in each."""
        keep = torch.ones(len(windows), 1, *image.shape[1:], dtype=torch.bool, device=image.device)
        for mask, window in zip(keep, windows, strict=True):
            mask[:, *window] = False
        logits = logits_of(model, mixed(keep, image, self._off(image, windows)))
        return output_of(logits, target.expand(len(windows)), self.output).double()

    def _off(self, image: Tensor, windows: list[Window]) -> Tensor:
        """What the windows show: (c, h, w), or (k, c, 1, 1) where each has a mean colour."""
        if self.off != "mean":
            return off_images(self.off, image[None], image.new_zeros(1, *image.shape[1:]).long())[0]
        means = [image[:, *window].double().mean((1, 2)) for window in windows]
        return torch.stack(means).to(image)[..., None, None]


@ATTRIBUTIONS.register("occlusion")
@dataclass(frozen=True)
class Occlusion(Method):
    """How much the logit drops as a window is switched off, on average over a pixel's windows.

        mean over the windows W that cover the pixel of F(x) - F(x with W off)

    Windows have the picture's proportions and start at multiples of the stride; those at the right
    and at the bottom end with the picture. The map is the same in all channels.

    Args:
        size: of a window, as a share of the picture's height and width: 0.25 is 8 of 32 pixels.
        stride: from one window to the next, likewise; at most the size. With half of the size, a
            pixel lies in four windows. Passes grow with its inverse, squared.
        off: what a window that is switched off shows: `mean` (its own mean colour), `zeros`, a
            number or one for each channel, `training_mean` (that of the references), all in the
            model's input space, or `blur` (a Gaussian of a tenth of the shorter side). A window
            that this doesn't change counts 0: with `mean` one of a single colour.
        output: what is explained, `logit` or `probability`.

    Layers: any model, as no gradient is needed.

    Raises:
        ConfigError: for an option out of range, or `training_mean` without references.
        AttributionError: for windows of less than a pixel.

    Checked: captum's Occlusion (float64, 1e-6); a linear network's closed form, every way of
    switching off (float64, 1e-9). tests/attributions/test_occlusion.py

    Differs: captum has windows in pixels and no mean colours.

    Source: Zeiler, Fergus 2014, section 4.2.
    """

    size: float = 0.25
    stride: float = 0.125
    off: Off = "mean"
    output: str = "logit"

    label = "Occlusion"
    source = "Zeiler, Fergus 2014, section 4.2"

    def __post_init__(self) -> None:
        shares = "It is a share of the picture: 0.25 for 8 of 32 pixels."
        number(f"{self.label}: size", self.size, above=0, most=1, hint=shares)
        number(f"{self.label}: stride", self.stride, above=0, most=self.size, hint=shares)
        object.__setattr__(self, "off", checked_off(self.off, self.label))
        one_of(("logit", "probability"), "output", self.output, self.label)

    def prepare(self, model: nn.Module, references: Tensor) -> Self:
        return replace(self, off=of_references(self.off, references))

    @property
    def passes(self) -> Occluded:
        require_colour(self.off, self.label)
        return Occluded(self.size, self.stride, self.off, self.output)

    def reduce(self, images: Tensor, result: Tensor) -> Tensor:
        n, c, height, width = images.shape
        total = torch.zeros(n, height, width, dtype=torch.float64, device=images.device)
        covered = torch.zeros_like(total[0])
        for window, drop in zip(self.passes.windows(height, width), result.T, strict=True):
            total[:, *window] += drop[:, None, None]
            covered[*window] += 1
        return (total / covered)[:, None].to(images).expand(n, c, height, width)


def _along(size: float, stride: float) -> int:
    """Windows along a side, whatever its length: the last is the first that reaches the end."""
    return math.ceil(round((1 - size) / stride, 9)) + 1


def _spans(side: int, size: float, stride: float) -> list[slice]:
    """The windows along a side, in whole pixels; no pixel is left out between two of them."""

    def at(share: float) -> int:
        return math.floor(min(1.0, share) * side + 0.5)

    starts = (k * stride for k in range(_along(size, stride)))
    return [slice(at(start), at(start + size)) for start in starts]
