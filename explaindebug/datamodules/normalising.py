"""How bytes become numbers: by mean and deviation of each channel."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from explaindebug.core.errors import ConfigError
from explaindebug.core.registry import Registry
from explaindebug.data.imageset import Splits


@dataclass(frozen=True)
class Normalisation:
    """Mean and deviation of pictures in [0, 1], one for each channel, or one for all."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


NORMALISATIONS: Registry[Normalisation] = Registry("normalise", also="null, mean/std")
NORMALISATIONS.register("imagenet")(Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))


def normalisation(spec: str | Mapping[str, Any] | None) -> Normalisation | None:
    """What `spec` asks for: one of `NORMALISATIONS` by name, or its two fields.

    Raises:
        ConfigError: for another name, other fields, or a deviation that is not above 0.
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
            f"normalise={dict(spec)}: mean and std are needed, lists of one number or three, the "
            "deviations above 0: {mean: [0.5], std: [0.25]}."
        )
    return Normalisation(mean, std)


def normalised(splits: Splits, how: Normalisation | None) -> Splits:
    """The same pictures, served with this mean and deviation.

    Raises:
        ConfigError: where there is a mean for each of three channels, but one channel.
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
