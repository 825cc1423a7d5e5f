"""The logistic study: derivatives by hand are those of autograd, the loss is convex, the maximum is
scikit-learn's.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

import etude
from etude import data
from etude.errors import UserError
from etude.studies.foundations.logistic._likelihood import (
    choose_penalty,
    design,
    gradient,
    hessian,
    indicators,
    loss,
    maxima,
    newton_step,
    probabilities,
)

each_table = pytest.mark.parametrize(
    "table", [data.breast_cancer(), data.iris()], ids=["breast_cancer", "iris"]
)


def problem(table: data.Dataset, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """W at random, X, T."""
    rows = table.train
    x, t = design(rows.inputs, rows.inputs), indicators(rows.labels, len(table.classes))
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(x.shape[1], t.shape[1], generator=generator, dtype=torch.double), x, t


@each_table
def test_the_loss_is_cross_entropy_with_the_penalty(table) -> None:
    w, x, t = problem(table)
    labels = table.train.labels
    if t.shape[1] == 1:
        plain = binary_cross_entropy_with_logits((x @ w).squeeze(1), labels.double())
    else:
        plain = cross_entropy(x @ w, labels)
    assert loss(w, x, t, 0).item() == pytest.approx(plain.item(), rel=1e-12)
    constants = w.clone()
    constants[1:] = 0
    assert loss(constants, x, t, 7.0).item() == pytest.approx(loss(constants, x, t, 0).item()), (
        "constants are free"
    )
    assert loss(w, x, t, 7.0).item() == pytest.approx(
        (plain + 3.5 * w[1:].square().sum() / len(x)).item()
    )


@each_table
def test_the_gradient_by_hand_is_that_of_autograd_and_of_differences(table) -> None:
    w, x, t = problem(table)
    ours = gradient(w, x, t, 0.3)
    w.requires_grad_()
    (theirs,) = torch.autograd.grad(loss(w, x, t, 0.3), w)
    torch.testing.assert_close(ours, theirs, atol=1e-12, rtol=1e-10)
    with torch.no_grad():
        for i, j in ((0, 0), (1, 0), (4, t.shape[1] - 1)):
            nudge = torch.zeros_like(w)
            nudge[i, j] = 1e-5
            slope = (loss(w + nudge, x, t, 0.3) - loss(w - nudge, x, t, 0.3)) / 2e-5
            assert ours[i, j].item() == pytest.approx(slope.item(), abs=1e-8)


@each_table
def test_the_hessian_by_hand_is_that_of_autograd(table) -> None:
    w, x, t = problem(table)
    size = w.numel()
    theirs = torch.autograd.functional.hessian(lambda v: loss(v, x, t, 0.3), w).view(size, size)
    torch.testing.assert_close(hessian(w, x, 0.3), theirs, atol=1e-12, rtol=1e-10)


@each_table
@pytest.mark.parametrize("size", [0.0, 0.1, 1.0, 10.0, 100.0])
def test_the_loss_is_convex_wherever_one_looks(table, size: float) -> None:
    for seed in range(3):
        w, x, t = problem(table, seed)
        values = torch.linalg.eigvalsh(hessian(size * w, x, 0.0))
        assert values[0] >= -1e-12 * values[-1].clamp_min(1e-3)
        bound = (0.25 if t.shape[1] == 1 else 0.5) * torch.linalg.eigvalsh(x.T @ x / len(x))[-1]
        assert values[-1] <= bound + 1e-12, "the step of gradient descent rests on this"
        other = problem(table, seed + 10)[0]
        middle = loss((size * w + other) / 2, x, t, 0.0)
        assert middle <= (loss(size * w, x, t, 0.0) + loss(other, x, t, 0.0)) / 2 + 1e-12


def test_softmax_of_two_classes_is_the_sigmoid_of_their_difference() -> None:
    table = data.breast_cancer()
    w, x, t = problem(table)
    pair = torch.cat([-w / 2, w / 2], 1)
    torch.testing.assert_close(probabilities(x @ pair)[:, 1:], probabilities(x @ w))
    both = torch.cat([1 - t, t], 1)
    assert loss(pair, x, both, 0).item() == pytest.approx(loss(w, x, t, 0).item(), rel=1e-12)
    torch.testing.assert_close(gradient(pair, x, both, 0)[:, 1:], gradient(w, x, t, 0))


def test_large_logits_lose_nothing() -> None:
    x, t = (
        torch.tensor([[1.0, 25.0], [1.0, -800.0]]).double(),
        torch.tensor([[0.0], [1.0]]).double(),
    )
    w = torch.tensor([[0.0], [1.0]]).double()
    assert loss(w, x, t, 0).item() == pytest.approx(
        (25 + np.log1p(np.exp(-25.0)) + 800) / 2, rel=1e-15
    )


def test_a_step_of_newton_is_weighted_least_squares() -> None:
    table = data.breast_cancer()
    columns = table.train.inputs[:, :3]
    x, t = design(columns, columns), indicators(table.train.labels, 2)
    w = torch.tensor([[0.2], [-0.1], [0.3], [0.0]]).double()
    p = probabilities(x @ w)
    s = p * (1 - p)
    solved = torch.linalg.lstsq(s.sqrt() * x, s.sqrt() * (x @ w + (t - p) / s)).solution
    torch.testing.assert_close(newton_step(w, x, t, 0.0), solved, atol=1e-8, rtol=0)


def test_newton_falls_even_where_the_parabola_is_far_off() -> None:
    table = data.breast_cancer()
    _, x, t = problem(table)
    w = 3 * torch.ones(x.shape[1], 1).double()  # certain, and wrong: the curvature is nearly zero
    full = w - (
        torch.linalg.pinv(hessian(w, x, 0.01), hermitian=True) @ gradient(w, x, t, 0.01).flatten()
    ).view_as(w)
    assert loss(full, x, t, 0.01) > loss(w, x, t, 0.01), "a whole step climbs"
    for _ in range(40):
        before, w = loss(w, x, t, 0.01), newton_step(w, x, t, 0.01)
        assert loss(w, x, t, 0.01) <= before
    assert gradient(w, x, t, 0.01).abs().max() < 1e-9


@each_table
def test_the_maximum_is_that_of_scikit_learn(table) -> None:
    rows, classes = table.train, len(table.classes)
    x = design(rows.inputs, rows.inputs)
    held = design(table.test.inputs, rows.inputs)
    for w, penalty in zip(maxima(rows, classes, [10.0, 1.0, 0.1]), [10.0, 1.0, 0.1], strict=True):
        model = LogisticRegression(C=1 / penalty, tol=1e-12, max_iter=100_000, solver="newton-cg")
        theirs = model.fit(x[:, 1:].numpy(), rows.labels.numpy())
        np.testing.assert_allclose(w[1:].T.numpy(), theirs.coef_, atol=1e-5)
        ours = probabilities(held @ w).numpy()
        if classes == 2:
            ours = np.column_stack([1 - ours, ours])
        np.testing.assert_allclose(ours, theirs.predict_proba(held[:, 1:].numpy()), atol=1e-5)


def test_the_penalty_is_chosen_by_rows_that_were_held_out() -> None:
    rows = data.iris().train
    assert choose_penalty(rows, 3, (100.0, 1.0), 5) == 1.0, "100 leaves hardly any coefficients"
    noise = torch.Generator().manual_seed(0)
    blind = data.Labelled(torch.randn(40, 4, generator=noise), torch.arange(40) % 2)
    assert choose_penalty(blind, 2, (100.0, 1.0), 5) == 100.0, (
        "where nothing can be told, certainty costs"
    )


def test_the_claims_hold_and_the_network_takes_raw_measurements(tmp_path) -> None:
    run = etude.run("logistic", seed=0, root=tmp_path, quiet=True)
    assert run.metrics["breast_cancer/test/accuracy"] >= 0.95
    assert run.metrics["iris/accuracy"] >= 0.95
    assert run.metrics["hessian/smallest"] >= -1e-12
    climbs = run.folder.curves()["loss"]
    for name in ("breast_cancer", "iris"):
        assert climbs[f"{name} Newton"][1][-1] <= climbs[f"{name} gradient descent"][1][-1], (
            "the maximum is above"
        )
        descended = np.diff(climbs[f"{name} gradient descent"][1])
        assert (descended < 0).all(), "a step within the bound never overshoots"
    trained, iris = etude.load(run.folder.path), data.iris()
    scores = trained.network(iris.test.inputs)
    right = (scores.argmax(1) == iris.test.labels).double().mean()
    assert right.item() == pytest.approx(run.metrics["iris/test/accuracy"])
    said = trained.predict("5.1 3.5 1.4 0.2")
    assert max(said, key=said.__getitem__) == "setosa"
    assert sum(said.values()) == pytest.approx(1)
    assert said == trained.predict([5.1, 3.5, 1.4, 0.2])
    with pytest.raises(UserError, match="expected 4 numbers: .*, in cm"):
        trained.predict("1 2")
    drawn = {p.stem for p in run.folder.figures.glob("*.png")}
    assert drawn == {"climb", "spectrum", "tumours", "species", "petals"}
