"""Questions on least squares: its gradient, its step, its condition, its penalties."""

from __future__ import annotations

from random import Random

import torch

from etude.questions import (
    Match,
    Number,
    Predict,
    Redraw,
    Wrong,
    apart,
    factor,
    measured,
    question,
    written,
)

from ._least_squares import lasso, ridge, soft_threshold


@question
def one_step(rng: Random) -> Number:
    """One step of gradient descent on two examples of one measurement."""
    x = torch.tensor([rng.choice([1.0, 2.0, 3.0]), rng.choice([-2.0, -1.0, 1.0, 4.0])]).double()
    y = torch.tensor([float(rng.randint(3, 9)), float(rng.randint(-6, -1))]).double()
    start = float(rng.choice([-1, 0, 1, 2]))
    rate = rng.choice([0.1, 0.2, 0.5])
    w = torch.tensor([start], dtype=torch.double, requires_grad=True)
    loss = (y - x * w).square().sum() / (2 * len(x))  # J(w)
    (gradient,) = torch.autograd.grad(loss, w)
    step = rate * float(gradient)
    if abs(step) < 0.05:  # too small to tell misconceptions apart
        raise Redraw
    found = start - step
    return Number(
        prompt=(
            f"Two examples have the measurements $x$ = {written(float(x[0]))} and"
            f" {written(float(x[1]))} and the targets $y$ = {written(float(y[0]))} and"
            f" {written(float(y[1]))}. The prediction is $\\hat y = w x$, and the loss is"
            f" $J(w) = \\frac{{1}}{{2n}} \\sum_i (y_i - w x_i)^2$. Gradient descent on both"
            " examples"
            f" starts at $w$ = {written(start)} with $\\eta$ = {rate:g}. What is $w$ after one"
            " step?"
        ),
        answer=found,
        wrong=apart(
            found,
            Wrong(
                start + step,
                "the step went along the gradient",
                "The gradient points to where the loss grows. Descent goes against it.",
            ),
            Wrong(
                start - 2 * step,
                "the loss was the sum, or lacked the half",
                "Here $J$ has the factor $1 / 2n$: the 2 cancels that of the square, and the"
                " gradients of the two examples are averaged.",
            ),
            Wrong(
                float(-gradient),
                "the step took the place of the weight",
                "The step is subtracted from the weight that was there.",
            ),
            Wrong(
                start - float(gradient),
                "the learning rate was forgotten",
                f"The gradient is multiplied by $\\eta$ = {rate:g}.",
            ),
            within=0.03,
        ),
        why=(
            f"$\\nabla J = \\frac{{1}}{{n}} \\sum_i x_i (w x_i - y_i)$ ="
            f" {written(float(gradient))}, so"
            f" $w$ = {written(start)} − {rate:g} · {factor(float(gradient))} = {written(found)}."
        ),
        see="The loss",
    )


@question
def longest_step(rng: Random) -> Number:
    """For which steps gradient descent converges."""
    a = rng.choice([3, 4, 5, 6, 8, 10])
    b = rng.randint(1, a - 1)
    H = torch.tensor([[a, b], [b, a]], dtype=torch.double)
    low, high = (float(each) for each in torch.linalg.eigvalsh(H))
    return Number(
        prompt=(
            f"The data of a least squares problem have $H = X^T X / n$ = (({a}, {b}), ({b}, {a}))."
            " Batch gradient descent with a constant step $\\eta$ is to converge from every start."
            " Below which $\\eta$ does it?"
        ),
        answer=2 / high,
        wrong=apart(
            2 / high,
            Wrong(
                1 / high,
                "the step that does not overshoot was taken for the longest",
                "With $\\eta = 1 / h_1$ the steepest direction is solved in one step. Up to twice"
                " as"
                " long a step overshoots and still comes nearer.",
            ),
            Wrong(
                2 / low,
                "the flattest direction was thought to set the limit",
                "Along the steepest one, $1 - \\eta h_1$ is below −1 with this step, and the error"
                " grows.",
            ),
            Wrong(
                2 / a,
                "an entry of the matrix was taken for an eigenvalue",
                "The columns are correlated. What counts are the eigenvalues of $H$.",
            ),
            Wrong(
                2 / (low + high),
                "the sum of the eigenvalues was taken",
                "This step is the best for the slowest direction. Longer ones converge, too.",
            ),
            within=0.03,
        ),
        why=(
            f"The eigenvalues of $H$ are {written(high)} and {written(low)}. A step multiplies the"
            " distance along eigenvector $k$ by $1 - \\eta h_k$, which has to lie between −1 and 1:"
            f" $\\eta < 2 / h_1$ = 2/{written(high)} = {written(2 / high)}."
        ),
        see="By gradient descent",
    )


@question
def condition_of_the_normal_equations(rng: Random) -> Number:
    """What forming XᵀX does to the condition number."""
    large = rng.choice([2, 5, 8, 20, 50, 100, 300])
    small = rng.choice([0.1, 0.2, 0.5, 1])
    angle = torch.tensor(rng.uniform(0.3, 1.2), dtype=torch.double)
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()]).view(2, 2)
    X = turn * torch.tensor([large, small], dtype=torch.double)  # singular values large, small
    found = float(torch.linalg.cond(X.T @ X))
    kappa = float(torch.linalg.cond(X))
    return Number(
        prompt=(
            f"The singular values of $X$ are {large} and {small:g}. What is the condition number of"
            " the matrix $X^T X$ of the normal equations?"
        ),
        answer=found,
        wrong=apart(
            found,
            Wrong(
                kappa,
                "the condition number of X was given",
                "The singular values of $X^T X$ are the squares of those of $X$.",
            ),
            Wrong(
                kappa**0.5,
                "a root was taken",
                "Forming $X^T X$ makes the problem worse, not better: values are squared.",
            ),
            Wrong(
                float(large**2),
                "the smallest singular value was forgotten",
                "The condition number is the largest divided by the smallest.",
            ),
            Wrong(
                2 * kappa,
                "the condition number was doubled",
                "It is squared; it is the number of lost digits that doubles.",
            ),
            within=0.03,
        ),
        why=(
            f"$\\kappa$ = {large}/{small:g} = {written(kappa)}, and $X^T X$ has $\\kappa^2$ ="
            f" {written(found)}. Rounding costs twice as many digits, which is why `by_qr` never"
            " forms"
            " $X^T X$."
        ),
        see="In closed form",
    )


@question
def freedom_of_ridge(rng: Random) -> Number:
    """The degrees of freedom that a penalty leaves."""
    d = sorted((float(each) for each in rng.sample([1, 2, 3, 4, 5], 2)), reverse=True)
    penalty = float(rng.choice([1, 2, 4, 6, 9, 12]))
    x = (torch.diag(torch.tensor(d, dtype=torch.double))) * 2**0.5  # X / √n has d, for n = 2
    _, freedom = ridge(x, torch.ones(2).double(), torch.tensor([penalty]).double())
    found = float(freedom[0])
    return Number(
        prompt=(
            f"$X / \\sqrt n$ has the singular values {d[0]:g} and {d[1]:g}. How many degrees of"
            f" freedom does ridge regression have at $\\lambda$ = {penalty:g}, with"
            " $\\frac{1}{2n} \\|y - X w\\|^2 + \\frac{\\lambda}{2} \\|w\\|^2$?"
        ),
        answer=found,
        wrong=apart(
            found,
            Wrong(
                sum(each / (each + penalty) for each in d),
                "the singular values were not squared",
                "Each direction keeps the fraction $d_k^2 / (d_k^2 + \\lambda)$ of its fit.",
            ),
            Wrong(
                2.0,
                "the coefficients were counted",
                "None of the two coefficients is 0, but both are held back: together they count for"
                " less than two.",
            ),
            Wrong(
                sum(penalty / (each**2 + penalty) for each in d),
                "what is lost was added up",
                "$\\lambda / (d_k^2 + \\lambda)$ is the fraction that a direction loses.",
            ),
            Wrong(
                d[0] ** 2 / (d[0] ** 2 + penalty),
                "one direction was forgotten",
                "The fractions of all directions are added.",
            ),
            within=0.03,
        ),
        why=(
            f"$\\sum_k d_k^2 / (d_k^2 + \\lambda)$ = {d[0] ** 2:g}/{d[0] ** 2 + penalty:g} +"
            f" {d[1] ** 2:g}/{d[1] ** 2 + penalty:g} = {written(found)}. The flatter direction"
            " keeps"
            " less of its fit."
        ),
        see="With a penalty",
    )


@question
def what_the_lasso_leaves(rng: Random) -> Match:
    """Which coefficients the lasso makes zero, and how far it moves the others."""
    penalty = rng.choice([0.5, 1.0, 1.5, 2.0])
    large = penalty + rng.choice([0.7, 1.2, 2.6])
    negative = -(penalty + rng.choice([0.4, 1.7, 3.1]))
    small = rng.choice([-1, 1]) * round(penalty * rng.choice([0.2, 0.6, 0.8]), 2)
    g = [large, negative, small]
    x = torch.eye(3, dtype=torch.double) * 3**0.5  # XᵀX / n = 1
    y = x @ torch.tensor(g, dtype=torch.double)
    (w,), _ = lasso(x, y, torch.tensor([penalty], dtype=torch.double))
    pairs = tuple(
        (f"$g$ = {written(each)}", f"$w$ = {written(round(float(kept), 6))}")
        for each, kept in zip(g, w, strict=True)
    )
    untouched = [f"$w$ = {written(soft_threshold(each, penalty))}" for each in g]
    (left, negative_left, small_left), (_, negative_right, small_right) = zip(*pairs, strict=True)
    return Match(
        prompt=(
            "The columns of $X$ are orthogonal and standardised, $X^T X / n = I$. The coefficients"
            f" without a penalty are $g$; the lasso has $\\lambda$ = {penalty:g}. Which coefficient"
            " does it give to which $g$?"
        ),
        answer=pairs,
        wrong=(
            Wrong(
                (small_left, negative_right),
                "a small coefficient was moved beyond zero",
                f"{untouched[2]}: a coefficient is moved towards zero by $\\lambda$, and not"
                " beyond.",
            ),
            Wrong(
                (negative_left, small_right),
                "a negative coefficient was taken for a small one",
                f"$|g|$ counts: this one lies outside of $\\pm\\lambda$, and {untouched[1]}.",
            ),
            Wrong(
                (left, small_right),
                "a large coefficient was set to zero",
                f"It lies outside of $\\pm\\lambda$: {untouched[0]}.",
            ),
        ),
        why=(
            "$w = S(g, \\lambda) = \\operatorname{sign}(g) \\max(|g| - \\lambda, 0)$: all move"
            f" towards zero by {penalty:g}, and those within $\\pm${penalty:g} become exactly 0."
        ),
        see="With a penalty",
    )


@question(cites={"stochastic/distance": 0.0324, "batch/distance": 0.549})
def which_descent_comes_nearest(rng: Random) -> Predict:
    """Which kind of descent finds the coefficients after the same number of passes."""
    found = measured(__file__)
    stochastic = found["stochastic/distance"]
    batch = found["batch/distance"]
    nearer = "Stochastic descent, which takes one example a step"
    farther = "Batch descent, which takes all examples a step"
    assert stochastic < batch / 2
    return Predict(
        prompt=(
            "Batch descent and stochastic descent each make 100 passes over 332 examples of"
            " diabetes, each with the best step of its bound, which falls to zero. Whose"
            " coefficients end nearer to the closed form?"
        ),
        answer=nearer,
        wrong=(
            Wrong(
                farther,
                "an exact gradient was thought to be worth more than many steps",
                "Its gradient has no noise, but in 100 passes it makes 100 steps, and the flattest"
                " direction takes about $h_1 / h_p = 488$.",
            ),
            Wrong(
                "Both end equally near, for they saw the same examples",
                "passes were taken for steps",
                "The same 100 passes are 100 steps of one and 33,200 steps of the other.",
            ),
        ),
        why=(
            f"The distance from the solution, as a part of its length, is {stochastic:.2f} for"
            f" stochastic descent and {batch:.2f} for batch descent (means of three seeds). $R^2$"
            " hides"
            " this: both fit almost equally well."
        ),
        see="figure descent",
        run="etude run linear",
    )
