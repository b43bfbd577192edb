"""Invalid settings are refused with one sentence, and no files are written."""

import os
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, TypedDict

import pytest
from fuzz_settings import NEVER, Attempt, attempts, outcome

from explaindebug import __version__
from explaindebug.app.early import check_names, registered
from explaindebug.app.settings import _check_type
from explaindebug.app.tidy import Tidy
from explaindebug.attributions._engine.method import ATTRIBUTIONS
from explaindebug.bugs.blur import Blur
from explaindebug.bugs.marks import Stripes, Tag
from explaindebug.bugs.spurious_background import SpuriousBackground
from explaindebug.core.errors import ConfigError
from explaindebug.core.registry import nearest
from explaindebug.core.validation import number, whole
from explaindebug.evaluation.postprocessing import PostProcessing
from explaindebug.evaluation.similarities import SIMILARITIES

SAMPLE = 40  # attempts on the keys of the default configuration, others by tests/fuzz_settings.py


@pytest.fixture(scope="module")
def sample() -> list[Attempt]:
    """Some of the attempts on the default configuration."""
    return random.Random(0).sample(list(attempts([()])), SAMPLE)


def test_sampled_bad_values_end_in_a_sentence(
    sample: list[Attempt], tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    found = [outcome(one) for one in sample]
    assert [one for one in found if one.end == "traceback"] == []
    assert [one for one in found if one.end == "accepted" and one.kind in NEVER] == []
    for one in found:
        assert "\n" not in one.said, one
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "typed",
    [
        "seed=4294968",
        "lr=nan",
        "similarities=[]",
        "attributions=[]",
        "attributions=[5]",
        "output=''",
        "++bug.spurious=5",
        "++callbacks.heatmaps=7",
        "++postprocessing=3",
        "nulls=null",
        "postprocessing.assumed_range=nan",
        "bug.reinit.noise=1e9",
        "bug.spurious.feather=nan",
        "bug.spurious.signal={tag:{size:0}}",
        "+trainer.accumulate_grad_batches=0",
        "data.size=1000000",
        "workers=0",
        "bug=null",
        "model=1.5",
    ],
)
def test_a_refused_command_is_one_sentence_and_leaves_nothing(run, typed, tmp_path) -> None:
    status, error = run("output=deep/down", typed, small=False)
    assert status == 1
    assert error.startswith("error: ")
    assert error.count("\n") == 1, error
    assert not list(tmp_path.iterdir())


def test_a_key_that_only_the_default_model_has_is_not_its_own_nearest(run) -> None:
    status, error = run("model=bvd_cnn", "model.widths=[8]", small=False)
    assert status == 1
    assert "+model.widths=" in error


def test_a_refused_sweep_leaves_nothing(run, tmp_path) -> None:
    status, error = run("-m", "lr=nan,-1", "output=deep/sweep", small=False)
    assert status == 1
    assert error.count("error: lr") == 2
    assert not list(tmp_path.iterdir())


def test_tidy_leaves_what_was_there_and_what_is_not_empty(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine" / "empty").mkdir(parents=True)
    config = {"hydra": {"run": {"dir": "mine/a/b"}, "sweep": {"dir": "x"}}, "store": "mine/s/t"}
    tidy = Tidy()
    tidy.on_run_start(config=as_config(config))
    for name in ("a/b/empty", "a/full", "s/t"):
        (tmp_path / "mine" / name).mkdir(parents=True)
    (tmp_path / "mine" / "a" / "full" / "file").touch()
    tidy.on_run_end(config=as_config(config))
    left = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")}
    assert left == {"mine", "mine/empty", "mine/a", "mine/a/full", "mine/a/full/file"}


def as_config(values: Any) -> Any:
    from omegaconf import OmegaConf

    return OmegaConf.create(values)


@pytest.mark.parametrize(
    ("package", "registry", "known"),
    [
        ("explaindebug.attributions", "ATTRIBUTIONS", ATTRIBUTIONS),
        ("explaindebug.evaluation.similarities", "SIMILARITIES", SIMILARITIES),
    ],
)
def test_names_that_are_read_are_those_that_are_registered(package, registry, known) -> None:
    assert set(known) == set(registered(package, registry))


def test_a_misspelt_method_is_refused_without_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from explaindebug.app.cli import main\n"
        "try: main()\n"
        "except SystemExit as stop: print(stop.code, 'torch' in sys.modules)\n"
    )
    for words, status, said in (
        (["attributions=[guidedgradcam]"], "1 False", "{captum: {name: GuidedGradCam}}"),
        (["model=timm/resnet18"], "1 False", "model=torchvision model.name=timm/resnet18"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", code, *words],
            cwd=tmp_path,
            env={k: v for k, v in os.environ.items() if k != "HYDRA_FULL_ERROR"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout.strip() == status, done.stderr
        assert said in done.stderr
        assert not list(tmp_path.iterdir())


def test_names_of_other_code_are_left_to_the_registries(monkeypatch) -> None:
    for package in ("attributions", "evaluation.similarities"):
        monkeypatch.delitem(sys.modules, f"explaindebug.{package}")
    mine = {"bug": {"mine": {"_target_": "mine.Bug"}}, "attributions": ["mine"]}
    check_names(as_config(mine))
    with pytest.raises(ConfigError, match="mine"):
        check_names(as_config({"attributions": [{"mine": {"samples": 3}}]}))


def test_our_version(command) -> None:
    assert command("explaindebug", "--version") == (0, f"explaindebug {__version__}\n", "")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("ResNet-18", "resnet18"),
        ("resnet_18", "resnet18"),
        ("VGG16", "vgg16"),
        ("resnt18", "resnet18"),
    ],
)
def test_spellings_are_compared_in_small_letters(name: str, meant: str) -> None:
    assert repr(meant) in nearest(name, ["vgg16", "resnet18", "resnet50"])


class Place(TypedDict):
    x: int


BUILT = {"_target_": "some.Thing"}


@pytest.mark.parametrize(
    ("hint", "fitting", "others"),
    [
        (int, [1], [1.0, True, "1", None, [1]]),
        (float, [1, 1.5], [True, "1"]),
        (bool, [True], [1, "on"]),
        (Path, ["a"], [3]),
        (Literal["a", "b"], ["a"], ["c", 1, None, []]),
        (int | None, [1, None], [1.5]),
        (list[int], [[], [1, 2]], [["a"], 1, "12", {}]),
        (Sequence[str], [["a"]], ["a", [1]]),
        (tuple[float, ...], [[], [1, 2.5]], [["a"], 1]),
        (tuple[int, str], [[1, "a"]], [[1], [1, "a", 2], ["a", 1], []]),
        (dict[str, int], [{}, {"a": 1}], [{"a": "b"}, [], 1]),
        (Place, [{"x": 1}], [3, "x", [1]]),
        (Callable[[int], int], [BUILT], [3, "abs", [1]]),
        (Tag, [BUILT], [3, "tag"]),
        (Any, [3, "a", None], []),
    ],
)
def test_values_are_checked_against_annotations(hint: Any, fitting: Any, others: Any) -> None:
    for value in fitting:
        _check_type(value, hint, "bug.mine.x")
    for value in others:
        with pytest.raises(ConfigError) as error:
            _check_type(value, hint, "bug.mine.x")
        said = str(error.value)
        assert said.startswith(f"bug.mine.x is {value!r} of type {type(value).__name__}, but")
        assert getattr(hint, "__name__", str(hint)) in said


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -1.0, 0, 1e9, "0.1", True, None])
def test_options_of_the_library_are_refused_too(bad: Any) -> None:
    for make in (
        lambda: Tag(size=bad),
        lambda: Stripes(width=bad),
        lambda: Blur(strength=bad),
        lambda: PostProcessing(assumed_range=bad) if bad is not None else number("x", "y"),
        lambda: SpuriousBackground(feather=bad) if bad != 0 or bad is True else number("x", "y"),
    ):
        with pytest.raises(ConfigError):
            make()


def test_bounds_are_part_of_the_sentence() -> None:
    with pytest.raises(ConfigError, match=r"n .* at least 2 and at most 9, got 1"):
        whole("n", 1, least=2, most=9)
    with pytest.raises(ConfigError, match=r"x .* above 0 and at most 2\.5, got 3"):
        number("x", 3, above=0, most=2.5)
    whole("n", 2, least=2, most=2)
    number("x", 2.5, least=0, most=2.5)
