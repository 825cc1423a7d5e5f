"""Questions on the learning rate over a run: its shapes, its noise, larger batches."""

from __future__ import annotations

import math
from random import Random

import torch
from torch.nn.functional import linear

from etude.layers.normalization import BatchNorm
from etude.questions import Count, Match, Number, TrueFalse, Wrong, apart, question, written
from etude.training.optimizers import SGD
from etude.training.schedules import cosine, one_cycle, step_decay


@question
def rate_at_a_step(rng: Random) -> Number:
    """The learning rate of a schedule at a step."""
    steps = rng.choice([100, 400, 1000])
    highest = rng.choice([0.1, 0.4, 2.0])
    warmup = steps // 10
    step = round(steps * rng.choice([0.25, 0.325, 0.4, 0.55, 0.6, 0.7, 0.8]))
    found = highest * cosine(steps, warmup)(step)
    along = (step - warmup) / (steps - warmup)
    return Number(
        prompt=(
            f"A learning rate rises for {warmup} steps to {highest:g}, and then falls to zero along"
            f" half a cosine, until step {steps}. What is it at step {step}?"
        ),
        answer=found,
        tolerance=0.02,
        wrong=apart(
            found,
            Wrong(
                highest * (1 - along),
                "a straight line was taken",
                "Half a cosine is flat at both ends and steep in the middle.",
            ),
            Wrong(
                highest * cosine(steps)(step),
                "the warm-up was forgotten",
                f"The cosine begins at step {warmup}, not at 0.",
            ),
            Wrong(
                highest * math.cos(math.pi / 2 * along),
                "a quarter of the wave was taken",
                "Half a cosine goes from 1 to −1, and is moved and scaled to go from 1 to 0:"
                " $(1 + \\cos \\pi t) / 2$.",
            ),
            Wrong(
                highest * (1 + math.cos(math.pi * along)),
                "the half was forgotten",
                "$1 + \\cos$ begins at 2; the factor ½ makes it 1.",
            ),
            within=0.06,
        ),
        why=(
            f"The part {written(along, 3)} of the fall is done:"
            f" {highest:g} · (1 + cos({written(along, 3)} π))/2 = {written(found)}."
        ),
        see="The shapes",
    )


@question
def noise_that_remains(rng: Random) -> Number:
    """The variance that remains at a constant rate."""
    rate = rng.choice([0.1, 0.2, 0.5, 1.0])
    h = float(rng.choice([1, 0.5]))
    size = rng.choice([4, 8, 16, 32, 64])
    sigma = float(rng.choice([2, 4, 8]))
    v = 0.0
    for _ in range(500):  # until it rests
        v = (1 - rate * h) ** 2 * v + rate**2 * sigma**2 / size
    return Number(
        prompt=(
            f"Near a minimum of curvature $h$ = {h:g}, gradient descent with a constant $\\eta$ ="
            f" {rate:g} has gradients with the noise $\\sigma^2 / B$; $\\sigma$ = {sigma:g}, and"
            " the"
            f" batches have {size} examples. Which variance of $w$ remains in the long run?"
        ),
        answer=v,
        tolerance=0.02,
        wrong=apart(
            v,
            Wrong(
                rate**2 * sigma**2 / size,
                "the noise of one step was given",
                "What earlier steps left adds to it; a step takes away only a part.",
            ),
            Wrong(
                v * size,
                "the batch was forgotten",
                f"A mean of {size} gradients has a variance {size} times as small.",
            ),
            Wrong(
                v / size,
                "the batch was counted twice",
                "The variance of a mean is proportional to $1 / B$.",
            ),
            Wrong(
                rate * sigma**2 / (size * h),
                "a factor of two was lost",
                "$v = \\eta \\sigma^2 / (B h (2 - \\eta h))$: for short steps the divisor is $2 B"
                " h$.",
            ),
            Wrong(
                0.0,
                "the mean was taken for the weight",
                "The *expected* distance goes to 0. At a constant rate the noise never does.",
            ),
            within=0.06,
        ),
        why=(
            "$v = (1 - \\eta h)^2 v + \\eta^2 \\sigma^2 / B$ where it rests, so"
            f" $v = \\eta \\sigma^2 / (B h (2 - \\eta h))$ = {written(v)}."
        ),
        see="Why the rate falls",
    )


@question
def a_larger_batch_instead(rng: Random) -> Count:
    """By which batch a lower rate can be replaced."""
    size = rng.choice([16, 32, 64, 128])
    factor = rng.choice([2, 4, 5, 10])
    times = rng.choice([1, 2, 3])
    steps = 1000
    parts = [0.25, 0.5, 0.75][:times]
    shape = step_decay(steps, parts, 1 / factor)
    found = round(size / shape(steps))
    part = {2: "half", 4: "quarter", 5: "fifth", 10: "tenth"}[factor]
    often = {1: "once", 2: "twice", 3: "three times"}[times]
    return Count(
        prompt=(
            f"Training with batches of {size} lowers its rate to a {part} {often}. The rate is"
            " to"
            " stay, and the batch to grow instead, so that the noise near a minimum is the same."
            " How"
            " many examples does the last batch have?"
        ),
        answer=found,
        unit="examples",
        wrong=apart(
            found,
            Wrong(
                size * factor**2 if times == 1 else size * factor,
                "the square was taken" if times == 1 else "one step was counted",
                "The noise depends on $\\eta / B$: what divides $\\eta$ multiplies $B$, each time.",
            ),
            Wrong(
                size * factor * times if times > 1 else size // factor,
                "factors were added" if times > 1 else "the batch was made smaller",
                "Each time the batch is multiplied by the factor by which the rate would fall.",
            ),
            Wrong(
                size,
                "the batch was left alone",
                "With the same rate *and* the same batch nothing is calmed.",
            ),
        ),
        why=(
            f"The noise depends on $\\eta / B$. The rate would be divided by {factor}^{times} ="
            f" {factor**times}, so the batch is multiplied by it: {written(found)}."
        ),
        see="Larger batches",
    )


@question
def weights_before_a_norm(rng: Random) -> Number:
    """What becomes of a gradient where the weights before a norm are larger."""
    times = rng.choice([0.2, 0.25, 0.5, 2.0, 2.5, 3.0, 4.0, 5.0, 8.0, 10.0])
    generator = torch.Generator().manual_seed(rng.getrandbits(32))
    rows = rng.choice([8, 16, 32])
    x = torch.randn(rows, 3, generator=generator).double()
    W = torch.randn(2, 3, generator=generator).double()
    target = torch.randn(rows, 2, generator=generator).double()
    norm = BatchNorm(2).double()

    def size(W: torch.Tensor) -> float:
        W = W.clone().requires_grad_()
        (gradient,) = torch.autograd.grad((norm(linear(x, W)) - target).square().mean(), W)
        return float(gradient.norm())

    found = round(size(times * W) / size(W), 3)
    return Number(
        prompt=(
            "A batch norm follows a linear layer. All weights of the layer are multiplied by"
            f" {times:g}."
            f" By which factor does the length of their gradient change (batch of {rows},"
            " $\\epsilon$"
            " negligible)?"
        ),
        answer=found,
        tolerance=0.02,
        wrong=apart(
            found,
            Wrong(
                times,
                "the gradient was thought to grow with the weights",
                "The output does not change. So a weight that is larger has to move farther for the"
                " same effect, and its gradient is smaller.",
            ),
            Wrong(
                1.0,
                "the gradient was taken for the output",
                "The *output* does not depend on the scale of the weights; the gradient does.",
            ),
            Wrong(
                times**-2,
                "the angle of a step was given",
                "That is how much less a step *turns* the weights: once for the gradient, and once"
                " for"
                " their length.",
            ),
            Wrong(
                0.0,
                "the gradient along the weights was taken for all of it",
                "Along $W$ the gradient is 0, but across it is not.",
            ),
            within=0.06,
        ),
        why=(
            "The norm takes the scale of $W$ out of the output, so the gradient is $g / |W|$: it is"
            f" divided by {times:g}."
        ),
        see="What they do not say",
    )


@question
def shapes_at_one_step(rng: Random) -> Match:
    """Three schedules by their factors at one step."""
    steps = rng.choice([100, 200, 400, 1200])
    part = rng.choice([0.55, 0.58, 0.6, 0.62, 0.65, 0.8, 0.85, 0.9])
    step = round(part * steps)
    shapes = {
        "step: to a fifth after a half, and again after three quarters": step_decay(steps),
        "cosine, from 1 to 0": cosine(steps),
        "one-cycle: up for three tenths, then down to 0, both straight": one_cycle(steps),
    }
    pairs = [(name, written(shape(step), 3)) for name, shape in shapes.items()]
    names, values = zip(*pairs, strict=True)
    return Match(
        prompt=(
            f"After {100 * part:g} % of {steps} steps, which factor of the highest rate does each"
            " schedule have?"
        ),
        answer=tuple(pairs),
        wrong=(
            Wrong(
                (names[1], values[2]),
                "half a cosine was taken for a straight line",
                "In its second half a cosine lies lower than one-cycle's line, which began to fall"
                " only"
                " after three tenths of the run.",
            ),
            Wrong(
                (names[0], values[1]),
                "the steps were thought to follow the cosine",
                "Step is constant between its steps: 0.2 after a half, 0.04 after three quarters.",
            ),
            Wrong(
                (names[2], values[0]),
                "one-cycle was thought to fall early",
                "It is at its highest after three tenths, and falls along a straight line until the"
                " end.",
            ),
        ),
        why="; ".join(f"{name.partition(':')[0]}: {value}" for name, value in pairs) + ".",
        see="The shapes",
    )


@question
def does_it_diverge(rng: Random) -> TrueFalse:
    """What a rate does to mean and noise."""
    h = float(rng.choice([1, 2, 4, 5]))
    times = rng.choice([0.3, 0.8, 1.2, 1.9, 2.1, 2.5])
    rate = times / h
    w = torch.ones(1, dtype=torch.double, requires_grad=True)
    rule = SGD([w], lr=rate)
    for _ in range(8):
        w.grad = h * w.detach()
        rule.step()
    nearer = abs(float(w.detach())) < 1
    halved = rng.choice([2, 4, 10])
    converge = "$|1 - \\eta h| < 1$: the expected distance shrinks at every step."
    diverge = "$|1 - \\eta h| > 1$: the expected distance grows at every step."
    noise = (
        f"A batch {halved} times as large makes the noise smaller, and so the longest rate longer."
    )
    falls = "The rate is constant, and only a falling rate converges."
    right = converge if nearer else diverge
    says = {
        converge: ("the step was thought to be short", f"$\\eta h$ = {times:g} is above 2."),
        diverge: (
            "an overshooting step was taken for divergence",
            f"$\\eta h$ = {times:g} is below 2.",
        ),
        noise: (
            "noise was thought to set the longest rate",
            "The batch changes the variance that remains. Whether the mean converges depends on"
            " $\\eta h$ alone.",
        ),
        falls: (
            "noise was taken for divergence",
            "At a constant rate a variance remains, but the *expected* distance can go to 0.",
        ),
    }
    return TrueFalse(
        prompt=(
            f"Along a direction of curvature $h$ = {h:g}, descent on batches has the constant rate"
            f" $\\eta$ = {rate:g}. *The expected distance from the minimum goes to 0.*"
        ),
        holds=nearer,
        answer=right,
        wrong=tuple(Wrong(each, *said) for each, said in says.items() if each != right),
        why=f"$1 - \\eta h$ = {written(1 - times)}.",
        see="Why the rate falls",
    )
