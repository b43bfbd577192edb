"""The cost of work on many inputs, from a few."""

import time

import pytest

from explaindebug.core.forecast import Cost, duration, timed


class Clock:
    """A clock that advances only when work is done."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)

    def work(self, inputs: int) -> None:
        self.now += 3 + 0.5 * inputs


class TestEstimate:
    def test_it_is_exact_where_cost_is_linear(self, monkeypatch: pytest.MonkeyPatch) -> None:
        clock = Clock(monkeypatch)
        cost = timed(clock.work, 64)
        assert cost.seconds(64) == pytest.approx(3 + 0.5 * 64)
        assert cost.seconds(1) == pytest.approx(3.5)
        few = timed(clock.work, 4)  # too few to tell what is paid once
        assert few.seconds(4) >= 3 + 0.5 * 4

    def test_what_is_slow_the_first_time_does_not_count(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock, calls = Clock(monkeypatch), list[int]()

        def work(inputs: int) -> None:
            clock.now += 100 if not calls else 0
            calls.append(inputs)
            clock.work(inputs)

        assert timed(work, 64).seconds(64) == pytest.approx(35)
        assert sum(calls) <= 64 // 4

    @pytest.mark.parametrize("budget", [0.1, 3.5, 4.0, 10.0, 1e6])
    def test_so_many_inputs_fit_and_no_more(self, budget: float) -> None:
        cost = Cost(3.5, 0.5)
        inputs = cost.inputs(budget)
        assert inputs == 1 or cost.seconds(inputs) <= budget
        assert cost.seconds(inputs + 1) > budget

    def test_the_slowest_process_counts(self) -> None:
        assert Cost.worst([Cost(1, 5), Cost(2, 4)]) == Cost(2, 5)

    @pytest.mark.parametrize(
        ("seconds", "said"),
        [(0.0412, "0.04 s"), (0.4, "0.4 s"), (2.9, "3 s"), (75, "75 s"), (130, "2 min")],
    )
    def test_no_more_digits_than_an_estimate_has(self, seconds: float, said: str) -> None:
        assert duration(seconds) == said
