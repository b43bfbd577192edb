"""Detectors of the debugging tests: selection of examples, and their scores."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from explaindebug.core.errors import UnsupportedModelError
from explaindebug.core.isolation import watch
from explaindebug.data import ImageSet
from explaindebug.debugtests.run import Options
from explaindebug.evaluation.confidence import confidences, losses, self_influences
from explaindebug.evaluation.detection import Name
from explaindebug.evaluation.map_statistics import map_statistics

TOGETHER = 64  # examples whose maps are in memory at once
Scores = Mapping[Name, npt.NDArray[np.float64]]


def calls(examples: int) -> int:
    """How many times all methods are run, for the progress bar."""
    return -(-examples // TOGETHER)


def picked(rows: npt.NDArray[np.int64], most: int, seed: int) -> npt.NDArray[np.int64]:
    """A random sample of at most `most` rows, in order."""
    return np.sort(np.random.default_rng((seed, 3)).permutation(rows)[:most])


def of_maps(network: nn.Module, images: Tensor, options: Options) -> Scores:
    """Statistics (n,) of every method's maps of the predicted class."""
    o, parts = options, dict[Name, list[Tensor]]()
    with watch(network, seed=o.seed) as private:
        private.to(o.device)
        plan = o.plan if o.references is None else o.plan.prepare(private, o.references)
        for some in torch.split(images, TOGETHER):
            maps = plan(private, some, chunk=o.chunk, workers=o.workers, progress=o.progress)
            for method, raw in maps.items():
                for statistic, values in map_statistics(raw).items():
                    parts.setdefault(Name(method, statistic), []).append(values)
    return {name: torch.cat(values).cpu().numpy() for name, values in parts.items()}


def of_labels(network: nn.Module, told: ImageSet) -> tuple[Scores, list[str]]:
    """Loss and self-influence with the given labels, and which of them is unavailable."""
    images, labels, _ = told.batch(slice(None))
    scores = {Name("", "loss"): losses(network, images, labels).numpy()}
    try:
        scores[Name("", "self-influence")] = self_influences(network, images, labels).numpy()
    except UnsupportedModelError as error:
        return scores, [f"no self-influence: {error}"]
    return scores, []


def of_confidence(network: nn.Module, images: Tensor) -> Scores:
    """Two measures of the network's uncertainty."""
    return {Name("", name): values.numpy() for name, values in confidences(network, images).items()}
