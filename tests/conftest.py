"""What all tests share."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from sentences import pytest_addoption, pytest_configure, pytest_sessionfinish, sentence

__all__ = ["pytest_addoption", "pytest_configure", "pytest_sessionfinish", "sentence"]

os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("WANDB_SILENT", "true")
torch.set_num_threads(1)  # for fixtures of modules and classes, which come before those of a test


# Files that take minutes come first, so that no process is left alone with one at the end.
LONG = (
    "test_several_experiments.py",
    "test_ddp_workers.py",
    "test_cluster_launcher.py",
    "test_memory.py",
    "test_run.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the files; within one the order stays."""
    items.sort(key=lambda item: LONG.index(item.path.name) if item.path.name in LONG else len(LONG))


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Small operations on several threads are ten times slower on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real pictures and weights, where there is one."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("EXPLAINDEBUG_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no real data in {folder}; set EXPLAINDEBUG_DATA to its folder")
    return folder
