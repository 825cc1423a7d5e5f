"""Many copies of one environment, stepped together as tensors, and resumed exactly.

An episode ends in one of two ways. *Termination* is the task's own end: the pole has fallen, and
what follows is worth nothing. *Truncation* is ours: time is up, and what would have followed is
worth what the value network says of the last state. So the two stay apart, and the last state of an
episode is always given.

Copies restart by themselves, one step later. Where an episode ended at step t, row t + 1 of the
observations is its last one, the action at t + 1 is ignored, and row t + 2 is the first of the next
episode. That one step in between is no transition: :attr:`Step.valid` is False, and nothing may be
learned from it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from etude.errors import UserError
from etude.training.returns import advantages

Act = Callable[[Tensor], Tensor]  # observations (n, …) → actions (n, …)
Outcome = tuple[
    np.ndarray, np.ndarray, np.ndarray, np.ndarray
]  # observation, reward, terminated, truncated


class Step(NamedTuple):
    """What one step of n copies gave; each (n,)."""

    reward: Tensor
    terminated: Tensor  # the task's own end
    truncated: Tensor  # time was up
    valid: Tensor  # False: this step only restarted the copy


class Environments:
    """``count`` copies of a Gymnasium environment; stands in ``state``, worlds and random
    generators included.

    Environments that Gymnasium steps as arrays (CartPole) save these arrays. The world of others
    (Box2D's) cannot be saved; for each copy the state of its generator before its last reset is
    kept, and all actions since. They are played again on loading, and the observation that one gets
    must be the one that was saved.

    Args:
        name: Gymnasium's, such as ``CartPole-v1``.
        count: copies.
        seed: of their generators; by default drawn from PyTorch's.
        device: of the tensors given.
        longest: steps after which an episode is truncated, if not the environment's own number.

    Attributes:
        observation: (count, …), what the copies show now.
        ended: (count,), whether the last step ended an episode; the next one restarts.
        steps: transitions so far, of all copies together, restarts not counted.
        last_return, last_length: (count,), of the last finished episode of each copy; NaN before
            there is one.

    Raises:
        UserError: gymnasium is not installed, or there is no such environment.
    """

    observation: Tensor

    def __init__(
        self,
        name: str,
        count: int,
        *,
        seed: int | None = None,
        device: torch.device | str = "cpu",
        longest: int | None = None,
    ) -> None:
        self.name, self.count, self.device = name, count, torch.device(device)
        self.longest = longest or _gymnasium().spec(_known(name)).max_episode_steps
        seed = int(torch.randint(2**31, ())) if seed is None else seed
        by_arrays = _gymnasium().spec(name).vector_entry_point is not None
        self._copies: _Copies = (_Arrays if by_arrays else _Objects)(
            name, count, seed, self.longest
        )
        self.steps = 0
        self.last_return, self.last_length = torch.full((2, count), torch.nan)
        self.reset()

    def reset(self) -> None:
        """Begin a new episode in every copy."""
        self.observation = self._given(self._copies.reset())
        self.ended = torch.zeros(self.count, dtype=torch.bool, device=self.device)
        self._return, self._length = torch.zeros(2, self.count)

    def step(self, actions: Tensor) -> Step:
        """One step of every copy; a copy whose episode had ended restarts instead, whatever its
        action.

        Args:
            actions: (count,) whole numbers, or (count, …).
        """
        valid = ~self.ended
        observation, reward, terminated, truncated = self._copies.step(
            actions.cpu().numpy(), self.ended.cpu().numpy()
        )
        self.observation = self._given(observation)
        given = [torch.from_numpy(x).to(self.device) for x in (reward, terminated, truncated)]
        step = Step(given[0], given[1], given[2], valid)
        self.ended = step.terminated | step.truncated
        ended, valid = self.ended.cpu(), valid.cpu()
        self.steps += int(valid.sum())
        self._return = self._return * valid + step.reward.cpu()
        self._length = self._length * valid + valid
        self.last_return = torch.where(ended, self._return, self.last_return)
        self.last_length = torch.where(ended, self._length, self.last_length)
        return step

    def state_dict(self) -> dict[str, Any]:
        """Everything that changes."""
        return {
            "copies": self._copies.state_dict(),
            "steps": self.steps,
            **{key: getattr(self, key) for key in _TENSORS},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there.

        Raises:
            RuntimeError: the environment does not do again what it did.
        """
        self._copies.load_state_dict(state["copies"])
        self.steps = state["steps"]
        for key in _TENSORS:
            setattr(self, key, state[key].to(getattr(self, key).device))
        if not np.array_equal(self._copies.seen(), self.observation.cpu().numpy()):
            raise RuntimeError(f"{self.name} does not show again what it showed")

    def _given(self, observation: np.ndarray) -> Tensor:
        return torch.from_numpy(np.asarray(observation, np.float32)).to(self.device)


_TENSORS = ("observation", "ended", "last_return", "last_length", "_return", "_length")


@dataclass
class Rollout:
    """T steps of n copies.

    What an episode's steps led to stands in the rows that follow it, its last state included.

    Attributes:
        observations: (T + 1, n, …): row t is what the copies showed before step t.
        actions: (T, n, …).
        rewards, terminated, truncated, valid: (T, n), see :class:`Step`.
    """

    observations: Tensor
    actions: Tensor
    rewards: Tensor
    terminated: Tensor
    truncated: Tensor
    valid: Tensor

    @property
    def ended(self) -> Tensor:
        """(T, n): where an episode ended, one way or the other."""
        return self.terminated | self.truncated

    @property
    def returns(self) -> Tensor:
        """(n,): the sum of all valid rewards of each copy; of whole episodes their returns."""
        return (self.rewards * self.valid).sum(0)


@torch.no_grad()
def play(act: Act, environments: Environments, steps: int | None = None) -> Rollout:
    """Step all copies with one policy, and keep what happened.

    Args:
        act: observations (n, …) → actions (n, …).
        environments: they go on from where they are.
        steps: how many; None: one whole episode in each copy, from a reset, until the last has
            ended. Steps of a copy that has ended before are not valid.
    """
    whole = steps is None
    if whole:
        environments.reset()
    over, before = torch.zeros_like(environments.ended), environments.steps
    observations = [environments.observation]
    actions: list[Tensor] = []
    outcomes: list[Step] = []
    while len(actions) < (environments.longest if steps is None else steps) and not bool(
        over.all()
    ):
        action = act(observations[-1])
        step = environments.step(action)
        if whole:
            step = step._replace(valid=step.valid & ~over)
            over = over | environments.ended
        observations.append(environments.observation)
        actions.append(action)
        outcomes.append(step)
    found = Rollout(
        torch.stack(observations),
        torch.stack(actions),
        *map(torch.stack, zip(*outcomes, strict=True)),
    )
    if whole:  # steps of copies that only waited for the others do not count
        environments.steps = before + int(found.valid.sum())
    return found


def evaluate(act: Act, name: str, episodes: int, device: torch.device | str = "cpu") -> Tensor:
    """Returns of whole episodes of new copies, whose seeds are drawn from PyTorch's generator.

    Shape: (episodes,).

    Every copy plays one episode. To take the first so many to end of a few copies would prefer
    short ones.
    """
    return play(act, Environments(name, episodes, device=device)).returns


@dataclass
class Film:
    """One episode as it looks.

    Attributes:
        frames: pictures (height, width, 3), values from 0 to 255, by the number of steps before
            each; of long episodes only some, evenly spread, the first and the last among them.
        observations: (steps + 1, …).
        rewards: (steps,).
        actions: (steps, …).
        terminated: whether it ended by itself.
    """

    frames: dict[int, np.ndarray]
    observations: Tensor
    rewards: Tensor
    actions: Tensor
    terminated: bool

    def came(self, values: Tensor, γ: float, unit: float = 1.0) -> Tensor:
        """The discounted return that came after each step: (steps,).

        Args:
            values: (steps + 1,), V of the observations; that of the last counts where the episode
                was cut off.
            γ: the discount.
            unit: of the rewards.
        """
        over = torch.arange(len(self.rewards))[:, None] == len(self.rewards) - 1
        V = values.cpu()[:, None]
        found = (
            advantages(self.rewards[:, None] / unit, V, over & self.terminated, over, γ, 1.0)
            + V[:-1]
        )
        return found.squeeze(1)


@torch.no_grad()
def film(act: Act, name: str, device: torch.device | str = "cpu", most: int = 80) -> Film:
    """Play one episode and take pictures; its seed is drawn from PyTorch's generator.

    Args:
        act: chooses actions for a batch of observations.
        name: of the environment.
        device: where observations are put.
        most: pictures of the episode.

    Raises:
        UserError: gymnasium, or what it draws with, is not installed.
    """
    os.environ.setdefault(
        "SDL_VIDEODRIVER", "dummy"
    )  # pygame draws into memory, and opens no window
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    environment = _made(name, render_mode="rgb_array")
    seed = int(torch.randint(2**31, ()))
    seen, _ = environment.reset(seed=seed)
    observations, rewards, actions = [torch.as_tensor(seen)], [], []
    terminated = truncated = False
    while not (terminated or truncated):
        action = act(observations[-1][None].to(device))[0].cpu()
        seen, reward, terminated, truncated, _ = environment.step(action.numpy()[()])
        observations.append(torch.as_tensor(seen))
        rewards.append(float(reward))
        actions.append(action)

    # Now that its length is known, the same episode again: a picture takes as long as a hundred
    # steps.
    steps = len(actions)
    shown = set(np.linspace(0, steps, min(steps + 1, most)).round().astype(int).tolist())
    environment.reset(seed=seed)
    frames = {0: environment.render()}
    ages = hasattr(
        environment.unwrapped, "particles"
    )  # LunarLander's exhaust grows older only when it is drawn
    for step, action in enumerate(actions, start=1):
        environment.step(action.numpy()[()])
        if step in shown or ages:
            frames[step] = environment.render()
    environment.close()
    frames = {step: frames[step] for step in sorted(shown)}
    return Film(
        frames,
        torch.stack(observations),
        torch.tensor(rewards),
        torch.stack(actions),
        bool(terminated),
    )


def spaces(name: str) -> tuple[int, int]:
    """How many numbers an observation has, and how many actions there are to choose from.

    Raises:
        UserError: there is no such environment, or its actions are not so many choices.
    """
    environment = _made(name)
    if not hasattr(environment.action_space, "n"):
        raise UserError(
            f"the actions of {name} are numbers; expected an environment with a choice of actions"
        )
    return int(np.prod(environment.observation_space.shape)), int(environment.action_space.n)


def arrays(name: str, count: int, longest: int) -> Any:
    """Gymnasium's own vector environment, where it has one: all copies in a few arrays.

    Args:
        name: CartPole's is one.
        count: copies.
        longest: steps after which an episode is truncated.

    Raises:
        UserError: gymnasium is not installed.
    """
    make = _gymnasium().make_vec
    return make(
        name, num_envs=count, vectorization_mode="vector_entry_point", max_episode_steps=longest
    ).unwrapped


class _Copies(Protocol):
    def __init__(self, name: str, count: int, seed: int, longest: int) -> None: ...

    def reset(self) -> np.ndarray: ...

    def step(self, actions: np.ndarray, ended: np.ndarray) -> Outcome: ...

    def seen(self) -> np.ndarray: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None: ...


class _Arrays:
    """Gymnasium's own vector environment: all copies in a few arrays, and one generator."""

    def __init__(self, name: str, count: int, seed: int, longest: int) -> None:
        self.envs = arrays(name, count, longest)
        self.envs.reset(seed=seed)

    def reset(self) -> np.ndarray:
        observation: np.ndarray = self.envs.reset()[0]
        return observation

    def step(self, actions: np.ndarray, ended: np.ndarray) -> Outcome:
        return self.envs.step(actions)[:4]  # type: ignore[no-any-return]

    def seen(self) -> np.ndarray:
        seen: np.ndarray = self.envs.state.T.astype(np.float32)
        return seen

    def state_dict(self) -> dict[str, Any]:
        arrays = {key: getattr(self.envs, key) for key in ("state", "steps", "prev_done")}
        return {"arrays": arrays, "generator": self.envs.np_random.bit_generator.state}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        for key, array in state["arrays"].items():
            setattr(self.envs, key, np.asarray(array).copy())
        self.envs.np_random.bit_generator.state = state["generator"]


class _Objects:
    """One object a copy, stepped one after the other."""

    def __init__(self, name: str, count: int, seed: int, longest: int) -> None:
        self.envs = [_made(name, max_episode_steps=longest) for _ in range(count)]
        for k, env in enumerate(self.envs):
            env.unwrapped.np_random = np.random.default_rng([seed, k])
        self.began: list[dict[str, Any]] = [
            {} for _ in self.envs
        ]  # each generator's state before the last reset
        self.since: list[list[np.ndarray]] = [[] for _ in self.envs]  # actions after it
        self.shown: list[Any] = [None for _ in self.envs]

    def reset(self) -> np.ndarray:
        for k in range(len(self.envs)):
            self._begin(k)
        return self.seen()

    def step(self, actions: np.ndarray, ended: np.ndarray) -> Outcome:
        reward = np.zeros(len(self.envs), np.float32)
        terminated, truncated = np.zeros((2, len(self.envs)), bool)
        for k, env in enumerate(self.envs):
            if ended[k]:
                self._begin(k)
            else:
                self.since[k].append(actions[k])
                self.shown[k], reward[k], terminated[k], truncated[k], _ = env.step(actions[k])
        return self.seen(), reward, terminated, truncated

    def seen(self) -> np.ndarray:
        return np.stack(self.shown).astype(np.float32)

    def state_dict(self) -> dict[str, Any]:
        return {"began": self.began, "since": [np.array(actions) for actions in self.since]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        for k, (env, began, since) in enumerate(
            zip(self.envs, state["began"], state["since"], strict=True)
        ):
            env.unwrapped.np_random.bit_generator.state = began
            self._begin(k)
            for action in np.asarray(since):
                self.since[k].append(action)
                self.shown[k] = env.step(action)[0]

    def _begin(self, k: int) -> None:
        self.began[k], self.since[k] = self.envs[k].unwrapped.np_random.bit_generator.state, []
        self.shown[k] = self.envs[k].reset()[0]


def _gymnasium() -> Any:
    try:
        import gymnasium
    except ImportError:
        raise UserError("environments need gymnasium: pip install 'etude[rl]'") from None
    return gymnasium


def _known(name: str) -> str:
    gymnasium = _gymnasium()
    try:
        gymnasium.spec(name)
    except gymnasium.error.Error as error:
        raise UserError(
            f"gymnasium has no environment '{name}': {str(error).rstrip('.')}"
        ) from None
    return name


def _made(name: str, **options: Any) -> Any:
    gymnasium = _gymnasium()
    try:
        return gymnasium.make(_known(name), disable_env_checker=True, **options)
    except gymnasium.error.DependencyNotInstalled:
        raise UserError(
            f"{name} needs more of gymnasium than is installed: pip install 'etude[rl]'"
        ) from None
