"""The last activation of a network that has an extent in height and width.

It is found while the network runs, from its calls of torch functions: modules need not be known,
and a functional, re-used or in-place ReLU counts like an `nn.ReLU`. The head of a classifier takes
an activation with many positions and returns one without any, by pooling, flattening, or taking a
token; the last call that does so leads to the logits. Earlier ones belong to gates, as squeeze and
excitation. Activations that only pool, reshape or drop out another one are passed over, so that
VGG's is its last ReLU at 14 x 14 and not what its two pools make of that.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from explaindebug.core.errors import ConfigError, UnsupportedModelError
from explaindebug.core.registry import nearest

# Names of torch functions.
POOLS = frozenset(
    {
        *("avg_pool2d", "max_pool2d", "lp_pool2d", "adaptive_avg_pool2d", "adaptive_max_pool2d"),
        *("max_pool2d_with_indices", "adaptive_max_pool2d_with_indices"),
    }
)
REDUCTIONS = frozenset({"mean", "sum", "amax", "max", "logsumexp", "nanmean"})
VIEWS = frozenset({"flatten", "view", "reshape"})
SAME = frozenset({"dropout", "dropout2d", "feature_dropout", "contiguous", "clone"})
PASSED = POOLS | REDUCTIONS | VIEWS | SAME
TAKES = frozenset({"__getitem__", "select", "narrow", "split", "unbind", "index_select"})
NORMS = frozenset({"layer_norm", "rms_norm"})
ATTENTION = frozenset({"scaled_dot_product_attention", "multi_head_attention_forward", "softmax"})

Grid = tuple[int, int]
REMEDY = "Name a layer (layer=), or leave the method out for this model."


class FeatureMap(NamedTuple):
    """An activation with its graph, and where its channels and positions are."""

    values: Tensor
    channels: int  # the axis of the channels
    grid: Grid  # height, width

    def laid_out(self, x: Tensor) -> Tensor:
        """A tensor of the activation's shape as (n, c, h, w); tokens before the grid's are left."""
        height, width = self.grid
        flat = x.movedim(self.channels, 1).flatten(2)
        return flat[..., -height * width :].reshape(*flat.shape[:2], height, width)


class _Entry(NamedTuple):
    """A call that takes an activation with positions and returns one without."""

    name: str
    x: Tensor
    axes: tuple[int, ...]  # that a reduction is over


class Watch(TorchFunctionMode):
    """Entered during a forward pass, notes the last feature map, and the outputs of named layers.

    Enter it last, so that it sees the model's own calls. An empty name means the last feature map.
    It keeps what may turn out to be one: a few activations, most of which autograd keeps as well.

    Raises:
        ConfigError: for a layer that the model doesn't have.
    """

    def __init__(self, model: nn.Module, images: Tensor, layers: Collection[str]) -> None:
        super().__init__()
        modules = dict(model.named_modules())
        for name in filter(None, layers):
            if name not in modules:
                hint = nearest(name, list(modules))
                raise ConfigError(f"{type(model).__name__} has no layer {name!r}.{hint}")
        self.model = type(model).__name__
        self._layers = {name: modules[name] for name in layers if name}
        self._n, self._size = len(images), (images.shape[-2], images.shape[-1])
        self._hooks: list[torch.utils.hooks.RemovableHandle] = []
        self._outputs: dict[str, Any] = {}
        self._weighed = False  # whether a layer has been passed
        self._grids: dict[Grid, None] = {}  # of convolutions and pools
        self._entry: _Entry | None = None
        self._pooled: dict[Any, Tensor] = {}  # node -> what it only pools or moves
        self._norm: Tensor | None = None  # the last normalised tokens
        self._attended: Tensor | None = None  # those that the last attention took

    def __enter__(self) -> "Watch":
        for name, module in self._layers.items():
            self._hooks.append(module.register_forward_hook(_keeper(self._outputs, name)))
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        output = func(*args, **kwargs)
        with torch._C.DisableTorchFunction():  # other modes must not see these operations
            y = output[0] if isinstance(output, tuple) and output else output
            x = next(_tensors((*args, *kwargs.values())), None)
            if x is not None and isinstance(y, Tensor) and y.requires_grad:
                self._look(getattr(func, "__name__", ""), x, y, args, kwargs)
        return output

    def found(self, layer: str) -> FeatureMap:
        """The output of a layer, or the last feature map if its name is empty.

        Raises:
            UnsupportedModelError: if there is none, or it can't be told where its positions are.
        """
        return self._named(layer) if layer else self._last()

    def _look(self, name: str, x: Tensor, y: Tensor, args: Any, kwargs: dict[str, Any]) -> None:
        self._weighed |= name.startswith("conv") or name == "linear"
        if y.ndim == 4 and (name.startswith("conv") or name in POOLS):
            self._grids[(y.shape[2], y.shape[3])] = None
        if name in ATTENTION:
            self._attended = self._norm
        if name in NORMS and y.ndim == 3 and len(y) == self._n:
            self._norm = y
        if not self._weighed or len(x) != self._n:
            return
        if name in PASSED and _is_moved(x, y):
            self._pooled[y.grad_fn] = x
        # A pool may also enlarge: what it makes of a single position has no extent of its own.
        lost = _has_positions(x) and not _has_positions(y)
        if lost and _has_positions(self._origin(x)):
            axes = _axes(args, kwargs, x.ndim) if name in REDUCTIONS else ()
            self._entry = _Entry(name, x, axes)

    def _last(self) -> FeatureMap:
        if self._entry is None:
            raise self._none("there is none before the logits")
        name, x, axes = self._entry
        kept = [axis for axis in range(1, x.ndim) if axis not in axes]
        if name in POOLS or name.startswith("conv") or self._is_flattened(name, x):
            return self._map(self._origin(x), 1)
        if axes and len(kept) == 1:
            return self._map(self._origin(x) if kept == [1] else x, kept[0])
        if name in TAKES and x.ndim == 3 and self._attended is not None:
            return self._map(self._attended, 2)  # later ones of other tokens lead nowhere
        raise self._none(f"it is hidden by a {name} of {tuple(x.shape)} on the way to the logits")

    def _named(self, layer: str) -> FeatureMap:
        x = self._outputs.get(layer)
        if not (isinstance(x, Tensor) and x.requires_grad and x.ndim in (3, 4)):
            what = f"{tuple(x.shape)}" if isinstance(x, Tensor) else f"a {type(x).__name__}"
            raise UnsupportedModelError(
                f"layer {layer} of {self.model} returns {what}, which is no feature map: name one "
                "whose output is (n, channels, height, width), (n, height, width, channels) or "
                "(n, tokens, channels)."
            )
        last = x.ndim == 3 or (self._fits(x.shape[1:3]) and not self._fits(x.shape[2:4]))
        return self._map(x, x.ndim - 1 if last else 1)

    def _is_flattened(self, name: str, x: Tensor) -> bool:
        """Whether a feature map is flattened; heads of attention are flattened, too."""
        return name in VIEWS and x.ndim == 4 and (x.shape[2], x.shape[3]) in self._grids

    def _origin(self, x: Tensor) -> Tensor:
        """What an activation only pools, reshapes or drops out."""
        while x.grad_fn in self._pooled:
            x = self._pooled[x.grad_fn]
        return x

    def _map(self, x: Tensor, channels: int) -> FeatureMap:
        places = [size for axis, size in enumerate(x.shape) if axis not in (0, channels)]
        grid = (places[0], places[1]) if len(places) == 2 else self._grid(places[0])
        return FeatureMap(x, channels, grid)

    def _grid(self, tokens: int) -> Grid:
        """The grid of as many tokens, of which those that come first may have no place in it."""
        for height, width in reversed(self._grids):
            if height * width <= tokens < 2 * height * width:
                return height, width
        raise self._none(f"its {tokens} tokens are no grid that a convolution has made")

    def _fits(self, sides: Iterable[int]) -> bool:
        """Whether height and width have the images' proportions, but for rounding."""
        (height, width), (h, w) = sides, self._size
        return abs(height * w - width * h) < max(h, w)

    def _none(self, reason: str) -> UnsupportedModelError:
        return UnsupportedModelError(
            "Grad-CAM needs an activation with an extent in height and width, but in "
            f"{self.model} {reason}. {REMEDY}"
        )


def _keeper(outputs: dict[str, Any], name: str) -> Callable[[nn.Module, Any, Any], Any]:
    """A hook that notes a module's output, in its last call."""

    def keep(module: nn.Module, args: Any, output: Any) -> Any:
        outputs[name] = output
        return output.clone() if isinstance(output, Tensor) else None  # may be overwritten later

    return keep


def _has_positions(x: Tensor) -> bool:
    """Whether more than one axis, besides that of the images, has an extent."""
    return sum(size > 1 for size in x.shape[1:]) > 1


def _is_moved(x: Tensor, y: Tensor) -> bool:
    """Whether a feature map has the same channels after an operation that pools or moves it."""
    return x.ndim == 4 and x.shape[:2] == y.shape[:2] and y.grad_fn is not x.grad_fn


def _axes(args: tuple[Any, ...], kwargs: dict[str, Any], ndim: int) -> tuple[int, ...]:
    """The axes that a reduction is over."""
    given = kwargs.get("dim", kwargs.get("axis", args[1] if len(args) > 1 else ()))
    axes = (given,) if isinstance(given, int) else tuple(given or ())
    return tuple(axis % ndim for axis in axes)


def _tensors(values: Iterable[Any]) -> Iterator[Tensor]:
    """The tensors among a call's arguments that depend on the images."""
    return (x for x in values if isinstance(x, Tensor) and x.requires_grad)
