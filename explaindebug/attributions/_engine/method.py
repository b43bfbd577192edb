"""What an attribution method is, and how methods share model passes.

A method is a frozen dataclass: its fields are its options. It says which `passes` through the model
it needs, and how to `reduce` what they bring to a map. Methods whose passes are equal share them:
SmoothGrad, its square and VarGrad cost one set of noisy gradients, not three.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from explaindebug.attributions._engine.inputs import survey
from explaindebug.core.errors import UnsupportedModelError
from explaindebug.core.isolation import frozen
from explaindebug.core.registry import Registry
from explaindebug.core.spellings import METHODS

ATTRIBUTIONS: Registry[type["Method"]] = Registry(
    "attribution method", "explaindebug.attributions", METHODS
)


class Passes(ABC):
    """A set of model passes that one or more methods need.

    Frozen and hashable: passes that are equal run once, whoever asked for them.
    """

    together: ClassVar[bool] = False  # whether different passes of this class share something

    @abstractmethod
    def run(self, model: nn.Module, images: Tensor, targets: Tensor, batch: int = 32) -> Any:
        """What the passes bring, for images (n, c, h, w) and targets (n,) int64.

        Each input's result must not depend on its neighbours in the batch. `model` is in eval mode
        with frozen parameters, and gradients are on. At most `max(n, batch)` inputs should go
        through the model at once: fill that with samples where there are few images.
        """

    @classmethod
    def run_together(
        cls,
        group: Sequence[Self],
        model: nn.Module,
        images: Tensor,
        targets: Tensor,
        batch: int = 32,
    ) -> list[Any]:
        """Results of several passes of this class; override it where they share a forward pass."""
        return [passes.run(model, images, targets, batch) for passes in group]

    def check(self, model: nn.Module, images: Tensor, targets: Tensor) -> None:
        """Raises UnsupportedModelError where the model can't be passed; cheaper than `run`.

        Called with one image. Here: where passes back are needed, and no gradient comes back.
        """
        if self.calls[1] and (obstacle := survey(model, images).obstacle):
            raise UnsupportedModelError(obstacle)

    def check_images(self, images: Tensor) -> None:  # noqa: B027
        """Raises AttributionError for an image that can't be explained, before all passes."""

    @property
    def calls(self) -> tuple[float, float]:
        """Forward passes, and backward passes to the image, for each input."""
        return 1.0, 1.0

    @property
    def cost(self) -> float:
        """Both together, for progress bars and budgets: one forward with its backward pass is 1.

        Back to the image alone, past the parameters' gradients, is as much work as forth.
        """
        return sum(self.calls) / 2


@dataclass(frozen=True)
class Method(ABC):
    """Maps (n, c, h, w), raw and signed, of the same shape as the images."""

    label: ClassVar[str]  # as the paper's tables write it, "Input-Grad"
    source: ClassVar[str]  # paper, section or equation
    signed: ClassVar[bool] = True  # False where a map can't be negative
    needs_references: ClassVar[bool] = False  # whether it can't work before `prepare`

    @property
    @abstractmethod
    def passes(self) -> Passes:
        """The model passes that this method needs."""

    @abstractmethod
    def reduce(self, images: Tensor, result: Any) -> Tensor:
        """The maps (n, c, h, w) from what the passes brought."""

    def prepare(self, model: nn.Module, references: Tensor) -> Self:
        """The method made ready with images (m, c, h, w) of the training distribution.

        For methods that need a background or must be fitted; all others return themselves.
        """
        return self

    def told(self, options: Mapping[str, Any]) -> Mapping[str, Any]:
        """Options that differ from the defaults, as the key of a variant's maps tells them."""
        return options

    def __call__(self, model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
        """The maps (n, c, h, w), in the dtype of images and model.

        The model must be in eval mode. `attribute` sees to that, and does much more: use this for
        single methods, and for other dtypes than float32.
        """
        with torch.enable_grad(), frozen(model):
            images = images.detach()
            return self.reduce(images, self.passes.run(model, images, targets))
