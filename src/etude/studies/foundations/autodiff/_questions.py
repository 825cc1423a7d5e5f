"""Questions on automatic differentiation: both modes, what they cost, several paths."""

from __future__ import annotations

import math
from random import Random

import numpy as np

from etude import autodiff as ad
from etude.autodiff import Tensor
from etude.questions import (
    Choice,
    Count,
    Match,
    Number,
    TrueFalse,
    Wrong,
    apart,
    factor,
    question,
    written,
)


@question
def adjoint_of_a_shared_value(rng: Random) -> Number:
    """The adjoint of a value that is used twice."""
    x1 = round(rng.uniform(0.5, 4), 1)
    x2 = round(rng.uniform(0.5, 6), 1)
    v1 = Tensor(x1, requires_grad=True)
    v2 = Tensor(x2, requires_grad=True)
    y = ad.log(v1) + v1 * v2 - ad.sin(v2)  # the lesson's expression at another point
    y.backward()
    which = rng.choice([1, 2])
    assert v1.grad is not None
    assert v2.grad is not None
    found = float((v1 if which == 1 else v2).grad.numpy())  # type: ignore[union-attr]
    if which == 1:
        paths = f"1/{x1:g} along $\\ln x_1$ and {x2:g} along $x_1 x_2$"
        single = (
            Wrong(x2, "the path through the logarithm was forgotten", _TWICE),
            Wrong(1 / x1, "the path through the product was forgotten", _TWICE),
            Wrong(x2 / x1, "the contributions were multiplied", _SUM),
        )
    else:
        paths = f"{x1:g} along $x_1 x_2$ and $-\\cos {x2:g}$ along the sine"
        single = (
            Wrong(x1, "the path through the sine was forgotten", _TWICE),
            Wrong(-math.cos(x2), "the path through the product was forgotten", _TWICE),
            Wrong(
                x1 + math.cos(x2),
                "the minus sign was lost",
                "The sine is subtracted, so its adjoint is $-1$, and the contribution"
                " $-\\cos x_2$.",
            ),
        )
    return Number(
        prompt=(
            f"Take $y = \\ln x_1 + x_1 x_2 - \\sin x_2$ at $x_1$ = {x1:g}, $x_2$ = {x2:g} (in"
            " radians)."
            f" What is the adjoint $\\bar x_{which} = \\partial y / \\partial x_{which}$ that"
            " reverse"
            " mode finds?"
        ),
        answer=found,
        wrong=apart(found, *single, within=0.03),
        why=f"Two contributions are added: {paths}; together {written(found)}.",
        see="Reverse mode",
    )


_TWICE = (
    "A value that is used twice gets a contribution along each of its edges: the sign"
    " $\\mathrel{+}=$ of reverse mode."
)
_SUM = "Contributions of several paths are added. Along one path derivatives are multiplied."


@question
def passes_for_a_jacobian(rng: Random) -> Count:
    """How many passes each mode needs."""
    n, m = rng.sample([2, 3, 4, 5, 6, 8, 10, 12, 20, 30], 2)
    mode = rng.choice(["forward", "reverse"])
    A = np.ones((m, n))
    shape = ad.jacobian(lambda x: A @ x, "forward")(np.ones(n)).shape  # a pass for each column
    outputs, inputs = shape
    found, other = (inputs, outputs) if mode == "forward" else (outputs, inputs)
    part = "column" if mode == "forward" else "row"
    return Count(
        prompt=(
            f"A function takes {n} numbers to {m} numbers. How many passes of *{mode}* mode give"
            " its"
            " whole Jacobian?"
        ),
        answer=found,
        unit="passes",
        wrong=apart(
            found,
            Wrong(
                other,
                "the modes were exchanged",
                "Forward mode gives $J \\dot x$, a column of $J$ a pass. Reverse mode gives"
                " $J^\\top \\bar y$, a row a pass.",
            ),
            Wrong(
                n * m,
                "a pass was made for each entry",
                f"One pass gives a whole {part} of the Jacobian.",
            ),
            Wrong(
                1,
                "the function was taken for a loss",
                "Only of a function with a single output does one pass of reverse mode give"
                " everything, and of one with a single input one of forward mode.",
            ),
            Wrong(
                2 * n,
                "evaluations of differences were counted",
                "Central differences need $2n$ evaluations.",
            ),
        ),
        why=(
            f"The Jacobian is {m} × {n}. A pass of {mode} mode gives one {part}, and there are"
            f" {found}."
        ),
        see="The cost",
    )


@question
def tangent_of_a_direction(rng: Random) -> Number:
    """A tangent along a direction."""
    a, b = float(rng.randint(1, 4)), float(rng.randint(1, 5))
    d = [float(each) for each in rng.sample([-2, -1, 1, 2, 3], 2)]
    value, tangent = ad.jvp(
        lambda x1, x2: x1 * x1 * x2, (np.array(a), np.array(b)), (np.array(d[0]), np.array(d[1]))
    )
    found = float(tangent.numpy())
    along_1, along_2 = 2 * a * b, a * a
    return Number(
        prompt=(
            f"Forward mode computes $y = x_1^2 \\, x_2$ at ({a:g}, {b:g}) in the direction"
            f" $\\dot x$ = ({written(d[0])}, {written(d[1])}). What is the tangent $\\dot y$?"
        ),
        answer=found,
        wrong=apart(
            found,
            Wrong(
                along_1 + along_2,
                "the direction was forgotten",
                "The tangent is $J \\dot x$: each partial derivative times its part of the"
                " direction.",
            ),
            Wrong(
                along_1 * d[0],
                "the second input was held fast",
                f"$x_2$ moves, too: $x_1^2 \\dot x_2$ = {along_2 * d[1]:g} is missing.",
            ),
            Wrong(
                2 * a * d[0] * d[1],
                "a product was differentiated factor by factor",
                "The derivative of a product is $\\dot u v + u \\dot v$, not $\\dot u \\dot v$.",
            ),
            Wrong(
                float(value.numpy()),
                "the value was given",
                "This is $y$. The tangent says how fast it changes along the direction.",
            ),
            Wrong(
                a * b * d[0] + along_2 * d[1],
                "the factor 2 of the square was forgotten",
                "$x_1$ is used twice in $x_1^2$, so its tangent counts twice.",
            ),
            within=0.03,
        ),
        why=(
            f"$\\dot y = 2 x_1 x_2 \\, \\dot x_1 + x_1^2 \\, \\dot x_2$ = {along_1:g} ·"
            f" {factor(d[0])} + {along_2:g} · {factor(d[1])} = {written(found)}."
        ),
        see="Forward mode",
    )


@question
def dual_numbers(rng: Random) -> Choice:
    """A product or square of dual numbers."""
    a, b, c, d = (rng.randint(1, 5) for _ in range(4))
    y, dy = ad.jvp(
        lambda u, v: u * v,
        (np.array(float(a)), np.array(float(c))),
        (np.array(float(b)), np.array(float(d))),
    )
    value, slope = int(y.numpy()), int(dy.numpy())

    def told(real: int, dual: int) -> str:
        return f"${real} + {dual}\\epsilon$"

    return Choice(
        prompt=f"What is $({a} + {b}\\epsilon)({c} + {d}\\epsilon)$ with $\\epsilon^2 = 0$?",
        answer=told(value, slope),
        wrong=apart(
            told(value, slope),
            Wrong(
                told(value, b * d),
                "the parts were multiplied one by one",
                "The product rule: $\\dot u v + u \\dot v$.",
            ),
            Wrong(
                told(value, b + d),
                "the dual parts were added",
                "Dual parts are added for a sum. In a product each is multiplied by the other"
                " value.",
            ),
            Wrong(
                told(value + b * d, slope),
                "ε² was taken for 1",
                "$\\epsilon^2 = 0$: what is smaller than first order is dropped.",
            ),
            Wrong(
                told(value, slope + b * d),
                "ε² was taken for ε",
                "$\\epsilon^2 = 0$: what is smaller than first order is dropped.",
            ),
            Wrong(
                told(value, a * b + c * d),
                "each dual part was multiplied by its own value",
                "Each dual part meets the *other* factor's value.",
            ),
        ),
        why=(
            f"${a} \\cdot {c} + ({b} \\cdot {c} + {a} \\cdot {d}) \\epsilon$: the second part is"
            " the"
            " derivative of the product."
        ),
        see="Forward mode",
    )


@question
def nested_gradients(rng: Random) -> Number:
    """A derivative of second order, by nesting."""
    power = rng.choice([3, 4, 5])
    times = rng.choice([1, 2, 3])
    raised = f"^{power - 2}" if power > 3 else ""
    at = float(rng.choice([-2, -1, 2, 3]))
    f = ad.grad(ad.grad(lambda x: times * x**power))
    found = float(f(at).numpy())
    first = float(ad.grad(lambda x: times * x**power)(at).numpy())
    name = f"{times if times > 1 else ''}x^{power}"
    return Number(
        prompt=f"What does `grad(grad(f))({at:g})` give for $f(x) = {name}$?",
        answer=found,
        wrong=apart(
            found,
            Wrong(
                first,
                "the gradient was taken once",
                "`grad(f)` is a function again, and `grad` of it the second derivative.",
            ),
            Wrong(
                first**2,
                "the gradient was squared",
                "Nesting differentiates the gradient; it multiplies nothing.",
            ),
            Wrong(
                float(times * power**2) * at ** (power - 2),
                "the power did not fall",
                f"The second time the power is {power - 1}, not {power}.",
            ),
            Wrong(
                0.0,
                "a gradient was taken for a constant",
                "A gradient is computed by operations, so it has a graph of its own and can be"
                " differentiated again.",
            ),
            within=0.03,
        ),
        why=(
            f"The second derivative is ${times * power * (power - 1)}x{raised}$, at {at:g} this is"
            f" {written(found)}."
        ),
        see="Higher derivatives",
    )


@question
def what_a_backward_pass_keeps(rng: Random) -> TrueFalse:
    """Cost and memory of reverse mode for a loss."""
    parameters = rng.choice([1_000, 50_000, 1_000_000, 20_000_000])
    layers = rng.choice([3, 10, 50])
    statements = [
        (
            f"Reverse mode finds all {parameters:,} derivatives of the loss in a time that hardly"
            " depends on their number.",
            True,
            "Each value is visited once, and gets its adjoint from those that use it.",
        ),
        (
            f"To find all {parameters:,} derivatives of the loss, reverse mode runs the program"
            f" {parameters:,} times.",
            False,
            "Each value is visited once, and gets its adjoint from those that use it.",
        ),
        (
            f"Reverse mode needs more memory for {layers} layers than an evaluation that keeps only"
            " the last value.",
            True,
            "Every value has to be kept until the backward pass needs it.",
        ),
        (
            f"The {parameters:,} derivatives of reverse mode have an error that falls with a"
            " smaller"
            " step $h$.",
            False,
            "The derivative of each operation is known exactly; only rounding is left.",
        ),
    ]
    statement, holds, reason = rng.choice(statements)
    reasons = {
        "Each value is visited once, and gets its adjoint from those that use it.": (
            "the reason is about time",
            "This is why the time hardly grows. The statement is about something else.",
        ),
        "Every value has to be kept until the backward pass needs it.": (
            "the reason is about memory",
            "This is what reverse mode costs in memory. The statement is about something else.",
        ),
        "The derivative of each operation is known exactly; only rounding is left.": (
            "the reason is about the error",
            "This is why there is no step $h$. The statement is about something else.",
        ),
        "One parameter after another is moved, and the losses are compared.": (
            "differences were taken for reverse mode",
            "That is what differences do: two evaluations for each parameter.",
        ),
    }
    return TrueFalse(
        prompt=(
            f"A network of {layers} layers has {parameters:,} parameters and a loss that is a"
            " single"
            f" number. *{statement}*"
        ),
        holds=holds,
        answer=reason,
        wrong=tuple(Wrong(each, *says) for each, says in reasons.items() if each != reason),
        why=f"{reason} So the statement is {'true' if holds else 'false'}.",
        see="Reverse mode",
    )


@question
def local_derivatives(rng: Random) -> Match:
    """What each operation passes to its operand."""
    x = round(rng.uniform(0.4, 2.5), 1)
    functions = {
        "$\\ln x$": ad.log,
        "$e^x$": ad.exp,
        "$\\tanh x$": ad.tanh,
        "$\\sqrt x$": ad.sqrt,
        "$x^2$": lambda v: v * v,
    }
    chosen = rng.sample(sorted(functions), 3)
    pairs = [(name, written(float(ad.grad(functions[name])(x).numpy()), 3)) for name in chosen]
    if len({value for _, value in pairs}) < 3:
        pairs = [(n, written(float(ad.grad(functions[n])(x + 1).numpy()), 4)) for n in chosen]
    values = [value for _, value in pairs]
    return Match(
        prompt=(
            f"Each operation gets $x$ = {x:g} and its value has the adjoint 1. Which contribution"
            " does it make to $\\bar x$?"
        ),
        answer=tuple(pairs),
        wrong=tuple(
            Wrong(
                (name, value),
                "derivatives of operations were exchanged",
                "The contribution is $\\bar v \\, \\partial v / \\partial x$: the derivative at"
                " this"
                " $x$.",
            )
            for name, value in zip(chosen, [values[1], values[2], values[0]], strict=True)
        ),
        why="; ".join(f"{name}: {value}" for name, value in pairs) + ".",
        see="Reverse mode",
    )
