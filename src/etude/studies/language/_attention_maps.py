"""Pictures of attention weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from torch import Tensor

from etude.figures import SEQUENTIAL, canvas


def attention_maps(
    maps: Mapping[str, Tensor], queries: Sequence[str], keys: Sequence[str]
) -> Figure:
    """One panel for each head, one row of panels for each layer; a row of a panel holds the
    attention weights of one query.

    Args:
        maps: by layer, weights of shape (heads, queries, keys); each row adds up to 1.
        queries: the names of the rows, from top to bottom.
        keys: the names of the columns, from left to right.
    """
    heads = max(len(weights) for weights in maps.values())
    words = max(map(len, keys)) > 3
    side = max(1.7, (0.17 if heads > 1 else 0.26) * len(keys))
    figure, axes = canvas(
        side * heads + (1.9 if words else 0.9),
        side * len(queries) / len(keys) * len(maps) + (1.5 if words else 0.9),
        rows=len(maps),
        columns=heads,
    )
    panels = iter(axes)
    for row, (layer, weights) in enumerate(maps.items()):
        for head, one in enumerate(weights.detach().float().cpu().numpy()):  # (queries, keys)
            panel = next(panels)
            image = panel.imshow(one, cmap=SEQUENTIAL, vmin=0, vmax=1)
            panel.set_xticks(range(len(keys)), list(keys), fontsize=7, rotation=90 if words else 0)
            panel.set_yticks(range(len(queries)), list(queries) if head == 0 else [], fontsize=7)
            panel.tick_params(length=0, pad=2)
            panel.spines[:].set_visible(False)
            panel.set_title(
                f"{layer}, head {head + 1}" if heads > 1 else layer, fontsize=9, loc="center", pad=4
            )
            if row == len(maps) - 1:
                panel.set_xlabel("key", fontsize=9)
            if head == 0:
                panel.set_ylabel("query", fontsize=9)
    figure.colorbar(image, ax=axes, shrink=0.6, aspect=30, pad=0.015, label="weight")
    return figure
