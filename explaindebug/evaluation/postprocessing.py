"""Post-processing from raw attributions to the maps that are compared, as one recorded step."""

from dataclasses import dataclass, replace
from typing import Literal, Self, get_args

import torch
from torch import Tensor

from explaindebug.core.errors import ConfigError, DataError
from explaindebug.core.validation import number

Sign = Literal["signed", "abs", "positive"]
Channels = Literal["none", "sum", "abs_sum"]
Scale = Literal["minmax", "p99", "rms"]
Order = Literal["before", "after"]


@dataclass(frozen=True)
class PostProcessing:
    """Maps (n, k, h, w) from raw signed attributions (n, c, h, w).

    Applied to each input in this order (k = c for `channels="none"`, else 1):

    1. `channels`: `none` keeps them, `sum` adds them, `abs_sum` adds their absolute values.
    2. `sign`: `signed` keeps it, `abs` drops it, `positive` keeps evidence for the class.
    3. `normalise`: `minmax` (x - min) / (max - min), which turns a signed map's zero into some
       grey; `p99` x / 99th percentile of |x|, clipped, which keeps zeros; `rms` x / root mean
       square.

    A mask, if given, is multiplied `before` or `after` step 3 (`mask`). Constant maps stay constant
    and finite; a map that contains a NaN or an infinity becomes NaN everywhere.

    Raises:
        ConfigError: for an unknown choice, or a sign that `abs_sum` would silently erase.
    """

    sign: Sign = "abs"
    channels: Channels = "abs_sum"
    normalise: Scale = "p99"
    mask: Order = "before"
    assumed_range: float | None = None  # data range for SSIM instead of the true one, see PAPER

    def __post_init__(self) -> None:
        for name, kind in _OPTIONS.items():
            if getattr(self, name) not in get_args(kind):
                known = ", ".join(get_args(kind))
                raise ConfigError(
                    f"postprocessing.{name}: expected one of {known}, got {getattr(self, name)!r}."
                )
        if self.assumed_range is not None:
            number("postprocessing.assumed_range", self.assumed_range, above=0, most=1000)
        if self.channels == "abs_sum" and self.sign != "abs":
            raise ConfigError(
                f"channels='abs_sum' leaves no sign, so sign={self.sign!r} would have no effect. "
                "Use channels='sum', or sign='abs'."
            )

    @property
    def data_range(self) -> float | None:
        """Width of the interval in which maps lie: 1 or 2; None if they are unbounded."""
        if self.assumed_range is not None:
            return self.assumed_range
        signed = self.sign == "signed"
        return {"minmax": 1.0, "p99": 2.0 if signed else 1.0, "rms": None}[self.normalise]

    def with_sign(self, sign: Sign) -> Self:
        """The same with another sign; `abs_sum` becomes `sum` if it would erase that sign."""
        erased = sign != "abs" and self.channels == "abs_sum"
        return replace(self, sign=sign, channels="sum" if erased else self.channels)

    def __call__(self, raw: Tensor, mask: Tensor | None = None) -> Tensor:
        """The maps (n, k, h, w); `mask` (n, 1, h, w) weights their pixels, from 0 to 1."""
        raw = raw.detach().cpu() if raw.device.type == "mps" else raw.detach()  # MPS has no float64
        maps = self._signed(self._reduced(raw.float() if raw.dtype != torch.float64 else raw))
        if mask is None:
            return self._scaled(maps)
        if mask.shape[-2:] != maps.shape[-2:] or len(mask) != len(maps):
            raise DataError(f"masks {tuple(mask.shape)} don't fit maps {tuple(maps.shape)}.")
        mask = mask.to(maps)
        return self._scaled(maps * mask) if self.mask == "before" else self._scaled(maps) * mask

    def _reduced(self, raw: Tensor) -> Tensor:
        if self.channels == "none":
            return raw
        return (raw.abs() if self.channels == "abs_sum" else raw).sum(1, keepdim=True)

    def _signed(self, maps: Tensor) -> Tensor:
        if self.sign == "signed":
            return maps
        return maps.abs() if self.sign == "abs" else maps.clamp_min(0)

    def _scaled(self, maps: Tensor) -> Tensor:
        if not maps.numel():
            return maps
        flat = maps.flatten(1)
        broken = ~flat.isfinite().all(1, keepdim=True)
        scaled = _SCALES[self.normalise](flat)
        return scaled.masked_fill(broken, torch.nan).view_as(maps)


def _minmax(flat: Tensor) -> Tensor:
    low, high = flat.amin(1, keepdim=True), flat.amax(1, keepdim=True)
    return (flat - low) / _or_one(high - low)


def _p99(flat: Tensor) -> Tensor:
    size = flat.abs()
    p = flat.shape[1]
    above = p - max(1, round(0.99 * p)) + 1  # including the percentile itself
    top = size.topk(above, dim=1, sorted=False).values  # twice as fast as kthvalue
    percentile, peak = top.amin(1, keepdim=True), top.amax(1, keepdim=True)
    # the peak, if fewer than 1 % of the values are not zero
    return (flat / _or_one(torch.where(percentile > 0, percentile, peak))).clamp(-1, 1)


def _rms(flat: Tensor) -> Tensor:
    flat = flat / _or_one(flat.abs().amax(1, keepdim=True))  # squares must not under- or overflow
    return flat / _or_one(flat.square().mean(1, keepdim=True).sqrt())


def _or_one(scale: Tensor) -> Tensor:
    return torch.where(scale > 0, scale, torch.ones_like(scale))


_SCALES = {"minmax": _minmax, "p99": _p99, "rms": _rms}
_OPTIONS = {"sign": Sign, "channels": Channels, "normalise": Scale, "mask": Order}

# The default. Measured on unrelated noise maps of one object (SSIM, Spearman): 0.2 to 0.3, 0.3, and
# 0.0 for `spearman_signed`, for comparison; 0.85 to 0.87 if 70 % is shared. Signed maps have the
# wider range (0.0 to 0.83), but can't be compared with a mask, nor with methods that have no sign.
ROBUST = PostProcessing()

# The paper's, as far as it can be inferred: zero becomes a grey that all maps share, so unrelated
# maps have SSIM 0.7 to 0.9; scikit-image's default range at the time (2) raises it. For parity.
PAPER = PostProcessing("signed", "none", "minmax", assumed_range=2.0)
