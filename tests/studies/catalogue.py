"""How the tests run any study of the catalogue: a few steps of each of its loops."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.collections import Collection
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.text import Text

from etude.catalogue import Catalogue
from etude.entry import Entry
from etude.runs.run import Run
from etude.study import execute

ENTRIES = Catalogue().all()


def shortened(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every loop of every run end after ``steps`` steps; the study itself is as users
    run it.
    """
    whole = Run.steps

    def few(self: Run, batches: Any, wanted: int | None = None, **options: Any) -> Any:
        if wanted is None and hasattr(batches, "__len__"):
            wanted = len(batches)
        return whole(self, batches, min(steps, wanted or steps), **options)

    monkeypatch.setattr(Run, "steps", few)


FEWER = {
    "repeats": 1,
    "path_points": 6,
    "episodes": 10,
    "samples": 20,
    "fakes": 200,
    "tested": 1,
    "frames": 3,
    "divisions": 3,
    "partitions": 1,
    "noise_tables": 2,
    "length": 60,
}
"""Fields that only say how often something is done, after or beside the first loop."""


def perform(entry: Entry, root: Path, **options: Any) -> Run:
    """The study at quick, in fp32, with :data:`FEWER` repetitions."""
    study = entry.load().at("quick")
    fewer = {name: few for name, few in FEWER.items() if getattr(study, name, few) > few}
    study = dataclasses.replace(study, **fewer)
    return execute(study, root=root, precision="fp32", quiet=True, **options)


def numbers(run: Run) -> dict[str, Any]:
    """All that a run reached: weights, metrics, log."""
    rows = [{k: v for k, v in row.items() if k != "seconds"} for row in run.folder.metrics()]
    weights = {path.name: path.read_bytes() for path in run.folder.path.glob("*.safetensors")}
    return {"metrics": run.metrics, "rows": rows, "weights": weights}


def drawn(figure: Figure) -> str:
    """A digest of all that a figure shows, without drawing it."""
    shown = hashlib.sha256()
    for artist in figure.findobj():
        if isinstance(artist, Line2D):
            shown.update(np.asarray(artist.get_xydata(), dtype=float).tobytes())
        elif isinstance(artist, AxesImage):
            shown.update(np.ma.filled(artist.get_array(), 0).tobytes())
        elif isinstance(artist, Collection):
            shown.update(np.ma.filled(artist.get_offsets(), 0).tobytes())
        elif isinstance(artist, Text):
            shown.update(artist.get_text().encode())
    return shown.hexdigest()


def fields_of(study: Any) -> dict[str, Any]:
    return dataclasses.asdict(study)
