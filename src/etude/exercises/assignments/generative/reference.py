"""Generative models in NumPy. Shapes: N examples of D numbers, or of any further axes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def sigmoid(x: Array) -> Array:
    """1 / (1 + e⁻ˣ), entry by entry, without too large an exponential."""
    found: Array = (1 + np.tanh(x / 2)) / 2
    return found


def gaussian_kl(mean: Array, log_variance: Array) -> Array:
    """KL(N(mean, variance) ‖ N(0, 1)), added up over the numbers of each example, in nats.

    Args:
        mean: (N, D).
        log_variance: natural logarithms of the variances, (N, D).

    Returns:
        (N,), at least 0.
    """
    # task kl, 2 points: In one dimension it is half of a sum of four terms: variance, squared mean,
    #   the logarithm of the variance, and 1; find their signs.
    found: Array = (np.exp(log_variance) + mean**2 - log_variance - 1).sum(1) / 2
    return found
    # end of task


def reparameterised(mean: Array, log_variance: Array, noise: Array) -> Array:
    """Samples of N(mean, variance) as a function of samples of N(0, 1), entry by entry.

    Args:
        mean: of any shape.
        log_variance: natural logarithms of the variances, of the same shape.
        noise: samples of N(0, 1), of the same shape. A larger number gives a larger sample.
    """
    # task sample, 2 points: Noise is stretched by the standard deviation, which is not the
    #   variance, and moved.
    found: Array = mean + np.exp(log_variance / 2) * noise
    return found
    # end of task


def noise_schedule(steps: int, first: float, last: float) -> tuple[Array, Array]:
    """The variances that a diffusion adds, and what is left of an example after each step.

    Args:
        steps: T, at least 1.
        first: the variance β of the first step, in (0, 1).
        last: that of the last step, in (0, 1); between both, β rises by equal amounts. With one
            step, it is ``first``.

    Returns:
        β of each step, (T,); ᾱ after each step, (T,): the product of 1 − β of this step and of all
        before.
    """
    # task schedule, 2 points: A line, and a product along it.
    beta = np.linspace(first, last, steps)
    return beta, (1 - beta).cumprod()
    # end of task


def noisy(x: Array, noise: Array, alpha_bar: float) -> Array:
    """An example as it is after some steps of a diffusion: √ᾱ x + √(1 − ᾱ) noise."""
    found: Array = np.sqrt(alpha_bar) * x + np.sqrt(1 - alpha_bar) * noise
    return found


def posterior(x: Array, start: Array, step: int, beta: Array) -> tuple[Array, float]:
    """The distribution of an example one step earlier, given it now and at the start.

    A step makes √(1 − β) z of an example z, and adds noise of variance β.

    Args:
        x: the example after a step, of any shape.
        start: the example before all noise, of the same shape.
        step: which one it was, counted from 0. Before step 0 nothing had been added.
        beta: the variance of each step, (T,).

    Returns:
        The mean of the example before this step, in the shape of x, and its variance, the same for
        every entry.
    """
    # task posterior, 3 points: The mean is a sum of two parts, one of the start and one of x; each
    #   has a square root of the other's past in it. Before step 0, ᾱ is 1.
    alpha_bar = np.cumprod(1 - beta)[step]
    before = alpha_bar / (1 - beta[step])
    of_start = np.sqrt(before) * beta[step] / (1 - alpha_bar)
    of_x = np.sqrt(1 - beta[step]) * (1 - before) / (1 - alpha_bar)
    variance = beta[step] * (1 - before) / (1 - alpha_bar)
    return of_start * start + of_x * x, float(variance)
    # end of task


def ddim_step(
    x: Array, predicted: Array, alpha_bar: float, next_alpha_bar: float, eta: float, noise: Array
) -> Array:
    """A step of DDIM back towards an example.

    Args:
        x: where the step begins, of any shape.
        predicted: the noise that a network sees in x, of the same shape.
        alpha_bar: ᾱ of x, in (0, 1).
        next_alpha_bar: ᾱ′ after the step, greater than ᾱ and at most 1.
        eta: how much new noise is added: 0 for none, 1 for as much as the posterior of diffusion.
        noise: samples of N(0, 1), of the same shape.

    Returns:
        x after the step. It is made of the example that x and ``predicted`` belong to by
        :func:`noisy`, times √ᾱ′; of ``noise``, times σ = eta √((1 − ᾱ′) / (1 − ᾱ)) √(1 − ᾱ / ᾱ′);
        and of ``predicted``, times what makes the variance of both noises 1 − ᾱ′.
    """
    # task ddim, 3 points: Solve noisy() for the example; then go to the next level of noise.
    example = (x - np.sqrt(1 - alpha_bar) * predicted) / np.sqrt(alpha_bar)
    left, ratio = 1 - next_alpha_bar, alpha_bar / next_alpha_bar
    variance = eta**2 * left / (1 - alpha_bar) * (1 - ratio)
    further = np.sqrt(left - variance) * predicted + np.sqrt(variance) * noise
    found: Array = np.sqrt(next_alpha_bar) * example + further
    return found
    # end of task


def guided(with_label: Array, without: Array, scale: float) -> Array:
    """A prediction by classifier-free guidance.

    Args:
        with_label: the noise that a network predicts when it is told the label, of any shape.
        without: what it predicts when it is not told, of the same shape.
        scale: how far to go from the second to the first: 0 gives the second, 1 the first, and
            more goes beyond it, on the same line.
    """
    # task guidance, 2 points: Write a point on the line through both.
    return without + scale * (with_label - without)
    # end of task


def interpolates(real: Array, generated: Array, mix: Array) -> Array:
    """Points between real and generated examples, where a critic's gradient is looked at.

    Args:
        real: (N, …), any number of further axes.
        generated: of the same shape.
        mix: which part of each example is real, from 0 to 1: (N,).

    Returns:
        An array of the same shape; all entries of an example are mixed alike.
    """
    # task interpolates, 2 points: Give the parts as many axes as the examples have.
    part = mix.reshape(-1, *[1] * (real.ndim - 1))
    return part * real + (1 - part) * generated
    # end of task


def critic_loss(real: Array, generated: Array, gradients: Array, penalty: float) -> float:
    """What the critic of a Wasserstein GAN makes small.

    Args:
        real: what it says of real examples, (N,).
        generated: what it says of generated examples, (M,).
        gradients: by each of some interpolates, (K, …), any number of further axes.
        penalty: how much the gradients' lengths count.

    Returns:
        The mean of ``generated`` less the mean of ``real``, and ``penalty`` times the mean squared
        distance of the gradients' Euclidean lengths from 1. A gradient has one length, over all its
        axes.
    """
    # task critic, 3 points: Flatten each gradient before its length is taken.
    lengths = np.linalg.norm(gradients.reshape(len(gradients), -1), axis=1)
    return float(generated.mean() - real.mean() + penalty * ((lengths - 1) ** 2).mean())
    # end of task


def contrastive_divergence(
    v: Array, w: Array, b: Array, c: Array, hidden_draws: Array, visible_draws: Array
) -> dict[str, Array]:
    """The directions in which one step of contrastive divergence moves an RBM.

    A unit is 1 with the probability sigmoid(its bias + the sum of its weights times the units of
    the other layer), and it is drawn as 1 where its random number is less than this probability.
    Draw the hidden units from the data, then the visible ones from these. That is the
    reconstruction.

    Args:
        v: data, zeros and ones, (N, V).
        w: weights, (V, H).
        b: biases of the visible units, (V,).
        c: biases of the hidden units, (H,).
        hidden_draws: random numbers, uniform in [0, 1), (N, H).
        visible_draws: random numbers, uniform in [0, 1), (N, V).

    Returns:
        Under ``w``, ``b`` and ``c``, in their shapes: means over the examples of visible times
        hidden unit, of visible and of hidden unit, for the data less for the reconstruction. The
        visible units are zeros and ones; for the hidden ones their probabilities are taken, given
        the data and given the reconstruction.
    """
    # task rbm, 4 points: Hidden probabilities, hidden draws, visible draws, hidden probabilities.
    p = sigmoid(v @ w + c)
    h = (hidden_draws < p).astype(float)
    again = (visible_draws < sigmoid(h @ w.T + b)).astype(float)
    p_again = sigmoid(again @ w + c)
    return {
        "w": (v.T @ p - again.T @ p_again) / len(v),
        "b": v.mean(0) - again.mean(0),
        "c": p.mean(0) - p_again.mean(0),
    }
    # end of task
