"""Create a W&B dashboard of the debugging tests with one command.

    pip install "explaindebug[dashboard]"
    python -m explaindebug.callbacks.dashboard entity/project

It saves a view to the project: the result tables of the application's runs and, for each test, the
curves of all methods, their controls, the heat maps with a slider over epochs, and the table of
scores. `--dry-run` prints the view as JSON instead, and needs no account.
"""

import argparse
import json
import re
import warnings
from collections.abc import Sequence
from typing import Any

from explaindebug.callbacks.heatmap import HeatmapLogger
from explaindebug.callbacks.keys import log_key
from explaindebug.core.errors import ConfigError, ExplainDebugError
from explaindebug.debugtests import known_tests

TESTS = (*known_tests(), HeatmapLogger.test)
TABLES = ("verdicts", "questions", "detectors", "scores")  # of a run of the application
SIMILARITIES = ("ssim", "spearman", "background")


def workspace(
    entity: str,
    project: str,
    tests: Sequence[str] = TESTS,
    similarities: Sequence[str] = SIMILARITIES,
) -> Any:
    """The view, not yet saved; panels for data that a run has not logged stay empty.

    Raises:
        ConfigError: if wandb-workspaces is not installed.
    """
    try:
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            from wandb_workspaces import workspaces
    except ImportError as error:
        raise ConfigError('a dashboard needs: pip install "explaindebug[dashboard]"') from error
    panels = {"results": [_table(log_key("debug", name)) for name in TABLES]}
    panels |= {f"debug: {test}": _panels(test, similarities) for test in tests}
    sections = [workspaces.Section(name, panels=own, is_open=True) for name, own in panels.items()]
    return workspaces.Workspace(
        entity=entity, project=project, name="explaindebug", sections=sections
    )


def curves(test: str, similarity: str, *, control: bool = False) -> str:
    """A regular expression for a test's keys of a similarity, for all methods and conditions.

    If several networks share a run, their names follow the test's; it matches all of them.
    """
    first, second = (re.escape(log_key(name)) for name in (test, similarity))
    arm = "control/" if control else ""
    return f"^debug/{first}(-[^/]+)?/[^/]+/{second}/{arm}[^/]+$"


def _table(key: str) -> Any:
    from wandb_workspaces.reports.v2 import interface as v2

    return v2.WeavePanelSummaryTable(table_name=key)


def _panels(test: str, similarities: Sequence[str]) -> list[Any]:
    from wandb_workspaces.reports.v2 import interface as v2

    maps = v2.MediaBrowser(
        title="heat maps",
        media_keys=[log_key("debug", test, "maps")],
        gallery_axis="step",
        num_columns=1,
    )
    if test == HeatmapLogger.test:
        return [maps]
    lines = [
        v2.LinePlot(
            title=similarity + (", control" if control else ""),
            x="trainer/global_step",
            metric_regex=curves(test, similarity, control=control),
        )
        for similarity in similarities
        for control in (False, True)
    ]
    return [*lines, maps, _table(log_key("debug", test, "scores"))]


def main(arguments: Sequence[str] | None = None) -> None:
    """Save the view, or print it."""
    parser = argparse.ArgumentParser(
        prog="python -m explaindebug.callbacks.dashboard",
        description=(__doc__ or "").split("\n")[0],
    )
    parser.add_argument("project", help="entity/project, as in the project's URL")
    parser.add_argument("--tests", nargs="+", default=TESTS, help="names in keys: debug/<test>/...")
    parser.add_argument("--similarities", nargs="+", default=SIMILARITIES)
    parser.add_argument("--dry-run", action="store_true", help="print the view as JSON")
    given = parser.parse_args(arguments)
    entity, _, project = given.project.partition("/")
    if not project:
        parser.error(f"entity/project expected, got {given.project!r}")
    try:
        view = workspace(entity, project, given.tests, given.similarities)
    except ExplainDebugError as error:
        parser.error(str(error))
    if given.dry_run:
        print(json.dumps(json.loads(view._to_model().model_dump_json(by_alias=True)), indent=1))
    else:
        view.save()


if __name__ == "__main__":
    main()
