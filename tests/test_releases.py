"""Files that name a version, a bound or a date agree with each other."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import explaindebug

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NAMING = ("pyproject.toml", "explaindebug/__init__.py", "CITATION.cff", "CHANGELOG.md")


def version(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    script = root / ".ci/version.py"
    run = [sys.executable, str(script), *arguments]
    return subprocess.run(run, capture_output=True, text=True, check=False)


@pytest.fixture
def released(tmp_path: Path) -> Path:
    """A checkout whose unreleased changes are released as the current version."""
    for name in (*NAMING, ".ci/version.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    log = tmp_path / "CHANGELOG.md"
    released = f"## [{explaindebug.__version__}] - 2026-12-01"
    log.write_text(log.read_text().replace("## [Unreleased]", released))
    return tmp_path


def test_package_project_and_citation_have_one_version() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert explaindebug.__version__ == PROJECT["version"] == cited["version"]
    assert cited["license"] == PROJECT["license"]


def test_a_release_has_the_changelogs_notes(released: Path) -> None:
    done = version(released, f"v{explaindebug.__version__}", "--notes")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("### Added")
    assert "## [" not in done.stdout


@pytest.mark.parametrize("file", NAMING)
def test_a_release_is_refused_if_one_file_names_another_version(released: Path, file: str) -> None:
    path = released / file
    path.write_text(path.read_text().replace(explaindebug.__version__, "9.9.9"))
    done = version(released, f"v{explaindebug.__version__}")
    assert done.returncode == 1
    assert [line.split()[0] for line in done.stderr.splitlines()] == [file]


def test_the_lowest_versions_are_those_of_the_dependencies() -> None:
    lines = (ROOT / ".ci/lowest.txt").read_text().splitlines()
    lowest = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    bounds = {}
    for needed in PROJECT["dependencies"]:
        name, bound = re.fullmatch(r"([\w-]+)>=([\d.]+)(?:,.*)?", needed).groups()  # type: ignore[union-attr]
        bounds[name] = [int(number) for number in bound.split(".")]
    assert list(lowest) == sorted(bounds)
    for name, pinned in lowest.items():
        numbers = [int(number) for number in pinned.split(".")]
        assert numbers[: len(bounds[name])] == bounds[name], name
        assert not any(numbers[len(bounds[name]) :]), name


def test_the_workflows_call_scripts_that_exist_and_the_supported_versions() -> None:
    workflows = {path.stem: path.read_text() for path in (ROOT / ".github/workflows").glob("*.yml")}
    called = set(re.findall(r"\.ci/[\w.-]+", "\n".join(workflows.values())))
    assert {name for name in called if not (ROOT / name).is_file()} == set()
    matrix = yaml.safe_load(workflows["tests"])["jobs"]["tests"]["strategy"]["matrix"]
    known = [line.split(":: ")[-1] for line in PROJECT["classifiers"] if ":: 3." in line]
    assert matrix["python"] == known
