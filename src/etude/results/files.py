"""Files that are whole or not there. Needs no torch."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
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


def create(files: Mapping[Path, str | bytes], instead: str) -> None:
    """Write files that are not there yet, with the folders that they need: all of them whole, or
    none.

    Args:
        files: what each is to hold; texts are written in UTF-8.
        instead: what to do where one of them is there already, for the error.

    Raises:
        UserError: one is there already, or can't be written; nothing of them stays behind.
    """
    with ExitStack() as undone:
        for path, content in files.items():
            try:
                for folder in [each for each in reversed(path.parents) if not each.exists()]:
                    folder.mkdir()
                    undone.callback(folder.rmdir)
                with temporary(path, ".{mark}.part") as part:
                    part.write_bytes(content.encode() if isinstance(content, str) else content)
                    _name(part, path)
                undone.callback(path.unlink)
            except FileExistsError:
                raise UserError(f"{path} is there already; {instead}") from None
            except OSError as error:
                raise UserError(f"{path} can't be written: {error.strerror or error}") from None
        undone.pop_all()


def _name(part: Path, path: Path) -> None:
    """Give a file a name that nothing has.

    Raises:
        FileExistsError: something has it.
    """
    try:
        os.link(part, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        path.touch(exist_ok=False)
        part.replace(path)
