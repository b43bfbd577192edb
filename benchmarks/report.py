"""What a large report costs: megabytes, and the time until a browser shows it.

    python benchmarks/report.py [--quick] [--json FILE] [--inputs N] [--keep FOLDER]

The run is made up: 16 methods x 4 bugs x 190 inputs, a cascade of 17 stages, maps of noise, which
packs worst. Opening is timed in a headless Chromium with a fresh profile. The "peer" is the goal.
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from _bench import Bench, arguments
from scipy.ndimage import gaussian_filter

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from browser import CHROMIUM, chromium

from explaindebug.attributions._engine.specs import all_names
from explaindebug.evaluation import follow_up as followup
from explaindebug.evaluation.results import Gallery, Headline, RunResult, TestResult
from explaindebug.evaluation.scores import Key, Scores
from explaindebug.evaluation.verdicts import verdicts
from explaindebug.report.html.write import write_report

METHODS = {name: name for name in all_names(references=True)}
UNSIGNED = {"sgradsq", "vgrad", "lrp_spaf", "deep_taylor"}
ARMS = {
    "spurious": ["with the bug", "control (no bug)"],
    "labels": ["reference", "with the bug", "control (no bug)"],
    "ood": ["reference", "with the bug", "control (no bug)"],
    "reinit": ["trained", *(f"layer {k}" for k in range(1, 18))],
}
SIMILARITIES = ("ssim", "spearman")
MEGABYTES, SECONDS = 25.0, 2.0  # the goals


def run(inputs: int, size: int) -> RunResult:
    """A run of 16 methods and 4 bugs with so many inputs, all of them drawn."""
    rng = np.random.default_rng(0)
    tests = [_test(rng, name, arms, inputs, size) for name, arms in ARMS.items()]
    return RunResult(tests, METHODS, [("clean", "test", 0.95)], {"command": "a benchmark"})


def _test(
    rng: np.random.Generator, name: str, arms: list[str], inputs: int, size: int
) -> TestResult:
    stages = arms[1:] if name == "reinit" else []
    conditions = stages or ["compared"]
    scores, rows = Scores(), np.arange(inputs)
    for method in METHODS:
        for condition in conditions:
            for role in ("bug", "control", "null: gaussian", "null: edges"):
                for similarity in SIMILARITIES:
                    values = rng.normal(0.2 if role == "bug" else 0.6, 0.1, inputs)
                    scores.add(Key(name, method, condition, role, similarity), rows, values)
    return TestResult(
        name,
        name.capitalize(),
        Headline(conditions[min(2, len(conditions) - 1)], "spearman", "down", "Does it show?"),
        scores,
        galleries=[_gallery(rng, arms, inputs, size)],
        stages=stages,
    )


def _gallery(rng: np.random.Generator, arms: list[str], inputs: int, size: int) -> Gallery:
    pictures = gaussian_filter(rng.uniform(0, 255, (inputs, size, size, 3)), (0, 3, 3, 0))
    # Sixteen methods of one model share two stacks of noise: the page can't know, memory can.
    signed = rng.laplace(size=(inputs + 16, size, size)).astype(np.float32).clip(-4, 4) / 4
    maps = {
        arm: {
            m: np.abs(signed[k : inputs + k]) if m in UNSIGNED else signed[k : inputs + k]
            for k, m in enumerate(METHODS)
        }
        for arm in arms
    }
    captions = tuple(("bird", "dog, called bird")[i % 2] for i in range(inputs))
    return Gallery(pictures.clip(0, 255).astype(np.uint8), captions, maps)


def opened(path: Path) -> dict[str, float]:
    """Seconds from the navigation to the first picture and to the end of loading, and of work.

    Work is what the page's main thread computed, which other programs disturb least.
    """
    with chromium() as browser:
        browser("Performance.enable", timeDomain="threadTicks")
        browser.open(path)
        browser.run("new Promise(done => requestAnimationFrame(() => setTimeout(done, 50)))")
        assert not browser.complaints()
        painted, loaded = browser.run("""[
            performance.getEntriesByName('first-contentful-paint')[0].startTime,
            performance.getEntriesByType('navigation')[0].loadEventEnd,
        ]""")
        metrics = {m["name"]: m["value"] for m in browser("Performance.getMetrics")["metrics"]}
        work = metrics["TaskDuration"]
        return {"painted": painted / 1000, "loaded": loaded / 1000, "loaded, of work": work}


def main() -> None:
    """Write the report and open it."""
    inputs = {"type": int, "default": 190, "help": "of each test (190)"}
    size = {"type": int, "default": 64, "help": "pixels of a map (64)"}
    options = arguments(
        "The size and opening time of a large report.",
        inputs=inputs,
        size=size,
        keep={"metavar": "FOLDER", "help": "leave the report there"},
    )
    bench = Bench("report", options)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(options.keep or scratch)
        bench.note("making the run")
        made = run(24 if options.quick else options.inputs, options.size)
        start = time.perf_counter()
        further = [v for t in made.tests for v in followup.answers(t, margin=0.1, level=0.05)]
        path = write_report(made, verdicts(made.tests), folder, further=further)
        bench.compare("seconds to write it and its pictures", time.perf_counter() - start, {})
        size = path.stat().st_size / 1e6
        bench.compare("megabytes", size, {"goal": MEGABYTES}, 1.0)
        if not CHROMIUM:
            bench.skip("opening", "no Chromium on the PATH")
        else:
            times = [opened(path) for _ in range(options.repeats)]
            for what in times[0]:  # the shortest: what other programs took is not the page's
                seconds = min(found[what] for found in times)
                bench.compare(f"seconds until {what}", seconds, {"goal": SECONDS}, 1.0)
    bench.finish()


if __name__ == "__main__":
    main()
