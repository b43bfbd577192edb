"""What is installed, and what imports what."""

import ast
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import wheel

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "explaindebug"
LIGHTNING_LAYER = {"callbacks", "datamodules", "_lightning", "app", "configs"}
APPLICATION = {"app", "configs"}


def imports(path: Path) -> set[str]:
    """Names of all modules that a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def part(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


FILES = sorted(path for path in PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_one_way(path: Path) -> None:
    used = imports(path)
    foreign = {name.split(".")[0] for name in used}
    ours = {name.split(".")[1] for name in used if name.startswith("explaindebug.")}
    if part(path) not in LIGHTNING_LAYER:
        assert not foreign & {"lightning", "pytorch_lightning", "hydra", "omegaconf", "wandb"}
        assert not ours & LIGHTNING_LAYER
    elif part(path) not in APPLICATION:
        assert not foreign & {"hydra", "omegaconf"}
        assert not ours & APPLICATION


def test_the_library_works_without_lightning_hydra_and_wandb() -> None:
    code = """
import sys
for name in ("lightning", "pytorch_lightning", "hydra", "omegaconf", "wandb"):
    sys.modules[name] = None
import torch
from explaindebug.attributions import attribute
from explaindebug.models import create_model
model = create_model("bvd_cnn", size=16)
maps = attribute(model, torch.randn(2, 3, 16, 16), methods=["grad", "gbp"])
print({name: tuple(m.shape) for name, m in maps.items()})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "{'grad': (2, 3, 16, 16), 'gbp': (2, 3, 16, 16)}", done.stderr


def test_the_links_at_the_top_lead_into_the_package() -> None:
    for name in ("callbacks", "configs", "datamodules"):
        assert (ROOT / name).resolve() == PACKAGE / name


@pytest.mark.slow
def test_the_wheel_runs_elsewhere(tmp_path: Path) -> None:
    target = tmp_path / "site"
    made = wheel.build(tmp_path)
    held = zipfile.ZipFile(made).namelist()
    assert {name.split("/")[0].split("-")[0] for name in held} == {"explaindebug"}
    files = (
        "configs/train.yaml",
        "configs/bug/all.yaml",
        "report/report.html.jinja",
        "py.typed",
    )
    for name in files:
        assert f"explaindebug/{name}" in held
    wheel.install(made, target)
    start = f"import sys; sys.path.insert(0, {str(target)!r}); "
    command = start + "from explaindebug.app import main; main()"
    run = [sys.executable, "-c", command, "bug=labels", "seed=3", "--cfg", "job"]
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "seed: 3" in done.stdout, done.stderr
    assert "rate: 0.1" in done.stdout
    assert "spurious" not in done.stdout
