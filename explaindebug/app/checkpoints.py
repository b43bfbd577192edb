"""Checkpoints: written atomically, and verified when they are read."""

import zipfile
from pathlib import Path
from typing import Any

import torch

from explaindebug._lightning import pl
from explaindebug.core.errors import DataError
from explaindebug.core.io import replacing


class WholeFiles(pl.plugins.TorchCheckpointIO):
    """Lightning's checkpoint IO, with atomic writes and safe reads.

    By default, Lightning writes checkpoints to the system's temporary folder first. That may be on
    another disk, where an interrupted move leaves half a file.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Write the checkpoint to `path`; if that is interrupted, the previous file remains."""
        with replacing(path, binary=True) as file:
            torch.save(checkpoint, file)

    def load_checkpoint(self, path: str | Path, *_: Any, **__: Any) -> dict[str, Any]:
        """Read a checkpoint to the CPU; no code in it is run, whatever Lightning's options say."""
        return read_checkpoint(Path(path))


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint, on the CPU; no code in the file is run.

    Its checksums are verified here, as torch doesn't verify them and would miss changed bits.

    Raises:
        DataError: if the file is missing, truncated, changed, or not a checkpoint.
        PermissionError: if it may not be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged is not None:
            raise DataError(f"the checksum of {damaged} in it is wrong")
        content = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(content, dict):
            raise DataError(f"it holds a {type(content).__name__}")
    except (MemoryError, PermissionError):
        raise  # these say nothing about the file's content
    except Exception as error:  # from zipfile, pickle or torch, without a narrower common base
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(f"{path} can't be read as a checkpoint: {reason}.") from error
    return content
