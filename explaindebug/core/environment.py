"""With what a run was made."""

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
    """Python and the packages that decide numbers."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
