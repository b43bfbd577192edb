"""Whether a gradient comes back from a network's output to the image, and what is in its way."""

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import CheckpointError, CheckpointFunction

from explaindebug.attributions._autograd.graph import nodes_of

REMEDY = (
    "Switch checkpointing off for explaining: memory_efficient=False, use_checkpoint=False, "
    "gradient_checkpointing_disable(), or only `if self.training`."
)


def obstacle(model: nn.Module, output: Tensor, image: Tensor) -> str:
    """Why the way back from an output to the image fails, as a sentence; "" where it doesn't.

    One backward pass, for which the graph must be there. It is what explains a network that
    computes some of its activations again on the way back, or has an operation without a gradient.
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
    """The sentence for a network whose output doesn't depend on the image, for autograd."""
    return (
        f"no gradient leads from the output of {name} back to the image: its forward detaches it, "
        "runs under no_grad or on integers (quantised layers), or returns classes instead of "
        "logits. LIME and KernelSHAP need no gradient."
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
            f"{name} checkpoints its activations (torch.utils.checkpoint): they are computed again "
            "on the way back, where no rule can follow them. " + REMEDY
        )
    return (
        f"no gradient comes back from the output of {name} to the image: the backward pass fails "
        f"({type(error).__name__}: {error}). LIME and KernelSHAP need none."
    )
