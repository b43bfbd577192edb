"""Birds, cats and dogs from public data sets in their official layouts."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, get_args

import numpy as np

from explaindebug.core.errors import ConfigError
from explaindebug.data.official import Found, Source, cub, pets, split_lists, stanford_dogs
from explaindebug.data.photos import Photo, distinct
from explaindebug.data.splits import Amount, drawn
from explaindebug.datamodules.official import Official

Birds = Literal["cub_200_2011", "cub_200"]
Dogs = Literal["pets", "stanford"]


class CUB200(Official):
    """CUB-200-2011: 200 species of birds, with masks from its segmentations.

    Args:
        masks: `outlines` (pixels that more than half of the annotators marked), `boxes`, or `none`.
        options: those of `Official`.
    """

    def __init__(self, *, masks: cub.Masks = "outlines", **options: Any) -> None:
        super().__init__(**options)
        one_of("masks", masks, get_args(cub.Masks))
        self.masks = masks

    @property
    def sources(self) -> Sequence[Source]:
        """The pictures, and the segmentations if they are needed."""
        return [cub.CUB_2011, *([cub.SEGMENTATIONS] if self.masks == "outlines" else [])]

    def find(self) -> Found:
        """All birds, by species."""
        return cub.cub_2011(self.root, self.masks)


class OxfordPets(Official):
    """Oxford-IIIT Pet: cats and dogs, or their 37 breeds, with masks from its trimaps.

    Args:
        by: the classes, `species` (cat, dog) or `breed`.
        border: whether the trimaps' border between object and background counts as object.
        options: those of `Official`.
    """

    def __init__(self, *, by: pets.By = "species", border: bool = True, **options: Any) -> None:
        super().__init__(**options)
        one_of("by", by, get_args(pets.By))
        self.by = by
        self.border = border

    @property
    def sources(self) -> Sequence[Source]:
        """Pictures and annotations."""
        return [pets.PETS]

    def find(self) -> Found:
        """All pictures in the lists."""
        return pets.pets(self.root, self.by, border=self.border)


class StanfordDogs(Official):
    """Stanford Dogs: 120 breeds. Its masks are boxes, as it has no outlines.

    A box includes some background. Attribution outside it is certainly on the background, inside it
    may be on either, and a spurious background is pasted around a rectangle.

    Args:
        options: those of `Official`.
    """

    @property
    def sources(self) -> Sequence[Source]:
        """Pictures, annotations and lists."""
        return [stanford_dogs.STANFORD_DOGS]

    def find(self) -> Found:
        """All dogs, by breed."""
        return stanford_dogs.stanford_dogs(self.root)


class BirdsDogs(Official):
    """Birds against dogs, the task of Adebayo et al. 2020, section 3.

    With `dogs=stanford` the masks of both classes are boxes: if birds were cut out along their
    outlines, the shape of the cut alone would separate the classes.

    Args:
        birds: `cub_200_2011`, or `cub_200`, the 2010 edition that the authors' lists refer to.
        dogs: `pets` (the dogs of Oxford-IIIT Pet, as in the paper) or `stanford`.
        lists: whether to split by the authors' lists, in the root or in `split_lists` below it.
            None: if the lists exist, birds are `cub_200` and dogs `pets`, as only these have the
            files in the lists. Sizes of splits are then maximal sizes.
        border: whether the border of the dogs' trimaps counts as dog.
        options: those of `Official` except `split`, which is random without lists.
    """

    def __init__(
        self,
        *,
        birds: Birds = "cub_200_2011",
        dogs: Dogs = "pets",
        lists: bool | None = None,
        border: bool = True,
        train: Amount = 8600,
        val: Amount = 1000,
        test: Amount = 380,
        **options: Any,
    ) -> None:
        super().__init__(train=train, val=val, test=test, split="random", **options)
        one_of("birds", birds, get_args(Birds))
        one_of("dogs", dogs, get_args(Dogs))
        self.birds, self.dogs, self.lists, self.border = birds, dogs, lists, border

    @property
    def sources(self) -> Sequence[Source]:
        """Birds, dogs, and the lists if they can be used."""
        outlines = [cub.SEGMENTATIONS] if self.dogs == "pets" else []
        birds = [cub.CUB_2011, *outlines] if self.birds == "cub_200_2011" else [cub.CUB_2010]
        dogs = pets.PETS if self.dogs == "pets" else stanford_dogs.STANFORD_DOGS
        wanted = self._lists_fit if self.lists is None else self.lists
        return [*birds, dogs, *([split_lists.LISTS] if wanted else [])]

    def find(self) -> Found:
        """All birds as class 0, all dogs as class 1."""
        find_birds = cub.cub_2011 if self.birds == "cub_200_2011" else cub.cub_2010
        if self.dogs == "pets":
            dogs = pets.dogs(self.root, border=self.border).photos
        else:
            dogs = stanford_dogs.stanford_dogs(self.root).photos
        birds = find_birds(self.root, "outlines" if self.dogs == "pets" else "boxes").photos
        return Found(
            ("bird", "dog"),
            [replace(photo, label=k) for k, some in enumerate((birds, dogs)) for photo in some],
        )

    def parts(self, found: Found) -> list[list[Photo]]:
        """By the authors' lists, or at random."""
        by_lists = self.lists
        if by_lists is None:
            by_lists = self._lists_fit and split_lists.there(self.root)
        if not by_lists:
            return super().parts(found)
        named = split_lists.by_lists(self.root, found.photos, {"birds": 0, "dogs": 1})
        # If a picture is in two splits, its copy in the training split is left out.
        photos = distinct(
            [photo for part in reversed(named) for photo in part], found.classes, published=True
        )
        kept = {photo.image for photo in photos}
        parts = [[photo for photo in part if photo.image in kept] for part in named]
        most = zip(parts, self.amounts.items(), strict=True)
        return [self._at_most(part, name, n, found.classes) for part, (name, n) in most]

    @property
    def _lists_fit(self) -> bool:
        return self.birds == "cub_200" and self.dogs == "pets"

    def _at_most(
        self, part: list[Photo], name: str, most: Amount, classes: Sequence[str]
    ) -> list[Photo]:
        labels = np.array([photo.label for photo in part])
        asked = min(most, len(part)) if isinstance(most, int) else most
        (rows,) = drawn({name: asked}, labels, classes, self.seed)
        return [part[row] for row in rows]


def one_of(name: str, value: object, known: Sequence[str]) -> None:
    """Raises ConfigError for an unknown value."""
    if value not in known:
        raise ConfigError(f"{name}={value!r} is unknown. Known: {', '.join(known)}.")
