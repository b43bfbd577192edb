"""The inputs that a debugging test explains."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
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
        image, label, row = images.batch(slice(None))
        unmarked, scenes = images.unmarked, images.scenes
        return cls(
            image,
            label,
            row,
            None if unmarked is None else torch.from_numpy(~unmarked)[:, None],
            None if scenes is None else images.normalise(scenes),
        )

    def select(self, keep: Tensor | slice) -> "Probe":
        """The chosen inputs."""
        return self.map(lambda x: x[keep])

    def map(self, change: Callable[[Tensor], Tensor]) -> "Probe":
        """The same with `change` applied to every tensor."""
        fields: dict[str, Any] = {
            name: None if x is None else change(x) for name, x in self._asdict().items()
        }
        return Probe(**fields)
