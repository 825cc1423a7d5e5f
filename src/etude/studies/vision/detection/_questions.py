"""Questions on detection: overlap, anchors, suppression, the focal loss, average precision."""

from __future__ import annotations

import math
from functools import cache
from random import Random

import torch

from etude.layers.anchors import encode, grid_anchors
from etude.layers.boxes import area, intersection, iou, nms
from etude.questions import Count, Number, Redraw, Several, Wrong, apart, question, written

from ._average_precision import average_precision
from ._losses import focal_loss

Box = tuple[int, int, int, int]


def drawn(rng: Random) -> Box:
    """A box of whole numbers: left, top, right, bottom."""
    x, y = rng.randint(0, 6), rng.randint(0, 6)
    return x, y, x + rng.randint(3, 8), y + rng.randint(3, 8)


@question
def overlap_of_two_boxes(rng: Random) -> Number:
    """The intersection over union of two boxes."""
    a, b = drawn(rng), drawn(rng)
    one = torch.tensor([a]).double()
    other = torch.tensor([b]).double()
    found = float(iou(one, other)[0, 0])
    both = float(intersection(one, other)[0])
    first, second = float(area(one)[0]), float(area(other)[0])
    if both < 2 or a == b:
        raise Redraw
    return Number(
        prompt=(
            f"Two boxes have the edges (left, top, right, bottom) {a} and {b}. What is their"
            " intersection over union?"
        ),
        answer=found,
        wrong=apart(
            found,
            Wrong(
                both / (first + second),
                "the intersection was counted twice",
                "The union is the sum of the areas *minus* the intersection.",
            ),
            Wrong(
                both / first,
                "only the first box was taken",
                "This is the fraction of the first box that is covered.",
            ),
            Wrong(
                both / second,
                "only the second box was taken",
                "This is the fraction of the second box that is covered.",
            ),
            Wrong(
                2 * both / (first + second),
                "the Dice coefficient was given",
                "Dice divides twice the intersection by the sum of the areas.",
            ),
            Wrong(
                both,
                "the intersection was given",
                "It is divided by the area that either covers.",
            ),
            within=0.03,
        ),
        why=(
            f"They share {both:g}, and cover {first:g} + {second:g} − {both:g} ="
            f" {first + second - both:g} together: {written(found)}."
        ),
        see="Anchors",
    )


@question
def what_suppression_keeps(rng: Random) -> Several:
    """Which boxes non-maximum suppression keeps."""
    side = 10
    shifts = [0, rng.choice([1, 2, 3]), rng.choice([4, 5, 6]), rng.choice([7, 8, 9, 14]), 30]
    scores = rng.sample([0.95, 0.9, 0.85, 0.7, 0.6, 0.55, 0.4, 0.3], 5)
    kinds = [0, 0, 0, rng.choice([0, 1]), rng.choice([0, 1])]
    boxes = torch.tensor([[x, 0, x + side, side] for x in shifts]).double()
    kept = nms(boxes[None], torch.tensor([scores]).double(), torch.tensor([kinds]), 0.5)[0]
    overlap = iou(boxes, boxes)
    told = [
        f"{'a disc' if kind == 0 else 'a star'}, score {score:g}, x from {x} to {x + side}"
        for kind, score, x in zip(kinds, scores, shifts, strict=True)
    ]
    wrong = []
    for j in range(5):
        if not kept[j]:
            by = next(
                i
                for i in range(5)
                if kept[i]
                and kinds[i] == kinds[j]
                and scores[i] > scores[j]
                and overlap[i, j] > 0.5
            )
            says = (
                f"Its IoU with the kept box of score {scores[by]:g} is"
                f" {float(overlap[by, j]):.2f}, and"
                " both are of one class."
            )
            wrong.append(Wrong(told[j], "a box was kept that another suppresses", says))
    return Several(
        prompt=(
            f"Five detections of one picture are {side} × {side} boxes at the same height."
            " Non-maximum"
            " suppression has the threshold 0.5. Which of them are kept?"
        ),
        answer=tuple(words for words, each in zip(told, kept, strict=True) if each),
        missed=(
            "One more is kept: only a *kept* box of the *same class* with a higher score and an IoU"
            " above the threshold suppresses another."
        ),
        wrong=tuple(wrong),
        why=(
            "From the highest score down, a box is kept unless it overlaps a kept box of its class"
            " too"
            " much. Boxes that are suppressed suppress nothing."
        ),
        see="Non-maximum suppression",
    )


@question
def weight_of_an_easy_question(rng: Random) -> Number:
    """By how much the focal loss makes a question lighter."""
    p = rng.choice([0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.9, 0.95, 0.99])
    gamma = rng.choice([1, 2, 3])
    logits = torch.tensor([math.log(p / (1 - p))]).double()
    target = torch.ones(1).double()
    focal, plain = (focal_loss(logits, target, each, 0.5) for each in (float(gamma), 0.0))
    found = float(focal / plain)
    return Number(
        prompt=(
            f"A detector gives the right answer to a question the probability $p_t$ = {p:g}. By"
            " which"
            f" factor does the focal loss with $\\gamma$ = {gamma} multiply the cross-entropy of"
            " this"
            " question, apart from $\\alpha_t$?"
        ),
        answer=found,
        wrong=apart(
            found,
            Wrong(
                p**gamma,
                "the probability was not turned around",
                "$(1 - p_t)^\\gamma$: what is nearly right gets *less* weight.",
            ),
            Wrong(
                (1 - p) * gamma,
                "γ was taken for a factor",
                "$\\gamma$ is an exponent.",
            ),
            Wrong(
                -((1 - p) ** gamma) * math.log(p),
                "the whole loss was given",
                "The cross-entropy $-\\log p_t$ is what is multiplied.",
            ),
            Wrong(
                1 - p**gamma,
                "the exponent was put at the wrong place",
                "First $1 - p_t$, then the power.",
            ),
            Wrong(
                (1 - p) ** (1 / gamma),
                "a root was taken",
                "A larger $\\gamma$ makes easy questions lighter, not heavier.",
            ),
            within=0.03,
        ),
        why=f"$(1 - {p:g})^{gamma}$ = {written(found)}.",
        see="The focal loss",
    )


@cache
def precision_of(objects: int, right: tuple[bool, ...]) -> float:
    """The average precision of detections, from the highest score down."""
    places = torch.arange(objects).double()[:, None] * 20 + torch.tensor([0.0, 0, 10, 10]).double()
    hits = iter(places)
    far = torch.tensor([0.0, 500, 10, 510]).double()
    boxes = torch.stack([next(hits) if each else far for each in right])[None]
    scores = torch.linspace(0.9, 0.2, len(right))[None]
    labels = torch.zeros(1, len(right)).long()
    true = torch.zeros(1, objects).long()
    return average_precision(boxes, scores, labels, places[None], true, 1, (0.5,)).mean


@question
def average_precision_of_a_list(rng: Random) -> Number:
    """The average precision of a few detections."""
    objects = rng.choice([2, 3, 4, 5])
    right = [rng.random() < 0.6 for _ in range(rng.choice([3, 4, 5]))]
    if not any(right) or sum(right) > objects or all(right):
        raise Redraw
    found = precision_of(objects, tuple(right))
    precisions = [sum(right[: k + 1]) / (k + 1) for k in range(len(right))]
    at_hits = [value for value, hit in zip(precisions, right, strict=True) if hit]
    told = ", ".join("right" if each else "wrong" for each in right)
    return Number(
        prompt=(
            f"A class has {objects} objects, and its detections, from the highest score down, are"
            f" {told}. What is its average precision (the mean over the recalls 0, 0.01, …, 1 of"
            " the"
            " highest precision at that recall or beyond)?"
        ),
        answer=found,
        tolerance=0.015,
        wrong=apart(
            found,
            Wrong(
                precisions[-1],
                "the precision of the whole list was given",
                "Average precision goes through the recalls, and asks for the precision at each.",
            ),
            Wrong(
                sum(right) / objects,
                "the recall was given",
                "That is the fraction of the objects that are found, whatever stands between them.",
            ),
            Wrong(
                sum(at_hits) / len(at_hits),
                "objects that are never found were left out",
                "At recalls that are not reached the precision is 0.",
            ),
            Wrong(
                sum(precisions) / len(precisions),
                "the mean over the detections was taken",
                "The mean goes over recalls: a wrong detection moves no recall.",
            ),
            within=0.045,
        ),
        why=(
            f"Precisions are {', '.join(written(value, 3) for value in precisions)}, and the recall"
            f" ends at {sum(right)}/{objects}. The mean of the highest precisions at or beyond each"
            f" recall is {written(found)}."
        ),
        see="Average precision",
    )


@question
def a_box_by_its_anchor(rng: Random) -> Number:
    """One offset of a box from its anchor."""
    width = rng.choice([8, 16, 20, 32])
    height = rng.choice([8, 10, 16, 40])
    x, y = rng.randint(20, 60), rng.randint(20, 60)
    dx = rng.choice([-6, -4, -2, 2, 4, 6])
    dy = rng.choice([-6, -4, -2, 2, 4, 6])
    w = round(width * rng.choice([0.5, 1.25, 1.5, 2]))
    h = round(height * rng.choice([0.5, 1.5, 2]))
    anchor = torch.tensor([x - width / 2, y - height / 2, x + width / 2, y + height / 2]).double()
    box = torch.tensor([x + dx - w / 2, y + dy - h / 2, x + dx + w / 2, y + dy + h / 2]).double()
    offsets = [float(each) for each in encode(box, anchor)]
    which = rng.randrange(4)
    found = offsets[which]
    names = ["$t_x$, the first", "$t_y$, the second", "$t_w$, the third", "$t_h$, the fourth"]
    shift = which < 2
    moved, own, grown = (
        ((dx, width, w) if which == 0 else (dy, height, h))
        if shift
        else ((0, width, w) if which == 2 else (0, height, h))
    )
    if abs(found) < 0.02:
        raise Redraw
    slips = (
        (
            Wrong(
                float(moved),
                "the shift was not divided",
                "Shifts are measured in sizes of the anchor, so that the same layers serve all"
                " sizes.",
            ),
            Wrong(
                moved / grown,
                "it was divided by the size of the box",
                "The network knows the anchor, and not yet the box.",
            ),
            Wrong(
                -found,
                "the shift was turned around",
                "It leads from the anchor to the box.",
            ),
        )
        if shift
        else (
            Wrong(
                grown / own,
                "the logarithm was forgotten",
                "Growth is the *logarithm* of a factor, so that twice and half as large are ±0.69.",
            ),
            Wrong(
                -found,
                "the factor was turned around",
                "The box's size is divided by the anchor's.",
            ),
            Wrong(
                (grown - own) / own,
                "the difference was taken",
                "It is the logarithm of the ratio.",
            ),
        )
    )
    return Number(
        prompt=(
            f"An anchor has its centre at ({x}, {y}) and is {width} wide and {height} high. The"
            " box has"
            f" its centre at ({x + dx}, {y + dy}) and is {w} wide and {h} high. What is"
            f" {names[which]} of the four numbers by which the box is encoded?"
        ),
        answer=found,
        tolerance=0.02,
        wrong=apart(found, *slips, within=0.06),
        why=(
            f"{moved}/{own} = {written(found)}: a shift in sizes of the anchor."
            if shift
            else f"$\\log$ {grown}/{own} = {written(found)}."
        ),
        see="Anchors",
    )


@cache
def _anchors(side: int, strides: tuple[int, ...], factors: int, ratios: int) -> int:
    return len(grid_anchors(side, side, strides, 3.0, [1.0] * factors, [1.0] * ratios))


@question
def how_many_anchors(rng: Random) -> Count:
    """How many anchors a picture has."""
    side = rng.choice([32, 64, 96, 128])
    strides = rng.choice([(4, 8), (8, 16), (4, 8, 16), (8, 16, 32)])
    factors, ratios = rng.choice([1, 2, 3]), rng.choice([2, 3])
    found = _anchors(side, strides, factors, ratios)
    cells = [(side // stride) ** 2 for stride in strides]
    each = factors * ratios
    return Count(
        prompt=(
            f"A picture of {side} × {side} pixels has feature maps of stride"
            f" {', '.join(map(str, strides[:-1]))} and {strides[-1]}. Around every cell there are"
            f" anchors of {factors} size{'s' * (factors > 1)}, each in {ratios} aspect ratios. How"
            " many"
            " anchors are there?"
        ),
        answer=found,
        unit="anchors",
        wrong=apart(
            found,
            Wrong(
                sum(cells),
                "one anchor was counted for each cell",
                f"Each cell has {factors} · {ratios} = {each} of them.",
            ),
            Wrong(
                cells[0] * each,
                "only the finest map was counted",
                "Every level of the pyramid has its own anchors.",
            ),
            Wrong(
                sum(cells) * (factors + ratios),
                "sizes and ratios were added",
                "Every size comes in every ratio.",
            ),
            Wrong(
                sum(side // stride for stride in strides) * each,
                "one side of the maps was counted",
                f"A map of stride {strides[0]} has {side // strides[0]} × {side // strides[0]}"
                " cells.",
            ),
            Wrong(
                len(strides) * cells[0] * each,
                "all maps were taken for the finest one",
                "A coarser map has fewer cells.",
            ),
        ),
        why=(
            f"{' + '.join(map(str, cells))} = {sum(cells)} cells, and {each} anchors around each:"
            f" {written(found)}."
        ),
        see="Anchors",
    )
