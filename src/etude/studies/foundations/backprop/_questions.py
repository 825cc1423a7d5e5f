"""Questions on backpropagation: what a layer hands back, and how one checks it."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

import numpy as np

from etude.layers import by_hand as hand
from etude.layers.by_hand import Array
from etude.questions import (
    Choice,
    Code,
    Number,
    Redraw,
    Several,
    Shape,
    Wrong,
    apart,
    changed,
    question,
    written,
)


def affine(weight: Array, bias: Array) -> hand.Affine:
    """An affine layer with given numbers; nothing is drawn."""
    layer = hand.Affine.__new__(hand.Affine)
    hand.Layer.__init__(layer)
    layer.values = {"weight": weight, "bias": bias}
    return layer


@question
def shapes_of_an_affine_layer(rng: Random) -> Shape:
    """The shapes that the backward pass of an affine layer gives."""
    n, inputs, outputs = rng.sample([2, 3, 4, 5, 6, 7, 8, 9], 3)
    layer = affine(np.zeros((outputs, inputs)), np.zeros(outputs))
    y = layer.forward(np.zeros((n, inputs)), True)
    dx = layer.backward(y)
    what, found = rng.choice(
        [
            ("W", layer.gradients["weight"]),
            ("b", layer.gradients["bias"]),
            ("x", dx),
        ]
    )
    answer = found.shape
    return Shape(
        prompt=(
            f"An affine layer computes $y = x W^\\top + b$ from {n} rows of {inputs} numbers, and"
            " $y$"
            f" has {outputs} numbers a row. What is the shape of $\\partial L / \\partial {what}$?"
        ),
        answer=answer,
        wrong=apart(
            answer,
            Wrong(
                (inputs, outputs),
                "the weight was transposed",
                "$y = x W^\\top$: the weight has a row for each output. A gradient has the shape of"
                " what it belongs to.",
            ),
            Wrong(
                y.shape,
                "the shape of the output was given",
                "This is the shape of $\\partial L / \\partial y$, which the layer is given. A"
                " gradient has the shape of what it belongs to.",
            ),
            Wrong(
                (n, outputs, inputs),
                "the rows were kept apart",
                "$L$ depends on $W$ through every row, so the contributions of the rows are added.",
            ),
            Wrong(
                layer.gradients["weight"].shape,
                "the shape of the weight was given",
                f"The gradient with respect to ${what}$ has the shape of ${what}$.",
            ),
            Wrong(
                dx.shape,
                "the shape of the input was given",
                f"The gradient with respect to ${what}$ has the shape of ${what}$.",
            ),
        ),
        why=(
            "$dx = dy \\, W$, $dW = dy^\\top x$, $db = \\sum_n dy_n$: each has the shape of its"
            " own."
        ),
        see="The layers",
    )


@question
def through_a_small_network(rng: Random) -> Number:
    """The gradient of a first weight, by the chain rule through ReLU."""
    x = float(rng.choice([-2, -1, 1, 2, 3]))
    w1 = float(rng.choice([-3, -2, 2, 3]))
    b1 = float(rng.randint(-2, 3))
    w2 = float(rng.choice([-3, -2, 2, 3]))
    target = float(rng.randint(-3, 3))
    first = affine(np.array([[w1]]), np.array([b1]))
    relu = hand.ReLU()
    second = affine(np.array([[w2]]), np.zeros(1))
    z = first.forward(np.array([[x]]), True)
    y = second.forward(relu.forward(z, True), True)
    first.backward(relu.backward(second.backward(y - target)))
    found = float(first.gradients["weight"][0, 0])
    error = float(y[0, 0]) - target
    if error == 0 or float(z[0, 0]) == 0:
        raise Redraw
    passed = "passes the gradient" if z[0, 0] > 0 else "passes none"
    return Number(
        prompt=(
            f"A network computes $z = {w1:g}x {'+' if b1 >= 0 else '-'} {abs(b1):g}$, $h ="
            " \\max(0, z)$"
            f" and $y = {w2:g}h$; the loss is $L = \\frac12 (y - t)^2$. For $x$ = {x:g} and $t$ ="
            f" {target:g}, what is the derivative of $L$ with respect to the first weight, the"
            f" {w1:g}?"
        ),
        answer=found,
        wrong=apart(
            found,
            Wrong(
                error * w2 * x,
                "the derivative of ReLU was forgotten",
                f"$z$ = {float(z[0, 0]):g} is negative: ReLU's derivative is 0 there, and no"
                " gradient"
                " passes.",
            ),
            Wrong(
                0.0,
                "the unit was thought to be off",
                f"$z$ = {float(z[0, 0]):g} is positive: ReLU passes the whole gradient.",
            ),
            Wrong(
                error * x,
                "the second weight was forgotten",
                f"$\\partial y / \\partial h$ = {w2:g} is a factor of the chain.",
            ),
            Wrong(
                error * w2,
                "the input was forgotten",
                "$\\partial z / \\partial w = x$: this is the derivative with respect to the bias.",
            ),
            Wrong(
                w2 * x,
                "the loss was forgotten",
                "This is $\\partial y / \\partial w$. The chain begins with $\\partial L /"
                " \\partial"
                f" y = y - t$ = {error:g}.",
            ),
            Wrong(
                -error * w2 * x,
                "the sign of the error was turned",
                "$\\partial L / \\partial y = y - t$, not $t - y$.",
            ),
            within=0.03,
        ),
        why=(
            f"$z$ = {float(z[0, 0]):g}, $y$ = {float(y[0, 0]):g}, $\\partial L / \\partial y$ ="
            f" {error:g}. ReLU {passed}: the derivative is {found:g}."
        ),
        see="The layers",
    )


@question
def back_through_max_pooling(rng: Random) -> Choice:
    """Where the gradient of max pooling goes."""
    values = rng.sample(range(1, 10), 4)
    dy = rng.choice([2, 4, 8, 12])
    pool = hand.MaxPool()
    pool.forward(np.array(values, dtype=float).reshape(1, 1, 2, 2), True)
    dx = pool.backward(np.array([[[[float(dy)]]]])).ravel()

    def told(numbers: object) -> str:
        a, b, c, d = (written(float(each)) for each in numbers)  # type: ignore[attr-defined]
        return f"{a}, {b} / {c}, {d}"

    least = [dy if value == min(values) else 0 for value in values]
    share = [dy * value / sum(values) for value in values]
    return Choice(
        prompt=(
            f"Max pooling takes the four pixels {told(values)} (two rows) to one, and the gradient"
            " of"
            f" the loss with respect to that output is {dy}. What is the gradient with respect to"
            " the four pixels?"
        ),
        answer=told(dx),
        wrong=(
            Wrong(
                told([dy / 4] * 4),
                "pooling by the mean was meant",
                "An average gives each of four pixels a quarter of the gradient. The largest alone"
                " decides here.",
            ),
            Wrong(
                told([dy] * 4),
                "every pixel got the whole gradient",
                "A small change of a pixel that is not the largest changes nothing.",
            ),
            Wrong(
                told(share),
                "the gradient was shared in proportion",
                "How large the others are does not matter, as long as they are not the largest.",
            ),
            Wrong(
                told(least),
                "the smallest was taken",
                "The output is the *largest*: only its change is seen.",
            ),
        ),
        why=f"The output is the largest, {max(values)}: its derivative is 1, that of the others 0.",
        see="Max pooling",
    )


@question
def what_batch_norm_passes(rng: Random) -> Several:
    """What the backward pass of batch norm lets through."""
    m = rng.choice([4, 5, 6, 8])
    c = rng.choice([2, 3, 5])
    draws = np.random.default_rng(rng.getrandbits(32))
    x = 10 * draws.normal(size=(m, 1, 1, 1))
    dy = draws.normal(size=(m, 1, 1, 1))

    def back(x: Array, dy: Array) -> Array:
        layer = hand.BatchNorm(1)
        layer.forward(x, True)
        return layer.backward(dy)

    def hat() -> Array:
        layer = hand.BatchNorm(1)
        return layer.forward(x, True)

    dx = back(x, dy)
    size = float(np.abs(dx).max())
    one = np.eye(m)[0].reshape(m, 1, 1, 1)

    def same(a: Array, b: Array | float) -> bool:
        return bool(np.abs(a - b).max() < 1e-3 * size)

    statements: list[tuple[str, Callable[[], bool], str, str]] = [
        (
            f"If every $dy$ is {c}, every $dx$ is 0",
            lambda: same(back(x, np.full_like(dy, c)), 0.0),
            "",
            "",
        ),
        (f"The {m} values of $dx$ add up to 0", lambda: same(dx.sum(), 0.0), "", ""),
        (
            f"If every $x$ is multiplied by {c}, every $dx$ is divided by {c}",
            lambda: same(back(c * x, dy), dx / c),
            "",
            "",
        ),
        (
            f"If {c} is added to every $x$, $dx$ stays the same",
            lambda: same(back(x + c, dy), dx),
            "",
            "",
        ),
        (
            f"If {c} times $\\hat x$ is added to $dy$, $dx$ stays the same",
            lambda: same(back(x, dy + c * hat()), dx),
            "",
            "",
        ),
        (
            f"If {c} is added to the first $dy$ alone, only the first $dx$ changes",
            lambda: same((back(x, dy + c * one) - dx)[1:], 0.0),
            "values of a channel were thought to be apart",
            "Every $x$ acts on all $\\hat x$ through mean and deviation, so every $dx$ depends on"
            " all"
            " $dy$.",
        ),
        (
            f"If every $x$ is multiplied by {c}, $dx$ stays the same",
            lambda: same(back(c * x, dy), dx),
            "the output was taken for the gradient",
            f"The output stays the same. So a change of $x$ has to be {c} times as large for the"
            " same"
            f" effect, and $dx$ is divided by {c}.",
        ),
        (
            f"If every $dy$ is multiplied by {c}, $dx$ stays the same",
            lambda: same(back(x, c * dy), dx),
            "gradients were thought to be normalised",
            "The backward pass is linear in $dy$: $dx$ is multiplied, too.",
        ),
        (
            f"If {c} is added to every $x$, every $dx$ is larger",
            lambda: bool((back(x + c, dy) > dx + 1e-9).all()),
            "a shift was thought to matter",
            "The mean takes a shift away, forward and backward.",
        ),
    ]
    chosen = rng.sample(statements, 5)
    true = {words for words, holds, _, _ in chosen if holds()}
    return Several(
        prompt=(
            f"Batch norm ($\\gamma = 1$) has {m} values $x$ of one channel and is handed $dy$."
            " Which"
            " statements on its backward pass in training hold, up to $\\epsilon$?"
        ),
        answer=tuple(words for words, _, _, _ in chosen if words in true),
        missed=(
            "One more holds. $dx$ has no part along the vector of ones and none along $\\hat x$,"
            " and"
            " is proportional to $1 / s$."
        ),
        wrong=tuple(
            Wrong(words, name or "it does not hold", says or "The row of the table says otherwise.")
            for words, _, name, says in chosen
            if words not in true
        ),
        why=(
            "$dx = \\frac{1}{s} (dy - \\overline{dy} - \\hat x \\, \\overline{dy \\, \\hat x})$:"
            " what"
            " would move mean or deviation is taken out, for normalising undoes it."
        ),
        see="Batch norm",
    )


@question
def error_of_differences(rng: Random) -> Number:
    """How the error of a central difference falls with its step."""
    larger = rng.choice([0.03, 0.02, 0.01])
    times = rng.choice([2, 3, 4, 5])
    at = round(rng.uniform(0.5, 1.2), 2)

    def error(h: float) -> float:
        return abs((math.sin(at + h) - math.sin(at - h)) / (2 * h) - math.cos(at))

    found = error(larger) / error(larger / times)
    return Number(
        prompt=(
            f"The derivative of $\\sin$ at {at:g} is approximated by central differences,"
            f" $(f(x + h) - f(x - h)) / 2h$, in double precision. By which factor does the error"
            f" fall when $h$ goes from {larger:g} to a {ordinal(times)} of it?"
        ),
        answer=found,
        tolerance=0.05,
        wrong=apart(
            found,
            Wrong(
                float(times),
                "the order of one-sided differences was taken",
                "$(f(x + h) - f(x)) / h$ has an error proportional to $h$. In the central one the"
                " terms with $h$ cancel, and $h^2$ is left.",
            ),
            Wrong(
                float(times**3),
                "the error of one value was taken",
                "The first term that is left of Taylor's series has $h^3$; divided by $2h$, it is"
                " $h^2$.",
            ),
            Wrong(
                1 / times,
                "rounding was thought to rule",
                "Rounding is proportional to $1 / h$, but it rules only below about $10^{-5}$.",
            ),
            within=0.13,
        ),
        why=(
            f"The truncation error is proportional to $h^2$: {times}² = {times**2}. Below"
            " $h \\approx 10^{-5}$ rounding, proportional to $1 / h$, would rule."
        ),
        see="Are they correct?",
    )


def ordinal(number: int) -> str:
    """A part in words: a half, a third."""
    return {2: "half", 3: "third", 4: "quarter", 5: "fifth"}[number]


CHANGES = (
    (
        hand.Affine.backward,
        "dy.sum(0)",
        "dy.mean(0)",
        "The bias is added to every row, so the gradients of the rows are added, not averaged.",
    ),
    (
        hand.Affine.backward,
        "dy.T @ self.x",
        "dy.T @ dy",
        "$dW = dy^\\top x$: how much a weight matters depends on the input that it multiplies.",
    ),
    (
        hand.ReLU.backward,
        "dy * self.positive",
        "dy",
        "Where the input was negative, the output is 0 whatever it is: no gradient passes.",
    ),
    (
        hand.softmax_cross_entropy,
        "dz[rows, labels] -= 1",
        "dz[rows, labels] += 1",
        "$dz = p - e_y$: the target is subtracted.",
    ),
    (
        hand.softmax_cross_entropy,
        "z - z.max(1, keepdims=True)",
        "z / z.max(1, keepdims=True)",
        "Subtracting the largest score changes no probability. Dividing by it does.",
    ),
    (
        hand.Dropout.forward,
        ">= self.p",
        ">= 1 - self.p",
        "An entry is kept with probability $1 - p$; the changed line keeps it with probability"
        " $p$.",
    ),
    (
        hand.Network.step,
        "(momentum * self.velocity[key] + g)",
        "(momentum * self.velocity[key] - g)",
        "$v \\leftarrow \\mu v + g$ and $w \\leftarrow w - \\eta v$: with the other sign the loss"
        " is"
        " climbed.",
    ),
)


@question
def changed_line(rng: Random) -> Code:
    """Which line of a layer is wrong."""
    function, before, after, why = rng.choice(CHANGES)
    lines, number = changed(function, before, after)
    return Code(
        prompt="One line of this code was changed, and the network no longer learns as it should."
        " Which one?",
        lines=lines,
        answer=number,
        wrong=(
            Wrong(
                1 if number != 1 else 2,
                "the line was taken that comes first",
                "This line is as it was.",
            ),
        ),
        why=why,
        see="The layers",
    )
