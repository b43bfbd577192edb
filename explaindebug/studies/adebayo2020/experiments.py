"""Which table or figure of the paper a run is put beside."""

from explaindebug.core.errors import ConfigError, DataError
from explaindebug.core.registry import nearest
from explaindebug.evaluation.runs import Run
from explaindebug.studies.adebayo2020.published import EXPERIMENTS, Experiment

TABLE3 = "table3"  # which of its columns follows from what the network was trained on
NAMES = ("table2", "mislabelled", "figure7", TABLE3, *(n for n in EXPERIMENTS if TABLE3 in n))
COLUMNS = {  # data module -> the column of Table 3 whose network learned such data
    "MNIST": "mnist",
    "BirdsDogs": "birds_dogs",
    "Photos": "birds_dogs",
    "ImageNet": "vgg16",
}
MADE = "paper"  # where a run's own notes have the name


def resolved(name: str | None, data: str) -> str | None:
    """The experiment's name in full, `data` being the target of the data's config.

    Raises:
        ConfigError: for a name of no experiment.
    """
    if name is None:
        return None
    if name not in NAMES:
        hint = nearest(name, list(NAMES))
        raise ConfigError(
            f"paper={name!r} names no table of the paper.{hint} Known: {', '.join(NAMES)}, or null."
        )
    if name != TABLE3:
        return name
    return f"{TABLE3}_{COLUMNS.get(data.rpartition('.')[2], 'other')}"


def beside(name: str | None) -> Experiment | None:
    """The experiment of that (full) name; None for none."""
    return EXPERIMENTS.get(name or "")


def experiment_of(run: Run, name: str | None = None) -> Experiment:
    """The experiment of `name`, else that which the run itself names, else that of its only test.

    Raises:
        ConfigError: for a name of no experiment.
        DataError: where a run has several tests and names no experiment, or lacks the test.
    """
    tests = [test.name for test in run.result.tests]
    data = str(run.settings.get("data._target_", ""))
    named = name or run.result.made.get(MADE)
    if named is None:
        of_test = {one.test: TABLE3 if TABLE3 in key else key for key, one in EXPERIMENTS.items()}
        if len(tests) != 1:
            raise DataError(
                f"{run.name} holds {len(tests)} tests ({', '.join(tests)}) and no word of which "
                f"table of the paper it is to be put beside: write table2={run.name}, say. Known: "
                f"{', '.join(NAMES)}."
            )
        named = of_test[tests[0]]
    found = EXPERIMENTS[resolved(named, data) or ""]
    if found.test not in tests:
        raise DataError(
            f"{run.name} can't be put beside {found.title}: it has no test {found.test!r}, only "
            f"{', '.join(tests)}."
        )
    return found
