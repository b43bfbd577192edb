"""Which shortcut does a network take that nobody has thought of? Find, intervene, judge."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explaindebug.attributions._engine.inputs import predictions
from explaindebug.attributions._engine.jobs import Progress
from explaindebug.attributions._engine.plan import Plan
from explaindebug.attributions._engine.specs import Specs
from explaindebug.audit.candidates import SOURCES, Candidate, Evidence
from explaindebug.audit.candidates.base import Ints, ranked
from explaindebug.audit.columns import check_metadata, facts
from explaindebug.audit.trial import Trial
from explaindebug.bugs.interventions import FILLS
from explaindebug.core.errors import ConfigError, DataError
from explaindebug.core.isolation import device_of, private_copy, undisturbed
from explaindebug.core.validation import number
from explaindebug.debugtests.panels import captions as named
from explaindebug.debugtests.run import provenance
from explaindebug.debugtests.simple import SimpleLab
from explaindebug.evaluation.heatmaps import stretched
from explaindebug.evaluation.results import Answer, RunResult, TestResult, Verdict
from explaindebug.evaluation.scores import Scores
from explaindebug.evaluation.suspects import Fact, Suspect, answered
from explaindebug.evaluation.verdicts import verdicts

METHODS = ("inputgrad", "gbp", "lrp_eps", "intgrad")
FEWEST = 24  # inputs
LEAST = 6  # held-out inputs of a candidate
RIM = 0.05  # around the object, as a share of the side: filling it in would change the outline
LEFT = 0.01  # of a picture that has to be left of a region off the object


@dataclass(frozen=True, eq=False)
class Discovered:
    """Result of `discover`."""

    result: RunResult  # a test for each candidate that was intervened on
    suspects: Sequence[Suspect]  # every candidate
    facts: Sequence[Fact]  # columns of metadata that go with a predicted class
    found: Ints  # rows of the inputs on which candidates were found
    held: Ints  # and on which they were tested
    level: float
    masked: bool  # whether objects are known, and were left alone
    refused: Mapping[str, str]  # method -> why it was left out

    @property
    def scores(self) -> Scores:
        """Probability lost per input; the test is the candidate, the method the fill."""
        return sum((test.scores for test in self.result.tests), Scores())

    @property
    def verdicts(self) -> list[Verdict]:
        """One per candidate and fill, against a region elsewhere."""
        return [verdict for suspect in self.suspects for verdict in suspect.verdicts]

    @property
    def confirmed(self) -> list[Suspect]:
        """The candidates that the network relies on."""
        return [one for one in self.suspects if one.answer == "shows"]

    @property
    def answer(self) -> Answer:
        """`shows` if a candidate is confirmed, `doesn't` if none of those tested can be."""
        if self.confirmed:
            return "shows"
        asked = {one.answer for one in self.suspects if one.tested}
        return "doesn't" if asked == {"doesn't"} else "can't tell"

    def report(self, path: Path | str) -> Path:
        """Write a self-contained page, and return its path."""
        from explaindebug.report.html.discover import write_discovered  # late, as `Checked.report`

        found = (self.result, self.suspects, self.facts, self.masked)
        return write_discovered(*found, Path(path), self.level, self.refused)

    def __str__(self) -> str:
        return "\n".join(f"{one.title}: {one.answer}. {one.reason}" for one in self.suspects)


def discover(
    model: nn.Module,
    images: Tensor,
    *,
    labels: Tensor | None = None,
    metadata: Mapping[str, Sequence[Any]] | None = None,
    control: nn.Module | None = None,
    masks: Tensor | None = None,
    methods: Specs = METHODS,
    sources: Sequence[str] | None = None,
    fills: Sequence[str] = ("inpaint", "blur", "swap"),
    area: float = 0.1,
    classes: Sequence[str] | None = None,
    captions: Sequence[str] | None = None,
    references: Tensor | None = None,
    picture: Callable[[Tensor], Tensor] = stretched,
    pictures: int = 4,
    chunk: int = 32,
    workers: int | None = None,
    seed: int = 0,
    margin: float = 0.1,
    level: float = 0.05,
    progress: Progress | None = None,
) -> Discovered:
    """Look for regions that a network relies on, and test each on inputs that were not looked at.

        found = discover(model, images, masks=masks)
        print(found)
        found.report("discover.html")

    On one half of the inputs, candidates are regions that rank high in the maps, or in a cluster of
    maps, and parts of the last feature map. On the other half each is filled in, and the predicted
    class should lose more probability than with a region of the same shape and size elsewhere. A
    real object is a region that a network relies on, too: with `masks` it is left alone with a rim,
    and only what lies off it is filled in. With a `control`, the network has to lose more than that
    one does.

    A shortcut that no region holds (a tone, a blur of everything, noise) can't be found like this,
    and that nothing is found does not show that nothing is there.

    Args:
        model: the network; its outputs are logits (n,) or (n, classes).
        images: the inputs (n, c, h, w), normalised as in training; 128 or more tell most.
        labels: true classes (n,), for captions and accuracy; associations with metadata are then
            those within a true class.
        metadata: columns (n,) by name. What goes with a predicted class is listed as a fact, since
            nothing can be changed to test it.
        control: a twin without the shortcut, if there is one.
        masks: bool (n, 1, h, w), True on the object.
        methods: attribution methods, as in `attribute`; those that do not support the network are
            left out.
        sources: `ranks`, `clusters`, `parts`; all by default.
        fills: what is put in, see `explaindebug.bugs.interventions`; `swap` puts in the pixels of
            an input of another predicted class. A candidate is confirmed if one fill shows it.
        area: share of the picture that a region covers.
        classes: names of the classes.
        captions: captions (n,) of the inputs.
        references: images (m, c, h, w) of the training distribution, for methods that need them.
        picture: maps a normalised image (c, h, w) to [0, 1], to draw inputs in true colours.
        pictures: number of inputs of each candidate that are drawn.
        chunk: inputs per pass.
        workers: as in `attribute`.
        seed: seed of everything random, and of the halves.
        margin: the smallest loss of probability that counts.
        level: the rate of false discoveries among candidates and fills.
        progress: called with (method names, passes done, passes in total).

    Raises:
        ConfigError, DataError: for invalid input, before anything is explained.
        UnsupportedModelError: for a network that no method supports.
        AttributionError: if a method fails.

    Examples:
        >>> import torch
        >>> from explaindebug import discover
        >>> network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 1))
        >>> corner = torch.zeros(8, 8)
        >>> corner[:2, :2] = 1
        >>> _ = network[1].weight.data.copy_(corner.flatten())  # it looks at nothing else
        >>> images = torch.randn(96, 1, 8, 8, generator=torch.Generator().manual_seed(0))
        >>> quick = {"methods": ["inputgrad"], "sources": ["ranks"], "fills": ["swap"]}
        >>> found = discover(network, images, **quick)
        >>> found.answer, found.suspects[0].title
        ('shows', 'High in all maps')

    Source: Lapuschkin et al. 2019 (clusters of maps); Singla and Feizi 2022 (regions are changed).
    """
    plan = Plan(methods, references=references is not None)
    number("area", area, above=0, most=0.5, hint="It is a share of the picture.")
    looked = SOURCES.names if sources is None else list(sources)
    for given, known in ((looked, SOURCES), (fills, FILLS)):
        if not given:
            raise ConfigError(f"there is no {known.kind}: name one of {', '.join(known.names)}.")
        for name in given:
            known[name]
    lab = SimpleLab(images, {"bug": model}, labels=labels, masks=masks, classes=classes)
    if len(images) < FEWEST:
        raise DataError(
            f"there are {len(images)} inputs, but half are looked at and half tested: pass at "
            f"least {FEWEST}, better 128."
        )
    if captions is not None and len(captions) != len(images):
        raise DataError(f"there are {len(captions)} captions for {len(images)} inputs.")
    check_metadata(metadata or {}, len(images))
    device = device_of(model, images.device)
    with undisturbed(device, seed=seed):
        network, probe = lab.arms(device).bug[0], lab.probe(device)
        objects = None if probe.signal is None else ~probe.signal
        twin = None if control is None else private_copy(control).to(device)
        given_references = None if references is None else references.detach().clone().to(device)
        plan, refused = plan.supported([network], probe.image, given_references)
        made = provenance(plan, network, probe, seed)
        ready = plan if given_references is None else plan.prepare(network, given_references)
        targets = predictions(network, probe.image, chunk)
        maps = ready(network, probe.image, targets, chunk=chunk, workers=workers, progress=progress)
        predicted = targets.cpu().numpy().astype(np.int64)
        found, held = halves(predicted, seed)
        kinds = np.unique(predicted)
        names = dict(zip(kinds.tolist(), named(torch.from_numpy(kinds), classes), strict=True))
        evidence = Evidence(
            *(network, probe.image, predicted, ranked(maps), found, held, names),
            *(area, LEAST, seed, chunk),
        )
        candidates = [one for name in looked for one in SOURCES[name](evidence)]
        shown = _captions(captions, probe.label if labels is not None else None, classes, targets)
        trial = Trial(
            *(network, probe.image, predicted, list(fills), twin, picture, pictures, shown),
            *(chunk, seed),
        )
        tests: list[TestResult] = []
        against: list[TestResult] = []
        kept: dict[str, Candidate] = {}
        for one in candidates:
            inside = one if objects is None else off_object(one, objects)
            if len(inside.rows) < LEAST:
                continue
            kept[one.name] = inside
            test, *beside = trial(inside, held)
            tests.append(test)
            against += beside
        answers = verdicts(tests, margin=margin, level=level, seed=seed)
        twins = verdicts(against, margin=margin, level=level, seed=seed)
    suspects = [
        _suspect(
            one,
            kept.get(one.name),
            [v for v in answers if v.test == one.name],
            [v for v in twins if v.test == one.name],
            objects,
            maps,
        )
        for one in candidates
    ]
    accuracies = (
        [("the network", "these inputs", float((targets == probe.label).float().mean()))]
        if labels is not None
        else []
    )
    return Discovered(
        RunResult(tests, plan.labels, accuracies, made),
        suspects,
        facts(
            metadata or {},
            predicted,
            found,
            held,
            truth=None if labels is None else probe.label.cpu().numpy(),
            seed=seed,
        ),
        found,
        held,
        level,
        masks is not None,
        refused,
    )


def halves(predicted: Ints, seed: int = 0) -> tuple[Ints, Ints]:
    """Rows of the inputs to look at, and of those to test on: of each predicted class one half."""
    rng = np.random.default_rng(seed)
    first: list[int] = []
    for one in np.unique(predicted):
        mine = rng.permutation(np.flatnonzero(predicted == one))
        extra = int(rng.integers(2)) if len(mine) % 2 else 0
        first += mine[: len(mine) // 2 + extra].tolist()
    found = np.sort(np.asarray(first, np.int64))
    return found, np.setdiff1d(np.arange(len(predicted)), found)


def off_object(candidate: Candidate, objects: Tensor) -> Candidate:
    """The candidate without the objects (n, 1, h, w) and a rim; without inputs of which little is
    left.
    """
    rows = torch.from_numpy(candidate.rows).to(objects.device)
    reach = max(1, round(RIM * min(objects.shape[2:])))
    wide = F.max_pool2d(objects[rows].float(), 2 * reach + 1, stride=1, padding=reach).bool()
    regions = candidate.regions & ~wide
    enough = regions.flatten(1).float().mean(1) >= LEFT
    return replace(candidate, rows=candidate.rows[enough.cpu().numpy()], regions=regions[enough])


def _captions(
    given: Sequence[str] | None,
    labels: Tensor | None,
    classes: Sequence[str] | None,
    targets: Tensor,
) -> Sequence[str]:
    if given is not None:
        return given
    called = named(targets.cpu(), classes)
    if labels is None:
        return [f"input {k}, called {name}" for k, name in enumerate(called)]
    return [f"{a}, called {b}" for a, b in zip(named(labels.cpu(), classes), called, strict=True)]


def _suspect(
    candidate: Candidate,
    tested: Candidate | None,
    own: Sequence[Verdict],
    twins: Sequence[Verdict],
    objects: Tensor | None,
    maps: Mapping[str, Tensor],
) -> Suspect:
    """What became of a candidate; the shares are those of the region that was filled in."""
    taken = candidate if tested is None else tested
    where = torch.from_numpy(candidate.rows).to(candidate.regions.device)
    inside = None
    if objects is not None:
        on = (candidate.regions & objects[where]).flatten(1).sum(1)
        inside = float((on / candidate.regions.flatten(1).sum(1)).mean())
    rows = torch.from_numpy(taken.rows)
    shares = {m: _share(raw[rows.to(raw.device)], taken.regions) for m, raw in maps.items()}
    made = Suspect(
        candidate.name,
        candidate.title,
        answered(own, twins),
        own,
        twins,
        len(taken.rows),
        float(taken.regions.float().mean()),
        inside,
        shares,
        "",
    )
    best = made.strongest
    why = best.reason if best else "It lies on the object, and hardly anything is left off it."
    return replace(made, reason=why)


def _share(raw: Tensor, regions: Tensor) -> float:
    """Mean share of |map| in the regions, over inputs whose map is not zero."""
    sizes = raw.abs().sum(1, keepdim=True).double()
    total, inside = sizes.flatten(1).sum(1), (sizes * regions.to(sizes.device)).flatten(1).sum(1)
    known = total.isfinite() & (total > 0)
    return float((inside[known] / total[known]).mean()) if bool(known.any()) else float("nan")
