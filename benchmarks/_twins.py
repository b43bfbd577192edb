"""Small networks without any bug and with planted ones, and the tables measured on them.

A set of networks are three clean ones of each domain, equal but for their seed, and trained on the
same pictures; other sets have other pictures of the same kind. The debugging tests are those of the
application, in its `Session`, whose networks are given instead of trained by Lightning.
"""

import hashlib
import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra import compose, initialize_config_module
from hydra.core.utils import setup_globals
from torch import nn

from explaindebug.app.classifier import cross_entropy
from explaindebug.app.data_modules import DataModules
from explaindebug.app.session import Session
from explaindebug.app.settings import Settings, settings
from explaindebug.app.store import Trained
from explaindebug.data import ImageSet
from explaindebug.data.imageset import Splits
from explaindebug.data.scenes import DrawnScenes
from explaindebug.data.synthetic.splits import animals, figures
from explaindebug.datamodules import DebugDataModule
from explaindebug.debugtests import Experiment, NetworkSpec
from explaindebug.evaluation.results import TestResult

SIZE, TEST = 24, 60  # px; test pictures of a set, of which the probe is taken
TRAIN = {"animals": 2500, "figures": 2000}  # pictures that a network is trained on
POOL = {"animals": 5000, "figures": 3000}  # from which each set takes its own
EPOCHS, BATCH, LR = 6, 32, 8e-3  # accuracies of 0.90 (animals) and 0.92 (figures)
WIDTHS, HIDDEN, DROPOUT = (16, 32), (64,), 0.1
METHODS = [
    *("grad", "inputgrad", "gbp", "deconvnet", "lrp_eps"),
    {"sgradsq": {"samples": 4}},
    {"intgrad": {"steps": 5}},
]

Change = Callable[[ImageSet], ImageSet]


def pool(kind: str, folder: Path) -> Splits:
    """Pictures of a kind, drawn once."""
    path = folder / f"{kind}-{SIZE}-{POOL[kind]}.pickle"
    draw = {"animals": animals, "figures": figures}[kind]
    return kept(path, lambda: draw(size=SIZE, train=POOL[kind], val=1, test=1000))


def kept(path: Path, make: Callable[[], Any]) -> Any:
    """What `make` gives, made the first time and then read from `path`."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{np.random.default_rng().integers(1 << 40):x}")
        part.write_bytes(pickle.dumps(make()))
        part.replace(path)
    return pickle.loads(path.read_bytes())


class Pictures(DebugDataModule):
    """A set's own pictures from the pool; `change` makes another domain of the training ones."""

    def __init__(self, kind: str, folder: Path, number: int, change: Change | None = None) -> None:
        super().__init__(seed=number)
        self.kind, self.folder, self.change = kind, folder, change

    def load(self) -> Splits:
        """Random pictures, balanced as those of the pool are."""
        train, val, test = pool(self.kind, self.folder)
        rng = np.random.default_rng(self.seed)
        own = train.subset(np.sort(rng.permutation(len(train))[: TRAIN[self.kind]]))
        seen = test.subset(rng.permutation(len(test))[: 4 * TEST])
        return Splits(own if self.change is None else self.change(own), val, seen)

    @property
    def scenes(self) -> dict[str, DrawnScenes]:
        """As those of the embedded pictures."""
        return {"bird": DrawnScenes("sky"), "dog": DrawnScenes("bamboo")}


@dataclass
class Bench(Session):
    """A session of one set; `turn` says which of its three clean networks has which part."""

    number: int = 0
    turn: int = 0

    def give(self, wanted: Sequence[NetworkSpec]) -> None:
        """Networks in the place of Lightning's."""
        for want in wanted:
            if want not in self.networks.made:
                self.networks.made[want] = Trained(self._network(want), self.folder)

    def _network(self, want: NetworkSpec) -> nn.Module:
        module = self.data(want.domain, want.bug)
        data = module.data.train
        seed = 3 * self.number + (want.twin + self.turn) % 3
        key = hashlib.sha256(repr((seed, data.fingerprint(), WIDTHS, EPOCHS, LR)).encode())
        path = self.folder / "networks" / f"{key.hexdigest()[:16]}.pickle"
        make = lambda: trained(self.build(want.domain), data, seed)  # noqa: E731
        network: nn.Module = kept(path, make)
        return network

    def record(self, spec: NetworkSpec) -> None:
        """Nothing is written down."""


def trained(network: nn.Module, data: ImageSet, seed: int) -> nn.Module:
    """The network after Adam under one cycle of its rate, as the application trains."""
    torch.manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    network = network.train().to(memory_format=torch.channels_last)
    images, labels, _ = data.batch(slice(None))
    images = images.contiguous(memory_format=torch.channels_last)
    steps = len(data) // BATCH
    optimiser = torch.optim.Adam(network.parameters(), lr=LR, fused=True)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimiser, LR, total_steps=EPOCHS * steps)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(data))[: steps * BATCH].view(steps, BATCH):
            loss = cross_entropy(network(images[rows]), labels[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            cycle.step()
    return network.eval()


def configuration(folder: Path, probe: int) -> Settings:
    """The application's configuration, with small networks, headline similarities, no pictures."""
    setup_globals()
    small = [f"probe={probe}", "pictures=0", "similarities=[spearman]", "nulls=[]", "workers=1"]
    model = [f"model.widths={list(WIDTHS)}", f"model.hidden={list(HIDDEN)}"]
    with initialize_config_module("explaindebug.configs", version_base="1.3"):
        config = compose("train", [*small, *model, f"model.dropout={DROPOUT}", f"output={folder}"])
    return replace(settings(config), attributions=METHODS, chunk=probe)


def measured(
    tests: Sequence[Experiment], folder: Path, number: int, turn: int = 0, **domains: Any
) -> list[TestResult]:
    """The tests on the networks of a set; `domains` replace the pictures of "data" or "foreign"."""
    bench = Bench(configuration(folder, probe=48), folder, number=number, turn=turn)
    own = {
        "data": Pictures("animals", folder, number),
        "foreign": Pictures("figures", folder, number),
    }
    bench.modules = DataModules(**(own | domains))  # type: ignore[misc]
    for test in tests:
        bench.give(test.networks())
    return [test.run(bench) for test in tests]
