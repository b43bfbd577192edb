"""Two versions of a network: which inputs keep their answer, but not their reason."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from explaindebug.attributions._engine.jobs import Progress
from explaindebug.attributions._engine.plan import Plan
from explaindebug.attributions._engine.specs import Specs
from explaindebug.audit.answers import Answers
from explaindebug.audit.answers import captions as captioned
from explaindebug.audit.budget import affordable, spread
from explaindebug.audit.check import METHODS
from explaindebug.core.isolation import device_of, undisturbed
from explaindebug.core.validation import number
from explaindebug.debugtests.base import Arms
from explaindebug.debugtests.check import Check
from explaindebug.debugtests.probe import Probe
from explaindebug.debugtests.run import Options, measured, provenance
from explaindebug.debugtests.simple import SimpleLab
from explaindebug.debugtests.versions import HEADLINE, NEW, OLD, Versions
from explaindebug.evaluation.comparison import Comparison
from explaindebug.evaluation.heatmaps import stretched
from explaindebug.evaluation.postprocessing import ROBUST, PostProcessing
from explaindebug.evaluation.results import Gallery, RunResult, Verdict
from explaindebug.evaluation.scores import Scores
from explaindebug.evaluation.verdicts import verdicts
from explaindebug.evaluation.version_changes import Change, Compared, Reasons, change, ranked
from explaindebug.evaluation.version_changes import together as reasons

NULLS = ("gaussian",)


@dataclass(frozen=True, eq=False)
class Versioned:
    """Result of `compare_models`."""

    result: RunResult
    verdicts: Sequence[Verdict]  # one per method that was measured
    changes: Sequence[Change]  # one per method
    inputs: Sequence[Compared]  # by drift, the largest first; then those without
    level: float
    seeds: int = 0  # number of retrained seeds; with none, the control is noise
    refused: Mapping[str, str] = field(default_factory=dict)  # method -> why it was left out

    @property
    def scores(self) -> Scores:
        """Numbers per input."""
        return self.result.tests[0].scores

    @property
    def reasons(self) -> Reasons:
        """`changed` if a method shows it, `same` if all say so."""
        return reasons(self.changes)

    def report(self, path: Path | str) -> Path:
        """Write a self-contained page, and return its path."""
        from explaindebug.report.html.versions import (
            write_versions,  # late, as jinja and matplotlib take a second to import
        )

        found = (self.result, self.verdicts, self.changes, self.inputs, self.refused)
        return write_versions(*found, Path(path), self.level, self.seeds)

    def __str__(self) -> str:
        return "\n".join(f"{one.method}: {one.reasons}. {one.why}" for one in self.changes)


def compare_models(
    old: nn.Module,
    new: nn.Module,
    images: Tensor,
    *,
    control: nn.Module | Sequence[nn.Module] | None = None,
    methods: Specs = METHODS,
    labels: Tensor | None = None,
    masks: Tensor | None = None,
    classes: Sequence[str] | None = None,
    captions: Sequence[str] | None = None,
    references: Tensor | None = None,
    budget: float | None = None,
    noise: float = Versions.noise,
    stable: float = Check.stable,
    similarities: Sequence[Any] = (HEADLINE.similarity,),
    postprocessing: PostProcessing = ROBUST,
    picture: Callable[[Tensor], Tensor] = stretched,
    pictures: int = 8,
    chunk: int = 32,
    workers: int | None = None,
    seed: int = 0,
    margin: float = 0.1,
    level: float = 0.05,
    progress: Progress | None = None,
) -> Versioned:
    """Find the inputs whose answer is the same under both versions, but not the reason.

        found = compare_models(old, new, images, control=retrained)
        print(found)
        found.inputs[0]  # the input whose maps differ most
        found.report("versions.html")

    Maps of the new version, for the class that the old one predicts, are compared with those of the
    old version, and the difference with that of a retrained seed of the old one. Inputs whose
    answer changes are listed, and not explained. The new version may have another architecture, but
    needs the same classes in the same order. Networks are explained in eval mode, not modified.

    Args:
        old: the version to compare with; its outputs are logits (n,) or (n, classes).
        new: the version in question.
        images: the inputs (n, c, h, w), normalised as in training; all networks get the same.
        control: the old version retrained with another seed, or several of these: how much reasons
            differ without any change. With two or more, how much seeds differ is known from them;
            with one, a usual amount is assumed (see `verdicts`). With none, the control is the old
            version under imperceptible noise, and reasons can only be found to be the same.
        methods: attribution methods, as in `attribute`. Those that do not support all networks are
            left out, and listed in `refused`.
        labels: true classes (n,), for accuracies.
        masks: bool (n, 1, h, w), True on the object: the change of the share on it is measured.
        classes: names of the classes, for captions.
        captions: names (n,) of the inputs; by default numbers.
        references: images (m, c, h, w) of the training distribution, for methods that need them.
        budget: seconds that measuring may take, by a forecast from a few inputs. If it takes
            longer, inputs are left out, evenly; and if fewer than 16 would remain, methods, from
            the last. The result's warnings say so.
        noise: standard deviation of the noise, as a fraction of each input's range.
        stable: the least similarity to call maps the same, with noise as control.
        similarities: measured beside the rank correlation, which verdicts are based on.
        postprocessing: how raw maps become the maps that are compared.
        picture: maps a normalised image (c, h, w) to [0, 1], to draw inputs in true colours.
        pictures: number of inputs, from the largest drift, whose maps are drawn.
        chunk: inputs per pass.
        workers: as in `attribute`.
        seed: seed of everything random.
        margin: the smallest difference of similarities that counts.
        level: the rate of false claims, over the whole table.
        progress: called with (method names, passes done, passes in total).

    Raises:
        ConfigError, DataError: for invalid input, before anything is explained.
        UnsupportedModelError: for networks that no method supports, with the reasons.
        AttributionError: if a method fails.

    Examples:
        >>> import copy
        >>> import torch
        >>> from explaindebug import compare_models
        >>> old = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2))
        >>> images = torch.randn(32, 1, 8, 8, generator=torch.Generator().manual_seed(0))
        >>> compare_models(old, copy.deepcopy(old), images, methods=["grad"]).reasons
        'same'
    """
    if budget is not None:
        number("budget", budget, above=0, hint="It is in seconds.")
    started = time.perf_counter()
    plan = Plan(methods, references=references is not None)
    alike = list(dict.fromkeys([HEADLINE.similarity, *similarities]))
    comparison = Comparison(alike, postprocessing, NULLS, seed)
    seeds = [control] if isinstance(control, nn.Module) else list(control or ())
    lab = SimpleLab(images, {"bug": new, "reference": old, "control": seeds}, labels, masks)
    test = Versions(floor=not seeds, noise=noise, seed=seed)
    device = device_of(old, images.device)
    with undisturbed(device, seed=seed):
        arms, probe = lab.arms(device), lab.probe(device)
        given = None if references is None else references.detach().clone().to(device)
        plan, refused = plan.supported(arms.everybody, probe.image, given)
        made = provenance(plan, arms.bug[0], probe, seed)
        test.check(arms, probe)
        answers = Answers.of(arms, probe, chunk)
    options = Options(
        plan=plan,
        comparison=comparison,
        references=given,
        pictures=0,
        picture=picture,
        device=device,
        chunk=chunk,
        workers=workers,
        seed=seed,
        progress=progress,
    )
    rows, said = answers.kept.nonzero().flatten(), list[str]()
    if budget is not None and len(rows):
        end = started + budget
        left = lambda: end - time.perf_counter()  # noqa: E731
        fits = affordable(left, test, arms, probe.select(rows), options, pictures)
        options, said = replace(options, plan=fits.plan), fits.said
        rows = spread(rows, fits.inputs)
    # The test leaves out inputs whose answer changes; if all do, it measures nothing.
    found = measured(test, arms, probe.select(rows) if len(rows) else probe, options)
    names = captions or [f"input {row}" for row in range(len(images))]
    inputs = ranked(answers.inputs(names, found.scores))
    drawn = [one for one in inputs if one.similarity][:pictures]
    if drawn:
        options = replace(options, progress=None)
        galleries = _galleries(test, arms, probe, options, drawn, captioned(drawn, classes))
        found = replace(found, galleries=galleries)
    found.facts = _facts(old, new, answers, inputs)
    judged = verdicts([found], margin=margin, level=level, seed=seed)
    own = {v.method: v for v in judged}
    return Versioned(
        RunResult([found], options.plan.labels, answers.accuracies(labels), made, said),
        judged,
        [change(m, own.get(m), len(seeds), stable) for m in options.plan.methods],
        inputs,
        level,
        len(seeds),
        refused,
    )


def _galleries(
    test: Versions,
    arms: Arms,
    probe: Probe,
    options: Options,
    drawn: Sequence[Compared],
    captions: tuple[str, ...],
) -> list[Gallery]:
    """Maps of both versions, made once more, as not all could be kept."""
    rows = [one.row for one in drawn]
    few = probe.select(torch.tensor(rows, device=probe.image.device))
    shown = measured(test, arms, few, options, drawn=rows)
    return [replace(gallery, captions=captions) for gallery in shown.galleries]


def _facts(
    old: nn.Module, new: nn.Module, answers: Answers, inputs: Sequence[Compared]
) -> dict[str, Any]:
    """Which networks, and what became of how many inputs."""
    kept, counted = int(answers.kept.sum()), int(answers.counted.sum())
    facts: dict[str, Any] = {OLD: _architecture(old), NEW: _architecture(new)}
    facts |= {"inputs": len(inputs), "answers that the new version changes": len(inputs) - kept}
    if answers.seeds:
        facts["retrained seeds"] = len(answers.seeds)
        facts["answers that only a retrained seed changes"] = kept - counted
    return facts | {"inputs in the verdict": sum(one.counted for one in inputs)}


def _architecture(network: nn.Module) -> str:
    """`ResNet, 11,689,512 parameters`."""
    return f"{type(network).__name__}, {sum(p.numel() for p in network.parameters()):,} parameters"
