"""Gymnasium's environments, several copies of one stepped together, saved and restored exactly.

Environments that Gymnasium steps as arrays (CartPole) save these arrays. The worlds of others
(Box2D's) cannot be saved; for each copy the state of its generator before its last reset is kept,
and all actions since. They are played again on loading.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from etude import UserError

Outcome = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Observations, rewards, terminated and truncated, of all copies."""


class Copies(Protocol):
    """Several copies of one environment; one that has ended restarts at its next step."""

    def reset(self) -> np.ndarray: ...
    def step(self, actions: np.ndarray, ended: np.ndarray) -> Outcome: ...
    def observations(self) -> np.ndarray: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: Mapping[str, Any]) -> None: ...


class ArrayCopies:
    """Gymnasium's own vector environment: all copies in a few arrays, and one generator."""

    def __init__(self, name: str, count: int, seed: int, longest: int) -> None:
        self.envs = make_arrays(name, count, longest)
        self.envs.reset(seed=seed)

    def reset(self) -> np.ndarray:
        observations: np.ndarray = self.envs.reset()[0]
        return observations

    def step(self, actions: np.ndarray, ended: np.ndarray) -> Outcome:
        return self.envs.step(actions)[:4]  # type: ignore[no-any-return]

    def observations(self) -> np.ndarray:
        observations: np.ndarray = self.envs.state.T.astype(np.float32)
        return observations

    def state_dict(self) -> dict[str, Any]:
        arrays = {key: getattr(self.envs, key) for key in ("state", "steps", "prev_done")}
        return {"arrays": arrays, "generator": self.envs.np_random.bit_generator.state}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        for key, array in state["arrays"].items():
            setattr(self.envs, key, np.asarray(array).copy())
        self.envs.np_random.bit_generator.state = state["generator"]


class ObjectCopies:
    """One object a copy, stepped one after the other, each with a generator of its own."""

    def __init__(self, name: str, count: int, seed: int, longest: int) -> None:
        self.envs = [make(name, max_episode_steps=longest) for _ in range(count)]
        for k, env in enumerate(self.envs):
            env.unwrapped.np_random = np.random.default_rng([seed, k])
        self.generators: list[dict[str, Any]] = [{}] * count  # states before the last reset
        self.actions: list[list[np.ndarray]] = [[] for _ in self.envs]  # since then
        self.latest: list[Any] = [None] * count  # observations

    def reset(self) -> np.ndarray:
        for k in range(len(self.envs)):
            self._restart(k)
        return self.observations()

    def step(self, actions: np.ndarray, ended: np.ndarray) -> Outcome:
        reward = np.zeros(len(self.envs), np.float32)
        terminated, truncated = np.zeros((2, len(self.envs)), bool)
        for k, env in enumerate(self.envs):
            if ended[k]:
                self._restart(k)
            else:
                self.actions[k].append(actions[k])
                self.latest[k], reward[k], terminated[k], truncated[k], _ = env.step(actions[k])
        return self.observations(), reward, terminated, truncated

    def observations(self) -> np.ndarray:
        return np.stack(self.latest).astype(np.float32)

    def state_dict(self) -> dict[str, Any]:
        actions = [np.array(each) for each in self.actions]
        return {"generators": self.generators, "actions": actions}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        for k, env in enumerate(self.envs):
            env.unwrapped.np_random.bit_generator.state = state["generators"][k]
            self._restart(k)
            for action in np.asarray(state["actions"][k]):
                self.actions[k].append(action)
                self.latest[k] = env.step(action)[0]

    def _restart(self, k: int) -> None:
        self.generators[k] = self.envs[k].unwrapped.np_random.bit_generator.state
        self.actions[k] = []
        self.latest[k] = self.envs[k].reset()[0]


def make_copies(name: str, count: int, seed: int, longest: int) -> Copies:
    """Copies as arrays where Gymnasium has them, else as objects."""
    by_arrays = specification(name).vector_entry_point is not None
    return (ArrayCopies if by_arrays else ObjectCopies)(name, count, seed, longest)


def make(name: str, **options: Any) -> Any:
    """One environment.

    Raises:
        UserError: gymnasium or one of its parts is not installed, or it has no such environment.
    """
    specification(name)
    gymnasium = _gymnasium()
    try:
        return gymnasium.make(name, disable_env_checker=True, **options)
    except gymnasium.error.DependencyNotInstalled:
        raise UserError(
            f"{name} needs more of gymnasium than is installed: pip install 'etude[rl]'"
        ) from None


def make_arrays(name: str, count: int, longest: int) -> Any:
    """Gymnasium's own vector environment of ``count`` copies, truncated after ``longest`` steps."""
    kind = "vector_entry_point"
    made = _gymnasium().make_vec(name, count, kind, max_episode_steps=longest)
    return made.unwrapped


def specification(name: str) -> Any:
    """What Gymnasium knows of an environment; raises ``UserError`` where it has none so called."""
    gymnasium = _gymnasium()
    try:
        return gymnasium.spec(name)
    except gymnasium.error.Error as error:
        reason = str(error).rstrip(".")
        raise UserError(f"gymnasium has no environment '{name}': {reason}") from None


def _gymnasium() -> Any:
    try:
        import gymnasium
    except ImportError:
        raise UserError("environments need gymnasium: pip install 'etude[rl]'") from None
    return gymnasium
