"""Whether a gradient reaches the image from a network's output, and what prevents it."""

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import CheckpointError, CheckpointFunction

from explaindebug.attributions._autograd.graph import nodes_of

REMEDY = (
    "Switch checkpointing off for explaining: memory_efficient=False, use_checkpoint=False, "
    "gradient_checkpointing_disable(), or only `if self.training`."
)


def obstacle(model: nn.Module, output: Tensor, image: Tensor) -> str:
    """Why no gradient of an output reaches the image, as a sentence; "" if it does.

    Costs one backward pass, which consumes the graph. It fails for networks that checkpoint their
    activations, or have an operation without a gradient.
    """
    name = type(model).__name__
    if not output.requires_grad:
        return detached(name)
    try:
        (found,) = torch.autograd.grad(output.sum(), image, allow_unused=True)
    except Exception as error:
        return blocked(name, output, error)
    return detached(name) if found is None else ""


def detached(name: str) -> str:
    """The sentence for a network whose output, to autograd, doesn't depend on the image."""
    return (
        f"no gradient leads from the output of {name} back to the image: its forward detaches it, "
        "runs under no_grad or on integers (quantised layers), or returns classes instead of "
        "logits. Occlusion, LIME and KernelSHAP need no gradient."
    )


def blocked(name: str, output: Tensor, error: Exception) -> str:
    """The sentence for an error of a backward pass."""
    functions = [getattr(node, "_forward_cls", None) for node in nodes_of(output)]
    if CheckpointFunction in functions:
        return (
            f"{name} checkpoints its activations with re-entrance (torch.utils.checkpoint with "
            "use_reentrant=True), which gives no gradient of the image. Set use_reentrant=False. "
            + REMEDY
        )
    if isinstance(error, CheckpointError):
        return (
            f"{name} checkpoints its activations (torch.utils.checkpoint): they are recomputed in "
            "the backward pass, where rules can't follow them. " + REMEDY
        )
    return (
        f"no gradient leads from the output of {name} back to the image: the backward pass fails "
        f"({type(error).__name__}: {error}). Occlusion, LIME and KernelSHAP need none."
    )
