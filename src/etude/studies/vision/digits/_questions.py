"""Questions on a small convolutional network: shapes, parameters, what holds overfitting back."""

from __future__ import annotations

from functools import cache
from random import Random

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from etude.layers.dropout import Dropout
from etude.networks.strided import StridedCNN
from etude.questions import (
    Count,
    Number,
    Redraw,
    Several,
    Shape,
    Wrong,
    apart,
    question,
    written,
)


@cache
def side_after(side: int, kernel: int, stride: int, padding: int) -> int:
    """Pixels of a side of a convolution's output."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        layer = nn.Conv2d(1, 1, kernel, stride, padding)
        return int(layer(torch.zeros(1, 1, side, side)).shape[2])


@question
def shape_of_the_maps(rng: Random) -> Shape:
    """The shape that a convolution gives."""
    channels = rng.choice([1, 3, 8, 16])
    filters = rng.choice([4, 12, 24, 32])
    side = rng.choice([8, 15, 28, 32, 33, 64])
    kernel, stride = rng.choice([3, 5]), rng.choice([1, 2, 3])
    padding = rng.choice([0, kernel // 2])
    pixels_left = side_after(side, kernel, stride, padding)

    def maps(pixels: int, depth: int = filters) -> tuple[str | int, ...]:
        return ("N", depth, pixels, pixels)

    answer = maps(pixels_left)
    return Shape(
        prompt=(
            f"A batch of $N$ pictures with {channels} channels of {side} × {side} pixels passes a"
            f" convolution with {filters} filters of {kernel} × {kernel}, stride {stride} and"
            " padding"
            f" {padding}. What is the shape of its output?"
        ),
        answer=answer,
        wrong=apart(
            answer,
            Wrong(
                maps((side - kernel) // stride + 1 if padding else -(-side // stride)),
                "the padding was forgotten" if padding else "a padding was added",
                f"With padding {padding} the filter begins {padding} pixels outside of the picture"
                " on"
                " either side.",
            ),
            Wrong(
                maps(side + 2 * padding - kernel + 1),
                "the stride was forgotten",
                f"The filter moves {stride} pixels a step, so the maps are smaller by that factor.",
            ),
            Wrong(
                maps(pixels_left, channels),
                "the input's channels were kept",
                "Each filter sees all channels and gives one map: as many maps as filters.",
            ),
            Wrong(
                maps((side + 2 * padding - kernel) // stride),
                "the first position was not counted",
                "$\\lfloor (n + 2p - k) / s \\rfloor$ steps after the first position make one more"
                " position.",
            ),
            Wrong(
                maps(pixels_left, filters * channels),
                "each filter was thought to give a map for each channel",
                "A filter adds up over the channels.",
            ),
        ),
        why=(
            f"$\\lfloor ({side} + 2 \\cdot {padding} - {kernel}) / {stride} \\rfloor + 1$ ="
            f" {pixels_left}"
            f" pixels a side, and a map for each of {filters} filters."
        ),
        see="Convolution",
    )


@question
def parameters_of_a_convolution(rng: Random) -> Count:
    """How many parameters a convolution has."""
    channels = rng.choice([3, 8, 16, 24, 32])
    filters = rng.choice([12, 20, 48, 64, 96])
    kernel = rng.choice([3, 5, 7])
    side = rng.choice([8, 14, 28, 32])
    bias = rng.random() < 0.5
    layer = nn.Conv2d(channels, filters, kernel, padding=kernel // 2, bias=bias, device="meta")
    found = sum(parameter.numel() for parameter in layer.parameters())
    weights = channels * filters * kernel**2
    return Count(
        prompt=(
            f"A convolution takes {channels} channels of {side} × {side} pixels to {filters}, by"
            f" filters of {kernel} × {kernel}, {'with' if bias else 'without'} a bias. How many"
            " parameters has it?"
        ),
        answer=found,
        unit="parameters",
        wrong=apart(
            found,
            Wrong(
                weights if bias else weights + filters,
                "the bias was forgotten" if bias else "a bias was added",
                f"Here each filter has {'one bias, too' if bias else 'no bias'}.",
            ),
            Wrong(
                filters * kernel**2 + (filters if bias else 0),
                "the input's channels were forgotten",
                f"A filter has {kernel} × {kernel} weights *for each* of the {channels} channels.",
            ),
            Wrong(
                channels * side**2 * filters + (filters if bias else 0),
                "the layer was taken for a fully connected one",
                "A filter slides over the picture: the same weights serve at every position.",
            ),
            Wrong(
                weights + (filters * side**2 if bias else side**2),
                "each position was given a bias",
                "The size of the picture does not matter: everything is shared by all positions.",
            ),
            Wrong(
                channels * filters * kernel + (filters if bias else 0),
                "the filter was taken for a line",
                f"A filter has {kernel} · {kernel} = {kernel**2} weights a channel.",
            ),
        ),
        why=(
            f"{filters} filters of {channels} · {kernel}² weights"
            + (" and one bias each" if bias else "")
            + f": {written(found)}."
        ),
        see="Convolution",
    )


@cache
def _head(side: int, width: int) -> tuple[int, int, int]:
    """Parameters of the last map of the study's network, its inputs, and the last maps' side."""
    with torch.device("meta"):
        net = StridedCNN(1, side, 10, width)
    inputs = net.head.in_features
    return (
        sum(each.numel() for each in net.head.parameters()),
        inputs,
        int((inputs / 4 / width) ** 0.5),
    )


@question
def parameters_of_the_last_map(rng: Random) -> Count:
    """How many parameters the last linear map has."""
    side = rng.choice([8, 16, 28, 32])
    width = rng.choice([8, 12, 16, 20, 24, 32])
    found, inputs, end = _head(side, width)
    strides = 3 if side >= 16 else 2
    return Count(
        prompt=(
            f"Four convolutions take a picture of {side} × {side} pixels to {width}, {2 * width},"
            f" {4 * width} and {4 * width} channels. Each keeps the size of the maps, but"
            f" {strides} of"
            " them have stride 2 and halve it, rounded up. All that is left is flattened, and a"
            " linear"
            " map with a bias makes 10 logits of it. How many parameters has that map?"
        ),
        answer=found,
        unit="parameters",
        wrong=apart(
            found,
            Wrong(
                10 * inputs,
                "the biases were forgotten",
                "Each of the ten logits has a bias.",
            ),
            Wrong(
                10 * 4 * width + 10,
                "the maps were taken for single numbers",
                f"Each of {4 * width} maps still has {end} × {end} pixels, and all of them count.",
            ),
            Wrong(
                10 * 4 * width * side**2 + 10,
                "the strides were forgotten",
                f"The maps have shrunk from {side} to {end} pixels a side.",
            ),
            Wrong(
                10 * 4 * width * end + 10,
                "one side of the maps was counted",
                f"A map has {end} · {end} pixels.",
            ),
        ),
        why=(
            f"{4 * width} maps of {end} × {end} pixels are {written(inputs)} numbers; times 10,"
            " and 10"
            f" biases: {written(found)}."
        ),
        see="Convolution",
    )


@question
def gradient_of_a_smoothed_target(rng: Random) -> Number:
    """The gradient of the true class's logit with label smoothing."""
    smoothing = rng.choice([0.05, 0.1, 0.2, 0.3])
    classes = rng.choice([4, 5, 10])
    p = rng.choice([0.5, 0.6, 0.8, 0.98])
    rest = (1 - p) / (classes - 1)
    z = torch.tensor([[p] + [rest] * (classes - 1)]).double().log().requires_grad_()
    loss = cross_entropy(z, torch.tensor([0]), label_smoothing=smoothing)
    (gradient,) = torch.autograd.grad(loss, z)
    found = float(gradient[0, 0])
    if abs(found) < 0.01:
        raise Redraw
    return Number(
        prompt=(
            f"Labels are smoothed with $\\epsilon$ = {smoothing:g} over {classes} classes. A"
            " network"
            f" gives the true class of an example the probability {p:g}. What is the derivative of"
            " the"
            " loss with respect to that class's logit?"
        ),
        answer=found,
        tolerance=0.02,
        wrong=apart(
            found,
            Wrong(
                p - 1,
                "smoothing was forgotten",
                "The target of the true class is no longer 1.",
            ),
            Wrong(
                p - (1 - smoothing),
                "the true class's own share was forgotten",
                "$\\epsilon$ is spread over *all* classes, the true one included:"
                " $q = 1 - \\epsilon + \\epsilon / K$.",
            ),
            Wrong(
                -found,
                "the sign was turned",
                "The gradient is $p - q$. A negative one says that the logit should rise.",
            ),
            Wrong(
                p - smoothing / classes,
                "the target of another class was taken",
                "The other classes get $\\epsilon / K$; the true one keeps $1 - \\epsilon$"
                " besides.",
            ),
            within=0.06,
        ),
        why=(
            f"$q = 1 - {smoothing:g} + {smoothing:g}/{classes}$ ="
            f" {1 - smoothing + smoothing / classes:g}"
            f", and $p - q$ = {written(found)}. "
            + (
                "The network is surer than the target: the logit falls."
                if found > 0
                else "The logit rises until $p = q$, and no farther."
            )
        ),
        see="Label smoothing",
    )


@question
def a_feature_that_is_kept(rng: Random) -> Number:
    """What dropout does to a feature that it keeps."""
    p = rng.choice([0.1, 0.2, 0.25, 0.5, 0.6, 0.8])
    value = float(rng.choice([1, 2, 3, 6, 10]))
    training = rng.random() < 0.7
    layer = Dropout(p).train(training)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(rng.getrandbits(32))
        found = float(layer(torch.full((64,), value)).max())  # 0, or what is kept
    if found == 0:
        raise Redraw
    when = (
        "In training, a feature is *not* dropped." if training else "The trained network is used."
    )
    return Number(
        prompt=(
            f"Dropout with probability {p:g} stands before a linear map, and a feature has the"
            " value"
            f" {value:g}. {when} Which value does the linear map get?"
        ),
        answer=found,
        wrong=apart(
            found,
            Wrong(
                value,
                "the scaling was forgotten",
                "What is kept is divided by $1 - p$, so that the mean stays as it was.",
            )
            if training
            else Wrong(
                value / (1 - p),
                "a trained network was treated as one in training",
                "In use nothing is dropped, and nothing has to be made up for.",
            ),
            Wrong(
                value * (1 - p),
                "the feature was made smaller",
                "In some books features are multiplied by $1 - p$ in use. Here what is kept grows"
                " in"
                " training, and in use nothing changes.",
            ),
            Wrong(
                value / p,
                "the probability of being dropped was taken",
                "It is divided by the probability of being *kept*, $1 - p$.",
            ),
            Wrong(
                0.0,
                "the feature was dropped",
                "This one is not dropped.",
            ),
            within=0.03,
        ),
        why=(
            f"{value:g} / (1 − {p:g}) = {written(found)}: the mean over kept and dropped is"
            f" {value:g}"
            " again."
            if training
            else f"Nothing is dropped: {written(found)}."
        ),
        see="Dropout",
    )


@question
def what_spoils_a_test(rng: Random) -> Several:
    """Which uses of data leave the test accuracy honest."""
    n = rng.choice([3, 5, 8, 20])
    fraction = rng.choice([10, 15, 20])
    honest = [
        f"{n} widths are compared by `validation/accuracy`, and the best one is tested once",
        f"{fraction} % of the training pictures are held out, and training stops when they say so",
        "The pixels are scaled by the mean and the deviation of the training pictures",
        f"The training pictures are rotated by up to {n} degrees each time",
        f"{n} seeds are trained alike, and the mean of their test accuracies is told",
    ]
    spoiled = {
        f"{n} widths are compared by `test/accuracy`, and the best one is told": (
            "the best of several tests was told",
            f"The best of {n} is too good by luck. Choose on the validation split, and test once.",
        ),
        "Training stops in the epoch in which `test/accuracy` is the highest": (
            "the test chose when to stop",
            "Then the test pictures have chosen a network, as training pictures do.",
        ),
        f"{fraction} % of the test pictures are used for training, too": (
            "test pictures were trained on",
            "A network may know them by heart.",
        ),
        f"Of {n} seeds the one with the highest `test/accuracy` is told": (
            "the luckiest seed was told",
            "Report the mean over the seeds, and how far they differ.",
        ),
    }
    right = rng.sample(honest, rng.choice([2, 3]))
    wrong = rng.sample(sorted(spoiled), 5 - len(right))
    return Several(
        prompt=(
            "Which of these leave the accuracy on the test pictures an honest estimate of what the"
            " network reaches on new ones?"
        ),
        answer=tuple(right),
        missed="One more of them never looks at the test pictures before the end.",
        wrong=tuple(Wrong(each, *spoiled[each]) for each in wrong),
        why="The test pictures are used once, when every choice has been made without them.",
        see="A validation split",
    )
