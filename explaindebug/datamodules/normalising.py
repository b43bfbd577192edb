"""Normalisation of pictures by mean and standard deviation per channel."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from explaindebug.core.errors import ConfigError
from explaindebug.core.registry import Registry
from explaindebug.data.imageset import Splits


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation of pictures in [0, 1], per channel or one for all."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


NORMALISATIONS: Registry[Normalisation] = Registry("normalise", also="null, mean/std")
NORMALISATIONS.register("imagenet")(Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))


def normalisation(spec: str | Mapping[str, Any] | None) -> Normalisation | None:
    """The normalisation given by `spec`: a name in `NORMALISATIONS`, or its two fields.

    Raises:
        ConfigError: for an unknown name, other fields, or a standard deviation not above 0.
    """
    if spec is None:
        return None
    if isinstance(spec, str):
        return NORMALISATIONS[spec]
    try:
        mean, std = (tuple(map(float, spec[key])) for key in ("mean", "std"))
        good = set(spec) == {"mean", "std"} and min(std) > 0 and len(mean) == len(std) in (1, 3)
    except (KeyError, TypeError, ValueError):
        good = False
    if not good:
        raise ConfigError(
            f"normalise={dict(spec)}: give mean and std as lists of one or three numbers, with "
            "positive std: {mean: [0.5], std: [0.25]}."
        )
    return Normalisation(mean, std)


def normalised(splits: Splits, how: Normalisation | None) -> Splits:
    """The same pictures, served with this mean and standard deviation.

    Raises:
        ConfigError: if there are means for three channels, but pictures have one.
    """
    if how is None:
        return splits
    channels, _, _ = splits.train.size
    if len(how.mean) not in (1, channels):
        raise ConfigError(
            f"normalise has {len(how.mean)} means, but the pictures have {channels} channel. Set "
            "data.channels=3, or give one mean and one std."
        )
    return Splits(*(replace(part, mean=how.mean, std=how.std) for part in splits))
