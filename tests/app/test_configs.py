"""Every choice of every config group composes, and fits what it builds."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

import explaindebug.configs
from explaindebug.app.settings import settings

ROOT = Path(explaindebug.configs.__file__).parent
CHOICES = sorted(
    f"{path.parent.name}={path.stem}"
    for path in ROOT.glob("*/*.yaml")
    if path.parent.name != "hydra"
)


@pytest.mark.parametrize("choice", CHOICES)
def test_composes_and_fits(choice: str) -> None:
    overrides = [choice, "hydra.run.dir=out", "output=out"]
    if choice in ("data=photos", "data=mnist", "data=fashion_mnist"):
        overrides.append("data.root=somewhere")
    if choice == "callbacks=reference":
        overrides.append("callbacks.reference.reference=some.ckpt")
    with initialize_config_module("explaindebug.configs", version_base="1.3"):
        config = compose("train", overrides=overrides)
    checked = settings(config)
    assert checked.seed == 0


def test_bug_none_has_all_tests_at_strength_zero() -> None:
    with initialize_config_module("explaindebug.configs", version_base="1.3"):
        bug = OmegaConf.to_container(compose("train", overrides=["bug=none", "output=out"]).bug)
    assert [*bug] == ["spurious", "labels", "reinit", "ood"]
    assert bug["labels"]["rate"] == 0
    assert bug["ood"]["foreign"] is False


def test_another_hydra_application_composes_our_configs(tmp_path: Path) -> None:
    import subprocess
    import sys

    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "mine.yaml").write_text(
        "defaults: [train, override bug: labels, _self_]\n"
        "hydra:\n  searchpath: [pkg://explaindebug.configs]\n"
        "seed: 7\n"
    )
    (tmp_path / "mine.py").write_text(
        "import hydra\n"
        "@hydra.main('conf', 'mine', version_base='1.3')\n"
        "def main(config):\n"
        "    print(config.seed, list(config.bug), config.data.size)\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "mine.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "7 ['labels'] 32", done.stderr
