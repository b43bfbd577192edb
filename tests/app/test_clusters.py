"""Inputs of one class as a cluster, from the configuration to the verdict."""

import pytest
from hydra import compose, initialize_config_module

from explaindebug.app.data_modules import classes_of
from explaindebug.app.settings import settings
from explaindebug.core.errors import ConfigError
from explaindebug.data.synthetic.splits import figures


def test_the_class_of_each_input_by_its_row() -> None:
    images = figures(size=16, train=20, val=1, test=1).train
    some = images.subset([3, 11, 7])
    expected = {row: images.classes[images.truth[row]] for row in (3, 11, 7)}
    assert classes_of(some) == expected


@pytest.mark.parametrize(("value", "fits"), [("class", True), ("null", True), ("image", False)])
def test_clusters_are_classes_or_none(value: str, fits: bool) -> None:
    with initialize_config_module("explaindebug.configs", version_base="1.3"):
        config = compose("train", overrides=[f"clusters={value}", "output=out"])
    if fits:
        assert settings(config).clusters == {"class": "class", "null": None}[value]
    else:
        with pytest.raises(ConfigError, match="clusters must be null or class, got 'image'"):
            settings(config)
