"""What a study must reach, what must be left without its idea, and the verdict on both."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

INTERVAL = (
    "the mean over seeds, ± half the width of its 95 % interval by Student's t; 'in all' where"
    " every seed gives the same"
)
"""How what was measured is told, wherever it is."""


@dataclass(frozen=True)
class Claim:
    """A metric, its bound or bounds, where it must hold, and who says so.

    Judged on the mean over seeds 0, 1, …, ``seeds - 1``, or on every one of them where ``each`` is
    set.
    """

    metric: str
    at_least: float | None = None
    at_most: float | None = None
    scale: str = "quick"
    seeds: int = 3
    each: bool = False
    source: str = ""

    def __post_init__(self) -> None:
        if self.at_least is None and self.at_most is None:
            raise ValueError(
                f"the {self.kind} on {self.metric} has no bound: give at_least or at_most"
            )

    @property
    def kind(self) -> str:
        """``claim``, or ``control``."""
        return "claim"

    @property
    def name(self) -> str:
        """What is judged, as people read it."""
        return self.metric

    @property
    def bound(self) -> str:
        """``≥ 0.98``, ``≤ 0.06`` or ``0.4 … 0.6``."""
        if self.at_least is not None and self.at_most is not None:
            return f"{self.at_least:g} … {self.at_most:g}"
        return f"≥ {self.at_least:g}" if self.at_least is not None else f"≤ {self.at_most:g}"

    def allows(self, value: float) -> bool:
        """Whether ``value`` lies within the bounds; a NaN never does."""
        return (self.at_least is None or value >= self.at_least) and (
            self.at_most is None or value <= self.at_most
        )

    def judge(self, values: Sequence[float | None], held_out: int = 0) -> Verdict:
        """The verdict on one value for each seed (None: not measured).

        A perfect score on a held-out set of more than 1,000 examples is suspicious: it is more
        often a leak of test data into training than a triumph, so such a claim does not hold until
        someone has looked.
        """
        import statistics  # judges nothing where studies are only listed

        measured = [v for v in values if v is not None and not math.isnan(v)]
        complete = bool(values) and len(measured) == len(values)
        mean = statistics.fmean(measured) if measured else None
        sd = statistics.stdev(measured) if len(measured) > 1 else None
        suspicious = (
            held_out > 1_000
            and not self.metric.startswith("train/")
            and any(v == 1.0 for v in measured)
        )
        judged = measured if self.each else [mean] if mean is not None else []
        holds = complete and not suspicious and all(self.allows(v) for v in judged)
        return Verdict(self, tuple(values), mean, sd, holds, suspicious)


@dataclass(frozen=True, kw_only=True)
class Control(Claim):
    """The same metric with the idea taken out, over the same seeds.

    A claim that is reached without the idea says nothing of it. So no value within a control's
    bounds satisfies the claim to which it belongs (:func:`check_controls`).

    Args:
        of: the metric that is claimed.
        without: what was taken out, in the words of the field: ``positions``, ``a hidden layer``.
    """

    of: str
    without: str

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("of", "without"):
            if not getattr(self, name):
                raise ValueError(f"the control on {self.metric} does not state '{name}'")

    @property
    def kind(self) -> str:
        """``control``."""
        return "control"

    @property
    def name(self) -> str:
        """The metric, and what was taken out."""
        return f"{self.metric} (control: without {self.without})"

    def excludes(self, claim: Claim) -> bool:
        """Whether no value within these bounds satisfies the claim."""
        lowest = max(_bound(self.at_least, -math.inf), _bound(claim.at_least, -math.inf))
        highest = min(_bound(self.at_most, math.inf), _bound(claim.at_most, math.inf))
        return lowest > highest


def check_controls(claims: Sequence[Claim]) -> None:
    """Hold each control to the claim of which it is one.

    Raises:
        ValueError: there is no such claim at the control's scale, or a value may satisfy both.
    """
    for control in claims:
        if not isinstance(control, Control):
            continue
        beside = [
            claim
            for claim in claims
            if claim.kind == "claim" and (claim.metric, claim.scale) == (control.of, control.scale)
        ]
        if not beside:
            raise ValueError(
                f"the control on {control.metric} is one of {control.of}, which is not claimed at"
                f" scale {control.scale}"
            )
        for claim in beside:
            if not control.excludes(claim):
                raise ValueError(
                    f"the control on {control.metric} may be {control.bound}, and {claim.metric} is"
                    f" claimed {claim.bound}: a value may satisfy both, so the claim would be"
                    " reached without the idea; expected bounds that leave a gap"
                )


def _bound(bound: float | None, otherwise: float) -> float:
    return otherwise if bound is None else bound


@dataclass(frozen=True)
class Verdict:
    """A claim beside its measured values."""

    claim: Claim
    values: tuple[float | None, ...]
    mean: float | None
    sd: float | None
    holds: bool
    suspicious: bool

    @property
    def mark(self) -> str:
        """✓ holds, ✗ does not, ? suspiciously perfect."""
        return "?" if self.suspicious else "✓" if self.holds else "✗"

    @property
    def measured(self) -> str:
        """The mean over seeds and its 95 % interval, ``0.9861 ± 0.0021``; ``1 in all 3`` where all
        seeds give the same; or ``not measured``.
        """
        if self.mean is None:
            return "not measured"
        values = [value for value in self.values if value is not None]
        if self.sd == 0:
            return f"{self.mean:.4g} in all {len(values)}"
        half = half_interval(values)
        return f"{self.mean:.4g}" + ("" if math.isnan(half) else f" ± {half:.2g}")

    def as_json(self) -> dict[str, Any]:
        """Plain data for ``result.json``."""
        about = {"kind": self.claim.kind, "name": self.claim.name, "bound": self.claim.bound}
        return {**asdict(self), "values": list(self.values), **about}


def half_interval(values: Sequence[float]) -> float:
    """Half the width of the mean's 95 % interval, by Student's t; NaN for one or two values.

    Of two values the interval is 12.7 standard errors wide, each way: it says nothing, and often
    contains what can't be, such as an error below 0.
    """
    import statistics

    from scipy.special import stdtrit  # its quantile; scipy.stats takes a second to import

    n = len(values)
    if n <= 2:
        return math.nan
    return float(stdtrit(n - 1, 0.975)) * statistics.stdev(values) / math.sqrt(n)
