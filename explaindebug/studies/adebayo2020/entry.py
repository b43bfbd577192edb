"""A run as an entry of the paper's tables: its test, its verdicts, its table."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from explaindebug.evaluation.results import TestResult, Verdict
from explaindebug.evaluation.runs import Run
from explaindebug.evaluation.verdicts import verdicts
from explaindebug.report.beside import BUG, OURS, ArmTable, Comparison, Number, arm_table
from explaindebug.report.table import Table
from explaindebug.studies.adebayo2020.experiments import experiment_of
from explaindebug.studies.adebayo2020.published import Experiment

WIDEST = 10  # columns of numbers side by side
TOP_DOWN = "top_down"  # the paper's order


@dataclass(frozen=True, eq=False)
class Entry:
    """One run beside one table or figure of the paper."""

    run: Run
    experiment: Experiment
    called: str = ""  # where the name of its folder does not tell it from another's

    @classmethod
    def of(cls, run: Run, name: str | None = None) -> "Entry":
        """The run beside the experiment of that name, or of the name that it has itself.

        Raises:
            ConfigError, DataError: see `experiment_of`.
        """
        return cls(run, experiment_of(run, name))

    @property
    def label(self) -> str:
        """What a page calls it."""
        return self.called or self.run.folder.resolve().name

    @property
    def test(self) -> TestResult:
        """The run's test that the experiment is about."""
        return next(t for t in self.run.result.tests if t.name == self.experiment.test)

    @property
    def names(self) -> Mapping[str, str]:
        """Name in configs -> name in tables."""
        return self.run.result.methods

    @property
    def void(self) -> bool:
        """Whether a gate failed, so that the test says nothing."""
        return self.test.void

    @cached_property
    def table(self) -> ArmTable | None:
        """The paper's table with the run's numbers; None where nothing of it was measured."""
        return arm_table(self.test, self.names, self.experiment)

    @cached_property
    def verdicts(self) -> Mapping[str, Verdict]:
        """By method, whether it shows the bug: those of the run itself, over all of its tests."""
        margin, level = (float(self.run.settings[name]) for name in ("margin", "level"))
        own = verdicts(self.run.result.tests, margin=margin, level=level)
        return {v.method: v for v in own if v.test == self.test.name}

    @property
    def order(self) -> str:
        """In which a cascade's layers lose their weights."""
        return str(self.run.settings.get("bug.reinit.order", TOP_DOWN))

    def told_apart(self) -> "Entry":
        """The same under a name that has the folder above and the experiment, too."""
        above = self.run.folder.resolve().parent.name
        return replace(self, called=f"{above}-{self.label}-{self.experiment.name}")

    def numbers(self, condition: str, similarity: str, arm: str = OURS) -> dict[str, Number]:
        """One arm of one comparison by the paper's names of methods; empty where not measured."""
        if self.table is None:
            return {}
        found = self.table.column(arm, self.comparison(condition, similarity))
        return {self.names[method]: number for method, number in found.items()}

    def comparison(self, condition: str, similarity: str) -> Comparison:
        """The condition, and the similarity as the run calls it: with its options."""
        columns = self.table.columns if self.table else ()
        for column in columns:
            own, called = column.comparison
            if own == condition and called.startswith(similarity) and column.arm in (OURS, BUG):
                return column.comparison
        return condition, similarity

    def accuracy(self, network: str, what: str) -> float | None:
        """One line of the run's table of accuracies."""
        found = [
            x for name, data, x in self.run.result.accuracies if (name, data) == (network, what)
        ]
        return found[0] if found else None

    def affected(self, name: str, split: str) -> int | None:
        """How many pictures of a split the bug affected, by the run's records; None without one."""
        path = self.run.folder / "records" / f"{name}.json"
        try:
            found = {part["split"]: len(part["rows"]) for part in json.loads(path.read_text())}
        except (OSError, ValueError, TypeError, KeyError):
            return None
        return found.get(split)


def parts(entry: Entry) -> list[Table]:
    """The entry's table in parts where it is wide; verdicts stand in the first."""
    return entry.table.table(entry.names, entry.verdicts).parts(WIDEST) if entry.table else []
