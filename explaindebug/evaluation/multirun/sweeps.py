"""Sweeps of one setting of a test, and the level from which a method shows the bug."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, takewhile

from explaindebug.core import wording
from explaindebug.evaluation.multirun.comparison import Across, Variant
from explaindebug.evaluation.results import Gate, Verdict

FEWEST = 3  # levels: two make a comparison, not a curve


@dataclass(frozen=True)
class Level:
    """The test at one value of the setting, pooled over its runs."""

    value: float
    verdicts: Mapping[str, Verdict]  # by method, of all runs together
    gates: Sequence[Gate]  # the first gate of each run that has any
    void: bool  # in all of its runs


@dataclass(frozen=True)
class Sweep:
    """A test at three or more levels of one numeric setting, all else equal."""

    test: str  # "spurious"
    title: str  # "Spurious tag", with other settings if they differ as well
    setting: str  # "fraction"
    levels: Sequence[Level]  # in increasing order
    rows: Mapping[str, str] = field(default_factory=dict)  # of the test's tables: `TestResult.rows`

    @property
    def name(self) -> str:
        """`Spurious tag over fraction`, for display."""
        return f"{self.title} over {self.setting}"

    def shown_from(self, method: str) -> float | None:
        """The smallest value from which on the method shows the bug at all values; None if none."""
        return self._from(
            lambda level: method in level.verdicts and level.verdicts[method].answer == "shows"
        )

    def learned_from(self) -> float | None:
        """The smallest value from which on the test is never void; None if there is none."""
        return self._from(lambda level: not level.void)

    def _from(self, holds: Callable[[Level], bool]) -> float | None:
        last = list(takewhile(holds, reversed(self.levels)))
        return last[-1].value if last else None

    def sentence(self, names: Mapping[str, str]) -> str:
        """From where methods show it: `Spurious tag: GBP shows it from fraction 0.1 on`."""
        names = self.rows or names
        from_where = {method: self.shown_from(method) for method in names}
        levels = sorted({value for value in from_where.values() if value is not None})
        last = self.levels[-1].value
        if not levels:
            return f"{self.title}: no method shows it at {self.setting} {last:g}."
        parts: list[str] = []
        for value in levels:
            who = [names[m] for m, least in from_where.items() if least == value]
            verb = "" if parts else f" show{'s' * (len(who) == 1)} it"
            what = "" if parts else f"{self.setting} "
            where = f"at {what}{value:g}" if value == last else f"from {what}{value:g} on"
            parts.append(f"{wording.listed(who)}{verb} {where}")
        never = [names[m] for m, least in from_where.items() if least is None]
        parts += [f"{wording.listed(never)} not even at {last:g}"] if never else []
        return f"{self.title}: {', '.join(parts)}."


def sweeps(result: Across) -> list[Sweep]:
    """The sweeps among the runs, test by test.

    A setting is swept if it is a number in all variants of a test and takes three or more values
    with all others the same.
    """
    found = []
    for test, variants in groupby(result.variants, key=lambda variant: variant.test):
        own = list(variants)
        for key in own[0].values:
            if all(_is_number(variant.values[key]) for variant in own):
                found += _over(result, test, key, own)
    return found


def _over(result: Across, test: str, key: str, variants: Sequence[Variant]) -> list[Sweep]:
    """A sweep over the key per combination of the other settings."""
    groups: dict[str, list[Variant]] = {}
    for variant in variants:
        others = {k: v for k, v in variant.values.items() if k != key}
        title = variant._replace(values=others).title
        groups.setdefault(title, []).append(variant)
    return [
        Sweep(
            test,
            title,
            variants[0].short(key),
            [_level(result, v, key) for v in sorted(group, key=lambda v: float(v.values[key]))],
            group[0].results[0].rows,
        )
        for title, group in groups.items()
        if len({variant.values[key] for variant in group}) >= FEWEST
    ]


def _level(result: Across, variant: Variant, key: str) -> Level:
    together = result.together[result.variants.index(variant)]
    gates = [test.gates[0] for test in variant.results if test.gates]
    void = all(test.void for test in variant.results)
    return Level(float(variant.values[key]), together, gates, void)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
