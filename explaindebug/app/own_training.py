"""Trainings that are not ours: a command that writes weights, or a function that returns them."""

import inspect
import os
import shlex
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from explaindebug.app.own_targets import located
from explaindebug.core.errors import ConfigError, DataError, ExplainDebugError
from explaindebug.core.io import digest, replacing, write_csv
from explaindebug.data import ImageSet
from explaindebug.models.weights import read_weights

PLACES = ("seed", "data", "out")
EXAMPLE = "model.train_command='python my_train.py --seed {seed} --data {data} --out {out}'"
LABELS = "labels.csv"
LAST = 5  # lines of a failed command's output that are shown


@dataclass(frozen=True)
class OwnTraining:
    """How networks are trained outside: by a command or by a function, of which there is one."""

    command: str | None = None
    function: str | None = None

    @classmethod
    def of(cls, key: str, options: Mapping[str, Any]) -> "OwnTraining | None":
        """That of a model's options; None where it is trained here.

        Raises:
            ConfigError: for both, for a command without its places, and for what is no function.
        """
        command, function = options.get("train_command"), options.get("trainer")
        if command is None and function is None:
            return None
        if command is not None and function is not None:
            raise ConfigError(
                f"{key}.train_command and {key}.trainer both say how to train: leave one out."
            )
        if command is not None:
            _check_command(f"{key}.train_command", command)
        elif not isinstance(function, str) or not callable(located(function)):
            raise ConfigError(
                f"{key}.trainer is {function!r}, but must name a function, my_project.train, of "
                "(images, labels, seed, folder)."
            )
        return cls(command, function)

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the weights: the command, and the content of files that it names."""
        if self.command is None:
            return {"trainer": self.function, **source_of(located(str(self.function)))}
        files = [Path(word) for word in shlex.split(self.command)]
        named = {str(path): digest(path) for path in files if path.is_file()}
        named.pop(shutil.which(shlex.split(self.command)[0]) or "", None)
        return {"train_command": self.command, "files": named}

    def __call__(self, images: ImageSet, seed: int, folder: Path, out: Path, log: Path) -> None:
        """Train on these pictures, and leave the weights in the file `out`.

        Raises:
            ConfigError, DataError: where the command or the function gives none.
        """
        if self.command is not None:
            found: Any = _run(self.command, images, seed, folder, log)
        else:
            found = _call(str(self.function), images, seed, folder)
        state = found.state_dict() if isinstance(found, nn.Module) else read_weights(found)
        with replacing(out, binary=True) as file:
            torch.save({name: value.detach().cpu() for name, value in state.items()}, file)


def source_of(built: Any) -> dict[str, str]:
    """A digest of the file that defines a class or function; nothing where there is none."""
    try:
        path = inspect.getsourcefile(inspect.unwrap(built))
        return {"source": digest(Path(str(path)))}
    except (OSError, TypeError):
        return {}


def write_pictures(images: ImageSet, folder: Path) -> None:
    """The pictures as PNG files in a folder per class, the one that they are labelled with.

    `labels.csv` lists them in order: file, label, class.
    """
    rows = []
    for pixels, label, row in zip(images.pixels, images.labels, images.indices, strict=True):
        name = images.classes[label]
        path = folder / name.replace(os.sep, "_") / f"{row:06d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels).save(path)
        rows.append((path.relative_to(folder).as_posix(), int(label), name))
    write_csv(folder / LABELS, ("file", "label", "class"), rows)


def _run(command: str, images: ImageSet, seed: int, folder: Path, log: Path) -> Path:
    data, out = folder / "data", folder / "out.pt"
    shutil.rmtree(data, ignore_errors=True)
    out.unlink(missing_ok=True)
    write_pictures(images, data)
    places = {"seed": seed, "data": data.absolute(), "out": out.absolute()}
    words = [word.format(**places) for word in shlex.split(command)]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as file:
        try:
            done = subprocess.run(words, stdout=file, stderr=subprocess.STDOUT, check=False)
        except OSError as error:
            raise ConfigError(f"{shlex.join(words)} can't be started: {error.strerror}.") from error
    if done.returncode:
        said = log.read_text("utf-8", errors="replace").strip().splitlines()[-LAST:]
        raise DataError(
            f"{shlex.join(words)} ended with status {done.returncode} (all it said is in {log}): "
            f"{' / '.join(said) or 'it said nothing'}"
        )
    if not out.is_file():
        raise DataError(
            f"{shlex.join(words)} ended without an error, but wrote no file {out}: it must save "
            f"the weights there, torch.save(model.state_dict(), out). What it said is in {log}."
        )
    shutil.rmtree(data, ignore_errors=True)
    return out


def _call(name: str, images: ImageSet, seed: int, folder: Path) -> Any:
    batch = images.batch(slice(None))
    train: Callable[[Tensor, Tensor, int, Path], Any] = located(name)
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002  # what somebody's training draws from
    try:
        found = train(batch.image, batch.label, seed, folder)
    except ExplainDebugError:
        raise
    except Exception as error:
        raise DataError(
            f"{name} failed ({type(error).__name__}: {error}). HYDRA_FULL_ERROR=1 shows where."
        ) from error
    if not isinstance(found, nn.Module | str | Path):
        raise DataError(
            f"{name} returned a {type(found).__name__}, but must return the trained module, or "
            "the path of a file with its weights."
        )
    return found


def _check_command(key: str, command: Any) -> None:
    try:
        words = shlex.split(command) if isinstance(command, str) else []
        for word in words:
            word.format(**dict.fromkeys(PLACES, ""))
    except (ValueError, KeyError, IndexError) as error:
        raise ConfigError(
            f"{key} can't be read ({type(error).__name__}: {error}). Its places are "
            f"{{seed}}, {{data}} and {{out}}: {EXAMPLE}"
        ) from error
    missing = [place for place in PLACES if f"{{{place}}}" not in " ".join(words)]
    if missing:
        raise ConfigError(
            f"{key}={command!r} has no place for {', '.join(f'{{{x}}}' for x in missing)}: "
            f"{EXAMPLE}"
        )
