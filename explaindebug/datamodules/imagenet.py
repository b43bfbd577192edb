"""ImageNet's validation pictures, for networks trained on ImageNet."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from explaindebug.core.errors import DataError
from explaindebug.data.imageset import ImageSet
from explaindebug.data.official import Found, Source
from explaindebug.data.official.imagenet import imagenet
from explaindebug.data.photos import Photo, distinct, shuffled
from explaindebug.data.splits import Amount
from explaindebug.datamodules.official import Official


class ImageNet(Official):
    """Pictures with the 1,000 classes in the order of torchvision's weights; no masks.

    All splits are drawn from the validation pictures: "training" pictures serve as references for
    methods that need them. By default pictures are preprocessed as usual for such networks: a
    central square of 7/8 of the shorter side, at 224 pixels, with ImageNet's mean and standard
    deviation.

    Args:
        options: those of `Official` except `split`.
    """

    def __init__(
        self,
        *,
        size: int = 224,
        train: Amount = 256,
        val: Amount = 64,
        test: Amount = 1000,
        crop: float | None = 0.875,
        normalise: Any = "imagenet",
        **options: Any,
    ) -> None:
        super().__init__(
            size=size,
            train=train,
            val=val,
            test=test,
            crop=crop,
            normalise=normalise,
            split="random",
            **options,
        )

    @property
    def sources(self) -> Sequence[Source]:
        """None: the download requires an account."""
        return []

    def find(self) -> Found:
        """All pictures below the root."""
        return imagenet(self.root)

    def parts(self, found: Found) -> list[list[Photo]]:
        """Random splits, which need not have a picture of every class."""
        amounts, seed = self.amounts, self.seed
        how: dict[str, Any] = {"limit": self.limit, "balance": self.balance}
        photos = distinct(found.photos, found.classes, published=True)
        return shuffled(photos, found.classes, amounts, **how, seed=seed, every_class=False)

    def probe(self, count: int, split: str = "test") -> ImageSet:
        """Pictures of as many classes as possible, spread over all of them; the same each time.

        Raises:
            DataError: if there are too few.
        """
        images: ImageSet = getattr(self.data, split)
        if len(images) < count:
            raise DataError(
                f"a probe of {count} needs {count} {split} pictures, but there are {len(images)}. "
                f"Ask for a smaller probe or a larger {split} split."
            )
        return images.subset(spread(images.truth, count))


def spread(labels: np.ndarray[Any, np.dtype[np.int64]], count: int) -> list[int]:
    """Rows of `count` pictures, evenly spaced: one of every class before any class has two.

    If `count` does not allow one of every class, the classes taken are evenly spaced.
    """
    turn = np.zeros(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        turn[rows] = np.arange(len(rows))
    line = np.lexsort((labels, turn))
    whole = int(np.sum(turn < turn[line[count - 1]]))  # pictures in complete rounds
    last = line[whole : int(np.sum(turn <= turn[line[count - 1]]))]
    places = np.linspace(0, len(last) - 1, count - whole).round().astype(np.int64)
    return [*line[:whole].tolist(), *last[places].tolist()]
