"""Breeds of dogs out of two data sets at once: what the networks of the user study saw."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, get_args

from explaindebug.data.official import Found, Source, pets, stanford_dogs
from explaindebug.data.photos import Photo
from explaindebug.data.splitting import Amount
from explaindebug.datamodules.animals import one_of
from explaindebug.datamodules.official import Official
from explaindebug.errors import ConfigError
from explaindebug.registry import nearest

STUDY = (
    *("beagle", "boxer", "chihuahua", "great pyrenees", "newfoundland"),
    *("pomeranian", "pug", "saint bernard", "wheaten terrier", "yorkshire terrier"),
)
Dogs = Literal["both", "pets", "stanford"]


class DogBreeds(Official):
    """Some breeds of dogs, from Oxford-IIIT Pet, Stanford Dogs, or both together.

    The masks of the one are its trimaps, of the other boxes. So before a spurious background some
    dogs are cut out and others stand in rectangles, as in the user study.

    Args:
        breeds: the classes, by either data set's names or their last words (`wheaten terrier` for
            `soft-coated wheaten terrier`). Where not given, the ten of the user study.
        dogs: `both`, `pets` (outlines alone), or `stanford`.
        border: the trimaps' border between object and background counts as object.
        train: pictures to train on; all splits are drawn at random.
        val: pictures to choose by.
        test: pictures to measure on.
        options: those of `Official`, but for `split`.

    Raises:
        ConfigError: for a breed that is in none of the data sets, or two that are one.

    Source: Adebayo et al. 2020, section 6; the breeds are those of its authors' lists.
    """

    def __init__(
        self,
        *,
        breeds: Sequence[str] = STUDY,
        dogs: Dogs = "both",
        border: bool = True,
        train: Amount = None,
        val: Amount = 250,
        test: Amount = 500,
        **options: Any,
    ) -> None:
        super().__init__(train=train, val=val, test=test, split="random", **options)
        one_of("dogs", dogs, get_args(Dogs))
        self.dogs, self.border = dogs, border
        self.breeds = tuple(" ".join(_words(breed)) for breed in breeds)
        if len(set(self.breeds)) < max(2, len(self.breeds)):
            raise ConfigError(f"breeds: two or more that differ, got {', '.join(self.breeds)}.")

    @property
    def sources(self) -> Sequence[Source]:
        """The data sets that are asked for."""
        both = {"pets": pets.PETS, "stanford": stanford_dogs.STANFORD_DOGS}
        return [source for name, source in both.items() if self.dogs in (name, "both")]

    def find(self) -> Found:
        """All pictures of the breeds."""
        found = []
        if self.dogs != "stanford":
            found.append(pets.pets(self.root, "breed", border=self.border))
        if self.dogs != "pets":
            found.append(stanford_dogs.stanford_dogs(self.root))
        photos = [self._of(photo, one.classes) for one in found for photo in one.photos]
        known = {name.casefold() for one in found for name in one.classes}
        wanted = [photo for photo in photos if photo is not None]
        for k, breed in enumerate(self.breeds):
            if not any(photo.label == k for photo in wanted):
                raise ConfigError(f"no dog is a {breed!r}.{nearest(breed, sorted(known))}")
        return Found(self.breeds, wanted)

    def _of(self, photo: Photo, classes: Sequence[str]) -> Photo | None:
        """The photo under its number here; None where its breed is not wanted."""
        own = _words(classes[photo.label])
        for k, breed in enumerate(self.breeds):
            if own[-len(breed.split()) :] == breed.split():
                return replace(photo, label=k)
        return None


def _words(breed: str) -> list[str]:
    """`soft-coated_wheaten terrier` as its words."""
    return breed.casefold().replace("_", " ").replace("-", " ").split()
