"""Paths through the studies: what to do before one, and what it leads to."""

from __future__ import annotations

from collections.abc import Iterable

from etude.catalogue import in_order
from etude.entry import Entry


def before(name: str, entries: Iterable[Entry]) -> list[Entry]:
    """All that a study rests on, each after what it needs itself; the study last.

    Args:
        name: of the study.
        entries: the catalogue. What a study of a user's own needs and is not there is left out.
    """
    there = {entry.name: entry for entry in in_order(list(entries))}
    order: dict[str, Entry] = {}
    waiting: dict[str, None] = {}  # the way from the study to the one that is looked at

    def visit(each: str) -> None:
        if each in order or each in waiting or each not in there:
            return
        waiting[each] = None
        needs = set(there[each].needs)
        for need in there:  # in the catalogue's order
            if need in needs:
                visit(need)
        del waiting[each]
        order[each] = there[each]

    visit(name)
    return list(order.values())


def after(name: str, entries: Iterable[Entry]) -> list[Entry]:
    """The studies that name it among what they need, in the catalogue's order."""
    return [entry for entry in in_order(list(entries)) if name in entry.needs]
