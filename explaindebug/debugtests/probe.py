"""The inputs that a debugging test explains."""

from collections.abc import Callable
from typing import Any, NamedTuple

from torch import Tensor

from explaindebug.data.imageset import ImageSet


class Probe(NamedTuple):
    """Inputs to explain; `signal` and `scene` if the data have them."""

    image: Tensor  # (n, c, h, w)
    label: Tensor  # (n,) int64, -1 if it is not one of the classes
    row: Tensor  # (n,) index of the input, independent of the number of processes
    signal: Tensor | None = None  # (n, 1, h, w) bool, True on the spurious signal
    scene: Tensor | None = None  # (n, c, h, w) the same picture without its object

    @classmethod
    def of(cls, images: ImageSet) -> "Probe":
        """Pictures in memory, with their signals, or with everything but the objects as signal."""
        everything = slice(None)
        return cls(*images.batch(everything), *images.context(everything))

    def select(self, keep: Tensor | slice) -> "Probe":
        """The chosen inputs."""
        return self.map(lambda x: x[keep])

    def map(self, change: Callable[[Tensor], Tensor]) -> "Probe":
        """The same with `change` applied to every tensor."""
        fields: dict[str, Any] = {
            name: None if x is None else change(x) for name, x in self._asdict().items()
        }
        return Probe(**fields)
