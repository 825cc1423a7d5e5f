"""Questions on segmentation: receptive fields, enlarging, overlap of sets of pixels."""

from __future__ import annotations

from functools import cache
from random import Random

import torch
from torch import nn

from etude.networks.segmenters import FCN, bilinear_kernel
from etude.questions import (
    Choice,
    Count,
    Number,
    Order,
    Redraw,
    Shape,
    Wrong,
    apart,
    question,
    written,
)

from ._metrics import intersection_over_union, pixel_accuracy, pixel_confusion

Chain = tuple[tuple[int, int], ...]  # kernels and strides


@cache
def field(chain: Chain) -> int:
    """The receptive field of a chain of windows: the inputs that an output has a gradient to."""
    x = torch.ones(1, 1, 400, requires_grad=True)
    y = x
    for kernel, stride in chain:
        y = nn.functional.conv1d(y, torch.ones(1, 1, kernel), stride=stride)
    (gradient,) = torch.autograd.grad(y[0, 0, y.shape[2] // 2], x)
    return int(gradient.ne(0).sum())


def told(kernel: int, stride: int) -> str:
    """A layer in words."""
    if stride == 1:
        return f"a {kernel} × {kernel} convolution"
    if kernel == stride:
        return f"a pooling of {kernel} × {kernel} with stride {stride}"
    return f"a {kernel} × {kernel} convolution with stride {stride}"


@question
def receptive_field_of_a_chain(rng: Random) -> Count:
    """The receptive field after a few layers."""
    layers = [(3, 1), (5, 1), (3, 2), (2, 2), (3, 1)]
    chain = tuple(rng.choice(layers) for _ in range(rng.choice([3, 4, 5])))
    if all(stride == 1 for _, stride in chain[:-1]):
        raise Redraw
    found = field(chain)
    jumps = 1
    for _, stride in chain:
        jumps *= stride
    late = 1
    jump = 1
    for kernel, stride in chain:
        jump *= stride
        late += (kernel - 1) * jump
    return Count(
        prompt=(
            f"A picture passes {', then '.join(told(*layer) for layer in chain)}. On how many"
            " pixels"
            " along each axis does one value of the last map depend, away from the border?"
        ),
        answer=found,
        unit="pixels",
        wrong=apart(
            found,
            Wrong(
                1 + sum(kernel - 1 for kernel, _ in chain),
                "the strides were forgotten",
                "After a stride of $s$, one step in the map is $s$ times as many pixels of the"
                " picture: each later layer adds $(k - 1) \\, j$.",
            ),
            Wrong(
                sum(kernel for kernel, _ in chain),
                "the kernels were added",
                "A layer adds $(k - 1) \\, j$ pixels, because its windows share one place.",
            ),
            Wrong(
                late,
                "a stride was counted for its own layer",
                "$r$ grows first, $r \\leftarrow r + (k - 1) \\, j$, and then $j \\leftarrow s \\,"
                " j$.",
            ),
            Wrong(
                jumps,
                "the step of the last map was given",
                "This is $j$, how far two neighbours of the last map are apart.",
            ),
            Wrong(
                field(chain[:-1]),
                "the last layer was left out",
                "The last layer's window spreads the field once more.",
            ),
        ),
        why=(
            "From $r = j = 1$, each layer does $r \\leftarrow r + (k - 1) \\, j$ and then"
            f" $j \\leftarrow s \\, j$: $r$ is"
            f" {', '.join(str(field(chain[: n + 1])) for n in range(len(chain)))}."
        ),
        see="The receptive field",
    )


def overlap(both: int, predicted: int, true: int, pixels: int) -> dict[str, float]:
    """Measures of a class from counts of pixels."""
    truth = torch.zeros(pixels, dtype=torch.long)
    truth[:true] = 1
    guess = torch.zeros(pixels, dtype=torch.long)
    guess[true - both : true - both + predicted] = 1
    confusion = pixel_confusion(guess, truth, 2)
    union = float(intersection_over_union(confusion)[1])
    return {
        "iou": union,
        "dice": 2 * union / (1 + union),
        "accuracy": pixel_accuracy(confusion),
        "precision": both / predicted,
        "recall": both / true,
    }


@question
def overlap_of_sets(rng: Random) -> Number:
    """IoU or Dice of a predicted class."""
    true = rng.choice([20, 40, 50, 80])
    extra = rng.choice([10, 20, 30])
    both = rng.choice([10, 15, 18])
    predicted = both + extra
    pixels = 256
    which = rng.choice(["iou", "dice"])
    found = overlap(both, predicted, true, pixels)
    other = "dice" if which == "iou" else "iou"
    names = {"iou": "the IoU", "dice": "the Dice coefficient"}
    return Number(
        prompt=(
            f"Of {pixels} pixels {true} are a star. A network calls {predicted} pixels a star, and"
            f" {both} of these are right. What is {names[which]} of the class?"
        ),
        answer=found[which],
        wrong=apart(
            found[which],
            Wrong(
                found[other],
                f"{names[other]} was given",
                "IoU is $|P \\cap Y| / |P \\cup Y|$, and Dice $2 |P \\cap Y| / (|P| + |Y|)$, which"
                " is"
                " higher.",
            ),
            Wrong(
                found["precision"],
                "precision was given",
                "This is the part of the *predicted* pixels that is right. Stars that were missed"
                " count, too.",
            ),
            Wrong(
                found["recall"],
                "recall was given",
                "This is the part of the star that is found. What was called a star and is none"
                " counts, too.",
            ),
            Wrong(
                found["accuracy"],
                "the accuracy of the pixels was given",
                "Most pixels are ground, and make every network look good.",
            ),
            Wrong(
                both / (predicted + true),
                "the common pixels were counted twice",
                "The union is the sum minus the intersection.",
            ),
            within=0.03,
        ),
        why=(
            f"$|P \\cap Y|$ = {both}, $|P|$ = {predicted}, $|Y|$ = {true}, so $|P \\cup Y|$ ="
            f" {predicted + true - both}: {written(found[which])}."
        ),
        see="Intersection over union",
    )


@question
def a_network_that_knows_ground(rng: Random) -> Number:
    """The mIoU of a network that calls everything ground."""
    classes = rng.choice([3, 4, 5, 8, 10])
    pixels = 200
    ground = rng.choice([100, 120, 150, 160, 180, 190])
    truth = torch.zeros(pixels, dtype=torch.long)
    truth[ground:] = 1 + torch.arange(pixels - ground) % (classes - 1)
    confusion = pixel_confusion(torch.zeros_like(truth), truth, classes)
    found = float(intersection_over_union(confusion).mean())
    part = ground / pixels
    return Number(
        prompt=(
            f"A picture has {classes} classes, all of which occur; {100 * part:g} % of its pixels"
            " are"
            " ground. A network calls every pixel ground. What is its mIoU?"
        ),
        answer=found,
        wrong=apart(
            found,
            Wrong(
                part,
                "the accuracy of the pixels was given",
                "The other classes have an IoU of 0, and each counts as much as the ground.",
            ),
            Wrong(
                1 / classes,
                "the ground was thought to be found without error",
                "It calls too much ground: its IoU is the part of the pixels that is ground.",
            ),
            Wrong(
                part / (classes - 1),
                "the ground was not counted as a class",
                "The mean goes over all classes, the ground included.",
            ),
            Wrong(
                2 * part / (1 + part) / classes,
                "Dice was taken",
                "The IoU of the ground is the part of the pixels that is ground.",
            ),
            within=0.03,
        ),
        why=(
            f"The ground's IoU is {part:g}, and that of {classes - 1} others 0: {part:g}/{classes}"
            " ="
            f" {written(found)}."
        ),
        see="Intersection over union",
    )


@cache
def side_after(side: int, kernel: int, stride: int, padding: int) -> int:
    """Pixels of a side of a transposed convolution's output."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        layer = nn.ConvTranspose2d(1, 1, kernel, stride, padding)
        return int(layer(torch.zeros(1, 1, side, side)).shape[2])


@question
def shape_of_an_enlarged_map(rng: Random) -> Shape:
    """The shape that a transposed convolution gives."""
    channels = rng.choice([8, 16, 32])
    filters = rng.choice([4, 5, 12])
    side = rng.choice([4, 5, 7, 8, 16])
    kernel, stride, padding = rng.choice([(2, 2, 0), (4, 2, 1), (3, 2, 1), (3, 2, 0), (4, 4, 0)])
    found = side_after(side, kernel, stride, padding)

    def maps(pixels: int, depth: int = filters) -> tuple[str | int, ...]:
        return ("N", depth, pixels, pixels)

    return Shape(
        prompt=(
            f"$N$ maps of {channels} channels and {side} × {side} pixels pass a transposed"
            " convolution"
            f" with {filters} filters of {kernel} × {kernel}, stride {stride} and padding"
            f" {padding}."
            " What is the shape of its output?"
        ),
        answer=maps(found),
        wrong=apart(
            maps(found),
            Wrong(
                maps((side + 2 * padding - kernel) // stride + 1),
                "an ordinary convolution was taken",
                "A transposed convolution makes a *large* map from a small one.",
            ),
            Wrong(
                maps(side * stride),
                "the kernel and the padding were forgotten",
                "The kernel of the last pixel reaches beyond its stride; the padding cuts that off"
                " again, in part or as a whole.",
            ),
            Wrong(
                maps((side - 1) * stride + kernel),
                "the padding was forgotten",
                f"{padding} pixels are cut off on either side.",
            ),
            Wrong(
                maps((side - 1) * stride + kernel + 2 * padding),
                "the padding was added",
                "What pads the input of a convolution is cut off from the output of its transpose.",
            ),
            Wrong(
                maps(found, channels),
                "the input's channels were kept",
                "There are as many maps as filters.",
            ),
        ),
        why=(
            f"Each pixel writes {kernel} pixels, {stride} further on each time, and {padding} are"
            " cut"
            f" off on either side: ({side} − 1) · {stride} + {kernel} − 2 · {padding} = {found}."
        ),
        see="The transposed convolution",
    )


@question
def between_two_pixels(rng: Random) -> Choice:
    """What the initial transposed convolution writes between two pixels."""
    a, b = (float(each) for each in rng.sample([0, 2, 4, 8, 12, 16, 20], 2))
    with torch.no_grad():
        row = torch.tensor([a, a, b, b])[None, None, None, :].expand(1, 1, 4, 4)
        values = [float(each) for each in bilinear_kernel(1)(row)[0, 0, 4, 3:5]]

    def pair(left: float, right: float) -> str:
        return f"{written(left)} and {written(right)}"

    return Choice(
        prompt=(
            f"Two neighbouring pixels of a small map are {a:g} and {b:g}. A transposed convolution"
            " with"
            " stride 2, whose kernel begins as (¼, ¾, ¾, ¼) along each axis, enlarges the map."
            " Which"
            " two values lie between their middles? (The map does not change along the other axis.)"
        ),
        answer=pair(*values),
        wrong=apart(
            pair(*values),
            Wrong(
                pair(a, b),
                "each pixel was written twice",
                "That is enlarging by the nearest pixel. The kernels of neighbours overlap, and"
                " what"
                " they write is added.",
            ),
            Wrong(
                pair((a + b) / 2, (a + b) / 2),
                "both values were put in the middle",
                "They lie at a quarter and at three quarters of the way.",
            ),
            Wrong(
                pair(values[1], values[0]),
                "the nearer pixel was given the smaller weight",
                "The nearer pixel weighs ¾.",
            ),
            Wrong(
                pair((2 * a + b) / 3, (a + 2 * b) / 3),
                "the way was parted into thirds",
                "The new pixels are half as large, and their middles lie a quarter of the way"
                " beside"
                " the old ones.",
            ),
            Wrong(
                pair(0.75 * a, 0.75 * b),
                "what the neighbour writes was forgotten",
                "Where kernels overlap, the values are added.",
            ),
        ),
        why=(
            f"¾ · {a:g} + ¼ · {b:g} = {written(values[0])} and ¼ · {a:g} + ¾ · {b:g} ="
            f" {written(values[1])}: bilinear interpolation."
        ),
        see="The transposed convolution",
    )


@cache
def _scores(width: int, classes: int, levels: int) -> int:
    with torch.device("meta"):
        net = FCN(1, classes, width, levels, up="bilinear")
    return sum(parameter.numel() for parameter in net.scores.parameters())


@question
def parameters_of_the_classifiers(rng: Random) -> Count:
    """How many parameters the classifiers of an FCN have."""
    width = rng.choice([8, 12, 16, 24])
    classes = rng.choice([4, 5, 8])
    levels = rng.choice([3, 4])
    found = _scores(width, classes, levels)
    widths = [width * 2**level for level in range(levels)]
    return Count(
        prompt=(
            f"The encoder of an FCN has {levels} levels with {', '.join(map(str, widths[:-1]))} and"
            f" {widths[-1]} channels. At each level a linear classifier with a bias tells {classes}"
            " classes at every position. How many parameters have the classifiers together?"
        ),
        answer=found,
        unit="parameters",
        wrong=apart(
            found,
            Wrong(
                classes * sum(widths),
                "the biases were forgotten",
                f"Each classifier has {classes} of them.",
            ),
            Wrong(
                9 * classes * sum(widths) + levels * classes,
                "the classifiers were given 3 × 3 windows",
                "A linear classifier at every position is a 1 × 1 convolution.",
            ),
            Wrong(
                classes * widths[-1] + classes,
                "only the last level was counted",
                "The skip connections have classifiers of their own: that of the last level alone"
                " is"
                " the control.",
            ),
            Wrong(
                classes * sum(widths) + classes,
                "one bias was counted for all levels",
                "Each level has its own classifier, with its own biases.",
            ),
        ),
        why=(
            f"{classes} · ({' + '.join(map(str, widths))}) weights and {levels} · {classes} biases:"
            f" {written(found)}. The size of the picture does not matter."
        ),
        see="Fully convolutional networks",
    )


@question
def order_by_receptive_field(rng: Random) -> Order:
    """Three chains of layers by their receptive field."""
    pool = [
        ((3, 1), (3, 1)),
        ((5, 1),),
        ((3, 1), (2, 2), (3, 1)),
        ((3, 2), (3, 1)),
        ((3, 2), (3, 2), (3, 1)),
        ((7, 1),),
        ((2, 2), (2, 2), (3, 1)),
        ((5, 1), (5, 1)),
    ]
    chosen = rng.sample(pool, 3)
    if len({field(chain) for chain in chosen}) < 3:
        raise Redraw
    names = {", then ".join(told(*layer) for layer in chain): field(chain) for chain in chosen}
    answer = tuple(sorted(names, key=lambda name: names[name]))
    return Order(
        prompt="Order these by their receptive field, the smallest first.",
        answer=answer,
        wrong=(
            Wrong(
                answer[::-1],
                "the order was turned around",
                "The smallest comes first.",
            ),
        ),
        why="; ".join(f"{name}: {names[name]} pixels" for name in answer) + ".",
        see="The receptive field",
    )
