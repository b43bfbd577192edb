"""Checkpoints: written whole or not at all, and read only where they are what was written."""

import hashlib
import zipfile
from pathlib import Path
from typing import Any

import torch

from explaindebug._lightning import pl
from explaindebug.core.errors import DataError
from explaindebug.core.io import replacing


class WholeFiles(pl.plugins.TorchCheckpointIO):
    """How Lightning writes and reads checkpoints here.

    Lightning's own way has them in the system's temporary folder first, which may be on another
    disk: a move that is cut then leaves half a file.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """The checkpoint in the file `path`; a cut leaves the one from before."""
        with replacing(path, binary=True) as file:
            torch.save(checkpoint, file)

    def load_checkpoint(self, path: str | Path, *_: Any, **__: Any) -> dict[str, Any]:
        """What `save_checkpoint` wrote, on the CPU. No option of Lightning's lets it run code."""
        return read_checkpoint(Path(path))


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint, on the CPU; no code of the file's is run.

    Torch doesn't compare the checksums in its files, so changed bits would go unseen.

    Raises:
        DataError: where the file is missing, cut off or changed, or is no checkpoint.
        PermissionError: where it may not be read.
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
        raise  # which say nothing of the file's content
    except Exception as error:  # of zipfile, pickle and torch, which share no narrower base
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(f"{path} can't be read as a checkpoint: {reason}.") from error
    return content


def digest(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
