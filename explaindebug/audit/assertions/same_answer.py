"""An edit that should not matter does not change the answer."""

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import NamedTuple

import numpy as np
from PIL import Image
from torch import Tensor

from explaindebug.audit.assertions._bytes import as_pictures
from explaindebug.audit.assertions.base import ASSERTIONS, Assertion, Case, beyond, similarity
from explaindebug.core.errors import ConfigError
from explaindebug.core.registry import Registry
from explaindebug.core.validation import number
from explaindebug.debugtests.reliance import probabilities

SHIFT = 1 / 16  # of the width
BRIGHTER = 0.1  # of each input's range
QUALITY = 50  # of a JPEG file: artefacts can be seen, the content is not in doubt


class Edit(NamedTuple):
    """An edit of images (n, c, h, w), and how a map of the original follows it."""

    images: Callable[[Tensor], Tensor]
    maps: Callable[[Tensor], Tensor]


EDITS: Registry[Edit] = Registry("edit")


def flip(x: Tensor) -> Tensor:
    """Left and right exchanged."""
    return x.flip(-1)


def shift(x: Tensor) -> Tensor:
    """Moved to the right by 1/16 of the width, at least a pixel; what leaves comes back."""
    return x.roll(max(1, round(SHIFT * x.shape[-1])), -1)


def brighten(x: Tensor) -> Tensor:
    """Brighter by a tenth of each image's range."""
    return x + BRIGHTER * (x.amax((1, 2, 3), keepdim=True) - x.amin((1, 2, 3), keepdim=True))


def jpeg(x: Tensor) -> Tensor:
    """Written to a JPEG file of quality 50 and read again."""
    pixels, back = as_pictures(x, "same_answer: edit=jpeg")
    found = np.empty_like(pixels)
    for i, picture in enumerate(pixels):
        file = BytesIO()
        Image.fromarray(picture.squeeze(-1) if picture.shape[-1] == 1 else picture).save(
            file, "JPEG", quality=QUALITY
        )
        found[i] = np.asarray(Image.open(file)).reshape(picture.shape)
    return back(found)


EDITS.register("flip")(Edit(flip, flip))
EDITS.register("shift")(Edit(shift, shift))
EDITS.register("brightness")(Edit(brighten, lambda x: x))
EDITS.register("jpeg")(Edit(jpeg, lambda x: x))


@ASSERTIONS.register("same_answer")
@dataclass(frozen=True)
class SameAnswer(Assertion):
    """Under an edit, the predicted class loses at most this much of its probability.

    Severity is the drop beyond. There is a second number, the `drift` of the map: 1 minus its rank
    correlation to the original's, edited likewise. A stable answer with an unstable reason is a
    finding of its own. Only you know which edits don't matter: a flip changes a traffic sign.
    """

    name = "same_answer"

    edit: str
    at_most: float = 0.1

    def __post_init__(self) -> None:
        if not isinstance(self.edit, str):
            raise ConfigError(f"same_answer: edit must be one of {', '.join(EDITS)}.")
        EDITS[self.edit]
        number("same_answer: at_most", self.at_most, least=0, most=1)

    @property
    def claim(self) -> str:
        return f"under {self.edit}, the class loses at most {self.at_most:g} of probability"

    def severity(self, case: Case) -> Tensor:
        images, network = case.probe.image, case.network
        before = probabilities(network, images, case.targets, case.chunk)
        edited = EDITS[self.edit].images(images)
        return beyond(
            before - probabilities(network, edited, case.targets, case.chunk), self.at_most
        )

    def drift(self, case: Case) -> Tensor:
        edit = EDITS[self.edit]
        moved = case.explain(case.network, edit.images(case.probe.image), case.targets)
        return 1 - similarity(edit.maps(case.maps), moved)
