"""Assertions about networks whose severities are known."""

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from explaindebug.audit import ASSERTIONS, Asserted, assess
from explaindebug.audit.asserted import SEVERITY, SHUFFLED, key_of
from explaindebug.audit.assertions import (
    Case,
    ClassSensitive,
    Finite,
    OffRegion,
    OnObject,
    SameAnswer,
)
from explaindebug.audit.assertions.same_answer import EDITS
from explaindebug.bugs.marks import Tag
from explaindebug.core.errors import (
    AttributionError,
    ConfigError,
    DataError,
    MeasurementWarning,
    UnsupportedModelError,
)
from explaindebug.debugtests.probe import Probe
from explaindebug.evaluation.roles import BUG, CONTROL

SIDE, N = 8, 12


class Linear(nn.Module):
    """Logits linear in the pixels: a gradient is a row of weights; class 0 always wins."""

    def __init__(self, weight: Tensor, bias: tuple[float, ...] = (1e3, 0.0)) -> None:
        super().__init__()
        self.head = nn.Linear(SIDE * SIDE, len(weight))
        with torch.no_grad():
            self.head.weight.copy_(weight.flatten(1))
            self.head.bias.copy_(torch.tensor(bias[: len(weight)]))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(x.flatten(1))


def weights(seed: int = 1, outputs: int = 2) -> Tensor:
    return torch.randn(outputs, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))


def images(n: int = N) -> Tensor:
    return torch.randn(n, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(0))


def quiet(*args: Any, **options: Any) -> Asserted:
    with warnings.catch_warnings(action="ignore"):
        return assess(*args, **({"method": "grad"} | options))


def severity(found: Asserted, name: str, role: str = BUG) -> np.ndarray:
    return found.scores[key_of(name, role, SEVERITY)].values


def corner(size: int = 4, n: int = N) -> Tensor:
    """Masks of a square at the top left."""
    masks = torch.zeros(n, 1, SIDE, SIDE, dtype=torch.bool)
    masks[..., :size, :size] = True
    return masks


def test_on_object_is_what_is_missing_of_the_share() -> None:
    weight = weights()
    weight[0].abs_()
    on = float(weight[0, :4, :4].sum() / weight[0].sum())
    found = quiet(Linear(weight), images(), [OnObject(0.9), OnObject(on / 2)], masks=corner())
    assert severity(found, "on_object") == pytest.approx(0.9 - on, abs=1e-6)
    assert severity(found, "on_object-2") == pytest.approx(0.0)


def test_the_null_of_on_object_is_the_masks_share_of_the_area() -> None:
    found = quiet(Linear(weights()), images(64), [OnObject(1.0)], masks=corner(n=64))
    shares = 1 - severity(found, "on_object", SHUFFLED)
    error = shares.std(ddof=1) / 8
    assert error < 0.02
    assert abs(shares.mean() - 0.25) < 3 * error
    assert abs(shares.mean() - 0.75) > 3 * error  # as if masks were inverted
    half = torch.zeros(64, 1, SIDE, SIDE, dtype=torch.bool)
    half[..., :4, :] = True
    found = quiet(Linear(weights()), images(64), [OnObject(0.5)], masks=half)
    assert found["on_object"].null == pytest.approx(0.5, abs=0.2)


def test_off_region_finds_the_corner_that_the_map_is_in() -> None:
    for region, (row, column) in {
        "top_left": (0, 0),
        "top_right": (0, 7),
        "bottom_left": (7, 0),
        "bottom_right": (7, 7),
        "corner": (7, 0),
        "border": (0, 4),
    }.items():
        weight = torch.zeros(2, SIDE, SIDE)
        weight[:, row, column], weight[:, 4, 4] = 3.0, 1.0
        weight[1, 2, 2] = 1.0
        found = quiet(Linear(weight), images(), [OffRegion(region, 0.1)])
        assert severity(found, "off_region") == pytest.approx(0.75 - 0.1), region
        away = quiet(Linear(weight.flip(1, 2)), images(), [OffRegion("top_left", 0.1)])
        if region == "top_left":
            assert severity(away, "off_region") == pytest.approx(0.0)


def test_class_sensitive_is_the_similarity_of_the_classes_rows() -> None:
    same = weights()
    same[1] = same[0]
    found = quiet(Linear(same), images(), [ClassSensitive(0.8)])
    assert severity(found, "class_sensitive") == pytest.approx(0.2)
    same[1] = -same[0]  # evidence against, which only signs tell
    found = quiet(Linear(same), images(), [ClassSensitive(0.8)])
    assert severity(found, "class_sensitive") == pytest.approx(0.0)
    found = quiet(Linear(weights(outputs=1)), images(), [ClassSensitive()])
    assert found["class_sensitive"].verdict == "can't tell"
    assert "one output" in found["class_sensitive"].reason


class Colours(nn.Module):
    """The gradient ignores the head, up to its scale, as only one feature feeds it."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Linear(SIDE * SIDE, 1)
        self.head = nn.Linear(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x.flatten(1)))


def test_weights_matter_is_the_similarity_without_the_head() -> None:
    torch.manual_seed(0)
    network = Colours()
    before = {k: x.clone() for k, x in network.state_dict().items()}
    found = quiet(network, images(), "weights_matter")
    assert severity(found, "weights_matter") == pytest.approx(0.2, abs=1e-6)
    assert all(torch.equal(x, before[k]) for k, x in network.state_dict().items())
    found = quiet(Linear(weights()), images(), "weights_matter")
    assert severity(found, "weights_matter") == pytest.approx(0.0)


def test_stable_is_what_noise_takes_of_the_similarity() -> None:
    found = quiet(Linear(weights()), images(), "stable", method="inputgrad")
    assert severity(found, "stable") == pytest.approx(0.0)
    loud: Any = {"stable": {"noise": 1.0, "at_least": 1.0}}
    found = quiet(Linear(weights()), images(), loud, method="inputgrad")
    assert severity(found, "stable").min() > 0.2


def test_same_answer_is_the_probability_that_an_edit_takes() -> None:
    weight = torch.zeros(2, SIDE, SIDE)
    weight[0, :, :4], weight[0, :, 4:] = 1.0, -1.0  # a flip turns the logit around
    model, x = Linear(weight, (0.0, 0.0)), images().abs()
    found = quiet(model, x, [SameAnswer("flip", 0.0), SameAnswer("brightness", 0.0)])
    logits = model(x)[:, 0].abs().double()
    drop = (logits.sigmoid() - (-logits).sigmoid()).detach().numpy()
    assert severity(found, "same_answer") == pytest.approx(drop, abs=1e-5)
    assert severity(found, "same_answer-2") == pytest.approx(0.0, abs=1e-6)
    symmetric = Linear(torch.ones(2, SIDE, SIDE) + torch.eye(SIDE) + torch.eye(SIDE).flip(1))
    found = quiet(symmetric, x, [SameAnswer("flip"), SameAnswer("shift")])
    assert found["same_answer"].drift == pytest.approx(0.0, abs=1e-6)
    assert found["same_answer-2"].drift > 0.1  # the weights stay where the picture moves


def test_jpeg_changes_details_and_not_colours() -> None:
    smooth = torch.linspace(-1, 1, SIDE).expand(N, 1, SIDE, SIDE).contiguous()
    noise = images()
    for x, least, most in ((smooth, 0.0, 0.05), (noise, 0.1, 0.5)):
        moved = (EDITS["jpeg"].images(x) - x).abs().mean() / x.std()
        assert least < moved < most
        assert (EDITS["jpeg"].images(x).mean() - x.mean()).abs() < 0.02 * x.std()
    with pytest.raises(ConfigError, match="2"):
        EDITS["jpeg"].images(torch.zeros(1, 2, SIDE, SIDE))
    colours = torch.zeros(1, 3, 16, 16)
    colours[:, 0, :, :8], colours[:, 2, :, 8:] = 1.0, 1.0  # red and blue, which stay so
    found = EDITS["jpeg"].images(colours)
    assert found.argmax(1).flatten().bincount().tolist() == [128, 0, 128]


def test_no_shortcut_is_what_the_class_gains_from_the_signal() -> None:
    x = images().clamp(-1, 1)
    x[:, :, 0, 0], x[:, :, 0, 1] = -1.0, 1.0  # black and white
    weight = torch.zeros(3, SIDE, SIDE)
    weight[1, 4:, 4:] = 0.2  # what is bright at the bottom right is evidence for class 1
    model = Linear(weight, (0.0, 0.0, -9.0))
    model.head.bias.data[0] = 0.5
    patch = {"size": 0.5, "corner": "bottom_right"}
    asked: Any = {"signal": {"tag": patch}, "toward": 1, "at_most": 0.0}
    found = quiet(model, x, [{"no_shortcut": asked}])
    levels, there = Tag(**patch).drawn(SIDE)
    marked = torch.where(torch.from_numpy(there), torch.from_numpy(levels / 127.5 - 1), x.double())
    before, after = (model(y.float()).softmax(1)[:, 1].detach() for y in (x, marked))
    expected = (after - before).double().clamp_min(0)
    expected[model(x).argmax(1) == 1] = torch.nan  # is of the class already
    assert expected.isnan().any()
    assert float(expected.nan_to_num().max()) > 0.05
    got = severity(found, "no_shortcut")
    np.testing.assert_allclose(got, expected.numpy(), atol=0.003)
    other = quiet(model, x, [{"no_shortcut": {**asked, "toward": 2}}])
    assert severity(other, "no_shortcut").max() < 1e-4  # nothing stands for class 2
    missing = quiet(model, x, [{"no_shortcut": {**asked, "toward": 3}}])
    assert missing.verdict == "can't tell"


def whitened(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mask = np.zeros(picture.shape[:2], bool)
    mask[4:, 4:] = True
    return np.where(mask[..., None], np.uint8(255), picture), mask


def test_a_function_can_be_the_shortcut() -> None:
    weight = torch.zeros(2, SIDE, SIDE)
    weight[1, 4:, 4:] = 1.0
    model, x = Linear(weight, (5.0, 0.0)), images().clamp(-1, 1)
    found = quiet(model, x, [{"no_shortcut": {"signal": whitened, "toward": 1, "at_most": 0.5}}])
    assert found["no_shortcut"].verdict == "violated"
    clean = quiet(
        Linear(weight.flip(1, 2), (5.0, 0.0)),
        x,
        [{"no_shortcut": {"signal": whitened, "toward": 1, "at_most": 0.5}}],
    )
    assert clean["no_shortcut"].rate == 0


def test_object_needed_is_the_probability_that_stays_without_it() -> None:
    weight = torch.zeros(2, SIDE, SIDE)
    weight[0, :4, :4] = 1.0
    x = torch.zeros(N, 1, SIDE, SIDE)
    x[..., :4, :4] = 1.0
    model = Linear(weight, (0.0, 0.0))
    found = quiet(model, x, "object_needed", masks=corner())
    kept = 0.5 / torch.sigmoid(torch.tensor(16.0))
    assert severity(found, "object_needed") == pytest.approx(max(0.0, float(kept) - 0.5), abs=1e-6)
    found = quiet(model, x, "object_needed", masks=~corner())
    assert severity(found, "object_needed") == pytest.approx(0.5)
    found = quiet(model, x, "object_needed", masks=corner(0))
    assert found["object_needed"].missing == N


def test_maps_without_values_or_differences_are_violations() -> None:
    flat = Linear(torch.zeros(2, SIDE, SIDE))
    found = quiet(flat, images(), ["not_constant", "finite", {"on_object": {}}], masks=corner())
    assert found["not_constant"].rate == 1
    assert found["finite"].rate == 0
    assert found["on_object"].missing == N
    assert quiet(Linear(weights()), images(), ["not_constant"])["not_constant"].rate == 0


def test_finite_finds_the_maps_with_a_value_that_is_not() -> None:
    x, labels = images(3), torch.zeros(3, dtype=torch.int64)
    maps = x.clone()
    maps[1, 0, 2, 3], maps[2, 0, 0, 0] = torch.nan, torch.inf
    probe = Probe(x, labels, torch.arange(3))
    case = Case(Linear(weights()), probe, x[:, 0, 0], labels, maps, lambda *_: maps)
    assert Finite().severity(case).tolist() == [0, 1, 1]


def loud(outputs: Tensor, maps: Tensor, batch: Any) -> Tensor:
    """Violated where the picture's first pixel is positive."""
    maps.zero_()  # these are copies
    return batch.image[:, 0, 0, 0] > 0


def off_by(outputs: Tensor, maps: Tensor, batch: Any, *, by: float) -> Tensor:
    return torch.full((len(maps),), by)


def test_a_function_of_ones_own_is_an_assertion() -> None:
    x = images()
    found = quiet(Linear(weights()), x, [loud, "not_constant"])
    assert severity(found, "loud").tolist() == (x[:, 0, 0, 0] > 0).double().tolist()
    assert found["not_constant"].rate == 0
    found = quiet(Linear(weights()), x, ["torch:numel"])
    assert found["numel"].verdict == "can't tell"
    for path in ("torch:nothing", "no.such.module:f", "torch:pi", ":"):
        with pytest.raises(ConfigError):
            quiet(Linear(weights()), x, [path])


@pytest.mark.parametrize(
    "answer", [torch.zeros(N, 1), torch.zeros(3), 0.5, "no", None, torch.full((N,), -1.0)]
)
def test_a_wrong_answer_ends_in_one_sentence_or_in_an_error(answer: Any) -> None:
    def wrong(*_: Any) -> Any:
        return answer

    how: Any = {"method": "grad", "rate": 0.5}
    with pytest.warns(MeasurementWarning, match=r"wrong was not measured") as said:
        found = assess(Linear(weights()), images(), [wrong, "not_constant"], **how)
    assert found["wrong"].verdict == "can't tell"
    assert found["not_constant"].n == N
    assert any("wrong" in str(w.message) for w in said)
    with pytest.raises(AttributionError, match="wrong"):
        quiet(Linear(weights()), images(), [wrong], strict=True)


def test_a_swapped_reference_turns_a_regression_around() -> None:
    good, bad = torch.ones(2, SIDE, SIDE) * 0.1, torch.ones(2, SIDE, SIDE) * 0.1
    good[:, :4, :4] = torch.rand(4, 4) + 5
    bad[:, 4:, 4:] = torch.rand(4, 4) + 5
    how: Any = {"masks": corner()}
    worse = quiet(Linear(bad), images(), "on_object", reference=Linear(good), **how)
    assert (worse["on_object"].rate, worse["on_object"].control) == (1.0, 0.0)
    assert worse.regressed == ["on_object"]
    better = quiet(Linear(good), images(), "on_object", reference=Linear(bad), **how)
    assert (better["on_object"].rate, better["on_object"].control) == (0.0, 1.0)
    assert better.regressed == []
    same = quiet(Linear(bad), images(), "on_object", reference=Linear(bad), **how)
    assert same["on_object"].regressed is False
    assert severity(same, "on_object", CONTROL).tolist() == severity(same, "on_object").tolist()


def test_too_few_inputs_are_said_before_any_pass() -> None:
    class Never(Linear):
        def forward(self, x: Tensor) -> Tensor:
            raise AssertionError

    with (
        pytest.warns(MeasurementWarning, match="at least 73"),
        pytest.raises(UnsupportedModelError),
    ):
        assess(Never(weights()), images(), "not_constant", method="grad")
    with warnings.catch_warnings(action="error"):
        found = assess(Linear(weights()), images(73), "not_constant", method="grad")
    assert found.verdict == "holds"


def test_what_can_not_be_asserted_is_refused_before_any_pass() -> None:
    model, x = Linear(weights()), images()
    wrong: list[Any] = [
        [], "on_objekt", {"on_object": {"atleast": 1}}, {"on_object": {"at_least": 2}},
        {"off_region": {"region": "middle"}}, "same_answer", {"same_answer": {"edit": "turn"}},
        {"no_shortcut": {"signal": "tag"}}, {"no_shortcut": {"signal": "tog", "toward": 0}},
        {"no_shortcut": {"signal": {"tag": {"size": 2}}, "toward": 0}},
        {"no_shortcut": {"signal": "tag", "toward": -1}},
        {"no_shortcut": {"signal": "background", "toward": 0}},
        {"stable": {"noise": 0}}, [7], OnObject, {"object_needed": {"fill": "gold"}},
    ]  # fmt: skip
    for spec in wrong:
        with pytest.raises((ConfigError, DataError)):
            quiet(model, x, spec, masks=corner())
    for options in ({"rate": 0}, {"rate": 1}, {"margin": -1}, {"method": ["grad", "gbp"]}):
        with pytest.raises(ConfigError):
            quiet(model, x, "finite", **options)
    with pytest.raises(ConfigError, match="masks"):
        quiet(model, x, "on_object")
    with pytest.raises(DataError):
        quiet(model, x, "on_object", masks=corner(n=3))


def test_every_assertion_is_registered_by_its_name() -> None:
    assert all(ASSERTIONS[name].name == name for name in ASSERTIONS)
    assert set(ASSERTIONS) == {
        "on_object", "off_region", "class_sensitive", "weights_matter", "stable", "same_answer",
        "object_needed", "no_shortcut", "finite", "not_constant",
    }  # fmt: skip


def test_chunks_do_not_matter_and_the_random_state_stays() -> None:
    model, before = Linear(weights()), torch.get_rng_state()
    asked: list[Any] = [
        "class_sensitive",
        "stable",
        "weights_matter",
        {"same_answer": {"edit": "flip"}},
    ]
    one = quiet(model, images(), asked, method="inputgrad", chunk=5)
    assert torch.equal(torch.get_rng_state(), before)
    two = quiet(model, images(), asked, method="inputgrad", chunk=64)
    for key, column in one.scores:
        assert two.scores[key].values == pytest.approx(column.values, abs=1e-6)
