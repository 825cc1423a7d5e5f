"""Linear models and kernel machines by their solvers, beside scikit-learn."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from benchmarks.beside.work import Contender, Measured, Work, median_seconds

PENALTIES = 60  # along each path, as in the study ``linear``
SOFTMAX_ROWS, SOFTMAX_PENALTY, SOFTMAX_TOLERANCE = (
    10_000,
    10.0,
    1e-4,
)  # largest entry of the gradient of the mean
MOST = 2_000  # steps of L-BFGS
SVM_ROWS, SVM_C, SVM_GAMMA, SVM_TOLERANCE = (
    5_000,
    1.0,
    2.0,
    1e-3,
)  # γ as a part of one over the summed variance


def _regression() -> tuple[Any, Any]:
    """The study's table, standardised as there, in double precision: (332, 10), (332,)."""
    from etude import data
    from etude.studies.foundations.linear.linear import standardised

    table = data.diabetes()
    (x, y), _ = standardised(table.train, table.test)
    return x, y


def _fall() -> Any:
    import torch

    return torch.logspace(0, -3, PENALTIES, dtype=torch.double)


def _squares(x: Any, y: Any, w: Any) -> Any:
    """Half the mean squared error of each row of coefficients."""
    return (y[:, None] - x @ w.T).square().mean(0) / 2


def etude_ridge(seed: int) -> Measured:
    from etude.studies.foundations.linear._least_squares import ridge

    (x, y), penalties = _regression(), 100 * _fall() ** 2
    w, _ = ridge(x, y, penalties)
    reached = _squares(x, y, w) + penalties / 2 * w.square().sum(1)
    return Measured(
        1e3 * median_seconds(lambda: ridge(x, y, penalties)), {"objective": float(reached.mean())}
    )


def sklearn_ridge(seed: int) -> Measured:
    """As in its example of ridge paths: a fit for each penalty."""
    import numpy as np
    import torch
    from sklearn.linear_model import Ridge

    (x, y), penalties = _regression(), 100 * _fall() ** 2
    rows, targets, alphas = x.numpy(), y.numpy(), (len(x) * penalties).tolist()

    def path() -> Any:
        return np.stack(
            [Ridge(alpha=alpha, fit_intercept=False).fit(rows, targets).coef_ for alpha in alphas]
        )

    w = torch.from_numpy(path())
    reached = _squares(x, y, w) + penalties / 2 * w.square().sum(1)
    return Measured(1e3 * median_seconds(path), {"objective": float(reached.mean())})


def etude_lasso(seed: int) -> Measured:
    from etude.studies.foundations.linear._least_squares import lasso

    x, y = _regression()
    penalties = (x.T @ y / len(x)).abs().max() * _fall()
    w, _ = lasso(x, y, penalties)
    reached = _squares(x, y, w) + penalties * w.abs().sum(1)
    return Measured(
        1e3 * median_seconds(lambda: lasso(x, y, penalties)), {"objective": float(reached.mean())}
    )


def sklearn_lasso(seed: int) -> Measured:
    import torch
    from sklearn.linear_model import lasso_path

    x, y = _regression()
    penalties = (x.T @ y / len(x)).abs().max() * _fall()
    rows, targets, alphas = x.numpy(), y.numpy(), penalties.numpy()

    def path() -> Any:
        return lasso_path(rows, targets, alphas=alphas)[1].T

    w = torch.tensor(path())
    reached = _squares(x, y, w) + penalties * w.abs().sum(1)
    return Measured(1e3 * median_seconds(path), {"objective": float(reached.mean())})


def _mnist(rows: int) -> tuple[Any, Any, Any, Any]:
    """The first training images as rows of values from 0 to 1, float64, labels, and all of the
    test's.
    """
    import torch
    from benchmarks.beside.pictures import mnist

    x, y, x_test, y_test = (torch.tensor(part) for part in mnist())
    return x[:rows].flatten(1).double() / 255, y[:rows], x_test.flatten(1).double() / 255, y_test


def _with_ones(x: Any) -> Any:
    import torch

    return torch.cat([torch.ones_like(x[:, :1]), x], 1)


def etude_softmax(seed: int) -> Measured:
    """The study's loss, and Etude's L-BFGS, in single precision."""
    import torch

    from etude.studies.foundations.logistic.logistic import indicators, loss
    from etude.training.quasi_newton import LBFGS

    x, y, *test = _mnist(SOFTMAX_ROWS)
    images = x.float()
    began = time.perf_counter()
    rows, t = _with_ones(images), indicators(y, 10).float()
    w = torch.zeros(
        10, rows.shape[1], requires_grad=True
    )  # so stored its gradient is one fast product
    optimizer = LBFGS([w], same=True)

    def closure() -> float:
        w.grad = None
        value = loss(w.T, rows, t, SOFTMAX_PENALTY)
        value.backward()
        return value.item()

    steps, steepest = 0, float("inf")
    while steepest > SOFTMAX_TOLERANCE and steps < MOST:
        optimizer.step(closure)
        steps, steepest = steps + 1, float(w.grad.abs().max())  # type: ignore[union-attr]
    seconds = time.perf_counter() - began
    return Measured(
        seconds, _softmax_reached(w.detach().double().T, _with_ones(x), t.double(), test, steps)
    )


def sklearn_softmax(seed: int) -> Measured:
    import torch
    from sklearn.linear_model import LogisticRegression

    from etude.studies.foundations.logistic.logistic import indicators

    x, y, *test = _mnist(SOFTMAX_ROWS)
    rows, labels = x.numpy(), y.numpy()
    model = LogisticRegression(C=1 / SOFTMAX_PENALTY, tol=SOFTMAX_TOLERANCE, max_iter=MOST)
    began = time.perf_counter()
    model.fit(rows, labels)
    seconds = time.perf_counter() - began
    w = torch.cat([torch.tensor(model.intercept_)[None], torch.tensor(model.coef_).T])
    return Measured(
        seconds, _softmax_reached(w, _with_ones(x), indicators(y, 10), test, int(model.n_iter_[0]))
    )


def _softmax_reached(w: Any, rows: Any, t: Any, test: Any, steps: int) -> dict[str, float]:
    from etude.studies.foundations.logistic.logistic import loss

    right = ((_with_ones(test[0]) @ w).argmax(1) == test[1]).float().mean()
    return {
        "objective": float(loss(w, rows, t, SOFTMAX_PENALTY)),
        "test accuracy": float(right),
        "steps": steps,
    }


def _odd_or_even() -> tuple[Any, Any, Any, Any]:
    x, y, x_test, y_test = _mnist(SVM_ROWS)
    return x, 2.0 * (y % 2).double() - 1, x_test, 2.0 * (y_test % 2).double() - 1


def etude_svm(seed: int) -> Measured:
    """The study's kernel machine and its ascent in the dual."""
    from etude.studies.foundations.svm._smo import SMO
    from etude.studies.foundations.svm.svm import KernelMachine

    x, y, x_test, y_test = _odd_or_even()
    began = time.perf_counter()
    machine = KernelMachine(x, "rbf", SVM_GAMMA, 3)
    dual = SMO(machine.k(x, x), y, SVM_C)
    dual.ascend(10**6, SVM_TOLERANCE)
    b, _, below = dual.solution()
    seconds = time.perf_counter() - began
    machine.load_state_dict({**machine.state_dict(), "beta": dual.beta, "b": b})
    scores = machine(x_test).detach()
    return Measured(
        seconds,
        {"dual": below, "test accuracy": float(((scores > 0) == (y_test > 0)).double().mean())},
    )


def sklearn_svm(seed: int) -> Measured:
    import numpy as np
    from sklearn.svm import SVC

    x, y, x_test, y_test = _odd_or_even()
    gamma = SVM_GAMMA / float(x.var(0).sum())
    rows, labels = x.numpy(), y.numpy()
    model = SVC(C=SVM_C, kernel="rbf", gamma=gamma, tol=SVM_TOLERANCE)
    began = time.perf_counter()
    model.fit(rows, labels)
    seconds = time.perf_counter() - began
    beta, support = model.dual_coef_[0], model.support_vectors_
    squares = (support**2).sum(1)
    kernel = np.exp(-gamma * (squares[:, None] + squares - 2 * support @ support.T))
    dual = float(beta @ labels[model.support_] - beta @ kernel @ beta / 2)
    return Measured(
        seconds, {"dual": dual, "test accuracy": float(model.score(x_test.numpy(), y_test.numpy()))}
    )


def _pair(ours: Contender, theirs: Contender) -> dict[str, Callable[[int], Measured]]:
    return {"etude": ours, "scikit-learn": theirs}


WORKS = [
    Work(
        "ridge-path",
        f"{PENALTIES} ridge regressions, from strong to weak",
        "ms",
        "≥ 0.5 ×",
        _pair(etude_ridge, sklearn_ridge),
        note=(
            "The diabetes table, 332 × 10, in double precision, and the penalties of the study"
            " `linear`; the objective is the mean over them. Etude decomposes the table once,"
            " scikit-learn's example fits for each penalty."
        ),
    ),
    Work(
        "lasso-path",
        f"a lasso path of {PENALTIES} penalties",
        "ms",
        "≥ 0.5 ×",
        _pair(etude_lasso, sklearn_lasso),
        note="The same table; `lasso_path`, which is compiled, beside coordinate descent in NumPy.",
    ),
    Work(
        "softmax",
        f"softmax regression on {SOFTMAX_ROWS:,} images of MNIST",
        "s",
        "≥ 2 ×",
        _pair(etude_softmax, sklearn_softmax),
        note=(
            f"The same objective (an L2 penalty of {SOFTMAX_PENALTY:g}, the intercept free), and"
            f" L-BFGS until no entry of the mean loss's gradient is above {SOFTMAX_TOLERANCE:g}, by"
            " both: Etude in single precision, scikit-learn in double."
        ),
    ),
    Work(
        "svm",
        f"a kernel machine on {SVM_ROWS:,} images of MNIST, odd or even",
        "s",
        "≥ 0.5 ×",
        _pair(etude_svm, sklearn_svm),
        note=(
            f"Radial kernel, C = {SVM_C:g}, until no condition of optimality is violated by more"
            f" than {SVM_TOLERANCE:g}."
        ),
    ),
]
