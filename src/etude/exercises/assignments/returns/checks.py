"""What the returns are asked."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from etude.exercises.checks import (
    Code,
    agree,
    array_of,
    check,
    numeric_gradient,
    require,
    same_answer,
    values_of,
)

# -- returns ---------------------------------------------------------------------------------------


@check("returns", public=True)
def three_rewards(student: Code, reference: Code, rng: Generator) -> None:
    found = student.call("discounted_returns", np.array([1.0, 2, 3]), 0.5)
    agree(found, np.array([2.75, 3.5, 3]), "the returns of 1, 2, 3 with a discount of ½")
    same_answer(
        student, reference, "discounted_returns", rng.normal(size=9), 0.9, what="the returns"
    )


@check("returns")
def long_episodes_and_extreme_discounts(student: Code, reference: Code, rng: Generator) -> None:
    rewards = rng.normal(size=400)
    for gamma in (0.01, 0.5, 1.0):
        what = f"the returns of 400 steps with a discount of {gamma}"
        same_answer(student, reference, "discounted_returns", rewards, gamma, what=what)
    agree(
        student.call("discounted_returns", rewards, 0.0),
        rewards,
        "the returns with a discount of 0",
    )
    agree(
        student.call("discounted_returns", np.empty(0), 0.9),
        np.empty(0),
        "the returns without steps",
    )


def _steps(rng: Generator, n: int = 8) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    ended = rng.random(n) < 0.3
    ended[:2] = False, True
    return rng.normal(size=n), rng.normal(size=n), ended


@check("td", public=True)
def targets_of_some_steps(student: Code, reference: Code, rng: Generator) -> None:
    same_answer(student, reference, "td_target", *_steps(rng), 0.9, what="the targets")


@check("td")
def nothing_follows_an_end(student: Code, reference: Code, rng: Generator) -> None:
    rewards, next_values, _ = _steps(rng)
    all_of_them = np.ones(8, bool)
    next_values[3] = 1e9
    found = student.call("td_target", rewards, next_values, all_of_them, 0.7)
    agree(found, rewards, "the targets where all has ended")
    same_answer(
        student, reference, "td_target", *_steps(rng), 1.0, what="the targets without discount"
    )


@check("n-step", public=True)
def two_steps_ahead(student: Code, reference: Code, rng: Generator) -> None:
    values = np.array([9.0, 9, 8, 4])
    found = student.call("n_step_returns", np.array([1.0, 2, 3]), values, 2, 0.5)
    agree(found, np.array([4, 4.5, 5]), "the returns of two steps")
    rewards, values = rng.normal(size=7), rng.normal(size=8)
    same_answer(
        student,
        reference,
        "n_step_returns",
        rewards,
        values,
        3,
        0.9,
        what="the returns of three steps",
    )


@check("n-step", points=2)
def one_step_and_more_than_there_are(student: Code, reference: Code, rng: Generator) -> None:
    rewards, values = rng.normal(size=6), rng.normal(size=7)
    found = student.call("n_step_returns", rewards, values, 1, 0.8)
    agree(found, rewards + 0.8 * values[1:], "the returns of one step")
    for n in (6, 20):
        found = student.call("n_step_returns", rewards, values, n, 0.8)
        whole = [*rewards[:-1], rewards[-1] + 0.8 * values[-1]]
        expected = reference.call("discounted_returns", np.array(whole), 0.8)
        agree(found, expected, f"the returns of {n} steps where there are 6")
    for n in (2, 5):
        same_answer(student, reference, "n_step_returns", rewards, values, n, 1.0)
        same_answer(student, reference, "n_step_returns", rewards, values, n, 0.0)


# -- advantages ------------------------------------------------------------------------------------


@check("advantages", public=True)
def one_episode(student: Code, reference: Code, rng: Generator) -> None:
    rewards, values, going = rng.normal(size=6), rng.normal(size=7), np.zeros(6, bool)
    arguments = (rewards, values, going, 0.9, 0.8)
    same_answer(student, reference, "advantages", *arguments, what="the estimates")
    found = student.call("advantages", rewards, values, going, 0.9, 0.0)
    agree(found, rewards + 0.9 * values[1:] - values[:-1], "the estimates where λ is 0")


@check("advantages")
def several_episodes(student: Code, reference: Code, rng: Generator) -> None:
    rewards, _, ended = _steps(rng)
    values = rng.normal(size=9)
    for gamma, lam in ((0.9, 0.8), (1.0, 1.0), (0.7, 0.3)):
        arguments = (rewards, values, ended, gamma, lam)
        same_answer(student, reference, "advantages", *arguments, what="the estimates")
    first = array_of(student.call("advantages", rewards, values, ended, 0.9, 0.8), (8,))[:2]
    rewards[2:] += 5
    values[2:] -= 3
    second = array_of(student.call("advantages", rewards, values, ended, 0.9, 0.8), (8,))[:2]
    agree(second, first, "the estimates of an episode, when only the next one changes,")


@check("advantages")
def where_lambda_is_one_they_are_returns(student: Code, reference: Code, rng: Generator) -> None:
    rewards, values, ended = rng.normal(size=7), rng.normal(size=8), np.zeros(7, bool)
    ended[-1] = True
    found = student.call("advantages", rewards, values, ended, 0.9, 1.0)
    returns = reference.call("discounted_returns", rewards, 0.9)
    agree(found, returns - values[:-1], "the estimates where λ is 1")


# -- values of actions -----------------------------------------------------------------------------


@check("epsilon-greedy", public=True)
def mostly_the_best(student: Code, reference: Code, rng: Generator) -> None:
    q = np.array([[1.0, 3, 2, 0]])
    found = student.call("epsilon_greedy", q, 0.2)
    agree(found, np.array([[0.05, 0.85, 0.05, 0.05]]), "the probabilities")
    same_answer(student, reference, "epsilon_greedy", rng.normal(size=(5, 3)), 0.3)


@check("epsilon-greedy")
def equally_good_actions(student: Code, reference: Code, rng: Generator) -> None:
    q = rng.integers(-3, 1, (12, 5)).astype(float)
    q[0] = 2.0
    for epsilon in (0.0, 0.4, 1.0):
        found = array_of(student.call("epsilon_greedy", q, epsilon), (12, 5), "the answer")
        agree(found.sum(1), np.ones(12), "the sum of the probabilities")
        expected = reference.call("epsilon_greedy", q, epsilon)
        agree(found, expected, f"the probabilities where ε is {epsilon:g}")
    agree(found, np.full((12, 5), 0.2), "the probabilities where ε is 1")


@check("double-q", public=True)
def one_chooses_the_other_judges(student: Code, reference: Code, rng: Generator) -> None:
    online, target = np.array([[1.0, 5, 3]]), np.array([[7.0, 2, 9]])
    arguments = (np.array([10.0]), np.array([False]), online, target, 0.5)
    agree(student.call("double_q_target", *arguments), np.array([11.0]), "the target")


@check("double-q")
def targets_of_many_steps(student: Code, reference: Code, rng: Generator) -> None:
    for actions in (1, 4):
        rewards, _, ended = _steps(rng, 20)
        online, target = rng.integers(0, 4, (20, actions)), rng.normal(size=(20, actions))
        arguments = (rewards, ended, online.astype(float), target, 0.9)
        same_answer(student, reference, "double_q_target", *arguments, what="the targets")


def _world(rng: Generator, states: int = 5, actions: int = 3) -> tuple[np.ndarray, np.ndarray]:
    moves = rng.random((actions, states, states)) ** 3
    return moves / moves.sum(2, keepdims=True), rng.normal(size=(actions, states))


@check("value-iteration", public=True)
def one_look_ahead(student: Code, reference: Code, rng: Generator) -> None:
    moves = np.array([[[1.0, 0], [0, 1]], [[0, 1], [1, 0]]])  # stay, or change places
    rewards = np.array([[0.0, 1], [-1, 0]])
    found = student.call("value_iteration_step", np.array([2.0, 4]), moves, rewards, 0.5)
    agree(found, (np.array([1.0, 3]), np.array([0, 0])), "values and actions")
    found = student.call("value_iteration_step", np.array([2.0, 8]), moves, rewards, 0.5)
    agree(found, (np.array([3.0, 5]), np.array([1, 0])), "values and actions")
    world = _world(rng)
    same_answer(student, reference, "value_iteration_step", rng.normal(size=5), *world, 0.9)


@check("value-iteration")
def many_steps_find_what_stays(student: Code, reference: Code, rng: Generator) -> None:
    moves, rewards = _world(rng)
    values = np.zeros(5)
    for _ in range(60):
        found = values_of(student.call("value_iteration_step", values, moves, rewards, 0.6), 2)
        values = array_of(found[0], (5,), "the values")
    best = found[1]
    agree(best, reference.call("value_iteration_step", values, moves, rewards, 0.6)[1], "the best")
    states = np.arange(5)
    # The values of a policy solve a linear system.
    own = np.linalg.solve(np.eye(5) - 0.6 * moves[best, states], rewards[best, states])
    agree(values, own, "the values after 60 steps, beside those of their best actions,")


@check("value-iteration")
def two_guesses_come_closer(student: Code, reference: Code, rng: Generator) -> None:
    moves, rewards = _world(rng, 6, 2)
    one, other = 5 * rng.normal(size=(2, 6))
    far = np.abs(one - other).max()
    new = [
        array_of(
            values_of(student.call("value_iteration_step", v, moves, rewards, 0.7), 2)[0], (6,)
        )
        for v in (one, other)
    ]
    near = np.abs(new[0] - new[1]).max()
    require(bool(near <= 0.7 * far + 1e-9), "two guesses do not come closer by the discount")
    agree(new[0], reference.call("value_iteration_step", one, moves, rewards, 0.7)[0], "the values")
    same = np.zeros((3, 2, 2)) + 0.5, np.zeros((3, 2))
    found = student.call("value_iteration_step", np.ones(2), *same, 1.0)
    agree(found, (np.ones(2), np.zeros(2, int)), "values and actions where all are equally good")


# -- policies --------------------------------------------------------------------------------------


def _policies(rng: Generator, n: int = 14) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ratios on both sides of 0.8 and 1.2 and between, with advantages of both signs."""
    ratio = np.resize([0.4, 0.6, 0.9, 1.0, 1.1, 1.5, 2.5], n) + rng.uniform(-0.05, 0.05, n)
    old = -rng.uniform(0.5, 3, n)
    sign = np.repeat([1.0, -1.0], n // 2)
    return old + np.log(ratio), old, sign * rng.uniform(0.5, 2, n)


@check("ppo", public=True)
def the_loss(student: Code, reference: Code, rng: Generator) -> None:
    for clip in (0.2, 0.3):
        arguments = (*_policies(rng), clip)
        loss = values_of(student.call("ppo_loss", *arguments), 2)[0]
        agree(loss, reference.call("ppo_loss", *arguments)[0], f"the loss for a clip of {clip}")


@check("ppo", points=2)
def its_gradient(student: Code, reference: Code, rng: Generator) -> None:
    new, old, gain = _policies(rng)

    def loss(new: np.ndarray) -> float:
        found = values_of(student.call("ppo_loss", new, old, gain, 0.2), 2)[0]
        require(isinstance(found, float | np.generic), "the loss is no number")
        return float(found)

    gradient = array_of(values_of(student.call("ppo_loss", new, old, gain, 0.2), 2)[1], (14,))
    expected = numeric_gradient(loss, new)
    what = "the gradient, beside differences of your own loss"
    agree(gradient, expected, what, rtol=1e-4, atol=1e-6)
    agree(gradient, reference.call("ppo_loss", new, old, gain, 0.2)[1], "the gradient")


@check("ppo")
def policies_that_are_equal_or_far_apart(student: Code, reference: Code, rng: Generator) -> None:
    _, old, gain = _policies(rng)
    found = student.call("ppo_loss", old, old, gain, 0.2)
    agree(found, (-float(gain.mean()), -gain / 14), "loss and gradient of the old policy")
    found = student.call("ppo_loss", old + 3, old, np.abs(gain), 0.2)
    expected = (-1.2 * float(np.abs(gain).mean()), np.zeros(14))
    agree(found, expected, "loss and gradient where good actions are much more likely")
    found = student.call("ppo_loss", old - 3, old, -np.abs(gain), 0.2)
    expected = (0.8 * float(np.abs(gain).mean()), np.zeros(14))
    agree(found, expected, "loss and gradient where bad actions are much less likely")
