"""The linear study: solutions are scikit-learn's and optimal by their own conditions; every descent
comes near.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn import linear_model

import etude
from etude import data
from etude.errors import UserError
from etude.studies.foundations.linear._least_squares import (
    by_cholesky,
    by_inverse,
    by_qr,
    cross_validated_path,
    lasso,
    mean_squared_errors,
    r_squared,
    ridge,
    soft_threshold,
)
from etude.studies.foundations.linear.linear import Table, standardised

PENALTIES = torch.logspace(2, -3, 12, dtype=torch.double)


@pytest.fixture(scope="module")
def diabetes() -> tuple[torch.Tensor, torch.Tensor]:
    table = data.diabetes()
    return standardised(table.train, table.test)[0]


def test_both_parts_are_standardised_by_the_training_rows() -> None:
    train = Table(torch.tensor([[1.0, 10.0], [3.0, 30.0]]), torch.tensor([1.0, 5.0]))
    (x, y), (x_test, y_test) = standardised(
        train, Table(torch.tensor([[5.0, 20.0]]), torch.tensor([4.0]))
    )
    assert x.tolist() == [[-1, -1], [1, 1]]
    assert y.tolist() == [-2, 2]
    assert x_test.tolist() == [[3, 0]]
    assert y_test.tolist() == [1]
    assert x_test.dtype == torch.double


@pytest.mark.parametrize("solve", [by_qr, by_cholesky, by_inverse])
def test_least_squares_is_that_of_scikit_learn_and_leaves_what_is_orthogonal(
    diabetes, solve
) -> None:
    x, y = diabetes
    w = solve(x, y)
    theirs = linear_model.LinearRegression().fit(x.numpy(), y.numpy())
    np.testing.assert_allclose(w.numpy(), theirs.coef_, atol=1e-6)
    assert theirs.intercept_ == pytest.approx(0, abs=1e-9), "centred labels need no constant"
    assert (x.T @ (y - x @ w)).abs().max() < 1e-8 * y.norm() * x.norm()


def test_qr_keeps_the_digits_that_the_normal_equations_lose() -> None:
    x = torch.linspace(0, 1, 100).double()[:, None] ** torch.arange(10)

    def lost(solve) -> float:
        return (solve(x, x.sum(1)) - 1).abs().max().item()

    assert lost(by_qr) < 1e-6 * lost(by_cholesky)
    assert lost(by_cholesky) < lost(by_inverse)
    assert by_cholesky(torch.zeros(5, 2), torch.ones(5)).isnan().all(), "a failure is not a number"


def test_ridge_is_that_of_scikit_learn(diabetes) -> None:
    x, y = diabetes
    w, _ = ridge(x, y, PENALTIES)
    for ours, penalty in zip(w, PENALTIES.tolist(), strict=True):
        theirs = linear_model.Ridge(alpha=penalty * len(x), fit_intercept=False).fit(
            x.numpy(), y.numpy()
        )
        np.testing.assert_allclose(ours.numpy(), theirs.coef_, atol=1e-6)


def test_ridge_spends_its_freedom_as_the_penalty_falls(diabetes) -> None:
    x, y = diabetes
    w, freedom = ridge(x, y, PENALTIES)
    assert (freedom.diff() > 0).all()
    assert 0 < freedom[0] < freedom[-1] < x.shape[1]
    hat = x @ torch.linalg.solve(x.T @ x + len(x) * PENALTIES[5] * torch.eye(10), x.T)
    assert freedom[5].item() == pytest.approx(hat.trace().item()), (
        "the trace of what makes fits of labels"
    )
    norms = w.norm(dim=1)
    assert (norms.diff() > 0).all()
    np.testing.assert_allclose(
        ridge(x, y, torch.zeros(1))[0][0].numpy(), by_qr(x, y).numpy(), atol=1e-9
    )


def test_lasso_is_that_of_scikit_learn(diabetes) -> None:
    x, y = diabetes
    penalties = torch.logspace(1.6, -2, 12, dtype=torch.double)
    w, count = lasso(x, y, penalties, tolerance=1e-10)
    for ours, penalty in zip(w, penalties.tolist(), strict=True):
        model = linear_model.Lasso(alpha=penalty, fit_intercept=False, tol=1e-12, max_iter=100_000)
        theirs = model.fit(x.numpy(), y.numpy()).coef_  # its penalty is of |y - Xw|²/2n, as ours
        np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-6)
        assert ((ours == 0).numpy() == (theirs == 0)).all()
    assert count.tolist() == (w != 0).sum(1).tolist()


def test_the_lasso_obeys_its_optimality_conditions(diabetes) -> None:
    x, y = diabetes
    n = len(x)
    top = (x.T @ y / n).abs().max()
    penalties = top * torch.logspace(0, -3, 10, dtype=torch.double)
    w, count = lasso(x, y, penalties, tolerance=1e-10)
    assert count[0] == 0, "at the strongest penalty nothing is left"
    assert count[-1] == 10
    for coefficients, penalty in zip(w, penalties, strict=True):
        slope = x.T @ (y - x @ coefficients) / n
        active = coefficients != 0
        torch.testing.assert_close(
            slope[active], penalty * coefficients[active].sign(), atol=1e-8, rtol=0
        )
        assert (slope[~active].abs() <= penalty + 1e-8).all()


@pytest.mark.parametrize("z", [-2.0, -0.3, 0.0, 0.7, 0.70001, 1.9])
def test_the_soft_threshold_is_the_proximal_map_of_the_absolute_value(z: float) -> None:
    u = np.linspace(-3, 3, 600_001)
    best = u[np.argmin((u - z) ** 2 / 2 + 0.7 * abs(u))]
    assert soft_threshold(z, 0.7) == pytest.approx(best, abs=2e-5)


def test_a_path_is_judged_by_rows_that_were_held_out() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(60, 3, generator=generator)
    rows = Table(x, x[:, 0] + 0.1 * torch.randn(60, generator=generator))
    splits = [standardised(*parts) for parts in data.folds(rows, 4, generator)]
    path = cross_validated_path(ridge, PENALTIES, standardised(rows, rows)[0], splits)
    assert path.errors.shape == (4, 12)
    (fit, held) = splits[1]
    w, _ = ridge(*fit, PENALTIES[[7]])
    assert path.errors[1, 7].item() == pytest.approx(mean_squared_errors(w, *held).item())
    assert path.chosen == path.errors.mean(0).argmin()
    assert r_squared(torch.tensor([1.0, 0, 0]).double(), x.double(), x[:, 0].double()) == 1


def test_the_claims_hold_and_the_network_takes_raw_measurements(tmp_path) -> None:
    run = etude.run("linear", seed=0, root=tmp_path, quiet=True)
    assert run.metrics["r2/gap"] <= 0.01
    assert run.metrics["test/r2"] >= 0.52
    table = data.diabetes()
    trained = etude.load(run.folder.path)
    (_, _), test = standardised(table.train, table.test)
    predicted = (
        trained.network(table.test.inputs).squeeze(1).detach().double() - table.train.labels.mean()
    )
    part = 1 - (test[1] - predicted).square().sum() / (test[1] - test[1].mean()).square().sum()
    assert part.item() == pytest.approx(run.metrics["lasso/r2"], abs=1e-5)
    assert (trained.network.linear.weight != 0).sum() == run.metrics["lasso/freedom"]
    row = table.test.inputs[0].tolist()
    text = " ".join(map(str, row))
    assert trained.predict(text) == trained.predict(row)
    with pytest.raises(UserError, match="expected 10 numbers: age"):
        trained.predict("1 2 3")
    assert {p.stem for p in run.folder.figures.glob("*.png")} == {
        "descent",
        "paths",
        "bases",
        "stability",
    }


def test_a_step_far_beyond_what_is_safe_is_told(tmp_path) -> None:
    with pytest.raises(
        UserError, match=r"diverged at step size 1000; expected a step size below 2"
    ):
        etude.run("linear", root=tmp_path, quiet=True, step_size=1000.0)


def test_more_bases_than_points_are_refused(tmp_path) -> None:
    with pytest.raises(UserError, match="30 bases for 20 points"):
        etude.run("linear", root=tmp_path, quiet=True, bases=30)
