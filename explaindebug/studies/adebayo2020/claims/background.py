"""Claims of section 3.1: the spurious background, and what noise is worth."""

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

HIGH = 0.65  # SSIM; the paper's lowest to GT-2, 0.78 ± 0.044, is surely above it
LOW = 0.2  # SSIM; the paper's SGradSQ and VGrad have 0.06 and 0.08 to GT-1
LEARNED = 0.9  # share of scenes: the test's gate
FEW = 0.1  # share of scenes that the spurious network calls right more often than a clean one
NOTHING = 1e-3  # SSIM that is about none
SQUARES = ("SGradSQ", "VGrad")  # they are nowhere below 0
RAW = "gaussian_raw"


def emphasis(entry: Entry) -> Said:
    """GT-2 is high for every method, GT-1 low for the two that square."""
    gt2, gt1 = entry.numbers("gt2", SSIM), entry.numbers("gt1", SSIM)
    high = judged(gt2, at_least(HIGH))
    squares = {m: at_most(LOW)(gt1[m]) if m in gt1 else UNKNOWN for m in SQUARES}
    said = ", ".join(f"{m} {with_interval(gt1[m])}" for m in SQUARES if m in gt1) or "not measured"
    return Said(
        every([*high.values(), *squares.values()]),
        f"SSIM to GT-2 is from {spread(gt2)} (paper: 0.78 to 0.98), high for {counted(high)}. SSIM "
        f"to GT-1 of the two methods that square: {said} (paper: 0.063 and 0.075).",
    )


def more_than_clean(entry: Entry) -> Said:
    """Every method puts more of its map on the background than under clean networks."""
    words = {
        CONTROL: "clean networks' maps of the same pictures reach",
        SHOWN["shuffled"]: "the maps' own pixels in random order",
    }
    return Said(
        every(of_verdicts(entry, HOLDS).values()),
        f"Does more of the map lie on the background than under clean networks? {tallied(entry)}. "
        f"SSIM to GT-2 does not tell that: {read_beside(entry, 'gt2', words)}.",
    )


def scenes_alone(entry: Entry) -> Said:
    """The network calls scenes without any animal by their class."""
    found = entry.accuracy("spurious", "scenes alone")
    if found is None:
        return Said(UNKNOWN, "The run did not ask the network about scenes alone.")
    n = entry.affected("spurious", "test")
    low, high = wilson_interval(found, n) if n else (found, found)
    counts = f" of {n} scenes" if n else ""
    share = Number(found, math.nan, low, high)
    said = with_interval(share) if n else wording.fine(found)
    return Said(
        at_least(LEARNED)(share),
        f"The spurious network calls {said}{counts} by their class (paper: {SCENES_ALONE}).",
    )


def clean_does_not(entry: Entry) -> Said:
    """A clean network calls fewer of them right."""
    found = entry.accuracy("spurious", "scenes alone")
    clean = entry.accuracy("clean", "scenes alone")
    if found is None or clean is None:
        return Said(UNKNOWN, "The run did not ask a clean network about scenes alone.")
    return Said(
        HOLDS if found - clean > FEW else FAILS,
        f"A network that was trained on the clean pictures calls {wording.fine(clean)} of them so.",
    )


def calibration(entry: Entry) -> Said:
    """SSIM to noise that nobody normalised is about none."""
    found = _nulls(entry, RAW)
    if not found:
        return Said(
            UNKNOWN,
            "The run did not score noise as it is: `nulls=[gaussian,gaussian_raw]` does, with one "
            "cheap method (`attributions=[grad]`) and the networks that are trained already.",
        )
    answers = judged(found, near_zero(NOTHING))
    said = "; ".join(f"to {where} {x.mean:.1e} ± {x.sem:.1e}" for where, x in found.items())
    return Said(
        every(answers.values()),
        f"Mean SSIM of unnormalised N(0, 1) noise {said} (paper: {CALIBRATION:.0e}).",
    )


def matched(entry: Entry) -> Said:
    """It is about none as well once noise goes the way that maps go."""
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
        f"Normalised as the maps are, mean SSIM over all methods is of {said}.",
    )


def _nulls(entry: Entry, null: str) -> dict[str, Number]:
    """The null's mean SSIM to both ground truths, over all methods input by input."""
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
    "Stands where every method's verdict is *shows*: more of its map lies on the background than "
    "under clean networks on the same pictures.",
    "table2",
    emphasis,
    more_than_clean,
    "A high SSIM to GT-2 needs no network that learned the background: both maps are multiplied by "
    "the same mask, and min-max normalisation makes zero a grey that all maps share. The columns "
    "*Control* and *Null: shuffled* of the same table separate that from the bug; the share of the "
    "attribution on the background, which verdicts are about, depends on neither. What is left of "
    "the similarity without that grey is told by `python train.py experiment=table2 preset=robust "
    "...`. A method whose share does not move explains the animal's outline whatever was learned: "
    "see its maps, and `bug=spurious bug.spurious.fraction=0.5`, where the network needs both.",
)
SCENES = Claim(
    2,
    "The spurious model classifies scenes alone (97 % in the paper).",
    f"The whole 95 % interval (Wilson) of the share of test scenes, without any animal, that are "
    f"called by their class is at or above {LEARNED}, the gate of the test.",
    f"Stands where a clean network calls at least {FEW} fewer of them so.",
    "table2",
    scenes_alone,
    clean_does_not,
    "Either the network was not trained enough to rely on the scene alone "
    "(`trainer.max_epochs`), or it learned animal and scene together: `bug.spurious.feather` and "
    "`data.border` change how much of an outline is left, and the spurious score, in the run's "
    "facts, says how often a scene flips what is said of an animal. A clean network that calls "
    "scenes right as well means that scenes are known from the clean pictures, too: those that "
    "were photographed before such a background.",
    needs_gate=False,
)
GAUSSIAN = Claim(
    6,
    "Gaussian calibration: the SSIM of maps to noise is about 3e-6.",
    "The whole 95 % interval of the mean SSIM of N(0, 1) noise, *not* normalised as maps are, "
    f"lies within {NOTHING} of 0, for both ground truths.",
    "Stands where noise and shuffled maps that *are* normalised as maps are have as little.",
    "table2",
    calibration,
    matched,
    "Noise with a standard deviation of 1 meets maps squeezed into [0, 1]: what makes their SSIM "
    "vanish is the difference in scale, not that they have nothing in common. The nulls of the "
    "same run, normalised alike, separate the two.",
    needs_gate=False,
)
ALL = (BACKGROUND, SCENES, GAUSSIAN)
