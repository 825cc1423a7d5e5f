"""Questions on regularisers: penalties as priors, steps of L1, the nuclear norm, stopping early."""

from __future__ import annotations

import math
from random import Random

import torch

from etude.layers.dropout import Dropout
from etude.questions import Match, Number, Redraw, Several, Wrong, apart, question, written
from etude.training.optimizers import SGD

from ._penalties import l2, negative_entropy, nuclear_norm, soft_threshold


@question
def a_step_of_l1(rng: Random) -> Number:
    """What the exact step of an L1 penalty does to a weight."""
    rate = rng.choice([0.5, 1.0, 2.0])
    penalty = rng.choice([0.2, 0.4, 0.6, 1.0])
    amount = rate * penalty
    w = rng.choice([-1, 1]) * round(amount * rng.choice([0.4, 1.5, 2.0, 5.0]), 4)
    weight = torch.tensor([w]).double()
    soft_threshold([weight], amount)
    found = float(weight)
    return Number(
        prompt=(
            f"The gradient of the loss at a weight $w$ = {written(w)} is 0. The step of an L1"
            " penalty"
            f" with $\\lambda$ = {penalty:g} is made exactly, with $\\eta$ = {rate:g}. What is the"
            " weight"
            " then?"
        ),
        answer=found,
        wrong=apart(
            found,
            Wrong(
                w - math.copysign(amount, w),
                "the weight was moved beyond zero",
                "A weight whose size is below $\\eta \\lambda$ becomes exactly 0.",
            ),
            Wrong(
                w * (1 - amount),
                "the step of L2 was made",
                "L2 shrinks a weight by a part of itself; L1 moves it by $\\eta \\lambda$, however"
                " small"
                " it is.",
            ),
            Wrong(
                w + math.copysign(amount, w),
                "the weight was moved away from zero",
                "A penalty makes weights smaller.",
            ),
            Wrong(
                math.copysign(max(0.0, abs(w) - penalty), w),
                "the learning rate was forgotten",
                "The amount is $\\eta \\lambda$.",
            ),
            Wrong(w, "nothing was done", "The penalty pulls without a gradient of the loss, too."),
            within=0.03,
        ),
        why=(
            f"$\\mathrm{{sign}}(w) \\max(0, |w| - \\eta \\lambda)$ with $\\eta \\lambda$ ="
            f" {amount:g}:"
            f" {written(found)}."
        ),
        see="Penalties are priors",
    )


@question
def norms_of_a_matrix(rng: Random) -> Match:
    """Three sizes of a matrix by its singular values."""
    s = sorted(rng.sample([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0], 2), reverse=True)
    angle = torch.tensor(rng.uniform(0.2, 1.3)).double()
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()]).view(2, 2)
    W = turn @ torch.diag(torch.tensor(s).double()) @ turn.T
    values = {
        "the nuclear norm, $\\sum_i \\sigma_i$": float(nuclear_norm([W])),
        "the penalty L2, $\\frac12 \\sum w^2$": float(l2([W])),
        "the largest factor by which a vector's length grows": float(
            torch.linalg.matrix_norm(W, 2)
        ),
    }
    if len({round(value, 6) for value in values.values()}) < 3:
        raise Redraw
    pairs = [(name, written(value)) for name, value in values.items()]
    (nuclear, n), (squares, q), (largest, _) = pairs
    return Match(
        prompt=(
            f"A 2 × 2 matrix has the singular values {s[0]:g} and {s[1]:g}. Which number is which?"
        ),
        answer=tuple(pairs),
        wrong=(
            Wrong(
                (nuclear, q),
                "squares were added",
                "The nuclear norm adds the singular values themselves, as L1 adds the sizes of"
                " weights.",
            ),
            Wrong(
                (squares, n),
                "singular values were added",
                "$\\sum w^2 = \\sum \\sigma_i^2$, and L2 has half of it.",
            ),
            Wrong(
                (largest, n),
                "all directions were added up",
                "No vector is stretched by more than the largest singular value.",
            ),
        ),
        why=(
            f"{s[0]:g} + {s[1]:g}, ½ ({s[0]:g}² + {s[1]:g}²), and {s[0]:g}. The gradient of the"
            " nuclear"
            " norm is $U V^\\top$, as large for small values as for large ones."
        ),
        see="The nuclear norm",
    )


@question
def how_far_descent_came(rng: Random) -> Number:
    """How far descent has come when it is stopped early."""
    h = rng.choice([0.2, 0.5, 1.0, 2.0])
    rate = rng.choice([0.05, 0.1, 0.2])
    steps = rng.choice([3, 5, 8])
    w = torch.zeros(1, dtype=torch.double, requires_grad=True)
    rule = SGD([w], lr=rate)
    for _ in range(steps):
        w.grad = h * (w.detach() - 1)
        rule.step()
    found = float(w.detach())
    part = rate * h
    return Number(
        prompt=(
            f"Gradient descent from $w = 0$ minimises $\\frac12 h (w - w^*)^2$ with $h$ = {h:g} and"
            f" $\\eta$ = {rate:g}, and is stopped after {steps} steps. Which part of $w^*$ has it"
            " reached?"
        ),
        answer=found,
        wrong=apart(
            found,
            Wrong(
                (1 - part) ** steps,
                "what is missing was given",
                "$(1 - \\eta h)^t$ is the part that is left to go.",
            ),
            Wrong(
                steps * part,
                "equal steps were added",
                "Each step goes a part of what is *left*. For small factors the two are nearly"
                " equal.",
            ),
            Wrong(
                h / (h + 1 / (rate * steps)),
                "the L2 penalty that stopping resembles was used",
                "With $\\lambda = 1 / (\\eta t)$ L2 is *nearly* the same, where the factors are"
                " small.",
            ),
            Wrong(
                1 - (1 - rate) ** steps,
                "the curvature was forgotten",
                "The gradient is $h (w - w^*)$: steep directions are learned first.",
            ),
            within=0.03,
        ),
        why=f"$1 - (1 - \\eta h)^t$ = 1 − {1 - part:g}^{steps} = {written(found)}.",
        see="Early stopping",
    )


@question
def strength_of_a_prior(rng: Random) -> Number:
    """The penalty that a prior on the weights gives."""
    n = rng.choice([50, 100, 200, 500])
    deviation = rng.choice([0.1, 0.2, 0.5, 1.0, 2.0])
    w = torch.tensor([1.0]).double()
    gain = float((w / deviation).square() / 2)  # of 0 over 1 in the prior's log-density
    found = gain / (n * float(l2([w])))
    return Number(
        prompt=(
            f"The weights have a normal prior with mean 0 and standard deviation {deviation:g},"
            " and there"
            f" are {n} examples. The loss is the *mean* negative log-likelihood over the examples"
            " plus"
            " $\\frac{\\lambda}{2} \\sum w^2$. Which $\\lambda$ makes its minimum the most probable"
            " weights?"
        ),
        answer=found,
        wrong=apart(
            found,
            Wrong(
                1 / deviation**2,
                "the number of examples was forgotten",
                "The likelihood is divided by $n$ to become a mean, so the prior is, too.",
            ),
            Wrong(
                1 / (n * deviation),
                "the deviation was taken for the variance",
                "The prior's exponent is $w^2 / 2 s^2$.",
            ),
            Wrong(
                deviation**2 / n,
                "the variance was turned around",
                "A *narrow* prior is a *strong* penalty.",
            ),
            Wrong(
                1 / (2 * n * deviation**2),
                "the half was counted twice",
                "The half stands in the penalty already.",
            ),
            Wrong(
                n / deviation**2,
                "the number of examples was multiplied by",
                "With more examples the prior matters less.",
            ),
            within=0.03,
        ),
        why=f"$\\lambda = 1 / (n s^2)$ = 1/({n} · {deviation:g}²) = {written(found)}.",
        see="Penalties are priors",
    )


@question
def entropy_of_a_prediction(rng: Random) -> Number:
    """The entropy of predicted probabilities."""
    p = rng.choice(
        [
            [0.5, 0.5],
            [0.9, 0.1],
            [0.8, 0.2],
            [0.7, 0.2, 0.1],
            [0.5, 0.25, 0.25],
            [0.6, 0.3, 0.1],
            [0.25, 0.25, 0.25, 0.25],
            [0.7, 0.1, 0.1, 0.1],
            [0.4, 0.4, 0.2],
            [0.98, 0.02],
        ]
    )
    beta = rng.choice([0.5, 1.0, 2.0, 3.0])
    rng.shuffle(p)
    found = beta * float(negative_entropy(torch.tensor([p]).double().log()))
    told = ", ".join(f"{each:g}" for each in p)
    return Number(
        prompt=(
            f"A network predicts the probabilities {told}. How much does the confidence penalty,"
            f" $-\\beta H(p)$ with $\\beta$ = {beta:g}, add to the loss (natural logarithm)?"
        ),
        answer=found,
        wrong=apart(
            found,
            Wrong(
                -found,
                "the entropy was added",
                "A *confident* prediction has little entropy and is to cost more, so the entropy is"
                " subtracted.",
            ),
            Wrong(
                found / math.log(2),
                "bits were taken",
                "Here the logarithm is the natural one.",
            ),
            Wrong(
                found / beta if beta != 1 else -math.log(len(p)),
                "the strength was forgotten"
                if beta != 1
                else "the prediction was taken for uniform",
                "The entropy is multiplied by $\\beta$."
                if beta != 1
                else "Only equal probabilities have the entropy $\\log K$.",
            ),
            Wrong(
                beta * math.log(max(p)),
                "only the largest probability was taken",
                "The entropy is the mean of $-\\log p$ over all classes, weighted by $p$.",
            ),
            within=0.03,
        ),
        why=(
            f"$H = -\\sum p \\log p$ = {written(-found / beta)}, times −{beta:g}: {written(found)}."
        ),
        see="Label smoothing",
    )


@question
def what_dropout_does(rng: Random) -> Several:
    """What holds of dropout."""
    p = rng.choice([0.2, 0.3, 0.5, 0.6])
    units = rng.choice([20, 50, 100, 200])
    layer = Dropout(p)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(rng.getrandbits(32))
        kept = layer.train()(torch.ones(4_000))
        used = layer.eval()(torch.ones(10))
    mean = abs(float(kept.mean()) - 1) < 0.15
    same = bool((used == 1).all())
    statements = {
        "On average over the draws, a unit's value after dropout is what it was, though"
        f" {100 * p:g} %"
        " are dropped": mean,
        f"The trained network uses all {units} units, and none is scaled": same,
        f"Each step trains one of $2^{{{units}}}$ networks with shared weights": True,
        f"The trained network drops {100 * p:g} % of its units, too": not same,
        f"The value of a unit that is kept stays as it was, whatever $p$ = {p:g} is": bool(
            (kept[kept != 0] == 1).all()
        ),
        f"The same {100 * p:g} % of the units are dropped at every step": False,
        "A unit that is dropped gets a gradient in that step": False,
    }
    says = {
        "drops": (
            "training was taken for use",
            "Dropout is for training. In use every unit takes part.",
        ),
        "value of": (
            "the scaling was forgotten",
            "What is kept is divided by $1 - p$, so that the mean stays.",
        ),
        "same": (
            "the draw was thought to be made once",
            "Units are drawn anew for each image at each step.",
        ),
        "gradient": (
            "a dropped unit was thought to learn",
            "It is multiplied by 0, and so is its gradient.",
        ),
    }
    chosen = rng.sample(sorted(statements), 5)

    def slip(words: str) -> Wrong[str]:
        key = next((key for key in says if key in words), "drops")
        return Wrong(words, *says[key])

    return Several(
        prompt=f"Dropout with $p$ = {p:g} stands behind a layer of {units} units. What holds?",
        answer=tuple(words for words in chosen if statements[words]),
        missed="One more holds. What is kept is divided by $1 - p$; in use nothing is done.",
        wrong=tuple(slip(words) for words in chosen if not statements[words]),
        why=(
            "In training each unit is 0 with probability $p$ and divided by $1 - p$ else. For the"
            " last"
            " layer, the network with all units is the mean of all those networks."
        ),
        see="Dropout",
    )
