"""Whole sentences that the package writes, all in one file: `sentences.json`.

Tests assert fields. Where the wording counts too, a test compares the sentence with the one that
the file has under the test's own file and a name:

    def test_reason(sentence) -> None:
        sentence("a method shows the bug", verdict.reason)

`python tests/sentences.py` writes the file anew from what the code says now. It runs all test files
that use the fixture with the option `--renew-sentences`, which replaces their sections.
"""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
STORED = TESTS / "sentences.json"
Sections = dict[str, dict[str, str]]  # test file -> name -> sentence
RENEWED = pytest.StashKey[Sections]()
RENEW = "python tests/sentences.py"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--renew-sentences", action="store_true", help="write tests/sentences.json from the code"
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("renew_sentences") and config.getoption("numprocesses", None):
        raise pytest.UsageError(f"sentences are collected in one process (-n 0): {RENEW}")
    config.stash[RENEWED] = {}


def pytest_sessionfinish(session: pytest.Session) -> None:
    renewed = session.config.stash[RENEWED]
    if renewed:
        sections = dict(sorted((stored() | renewed).items()))
        STORED.write_text(json.dumps(sections, indent=1, ensure_ascii=False) + "\n", "utf-8")


def stored() -> Sections:
    sections: Sections = json.loads(STORED.read_text("utf-8"))
    return sections


@pytest.fixture
def sentence(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compares a sentence with the stored one of this name, or stores it with the option."""
    place = request.path.relative_to(TESTS).as_posix()
    renewed = request.config.stash[RENEWED]

    def compare(name: str, text: str) -> None:
        if request.config.getoption("renew_sentences"):
            assert renewed.setdefault(place, {}).setdefault(name, text) == text
        else:
            assert text == stored().get(place, {}).get(name), f"if it should change: {RENEW}"

    return compare


if __name__ == "__main__":
    using = [
        str(path)
        for path in sorted(TESTS.rglob("test_*.py"))
        if re.search(r"^ +sentence\(", path.read_text("utf-8"), re.MULTILINE)
    ]
    STORED.write_text("{}\n", "utf-8")  # also without sections of tests that are gone
    sys.exit(pytest.main(["-n", "0", "--renew-sentences", *using]))
