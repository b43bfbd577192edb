"""The claim of section 3.2: maps of mislabelled examples look like any others."""

from explaindebug.core import wording
from explaindebug.evaluation.detection import Detector, best_of_maps
from explaindebug.report import phrases
from explaindebug.report.beside import CONTROL, SHOWN
from explaindebug.studies.adebayo2020.claims.claim import (
    Claim,
    Said,
    of_verdicts,
    read_beside,
    tallied,
)
from explaindebug.studies.adebayo2020.entry import Entry
from explaindebug.studies.adebayo2020.judging import FAILS, at_least, counted, every, judged, spread
from explaindebug.studies.adebayo2020.published import SSIM

HIGH = 0.65  # SSIM; the paper's lowest is 0.73
WHERE = "flipped"


def alike(entry: Entry) -> Said:
    """SSIM to the maps of a network trained with the right labels is high for every method."""
    found = entry.numbers(WHERE, SSIM)
    high = judged(found, at_least(HIGH))
    return Said(
        every(high.values()),
        f"SSIM is {spread(found)} (paper: 0.73 to 0.99), high for {counted(high)}.",
    )


def no_less_than_a_twin(entry: Entry) -> Said:
    """No method's maps are less similar than those of a second network with the right labels."""
    words = {
        CONTROL: "two networks with the right labels agree by",
        SHOWN["shuffled"]: "the maps' own pixels in random order reach",
    }
    return Said(
        every(of_verdicts(entry, FAILS).values()),
        f"Are maps less similar (rank correlation) than those of two networks with the right "
        f"labels? {tallied(entry)}. By SSIM, {read_beside(entry, WHERE, words)}.{_found(entry)}",
    )


def _found(entry: Entry) -> str:
    """How well flipped examples can be found using one network; empty if not measured."""
    loss = next((d for d in entry.test.detectors if d.statistic == "loss"), None)
    best = best_of_maps(entry.test.detectors)
    said = [f"by the loss {_area(loss)}"] if loss and not loss.trouble else []
    if best:
        of = f"{phrases.statistic(best.statistic)} of {entry.names.get(best.method, best.method)}"
        said.append(
            f"by the best statistic of maps ({of}) {_area(best)}, p {wording.pvalue(best.p)}"
        )
    return f" Flipped examples are found {', '.join(said)} (AUROC)." if said else ""


def _area(detector: Detector) -> str:
    ends = wording.interval((detector.auroc_low, detector.auroc_high))
    return f"{wording.num(detector.auroc)} {ends}"


MISLABELLED = Claim(
    3,
    "Maps of mislabelled examples look like those of the correctly labelled (SSIM 0.73 to 0.99), "
    "so they don't identify label errors.",
    f"Every method's whole 95 % interval of the mean SSIM is at or above {HIGH}.",
    "Holds if every method's verdict is *doesn't*: its maps are no less similar than those of two "
    "networks that were both trained with the right labels.",
    "mislabelled",
    alike,
    no_less_than_a_twin,
    "A low SSIM does not mean that a method's maps depend on the label: two networks that differ "
    "only in their seed may differ as much, as the column *Control* shows. A network that has "
    "memorised its wrong labels rejects the class that the other predicts, so it explains why "
    "*not*: maps that carry the logit's sign are inverted, and maps that start from positive "
    "relevance are empty; with `bug.labels.own_target=true` each network explains its own class. A "
    "verdict *shows* may be due to the whole network, which is worse because of its wrong labels, "
    "rather than to these examples: the condition *unflipped* of the same run has the same "
    "networks on correctly labelled examples. Whether a person could find the examples is measured "
    "by the detectors, which see only one network.",
)
ALL = (MISLABELLED,)
