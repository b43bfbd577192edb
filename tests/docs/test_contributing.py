"""The examples of the contributor page do what it says, each from its one file."""

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text()
BLOCKS = re.findall(r"```python\n# (\S+\.py)\n(.*?)```", PAGE, re.DOTALL)

# Files found in `added` count as if they lay in the package's own folders.
ADD = """
import importlib, sys
for name in ("attributions", "bugs", "callbacks", "evaluation.similarities"):
    package = importlib.import_module(f"explaindebug.{name}")
    package.__path__.append(f"{sys.argv[1]}/explaindebug/{name.replace('.', '/')}")
"""

TRIES = {
    "attributions": """
        import torch
        from explaindebug.attributions import attribute
        from explaindebug.models import BVDCNN
        model, x = BVDCNN(2, 28, 1).eval(), torch.randn(3, 1, 28, 28)
        maps = attribute(model, x, methods=["grad", {"sign": {"shift": 0.1}}])
        expected = (x + 0.1).sign() * maps["grad"]
        assert torch.equal(maps["sign"], expected)
    """,
    "similarities": """
        import torch
        from explaindebug.evaluation.similarities import SIMILARITIES
        intersection = SIMILARITIES.build("intersection")
        a = torch.tensor([[1.0, 3.0], [1.0, 0.0], [0.0, 0.0]]).view(3, 1, 1, 2)
        b = torch.tensor([[-2.0, 2.0], [0.0, 5.0], [1.0, 1.0]]).view(3, 1, 1, 2)
        assert intersection(a, b)[:2].tolist() == [0.75, 0.0]
        assert intersection(a, b)[2].isnan()
    """,
    "bugs": """
        from explaindebug.bugs import BUGS
        from explaindebug.datamodules import Embedded
        clean = Embedded(size=32, train=40, val=4, test=4)
        marked = clean.with_bug(BUGS.build({"watermark": {"rate": 0.5}}))
        rows = marked.record[0]["rows"]
        assert 0 < len(rows) < 20
        corners = (marked.data.train.pixels[:, :5, :5] == 255).all((1, 2, 3))
        assert corners.nonzero()[0].tolist() == rows
        assert clean.data.train is clean.clean.train
        sys.path.append(sys.argv[1])
        from my_project import WatermarkTest
        *clean, marked = WatermarkTest(rate=0.5).networks()
        assert [w.bug for w in clean] == [None, None]
        assert marked.bug == BUGS.build({"watermark": {"rate": 0.5}})
    """,
    "callbacks": """
        import torch
        from torch.utils.data import DataLoader, TensorDataset
        from explaindebug._lightning import pl
        from explaindebug.callbacks.rotation import RotationSimilarity
        from explaindebug.models import BVDCNN

        class Module(pl.LightningModule):
            def __init__(self):
                super().__init__()
                self.network = BVDCNN(2, 28, 1)
            def forward(self, x):
                return self.network(x)
            def test_step(self, batch, index):
                pass

        callback = RotationSimilarity(["grad"], similarities=["spearman"], probe=4, pictures=0)
        trainer = pl.Trainer(
            callbacks=[callback], logger=False, accelerator="cpu", default_root_dir=sys.argv[1],
            enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
        )
        data = TensorDataset(torch.randn(4, 1, 28, 28), torch.arange(4) % 2)
        trainer.test(Module(), DataLoader(data, batch_size=4), verbose=False)
        keys = [f"debug/rotation/grad/spearman/{angle}" for angle in (90, 180, 270)]
        assert all(-1 <= trainer.callback_metrics[key] <= 1 for key in keys)
    """,
}


@pytest.fixture(scope="module")
def added(tmp_path_factory):
    """A folder with the examples, each in its one file."""
    folder = tmp_path_factory.mktemp("added")
    for path, code in BLOCKS:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(code)
    return folder


def run(*command):
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_is_one_example_of_each_kind():
    kinds = [Path(path).parent.name for path, _ in BLOCKS if path.startswith("explaindebug")]
    assert sorted(kinds) == sorted(TRIES)


def test_each_example_works_from_its_one_file(added):
    tries = [textwrap.dedent(code) for code in TRIES.values()]
    run("-W", "ignore", "-c", "\n".join([ADD, *tries]), str(added))


def test_the_examples_are_formatted_and_linted_like_the_code(added):
    for command in (["format", "--check"], ["check"]):
        run("-m", "ruff", *command, "--config", str(ROOT / "pyproject.toml"), str(added))


def test_files_and_folders_that_the_page_names_exist():
    named = re.findall(r"`([\w/]+(?:/|\.py))`", PAGE)
    for name in named:
        places = [
            ROOT / name,
            ROOT / "explaindebug" / name,
            ROOT / "explaindebug/attributions" / name,
        ]
        assert any(place.exists() for place in places), name
