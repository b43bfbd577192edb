"""Names chosen by the user (classes, folders, methods) are shown as they are, escaped."""

import io
from dataclasses import replace

import numpy as np
import pytest
from fake_run import fake_run, fake_verdicts
from rich.console import Console

from explaindebug.app import progress
from explaindebug.evaluation.results import RunResult
from explaindebug.report.console.detection import print_detectors, print_detectors_across
from explaindebug.report.console.follow_ups import print_questions
from explaindebug.report.console.verdicts import print_table
from explaindebug.report.html.write import write_report
from explaindebug.report.maps.strips import lines

WORDS = (r"$\frac{1}{$", "a[/b]", "[red]x", "<b>&amp;", "a|b`c")


def named(word: str) -> RunResult:
    """A run whose tests, methods, stages and captions have this name."""
    run = fake_run(inputs=1, size=16)
    tests = [
        replace(
            test,
            title=f"{word} {test.name}",
            galleries=[replace(g, captions=(word,) * len(g.captions)) for g in test.galleries],
            facts={word: word},
            warnings=[word],
            questions=[replace(q, question=word) for q in test.questions],
            detectors=[replace(d, trouble=word if d.trouble else "") for d in test.detectors],
        )
        for test in run.tests
    ]
    methods = {key: f"{word} {name}" for key, name in run.methods.items()}
    return replace(run, tests=tests, methods=methods, accuracies=[(word, word, 0.5)])


def printed() -> tuple[io.StringIO, Console]:
    file = io.StringIO()
    return file, Console(file=file, width=400, highlight=False)


@pytest.mark.parametrize("word", WORDS)
def test_the_console_shows_words_as_they_are(word: str, monkeypatch) -> None:
    file, console = printed()
    run = named(word)
    print_table(run, fake_verdicts(run), console)
    print_questions(run, fake_verdicts(run), console)
    print_detectors(run, console)
    monkeypatch.setattr(progress, "console", console)
    progress.say(f"output: {word}")
    assert f"output: {word}\n" in file.getvalue()
    assert file.getvalue().count(word) > 9
    assert f"{word} Grad" in file.getvalue()
    print_detectors_across(word, [], {}, console)


def test_figures_and_the_page_take_any_word(tmp_path) -> None:
    word = WORDS[0] + "<script>alert(1)</script>"
    run = named(word)
    run = replace(run, tests=run.tests[:1], methods={"grad": word})
    page = write_report(run, fake_verdicts(run), tmp_path, level=0.05, further=[]).read_text()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
    assert lines([0, 1], {f"y {word}": [0, 1]}, word, word).dtype == np.uint8
