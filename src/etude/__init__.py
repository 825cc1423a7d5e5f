"""Etude: deep learning's courses as software that runs.

The public face is small, and imported when it is used::

    run = etude.run("spirals", width=32)         # a study by name, any field changed
    etude.load(run).predict(x)                   # its trained network
    with etude.Run("mine") as run: ...           # the loop, log and exact resume for any script
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from etude import data, figures, training
    from etude.claims import Claim, Control
    from etude.errors import UserError
    from etude.results.load import Trained, load
    from etude.runs.run import Run
    from etude.session import all_studies, run
    from etude.study import (
        Amount,
        Count,
        Fraction,
        Natural,
        OptimizerName,
        Positive,
        Study,
    )

_HOMES = {
    "Amount": "etude.study",
    "Claim": "etude.claims",
    "Control": "etude.claims",
    "Count": "etude.study",
    "Fraction": "etude.study",
    "Natural": "etude.study",
    "OptimizerName": "etude.study",
    "Positive": "etude.study",
    "Run": "etude.runs.run",
    "Study": "etude.study",
    "Trained": "etude.results.load",
    "UserError": "etude.errors",
    "all_studies": "etude.session",
    "load": "etude.results.load",
    "run": "etude.session",
}

__all__ = [
    "Amount",
    "Claim",
    "Control",
    "Count",
    "Fraction",
    "Natural",
    "OptimizerName",
    "Positive",
    "Run",
    "Study",
    "Trained",
    "UserError",
    "all_studies",
    "data",
    "figures",
    "load",
    "run",
    "training",
]


_ROOMS = ("data", "figures", "training")  # whose own faces hand on what they hold


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f"etude.{name}")
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'etude' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
