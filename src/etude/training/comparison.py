"""A comparison: variants of one experiment, each over the same seeds, in one run, one table and one
figure.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from etude.claims import half_interval
from etude.figures.intervals import Interval, confidence_intervals
from etude.runs.run import Run

Made = TypeVar("Made", covariant=True)
Variant = Callable[[Run], None]
"""A variant that returns nothing; :func:`compare` takes those that return something, too."""


@dataclass(frozen=True)
class Comparison(Generic[Made]):
    """What every variant reached and returned, in the order of the seeds.

    Attributes:
        measured: ``measured[variant][metric]`` has one value a seed.
        made: ``made[variant]`` has what the variant returned, one object a seed: a network, curves
            to draw. None where it returns nothing.
    """

    measured: Mapping[str, Mapping[str, list[float]]]
    made: Mapping[str, Sequence[Made]]

    def mean(self, variant: str, metric: str) -> float:
        """The mean over the seeds."""
        return statistics.fmean(self.measured[variant][metric])

    def gain(self, variant: str, over: str, metric: str) -> list[float]:
        """By how much a variant's metric exceeds another's, seed by seed: what the two share
        cancels.
        """
        pairs = zip(self.measured[variant][metric], self.measured[over][metric], strict=True)
        return [ours - theirs for ours, theirs in pairs]


def compare(
    run: Run,
    variants: Mapping[str, Callable[[Run], Made]],
    seeds: int,
    shown: str,
    *,
    better: Literal["higher", "lower"] = "higher",
    name: str = "comparison",
) -> Comparison[Made]:
    """Execute every variant once for each seed, and keep a table and a figure of what they reached.

    A variant is whatever takes a run and gives it results: a study (``Digits(width=8)``), or a
    method of the comparing study with the difference filled in (``partial(self.train,
    norm="batch")``). All variants get the same seeds, which no run of another seed gives; so
    differences between variants are paired, and runs are independent.

    What a variant returns is given back beside what it measured, so that the study can draw or
    describe it: ``compare(…).made["batch"][0]`` is that of the first seed. A run that is resumed
    executes its variants again, so it is there then too.

    Args:
        run: its results get the mean of every metric, as ``<variant>/<metric>``.
        variants: by name, in the order in which they are shown.
        seeds: how many.
        shown: the metric that the figure is about.
        better: whether higher or lower values of it are.
        name: of the table and the figure.
    """
    measured: dict[str, dict[str, list[float]]] = {variant: {} for variant in variants}
    made: dict[str, list[Made]] = {variant: [] for variant in variants}
    held_out: dict[str, int] = {}
    for k in range(seeds):
        for variant, execute in variants.items():
            with run.part(f"{variant} #{k + 1}", seed=run.seed * seeds + k) as metrics:
                made[variant].append(execute(run))
                held_out |= run.held_out
            for metric, value in metrics.items():
                measured[variant].setdefault(metric, []).append(value)
    metrics_of = list(dict.fromkeys(metric for found in measured.values() for metric in found))
    for metric in metrics_of:
        means = {
            f"{variant}/{metric}": statistics.fmean(m[metric])
            for variant, m in measured.items()
            if metric in m
        }
        run.result(means, held_out=held_out.get(metric, 0))
    rows = [
        [
            variant,
            *(str(interval(found[metric])) if metric in found else "–" for metric in metrics_of),
        ]
        for variant, found in measured.items()
    ]
    known = "mean ± 95 %" if seeds > 2 else "mean"
    run.table(
        name, [f"{known} over {seeds} {'seed' if seeds == 1 else 'seeds'}", *metrics_of], rows
    )
    lines = {
        variant: interval(found[shown]) for variant, found in measured.items() if shown in found
    }
    run.figure(name, confidence_intervals(lines, shown, better=better))
    return Comparison(measured, made)


def interval(values: list[float]) -> Interval:
    """The mean and its 95 % interval; see :func:`etude.claims.half_interval`."""
    return Interval(statistics.fmean(values), half_interval(values), values)
