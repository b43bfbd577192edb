"""A debugging test run from Python: networks and inputs that are there, no trainer, no files."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from explaindebug import __version__
from explaindebug.attributions._engine.inputs import check_images, predictions
from explaindebug.attributions._engine.jobs import Progress
from explaindebug.attributions._engine.plan import Plan
from explaindebug.attributions._engine.specs import Specs
from explaindebug.core.errors import ConfigError, DataError, UnsupportedModelError
from explaindebug.core.isolation import private_copy, undisturbed
from explaindebug.core.registry import nearest
from explaindebug.debugtests.base import Arms, DebugTest, roles
from explaindebug.debugtests.explain import Explain, merged
from explaindebug.debugtests.measure import Measure
from explaindebug.debugtests.panels import captions, gallery
from explaindebug.debugtests.probe import Probe
from explaindebug.evaluation import follow_up as followup
from explaindebug.evaluation.comparison import Comparison
from explaindebug.evaluation.heatmaps import stretched
from explaindebug.evaluation.postprocessing import ROBUST, PostProcessing
from explaindebug.evaluation.results import RunResult, TestResult, Verdict
from explaindebug.evaluation.scores import Scores
from explaindebug.evaluation.unscored import sentences
from explaindebug.evaluation.verdicts import verdicts

ROLES = ("bug", "control", "reference")
Networks = nn.Module | Sequence[nn.Module]


@dataclass(frozen=True, eq=False)
class SimpleLab:
    """Networks and inputs for `run_test`.

    Args:
        images: the inputs (n, c, h, w), normalised as in training.
        networks: by role: `bug`, the network in question; `control`, one or more without the bug,
            trained as it was but for their seed; `reference`, one more, for the tests that compare
            with one. Each is a module, or a sequence of modules.
        labels: right classes (n,), for captions and accuracies.
        masks: bool (n, 1, h, w), True on the object.
        scenes: the same pictures without their objects (n, c, h, w).
        classes: names of the classes, for captions.
        picture: normalised image (c, h, w) -> (c, h, w) in [0, 1], to draw inputs in true colours.

    Raises:
        DataError: for tensors that don't belong together.
        ConfigError: for an unknown role, or no network with the bug.
    """

    images: Tensor
    networks: Mapping[str, Networks]
    labels: Tensor | None = None
    masks: Tensor | None = None
    scenes: Tensor | None = None
    classes: Sequence[str] | None = None
    picture: Callable[[Tensor], Tensor] = stretched

    def __post_init__(self) -> None:
        check_images(self.images)
        n, c, h, w = self.images.shape
        expected = {"labels": (n,), "masks": (n, 1, h, w), "scenes": (n, c, h, w)}
        for name, shape in expected.items():
            given: Tensor | None = getattr(self, name)
            if given is not None and given.shape != shape:
                raise DataError(
                    f"{name} is {tuple(given.shape)}, but {shape} belongs to images "
                    f"{tuple(self.images.shape)}."
                )
        if self.masks is not None and self.masks.dtype != torch.bool:
            raise DataError(
                f"masks is {self.masks.dtype}, but must be torch.bool, True on the object: "
                "masks > 0, say."
            )
        for role in self.networks:
            if role not in ROLES:
                raise ConfigError(
                    f"networks: unknown role {role!r}.{nearest(role, list(ROLES))} "
                    f"Known: {', '.join(ROLES)}."
                )
        if not self.role("bug"):
            raise ConfigError('networks has no "bug": give the network that is in question.')

    def role(self, name: str) -> list[nn.Module]:
        """The networks of a role."""
        found = self.networks.get(name, ())
        return [found] if isinstance(found, nn.Module) else list(found)

    def arms(self, device: torch.device) -> Arms:
        """Private copies of all networks, see `watch`."""
        bug, control, reference = (
            [private_copy(network).to(device) for network in self.role(name)] for name in ROLES
        )
        if len(reference) > 1:
            raise ConfigError(
                f"networks has {len(reference)} references: one is compared with, the others are "
                "controls."
            )
        return Arms(bug, control, reference[0] if reference else None)

    def probe(self, device: torch.device) -> Probe:
        """The inputs, cloned."""
        labels = torch.zeros(len(self.images)) if self.labels is None else self.labels
        rows = torch.arange(len(self.images))
        probe = Probe(self.images.float(), labels.long(), rows, self.masks, self.scenes)
        return probe.map(lambda x: x.detach().clone().to(device))


@dataclass(frozen=True, eq=False)
class Found:
    """What `run_test` found."""

    result: RunResult
    verdicts: list[Verdict]  # one per method
    further: list[Verdict]  # on the test's further questions
    level: float

    @property
    def test(self) -> TestResult:
        """The test, measured."""
        return self.result.tests[0]

    @property
    def scores(self) -> Scores:
        """Similarities per input, of both arms and of the nulls."""
        return self.test.scores

    def report(self, path: Path | str) -> Path:
        """Write one self-contained page of it, and return its path."""
        from explaindebug.report.html.write import (
            write_page,  # late: jinja and matplotlib take a second
        )

        return write_page(self.result, self.verdicts, Path(path), self.level, self.further)

    def __str__(self) -> str:
        return "\n".join(f"{v.method}: {v.answer}. {v.reason}" for v in self.verdicts)


def run_test(
    test: DebugTest,
    lab: SimpleLab,
    *,
    methods: Specs = "all",
    similarities: Sequence[Any] = ("ssim", "spearman"),
    postprocessing: PostProcessing = ROBUST,
    nulls: Sequence[str] = ("gaussian",),
    target: str = "predicted",
    references: Tensor | None = None,
    pictures: int = 4,
    chunk: int = 32,
    workers: int | None = None,
    seed: int = 0,
    margin: float = 0.1,
    level: float = 0.05,
    progress: Progress | None = None,
) -> Found:
    """Verdicts of one debugging test on networks that are there.

        lab = SimpleLab(images, networks={"bug": network, "control": [twin, other_twin]})
        found = run_test(Spurious(signal=mask), lab, methods=["grad", "gbp"])
        print(found)
        found.report("report.html")

    The networks are explained as they are in eval mode, and left untouched. Where there is no
    control, scores and nulls are there, but no verdict: what the number is without the bug is not
    known.

    Args:
        test: which one, see `explaindebug.debugtests`.
        lab: networks and inputs.
        methods: attribution methods, as `attribute` takes them.
        similarities: how alike maps are: names, `{name: options}` or objects.
        postprocessing: from raw maps to those that are compared.
        nulls: unrelated maps that go the same way.
        target: the class explained: the one `predicted`, or the `label`.
        references: images (m, c, h, w) of the training distribution, for methods that need some.
        pictures: of how many inputs, the first ones, maps are kept to be drawn.
        chunk: inputs per pass.
        workers: as of `attribute`.
        seed: of all that is random here.
        margin: the least effect that is worth showing, see `verdicts`.
        level: the rate of false claims, see `verdicts`.
        progress: called with (method names, passes done, passes in all).

    Raises:
        ConfigError, DataError, UnsupportedModelError: for what can't work, before anything is
            explained.
        AttributionError: where a method fails.
    """
    plan = Plan(methods, references=references is not None)
    comparison = Comparison(similarities, postprocessing, nulls, seed)
    _check_similarity(test, comparison)
    if target not in ("predicted", "label"):
        raise ConfigError(f"target must be 'predicted' or 'label', got {target!r}.")
    if target == "label" and lab.labels is None:
        raise ConfigError("target='label' explains the labels, but the lab has none.")
    device = next((p.device for n in lab.role("bug") for p in n.parameters()), lab.images.device)
    with undisturbed(device, seed=seed):
        arms, probe = lab.arms(device), lab.probe(device)
        test.check(arms, probe)
        given = None if references is None else references.detach().clone().to(device)
        _check_networks(plan, arms, probe, given)
        explain = Explain(plan, references=given, chunk=chunk, workers=workers, progress=progress)
        shown = range(min(pictures, len(probe.row)))
        measure = Measure(test.name, explain, comparison, target, shown, lab.picture)
        gates = test.gates(arms, probe, chunk)
        accuracies = [] if lab.labels is None else _accuracies(arms, probe, chunk)
        whole = merged(list(test.pairs(arms, probe, measure)))
    scores = whole.scores.select(test=test.name)
    drawn = gallery(
        whole.shown, list(shown), captions(probe.label[: len(shown)], lab.classes), whole.arms
    )
    result = TestResult(
        test.name,
        test.title,
        test.headline(whole.stages),
        scores,
        gates=gates,
        galleries=[] if drawn is None else [drawn],
        stages=tuple(whole.stages),
        unscored=whole.missing,
        warnings=(*whole.warnings, *sentences(whole.missing, whole.scores)),
        questions=test.questions(scores),
    )
    labels = {key: method.label for key, method in plan.methods.items()}
    made = {"seed": str(seed), "versions": f"explaindebug {__version__}, torch {torch.__version__}"}
    answers = verdicts([result], margin=margin, level=level, seed=seed)
    further = followup.answers(result, margin=margin, level=level, seed=seed)
    return Found(RunResult([result], labels, accuracies, made), answers, further, level)


def _check_similarity(test: DebugTest, comparison: Comparison) -> None:
    """Refuse similarities without the one that the verdict is about."""
    if test.similarity not in (*comparison.measures, *test.measures):
        raise ConfigError(
            f"the verdict of the test {test.name!r} is about {test.similarity!r}: add it to "
            f"similarities, which are {', '.join(comparison.measures)}."
        )


def _check_networks(plan: Plan, arms: Arms, probe: Probe, references: Tensor | None) -> None:
    """Refuse methods that one of the networks can't pass, by name."""
    for network in arms.everybody:
        if refusals := plan.refusals(network, probe.image, references):
            raise UnsupportedModelError("\n".join(map(str, refusals.values())))


def _accuracies(arms: Arms, probe: Probe, chunk: int) -> list[tuple[str, str, float]]:
    """Which share of the inputs each network gives its label."""
    reference = [] if arms.reference is None else [arms.reference]
    named = {"bug": arms.bug, "control": arms.control, "reference": reference}
    everybody = [pair for role, networks in named.items() for pair in roles(role, networks)]
    return [
        (role, "these inputs", float((right == probe.label).float().mean()))
        for role, network in everybody
        for right in [predictions(network, probe.image, chunk)]
    ]
