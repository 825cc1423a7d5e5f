"""The validation study: its least squares, its polynomials and its ridge path are what they say."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from etude import data
from etude.studies.foundations.validation._ridge import ridge_errors, with_products
from etude.studies.foundations.validation.validation import Validation, legendre, truth


def test_the_polynomials_are_legendres_and_orthogonal() -> None:
    x = torch.linspace(-1, 1, 7, dtype=torch.float64)
    for n in range(6):
        theirs = np.polynomial.legendre.Legendre.basis(n)(x.numpy())
        np.testing.assert_allclose(legendre(x, 5)[:, n].numpy(), theirs, atol=1e-12)
    nodes, weights = np.polynomial.legendre.leggauss(10)
    p = legendre(torch.from_numpy(nodes), 6).numpy()
    np.testing.assert_allclose(
        p.T @ (weights[:, None] * p), np.diag(2 / (2 * np.arange(7) + 1)), atol=1e-12
    )


def test_without_noise_a_polynomial_is_found_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "etude.studies.foundations.validation.validation.truth", lambda x: 2 * x**3 - x
    )
    grid = torch.linspace(-1, 1, 50, dtype=torch.float64)
    answers, residuals = Validation(noise=0.0, draws=4).fit(3, 12, grid)
    assert torch.allclose(answers, (2 * grid**3 - grid).expand(4, -1), atol=1e-10)
    assert residuals.abs().max() < 1e-10
    assert Validation(noise=0.0, draws=4).fit(2, 12, grid)[1].abs().max() > 0.01


def test_the_variance_of_least_squares_is_that_of_theory() -> None:
    """σ² p / N, averaged over the points fitted, whatever they are."""
    torch.manual_seed(0)
    study = Validation(noise=0.5, draws=20_000)
    residuals = study.fit(8, 40, torch.zeros(1, dtype=torch.float64))[1]
    bias = 0.0015  # of degree 8, from the study
    assert residuals.square().mean().item() == pytest.approx(0.25 * (1 - 9 / 40) + bias, rel=0.01)


def test_the_ridge_path_is_scikit_learns() -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    table = data.diabetes()
    penalties = torch.tensor([0.1, 10.0, 1000.0], dtype=torch.float64)
    mine = ridge_errors(table.train, table.test, penalties)
    x, new = with_products(table.train.inputs.double(), table.test.inputs.double())
    assert x.shape == (332, 65)
    for penalty, error in zip(penalties, mine, strict=True):
        model = linear.Ridge(alpha=float(penalty)).fit(
            x.numpy(), table.train.labels.double().numpy()
        )
        theirs = (model.predict(new.numpy()) - table.test.labels.numpy()) ** 2
        assert error.item() == pytest.approx(theirs.mean(), rel=1e-6)


def test_scaling_never_sees_the_test_rows() -> None:
    x = torch.randn(20, 3, dtype=torch.float64)
    own, _ = with_products(x, torch.randn(5, 3, dtype=torch.float64))
    again, _ = with_products(x, 100 * torch.ones(5, 3, dtype=torch.float64))
    assert torch.equal(own, again)
    assert torch.allclose(own.mean(0), torch.zeros(9, dtype=torch.float64), atol=1e-12)


def test_f_is_no_polynomial_of_the_degrees_tried() -> None:
    grid = torch.linspace(-1, 1, 400, dtype=torch.float64)
    design = legendre(grid, 8)
    rest = truth(grid) - design @ torch.linalg.lstsq(design, truth(grid)[:, None]).solution.squeeze(
        1
    )
    assert rest.square().mean() > 1e-4
