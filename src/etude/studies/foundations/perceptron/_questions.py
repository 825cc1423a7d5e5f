"""Questions on the perceptron: its rule, why it ends, and what one unit can't compute."""

from __future__ import annotations

from functools import cache
from random import Random

import torch
from torch import Tensor

from etude.questions import (
    Choice,
    Code,
    Number,
    Several,
    TrueFalse,
    Wrong,
    apart,
    changed,
    question,
    written,
)

from ._rows import BITS, signed_rows
from .perceptron import Perceptron, certificate, hard_limit


@question
def one_mistake(rng: Random) -> Choice:
    """The weights after the rule has looked at one row."""
    x = [rng.choice([-3, -2, -1, 1, 2, 3]) for _ in range(2)]
    y = rng.choice([-1, 1])
    w = [rng.randint(-4, 4) for _ in range(3)]
    row = torch.tensor([[y * x[0], y * x[1], y]]).float()
    unit = Perceptron(row, torch.tensor(w).float())
    wrong_before = unit.sweep() == 1
    added = unit.start + row[0]
    taken = unit.start - row[0]
    plain = unit.start + torch.tensor([*x, 1]).float()
    without_bias = unit.start + row[0] * torch.tensor([1.0, 1.0, 0.0])

    score = float(row[0] @ unit.start)
    why = f"$a = y\\,(x, 1)$ is {weights(row[0])}, and $a \\cdot w = {score:g}$. " + (
        "This is not positive, so the row is a mistake and $a$ is added."
        if wrong_before
        else "This is positive: the unit is right, and a right row changes nothing."
    )
    return Choice(
        prompt=(
            f"A unit has the weights $(w_1, w_2, b)$ = {weights(unit.start)}. The rule looks at"
            f" $x$ = ({written(x[0])}, {written(x[1])}), whose output should be $y = {y}$. What"
            " are the weights"
            " afterwards?"
        ),
        answer=weights(unit.w),
        wrong=apart(
            weights(unit.w),
            Wrong(
                weights(unit.start),
                "the mistake was overlooked",
                f"$a \\cdot w = {score:g}$ is not positive, and that is a mistake, also where it"
                " is exactly 0.",
            )
            if wrong_before
            else Wrong(
                weights(added),
                "a row was learned that was right already",
                f"The rule changes the weights at mistakes only; here $a \\cdot w = {score:g} >"
                " 0$.",
            ),
            Wrong(
                weights(taken),
                "the row was subtracted",
                "Subtracting $a$ makes $a \\cdot w$ smaller, and the mistake worse.",
            ),
            Wrong(
                weights(without_bias),
                "the bias was forgotten",
                "The bias is the weight of a third input that is always 1; it learns as the others"
                " do.",
            ),
            Wrong(
                weights(plain),
                "the sign of the row was forgotten",
                "What is added is $y\\,(x, 1)$: a row whose output should be $-1$ is subtracted.",
            ),
            Wrong(
                weights(2 * unit.start),
                "the weights were added to themselves",
                "A longer $w$ in the same direction draws the same line.",
            ),
        ),
        why=why,
        see="The rule",
    )


def weights(w: Tensor) -> str:
    """Weights as the questions write them: ``(1, −2, 0)``."""
    return "(" + ", ".join(written(float(each)) for each in w) + ")"


@question
def most_mistakes(rng: Random) -> Number:
    """Novikoff's bound on the number of mistakes."""
    longest = rng.choice([2, 3, 4, 5])
    inverse = rng.choice([2, 4, 5, 8, 10])  # the margin is 1 / inverse
    rows = rng.choice([100, 1_000, 10_000])
    dimensions = rng.choice([3, 10, 50])
    # Two rows that have this length and this margin to the plane x_1 = 0.
    margin = 1 / inverse
    across = (longest**2 - margin**2) ** 0.5
    a = torch.tensor([[margin, across], [margin, -across]], dtype=torch.double)
    ratio = float(a.norm(dim=1).max() / a[:, 0].min())
    return Number(
        prompt=(
            f"{rows:,} signed rows in {dimensions} dimensions are at most {longest} long, and some"
            f" unit vector $u$ separates them with the margin $\\gamma$ = 1/{inverse}. The rule"
            " starts at $w = 0$. How many mistakes does it make at most, whatever the rows are?"
        ),
        answer=ratio**2,
        wrong=apart(
            ratio**2,
            Wrong(
                ratio,
                "the bound was not squared",
                "From $\\gamma k \\le R \\sqrt k$ follows $\\sqrt k \\le R / \\gamma$, not"
                " $k \\le R / \\gamma$.",
            ),
            Wrong(
                float(inverse**2),
                "the length of the rows was forgotten",
                f"Each mistake makes $\\|w\\|^2$ larger by up to $R^2 = {longest**2}$.",
            ),
            Wrong(
                ratio * longest,
                "the margin was not squared",
                "$k \\le (R / \\gamma)^2$: both are squared.",
            ),
            Wrong(
                float(rows),
                "one mistake a row was counted",
                "The number of rows does not stand in the bound. A row can be a mistake many times"
                " or never.",
            ),
            within=0.03,
        ),
        why=(
            f"$(R / \\gamma)^2 = ({longest} \\cdot {inverse})^2 = {ratio**2:g}$, for any number of"
            " rows in any number of dimensions."
        ),
        see="Why it ends",
    )


@cache
def separable(outputs: tuple[int, ...]) -> bool:
    """Whether the rule learns a truth table: it makes no more mistakes, or comes back to weights
    that it had.
    """
    unit = Perceptron(signed_rows(torch.tensor(outputs)), torch.zeros(3))
    while unit.sweep():
        if unit.cycle():
            return False
    return True


def bits(table: int) -> tuple[int, ...]:
    """A truth table by its number, 0 to 15: its outputs at (0, 0), (0, 1), (1, 0), (1, 1)."""
    return tuple(table >> place & 1 for place in range(4))


@question
def what_one_unit_computes(rng: Random) -> Several:
    """Which truth tables one unit can compute."""
    tables = [bits(number) for number in range(1, 15)]
    impossible = [each for each in tables if not separable(each)]
    possible = [each for each in tables if separable(each)]
    others = rng.sample(impossible, rng.choice([1, 2]))
    chosen = rng.sample(possible, 5 - len(others))

    def told(table: tuple[int, ...]) -> str:
        return f"`{' '.join(map(str, table))}`"

    return Several(
        prompt=(
            "Each of these is a function of two bits, given by its outputs at (0, 0), (0, 1),"
            " (1, 0), (1, 1). Which of them can a single unit with a hard limit compute?"
        ),
        answer=tuple(map(told, chosen)),
        missed=(
            "One more of them can be computed: a line has all corners with output 1 on one side"
            " wherever these are one corner, two neighbours, or three."
        ),
        wrong=tuple(
            Wrong(
                told(table),
                "equal outputs lie across from each other",
                f"In {told(table)} the corners with output 1 are opposite ones, and so are those"
                " with 0. The two diagonals cross: their hulls meet, and no line parts them.",
            )
            for table in others
        ),
        why=(
            "A line can cut off any one corner, or any two neighbours. Of the 16 functions of two"
            " bits only exclusive or and equality put equal outputs at opposite corners."
        ),
        see="Why one unit can't learn XOR",
    )


@question
def length_of_the_weights(rng: Random) -> Number:
    """How long the weights are after mistakes on orthogonal rows."""
    length = rng.choice([2, 3, 4, 5, 6])
    k = rng.choice([2, 3, 5, 6, 7, 8, 10, 12])
    unit = Perceptron(length * torch.eye(k), torch.zeros(k))
    unit.sweep()
    found = float(unit.path()[k].double().norm())
    return Number(
        prompt=(
            f"The rule starts at $w = 0$. It has made {k} mistakes, each on another of {k} rows of"
            f" length {length} that are orthogonal to each other. How long is $w$ now?"
        ),
        answer=found,
        wrong=apart(
            found,
            Wrong(
                float(length * k),
                "the lengths were added",
                "Lengths add up for parallel rows. For orthogonal ones their squares do.",
            ),
            Wrong(
                float(length**2 * k),
                "the root was not taken",
                f"$R^2 k = {length**2 * k}$ is the square of the length.",
            ),
            Wrong(
                float(length),
                "the mistakes were not added up",
                "After one mistake $w$ is one row long; each further one adds a row.",
            ),
            within=0.03,
        ),
        why=(
            f"$\\|w_k\\|^2$ grows by $R^2 = {length**2}$ a mistake, as the middle term"
            f" $2\\,a_i \\cdot w$ is 0 here: $\\|w_k\\| = R \\sqrt k = {written(found)}$. This is"
            " the"
            " largest that it can be after so many mistakes."
        ),
        see="Why it ends",
    )


@question
def certificate_of_a_table(rng: Random) -> TrueFalse:
    """What a cycle of mistakes proves."""
    table = bits(rng.choice([6, 9, *range(1, 15)]))
    start = [rng.randint(-3, 3) for _ in range(3)]
    unit = Perceptron(signed_rows(torch.tensor(table)), torch.tensor(start).float())
    while unit.sweep() and not unit.cycle():
        pass
    m = [int(each) for each in certificate(unit)]
    ends = not any(m)
    passes = len(unit.ends)
    told = ", ".join(map(str, table))
    seen = (
        f"Its pass number {passes} has no mistake."
        if ends
        else "After some passes the weights are back at values that they had before; in between the"
        f" four rows were mistakes {', '.join(map(str, m[:3]))} and {m[3]} times."
    )
    no_line = Wrong(
        "The $m_i$ are a certificate: with them $\\sum_i m_i a_i = 0$, so no $w$ has"
        " $a_i \\cdot w > 0$ for all $i$.",
        "a certificate was seen where there is none",
        "All $m_i$ are 0 here: the pass had no mistake, so these weights are right on every row.",
    )
    line = Wrong(
        "The weights now satisfy $a_i \\cdot w > 0$ for every row, and they are such a unit.",
        "weights in a cycle were taken for a solution",
        "In a cycle each pass makes a mistake. The mistakes of a cycle add up to zero,"
        " $\\sum_i m_i a_i = 0$, and with a $w$ that is right everywhere this sum would have a"
        " positive product.",
    )
    return TrueFalse(
        prompt=(
            f"The rule learns the outputs {told} at (0, 0), (0, 1), (1, 0), (1, 1), from the"
            f" weights {weights(unit.start)} on. {seen} *Some unit with a hard limit computes this"
            " function.*"
        ),
        holds=separable(table),
        answer=(line if ends else no_line).answer,
        wrong=(
            no_line if ends else line,
            Wrong(
                "Nothing follows: with other initial weights the rule could end otherwise.",
                "the outcome was thought to depend on the start",
                "The start changes how many mistakes are made. That the rule ends shows a line, and"
                " that it cycles shows that there is none: one of both happens from every start.",
            ),
            Wrong(
                "A unit has three weights for four rows, so it can't be right on all of them.",
                "weights were counted against rows",
                "Fourteen of the sixteen functions of two bits have such a unit. What counts is"
                " whether a line parts the corners.",
            ),
        ),
        why=(
            f"The weights {weights(unit.w)} give the outputs"
            f" {', '.join(f'{float(each):g}' for each in hard_limit(unit.w, BITS))}."
            if ends
            else f"$m$ = ({', '.join(map(str, m))}) is not 0, and $\\sum_i m_i a_i$ is"
            f" {weights(torch.tensor(m).float() @ unit.a)}. By Gordan's theorem there is no line."
        ),
        see="Why one unit can't learn XOR",
    )


CHANGES = (
    (
        Perceptron.sweep,
        "@ self.w <= 0",
        "@ self.w >= 0",
        "A row is a mistake where $a_i \\cdot w \\le 0$; the changed line takes the right ones for"
        " mistakes.",
    ),
    (
        Perceptron.sweep,
        "self.w + self.a[i]",
        "self.w - self.a[i]",
        "At a mistake the signed row is added. Subtracted, it makes $a_i \\cdot w$ smaller by"
        " $\\|a_i\\|^2$.",
    ),
    (
        signed_rows,
        "2 * targets - 1",
        "targets",
        "Targets 0 and 1 have to become $y = -1$ and $1$. A row times 0 is a mistake for every"
        " $w$.",
    ),
    (
        signed_rows,
        "torch.ones(4, 1)",
        "torch.zeros(4, 1)",
        "The bias is the weight of an input that is always 1. With 0 there is no bias, and every"
        " line goes through the origin.",
    ),
    (
        hard_limit,
        "w[:-1] + w[-1]",
        "w[:-1] - w[-1]",
        "The bias is added to the weighted sum: $h(w \\cdot x + b)$.",
    ),
)


@question
def changed_line(rng: Random) -> Code:
    """Which line of the code breaks the rule."""
    function, before, after, why = rng.choice(CHANGES)
    lines, number = changed(function, before, after)
    return Code(
        prompt=(
            "One line of this code of the perceptron was changed, so that the units no longer learn"
            " what they should. Which one?"
        ),
        lines=lines,
        answer=number,
        wrong=(
            Wrong(
                1 if number != 1 else 2,
                "the line was taken that comes first",
                "This line is as it was.",
            ),
        ),
        why=why,
        see="The rule",
    )
