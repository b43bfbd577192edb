"""Any class of captum.attr as a method."""

import copy
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explaindebug.attributions._engine.method import ATTRIBUTIONS, Method, Passes
from explaindebug.attributions._support.captum_classes import (
    call_options,
    class_named,
    instance,
    options_of,
    required,
)
from explaindebug.core.errors import (
    AttributionError,
    ConfigError,
    ExplainDebugError,
    UnsupportedModelError,
)
from explaindebug.core.isolation import private_randomness
from explaindebug.core.registry import nearest

# Captum draws from the global random states and warns through global filters; threads share both.
_ONE_AT_A_TIME = threading.Lock()


@ATTRIBUTIONS.register("captum")
@dataclass(frozen=True, init=False)
class Captum(Method):
    """What a class of `captum.attr` gives. As many passes as that takes.

        {"captum": {"name": "LayerGradCam", "layer": "features.12", "relu_attributions": True}}
        {"captum": {"name": "Occlusion", "sliding_window_shapes": [3, 8, 8], "strides": [3, 4, 4]}}
        {"captum": {"name": "NoiseTunnel", "of": "InputXGradient", "nt_samples": 10}}

    A layer's map is summed over the layer's channels (Grad-CAM has one), enlarged to the image's
    size and repeated for each channel of the image. Classes that draw random numbers get one image
    at a time and the same draws for each, so that no map depends on its neighbours.

    Give one a name of its own by a subclass:

        @ATTRIBUTIONS.register("gradcam")
        class GradCam(Captum):
            label = "Grad-CAM"

            def __init__(self, **options):
                super().__init__("LayerGradCam", **options)

    Args:
        name: of the class.
        layer: name of a module, for classes that want one; the last convolution where not given.
        of: for NoiseTunnel, the name of the class whose maps it smooths.
        seed: of the global random states, while captum runs.
        options: all others by their own names, for the class or its `attribute`, in the units that
            captum's documentation gives; lists become tuples. Baselines that captum wants from
            outside are the references.

    Layers: what the class passes; captum's error is told, with the model's name.

    Raises:
        ConfigError: for a class, layer or option that is unknown.
        UnsupportedModelError: where a layer is wanted, and the model has no convolution.

    Source: Kokhlikyan et al. 2020; captum's documentation names that of each class.
    """

    name: str
    layer: str | None = None
    of: str = ""
    seed: int = 0
    options: tuple[tuple[str, Any], ...] = ()

    label = "Captum"
    source = "Kokhlikyan et al. 2020, captum.ai"

    def __init__(
        self, name: str, layer: str | None = None, of: str = "", seed: int = 0, **options: Any
    ) -> None:
        given = tuple((key, _as_tuple(value)) for key, value in options.items())
        values = {"name": name, "layer": layer, "of": of, "seed": seed, "options": given}
        if self.label == Captum.label:
            values["label"] = name  # two of captum's classes in one table must not look alike
        for key, value in values.items():
            object.__setattr__(self, key, value)
        known = set.union(*(options_of(class_named(kind)) for kind in (name, of) if kind))
        for option in options.keys() - known:
            hint = nearest(option, sorted(known))
            raise ConfigError(f"captum's {name} has no option {option!r}.{hint}")

    def prepare(self, model: nn.Module, references: Tensor) -> Self:
        """References become the baselines where captum has no default for them."""
        ready = copy.copy(self)
        if "baselines" in required(class_named(self.name).attribute):
            options = {"baselines": references} | dict(self.options)
            object.__setattr__(ready, "options", tuple(options.items()))
        return ready

    @property
    def passes(self) -> "CaptumPasses":
        return CaptumPasses(self)

    def reduce(self, images: Tensor, result: Tensor) -> Tensor:
        if result.shape == images.shape:
            return result
        if result.ndim != 4:
            raise AttributionError(
                f"captum's {self.name} gives {tuple(result.shape)} for layer {self.layer!r}, which "
                "is no map. Take a layer whose output is (n, channels, height, width)."
            )
        total = result.sum(1, keepdim=True)
        enlarged = F.interpolate(total, images.shape[2:], mode="bilinear", align_corners=False)
        return enlarged.expand_as(images)


@dataclass(frozen=True)
class CaptumPasses(Passes):
    """The attributions of captum as they are, of the image's or of a layer's shape."""

    method: Captum

    def run(self, model: nn.Module, images: Tensor, targets: Tensor, batch: int = 32) -> Tensor:
        with _ONE_AT_A_TIME, warnings.catch_warnings(), _out_of_place(model):
            warnings.simplefilter("ignore")  # that captum sets hooks, and removes them afterwards
            first, drew = self._attributions(model, images[:1], targets[:1], batch)
            size = 1 if drew else len(images)
            maps = [first]
            for start in range(1, len(images), size):
                rows = slice(start, start + size)
                maps.append(self._attributions(model, images[rows], targets[rows], batch)[0])
            return torch.cat(maps).detach().to(images.dtype)

    def check(self, model: nn.Module, images: Tensor, targets: Tensor) -> None:
        try:
            self.run(model, images, targets)
        except ExplainDebugError:
            raise
        except Exception as error:
            raise UnsupportedModelError(
                f"captum's {self.method.name} can't explain {type(model).__name__}: "
                f"{type(error).__name__}: {error}"
            ) from error

    def _attributions(
        self, model: nn.Module, images: Tensor, targets: Tensor, batch: int
    ) -> tuple[Tensor, bool]:
        """Captum's maps, and whether random numbers were drawn for them."""
        how = self.method
        explainer = instance(how.name, model, how.layer, how.of, dict(how.options))
        options = call_options(explainer, dict(how.options), len(images), batch)
        x = images.detach().clone(memory_format=torch.contiguous_format).requires_grad_()
        with private_randomness(self.method.seed, x.device):
            before = _random_states(x.device)
            maps = explainer.attribute(x, additional_forward_args=(targets,), **options)
            drew = _random_states(x.device) != before
        if not isinstance(maps, Tensor):
            raise AttributionError(
                f"captum's {self.method.name} gives a {type(maps).__name__} for "
                f"{type(model).__name__}, where one tensor is wanted. Choose another layer, and "
                "leave out options that return more than the map."
            )
        return maps, drew


def _random_states(device: torch.device) -> tuple[Any, ...]:
    """The states of the generators that captum may draw from."""
    states = [torch.get_rng_state()]
    if device.type == "cuda":
        states.append(torch.cuda.get_rng_state(device))
    numpy: Any = np.random.get_state()  # noqa: NPY002
    return *(state.numpy().tobytes() for state in states), numpy[1].tobytes(), numpy[2:]


@contextmanager
def _out_of_place(model: nn.Module) -> Iterator[None]:
    """Captum's hooks read activations that an in-place ReLU would have overwritten."""
    in_place: list[Any] = [m for m in model.modules() if getattr(m, "inplace", False) is True]
    try:
        for module in in_place:
            module.inplace = False
        yield
    finally:
        for module in in_place:
            module.inplace = True


def _as_tuple(value: Any) -> Any:
    return tuple(map(_as_tuple, value)) if type(value) in (list, tuple) else value
