"""The composed configuration, checked before anything is trained."""

import inspect
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

from explaindebug.app.classifier import Schedule
from explaindebug.errors import ConfigError
from explaindebug.paper.kinds import resolved
from explaindebug.registry import nearest


@dataclass
class Settings:
    """All top-level keys of the configuration, with their types."""

    seed: int
    attributions: Any  # "all", a name, or a list of names and {name: options}
    similarities: Any
    postprocessing: Any
    nulls: Any
    margin: float  # effects up to this size don't count as showing the bug
    level: float  # the promised rate of false alarms
    clusters: str | None  # which inputs count as one: those of a "class", or none
    probe: int  # inputs per test
    pictures: int  # inputs whose maps are drawn
    chunk: int
    workers: Any  # int or None: chosen by the network's size
    threads: int | None
    lr: float
    schedule: str  # of the learning rate
    patience: int | None  # epochs without a lower validation loss that end a training
    output: str
    store: str
    data: dict[str, Any] = field(default_factory=dict)
    foreign: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)
    bug: dict[str, Any] = field(default_factory=dict)
    trainer: dict[str, Any] = field(default_factory=dict)
    logger: dict[str, Any] = field(default_factory=dict)
    callbacks: dict[str, Any] = field(default_factory=dict)
    foreign_model: Any = None  # a group like `model`; None: the foreign domain's is the same
    paper: str | None = None  # the table of the paper that the run is put beside

    def __post_init__(self) -> None:
        for name, least in (("probe", 2), ("pictures", 0), ("chunk", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise ConfigError(f"{name} must be at least {least}, got {getattr(self, name)}.")
        if self.clusters not in (None, "class"):
            raise ConfigError(f"clusters is null or class, got {self.clusters!r}.")
        for name, low, high in (("margin", 0, 1), ("level", 0, 1)):
            if not low < getattr(self, name) < high:
                raise ConfigError(
                    f"{name} must lie between {low} and {high}, got {getattr(self, name)}."
                )
        if self.threads is not None and self.threads < 1:
            raise ConfigError(f"threads must be at least 1, or null, got {self.threads}.")
        if self.lr <= 0:
            raise ConfigError(f"lr must be above 0, got {self.lr}.")
        if self.schedule not in typing.get_args(Schedule):
            known = ", ".join(typing.get_args(Schedule))
            raise ConfigError(f"unknown schedule {self.schedule!r}. Known: {known}.")
        if self.patience is not None and self.patience < 1:
            raise ConfigError(f"patience must be at least 1, or null, got {self.patience}.")
        resolved(self.paper, str(self.data.get("_target_", "")))


def settings(config: DictConfig) -> Settings:
    """The configuration as checked `Settings`.

    Raises:
        ConfigError: for an unknown key, with the nearest known one, or a value of a wrong type.
    """
    known = [f.name for f in fields(Settings)]
    plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, dict)
    for key in plain:
        if key not in known:
            raise ConfigError(f"unknown key {key!r}.{nearest(str(key), known)}")
    checked = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Settings), plain))
    assert isinstance(checked, Settings)
    for group in ("data", "foreign", "bug", "trainer", "logger", "callbacks"):
        check_node(getattr(checked, group), group)
    for group in ("model", "foreign_model"):
        check_network(getattr(checked, group), group)
    return checked


def check_network(node: Any, where: str) -> None:
    """Check what builds a network; `train`, which says what becomes of it, is not for its builder.

    Raises:
        ConfigError: for an option that the builder has not, or a value of a wrong type.
    """
    if node is None:
        return
    if not isinstance(node, Mapping):
        raise ConfigError(f"{where} is {node!r}: choose a model, model@{where}=bvd_cnn, or null.")
    _check_type(node.get("train", True), bool, f"{where}.train")
    check_node({key: value for key, value in node.items() if key != "train"}, where)


def check_node(node: Any, where: str) -> None:
    """Check every `_target_` below `node` against the signature of what it builds.

    Raises:
        ConfigError: for an option that the target has not, or a value of a wrong type.
    """
    if not isinstance(node, Mapping):
        return
    if "_target_" in node:
        _check_call(dict(node), where)
    for key, value in node.items():
        check_node(value, f"{where}.{key}")


def _check_call(node: dict[str, Any], where: str) -> None:
    try:
        target = get_object(node["_target_"])
    except Exception as error:
        raise ConfigError(
            f"{where}._target_: {node['_target_']!r} can't be imported ({error})."
        ) from error
    options = {k: v for k, v in node.items() if not k.startswith("_")}
    known, open_ended = _parameters(target)
    for name, value in options.items():
        if name in known:
            _check_type(value, known[name], f"{where}.{name}")
        elif not open_ended:
            hint = nearest(name, list(known))
            raise ConfigError(
                f"unknown key {where}.{name}.{hint} {node['_target_']} takes: {', '.join(known)}."
            )


def _parameters(target: Any) -> tuple[dict[str, Any], bool]:
    """Options of a callable with their types, its base classes' too where it passes them on."""
    known: dict[str, Any] = {}
    classes = inspect.getmro(target) if inspect.isclass(target) else (target,)
    for one in classes:
        function = one.__init__ if inspect.isclass(one) else one
        if inspect.isclass(one) and "__init__" not in vars(one):
            continue
        parameters = inspect.signature(function).parameters.values()
        try:
            hints = typing.get_type_hints(function)
        except Exception:  # a third party's annotation that can't be resolved is no reason to stop
            hints = {}
        for p in parameters:
            if p.name != "self" and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY):
                known.setdefault(p.name, hints.get(p.name, Any))
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            return known, False
    return known, True


def _check_type(value: Any, hint: Any, where: str) -> None:
    accepted = _accepts(value, hint)
    if accepted is False:
        wanted = getattr(hint, "__name__", None) or str(hint).replace("typing.", "")
        if typing.get_origin(hint) is not None:
            wanted = str(hint).replace("typing.", "")
        raise ConfigError(
            f"{where} is {value!r} of type {type(value).__name__}, but must be {wanted}."
        )


def _accepts(value: Any, hint: Any) -> bool:
    """Whether a plain value fits an annotation; what can't be judged passes."""
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_accepts(value, one) for one in typing.get_args(hint))
    if origin is typing.Literal:
        return value in typing.get_args(hint)
    if hint is None or hint is type(None):
        return value is None
    if hint is bool:
        return isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is str:
        return isinstance(value, str)
    if origin in (list, tuple, Sequence) or hint in (list, tuple):
        return isinstance(value, list | tuple)
    if origin in (dict, Mapping) or hint is dict:
        return isinstance(value, Mapping)
    return True
