"""The wheel, built from what is tracked and installed somewhere else."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def build(folder: Path) -> Path:
    """The wheel, below `folder`; nothing is left in the checkout."""
    source = folder / "source"
    names = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in names.stdout.split():
        file = ROOT / name
        if file.is_file() and not file.is_symlink():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes(file.read_bytes())
    _pip("wheel", "--no-deps", "--no-build-isolation", "-w", str(folder), str(source))
    (wheel,) = folder.glob("*.whl")
    return wheel


def install(wheel: Path, target: Path) -> None:
    """Put the wheel's packages into `target`, without what it depends on."""
    _pip("install", "--no-deps", "--target", str(target), str(wheel))


def _pip(*arguments: str) -> None:
    pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, *arguments], check=True, capture_output=True)
