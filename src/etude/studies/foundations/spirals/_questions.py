"""Questions on a multi-layer perceptron: its size, its folds, its loss, its penalty."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from random import Random

import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from etude.networks.mlp import MLP, Activation
from etude.questions import (
    Count,
    Number,
    Redraw,
    Several,
    TrueFalse,
    Wrong,
    apart,
    factor,
    question,
    written,
)


@cache
def parameters(inputs: int, hidden: tuple[int, ...], outputs: int) -> int:
    """How many parameters a multi-layer perceptron has."""
    with torch.random.fork_rng(devices=[]):
        net = MLP(inputs, hidden, outputs)
    return sum(parameter.numel() for parameter in net.parameters())


@question
def size_of_a_network(rng: Random) -> Count:
    """How many parameters a multi-layer perceptron has."""
    inputs = rng.choice([2, 3, 5, 10])
    outputs = rng.choice([1, 2, 3, 10])
    hidden = tuple(rng.choice([8, 16, 20, 32, 64]) for _ in range(rng.choice([2, 3])))
    found = parameters(inputs, hidden, outputs)
    sizes = [inputs, *hidden, outputs]
    weights = sum(a * b for a, b in pairwise(sizes))
    return Count(
        prompt=(
            f"A multi-layer perceptron has {inputs} inputs, hidden layers of"
            f" {', '.join(map(str, hidden[:-1]))} and {hidden[-1]} units, and {outputs}"
            f" output{'s' * (outputs > 1)}. How many parameters has it?"
        ),
        answer=found,
        unit="parameters",
        wrong=apart(
            found,
            Wrong(weights, "the biases were forgotten", "Each unit and each output has a bias."),
            Wrong(
                weights + sum(sizes),
                "the inputs were given biases",
                "Inputs are given, not computed: they have none.",
            ),
            Wrong(
                weights + sum(hidden),
                "the biases of the output were forgotten",
                "The last map is affine, too.",
            ),
            Wrong(
                found - sum(a * b for a, b in pairwise(hidden)),
                "the maps between hidden layers were forgotten",
                "Every unit of a layer sees every unit of the layer before.",
            ),
            Wrong(
                sum(sizes),
                "units were counted",
                "Between two layers there is a weight for every *pair* of units.",
            ),
        ),
        why=(
            " + ".join(f"({a} + 1) · {b}" for a, b in pairwise(sizes))
            + f" = {written(found)}: a weight for each input of a unit, and a bias."
        ),
        see="The network",
    )


@question
def through_a_hidden_layer(rng: Random) -> Number:
    """The logit of a small network at a point."""
    x = float(rng.choice([-3, -2, -1, 1, 2, 3]))
    w = [float(rng.choice([-3, -2, 2, 3])) for _ in range(2)]
    b = [float(rng.randint(-3, 3)) for _ in range(2)]
    v = [float(rng.choice([-3, -2, 2, 3, 4])) for _ in range(2)]
    c = float(rng.choice([-1, 1, 2]))
    net = MLP(1, [2], 1).double()
    with torch.no_grad():
        for parameter, values in zip(net.parameters(), (w, b, v, [c]), strict=True):
            parameter.copy_(torch.tensor(values).view_as(parameter))
        found = float(net(torch.tensor([[x]]).double()))
    z = [wi * x + bi for wi, bi in zip(w, b, strict=True)]
    if min(z) >= 0 or max(z) <= 0:
        raise Redraw
    units = " and ".join(
        f"$h_{i} = \\max(0, {written(wi)} x {'+' if bi >= 0 else '-'} {abs(bi):g})$"
        for i, (wi, bi) in enumerate(zip(w, b, strict=True), 1)
    )
    folded = sum(vi * zi for vi, zi in zip(v, z, strict=True)) + c
    absolute = sum(vi * abs(zi) for vi, zi in zip(v, z, strict=True)) + c
    return Number(
        prompt=(
            f"A network has the hidden units {units}, and the logit"
            f" $z = {written(v[0])} h_1 {'+' if v[1] > 0 else '-'} {abs(v[1]):g} h_2"
            f" {'+' if c > 0 else '-'} {abs(c):g}$. What is $z$ at $x$ = {written(x)}?"
        ),
        answer=found,
        wrong=apart(
            found,
            Wrong(
                folded,
                "the activation was forgotten",
                "A unit whose sum is negative gives 0. Without that the network would be a line.",
            ),
            Wrong(
                found - c,
                "the last bias was forgotten",
                "The last map has a bias, too.",
            ),
            Wrong(
                absolute,
                "the activation was taken for an absolute value",
                "$\\max(0, u)$ is 0 for negative $u$, not $|u|$.",
            ),
            Wrong(
                max(0.0, found),
                "the logit was cut off, too",
                "There is no activation after the last map: a logit may be negative.",
            ),
            within=0.03,
        ),
        why=(
            f"The sums are {written(z[0])} and {written(z[1])}, so $h$ ="
            f" ({written(max(0.0, z[0]))}, {written(max(0.0, z[1]))}) and $z$ = {written(found)}."
        ),
        see="The network",
    )


@question
def loss_of_a_sure_mistake(rng: Random) -> Number:
    """The loss where the network is sure and wrong."""
    size = float(rng.choice([20, 30, 50, 80, 100, 200]))
    label = rng.choice([0, 1])
    wrong = rng.random() < 0.75
    z = size if (label == 0) == wrong else -size
    found = float(
        binary_cross_entropy_with_logits(torch.tensor([z]).double(), torch.tensor([label]).double())
    )
    if not wrong:
        found = 0.0 if found < 1e-6 else found
    return Number(
        prompt=(
            f"A point of class {label} gets the logit {written(z)}. What is its binary"
            " cross-entropy"
            " (natural logarithm), to within a percent or a millionth?"
        ),
        answer=found,
        wrong=apart(
            found,
            Wrong(
                size if found == 0 else 0.0,
                "the side was mixed up",
                "A positive logit speaks for class 1, a negative one for class 0.",
            ),
            Wrong(
                1.0,
                "the error of the probability was given",
                "$p - t$ is the *gradient* of the loss. The loss is a logarithm and has no bound.",
            ),
            Wrong(
                0.6931,
                "a logit of 0 was taken",
                "$\\log 2$ is the loss of one who says ½.",
            ),
            within=0.03,
        ),
        why=(
            f"$\\log(1 + e^{{{size:g}}})$ is {size:g} to many digits. Computed from $p$, which"
            " rounds to 0"
            " or 1, it would be infinite; from $z$ it is not."
            if wrong
            else f"$\\log(1 + e^{{-{size:g}}})$ is less than $10^{{-8}}$: it is right, and sure."
        ),
        see="The loss",
    )


@question
def gradient_with_a_penalty(rng: Random) -> Number:
    """The gradient of a weight with its penalty."""
    w = float(rng.choice([-3, -2, 2, 4]))
    x = float(rng.choice([1, 2, 3]))
    penalty = rng.choice([0.01, 0.1, 0.2, 0.5])
    label = rng.choice([0.0, 1.0])
    weight = torch.tensor([w], dtype=torch.double, requires_grad=True)
    loss = binary_cross_entropy_with_logits(weight * x, torch.tensor([label]).double())
    (data,) = torch.autograd.grad(loss, weight, retain_graph=True)
    (gradient,) = torch.autograd.grad(loss + penalty / 2 * weight.square().sum(), weight)
    found, alone = float(gradient), float(data)
    if abs(alone) < 0.02 or abs(found) < 0.02:
        raise Redraw
    p = 1 / (1 + torch.tensor(-w * x).exp().item())
    return Number(
        prompt=(
            f"A classifier has one weight, $z = w x$, and the loss"
            f" $J = -t \\log p - (1 - t) \\log(1 - p) + \\frac{{\\lambda}}{{2}} w^2$. What is"
            f" $\\partial J / \\partial w$ for $w$ = {written(w)}, $x$ = {x:g}, $t$ = {label:g} and"
            f" $\\lambda$ = {penalty:g}?"
        ),
        answer=found,
        tolerance=0.02,
        wrong=apart(
            found,
            Wrong(
                alone,
                "the penalty was forgotten",
                f"It adds $\\lambda w$ = {written(penalty * w)}.",
            ),
            Wrong(
                alone + penalty * w / 2,
                "the half was kept",
                "The derivative of $\\frac{\\lambda}{2} w^2$ is $\\lambda w$.",
            ),
            Wrong(
                alone - penalty * w,
                "the penalty was subtracted",
                "The penalty is a part of the loss. A step *against* the gradient makes the weight"
                " smaller.",
            ),
            Wrong(
                p - label + penalty * w,
                "the input was forgotten",
                "$p - t$ is the derivative with respect to the *logit*; that of the logit by $w$ is"
                " $x$.",
            ),
            Wrong(
                alone + penalty * w * w / 2,
                "the penalty was not differentiated",
                "Its *derivative* is $\\lambda w$.",
            ),
            within=0.06,
        ),
        why=(
            f"$p$ = {written(p)}, $(p - t) x$ = {written(alone)}, and {penalty:g} · {factor(w)} is"
            f" added: {written(found)}."
        ),
        see="The loss",
    )


@question
def is_the_boundary_a_line(rng: Random) -> TrueFalse:
    """Which networks can draw a boundary that is no line."""
    layers = rng.choice([0, 1, 2, 3])
    width = rng.choice([4, 16, 64])
    names: list[Activation] = ["identity", "relu", "tanh"]
    activation = rng.choice(names)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(rng.getrandbits(32))
        net = MLP(2, [width] * layers, 1, activation).double()
        a, b = torch.randn(2, 8, 2).double()
        curved = not torch.allclose(net(a) + net(b), 2 * net((a + b) / 2))
    deep = "Each hidden layer bends the plane, whatever its activation is."
    folds = "The activation is not linear, so the logit is no affine function of the point."
    affine = "Affine maps one after another are one affine map, and its zeros are a line."
    none = "Without a hidden layer the logit is an affine function of the point."
    right = folds if curved else affine if layers else none
    says = {
        deep: (
            "layers were thought to bend by themselves",
            "It is the activation that bends; affine maps alone do not, however many there are.",
        ),
        folds: (
            "an activation was seen where there is none",
            "There is no hidden layer with an activation that is not linear.",
        ),
        affine: (
            "the activation was overlooked" if curved else "hidden layers were seen where none are",
            "With an activation that is not linear between them, affine maps do not become one."
            if curved
            else "There is a single affine map from the start.",
        ),
        none: (
            "the hidden layers were overlooked",
            f"The network has {layers} of them.",
        ),
    }
    told = f"{layers} hidden layer{'s' * (layers != 1)}"
    units = f" of {width} units with the activation {activation}" if layers else ""
    return TrueFalse(
        prompt=(
            f"A network with {told}{units} gives points of the plane a logit. *The boundary where"
            " the"
            " logit is 0 is a straight line, whatever the weights are.*"
        ),
        holds=not curved,
        answer=right,
        wrong=tuple(Wrong(each, *said) for each, said in says.items() if each != right),
        why=(
            "The run without hidden layers, and that with `--activation identity`, both classify"
            " 0.647"
            " of the spirals' points: as a line does."
        ),
        see="What was tried, and what fails",
    )


@question
def what_helps_the_spirals(rng: Random) -> Several:
    """Which changes let a line classifier separate the spirals."""
    steps = rng.choice([5_000, 20_000, 100_000])
    width = rng.choice([64, 256, 1024])
    rate = rng.choice([2, 5, 10])
    right = [
        f"Two hidden layers of {width} ReLUs are put before it",
        f"Three hidden layers of {width} ReLUs are put before it",
        "The point's angle and its distance from the centre, and their sines, are given as inputs",
    ]
    wrong = {
        f"It is trained for {steps:,} steps": (
            "time was thought to help",
            "Its loss is convex: it comes to the best line and stays there.",
        ),
        f"Its learning rate is made {rate} times as large": (
            "the optimiser was blamed",
            "No line separates the spirals, however it is found.",
        ),
        f"Hidden layers of {width} units without an activation are put before it": (
            "layers were thought to bend by themselves",
            "Affine maps one after another are one affine map.",
        ),
        "Its penalty is left out": (
            "the penalty was blamed",
            "It makes weights small. Larger weights draw the same lines.",
        ),
        f"It gets {rate} times as many training points": (
            "data were thought to help",
            "More points do not make a line bend.",
        ),
    }
    chosen = rng.sample(right, rng.choice([1, 2]))
    others = rng.sample(sorted(wrong), 5 - len(chosen))
    return Several(
        prompt=(
            "Logistic regression on the coordinates gets a third of the two spirals' points wrong."
            " Which of these changes can let it get nearly all of them right?"
        ),
        answer=tuple(chosen),
        missed="One more gives the last, linear layer features in which the spirals are apart.",
        wrong=tuple(Wrong(each, *wrong[each]) for each in others),
        why=(
            "A line stays a line, whoever looks for it. Features that are not linear in the"
            " coordinates,"
            " learned or made by hand, can turn the spirals into something that a line parts."
        ),
        see="The claim",
    )
