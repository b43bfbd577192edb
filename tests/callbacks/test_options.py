"""Options of callbacks that can't work are refused when the callback is made."""

from typing import Any

import pytest

from explaindebug.callbacks import ReferenceSimilarity, ReinitCascade, SpuriousSimilarity
from explaindebug.core.errors import ConfigError


@pytest.mark.parametrize("init", [-1, None, [], {}, 7.5, True, "layer_defualt"])
def test_an_initialisation_is_a_name_or_a_function(init: Any) -> None:
    with pytest.raises(ConfigError, match="initialisation"):
        ReinitCascade(["grad"], init=init)


@pytest.mark.parametrize("reference", ["", {}, None, 7])
def test_a_reference_is_a_network_or_a_path(reference: Any) -> None:
    with pytest.raises(ConfigError, match="reference"):
        ReferenceSimilarity(["grad"], reference=reference)


@pytest.mark.parametrize("kind", [ReinitCascade, SpuriousSimilarity])
def test_something_is_compared(kind: Any) -> None:
    with pytest.raises(ConfigError, match="similarities"):
        kind(["grad"], similarities=[])
