"""One episode, played and photographed, and an animation of it with numbers that go along."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.artist import Artist
from torch import Tensor

from etude import figures
from etude.studies.agents._gymnasium import make
from etude.studies.agents._rollouts import Act, discounted_returns


@dataclass
class Episode:
    """One episode with pictures.

    Attributes:
        frames: ``{step: picture}`` of some states, evenly spread, the first and the last among
            them; (height, width, 3), values from 0 to 255.
        observations: (steps + 1, …).
        rewards: (steps,).
        terminated: whether the episode ended by itself, and not by the time limit.
    """

    frames: dict[int, np.ndarray]
    observations: Tensor
    rewards: Tensor
    terminated: bool

    def discounted_returns(self, values: Tensor, γ: float, reward_scale: float = 1.0) -> Tensor:
        """The discounted return that followed each step, (steps,).

        Args:
            values: V of the observations, (steps + 1,); the last counts where time was up.
            γ: the discount.
            reward_scale: rewards are divided by it.
        """
        rewards = self.rewards[:, None] / reward_scale
        ended = torch.zeros_like(rewards, dtype=torch.bool)
        ended[-1] = True
        terminated = ended & self.terminated
        return discounted_returns(rewards, values.cpu()[:, None], terminated, ended, γ).squeeze(1)


@torch.no_grad()
def film(act: Act, name: str, device: torch.device | str = "cpu", most: int = 80) -> Episode:
    """Play one episode and take at most so many pictures; its seed is drawn from PyTorch's.

    Raises:
        UserError: gymnasium, or what it draws with, is not installed.
    """
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # pygame opens no window
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    environment = make(name, render_mode="rgb_array")
    seed = int(torch.randint(2**31, ()))
    observation, _ = environment.reset(seed=seed)
    observations, rewards, actions = [torch.as_tensor(observation)], [], []
    terminated = truncated = False
    while not (terminated or truncated):
        action = act(observations[-1][None].to(device))[0].cpu().numpy()[()]
        observation, reward, terminated, truncated, _ = environment.step(action)
        observations.append(torch.as_tensor(observation))
        rewards.append(float(reward))
        actions.append(action)

    # Now that the length is known: the same episode again, with pictures of some states only. A
    # picture takes as long as a hundred steps.
    steps = len(actions)
    wanted = set(np.linspace(0, steps, min(steps + 1, most)).round().astype(int).tolist())
    draws_all = hasattr(environment.unwrapped, "particles")  # LunarLander's exhaust ages as drawn
    environment.reset(seed=seed)
    frames = {0: environment.render()}
    for step, action in enumerate(actions, start=1):
        environment.step(action)
        if step in wanted or draws_all:
            frames[step] = environment.render()
    environment.close()
    frames = {step: frames[step] for step in sorted(wanted)}
    return Episode(frames, torch.stack(observations), torch.tensor(rewards), bool(terminated))


def animate(frames: Mapping[int, np.ndarray], curves: Mapping[str, Tensor]) -> figures.Film:
    """An episode in motion, and below it curves that are drawn as it goes on.

    Args:
        frames: ``{step: picture}``, as of :class:`Episode`.
        curves: ``{name: values}``, one value for each step, (steps,) or (steps + 1,).
    """
    figure, (top, below) = figures.canvas(4.6, 4.6, rows=2)
    grid = top.get_gridspec()
    assert grid is not None
    grid.set_height_ratios([2.1, 1])
    top.axis("off")
    steps = sorted(frames)
    picture = top.imshow(frames[steps[0]][::2, ::2], interpolation="bilinear")

    values = {name: curve.detach().cpu().numpy() for name, curve in curves.items()}
    lines = {}
    for name, colour in zip(values, figures.PALETTE, strict=False):
        (lines[name],) = below.plot([], [], color=colour, linewidth=1.4, label=name)
    finite = np.concatenate([v[np.isfinite(v)] for v in values.values()])
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
    middle = (low + high) / 2
    half = max(0.56 * (high - low), 0.05 * abs(middle), 1e-3)
    below.set(xlim=(0, max(steps[-1], 1)), ylim=(middle - half, middle + half), xlabel="step")
    below.grid(visible=True, axis="y")
    below.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(values), fontsize=8)

    def draw(number: int) -> list[Artist]:
        step = steps[number]
        picture.set_data(frames[step][::2, ::2])
        for name, line in lines.items():
            line.set_data(np.arange(len(values[name]))[: step + 1], values[name][: step + 1])
        return [picture, *lines.values()]

    return figures.Film(figure, draw, len(steps))
