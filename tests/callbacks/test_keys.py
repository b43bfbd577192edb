"""Keys of loggers: the number of parts that patterns rely on, and no duplicates."""

import warnings
from pathlib import Path
from typing import Any

import pytest
from lightning_modules import Module, Network, loader, trainer

from explaindebug.callbacks import ReferenceSimilarity, ReinitCascade
from explaindebug.callbacks.keys import distinct, log_key, plain


def test_parts_have_neither_spaces_nor_slashes_and_empty_ones_are_left_out() -> None:
    assert log_key("debug", "a b", "x(y=1, z=2)", "", "top  3/4") == "debug/a_b/x(y=1,_z=2)/top_3_4"


def test_what_would_have_one_name_is_numbered() -> None:
    found = distinct(["a b", "a_b", "a  b", "c"], log_key)
    assert list(found.values()) == ["a_b", "a_b-2", "a_b-3", "c"]
    assert plain("a(x=0.1)", "=.", "-") == "a-x=0.1-"


def fitted(path: Path, callback: Any) -> Any:
    with warnings.catch_warnings(action="ignore"):
        trainer(path, [callback]).fit(Module(), loader(), loader(10))
    return callback


def test_whatever_tests_conditions_and_similarities_are_called(tmp_path: Path) -> None:
    callback = ReferenceSimilarity(
        [{"sgrad": {"samples": 2, "noise": n}} for n in (0.1, 0.2)],
        reference=Network(),
        control=Network(),
        test="my own test",
        condition="old network",
        similarities=[{"topk": {"fraction": 0.2, "sign": "abs"}}],
        probe=4,
        strict=True,
    )
    names = {name for _, name, _ in fitted(tmp_path, callback).history}
    assert len(names) == 4  # two methods, each under the network and the control
    assert {name.split("/")[1] for name in names} == {"my_own_test"}
    assert {len(name.split("/")) for name in names} == {5, 6}
    assert not any(" " in name for name in names)


def test_means_that_would_have_one_key_are_not_mixed(tmp_path: Path) -> None:
    groups = {"the end": ["network.fc"], "the_end": ["network.norm"]}
    callback = ReinitCascade(["grad"], groups=groups, similarities=["ssim"], probe=4, strict=True)
    callback = fitted(tmp_path, callback)
    named = [
        [value for _, name, value in callback.history if name == f"debug/reinit/grad/ssim/{end}"]
        for end in ("the_end", "the_end-2")
    ]
    last = [
        callback.scores.select(condition=stage, role="bug", similarity="ssim")
        for stage in callback.stages
        if stage in groups
    ]
    means = [next(iter(part))[1].values.mean() for part in last]
    assert [values[-1] for values in named] == pytest.approx(means)
    assert means[0] != means[1]
