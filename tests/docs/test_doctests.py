"""Every public function has an example in its docstring, which does what it shows."""

import doctest
import importlib
import inspect
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest
from test_api import PACKAGES


def public_functions() -> Iterator[FunctionType]:
    """Each once, whatever names it has."""
    found: dict[FunctionType, None] = {}
    for package in map(importlib.import_module, PACKAGES):
        things = (getattr(package, name) for name in sorted(package.__all__))
        found |= dict.fromkeys(thing for thing in things if inspect.isfunction(thing))
    yield from found


FUNCTIONS = list(public_functions())


def test_the_public_functions_are_there() -> None:
    assert {"attribute", "cascade", "check", "run_test"} <= {one.__name__ for one in FUNCTIONS}


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_its_example_works(function: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    # Names that its module imports are not in the example: it has to import what it uses.
    (example,) = doctest.DocTestFinder(recurse=False).find(function, function.__name__, globs={})
    assert example.examples, "has no example (>>>)"
    lines: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    with warnings.catch_warnings(action="error"):
        failed = runner.run(example, out=lines.append).failed
    assert not failed, "".join(lines)
