"""How much of its class's probability a network loses with a region."""

import pytest
import torch
from torch import Tensor, nn

from explaindebug.core.errors import ConfigError, DataError
from explaindebug.debugtests import SimpleLab, run_test
from explaindebug.debugtests.reliance import DROP, ROW, Reliance
from explaindebug.evaluation.scores import Key

N, SIDE = 20, 16


class Corner(nn.Module):
    """The logit of class 1 is the sum over the top left corner; class 0's is 0."""

    def __init__(self, outputs: int = 2) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1.0))
        self.outputs = outputs

    def forward(self, x: Tensor) -> Tensor:
        logit = self.scale * x[:, 0, :4, :4].sum((1, 2))
        return logit[:, None] if self.outputs == 1 else torch.stack([0 * logit, logit], 1)


def inputs() -> Tensor:
    images = torch.zeros(N, 1, SIDE, SIDE)
    images[:, :, :4, :4] = 0.2  # logit 3.2
    return images


def mask(top: int = 0) -> Tensor:
    found = torch.zeros(N, 1, SIDE, SIDE, dtype=torch.bool)
    found[:, :, top : top + 4, top : top + 4] = True
    return found


def drops(region: Tensor, role: str, outputs: int = 2) -> list[float]:
    test = Reliance(region=region, fill="mean")
    lab = SimpleLab(inputs(), {"bug": Corner(outputs)})
    found = run_test(test, lab, methods="grad")
    return found.scores[Key("reliance", ROW, "removed", role, DROP)].values.tolist()


@pytest.mark.parametrize("outputs", [1, 2])
def test_the_drop_is_that_of_the_probability(outputs: int) -> None:
    lost = torch.sigmoid(torch.tensor(3.2)).item() - 0.5  # the outside is 0, and so is its mean
    assert drops(mask(), "bug", outputs) == pytest.approx([lost] * N)
    assert drops(mask(), "control", outputs) == pytest.approx([0.0] * N)
    assert drops(mask(8), "bug", outputs) == pytest.approx([0.0] * N)


def test_the_verdict_says_which_region_the_network_relies_on() -> None:
    lab = SimpleLab(inputs(), {"bug": Corner()})
    for top, answer in ((0, "shows"), (8, "doesn't")):
        found = run_test(Reliance(region=mask(top), fill="mean"), lab, methods="grad")
        assert [(v.method, v.answer) for v in found.verdicts] == [(ROW, answer)]
        assert found.test.rows == {ROW: "The network"}


def test_the_object_is_the_region_of_inputs_with_masks() -> None:
    lab = SimpleLab(inputs(), {"bug": Corner()}, masks=mask())
    found = run_test(Reliance(fill="mean"), lab, methods="grad")
    assert found.verdicts[0].answer == "shows"


def test_regions_that_can_not_be_removed_are_refused() -> None:
    lab = SimpleLab(inputs(), {"bug": Corner()})
    with pytest.raises(ConfigError, match="region"):
        run_test(Reliance(), lab, methods="grad")
    for region, why in ((mask() & False, "no pixel"), (mask() | True, "hardly")):
        with pytest.raises(DataError, match=why):
            run_test(Reliance(region=region), lab, methods="grad")
    with pytest.raises(DataError, match="regions are"):
        run_test(Reliance(region=mask()[:3]), lab, methods="grad")
    with pytest.raises(ConfigError, match="mean"):
        Reliance(fill="maen")
