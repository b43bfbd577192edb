"""How often `check` and assertions claim what is not so, and how often they miss what is.

    python benchmarks/audit.py [--quick] [--json FILE] [--networks N]

Small networks are trained on embedded animals, equal but for their seed.

`check`: the truth about a method and a question is the mean effect over a thousand test pictures.
A table of 48 other pictures is a false alarm if one of its verdicts contradicts it: "shows" where
that effect is at most the margin, "doesn't" where it is larger, beyond what a thousand pictures
leave unknown (two standard errors). There are ten tables to a network. The edge detector, which is
blind to class and weights, must never be fit to be read.

Assertions: every ordered pair of networks without a bug, as if one were the last version and the
other the new one, on the same 128 pictures; and networks that learned a background or a tag, beside
the clean network of the same seed. A pair of clean networks that "regressed" is a false alarm of
the question "did training get worse?", which a single pair can't answer: the rate says by how much.
"""

import itertools
import warnings
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from _bench import Bench, arguments
from _twins import trained
from scipy.stats import binomtest
from torch import nn

from explaindebug.attributions import Plan
from explaindebug.audit.asserted import asserted
from explaindebug.audit.assertions import Case, built
from explaindebug.audit.assess import severities
from explaindebug.audit.check import check
from explaindebug.bugs import BUGS
from explaindebug.data import ImageSet
from explaindebug.datamodules import Embedded
from explaindebug.debugtests.check import EDGES
from explaindebug.debugtests.explain import Explain
from explaindebug.debugtests.probe import Probe
from explaindebug.evaluation.roles import BUG, CONTROL
from explaindebug.models import create_model

SIZE, TRAIN, TEST, INPUTS, TABLES = 24, 1200, 1480, 48, 10
METHODS = ("grad", "inputgrad", "gbp", "deconvnet", "lrp_eps")
ASSERTIONS: list[Any] = [
    {"on_object": {"at_least": 0.4}},
    {"object_needed": {"at_most": 0.9}},
    {"no_shortcut": {"signal": "tag", "toward": 0}},
    "class_sensitive",
    "stable",
    {"same_answer": {"edit": "flip", "at_most": 0.5}},
]
RATE = 0.25


def network(training: ImageSet, seed: int) -> nn.Module:
    """A small network after training."""
    made = create_model(
        "bvd_cnn", outputs=len(training.classes), size=SIZE, widths=(16, 32), hidden=(64,)
    )
    return trained(made, training, seed)


def contradictions(model: nn.Module, images: torch.Tensor, seed: int) -> tuple[list[bool], int]:
    """Which tables hold a false claim, and how often the edge detector was said to be fit."""
    known, rest = images[:-1000], images[-1000:]
    how: dict[str, Any] = {"methods": METHODS, "pictures": 0, "seed": seed}
    whole = check(model, rest, **how)
    truth = {}
    for test in whole.result.tests:
        for verdict in (v for v in whole.verdicts if v.test == test.name):
            truth[verdict.test, verdict.method] = (
                verdict.effect,
                2 * (verdict.interval[1] - verdict.interval[0]) / 4,
                verdict.margin,
            )
    wrong, fit = [], 0
    for part in torch.split(known, INPUTS)[:TABLES]:
        found = check(model, part, **how)
        claims = [v for v in found.verdicts if v.method != EDGES]
        wrong.append(any(_contradicts(v, *truth[v.test, v.method]) for v in claims))
        edges = {v.test: v.answer for v in found.verdicts if v.method == EDGES}
        fit += "shows" in (edges["class"], edges["head"])
    return wrong, fit


def _contradicts(verdict: Any, effect: float, unsure: float, margin: float) -> bool:
    if verdict.answer == "shows":
        return effect + unsure <= margin
    return verdict.answer == "doesn't" and effect - unsure > margin


def numbers(model: nn.Module, probe: Probe, role: str) -> Any:
    """Severities of all assertions."""
    explain = Explain(Plan("intgrad"), references=None, chunk=128, workers=1, progress=None)
    return severities(built(ASSERTIONS), Case.of(model, probe, explain), role, strict=True)[0]


def judged(new: Any, old: Any) -> Any:
    """What is said of the new network, the old one being its reference."""
    return asserted(built(ASSERTIONS), new + old, rate=RATE)


def wilson(count: int, of: int) -> str:
    """A rate and its interval."""
    ends = binomtest(count, of).proportion_ci(method="wilson")
    return f"{count} of {of} ({count / of:.3f}, {ends.low:.3f} to {ends.high:.3f})"


def compared(
    bench: Bench, what: str, pairs: Sequence[tuple[Any, Any]], level: float | None
) -> None:
    """Rates at which each assertion regressed, and was violated, over pairs of networks."""
    worse, violated, any_worse = Counter[str](), Counter[str](), 0
    for new, old in pairs:
        found = judged(new, old)
        worse.update(found.regressed)
        any_worse += bool(found.regressed)
        violated.update(one.name for one in found.outcomes if one.verdict == "violated")
    for name in built(ASSERTIONS):
        bench.note(
            f"    {name}: regressed {worse[name]}, violated {violated[name]} of {len(pairs)}"
        )
    peers = {} if level is None else {"level": level}
    bench.compare(f"{what}: any regressed", any_worse / len(pairs), peers)
    bench.note(f"    any: {wilson(any_worse, len(pairs))}")


def main() -> None:
    options = arguments(
        __doc__ or "", networks={"type": int, "default": 0, "help": "clean ones (20, quick 4)"}
    )
    bench = Bench("audit", options)
    warnings.simplefilter("ignore")
    count = options.networks or (4 if options.quick else 20)
    data = Embedded(size=SIZE, train=TRAIN, val=1, test=TEST, seed=0)
    images = data.clean.test.batch(slice(None))[0].contiguous()
    clean = [network(data.clean.train, seed) for seed in range(count)]

    tables, fit = list[bool](), 0
    for seed, model in enumerate(clean):
        wrong, edges = contradictions(model, images, seed)
        tables, fit = tables + wrong, fit + edges
    bench.compare(
        "check: tables with a false claim", sum(tables) / len(tables), {"level": 0.05}, goal=1.0
    )
    bench.note(f"    {wilson(sum(tables), len(tables))}; the edge detector is fit in {fit}")

    chosen = data.clean.test.subset(np.arange(128))
    probe = Probe.of(chosen)
    new, old = ([numbers(m, probe, role).scores for m in clean] for role in (BUG, CONTROL))
    pairs = [(new[i], old[j]) for i, j in itertools.permutations(range(count), 2)]
    compared(bench, "two clean networks", pairs, 0.05)
    for name in ("background", "tag"):
        bug = BUGS.build(name)
        training = data.with_bug(bug).data.train
        seen = bug(data.clean.test, scenes=data.scenes, split="test").subset(np.arange(128))
        contaminated = Probe(
            seen.batch(slice(None))[0], probe.label, probe.row, probe.signal, probe.scene
        )
        pairs = []
        for seed in range(min(5, count)):
            broken = network(training, seed)
            # Both on the contaminated pictures; a tag is what the assertion itself adds.
            on = probe if name == "tag" else contaminated
            pairs.append(
                (numbers(broken, on, BUG).scores, numbers(clean[seed], on, CONTROL).scores)
            )
        compared(bench, f"learned a {name}, and a clean network", pairs, None)
    bench.finish()


if __name__ == "__main__":
    main()
