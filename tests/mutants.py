"""Do the tests notice a mistake? Makes mistakes in a copy of the repository and runs the tests.

    python tests/mutants.py                  # the mistakes below: each must turn its test red
    python tests/mutants.py sample 100       # so many random ones: which do the tests not notice?
    python tests/mutants.py sample 100 --seed 1 --only evaluation

It is no test itself, and takes a while. A process that has imported the libraries is forked for
every mistake, which saves most of the time; so it needs a system that forks.
"""

import argparse
import ast
import contextlib
import importlib
import io
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
SCIENCE = "tests/app/test_science.py"
SPURIOUS, REINIT = f"{SCIENCE}::TestSpurious", f"{SCIENCE}::TestReinit"
OPTIONS = ("-n0", "-x", "-pno:cacheprovider", "-Wignore::pytest.PytestAssertRewriteWarning")
MINUTES = 5  # after which a mutant's tests are stopped: it has made them endless


class Named(NamedTuple):
    """A mistake, and the test that must notice it."""

    what: str
    path: str  # below explaindebug/
    right: str  # occurs there once
    wrong: str
    test: str


NAMED = (
    Named(
        "GT-1, GT-2 and share of the object instead of the background",
        "debugtests/spurious.py",
        "return probe.signal",
        "return ~probe.signal",
        "tests/callbacks/test_spurious.py",
    ),
    Named(
        "direction of the spurious test",
        "debugtests/spurious.py",
        '    "up",\n',
        '    "down",\n',
        SPURIOUS,
    ),
    Named(
        "direction of the test of labels",
        "debugtests/labels.py",
        '    "down",\n',
        '    "up",\n',
        f"{SCIENCE}::TestLabels",
    ),
    Named(
        "direction of the test of lost weights",
        "debugtests/reinit.py",
        'stage, "spearman", "down"',
        'stage, "spearman", "up"',
        REINIT,
    ),
    Named(
        "direction of the test out of distribution",
        "debugtests/ood.py",
        '    "down",\n',
        '    "up",\n',
        f"{SCIENCE}::TestOod",
    ),
    Named(
        "the clean network measured instead of the mislabelled one",
        "debugtests/labels.py",
        "Roles((self._trained,), (TWIN,), CLEAN)",
        "Roles((CLEAN,), (TWIN,), CLEAN)",
        f"{SCIENCE}::TestLabels",
    ),
    Named(
        "the reference of the test out of distribution is of the other domain",
        "debugtests/ood.py",
        'NetworkSpec("in-domain", "foreign")',
        'NetworkSpec("in-domain", "data")',
        f"{SCIENCE}::TestOod",
    ),
    Named(
        "bug and control exchanged in the spurious test",
        "debugtests/spurious.py",
        "Roles((self._trained,), (CLEAN, TWIN))",
        "Roles((CLEAN,), (self._trained, TWIN))",
        SPURIOUS,
    ),
    Named(
        "another network's weights are lost",
        "debugtests/reinit.py",
        "Roles((CLEAN,), ",
        "Roles((TWIN,), ",
        REINIT,
    ),
    Named(
        "trained on the opposite classes",
        "app/classifier.py",
        "logits.reshape(-1), labels.float()",
        "logits.reshape(-1), 1 - labels.float()",
        "tests/app/test_classifier.py",
    ),
    Named(
        "the application's signal is where no signal is",
        "data/imageset.py",
        "torch.from_numpy(~unmarked[rows])",
        "torch.from_numpy(unmarked[rows])",
        SPURIOUS,
    ),
    Named(
        "the signal of a lab is the object of its masks",
        "debugtests/simple.py",
        "else ~self.masks",
        "else self.masks",
        "tests/debugtests/test_lab.py",
    ),
    Named(
        "logged accuracy is the error",
        "app/classifier.py",
        "right.update(predicted(logits), labels)",
        "right.update(1 - predicted(logits), labels)",
        "tests/app/test_classifier.py",
    ),
    Named(
        "accuracy is the error",
        "app/session.py",
        ".numpy() == images.labels",
        ".numpy() != images.labels",
        f"{SCIENCE}::TestClassifier",
    ),
    Named(
        "the rate never falls",
        "app/classifier.py",
        "OneCycleLR(optimizer, self.lr, total_steps=steps)",
        "OneCycleLR(optimizer, 1e-6, total_steps=steps)",
        "tests/app/test_classifier.py",
    ),
    Named(
        "the page compares with another arm than the control",
        "debugtests/panels.py",
        "arms={name: arm} if arm else {}",
        "arms={}",
        f"{SCIENCE}::test_a_report_puts_the_control_beside_the_bug",
    ),
    Named(
        "a claim reads how far logits moved as how many predictions stay",
        "debugtests/reinit.py",
        'agreement = {stage: cascaded.mean_drift("agreement", stage)',
        'agreement = {stage: cascaded.mean_drift("l2", stage)',
        f"{REINIT}::test_a_claim_reads_how_many_predictions_stay",
    ),
    Named(
        "maps that are not finite end no run",
        "app/findings.py",
        "if x.fault.broken]",
        "if not x.fault.broken]",
        "tests/app/test_run.py::test_maps_that_are_not_finite_end_a_run_that_is_complete",
    ),
    Named(
        "two digits of a printed number exchanged",
        "studies/adebayo2020/published.py",
        "[0.62, 0.63, 0.063,",
        "[0.62, 0.36, 0.063,",
        "tests/studies/adebayo2020/test_published.py",
    ),
)

EVALUATION = {
    "evaluation/verdicts": "evaluation/test_verdicts.py",
    "evaluation/effects": "evaluation/test_verdicts.py",
    "evaluation/pairing": "evaluation/test_verdicts.py",
    "evaluation/rationale": "evaluation/test_verdicts.py",
    "evaluation/power": "evaluation/test_verdicts.py",
    "evaluation/inference": "evaluation/test_inference.py evaluation/test_verdicts.py",
    "evaluation/scores": "evaluation/test_scores.py evaluation/test_summary.py",
    "evaluation/summary": "evaluation/test_summary.py",
    "evaluation/comparison": "evaluation/test_comparison.py",
    "evaluation/unscored": "evaluation/test_unscored.py",
    "evaluation/nulls": "evaluation/test_nulls.py evaluation/test_comparison.py",
    "evaluation/postprocessing": "evaluation/test_postprocessing.py evaluation/test_comparison.py",
    "evaluation/detection": "evaluation/test_detection.py",
    "evaluation/roc": "evaluation/test_roc.py",
    "evaluation/follow_up": "evaluation/test_follow_up.py",
    "evaluation/signal_reliance": "evaluation/test_signal_reliance.py",
    "evaluation/map_statistics": "evaluation/test_map_statistics.py",
    "evaluation/confidence": "evaluation/test_confidence.py",
    **{
        f"evaluation/similarities/{name}": "evaluation/similarities"
        for name in (
            "_ranks",
            "background_share",
            "hog",
            "scaled_mse",
            "pearson",
            "spearman",
            "ssim",
            "topk",
        )
    },
}
DEBUGTESTS = {
    **{
        f"debugtests/{name}": "debugtests callbacks/test_spurious.py app/test_science.py "
        "app/test_unflipped.py"
        for name in ("labels", "ood", "reinit", "spurious")
    },
    "app/classifier": "app/test_classifier.py",
    "debugtests/detection": "app/test_science.py",
    **{
        f"debugtests/{name}": "debugtests callbacks/test_spurious.py"
        for name in ("reference", "measure", "run", "simple")
    },
    "bugs/label_flips": "bugs",
    "bugs/spurious_background": "bugs",
    "bugs/spurious_signal": "bugs",
    "bugs/marks": "bugs",
    "bugs/blur": "bugs",
}
EXPLAINERS = {
    "attributions/gradient": "attributions/test_gradient.py attributions/test_all_methods.py",
    "attributions/smoothgrad": "attributions/test_smoothgrad.py",
    "attributions/path_gradients": "attributions/test_path_gradients.py",
    "attributions/guided_backprop": "attributions/test_guided_backprop.py",
    "attributions/_autograd/lrp_rules": "attributions/test_lrp_rules.py attributions/test_lrp.py",
    "attributions/_autograd/composite": "attributions/test_lrp_composites.py",
    "attributions/_autograd/entries": "attributions/test_lrp_composites.py",
    "attributions/_autograd/places": "attributions/test_lrp_composites.py",
    "attributions/lrp": "attributions/test_lrp.py attributions/test_lrp_composites.py",
    "attributions/lime_shap": "attributions/test_lime_shap.py",
    "attributions/_support/coalitions": "attributions/test_coalitions.py",
    "attributions/_support/superpixels": "attributions/test_superpixels.py",
    "attributions/_engine/targets": "attributions/test_targets.py",
    "attributions/_support/pattern_fit": "attributions/test_pattern_fit.py",
    "attributions/_support/pattern_means": "attributions/test_pattern_fit.py",
    "attributions/patternnet": "attributions/test_pattern_fit.py",
    "attributions/_autograd/tape": "attributions/test_tape.py attributions/test_lrp_rules.py",
    "attributions/captum_adapter": "attributions/test_captum_adapter.py",
}
PARTS = {"evaluation": EVALUATION, "debugtests": DEBUGTESTS, "explainers": EXPLAINERS}


class Mutant(NamedTuple):
    """A piece of source replaced by another."""

    path: str
    line: int
    start: int  # in characters of the whole file
    end: int
    wrong: str
    tests: tuple[str, ...]

    def source(self, right: str) -> str:
        return right[: self.start] + self.wrong + right[self.end :]


FLIPPED = {
    ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Add: ast.Sub, ast.Sub: ast.Add,
    ast.Mult: ast.Div, ast.Div: ast.Mult, ast.And: ast.Or, ast.Or: ast.And,
}  # fmt: skip


def changed(node: ast.AST) -> str:
    """The node's source with one mistake in it; empty where it offers none."""
    code = ast.parse(ast.unparse(node), mode="eval").body
    if isinstance(code, ast.Compare) and type(code.ops[0]) in FLIPPED:
        code.ops[0] = FLIPPED[type(code.ops[0])]()
    elif isinstance(code, ast.BinOp | ast.BoolOp) and type(code.op) in FLIPPED:
        code.op = FLIPPED[type(code.op)]()
    elif isinstance(code, ast.UnaryOp) and isinstance(code.op, ast.USub | ast.Not | ast.Invert):
        code = code.operand
    elif isinstance(code, ast.Call) and len(code.args) > 1 and swappable(code.args[:2]):
        code.args[:2] = code.args[1::-1]
    elif isinstance(code, ast.IfExp):
        code.body, code.orelse = code.orelse, code.body
    else:
        return ""
    return f"({ast.unparse(code)})"


def swappable(arguments: Sequence[ast.expr]) -> bool:
    """Whether exchanging the two is a mistake that a person could make."""
    texts = {ast.unparse(one) for one in arguments}
    return len(texts) == 2 and not any(isinstance(a, ast.Starred) for a in arguments)


MISTAKABLE = ast.Compare | ast.BinOp | ast.BoolOp | ast.UnaryOp | ast.Call | ast.IfExp


def expressions(node: ast.AST) -> Iterator[ast.expr]:
    """All that can be mistaken, but for annotations, errors, texts and checks of types."""
    if isinstance(node, ast.Raise | ast.JoinedStr):
        return
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "isinstance":
        return
    if isinstance(node, MISTAKABLE):
        yield node
    for name, value in ast.iter_fields(node):
        if name not in ("annotation", "returns"):
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from expressions(child)


def mutants(path: str, tests: tuple[str, ...]) -> Iterator[Mutant]:
    """Every mutant of a file."""
    source = (ROOT / path).read_text()
    lines = source.splitlines(keepends=True)

    def place(row: int, column: int) -> int:
        before = lines[row - 1].encode()[:column].decode()
        return sum(map(len, lines[: row - 1])) + len(before)

    for node in expressions(ast.parse(source)):
        if wrong := changed(node):
            start = place(node.lineno, node.col_offset)
            end = place(node.end_lineno or 0, node.end_col_offset or 0)
            yield Mutant(path, node.lineno, start, end, wrong, tests)


def tests_of(spec: str) -> tuple[str, ...]:
    return tuple(f"tests/{name}" for name in spec.split())


def copy(folder: Path) -> None:
    """The repository's working tree, without its history."""
    ignored = shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*_cache", "outputs", "wandb")
    shutil.copytree(ROOT, folder, symlinks=True, ignore=ignored)


def outcome(folder: Path, tests: Sequence[str]) -> int:
    """Pytest's exit status of these tests in the copy: 0 passed, 1 failed, 124 for too long."""
    child = os.fork()
    if child == 0:
        os.chdir(folder)
        sys.path[:0] = [str(folder), str(folder / "tests")]
        out = os.open(folder / "pytest.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(out, 1)
        os.dup2(out, 2)
        import pytest

        status = 3
        try:
            status = int(pytest.main([*OPTIONS, *tests]))
        finally:
            os._exit(status)
    end = time.monotonic() + 60 * MINUTES
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.05)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return 124


def tried(folder: Path, mutant: Mutant) -> int:
    path = folder / mutant.path
    right = path.read_text()
    try:
        path.write_text(mutant.source(right))
        return outcome(folder, mutant.tests)
    finally:
        path.write_text(right)


LIBRARIES = (
    *("torch", "torchvision", "pytorch_lightning", "captum.attr", "scipy.stats"),
    *("skimage.metrics", "sklearn.metrics", "matplotlib.pyplot", "pytest"),
)


def preload() -> None:
    """What every child would import: all libraries, and nothing of ours."""
    sys.dont_write_bytecode = True  # a stale file would hide the next mutant
    for name in LIBRARIES:
        with contextlib.redirect_stderr(io.StringIO()):
            importlib.import_module(name)


def named(folder: Path) -> int:
    """How many of the named mistakes go unnoticed."""
    survivors = 0
    for one in NAMED:
        path = f"explaindebug/{one.path}"
        source = (ROOT / path).read_text()
        if source.count(one.right) != 1:
            raise SystemExit(f"{path} has {one.right!r} {source.count(one.right)} times, not once.")
        start = source.index(one.right)
        line = source[:start].count("\n") + 1
        found = Mutant(path, line, start, start + len(one.right), one.wrong, (one.test,))
        status = tried(folder, found)
        survivors += status != 1
        print(f"{'noticed' if status == 1 else f'NOT NOTICED ({status})'}: {one.what}", flush=True)
    print(f"{len(NAMED) - survivors} of {len(NAMED)} named mistakes are noticed")
    return survivors


def sampled(folder: Path, count: int, seed: int, only: Sequence[str]) -> None:
    """Random mistakes, as many of each part, and those that no test notices."""
    rng = random.Random(seed)
    kept = {name: files for name, files in PARTS.items() if name in (only or PARTS)}
    total = survived = 0
    for k, (part, files) in enumerate(kept.items()):
        every = [m for f, t in files.items() for m in mutants(f"explaindebug/{f}.py", tests_of(t))]
        share = len(range(k, count, len(kept)))
        alive = 0
        chosen = rng.sample(every, min(share, len(every)))
        for tests in dict.fromkeys(mutant.tests for mutant in chosen):
            if outcome(folder, tests):
                raise SystemExit(f"{' '.join(tests)} fail without any mistake in the code.")
        for mutant in chosen:
            status = tried(folder, mutant)
            if status == 0:
                alive += 1
                right = (ROOT / mutant.path).read_text()[mutant.start : mutant.end]
                print(f"  {mutant.path}:{mutant.line}: {right} -> {mutant.wrong}", flush=True)
        print(
            f"{part}: {len(chosen) - alive} of {len(chosen)} noticed, {len(every)} in all",
            flush=True,
        )
        total, survived = total + len(chosen), survived + alive
    print(f"{total - survived} of {total} mistakes are noticed")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("mode", nargs="?", choices=["named", "sample"], default="named")
    parser.add_argument("count", nargs="?", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", default=[], choices=list(PARTS))
    given = parser.parse_args()
    sys.path = [entry for entry in sys.path if Path(entry or ".").resolve() != ROOT]
    preload()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "copy"
        copy(folder)
        if given.mode == "named":
            raise SystemExit(named(folder) > 0)
        sampled(folder, given.count, given.seed, given.only)


if __name__ == "__main__":
    main()
