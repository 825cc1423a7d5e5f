"""Two carts with their poles, begun alike: one is pushed by an agent, one by a rule that anybody
could think of.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from etude.demos import Frames
from etude.demos import Image as Picture
from etude.figures.style import INK, PALETTE, QUIET
from etude.training.environments import arrays

LONGEST = 500  # steps of a fiftieth of a second
EVERY = 8  # steps from one frame to the next
WIDTH, HEIGHT, METRE, FINE = (
    460,
    124,
    72,
    2,
)  # a track's pixels, of a metre; drawn so many times finer
RULES: dict[str, Callable[[Tensor, int], int]] = {
    "push to where it leans": lambda s, step: int(s[2] > 0),
    "push to where it falls": lambda s, step: int(s[3] > 0),
    "left, right, left, right": lambda s, step: step % 2,
    "always right": lambda s, step: 1,
    "toss a coin": lambda s, step: int(torch.randint(2, ())),
}
"""What to push to, 0 left and 1 right, by what CartPole shows (4,) and the number of the step."""


@torch.no_grad()
def contest(
    values: Callable[[Tensor], Tensor],
    rule: str,
    angle: float,
    velocity: float,
    push: float,
    most: float,
) -> tuple[Frames, int, int]:
    """Both begin in the middle and at rest, with poles alike, and go on until both have fallen or
    ten seconds are over.

    Args:
        values: observations (n, 4) → (n, 2), what pushes to the left and to the right are worth;
            the higher is taken.
        rule: one of :data:`RULES`.
        angle: of the poles at first, in degrees; to the right is positive.
        velocity: of the poles at first, in degrees a second.
        push: its force in newtons; an agent has learned with 10.
        most: the longest bar's value.

    Returns:
        Frames, the agent above, and for how many steps each pole stood, the agent's first.

    Raises:
        UserError: gymnasium is not installed.
    """
    world = arrays("CartPole-v1", 2, LONGEST)
    world.reset(seed=0)
    world.force_mag = push
    world.state = np.repeat(
        np.radians([[0.0], [0.0], [angle], [velocity]]), 2, axis=1
    )  # (4, carts)
    shown, stood, standing = world.state.T.copy(), np.zeros(2, int), np.ones(2, bool)
    images, captions = [], []
    for step in range(LONGEST + 1):
        seen = torch.from_numpy(shown).float()
        q = values(seen[:1])[0]
        actions = np.array([int(q.argmax()), RULES[rule](seen[1], step)])
        last = step == LONGEST or not standing.any()
        if step % EVERY == 0 or last:
            each = zip(("the agent", rule), shown, actions, standing, (q.tolist(), []), strict=True)
            images.append(np.concatenate([track(*one, most) for one in each]))
            captions.append(f"{step / 50:.1f} s")
        if last:
            break
        state, _, fell, _, _ = world.step(actions)
        shown = np.where(standing[:, None], state, shown)  # one that has fallen stays as it lies
        stood += standing
        standing &= ~fell
    return (
        Frames("Side by side", images, captions, width=WIDTH, smooth=True),
        int(stood[0]),
        int(stood[1]),
    )


def track(
    name: str, state: np.ndarray, action: int, standing: bool, q: list[float], most: float
) -> Picture:
    """A cart on its track, and beside it what the pushes are worth.

    Shape: (height, width, 3), from 0 to 1.

    Args:
        name: of who pushes.
        state: (4,), as CartPole shows it.
        action: 0 pushes left, 1 right; an arrow says so.
        standing: whether the pole does.
        q: of left and right; or none.
        most: the longest bar's value.
    """
    picture = Image.new("RGB", (FINE * WIDTH, FINE * HEIGHT), "white")
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(12 * FINE)
    ground, middle, (x, θ) = HEIGHT - 18, 182, (float(state[0]), float(state[2]))

    def at(*places: tuple[float, float]) -> list[tuple[float, float]]:
        return [(FINE * (middle + METRE * a), FINE * (ground - METRE * b)) for a, b in places]

    pen.line(at((-2.4, 0), (2.4, 0)), QUIET, FINE)
    for end in (-2.4, 0.0, 2.4):
        pen.line(at((end, 0), (end, -0.08)), QUIET, FINE)
    body = INK if standing else QUIET
    pen.rectangle(at((x - 0.22, 0.24), (x + 0.22, 0.02)), body)
    pen.line(
        at((x, 0.2), (x + np.sin(θ), 0.2 + np.cos(θ))), PALETTE[1] if standing else QUIET, 5 * FINE
    )
    if standing:
        way = 1 if action else -1
        pen.line(at((x - way * 0.55, 0.13), (x - way * 0.27, 0.13)), PALETTE[0], 2 * FINE)
        pen.polygon(
            at((x - way * 0.24, 0.13), (x - way * 0.34, 0.19), (x - way * 0.34, 0.07)), PALETTE[0]
        )
    pen.text((10 * FINE, 4 * FINE), name, INK if standing else QUIET, font)
    for k, (way_to, value) in enumerate(zip(("left", "right"), q, strict=False)):
        left, top = 376 * FINE, (40 + 36 * k) * FINE
        length = FINE * 76 * min(max(value / most, 0), 1)
        pen.rectangle(
            (left, top, left + length, top + 8 * FINE),
            PALETTE[0] if k == action and standing else "#c9ced6",
        )
        pen.text(
            (left, top - 16 * FINE), f"Q({way_to}) {value:.1f}", INK if standing else QUIET, font
        )
    return np.asarray(picture.resize((WIDTH, HEIGHT), Image.Resampling.BOX)) / 255
