"""The map stays away from a region, such as the corners."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from explaindebug.audit.assertions.base import ASSERTIONS, Assertion, Case, beyond, share
from explaindebug.core.errors import ConfigError
from explaindebug.core.registry import nearest
from explaindebug.core.validation import number

SIDE = 0.25  # of a corner, as a share of each side
CORNERS = ("top_left", "top_right", "bottom_left", "bottom_right")
REGIONS = ("corner", *CORNERS, "border")


@ASSERTIONS.register("off_region")
@dataclass(frozen=True)
class OffRegion(Assertion):
    """At most this share of |map| is in a region; severity is what is beyond.

    Regions are a corner by name, a quarter of each side large (1/16 of the area); `corner`, the one
    of the four with most of the map; `border`, what is within an eighth of each side (7/16).
    """

    name = "off_region"
    chance = "holds"

    region: str = "corner"
    at_most: float = 0.1

    def __post_init__(self) -> None:
        if self.region not in REGIONS:
            raise ConfigError(
                f"off_region: unknown region {self.region!r}."
                f"{nearest(str(self.region), list(REGIONS))} Known: {', '.join(REGIONS)}."
            )
        number("off_region: at_most", self.at_most, least=0, most=1)

    @property
    def claim(self) -> str:
        where = "any corner" if self.region == "corner" else f"the {self.region.replace('_', ' ')}"
        return f"at most {self.at_most:g} of the map is in {where}"

    def severity(self, case: Case) -> Tensor:
        chosen: Sequence[str] = CORNERS if self.region == "corner" else (self.region,)
        found = [share(case.maps, mask) for mask in self._masks(case.maps, chosen)]
        return beyond(torch.stack(found).amax(0), self.at_most)

    @staticmethod
    def _masks(maps: Tensor, regions: Sequence[str]) -> list[Tensor]:
        n, _, h, w = maps.shape
        masks = []
        for region in regions:
            mask = torch.zeros(h, w, dtype=torch.bool, device=maps.device)
            tall, wide = max(1, round(SIDE * h)), max(1, round(SIDE * w))
            if region == "border":
                mask[:] = True
                top, left = max(1, round(SIDE / 2 * h)), max(1, round(SIDE / 2 * w))
                mask[top : h - top, left : w - left] = False
            else:
                rows = slice(tall) if region.startswith("top") else slice(h - tall, h)
                mask[rows, slice(wide) if region.endswith("left") else slice(w - wide, w)] = True
            masks.append(mask.expand(n, 1, h, w))
        return masks
