"""Broken twins: solutions that violate one condition of an assignment, and no other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Twin:
    """A reference that was changed.

    Attributes:
        what: is wrong with it.
        condition: the only one that it does not meet.
        changes: what stands in the reference, and what stands in its place.
        redrawn: whether what is handed in beside the code is made anew by the changed code.
        files: changes what is handed in beside it.
    """

    what: str
    condition: str
    changes: tuple[tuple[str, str], ...]
    redrawn: bool = False
    files: Callable[[dict[str, bytes]], dict[str, bytes]] | None = None

    def of(self, reference: str) -> str:
        """The reference with the changes.

        Raises:
            ValueError: what is to be changed does not stand there once.
        """
        for old, new in self.changes:
            if reference.count(old) != 1:
                raise ValueError(f"{self.what}: {old!r} stands there {reference.count(old)} times")
            reference = reference.replace(old, new)
        return reference
