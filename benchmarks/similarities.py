"""What comparing maps and summing up cost: ours against loops over the usual libraries.

    python benchmarks/similarities.py [--quick] [--json FILE] [--threads N]

Maps come as in a cascade: one set of references meets several sets of candidates. The last part is
a whole one, 16 methods x 17 stages x 190 inputs x 6 similarities with a control and four nulls:
10,000 columns of scores, from means to verdicts.
"""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from _bench import Bench, Case, arguments
from torch import Tensor

from explaindebug.evaluation.comparison import Reference
from explaindebug.evaluation.nulls import NULLS
from explaindebug.evaluation.postprocessing import ROBUST
from explaindebug.evaluation.results import Headline, TestResult
from explaindebug.evaluation.scores import Key, Scores
from explaindebug.evaluation.similarities import SIMILARITIES
from explaindebug.evaluation.summary import summarise
from explaindebug.evaluation.verdicts import verdicts

Floats = npt.NDArray[np.float64]
Pair = Callable[[Floats, Floats], float]  # two maps (h, w) to one number
GOALS = {"ssim": 0.5, "spearman": 0.2, "pearson": 0.5, "hog": 1.0, "topk": 1.0}
METHODS, STAGES, INPUTS = 16, 17, 190
SIX = ("ssim", "spearman", "spearman_signed", "spearman_active", "mse_rms", "topk")
COLUMNS = 60  # that a loop over scipy is timed on


def pairs(bench: Bench) -> dict[str, dict[str, Pair]]:
    """The libraries' functions of two maps, by similarity."""
    stats, metrics = bench.peer("scipy.stats"), bench.peer("skimage.metrics")
    feature = bench.peer("skimage.feature")
    found: dict[str, dict[str, Pair]] = {name: {} for name in GOALS}
    if stats is not None:
        found["spearman"]["scipy"] = lambda a, b: stats.spearmanr(a.ravel(), b.ravel()).statistic
        found["pearson"]["scipy"] = lambda a, b: stats.pearsonr(a.ravel(), b.ravel()).statistic
    if metrics is not None:
        options = {"gaussian_weights": True, "sigma": 1.5, "data_range": 1.0}
        found["ssim"]["scikit-image"] = lambda a, b: metrics.structural_similarity(a, b, **options)
    if feature is not None and stats is not None:
        found["hog"]["scikit-image + scipy"] = lambda a, b: (
            stats.spearmanr(
                *(feature.hog(x, pixels_per_cell=(max(4, len(x) // 14),) * 2) for x in (a, b))
            ).statistic
        )
    found["topk"]["numpy"] = _overlap
    return found


def _overlap(a: Floats, b: Floats) -> float:
    k = max(1, round(0.1 * a.size))
    return len(np.intersect1d(np.argsort(a.ravel())[-k:], np.argsort(b.ravel())[-k:])) / k


def metrics_of_torch(bench: Bench) -> dict[str, Callable[[Tensor, Tensor], Tensor]]:
    """Torchmetrics' functions of two batches of maps."""
    image = bench.peer("torchmetrics.functional.image")
    if image is None:
        return {}
    options = {"sigma": 1.5, "kernel_size": 11, "data_range": 1.0, "reduction": "none"}
    return {"ssim": lambda a, b: image.structural_similarity_index_measure(b, a, **options)}


def similarity(bench: Bench, name: str, size: int, n: int, stages: int) -> None:
    """One similarity of n references with the candidates of some stages: time, and agreement."""
    reference, *candidates = torch.rand(stages + 1, n, 1, size, size)
    measure = SIMILARITIES[name]()

    def ours() -> list[Tensor]:
        kept = Reference.of_mask(reference)  # taken as it is: post-processing is not timed
        return [kept.similarity(measure, ROBUST, maps) for maps in candidates]

    def loop(pair: Pair) -> Case:
        def run() -> list[list[float]]:
            a, *others = (x[:, 0].double().numpy() for x in (reference, *candidates))
            return [[pair(x, y) for x, y in zip(a, maps, strict=True)] for maps in others]

        return run

    found = pairs(bench)[name]
    cases = {peer: loop(pair) for peer, pair in found.items()}
    batch = metrics_of_torch(bench).get(name)
    if batch is not None:
        cases["torchmetrics"] = lambda: [batch(reference, maps) for maps in candidates]
    times = bench.medians({"ours": ours} | cases)
    where = f"{name}, {size} px"
    bench.compare(where, times.pop("ours"), times, GOALS[name])
    for peer, pair in found.items():
        theirs = np.array([pair(*maps) for maps in _first(reference, candidates[0])])
        mine = ours()[0][: len(theirs)].numpy()
        bench.compare(
            f"{where}: largest difference from {peer}", float(abs(mine - theirs).max()), {}
        )


def _first(reference: Tensor, candidate: Tensor, most: int = 4) -> list[list[Floats]]:
    return [[x[i, 0].double().numpy() for x in (reference, candidate)] for i in range(most)]


def whole(inputs: int) -> TestResult:
    """A cascade's scores of all methods, stages and similarities, with control and nulls."""
    rng, scores, rows = np.random.default_rng(0), Scores(), np.arange(inputs)
    roles = {"bug": 0.4, "control": 0.8} | {f"null: {name}": 0.1 for name in NULLS}
    for method in range(METHODS):
        for stage in range(STAGES):
            for role, mean in roles.items():
                for name in SIX:
                    key = Key("reinit", f"m{method}", f"top {stage}", role, name)
                    scores.add(key, rows, rng.normal(mean, 0.1, inputs))
    return TestResult("reinit", "Cascade", Headline("top 3", "spearman", "down", "?"), scores)


def summing_up(bench: Bench) -> None:
    """From scores to summaries, verdicts and files; seconds against a loop over scipy."""
    test = whole(INPUTS)
    peers: Mapping[str, Case] = {}
    stats = bench.peer("scipy.stats")
    if stats is not None:
        some = [column.values for _, column in list(test.scores)[:COLUMNS]]
        peers = {"scipy": lambda: [_with_scipy(stats, values) for values in some]}
    cases: dict[str, Case] = {"ours": lambda: summarise(test.scores), **peers}
    times = bench.medians(cases, repeats=1)
    mine = times.pop("ours")
    scaled = {name: x * len(test.scores) / COLUMNS for name, x in times.items()}
    bench.compare(f"summaries of {len(test.scores)} columns", mine, scaled, 0.1)
    bench.compare(
        "verdicts of four tests", bench.medians({"v": lambda: verdicts([test] * 4)})["v"], {}
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scores.csv"
        files: dict[str, Case] = {
            "writing": lambda: test.scores.to_csv(path),
            "reading": lambda: Scores.from_csv(path),
        }
        for what, time in bench.medians(files, repeats=1).items():
            bench.compare(f"scores.csv, {what}", time, {})


def _with_scipy(stats: object, values: Floats) -> tuple[float, float]:
    """What a summary holds, as one would write it: the error of the mean, and its interval."""
    interval = stats.bootstrap(  # type: ignore[attr-defined]
        (values,), np.mean, n_resamples=2000, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    return float(stats.sem(values)), float(interval.low)  # type: ignore[attr-defined]


def main() -> None:
    """Measures what the command line asks for."""
    found = arguments(__doc__.splitlines()[0])
    bench = Bench("similarities: milliseconds", found)
    torch.manual_seed(0)
    sizes = {48: (48, 8), 224: (4, 8)} if found.quick else {48: (48, 8), 224: (16, 8)}
    for size, (n, stages) in sizes.items():
        bench.note(f"{n} maps of {size} px, {stages} stages")
        for name in GOALS:
            similarity(bench, name, size, n, stages)
    bench.note("summing up")
    summing_up(bench)
    bench.finish()


if __name__ == "__main__":
    main()
