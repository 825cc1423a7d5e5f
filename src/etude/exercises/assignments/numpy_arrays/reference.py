"""Arrays in NumPy: shapes, broadcasting, indexing, views, einsum, stable numerics; no loop."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

# -- indexing and masks ----------------------------------------------------------------------------


def one_hot(labels: Integers, classes: int) -> Array:
    """A one at the place of each label, and zeros elsewhere.

    Args:
        labels: whole numbers, of any shape (…).
        classes: C.

    Returns:
        An array of ``float64``, (…, C). A label that is less than 0, or C and more, is no class:
        its entries are all zeros.
    """
    # task one-hot, 2 points: Compare the labels with all classes at once: the labels need one more
    #   axis for it.
    found: Array = (labels[..., None] == np.arange(classes)).astype(np.float64)
    return found
    # end of task


def masked_mean(x: Array, lengths: Integers) -> Array:
    """The mean of each sequence over its own length.

    Args:
        x: N sequences of T vectors, (N, T, D). What stands behind a sequence's end is padding, and
            may be anything: infinite or ``nan``, too.
        lengths: (N,), each from 0 to T.

    Returns:
        (N, D); zeros for a sequence of length 0.
    """
    # task masked-mean, 2 points: Make a mask of shape (N, T). Think what nan times 0 is.
    valid = np.arange(x.shape[1]) < lengths[:, None]
    sums = np.where(valid[:, :, None], x, 0).sum(1)
    mean: Array = sums / np.maximum(lengths, 1)[:, None]
    return mean
    # end of task


# -- shapes ----------------------------------------------------------------------------------------


def patches(image: Array, size: int) -> Array:
    """Square patches of an image, as a vision transformer reads them.

    Args:
        image: (height, width, channels); height and width are multiples of ``size``.
        size: the side P of a patch in pixels, at least 1.

    Returns:
        (number of patches, P · P · channels). The patches follow each other as the words of a
        page: from left to right, then from top to bottom. So do the pixels of a patch, and the
        channels of a pixel stay together.
    """
    # task patches, 2 points: Split both axes in two by a reshape, bring the axes into order, and
    #   join them by another reshape.
    height, width, channels = image.shape
    blocks = image.reshape(height // size, size, width // size, size, channels)
    return blocks.transpose(0, 2, 1, 3, 4).reshape(-1, size * size * channels)
    # end of task


# -- broadcasting ----------------------------------------------------------------------------------


def sinusoids(length: int, width: int) -> Array:
    """The positional encoding of the transformer (Vaswani et al., 2017, section 3.5).

    Args:
        length: T, the number of positions; 0 is allowed.
        width: D, an even number.

    Returns:
        (T, D): sin(t / 10000^(2i / D)) in column 2i and the cosine of the same angle in column
        2i + 1, for position t = 0 … T − 1 and i = 0 … D / 2 − 1.
    """
    # task sinusoids, 2 points: A column of positions and a row of frequencies give all angles. Then
    #   fill every second column.
    t = np.arange(length)[:, None]
    i = np.arange(width // 2)
    angles = t / 10_000 ** (2 * i / width)  # (T, D / 2)
    encoding = np.zeros((length, width))
    encoding[:, 0::2] = np.sin(angles)
    encoding[:, 1::2] = np.cos(angles)
    return encoding
    # end of task


# -- vectorising a loop ----------------------------------------------------------------------------


def new_centres_by_loop(points: Array, labels: Integers, centres: Array) -> Array:
    """Given: what ``new_centres`` returns, with a loop."""
    found = centres.copy()
    for k in range(len(centres)):
        own = points[labels == k]
        if len(own):
            found[k] = own.mean(0)
    return found


def new_centres(points: Array, labels: Integers, centres: Array) -> Array:
    """The second half of a step of k-means (Lloyd, 1982): each centre moves to its points' mean.

    Args:
        points: (N, D).
        labels: for each point the number of its centre, (N,), from 0 to K − 1.
        centres: (K, D).

    Returns:
        A new array (K, D); a centre without points stays where it is.
    """
    # task new-centres, 2 points: Do what new_centres_by_loop does without a loop. np.add.at adds
    #   also where an index occurs twice, np.bincount counts.
    sums = np.zeros_like(centres)
    np.add.at(sums, labels, points)
    counts = np.bincount(labels, minlength=len(centres))[:, None]
    moved: Array = np.where(counts > 0, sums / np.maximum(counts, 1), centres)
    return moved
    # end of task


# -- views and copies ------------------------------------------------------------------------------


def windows(x: Array, width: int, step: int) -> Array:
    """Windows over a sequence, as a view: no number is copied.

    Args:
        x: a sequence of T vectors, (T, D).
        width: W, from 1 to T.
        step: from the begin of one window to the begin of the next, at least 1.

    Returns:
        A view on x of shape ((T − W) // step + 1, W, D): window n holds x[n · step], ….
    """
    # task windows, 2 points: np.lib.stride_tricks has a function for this. It puts the new axis
    #   last.
    view = np.lib.stride_tricks.sliding_window_view(x, width, axis=0)  # (T − W + 1, D, W)
    return view[::step].transpose(0, 2, 1)
    # end of task


def windows_share_memory(x: Array, width: int, step: int) -> bool:
    """Given: whether what ``windows`` returns is a view on x."""
    return np.shares_memory(x, windows(x, width, step))


def clip_rows(x: Array, largest: float) -> Array:
    """Shorten the rows that are too long.

    Args:
        x: (N, D); the function leaves this array as it is.
        largest: the largest Euclidean norm of a row, more than 0.

    Returns:
        A new array (N, D), also where nothing is too long: each row whose norm is larger than
        ``largest``, scaled to this norm; each other row unchanged.
    """
    # task clip-rows, 2 points: Find one factor for each row, and multiply. "x *= …" would change
    #   what the caller has.
    norms = np.sqrt((x**2).sum(1, keepdims=True))
    clipped: Array = x * (largest / np.maximum(norms, largest))
    return clipped
    # end of task


def clip_rows_leaves(x: Array, largest: float) -> tuple[bool, bool]:
    """Given: whether ``clip_rows`` leaves x as it is, and whether its answer is another array."""
    before = x.copy()
    found = clip_rows(x, largest)
    return bool((x == before).all()), not np.shares_memory(x, found)


# -- einsum ----------------------------------------------------------------------------------------


def attention_scores(queries: Array, keys: Array) -> Array:
    """How well each query fits each key: q · k / √D, head by head.

    Args:
        queries: (batch, T, heads, D).
        keys: (batch, S, heads, D).

    Returns:
        (batch, heads, T, S).
    """
    # task attention-scores, 2 points: One np.einsum: name each axis by a letter. Which letter does
    #   not occur in the result?
    width = queries.shape[-1]
    scores: Array = np.einsum("bthd,bshd->bhts", queries, keys) / np.sqrt(width)
    return scores
    # end of task


# -- stable numerics -------------------------------------------------------------------------------


def logsumexp(x: Array, axis: int = -1) -> Array:
    """log Σ exp(x) along an axis, for numbers of any size.

    Args:
        x: of any shape, with at least one entry along the axis. Entries may be −∞, for what has
            the probability 0.
        axis: which goes away.

    Returns:
        An array without this axis; −∞ where all entries are −∞.
    """
    # task logsumexp, 2 points: Take the largest entry out of the sum, unless it is infinite.
    largest = x.max(axis, keepdims=True)
    shift = np.where(np.isfinite(largest), largest, 0)
    with np.errstate(divide="ignore"):
        found: Array = np.log(np.exp(x - shift).sum(axis)) + shift.squeeze(axis)
    return found
    # end of task
