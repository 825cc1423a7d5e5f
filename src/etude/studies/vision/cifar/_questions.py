"""Questions on a fast recipe for photographs: whitening, averaging, views, what is counted."""

from __future__ import annotations

import math
from functools import cache
from random import Random

import torch
from torch import nn

from etude.networks.whitened import Group, partial_identity
from etude.questions import Count, Number, TrueFalse, Wrong, apart, question, written
from etude.training.evaluation import accuracy
from etude.training.optimizers import Nesterov

from ._lookahead import Lookahead


@question
def a_whitened_patch(rng: Random) -> Number:
    """How large a patch is after whitening."""
    low = rng.choice([0.01, 0.04, 0.25])
    high = rng.choice([2.25, 4.0, 9.0, 16.0])
    C = torch.tensor([[high + low, high - low], [high - low, high + low]]).double() / 2
    values, vectors = torch.linalg.eigh(C)
    W = values.rsqrt().diag() @ vectors.T
    steep = rng.random() < 0.5
    size = float(rng.choice([1, 2, 3]))
    direction = torch.tensor([1.0, 1.0 if steep else -1.0]).double() / math.sqrt(2)
    found = float((W @ (size * direction)).norm())
    variance = high if steep else low
    return Number(
        prompt=(
            f"The patches of a set of pictures have the second moment {variance:g} along a unit"
            " vector"
            f" $v$, which is an eigenvector of $C = \\mathrm{{E}}[p p^\\top]$. How long is $W p$"
            " for"
            f" $p = {size:g} v$, with $W = \\Lambda^{{-1/2}} V^\\top$?"
        ),
        answer=found,
        wrong=apart(
            found,
            Wrong(
                size / variance,
                "the root was forgotten",
                "$\\Lambda^{-1/2}$: the length is divided by the root of the eigenvalue, so that"
                " the"
                " second moment becomes 1.",
            ),
            Wrong(
                size * math.sqrt(variance),
                "the eigenvalue was multiplied by",
                "Directions of large variance are made *smaller*.",
            ),
            Wrong(
                size,
                "only the axes were turned",
                "$V^\\top$ turns, and $\\Lambda^{-1/2}$ then scales.",
            ),
            Wrong(
                1.0,
                "every patch was given the length 1",
                "It is the *mean* square along each direction that becomes 1.",
            ),
            within=0.03,
        ),
        why=f"{size:g} / √{variance:g} = {written(found)}.",
        see="Whitening",
    )


@question
def slow_weights(rng: Random) -> Number:
    """Where the slow weights of lookahead are."""
    start = float(rng.choice([0, 1, 2, 4]))
    decay = rng.choice([0.2, 0.5, 0.8])
    fast = [float(each) for each in rng.sample([3, 5, 6, 8, 10], 2)]
    net = nn.Linear(1, 1, bias=False)
    nn.init.constant_(net.weight, start)
    slow = Lookahead(net)
    move = fast[1] - fast[0]
    with torch.no_grad():
        net.weight.fill_(fast[0])
        slow.update(decay)
        first = float(net.weight)
        net.weight.add_(move)
        slow.update(decay)
    found = float(net.weight.detach())
    return Number(
        prompt=(
            f"Lookahead has $d$ = {decay:g}, and slow and fast weights begin at {start:g}. The fast"
            f" weight walks to {fast[0]:g}; slow and fast weights are updated. Then it walks"
            f" {abs(move):g} {'up' if move > 0 else 'down'} from where it is, and they are updated"
            " again. Where is the weight then?"
        ),
        answer=found,
        wrong=apart(
            found,
            Wrong(
                fast[1],
                "the slow weights were forgotten",
                "Every update sets the fast weights to the slow ones.",
            ),
            Wrong(
                decay * first + (1 - decay) * fast[1],
                "the fast weight was not set back",
                f"After the first update it stood at {written(first)} and walked on from there.",
            ),
            Wrong(
                (1 - decay) * first + decay * (first + move),
                "d was taken for what is new",
                "$\\phi \\leftarrow d \\phi + (1 - d) \\theta$: $d$ is what is kept.",
            ),
            Wrong(
                first,
                "the second update was forgotten",
                "There are two.",
            ),
            Wrong(
                first + move,
                "the second update was left out after the walk",
                "The slow weight follows by $1 - d$ of the way.",
            ),
            within=0.03,
        ),
        why=(
            f"After the first update {written(first)}; the fast weight walks to"
            f" {written(first + move)}, and the slow one follows by {1 - decay:g} of the way:"
            f" {written(found)}."
        ),
        see="Lookahead",
    )


@question
def nesterovs_gain(rng: Random) -> Number:
    """How long Nesterov's steps become on an even slope."""
    mu = rng.choice([0.5, 0.6, 0.8, 0.85, 0.9])
    rate = rng.choice([0.01, 0.1])
    g = float(rng.choice([1, 2, 5]))
    w = torch.zeros(1, dtype=torch.double, requires_grad=True)
    rule = Nesterov([w], lr=rate, momentum=mu)
    rule.state[w]["v"] = torch.full((1,), g / (1 - mu)).double()  # where the velocity comes to
    w.grad = torch.full((1,), g).double()
    rule.step()
    found = -float(w.detach())
    return Number(
        prompt=(
            f"Nesterov's momentum has $\\mu$ = {mu:g} and $\\eta$ = {rate:g}, and the gradient has"
            " been"
            f" {g:g} for a long time. How long is a step?"
        ),
        answer=found,
        wrong=apart(
            found,
            Wrong(
                rate * g,
                "momentum was forgotten",
                "The velocity has grown to $g / (1 - \\mu)$.",
            ),
            Wrong(
                rate * g * (1 + 1 / (1 - mu)),
                "the gradient was added to the velocity",
                "The step is $\\eta (g + \\mu v)$, and $g + \\mu g / (1 - \\mu) = g / (1 - \\mu)$."
                " The"
                " divisor of the code, $1 + 1 / (1 - \\mu)$, is a matter of units.",
            ),
            Wrong(
                rate * g * (1 + mu),
                "one step of the past was counted",
                "$1 + \\mu + \\mu^2 + \\dots$: all of the past counts.",
            ),
            Wrong(
                rate * g * mu / (1 - mu),
                "the gradient itself was forgotten",
                "The step is $\\eta (g + \\mu v)$.",
            ),
            within=0.03,
        ),
        why=(
            "$v = g / (1 - \\mu)$, and $\\eta (g + \\mu v) = \\eta g / (1 - \\mu)$ ="
            f" {written(found)}."
        ),
        see="Nesterov's momentum",
    )


@question
def weights_that_copy(rng: Random) -> Count:
    """How many weights of a partial identity are 1."""
    inputs = rng.choice([4, 6, 8, 10, 12, 14, 16, 20])
    outputs = inputs * rng.choice([2, 3, 4])
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        found = int((partial_identity(inputs, outputs).weight == 1).sum())
    return Count(
        prompt=(
            f"A 3 × 3 convolution from {inputs} to {outputs} channels begins as a partial"
            " identity. How"
            " many of its weights are exactly 1?"
        ),
        answer=found,
        unit="weights",
        wrong=apart(
            found,
            Wrong(
                outputs,
                "every filter was thought to copy",
                f"There are only {inputs} channels to copy. The other filters are random.",
            ),
            Wrong(
                9 * inputs,
                "the whole window was filled",
                "A copy takes the middle of the window only.",
            ),
            Wrong(
                inputs * inputs,
                "each filter was thought to copy every channel",
                "Filter $c$ copies channel $c$, and has 0 for the others.",
            ),
        ),
        why=f"The first {inputs} filters have a 1 in the middle of their own channel's window.",
        see="Partial identities",
    )


@cache
def _group(inputs: int, outputs: int) -> tuple[int, int]:
    """Learned numbers of a group of layers, and those of its convolutions."""
    with torch.device("meta"):
        group = Group(inputs, outputs)
    learned = sum(each.numel() for each in group.parameters() if each.requires_grad)
    weights = sum(each.weight.numel() for each in group.modules() if isinstance(each, nn.Conv2d))
    return learned, weights


@question
def what_a_group_learns(rng: Random) -> Count:
    """How many numbers a group of layers learns."""
    inputs = rng.choice([16, 24, 32, 48, 60, 64])
    outputs = rng.choice([40, 72, 80, 96, 128])
    found, weights = _group(inputs, outputs)
    return Count(
        prompt=(
            f"A group has two 3 × 3 convolutions without biases, from {inputs} to {outputs}"
            " channels and"
            f" from {outputs} to {outputs}. A batch norm with a learned shift and no learned scale"
            " stands behind each. How many numbers does the group learn?"
        ),
        answer=found,
        unit="parameters",
        wrong=apart(
            found,
            Wrong(
                weights,
                "the shifts were forgotten",
                f"Each norm learns a shift for each of {outputs} channels.",
            ),
            Wrong(
                weights + 4 * outputs,
                "scales were counted",
                "These norms have no learned scale.",
            ),
            Wrong(
                2 * (9 * inputs * outputs + outputs),
                "both convolutions were taken to be the first",
                f"The second has {outputs} input channels.",
            ),
            Wrong(
                weights // 9 + 2 * outputs,
                "the windows were forgotten",
                "Each pair of channels has 3 · 3 weights.",
            ),
        ),
        why=(
            f"9 · {inputs} · {outputs} + 9 · {outputs}² weights and 2 · {outputs} shifts:"
            f" {written(found)}."
        ),
        see="Normalisation without scale",
    )


@question
def among_the_first(rng: Random) -> Number:
    """Top-k accuracy of a few examples."""
    examples, classes = rng.choice([4, 5]), 6
    top = rng.choice([2, 3])
    scores = torch.tensor([rng.sample(range(1, 10), classes) for _ in range(examples)]).double()
    labels = torch.tensor([rng.randrange(classes) for _ in range(examples)])
    found = accuracy(scores, labels, top)
    ranks = [int((row > row[label]).sum()) + 1 for row, label in zip(scores, labels, strict=True)]
    told = ", ".join(map(str, ranks))
    return Number(
        prompt=(
            f"For {examples} pictures, the scores put the right class in place {told} (1 is the"
            " highest"
            f" score). What is the top-{top} accuracy?"
        ),
        answer=found,
        wrong=apart(
            found,
            Wrong(
                sum(rank == 1 for rank in ranks) / examples,
                "only the first place was counted",
                f"The right class may be any of the first {top}.",
            ),
            Wrong(
                sum(rank == top for rank in ranks) / examples,
                "only one place was counted",
                f"All places from 1 to {top} count.",
            ),
            Wrong(
                sum(rank < top for rank in ranks) / examples,
                "the last place was left out",
                f"Place {top} counts, too.",
            ),
            Wrong(
                found / top,
                "each place was given a part",
                "A picture counts once if its class is among the first.",
            ),
            Wrong(
                1 - found,
                "the mistakes were counted",
                "Accuracy is the fraction that is right.",
            ),
            within=0.03,
        ),
        why=f"{sum(rank <= top for rank in ranks)} of {examples} places are at most {top}.",
        see="A hundred classes",
    )


@question
def smoothed_until(rng: Random) -> TrueFalse:
    """Where the gradient of a smoothed target vanishes."""
    smoothing = rng.choice([0.1, 0.2, 0.3])
    classes = rng.choice([10, 20, 100])
    q = 1 - smoothing + smoothing / classes
    p = rng.choice([q - 0.1, q + (1 - q) / 2, 0.5])
    z = torch.tensor([[p] + [(1 - p) / (classes - 1)] * (classes - 1)]).double().log()
    z.requires_grad_()
    loss = nn.functional.cross_entropy(z, torch.tensor([0]), label_smoothing=smoothing)
    (gradient,) = torch.autograd.grad(loss, z)
    rises = float(gradient[0, 0]) < 0
    more = "$p_k < q_k$: the gradient $p_k - q_k$ is negative, and a step raises the logit."
    less = "$p_k > q_k$: the gradient $p_k - q_k$ is positive, and a step lowers the logit."
    ever = "The loss falls as long as $p_k < 1$, so the logit always rises."
    right = more if rises else less
    says = {
        more: ("q was overestimated", f"$q = 1 - \\alpha + \\alpha / K$ is {q:g} here."),
        less: ("q was underestimated", f"$q = 1 - \\alpha + \\alpha / K$ is {q:g} here."),
        ever: (
            "smoothing was forgotten",
            "That holds without smoothing. With it the target of the true class is below 1.",
        ),
    }
    return TrueFalse(
        prompt=(
            f"Labels are smoothed with $\\alpha$ = {smoothing:g} over {classes} classes, and a"
            " network"
            f" gives the true class the probability {p:.4g}. *A step of gradient descent raises the"
            " true class's logit.*"
        ),
        holds=rises,
        answer=right,
        wrong=tuple(Wrong(each, *said) for each, said in says.items() if each != right),
        why=f"$q$ = {q:g}, and $p - q$ = {written(p - q, 3)}.",
        see="Label smoothing",
    )
