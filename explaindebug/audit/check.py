"""Is the model broken, or the map? One network, checked against itself."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from explaindebug.attributions._engine.inputs import predictions
from explaindebug.attributions._engine.jobs import Progress
from explaindebug.attributions._engine.plan import Plan
from explaindebug.attributions._engine.specs import Specs
from explaindebug.audit.judging import Checked, judged
from explaindebug.core.isolation import device_of, undisturbed
from explaindebug.debugtests.check import SIMILARITY, Check
from explaindebug.debugtests.reliance import Reliance
from explaindebug.debugtests.run import Options, measured, provenance
from explaindebug.debugtests.simple import SimpleLab
from explaindebug.evaluation.comparison import Comparison
from explaindebug.evaluation.heatmaps import stretched
from explaindebug.evaluation.postprocessing import ROBUST, PostProcessing

METHODS: tuple[str, ...] = ("grad", "inputgrad", "gbp", "gradcam")  # one pass each
NULLS = ("other",)  # the edge detector has a row of its own


def check(
    model: nn.Module,
    images: Tensor,
    *,
    methods: Specs = METHODS,
    labels: Tensor | None = None,
    masks: Tensor | None = None,
    classes: Sequence[str] | None = None,
    captions: Sequence[str] | None = None,
    references: Tensor | None = None,
    noise: float = Check.noise,
    stable: float = Check.stable,
    similarities: Sequence[Any] = (SIMILARITY,),
    postprocessing: PostProcessing = ROBUST,
    picture: Callable[[Tensor], Tensor] = stretched,
    pictures: int = 4,
    chunk: int = 32,
    workers: int | None = None,
    seed: int = 0,
    margin: float = 0.1,
    level: float = 0.05,
    progress: Progress | None = None,
) -> Checked:
    """Check which methods' maps can be read on this network.

        found = check(model, images)
        print(found)
        found.report("check.html")

    No second network and no training: maps are compared with those for another class, without the
    last layer's weights, of another input, and under imperceptible noise (see `Check`). A method is
    fit to be read if its maps depend on class, weights and input and are stable. With `masks`, the
    network is asked whether it relies on the object (see `Reliance`); then maps have to lie on it.
    An edge detector, which is not fit by construction, is measured beside the methods.

    The network is explained in eval mode and not modified.

    Args:
        model: the network; its outputs are logits (n,) or (n, classes).
        images: the inputs (n, c, h, w), normalised as in training; 32 or more tell most.
        methods: attribution methods, as in `attribute`. Those that do not support the network are
            left out, and listed in `refused`.
        labels: true classes (n,), for captions and the accuracy.
        masks: bool (n, 1, h, w), True on the object.
        classes: names of the classes, for captions.
        captions: captions (n,) of the inputs; by default their classes, or numbers.
        references: images (m, c, h, w) of the training distribution, for methods that need them.
        noise: standard deviation of the noise, as a fraction of each input's range.
        stable: the least rank correlation under noise of a stable map.
        similarities: measured beside the rank correlation, which verdicts are based on.
        postprocessing: how raw maps become the maps that are compared.
        picture: maps a normalised image (c, h, w) to [0, 1], to draw inputs in true colours.
        pictures: number of inputs, from the first, whose maps are kept for drawing.
        chunk: inputs per pass.
        workers: as in `attribute`.
        seed: seed of everything random.
        margin: the smallest difference of similarities that counts.
        level: the rate of false claims, over the whole table.
        progress: called with (method names, passes done, passes in total).

    Raises:
        ConfigError, DataError: for invalid input, before anything is explained.
        UnsupportedModelError: for a network that no method supports, with the reasons.
        AttributionError: if a method fails.

    Examples:
        >>> import torch
        >>> from explaindebug import check
        >>> linear = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2))
        >>> images = torch.randn(32, 1, 8, 8, generator=torch.Generator().manual_seed(0))
        >>> found = check(linear, images, methods=["grad"])
        >>> found.fit
        'not fit'
        >>> print(found)  # the gradient of a linear network is its weights, whatever the input
        grad: not fit. The map is the same for another input.
    """
    plan = Plan(methods, references=references is not None)
    together = list(dict.fromkeys([SIMILARITY, *similarities]))
    comparison = Comparison(together, postprocessing, NULLS, seed)
    lab = SimpleLab(images, {"bug": model}, labels=labels, masks=masks, classes=classes)
    test = Check(noise, stable, seed=seed)
    device = device_of(model, images.device)
    with undisturbed(device, seed=seed):
        arms, probe = lab.arms(device), lab.probe(device)
        given = None if references is None else references.detach().clone().to(device)
        test.check(arms, probe)
        plan, refused = plan.supported(arms.bug, probe.image, given)
        made = provenance(plan, arms.bug[0], probe, seed)
    options = Options(
        plan=plan,
        comparison=comparison,
        references=given,
        pictures=pictures,
        classes=classes,
        picture=picture,
        device=device,
        chunk=chunk,
        workers=workers,
        seed=seed,
        progress=progress,
    )
    found = measured(test, arms, probe, options)
    if captions is None and labels is None:
        captions = [f"input {k}" for k in range(len(images))]
    if captions is not None:
        shown = tuple(captions[:pictures])
        found.galleries = [replace(gallery, captions=shown) for gallery in found.galleries]
    accuracies = []
    if labels is not None:
        with undisturbed(device, seed=seed):
            right = predictions(arms.bug[0], probe.image, chunk) == probe.label
        accuracies = [("the network", "these inputs", float(right.float().mean()))]
    return judged(
        found,
        plan.labels,
        reliance=None if masks is None else measured(Reliance(seed=seed), arms, probe, options),
        refused=refused,
        accuracies=accuracies,
        made=made,
        margin=margin,
        level=level,
        seed=seed,
    )
