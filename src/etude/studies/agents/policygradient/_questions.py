"""Questions on policy gradients: returns, baselines, advantages, PPO's clip."""

from __future__ import annotations

import math
from random import Random

import torch

from etude.questions import (
    Code,
    Number,
    Several,
    TrueFalse,
    Wrong,
    apart,
    changed,
    factor,
    question,
    written,
)

from ._losses import advantages
from .ppo import clipped_objective


def estimated(
    rewards: list[float], values: list[float], discount: float, lam: float, terminated: bool
) -> list[float]:
    """Generalised advantages of one episode's steps."""
    ends = [False] * (len(rewards) - 1)
    found = advantages(
        torch.tensor(rewards).double()[:, None],
        torch.tensor(values).double()[:, None],
        torch.tensor([*ends, terminated])[:, None],
        torch.tensor([*ends, True])[:, None],
        discount,
        lam,
    )
    return [float(each) for each in found[:, 0]]


@question
def advantage_of_a_step(rng: Random) -> Number:
    """The one-step advantage, at a termination and before."""
    reward = float(rng.choice([1, 2]))
    discount = rng.choice([0.5, 0.8, 0.9])
    now = float(rng.randint(2, 9))
    after = float(rng.randint(2, 9))
    terminated = rng.random() < 0.5
    (found,) = estimated([reward], [now, after], discount, 0.0, terminated)
    end = (
        "The episode terminates with this step" if terminated else "The time limit ends the episode"
    )
    with_next = reward + discount * after - now
    return Number(
        prompt=(
            f"A step has the reward {reward:g}, $V(s_t)$ = {now:g}, $V(s_{{t+1}})$ = {after:g} and"
            f" $\\gamma$ = {discount:g}. {end}. What is the one-step advantage $\\delta_t$?"
        ),
        answer=found,
        wrong=apart(
            found,
            Wrong(
                with_next if terminated else reward - now,
                "the termination was overlooked"
                if terminated
                else "a time limit was taken for an end",
                "After a termination no rewards follow, so the value after it is 0."
                if terminated
                else "Rewards would have followed: $V$ of the last state stands for them.",
            ),
            Wrong(
                reward + after - now,
                "the discount was forgotten",
                "A reward one step later counts $\\gamma$ times as much.",
            ),
            Wrong(
                reward + discount * after,
                "the value of the state was not subtracted",
                "That is the target. The advantage says by how much it is *more than expected*.",
            ),
            Wrong(
                now - reward - discount * after,
                "the sign was turned",
                "The advantage is positive where an action led to more than was expected.",
            ),
            within=0.03,
        ),
        why=(
            f"{reward:g} − {now:g} = {written(found)}: nothing follows."
            if terminated
            else f"{reward:g} + {discount:g} · {after:g} − {now:g} = {written(found)}."
        ),
        see="Advantages",
    )


@question
def generalised_advantage(rng: Random) -> Number:
    """The generalised advantage of the first of a few steps."""
    steps = rng.choice([2, 3])
    rewards = [float(rng.choice([0, 1, 2])) for _ in range(steps)]
    values = [float(rng.randint(0, 5)) for _ in range(steps + 1)]
    discount = rng.choice([0.5, 0.9, 1.0])
    lam = rng.choice([0.5, 0.8, 0.9])
    found = estimated(rewards, values, discount, lam, True)[0]
    backwards = estimated(rewards, values, discount, lam, True)[::-1]
    one = estimated(rewards, values, discount, 0.0, True)[0]
    whole = estimated(rewards, values, discount, 1.0, True)[0]
    doubled = estimated(rewards, values, 1.0, lam, True)[0]
    told = ", ".join(written(each) for each in rewards)
    before = ", ".join(written(each) for each in values[:-1])
    return Number(
        prompt=(
            f"An episode's last {steps} steps have the rewards {told}, and the states before them"
            " the"
            f" values {before}; then it terminates. With $\\gamma$ = {discount:g} and $\\lambda$ ="
            f" {lam:g}, what is the generalised advantage of the first of these steps?"
        ),
        answer=found,
        tolerance=0.015,
        wrong=apart(
            found,
            Wrong(
                one,
                "only one step was taken",
                "That is $\\lambda = 0$. The errors of later steps count with $(\\gamma"
                " \\lambda)^k$.",
            ),
            Wrong(
                whole,
                "the whole return was taken",
                "That is $\\lambda = 1$: the values in between cancel.",
            ),
            Wrong(
                doubled,
                "the discount was forgotten",
                "Later values and later errors both count $\\gamma$ times as much.",
            ),
            Wrong(
                sum(rewards),
                "the rewards were added up",
                "The advantage is the return less what $V$ expected.",
            ),
            within=0.045,
        ),
        why=(
            "Backwards, $A_t = \\delta_t + \\gamma \\lambda A_{t+1}$:"
            f" {', '.join(map(written, backwards))}."
        ),
        see="Advantages",
    )


@question
def objective_of_ppo(rng: Random) -> Number:
    """What PPO's objective is for one action."""
    eps = rng.choice([0.1, 0.2, 0.3])
    advantage = float(rng.choice([-3, -2, 2, 3, 5]))
    ratio = rng.choice([0.4, 0.6, 0.95, 1.05, 1.5, 1.8, 2.0])
    log = torch.tensor([math.log(ratio)]).double()
    zero = torch.zeros(1).double()
    found = float(clipped_objective(log, zero, torch.tensor([advantage]).double(), eps))
    clip = min(max(ratio, 1 - eps), 1 + eps)
    bound = abs(found - ratio * advantage) > 1e-9
    return Number(
        prompt=(
            f"PPO has $\\epsilon$ = {eps:g}. An action with the advantage {written(advantage)} has"
            " become"
            f" {ratio:g} times as probable. What is its objective"
            " $\\min(\\rho A, \\mathrm{clip}(\\rho, 1 - \\epsilon, 1 + \\epsilon) A)$?"
        ),
        answer=found,
        wrong=apart(
            found,
            Wrong(
                ratio * advantage if bound else clip * advantage,
                "the clip was forgotten" if bound else "the clip was taken in every case",
                "The smaller of both counts: a change for the better gains nothing beyond the clip."
                if bound
                else "The minimum leaves a change for the worse unclipped: it can be undone.",
            ),
            Wrong(
                max(ratio * advantage, clip * advantage),
                "the larger was taken",
                "PPO raises the *smaller* of both.",
            ),
            Wrong(
                advantage,
                "the ratio was forgotten",
                "At first all ratios are 1; this one has changed.",
            ),
            Wrong(
                (1 + eps) * advantage if advantage < 0 else (1 - eps) * advantage,
                "the other end of the clip was taken",
                f"The ratio {ratio:g} is held to {clip:g}.",
            ),
            within=0.03,
        ),
        why=(
            f"$\\rho A$ = {written(ratio * advantage)}, and with the clip {clip:g} ·"
            f" {factor(advantage)} = {written(clip * advantage)}: the smaller is {written(found)}."
            + (" Its gradient is 0." if bound else "")
        ),
        see="PPO",
    )


@question
def what_a_baseline_changes(rng: Random) -> TrueFalse:
    """What a baseline does to mean and variance of the gradient."""
    p = rng.choice([0.2, 0.4, 0.5, 0.7])
    returns = [float(each) for each in rng.sample(range(5, 20), 2)]
    baseline = rng.choice([returns[0], sum(returns) / 2, 100.0])
    logit = torch.tensor(math.log(p / (1 - p)), dtype=torch.double, requires_grad=True)
    chances = torch.stack([logit.sigmoid(), 1 - logit.sigmoid()])
    slopes = [
        float(torch.autograd.grad(each.log(), logit, retain_graph=True)[0]) for each in chances
    ]

    def moments(b: float) -> tuple[float, float]:
        each = [slope * (g - b) for slope, g in zip(slopes, returns, strict=True)]
        mean = p * each[0] + (1 - p) * each[1]
        return mean, p * (each[0] - mean) ** 2 + (1 - p) * (each[1] - mean) ** 2

    (mean, spread) = moments(0.0)
    (same, other) = moments(baseline)
    assert abs(mean - same) < 1e-9
    about = rng.choice(["mean", "variance"])
    less = other < spread
    zero = "$E[\\nabla \\log \\pi] = 0$, so what is subtracted adds nothing on average."
    near = "What is left to multiply by, $G - b$, is smaller than $G$."
    far = "What is left to multiply by, $G - b$, is larger than $G$."
    learns = "A baseline makes some returns negative, and those actions are no longer raised."
    right = zero if about == "mean" else near if less else far
    says = {
        zero: ("the mean was taken for the variance", "That is about the mean of the gradient."),
        near: (
            "the baseline was thought to be near"
            if about == "variance"
            else "the variance was meant",
            f"The baseline is {baseline:g}, and the returns are {returns[0]:g} and {returns[1]:g}."
            if about == "variance"
            else "That is about the variance.",
        ),
        far: (
            "the baseline was thought to be far"
            if about == "variance"
            else "the variance was meant",
            f"The baseline is {baseline:g}, and the returns are {returns[0]:g} and {returns[1]:g}."
            if about == "variance"
            else "That is about the variance.",
        ),
        learns: (
            "single terms were taken for their mean",
            "Lowering one action raises the others. On average nothing changes.",
        ),
    }
    statement = (
        "The mean of the gradient stays the same."
        if about == "mean"
        else "The variance of the gradient becomes smaller."
    )
    shown = [zero, near, far, learns] if about == "variance" else [zero, near, learns]
    return TrueFalse(
        prompt=(
            f"A policy takes one of two actions, with the probabilities {p:g} and {1 - p:g}; their"
            f" returns are {returns[0]:g} and {returns[1]:g}. The baseline {baseline:g} is"
            " subtracted"
            f" from the return. *{statement}*"
        ),
        holds=True if about == "mean" else less,
        answer=right,
        wrong=tuple(Wrong(each, *says[each]) for each in shown if each != right),
        why=(
            f"Without the baseline mean and variance of the gradient are {written(mean, 3)} and"
            f" {written(spread, 3)}; with it {written(same, 3)} and {written(other, 3)}."
        ),
        see="A baseline",
    )


@question
def return_of_a_step(rng: Random) -> Number:
    """The discounted return of a step."""
    rewards = [float(rng.choice([0, 1, 2, 5])) for _ in range(4)]
    rewards[-1] = float(rng.choice([4, 8, 10]))
    discount = rng.choice([0.5, 0.8, 0.9])
    start = rng.choice([0, 1])
    found = estimated(rewards, [0.0] * 5, discount, 1.0, True)[start]
    left = rewards[start:]
    told = ", ".join(written(each) for each in rewards)
    return Number(
        prompt=(
            f"An episode has the rewards {told}, at steps 0 to 3, and ends. With $\\gamma$ ="
            f" {discount:g}, what is the return $G_{start}$ by which REINFORCE multiplies"
            f" $\\nabla \\log \\pi(a_{start}|s_{start})$?"
        ),
        answer=found,
        wrong=apart(
            found,
            Wrong(
                sum(left),
                "the discount was forgotten",
                "A reward $k$ steps later counts $\\gamma^k$ times as much.",
            ),
            Wrong(
                estimated(rewards, [0.0] * 5, discount, 1.0, True)[1 - start],
                "rewards before the step were counted"
                if start
                else "the first reward was left out",
                "An action can't change what came before it."
                if start
                else "The reward of the step itself counts whole.",
            ),
            Wrong(
                discount * found,
                "the first reward was discounted",
                "The reward of the step itself counts whole: $\\gamma^0 = 1$.",
            ),
            Wrong(
                found / len(left),
                "a mean was taken",
                "The return is a sum.",
            ),
            within=0.03,
        ),
        why=(
            f"$\\sum_k \\gamma^k r_{{t+k}}$ = {written(found)}; what came before step {start} is"
            " left out."
        ),
        see="The gradient of an expected return",
    )


CHANGES = (
    (
        advantages,
        "values[1:] * ~terminated",
        "values[1:] * terminated",
        "After a termination the value is 0; elsewhere $V(s_{t+1})$ stands for what follows.",
    ),
    (
        advantages,
        "reversed(range(len(δ)))",
        "range(len(δ))",
        "$A_t = \\delta_t + \\gamma \\lambda A_{t+1}$ needs the *later* advantage, so it goes"
        " backwards.",
    ),
    (
        advantages,
        "γ * λ * (~ended)",
        "λ * (~ended)",
        "A later error counts $(\\gamma \\lambda)^k$ times.",
    ),
    (
        clipped_objective,
        "torch.minimum",
        "torch.maximum",
        "The minimum makes it a bound from below: with the maximum the clip would hold nothing"
        " back.",
    ),
    (
        clipped_objective,
        "(log_new - log_old).exp()",
        "log_new - log_old",
        "$\\rho$ is the quotient of the probabilities: the exponential of the difference.",
    ),
)


@question
def changed_line(rng: Random) -> Code:
    """Which line of a loss is wrong."""
    function, before, after, why = rng.choice(CHANGES)
    lines, number = changed(function, before, after)
    return Code(
        prompt=f"One line of `{function.__name__}` was changed, so that it is wrong. Which one?",
        lines=lines,
        answer=number,
        wrong=(Wrong(1, "the signature was taken", "The signature is as it was."),),
        why=why,
        see="Advantages" if function is advantages else "PPO",
    )


@question
def what_may_be_subtracted(rng: Random) -> Several:
    """Which baselines leave the gradient right."""
    c = rng.choice([5, 20, 100])
    n = rng.choice([8, 16, 32])
    right = [
        f"The constant {c}",
        "$V(s_t)$, which another network has learned",
        f"The mean return of {n} other episodes",
        "The return that was expected at $s_t$ before the episode began",
    ]
    wrong = {
        "$Q(s_t, a_t)$, the value of the action that was taken": (
            "the action entered the baseline",
            "What depends on $a_t$ does not drop out of the mean: $\\sum_a \\nabla \\pi(a|s) b(s,"
            " a)$ is"
            " not 0.",
        ),
        "The reward $r_t$ that followed the action": (
            "a consequence of the action was subtracted",
            "The reward depends on the action; without it the action is no longer judged by it.",
        ),
        f"{c} if the action was a push to the right, else 0": (
            "the action entered the baseline",
            "What depends on the action itself does not drop out of the mean.",
        ),
    }
    chosen = rng.sample(right, rng.choice([2, 3]))
    others = rng.sample(sorted(wrong), 5 - len(chosen) if len(chosen) > 2 else 2)
    return Several(
        prompt=(
            "Which of these may be subtracted from the return $G_t$ without changing the *mean* of"
            " the"
            " policy's gradient?"
        ),
        answer=tuple(chosen),
        missed="One more of them is known before the action is drawn.",
        wrong=tuple(Wrong(each, *wrong[each]) for each in others),
        why=(
            "$E[\\nabla \\log \\pi(a|s)] = \\sum_a \\nabla \\pi(a|s) = 0$: anything that does not"
            " depend"
            " on the action drops out."
        ),
        see="A baseline",
    )
