"""Etude from Python: run a study by name, look at the catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from etude.catalogue import Catalogue
from etude.entry import Entry
from etude.study import Study, execute

if TYPE_CHECKING:
    from etude.runs.run import Run


def all_studies() -> list[Entry]:
    """Every study that can be found from here."""
    return Catalogue().all()


def run(study: str | type[Study], *, scale: str = "quick", seed: int = 0, **fields: Any) -> Run:
    """Run a study by its name or by the path of its file: ``etude.run("spirals", width=32)``.

    Args:
        study: as ``etude list`` names it, or ``./mine.py``, or a class derived from
            :class:`etude.Study`.
        scale: a named setting, see ``etude show``.
        seed: of every random generator.
        fields: any field of the study; and ``root``, ``device``, ``precision``, ``compiled``,
            ``checkpoint_every``, ``quiet`` as for :class:`etude.Run`; and ``folds``, to
            cross-validate first on so many parts.

    Raises:
        UserError: no such study, scale or field, or a value that the field does not allow.
    """
    options = ("root", "device", "precision", "compiled", "checkpoint_every", "quiet", "folds")
    settings = {name: fields.pop(name) for name in options if name in fields}
    if isinstance(study, type):
        return execute(study.at(scale, **fields), seed=seed, scale=scale, **settings)
    entry = Catalogue()[study]
    return execute(
        entry.load().at(scale, **fields), seed=seed, scale=scale, source=entry.source, **settings
    )
