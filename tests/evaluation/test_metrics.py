"""Similarities as metrics of torchmetrics: over batches, in a trainer, over processes."""

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from lightning_modules import trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from torchmetrics.regression import SpearmanCorrCoef

from explaindebug.core.errors import ConfigError, DataError, MeasurementWarning
from explaindebug.core.isolation import private_copy
from explaindebug.evaluation.comparison import Reference
from explaindebug.evaluation.metrics import MapSimilarity
from explaindebug.evaluation.postprocessing import PAPER, ROBUST
from explaindebug.evaluation.similarities import SIMILARITIES

N, UNEVEN = 11, (4, 1, 6)
OF_MAPS = [name for name in SIMILARITIES if name != "background"]


def maps(seed: int) -> Tensor:
    return torch.randn(N, 3, 20, 20, generator=torch.Generator().manual_seed(seed))


CANDIDATE, REFERENCE = maps(1) + maps(0) / 2, maps(0)


def fed(metric: MapSimilarity, candidate: Tensor = CANDIDATE) -> MapSimilarity:
    for a, b in zip(candidate.split(UNEVEN), REFERENCE.split(UNEVEN), strict=True):
        metric.update(a, b)
    return metric


class TestMean:
    @pytest.mark.parametrize("post", [ROBUST, PAPER])
    @pytest.mark.parametrize("name", OF_MAPS)
    def test_is_that_of_the_function_over_uneven_batches(self, name: str, post: Any) -> None:
        measure = SIMILARITIES[name]()
        view = measure.postprocessing(post)
        direct = measure(view(REFERENCE), view(CANDIDATE), data_range=view.data_range)
        metric = fed(MapSimilarity(name, post))
        assert float(metric.compute()) == pytest.approx(float(direct.mean()), abs=1e-6)
        np.testing.assert_array_equal(metric.each(CANDIDATE, REFERENCE), direct)
        assert (int(metric.scored), int(metric.unscored)) == (N, 0)
        metric.reset()
        assert int(metric.scored) == 0

    def test_options_and_objects_are_taken(self) -> None:
        wide, spec = SIMILARITIES["topk"](fraction=0.4), {"topk": {"fraction": 0.4}}
        found = {float(fed(MapSimilarity(one)).compute()) for one in (wide, spec)}
        assert len(found) == 1
        assert found != {float(fed(MapSimilarity("topk")).compute())}

    def test_of_a_mask_which_is_taken_as_it_is(self) -> None:
        mask = torch.zeros(N, 1, 20, 20)
        mask[..., :5, :] = 1
        metric = MapSimilarity("background")
        metric.update(CANDIDATE, Reference.of_mask(mask))
        size = CANDIDATE.double().abs().sum(1, keepdim=True)
        share = (size * mask).sum((1, 2, 3)) / size.sum((1, 2, 3))
        assert float(metric.compute()) == pytest.approx(float(share.mean()), abs=1e-6)

    def test_one_call_gives_a_batch_and_counts_it(self) -> None:
        metric = MapSimilarity("ssim")
        batches = zip(CANDIDATE.split(UNEVEN), REFERENCE.split(UNEVEN), strict=True)
        for a, b in batches:
            assert float(metric(a, b)) == pytest.approx(float(metric.each(a, b).mean()), abs=1e-6)
        assert torch.equal(metric.compute(), fed(MapSimilarity("ssim")).compute())

    def test_copies_go_on_alone(self) -> None:
        metric = fed(MapSimilarity("ssim"))
        for twin in (copy.deepcopy(metric), pickle.loads(pickle.dumps(metric))):
            assert torch.equal(twin.compute(), metric.compute())
            twin.update(CANDIDATE, CANDIDATE)
            assert int(twin.scored) == 2 * int(metric.scored)

    def test_what_cannot_work_is_refused_when_it_is_made_or_fed(self) -> None:
        with pytest.raises(ConfigError, match="Did you mean 'ssim'"):
            MapSimilarity("sim")
        with pytest.raises(DataError):
            MapSimilarity("ssim").update(CANDIDATE, REFERENCE[:3])


class TestWithoutValue:
    @pytest.mark.parametrize("name", OF_MAPS)
    @pytest.mark.parametrize("fill", [0.0, 2.0, torch.nan, torch.inf])
    def test_inputs_are_left_out_and_counted(self, name: str, fill: float) -> None:
        candidate = CANDIDATE.clone()
        candidate[[2, 7]] = fill
        metric = fed(MapSimilarity(name), candidate)
        each = metric.each(candidate, REFERENCE)
        assert each.isnan().nonzero().flatten().tolist() == [2, 7]
        assert (int(metric.scored), int(metric.unscored)) == (N - 2, 2)
        with pytest.warns(MeasurementWarning, match=f"2 of {N} inputs"):
            mean = metric.compute()
        assert float(mean) == pytest.approx(float(each.nanmean()), abs=1e-6)

    def test_nothing_left_is_no_value(self) -> None:
        metric = fed(MapSimilarity("spearman"), torch.ones_like(CANDIDATE))
        with pytest.warns(MeasurementWarning):
            assert metric.compute().isnan()

    @pytest.mark.filterwarnings("ignore:Metric `SpearmanCorrcoef` will save all")
    def test_where_torchmetrics_own_correlation_says_that_maps_are_unlike(self) -> None:
        constant = torch.ones(20 * 20)
        assert SpearmanCorrCoef()(constant, REFERENCE[0, 0].flatten()) == 0
        ours = MapSimilarity("spearman").each(torch.ones_like(CANDIDATE), REFERENCE)
        assert ours.isnan().all()


class Watched(pl.LightningModule):
    """Validates maps that its batches hold."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 1)
        self.ssim, self.spearman = MapSimilarity("ssim"), MapSimilarity("spearman")

    def forward(self, images: Tensor) -> Tensor:
        return self.layer(images)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        for name, metric in (("ssim", self.ssim), ("spearman", self.spearman)):
            metric.update(*batch)
            self.log(f"val/{name}", metric)


class Share(DataLoader[Any]):
    """The first inputs on the first process, all others on the second; batches are uneven."""

    def __init__(self, first: int) -> None:
        super().__init__(TensorDataset(CANDIDATE, REFERENCE), batch_size=3)
        self.first = first

    def __iter__(self) -> Any:
        pairs = CANDIDATE, REFERENCE
        if torch.distributed.is_initialized():
            part = [slice(0, self.first), slice(self.first, N)][torch.distributed.get_rank()]
            pairs = CANDIDATE[part], REFERENCE[part]
        yield from zip(*(x.split(3) for x in pairs), strict=True)


class Kept(pl.Callback):
    """Leaves what its process has logged in a file, for the parent to read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        torch.save(dict(trainer.callback_metrics), self.path / f"{trainer.global_rank}.pt")


@pytest.mark.filterwarnings("ignore")  # Lightning and fork have much to say about this machine
@pytest.mark.parametrize("devices", [1, 2])
def test_a_trainer_logs_the_mean_over_all_inputs(tmp_path: Path, devices: int) -> None:
    options: dict[str, Any] = {"use_distributed_sampler": False}
    if devices > 1:
        fork = pl.strategies.DDPStrategy(start_method="fork", process_group_backend="gloo")
        options |= {"devices": devices, "strategy": fork}
    runner = trainer(tmp_path, [Kept(tmp_path)], **options)
    for _ in range(2):  # the second validation does not go on with the first one's counts
        runner.validate(Watched(), Share(first=4), verbose=False)
    for rank in range(devices):
        found = torch.load(tmp_path / f"{rank}.pt")
        for name in ("ssim", "spearman"):
            mean = MapSimilarity(name).each(CANDIDATE, REFERENCE).mean()
            assert float(found[f"val/{name}"]) == pytest.approx(float(mean), abs=1e-6), rank


def test_in_no_checkpoint_and_no_counts_in_what_is_explained() -> None:
    module = Watched()
    fed(module.ssim)
    assert set(module.state_dict()) == {"layer.weight", "layer.bias"}
    explained: Any = private_copy(module)
    assert int(explained.ssim.scored) == 0 < int(module.ssim.scored)
