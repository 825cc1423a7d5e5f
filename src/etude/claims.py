"""What a study must reach, and the verdict on what was measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


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
            raise ValueError(f"the claim on {self.metric} has no bound: give at_least or at_most")

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
        """``0.9861 ± 0.0021``, or ``not measured``."""
        if self.mean is None:
            return "not measured"
        return f"{self.mean:.4g}" if self.sd is None else f"{self.mean:.4g} ± {self.sd:.2g}"

    def as_json(self) -> dict[str, Any]:
        """Plain data for ``result.json``."""
        return {**asdict(self), "values": list(self.values), "bound": self.claim.bound}
