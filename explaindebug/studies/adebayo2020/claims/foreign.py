"""The claim of section 5: similarities out of distribution."""

from explaindebug.report.beside import CONTROL, SHOWN
from explaindebug.studies.adebayo2020.claims.claim import Claim, Said, of_verdicts, tallied
from explaindebug.studies.adebayo2020.entry import Entry
from explaindebug.studies.adebayo2020.judging import (
    HOLDS,
    at_least,
    counted,
    every,
    judged,
    most,
    near_zero,
    spread,
)
from explaindebug.studies.adebayo2020.published import RANK, SSIM

HIGH = 0.5  # SSIM, which the paper's Table 3 has for most methods in each of its columns
ZERO = 0.1  # rank correlation: that of most methods in each column is nearer to 0
WHERE = "foreign"


def high_and_unrelated(entry: Entry) -> Said:
    """For most methods SSIM is high, and for most the rank correlation is about zero."""
    ssim, rank = (entry.numbers(WHERE, similarity) for similarity in (SSIM, RANK))
    high, none = judged(ssim, at_least(HIGH)), judged(rank, near_zero(ZERO))
    return Said(
        every([most(high.values()), most(none.values())]),
        f"SSIM is from {spread(ssim)}, high for {counted(high)}. Rank correlation is from "
        f"{spread(rank)}, about zero for {counted(none)}.",
    )


def less_than_twins(entry: Entry) -> Said:
    """Most methods' maps are less alike than those of two networks of the inputs' own domain."""
    beside = "; ".join(
        f"{word}: SSIM {spread(entry.numbers(WHERE, SSIM, arm))}, rank correlation "
        f"{spread(entry.numbers(WHERE, RANK, arm))}"
        for word, arm in (
            ("two networks of the inputs' own domain", CONTROL),
            ("the maps' own pixels in random order", SHOWN["shuffled"]),
        )
        if entry.numbers(WHERE, RANK, arm)
    )
    return Said(
        most(of_verdicts(entry, HOLDS).values()),
        "Are maps less alike (rank correlation) than those of two networks of the inputs' own "
        f"domain? {tallied(entry)}. Beside it, {beside or 'nothing was scored'}.",
    )


FOREIGN = Claim(
    5,
    "Under OOD inputs, SSIM is high and rank correlation about zero.",
    "For more than half of the methods (as in each column of the paper's own Table 3) the whole "
    f"95 % interval of the mean SSIM is at or above {HIGH}, and for more than half that of the "
    f"rank correlation lies within {ZERO} of 0.",
    "Stands where the verdict of more than half of the methods is *shows*: by rank correlation, "
    "maps are less alike than those of two networks of the inputs' own domain.",
    "table3",
    high_and_unrelated,
    less_than_twins,
    "Rank correlations that are far from zero can come from few pixels (maps of 28 px have "
    "pixels that are dark in every picture, where all maps are small alike): `data.size` tells. "
    "Where two networks of one domain agree as little (*Control*), a rank correlation of zero is "
    "what networks of another seed give, and says nothing of the inputs; a twin with more "
    "training or on more pictures tells. An SSIM as high as that of shuffled maps is the "
    "post-processing's: `preset=robust`.",
)
ALL = (FOREIGN,)
