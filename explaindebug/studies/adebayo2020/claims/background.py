"""Claims of section 3.1: the spurious background, and the Gaussian calibration."""

import math

from explaindebug.core import wording
from explaindebug.evaluation.inference import wilson_interval
from explaindebug.evaluation.roles import BUG, Role, null_role
from explaindebug.evaluation.scores import Key, Scores
from explaindebug.evaluation.summary import summarise
from explaindebug.report.beside import CONTROL, SHOWN, Number, pooled
from explaindebug.studies.adebayo2020.claims.claim import (
    Claim,
    Said,
    of_verdicts,
    read_beside,
    tallied,
)
from explaindebug.studies.adebayo2020.entry import Entry
from explaindebug.studies.adebayo2020.judging import (
    FAILS,
    HOLDS,
    UNKNOWN,
    at_least,
    at_most,
    counted,
    every,
    judged,
    near_zero,
    spread,
    with_interval,
)
from explaindebug.studies.adebayo2020.published import CALIBRATION, SCENES_ALONE, SSIM

HIGH = 0.65  # SSIM; the paper's lowest value for GT-2, 0.78 ± 0.044, is surely above it
LOW = 0.2  # SSIM; the paper has 0.06 and 0.08 for SGradSQ and VGrad on GT-1
LEARNED = 0.9  # share of scenes: the test's gate
FEW = 0.1  # by how much the spurious network's accuracy on scenes must exceed a clean one's
NOTHING = 1e-3  # SSIM that counts as zero
SQUARES = ("SGradSQ", "VGrad")  # their maps are never negative
RAW = "gaussian_raw"


def emphasis(entry: Entry) -> Said:
    """GT-2 is high for every method, GT-1 low for the two that square."""
    gt2, gt1 = entry.numbers("gt2", SSIM), entry.numbers("gt1", SSIM)
    high = judged(gt2, at_least(HIGH))
    squares = {m: at_most(LOW)(gt1[m]) if m in gt1 else UNKNOWN for m in SQUARES}
    said = ", ".join(f"{m} {with_interval(gt1[m])}" for m in SQUARES if m in gt1) or "not measured"
    return Said(
        every([*high.values(), *squares.values()]),
        f"SSIM to GT-2 is {spread(gt2)} (paper: 0.78 to 0.98), high for {counted(high)}. SSIM to "
        f"GT-1 of the two methods that square: {said} (paper: 0.063 and 0.075).",
    )


def more_than_clean(entry: Entry) -> Said:
    """Every method has a larger share of its map on the background than under clean networks."""
    words = {
        CONTROL: "clean networks' maps of the same pictures reach",
        SHOWN["shuffled"]: "the maps' own pixels in random order",
    }
    return Said(
        every(of_verdicts(entry, HOLDS).values()),
        f"Does more of the map lie on the background than under clean networks? {tallied(entry)}. "
        f"SSIM to GT-2 can't show that: {read_beside(entry, 'gt2', words)}.",
    )


def scenes_alone(entry: Entry) -> Said:
    """The network assigns scenes without any animal to their class."""
    found = entry.accuracy("spurious", "scenes alone")
    if found is None:
        return Said(UNKNOWN, "The run did not measure the network's accuracy on scenes alone.")
    n = entry.affected("spurious", "test")
    low, high = wilson_interval(found, n) if n else (found, found)
    counts = f" of {n} scenes" if n else ""
    share = Number(found, math.nan, low, high)
    said = with_interval(share) if n else wording.fine(found)
    return Said(
        at_least(LEARNED)(share),
        f"The spurious network classifies {said}{counts} correctly (paper: {SCENES_ALONE}).",
    )


def clean_does_not(entry: Entry) -> Said:
    """A clean network classifies fewer of them correctly."""
    found = entry.accuracy("spurious", "scenes alone")
    clean = entry.accuracy("clean", "scenes alone")
    if found is None or clean is None:
        return Said(UNKNOWN, "The run did not measure a clean network's accuracy on scenes alone.")
    return Said(
        HOLDS if found - clean > FEW else FAILS,
        f"A network trained on clean pictures classifies {wording.fine(clean)} of them correctly.",
    )


def calibration(entry: Entry) -> Said:
    """SSIM to unnormalised noise is about zero."""
    found = _nulls(entry, RAW)
    if not found:
        return Said(
            UNKNOWN,
            "The run did not score unnormalised noise: `nulls=[gaussian,gaussian_raw]` does, with "
            "one cheap method (`attributions=[grad]`) and the networks that are already trained.",
        )
    answers = judged(found, near_zero(NOTHING))
    said = "; ".join(f"to {where} {x.mean:.1e} ± {x.sem:.1e}" for where, x in found.items())
    return Said(
        every(answers.values()),
        f"Mean SSIM of unnormalised N(0, 1) noise {said} (paper: {CALIBRATION:.0e}).",
    )


def matched(entry: Entry) -> Said:
    """It is still about zero if noise is normalised like maps."""
    found = {
        f"{word}, {where}": x
        for null, word in (("gaussian", "N(0, 1) noise"), ("shuffled", "shuffled maps"))
        for where, x in _nulls(entry, null).items()
    }
    if not found:
        return Said(UNKNOWN, "The run scored no matched null.")
    said = "; ".join(f"{where}: {with_interval(x)}" for where, x in found.items())
    return Said(
        every(judged(found, near_zero(NOTHING)).values()),
        f"If noise is normalised like the maps, mean SSIM over all methods is: {said}.",
    )


def _nulls(entry: Entry, null: str) -> dict[str, Number]:
    """The null's mean SSIM to both ground truths, averaged over all methods per input."""
    together, role = Scores(), null_role(null)
    for truth in ("gt1", "gt2"):
        key = Key(entry.test.name, "", truth, role, entry.comparison(truth, SSIM)[1])
        columns = [
            column
            for own, column in entry.test.scores.select(role=role, condition=truth)
            if own.similarity == key.similarity
        ]
        for k, column in enumerate(columns):
            together.add(key._replace(role=str(Role(BUG, k + 1))), *column)
    return {
        {"gt1": "GT-1", "gt2": "GT-2"}[line.condition]: Number.of(line)
        for line in summarise(pooled(together))
    }


BACKGROUND = Claim(
    1,
    "Attributions of the spurious model emphasise the background: GT-2 is high for every method, "
    "and SGradSQ and VGrad are low on GT-1.",
    f"*High*: the whole 95 % interval of the mean SSIM is at or above {HIGH} (the paper's lowest "
    f"is 0.78). *Low*: at or below {LOW} (the paper has 0.06 and 0.08).",
    "Holds if every method's verdict is *shows*: more of its map lies on the background than "
    "under clean networks on the same pictures.",
    "table2",
    emphasis,
    more_than_clean,
    "A high SSIM to GT-2 does not require a network that learned the background: both maps are "
    "multiplied by the same mask, and min-max normalisation turns zero into a grey that all maps "
    "share. The columns *Control* and *Null: shuffled* of the same table separate that from the "
    "bug; the share of the attribution on the background, on which verdicts are based, depends on "
    "neither. `python train.py experiment=table2 preset=robust ...` shows what is left of the "
    "similarity without that grey. A method whose share does not change explains the animal's "
    "outline whatever was learned: see its maps, and `bug=spurious bug.spurious.fraction=0.5`, "
    "where the network needs both.",
)
SCENES = Claim(
    2,
    "The spurious model classifies scenes alone (97 % in the paper).",
    f"The whole 95 % interval (Wilson) of the accuracy on test scenes without any animal is at or "
    f"above {LEARNED}, the gate of the test.",
    f"Holds if a clean network's accuracy on them is lower by more than {FEW}.",
    "table2",
    scenes_alone,
    clean_does_not,
    "Either the network was not trained enough to rely on the scene alone "
    "(`trainer.max_epochs`), or it learned animal and scene together: `bug.spurious.feather` and "
    "`data.border` change how much of an outline is left, and the spurious score, in the run's "
    "facts, shows how often a scene flips the prediction for an animal. If a clean network "
    "classifies scenes correctly as well, it knows such scenes from the clean pictures that were "
    "photographed in front of them.",
    needs_gate=False,
)
GAUSSIAN = Claim(
    6,
    "Gaussian calibration: the SSIM of maps to noise is about 3e-6.",
    "The whole 95 % interval of the mean SSIM of N(0, 1) noise, *not* normalised like maps, lies "
    f"within {NOTHING} of 0, for both ground truths.",
    "Holds if the SSIM of noise and shuffled maps that *are* normalised like maps is as low.",
    "table2",
    calibration,
    matched,
    "Noise with a standard deviation of 1 is compared with maps scaled to [0, 1]: SSIM vanishes "
    "because of the difference in scale, not because they have nothing in common. The nulls of the "
    "same run, normalised in the same way, separate the two.",
    needs_gate=False,
)
ALL = (BACKGROUND, SCENES, GAUSSIAN)
