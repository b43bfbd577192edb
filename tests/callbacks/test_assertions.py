"""Assertions and the check of one network, in training."""

from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from lightning_modules import Module, Network, pictures, trainer
from torch import Tensor
from torch.utils.data import DataLoader

from explaindebug.audit import assess, check
from explaindebug.callbacks import Assertions, ModelCheck
from explaindebug.core.errors import (
    AssertionsViolated,
    AttributionError,
    ConfigError,
    DataError,
    MeasurementWarning,
)

N = 12
ASKED: list[Any] = ["not_constant", "class_sensitive", {"same_answer": {"edit": "flip"}}]
FEW: dict[str, Any] = {"probe": N, "rate": 0.5, "method": "grad", "strict": True}


class Masked(Module):
    def loss(self, batch: Any) -> Tensor:
        return F.cross_entropy(self(batch["image"]), batch["label"])


def masks() -> Tensor:
    found = torch.zeros(N, 1, 16, 16, dtype=torch.bool)
    found[..., 4:12, 4:12] = True
    return found


def masked() -> DataLoader[Any]:
    images, labels = pictures(N)
    columns = {"image": images, "label": labels, "signal": ~masks(), "row": torch.arange(N)}
    items = [dict(zip(columns, item, strict=True)) for item in zip(*columns.values(), strict=True)]
    return DataLoader(items, batch_size=5)  # type: ignore[arg-type]


def validated(path: Any, callback: Any, network: Network | None = None) -> dict[str, float]:
    run = trainer(path, [callback])
    run.validate(Masked(network), masked(), verbose=False)
    return {k: float(v) for k, v in run.callback_metrics.items()}


def network(seed: int = 0) -> Network:
    torch.manual_seed(seed)
    return Network()


def test_a_validation_gives_the_numbers_of_assess(tmp_path: Any) -> None:
    model, others = network(), [network(1), network(2)]
    asked = ["on_object", *ASKED]
    callback = Assertions(asked, reference=others, spread=0.2, **FEW)
    logged = validated(tmp_path, callback, model)
    how: dict[str, Any] = {"method": "grad", "masks": masks(), "rate": 0.5, "spread": 0.2}
    found = assess(model.eval(), pictures(N)[0], asked, reference=others, **how)
    assert {key.role for key, _ in found.scores} >= {"bug", "control", "control: 2"}
    for key, column in found.scores:
        assert callback.scores[key].values == pytest.approx(column.values, abs=1e-6)
    for one in found.outcomes:
        where = f"debug/assertions/{one.name}/"
        for end in ("rate", "low", "high", "severity"):
            assert logged[where + end] == pytest.approx(getattr(one, end), abs=1e-6)
        assert logged[where + "rate/control"] == pytest.approx(one.control)
    for one, expected in zip(callback.asserted.outcomes, found.outcomes, strict=True):
        assert (one.verdict, one.regressed) == (expected.verdict, expected.regressed)
        assert len(one.controls) == 2
        assert one.controls == pytest.approx(expected.controls)
        assert one.p == pytest.approx(expected.p, nan_ok=True)
    table = (tmp_path / "debug/assertions.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in table[1:]] == [one.name for one in found.outcomes]


def test_options_of_a_regression_are_those_of_assess(tmp_path: Any) -> None:
    def half_of_the_first_network() -> Any:
        calls: list[int] = []

        def worse(outputs: Tensor, maps: Tensor, batch: Any) -> Tensor:
            calls.append(1)
            return (batch.row % 2 == 0).double() * (len(calls) == 1)

        return worse

    p = []
    for spread in (0.2, 0.0):
        how: dict[str, Any] = {"reference": [network(1), network(2)], "spread": spread}
        callback = Assertions([half_of_the_first_network()], **how, **FEW)
        validated(tmp_path / str(spread), callback, network())
        more: dict[str, Any] = {"method": "grad", "rate": 0.5, **how}
        found = assess(network().eval(), pictures(N)[0], [half_of_the_first_network()], **more)
        (one,), (expected,) = callback.asserted.outcomes, found.outcomes
        assert (one.rate, one.controls) == (0.5, (0, 0))
        assert one.p == pytest.approx(expected.p)
        p.append(one.p)
    assert p[0] > p[1]


def first(outputs: Tensor, maps: Tensor, batch: Any) -> Tensor:
    """Violated by inputs 3 and 8, the latter more severely."""
    return (batch.row == 3).double() + 2.0 * (batch.row == 8)


def never(outputs: Tensor, maps: Tensor, batch: Any) -> Tensor:
    return torch.ones(len(maps))


def broken(outputs: Tensor, maps: Tensor, batch: Any) -> Tensor:
    return torch.ones(len(maps), 2)


def test_the_worst_inputs_are_drawn(tmp_path: Any) -> None:
    callback = Assertions([first, "finite"], **FEW)
    validated(tmp_path, callback)
    (gallery,) = callback.galleries
    assert len(gallery.captions) == 2
    images = pictures(N)[0]
    seen = gallery.inputs[0].astype(float)
    gaps = [
        np.abs(seen / 255 - ((x - x.min()) / (x.max() - x.min())).permute(1, 2, 0).numpy()).max()
        for x in images
    ]
    assert int(np.argmin(gaps)) == 8
    silent = Assertions(["finite"], **FEW)
    validated(tmp_path, silent)
    assert silent.galleries == []


def fitted(path: Any, callback: Any) -> pl.Trainer:
    run = trainer(path, [callback], max_epochs=2, num_sanity_val_steps=0)
    run.fit(Masked(network()), masked(), masked())
    return run


def test_fail_says_when_a_violation_ends_the_run(tmp_path: Any) -> None:
    assert fitted(tmp_path, Assertions([never], **FEW)).current_epoch == 2
    late = Assertions([never], fail="fit_end", **FEW)
    with pytest.raises(AssertionsViolated, match="never"):
        fitted(tmp_path, late)
    assert len({row[0] for row in late.history}) == 2
    early = Assertions([never], fail="validation", **FEW)
    with pytest.raises(AssertionsViolated, match="never"):
        fitted(tmp_path, early)
    assert len({row[0] for row in early.history}) == 1
    for fail in ("fit_end", "validation"):
        assert fitted(tmp_path, Assertions(["finite"], fail=fail, **FEW)).current_epoch == 2


def test_an_assertion_that_fails_costs_itself_and_not_the_run(tmp_path: Any) -> None:
    callback = Assertions([broken, "finite"], **(FEW | {"strict": False}))
    with pytest.warns(MeasurementWarning, match="one severity per input"):
        logged = validated(tmp_path, callback)
    assert logged["debug/assertions/finite/rate"] == 0
    assert "debug/assertions/broken/rate" not in logged
    assert callback.asserted["broken"].verdict == "can't tell"
    with pytest.raises(AttributionError, match="one severity per input"):
        validated(tmp_path, Assertions([broken, "finite"], **FEW))


def test_too_few_inputs_are_said_before_the_training(tmp_path: Any) -> None:
    class Stop(Exception):
        pass

    class Stopping(pl.Callback):
        def on_train_start(self, *_: Any) -> None:
            raise Stop

    callback = Assertions(["finite"], **(FEW | {"rate": 0.05}))
    run = trainer(tmp_path, [callback, Stopping()], num_sanity_val_steps=0)
    with pytest.warns(MeasurementWarning, match="at least 73"), pytest.raises(Stop):
        run.fit(Masked(network()), masked(), masked())


def test_what_can_not_work_is_refused(tmp_path: Any) -> None:
    wrong: list[dict[str, Any]] = [
        {"fail": "always"}, {"reference": ""}, {"rate": 0}, {"method": ["grad", "gbp"]},
        {"assertions": []}, {"assertions": ["finit"]},
    ]  # fmt: skip
    for options in wrong:
        with pytest.raises(ConfigError):
            Assertions(**options)
    with pytest.raises(DataError):
        validated(tmp_path, Assertions(["finite"], **FEW, reference=tmp_path / "none.ckpt"))
    with pytest.raises(ConfigError, match="spearman"):
        ModelCheck(["grad"], similarities=["ssim"])
    with pytest.raises(ConfigError, match="other"):
        ModelCheck(["grad"], nulls=["gaussian", "other"])
    with pytest.raises(ConfigError, match="noise"):
        ModelCheck(["grad"], noise=0)


def test_a_reference_is_read_from_a_checkpoint(tmp_path: Any) -> None:
    model = network()
    torch.save({"state_dict": Module(model).state_dict()}, tmp_path / "old.ckpt")
    callback = Assertions(ASKED, reference=tmp_path / "old.ckpt", **FEW)
    logged = validated(tmp_path, callback, model)
    where = "debug/assertions/class_sensitive/severity"
    assert logged[where] == logged[f"{where}/control"]
    assert callback.asserted.regressed == []


def test_a_check_in_training_gives_the_answers_of_check(tmp_path: Any) -> None:
    model = network()
    how: dict[str, Any] = {"forward": "network", "similarities": ["spearman"]}
    callback = ModelCheck(["grad", "gbp"], probe=N, strict=True, **how)
    assert callback.checked is None
    logged = validated(tmp_path, callback, model)
    found = check(model.eval(), pictures(N)[0], methods=["grad", "gbp"], masks=masks())
    checked = callback.checked
    assert checked is not None
    assert [(one.method, one.fit) for one in checked.fitness] == [
        (one.method, one.fit) for one in found.fitness
    ]
    for key, column in found.scores:
        if key.arm != "null" and key.test != "reliance":
            assert checked.scores[key].values == pytest.approx(column.values, abs=1e-6)
    assert {f"debug/check/gbp/spearman/{c}" for c in ("class", "head", "input", "noise")} <= set(
        logged
    )
