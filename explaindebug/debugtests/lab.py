"""What an experiment asks for: pictures with and without a bug, trained networks, measurements."""

from dataclasses import dataclass
from typing import Any, Literal, Protocol

from torch import nn

from explaindebug.bugs.base import DataBug
from explaindebug.data.imageset import ImageSet, Labels, Splits
from explaindebug.debugtests.base import Arms, DebugTest
from explaindebug.debugtests.run import Options
from explaindebug.evaluation.results import TestResult

Domain = Literal["data", "foreign"]


@dataclass(frozen=True)
class NetworkSpec:
    """A network that is to be trained: on which data, with which bug, which of several seeds."""

    name: str  # for people: "clean", "clean twin", "spurious"
    domain: Domain = "data"
    bug: DataBug | None = None
    twin: int = 0  # networks of other numbers differ in all that is random


CLEAN = NetworkSpec("clean")
TWIN = NetworkSpec("clean twin", twin=1)


class Data(Protocol):
    """Pictures of one domain, with a bug or without; a `DebugDataModule` is one."""

    @property
    def clean(self) -> Splits:
        """The pictures without the bug."""

    @property
    def data(self) -> Splits:
        """The pictures as a network is trained and tested on them, with the bug."""

    @property
    def scenes(self) -> Any:
        """By class name, what draws scenes for its objects."""

    def check(self) -> None:
        """Make the pictures; raises ConfigError or DataError where they can't be."""

    def probe(self, count: int, split: str = "test") -> ImageSet:
        """So many pictures of the split, classes in turn; raises DataError for too few."""


class Lab(Protocol):
    """What an `Experiment` works with. The application's has data modules, trainers and a store."""

    @property
    def inputs(self) -> int:
        """How many inputs are to be explained."""

    @property
    def seed(self) -> int:
        """Of all that an experiment draws."""

    def data(self, domain: Domain = "data", bug: DataBug | None = None) -> Data:
        """The pictures of a domain, with a bug or without."""

    def build(self, domain: Domain) -> nn.Module:
        """A fresh network for the classes of a domain."""

    def words(self, domain: Domain) -> str:
        """Of which kind the networks of a domain are, for people."""

    def network(self, spec: NetworkSpec) -> nn.Module:
        """The trained network, in eval mode."""

    def accuracy(
        self, spec: NetworkSpec, what: str, images: ImageSet, *, scenes: bool = False
    ) -> float:
        """Share of pictures, or of their `scenes`, that it gives their label; noted as `what`."""

    def predictions(self, spec: NetworkSpec, images: ImageSet) -> Labels:
        """The class (n,) that the network gives each picture."""

    def record(self, spec: NetworkSpec) -> None:
        """Note what the network's bug changed in its data."""

    def options(self, domain: Domain) -> Options:
        """How maps of the inputs of a domain are made and compared."""

    def measure(
        self,
        test: DebugTest,
        arms: Arms,
        images: ImageSet,
        domain: Domain = "data",
        *,
        pictures: int | None = None,
    ) -> TestResult:
        """What the test finds on these pictures of a domain, see `measured`.

        `pictures`: of how many of them maps are kept; as the lab has it where not given.
        """
