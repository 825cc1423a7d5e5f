"""Honest splits: a part of the training data that no step sees, and cross-validation over such
parts.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from etude.data.labelled import Labelled, folds, hold_out
from etude.errors import UserError
from etude.figures.bars import spread
from etude.runs.run import Run

Inputs = TypeVar("Inputs", Tensor, tuple[str, ...])


def split(
    run: Run, rows: Labelled[Inputs], held_out: int
) -> tuple[Labelled[Inputs], Labelled[Inputs]]:
    """(train, validation): `held_out` rows in the second, or one of the folds where the run goes
    through them.

    A study that calls this, and gives its result on the second part as ``validation/…``, can be
    cross-validated: ``etude run STUDY --folds 5``.
    """
    if run.fold is None:
        return hold_out(rows, held_out)
    k, of = run.fold
    return list(folds(rows, of, torch.Generator().manual_seed(run.seed)))[k]


def cross_validate(run: Run, study: Callable[[Run], None], k: int) -> None:
    """Run the study k times, each time validating on another k-th of its training data.

    Gives mean and standard deviation of every ``validation/…`` metric as ``folds/…``, a table and a
    figure. What the folds measure on test data is dropped unseen: it is not what choices are made
    by.

    Raises:
        UserError: the study gives no such metric.
    """
    found: dict[str, list[float]] = {}
    rows = 0
    for i in range(k):
        with run.part(f"fold {i + 1}", seed=run.seed, fold=(i, k)) as metrics:
            study(run)
            rows += max(
                (n for name, n in run.held_out.items() if name.startswith("validation/")), default=0
            )
        validated = {
            name: value for name, value in metrics.items() if name.startswith("validation/")
        }
        if not validated:
            raise UserError(
                f"study {run.name} holds out no validation data; --folds needs a study that does"
            )
        for name, value in validated.items():
            found.setdefault(name.removeprefix("validation/"), []).append(value)
    for name, values in found.items():
        run.result({f"folds/{name}": statistics.fmean(values)}, held_out=rows)
        run.result({f"folds/{name}/sd": statistics.stdev(values)})
        run.figure(f"folds_{name}", spread(values, f"validation {name}", "fold"))
    columns = ["validation", *(f"fold {i + 1}" for i in range(k)), "mean", "sd"]
    run.table(
        "folds",
        columns,
        [[name, *v, statistics.fmean(v), statistics.stdev(v)] for name, v in found.items()],
    )
