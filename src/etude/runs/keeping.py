"""What a run leaves beside its numbers: tables, figures, animations, weights.

Each file is whole or not there.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from etude.errors import UserError
from etude.runs import files, record
from etude.runs.checkpoints import disk_trouble, write_atomically
from etude.runs.folder import RunFolder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from etude.figures.animations import Film


class Names:
    """The files of a run's tables, figures and networks, and the names for which they stand."""

    def __init__(self) -> None:
        self._given: dict[tuple[str, str], str] = {}  # (kind, file): the name

    def file(self, kind: str, name: str) -> str:
        """The name of the file for a ``kind`` of this name.

        Raises:
            UserError: no file may be called so, or that of another name is.
        """
        file = record.file_name(f"the {kind}'s name", name)
        before = self._given.setdefault((kind, file), name)
        if before != name:
            raise UserError(
                f"the {kind}s '{before}' and '{name}' would have one file, '{file}'; expected"
                " another name for one of them"
            )
        return file


def table(
    folder: RunFolder, name: str, columns: Sequence[str], rows: Iterable[Sequence[object]]
) -> list[str]:
    """Write ``tables/<name>.csv``; returns the table's lines as text for a terminal.

    Raises:
        UserError: a row has more or fewer cells than there are columns, or a cell is longer than
            the report reads.
    """
    columns = [*map(str, columns)]
    written = [
        [f"{cell:.4g}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows
    ]
    for number, row in enumerate(written, 1):
        if len(row) != len(columns):
            raise UserError(
                f"table '{name}': row {number} has {len(row)} cells; expected {len(columns)}, one"
                " for each column"
            )
    longest = max(len(cell) for row in [columns, *written] for cell in row) if columns else 0
    if longest > csv.field_size_limit():
        raise UserError(
            f"table '{name}' has a cell of {longest:,} signs; expected at most"
            f" {csv.field_size_limit():,}"
        )
    text = StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([list(columns), *written])
    files.made(folder.tables)
    write_atomically(
        folder.tables / f"{name}.csv", text.getvalue().encode(errors="backslashreplace")
    )
    widths = [max(map(len, column)) for column in zip(columns, *written, strict=True)]
    lines = []
    for line in ([*columns], *written):
        cells = [
            cell.rjust(w) if i else cell.ljust(w)
            for i, (cell, w) in enumerate(zip(line, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def figure(folder: RunFolder | None, name: str, figure: Figure) -> None:
    """Write ``figures/<name>.svg`` and ``.png``, and close the figure, which is all where there is
    no folder. Axes stand for their figure.

    Raises:
        UserError: it is no figure.
    """
    from matplotlib import pyplot
    from matplotlib.figure import Figure

    whole = getattr(figure, "figure", None)  # of axes, the figure; of a figure, itself
    if not isinstance(whole, Figure):
        raise UserError(
            f"figure '{name}' is a {type(figure).__name__}; expected a figure of Matplotlib, such"
            " as pyplot.gcf()"
        )
    figure = whole
    if folder:
        for ending in ("svg", "png"):
            _draw(folder, f"{name}.{ending}", partial(figure.savefig, format=ending, dpi=150))
            figure.set_layout_engine(
                "none"
            )  # what was laid out stays so: to do it again takes as long as to draw
    pyplot.close(figure)


def drawing(folder: RunFolder, name: str, svg: str) -> None:
    """Write ``figures/<name>.svg``."""
    files.made(folder.figures)
    write_atomically(folder.figures / f"{name}.svg", svg.encode(errors="backslashreplace"))


def animation(folder: RunFolder | None, name: str, film: Film, fps: int) -> None:
    """Write ``figures/<name>.gif``, and the last frame as a figure."""
    from etude.figures.animations import write_gif

    if folder:
        shots = list(film.shots())
        _draw(folder, f"{name}.gif", lambda part: write_gif(shots, part, fps))
    figure(folder, name, film.figure)


def weights(folder: RunFolder, name: str, state: Mapping[str, Tensor]) -> None:
    """Write ``<name>.safetensors``."""
    from safetensors.torch import save

    tensors = {key: tensor.detach().cpu().contiguous().clone() for key, tensor in state.items()}
    write_atomically(folder.path / f"{name}.safetensors", save(tensors, {"format": "pt"}))


def _draw(folder: RunFolder, name: str, draw: Callable[[Path], None]) -> None:
    path = folder.figures / name
    try:
        files.made(folder.figures)
        with files.temporary(path) as part:
            draw(part)
            part.replace(path)
    except OSError as error:
        raise disk_trouble(error, path) from error
