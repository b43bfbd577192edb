"""Read weights from files, and load them into a model that they fit."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from explaindebug.core.errors import ConfigError, DataError

TENSORS_ONLY = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"  # torch's own variable
SUFFIXES = (".pt", ".pth", ".th", ".ckpt", ".bin", ".safetensors")
WRAPPERS = ("state_dict", "model_state_dict", "model")  # keys under which checkpoints hold one


def is_file(weights: str | Path) -> bool:
    """Whether `weights` is a file, and not the name of a library's weights."""
    path = Path(weights)
    return isinstance(weights, Path) or path.suffix.lower() in SUFFIXES or path.exists()


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Tensors by name, on the CPU, from a state dict or a checkpoint that wraps one.

    Raises:
        DataError: if the file is missing or unreadable, or holds no tensors or NaN.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise DataError(f"no weights at {path}. Check the path, or omit `weights` to train.")
    content = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    for key in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping):
        raise DataError(f"{path} holds a {type(content).__name__}, but a state dict is expected.")
    state = {str(k): v for k, v in content.items() if isinstance(v, Tensor)}
    if not state:
        raise DataError(f"{path} holds no tensors; its keys are {', '.join(map(str, content))}.")
    for name, tensor in state.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise DataError(f"{path}: {name} holds NaN or infinite values. Did training diverge?")
    return state


def read_arguments(path: str | Path) -> dict[str, Any]:
    """The constructor's arguments that Lightning put into a checkpoint; none in other files.

    Raises:
        DataError: if the file is unreadable.
    """
    path = Path(path).expanduser()
    content = {} if path.suffix == ".safetensors" else _read_torch(path)
    saved = content.get("hyper_parameters") if isinstance(content, Mapping) else None
    return {str(key): value for key, value in saved.items()} if isinstance(saved, Mapping) else {}


@contextmanager
def tensors_only() -> Iterator[None]:
    """Make torch load tensors only, never code, even if a library asks for more.

    torchvision does, for weights in its cache, whose digest it does not check again.
    """
    before = os.environ.get(TENSORS_ONLY)
    os.environ[TENSORS_ONLY] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[TENSORS_ONLY]
        else:
            os.environ[TENSORS_ONLY] = before


def load_weights(model: nn.Module, state: Mapping[str, Tensor], source: str | Path) -> None:
    """Copy the tensors into the model, converted to its dtype; all of them or none.

    Raises:
        ConfigError: if names or shapes don't match, with how many and the first few.
    """
    wanted = model.state_dict()
    missing = [k for k in wanted if k not in state and not k.endswith("num_batches_tracked")]
    unknown = [k for k in state if k not in wanted]
    misfits = [
        f"{k} is {tuple(state[k].shape)}, not {tuple(wanted[k].shape)}"
        for k in wanted
        if k in state and state[k].shape != wanted[k].shape
    ]
    if missing or unknown or misfits:
        raise ConfigError(
            f"{source} does not fit {type(model).__name__}: of {len(wanted)} tensors, "
            f"{_count(missing)} missing, {_count(unknown)} unknown to the model, "
            f"{_count(misfits)} of another shape. The checkpoint is of another architecture, "
            "or was made with other options."
        )
    model.load_state_dict(dict(state), strict=False)


def own_part(state: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """The model's part of a checkpoint in which a wrapper added a prefix to the names.

    `module.conv1.weight` (DataParallel), `model.conv1.weight` (a LightningModule) and the like:
    the prefix is what precedes the model's first tensor; the rest belongs to the wrapper.
    """
    first = next(iter(model.state_dict()), "")
    prefixes = [k.removesuffix(first) for k in state if k == first or k.endswith(f".{first}")]
    prefix = min(prefixes, key=len, default="")
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}


def _count(names: list[str]) -> str:
    shown = f" ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})" if names else ""
    return f"{len(names)}{shown}"


def _read_torch(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # pickle, zip and unpickling errors share no narrower base
        reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        raise DataError(
            f"{path} can't be read as weights: {reason} If the file is complete and you trust it, "
            "save only its tensors: torch.save(model.state_dict(), path)."
        ) from error


def _read_safetensors(path: Path) -> Any:
    try:
        from safetensors.torch import load_file
    except ImportError as error:
        raise DataError(
            f"{path} needs the safetensors package: pip install safetensors."
        ) from error
    try:
        return load_file(path)
    except Exception as error:
        raise DataError(f"{path} can't be read as safetensors: {error}.") from error
