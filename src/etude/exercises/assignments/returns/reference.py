"""Returns in NumPy. Shapes: T steps of an episode, N examples, A actions, S states."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Places = NDArray[np.int64]


def discounted_returns(rewards: Array, gamma: float) -> Array:
    """The return of each step of an episode: its reward, and gamma times the next step's return.

    Args:
        rewards: (T,); T may be 0. After the last step, nothing comes.
        gamma: the discount, from 0 to 1.

    Returns:
        (T,).
    """
    # task returns, 2 points: Go backwards. Powers of gamma and a quotient lose digits where gamma
    #   is small and the episode long.
    found = np.empty(len(rewards))
    later = 0.0
    for t in reversed(range(len(rewards))):
        later = rewards[t] + gamma * later
        found[t] = later
    return found
    # end of task


def td_target(rewards: Array, next_values: Array, ended: Flags, gamma: float) -> Array:
    """The target of temporal differences of some steps, (N,).

    Args:
        rewards: of the steps, (N,).
        next_values: the values of the states that followed, (N,).
        ended: whether the episode ended with the step, (N,). Then nothing followed, whatever
            ``next_values`` says.
        gamma: the discount, from 0 to 1.
    """
    # task td, 2 points: Where an episode has ended, the next value counts 0.
    return rewards + gamma * np.where(ended, 0, next_values)
    # end of task


def n_step_returns(rewards: Array, values: Array, n: int, gamma: float) -> Array:
    """The return of n steps from each step of an episode on.

    It is the discounted sum of the next n rewards, and gamma to the n times the value of the state
    after them. Where fewer than n rewards are left, it is the discounted sum of those, and the
    discounted value of the last state.

    Args:
        rewards: (T,); reward t comes between the states t and t + 1.
        values: of the states 0 to T, (T + 1,). The last one is 0 where the world ended there.
        n: at least 1; it may be greater than T.
        gamma: the discount, from 0 to 1.

    Returns:
        (T,).
    """
    # task n-step, 3 points: For each step, find first how many rewards there are to add.
    steps = len(rewards)
    found = np.empty(steps)
    for t in range(steps):
        last = min(t + n, steps)
        powers = gamma ** np.arange(last - t)
        found[t] = powers @ rewards[t:last] + gamma ** (last - t) * values[last]
    return found
    # end of task


def advantages(rewards: Array, values: Array, ended: Flags, gamma: float, lam: float) -> Array:
    """Generalised advantage estimates of T steps, which may belong to several episodes.

    The error of a step is its reward plus gamma times the value of the next state, less the value
    of its state. The estimate of a step is its error, and gamma · lam times the estimate of the
    next step. Where an episode ended with a step, neither the next value nor the next estimate
    counts.

    Args:
        rewards: (T,).
        values: of the states before each step and after the last one, (T + 1,).
        ended: whether an episode ended with the step, (T,); the next step then begins another one.
        gamma: the discount, from 0 to 1.
        lam: λ, from 0 to 1.

    Returns:
        (T,).
    """
    # task advantages, 3 points: The errors need no loop; the sums run backwards, as returns do.
    errors = td_target(rewards, values[1:], ended, gamma) - values[:-1]
    sums = np.zeros(len(rewards) + 1)
    for t in reversed(range(len(rewards))):
        sums[t] = errors[t] + gamma * lam * (~ended[t]) * sums[t + 1]
    return sums[:-1]
    # end of task


def epsilon_greedy(q: Array, epsilon: float) -> Array:
    """The probabilities of actions: (N, A) → (N, A).

    With the probability ``epsilon`` any of the A actions is drawn, each equally likely, the best
    too; else the best one. Several that are equally good share what the best one gets.

    Args:
        q: the values of the actions, (N, A).
        epsilon: from 0 to 1.
    """
    # task epsilon-greedy, 2 points: Mark the best actions, divide each row by how many they are.
    best = q == q.max(1, keepdims=True)
    found: Array = epsilon / q.shape[1] + (1 - epsilon) * best / best.sum(1, keepdims=True)
    return found
    # end of task


def double_q_target(
    rewards: Array, ended: Flags, online: Array, target: Array, gamma: float
) -> Array:
    """The target of double Q-learning of some steps, (N,).

    Args:
        rewards: of the steps, (N,).
        ended: whether the episode ended with the step, (N,).
        online: the values of the next state's actions by the network that learns, (N, A). It
            chooses the action, the first of equally good ones.
        target: the same by the network that is kept aside, (N, A). It says what the action is
            worth.
        gamma: the discount, from 0 to 1.
    """
    # task double-q, 2 points: An index for each row and one for each column; the rest is there.
    chosen = target[np.arange(len(target)), online.argmax(1)]
    return td_target(rewards, chosen, ended, gamma)
    # end of task


def value_iteration_step(
    values: Array, moves: Array, rewards: Array, gamma: float
) -> tuple[Array, Places]:
    """One step of value iteration in a world that is known.

    Args:
        values: of the states so far, (S,).
        moves: entry a, s, z is the probability that action a leads from state s to z, (A, S, S).
        rewards: the mean reward of action a in state s, (A, S).
        gamma: the discount, from 0 to 1.

    Returns:
        The new value of each state, (S,): that of its best action, which is the action's reward and
        the discounted mean of the old values of where it leads; the best action of each state, the
        first of equally good ones: whole numbers, (S,).
    """
    # task value-iteration, 3 points: Make a table of all actions in all states; one product is
    #   enough.
    q = rewards + gamma * moves @ values
    return q.max(0), q.argmax(0)
    # end of task


def ppo_loss(new: Array, old: Array, advantages: Array, clip: float) -> tuple[float, Array]:
    """The loss of proximal policy optimisation, and its gradient by ``new``.

    The ratio of a step is the probability of its action now, by what it was when it was taken. The
    objective of a step is the smaller of two: ratio times advantage, and the same with the ratio
    held between 1 − clip and 1 + clip. The loss is the mean objective, with a minus.

    Args:
        new: logarithms of the probabilities now, (N,).
        old: logarithms of the probabilities then, (N,).
        advantages: (N,).
        clip: in (0, 1).

    Returns:
        The loss; its gradient, (N,). Where the held ratio gives the smaller objective, the gradient
        is 0; where both are equal, it is that of the first.
    """
    # task ppo, 4 points: The derivative of a ratio by the logarithm of its numerator is the ratio.
    ratio = np.exp(new - old)
    free, held = ratio * advantages, np.clip(ratio, 1 - clip, 1 + clip) * advantages
    loss = -np.minimum(free, held).mean()
    return float(loss), -np.where(free <= held, free, 0) / len(new)
    # end of task
