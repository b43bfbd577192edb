"""What the console shows while a run goes on."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from explaindebug.core.errors import DataWarning

console = Console(highlight=False)


def say(text: str, *, style: str = "") -> None:
    """One line on the console, as it is: what stands in brackets is no markup."""
    # Paths and commands must stay in one piece, to be copied.
    console.print(Text(text, style=style), soft_wrap=True)


def counting(what: str) -> Callable[[int, int], None]:
    """A function of (done, in all) that shows the share on one line of a terminal, else nothing."""
    shown = -1

    def show(done: int, total: int) -> None:
        nonlocal shown
        percent = 100 * done // total if total else 0
        if console.is_terminal and percent != shown:
            shown = percent
            line = f"{what}: {percent} %" if done < total else " " * (len(what) + 8)
            console.print(Text(line), end="\r")

    return show


@contextmanager
def noting(notes: list[str]) -> Iterator[None]:
    """What data modules warn of in the block is shown on the console and added to the notes."""
    caught: list[warnings.WarningMessage] = []
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", DataWarning)
            yield
    finally:
        _tell(caught, notes)  # outside, where what it passes on is recorded no more


def _tell(caught: Sequence[warnings.WarningMessage], notes: list[str]) -> None:
    for note in dict.fromkeys(str(w.message) for w in caught if w.category is DataWarning):
        say(f"data: {note}")
        notes.append(note)
    for w in caught:
        if w.category is not DataWarning:
            warnings.showwarning(w.message, w.category, w.filename, w.lineno)


class Bar:
    """One progress bar for all attributions of a run, with method names and the time left.

    Called by callbacks with (method names, passes done, passes in all) of one call to explain;
    `calls` is how many such calls there will be.
    """

    def __init__(self, calls: int) -> None:
        self.calls = calls
        self._before = 0
        self._bar = Progress(
            TextColumn("explaining"),
            TextColumn("{task.fields[test]}", style="bold", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[methods]}", markup=False),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._task = self._bar.add_task("", total=calls, test="", methods="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def test(self, title: str) -> None:
        """Name the test that is measured now."""
        self._bar.update(self._task, test=title)

    def __call__(self, methods: Sequence[str], done: float, total: float) -> None:
        """Progress of one call to explain."""
        self._bar.update(
            self._task, completed=self._before + done / total, methods=", ".join(methods)
        )
        if done >= total:
            self._before += 1
