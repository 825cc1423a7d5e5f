"""What studies of several topics call while they train: each name is imported when it is used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from etude.training.augmentation import (
        cutout,
        flip,
        random_affine,
        random_crop,
        random_flip,
        shifted_views,
    )
    from etude.training.batches import Batches, Windows
    from etude.training.best import Best
    from etude.training.comparison import Comparison, compare, interval
    from etude.training.evaluation import accuracy, evaluating, independent, outputs, psnr
    from etude.training.history import History
    from etude.training.optimizers import descent
    from etude.training.schedules import constant, cosine, one_cycle, step_decay
    from etude.training.validation import cross_validate, split

__all__ = [
    "Batches",
    "Best",
    "Comparison",
    "History",
    "Windows",
    "accuracy",
    "compare",
    "constant",
    "cosine",
    "cross_validate",
    "cutout",
    "descent",
    "evaluating",
    "flip",
    "independent",
    "interval",
    "one_cycle",
    "outputs",
    "psnr",
    "random_affine",
    "random_crop",
    "random_flip",
    "shifted_views",
    "split",
    "step_decay",
]

_MODULES = {
    "augmentation": (
        "cutout",
        "flip",
        "random_affine",
        "random_crop",
        "random_flip",
        "shifted_views",
    ),
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
    return __all__
