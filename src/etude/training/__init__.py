"""What studies of several topics call while they train: each name is imported when it is used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from etude.training.affine import random_affine
    from etude.training.augmentation import (
        cutout,
        flip,
        nudged,
        random_crop,
        random_flip,
        random_mirror,
    )
    from etude.training.averages import Lookahead
    from etude.training.batches import Batches, Windows
    from etude.training.best import Best
    from etude.training.comparison import Comparison, compare, interval
    from etude.training.evaluation import accuracy, evaluating, independent, outputs, psnr
    from etude.training.history import History
    from etude.training.optimizers import descent
    from etude.training.schedules import constant, cosine, one_cycle, step_decay
    from etude.training.validation import cross_validate, split

_MODULES = {
    "affine": ("random_affine",),
    "augmentation": (
        "cutout",
        "flip",
        "nudged",
        "random_crop",
        "random_flip",
        "random_mirror",
    ),
    "averages": ("Lookahead",),
    "batches": ("Batches", "Windows"),
    "best": ("Best",),
    "comparison": ("Comparison", "compare", "interval"),
    "evaluation": ("accuracy", "evaluating", "independent", "outputs", "psnr"),
    "history": ("History",),
    "optimizers": ("descent",),
    "schedules": ("constant", "cosine", "one_cycle", "step_decay"),
    "validation": ("cross_validate", "split"),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(_HOME)
