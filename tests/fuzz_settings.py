"""Every key of every configuration, set to every kind of bad value, and what becomes of it.

    python tests/fuzz_settings.py            all of them, with what was accepted to be looked at
    python tests/fuzz_settings.py data=mnist those of one choice of a group

A value is checked as a run checks it, up to the point where data would be read.
"""

import copy
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import OmegaConf, open_dict

import explaindebug.configs
from explaindebug.app.complaints import sentence
from explaindebug.app.run import checked_run
from explaindebug.data import ImageSet

ROOT = Path(explaindebug.configs.__file__).parent
NEEDED = {
    "data.root": "somewhere",
    "foreign.root": "somewhere",
    "callbacks.reference.reference": "some.ckpt",
}
# How each is typed; a group gets these too.
KINDS = {
    "nan": "nan",
    "inf": "inf",
    "negative": "-1",
    "zero": "0",
    "huge": "1000000000000",
    "large float": "1e9",
    "empty text": "''",
    "null": "null",
    "empty list": "[]",
    "empty group": "{}",
    "list": "[7]",
    "group": "{a:7}",
    "number": "7.5",
    "text": "abcd",
    "truth": "true",
}
NEVER = ("nan", "inf", "huge")  # right for no key
PICTURES = ImageSet(np.zeros((2, 48, 48, 3), np.uint8), np.arange(2), ("bird", "dog"))


@dataclass(frozen=True)
class Outcome:
    """What became of one command: refused in a sentence, accepted, or ended by a traceback."""

    choice: tuple[str, ...]
    key: str
    kind: str
    end: str  # "refused", "accepted" or "traceback"
    said: str = ""


def choices() -> list[tuple[str, ...]]:
    """Command lines that reach each choice of each group."""
    found = [()]
    for path in sorted(ROOT.glob("*/*.yaml")):
        if path.parent.name != "experiment" or path.stem != "paper":
            found.append((f"{path.parent.name}={path.stem}",))
    return [(), *[choice for choice in found if choice]]


def overrides_of(choice: tuple[str, ...]) -> list[str]:
    """The choice, with what it needs to be complete."""
    words = [*choice, "output=out", "store=store"]
    config = composed(tuple(words))
    missing = [key for key in NEEDED if OmegaConf.is_missing(*parent(config, key))]
    return [*words, *(f"{key}={NEEDED[key]}" for key in missing)]


def parent(config: Any, key: str) -> tuple[Any, str]:
    """The group that holds a key, and its name there."""
    group, _, name = key.rpartition(".")
    return OmegaConf.select(config, group) or OmegaConf.create({}), name


def key_of(override: Override) -> str:
    return str(override.key_or_group).lstrip("+")


@cache
def composed(words: tuple[str, ...]) -> Any:
    """The configuration of a command line."""
    if not GlobalHydra.instance().is_initialized():
        initialize_config_module("explaindebug.configs", version_base="1.3").__enter__()
    return compose("train", overrides=list(words))


def keys(node: Any, prefix: str = "") -> Iterator[str]:
    """All keys, groups before their own."""
    for key, value in node.items():
        yield f"{prefix}{key}"
        if isinstance(value, Mapping) and prefix.count(".") < 2:
            yield from keys(value, f"{prefix}{key}.")


def attempts() -> Iterator[tuple[tuple[str, ...], list[str], str, str, str]]:
    """(choice, its overrides, key, kind, override); a key with one default is tried once."""
    seen: set[tuple[str, str]] = set()
    for choice in choices():
        words = overrides_of(choice)
        config = OmegaConf.to_container(composed(tuple(words)), resolve=True)
        for key in keys(config):
            value = OmegaConf.select(OmegaConf.create(config), key)
            target = OmegaConf.select(
                OmegaConf.create(config), f"{key.rpartition('.')[0]}._target_"
            )
            mark = (key, str(target), str(type(value)))
            if mark in seen:
                continue
            seen.add(mark)
            for kind, typed in KINDS.items():
                yield choice, words, key, kind, f"++{key}={typed}"
            yield choice, words, key, "misspelt key", f"++{key}x=1"
            if isinstance(value, str) and value not in ("out", "store", "somewhere"):
                yield choice, words, key, "misspelt value", f"++{key}={value}x"


def outcome(
    choice: tuple[str, ...], words: list[str], key: str, kind: str, override: str
) -> Outcome:
    """What becomes of a command with one bad value.

    The override is put into the composed configuration as Hydra does, which takes a second to
    compose.
    """
    (parsed,) = OverridesParser.create().parse_overrides([override])
    config = copy.deepcopy(composed(tuple(words)))
    try:
        with open_dict(config):
            OmegaConf.update(config, key_of(parsed), parsed.value(), force_add=True)
        bench, _ = checked_run(config, Path("out"))
        if key.startswith("model"):
            bench.architecture("data").build(PICTURES)
    except Exception as error:
        said = sentence(error)
        if said is None:
            return Outcome(choice, key, kind, "traceback", f"{type(error).__name__}: {error}")
        return Outcome(choice, key, kind, "refused", said)
    return Outcome(choice, key, kind, "accepted")


def main() -> None:
    wanted = tuple(sys.argv[1:])
    os.chdir(tempfile.mkdtemp())
    found = []
    for attempt in attempts():
        if wanted and attempt[0] != wanted:
            continue
        one = outcome(*attempt)
        found.append(one)
        if one.end != "refused":
            print(
                one.end, " ".join(one.choice) or "default", attempt[-1], one.said[:300], flush=True
            )
    left = [str(path) for path in Path().rglob("*")]
    print(dict(Counter(one.end for one in found)), f"keys: {len({o.key for o in found})}")
    print("left behind:", left or "nothing")


if __name__ == "__main__":
    main()
