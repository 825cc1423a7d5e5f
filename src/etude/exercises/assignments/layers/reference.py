"""Layers in NumPy. Shapes: N examples, D units; images of C channels, H rows and W columns."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Array = NDArray[np.float64]


def batch_norm(
    x: Array,
    gamma: Array,
    beta: Array,
    running_mean: Array,
    running_var: Array,
    training: bool,
    momentum: float = 0.9,
    epsilon: float = 1e-5,
) -> tuple[Array, Array, Array]:
    """Batch normalisation, unit by unit.

    Args:
        x: a batch, (N, D).
        gamma: the scale of each unit, (D,).
        beta: the shift of each unit, (D,).
        running_mean: the average of the means so far, (D,).
        running_var: the average of the variances so far, (D,).
        training: whether the batch's own mean and variance are used. Else the running ones are.
        momentum: how much of a running average stays at each step; the batch gives the rest.
        epsilon: added to the variance, before its root is taken.

    Returns:
        The normalised, scaled and shifted batch, (N, D); the running mean and the running variance
        after this batch, (D,) each, as they were given where ``training`` is false. A variance is
        the mean of squared distances from the mean: it divides by N, not by N − 1.
    """
    # task batch-norm, 3 points: Decide which mean and variance to use; the formula that follows is
    #   the same for both.
    mean, var = running_mean, running_var
    if training:
        mean, var = x.mean(0), x.var(0)
        running_mean = momentum * running_mean + (1 - momentum) * mean
        running_var = momentum * running_var + (1 - momentum) * var
    out = gamma * (x - mean) / np.sqrt(var + epsilon) + beta
    return out, running_mean, running_var
    # end of task


def batch_norm_backward(
    by_out: Array, x: Array, gamma: Array, epsilon: float = 1e-5
) -> tuple[Array, Array, Array]:
    """The gradients of batch normalisation during training.

    Args:
        by_out: the gradient by what the layer gave, (N, D).
        x: the batch that it was given, (N, D).
        gamma: the scale of each unit, (D,).
        epsilon: added to the variance.

    Returns:
        The gradients by x, (N, D), by gamma, (D,), and by beta, (D,).
    """
    # task batch-norm-backward, 3 points: Take from the gradient by the normalised batch what the
    #   mean and the variance take back: its mean, and its part along the normalised batch.
    std = np.sqrt(x.var(0) + epsilon)
    normal = (x - x.mean(0)) / std
    by_normal = gamma * by_out
    along = normal * (by_normal * normal).mean(0)
    by_x = (by_normal - by_normal.mean(0) - along) / std
    return by_x, (by_out * normal).sum(0), by_out.sum(0)
    # end of task


def layer_norm(x: Array, gamma: Array, beta: Array, epsilon: float = 1e-5) -> Array:
    """Layer normalisation, example by example.

    Args:
        x: a batch, (N, D).
        gamma: the scale of each unit, (D,).
        beta: the shift of each unit, (D,).
        epsilon: added to the variance, before its root is taken.

    Returns:
        Each row with mean 0 and variance 1 over its D units, then scaled and shifted: (N, D).
    """
    # task layer-norm, 2 points: Think of which axis is averaged, and keep it.
    centred = x - x.mean(1, keepdims=True)
    normalised = centred / np.sqrt(x.var(1, keepdims=True) + epsilon)
    found: Array = gamma * normalised + beta
    return found
    # end of task


def dropout(x: Array, draws: Array, keep: float, training: bool) -> Array:
    """Dropout, scaled during training.

    Args:
        x: of any shape.
        draws: random numbers of the same shape, uniform in [0, 1). An entry of x is kept where its
            number is less than ``keep``, and is 0 elsewhere.
        keep: the probability of being kept, in (0, 1].
        training: whether anything is dropped.

    Returns:
        What is kept, divided by ``keep``, so that its expectation is x. Where ``training`` is
        false, x as it is.
    """
    # task dropout, 2 points: Compare, multiply, scale.
    return x * (draws < keep) / keep if training else x
    # end of task


def dropout_backward(by_out: Array, draws: Array, keep: float, training: bool) -> Array:
    """The gradient of dropout by its input, of the same shape as ``by_out``.

    Args:
        by_out: the gradient by what the layer gave.
        draws: the random numbers that the layer used.
        keep: the probability of being kept, in (0, 1].
        training: whether anything was dropped.
    """
    # task dropout-backward, 2 points: Given its random numbers, dropout is a linear map.
    mask = (draws < keep) / keep if training else np.ones_like(draws)
    return by_out * mask
    # end of task


def conv2d(x: Array, w: Array, b: Array, stride: int, padding: int) -> Array:
    """What convolutional networks call convolution: filters slide, and are not turned round.

    Args:
        x: images, (N, C, H, W).
        w: filters, (F, C, K, L): F of them, of K rows and L columns.
        b: the bias of each filter, (F,).
        stride: by how many rows or columns a filter moves at each step, at least 1.
        padding: how many rows and columns of zeros are put around each image, at least 0.

    Returns:
        One channel a filter: (N, F, 1 + (H + 2 padding − K) // stride, and the same of W and L).
        Rows and columns at the end that no further step reaches are not used.
    """
    # task conv2d, 3 points: With sliding_window_view, all windows are one array of six axes, and
    #   the layer is one np.einsum.
    pad = (padding, padding)
    padded = np.pad(x, ((0, 0), (0, 0), pad, pad))
    windows = sliding_window_view(padded, w.shape[2:], axis=(2, 3))[:, :, ::stride, ::stride]
    found: Array = np.einsum("nchwkl,fckl->nfhw", windows, w) + b[:, None, None]
    return found
    # end of task


def conv2d_backward(
    by_out: Array, x: Array, w: Array, stride: int, padding: int
) -> tuple[Array, Array, Array]:
    """The gradients of :func:`conv2d`.

    Args:
        by_out: the gradient by what the layer gave, (N, F, H′, W′).
        x: the images that it was given, (N, C, H, W).
        w: its filters, (F, C, K, L).
        stride: as in the layer.
        padding: as in the layer.

    Returns:
        The gradients by x, (N, C, H, W), by w, (F, C, K, L), and by the biases, (F,).
    """
    # task conv2d-backward, 4 points: A loop over the K · L places of a filter is enough: each place
    #   meets a grid of pixels, one for each entry of the output.
    pad = (padding, padding)
    padded = np.pad(x, ((0, 0), (0, 0), pad, pad))
    by_padded, by_w = np.zeros_like(padded), np.empty_like(w)
    rows, columns = by_out.shape[2:]
    for k, m in np.ndindex(w.shape[2:]):
        down = slice(k, k + stride * rows, stride)
        right = slice(m, m + stride * columns, stride)
        by_w[:, :, k, m] = np.einsum("nfhw,nchw->fc", by_out, padded[:, :, down, right])
        by_padded[:, :, down, right] += np.einsum("nfhw,fc->nchw", by_out, w[:, :, k, m])
    height, width = x.shape[2:]
    by_x = by_padded[:, :, padding : padding + height, padding : padding + width]
    return by_x, by_w, by_out.sum((0, 2, 3))
    # end of task


def max_pool(x: Array, size: int, stride: int) -> Array:
    """The largest entry of each window.

    Args:
        x: images, (N, C, H, W).
        size: rows and columns of a window, at least 1 and at most H and W.
        stride: by how much it moves at each step, at least 1; windows overlap where it is less
            than ``size``.

    Returns:
        (N, C, 1 + (H − size) // stride, 1 + (W − size) // stride).
    """
    # task max-pool, 2 points: It is a convolution in which the largest takes the place of the sum.
    windows = sliding_window_view(x, (size, size), axis=(2, 3))[:, :, ::stride, ::stride]
    found: Array = windows.max((4, 5))
    return found
    # end of task


def max_pool_backward(by_out: Array, x: Array, size: int, stride: int) -> Array:
    """The gradient of :func:`max_pool` by its images, (N, C, H, W).

    The largest entry of a window gets the whole gradient of the window; of several that are equal,
    the first, read row by row. Where windows overlap, an entry gets the sum.

    Args:
        by_out: the gradient by what the layer gave, (N, C, H′, W′).
        x: the images that it was given, (N, C, H, W).
        size: as in the layer.
        stride: as in the layer.
    """
    # task max-pool-backward, 3 points: Find row and column of each window's largest entry. Beware:
    #   += with an array of places adds once where a place comes twice; np.add.at adds twice.
    n, c, height, width = by_out.shape
    seen = sliding_window_view(x, (size, size), axis=(2, 3))[:, :, ::stride, ::stride]
    first = seen.reshape(n, c, height, width, -1).argmax(-1)
    rows = stride * np.arange(height)[:, None] + first // size
    columns = stride * np.arange(width) + first % size
    by_x = np.zeros_like(x)
    examples, channels = np.arange(n)[:, None, None, None], np.arange(c)[:, None, None]
    np.add.at(by_x, (examples, channels, rows, columns), by_out)
    return by_x
    # end of task
