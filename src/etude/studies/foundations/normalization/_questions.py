"""Questions on norms: what shares its statistics, what is learned, training and use."""

from __future__ import annotations

from random import Random

import torch
from torch import Tensor, nn

from etude.layers.normalization import BatchNorm, GroupNorm, InstanceNorm, LayerNorm
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

OVER = {
    "batch": "those of a channel, over all images",
    "instance": "those of a channel of one image",
    "group": "those of a group of channels of one image",
    "layer": "those of one image",
}


def norms(channels: int, groups: int) -> dict[str, nn.Module]:
    """Each norm by its name."""
    return {
        "batch": BatchNorm(channels),
        "instance": InstanceNorm(channels),
        "group": GroupNorm(groups, channels),
        "layer": LayerNorm(channels),
    }


def sharing(norm: nn.Module, x: Tensor) -> int:
    """How many outputs change with the first input: the number of values that share statistics."""
    moved = x.clone()
    moved.view(-1)[0] += 1
    with torch.no_grad():
        return int((norm(moved) - norm(x)).abs().gt(1e-7).sum())


@question
def values_that_share_statistics(rng: Random) -> Count:
    """How many values share a mean."""
    images = rng.choice([2, 3, 4, 6])
    groups = rng.choice([2, 3])
    channels = groups * rng.choice([2, 3])
    side = rng.choice([2, 3, 4])
    name = rng.choice(sorted(OVER))
    generator = torch.Generator().manual_seed(rng.getrandbits(32))
    x = torch.randn(images, channels, side, side, generator=generator)
    found = {each: sharing(norm, x) for each, norm in norms(channels, groups).items()}
    told = f"group norm with {groups} groups" if name == "group" else f"{name} norm"
    return Count(
        prompt=(
            f"A mini-batch has {images} images with {channels} channels of {side} × {side} pixels."
            " In"
            f" {told}, how many values share one mean and one deviation in training?"
        ),
        answer=found[name],
        unit="values",
        wrong=apart(
            found[name],
            *(
                Wrong(
                    found[other],
                    f"{name} norm was taken for {other} norm",
                    f"In {name} norm the values share their statistics that are {OVER[name]}.",
                )
                for other in OVER
                if other != name
            ),
            Wrong(
                images,
                "pixels were not counted",
                "All pixels of a channel are normalised alike, so they count.",
            ),
            Wrong(
                x.numel(),
                "all values were taken together",
                "No norm here mixes images and channels.",
            ),
        ),
        why=f"{OVER[name].capitalize()}: {found[name]}.",
        see="Mean over what?",
    )


@question
def what_a_norm_learns(rng: Random) -> Count:
    """How many parameters a norm has."""
    channels = rng.choice([8, 12, 16, 24, 32, 48, 64, 96, 128])
    side = rng.choice([4, 7, 8, 14, 16])
    name = rng.choice(sorted(OVER))
    layer = norms(channels, 4)[name]
    found = sum(parameter.numel() for parameter in layer.parameters())
    return Count(
        prompt=(
            f"A {name} norm stands behind a convolution whose output has {channels} channels of"
            f" {side}"
            f" × {side} pixels. How many parameters does it *learn*?"
        ),
        answer=found,
        unit="parameters",
        wrong=apart(
            found,
            Wrong(
                2 * channels * side * side,
                "each pixel was given its own",
                "$\\gamma_c$ and $\\beta_c$ have the index of the channel alone.",
            ),
            Wrong(
                channels,
                "the scales or the shifts were forgotten",
                "Each channel has a scale $\\gamma_c$ and a shift $\\beta_c$.",
            ),
            Wrong(
                4 * channels,
                "running statistics were counted",
                "They are collected, not learned: no gradient reaches them, and only batch norm has"
                " them.",
            ),
            Wrong(
                2,
                "one scale and one shift were counted",
                "Each channel has its own.",
            ),
        ),
        why=f"A scale and a shift for each of {channels} channels: {found}, whatever the norm.",
        see="Normalisation: five norms, and how well each works with small mini-batches",
    )


@question
def one_normalised_value(rng: Random) -> Number:
    """The output of batch norm for one value."""
    values = rng.sample([-4.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 5.0, 6.0, 8.0], 4)
    gamma = rng.choice([0.5, 2.0, 3.0])
    beta = float(rng.choice([-1, 1, 2]))
    layer = BatchNorm(1)
    nn.init.constant_(layer.gamma, gamma)
    nn.init.constant_(layer.beta, beta)
    x = torch.tensor(values).double()[:, None]
    with torch.no_grad():
        found = float(layer.double()(x)[0, 0])
    mean = sum(values) / 4
    variance = sum((each - mean) ** 2 for each in values) / 4
    if abs(values[0] - mean) < 0.3:
        raise Redraw
    hat = (values[0] - mean) / variance**0.5
    told = ", ".join(written(each) for each in values)
    return Number(
        prompt=(
            f"In a mini-batch of four, a channel has the values {told}. Batch norm has $\\gamma$ ="
            f" {gamma:g} and $\\beta$ = {written(beta)}. What does it make of the first value in"
            " training?"
        ),
        answer=found,
        wrong=apart(
            found,
            Wrong(
                hat,
                "scale and shift were forgotten",
                "$y = \\gamma \\hat x + \\beta$ follows.",
            ),
            Wrong(
                gamma * (values[0] - mean) / variance + beta,
                "the variance was taken for the deviation",
                "It is divided by the root, $\\sqrt{\\sigma^2 + \\epsilon}$.",
            ),
            Wrong(
                gamma * (values[0] - mean) / (variance * 4 / 3) ** 0.5 + beta,
                "the variance was divided by m − 1",
                "The batch's own variance is a mean over its $m$ values. Only the *running*"
                " variance"
                " takes the unbiased estimate.",
            ),
            Wrong(
                gamma * values[0] / variance**0.5 + beta,
                "the mean was not removed",
                "$\\hat x = (x - \\mu) / \\sigma$.",
            ),
            Wrong(
                gamma * (hat + beta),
                "the shift was scaled",
                "First the scale, then the shift.",
            ),
            within=0.03,
        ),
        why=(
            f"$\\mu$ = {mean:g}, $\\sigma$ = {written(variance**0.5)}, $\\hat x$ = {written(hat)},"
            " so"
            f" $y$ = {gamma:g} · {factor(hat)} + {factor(beta)} = {written(found)}."
        ),
        see="Normalisation: five norms, and how well each works with small mini-batches",
    )


@question
def running_mean(rng: Random) -> Number:
    """The running mean after some mini-batches."""
    alpha = rng.choice([0.05, 0.1, 0.2, 0.5])
    steps = rng.choice([2, 3, 4, 5])
    mean = float(rng.choice([2, 4, 5, 10]))
    layer = BatchNorm(1, alpha)
    x = torch.tensor([[mean - 1], [mean + 1]])
    with torch.no_grad():
        for _ in range(steps):
            layer(x)
    found = float(layer.mean)
    return Number(
        prompt=(
            "The running mean of a batch norm begins at 0 and is averaged with $\\alpha$ ="
            f" {alpha:g}."
            f" {steps} mini-batches pass in training, each with the mean {mean:g}. What is the"
            " running"
            " mean then?"
        ),
        answer=found,
        wrong=apart(
            found,
            Wrong(
                mean,
                "the last mean was taken",
                "That is what training normalises by. The running mean moves only a part of the"
                " way.",
            ),
            Wrong(
                mean * (1 - alpha) ** steps,
                "what is missing was given",
                "$(1 - \\alpha)^k$ is the part of the first 0 that is left.",
            ),
            Wrong(
                mean * alpha,
                "one mini-batch was counted",
                f"The mean moves {steps} times.",
            ),
            Wrong(
                min(1.0, alpha * steps) * mean,
                "equal parts were added",
                "Each mini-batch takes a part of the distance that is *left*.",
            ),
            Wrong(
                mean * (1 - alpha**steps),
                "α was taken for the part that is kept",
                "$\\mu \\leftarrow \\mu + \\alpha (\\mu_B - \\mu)$: $\\alpha$ is the part that is"
                " new.",
            ),
            within=0.03,
        ),
        why=(
            f"The distance from {mean:g} is multiplied by $1 - \\alpha$ each time:"
            f" {mean:g} (1 − {1 - alpha:g}^{steps}) = {written(found)}."
        ),
        see="Mean over what?",
    )


@question
def does_another_image_matter(rng: Random) -> TrueFalse:
    """Whether an output depends on the other images of the mini-batch."""
    name = rng.choice(["batch", "batch", "instance", "group", "layer"])
    training = rng.random() < 0.5
    images = rng.choice([2, 4, 8, 16])
    channels = rng.choice([4, 8])
    layer = norms(channels, 2)[name].train(training)
    x = torch.arange(float(images * channels * 4)).view(images, channels, 2, 2).sin()
    other = x.clone()
    other[1] += 1
    with torch.no_grad():
        before = layer(x)[0]
        depends = not torch.allclose(layer.train(training)(other)[0], before, atol=1e-6)
    batch = "Its mean and deviation are those of the whole mini-batch."
    running = "It uses running statistics, which do not depend on this mini-batch."
    own = "It takes mean and deviation from each image alone."
    learned = "Its scale and shift are learned from all images."
    right = batch if depends else running if name == "batch" else own
    says = {
        batch: (
            "statistics were thought to be those of the mini-batch",
            "That is batch norm in training, and no other norm or mode.",
        ),
        running: (
            "running statistics were seen where there are none",
            "Only batch norm has them, and only in use.",
        ),
        own: (
            "the norm was thought to treat images alone",
            "Instance, group and layer norm do. Batch norm does not.",
        ),
        learned: (
            "learned numbers were taken for statistics",
            "They are the same whatever the mini-batch is now.",
        ),
    }
    mode = "training" if training else "use"
    return TrueFalse(
        prompt=(
            f"A {name} norm for {channels} channels is given {images} images in {mode}. *If the"
            " second"
            " image is replaced by another one, the output for the first image changes.*"
        ),
        holds=depends,
        answer=right,
        wrong=tuple(Wrong(each, *said) for each, said in says.items() if each != right),
        why=f"{right} So the output for the first image {'changes' if depends else 'stays'}.",
        see="Mean over what?",
    )


@question
def what_a_norm_undoes(rng: Random) -> Several:
    """What a norm does not let through."""
    factor = rng.choice([2, 3, 5, 10])
    shift = rng.choice([1, 4, 7])
    generator = torch.Generator().manual_seed(rng.getrandbits(32))
    x = torch.randn(6, 4, 3, 3, generator=generator).double()
    name = rng.choice(["batch", "layer", "instance"])
    layer = norms(4, 2)[name].double()
    channel = torch.zeros(1, 4, 1, 1).double()
    channel[0, 1] = 1
    image = torch.zeros(6, 1, 1, 1).double()
    image[0] = 1
    changes = {
        f"Every value is multiplied by {factor}": factor * x,
        f"{shift} is added to every value": x + shift,
        f"{shift} is added to every value of the second channel": x + shift * channel,
        f"{shift} is added to every value of the first image": x + shift * image,
        f"Every value of the second channel is multiplied by {factor}": x
        * (1 + (factor - 1) * channel),
        "Every value gets the other sign": -x,
    }
    with torch.no_grad():
        before = layer(x)
        kept = {
            words
            for words, each in changes.items()
            if torch.allclose(layer(each), before, atol=1e-3)
        }
    chosen = rng.sample(sorted(changes), 5)
    return Several(
        prompt=(
            f"The input of a {name} norm in training has 6 images and 4 channels of 3 × 3 pixels,"
            " and"
            " it is changed. Which changes leave the output as it was, up to $\\epsilon$?"
        ),
        answer=tuple(words for words in chosen if words in kept),
        missed="A change that moves all values that share their statistics alike is undone.",
        wrong=tuple(
            Wrong(
                words,
                "the change was thought to be undone",
                f"The values that share their statistics are {OVER[name]}. This change does not"
                " treat"
                " them alike, or turns them around.",
            )
            for words in chosen
            if words not in kept
        ),
        why=(
            f"In {name} norm the values share mean and deviation that are {OVER[name]}. What"
            " shifts or"
            " scales all of them by the same is undone; a change of sign is none of these."
        ),
        see="Mean over what?",
    )
