"""What the boxes are asked."""

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


def _boxes(rng: Generator, n: int, largest: float = 6.0) -> np.ndarray:
    """Boxes within 10 × 10 pixels or a little beyond, of many shapes."""
    corner = rng.uniform(0, 8, (n, 2))
    return np.concatenate([corner, corner + rng.uniform(0.5, largest, (n, 2))], axis=1)


NONE = np.empty((0, 4))


# -- overlap ---------------------------------------------------------------------------------------


@check("iou", public=True)
def boxes_on_squared_paper(student: Code, reference: Code, rng: Generator) -> None:
    a = np.array([[0.0, 0, 4, 2]])
    b = np.array([[0.0, 0, 4, 2], [2, 1, 6, 3], [1, 0, 2, 2], [4, 0, 5, 2], [5, 3, 6, 4]])
    agree(student.call("iou", a, b), np.array([[1, 2 / 14, 2 / 8, 0, 0]]), "the overlaps")
    same_answer(student, reference, "iou", _boxes(rng, 5), _boxes(rng, 7), what="the overlaps")


@check("iou")
def boxes_that_are_apart_or_without_area(student: Code, reference: Code, rng: Generator) -> None:
    a, b = _boxes(rng, 20, 3), _boxes(rng, 30, 3)
    same_answer(student, reference, "iou", a, b, what="the overlaps")
    agree(
        array_of(student.call("iou", b, a), (30, 20), "the overlaps").T,
        array_of(student.call("iou", a, b), (20, 30), "the overlaps"),
        "the overlaps of b with a",
    )
    flat = np.array([[1.0, 1, 1, 4], [2, 2, 2, 2], [0, 0, 3, 3]])
    agree(student.call("iou", flat, flat), np.diag([0.0, 0, 1]), "the overlaps of flat boxes")
    tiny = 1e-4 * a
    agree(
        student.call("iou", tiny, tiny), reference.call("iou", a, a), "the overlaps of tiny boxes"
    )
    agree(student.call("iou", NONE, b), np.empty((0, 30)), "the overlaps of no boxes")


@check("giou", public=True)
def boxes_that_touch_or_do_not(student: Code, reference: Code, rng: Generator) -> None:
    a, b = np.array([[0.0, 0, 2, 2]]), np.array([[0.0, 0, 2, 2], [2, 0, 4, 2], [4, 0, 6, 2]])
    agree(student.call("generalised_iou", a, b), np.array([[1, 0, -1 / 3]]), "three pairs")
    same_answer(student, reference, "generalised_iou", _boxes(rng, 5), _boxes(rng, 7))


@check("giou")
def farther_is_less(student: Code, reference: Code, rng: Generator) -> None:
    a = _boxes(rng, 1)
    far = a + np.array([10.0, 40, 160, 1e6])[:, None]
    found = array_of(student.call("generalised_iou", a, far), (1, 4), "the answer")
    require(bool((np.diff(found) < 0).all()), "a box that is farther away has no smaller value")
    agree(found[0, -1], -1.0, "the value for a box very far away", atol=1e-4)
    a, b = _boxes(rng, 12, 3), _boxes(rng, 9, 3)
    inside = np.concatenate([b[:, :2] + 0.1, b[:, 2:] - 0.1], axis=1)
    agree(
        array_of(student.call("generalised_iou", inside, b), (9, 9), "the answer").diagonal(),
        reference.call("iou", inside, b).diagonal(),
        "the value for a box inside another, beside their overlap,",
    )
    agree(
        student.call("generalised_iou", 30 * a + 5, 30 * b + 5),
        reference.call("generalised_iou", a, b),
        "the values of boxes that are moved and enlarged",
    )


# -- suppression -----------------------------------------------------------------------------------


@check("suppress", public=True)
def one_thing_found_three_times(student: Code, reference: Code, rng: Generator) -> None:
    boxes = np.array([[0.0, 0, 4, 4], [0, 1, 4, 5], [0, 0, 4, 3], [6, 6, 9, 9]])
    scores = np.array([0.6, 0.9, 0.5, 0.7])
    for threshold, kept in ((0.35, [1, 3]), (0.45, [1, 3, 2]), (0.65, [1, 3, 0])):
        found = student.call("suppress", boxes, scores, threshold)
        agree(found, np.array(kept), f"the places for a threshold of {threshold}")


@check("suppress", points=2)
def many_boxes_equal_scores_none(student: Code, reference: Code, rng: Generator) -> None:
    for threshold in (0.1, 0.3, 0.7):
        boxes, scores = _boxes(rng, 40), rng.random(40).round(1)
        expected = reference.call("suppress", boxes, scores, threshold)
        kept = student.call("suppress", boxes, scores, threshold)
        agree(kept, expected, f"the places for a threshold of {threshold}")
        again = student.call("suppress", boxes[kept], scores[kept], threshold)
        agree(again, np.arange(len(expected)), "the places when what was kept is given again")
    half = np.array([[0.0, 0, 2, 1], [0, 0, 1, 1]])
    agree(
        student.call("suppress", half, np.ones(2), 0.5),
        np.arange(2),
        "the places at the threshold itself",
    )
    found = array_of(
        student.call("suppress", NONE, np.empty(0), 0.5), (0,), "the answer for no boxes"
    )
    require(
        found.dtype.kind in "iu",
        f"the answer for no boxes holds {found.dtype}; expected whole numbers",
    )


# -- anchors ---------------------------------------------------------------------------------------


@check("anchors", public=True)
def a_small_grid(student: Code, reference: Code, rng: Generator) -> None:
    found = student.call("anchors", 1, 2, 8.0, np.array([4.0]), np.array([1.0, 4.0]))
    expected = np.array([[2.0, 2, 6, 6], [3, 0, 5, 8], [10, 2, 14, 6], [11, 0, 13, 8]])
    agree(found, expected, "two anchors at each of two places")
    same_answer(student, reference, "anchors", 2, 3, 4.0, np.array([5.0, 9]), np.array([0.5, 1, 2]))


@check("anchors", points=2)
def every_size_and_ratio_at_every_place(student: Code, reference: Code, rng: Generator) -> None:
    sizes, ratios = rng.uniform(5, 50, 3), rng.uniform(0.3, 3, 4)
    same_answer(student, reference, "anchors", 5, 2, 16.0, sizes, ratios)
    found = array_of(student.call("anchors", 3, 4, 6.0, sizes, ratios), (144, 4), "the anchors")
    sides = found[:, 2:] - found[:, :2]
    places = np.broadcast_to(sizes[:, None], (12, 3, 4)).ravel()
    agree(np.sqrt(sides.prod(1)), places, "the roots of the areas")
    agree(sides[:, 1] / sides[:, 0], np.tile(ratios, 36), "height by width")


@check("encode", public=True)
def offsets_of_boxes(student: Code, reference: Code, rng: Generator) -> None:
    anchors = np.array([[0.0, 0, 4, 2]] * 3)
    boxes = np.array([[0.0, 0, 4, 2], [2, -1, 6, 1], [-2, 0, 6, 2]])
    expected = np.array([[0.0, 0, 0, 0], [0.5, -0.5, 0, 0], [0, 0, np.log(2), 0]])
    agree(student.call("encode", boxes, anchors), expected, "three offsets")


@check("encode")
def offsets_know_no_pixels(student: Code, reference: Code, rng: Generator) -> None:
    boxes, anchors = _boxes(rng, 15), _boxes(rng, 15)
    expected = reference.call("encode", boxes, anchors)
    agree(student.call("encode", boxes, anchors), expected, "the offsets")
    bigger = student.call("encode", 7 * boxes - 3, 7 * anchors - 3)
    agree(bigger, expected, "the offsets in an image that is moved and enlarged")


@check("decode", public=True)
def boxes_of_offsets(student: Code, reference: Code, rng: Generator) -> None:
    anchors = np.array([[0.0, 0, 4, 2]] * 2)
    offsets = np.array([[0.5, -0.5, 0, 0], [0, 0, np.log(2), np.log(3)]])
    expected = np.array([[2.0, -1, 6, 1], [-2, -2, 6, 4]])
    agree(student.call("decode", offsets, anchors), expected, "two boxes")


@check("decode")
def there_and_back(student: Code, reference: Code, rng: Generator) -> None:
    boxes, anchors = _boxes(rng, 15), _boxes(rng, 15)
    offsets = reference.call("encode", boxes, anchors)
    agree(student.call("decode", offsets, anchors), boxes, "the boxes that the offsets are of")
    same_answer(student, reference, "decode", rng.normal(size=(15, 4)), anchors, what="the boxes")


# -- average precision -----------------------------------------------------------------------------


@check("correct", public=True)
def each_truth_is_found_once(student: Code, reference: Code, rng: Generator) -> None:
    truths = np.array([[0.0, 0, 4, 4], [6, 0, 9, 3]])
    boxes = np.array([[0.0, 1, 4, 4], [0, 0, 4, 4], [6, 0, 9, 2], [2, 5, 4, 7]])
    found = student.call("correct_detections", boxes, np.array([0.9, 0.8, 0.3, 0.7]), truths, 0.5)
    agree(found, np.array([True, False, True, False]), "which detections are right")


@check("correct", points=2)
def crowds_and_empty_images(student: Code, reference: Code, rng: Generator) -> None:
    for threshold in (0.3, 0.5):
        truths = _boxes(rng, 6)
        boxes = truths[rng.integers(0, 6, 25)] + 0.5 * rng.normal(size=(25, 4))
        boxes = np.concatenate([np.minimum(boxes[:, :2], boxes[:, 2:] - 0.1), boxes[:, 2:]], axis=1)
        arguments = (boxes, rng.random(25).round(1), truths, threshold)
        same_answer(student, reference, "correct_detections", *arguments, what="the answer")
    half = np.array([[0.0, 0, 1, 1], [0, 0, 2, 1]])
    found = student.call("correct_detections", half[:1], np.ones(1), half[1:], 0.5)
    agree(found, np.array([True]), "a detection at the threshold itself")
    # The first takes what it overlaps most; what is left to the second is enough.
    truths = np.array([[0.0, 0, 10, 10], [2, 0, 12, 10]])
    boxes = np.array([[1.8, 0, 12, 10], [1.7, 0, 11.7, 10]])
    found = student.call("correct_detections", boxes, np.array([0.9, 0.8]), truths, 0.5)
    agree(found, np.array([True, True]), "two detections of two boxes that are close together")
    for boxes, truths in ((NONE, half), (half, NONE), (NONE, NONE)):
        found = student.call("correct_detections", boxes, np.ones(len(boxes)), truths, 0.5)
        found = array_of(found, (len(boxes),), "the answer for nothing")
        require(not found.any(), "a detection is right where nothing is")


@check("average-precision", public=True)
def a_ranking(student: Code, reference: Code, rng: Generator) -> None:
    scores = np.array([0.5, 0.9, 0.7, 0.8])
    correct = np.array([True, True, True, False])
    found = student.call("average_precision", scores, correct, 4)
    agree(found, (1 + 3 / 4 + 3 / 4) / 4, "the area")
    agree(student.call("average_precision", scores, ~correct, 1), 1 / 2, "the area")


@check("average-precision", points=2)
def all_right_none_right_and_many(student: Code, reference: Code, rng: Generator) -> None:
    scores = rng.permutation(30) / 30
    right = scores > 0.6
    for correct, positives, expected in (
        (right, int(right.sum()), 1.0),
        (right, 2 * int(right.sum()), 0.5),
        (np.zeros(30, bool), 3, 0.0),
    ):
        found = student.call("average_precision", scores, correct, positives)
        agree(found, expected, "the area where all that is right comes first")
    for _ in range(3):
        correct = rng.random(30) < 0.4
        expected = reference.call("average_precision", scores, correct, 20)
        agree(student.call("average_precision", scores, correct, 20), expected, "the area")
        found = student.call("average_precision", 5 * scores - 9, correct, 20)
        agree(found, expected, "the area for other scores of the same order")
        same_answer(student, reference, "average_precision", scores.round(1), correct, 20)
    found = student.call("average_precision", np.empty(0), np.empty(0, bool), 5)
    agree(found, 0.0, "the area without detections")


# -- the focal loss --------------------------------------------------------------------------------


def _logits(rng: Generator, *shape: int) -> tuple[np.ndarray, np.ndarray]:
    return 2 * rng.normal(size=shape), (rng.random(shape) < 0.4).astype(float)


@check("focal", public=True)
def the_focal_loss(student: Code, reference: Code, rng: Generator) -> None:
    x, y = _logits(rng, 12)
    for gamma in (0.0, 2.0):
        loss = values_of(student.call("focal_loss", x, y, 0.25, gamma), 2)[0]
        expected = reference.call("focal_loss", x, y, 0.25, gamma)[0]
        agree(loss, expected, f"the loss for a gamma of {gamma:g}")
    half = values_of(student.call("focal_loss", np.zeros(3), np.ones(3), 1.0, 1.0), 2)[0]
    agree(half, float(np.log(2) / 2), "the loss of logits of 0")


@check("focal", points=2)
def the_gradient_of_your_loss(student: Code, reference: Code, rng: Generator) -> None:
    x, y = _logits(rng, 3, 4)
    for gamma in (0.0, 1.0, 2.5):

        def loss(x: np.ndarray, gamma: float = gamma) -> float:
            found = values_of(student.call("focal_loss", x, y, 0.3, gamma), 2)[0]
            require(isinstance(found, float | np.generic), "the loss is no number")
            return float(found)

        gradient = values_of(student.call("focal_loss", x, y, 0.3, gamma), 2)[1]
        gradient = array_of(gradient, (3, 4), "the gradient")
        what = f"the gradient for a gamma of {gamma:g}"
        beside = f"{what}, beside differences of your own loss"
        agree(gradient, numeric_gradient(loss, x), beside, rtol=1e-4, atol=1e-7)
        agree(gradient, reference.call("focal_loss", x, y, 0.3, gamma)[1], what)


@check("focal")
def large_logits(student: Code, reference: Code, rng: Generator) -> None:
    x = np.array([1e3, -1e3, 1e3, -1e3, 40, -40, 0])
    y = np.array([1.0, 1, 0, 0, 0, 1, 1])
    for gamma in (0.0, 2.0):
        same_answer(student, reference, "focal_loss", x, y, 0.25, gamma, what="loss and gradient")
