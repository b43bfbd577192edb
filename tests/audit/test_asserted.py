"""Rates and verdicts, from severities that are given as numbers."""

import csv
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm, t

from explaindebug.audit.asserted import (
    RATE,
    SEVERITY,
    SHUFFLED,
    SPREAD,
    Asserted,
    asserted,
    key_of,
    too_few,
)
from explaindebug.audit.assertions import Assertion, Finite, OffRegion, OnObject
from explaindebug.core.errors import DataError
from explaindebug.evaluation.inference import fewest_for_rate, wilson_interval
from explaindebug.evaluation.roles import BUG, CONTROL
from explaindebug.evaluation.scores import Scores


def outcome(own: Any, *, one: Assertion | None = None, **options: Any) -> Asserted:
    """The outcome of severities (n,) of the model, and of references and shuffled maps."""
    scores = Scores()
    others = options.pop("other", ())
    arms = {BUG: own, SHUFFLED: options.pop("null", None)}
    arms |= dict(zip(("control", "control: 2", "control: 3"), others, strict=False))
    for role, values in arms.items():
        if values is not None:
            add(scores, "it", role, values)
    return asserted({"it": one or Finite()}, scores, **options)


def add(scores: Scores, name: str, role: str, values: Any) -> None:
    """Severities, and the rates that follow from them."""
    rows = np.arange(len(values))
    scores.add(key_of(name, role, SEVERITY), rows, values)
    rates = np.where(np.isnan(values), values, values > 0)
    scores.add(key_of(name, role, RATE), rows, rates)


def violating(count: int, n: int = 128) -> np.ndarray:
    return np.where(np.arange(n) < count, 0.25, 0.0)


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.1, 0.5])
def test_the_fewest_inputs_are_those_whose_interval_just_reaches_the_rate(rate: float) -> None:
    n = fewest_for_rate(rate)
    assert wilson_interval(0.0, n)[1] <= rate < wilson_interval(0.0, n - 1)[1]
    assert not too_few(rate, n, 0.05)
    assert str(n) in too_few(rate, n - 1, 0.05)


def test_verdicts_turn_at_the_ends_of_wilsons_interval() -> None:
    assert fewest_for_rate(0.05) == 73
    assert outcome(violating(0, 73)).verdict == "holds"
    assert outcome(violating(0, 72)).verdict == "can't tell"
    assert outcome(violating(1, 73)).verdict == "can't tell"
    edge = next(k for k in range(129) if wilson_interval(k / 128, 128)[0] > 0.05)
    assert outcome(violating(edge)).verdict == "violated"
    assert outcome(violating(edge - 1)).verdict == "can't tell"
    assert outcome(violating(128), rate=0.999).verdict == "can't tell"


def test_numbers_are_over_inputs_that_have_a_severity() -> None:
    own = np.array([0.0, 0.5, np.nan, 0.25])
    (found,) = outcome(own).outcomes
    assert (found.n, found.missing, found.violations, found.rate) == (3, 1, 2, 2 / 3)
    assert found.severity == pytest.approx(0.25)
    assert found.worst == (1, 3)
    assert (found.low, found.high) == wilson_interval(2 / 3, 3)
    (nothing,) = outcome(np.full(4, np.nan)).outcomes
    assert (nothing.verdict, nothing.n, nothing.missing) == ("can't tell", 0, 4)
    assert outcome(np.empty(0)).verdict == "can't tell"


def test_swapped_arms_are_no_regression() -> None:
    bad, good = violating(32), violating(6)
    (worse,) = outcome(bad, other=[good]).outcomes
    assert worse.regressed
    assert worse.control == 6 / 128
    (better,) = outcome(good, other=[bad]).outcomes
    assert better.regressed is False
    (alone,) = outcome(bad).outcomes
    assert alone.regressed is None
    assert np.isnan(alone.control)
    assert outcome(bad, other=[good], rate=0.9).verdict == "violated"  # it holds, but got worse
    assert outcome(bad, rate=0.9).verdict == "holds"


def test_a_rise_within_the_margin_is_no_regression() -> None:
    rise, before = violating(32), violating(16)
    how: Any = {"other": [before], "spread": 0}
    assert outcome(rise, **how, margin=0.05).regressed == ["it"]
    assert outcome(rise, **how, margin=0.13).regressed == []


def test_a_rise_within_what_seeds_differ_by_is_no_regression() -> None:
    """The t-test over networks, as a closed form: one network beside one, three beside one."""
    rise, before = violating(32), violating(16)  # 0.25 and 0.125
    (p,) = (one.p for one in outcome(rise, other=[before], margin=0.0).outcomes)
    difference = ((rise > 0) * 1.0) - (before > 0)
    error = np.hypot(SPREAD * 2**0.5, difference.std(ddof=1) / 128**0.5)
    assert p == pytest.approx(t.sf(difference.mean() / error, 4), rel=1e-6)
    assert outcome(rise, other=[before], spread=0.01).regressed == ["it"]
    assert outcome(rise, other=[before], spread=0.1).regressed == []

    alike, apart = [violating(k) for k in (15, 16, 17)], [violating(k) for k in (0, 16, 32)]
    (close,), (wide,) = (outcome(rise, other=x).outcomes for x in (alike, apart))
    assert close.control == pytest.approx(wide.control) == 0.125
    assert wide.controls == (0, 0.125, 0.25)
    assert close.regressed
    assert wide.regressed is False
    (swapped,) = outcome(before, other=[violating(k) for k in (31, 32, 33)]).outcomes
    assert swapped.regressed is False


def test_only_inputs_of_both_arms_are_compared() -> None:
    own, other = violating(40), violating(0)
    assert outcome(own, other=[other]).regressed == ["it"]
    other[:40] = np.nan
    assert outcome(own, other=[other]).regressed == []


def test_p_values_are_adjusted_over_all_assertions() -> None:
    scores = Scores()
    for k in range(20):
        add(scores, f"a{k}", BUG, violating(6 if k == 0 else 0, 60))
        add(scores, f"a{k}", CONTROL, violating(0, 60))
    many = asserted({f"a{k}": Finite() for k in range(20)}, scores, margin=0.0, spread=0)
    assert asserted({"a0": Finite()}, scores, margin=0.0, spread=0).regressed == ["a0"]
    assert many.regressed == []


def test_the_null_tells_of_thresholds_that_ask_nothing_or_too_much() -> None:
    easy = outcome(violating(0), null=violating(3), one=OnObject()).outcomes[0]
    assert easy.null == 3 / 128
    assert easy.note
    assert not outcome(violating(0), null=violating(100), one=OnObject()).outcomes[0].note
    assert outcome(violating(0), null=violating(4), one=OffRegion()).outcomes[0].note
    assert not outcome(violating(0), null=violating(3), one=OffRegion()).outcomes[0].note
    assert not outcome(violating(0), null=violating(0), one=Finite()).outcomes[0].note


def test_a_table_has_a_line_per_assertion(tmp_path: Any) -> None:
    found = outcome(violating(2), other=[violating(0), violating(1)])
    found.to_csv(tmp_path / "found.csv")
    with (tmp_path / "found.csv").open(newline="") as file:
        (cells,) = csv.DictReader(file)
    assert cells["name"] == "it"
    assert cells["worst"] == "0 1"
    assert cells["controls"] == "0.0 0.0078125"
    assert found["it"] is found.outcomes[0]
    with pytest.raises(DataError):
        found.scores.add(key_of("it", BUG, SEVERITY), [0], [0.0])


def pairs(rng: np.random.Generator, rates: tuple[float, float], count: int) -> list[bool]:
    """Whether a model has regressed, in simulated pairs with these rates of violations.

    Half of what makes an input hard is common to both networks.
    """
    cuts = norm.isf(rates)
    found = []
    for _ in range(count):
        common, *own = rng.standard_normal((3, 128))
        before, now = (
            np.maximum(0, (common + x) / 2**0.5 - cut) for x, cut in zip(own, cuts, strict=True)
        )
        found.append(bool(outcome(now, other=[before]).regressed))
    return found


def test_error_rates_of_regressions() -> None:
    """Two clean networks, and a rate that rises from 5 % to 25 %, with 128 inputs."""
    rng = np.random.default_rng(0)
    clean = np.mean(pairs(rng, (0.05, 0.05), 200) + pairs(rng, (0.25, 0.25), 200))
    assert clean <= 0.05
    assert np.mean(pairs(rng, (0.05, 0.25), 200)) >= 0.8
