"""Finds studies, by folder listings and by reading their source (see :mod:`etude.reading`).

A study is a folder that holds a Python file of its own name, with one class derived from ``Study``,
and its lesson, ``README.md``; a user's own may also be a single such file with its lesson as the
docstring. Studies come from three places: this package, the entry points ``etude.studies`` of other
packages, and any path that a user names.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable
from contextlib import suppress
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from etude.entry import Entry
from etude.errors import UserError, nearest
from etude.reading import read
from etude.sources import tree_of

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

STUDIES = Path(__file__).parent / "studies"
GROUP = "etude.studies"  # of entry points


class Catalogue:
    """All studies that can be found from here, by name."""

    @cached_property
    def files(self) -> dict[str, tuple[Path, str]]:
        """``{name: (file, module)}``, read from folder listings alone."""
        files = {}
        for topic in topics():
            for path in sorted((STUDIES / topic).glob("*/*.py")):
                if path.stem == path.parent.name:
                    files[path.stem] = (path, f"etude.studies.{topic}.{path.stem}.{path.stem}")
        for point in _entry_points():
            from importlib.util import find_spec

            spec = find_spec(point.value)
            if spec and spec.origin:
                files[point.name] = (Path(spec.origin), point.value)
        return files

    def __getitem__(self, name: str) -> Entry:
        """A study by its name, or by the path of its file or folder.

        Raises:
            UserError: there is none, with the nearest name; or its file can't be read.
        """
        if name.endswith(".py") or "/" in name:
            return read(_main_file(name), None)
        if name not in self.files:
            raise UserError(f"no study '{name}'{nearest(name, self.files)}")
        return read(*self.files[name])

    def all(self) -> list[Entry]:
        """Every study, by topic and name."""
        return [read(path, module) for path, module in self.files.values()]


def topics() -> dict[str, str]:
    """``{topic: title}`` in the order in which courses go; both stand in
    ``studies/<topic>/__init__.py``.

    Raises:
        ValueError: such a file states no ``TITLE`` and ``ORDER``.
    """
    return _topics(STUDIES)


@cache
def _topics(studies: Path) -> dict[str, str]:
    found = []
    for path in studies.glob("*/__init__.py"):
        stated = {
            node.targets[0].id: ast.literal_eval(node.value)
            for node in tree_of(path).body
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        }
        if not {"TITLE", "ORDER"} <= stated.keys():
            raise ValueError(
                f"{path} states no TITLE and ORDER; expected both, for the topic's place among"
                " others"
            )
        found.append((stated["ORDER"], path.parent.name, stated["TITLE"]))
    return {name: title for _, name, title in sorted(found)}


def in_order(entries: Iterable[Entry]) -> list[Entry]:
    """Entries by topic, as courses go, and by name; those of no topic of ours last."""
    place = {topic: number for number, topic in enumerate(topics())}
    return sorted(
        entries, key=lambda entry: (place.get(entry.topic, len(place)), entry.topic, entry.name)
    )


def _main_file(name: str) -> Path:
    try:
        path = Path(name).resolve()
        folder, file = path.is_dir(), path.is_file()
    except (OSError, ValueError) as error:  # a folder that may not be entered, a name too long
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"no study file can be looked for at {name}: {reason}") from None
    if folder:
        path /= f"{path.name}.py"
        if not path.is_file():
            raise UserError(
                f"{name} holds no {path.name}; expected a folder with a study in a file of its own"
                " name"
            )
    elif not file:
        raise UserError(
            f"no study file at {name}; expected a Python file with one class derived from Study"
        )
    return path


def _entry_points() -> Iterable[EntryPoint]:
    """Those of other packages.

    What reads them takes 30 ms to import, so look first whether anyone has some.
    """
    files = (file for folder in sys.path for file in Path(folder).glob("*-info/entry_points.txt"))
    with suppress(OSError):  # one that may not be read: then let the library see to it
        if not any(
            f"[{GROUP}]" in file.read_text(encoding="utf-8", errors="replace") for file in files
        ):
            return ()
    from importlib import metadata

    return metadata.entry_points(group=GROUP)
