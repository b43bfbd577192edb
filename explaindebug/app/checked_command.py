"""What the commands for one checkpoint share: `check` and `discover`."""

import argparse
import shlex
import time
from collections.abc import Sequence
from hashlib import file_digest
from pathlib import Path
from typing import Any, NoReturn

from torch import nn

from explaindebug.app.checked_images import FOLDER, Inputs, from_folder, from_module
from explaindebug.app.checked_model import LIBRARIES, network, parsed
from explaindebug.core.environment import versions
from explaindebug.core.errors import ConfigError
from explaindebug.core.validation import whole
from explaindebug.datamodules.normalising import NORMALISATIONS, Normalisation

FAILED = 3  # exit status where no answer could be had


class Parser(argparse.ArgumentParser):
    """The arguments that name a network and inputs; errors are sentences.

    Raises:
        ConfigError: instead of leaving the program.
    """

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message}. See {self.prog} --help.")

    def add_checkpoint(self, *, methods: Sequence[str], inputs: int, file: str) -> None:
        """The checkpoint, its network, its inputs, and where to write."""
        add = self.add_argument
        add("checkpoint", help="weights: .ckpt, .pt, .pth or .safetensors; only tensors are read")
        add(
            "--model",
            required=True,
            metavar="SPEC",
            help=f"{' or '.join(f'{one}:NAME' for one in LIBRARIES)}, or MODULE:CLASS of your own",
        )
        own = "for your class"
        spec = "folder:PATH, or MODULE:CLASS of your own"
        add("--data", required=True, metavar="SPEC", help=spec)
        add("--model-arg", action="append", default=[], metavar="NAME=VALUE", help=own)
        add("--data-arg", action="append", default=[], metavar="NAME=VALUE", help=own)
        add("--methods", default=",".join(methods), help=f"names, or all ({','.join(methods)})")
        add("--masks", metavar="PATH", help="folder of the objects' masks, named as the pictures")
        add("--inputs", type=int, default=inputs, metavar="N", help=f"number of inputs ({inputs})")
        add("--size", type=int, default=224, help="height and width of a folder's pictures (224)")
        crop = "centre square, as a share of the shorter side (1)"
        add("--crop", type=float, default=1.0, help=crop)
        add("--normalise", default="imagenet", help="imagenet or none, of a folder's pictures")
        add("--out", metavar="DIR", help=f"folder for the page, scores.csv, {file}, junit.xml")
        add("--seed", type=int, default=0, help="of everything random (0)")


def chosen_methods(asked: argparse.Namespace) -> Any:
    """The attribution methods, as `attribute` takes them."""
    return "all" if asked.methods == "all" else asked.methods.split(",")


def given(asked: argparse.Namespace) -> tuple[nn.Module, Inputs]:
    """The network and the inputs that a command line names.

    Raises:
        ConfigError, DataError: for what can't be read.
    """
    whole("--inputs", asked.inputs, least=2)
    whole("--size", asked.size, least=1)
    model = network(asked.model, Path(asked.checkpoint), parsed(asked.model_arg, "--model-arg"))
    return model, _inputs(asked)


def provenance(
    command: str, arguments: Sequence[str], asked: argparse.Namespace, count: int, seconds: float
) -> dict[str, str]:
    """How the answer was made."""
    return {
        "command": shlex.join(["explaindebug", command, *arguments]),
        "checkpoint": f"{asked.checkpoint}, SHA-256 {digest(Path(asked.checkpoint))}",
        "inputs": f"{count} of {asked.data}",
        "seed": str(asked.seed),
        "finished": time.strftime("%Y-%m-%d %H:%M:%S"),
        "time": f"{seconds:.0f} s",
        "versions": ", ".join(f"{name} {number}" for name, number in versions().items()),
    }


def digest(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _inputs(asked: argparse.Namespace) -> Inputs:
    kind, _, rest = asked.data.partition(":")
    if kind != FOLDER:
        if asked.masks:
            raise ConfigError(
                "--masks goes with --data folder:PATH; batches of a data module carry `signal`, "
                "True where the object is not."
            )
        return from_module(asked.data, parsed(asked.data_arg, "--data-arg"), asked.inputs)
    how = (
        Normalisation((0.0,), (1.0,))
        if asked.normalise == "none"
        else NORMALISATIONS[asked.normalise]
    )
    return from_folder(
        Path(rest).expanduser(),
        asked.inputs,
        size=asked.size,
        crop=asked.crop,
        how=how,
        masks=None if asked.masks is None else Path(asked.masks).expanduser(),
        seed=asked.seed,
    )
