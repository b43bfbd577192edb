"""How often `check` and assertions claim what is not so, and how often they miss what is.

    python benchmarks/audit.py [--quick] [--json FILE] [--networks N]

Small networks are trained on embedded animals, equal but for their seed. Those that did not learn
the classes are left out, and counted.

`check`: the truth about a method and a question is the mean effect over a thousand test pictures.
A table of 48 other pictures is a false alarm if one of its verdicts contradicts it: "shows" where
that effect is at most the margin, "doesn't" where it is larger, beyond what a thousand pictures
leave unknown (two standard errors). There are ten tables to a network. The edge detector, which is
blind to class and weights, must never be fit to be read.

Assertions: networks without a bug beside others, as if those were the last versions and this the
new one, on the same 128 pictures; and networks that learned a background or a tag, beside clean
ones. A clean network that "regressed" is a false alarm of the question "did training get worse?".
That is asked with one reference (all ordered pairs) and with three (ten random choices for each
network), with the default spread and, for the question about these very checkpoints, with none.
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
from explaindebug.attributions._engine.inputs import predictions
from explaindebug.audit.asserted import SPREAD, asserted
from explaindebug.audit.assertions import Case, built
from explaindebug.audit.assess import severities
from explaindebug.audit.check import check
from explaindebug.bugs import BUGS
from explaindebug.data import ImageSet
from explaindebug.datamodules import Embedded
from explaindebug.debugtests.check import EDGES
from explaindebug.debugtests.explain import Explain
from explaindebug.debugtests.probe import Probe
from explaindebug.evaluation.roles import BUG, CONTROL, Role
from explaindebug.evaluation.scores import Scores
from explaindebug.models import create_model

SIZE, TRAIN, TEST, INPUTS, TABLES = 24, 3000, 1480, 48, 10
LEARNED = 0.8  # least accuracy on test pictures
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


def numbers(model: nn.Module, probe: Probe) -> Any:
    """Severities of all assertions."""
    explain = Explain(Plan("intgrad"), references=None, chunk=128, workers=1, progress=None)
    return severities(built(ASSERTIONS), Case.of(model, probe, explain), BUG, strict=True)[0].scores


def beside(references: Sequence[Any]) -> Any:
    """Severities of networks as those of references."""
    found = Scores()
    for k, scores in enumerate(references):
        for key, column in scores.select(role=BUG):
            found.add(key._replace(role=str(Role(CONTROL, k + 1))), *column)
    return found


def wilson(count: int, of: int) -> str:
    """A rate and its interval."""
    ends = binomtest(count, of).proportion_ci(method="wilson")
    return f"{count} of {of} ({count / of:.3f}, {ends.low:.3f} to {ends.high:.3f})"


def compared(
    bench: Bench, what: str, cases: Sequence[tuple[Any, Any]], spread: float, level: float | None
) -> None:
    """Rates at which each assertion regressed, and was violated; a case is a network's severities
    and those of its references.
    """
    worse, violated, any_worse = Counter[str](), Counter[str](), 0
    for new, references in cases:
        found = asserted(built(ASSERTIONS), new + beside(references), rate=RATE, spread=spread)
        worse.update(found.regressed)
        any_worse += bool(found.regressed)
        violated.update(one.name for one in found.outcomes if one.verdict == "violated")
    for name in built(ASSERTIONS):
        bench.note(
            f"    {name}: regressed {worse[name]}, violated {violated[name]} of {len(cases)}"
        )
    peers = {} if level is None else {"level": level}
    goal = 1.0 if level is not None and spread else None
    bench.compare(f"{what}, spread {spread:g}: regressed", any_worse / len(cases), peers, goal)
    bench.note(f"    any: {wilson(any_worse, len(cases))}")


def main() -> None:
    options = arguments(
        __doc__ or "", networks={"type": int, "default": 0, "help": "clean ones (20, quick 4)"}
    )
    bench = Bench("audit", options)
    warnings.simplefilter("ignore")
    count = options.networks or (4 if options.quick else 20)
    data = Embedded(size=SIZE, train=TRAIN, val=1, test=TEST, seed=0)
    images = data.clean.test.batch(slice(None))[0].contiguous()
    clean = []
    for seed in range(count):
        made = network(data.clean.train, seed)
        right = predictions(made, images, 64).numpy() == data.clean.test.labels
        if right.mean() >= LEARNED:
            clean.append(made)
    bench.note(f"{len(clean)} of {count} networks have an accuracy of at least {LEARNED}")

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
    found = [numbers(model, probe) for model in clean]
    everybody = range(len(clean))
    rng = np.random.default_rng(0)
    pairs = [(found[i], [found[j]]) for i, j in itertools.permutations(everybody, 2)]
    others = [np.delete(everybody, i) for i in everybody]
    triples = [
        (found[i], [found[j] for j in rng.choice(others[i], min(3, len(others[i])), replace=False)])
        for i in everybody
        for _ in range(10)
    ]
    for cases, what in ((pairs, "clean, one reference"), (triples, "clean, three references")):
        for spread in (SPREAD, 0.0):
            compared(bench, what, cases, spread, 0.05)
    for name in ("background", "tag"):
        bug = BUGS.build(name)
        training = data.with_bug(bug).data.train
        seen = bug(data.clean.test, scenes=data.scenes, split="test").subset(np.arange(128))
        contaminated = Probe(
            seen.batch(slice(None))[0], probe.label, probe.row, probe.signal, probe.scene
        )
        # All on the contaminated pictures; a tag is what the assertion itself adds.
        on = probe if name == "tag" else contaminated
        references = found if name == "tag" else [numbers(model, on) for model in clean[:5]]
        broken = [numbers(network(training, seed), on) for seed in range(len(clean[:5]))]
        alone = [(one, [other]) for one, other in zip(broken, references, strict=False)]
        several = [(one, np.delete(range(5), i)[:3]) for i, one in enumerate(broken)]
        few = [(one, [references[k] for k in rest if k < len(references)]) for one, rest in several]
        compared(bench, f"learned a {name}, one reference", alone, SPREAD, None)
        compared(bench, f"learned a {name}, three references", few, SPREAD, None)
    bench.finish()


if __name__ == "__main__":
    main()
