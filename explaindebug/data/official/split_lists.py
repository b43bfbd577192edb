"""The lists of file names with which the paper's authors split birds and dogs.

Six text files with one file name per line, without folder: `birds_train_list.txt`,
`birds_val_list.txt`, `birds_test_list.txt`, and the same for dogs; 4,300, 500 and 190 names.

The birds are those of CUB-200 of 2010, not of CUB-200-2011: their names end in Flickr ids
(`Black_footed_Albatross_0034_2134386992.jpg`), some in `xxx`. The dogs are those of Oxford-IIIT
Pet.

Source: github.com/adebayoj/explaindebug, the code of Adebayo et al. 2020.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from explaindebug.core.errors import DataError
from explaindebug.data.download import Archive
from explaindebug.data.official.source import Source, listed, table
from explaindebug.data.photos import Photo
from explaindebug.data.splits import SPLITS

COMMIT = "98f3b211c97c1bbbaec4d12cc8c102ecbbc1afe7"
FOLDER = "debuggingtests/data/datapartion"  # sic
SIZES = {  # bytes; the address names a commit, so that the content can't change
    "birds_train_list.txt": 155_606,
    "birds_val_list.txt": 18_188,
    "birds_test_list.txt": 6_837,
    "dogs_train_list.txt": 92_227,
    "dogs_val_list.txt": 10_795,
    "dogs_test_list.txt": 4_154,
}

LISTS = Source(
    "the authors' split lists",
    f"https://github.com/adebayoj/explaindebug/tree/{COMMIT}/{FOLDER}",
    ("split_lists", "datapartion", "."),
    tuple(SIZES),
    tuple(
        Archive(
            name,
            (f"https://raw.githubusercontent.com/adebayoj/explaindebug/{COMMIT}/{FOLDER}/{name}",),
            size=size,
            into="split_lists",
        )
        for name, size in SIZES.items()
    ),
    optional=True,
)


def there(root: Path) -> bool:
    """Whether all six lists are below the root."""
    return any(all((root / home / name).is_file() for name in SIZES) for home in LISTS.homes)


def by_lists(root: Path, photos: Sequence[Photo], labels: Mapping[str, int]) -> list[list[Photo]]:
    """The photographs of each split, by the lists.

    Args:
        root: the folder with the lists, directly or in `split_lists`.
        photos: those to choose from, matched by file name.
        labels: prefix of the lists' names -> label of their pictures: {"birds": 0, "dogs": 1}.

    Raises:
        DataError: if lists are missing, name missing files (how many, the first few), or name a
            file twice.
    """
    home = LISTS.home(root)
    parts: list[list[Photo]] = []
    for split in SPLITS:
        parts.append([])
        for word, label in labels.items():
            here = {photo.image.name: photo for photo in photos if photo.label == label}
            parts[-1] += _named(home / f"{word}_{split}_list.txt", here)
    _check_disjoint(parts, home)
    return parts


def _named(path: Path, here: Mapping[str, Photo]) -> list[Photo]:
    names = [name for (name,) in table(path, 1)]
    absent = [name for name in names if name not in here]
    if absent:
        raise DataError(
            f"{len(absent)} of {len(names)} files listed in {path} are missing: "
            f"{listed(absent, 3)}; there are {len(here)} pictures of this class, "
            f"{listed(sorted(here), 2)}. The authors' lists name birds of CUB-200 of 2010 and dogs "
            "of Oxford-IIIT Pet: set data.birds=cub_200 and data.dogs=pets, or data.lists=false "
            "for a random split."
        )
    return [here[name] for name in names]


def _check_disjoint(parts: Sequence[Sequence[Photo]], home: Path) -> None:
    counts = Counter(photo.image for part in parts for photo in part)
    twice = [path.name for path, count in counts.items() if count > 1]
    if twice:
        raise DataError(
            f"the lists in {home} name {len(twice)} files twice: {listed(twice, 3)}. A picture may "
            "be in only one split."
        )
