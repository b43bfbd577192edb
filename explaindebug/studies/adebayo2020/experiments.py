"""Which table or figure of the paper a run is compared with."""

from explaindebug.core.errors import ConfigError, DataError
from explaindebug.core.registry import nearest
from explaindebug.evaluation.runs import Run
from explaindebug.studies.adebayo2020.published import EXPERIMENTS, Experiment

TABLE3 = "table3"  # its column depends on the network's training data
NAMES = ("table2", "mislabelled", "figure7", TABLE3, *(n for n in EXPERIMENTS if TABLE3 in n))
COLUMNS = {  # data module -> column of Table 3 with a network trained on such data
    "MNIST": "mnist",
    "BirdsDogs": "birds_dogs",
    "Photos": "birds_dogs",
    "ImageNet": "vgg16",
}
MADE = "paper"  # key of the name in a run's provenance


def resolved(name: str | None, data: str) -> str | None:
    """The experiment's full name; `data` is the target in the data's config.

    Raises:
        ConfigError: for an unknown name.
    """
    if name is None:
        return None
    if name not in NAMES:
        hint = nearest(name, list(NAMES))
        raise ConfigError(
            f"paper={name!r} is not a table of the paper.{hint} Known: {', '.join(NAMES)}, or null."
        )
    if name != TABLE3:
        return name
    return f"{TABLE3}_{COLUMNS.get(data.rpartition('.')[2], 'other')}"


def beside(name: str | None) -> Experiment | None:
    """The experiment of that (full) name; None for None."""
    return EXPERIMENTS.get(name or "")


def experiment_of(run: Run, name: str | None = None) -> Experiment:
    """The experiment called `name`, else the one that the run names, else that of its only test.

    Raises:
        ConfigError: for an unknown name.
        DataError: if the run has several tests and names no experiment, or lacks the test.
    """
    tests = [test.name for test in run.result.tests]
    data = str(run.settings.get("data._target_", ""))
    named = name or run.result.made.get(MADE)
    if named is None:
        of_test = {one.test: TABLE3 if TABLE3 in key else key for key, one in EXPERIMENTS.items()}
        if len(tests) != 1:
            raise DataError(
                f"{run.name} has {len(tests)} tests ({', '.join(tests)}) and does not say which "
                f"table of the paper to compare it with: write table2={run.name}, for example. "
                f"Known: {', '.join(NAMES)}."
            )
        named = of_test[tests[0]]
    found = EXPERIMENTS[resolved(named, data) or ""]
    if found.test not in tests:
        raise DataError(
            f"{run.name} can't be compared with {found.title}: it has no test {found.test!r}, only "
            f"{', '.join(tests)}."
        )
    return found
