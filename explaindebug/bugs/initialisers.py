"""How a layer gets new weights.

An initialiser writes new values into a layer's tensors, in place, and returns the names of those
that it could not. It is given a stand-in of the layer (float32, on the CPU, holding the trained
values, so that new weights are the same on every device and nothing else is touched), and a
generator of its own, from which all its randomness must come:

    def narrow(layer: nn.Module, generator: Generator) -> None:
        for parameter in layer.parameters():
            parameter.normal_(0, 0.001, generator=generator)

`@INITIALISERS.register("narrow")` gives it a name.
"""

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Generator, Tensor, nn
from torch.nn.modules.conv import _ConvNd

from explaindebug.core.registry import Registry

Initialiser = Callable[[nn.Module, Generator], Iterable[str] | None]


def layer_default(layer: nn.Module, generator: Generator) -> list[str]:
    """The layer's own `reset_parameters`, as when the network was built.

    For BatchNorm that means weight 1, bias 0 and fresh running statistics. Tensors that the method
    leaves alone (weight normalisation's, a custom layer's) are found by NaN put there before.
    """
    for _, tensor in _floats(layer):
        tensor.fill_(torch.nan)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(generator.initial_seed())  # the CPU's alone
        for module in reversed(list(layer.modules())):  # attention after its projection
            reset = getattr(module, "reset_parameters", getattr(module, "_reset_parameters", None))
            if reset is not None:
                reset()
    return [name for name, tensor in _floats(layer) if tensor.sum().isnan()]


def glorot(layer: nn.Module, generator: Generator) -> list[str]:
    """Weights uniform in +-sqrt(6 / (fan in + fan out)), biases 0: Keras' default, so the paper's.

    Norm layers and PReLU, which have no such weights, take their own.

    Source: Glorot and Bengio 2010, equation 16.
    """
    left = [] if isinstance(layer, _ConvNd | nn.Linear) else layer_default(layer, generator)
    for name, tensor in _floats(layer):
        if name not in left and tensor.ndim >= 2:
            nn.init.xavier_uniform_(tensor, generator=generator)
        elif name not in left and "bias" in name:
            tensor.zero_()
    return left


def torchvision(layer: nn.Module, generator: Generator) -> list[str]:
    """As torchvision's VGG and ResNet start: convolutions N(0, 2 / fan out), dense N(0, 0.01^2).

    Biases are 0; every other layer takes its own. 0.01 is the standard deviation.
    """
    if not isinstance(layer, _ConvNd | nn.Linear):
        return layer_default(layer, generator)
    for name, tensor in _floats(layer):
        if name == "bias":
            tensor.zero_()
        elif isinstance(layer, nn.Linear):
            tensor.normal_(0, 0.01, generator=generator)
        else:
            nn.init.kaiming_normal_(
                tensor, mode="fan_out", nonlinearity="relu", generator=generator
            )
    return []


def permute_weights(layer: nn.Module, generator: Generator) -> list[str]:
    """Each tensor's trained values in random order: histogram, norm and sparsity stay.

    It works on every parameter, class tokens and custom layers included, and on BatchNorm's running
    statistics; a tensor of equal values has no other order.
    """
    for _, tensor in _floats(layer):
        order = torch.randperm(tensor.numel(), generator=generator)
        tensor.copy_(tensor.flatten()[order].view_as(tensor))
    return [name for name, tensor in _floats(layer) if (tensor == tensor.flatten()[0]).all()]


INITIALISERS: Registry[Initialiser] = Registry(
    "initialisation", also="or a function (layer, generator) that writes new values in place"
)
for one in (layer_default, glorot, torchvision, permute_weights):
    INITIALISERS.register(one.__name__)(one)


def initialiser(init: str | Initialiser) -> Initialiser:
    """The initialiser of that name; a function is passed on.

    Raises:
        ConfigError: for an unknown name, or what is neither a name nor a function.
    """
    return init if callable(init) else INITIALISERS[init]


def _floats(layer: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Name and values of each parameter and running statistic."""
    yield from layer.named_parameters()
    yield from ((n, b) for n, b in layer.named_buffers() if n in ("running_mean", "running_var"))
