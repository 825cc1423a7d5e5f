"""Questions on Q-learning with a network: targets, overestimation, divergence, what is kept."""

from __future__ import annotations

import math
from functools import cache
from random import Random
from typing import Any

import torch
from torch import nn
from torch.nn.functional import smooth_l1_loss

from etude.networks.q import QNetwork
from etude.questions import (
    Count,
    Number,
    Order,
    Redraw,
    TrueFalse,
    Wrong,
    apart,
    question,
    written,
)

from .dqn import DeepQ, move_towards


@cache
def _study(double: bool) -> DeepQ:
    return DeepQ(double=double, reward_scale=1.0)


def target_of(
    net: list[float], kept: list[float], reward: float, discount: float, *, double: bool
) -> float:
    """The target y of one transition, where both networks give the next state these values."""
    rewards, discounts = torch.tensor([[reward], [discount]]).double()
    state = torch.zeros(1, 1)
    q: Any = lambda _: torch.tensor([net]).double()  # noqa: E731
    target: Any = lambda _: torch.tensor([kept]).double()  # noqa: E731
    return float(_study(double).targets(q, target, rewards, discounts, state))


class Weight(nn.Module):
    """A network of one weight."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor([value]).double())


@question
def target_of_a_transition(rng: Random) -> Number:
    """A target with one network or with two."""
    reward = float(rng.choice([0, 1, 2, -1]))
    discount = rng.choice([0.5, 0.8, 0.9])
    net = [float(each) for each in rng.sample(range(1, 12), 3)]
    kept = [float(each) for each in rng.sample(range(1, 12), 3)]
    double = rng.random() < 0.6
    if net.index(max(net)) == kept.index(max(kept)):
        raise Redraw
    found = target_of(net, kept, reward, discount, double=double)
    other = target_of(net, kept, reward, discount, double=not double)
    one = ", ".join(f"{each:g}" for each in net)
    two = ", ".join(f"{each:g}" for each in kept)
    kind = "Double Q-learning is used." if double else "The plain target is used."
    return Number(
        prompt=(
            f"A transition has the reward {written(reward)} and does not end the episode;"
            " $\\gamma$ ="
            f" {discount:g}. In the next state the network $Q$ gives the three actions the values"
            f" {one},"
            f" and the target network $Q^-$ {two}. {kind} What is the target $y$?"
        ),
        answer=found,
        wrong=apart(
            found,
            Wrong(
                other,
                "the plain target was taken" if double else "the double target was taken",
                "With double Q-learning $Q$ chooses the action and $Q^-$ gives its value; the plain"
                " target is $r + \\gamma \\max_a Q^-(s', a)$.",
            ),
            Wrong(
                reward + discount * max(net),
                "the network that learns gave the value",
                "The value comes from the target network, which moves slowly.",
            ),
            Wrong(
                reward + max(kept),
                "the discount was forgotten",
                "What comes a step later counts $\\gamma$ times as much.",
            ),
            Wrong(
                reward + discount * net[kept.index(max(kept))],
                "the networks were exchanged",
                "The one that learns *chooses*; the target network *values*.",
            ),
            Wrong(
                reward,
                "the episode was thought to end",
                "Only after a termination is the second term 0.",
            ),
            within=0.03,
        ),
        why=(
            f"$Q$ prefers action {net.index(max(net)) + 1}, to which $Q^-$ gives"
            f" {kept[net.index(max(net))]:g}: {written(reward)} + {discount:g} ·"
            f" {kept[net.index(max(net))]:g} = {written(found)}."
            if double
            else f"{written(reward)} + {discount:g} · {max(kept):g} = {written(found)}."
        ),
        see="Double Q-learning" if double else "Bellman's equation",
    )


@question
def discount_of_several_steps(rng: Random) -> Number:
    """A target over several steps."""
    n = rng.choice([2, 3])
    rewards = [float(rng.choice([0, 1, 2, 3])) for _ in range(n)]
    discount = rng.choice([0.5, 0.8, 0.9])
    value = float(rng.choice([4, 6, 8, 10]))
    ends = rng.random() < 0.4
    gathered = sum(discount**k * reward for k, reward in enumerate(rewards))
    found = target_of([value], [value], gathered, 0.0 if ends else discount**n, double=True)
    told = ", ".join(f"{each:g}" for each in rewards)
    last = "Then the pole has fallen." if ends else "Then the time limit ends the episode."
    return Number(
        prompt=(
            f"The next {n} rewards are {told}. {last} The highest value of the last state is"
            f" {value:g}, by either network, and $\\gamma$ = {discount:g}. What is the target over"
            f" {n}"
            " steps?"
        ),
        answer=found,
        wrong=apart(
            found,
            Wrong(
                gathered + discount**n * value if ends else gathered,
                "the termination was overlooked" if ends else "a time limit was taken for an end",
                "After a *termination* no rewards follow. After a truncation they would have.",
            ),
            Wrong(
                gathered + discount * value,
                "the value was discounted once",
                f"It comes {n} steps later: $\\gamma^{n}$.",
            ),
            Wrong(
                sum(rewards) + (0.0 if ends else value),
                "the discount was forgotten",
                "A reward $k$ steps later counts $\\gamma^k$ times as much.",
            ),
            Wrong(
                rewards[0] + discount * value,
                "one step was taken",
                f"The rewards of {n} steps are known.",
            ),
            within=0.03,
        ),
        why=(
            f"The rewards give {written(gathered)}"
            + (", and nothing follows:" if ends else f", and $\\gamma^{n}$ · {value:g} is added:")
            + f" {written(found)}."
        ),
        see="Over $n$ steps",
    )


@question
def how_far_a_target_network_moves(rng: Random) -> Number:
    """Where the target network's weight is after some steps."""
    tau = rng.choice([0.05, 0.1, 0.2, 0.5])
    steps = rng.choice([2, 3, 5, 10])
    start = float(rng.choice([0, 1]))
    goal = float(rng.choice([4, 6, 10]))
    target, net = Weight(start), Weight(goal)
    for _ in range(steps):
        move_towards(target, net, tau)
    found = float(target.value.detach())
    way = goal - start
    return Number(
        prompt=(
            f"A weight of the target network is {start:g}, that of the trained network stays at"
            f" {goal:g}, and $\\tau$ = {tau:g}. What is the target network's weight after {steps}"
            " steps?"
        ),
        answer=found,
        wrong=apart(
            found,
            Wrong(
                start + min(1.0, tau * steps) * way,
                "equal steps were added",
                "Each step goes a part of what is *left*.",
            ),
            Wrong(
                goal - (1 - (1 - tau) ** steps) * way,
                "what is left was given",
                "$(1 - \\tau)^k$ is the part of the way that is *left*.",
            ),
            Wrong(
                start + tau * way,
                "one step was made",
                f"There are {steps}.",
            ),
            Wrong(
                goal - tau**steps * way,
                "τ was taken for what is kept",
                "$\\theta^- \\leftarrow \\theta^- + \\tau (\\theta - \\theta^-)$: $\\tau$ is the"
                " part"
                " that is new.",
            ),
            Wrong(
                goal,
                "the weight was copied",
                "Some copy it every so many steps; here it follows slowly.",
            ),
            within=0.03,
        ),
        why=(
            f"The distance {way:g} is multiplied by {1 - tau:g} each time: {goal:g} − {way:g} ·"
            f" {1 - tau:g}^{steps} = {written(found)}."
        ),
        see="With a network",
    )


@question
def loss_of_an_error(rng: Random) -> Number:
    """Huber's loss of some errors, or its gradient."""
    error = rng.choice([-5.0, -3.0, -0.8, -0.4, 0.2, 0.5, 0.9, 2.0, 4.0, 10.0])
    prediction = torch.tensor([error], dtype=torch.double, requires_grad=True)
    loss = smooth_l1_loss(prediction, torch.zeros(1).double())
    (gradient,) = torch.autograd.grad(loss, prediction)
    one, steep = loss.item(), gradient.item()
    slope = rng.random() < 0.4
    count = 1 if slope else rng.choice([2, 10, 50])
    found = steep if slope else count * one
    square = error if slope else error**2 / 2
    absolute = math.copysign(1.0, error) if slope else abs(error)
    asked = (
        f"A prediction of $Q$ lies {written(error)} from its target. What is the derivative of"
        " Huber's"
        " loss with respect to the prediction?"
        if slope
        else f"{count} predictions of $Q$ lie {written(error)} from their targets. What is the sum"
        " of their Huber losses?"
    )
    return Number(
        prompt=asked,
        answer=found,
        wrong=apart(
            found,
            Wrong(
                count * square,
                "the squared error was taken everywhere",
                "$e^2 / 2$ holds for $|e| \\le 1$ only. Beyond, the gradient of one error is ±1.",
            ),
            Wrong(
                count * absolute,
                "the absolute error was taken",
                "For $|e| \\le 1$ it is $e^2 / 2$, and beyond $|e| - 1/2$, so that both meet.",
            ),
            Wrong(
                2 * count * square,
                "the half was forgotten",
                "The loss is $e^2 / 2$ near 0, with the gradient $e$.",
            ),
            Wrong(
                -found,
                "the sign was turned",
                "A loss is never negative; its gradient has the sign of prediction minus target.",
            ),
            within=0.03,
        ),
        why=(
            f"$|e|$ is {'above' if abs(error) > 1 else 'at most'} 1: one loss is {written(one)},"
            " and its"
            f" gradient {written(steep)}."
        ),
        see="Huber's loss",
    )


@cache
def _parameters(inputs: int, width: int, actions: int) -> dict[bool, int]:
    with torch.random.fork_rng(devices=[]):
        nets = {each: QNetwork(inputs, [width], actions, dueling=each) for each in (True, False)}
    return {each: sum(p.numel() for p in net.parameters()) for each, net in nets.items()}


@question
def size_of_a_dueling_network(rng: Random) -> Count:
    """How many parameters a dueling head adds."""
    inputs = rng.choice([3, 4, 8])
    width = rng.choice([16, 32, 64, 120])
    actions = rng.choice([2, 3, 4])
    found = _parameters(inputs, width, actions)[True]
    plain = _parameters(inputs, width, actions)[False]
    return Count(
        prompt=(
            f"A dueling network has {inputs} inputs, one hidden layer of {width} units, and two"
            " linear"
            f" heads, for $V$ and for the advantages of {actions} actions. How many parameters has"
            " it?"
        ),
        answer=found,
        unit="parameters",
        wrong=apart(
            found,
            Wrong(
                plain,
                "the head of V was forgotten",
                f"$V$ has a head of its own: {width} weights and a bias.",
            ),
            Wrong(
                found + (inputs + 1) * width,
                "each head was given a body",
                "Both heads stand on one body.",
            ),
            Wrong(
                found + actions,
                "the mean was given parameters",
                "Subtracting the mean of the advantages has nothing to learn.",
            ),
            Wrong(
                found - width - actions - 1,
                "the biases were forgotten",
                "Each map is affine.",
            ),
        ),
        why=(
            f"({inputs} + 1) · {width} + ({width} + 1) · {actions} + ({width} + 1) ="
            f" {written(found)}."
        ),
        see="Dueling networks",
    )


@question
def order_of_a_step(rng: Random) -> Order:
    """What is done in a step of deep Q-learning, in order."""
    batch = rng.choice([32, 64, 128, 256])
    epsilon = rng.choice([0.05, 0.1, 0.2, 0.5])
    tau = rng.choice([0.005, 0.01, 0.02])
    right = (
        f"The action of the highest $Q$ is taken, or with probability {epsilon:g} any action",
        "The transition is stored in the replay",
        f"{batch} transitions are drawn from the replay",
        "The target network gives the targets of these transitions",
        f"The target network moves by $\\tau$ = {tau:g} towards the trained one",
    )
    swapped = (*right[:2], right[3], right[2], right[4])
    return Order(
        prompt="Put one round of deep Q-learning into its order, beginning with the environment.",
        answer=right,
        wrong=(
            Wrong(
                swapped,
                "targets were computed before the batch was drawn",
                "They are the targets of the transitions that were drawn.",
            ),
        ),
        why="Act, store, draw, compute the targets, make a step; the target network follows.",
        see="With a network",
    )


@question
def does_it_run_away(rng: Random) -> TrueFalse:
    """Whether a target runs away from its prediction."""
    discount = rng.choice([0.9, 0.95, 0.99])
    kappa = rng.choice([0.5, 0.8, 0.9, 0.95, 1.02, 1.04, 1.2, 1.5, 2.0])
    grows = discount * kappa > 1
    faster = (
        "The target rises by $\\gamma \\kappa > 1$ where the value rises by 1, so the gap widens."
    )
    slower = (
        "The target rises by $\\gamma \\kappa < 1$ where the value rises by 1, so the gap closes."
    )
    contraction = "Bellman's right side is a contraction, so $Q$ converges from any guess."
    replay = "The replay makes the examples nearly independent, so nothing can run away."
    right = faster if grows else slower
    says = {
        faster: ("the product was misjudged", f"$\\gamma \\kappa$ = {discount * kappa:.3g}."),
        slower: ("the product was misjudged", f"$\\gamma \\kappa$ = {discount * kappa:.3g}."),
        contraction: (
            "a network was taken for a table",
            "That holds where $Q$ can be changed at one state alone. A network changes its"
            " neighbours,"
            " too.",
        ),
        replay: (
            "independence was taken for stability",
            "Off-policy transitions from a replay are one of the three things that together can"
            " diverge.",
        ),
    }
    return TrueFalse(
        prompt=(
            "Without a target network, a gradient step that raises $Q(s, a)$ by 1 raises the"
            " highest"
            f" value of the next state by $\\kappa$ = {kappa:g}; $\\gamma$ = {discount:g}. *Steps"
            " of this"
            " kind move $Q(s, a)$ away from its target.*"
        ),
        holds=grows,
        answer=right,
        wrong=tuple(Wrong(each, *said) for each, said in says.items() if each != right),
        why=f"$\\gamma \\kappa$ = {discount * kappa:.3g}.",
        see="What happens without it?",
    )
