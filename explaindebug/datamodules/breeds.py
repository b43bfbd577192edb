"""Breeds of dogs from two data sets together: the data of the user study's networks."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, get_args

from explaindebug.core.errors import ConfigError
from explaindebug.core.registry import nearest
from explaindebug.data.official import Found, Source, pets, stanford_dogs
from explaindebug.data.splits import Amount
from explaindebug.datamodules.animals import one_of
from explaindebug.datamodules.official import Official

STUDY = (
    *("beagle", "boxer", "chihuahua", "great pyrenees", "newfoundland"),
    *("pomeranian", "pug", "saint bernard", "wheaten terrier", "yorkshire terrier"),
)
Dogs = Literal["both", "pets", "stanford"]
PETS_NAMES = {  # name in Stanford Dogs -> in Oxford-IIIT Pet, if they differ
    "basset": "basset hound",
    "german short haired pointer": "german shorthaired",
    "japanese spaniel": "japanese chin",
    "leonberg": "leonberger",
    "scotch terrier": "scottish terrier",
    "staffordshire bullterrier": "staffordshire bull terrier",
    "soft coated wheaten terrier": "wheaten terrier",
}


class DogBreeds(Official):
    """Some breeds of dogs, from Oxford-IIIT Pet, Stanford Dogs, or both together.

    Masks are trimaps in the former and boxes in the latter. On a spurious background, some dogs are
    therefore cut out and others are in rectangles, as in the user study.

    Args:
        breeds: the classes, by either data set's names (`wheaten terrier`, which the other calls
            `soft-coated wheaten terrier`). By default the ten of the user study.
            dogs: `both`, `pets` (only outlines), or `stanford`.
            border: whether the trimaps' border between object and background counts as object.
        train: number of training pictures; all splits are random.
        val: number of validation pictures.
        test: number of test pictures.
        options: those of `Official` except `split`.

    Raises:
        ConfigError: for fewer than two breeds, or one that is repeated or in no data set.

    Source: Adebayo et al. 2020, section 6; the breeds are those of its authors' lists.
    """

    def __init__(
        self,
        *,
        breeds: Sequence[str] | None = None,
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
        self.breeds = tuple(_plain(breed) for breed in (STUDY if breeds is None else breeds))
        if len({_pets(breed) for breed in self.breeds}) < max(2, len(self.breeds)):
            raise ConfigError(
                f"breeds: give two or more different ones, got {', '.join(self.breeds)}."
            )

    @property
    def sources(self) -> Sequence[Source]:
        """The selected data sets."""
        both = {"pets": pets.PETS, "stanford": stanford_dogs.STANFORD_DOGS}
        return [source for name, source in both.items() if self.dogs in (name, "both")]

    def find(self) -> Found:
        """All pictures of the breeds."""
        found = []
        if self.dogs != "stanford":
            found.append(pets.pets(self.root, "breed", border=self.border))
        if self.dogs != "pets":
            found.append(stanford_dogs.stanford_dogs(self.root))
        numbers = {_pets(breed): k for k, breed in enumerate(self.breeds)}
        photos = [
            replace(photo, label=numbers[name])
            for one in found
            for photo in one.photos
            if (name := _pets(one.classes[photo.label])) in numbers
        ]
        here = {photo.label for photo in photos}
        for k, breed in enumerate(self.breeds):
            if k not in here:
                known = sorted({_plain(name) for one in found for name in one.classes})
                raise ConfigError(
                    f"there is no picture of a {breed!r}, one of `breeds`.{nearest(breed, known)}"
                )
        return Found(self.breeds, photos)


def _plain(breed: str) -> str:
    """Normalised spelling of names such as `Soft-coated_wheaten terrier`."""
    return " ".join(breed.casefold().replace("_", " ").replace("-", " ").split())


def _pets(breed: str) -> str:
    """The breed's name in Oxford-IIIT Pet, if both data sets have it."""
    plain = _plain(breed)
    return PETS_NAMES.get(plain, plain)
