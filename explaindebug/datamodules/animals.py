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
    """CUB-200-2011: 200 species of birds, with the outlines of its segmentations.

    Args:
        masks: `outlines` (where more than half of the annotators saw the bird), `boxes`, or `none`.
        options: those of `Official`.
    """

    def __init__(self, *, masks: cub.Masks = "outlines", **options: Any) -> None:
        super().__init__(**options)
        one_of("masks", masks, get_args(cub.Masks))
        self.masks = masks

    @property
    def sources(self) -> Sequence[Source]:
        """The pictures, and the segmentations where they are needed."""
        return [cub.CUB_2011, *([cub.SEGMENTATIONS] if self.masks == "outlines" else [])]

    def find(self) -> Found:
        """All birds, by species."""
        return cub.cub_2011(self.root, self.masks)


class OxfordPets(Official):
    """Oxford-IIIT Pet: cats and dogs, or their 37 breeds, with the outlines of its trimaps.

    Args:
        by: what the classes are, `species` (cat, dog) or `breed`.
        border: the trimaps' border between object and background counts as object.
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
        """All that the lists name."""
        return pets.pets(self.root, self.by, border=self.border)


class StanfordDogs(Official):
    """Stanford Dogs: 120 breeds. Its masks are boxes, as outlines there are none.

    A box holds background, too. So a map outside of it lies on the background for certain, one
    within may lie on either, and a spurious background is pasted round a rectangle.

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

    With `dogs=stanford` the masks of both classes are boxes: were the birds cut out by their
    outlines, the cut alone would tell the classes apart.

    Args:
        birds: `cub_200_2011`, or `cub_200`, the edition of 2010 that the authors' lists name.
        dogs: `pets` (the dogs of Oxford-IIIT Pet, as in the paper) or `stanford`.
        lists: split as the authors did, by their lists in the root or in `split_lists` below it.
            None: where the lists are there and birds are `cub_200` and dogs `pets`, as only these
            have the files that they name. Amounts are then the most that a split may have.
        border: the border of the dogs' trimaps counts as dog.
        options: those of `Official`, but for `split`, which is at random without lists.
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
        """Birds, dogs, and the lists where they can be used."""
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
        # Of a copy in two splits the one to train on is left out.
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
    """Raises ConfigError for another value than the known ones."""
    if value not in known:
        raise ConfigError(f"{name}={value!r} is none of {', '.join(known)}.")
