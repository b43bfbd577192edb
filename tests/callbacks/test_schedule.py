"""When callbacks measure: after validations or training epochs; and a warning if never."""

from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from lightning_modules import Module, loader, pictures, trainer

from explaindebug.callbacks import HeatmapLogger, ReinitCascade
from explaindebug.core.errors import ConfigError


class Noting(HeatmapLogger):
    """Remembers the epoch, the weights and the images of each measurement."""

    def __init__(self, **options: Any) -> None:
        super().__init__(["grad"], strict=True, **options)
        self.noted: list[Any] = []

    def measure(self, network: Any, probe: Any, explain: Any) -> Any:
        self.noted.append((network.state_dict()["network.fc.weight"].clone(), probe.image.clone()))
        return super().measure(network, probe, explain)


class Untested(Module):
    """Has no validation."""

    validation_step = pl.LightningModule.validation_step  # type: ignore[assignment]


def fitted(callback: Any, path: Any, module: Any = None, **options: Any) -> Any:
    pl.seed_everything(2, verbose=False)
    module = module or Module()
    run = trainer(path, [callback] if callback else [], **options)
    run.fit(module, loader(10), loader(10))
    return run, module


class TestAfterTraining:
    @pytest.mark.parametrize("kind", [Module, Untested])
    def test_the_weights_after_each_epoch_on_the_first_inputs_of_the_training(
        self, tmp_path: Any, kind: type[Module]
    ) -> None:
        callback, ends = Noting(after="training", probe=3), []

        class Ends(pl.Callback):
            def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
                ends.append(module.network.fc.weight.detach().clone())

        pl.seed_everything(2, verbose=False)
        module = kind()
        run = trainer(tmp_path, [callback, Ends()])
        run.fit(module, loader(10), loader(10) if kind is Module else None)
        assert len(callback.noted) == len(ends) == 2
        for (weights, images), at_end in zip(callback.noted, ends, strict=True):
            assert torch.equal(weights, at_end)
            assert torch.equal(images, pictures(10)[0][:3])
        assert "debug/heatmaps/seconds" in run.callback_metrics
        assert len(list(tmp_path.rglob("maps/*.png"))) == 2  # a strip per epoch

    def test_training_is_bit_for_bit_what_it_is_without(self, tmp_path: Any) -> None:
        _, plain = fitted(None, tmp_path)
        cascade = ReinitCascade(["grad"], probe=3, after="training", strict=True)
        _, watched = fitted(cascade, tmp_path)
        states = plain.state_dict(), watched.state_dict()
        assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
        assert {epoch for epoch, _, _ in cascade.history} == {0, 1}

    def test_a_validation_by_itself_is_measured_all_the_same(self, tmp_path: Any) -> None:
        callback = Noting(after="training")
        trainer(tmp_path, [callback]).validate(Module(), loader(10), verbose=False)
        assert len(callback.noted) == 1

    def test_of_every_second_epoch(self, tmp_path: Any) -> None:
        callback = Noting(after="training", every_n_epochs=2)
        fitted(callback, tmp_path, max_epochs=4)
        assert len(callback.noted) == 2

    def test_another_loop_is_refused(self) -> None:
        with pytest.raises(ConfigError, match="'training', got 'test'"):
            HeatmapLogger(["grad"], after="test")


class TestWhereNothingWouldBeMeasured:
    @pytest.mark.parametrize(
        ("module", "options", "said"),
        [
            (Untested, {}, "after='training'"),
            (Module, {"limit_val_batches": 0}, "after='training'"),
            (Module, {"check_val_every_n_epoch": 5}, "check_val_every_n_epoch=5"),
        ],
        ids=["no step", "no batches", "too few epochs"],
    )
    @pytest.mark.filterwarnings("ignore:.*You passed in a `val_dataloader`.*")
    @pytest.mark.filterwarnings("ignore:.*You defined a `validation_step`.*")
    def test_it_is_said_at_the_start(
        self, tmp_path: Any, module: Any, options: Any, said: str
    ) -> None:
        seen: list[tuple[str, ...]] = []

        class Starts(pl.Callback):
            def on_train_start(self, *_: Any) -> None:
                seen.append(callback.reported)

        callback = HeatmapLogger(["grad"])
        run = trainer(tmp_path, [callback, Starts()], **options)
        with pytest.warns(UserWarning, match="will measure nothing"):
            run.fit(module(), loader(10), loader(10))
        ((sentence,),) = seen
        assert said in sentence
        assert not callback.galleries

    def test_also_of_epochs_that_never_come(self, tmp_path: Any) -> None:
        with pytest.warns(UserWarning, match="every_n_epochs=3"):
            fitted(HeatmapLogger(["grad"], every_n_epochs=3), tmp_path)

    def test_nothing_is_said_where_one_epoch_is_measured(self, tmp_path: Any) -> None:
        callback = Noting(every_n_epochs=2)
        fitted(callback, tmp_path)
        assert len(callback.noted) == 1
        assert not callback.reported
