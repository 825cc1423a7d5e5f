"""Questions on recurrent networks: gates, memory, gradients through time."""

from __future__ import annotations

import math
from functools import cache
from random import Random

import torch
from torch import nn

from etude.layers.recurrence import GRU, LSTM, RNN, Recurrent
from etude.questions import (
    Code,
    Count,
    Number,
    Predict,
    TrueFalse,
    Wrong,
    apart,
    changed,
    measured,
    question,
    written,
)

CELLS: dict[str, type[Recurrent]] = {"plain network": RNN, "GRU": GRU, "LSTM": LSTM}


@cache
def _parameters(name: str, inputs: int, hidden: int) -> int:
    with torch.device("meta"):
        cell = CELLS[name](inputs, hidden)
    return sum(parameter.numel() for parameter in cell.parameters())


@question
def parameters_of_a_cell(rng: Random) -> Count:
    """How many parameters a recurrent layer has."""
    name = rng.choice(["GRU", "LSTM", "LSTM", "plain network"])
    inputs = rng.choice([2, 10, 16, 28])
    hidden = rng.choice([12, 20, 32, 50, 64])
    steps = rng.choice([20, 50, 100])
    found = _parameters(name, inputs, hidden)
    gates = CELLS[name].gates
    one = hidden * (inputs + hidden)
    return Count(
        prompt=(
            f"A layer of {hidden} units reads {inputs} features a step, over sequences of {steps}"
            f" steps. It is {'an' if name == 'LSTM' else 'a'} {name}, and every linear map has a"
            " bias:"
            " those of $x_t$ and those of $h_{t-1}$. How many parameters has it?"
        ),
        answer=found,
        unit="parameters",
        wrong=apart(
            found,
            Wrong(
                one + 2 * hidden,
                "the gates were forgotten",
                f"A {name} has {gates} such pairs of maps: one for each gate and for the new"
                " value.",
            ),
            Wrong(
                gates * (hidden * inputs + hidden),
                "the map of the state was forgotten",
                "Each gate also sees $h_{t-1}$.",
            ),
            Wrong(
                gates * one,
                "the biases were forgotten",
                f"Each of {2 * gates} maps has {hidden} of them.",
            ),
            Wrong(
                gates * (one + hidden),
                "one bias was counted for two maps",
                "Here the maps of $x_t$ and of $h_{t-1}$ each have their own.",
            ),
            Wrong(
                found * steps,
                "each step was given its own weights",
                "The same weights serve at every step, so the length does not matter.",
            ),
            Wrong(
                3 * (one + 2 * hidden),
                "the gates were counted without the new value",
                "An LSTM has three gates *and* the value that is written; a GRU two gates and the"
                " new"
                " value.",
            ),
        ),
        why=(
            f"{gates} · ({hidden} · {inputs} + {hidden} · {hidden} + 2 · {hidden}) ="
            f" {written(found)}, for any number of steps."
        ),
        see="Gates" if gates > 1 else "The plain network",
    )


@question
def what_a_cell_keeps(rng: Random) -> Number:
    """How much of a cell's content is left after some steps."""
    bias = rng.choice([0.0, 0.5, 1.0, 2.0, 3.0])
    steps = rng.choice([2, 3, 4, 5, 8])
    cell = LSTM(1, 1)
    for parameter in cell.parameters():
        nn.init.zeros_(parameter)
    cell.set_biases(i=-1e4, f=bias)
    state = (torch.zeros(1, 1, 1), torch.ones(1, 1, 1))  # h, c
    with torch.no_grad():
        _, (_, c) = cell(torch.zeros(1, steps, 1), state)
    found = float(c)
    gate = 1 / (1 + math.exp(-bias))
    return Number(
        prompt=(
            f"The forget gate of an LSTM has the bias $b_f$ = {bias:g}; its weights are so small"
            " that"
            f" they do not matter, and nothing is written. Which part of the cell's content is left"
            f" after {steps} steps?"
        ),
        answer=found,
        wrong=apart(
            found,
            Wrong(
                gate,
                "one step was counted",
                "Each step multiplies by $f$ again.",
            ),
            Wrong(
                1 - gate,
                "what is forgotten was given",
                "$f$ is what is *kept*, though it is called the forget gate.",
            ),
            Wrong(
                (1 - gate) ** steps,
                "the gate was turned around",
                "$c_t = f \\odot c_{t-1}$: $f$ is what is *kept*, though it is called the forget"
                " gate.",
            ),
            Wrong(
                1.0,
                "the cell was thought to keep everything",
                "It does while $f = 1$. No finite bias makes $f$ exactly 1.",
            ),
            Wrong(
                max(0.0, 1 - steps * (1 - gate)),
                "equal parts were taken away",
                "Each step takes its part of what is *left*.",
            ),
            within=0.03,
        ),
        why=(
            f"$f = 1 / (1 + e^{{-{bias:g}}})$ = {gate:.3f}, and $f^{{{steps}}}$ = {written(found)}."
        ),
        see="The bias of the forget gate",
    )


@question
def one_step_of_an_lstm(rng: Random) -> Number:
    """The output of an LSTM's cell after one step."""
    f, i, o = (rng.choice([0.1, 0.2, 0.5, 0.8, 0.9]) for _ in range(3))
    g = rng.choice([-0.8, -0.5, 0.5, 0.9])
    before = rng.choice([-2.0, -1.0, 0.5, 1.0, 2.0])

    def logit(p: float) -> float:
        return math.log(p / (1 - p))

    wx = torch.tensor([[logit(i), logit(f), math.atanh(g), logit(o)]]).double()
    state = (torch.zeros(1, 1).double(), torch.tensor([[before]]).double())
    h, c = _lstm().step(wx, state, torch.zeros(1, 4).double(), torch.zeros(4).double())
    found, cell = float(h), float(c)
    return Number(
        prompt=(
            f"At a step, an LSTM's gates are $f$ = {f:g}, $i$ = {i:g}, $o$ = {o:g}; the new value"
            " is"
            f" $g$ = {written(g)}, and the cell held $c_{{t-1}}$ = {written(before)}. What is the"
            " output $h_t$?"
        ),
        answer=found,
        tolerance=0.02,
        wrong=apart(
            found,
            Wrong(
                cell,
                "the cell was given",
                "$h_t = o \\odot \\tanh c_t$: the output gate decides how much of it is seen.",
            ),
            Wrong(
                o * cell,
                "the tanh was forgotten",
                "The output is $o \\odot \\tanh c_t$, so that it stays within ±1.",
            ),
            Wrong(
                o * math.tanh(i * g),
                "the old content was forgotten",
                "$f \\odot c_{t-1}$ is kept and added.",
            ),
            Wrong(
                o * math.tanh(before + i * g),
                "the forget gate was left open",
                f"Of the old content {f:g} is kept.",
            ),
            Wrong(
                o * math.tanh(f * before + g),
                "the input gate was left open",
                f"Of the new value {i:g} is written.",
            ),
            Wrong(
                o * math.tanh((1 - f) * before + i * g),
                "the forget gate was turned around",
                "$f$ is what is kept.",
            ),
            within=0.06,
        ),
        why=(
            f"$c_t = f c_{{t-1}} + i g$ = {written(cell)}, and $h_t = {o:g} \\tanh c_t$ ="
            f" {written(found)}."
        ),
        see="Gates",
    )


@cache
def _lstm() -> LSTM:
    with torch.random.fork_rng(devices=[]):
        return LSTM(1, 1)


@question
def a_gradient_through_time(rng: Random) -> Number:
    """How large a gradient is after a way back through time."""
    sigma = rng.choice([0.5, 0.8, 0.9, 1.1, 1.2, 1.5])
    steps = rng.choice([5, 10, 20, 30])
    turn = torch.tensor([[0.0, -1.0], [1.0, 0.0]]).double()
    U = sigma * turn  # σ times an orthogonal matrix
    found = float(torch.linalg.matrix_norm(torch.linalg.matrix_power(U, steps), 2))
    return Number(
        prompt=(
            f"In a plain recurrent network $U$ is {sigma:g} times an orthogonal matrix, and the"
            " units"
            " are linear ($h_t = W x_t + U h_{t-1}$). By which factor does a gradient change on its"
            f" way back through {steps} steps?"
        ),
        answer=found,
        tolerance=0.02,
        wrong=apart(
            found,
            Wrong(
                sigma,
                "one step was counted",
                "Each step multiplies by $U^\\top$ once more.",
            ),
            Wrong(
                steps * sigma,
                "the steps were added",
                "The chain rule multiplies Jacobians.",
            ),
            Wrong(
                1.0,
                "U was taken for an orthogonal matrix",
                f"An orthogonal matrix keeps every length; {sigma:g} times one does not.",
            ),
            Wrong(
                sigma ** (2 * steps),
                "the square was taken",
                "The *squared* length changes by $\\sigma^2$ a step.",
            ),
            Wrong(
                sigma**-steps,
                "the way was turned around",
                "Forward and back the factor is the same: $U$ and $U^\\top$ have the same singular"
                " values.",
            ),
            within=0.06,
        ),
        why=(
            f"All singular values of $U$ are {sigma:g}, so $U^{{{steps}}}$ changes every length by"
            f" {sigma:g}^{steps} = {written(found)}. "
            + (
                "The gradient vanishes."
                if sigma < 1
                else "The gradient explodes; a tanh may hold it back."
            )
        ),
        see="Back-propagation through time",
    )


@question
def a_clipped_gradient(rng: Random) -> Number:
    """A component of a gradient that is clipped by its norm."""
    a, b, norm = rng.choice([(3, 4, 5), (6, 8, 10), (5, 12, 13), (8, 15, 17)])
    if rng.random() < 0.5:
        a, b = b, a
    bound = float(rng.choice([1, 2, 5, 20]))
    w = nn.Parameter(torch.zeros(2).double())
    w.grad = torch.tensor([float(a), float(b)]).double()
    nn.utils.clip_grad_norm_([w], bound)
    found = float(w.grad[0])
    return Number(
        prompt=(
            f"The gradient of two weights is ({a}, {b}). It is clipped to the norm {bound:g}. What"
            " is"
            " its first component then?"
        ),
        answer=found,
        wrong=apart(
            found,
            Wrong(
                min(float(a), bound),
                "each component was clipped",
                "The gradient is scaled as a whole, so that it keeps its direction.",
            ),
            Wrong(
                float(a),
                "nothing was clipped",
                f"The norm is {norm}, above {bound:g}.",
            )
            if norm > bound
            else Wrong(
                a * bound / norm,
                "a short gradient was made longer",
                f"The norm is {norm}. Clipping leaves alone what is not above {bound:g}.",
            ),
            Wrong(
                a / norm,
                "the norm was made 1",
                f"The norm becomes {bound:g} at most.",
            ),
            Wrong(
                a * bound / (a + b),
                "the components were added",
                f"The norm is $\\sqrt{{{a}^2 + {b}^2}}$ = {norm}.",
            ),
            within=0.03,
        ),
        why=(
            f"The norm {norm} is above {bound:g}, so both are multiplied by {bound:g}/{norm}."
            if norm > bound
            else f"The norm {norm} is not above {bound:g}: nothing changes."
        ),
        see="Clipping",
    )


@question
def must_it_explode(rng: Random) -> TrueFalse:
    """What the largest singular value says of the gradient."""
    sigma = rng.choice([0.7, 0.9, 0.95, 1.05, 1.2, 2.0, 3.0])
    units = rng.choice([8, 20, 50])
    steps = rng.choice([25, 50, 100])
    below = sigma < 1
    explode = rng.random() < 0.5
    statement = "must explode" if explode else "must vanish"
    holds = below and not explode
    bound = "$\\|\\partial h_T / \\partial h_{T-k}\\| \\le \\sigma_{\\max}^k$, which goes to 0."
    may = (
        "The bound $\\sigma_{\\max}^k$ grows, but the derivative of tanh can hold the product down."
    )
    more = "Every Jacobian is larger than 1, so their product grows."
    own = "The sum over all steps makes up for what each step loses."
    right = bound if below else may
    says = {
        bound: (
            "the bound was thought to go to 0",
            f"It does for $\\sigma_{{\\max}} < 1$; here it is {sigma:g}.",
        ),
        may: (
            "the bound was thought to grow",
            f"It grows for $\\sigma_{{\\max}} > 1$; here it is {sigma:g}.",
        ),
        more: (
            "a bound from above was taken for one from below",
            "A Jacobian is $D_t U$, and $D_t$ has entries from 0 to 1: it can be small whatever $U$"
            " is.",
        ),
        own: (
            "one influence was taken for the whole gradient",
            "The statement is about a value that was seen long before.",
        ),
    }
    return TrueFalse(
        prompt=(
            f"A plain recurrent network with {units} tanh units has"
            f" $\\sigma_{{\\max}}(U)$ = {sigma:g}. *Over {steps} steps and more, the influence of a"
            f" value on the output {statement}.*"
        ),
        holds=holds,
        answer=right,
        wrong=tuple(Wrong(each, *said) for each, said in says.items() if each != right),
        why=(
            f"{sigma:g}^{steps} = {written(sigma**steps, 2)}"
            + (
                " is an upper bound: it vanishes."
                if below
                else " is an upper bound only: it may explode, and need not, as tanh saturates."
            )
        ),
        see="Back-propagation through time",
    )


CHANGES = (
    (
        LSTM.step,
        "torch.sigmoid(f) * c",
        "torch.tanh(f) * c",
        "A gate is a logistic function, from 0 to 1; tanh would turn the sign of what is kept.",
    ),
    (
        LSTM.step,
        "torch.sigmoid(o) * torch.tanh(c), c",
        "torch.sigmoid(o) * torch.tanh(c), torch.tanh(c)",
        "The cell itself is passed on, not its tanh: else its content and the gradient would shrink"
        " at every step.",
    ),
    (
        GRU.step,
        "torch.lerp(n, h, z)",
        "torch.lerp(h, n, z)",
        "$h_t = (1 - z) \\odot n + z \\odot h_{t-1}$: $z$ *keeps* the state.",
    ),
    (
        GRU.step,
        "torch.addcmul(of_new, r, uh_new)",
        "torch.addcmul(of_new, z, uh_new)",
        "The *reset* gate $r$ decides how much of the state enters the new value.",
    ),
)


@question
def changed_line(rng: Random) -> Code:
    """Which line of a cell is wrong."""
    function, before, after, why = rng.choice(CHANGES)
    lines, number = changed(function, before, after)
    cell = function.__qualname__.partition(".")[0]
    return Code(
        prompt=f"One line of a step of the {cell} was changed, so that it is wrong. Which one?",
        lines=lines,
        answer=number,
        wrong=(Wrong(1, "the signature was taken", "The signature is as it was."),),
        why=why,
        see="Gates",
    )


@question(cites={"rnn/test/mse": 0.1678, "lstm/test/mse": 0.00096, "gru/test/mse": 0.000142})
def who_can_add(rng: Random) -> Predict:
    """What each cell learns of the adding problem."""
    found = measured(__file__)
    plain, lstm = found["rnn/test/mse"], found["lstm/test/mse"]
    assert plain > 0.16 > 0.01 > lstm
    return Predict(
        prompt=(
            "A plain recurrent network, an LSTM and a GRU learn for 500 steps to add the two marked"
            " values of a long sequence. Always saying 1 has a mean squared error of 0.167. Which"
            " error"
            " does the plain network reach?"
        ),
        answer="About 0.167: it has learned nothing",
        wrong=(
            Wrong(
                "About 0.08: half of what the task needs",
                "the network was thought to remember the later value",
                "Both values stand in the first half of the sequence, and neither survives.",
            ),
            Wrong(
                "About 0.001, as the LSTM",
                "units with tanh were thought to remember",
                "Each step multiplies by $D_t U$; after so many, nothing is left of a value, nor"
                " of its"
                " gradient.",
            ),
            Wrong(
                "More than 1: its gradient explodes",
                "a vanishing gradient was taken for an exploding one",
                "The gradient is clipped, and here it vanishes: the output stays at the mean.",
            ),
        ),
        why=(
            f"{plain:.3f}, against {lstm:.4f} of the LSTM and {found['gru/test/mse']:.4f} of the"
            " GRU"
            " (means of three seeds)."
        ),
        see="figure gradients",
        run="etude run recurrence",
    )
