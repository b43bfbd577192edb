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

HIGH = 0.5  # SSIM, reached by most methods in each column of the paper's Table 3
ZERO = 0.1  # rank correlation: closer to 0 for most methods in each column
WHERE = "foreign"


def high_and_unrelated(entry: Entry) -> Said:
    """SSIM is high for most methods, and the rank correlation about zero for most."""
    ssim, rank = (entry.numbers(WHERE, similarity) for similarity in (SSIM, RANK))
    high, none = judged(ssim, at_least(HIGH)), judged(rank, near_zero(ZERO))
    return Said(
        every([most(high.values()), most(none.values())]),
        f"SSIM is {spread(ssim)}, high for {counted(high)}. Rank correlation is "
        f"{spread(rank)}, about zero for {counted(none)}.",
    )


def less_than_twins(entry: Entry) -> Said:
    """Most methods' maps are less similar than those of two in-domain networks."""
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
        "Are maps less similar (rank correlation) than those of two networks of the inputs' own "
        f"domain? {tallied(entry)}. For comparison, {beside or 'nothing was scored'}.",
    )


FOREIGN = Claim(
    5,
    "Under OOD inputs, SSIM is high and rank correlation about zero.",
    "For more than half of the methods (as in each column of the paper's own Table 3) the whole "
    f"95 % interval of the mean SSIM is at or above {HIGH}, and for more than half that of the "
    f"rank correlation lies within {ZERO} of 0.",
    "Holds if the verdict of more than half of the methods is *shows*: by rank correlation, maps "
    "are less similar than those of two networks of the inputs' own domain.",
    "table3",
    high_and_unrelated,
    less_than_twins,
    "Rank correlations far from zero can be due to a small number of pixels (maps of 28 px have "
    "pixels that are dark in every picture, where all maps are small): `data.size` shows whether "
    "they are. If two networks of one domain agree as little (*Control*), a rank correlation of "
    "zero is what networks with another seed give, and says nothing about the inputs; a twin "
    "trained longer or on more pictures would show that. An SSIM as high as that of shuffled maps "
    "is due to the post-processing: see `preset=robust`.",
)
ALL = (FOREIGN,)
