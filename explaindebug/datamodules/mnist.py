"""MNIST, Fashion-MNIST and KMNIST from idx files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from explaindebug.core.errors import ConfigError, DataError
from explaindebug.core.validation import folder, whole
from explaindebug.data.download import Archive, Progress, discard_part, fetch
from explaindebug.data.idx import idx
from explaindebug.data.idxfiles import idx_files
from explaindebug.data.imageset import Splits
from explaindebug.data.scenes import DrawnScenes, Scenes
from explaindebug.data.splits import Amount, check_amounts
from explaindebug.data.synthetic.scenes import SHIPPED
from explaindebug.datamodules.base import DebugDataModule


class MNIST(DebugDataModule):
    """Handwritten digits, grey on black; their masks are the bright pixels.

    Files are searched for in the root, and in `raw`, `MNIST/raw` (torchvision's layout), `MNIST`
    and `mnist` below it, gzipped or not, whole or in parts.

    Args:
        root: the folder with the data.
        download: whether to download missing files, from the same addresses as torchvision.
        size: height and width in pixels, 28 in the files.
        channels: 1, or 3 equal ones.
        train: training pictures, a count or a fraction of the training files; None for the rest.
        val: validation pictures, from the training files.
        test: test pictures, a count or a fraction of the test files; None for all.
        threshold: pixels brighter than this (0 to 255) belong to the object.
        scenes: kind of synthetic scene for a spurious background, by class name; by default a
            different kind for each class. Scenes have colours, so they need `channels=3`.
        options: those of `DebugDataModule`.

    `fetching`, if set, is called with (bytes done, bytes in total) during a download.
    """

    fetching: Progress | None = None
    dataset: ClassVar[str] = "MNIST"  # torchvision's name
    folders: ClassVar[tuple[str, ...]] = (".", "raw", "MNIST/raw", "MNIST", "mnist")
    names: ClassVar[tuple[str, ...]] = tuple("0123456789")

    def __init__(
        self,
        *,
        root: str | Path,
        download: bool = False,
        size: int = 28,
        channels: int = 1,
        train: Amount = None,
        val: Amount = 0.1,
        test: Amount = None,
        threshold: int = 25,
        scenes: Mapping[str, str] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.root = folder("root", root)
        self.download = download
        self.amounts: dict[str, Amount] = {"train": train, "val": val, "test": test}
        check_amounts({"train": train, "val": val})
        check_amounts({"test": test})
        if channels not in (1, 3):
            raise ConfigError(f"channels={channels!r}: must be 1 or 3 (equal ones).")
        whole("size", size, least=1, most=4096, hint="It is in pixels a side.")
        self.size = size
        self.channels = channels
        self.threshold = threshold
        self.kinds = dict(zip(self.names, SHIPPED, strict=False)) if scenes is None else scenes

    def prepare_data(self) -> None:
        """Download the files if requested; Lightning calls this in one process only.

        Addresses, digests and layout are those of torchvision. An interrupted download is resumed;
        if the files exist, its remains are removed.

        Raises:
            ConfigError: if there is not enough disk space.
            DataError: if a file can't be downloaded.
        """
        folder = self.root / self.dataset / "raw"
        there = self._there()
        if self.download and not there:
            for archive in self._archives():
                fetch(archive, folder, self.fetching)
        elif there and next(folder.glob(".*.part"), None):
            for archive in self._archives():
                discard_part(archive, folder)

    def load(self) -> Splits:
        """The digits."""
        self.prepare_data()
        return idx(
            self.root,
            self.names,
            folders=self.folders,
            seed=self.seed,
            **self.amounts,
            size=self.size,
            channels=self.channels,
            threshold=self.threshold,
        )

    @property
    def scenes(self) -> Scenes:
        """Synthetic scenes."""
        if self.channels != 3:
            raise DataError(f"scenes have colours, but channels={self.channels}: set channels=3.")
        return {name: DrawnScenes(kind) for name, kind in self.kinds.items()}

    def _there(self) -> bool:
        places = [self.root / folder for folder in self.folders]
        try:
            return all(
                idx_files(places, f"{part}-{what}", dims)
                for part in ("train", "t10k")
                for what, dims in (("images", 3), ("labels", 1))
            )
        except DataError:
            return False

    def _archives(self) -> list[Archive]:
        import torchvision.datasets

        theirs = getattr(torchvision.datasets, self.dataset)
        return [
            Archive(name, tuple(f"{mirror}{name}" for mirror in theirs.mirrors), f"md5:{md5}")
            for name, md5 in theirs.resources
        ]


class FashionMNIST(MNIST):
    """Garments, grey on black; their masks are the bright pixels. Options as for `MNIST`.

    Files are searched for in the root, and in `raw`, `FashionMNIST/raw` (torchvision's layout),
    `FashionMNIST` and `fashion_mnist` below it.
    """

    dataset: ClassVar[str] = "FashionMNIST"
    folders: ClassVar[tuple[str, ...]] = (
        ".",
        "raw",
        "FashionMNIST/raw",
        "FashionMNIST",
        "fashion_mnist",
    )
    names: ClassVar[tuple[str, ...]] = (
        "T-shirt",
        "trouser",
        "pullover",
        "dress",
        "coat",
        "sandal",
        "shirt",
        "sneaker",
        "bag",
        "ankle boot",
    )


class KMNIST(MNIST):
    """Kuzushiji-MNIST: cursive Japanese characters, grey on black. Options as for `MNIST`.

    Files are searched for in the root, and in `raw`, `KMNIST/raw` (torchvision's layout), `KMNIST`
    and `kmnist` below it.

    Source: Clanuwat et al.: Deep Learning for Classical Japanese Literature, 2018.
    """

    dataset: ClassVar[str] = "KMNIST"
    folders: ClassVar[tuple[str, ...]] = (".", "raw", "KMNIST/raw", "KMNIST", "kmnist")
    names: ClassVar[tuple[str, ...]] = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
