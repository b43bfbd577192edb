"""The application end to end: real config composition, real trainers, real files."""

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import wandb
import wandb_runs
from manifests import manifest
from omegaconf import OmegaConf

from explaindebug.app.cli import main
from explaindebug.callbacks.dashboard import workspace
from explaindebug.evaluation.runs import read_run, results_schema

Run = Callable[..., tuple[int, str]]


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def what_wandb_holds(run: wandb_runs.Run, scores: list[dict[str, str]]) -> None:
    """A W&B run with settings and tags, few keys, and tables with all means."""
    assert run.config["seed"] == 0
    assert run.config["bug"]["labels"]["rate"] == 0.2
    assert run.config["model"]["name"] == "bvd_cnn"
    assert run.config["data"]["_target_"].endswith("Embedded")
    assert run.config["attributions"] == ["grad", "gbp"]
    assert {"spurious", "labels", "reinit", "ood", "bvd_cnn", "Embedded"} <= set(run.tags)
    assert run.group
    keys = {key for row in run.history for key in row}  # a picture or table has several
    assert 50 < len(keys) < 100
    assert not [key for key in keys | run.summary.keys() if " " in key]
    (row,) = run.rows("debug/scores/path")
    table = json.loads(run.files[row["debug/scores/path"]].read_text())
    columns = ("test", "method", "condition", "role", "similarity")
    assert [tuple(line[:5]) for line in table["data"]] == list(
        dict.fromkeys(tuple(score[c] for c in columns) for score in scores)
    )
    view = str(workspace("me", "birds")._to_model().model_dump())
    shown = {key for key in keys if key.endswith(("/maps/_type", "/path"))}
    assert len(shown) == 9
    for key in shown:
        assert f"'{key.rpartition('/')[0]}'" in view
    captions = [
        c
        for row in run.rows("debug/heatmaps/maps/captions")
        for c in row["debug/heatmaps/maps/captions"]
    ]
    assert len(captions) == len(set(captions)) == 12  # of two methods, for six networks


class TestRuns:
    @pytest.mark.drawn
    def test_all_four_tests_leave_everything_in_the_output_folder(
        self, run: Run, tmp_path: Path
    ) -> None:
        status, said = run(
            "output=out",
            "bug.labels.rate=0.2",
            "logger=wandb",
            "callbacks=heatmaps",
            "callbacks.heatmaps.every_n_epochs=1",
        )
        assert (status, said) == (0, "")
        out = tmp_path / "out"
        for name in ("report.html", "scores.csv", "summary.csv", "results.json", "config.yaml"):
            assert (out / name).is_file(), name
        scores = rows(out / "scores.csv")
        assert {row["test"] for row in scores} == {"spurious", "labels", "reinit", "ood"}
        assert {row["method"] for row in scores} == {"grad", "gbp"}
        assert {"bug", "control", "null: gaussian"} <= {row["role"] for row in scores}
        results = json.loads((out / "results.json").read_text(), parse_constant=pytest.fail)
        assert len(results["verdicts"]) == 8
        told = manifest(out, "run")
        assert [(v["test"], v["method"], v["answer"]) for v in told["verdicts"]] == [
            (v["test"], v["method"], v["answer"]) for v in results["verdicts"]
        ]
        assert [gate["passed"] for gate in told["gates"]] == [
            gate["passed"] for gate in results["gates"]
        ]
        assert {"report.html", "checkpoints/clean.ckpt"} <= set(told["files"])
        jsonschema = pytest.importorskip("jsonschema")
        jsonschema.Draft202012Validator(results_schema()).validate(results)
        found = read_run(out).result
        (reinit,) = (test for test in found.tests if test.name == "reinit")
        assert list(reinit.agreement) == list(reinit.stages)
        assert {d.test: d.cut for test in found.tests for d in test.detectors} == {
            "labels": "precision",
            "ood": "fpr95",
        }
        wandb.finish()  # what is logged is on the disk only then
        what_wandb_holds(wandb_runs.read(out), scores)
        assert len(list((out / "checkpoints").glob("*.ckpt"))) == 6
        assert list((out / "wandb").glob("offline-run-*/*.wandb"))
        assert list((out / "pictures").glob("*.png"))
        record = json.loads((out / "records" / "mislabelled.json").read_text())
        assert len(record[0]["rows"]) == 16
        assert OmegaConf.load(out / "config.yaml").probe == 6

    @pytest.mark.parametrize("bug", ["spurious", "labels", "reinit", "ood", "none"])
    def test_one_bug(self, run: Run, tmp_path: Path, bug: str) -> None:
        rate = ["bug.labels.rate=0.2"] if bug == "labels" else ["data.train=200", "probe=4"]
        assert run("output=out", f"bug={bug}", *rate) == (0, "")
        tests = {row["test"] for row in rows(tmp_path / "out" / "scores.csv")}
        assert tests == ({"spurious", "labels", "reinit", "ood"} if bug == "none" else {bug})
        drawn = {f"debug/{test}/maps/{m}__epoch_0.png" for test in tests for m in ("grad", "gbp")}
        assert all((tmp_path / "out" / name).is_file() for name in drawn)  # no logger takes them
        results = json.loads((tmp_path / "out" / "results.json").read_text())
        needed = {test["name"]: test["domains"] for test in results["tests"]}
        both = ["foreign"] if bug == "none" else ["data", "foreign"]
        assert needed == {test: both if test == "ood" else ["data"] for test in tests}
        if bug == "none":
            assert all(v["n"] == 4 for v in results["verdicts"])  # each test has both its arms

    def test_a_network_is_trained_once_and_reused_when_nothing_changed(
        self, run: Run, tmp_path: Path
    ) -> None:
        assert run("output=one", "bug=reinit")[0] == 0
        checkpoints = sorted((tmp_path / "store").glob("*/last.ckpt"))
        times = [path.stat().st_mtime_ns for path in checkpoints]
        assert run("output=two", "bug=reinit", "attributions=[grad]")[0] == 0
        assert sorted((tmp_path / "store").glob("*/last.ckpt")) == checkpoints
        assert [path.stat().st_mtime_ns for path in checkpoints] == times
        assert run("output=three", "bug=reinit", "lr=1e-2")[0] == 0
        assert len(list((tmp_path / "store").iterdir())) == 2 * len(checkpoints)

    def test_the_same_run_again_gives_the_same_scores(self, run: Run, tmp_path: Path) -> None:
        for name in ("one", "two"):
            assert run(f"output={name}", f"store={name}/store", "bug=spurious")[0] == 0
        one, two = ((tmp_path / name / "scores.csv").read_text() for name in ("one", "two"))
        assert one == two

    def test_a_sweep_has_a_folder_for_each_job(self, run: Run, tmp_path: Path) -> None:
        assert run("-m", "output=out", "bug=reinit", "logger=wandb", "seed=0,1") == (0, "")
        for name in ("report.html", "wandb/offline-run-*/*.wandb"):
            assert [
                p.relative_to(tmp_path / "out").parts[0]
                for p in sorted(tmp_path.glob(f"out/*/{name}"))
            ] == ["0", "1"]

    def test_a_cut_run_goes_on_where_it_was(
        self, run: Run, tmp_path: Path, monkeypatch: Any
    ) -> None:
        from explaindebug.app import store

        class Cut(store.pl.callbacks.Callback):
            def on_train_epoch_start(self, trainer: Any, *_: Any) -> None:
                if trainer.current_epoch == 1:
                    raise KeyboardInterrupt

        original, seen = store.pl.Trainer.fit, []

        def fit(self: Any, *args: Any, **kwargs: Any) -> Any:
            seen.append(kwargs.get("ckpt_path"))
            if len(seen) == 1:
                self.callbacks.append(Cut())
            return original(self, *args, **kwargs)

        monkeypatch.setattr(store.pl.Trainer, "fit", fit)
        assert run("output=out", "bug=reinit", "trainer.max_epochs=3")[0] != 0
        assert not (tmp_path / "out" / "report.html").exists()
        copies = tmp_path / "out" / "checkpoints"
        copies.mkdir()
        (copies / "clean.ckpt").write_bytes(b"half a checkpoint")
        assert run("output=out", "bug=reinit", "trainer.max_epochs=3")[0] == 0
        assert seen[1] is not None
        assert (tmp_path / "out" / "report.html").exists()
        kept = [path.read_bytes() for path in (tmp_path / "store").glob("*/last.ckpt")]
        assert (copies / "clean.ckpt").read_bytes() in kept
        assert not [path for path in tmp_path.rglob(".*") if path.name != ".running"]
        assert not (tmp_path / "out" / ".running").exists()

    def test_a_logger_that_cannot_start_does_not_cost_the_run(
        self, run: Run, tmp_path: Path, monkeypatch: Any
    ) -> None:
        import wandb

        def gone(**_: Any) -> None:
            raise ConnectionError("no W&B today")

        monkeypatch.setattr(wandb, "init", gone)
        assert run("output=out", "bug=reinit", "logger=wandb") == (0, "")
        assert (tmp_path / "out" / "report.html").is_file()

    def test_the_progress_bar_decides_nothing_about_a_network(
        self, run: Run, tmp_path: Path
    ) -> None:
        for value in ("false", "true"):
            words = (f"output={value}", "bug=reinit", f"trainer.enable_progress_bar={value}")
            assert run(*words)[0] == 0
        assert len(list((tmp_path / "store").iterdir())) == 2

    @pytest.mark.parametrize(
        ("choice", "stages", "lowest"),
        [
            (
                "model=torchvision model.name=squeezenet1_1 data.size=64 foreign.size=64",
                "classifier.1 features.12.expand3x3",
                0,
            ),
            ("postprocessing.sign=signed postprocessing.channels=none", "fc3 fc2", -1),
        ],
    )
    def test_other_parts(
        self, run: Run, tmp_path: Path, choice: str, stages: str, lowest: int
    ) -> None:
        """Another network has other layers; signed maps may be each other's opposites."""
        assert run("output=out", "bug=reinit", *choice.split()) == (0, "")
        found = [row for row in rows(tmp_path / "out" / "scores.csv") if row["test"] == "reinit"]
        conditions = list(dict.fromkeys(x["condition"] for x in found if x["role"] == "bug"))
        assert conditions[:2] == stages.split()
        values = [float(x["value"]) for x in found if x["similarity"] == "spearman"]
        assert (min(values) < -0.2) == (lowest < 0)
        assert max(values) <= 1

    def test_a_logger_that_fails_while_training_costs_nothing(
        self, run: Run, tmp_path: Path, monkeypatch: Any
    ) -> None:
        from explaindebug.app import loggers

        def broken(**_: Any) -> Any:
            logger = loggers.pl.loggers.CSVLogger(tmp_path / "csv")

            def fail(*_: Any, **__: Any) -> None:
                raise ConnectionError("the network is gone")

            logger.log_metrics = fail  # type: ignore[method-assign]
            return logger

        monkeypatch.setattr(loggers, "tensorboard_logger", broken)
        status, said = run("output=out", "bug=reinit", "logger=tensorboard")
        assert status == 0
        assert said.count("the network is gone") == 1

    def test_an_interrupted_measurement_leaves_the_scores_so_far(
        self, run: Run, tmp_path: Path, monkeypatch: Any
    ) -> None:
        from explaindebug.debugtests.measure import Measure

        original = Measure.show

        def show(self: Any, name: str, *args: Any, **kwargs: Any) -> Any:
            if name == "fc2":
                raise KeyboardInterrupt
            return original(self, name, *args, **kwargs)

        monkeypatch.setattr(Measure, "show", show)
        assert run("output=out", "bug=reinit")[0] == 130
        scores = rows(tmp_path / "out" / "scores-reinit-cut.csv")
        found = {row["condition"] for row in scores if row["role"] == "bug"}
        assert found - {"trained"} == {"fc3", "fc2"}


def test_maps_that_are_not_finite_end_a_run_that_is_complete(
    run: Run, tmp_path: Path, monkeypatch: Any
) -> None:
    """All is written, and the exit status and a sentence with method and inputs say it."""
    from explaindebug.attributions.gradient import Gradient

    original = Gradient.reduce

    def reduce(self: Any, images: Any, result: Any) -> Any:
        maps = original(self, images, result).clone()
        maps[0, 0, 0, 0] = float("nan")
        return maps

    monkeypatch.setattr(Gradient, "reduce", reduce)
    quick = ("bug=reinit", "bug.reinit.twin=false", "attributions=[grad]", "nulls=[]", "pictures=0")
    status, said = run("output=out", *quick)
    assert status == 1
    assert "not finite" in said
    assert "grad" in said
    assert (tmp_path / "out" / "report.html").is_file()
    assert json.loads((tmp_path / "out" / "results.json").read_text())["verdicts"]


class TestBadInput:
    @pytest.mark.parametrize(
        ("override", "said"),
        [
            ("sed=1", "'seed'"),
            ("+extra=1", "extra"),
            ("bug=spurios", "'spurious'"),
            ("modell=x", "'model'"),
            ("data.siz=3", "data.size"),
            ("trainer.max_epoch=3", "trainer.max_epochs"),
            ("seed=abc", "seed"),
            ("schedule=cosine", "one_cycle, constant"),
            ("patience=0", "patience"),
            ("patience=2 +trainer.limit_val_batches=0", "validation loss"),
            ("data.size=big", "data.size"),
            ("probe=0", "probe"),
            ("margin=2", "margin"),
            ("attributions=[grd]", "'grad'"),
            ("attributions=[{sgrad:{samples:-1}}]", "-1"),
            ("attributions=[{sgrad:{sample:3}}]", "samples"),
            ("similarities=[sim]", "ssim"),
            ("bug=reinit model=torchvision model.name=resnet180", "resnet"),
            (
                "bug=reinit model=torchvision model.name=vit_b_16 data.size=224 foreign.size=224 "
                "data.train=20 foreign.train=20 data.test=10 foreign.test=10 "
                "data.val=2 foreign.val=2",
                "VisionTransformer",
            ),
            ("bug.reinit.layers=30", "8 layers"),
            ("bug.labels.rate=2", "rate"),
            ("bug=labels bug.labels.rate=1.0", "unflipped"),
            ("foreign.size=40", "size"),
            ("data=photos", "data.root"),
            ("data=photos data.root=/nowhere/at/all", "/nowhere/at/all"),
            ("data=fashion_mnist data.root=/nowhere/at/all", "/nowhere/at/all"),
            ("probe=1000", "1000"),
            ("trainer.max_epochs=many", "max_epochs"),
            ("trainer.max_epochs=0", "at least 1"),
            ("+trainer.max_stepss=3", "max_stepss"),
            ("trainer.accelerator=abacus", "abacus"),
            ("trainer.precision=3", "precision"),
        ],
    )
    def test_ends_in_a_sentence_before_training(
        self, run: Run, tmp_path: Path, override: str, said: str
    ) -> None:
        small = not override.startswith("data=")
        status, error = run("output=out", *override.split(), small=small)
        assert status == 1
        assert error.startswith("error: ")
        assert said in error
        assert "Traceback" not in error
        assert not list(tmp_path.glob("store/*/*.ckpt"))

    def test_an_output_folder_of_something_else_is_left_alone(
        self, run: Run, tmp_path: Path
    ) -> None:
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "thesis.txt").write_text("all of it")
        status, error = run("output=mine")
        assert status == 1
        assert "not empty" in error
        assert [p.name for p in (tmp_path / "mine").iterdir()] == ["thesis.txt"]

    def test_another_runs_folder_is_left_alone(self, run: Run, tmp_path: Path) -> None:
        assert run("output=out", "bug=reinit")[0] == 0
        before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*")}
        status, error = run("output=out", "bug=reinit", "seed=1")
        assert status == 1
        assert "another run" in error
        assert "with other settings: seed." in error
        assert {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*")} == before

    def test_a_mistake_does_not_take_the_folder(self, run: Run, tmp_path: Path) -> None:
        assert run("output=out", "bug=reinit", "bug.reinit.layers=30")[0] == 1
        assert not (tmp_path / "out").exists()
        assert run("output=out", "bug=reinit") == (0, "")

    def test_a_file_where_the_folder_should_be(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        status, error = run("output=file/out")
        assert status == 1
        assert "output" in error
        assert "Traceback" not in error

    def test_the_traceback_is_there_for_who_asks(
        self, run: Run, monkeypatch: Any, tmp_path: Path
    ) -> None:
        from explaindebug.core.errors import ConfigError

        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
        monkeypatch.setattr(sys, "argv", ["train.py", "probe=0", "output=out"])
        with pytest.raises(ConfigError, match="probe"):
            main()
