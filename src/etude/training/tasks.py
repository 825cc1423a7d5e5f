"""What is known of some environments: when they count as solved, what their actions and numbers are
called.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from etude.data.numbers import read_numbers
from etude.training.environments import spaces

GOALS = {
    "CartPole-v1": 475.0,
    "LunarLander-v3": 200.0,
}  # mean returns at which Gymnasium calls them solved
ACTIONS = {
    "CartPole-v1": ("left", "right"),
    "LunarLander-v3": ("nothing", "left engine", "main engine", "right engine"),
}
ANGLES = {
    "CartPole-v1": (2, 3, 0.2, 1.0),
    "LunarLander-v3": (4, 5, 1.0, 1.0),
}  # angle and its velocity; how far each


def action_names(name: str) -> tuple[str, ...]:
    """What the actions are called; by their numbers where that is not known."""
    return ACTIONS.get(name) or tuple(map(str, range(spaces(name)[1])))


def observed(name: str, input: Any) -> Tensor:
    """One observation from numbers, or from a text like ``0 0 0.05 0``. Shape: (1, width).

    Raises:
        UserError: it is not as many numbers as the environment shows.
    """
    return read_numbers(input, spaces(name)[0], f"an observation of {name}")
