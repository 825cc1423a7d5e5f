"""Questions on signals through many layers: variances, gains, symmetry."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from random import Random

import torch
from torch import nn

from etude.layers.activations import dense
from etude.questions import (
    Count,
    Match,
    Number,
    Order,
    TrueFalse,
    Wrong,
    apart,
    measured,
    question,
    written,
)

from ._moments import moments

of = cache(moments)  # E φ² and E φ'² of an activation


@question
def signal_after_many_layers(rng: Random) -> Number:
    """How much of a signal is left after many layers."""
    phi = rng.choice(["identity", "relu"])
    times = rng.choice([0.5, 0.8, 1.0, 1.5, 2.0, 3.0])
    layers = rng.choice([5, 9, 11, 21])
    square, _ = of(phi)
    c = times * square  # n σ² E[φ(u)²]
    if abs(c - 1) < 1e-3:
        times, c = 1.2, 1.2 * square
    found = c ** ((layers - 1) / 2)
    told = "ReLU" if phi == "relu" else "no activation"
    return Number(
        prompt=(
            f"{layers} layers of $n$ units have {told} and independent weights of mean 0 and"
            " variance"
            f" $\\sigma^2$ = {times:g}/n. By which factor does the *standard deviation* of $z$"
            " change"
            f" from the first layer to the last, on average over the weights?"
        ),
        answer=found,
        tolerance=0.02,
        wrong=apart(
            found,
            Wrong(
                c ** (layers - 1),
                "the variance was given",
                "The standard deviation is the root of the variance: half the exponent.",
            ),
            Wrong(
                c ** (layers / 2),
                "a layer too many was counted",
                f"From layer 1 to layer {layers} there are {layers - 1} steps.",
            ),
            Wrong(
                times ** ((layers - 1) / 2) if phi == "relu" else (times / 2) ** ((layers - 1) / 2),
                "half of the signal was miscounted",
                "ReLU sets half of a symmetric distribution to 0, so"
                " $E[h^2] = \\frac12 \\text{Var}\\,z$; without an activation nothing is lost.",
            ),
            Wrong(
                c**0.5,
                "one step was counted",
                f"The factor stands once for each of {layers - 1} steps.",
            ),
            within=0.06,
        ),
        why=(
            f"The variance is multiplied by $c = n \\sigma^2 E[\\phi^2]$ = {c:g} in each of"
            f" {layers - 1} steps: $c^{{(L - 1)/2}}$ = {written(found)}."
        ),
        see="Forward",
    )


@question
def weights_of_the_right_size(rng: Random) -> Number:
    """The standard deviation of weights that keeps the signal."""
    phi = rng.choice(["relu", "tanh", "sigmoid", "gelu", "swish", "elu"])
    inputs = rng.choice([16, 50, 64, 100, 256, 400, 784])
    square, _ = of(phi)
    square = round(square, 3)
    found = (inputs * square) ** -0.5
    return Number(
        prompt=(
            f"An activation has $E[\\phi(u)^2]$ = {square:g} for $u \\sim N(0, 1)$ (it is"
            f" {phi.replace('relu', 'ReLU')}). A layer has {inputs} inputs, each of them such a"
            " $\\phi(u)$, and independent weights of mean 0. Which standard deviation of the"
            " weights"
            " gives $z$ the variance 1?"
        ),
        answer=found,
        tolerance=0.02,
        wrong=apart(
            found,
            Wrong(
                inputs**-0.5,
                "the gain was forgotten",
                "$1 / \\sqrt n$ preserves a signal without an activation. $\\phi$ makes it"
                " smaller.",
            ),
            Wrong(
                found**2,
                "the variance was given",
                "$\\sigma^2 = 1 / (n E[\\phi^2])$; the standard deviation is its root.",
            ),
            Wrong(
                (square / inputs) ** 0.5,
                "the gain was turned around",
                "What $\\phi$ loses the weights have to make up for: $E[\\phi^2]$ stands below.",
            ),
            Wrong(
                (2 / inputs) ** 0.5,
                "Kaiming's 2 was taken for every activation",
                "The 2 is $1 / E[\\phi^2]$ of ReLU, which keeps half.",
            ),
            within=0.06,
        ),
        why=(
            f"$\\text{{Var}}\\,z = n \\sigma^2 E[\\phi^2]$ = 1 for $\\sigma = g / \\sqrt n$ with"
            " the"
            f" gain $g = E[\\phi^2]^{{-1/2}}$: 1/√({inputs} · {square:g}) = {written(found)}."
        ),
        see="Gain",
    )


@question
def equal_weights(rng: Random) -> Count:
    """What a layer is worth whose weights begin equal."""
    sizes = [rng.choice([2, 4, 8, 12, 16]) for _ in range(rng.choice([1, 2, 3]))]
    values = rng.sample([0.01, 0.05, 0.1, 0.3, 0.5], len(sizes))
    inputs = rng.choice([2, 3, 5])
    units = sum(sizes)
    net = nn.Sequential(dense("tanh", inputs, units), nn.Linear(units, 1))
    hidden = net.get_submodule("0.0").get_parameter("weight")  # (units, inputs)
    for parameter in net.parameters():
        nn.init.constant_(parameter, 0.1)
    with torch.no_grad():
        hidden.copy_(torch.tensor(values).repeat_interleave(torch.tensor(sizes))[:, None])
    x = torch.arange(4.0 * inputs).view(4, inputs) / (4 * inputs)
    net(x).square().mean().backward()
    assert hidden.grad is not None
    learned = hidden.detach() - 0.1 * hidden.grad  # after a step
    found = len(torch.unique(learned, dim=0))
    parts = [f"of {size} units at {value:g}" for size, value in zip(sizes, values, strict=True)]
    return Count(
        prompt=(
            f"A network has {inputs} inputs, {units} hidden units with tanh and one output. The"
            f" weights of the hidden units begin equal: all those {', all those '.join(parts)}. All"
            " biases and all weights of the output begin at 0.1. Gradient descent trains it on any"
            " data for as long as you like. How many *different* hidden units can it have in the"
            " end?"
        ),
        answer=found,
        unit="units",
        wrong=apart(
            found,
            Wrong(
                units,
                "training was thought to tell units apart",
                "Units that begin equal compute the same and get the same gradient, so every step"
                " keeps them equal.",
            ),
            Wrong(
                0,
                "equal weights were taken for zero weights",
                "The units do learn, but those that begin equal learn the same.",
            ),
            Wrong(
                inputs,
                "units were thought to become the inputs",
                "Inputs are treated differently, but by equal units in the same way.",
            ),
            Wrong(
                1,
                "all units were thought to stay equal",
                "Units that begin with different weights get different gradients.",
            ),
        ),
        why=(
            f"Units that begin equal stay equal for ever: the {units} are worth {found}. Random"
            " weights make all of them different, which is called symmetry breaking."
        ),
        see="What goes wrong",
    )


@question
def which_signal_explodes(rng: Random) -> Match:
    """What becomes of a signal for three sizes of weights."""
    n = rng.choice([64, 100, 128, 256, 400, 512])
    square, _ = of("relu")
    right = (1 / (n * square)) ** 0.5
    sizes = [right * rng.choice([0.3, 0.5, 0.6]), right, right * rng.choice([1.8, 2.5, 3])]
    told = [f"$\\sigma$ = {written(size, 3)}" for size in sizes]
    factors = [(size**2 * n * square) ** 0.5 for size in sizes]
    assert factors[0] < 0.9 < factors[1] < 1.1 < factors[2]
    ends = ["it vanishes", "it keeps its size", "it explodes"]
    return Match(
        prompt=(
            f"Fifty layers of {n} ReLUs have weights of mean 0 and standard deviation $\\sigma$."
            " What"
            " becomes of the size of the signal?"
        ),
        answer=tuple(zip(told, ends, strict=True)),
        wrong=(
            Wrong(
                (told[1], ends[0]),
                "half of ReLU's signal was thought to be lost for good",
                "With $\\sigma^2 = 2 / n$ the weights make up for the half that ReLU sets to 0.",
            ),
            Wrong(
                (told[0], ends[2]),
                "small weights were thought to add up",
                "Each layer multiplies: fifty factors below 1.",
            ),
            Wrong(
                (told[2], ends[1]),
                "a little too large was thought to be harmless",
                f"A factor of {factors[2]:.1f} a layer, fifty times.",
            ),
        ),
        why=(
            f"$\\sqrt{{n \\sigma^2 / 2}}$ is {written(factors[0], 2)}, 1 and"
            f" {written(factors[2], 2)}:"
            " one factor for each layer."
        ),
        see="Forward",
    )


@question
def gradient_of_a_layer(rng: Random) -> TrueFalse:
    """Whether the gradient keeps its size where the signal does."""
    phi = rng.choice(["relu", "leaky_relu", "identity", "tanh", "gelu", "swish", "elu", "sigmoid"])
    layers = rng.choice([10, 20, 30, 50])
    square, slope = of(phi)
    factor = slope / square
    keeps = abs(factor - 1) < 0.01
    straight = "$\\phi = z\\,\\phi'$ and so $E[\\phi'^2] = E[\\phi^2]$: the factor a layer is 1."
    other = "$E[\\phi'^2]$ differs from $E[\\phi^2]$, and their ratio is the factor a layer."
    transposed = "The gradient passes through the same weights, transposed, and they preserve it."
    reasons = {
        straight: (
            "the activation was taken for two straight lines",
            f"This one is bent: $E[\\phi'^2] / E[\\phi^2]$ is {factor:.3f}.",
        ),
        other: (
            "a difference was seen where there is none",
            "Two straight lines through 0 have equal mean squares of value and slope,"
            " $\\phi = z \\phi'$.",
        ),
        transposed: (
            "the slope of the activation was forgotten",
            "The gradient is multiplied by $\\phi'$, too, while the signal is $\\phi$.",
        ),
    }
    right = straight if keeps else other
    name = {"relu": "ReLU", "leaky_relu": "leaky ReLU", "identity": "no activation"}.get(phi, phi)
    return TrueFalse(
        prompt=(
            f"A network of {layers} wide layers with {name} has weights of the size"
            " $\\sigma = g / \\sqrt n$, where the gain $g$ keeps the variance of $z$ at 1. *The"
            " gradient keeps its size through the layers, too, within a percent a layer.*"
        ),
        holds=keeps,
        answer=right,
        wrong=tuple(Wrong(each, *says) for each, says in reasons.items() if each != right),
        why=f"$E[\\phi'^2] / E[\\phi^2]$ = {factor:.3f} for {name}.",
        see="Gain",
    )


@question(
    cites={
        "kaiming/test/accuracy": 0.898,
        "xavier/test/accuracy": 0.194,
        "small/test/accuracy": 0.1006,
    }
)
def which_start_learns(rng: Random) -> Order:
    """Which initialisation learns how much in a deep network."""
    found = measured(__file__)
    names = {
        "kaiming": "Kaiming's, $\\sigma^2 = 2 / n$",
        "xavier": "Xavier's, $\\sigma^2 = 1 / n$ here",
        "small": "small ones, $\\sigma = 0.02$",
    }
    reached = {name: found[f"{name}/test/accuracy"] for name in names}
    order = sorted(names, key=lambda name: -reached[name])
    assert all(reached[a] > reached[b] + 0.05 for a, b in pairwise(order))
    a, b, c = (names[each] for each in order)
    return Order(
        prompt=(
            "Networks of 20 layers of 64 ReLUs learn the digits for 200 steps. They differ in their"
            " first weights. Order these by the test accuracy, the highest first."
        ),
        answer=(a, b, c),
        wrong=(
            Wrong(
                (b, a, c),
                "Xavier's rule was thought to suit ReLU",
                "Its signal loses half of its variance in each ReLU layer: a thousand times too"
                " small"
                " after twenty.",
            ),
            Wrong(
                (c, b, a),
                "small weights were thought to be safe",
                "With them signal and gradient vanish, and every image gets the same answer.",
            ),
        ),
        why="; ".join(f"{names[each]}: {reached[each]:.2f}" for each in order)
        + " (means of three seeds).",
        see="Does it matter?",
    )
