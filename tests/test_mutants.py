"""The lists of mutants.py are in step with the code; running them takes too long for every time."""

import mutants
import pytest

PACKAGE = mutants.ROOT / "explaindebug"
FILES = [(path, tests) for files in mutants.PARTS.values() for path, tests in files.items()]


@pytest.mark.parametrize("one", mutants.NAMED, ids=lambda one: one.what)
def test_a_named_mistake_can_be_made(one: mutants.Named) -> None:
    source = (PACKAGE / one.path).read_text()
    assert source.count(one.right) == 1
    compile(source.replace(one.right, one.wrong), one.path, "exec")
    assert (mutants.ROOT / one.test.partition("::")[0]).is_file()


@pytest.mark.parametrize(("path", "tests"), FILES)
def test_files_to_sample_from_and_their_tests_exist(path: str, tests: str) -> None:
    assert (PACKAGE / f"{path}.py").is_file()
    assert all((mutants.ROOT / name).exists() for name in mutants.tests_of(tests))
