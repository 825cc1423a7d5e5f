"""The likelihood of a linear classifier: its value, gradient and Hessian by hand, and its maximum.

Throughout, X is (n, d), its first column 1; W is (d, k); T is (n, k); all are in float64. λ is the
strength of the L2 penalty, of which the weights of the leading 1 are free.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import one_hot, pad

from etude import data

Table = data.Labelled[Tensor]


def design(inputs: Tensor, like: Tensor) -> Tensor:
    """X (n, d): a column of ones, then the inputs, standardised as ``like`` would be."""
    mean = like.double().mean(0)
    deviation = like.double().std(0, correction=0)
    x = (inputs - mean) / deviation
    return torch.cat([torch.ones_like(x[:, :1]), x], 1)


def indicators(labels: Tensor, classes: int) -> Tensor:
    """T (n, k): a column of 0 and 1 for each class; for two classes, the second's column alone."""
    t = one_hot(labels, classes).double()
    return t[:, 1:] if classes == 2 else t


def probabilities(z: Tensor) -> Tensor:
    """P (n, k) from logits (n, k): the sigmoid of a single column, the softmax of several."""
    return z.sigmoid() if z.shape[1] == 1 else z.softmax(1)


def loss(w: Tensor, x: Tensor, t: Tensor, penalty: float) -> Tensor:
    """J(W), the mean negative log-likelihood and the penalty."""
    z = x @ w
    logits = pad(z, (1, 0)) if z.shape[1] == 1 else z  # log(1 + eᶻ) is log(e⁰ + eᶻ)
    a = logits.logsumexp(1)
    return (a - (t * z).sum(1)).mean() + penalty / 2 * w[1:].square().sum() / len(x)


def gradient(w: Tensor, x: Tensor, t: Tensor, penalty: float) -> Tensor:
    """∂J/∂W (d, k)."""
    g = x.T @ (probabilities(x @ w) - t)
    g[1:] += penalty * w[1:]
    return g / len(x)


def hessian(w: Tensor, x: Tensor, penalty: float) -> Tensor:
    """∂²J/∂W² (dk, dk), with the entries of W in the order of its rows."""
    p = probabilities(x @ w)
    s = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]  # (n, k, k)
    blocks = torch.einsum("na,nkl,nb->akbl", x, s, x)  # (d, k, d, k)
    h: Tensor = blocks.flatten(2).flatten(0, 1)  # (dk, dk)
    h.diagonal()[w.shape[1] :] += penalty
    h /= len(x)
    return h


def safe_step_size(x: Tensor, t: Tensor, penalty: float) -> Tensor:
    """One over a bound on the Hessian: with it gradient descent never overshoots."""
    bound = 0.25 if t.shape[1] == 1 else 0.5  # no eigenvalue of diag(p) - ppᵀ is larger
    largest = torch.linalg.eigvalsh(x.T @ x / len(x))[-1]
    size: Tensor = 1 / (bound * largest + penalty / len(x))
    return size


def newton_step(w: Tensor, x: Tensor, t: Tensor, penalty: float) -> Tensor:
    """W after one step of Newton's method, halved until it gains a quarter of what the slope
    promises.
    """
    g = gradient(w, x, t, penalty)
    inverse = torch.linalg.pinv(hessian(w, x, penalty), hermitian=True)
    direction: Tensor = (inverse @ g.flatten()).view_as(w)
    before = loss(w, x, t, penalty)
    slope = (g * direction).sum()

    size = 1.0
    while loss(w - size * direction, x, t, penalty) > before - size / 4 * slope:
        size /= 2
    return w - size * direction


def maxima(table: Table, classes: int, penalties: Sequence[float]) -> list[Tensor]:
    """The most likely W for each penalty by Newton's method, which starts where the one before
    ended.
    """
    x = design(table.inputs, table.inputs)
    t = indicators(table.labels, classes)
    w = torch.zeros(x.shape[1], t.shape[1]).double()

    found = []
    for penalty in penalties:
        for _ in range(50):
            before = w
            w = newton_step(w, x, t, penalty)
            if (w - before).abs().max() < 1e-6:  # the remaining error is about its square
                break
        found.append(w)
    return found


def choose_penalty(table: Table, classes: int, penalties: Sequence[float], parts: int) -> float:
    """The λ under which held-out examples are the most likely.

    Args:
        table: training examples.
        classes: how many classes there are.
        penalties: values of λ to choose from.
        parts: parts of the examples, each held out once.
    """
    losses = torch.zeros(len(penalties)).double()
    for fit, held_out in data.folds(table, parts):
        x = design(held_out.inputs, fit.inputs)
        t = indicators(held_out.labels, classes)
        each = [loss(w, x, t, 0) for w in maxima(fit, classes, penalties)]
        losses += len(held_out) * torch.stack(each)
    return penalties[int(losses.argmin())]
