"""The validation study: its least squares, its polynomials and its ridge path are what they say."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from etude import data
from etude.studies.foundations.validation._figures import fitted_curves
from etude.studies.foundations.validation._ridge import (
    cross_validate,
    nested,
    squared_errors,
    with_products,
)
from etude.studies.foundations.validation._screening import screened_r2
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
    answers, residuals = Validation(noise=0.0).fit(3, 12, 4, grid)
    assert torch.allclose(answers, (2 * grid**3 - grid).expand(4, -1), atol=1e-10)
    assert residuals.abs().max() < 1e-10
    assert Validation(noise=0.0).fit(2, 12, 4, grid)[1].abs().max() > 0.01


def test_the_variance_of_least_squares_is_that_of_theory() -> None:
    """σ² p / N, averaged over the points fitted, whatever they are."""
    torch.manual_seed(0)
    study = Validation(noise=0.5)
    residuals = study.fit(8, 40, 20_000, torch.zeros(1, dtype=torch.float64))[1]
    bias = 0.0015  # of degree 8, from the study
    assert residuals.square().mean().item() == pytest.approx(0.25 * (1 - 9 / 40) + bias, rel=0.01)


def test_the_ridge_path_is_scikit_learns() -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    table = data.diabetes()
    penalties = torch.tensor([1e-4, 0.1, 3.0], dtype=torch.float64)
    mine = squared_errors(table.train, table.test, penalties)
    y, y_test = table.train.labels.double().numpy(), table.test.labels.double().numpy()
    x, new = with_products(table.train.inputs.double(), table.test.inputs.double())
    assert x.shape == (332, 64)
    for penalty, errors in zip(penalties, mine.ridge, strict=True):
        model = linear.Ridge(alpha=332 * float(penalty)).fit(x.numpy(), y)
        theirs = (model.predict(new.numpy()) - y_test) ** 2
        np.testing.assert_allclose(errors.numpy(), theirs, rtol=1e-6, atol=1e-6)
    model = linear.LinearRegression().fit(table.train.inputs.double().numpy(), y)
    theirs = (model.predict(table.test.inputs.double().numpy()) - y_test) ** 2
    np.testing.assert_allclose(mine.plain.numpy(), theirs, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("women", [9, 10, 0])
def test_a_column_that_says_nothing_is_left_out(women: int) -> None:
    """The square of a standardised column of two values is constant where both are equally
    frequent; a column with one value has no variance at all.
    """
    x = torch.randn(20, 3, dtype=torch.float64)
    x[:, 1] = 1.0 + (torch.arange(20) < women)
    rows = data.Labelled(x, torch.randn(20))
    ours, _ = with_products(x, x)
    assert ours.shape[1] == (8 if women else 5)
    assert torch.allclose(ours.std(0), torch.ones(len(ours.T), dtype=torch.float64))
    errors = squared_errors(rows, rows, torch.tensor([0.1], dtype=torch.float64))
    assert errors.ridge.isfinite().all()


def test_nested_cross_validation_differs_by_the_choice_alone() -> None:
    """With one penalty there is nothing to choose, so its errors are those of the selection."""
    table = data.diabetes()
    folds = list(data.folds(table.train, 5))
    penalties = torch.tensor([1e-4, 0.1], dtype=torch.float64)
    alone = penalties[:1]
    assert torch.equal(nested(folds, 3, alone), cross_validate(folds, alone).ridge[0])
    both = cross_validate(folds, penalties).ridge
    chosen = nested(folds, 3, penalties)
    assert ((chosen == both[0]) | (chosen == both[1])).all()


def test_screening_before_the_folds_finds_structure_in_noise() -> None:
    torch.manual_seed(0)
    x, y = torch.randn(50, 1_000), torch.randn(50)
    assert screened_r2(x, y, 10, 5, inside=False) > 0.2
    assert screened_r2(x, y, 10, 5, inside=True) < 0


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


def test_all_that_the_fits_are_drawn_beside_has_its_name() -> None:
    x = torch.linspace(-1, 1, 5)
    figure = fitted_curves(x, {1: torch.randn(3, 5), 2: torch.randn(3, 5)}, truth(x), 0.1)
    names = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    assert names == ["fit to one data set", "mean of the fits", "$f$", "$f$ ± the noise"]
