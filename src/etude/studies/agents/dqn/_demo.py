"""The demo on the study's page: two carts, one pushed by the agent, one by a simple rule."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor, nn

from etude import figures
from etude.demos import Answer, Bars, Choice, Controls, Demo, Frames, Said, Slider
from etude.demos import Image as Picture
from etude.studies.agents._gymnasium import make_arrays

LONGEST = 500  # steps of a fiftieth of a second
EVERY = 8  # steps from one frame to the next
WIDTH, HEIGHT = 460, 124  # pixels of a track
METRE = 72  # pixels of a metre
FINE = 2  # a track is drawn so many times larger, and then shrunk
Rule = Callable[[Tensor, int], int]
RULES: dict[str, Rule] = {
    "push to where it leans": lambda s, step: int(s[2] > 0),
    "push to where it falls": lambda s, step: int(s[3] > 0),
    "left, right, left, right": lambda s, step: step % 2,
    "always right": lambda s, step: 1,
    "toss a coin": lambda s, step: int(torch.randint(2, ())),
}
"""The push, 0 to the left and 1 to the right, by CartPole's observation (4,) and the step."""


def balancing_demo(reward_scale: float, discount: float) -> Demo:
    """Balance a pole by a rule of one's own choice, against the agent.

    Args:
        reward_scale: the unit in which the network gives Q.
        discount: γ of the agent.
    """
    controls: Controls = {
        "rule": Choice("Your rule", [*RULES], "push to where it leans"),
        "angle": Slider("The pole's angle at first, in degrees", -11.0, 11.0, 3.0, 0.5),
        "velocity": Slider("Its velocity at first, in degrees a second", -90.0, 90.0, 0.0, 5.0),
        "push": Slider("A push in newtons (the agent has learned with 10)", 1.0, 30.0, 10.0, 0.5),
    }
    largest_return = 1 / (1 - discount)  # discounted, if the pole never falls

    def answer(
        net: nn.Module, rule: str, angle: float, velocity: float, push: float
    ) -> Iterator[Answer]:
        frames, (agent, you), q = contest(
            lambda s: reward_scale * net(s), rule, angle, velocity, push, largest_return
        )
        yield frames
        yield Said(
            "",
            f"The agent's pole stood for {agent / 50:.1f} s, yours for {you / 50:.1f} s, of 10.0 s"
            " at most.",
        )
        shares = [value / largest_return for value in q]
        bars = dict(zip(("left", "right"), shares, strict=True))
        yield Bars(f"Q at first, as a part of {largest_return:g}", bars)

    question = "Whose pole stands longer, by your rule or the agent's Q?"
    guesses = ["mine", "the agent's", "both all of ten seconds", "alike, but less"]
    return Demo(question, controls, answer, guesses, live=False)


@torch.no_grad()
def contest(
    values: Callable[[Tensor], Tensor],
    rule: str,
    angle: float,
    velocity: float,
    push: float,
    longest_bar: float,
) -> tuple[Frames, tuple[int, int], list[float]]:
    """Two carts start in the middle with equal poles and go on until both fail or time is up.

    Args:
        values: gives Q of pushes to the left and to the right, (n, 2), for observations (n, 4).
        rule: one of :data:`RULES`.
        angle: of the poles at first, in degrees; positive to the right.
        velocity: of the poles at first, in degrees a second.
        push: the force of a push in newtons.
        longest_bar: the value of the longest bar.

    Returns:
        Frames, the agent's track above; how many steps each pole stood, of :data:`LONGEST` at most,
        the agent's first; and the agent's Q at first, of left and right.

    Raises:
        UserError: gymnasium is not installed.
    """
    world = make_arrays("CartPole-v1", 2, LONGEST)
    world.reset(seed=0)
    world.force_mag = push
    start = np.radians([[0.0], [0.0], [angle], [velocity]])
    world.state = np.repeat(start, 2, axis=1)  # (4, carts)

    states = world.state.T.copy()  # (carts, 4)
    stood = np.zeros(2, int)
    standing = np.ones(2, bool)
    first: list[float] = []
    images, captions = [], []
    for step in count():
        observations = torch.from_numpy(states).float()
        q = values(observations[:1])[0]
        first = first or q.tolist()
        actions = np.array([int(q.argmax()), RULES[rule](observations[1], step)])
        over = step == LONGEST or not standing.any()
        if step % EVERY == 0 or over:
            above = track("the agent", states[0], actions[0], standing[0], q.tolist(), longest_bar)
            below = track(rule, states[1], actions[1], standing[1], [], longest_bar)
            images.append(np.concatenate([above, below]))
            captions.append(f"{step / 50:.1f} s")
        if over:
            break
        moved, _, fell, _, _ = world.step(actions)
        states = np.where(standing[:, None], moved, states)  # a fallen one stays as it fell
        stood += standing
        standing &= ~fell
    frames = Frames("Side by side", images, captions, width=WIDTH, smooth=True)
    return frames, (int(stood[0]), int(stood[1])), first


def track(
    name: str, state: np.ndarray, action: int, standing: bool, q: list[float], longest_bar: float
) -> Picture:
    """A cart on its track, and beside it Q of the pushes: (HEIGHT, WIDTH, 3), from 0 to 1.

    Args:
        name: of the one who pushes.
        state: CartPole's observation, (4,).
        action: the push that an arrow shows, 0 to the left and 1 to the right.
        standing: whether the pole stands.
        q: of left and right; or none.
        longest_bar: the value of the longest bar.
    """
    picture = Image.new("RGB", (FINE * WIDTH, FINE * HEIGHT), "white")
    pen = ImageDraw.Draw(picture)
    font = ImageFont.load_default(12 * FINE)
    blue, orange = figures.PALETTE[:2]
    ink = figures.INK if standing else figures.QUIET
    pole = orange if standing else figures.QUIET
    x, θ = float(state[0]), float(state[2])

    def at(*places: tuple[float, float]) -> list[tuple[float, float]]:
        """Pixels of places in metres, from the middle of the track."""
        return [(FINE * (182 + METRE * a), FINE * (HEIGHT - 18 - METRE * b)) for a, b in places]

    pen.line(at((-2.4, 0), (2.4, 0)), figures.QUIET, FINE)
    for mark in (-2.4, 0.0, 2.4):
        pen.line(at((mark, 0), (mark, -0.08)), figures.QUIET, FINE)
    pen.rectangle(at((x - 0.22, 0.24), (x + 0.22, 0.02)), ink)
    pen.line(at((x, 0.2), (x + np.sin(θ), 0.2 + np.cos(θ))), pole, 5 * FINE)
    if standing:
        way = 1 if action else -1
        tip, back = x - way * 0.24, x - way * 0.34
        pen.line(at((x - way * 0.55, 0.13), (x - way * 0.27, 0.13)), blue, 2 * FINE)
        pen.polygon(at((tip, 0.13), (back, 0.19), (back, 0.07)), blue)
    pen.text((10 * FINE, 4 * FINE), name, ink, font)
    for k, (side, value) in enumerate(zip(("left", "right"), q, strict=False)):
        left, top = 376 * FINE, (40 + 36 * k) * FINE
        length = FINE * 76 * min(max(value / longest_bar, 0), 1)
        bar = blue if k == action and standing else "#c9ced6"
        pen.rectangle((left, top, left + length, top + 8 * FINE), bar)
        pen.text((left, top - 16 * FINE), f"Q({side}) {value:.1f}", ink, font)
    return np.asarray(picture.resize((WIDTH, HEIGHT), Image.Resampling.BOX)) / 255
