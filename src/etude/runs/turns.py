"""Whose turn it is: the runs of a process, each begun within the one before it.

All of them draw from the same generators of random numbers. So the innermost run alone takes steps,
and when it is over the generators are where it found them.
"""

from __future__ import annotations

import os
from threading import get_ident
from typing import Any
from weakref import ref

from etude.errors import UserError
from etude.runs.random_state import random_state, restore_random_state

UNDER_WAY: list[ref[Turn]] = []


class Turn:
    """One run's place among those under way in this process.

    Args:
        name: of the run.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._thread = (0, 0)  # process and thread
        self._outer_random: dict[str, Any] | None = None  # random state of the run around this one

    def take(self) -> None:
        """Become the innermost run of this process.

        Raises:
            UserError: a run is under way in another thread, which draws from the same numbers.
        """
        me = (os.getpid(), get_ident())
        around = [turn for each in UNDER_WAY if (turn := each()) is not None]
        around = [turn for turn in around if turn._thread[0] == me[0]]  # not of a fork's parent
        UNDER_WAY[:] = [ref(turn) for turn in around]
        if any(turn._thread != me for turn in around):
            raise UserError(
                f"run {around[-1].name} is under way in another thread of this process, and both"
                " would draw from the same random numbers; expected one run after the other, or"
                " processes"
            )
        self._thread = me
        UNDER_WAY.append(ref(self))
        self._outer_random = random_state() if around else None

    def give_back(self) -> None:
        """The run is over: the one around it goes on with its own random numbers."""
        UNDER_WAY[:] = [each for each in UNDER_WAY if each() not in (None, self)]
        if self._outer_random is not None:
            restore_random_state(self._outer_random)

    def check(self) -> None:
        """Raise a UserError where a run that was begun later is under way."""
        inner = UNDER_WAY[-1]()
        if inner is not self:
            raise UserError(
                f"run {self.name} is asked for a step while {inner.name if inner else 'another'} is"
                " under way, which draws from the same random numbers; expected one after the other"
            )
