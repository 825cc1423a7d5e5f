"""Questions on optimisers: momentum, rates of one's own, decay, condition numbers."""

from __future__ import annotations

import math
from random import Random

import torch

from etude.questions import Code, Match, Number, Redraw, Wrong, apart, changed, question, written
from etude.training.optimizers import SGD, Adagrad, Adam, AdamW, Momentum, Rule

from ._quadratics import best_on_a_quadratic


def walked(optimizer: type[Rule], start: float, gradients: list[float], **settings: float) -> float:
    """Where a weight is after steps with these gradients."""
    w = torch.tensor([start], dtype=torch.double, requires_grad=True)
    rule = optimizer([w], **settings)
    for g in gradients:
        w.grad = torch.tensor([g], dtype=torch.double)
        rule.step()
    return float(w.detach())


@question
def momentum_on_a_slope(rng: Random) -> Number:
    """How far momentum moves on an even slope."""
    rate = rng.choice([0.01, 0.02, 0.1])
    mu = rng.choice([0.5, 0.8, 0.9])
    g = float(rng.choice([1, 2, 3, 5]))
    steps = rng.choice([2, 3, 4])
    found = -walked(Momentum, 0.0, [g] * steps, lr=rate, momentum=mu)
    last = sum(mu**k for k in range(steps)) * rate * g
    return Number(
        prompt=(
            "Momentum is $v \\leftarrow \\mu v + g$, $w \\leftarrow w - \\eta v$, and starts at"
            f" $v = 0$. The gradient is always {g:g}, with $\\eta$ = {rate:g} and $\\mu$ = {mu:g}."
            f" How far has $w$ moved after {steps} steps?"
        ),
        answer=found,
        wrong=apart(
            found,
            Wrong(
                steps * rate * g,
                "the velocity was forgotten",
                "That is plain gradient descent. With momentum each step adds $\\mu$ times the last"
                " one.",
            ),
            Wrong(
                last,
                "the last step was given",
                f"This is $\\eta v$ of step {steps}; the steps before count, too.",
            ),
            Wrong(
                steps * rate * g / (1 - mu),
                "the final velocity was taken from the start",
                "$v$ comes to $g / (1 - \\mu)$ only after many steps.",
            ),
            Wrong(
                steps * rate * g * (1 - mu),
                "the gradient was weighted by 1 − μ",
                "Here $g$ is added whole. With $1 - \\mu$ it would be a running mean, as Adam's.",
            ),
            within=0.03,
        ),
        why=(
            "The velocities are $g$, $g (1 + \\mu)$, $g (1 + \\mu + \\mu^2)$ …; $\\eta$ times their"
            f" sum is {written(found)}."
        ),
        see="Momentum",
    )


@question
def first_step_of_adam(rng: Random) -> Number:
    """How long Adam's first step is."""
    rate = rng.choice([0.001, 0.003, 0.01, 0.1])
    g = rng.choice([0.02, 0.5, 3.0, 40.0, 700.0])
    beta1, beta2 = rng.choice([(0.9, 0.999), (0.9, 0.99), (0.8, 0.999)])
    found = -walked(Adam, 0.0, [g], lr=rate, beta1=beta1, beta2=beta2)
    return Number(
        prompt=(
            f"Adam starts with $\\eta$ = {rate:g}, $\\beta_1$ = {beta1:g}, $\\beta_2$ = {beta2:g}"
            " and"
            f" a negligible $\\epsilon$. The first gradient of a weight is {g:g}. How long is its"
            " first step?"
        ),
        answer=found,
        wrong=apart(
            found,
            Wrong(
                rate * g,
                "the gradient was not divided",
                "Adam divides by the root of the mean square, so the size of the gradient cancels.",
            ),
            Wrong(
                rate * (1 - beta1) / math.sqrt(1 - beta2),
                "the correction for the start was forgotten",
                "$m$ and $v$ begin at 0 and are divided by $1 - \\beta^t$.",
            ),
            Wrong(
                rate * (1 - beta1),
                "only the second mean was corrected",
                "$m$, too, is divided by $1 - \\beta_1^t$.",
            ),
            Wrong(
                rate / g,
                "the gradient was divided by its square",
                "It is divided by the *root* of the mean square.",
            ),
            within=0.03,
        ),
        why=(
            "At the first step $\\hat m = g$ and $\\hat v = g^2$: the step is $\\eta g / |g|$, as"
            " long"
            f" as $\\eta$ = {rate:g}, however large the gradient is."
        ),
        see="Adam",
    )


@question
def step_of_adagrad(rng: Random) -> Number:
    """How long Adagrad's steps are on an even slope."""
    rate = rng.choice([0.1, 0.2, 0.5, 1.0])
    g = float(rng.choice([2, 3, 5, 10]))
    k = rng.choice([4, 9, 16])
    before = walked(Adagrad, 0.0, [g] * (k - 1), lr=rate)
    found = before - walked(Adagrad, 0.0, [g] * k, lr=rate)
    return Number(
        prompt=(
            f"Adagrad has $\\eta$ = {rate:g}, and the gradient of a weight is always {g:g}. How"
            " long"
            f" is step number {k}?"
        ),
        answer=found,
        wrong=apart(
            found,
            Wrong(
                rate,
                "the sum was taken for a mean",
                "RMSprop's steps keep this length. Adagrad divides by the root of the *sum* of all"
                " squares, which grows.",
            ),
            Wrong(
                rate / k,
                "the root was forgotten",
                "$s = k g^2$ after $k$ steps, and it is divided by $\\sqrt s$.",
            ),
            Wrong(
                rate * g / math.sqrt(k),
                "the size of the gradient was kept",
                "The root of $k g^2$ holds $g$, which cancels.",
            ),
            Wrong(
                rate * g,
                "nothing was divided",
                "That is the step of plain descent.",
            ),
            within=0.03,
        ),
        why=(
            f"$s = {k} g^2$, so the step is $\\eta g / \\sqrt{{{k} g^2}} = \\eta /"
            f" {math.sqrt(k):g}$ ="
            f" {written(found)}."
        ),
        see="A learning rate for every parameter",
    )


@question
def a_weight_without_gradient(rng: Random) -> Number:
    """What a penalty does to a weight whose loss has no gradient."""
    w = rng.choice([-3.0, -2.0, 2.0, 4.0, 5.0])
    rate = rng.choice([0.01, 0.1])
    penalty = rng.choice([0.1, 0.2, 0.5])
    rule: type[Rule] = rng.choice([AdamW, Adam, SGD])
    found = walked(rule, w, [0.0], lr=rate, weight_decay=penalty)
    others = {each: walked(each, w, [0.0], lr=rate, weight_decay=penalty) for each in (AdamW, Adam)}
    name = {
        AdamW: "AdamW",
        Adam: "Adam with an L2 penalty in the loss",
        SGD: "Gradient descent with an L2 penalty in the loss",
    }[rule]
    return Number(
        prompt=(
            f"A weight is {written(w)}, and the loss does not depend on it. {name} makes its first"
            f" step, with $\\eta$ = {rate:g} and $\\lambda$ = {penalty:g}. What is the weight then?"
        ),
        answer=found,
        tolerance=0.001,
        wrong=apart(
            found,
            Wrong(
                w,
                "the penalty was forgotten",
                "The penalty pulls at every weight, with or without a gradient of the loss.",
            ),
            Wrong(
                others[Adam],
                "the decay was put into Adam's gradient",
                "Only in Adam with an L2 penalty is $\\lambda w$ divided by its own size, so that"
                " the"
                " step is $\\eta$ long.",
            ),
            Wrong(
                others[AdamW],
                "the decay was taken out of the gradient",
                "That is AdamW. In Adam $\\lambda w$ is a part of the gradient and is divided by"
                " $\\sqrt{\\hat v}$: here by its own size.",
            ),
            Wrong(
                (1 - penalty) * w,
                "the learning rate was forgotten",
                "The weight shrinks by $\\eta \\lambda$ of itself.",
            ),
            within=0.003,
        ),
        why=(
            "The gradient is $\\lambda w$ alone, and Adam's first step has the length $\\eta$."
            if rule is Adam
            else f"The weight is multiplied by $1 - \\eta \\lambda$ = {1 - rate * penalty:g}."
        ),
        see="AdamW",
    )


@question
def steps_a_digit(rng: Random) -> Number:
    """How many steps a decimal digit takes at a condition number."""
    kappa = rng.choice([10, 20, 30, 40, 50, 80, 100, 150, 200, 300, 400, 500, 800, 1000])
    method = rng.choice(["sgd", "momentum"])
    rates = {name: rho for name, (_, rho) in best_on_a_quadratic(kappa).items()}
    steps = {name: -1 / math.log10(rho) for name, rho in rates.items()}
    found = steps[method]
    other = "momentum" if method == "sgd" else "sgd"
    named = {"sgd": "gradient descent", "momentum": "momentum (the heavy ball)"}
    return Number(
        prompt=(
            f"A quadratic has the condition number $\\kappa$ = {kappa}. About how many steps of"
            f" {named[method]}, with its best coefficients, make the error ten times smaller?"
        ),
        answer=found,
        tolerance=0.03,
        wrong=apart(
            found,
            Wrong(
                steps[other],
                f"the factor of {named[other]} was taken",
                "Without momentum the number of steps grows like $\\kappa$, with it like"
                " $\\sqrt\\kappa$.",
            ),
            Wrong(
                -1 / math.log(rates[method]),
                "the natural logarithm was taken",
                "$\\rho^k = 1/10$: the logarithm to base 10.",
            ),
            Wrong(
                float(kappa),
                "the condition number was given",
                "The number of steps is proportional to it or to its root, and not equal to"
                " either.",
            ),
            Wrong(
                math.sqrt(kappa),
                "the root of the condition number was given",
                "The number of steps is proportional to $\\kappa$ or its root, and not equal to"
                " either.",
            ),
            within=0.08,
        ),
        why=(
            f"$\\rho$ = {rates[method]:.4f}, and $-1 / \\log_{{10}} \\rho$ = {written(found, 3)}."
            f" {named[other].capitalize()} needs {written(steps[other], 3)}."
        ),
        see="Gradient descent",
    )


@question
def longest_rate(rng: Random) -> Number:
    """The error after steps that overshoot."""
    curvature = float(rng.choice([1, 2, 4, 5, 10]))
    times = rng.choice([0.5, 1.5, 1.8, 2.2, 2.5])
    rate = times / curvature
    steps = rng.choice([2, 3, 4])
    start = float(rng.choice([1, 2, 4]))
    w = start
    for _ in range(steps):
        w = walked(SGD, w, [curvature * w], lr=rate)
    if abs(w) < 1e-3 or w in (rate, start):
        raise Redraw
    return Number(
        prompt=(
            f"Gradient descent minimises $f(w) = \\frac12 \\cdot {curvature:g} w^2$ from $w$ ="
            f" {start:g} with $\\eta$ = {rate:g}. Where is $w$ after {steps} steps?"
        ),
        answer=w,
        wrong=apart(
            w,
            Wrong(
                -w,
                "the sign of a step was lost",
                "A step multiplies $w$ by $1 - \\eta \\lambda$, which is negative where it"
                " overshoots.",
            ),
            Wrong(
                start - steps * rate * curvature * start,
                "the gradient was thought to stay the same",
                "The gradient is $\\lambda w$ and changes with $w$.",
            ),
            Wrong(
                start * (1 - rate) ** steps,
                "the curvature was forgotten",
                "The gradient of $\\frac12 \\lambda w^2$ is $\\lambda w$.",
            ),
            Wrong(
                start * (1 - rate * curvature / 2) ** steps,
                "the half was kept",
                "The derivative of $\\frac12 \\lambda w^2$ is $\\lambda w$: the 2 cancels the"
                " half.",
            ),
            within=0.03,
        ),
        why=(
            f"$1 - \\eta \\lambda$ = {written(1 - rate * curvature)}, to the power {steps}, times"
            f" {start:g}: {written(w)}. "
            + ("The error grows." if times > 2 else "The error shrinks.")
        ),
        see="Gradient descent",
    )


@question
def third_steps(rng: Random) -> Match:
    """How long the third step of three rules is."""
    rate = rng.choice([0.1, 0.5, 1.0])
    g = [float(each) for each in rng.sample([1, 2, 3, 4, 6, 8], 3)]
    rules: dict[str, type[Rule]] = {
        "plain descent": SGD,
        "momentum, $\\mu = 0.9$": Momentum,
        "Adagrad": Adagrad,
    }
    lengths = []
    for rule in rules.values():
        before = walked(rule, 0.0, g[:2], lr=rate)
        lengths.append(before - walked(rule, 0.0, g, lr=rate))
    pairs = [(name, written(each, 3)) for name, each in zip(rules, lengths, strict=True)]
    (plain, p), (heavy, v), (own, q) = pairs
    if len({p, v, q}) < 3:
        raise Redraw
    return Match(
        prompt=(
            f"A weight has the gradients {g[0]:g}, {g[1]:g} and {g[2]:g} in the first three steps;"
            f" $\\eta$ = {rate:g}. How long is the *third* step of each rule?"
        ),
        answer=tuple(pairs),
        wrong=(
            Wrong(
                (heavy, p),
                "the velocity was forgotten",
                "Momentum adds $\\mu$ times the last step to the new one.",
            ),
            Wrong(
                (own, p),
                "nothing was divided",
                "Adagrad divides by the root of the sum of all squared gradients so far.",
            ),
            Wrong(
                (plain, v),
                "a memory was seen where there is none",
                "Plain descent knows the present gradient alone.",
            ),
        ),
        why="; ".join(f"{name}: {each}" for name, each in pairs) + ".",
        see="Momentum",
    )


CHANGES = (
    (Momentum.update, ".add_(g)", ".sub_(g)", "$v \\leftarrow \\mu v + g$: the gradient is added."),
    (
        Momentum.update,
        "w.sub_(v, alpha=η)",
        "w.add_(v, alpha=η)",
        "$w \\leftarrow w - \\eta v$: with the other sign the loss is climbed.",
    ),
    (
        Adam.update,
        "mul_(β2).addcmul_(g, g, value=1 - β2)",
        "mul_(β2).add_(g, alpha=1 - β2)",
        "The second mean is that of the *squares* of the gradient.",
    ),
    (
        Adam.update,
        "(square / (1 - β2**t))",
        "(square / (1 - β2))",
        "The correction for the start is $1 - \\beta_2^t$ and goes to 1. This one divides by the"
        " same"
        " small number for ever.",
    ),
)


@question
def changed_line(rng: Random) -> Code:
    """Which line of a rule is wrong."""
    function, before, after, why = rng.choice(CHANGES)
    lines, number = changed(function, before, after)
    return Code(
        prompt=(
            f"One line of the rule `{function.__qualname__.partition('.')[0]}` was changed, so"
            " that it"
            " is this rule no longer. Which one?"
        ),
        lines=lines,
        answer=number,
        wrong=(Wrong(1, "the signature was taken", "The signature is as it was."),),
        why=why,
        see="Adam" if function is Adam.update else "Momentum",
    )
