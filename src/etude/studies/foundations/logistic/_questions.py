"""Questions on logistic and softmax regression: gradient, odds, likelihood, its maximum."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

import torch
from torch import Tensor

from etude.questions import (
    Number,
    Predict,
    Several,
    TrueFalse,
    Wrong,
    apart,
    factor,
    measured,
    question,
    written,
)

from ._likelihood import gradient, loss, probabilities


@question
def gradient_of_a_logit(rng: Random) -> Number:
    """The derivative of cross-entropy by one logit."""
    z = torch.tensor([[rng.choice([-1.0, 0.0, 1.0, 2.0, 3.0]) for _ in range(3)]]).double()
    label = rng.randrange(3)
    j = rng.randrange(3)
    p = probabilities(z)
    t = torch.eye(3).double()[[label]]
    # With one example x = (1) the weights are the logits, and so is the gradient.
    found = float(gradient(z, torch.ones(1, 1).double(), t, 0.0)[0, j])
    chance = float(p[0, j])
    logits = ", ".join(f"{each:g}" for each in z[0].tolist())
    of_softmax = chance * (1 - chance) if j == label else -chance * float(p[0, label])
    return Number(
        prompt=(
            f"An example has the logits $z$ = ({logits}) and belongs to class {label + 1}. The loss"
            f" is the cross-entropy of the softmax. What is $\\partial J / \\partial z_{j + 1}$?"
        ),
        answer=found,
        wrong=apart(
            found,
            Wrong(
                -found,
                "the sign was turned",
                "The gradient is the probability minus the target, $p - t$.",
            ),
            Wrong(
                chance,
                "the target was forgotten",
                "The gradient is $p - t$; at the place of the label $t$ is 1.",
            ),
            Wrong(
                chance - 1,
                "a target was seen where there is none",
                f"The label is class {label + 1}; for class {j + 1} the target is 0.",
            ),
            Wrong(
                of_softmax,
                "only the softmax was differentiated",
                f"This is $\\partial p / \\partial z_{j + 1}$ of the softmax alone. The logarithm"
                " of"
                " the loss divides by the probability, and $p - t$ is left.",
            ),
            within=0.03,
        ),
        why=(
            f"$p_{j + 1}$ = {written(chance)}, and the target is {1 if j == label else 0}:"
            f" $p - t$ = {written(found)}."
        ),
        see="The gradient",
    )


@question
def odds(rng: Random) -> Number:
    """What a coefficient means for the odds."""
    coefficient = rng.choice([-1.2, -0.8, -0.5, 0.4, 0.7, 0.9, 1.1])
    rise = rng.choice([1, 2, 3])
    before = rng.choice([0.1, 0.2, 0.3, 0.6, 0.8])
    z = torch.tensor([[math.log(before / (1 - before))]]).double()
    p = probabilities(torch.cat([z, z + rise * coefficient]))
    each = p / (1 - p)
    found = float(each[1] / each[0])
    deviations = "one standard deviation" if rise == 1 else f"{rise} standard deviations"
    return Number(
        prompt=(
            f"A logistic regression gives a patient the probability {before:g}. The coefficient of"
            " a"
            f" standardised measurement is $w_j$ = {written(coefficient)}. The measurement rises by"
            f" {deviations}, and the others stay. By which factor do the *odds* change?"
        ),
        answer=found,
        wrong=apart(
            found,
            Wrong(
                math.exp(coefficient),
                "the size of the rise was forgotten",
                f"The logit rises by {rise} times the coefficient.",
            ),
            Wrong(
                float(p[1] / p[0]),
                "probabilities were compared",
                "This is the factor of the probability, which depends on where one starts. The odds"
                " are $p / (1 - p)$, and their factor does not.",
            ),
            Wrong(
                1 + rise * coefficient,
                "the coefficient was taken for a relative change",
                "The coefficient is added to the *logarithm* of the odds.",
            ),
            Wrong(
                math.exp(-rise * coefficient),
                "the sign was turned",
                "A positive coefficient makes the class more probable.",
            ),
            within=0.03,
        ),
        why=(
            f"$z = \\log \\frac{{p}}{{1 - p}}$ changes by {rise} · {factor(coefficient)}, so the"
            " odds are"
            f" multiplied by $e^{{{rise * coefficient:g}}}$ = {written(found)}, whatever the"
            " probability was."
        ),
        see="What a coefficient means",
    )


@question
def what_leaves_probabilities(rng: Random) -> Several:
    """Which changes of the logits the softmax does not see."""
    z = torch.tensor([rng.sample([-2.0, -1.0, 0.5, 1.0, 2.0, 3.0], 3)]).double()
    shift = rng.choice([2, 3, 5, 10])
    factor = rng.choice([2, 3, 10])
    j = rng.randrange(3)
    one = torch.eye(3).double()[[j]]
    changes: list[tuple[str, Callable[[Tensor], Tensor], str]] = [
        (f"{shift} is added to every logit", lambda z: z + shift, ""),
        ("The largest logit is subtracted from every logit", lambda z: z - z.max(), ""),
        ("The mean of the logits is subtracted from every logit", lambda z: z - z.mean(), ""),
        (
            f"Every logit is multiplied by {factor}",
            lambda z: factor * z,
            f"Differences become {factor} times as large, and the largest probability nearer to 1.",
        ),
        (
            f"{shift} is added to logit {j + 1}",
            lambda z: z + shift * one,
            f"Class {j + 1} becomes more probable, and the others less.",
        ),
        (
            "Every logit gets the other sign",
            lambda z: -z,
            "The most probable class becomes the least probable one.",
        ),
        (
            "The logits are divided by their sum of squares",
            lambda z: z / z.square().sum(),
            "Differences become smaller, and the probabilities more equal.",
        ),
    ]
    chosen = rng.sample(changes, 5)
    before = probabilities(z)
    kept = {words for words, f, _ in chosen if torch.allclose(probabilities(f(z)), before)}
    logits = ", ".join(written(each) for each in z[0].tolist())
    return Several(
        prompt=(
            f"Three logits are $z$ = ({logits}). Which of these changes leave the probabilities of"
            " the softmax as they are?"
        ),
        answer=tuple(words for words, _, _ in chosen if words in kept),
        missed="The same number added to or subtracted from every logit cancels in the fraction.",
        wrong=tuple(
            Wrong(words, "differences of logits were changed", says)
            for words, _, says in chosen
            if words not in kept
        ),
        why=(
            "$e^{z_j + c} / \\sum_k e^{z_k + c} = e^{z_j} / \\sum_k e^{z_k}$: only differences of"
            " logits count. This is the constant direction of $J$, and it is why programs subtract"
            " the largest logit first."
        ),
        see="The loss is convex",
    )


@question
def cross_entropy_of_two(rng: Random) -> Number:
    """The cross-entropy of two examples from their probabilities."""
    p = [rng.choice([0.1, 0.2, 0.25, 0.4, 0.5]), rng.choice([0.6, 0.7, 0.8, 0.9])]
    logits = torch.tensor(p).double().log()
    others = (1 - torch.tensor(p).double()).log()
    w = torch.stack([logits, others], 1)  # a row of logits for each example
    found = float(loss(w, torch.eye(2).double(), torch.tensor([[1.0, 0], [1, 0]]).double(), 0.0))
    return Number(
        prompt=(
            f"A classifier gives the right classes of two examples the probabilities {p[0]:g} and"
            f" {p[1]:g}. What is the mean cross-entropy, with the natural logarithm?"
        ),
        answer=found,
        wrong=apart(
            found,
            Wrong(
                found / math.log(2),
                "the logarithm to base 2 was taken",
                "That is the cross-entropy in bits.",
            ),
            Wrong(
                2 * found,
                "the sum was given",
                "$J$ is a mean over the examples, so that it means the same for any $n$.",
            ),
            Wrong(
                -math.log(sum(p) / 2),
                "the logarithm of the mean was taken",
                "The likelihoods of examples are multiplied, so their logarithms are added: the"
                " mean"
                " of the logarithms.",
            ),
            Wrong(
                sum(1 - each for each in p) / 2,
                "the probability of an error was given",
                "Cross-entropy is the negative logarithm of the probability of the right class.",
            ),
            Wrong(
                -found,
                "the sign was forgotten",
                "Cross-entropy is the *negative* log-likelihood, and never below 0.",
            ),
            within=0.03,
        ),
        why=(
            f"$-\\frac12 (\\log {p[0]:g} + \\log {p[1]:g})$ = {written(found)}. The worse example"
            " weighs the most."
        ),
        see="The likelihood",
    )


@question
def is_there_a_maximum(rng: Random) -> TrueFalse:
    """Whether the likelihood of separable data has a maximum."""
    values = sorted(rng.sample(range(-9, 10), 5))
    cut = rng.randint(2, 3)
    labels = [0] * cut + [1] * (5 - cut)
    if rng.random() < 0.5:  # two neighbours change places
        labels[cut - 1], labels[cut] = labels[cut], labels[cut - 1]
    penalty = rng.choice([0.0, 0.0, 0.0, 0.1, 1.0])
    x = torch.tensor([[1.0, value] for value in values]).double()
    t = torch.tensor(labels).double()[:, None]
    middle = (values[cut - 1] + values[cut]) / 2
    w = torch.tensor([[-middle], [1.0]]).double()
    heights = [float(loss(scale * w, x, t, penalty)) for scale in (1, 10, 100)]
    unbounded = heights[0] > heights[1] > heights[2]  # the likelihood grows along w for ever
    told = ", ".join(
        f"{written(value)} ({label})" for value, label in zip(values, labels, strict=True)
    )
    grows = "A separating $w$ can be made longer and longer, and every example more probable."
    mixed = "The classes overlap: a longer $w$ makes some example ever less probable."
    held = "The penalty grows with $\\|w\\|^2$, and outweighs what the likelihood gains."
    convex = "The loss is convex, and a convex function has a minimum."
    right = grows if unbounded else held if penalty else mixed
    says = {
        grows: (
            "the penalty or the overlap was forgotten",
            "A longer $w$ costs more here: there is a penalty, or a plane that parts the classes"
            " does not exist.",
        ),
        mixed: (
            "an overlap was seen where there is none",
            "Whether the classes overlap is not what decides here: look at the order of the values"
            " and at $\\lambda$.",
        ),
        held: ("a penalty was seen where there is none", "Here $\\lambda = 0$."),
        convex: (
            "convexity was taken for a minimum",
            "$e^{-x}$ is convex and has no minimum. Convex means that a minimum, if there is one,"
            " is"
            " global.",
        ),
    }
    shown = [grows, mixed, convex] if not penalty else [grows, held, convex]
    return TrueFalse(
        prompt=(
            f"One measurement with its label, 0 or 1, of five examples: {told}. Logistic regression"
            f" has $\\lambda$ = {penalty:g}. *There is a finite $w$ that minimises $J$.*"
        ),
        holds=not unbounded,
        answer=right,
        wrong=tuple(Wrong(each, *says[each]) for each in shown if each != right),
        why=(
            f"Along the $w$ that cuts at {middle:g}, $J$ is {written(heights[0])}, at ten times"
            " that"
            f" $w$ {written(heights[1])}, at a hundred times {written(heights[2])}."
        ),
        see="What a coefficient means",
    )


@question(cites={"iris/gradient descent/gradient": 0.001413, "iris/Newton/gradient": 5.342e-12})
def whose_gradient_is_shorter(rng: Random) -> Predict:
    """Which method is nearer to the maximum."""
    found = measured(__file__)
    newton = found["iris/Newton/gradient"]
    descent = found["iris/gradient descent/gradient"]
    assert newton < descent / 1e6
    return Predict(
        prompt=(
            "On iris, gradient descent makes 2,000 steps that never overshoot, and Newton's method"
            " makes 10. Whose gradient is shorter at the end?"
        ),
        answer="Newton's, by more than a factor of a million",
        wrong=(
            Wrong(
                "Newton's, by a factor of 2 to 10",
                "quadratic convergence was underestimated",
                "Near the maximum each of Newton's steps doubles the number of correct digits: from"
                " $10^{-3}$ to $10^{-6}$ to $10^{-12}$.",
            ),
            Wrong(
                "That of gradient descent, after so many more steps",
                "steps were counted",
                "Where the Hessian is badly conditioned, a step of gradient descent hardly moves"
                " along the flattest directions.",
            ),
            Wrong(
                "Both are equally short, for the loss is convex",
                "convexity was taken for speed",
                "Both go to the same maximum, since the loss is convex. How fast they do is another"
                " matter.",
            ),
        ),
        why=(
            f"{written(newton, 2)} after 10 of Newton's steps, {written(descent, 2)} after 2,000 of"
            " gradient descent (means of three seeds)."
        ),
        see="figure climb",
        run="etude run logistic",
    )
