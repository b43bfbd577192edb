"""Options that callbacks share, with their types, for editors and type checkers.

Each option is documented once, by the class whose constructor has its default:
`AttributionCallback`, `ComparingCallback`, or the callback itself.
"""

import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypedDict

from torch import Tensor

from explaindebug.attributions._engine.jobs import Progress
from explaindebug.attributions._engine.method import Method
from explaindebug.attributions.output_of import Output
from explaindebug.callbacks.probe import Unpack
from explaindebug.callbacks.schedule import LOOPS
from explaindebug.core.errors import ConfigError
from explaindebug.core.registry import unknown
from explaindebug.core.validation import number, whole
from explaindebug.evaluation.postprocessing import PostProcessing

Attributions = str | Method | Mapping[str, Any] | Sequence[Any]  # as in `attribute`
After = Literal["validation", "training"]
Target = Literal["predicted", "label"]
METHODS = ("grad", "inputgrad", "gbp")  # default of callbacks


class SharedOptions(TypedDict, total=False):
    """Options of every callback, see `AttributionCallback`."""

    every_n_epochs: int
    after: After
    budget: float | None
    target: Target
    references: Tensor | None
    unpack: Unpack
    forward: str | None
    output: Output | None
    chunk: int
    workers: int | None
    classes: Sequence[str] | None
    picture: Callable[[Tensor], Tensor]
    folder: str | Path | None
    seed: int
    strict: bool
    progress: Progress | None
    log_scores: bool


class AttributionOptions(SharedOptions, total=False):
    """Further options of callbacks that draw only part of the probe, see `AttributionCallback`."""

    probe: int
    pictures: int


class ComparingOptions(AttributionOptions, total=False):
    """Options of every callback that compares maps, see `ComparingCallback`."""

    similarities: Sequence[Any]
    postprocessing: PostProcessing
    nulls: Sequence[str]


def signature(kind: type) -> inspect.Signature:
    """A callback's full signature: its own options, and those that it passes on to its bases.

    For `help`, notebooks and other tools that read signatures at runtime.
    """
    return inspect.Signature(_options([vars(c)["__init__"] for c in kind.__mro__ if _starts(c)]))


def check(
    least: Mapping[str, tuple[int, int]],
    workers: int | None,
    target: str,
    after: str,
    budget: float | None,
) -> None:
    """Refuse invalid values; `least` has whole numbers with their lower bounds, by name.

    Raises:
        ConfigError: for the first invalid value.
    """
    for name, (value, bound) in least.items():
        whole(name, value, least=bound)
    if workers is not None:
        whole("workers", workers, least=1, most=1024, hint="None means automatic.")
    if target not in ("predicted", "label"):
        raise ConfigError(f"target must be 'predicted' or 'label', got {target!r}.")
    if after not in LOOPS:
        raise ConfigError(f"after must be 'validation' or 'training', got {after!r}.")
    if budget is not None:
        number("budget", budget, above=0, hint="It is in seconds per validation.")


def unknown_option(kind: type, name: str) -> ConfigError:
    """The error for an option that a callback does not have, with the nearest one."""
    return unknown(f"option of {kind.__name__}", name, list(inspect.signature(kind).parameters))


def _starts(kind: type) -> bool:
    return "__init__" in vars(kind)


def _options(constructors: Sequence[Callable[..., None]]) -> list[inspect.Parameter]:
    """The named parameters of the first constructor, and those that it passes on to the next."""
    named = list(inspect.signature(constructors[0]).parameters.values())[1:]  # without `self`
    rest = next((p.annotation for p in named if p.kind is p.VAR_KEYWORD), typing.Never)
    named = [p for p in named if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    if rest is typing.Never:
        return named
    known, wanted = {p.name for p in named}, None
    if typing.get_origin(rest) is typing.Unpack:
        wanted = typing.get_type_hints(*typing.get_args(rest)).keys()
    return named + [
        p.replace(kind=p.KEYWORD_ONLY)
        for p in _options(constructors[1:])
        if p.name not in known and (wanted is None or p.name in wanted)
    ]
