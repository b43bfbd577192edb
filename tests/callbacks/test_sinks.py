"""Where pictures, tables and curves end up, read back from the files of each logger."""

import errno
import json
import os
import re
import warnings
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pytest
import pytorch_lightning as pl
import wandb_runs
from lightning_modules import Module, Network, loader, trainer
from PIL import Image

from explaindebug.callbacks import HeatmapLogger, ReferenceSimilarity, ReinitCascade
from explaindebug.callbacks.sinks import Sinks

DOCS = Path(__file__).parents[2] / "docs/callbacks.md"


def callbacks() -> list[Any]:
    shared: dict[str, Any] = {"probe": 5, "nulls": ["gaussian"], "strict": True, "pictures": 2}
    return [
        ReinitCascade(["grad", "gbp"], most=2, **shared),
        ReferenceSimilarity(["grad"], reference=Network(), test="labels", **shared),
        HeatmapLogger(["grad", "gbp"], probe=3),
    ]


def fitted(path: Path, watching: list[Any], **options: Any) -> pl.Trainer:
    pl.seed_everything(0, verbose=False)
    run = trainer(path, watching, **options)
    with warnings.catch_warnings(action="ignore"):
        run.fit(Module(), loader(), loader(10))
    return run


class Online(NamedTuple):
    """An offline W&B run, and the callbacks that logged to it."""

    run: wandb_runs.Run
    callbacks: list[Any]


def one_strip_per_method_and_epoch_with_the_epoch_in_its_caption(online: Online) -> None:
    for key in ("debug/reinit/maps", "debug/heatmaps/maps"):
        rows = online.run.rows(f"{key}/captions")
        found = [row[f"{key}/captions"] for row in rows]
        assert found == [[f"{m}, epoch {e}" for m in ("grad", "gbp")] for e in (0, 1)]
        for row in rows:
            strips = [Image.open(online.run.files[x]) for x in row[f"{key}/filenames"]]
            assert len(strips) == 2
            assert strips[0].size == (row[f"{key}/width"], row[f"{key}/height"])
            assert strips[0].tobytes() != strips[1].tobytes()


def pictures_stand_at_the_step_of_their_metrics_and_no_row_is_lost(online: Online) -> None:
    means = online.run.rows("debug/reinit/grad/spearman/network.fc")
    for key in ("debug/reinit/maps/captions", "debug/heatmaps/maps/captions"):
        steps = [row["trainer/global_step"] for row in online.run.rows(key)]
        assert steps == [row["trainer/global_step"] for row in means]
    steps = [row["_step"] for row in online.run.history]
    assert steps == list(range(len(steps)))


def the_table_is_tidy_and_holds_the_scores(online: Online) -> None:
    row = online.run.rows("debug/reinit/scores/path")[-1]
    table = json.loads(online.run.files[row["debug/reinit/scores/path"]].read_text())
    assert table["columns"][:5] == ["test", "method", "condition", "role", "similarity"]
    found = {tuple(line[:5]): line[5:7] for line in table["data"]}
    scores = online.callbacks[0].scores
    assert len(found) == len(table["data"]) == len(scores)
    for key, column in scores:
        name = (key.test, key.method, key.condition, key.role, key.similarity)
        assert found[name] == [5, pytest.approx(np.nanmean(column.values))]


def the_cascade_is_a_custom_chart_over_the_stages(online: Online) -> None:
    chart = online.run.config["_wandb/visualize/debug/reinit/spearman"]["panel_config"]
    assert chart["panelDefId"] == "wandb/lineseries/v0"
    path = online.run.rows("debug/reinit/spearman_table/path")[-1]
    table = json.loads(online.run.files[path["debug/reinit/spearman_table/path"]].read_text())
    lines = {row[1] for row in table["data"]}
    assert lines == {"grad", "gbp"}
    last = online.run.rows("debug/reinit/grad/spearman/network.fc")[-1]
    first = next(row for row in table["data"] if row[:2] == [1, "grad"])
    assert first[2] == pytest.approx(last["debug/reinit/grad/spearman/network.fc"], abs=1e-6)


def each_metric_says_which_way_is_better(online: Online) -> None:
    metrics = online.run.metrics
    lost, alike = "debug/reinit/grad/ssim/network.fc", "debug/labels/grad/ssim/reference"
    assert metrics[lost].summary.min
    assert not metrics[lost].summary.max
    assert metrics[alike].summary.max
    for name in (lost, alike, "debug/reinit/seconds"):
        assert metrics[name].summary.last
        assert metrics[name].step_metric == "trainer/global_step"
    assert not any("/control/" in name for name in metrics)


def the_summary_ends_with_the_last_values(online: Online) -> None:
    epoch = online.callbacks[0].history[-1][0]
    last = {name: value for e, name, value in online.callbacks[0].history if e == epoch}
    for name, value in last.items():
        assert online.run.summary[name] == pytest.approx(value, abs=1e-6)


def every_key_is_on_the_page(online: Online) -> None:
    table = DOCS.read_text().split("## Keys")[1].split("\n## ")[0]
    keys = re.findall(r"^\| `(debug/[^`]*)`", table, flags=re.M)
    known = [re.sub(r"<\w+>", "[^/]+", re.escape(k).replace(r"\<", "<")) for k in keys]
    media = re.compile(r"/(_type|width|height|format|count|filenames|captions)$")
    logged = {media.sub("", key) for row in online.run.history for key in row}
    logged = {re.sub(r"(_table|/scores)/\w+$", r"\1", key) for key in logged}
    ours = {key for key in logged if key.startswith("debug/")}
    assert len(ours) > 10
    assert {key for key in ours if not any(re.fullmatch(k, key) for k in known)} == set()


def test_what_an_offline_wandb_run_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One run for all checks, as starting one takes seconds."""
    watching = callbacks()
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "data"))
    with warnings.catch_warnings(action="ignore"):
        logger = pl.loggers.WandbLogger(save_dir=tmp_path, offline=True)
        fitted(tmp_path, watching, logger=logger, log_every_n_steps=1)
        logger.experiment.finish()
    online = Online(wandb_runs.read(tmp_path), watching)
    for check in (
        one_strip_per_method_and_epoch_with_the_epoch_in_its_caption,
        pictures_stand_at_the_step_of_their_metrics_and_no_row_is_lost,
        the_table_is_tidy_and_holds_the_scores,
        the_cascade_is_a_custom_chart_over_the_stages,
        each_metric_says_which_way_is_better,
        the_summary_ends_with_the_last_values,
        every_key_is_on_the_page,
    ):
        check(online)


class TestTensorBoard:
    def test_pictures_table_curves_and_means(self, tmp_path: Path) -> None:
        accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
        fitted(tmp_path, callbacks(), logger=pl.loggers.TensorBoardLogger(tmp_path))
        found = accumulator.EventAccumulator(str(next(tmp_path.rglob("events.*")).parent))
        found.Reload()
        tags = found.Tags()
        for test in ("reinit", "heatmaps"):
            assert {f"debug/{test}/maps/{m}" for m in ("grad", "gbp")} <= set(tags["images"])
        assert [event.step for event in found.Images("debug/heatmaps/maps/grad")] == [0, 1]
        assert "debug/reinit/spearman/curves" in tags["images"]
        assert not any(" " in tag for kind in ("images", "scalars") for tag in tags[kind])
        assert "debug/reinit/grad/spearman/network.fc" in tags["scalars"]
        (text,) = found.Tensors("debug/labels/scores/text_summary")[-1].tensor_proto.string_val
        assert b"| labels | grad | reference | bug | ssim | 5 |" in text


class Client:
    """The methods of `mlflow.MlflowClient` that are needed."""

    def __init__(self) -> None:
        self.images: list[tuple[str, int]] = []
        self.texts: dict[str, str] = {}

    def log_image(
        self,
        run_id: str,
        image: Any,
        artifact_file: str | None = None,
        key: str | None = None,
        step: int | None = None,
        timestamp: int | None = None,
        synchronous: bool | None = None,
    ) -> None:
        assert run_id == "run"
        assert image.dtype == np.uint8
        assert key is not None
        assert re.fullmatch(r"[\w\-. ]+", key)  # what MLflow allows, less slashes
        self.images.append((key, int(step or 0)))

    def log_text(self, run_id: str, text: str, artifact_file: str) -> None:
        self.texts[artifact_file] = text


class MLFlowLogger(pl.loggers.CSVLogger):
    """Lightning's logger, with a client that keeps everything in memory."""

    run_id = "run"
    client = Client()

    @property
    def experiment(self) -> Any:
        return self.client

    def log_metrics(self, *args: Any, **kwargs: Any) -> None: ...

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None: ...

    def save(self) -> None: ...


def test_mlflow_gets_pictures_tables_and_curves(tmp_path: Path) -> None:
    logger = MLFlowLogger(tmp_path)
    fitted(tmp_path, callbacks(), logger=logger)
    images, texts = logger.client.images, logger.client.texts
    assert {("debug-heatmaps-maps-grad", epoch) for epoch in (0, 1)} <= set(images)
    assert any(name.startswith("debug-reinit-spearman") for name, _ in images)
    assert texts["debug/reinit/scores.csv"].startswith("test,method,condition,role,similarity,n,")


def test_the_fake_client_takes_what_the_real_one_takes() -> None:
    client = pytest.importorskip("mlflow").MlflowClient
    import inspect

    for name in ("log_image", "log_text"):
        real, ours = (inspect.signature(getattr(x, name)) for x in (client, Client))
        assert list(ours.parameters) == list(real.parameters)


class TestVariants:
    """Two variants of a method are two pictures in every logger."""

    METHODS: ClassVar[list[Any]] = [{"sgrad": {"samples": 2, "noise": x}} for x in (0.1, 0.2)]
    NAMES = ("sgrad(samples=2,noise=0.1)", "sgrad(samples=2,noise=0.2)")

    def test_tensorboard(self, tmp_path: Path) -> None:
        accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
        logger = pl.loggers.TensorBoardLogger(tmp_path)
        fitted(tmp_path, [HeatmapLogger(self.METHODS)], logger=logger)
        found = accumulator.EventAccumulator(str(next(tmp_path.rglob("events.*")).parent))
        found.Reload()
        tags = [f"debug/heatmaps/maps/{name}" for name in self.NAMES]
        assert found.Tags()["images"] == tags
        one, other = (found.Images(tag)[0].encoded_image_string for tag in tags)
        assert one != other

    def test_mlflow_and_files(self, tmp_path: Path) -> None:
        logger = MLFlowLogger(tmp_path)
        logger.client = Client()
        strips = {name: np.full((4, 4, 3), i, np.uint8) for i, name in enumerate(self.NAMES)}
        # What can't be part of a name makes no two names one.
        strips |= {name: np.zeros((4, 4, 3), np.uint8) for name in ("a(x=+1)", "a(x=*1)")}
        captions = ["the same"] * len(strips)
        Sinks([logger], tmp_path, epoch=3).pictures("debug/heatmaps/maps", strips, captions)
        assert len({key for key, _ in logger.client.images}) == 4
        Sinks([], tmp_path, epoch=3).pictures("debug/heatmaps/maps", strips, captions)
        assert len(list((tmp_path / "debug/heatmaps/maps").glob("*__epoch_3.png"))) == 4


class TestFiles:
    @pytest.mark.parametrize("kind", ["csv", "none"])
    def test_what_no_logger_takes_goes_to_files(self, tmp_path: Path, kind: str) -> None:
        logger: Any = pl.loggers.CSVLogger(tmp_path) if kind == "csv" else False
        run = fitted(tmp_path, callbacks(), logger=logger)
        folder = Path(run.log_dir or tmp_path) / "debug"
        strips = sorted(x.name for x in (folder / "heatmaps/maps").iterdir())
        assert strips == [f"{m}__epoch_{e}.png" for m in ("gbp", "grad") for e in (0, 1)]
        assert len(list((folder / "reinit").rglob("spearman/*.png"))) == 2
        assert (folder / "reinit/scores.csv").read_text().startswith("test,method")

    def test_beside_a_logger_that_takes_pictures_there_is_only_the_table(
        self, tmp_path: Path
    ) -> None:
        class Takes(pl.loggers.CSVLogger):
            def log_image(self, **_: Any) -> None: ...

        fitted(tmp_path, [HeatmapLogger(["grad"])], logger=Takes(tmp_path))
        assert not list(tmp_path.rglob("*.png"))

    @pytest.mark.parametrize("kind", ["csv", "tensorboard", "none"])
    def test_a_fast_dev_run_measures_and_leaves_nothing(self, tmp_path: Path, kind: str) -> None:
        made: dict[str, Any] = {
            "csv": lambda: pl.loggers.CSVLogger(tmp_path),
            "tensorboard": lambda: pl.loggers.TensorBoardLogger(tmp_path),
            "none": lambda: False,
        }
        watching = [ReinitCascade(["grad"], every_n_epochs=5, strict=True, budget=60)]
        fitted(tmp_path, watching, logger=made[kind](), fast_dev_run=True)
        assert len(watching[0].scores)
        assert [x for x in tmp_path.rglob("*") if x.is_file()] == []


class TestFailures:
    def test_a_dead_network_is_told_once_and_training_goes_on(self, tmp_path: Path) -> None:
        class Broken(pl.loggers.CSVLogger):
            def log_image(self, **_: Any) -> None:
                raise ConnectionError("no route to host")

            log_table = log_image

        run = trainer(tmp_path, callbacks(), logger=Broken(tmp_path))
        with pytest.warns(UserWarning, match="no route to host") as said:
            run.fit(Module(), loader(), loader(10))
        assert run.current_epoch == 2
        told = [w for w in said if "no route" in str(w.message)]
        assert len(told) == 3  # once for each callback
        pictures = {x.parent.name for x in tmp_path.rglob("*.png")}
        assert {"maps", "ssim", "spearman"} <= pictures  # what was not taken is in files

    def test_a_full_disk_is_told_once_and_training_goes_on(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: Any, **__: Any) -> Any:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr("explaindebug.core.io.tempfile.mkstemp", full)
        run = trainer(tmp_path, callbacks()[:1])
        with pytest.warns(UserWarning, match="No space left on device") as said:
            run.fit(Module(), loader(), loader(10))
        assert run.current_epoch == 2
        assert sum("No space" in str(w.message) for w in said) == 1

    def test_whatever_a_logger_does_is_guarded(self, tmp_path: Path) -> None:
        class Experimentless:
            @property
            def experiment(self) -> Any:
                raise RuntimeError("gone")

        sinks = Sinks([Experimentless()], tmp_path)
        picture = np.zeros((4, 4, 3), np.uint8)

        def use() -> None:
            sinks.directions({"a": "min"})
            sinks.table("table", ["a"], [[1]])
            sinks.curves("curves", [1, 2], {"grad": [0.0, 1.0]}, "title", "x")
            sinks.pictures("pictures", {"grad": picture}, ["of grad, at the start"])

        with pytest.warns(UserWarning, match="Experimentless failed .*gone") as said:
            use()
        assert len(said) == 1
        names = {str(x.relative_to(tmp_path)) for x in tmp_path.rglob("*.*")}
        assert names == {"table.csv", "curves/curves__epoch_0.png", "pictures/grad__epoch_0.png"}
