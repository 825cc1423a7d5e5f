"""When a run saves and stops, by a clock that only the test moves."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from etude.runs.policy import CHECKPOINT_SECONDS, Agreement, Pulse, SavePolicy
from etude.runs.workers import Workers


@dataclass
class Clock:
    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def save(policy: SavePolicy, clock: Clock, seconds: float) -> None:
    with policy.saving():
        clock.now += seconds


def test_a_checkpoint_is_due_half_a_minute_after_the_last_one(clock: Clock) -> None:
    policy = SavePolicy(clock=clock)
    clock.now += CHECKPOINT_SECONDS - 0.1
    assert not policy.due()
    clock.now += 0.1
    assert policy.due()
    save(policy, clock, 0.2)
    assert not policy.due()
    clock.now += CHECKPOINT_SECONDS
    assert policy.due()


def test_where_saving_is_slow_it_takes_at_most_a_fiftieth_of_the_time(clock: Clock) -> None:
    policy = SavePolicy(clock=clock)
    save(policy, clock, 4.0)
    assert policy.pause == 200.0
    clock.now += 199.0
    assert not policy.due()
    clock.now += 1.0
    assert policy.due()
    save(policy, clock, 0.1)
    assert policy.pause == CHECKPOINT_SECONDS


def test_a_pause_that_was_asked_for_is_kept_however_slow_saving_is(clock: Clock) -> None:
    policy = SavePolicy(5.0, clock)
    save(policy, clock, 4.0)
    clock.now += 5.0
    assert policy.due()


def test_a_signal_makes_it_due_at_once(clock: Clock) -> None:
    policy = SavePolicy(clock=clock)
    assert not policy.due()
    policy.signal = 2
    assert policy.due()


def test_seconds_count_anew_where_a_run_goes_on(clock: Clock) -> None:
    policy = SavePolicy(clock=clock)
    clock.now += 100.0
    policy.restart()
    assert not policy.due()


@dataclass
class Others(Workers):
    """Two processes, of which the other says what the test wants it to."""

    size: int = 2
    signal: int = 0
    asked: list[tuple[float, ...]] = field(default_factory=list)

    def highest(self, *values: float) -> list[float]:
        self.asked.append(values)
        return [max(values[0], self.signal), *values[1:]]


def test_processes_agree_about_twice_a_second_whatever_a_step_takes(clock: Clock) -> None:
    workers = Others()
    agreement = Agreement(SavePolicy(clock=clock), workers)
    for step in range(1, 1_001):
        clock.now += 0.01
        agreement.due(step)
    assert 10 / 0.5 <= len(workers.asked) <= 10 / 0.5 + 3


def test_fast_steps_are_not_left_without_agreement_for_long(clock: Clock) -> None:
    workers = Others()
    agreement = Agreement(SavePolicy(clock=clock), workers)
    for step in range(1, 5_001):  # no time goes by
        agreement.due(step)
    assert len(workers.asked) >= 5


def test_a_signal_to_one_process_stops_all_after_the_same_step(clock: Clock) -> None:
    workers = Others(signal=15)
    policy = SavePolicy(clock=clock)
    assert Agreement(policy, workers).due(1)
    assert policy.signal == 15


def test_the_first_process_says_when_all_save(clock: Clock) -> None:
    policy = SavePolicy(clock=clock)
    clock.now += 100.0
    assert Agreement(policy, Others()).due(1)
    assert not Agreement(policy, Others(rank=1)).due(1)


def test_one_process_by_itself_asks_nobody(clock: Clock) -> None:
    policy = SavePolicy(clock=clock)
    agreement = Agreement(policy, Workers())
    assert not agreement.due(1)
    clock.now += 100.0
    assert agreement.due(2)


def test_a_pulse_beats_at_most_once_in_its_time(clock: Clock) -> None:
    pulse = Pulse(1.0, clock)
    beats = []
    for _ in range(35):
        beats.append(pulse.beats())
        clock.now += 0.1
    assert beats[0]
    assert 3 <= sum(beats) <= 4
