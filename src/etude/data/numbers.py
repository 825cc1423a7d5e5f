"""Numbers that a user gives: a text, or any sequence."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from etude.errors import UserError


def read_numbers(input: Any, count: int, names: str = "") -> Tensor:
    """Finite numbers from a text such as ``0.5 -1`` or ``0.5, -1``, a number, or a sequence.

    Shape: (1, count).

    Args:
        input: what was given.
        count: how many it must be.
        names: what they are, for the sentence.

    Raises:
        UserError: they are more, fewer or none.
    """
    try:
        words: Any = input.replace(",", " ").split() if isinstance(input, str) else input
        row = torch.tensor(
            [float(word) for word in (words if hasattr(words, "__iter__") else [words])]
        )
    except (TypeError, ValueError):
        row = torch.empty(0)
    if len(row) != count or not row.isfinite().all():
        several = f"{count} numbers" if count > 1 else "a number"
        raise UserError(
            f"the input is {input!r}; expected {several}{f': {names}' if names else ''}"
        )
    return row[None]
