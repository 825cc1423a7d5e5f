"""Where data comes from: inside the installed packages, drawn, the user's folder, the cache, the
network.

Every loader gives a `Dataset`: `train` and `test`, each a `Labelled` (inputs, labels), the
`classes` and the `source`. Images are uint8 (n, channels, height, width), classes int64 (n,), texts
a tuple. Nothing heavy is imported before a name is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from etude.data.agnews import ag_news
    from etude.data.annotated import Boxed, Parts
    from etude.data.blood import BLOOD_CELLS, bccd
    from etude.data.cifar import CIFAR_10, CIFAR_100, cifar10, cifar100
    from etude.data.corpora import Corpus, bytes_of, tiny_shakespeare
    from etude.data.driving import CAMVID, camvid
    from etude.data.embedded import pydoc_topics, python_help, uci_digits
    from etude.data.generated import (
        GLYPHS,
        coloured_glyphs,
        glyphs,
        noisy_sine,
        rings,
        two_moons,
        two_spirals,
    )
    from etude.data.graphs import LabelledGraph, block_model, karate_club, planetoid
    from etude.data.idx import FASHION, fashion_mnist, mnist, read_idx
    from etude.data.images import like_mnist, like_uci, read_image, to_rgb
    from etude.data.labelled import Dataset, Labelled, folds, hold_out
    from etude.data.numbers import read_numbers
    from etude.data.sets import SETS
    from etude.data.shapes import Scenes, scenes
    from etude.data.store import fetch, find, locate, obtain, present, verify
    from etude.data.tables import DIABETES, breast_cancer, diabetes, iris, wine
    from etude.data.translation import Pairs, Parallel, multi30k, number_words
    from etude.data.views import Views, held_out_views, lego, traced_views

__all__ = [
    "BLOOD_CELLS",
    "CAMVID",
    "CIFAR_10",
    "CIFAR_100",
    "DIABETES",
    "FASHION",
    "GLYPHS",
    "SETS",
    "Boxed",
    "Corpus",
    "Dataset",
    "Labelled",
    "LabelledGraph",
    "Pairs",
    "Parallel",
    "Parts",
    "Scenes",
    "Views",
    "ag_news",
    "bccd",
    "block_model",
    "breast_cancer",
    "bytes_of",
    "camvid",
    "cifar10",
    "cifar100",
    "coloured_glyphs",
    "diabetes",
    "fashion_mnist",
    "fetch",
    "find",
    "folds",
    "glyphs",
    "held_out_views",
    "hold_out",
    "iris",
    "karate_club",
    "lego",
    "like_mnist",
    "like_uci",
    "locate",
    "mnist",
    "multi30k",
    "noisy_sine",
    "number_words",
    "obtain",
    "planetoid",
    "present",
    "pydoc_topics",
    "python_help",
    "read_idx",
    "read_image",
    "read_numbers",
    "rings",
    "scenes",
    "tiny_shakespeare",
    "to_rgb",
    "traced_views",
    "two_moons",
    "two_spirals",
    "uci_digits",
    "verify",
    "wine",
]

_HOME = {
    "agnews": ("ag_news",),
    "annotated": ("Boxed", "Parts"),
    "blood": ("BLOOD_CELLS", "bccd"),
    "cifar": ("CIFAR_10", "CIFAR_100", "cifar10", "cifar100"),
    "corpora": ("Corpus", "bytes_of", "tiny_shakespeare"),
    "driving": ("CAMVID", "camvid"),
    "embedded": ("pydoc_topics", "python_help", "uci_digits"),
    "generated": (
        "GLYPHS",
        "coloured_glyphs",
        "glyphs",
        "noisy_sine",
        "rings",
        "two_moons",
        "two_spirals",
    ),
    "graphs": ("LabelledGraph", "block_model", "karate_club", "planetoid"),
    "idx": ("FASHION", "fashion_mnist", "mnist", "read_idx"),
    "images": ("like_mnist", "like_uci", "read_image", "to_rgb"),
    "labelled": ("Dataset", "Labelled", "folds", "hold_out"),
    "numbers": ("read_numbers",),
    "sets": ("SETS",),
    "shapes": ("Scenes", "scenes"),
    "store": ("fetch", "find", "locate", "obtain", "present", "verify"),
    "tables": ("DIABETES", "breast_cancer", "diabetes", "iris", "wine"),
    "translation": ("Pairs", "Parallel", "multi30k", "number_words"),
    "views": ("Views", "held_out_views", "lego", "traced_views"),
}
_MODULE = {name: module for module, names in _HOME.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE[name]}"), name)


def __dir__() -> list[str]:
    return __all__
