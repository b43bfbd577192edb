"""How a run was made, and how it differs from the paper."""

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import fields
from importlib import resources
from pathlib import PurePath
from typing import Any

import yaml

from explaindebug.attributions._engine.specs import chosen
from explaindebug.core import wording
from explaindebug.report.markdown import code
from explaindebug.studies.adebayo2020.entry import TOP_DOWN, Entry
from explaindebug.studies.adebayo2020.published import METHODS

MINE = re.compile(r"(output|store|threads|workers|logger|hydra\.\S+)=|--config-(dir|path)")
FOLDERS = re.compile(r"(?<!\S)/(?:[^/\s]+/)+")  # the folders of an absolute path
NETWORKS = {"figure7": "vgg16", "table3_vgg16": "vgg16"}  # BVD-CNN in all others
PAPERS_INPUTS = 190
ORDERS = {"bottom_up": "from the input up", "independent": "at one stage alone, the others kept"}
ASKED = "attributions"  # the configuration's key for methods


def titled(entry: Entry) -> str:
    """What the run is compared with, and its network if it is not the paper's."""
    own = stand_in(entry)
    return f"{entry.experiment.title}{f', here {own}' if own else ''}"


def stand_in(entry: Entry) -> str:
    """The network's name if it is not the paper's; else empty."""
    own = str(entry.run.settings.get("model.name", "unknown"))
    return "" if own == _network(entry) else own


def _network(entry: Entry) -> str:
    return NETWORKS.get(entry.experiment.name, "bvd_cnn")


def facts(entry: Entry) -> Iterator[tuple[str, str]]:
    """What is needed to reproduce the run, and the accuracies of its networks."""
    made, settings = entry.run.result.made, entry.run.settings
    yield "command", code(command(made.get("command", "unknown")))
    yield "seed", str(settings.get("seed", "unknown"))
    yield "took", f"{made.get('time', 'unknown')}, finished {made.get('finished', 'unknown')}"
    yield "data", ", ".join(_data(entry))
    yield "inputs", f"{_inputs(entry)} of {settings.get('probe')} asked for"
    accuracies = entry.run.result.accuracies
    yield "accuracies", "; ".join(f"{m}, {d}: {wording.num(x, 3)}" for m, d, x in accuracies)
    for gate in entry.test.gates:
        yield "gate", f"{gate.said}: {'passed' if gate.passed else 'FAILED, so void'}"
    for name, value in entry.test.facts.items():
        yield name, FOLDERS.sub(".../", str(value))
    versions = made.get("versions", "unknown").split(", ")
    yield "versions", ", ".join(v for v in versions if not v.startswith("platform"))


def differs(entry: Entry) -> Iterator[str]:
    """Differences from the paper: of this run, and of all our runs."""
    settings = entry.run.settings
    if own := stand_in(entry):
        yield f"The network is `{own}`, where the paper has {_network(entry)}."
    if entry.order != TOP_DOWN:
        how = ORDERS[entry.order]
        yield f"Weights are lost {how}: the stages of the table are those of this order."
    size = settings.get("data.size", "unknown")
    data = _module(entry, "data")
    yield f"Pictures of {size} px, by `{data}`; the paper does not give their size."
    inputs = _inputs(entry)
    if inputs != PAPERS_INPUTS:
        yield f"{inputs} inputs instead of {PAPERS_INPUTS}."
    absent = [m for m in METHODS if m not in entry.names.values()]
    if absent:
        yield f"Without {wording.listed(absent, 16)}."
    if options := list(_options(entry)):
        yield f"Options of methods (those of `preset=paper2020` in brackets): {'; '.join(options)}."
    post = {k: settings.get(f"postprocessing.{k}") for k in ("sign", "normalise")}
    if post != {"sign": "signed", "normalise": "minmax"}:
        said = ", ".join(f"{key} {value}" for key, value in post.items())
        yield f"Maps are post-processed differently: {said}."
    yield from entry.experiment.differs


def _options(entry: Entry) -> Iterator[str]:
    """`SGrad samples 20 (50)` for each method whose options differ from the preset."""
    text = resources.files("explaindebug.configs").joinpath("preset/paper2020.yaml").read_text()
    preset = chosen(yaml.safe_load(text)[ASKED], references=True)
    for key, own in chosen(_asked(entry.run.settings), references=True).items():
        theirs = next((one for one in preset.values() if type(one) is type(own)), None)
        if theirs is not None and own != theirs:
            pairs = ((f.name, getattr(own, f.name), getattr(theirs, f.name)) for f in fields(own))
            said = [f"{name} {mine} ({other})" for name, mine, other in pairs if mine != other]
            yield f"{entry.names.get(key, key)} {', '.join(said)}"


def _asked(settings: Mapping[str, Any]) -> Any:
    """The methods of a run; those given as {name: options} are collected from dotted keys."""
    if ASKED in settings:
        return settings[ASKED]
    asked: dict[str, Any] = {}
    for key, value in settings.items():
        if key.startswith(f"{ASKED}."):
            *path, last = key.split(".")[1:]
            node = asked
            for name in path:
                node = node.setdefault(name, {})
            node[last] = value
    return asked


def command(line: str) -> str:
    """A command line for a shell, without machine-specific parts."""
    words, kept = shlex.split(line), []
    skip = False
    for word in words:
        if skip:
            skip = False
        elif match := MINE.match(word):
            skip = match[0].startswith("--") and "=" not in word
        else:
            kept.append(_without_folders(word))
    return shlex.join(kept)


def _without_folders(word: str) -> str:
    """`data.root=/home/me/photos` as `data.root=.../photos`."""
    key, sign, value = word.rpartition("=")
    if not PurePath(value).is_absolute():
        return word
    return f"{key}{sign}.../{PurePath(value).name}" if sign else PurePath(value).name


def _data(entry: Entry) -> Iterator[str]:
    settings = entry.run.settings
    counts = [str(settings.get(f"data.{part}")) for part in ("train", "val", "test")]
    yield f"`{_module(entry, 'data')}` at {settings.get('data.size')} px"
    yield f"train, val, test: {', '.join(counts)}"
    if entry.test.name == "ood":
        yield f"inputs of `{_module(entry, 'foreign')}`"


def _module(entry: Entry, domain: str) -> str:
    return str(entry.run.settings.get(f"{domain}._target_", "unknown")).rpartition(".")[2]


def _inputs(entry: Entry) -> int:
    return max((v.n + v.missing for v in entry.verdicts.values()), default=0)
