"""Four classifiers in NumPy. Shapes: N examples of D numbers, C classes, H hidden units."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Labels = NDArray[np.int64]


def distances(points: Array, examples: Array) -> Array:
    """Euclidean distances between all pairs: (M, D), (N, D) → (M, N)."""
    # task distances, 2 points: Use ‖a − b‖² = ‖a‖² − 2 a·b + ‖b‖², so that no array of shape
    #   (M, N, D) is made. Rounding can make a square slightly negative; take care of it.
    squares = (points**2).sum(1)[:, None] + (examples**2).sum(1)
    squares = squares - 2 * points @ examples.T
    found: Array = np.sqrt(np.maximum(squares, 0))
    return found
    # end of task


def nearest_neighbours(points: Array, examples: Array, labels: Labels, k: int) -> Labels:
    """The label that most of the k nearest examples have: (M,) whole numbers.

    Where several labels are equally frequent, the smallest of them.
    """
    # task neighbours, 2 points: Find the k nearest of each point, and count their labels.
    order = np.argsort(distances(points, examples), axis=1, kind="stable")
    classes = np.arange(labels.max() + 1)
    votes = (labels[order[:, :k]][:, :, None] == classes).sum(1)  # (M, C)
    found: Labels = votes.argmax(1)
    return found
    # end of task


def margin_loss(w: Array, x: Array, y: Labels, penalty: float) -> tuple[float, Array]:
    """The loss of a linear classifier with a margin, and its gradient.

    Args:
        w: weights, (D, C).
        x: examples, (N, D).
        y: labels, (N,).
        penalty: λ.

    Returns:
        The mean over examples of Σ_{j ≠ y} max(0, s_j − s_y + 1), and ½ λ ‖w‖² added; the gradient
        by w, (D, C).
    """
    # task margin, 3 points: Every class within the margin pulls the score of the right class up
    #   once, and pushes its own down once.
    n = len(x)
    scores = x @ w
    excess = scores - scores[np.arange(n), y][:, None] + 1
    excess[np.arange(n), y] = 0
    loss = np.maximum(excess, 0).sum() / n + 0.5 * penalty * (w**2).sum()
    by_scores = (excess > 0).astype(float)
    by_scores[np.arange(n), y] = -by_scores.sum(1)
    return loss, x.T @ by_scores / n + penalty * w
    # end of task


def softmax(scores: Array) -> Array:
    """Probabilities, row by row: (N, C) → (N, C)."""
    # task softmax, 2 points: Shift each row first, so that no exponential is too large.
    powers = np.exp(scores - scores.max(1, keepdims=True))
    probabilities: Array = powers / powers.sum(1, keepdims=True)
    return probabilities
    # end of task


def softmax_loss(w: Array, x: Array, y: Labels, penalty: float) -> tuple[float, Array]:
    """The mean of −log p(y), and ½ λ ‖w‖² added; with its gradient by w, (D, C).

    Args:
        w: weights, (D, C).
        x: examples, (N, D).
        y: labels, (N,).
        penalty: λ.
    """
    # task softmax-loss, 3 points: The gradient by the scores is p − 1[class is y].
    n = len(x)
    p = softmax(x @ w)
    loss = -np.log(p[np.arange(n), y]).mean() + 0.5 * penalty * (w**2).sum()
    p[np.arange(n), y] -= 1
    return loss, x.T @ p / n + penalty * w
    # end of task


def two_layer_scores(x: Array, w1: Array, b1: Array, w2: Array, b2: Array) -> Array:
    """Scores of a network with one hidden layer of rectifiers: (N, D) → (N, C)."""
    # task two-layers, 1 point: max(0, x W₁ + b₁) W₂ + b₂.
    return np.maximum(x @ w1 + b1, 0) @ w2 + b2
    # end of task


def two_layer_loss(
    x: Array, y: Labels, w1: Array, b1: Array, w2: Array, b2: Array, penalty: float
) -> tuple[float, dict[str, Array]]:
    """The softmax loss of a network with one hidden layer, and its gradients.

    Args:
        x: examples, (N, D).
        y: labels, (N,).
        w1: weights of the hidden layer, (D, H).
        b1: its biases, (H,).
        w2: weights of the output, (H, C).
        b2: its biases, (C,).
        penalty: λ, of both weights and of no bias.

    Returns:
        The loss; the gradients by ``w1``, ``b1``, ``w2`` and ``b2`` under these names.
    """
    # task two-layer-loss, 4 points: Go back through the layers: by the scores, by what the hidden
    #   layer gave, by what it was given, by its weights.
    n = len(x)
    hidden = np.maximum(x @ w1 + b1, 0)
    p = softmax(hidden @ w2 + b2)
    loss = -np.log(p[np.arange(n), y]).mean()
    loss += 0.5 * penalty * ((w1**2).sum() + (w2**2).sum())
    p[np.arange(n), y] -= 1
    by_scores = p / n
    by_hidden = by_scores @ w2.T * (hidden > 0)
    gradients = {
        "w1": x.T @ by_hidden + penalty * w1,
        "b1": by_hidden.sum(0),
        "w2": hidden.T @ by_scores + penalty * w2,
        "b2": by_scores.sum(0),
    }
    return loss, gradients
    # end of task
