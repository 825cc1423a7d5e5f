"""The references of the exercises agree with what the field uses, for any random numbers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from scipy.special import logsumexp
from scipy.stats import binomtest
from sklearn.linear_model import Lasso, LinearRegression, Ridge
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support, roc_auc_score

from etude.exercises.assignments.evaluation import reference as evaluation
from etude.exercises.assignments.numpy_arrays import reference as arrays
from etude.exercises.assignments.python_more import reference as python
from etude.exercises.assignments.pytorch import reference as pytorch
from etude.exercises.assignments.regression import reference as regression
from etude.exercises.gate import generator
from etude.exercises.packs import pack

EXERCISES = "python_basics python_more numpy_arrays pytorch evaluation regression".split()


@pytest.mark.parametrize("name", EXERCISES)
def test_a_reference_passes_whatever_numbers_are_drawn(name: str) -> None:
    given = pack(name)
    for seed, check in itertools.product("abc", given.checks):
        check.run(given.reference(), given.reference(), generator(seed, check.id))


def test_versions_are_compared_as_packaging_does() -> None:
    releases = "0 0.0 1 1.0 1.0.1 1.2 1.10 2.0.0 10".split()
    marks = ["", "a0", "a10", "a2", "b1", "rc1", "rc10", "rc2"]
    versions = [release + mark for release in releases for mark in marks]
    for a, b in itertools.product(versions, versions):
        order = (Version(a) > Version(b)) - (Version(a) < Version(b))
        assert python.compare_versions(a, b) == order, (a, b)


def test_requirements_are_read_as_packaging_does() -> None:
    for line in map(
        "".join,
        itertools.product(
            ("torch", "Scikit_Learn", "ruamel.yaml", "Zope.-interface"),
            ("", "[cli]", " [a, b_c]"),
            ("", "==1.0", " >= 1.2, <2", "~=3.1 ,!=3.1.4"),
            ("", "; python_version < '3.12'"),
        ),
    ):
        found, expected = python.requirement(line), Requirement(line)
        assert found is not None
        assert found["name"] == canonicalize_name(expected.name)
        assert {*found["extras"]} == expected.extras
        assert {"".join(each) for each in found["versions"]} == {*map(str, expected.specifier)}
        assert bool(found["marker"]) == bool(expected.marker)


def test_logsumexp_is_scipys() -> None:
    x = np.random.default_rng(0).normal(size=(5, 6)) * 500
    x[0, :3] = x[1] = -np.inf
    for axis in (0, 1):
        np.testing.assert_allclose(arrays.logsumexp(x, axis), logsumexp(x, axis))


def test_layer_norm_and_swish_are_pytorchs() -> None:
    rng = np.random.default_rng(0)
    x, gain, bias = rng.normal(size=(4, 7)), rng.normal(size=7), rng.normal(size=7)
    layer = torch.nn.LayerNorm(7, eps=0.1, dtype=torch.float64)
    layer.load_state_dict({"weight": torch.tensor(gain), "bias": torch.tensor(bias)})
    expected = layer(torch.tensor(x)).detach().numpy()
    np.testing.assert_allclose(pytorch.layer_norm(x, gain, bias, 0.1), expected)
    at = torch.tensor(x, requires_grad=True)
    (slope,) = torch.autograd.grad(torch.nn.functional.silu(at).sum(), at)
    np.testing.assert_allclose(pytorch.swish_gradient(x, np.ones_like(x)), slope.numpy())


def test_scores_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    for _ in range(10):
        labels, guesses = rng.integers(0, 5, 30), rng.integers(0, 5, 30)
        confusion = evaluation.confusion_matrix(labels, guesses, 5)
        assert (confusion == confusion_matrix(labels, guesses, labels=range(5))).all()
        scores = evaluation.class_scores(confusion)
        expected = precision_recall_fscore_support(
            labels, guesses, labels=range(5), zero_division=0
        )
        for name, values in zip(("precision", "recall", "f1"), expected, strict=False):
            np.testing.assert_allclose(scores[name], values)
        binary, score = labels % 2, rng.integers(0, 9, 30).astype(float)
        assert evaluation.roc_auc(binary, score) == pytest.approx(roc_auc_score(binary, score))


def test_mcnemar_is_a_binomial_test() -> None:
    labels = np.zeros(20, int)
    for first, second in itertools.product(range(0, 11, 2), range(10)):
        a, b = labels.copy(), labels.copy()
        b[:first] = 1
        a[10 : 10 + second] = 1
        expected = binomtest(first, first + second).pvalue if first + second else 1.0
        assert evaluation.mcnemar(labels, a, b) == pytest.approx(expected)


def test_linear_models_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, 4)) + 2, rng.normal(size=20)
    for found, model in (
        (regression.least_squares(x, y), LinearRegression()),
        (regression.ridge(x, y, 0.7), Ridge(0.7)),
        (
            (regression.lasso(x, y, 0.1, 5_000), 0.0),
            Lasso(0.1, fit_intercept=False, tol=1e-12, max_iter=10_000),
        ),
    ):
        model.fit(x, y)
        np.testing.assert_allclose(found[0], model.coef_, atol=1e-7)
        assert found[1] == pytest.approx(model.intercept_)
