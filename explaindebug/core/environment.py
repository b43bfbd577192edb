"""Versions of the software that a run was made with."""

import platform
from importlib.metadata import PackageNotFoundError, version

PACKAGES = (
    "explaindebug",
    "torch",
    "torchvision",
    "pytorch-lightning",
    "captum",
    "torchmetrics",
    "scikit-image",
    "scipy",
    "numpy",
    "hydra-core",
    "wandb",
)


def versions() -> dict[str, str]:
    """Versions of Python, the platform and the packages that affect results."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
