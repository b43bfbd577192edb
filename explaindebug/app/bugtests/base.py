"""What every debugging test of the application is."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from explaindebug.app.progress import Bar
from explaindebug.app.session import Wanted, Workbench
from explaindebug.callbacks import ComparingCallback
from explaindebug.core.validation import whole
from explaindebug.evaluation.results import Headline, TestResult

CLEAN = Wanted("clean")
TWIN = Wanted("clean twin", twin=1)
BATCH = 32  # inputs that a trainer hands over at once


class BugTest(ABC):
    """One debugging test, as the application runs it."""

    name: ClassVar[str]  # as in configs, keys and tables
    title: ClassVar[str]
    explanations: ClassVar[int] = 0  # calls to explain, for the progress bar

    @abstractmethod
    def check(self, bench: Workbench) -> None:
        """Refuse data that the test can't use, before anything is trained."""

    @abstractmethod
    def networks(self) -> Sequence[Wanted]:
        """The networks that must be trained."""

    @abstractmethod
    def run(self, bench: Workbench, bar: Bar) -> TestResult:
        """Measure."""

    def calls(self, bench: Workbench) -> int:
        """How often all methods are run, for the progress bar."""
        return self.explanations

    def result(self, callback: ComparingCallback, headline: Headline, **more: Any) -> TestResult:
        """What a measured callback holds, as the test's result."""
        return TestResult(
            self.name,
            self.title,
            headline,
            callback.scores,
            galleries=callback.galleries,
            warnings=tuple(callback.warnings),
            unscored=tuple(callback.unscored),
            **more,
        )


def at_least_none(key: str, count: int) -> None:
    """Raises ConfigError for fewer examples than none."""
    whole(key, count, least=0, hint="0 is for none.")
