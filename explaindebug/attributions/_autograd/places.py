"""Places in a network, for rules of layer-wise relevance propagation.

A place is hashable: linear operation -> whether it lies there.
"""

from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase

from torch import nn

from explaindebug.attributions._autograd.ops import Linear

LAYERS = {kind.__name__: kind for kind in (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)}


class At(Enum):
    """Places that follow from the network's structure."""

    FIRST = "first"  # next to the image: no linear operation lies before it
    LAST = "last"  # no linear operation lies behind it
    UNRECTIFIED = "unrectified"  # no ReLU lies behind it

    def __call__(self, op: Linear) -> bool:
        marks = {At.FIRST: op.first, At.LAST: op.last, At.UNRECTIFIED: not op.rectified}
        return marks[self]

    def __str__(self) -> str:
        return str(self.value)


@dataclass(frozen=True)
class OfClass:
    """Operations of a class of layers, called as a function or as a module, or of a class derived.

    A convolution in two dimensions counts as `nn.Conv2d` whoever calls it, and an operation whose
    weight is held by a module counts as that module's class, too.
    """

    kind: type[nn.Module]

    def __call__(self, op: Linear) -> bool:
        held = op.module_class is not None and issubclass(op.module_class, self.kind)
        return held or issubclass(op.layer, self.kind)

    def __str__(self) -> str:
        return self.kind.__name__


@dataclass(frozen=True)
class Named:
    """Operations whose weight is held by a module of that name: `features.*`, `layer?.0.conv1`."""

    pattern: str

    def __call__(self, op: Linear) -> bool:
        return fnmatchcase(op.module, self.pattern)

    def __str__(self) -> str:
        return self.pattern


Place = At | OfClass | Named


def is_about_a_model(place: Place) -> bool:
    """Whether a place is one that only some networks have, so that it must be found there."""
    own = isinstance(place, OfClass) and not any(issubclass(k, place.kind) for k in LAYERS.values())
    return own or isinstance(place, Named)
