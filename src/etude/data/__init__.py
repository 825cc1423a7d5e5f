"""Where data comes from: inside the installed packages, drawn, the user's folder, the cache, the network.

Every loader gives a `Dataset`: `train` and `test`, each a `Labelled` (inputs, labels), the `classes` and the `source`.
Images are uint8 (n, channels, height, width), classes int64 (n,), texts a tuple. Nothing heavy is imported before a
name is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from etude.data.agnews import ag_news
    from etude.data.cifar import CIFAR_10, CIFAR_100, cifar10, cifar100
    from etude.data.embedded import pydoc_topics, uci_digits
    from etude.data.generated import GLYPHS, coloured_glyphs, glyphs, noisy_sine, rings, two_moons, two_spirals
    from etude.data.idx import FASHION, fashion_mnist, mnist, read_idx
    from etude.data.images import like_mnist, like_uci, read_image, to_rgb
    from etude.data.labelled import Dataset, Labelled, folds, hold_out
    from etude.data.sets import SETS
    from etude.data.store import fetch, find, locate, obtain, present, verify
    from etude.data.tables import DIABETES, breast_cancer, diabetes, iris, wine

__all__ = [
    "CIFAR_10", "CIFAR_100", "DIABETES", "FASHION", "GLYPHS", "SETS", "Dataset", "Labelled", "ag_news",
    "breast_cancer", "cifar10", "cifar100", "coloured_glyphs", "diabetes", "fashion_mnist", "fetch", "find", "folds",
    "glyphs", "hold_out", "iris", "like_mnist", "like_uci", "locate", "mnist", "noisy_sine", "obtain", "present",
    "pydoc_topics", "read_idx", "read_image", "rings", "to_rgb", "two_moons", "two_spirals", "uci_digits", "verify",
    "wine",
]  # fmt: skip

_HOME = {
    "agnews": ("ag_news",),
    "cifar": ("CIFAR_10", "CIFAR_100", "cifar10", "cifar100"),
    "embedded": ("pydoc_topics", "uci_digits"),
    "generated": ("GLYPHS", "coloured_glyphs", "glyphs", "noisy_sine", "rings", "two_moons", "two_spirals"),
    "idx": ("FASHION", "fashion_mnist", "mnist", "read_idx"),
    "images": ("like_mnist", "like_uci", "read_image", "to_rgb"),
    "labelled": ("Dataset", "Labelled", "folds", "hold_out"),
    "sets": ("SETS",),
    "store": ("fetch", "find", "locate", "obtain", "present", "verify"),
    "tables": ("DIABETES", "breast_cancer", "diabetes", "iris", "wine"),
}
_MODULE = {name: module for module, names in _HOME.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE[name]}"), name)


def __dir__() -> list[str]:
    return __all__
