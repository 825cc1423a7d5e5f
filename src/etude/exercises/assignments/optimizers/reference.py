"""Optimisers in NumPy. Weights, gradients and what is remembered have one shape, any shape."""

from __future__ import annotations

from collections.abc import Sequence
from math import cos, pi

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def momentum_step(
    w: Array, gradient: Array, velocity: Array, rate: float, momentum: float
) -> tuple[Array, Array]:
    """A step of gradient descent with momentum.

    Args:
        w: the weights.
        gradient: of the loss by them.
        velocity: what was remembered; zeros before the first step.
        rate: the learning rate.
        momentum: which part of the velocity stays, in [0, 1).

    Returns:
        The new weights and the new velocity. The velocity loses all but its part ``momentum`` and
        gains the whole gradient; the weights then move against it, ``rate`` times its length.
    """
    # task momentum, 2 points: Renew the velocity first; the step uses the new one.
    velocity = momentum * velocity + gradient
    return w - rate * velocity, velocity
    # end of task


def nesterov_step(
    w: Array, gradient: Array, velocity: Array, rate: float, momentum: float
) -> tuple[Array, Array]:
    """A step with Nesterov's momentum, as libraries write it.

    The weights that are kept are those to which the momentum has already led, so that the gradient
    is taken there.

    Args:
        w: the weights.
        gradient: of the loss by them.
        velocity: what was remembered; zeros before the first step.
        rate: the learning rate.
        momentum: which part of the velocity stays, in [0, 1).

    Returns:
        The new weights and the new velocity. The velocity is renewed as in :func:`momentum_step`.
        The weights move by the gradient and by the part ``momentum`` of the new velocity, both
        times ``rate``.
    """
    # task nesterov, 2 points: The velocity is that of the first task; the step is another one.
    velocity = momentum * velocity + gradient
    return w - rate * (gradient + momentum * velocity), velocity
    # end of task


def adagrad_step(
    w: Array, gradient: Array, squares: Array, rate: float, epsilon: float = 1e-10
) -> tuple[Array, Array]:
    """A step of Adagrad.

    Args:
        w: the weights.
        gradient: of the loss by them.
        squares: the sum of the squares of all gradients so far; zeros before the first step.
        rate: the learning rate.
        epsilon: added to the root of the sum, so that nothing is divided by 0.

    Returns:
        The new weights and the new sum, which holds this gradient too.
    """
    # task adagrad, 2 points: Each weight is divided by the root of its own sum.
    squares = squares + gradient**2
    return w - rate * gradient / (np.sqrt(squares) + epsilon), squares
    # end of task


def rmsprop_step(
    w: Array,
    gradient: Array,
    square: Array,
    rate: float,
    decay: float = 0.99,
    epsilon: float = 1e-8,
) -> tuple[Array, Array]:
    """A step of RMSprop.

    Args:
        w: the weights.
        gradient: of the loss by them.
        square: the moving average of squared gradients; zeros before the first step.
        rate: the learning rate.
        decay: which part of the average stays, in [0, 1); the squared gradient gives the rest.
        epsilon: added to the root of the average, so that nothing is divided by 0.

    Returns:
        The new weights and the new average, which the step has used.
    """
    # task rmsprop, 2 points: The sum of Adagrad becomes a moving average.
    square = decay * square + (1 - decay) * gradient**2
    return w - rate * gradient / (np.sqrt(square) + epsilon), square
    # end of task


def adam_step(
    w: Array,
    gradient: Array,
    mean: Array,
    square: Array,
    step: int,
    rate: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
) -> tuple[Array, Array, Array]:
    """A step of Adam.

    Args:
        w: the weights.
        gradient: of the loss by them.
        mean: the moving average of gradients; zeros before the first step.
        square: the moving average of squared gradients; zeros before the first step.
        step: which one this is, counted from 1.
        rate: the learning rate.
        beta1: which part of ``mean`` stays, in [0, 1).
        beta2: which part of ``square`` stays, in [0, 1).
        epsilon: added to the root of the corrected ``square``.

    Returns:
        The new weights, and both new averages as they are before their correction.
    """
    # task adam, 3 points: After t steps an average that began at 0 holds only the part 1 − βᵗ of
    #   what it should; the step uses both averages divided by their parts.
    mean = beta1 * mean + (1 - beta1) * gradient
    square = beta2 * square + (1 - beta2) * gradient**2
    corrected_mean = mean / (1 - beta1**step)
    corrected_square = square / (1 - beta2**step)
    return w - rate * corrected_mean / (np.sqrt(corrected_square) + epsilon), mean, square
    # end of task


def adamw_step(
    w: Array,
    gradient: Array,
    mean: Array,
    square: Array,
    step: int,
    rate: float,
    weight_decay: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
) -> tuple[Array, Array, Array]:
    """A step of Adam in which the weights also shrink.

    Args:
        w: the weights.
        gradient: of the loss by them, without any penalty.
        mean: the moving average of gradients.
        square: the moving average of squared gradients.
        step: which one this is, counted from 1.
        rate: the learning rate.
        weight_decay: how strongly the weights shrink: each loses the part ``rate · weight_decay``
            of what it was before the step.
        beta1: as in :func:`adam_step`.
        beta2: as in :func:`adam_step`.
        epsilon: as in :func:`adam_step`.

    Returns:
        The new weights, and both new averages, which know nothing of the shrinking.
    """
    # task adamw, 2 points: Adam is already there.
    shrunk = (1 - rate * weight_decay) * w
    return adam_step(shrunk, gradient, mean, square, step, rate, beta1, beta2, epsilon)
    # end of task


def clip_by_norm(gradients: Sequence[Array], largest: float) -> tuple[list[Array], float]:
    """Gradients that are together no longer than ``largest``.

    Args:
        gradients: one array for each array of weights, of any shapes; none of them may be changed.
        largest: the largest norm allowed, above 0.

    Returns:
        The gradients, all multiplied by one number, so that their common norm is ``largest``, or as
        they were where it is not greater; and the common norm before. The common norm is the root
        of the sum of the squares of all entries of all arrays.
    """
    # task clip, 2 points: There is one norm for all arrays. Gradients of 0 stay 0, and nothing is
    #   divided by 0.
    norm = float(np.sqrt(sum((each**2).sum() for each in gradients)))
    scale = largest / norm if norm > largest else 1.0
    return [scale * each for each in gradients], norm
    # end of task


def learning_rate(step: int, steps: int, warmup: int, peak: float, lowest: float = 0.0) -> float:
    """The learning rate of one step: a warm-up, then half a wave of a cosine.

    Args:
        step: which one, counted from 0.
        steps: after how many the lowest rate is reached.
        warmup: how many steps the warm-up takes, from 0 to ``steps``.
        peak: the highest rate.
        lowest: the last rate.

    Returns:
        In the warm-up, at step 0, 1, 2 …: one, two, three … parts of ``peak``, of ``warmup`` parts.
        From step ``warmup``, where it is ``peak``, to step ``steps``, where it is ``lowest``, it
        falls as a cosine does from 0 to π. After that it stays ``lowest``. Where ``warmup`` equals
        ``steps``, it is ``lowest`` after the warm-up.
    """
    # task schedule, 3 points: Say first how much of the way down is done, from 0 to 1.
    if step < warmup:
        return peak * (step + 1) / warmup
    if step >= steps:
        return lowest
    done = (step - warmup) / (steps - warmup)
    return lowest + (peak - lowest) * (1 + cos(pi * done)) / 2
    # end of task
