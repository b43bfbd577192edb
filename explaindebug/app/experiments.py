"""Several experiments by one command (`experiment=paper`): checked together, then run in turn."""

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra import compose
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from explaindebug.app.error_messages import sentence
from explaindebug.app.locks import alone_in
from explaindebug.app.progress import console, say
from explaindebug.app.run import carried_out, command, prepared, run
from explaindebug.app.run_folder import claim
from explaindebug.app.settings import settings
from explaindebug.core.errors import ConfigError, ExplainDebugError
from explaindebug.core.registry import nearest
from explaindebug.evaluation.runs import flat, read_run
from explaindebug.studies.adebayo2020.claims import CLAIMS, findings
from explaindebug.studies.adebayo2020.console import print_claims
from explaindebug.studies.adebayo2020.entry import Entry
from explaindebug.studies.adebayo2020.provenance import command as shown
from explaindebug.studies.adebayo2020.write import write_results

PARTS = "parts"  # the key that says which experiments there are
OWN = ("data", "model", "bug")  # groups of which each experiment has its own choice
CONSUMED = (PARTS, "experiment", "output", "hydra")  # keys that are not handed on
PROBLEMS = (ExplainDebugError, OSError)


@dataclass(frozen=True)
class Part:
    """One experiment: what is typed to run it alone, and where it goes."""

    name: str
    overrides: tuple[str, ...]
    folder: Path
    config: DictConfig

    @property
    def typed(self) -> str:
        """The command that runs it alone."""
        program = ["python", *sys.argv[:1]] if sys.argv[0].endswith(".py") else sys.argv[:1]
        return shlex.join([*program, *self.overrides])

    @property
    def finished(self) -> bool:
        """Whether it lies complete in its folder; its report is written last."""
        return (self.folder / "report.html").is_file()


def start(config: DictConfig) -> None:
    """Run the configuration: one experiment, or all that it lists.

    Raises:
        ConfigError, DataError, ...: for whatever is wrong, before anything is trained.
    """
    if PARTS not in config:
        run(config)
        return
    hydra = HydraConfig.get()
    folder = Path(hydra.runtime.output_dir)
    parts = composed(config, list(hydra.overrides.task), folder)
    with alone_in(folder):
        check(parts)
        failed = run_all(parts)
        conclude(parts, folder)
    if failed:
        raise ConfigError(f"not all could be run. {listed(failed)}")


def composed(config: DictConfig, overrides: Sequence[str], folder: Path) -> list[Part]:
    """Every experiment composed from what was typed, each override where it has a meaning.

    Raises:
        ConfigError: for a choice that can't be that of all, and for an override that fits none.
    """
    if (folder / "run.json").is_file():
        raise ConfigError(
            f"{folder} holds a single run, and several experiments need a folder to be put below. "
            "Give an empty or a new one with output=..."
        )
    general = [one for one in parsed(overrides) if handed_on(one)]
    lists: Mapping[str, Any] = OmegaConf.to_container(config[PARTS], resolve=True)  # type: ignore[assignment]
    refuse_unknown(lists)
    unfit: dict[str, list[str]] = {}
    parts = []
    for name, mapping in lists.items():
        own = [line(key, value) for key, value in flat(mapping)]
        fixed = [f"experiment={name}", f"output={written(str(folder / name))}"]
        every = [str(one.input_line) for one in general]
        bad = [typed for typed in every if not composes([*fixed, typed, *choices(own)])]
        for typed in bad:
            unfit.setdefault(typed, []).append(name)
        words = (*fixed, *(typed for typed in every if typed not in bad), *own)
        parts.append(Part(name, words, folder / name, compose(_root(), overrides=list(words))))
    for typed, names in unfit.items():
        if len(names) == len(parts):
            raise ConfigError(f"{typed} fits none of the experiments: {', '.join(names)}.")
        say(f"{typed}: not for {', '.join(names)}")
    return parts


def parsed(typed: Sequence[str]) -> list[Override]:
    """The overrides of a command line."""
    return OverridesParser.create().parse_overrides(overrides=list(typed))


def handed_on(override: Override) -> bool:
    """Whether an override is for the experiments at all.

    Raises:
        ConfigError: for one that would give all of them the data, network or bug of one.
    """
    key = str(override.key_or_group)
    if key in OWN or key.startswith("model."):
        raise ConfigError(
            f"{override.input_line} would be that of all experiments, and each has its own. Give "
            f"it to one of them: +{PARTS}.table2.{str(override.input_line).lstrip('+')}"
        )
    return key.partition(".")[0] not in CONSUMED


def refuse_unknown(lists: Mapping[str, Any]) -> None:
    """Raises ConfigError for a part that is no experiment, and for one without keys."""
    known = _experiments()
    for name, own in lists.items():
        if name not in known:
            hint = nearest(name, known)
            raise ConfigError(f"{PARTS}.{name}: unknown experiment {name!r}.{hint}")
        if not isinstance(own, Mapping):
            raise ConfigError(
                f"{PARTS}.{name} is {own!r}, must have keys: +{PARTS}.{name}.data.size=112"
            )


def line(key: str, value: Any) -> str:
    """A part's key as an override: a choice of a group, or a value that may be new."""
    return f"{'++' if '.' in key else ''}{key}={written(value)}"


def written(value: Any) -> str:
    """A value as Hydra reads it."""
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{written(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(written, value)) + "]"
    return json.dumps(value)


def choices(own: Sequence[str]) -> list[str]:
    """Those of a part's overrides that choose other data, networks, ...: they decide on keys."""
    return [typed for typed in own if not typed.startswith("++")]


def composes(overrides: Sequence[str]) -> bool:
    """Whether there is a configuration with these overrides."""
    try:
        compose(_root(), overrides=list(overrides))
    except HydraException:
        return False
    return True


def check(parts: Sequence[Part]) -> None:
    """Refuse what can't be run, all of it together, before anything is trained.

    Raises:
        ConfigError: with a sentence for each of the experiments that lack something.
    """
    problems = {}
    for part in parts:
        say(f"\n{part.name}: {'done' if part.finished else 'is checked'}", style="bold")
        try:
            if part.finished:
                claim(part.folder, settings(part.config))
            else:
                prepared(part.config, part.folder)
        except Exception as error:
            problems[part.name] = told(error)
    if problems:
        raise ConfigError(f"nothing was trained yet. {listed(problems)}")


def run_all(parts: Sequence[Part]) -> dict[str, str]:
    """Run what is not finished; what went wrong, by experiment, ends only that one."""
    failed = {}
    for k, part in enumerate(parts):
        if part.finished:
            continue
        say(f"\n{part.name}, experiment {k + 1} of {len(parts)}", style="bold")
        try:
            with alone_in(part.folder):
                session, tests = prepared(part.config, part.folder)
                carried_out(session, tests, part.config, typed=part.typed)
        except PROBLEMS as error:
            failed[part.name] = told(error)
            say(f"{part.name} ended: {failed[part.name]}")
    return failed


def conclude(parts: Sequence[Part], folder: Path) -> None:
    """The page of all experiments that are complete, and the paper's claims on the console."""
    entries = [Entry.of(read_run(part.folder)) for part in parts if part.finished]
    print_claims(findings(CLAIMS, entries), console)
    page = write_results(
        entries, folder / "results.md", command=shown(command()), title="The paper and these runs"
    )
    say(f"\neverything is in {folder}; read {page}")


def told(error: Exception) -> str:
    """The error as a sentence; one that is ours is raised again."""
    said = sentence(error)
    if said is None:
        raise error
    return said


def listed(problems: Mapping[str, str]) -> str:
    """Each experiment with what is wrong with it."""
    return " ".join(f"{name}: {said}" for name, said in problems.items())


def _root() -> str:
    return str(HydraConfig.get().job.config_name)


def _experiments() -> list[str]:
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.object_type import ObjectType

    loader = GlobalHydra.instance().config_loader()
    found: list[str] = loader.get_group_options("experiment", ObjectType.CONFIG)
    return found
