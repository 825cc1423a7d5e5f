"""What the arrays are asked."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from etude.exercises.checks import (
    Code,
    agree,
    array_of,
    check,
    require,
    same_answer,
    without_loops,
)

# -- indexing and masks ----------------------------------------------------------------------------


@check("one-hot", public=True)
def labels_in_a_row(student: Code, reference: Code, rng: Generator) -> None:
    found = student.call("one_hot", np.array([2, 0, 1, 2]), 3)
    expected = [[0, 0, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1]]
    agree(found, np.array(expected, np.float64), "the answer")


@check("one-hot")
def labels_of_any_shape_and_no_class(student: Code, reference: Code, rng: Generator) -> None:
    for shape in ((), (0,), (1,), (3, 4), (2, 0, 3), (2, 3, 2)):
        labels = np.asarray(rng.integers(-2, 7, shape))
        what = f"the answer for labels of shape {shape}"
        same_answer(student, reference, "one_hot", labels, 5, what=what)
        found = array_of(student.call("one_hot", labels, 5), (*shape, 5), what)
        require(found.dtype == np.float64, f"{what} holds {found.dtype}; expected float64")
    without_loops(student, "one_hot")


@check("masked-mean", public=True)
def means_of_three_sequences(student: Code, reference: Code, rng: Generator) -> None:
    x = rng.normal(size=(3, 5, 2))
    found = array_of(student.call("masked_mean", x, np.array([5, 2, 1])), (3, 2), "the means")
    agree(found, np.stack([x[0].mean(0), x[1, :2].mean(0), x[2, 0]]), "the means")


@check("masked-mean")
def padding_that_is_no_number(student: Code, reference: Code, rng: Generator) -> None:
    for number, longest in ((1, 1), (6, 4), (0, 3)):
        x = rng.normal(size=(number, longest, 3))
        lengths = rng.integers(0, longest + 1, number)
        lengths[:1] = 0
        for n in range(number):
            x[n, lengths[n] :] = rng.choice([np.nan, np.inf, 1e300])
        same_answer(
            student,
            reference,
            "masked_mean",
            x,
            lengths,
            what=f"the table of means of {number} sequences",
        )
    without_loops(student, "masked_mean")


# -- shapes ----------------------------------------------------------------------------------------


@check("patches", public=True)
def four_patches(student: Code, reference: Code, rng: Generator) -> None:
    image = np.arange(16.0).reshape(4, 4, 1)
    expected = [[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]
    agree(student.call("patches", image, 2), np.array(expected, float), "the patches")


@check("patches")
def patches_of_any_image(student: Code, reference: Code, rng: Generator) -> None:
    for rows, columns, size, channels in ((2, 3, 2, 3), (3, 1, 4, 2), (1, 1, 3, 1), (2, 2, 1, 3)):
        image = rng.normal(size=(columns * size, rows * size, channels)).transpose(1, 0, 2)
        found = student.call("patches", image, size)
        shape = (rows * columns, size * size * channels)
        patches = array_of(found, shape, "the patches")
        for n in range(rows * columns):
            top, left = size * (n // columns), size * (n % columns)
            expected = image[top : top + size, left : left + size].ravel()
            agree(patches[n], expected, f"patch {n} of an image of shape {image.shape}")
    without_loops(student, "patches")


# -- broadcasting ----------------------------------------------------------------------------------


@check("sinusoids", public=True)
def two_columns(student: Code, reference: Code, rng: Generator) -> None:
    t = np.arange(7.0)
    expected = np.stack([np.sin(t), np.cos(t)], 1)
    agree(student.call("sinusoids", 7, 2), expected, "the encoding of width 2")


@check("sinusoids")
def any_width_and_a_shift_is_a_rotation(student: Code, reference: Code, rng: Generator) -> None:
    for length, width in ((0, 4), (1, 6), (50, 8), (9, 32)):
        what = f"the encoding of {length} positions"
        same_answer(student, reference, "sinusoids", length, width, what=what)
    found = array_of(student.call("sinusoids", 40, 8), (40, 8), "the encoding")
    products = found @ found.T
    agree(products[5:30, 5:30], products[:25, :25], "the products of positions that are shifted")
    without_loops(student, "sinusoids")


# -- vectorising a loop ----------------------------------------------------------------------------


@check("new-centres", public=True)
def as_by_loop(student: Code, reference: Code, rng: Generator) -> None:
    points, centres = rng.normal(size=(20, 3)), rng.normal(size=(4, 3))
    labels = rng.permutation(np.arange(20) % 4)
    expected = reference.call("new_centres_by_loop", points, labels, centres)
    agree(student.call("new_centres", points, labels, centres), expected, "the centres")


@check("new-centres")
def centres_without_points(student: Code, reference: Code, rng: Generator) -> None:
    for number, k in ((0, 3), (1, 1), (3, 7), (60, 9)):
        points, centres = rng.normal(size=(number, 2)), rng.normal(size=(k, 2))
        labels = rng.integers(0, max(k - 2, 1), number)
        expected = reference.call("new_centres_by_loop", points, labels, centres)
        found = student.call("new_centres", points, labels, centres)
        agree(found, expected, f"{k} centres of {number} points")
    without_loops(student, "new_centres")


# -- views and copies ------------------------------------------------------------------------------


@check("windows", public=True)
def windows_of_a_sequence(student: Code, reference: Code, rng: Generator) -> None:
    x = rng.normal(size=(7, 2))
    for step in (1, 2):
        expected = np.stack([x[begin : begin + 3] for begin in range(0, 5, step)])
        agree(student.call("windows", x, 3, step), expected, f"the windows with step {step}")


@check("windows")
def every_width_as_a_view(student: Code, reference: Code, rng: Generator) -> None:
    x = rng.normal(size=(3, 9)).T  # its rows do not lie one behind the other
    for width in (1, 2, 5, 9):
        for step in (1, 3, 20):
            expected = np.stack([x[b : b + width] for b in range(0, 10 - width, step)])
            what = f"the windows of width {width} with step {step}"
            agree(student.call("windows", x, width, step), expected, what)
            shared = student.call("windows_share_memory", x, width, step)
            require(bool(shared), f"{what} are a copy; expected a view")
    without_loops(student, "windows")


@check("clip-rows", public=True)
def one_row_is_too_long(student: Code, reference: Code, rng: Generator) -> None:
    found = student.call("clip_rows", np.array([[3.0, 4.0], [0.6, 0.8], [0.0, 0.0]]), 2.0)
    agree(found, np.array([[1.2, 1.6], [0.6, 0.8], [0.0, 0.0]]), "the rows")


@check("clip-rows")
def any_rows_and_a_new_array(student: Code, reference: Code, rng: Generator) -> None:
    for shape in ((0, 3), (1, 1), (20, 4)):
        x = 2 * rng.normal(size=shape)
        for largest in (1e-3, 0.9, 3.0, 1e6):
            what = f"the rows with norms up to {largest:g}"
            same_answer(student, reference, "clip_rows", x, largest, what=what)
    for largest in (0.5, 1e6):
        left, new = student.call("clip_rows_leaves", rng.normal(size=(5, 2)), largest)
        require(bool(left), "clip_rows changes the array that it is given")
        require(bool(new), "clip_rows returns the array that it is given; expected a new one")
    without_loops(student, "clip_rows")


# -- einsum ----------------------------------------------------------------------------------------


@check("attention-scores", public=True)
def one_head(student: Code, reference: Code, rng: Generator) -> None:
    q, k = rng.normal(size=(3, 4)), rng.normal(size=(5, 4))
    found = student.call("attention_scores", q[None, :, None], k[None, :, None])
    agree(found, (q @ k.T / 2)[None, None], "the scores")


@check("attention-scores")
def several_heads(student: Code, reference: Code, rng: Generator) -> None:
    for batch, t, s, heads, width in ((2, 3, 4, 5, 6), (1, 1, 2, 3, 1), (3, 4, 4, 4, 4)):
        q, k = rng.normal(size=(batch, t, heads, width)), rng.normal(size=(batch, s, heads, width))
        found = student.call("attention_scores", q, k)
        scores = array_of(found, (batch, heads, t, s), "the scores")
        for b in range(batch):
            for h in range(heads):
                expected = q[b, :, h] @ k[b, :, h].T / width**0.5
                agree(scores[b, h], expected, f"the scores of head {h}")
    without_loops(student, "attention_scores")


# -- stable numerics -------------------------------------------------------------------------------


@check("logsumexp", public=True)
def small_numbers(student: Code, reference: Code, rng: Generator) -> None:
    x = rng.normal(size=(4, 3))
    agree(student.call("logsumexp", x), np.log(np.exp(x).sum(1)), "the answer")
    agree(student.call("logsumexp", x, 0), np.log(np.exp(x).sum(0)), "the answer along axis 0")


@check("logsumexp")
def large_numbers_and_minus_infinity(student: Code, reference: Code, rng: Generator) -> None:
    x = rng.normal(size=(5, 2, 4))
    for axis in (0, 1, 2, -1, -2):
        expected = np.log(np.exp(x).sum(axis))
        for shift in (0.0, 1e4, -1e4):
            found = student.call("logsumexp", x + shift, axis)
            agree(found, expected + shift, f"the answer for numbers around {shift:g}", rtol=1e-9)
    x[rng.random(x.shape) < 0.5] = -np.inf
    x[2, 1] = -np.inf
    x[3] = 700 + x[0]
    x[4] = 2e3 * np.arange(4)
    same_answer(student, reference, "logsumexp", x, 2, what="the answer with −∞ among the numbers")
    same_answer(
        student, reference, "logsumexp", rng.normal(size=1), 0, what="the answer for one number"
    )
    without_loops(student, "logsumexp")
