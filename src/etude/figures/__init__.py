"""Pictures that studies of several topics draw: each name is imported when it is used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from etude.figures.animations import Film
    from etude.figures.classification import confusion_matrix, reliability
    from etude.figures.curves import compared, learning_curves
    from etude.figures.images import filter_grid, image_grid
    from etude.figures.intervals import Interval, confidence_intervals
    from etude.figures.style import (
        DASHES,
        DIVERGING,
        INK,
        PALETTE,
        QUIET,
        SEQUENTIAL,
        canvas,
        finite,
        stroke,
    )

__all__ = [
    "DASHES",
    "DIVERGING",
    "INK",
    "PALETTE",
    "QUIET",
    "SEQUENTIAL",
    "Film",
    "Interval",
    "canvas",
    "compared",
    "confidence_intervals",
    "confusion_matrix",
    "filter_grid",
    "finite",
    "image_grid",
    "learning_curves",
    "reliability",
    "stroke",
]

_MODULES = {
    "animations": ("Film",),
    "classification": ("confusion_matrix", "reliability"),
    "curves": ("compared", "learning_curves"),
    "images": ("filter_grid", "image_grid"),
    "intervals": ("Interval", "confidence_intervals"),
    "style": (
        "DASHES",
        "DIVERGING",
        "INK",
        "PALETTE",
        "QUIET",
        "SEQUENTIAL",
        "canvas",
        "finite",
        "stroke",
    ),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
