"""Files that are whole or not there. Needs no torch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from etude.errors import UserError
from etude.runs.files import temporary


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path``; what is written there gets its name when the block ends
    well.

    Raises:
        UserError: the folder is not there or can't be written; nothing half-written stays behind.
    """
    if not path.parent.is_dir():
        raise UserError(f"{path} can't be written: there is no folder {path.parent}")
    if path.is_dir():
        raise UserError(f"{path} can't be written: it is a folder; expected the name of a file")
    try:
        # the ending stays: some writers choose the format by it
        with temporary(path, ".part-{mark}-{name}") as part:
            yield part
            part.replace(path)
    except OSError as error:
        raise UserError(f"{path} can't be written: {error.strerror or error}") from error
