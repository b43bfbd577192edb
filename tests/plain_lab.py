"""A lab as anybody could write one: drawn pictures and networks that nobody trained."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import nn

from explaindebug.attributions._engine.inputs import predictions
from explaindebug.attributions._engine.plan import Plan
from explaindebug.bugs.base import DataBug
from explaindebug.data.imageset import ImageSet, Labels, Splits
from explaindebug.data.scenes import DrawnScenes, Scenes
from explaindebug.data.splits import SPLITS, balanced
from explaindebug.data.synthetic.splits import animals, figures
from explaindebug.debugtests import (
    Arms,
    DebugTest,
    NetworkSpec,
    Options,
    Probe,
    Roles,
    measured,
)
from explaindebug.debugtests.lab import Domain
from explaindebug.evaluation.comparison import Comparison
from explaindebug.evaluation.postprocessing import ROBUST
from explaindebug.evaluation.results import TestResult
from explaindebug.models import create_model

SCENES: Scenes = {"bird": DrawnScenes("sky"), "dog": DrawnScenes("bamboo")}


@dataclass(frozen=True)
class Pictures:
    """Pictures of a domain, with a bug or without."""

    clean: Splits
    bug: DataBug | None = None
    scenes: Scenes = field(default_factory=lambda: SCENES)

    @cached_property
    def data(self) -> Splits:
        bug = self.bug
        if bug is None:
            return self.clean
        parts = zip(SPLITS, self.clean, strict=True)
        return Splits(
            *(
                bug(part, scenes=self.scenes, split=name) if name in bug.splits else part
                for name, part in parts
            )
        )

    def check(self) -> None:
        _ = self.data

    def probe(self, count: int, split: str = "test") -> ImageSet:
        images: ImageSet = getattr(self.data, split)
        return images.subset(balanced(images.truth, count, images.classes, split))


@dataclass
class PlainLab:
    """All that the experiments ask for, and a list of what they asked for."""

    inputs: int = 6
    seed: int = 0
    size: int = 24
    asked: list[str] = field(default_factory=list)
    calls: int = 0

    @cached_property
    def splits(self) -> dict[Domain, Splits]:
        """The clean pictures of both domains."""
        counts = {"size": self.size, "train": 80, "val": 2, "test": 40}
        return {"data": animals(**counts), "foreign": figures(**counts)}

    def data(self, domain: Domain = "data", bug: DataBug | None = None) -> Pictures:
        return Pictures(self.splits[domain], bug)

    def build(self, domain: Domain) -> nn.Module:
        classes = len(self.splits[domain].train.classes)
        return create_model("bvd_cnn", size=self.size, outputs=classes, widths=[4], hidden=[8])

    def cast(self, trained: Roles) -> Roles:
        return trained

    def words(self, domain: Domain) -> str:
        return f"untrained, of {domain}"

    def network(self, spec: NetworkSpec) -> nn.Module:
        self.asked.append(spec.name)
        torch.manual_seed(spec.twin)
        return self.build(spec.domain).eval()

    def accuracy(
        self, spec: NetworkSpec, what: str, images: ImageSet, *, scenes: bool = False
    ) -> float:
        return float((self.predictions(spec, images) == images.labels).mean())

    def predictions(self, spec: NetworkSpec, images: ImageSet) -> Labels:
        batch = images.batch(slice(None)).image
        with torch.no_grad():
            return predictions(self.network(spec), batch, 32).numpy()

    def record(self, spec: NetworkSpec) -> None:
        pass

    def count(self, methods: Sequence[str], done: float, total: float) -> None:
        self.calls += done >= total

    def options(self, domain: Domain) -> Options:
        comparison = Comparison(["ssim", "spearman"], ROBUST, ["gaussian"], self.seed)
        return Options(Plan(["grad"]), comparison, pictures=1, progress=self.count)

    def measure(
        self,
        test: DebugTest,
        arms: Arms,
        images: ImageSet,
        domain: Domain = "data",
        *,
        pictures: int | None = None,
    ) -> TestResult:
        private = arms.private(torch.device("cpu"))
        return measured(test, private, Probe.of(images), self.options(domain))
