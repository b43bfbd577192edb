"""Existing networks and inputs, as a test needs them in a notebook."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from explaindebug.attributions._engine.inputs import check_images
from explaindebug.core.errors import ConfigError, DataError
from explaindebug.core.registry import nearest
from explaindebug.debugtests.base import Arms
from explaindebug.debugtests.probe import Probe
from explaindebug.evaluation.heatmaps import stretched

ROLES = ("bug", "control", "reference")
Networks = nn.Module | Sequence[nn.Module]


@dataclass(frozen=True, eq=False)
class SimpleLab:
    """Networks and inputs for `run_test`.

    Args:
        images: the inputs (n, c, h, w), normalised as in training.
        networks: by role: `bug`, the network in question; `control`, one or more without the bug,
            trained in the same way but with other seeds; `reference`, one more, for tests that
            compare with one. Each is a module or a sequence of modules.
        labels: true classes (n,), for captions and accuracies.
        masks: bool (n, 1, h, w), True on the object.
        scenes: the same pictures without their objects (n, c, h, w).
        classes: names of the classes, for captions.
        picture: maps a normalised image (c, h, w) to [0, 1], to draw inputs in true colours.

    Raises:
        DataError: for tensors whose shapes don't match.
        ConfigError: for an unknown role, or if there is no network with the bug.
    """

    images: Tensor
    networks: Mapping[str, Networks]
    labels: Tensor | None = None
    masks: Tensor | None = None
    scenes: Tensor | None = None
    classes: Sequence[str] | None = None
    picture: Callable[[Tensor], Tensor] = stretched

    def __post_init__(self) -> None:
        check_images(self.images)
        n, c, h, w = self.images.shape
        expected = {"labels": (n,), "masks": (n, 1, h, w), "scenes": (n, c, h, w)}
        for name, shape in expected.items():
            given: Tensor | None = getattr(self, name)
            if given is not None and given.shape != shape:
                raise DataError(
                    f"{name} is {tuple(given.shape)}, but {shape} belongs to images "
                    f"{tuple(self.images.shape)}."
                )
        if self.masks is not None and self.masks.dtype != torch.bool:
            raise DataError(
                f"masks is {self.masks.dtype}, but must be torch.bool, True on the object: "
                "use masks > 0, for example."
            )
        for role in self.networks:
            if role not in ROLES:
                raise ConfigError(
                    f"networks: unknown role {role!r}.{nearest(role, list(ROLES))} "
                    f"Known: {', '.join(ROLES)}."
                )
        if not self.role("bug"):
            raise ConfigError('networks has no "bug": add the network in question.')

    def role(self, name: str) -> list[nn.Module]:
        """The networks of a role."""
        found = self.networks.get(name, ())
        return [found] if isinstance(found, nn.Module) else list(found)

    def arms(self, device: torch.device) -> Arms:
        """Private copies of all networks, see `watch`."""
        bug, control, reference = (self.role(name) for name in ROLES)
        if len(reference) > 1:
            raise ConfigError(
                f"networks has {len(reference)} references: one is compared with, the others are "
                "controls."
            )
        return Arms(bug, control, reference[0] if reference else None).private(device)

    def probe(self, device: torch.device) -> Probe:
        """The inputs, cloned."""
        labels = torch.zeros(len(self.images)) if self.labels is None else self.labels
        rows = torch.arange(len(self.images))
        signal = None if self.masks is None else ~self.masks
        probe = Probe(self.images.float(), labels.long(), rows, signal, self.scenes)
        return probe.map(lambda x: x.detach().clone().to(device))
