"""The callback contract, each line with a real trainer."""

import dataclasses
import random
import sys
import warnings
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from lightning_modules import Module, Network, loader, pictures, trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from explaindebug import _lightning
from explaindebug._lightning import PACKAGES
from explaindebug.callbacks import (
    Assertions,
    AttributionCallback,
    HeatmapLogger,
    ModelCheck,
    ReferenceSimilarity,
    ReinitCascade,
    SpuriousSimilarity,
)
from explaindebug.callbacks.probe import unpack
from explaindebug.core.errors import (
    AttributionError,
    ConfigError,
    DataError,
    UnsupportedModelError,
)
from explaindebug.evaluation.heatmaps import to_bytes
from explaindebug.evaluation.scores import Scores

METHODS = ["grad", {"sgrad": {"samples": 3}}, "gbp"]


def cascade(**options: Any) -> ReinitCascade:
    return ReinitCascade(METHODS, **({"probe": 7, "strict": True, "pictures": 2} | options))


def audits(**options: Any) -> list[AttributionCallback]:
    """Assertions with a reference, and the check of one network."""
    few: dict[str, Any] = {"probe": 7, "strict": True, "pictures": 2} | options
    asked = ["weights_matter", "class_sensitive", "stable", {"same_answer": {"edit": "flip"}}]
    with torch.random.fork_rng():
        old = Network()
    return [
        Assertions(asked, method="grad", rate=0.5, reference=old, **few),
        ModelCheck(["grad", "gbp"], **few),
    ]


def trained(
    path: Any, callbacks: Any = (), network: Any = Network, resume: Any = None, **options: Any
) -> Any:
    """The state of everything random or trained after two epochs."""
    pl.seed_everything(3, verbose=False)
    module = Module(network())
    run = trainer(path, callbacks, **options)
    run.fit(module, loader(shuffle=True), loader(10), ckpt_path=resume)
    state = {k: v.clone() for k, v in module.state_dict().items()}
    momentum = [
        s["momentum_buffer"].clone() for s in run.optimizers[0].state_dict()["state"].values()
    ]
    randomness = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    return state, momentum, randomness


def assert_identical(a: Any, b: Any) -> None:
    assert a[0].keys() == b[0].keys()
    for name in a[0]:
        assert torch.equal(a[0][name], b[0][name]), name
    assert all(torch.equal(x, y) for x, y in zip(a[1], b[1], strict=True))
    assert torch.equal(a[2][0], b[2][0])
    assert a[2][1:] == b[2][1:]


class TestTrainingIsBitIdentical:
    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"accumulate_grad_batches": 2, "val_check_interval": 2},
            {"precision": "bf16-mixed"},
            {"gradient_clip_val": 0.1},
        ],
        ids=["plain", "accumulating", "bf16", "clipping"],
    )
    def test_with_and_without(self, tmp_path: Any, options: dict[str, Any]) -> None:
        plain = trained(tmp_path, **options)
        watched = cascade()
        assert_identical(plain, trained(tmp_path, [watched, HeatmapLogger(METHODS)], **options))
        assert len(watched.scores)
        more = audits()
        assert_identical(plain, trained(tmp_path, more, **options))
        assert all(len(one.scores) for one in more)

    @pytest.mark.parametrize("first", [True, False])
    def test_under_weight_averaging(self, tmp_path: Any, first: bool) -> None:
        def ema() -> Any:
            return pl.callbacks.EMAWeightAveraging(decay=0.7)

        plain = trained(tmp_path, [ema()])
        watching = [cascade(), *audits()]
        callbacks = [*watching, ema()] if first else [ema(), *watching]
        assert_identical(plain, trained(tmp_path, callbacks))

    def test_under_stochastic_weight_averaging(self, tmp_path: Any) -> None:
        def swa() -> Any:
            return pl.callbacks.StochasticWeightAveraging(0.01, swa_epoch_start=1)

        plain = trained(tmp_path, [swa()], max_epochs=3)
        watched = cascade()
        assert_identical(plain, trained(tmp_path, [watched, *audits(), swa()], max_epochs=3))
        assert len(watched.scores)

    def test_with_a_compiled_network(self, tmp_path: Any) -> None:
        def compiled() -> nn.Module:
            return torch.compile(Network(), backend="eager")  # type: ignore[return-value]

        plain = trained(tmp_path, network=compiled)
        watched = cascade(forward="network")
        more = audits(forward="network")
        assert_identical(plain, trained(tmp_path, [watched, *more], network=compiled))
        assert all(len(one.scores) for one in more)
        assert len(watched.scores)

    def test_after_a_resume_in_the_middle_of_an_epoch(self, tmp_path: Any) -> None:
        keep = pl.callbacks.ModelCheckpoint(tmp_path, filename="{step}", every_n_train_steps=3)
        first = cascade()
        halves: dict[str, Any] = {"val_check_interval": 2, "num_sanity_val_steps": 0}
        trained(tmp_path, [first, keep], max_steps=4, enable_checkpointing=True, **halves)
        middle = str(next(tmp_path.glob("step=3*.ckpt")))
        with warnings.catch_warnings(action="ignore"):  # that some checkpoints lie in an epoch
            plain = trained(tmp_path, resume=middle, **halves)
            watched = cascade()
            assert_identical(plain, trained(tmp_path, [watched], resume=middle, **halves))
        before = torch.load(middle, weights_only=True)["callbacks"][first.state_key]["history"]
        assert len(before) == len(first.history) / 2  # of the validations after steps 2 and 4
        assert watched.history[: len(before)] == before
        assert len(watched.history) > len(before)

    def test_with_shuffling_workers(self, tmp_path: Any) -> None:
        def run(callbacks: Any) -> Any:
            pl.seed_everything(1, workers=True, verbose=False)
            module = Module()
            data = loader(shuffle=True, workers=1)
            trainer(tmp_path, callbacks, max_epochs=1).fit(module, data, loader(10))
            return module.state_dict()

        plain, watched = run([]), run([cascade(), *audits()])
        assert all(torch.equal(plain[k], watched[k]) for k in plain)


class TestWhenItRuns:
    def test_fit_validate_and_test_give_the_same_scores_for_the_same_weights(
        self, tmp_path: Any
    ) -> None:
        pl.seed_everything(0, verbose=False)
        module, callback = Module(), cascade()
        run = trainer(tmp_path, [callback])
        run.fit(module, loader(shuffle=True), loader(10))
        after_fit = callback.scores
        run.validate(module, loader(10), verbose=False)
        assert callback.scores == after_fit
        run.test(module, loader(10), verbose=False)
        assert callback.scores == after_fit

    def test_the_sanity_check_and_predict_are_left_alone(self, tmp_path: Any) -> None:
        class Counting(HeatmapLogger):
            measured = 0

            def measure(self, *args: Any) -> Any:
                self.measured += 1
                return super().measure(*args)

        callback = Counting(["grad"])
        run = trainer(tmp_path, [callback], num_sanity_val_steps=2, max_epochs=5)
        callback.every_n_epochs = 2
        run.fit(Module(), loader(), loader(10))
        assert callback.measured == 2  # after epochs 2 and 4 of 5
        run.predict(Module(), loader(10))
        assert callback.measured == 2

    @pytest.mark.parametrize(
        ("options", "measured"),
        [
            ({"val_check_interval": 2}, 4),  # of 5 batches, in 2 epochs
            ({"val_check_interval": 0.4, "max_epochs": 1}, 2),
            ({"check_val_every_n_epoch": 2}, 1),
            ({"check_val_every_n_epoch": None, "val_check_interval": 3}, 3),
        ],
        ids=lambda x: str(x).replace(" ", ""),
    )
    def test_every_validation_measures_once(
        self, tmp_path: Any, options: dict[str, Any], measured: int
    ) -> None:
        class Counting(HeatmapLogger):
            measured = 0

            def measure(self, *args: Any) -> Any:
                self.measured += 1
                return super().measure(*args)

        callback = Counting(["grad"])
        trainer(tmp_path, [callback], **options).fit(Module(), loader(), loader(10))
        assert callback.measured == measured

    def test_the_probe_is_what_was_seen_of_it(self, tmp_path: Any) -> None:
        callback = cascade(probe=64)
        trainer(tmp_path, [callback], limit_val_batches=1).validate(
            Module(), loader(20), verbose=False
        )
        assert {tuple(column.rows) for _, column in callback.scores} == {(0, 1, 2, 3, 4)}

    def test_the_probe_stays_the_same_though_the_loader_shuffles(self, tmp_path: Any) -> None:
        callback = cascade()
        seen = []

        class Noting(pl.Callback):
            def on_validation_end(self, *_: Any) -> None:
                seen.append(callback._intake.whole.image.clone())

        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*shuffling.*")
            trainer(tmp_path, [callback, Noting()], num_sanity_val_steps=0).fit(
                Module(), loader(), loader(10, shuffle=True)
            )
        assert len(seen) == 2
        assert torch.equal(*seen)

    def test_explained_are_the_averaged_weights_that_were_validated(self, tmp_path: Any) -> None:
        class Noting(HeatmapLogger):
            def measure(self, network: nn.Module, *args: Any) -> Any:
                self.explained = network.state_dict()["network.fc.weight"].clone()
                return super().measure(network, *args)

        class Validated(pl.Callback):
            def on_validation_batch_start(self, trainer: Any, module: Any, *_: Any) -> None:
                self.weight = module.network.fc.weight.detach().clone()

        for order in (0, 1):
            validated, noting = Validated(), Noting(["grad"])
            ema = pl.callbacks.EMAWeightAveraging(decay=0.5)
            callbacks = [noting, ema] if order else [ema, noting]
            trainer(tmp_path, [validated, *callbacks]).fit(Module(), loader(), loader(10))
            assert torch.equal(noting.explained, validated.weight)


@dataclasses.dataclass
class Batch:
    images: Tensor
    labels: Tensor

    def __getitem__(self, i: int) -> Tensor:
        return (self.images, self.labels)[i]


class TestAnyProject:
    @pytest.mark.parametrize("kind", ["mapping", "dataclass", "own"])
    def test_batches_of_any_kind(self, tmp_path: Any, kind: str) -> None:
        def collate(rows: list[Any]) -> Any:
            x, y = (torch.stack(column) for column in zip(*rows, strict=True))
            return {"mapping": {"image": x, "label": y}, "dataclass": Batch(x, y)}.get(
                kind, [[x], y]
            )

        class Any_(Module):
            def loss(self, batch: Any) -> Tensor:
                if kind == "mapping":
                    batch = batch["image"], batch["label"]
                x = batch[0][0] if kind == "own" else batch[0]
                return F.cross_entropy(self(x), batch[1])

        data = DataLoader(TensorDataset(*pictures()), batch_size=5, collate_fn=collate)
        own = {"unpack": lambda batch: (batch[0][0], batch[1])} if kind == "own" else {}
        callback = cascade(**own)
        trainer(tmp_path, [callback]).validate(Any_(), data, verbose=False)
        expected = cascade()
        pl.seed_everything(0, verbose=False)
        module = Module()
        trainer(tmp_path, [expected]).validate(module, loader(), verbose=False)
        assert set(dict(callback.scores)) == set(dict(expected.scores))

    def test_a_submodule_and_outputs_in_a_mapping(self, tmp_path: Any) -> None:
        class Headed(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.backbone = Network()

            def forward(self, x: Tensor) -> dict[str, Tensor]:
                return {"features": x, "logits": self.backbone(x)}

        class Wrapped(Module):
            def loss(self, batch: Any) -> Tensor:
                return F.cross_entropy(self(batch[0])["logits"], batch[1])

        module = Wrapped(Headed())
        named, inner = cascade(output="logits"), cascade(forward="network.backbone")
        assert named.state_key != inner.state_key
        run = trainer(tmp_path, [named, inner])
        run.validate(module, loader(), verbose=False)
        maps = [x.galleries[0].maps["trained"]["grad"] for x in (named, inner)]
        np.testing.assert_array_equal(*maps)

    @pytest.mark.parametrize("options", [{}, {"forward": "network"}])
    def test_the_reference_may_be_a_checkpoint(self, tmp_path: Any, options: Any) -> None:
        module = Module()
        torch.save({"state_dict": module.state_dict()}, tmp_path / "same.ckpt")
        callback, other = (
            ReferenceSimilarity(
                ["grad"], reference=tmp_path / "same.ckpt", condition=name, strict=True, **options
            )
            for name in ("same", "other")
        )
        trainer(tmp_path, [callback, other]).validate(module, loader(), verbose=False)
        ((_, column),) = callback.scores.select(role="bug", similarity="spearman")
        np.testing.assert_allclose(column.values, 1, atol=1e-6)

    @pytest.mark.parametrize(
        "label",
        [torch.tensor([0.0, 1.0, 2.0]), torch.tensor([[0.0], [1.0], [2.0]]), torch.eye(3)],
        ids=["floats", "column", "one-hot"],
    )
    def test_labels_of_any_kind_are_classes(self, label: Tensor) -> None:
        assert unpack((torch.rand(3, 3, 4, 4), label)).label.tolist() == [0, 1, 2]

    @pytest.mark.parametrize("channels", [1, 2, 5])
    def test_pictures_of_any_number_of_channels_can_be_drawn(self, channels: int) -> None:
        assert to_bytes(torch.rand(channels, 4, 5)).shape == (4, 5, 3)

    def test_without_saying_which_output_is_meant_it_says_what_it_found(
        self, tmp_path: Any
    ) -> None:
        class Wrapped(Module):
            def forward(self, x: Tensor) -> Any:
                return {"logits": self.network(x)}

            def loss(self, batch: Any) -> Tensor:
                return self(batch[0])["logits"].sum()

        with pytest.raises(AttributionError, match="output="):
            trainer(tmp_path, [cascade()]).validate(Wrapped(), loader(), verbose=False)

    def test_a_compiled_network_gives_the_maps_of_the_plain_one(self, tmp_path: Any) -> None:
        pl.seed_everything(0, verbose=False)
        network = Network()
        plain, compiled = HeatmapLogger(["gbp"]), HeatmapLogger(["gbp"])
        trainer(tmp_path, [plain]).validate(Module(network), loader(), verbose=False)
        fast = Module(torch.compile(network, backend="eager"))
        trainer(tmp_path, [compiled]).validate(fast, loader(), verbose=False)
        maps = [x.galleries[0].maps["this model"]["gbp"] for x in (plain, compiled)]
        np.testing.assert_array_equal(*maps)

    @pytest.mark.parametrize("named", [False, True])
    def test_of_several_loaders_the_first_is_explained(self, tmp_path: Any, named: bool) -> None:
        class Two(Module):
            def validation_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
                self.loss(batch)

        callback = HeatmapLogger(["grad"], probe=6)
        loaders = {"a": loader(8), "b": loader(9)} if named else [loader(8), loader(9)]
        trainer(tmp_path, [callback], max_epochs=1).fit(Two(), loader(), loaders)
        assert torch.equal(callback._intake.whole.image, pictures(8)[0][:6])

    def test_spurious_similarity_on_pictures_with_masks_and_scenes(self, tmp_path: Any) -> None:
        images, labels = pictures(12)
        mask = torch.zeros(12, 1, 16, 16, dtype=torch.bool)
        mask[..., 4:12, 4:12] = True
        fields = ("image", "label", "row", "signal", "scene")
        columns = (images, labels, torch.arange(12), ~mask, images * ~mask)
        items = [dict(zip(fields, item, strict=True)) for item in zip(*columns, strict=True)]

        class Masked(Module):
            def loss(self, batch: Any) -> Tensor:
                return F.cross_entropy(self(batch["image"]), batch["label"])

        callback = SpuriousSimilarity(["grad"], control=Network(), probe=12, strict=True)
        data = DataLoader(items, batch_size=5)
        module = Masked()
        trainer(tmp_path, [callback]).validate(module, data, verbose=False)
        assert set(callback.scores.unique("condition")) == {"gt1", "gt2", "share", "fam"}
        ((_, share),) = callback.scores.select(condition="share", role="bug")
        ((_, alike),) = callback.scores.select(condition="gt1", role="bug", similarity="spearman")
        x = images.clone().requires_grad_()
        module.network.eval()(x).amax(1).sum().backward()
        maps = x.grad.abs().sum(1)
        expected = (maps * ~mask[:, 0]).sum((1, 2)) / maps.sum((1, 2))
        np.testing.assert_allclose(share.values, expected, atol=1e-4)
        assert share.rows.tolist() == alike.rows.tolist() == list(range(12))


class Outputs(dict[str, Any]):
    """An output like those of Hugging Face models: a mapping with values as attributes."""

    def __getattr__(self, name: str) -> Any:
        return self[name]


class Attention(nn.Module):
    """A small transformer like those of Hugging Face: keyword arguments, and named outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, stride=4)
        self.place = nn.Parameter(torch.randn(1, 16, 8) / 10)
        self.block = nn.TransformerEncoderLayer(8, 2, 16, activation="gelu", batch_first=True)
        self.classifier = nn.Linear(8, 3)

    def forward(self, pixel_values: Tensor | None = None, labels: Tensor | None = None) -> Outputs:
        assert pixel_values is not None
        tokens = self.block(self.patches(pixel_values).flatten(2).mT + self.place)
        logits = self.classifier(tokens.mean(1))
        loss = None if labels is None else F.cross_entropy(logits, labels)
        return Outputs(loss=loss, logits=logits, hidden_states=(tokens,))


def torchvision_network() -> nn.Module:
    models = pytest.importorskip("torchvision.models")
    return models.resnet18(num_classes=3)  # type: ignore[no-any-return]


def timm_network() -> nn.Module:
    timm = pytest.importorskip("timm")
    return timm.create_model("test_resnet", num_classes=3)  # type: ignore[no-any-return]


class TestBackbones:
    @pytest.mark.parametrize("make", [torchvision_network, timm_network])
    def test_networks_of_others_inside_a_training_module(self, tmp_path: Any, make: Any) -> None:
        class Own(Module):
            """Has a loss and a metric besides the network, as training modules often do."""

            def __init__(self) -> None:
                super().__init__(nn.Identity())
                self.backbone = make()
                self.criterion = nn.CrossEntropyLoss(label_smoothing=0.1)

            def forward(self, images: Tensor) -> Any:
                return self.backbone(images)

            def loss(self, batch: Any) -> Tensor:
                return self.criterion(self(batch[0]), batch[1])  # type: ignore[no-any-return]

        def run(callbacks: Any) -> Any:
            pl.seed_everything(0, verbose=False)
            module = Own()
            trainer(tmp_path, callbacks, max_epochs=1).fit(module, loader(10), loader(6))
            return module.state_dict()

        whole, inner = cascade(most=1, probe=4), cascade(most=1, probe=4, forward="backbone")
        watched, plain = run([whole, inner]), run([])
        assert all(torch.equal(plain[k], watched[k]) for k in plain)
        for ours in (whole, inner):
            assert not any(np.isnan(column.values).any() for _, column in ours.scores)
        maps = [x.galleries[0].maps["trained"]["gbp"] for x in (whole, inner)]
        np.testing.assert_array_equal(*maps)

    def test_one_of_the_hugging_face_kind(self, tmp_path: Any) -> None:
        class Own(Module):
            def forward(self, batch: Any) -> Any:
                return self.network(**batch)

            def loss(self, batch: Any) -> Tensor:
                return self(batch).loss  # type: ignore[no-any-return]

        items = [{"pixel_values": x, "labels": y} for x, y in zip(*pictures(9), strict=True)]
        data = DataLoader(items, batch_size=5)  # type: ignore[arg-type]
        options: dict[str, Any] = {"probe": 5, "strict": True, "forward": "network"}
        callback = ReinitCascade(["grad", "intgrad"], output="logits", most=2, **options)
        trainer(tmp_path, [callback], max_epochs=1).fit(Own(Attention()), data, data)
        assert not any(np.isnan(column.values).any() for _, column in callback.scores)

    def test_outputs_in_a_tuple(self, tmp_path: Any) -> None:
        class Paired(Network):
            def forward(self, images: Tensor) -> Any:
                return images, super().forward(images)

        network = Paired()
        module = Module(network)
        plain, second = HeatmapLogger(["gbp"]), HeatmapLogger(["gbp"], output=1)
        module.loss = lambda batch: module(batch[0])[1].sum()  # type: ignore[method-assign]
        trainer(tmp_path, [second]).validate(module, loader(5), verbose=False)
        network.__class__ = Network
        module.loss = lambda batch: module(batch[0]).sum()  # type: ignore[method-assign]
        trainer(tmp_path, [plain]).validate(module, loader(5), verbose=False)
        maps = [x.galleries[0].maps["this model"]["gbp"] for x in (plain, second)]
        np.testing.assert_array_equal(*maps)

    def test_a_number_made_of_the_outputs(self, tmp_path: Any) -> None:
        positive = lambda outputs: outputs.exp().amax(1)  # noqa: E731  # grows with the largest
        module = Module(Network())
        plain, number = HeatmapLogger(["grad"]), HeatmapLogger(["grad"], output=positive)
        for callback in (plain, number):
            trainer(tmp_path, [callback]).validate(module, loader(5), verbose=False)
        maps = [x.galleries[0].maps["this model"]["grad"] for x in (plain, number)]
        np.testing.assert_allclose(*maps, atol=1e-5)


class TestBothPackages:
    def test_trainers_of_both_take_our_callbacks_and_find_the_same(self, tmp_path: Any) -> None:
        def found(package: str) -> Any:
            lightning = pytest.importorskip(package)
            own = {k: v for k, v in vars(Module).items() if not k.startswith("__")}
            module = type("Theirs", (lightning.LightningModule,), own)()
            module.network = Network()
            callback = cascade()
            with warnings.catch_warnings(action="ignore"):
                run = lightning.Trainer(
                    callbacks=[callback],
                    max_epochs=1,
                    logger=False,
                    accelerator="cpu",
                    enable_progress_bar=False,
                    enable_model_summary=False,
                    default_root_dir=tmp_path / package,
                )
                run.fit(module, loader(), loader(10))
            kept = next((tmp_path / package).rglob("*.ckpt"))
            state = torch.load(kept, weights_only=True)["callbacks"][callback.state_key]
            assert state["history"] == callback.history
            return module.state_dict(), callback.scores

        results = []
        for package in PACKAGES:
            pl.seed_everything(4, verbose=False)
            results.append(found(package))
        (weights, scores), (theirs, others) = results
        assert all(torch.equal(weights[name], theirs[name]) for name in weights)
        assert scores == others

    @pytest.mark.parametrize("package", PACKAGES)
    def test_one_of_them_is_enough(self, monkeypatch: Any, package: str) -> None:
        for name in PACKAGES:
            if name != package:
                monkeypatch.setitem(sys.modules, name, None)
        pytest.importorskip(package)
        assert [module.__name__ for module in _lightning._installed()] == [package]

    def test_none_is_told(self, monkeypatch: Any) -> None:
        for name in PACKAGES:
            monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(ModuleNotFoundError, match="pip install pytorch-lightning"):
            _lightning._installed()


class TestWhereItGoes:
    def test_without_a_logger_scores_reach_metrics_and_files(self, tmp_path: Any) -> None:
        callback = cascade()
        run = trainer(tmp_path, [callback])
        run.validate(Module(), loader(), verbose=False)
        name = "debug/reinit/grad/spearman/network.fc"
        values = callback.scores.select(
            method="grad", similarity="spearman", condition="network.fc", role="bug"
        )
        ((_, column),) = values
        assert run.callback_metrics[name].item() == pytest.approx(np.nanmean(column.values), 1e-5)
        assert list(tmp_path.rglob("scores.csv"))
        assert len(list(tmp_path.rglob("maps/*.png"))) == 3  # a strip per method

    def test_checkpoints_can_be_chosen_by_a_debugging_metric(self, tmp_path: Any) -> None:
        keep = pl.callbacks.ModelCheckpoint(
            tmp_path,
            monitor="debug/reinit/grad/ssim/network.fc",
            filename="best",
            auto_insert_metric_name=False,
        )
        trainer(tmp_path, [cascade(), keep], enable_checkpointing=True).fit(
            Module(), loader(), loader(10)
        )
        assert keep.best_model_score is not None

    def test_history_survives_a_resume(self, tmp_path: Any) -> None:
        def keep() -> Any:
            return pl.callbacks.ModelCheckpoint(tmp_path, filename="last")

        first, second = cascade(), cascade()
        trainer(tmp_path, [first, keep()], max_epochs=1, enable_checkpointing=True).fit(
            Module(), loader(), loader(10)
        )
        trainer(tmp_path, [second, keep()], max_epochs=2, enable_checkpointing=True).fit(
            Module(), loader(), loader(10), ckpt_path=str(next(tmp_path.glob("last*.ckpt")))
        )
        assert second.history[: len(first.history)] == first.history
        assert len(second.history) == 2 * len(first.history)


class Gelu(Network):
    def forward(self, images: Tensor) -> Tensor:
        x = F.max_pool2d(F.gelu(self.conv1(images)), 4)
        return self.fc(x.repeat(1, 2, 1, 1)[:, :8].flatten(1))


class TestWhenSomethingFails:
    def test_an_unsupported_layer_costs_its_method_alone_and_is_said_once(
        self, tmp_path: Any
    ) -> None:
        callback = HeatmapLogger(["grad", "gbp"])
        with pytest.warns(UserWarning, match="gbp is left out") as seen:
            trainer(tmp_path, [callback]).fit(Module(Gelu()), loader(), loader(10))
        assert sum("gbp is left out" in str(w.message) for w in seen) == 1
        assert list(callback.galleries[0].maps["this model"]) == ["grad"]

    def test_strict_makes_it_an_error(self, tmp_path: Any) -> None:
        callback = HeatmapLogger(["gbp"], strict=True)
        with pytest.raises((UnsupportedModelError, AttributionError), match=r"(?i)gelu"):
            trainer(tmp_path, [callback]).validate(Module(Gelu()), loader(), verbose=False)

    def test_a_failing_measurement_does_not_end_the_training(self, tmp_path: Any) -> None:
        class Failing(HeatmapLogger):
            def measure(self, *args: Any) -> Any:
                raise RuntimeError("out of luck")

        run = trainer(tmp_path, [Failing(["grad"])])
        with pytest.warns(UserWarning, match="out of luck"):
            run.fit(Module(), loader(), loader(10))
        assert run.current_epoch == 2

    def test_a_logger_that_raises_is_reported_and_the_run_goes_on(self, tmp_path: Any) -> None:
        class Broken(pl.loggers.CSVLogger):
            def log_image(self, **_: Any) -> None:
                raise ConnectionError("the network is gone")

        run = trainer(tmp_path, [HeatmapLogger(["grad"])], logger=Broken(tmp_path))
        with pytest.warns(UserWarning, match="the network is gone"):
            run.fit(Module(), loader(), loader(10))
        assert run.current_epoch == 2

    def test_batches_that_hold_no_images(self, tmp_path: Any) -> None:
        class Texts(Module):
            def loss(self, batch: Any) -> Tensor:
                return self(batch["picture"]).sum()

        data = DataLoader([{"picture": x} for x in pictures(6)[0]], batch_size=3)
        with pytest.warns(UserWarning, match="unpack="):
            trainer(tmp_path, [HeatmapLogger(["grad"])]).validate(Texts(), data, verbose=False)

    def test_an_unpack_that_raises_does_not_end_the_training(self, tmp_path: Any) -> None:
        callback = HeatmapLogger(["grad"], unpack=lambda batch: batch["nothing"])
        run = trainer(tmp_path, [callback])
        with pytest.warns(UserWarning, match="measured nothing"):
            run.fit(Module(), loader(), loader(10))
        assert run.current_epoch == 2

    def test_a_picture_that_cannot_be_drawn_does_not_end_the_training(self, tmp_path: Any) -> None:
        class Undrawn(HeatmapLogger):
            def log_more(self, *args: Any) -> None:
                raise ValueError("no ink")

        run = trainer(tmp_path, [Undrawn(["grad"])])
        with pytest.warns(UserWarning, match="could not draw: ValueError: no ink"):
            run.fit(Module(), loader(), loader(10))
        assert run.current_epoch == 2

    def test_a_logger_that_fails_in_every_epoch_is_told_of_once(self, tmp_path: Any) -> None:
        class Broken(pl.loggers.CSVLogger):
            calls = 0

            def log_image(self, **_: Any) -> None:
                self.calls += 1
                raise ConnectionError(f"try {self.calls}")

        logger = Broken(tmp_path)
        with pytest.warns(UserWarning, match="try 1") as seen:
            trainer(tmp_path, [HeatmapLogger(["grad"])], logger=logger).fit(
                Module(), loader(), loader(10)
            )
        assert logger.calls == 2
        assert sum("try" in str(w.message) for w in seen) == 1

    @pytest.mark.parametrize("told", [True, False], ids=["told", "not told"])
    def test_after_an_interrupted_validation_the_present_weights_are_explained(
        self, tmp_path: Any, told: bool
    ) -> None:
        """Also where nobody tells: another callback fails at the news, so that ours has none."""

        class Broken(Module):
            def validation_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
                if batch_idx == 1:
                    raise RuntimeError("power cut")

        class Deaf(pl.Callback):
            def on_exception(self, *_: Any) -> None:
                raise RuntimeError("power cut")

        callback, plain, module = cascade(most=1), cascade(most=1), Module()
        run = trainer(tmp_path, [callback] if told else [Deaf(), callback])
        with pytest.raises(RuntimeError, match="power cut"):
            run.validate(Broken(), loader(9), verbose=False)
        assert (callback._intake.network is None) == told
        trainer(tmp_path, [callback]).validate(module, loader(9), verbose=False)
        assert callback._intake.network is None
        trainer(tmp_path, [plain]).validate(module, loader(9), verbose=False)
        assert callback.scores == plain.scores

    def test_maps_of_an_interrupted_epoch_are_not_drawn(self, tmp_path: Any) -> None:
        class Broken(pl.Callback):
            def on_validation_epoch_end(self, *_: Any) -> None:
                raise RuntimeError("power cut")

        callback = HeatmapLogger(["grad"], probe=4)
        run = trainer(tmp_path, [callback, Broken()])
        with pytest.raises(RuntimeError, match="power cut"):
            run.validate(Module(), loader(), verbose=False)
        assert callback._whole is None
        assert callback.galleries == []

    def test_a_batch_that_could_not_be_taken_costs_its_epoch_alone(self, tmp_path: Any) -> None:
        broken = [True]

        def take(batch: Any) -> Any:
            if broken.pop() if broken else False:
                raise RuntimeError("no picture")
            return unpack(batch)

        callback = HeatmapLogger(["grad"], probe=4, unpack=take)
        run = trainer(tmp_path, [callback], num_sanity_val_steps=0)
        with pytest.warns(UserWarning, match="no picture"):
            run.validate(Module(), loader(), verbose=False)
        assert callback.galleries == []
        run.validate(Module(), loader(), verbose=False)
        assert len(callback.galleries) == 1

    def test_nan_maps_are_reported_by_method_and_input(self, tmp_path: Any) -> None:
        module = Module()
        images, labels = pictures(6)
        images[2] = 0  # a constant input of zeros gives a constant map of zeros
        data = DataLoader(TensorDataset(images, labels), batch_size=3)
        callback = ReinitCascade(["inputgrad"], probe=6)
        with pytest.warns(UserWarning, match=r"inputgrad.* 2"):
            trainer(tmp_path, [callback]).validate(module, data, verbose=False)
        ((_, column), *_) = callback.scores.select(role="bug", similarity="spearman")
        assert np.isnan(column.values).tolist() == [False, False, True, False, False, False]

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"probe": 0}, "probe"),
            ({"every_n_epochs": 0}, "every_n_epochs"),
            ({"target": "best"}, "target"),
            ({"noise": 0.0}, "noise"),
            ({"similarities": ["sim"]}, "ssim"),
        ],
    )
    def test_options_that_cannot_work(self, options: dict[str, Any], said: str) -> None:
        with pytest.raises(ConfigError, match=said):
            cascade(**options)

    def test_an_unknown_method_is_told_the_nearest(self) -> None:
        with pytest.raises(ConfigError, match="'sgrad'"):
            HeatmapLogger(["sgrd"])

    def test_a_checkpoint_that_does_not_fit_is_refused_before_training(self, tmp_path: Any) -> None:
        torch.save({"state_dict": {"network.other": torch.ones(1)}}, tmp_path / "other.ckpt")
        for path, error in (("gone.ckpt", DataError), ("other.ckpt", ConfigError)):
            callback = ReferenceSimilarity(["grad"], reference=tmp_path / path)
            run = trainer(tmp_path, [callback])
            with pytest.raises(error, match=path):
                run.fit(Module(), loader(), loader(10))
            assert run.global_step == 0

    def test_a_submodule_that_is_not_there(self, tmp_path: Any) -> None:
        with pytest.raises(ConfigError, match="'network'"):
            trainer(tmp_path, [HeatmapLogger(["grad"], forward="netwrk")]).fit(
                Module(), loader(), loader(10)
            )

    @pytest.mark.parametrize("name", ["FSDPStrategy", "ModelParallelStrategy", "DeepSpeedStrategy"])
    def test_sharded_parameters_are_refused_by_name(self, name: str) -> None:
        class FakeTrainer:
            """Real trainers with these strategies need a GPU."""

            strategy = object.__new__(getattr(pl.strategies, name))

        with pytest.raises(ConfigError, match=f"{name} shards them. Use strategy='ddp'"):
            HeatmapLogger(["grad"]).setup(FakeTrainer(), Module(), "fit")  # type: ignore[arg-type]


def test_every_callback_is_a_lightning_callback() -> None:
    assert issubclass(AttributionCallback, pl.Callback)
    assert issubclass(ReferenceSimilarity, AttributionCallback)


class TestAgain:
    @pytest.mark.parametrize("stage", ["fit", "validate", "test"])
    def test_each_starts_from_all_methods(self, tmp_path: Any, stage: str) -> None:
        callback = HeatmapLogger(["grad", "gbp"], probe=4)

        def start(*network: nn.Module) -> None:
            run = trainer(tmp_path, [callback], max_epochs=1, limit_train_batches=1)
            if stage == "fit":
                run.fit(Module(*network), loader(), loader())
            else:
                getattr(run, stage)(Module(*network), loader(), verbose=False)

        smooth = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16**2, 4), nn.GELU(), nn.Linear(4, 3))
        with pytest.warns(Warning, match="gbp is left out"):
            start(smooth)
        assert list(callback.plan.methods) == ["grad"]
        start()
        assert list(callback.plan.methods) == ["grad", "gbp"]

    @pytest.mark.parametrize("stage", ["fit", "validate"])
    def test_what_was_measured_before_an_interrupt_is_kept(self, tmp_path: Any, stage: str) -> None:
        """The first part of several, as a whole measurement has it."""

        class Interrupted(ReinitCascade):
            def measure(self, *args: Any) -> Any:
                for part in super().measure(*args):
                    if first:
                        raise KeyboardInterrupt
                    yield part
                    first.extend([part.scores] * bool(part.scores))

        first: list[Scores] = []
        callback = Interrupted(["grad"], probe=4, pictures=0, most=2)
        run = trainer(tmp_path, [callback])
        start = run.fit if stage == "fit" else run.validate
        with pytest.raises(SystemExit):
            start(Module(), *[loader()] * (1 + (stage == "fit")))
        (kept,) = first
        assert callback.scores == kept
        assert len(kept)
