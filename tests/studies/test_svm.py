"""Support vector machines: SMO ends where scikit-learn does, and at the optimum that duality
certifies.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.svm import SVC, LinearSVC
from torch import Tensor, nn

import etude
from etude import data
from etude.studies.foundations.svm._smo import SMO
from etude.studies.foundations.svm.svm import SVM, KernelMachine


def tumours() -> tuple[Tensor, Tensor, Tensor]:
    """Standardised training rows, labels of -1 and 1, standardised test rows; float64."""
    cancer = data.breast_cancer()
    x, x_test = cancer.train.inputs.double(), cancer.test.inputs.double()
    mean, sd = x.mean(0), x.std(0)
    return (x - mean) / sd, 2 * cancer.train.labels.double() - 1, (x_test - mean) / sd


def moons(points: int = 200, noise: float = 0.2) -> tuple[Tensor, Tensor]:
    x, label = data.two_moons(points, noise, torch.Generator().manual_seed(0))
    return x.double(), 2 * label.double() - 1


def solved(
    x: Tensor, y: Tensor, kernel: str, C: float, tolerance: float = 1e-6
) -> tuple[KernelMachine, SMO]:
    machine = KernelMachine(x, kernel, 2.0, 3)
    dual = SMO(machine.k(x, x), y, C)
    assert dual.ascend(200_000, tolerance) <= tolerance
    with torch.no_grad():
        machine.beta.copy_(dual.beta)
        machine.b.copy_(dual.solution()[0])
    return machine, dual


@pytest.mark.parametrize("kernel", ["rbf", "polynomial", "linear"])
@pytest.mark.parametrize("C", [0.1, 1.0, 10.0])
def test_scores_are_those_of_scikit_learn(kernel: str, C: float) -> None:
    x, y, x_test = tumours()
    machine, dual = solved(x, y, kernel, C)
    gamma = machine.gamma / x.var(0).sum().item()
    name = {"polynomial": "poly"}.get(kernel, kernel)
    theirs = SVC(kernel=name, C=C, gamma=gamma, coef0=1, degree=3, tol=1e-6).fit(
        x.numpy(), y.numpy()
    )
    with torch.inference_mode():
        ours = machine(x_test).numpy()
    np.testing.assert_allclose(ours, theirs.decision_function(x_test.numpy()), atol=1e-3, rtol=1e-3)
    alpha = np.zeros(len(x))
    alpha[theirs.support_] = theirs.dual_coef_[0]
    if kernel == "rbf":  # its matrix is positive definite: the multipliers themselves are unique
        np.testing.assert_allclose(dual.beta.numpy(), alpha, atol=1e-3 * C)


def test_scores_on_the_moons_are_those_of_scikit_learn() -> None:
    x, y = moons()
    machine, _ = solved(x, y, "rbf", 5.0)
    theirs = SVC(C=5.0, gamma=machine.gamma / x.var(0).sum().item(), tol=1e-6).fit(
        x.numpy(), y.numpy()
    )
    fresh = 3 * torch.randn(500, 2, generator=torch.Generator().manual_seed(1), dtype=torch.double)
    with torch.inference_mode():
        np.testing.assert_allclose(
            machine(fresh).numpy(), theirs.decision_function(fresh.numpy()), atol=1e-3
        )


@pytest.mark.parametrize("kernel", ["rbf", "polynomial", "linear"])
def test_the_ends_of_the_ascent_satisfy_karush_kuhn_and_tucker(kernel: str) -> None:
    x, y = moons()
    C, small = 2.0, 1e-4
    machine, dual = solved(x, y, kernel, C)
    alpha = dual.beta * y
    assert (alpha >= 0).all()
    assert (alpha <= C).all()
    assert abs((alpha * y).sum().item()) < 1e-10
    with torch.inference_mode():
        yf = y * machine(x)
    torch.testing.assert_close(dual.e, y - dual.K @ dual.beta)  # still, after all the updates
    edge = 1e-9
    assert (yf[alpha < edge] >= 1 - small).all()
    assert (yf[alpha > C - edge] <= 1 + small).all()
    free = (alpha > edge) & (alpha < C - edge)
    assert free.any()
    assert ((yf[free] - 1).abs() <= small).all()


def test_the_dual_climbs_below_the_primal_until_they_meet() -> None:
    x, y = moons()
    dual = SMO(KernelMachine(x, "rbf", 2.0, 3).k(x, x), y, 1.0)
    values = [dual.solution()[1:]]
    for _ in range(2_000):
        if dual.ascend(1, 1e-8) <= 1e-8:
            break
        values.append(dual.solution()[1:])
        assert abs(dual.beta.sum().item()) < 1e-10
    primal, below = torch.tensor(values, dtype=torch.double).T
    assert len(values) > 50
    assert (below[1:] > below[:-1] - 1e-10).all(), "a step that went down"
    assert (primal >= below - 1e-10).all()
    assert primal[0] - below[0] == pytest.approx(len(x))  # all slack is 1 at first
    assert primal[-1] - below[-1] < 1e-6 * primal[-1]


def test_without_a_kernel_the_moons_stay_entangled() -> None:
    x, y = moons(400)
    (claim,) = (c for c in SVM.claims if c.metric == "moons/accuracy")
    reached = {}
    for kernel in ("rbf", "linear"):
        machine, _ = solved(x, y, kernel, 1.0, tolerance=1e-2)
        with torch.inference_mode():
            reached[kernel] = float((machine(x).sign() == y).double().mean())
    assert claim.allows(reached["rbf"])
    assert not claim.allows(reached["linear"])


def test_two_points_have_the_solution_that_one_finds_by_hand() -> None:
    x, y = (
        torch.tensor([[3.0], [-1.0]], dtype=torch.double),
        torch.tensor([1.0, -1.0], dtype=torch.double),
    )
    for C, alpha in (
        (10.0, 1 / 8),
        (0.1, 0.1),
    ):  # a street of width 4, w = 1/2; then the box is in the way
        machine, dual = solved(x, y, "linear", C)
        torch.testing.assert_close(dual.beta, alpha * y)
        assert (machine.beta @ machine.rows).item() == pytest.approx(4 * alpha)
        assert machine.b.item() == pytest.approx(-4 * alpha)


def test_only_support_vectors_matter() -> None:
    x, y = moons()
    C = 2.0
    K = torch.exp(-torch.cdist(x, x).square())
    whole = SMO(K, y, C)
    whole.ascend(100_000, 1e-8)
    kept = whole.beta.abs() > 1e-9
    assert 0 < kept.sum() < 0.6 * len(x)
    fewer = SMO(K[kept][:, kept], y[kept], C)
    fewer.ascend(100_000, 1e-8)
    torch.testing.assert_close(K[:, kept] @ fewer.beta, K @ whole.beta, atol=1e-5, rtol=0)
    assert fewer.solution()[0].item() == pytest.approx(whole.solution()[0].item(), abs=1e-5)


@pytest.mark.parametrize("loss", ["hinge", "squared"])
@pytest.mark.parametrize("multiclass", ["weston-watkins", "crammer-singer"])
def test_the_primal_is_the_formula(loss: str, multiclass: str) -> None:
    torch.manual_seed(0)
    study = SVM(C=3.0, loss=loss, multiclass=multiclass)
    x, label = torch.randn(20, 5), torch.randint(0, 4, (20,))
    net = nn.Linear(5, 4)
    total = net.weight.square().sum().item() / 2
    for scores, right in zip(net(x).tolist(), label.tolist(), strict=True):
        hinges = [max(0.0, 1 + s - scores[right]) for k, s in enumerate(scores) if k != right]
        hinges = [h**2 for h in hinges] if loss == "squared" else hinges
        total += 3.0 * (sum(hinges) if multiclass == "weston-watkins" else max(hinges))
    assert 3.0 * 20 * study.objective(net, x, label, 20).item() == pytest.approx(total, rel=1e-5)

    binary, label = nn.Linear(5, 1), label % 2
    y = 2 * label - 1
    slack = (1 - y * binary(x)[:, 0]).clamp_min(0) ** (2 if loss == "squared" else 1)
    expected = binary.weight.square().sum() / 2 + 3.0 * slack.sum()
    torch.testing.assert_close(3.0 * 20 * study.objective(binary, x, label, 20), expected)


def descended(study: SVM, net: nn.Linear, x: Tensor, label: Tensor) -> float:
    """The primal after full-batch steps of L-BFGS from where the network stands."""
    optimizer = torch.optim.LBFGS(
        net.parameters(), max_iter=2_000, tolerance_grad=1e-9, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = study.objective(net, x, label, len(x))
        loss.backward()
        return loss

    optimizer.step(closure)
    return study.C * len(x) * study.objective(net, x, label, len(x)).item()


def test_the_squared_hinge_has_the_optimum_of_liblinear() -> None:
    """LinearSVC penalises its intercept: its input is scaled up, and both ends are compared by our
    objective.
    """
    x, y, x_test = tumours()
    label, study = (y > 0).long(), SVM(loss="squared", C=0.1)
    net = nn.Linear(30, 1).double()
    ours = descended(study, net, x, label)
    theirs = LinearSVC(
        loss="squared_hinge",
        C=0.1,
        intercept_scaling=100,
        tol=1e-10,
        max_iter=1_000_000,
        dual=False,
    )
    theirs.fit(x.numpy(), y.numpy())
    net_of_theirs = nn.Linear(30, 1).double()
    with torch.no_grad():
        net_of_theirs.weight.copy_(torch.from_numpy(theirs.coef_))
        net_of_theirs.bias.copy_(torch.from_numpy(theirs.intercept_))
        reached = study.C * len(x) * study.objective(net_of_theirs, x, label, len(x)).item()
        scores = net(x_test)[:, 0].numpy()
    assert ours <= reached * (1 + 1e-6), "ours is the minimum without a penalty on the intercept"
    assert reached == pytest.approx(ours, rel=1e-4)
    np.testing.assert_allclose(scores, theirs.decision_function(x_test.numpy()), atol=1e-2)


def test_crammer_and_singer_have_the_optimum_of_liblinear() -> None:
    """Without an intercept both minimise the same function, and no step from liblinear's weights
    goes lower.
    """
    digits = data.uci_digits().train[:300]
    x, label = digits.inputs.flatten(1).double() / 16, digits.labels
    study = SVM(multiclass="crammer-singer", C=0.5)
    theirs = LinearSVC(
        multi_class="crammer_singer", C=0.5, fit_intercept=False, tol=1e-8, max_iter=1_000_000
    )
    theirs.fit(x.numpy(), label.numpy())
    net = nn.Linear(64, 10, bias=False).double()
    with torch.no_grad():
        net.weight.copy_(torch.from_numpy(theirs.coef_))
        best = study.objective(net, x, label, len(x)).item()
        generator = torch.Generator().manual_seed(0)
        for size in (1e-4, 1e-2):
            for _ in range(50):
                other = nn.Linear(64, 10, bias=False).double()
                other.weight.copy_(
                    net.weight + size * torch.randn(10, 64, generator=generator, dtype=torch.double)
                )
                assert study.objective(other, x, label, len(x)).item() > best
    optimizer = torch.optim.SGD(net.parameters(), 1e-3)
    for _ in range(20):
        optimizer.zero_grad()
        loss = study.objective(net, x, label, len(x))
        assert loss.item() > best - 1e-6
        loss.backward()
        optimizer.step()


def test_where_the_ascent_stands_is_all_in_its_state() -> None:
    x, y = moons()
    K = torch.exp(-torch.cdist(x, x).square())
    whole, part, other = (SMO(K, y, 1.0) for _ in range(3))
    whole.ascend(60, 0.0)
    part.ascend(25, 0.0)
    other.load_state_dict({name: value.clone() for name, value in part.state_dict().items()})
    other.ascend(35, 0.0)
    assert torch.equal(other.beta, whole.beta)
    assert torch.equal(other.e, whole.e)


@pytest.mark.claims
def test_the_claims_hold_and_the_machine_is_kept(tmp_path) -> None:
    run = etude.run("svm", root=tmp_path, quiet=True)
    assert all(verdict.holds for verdict in run.verdicts)
    assert run.metrics["linear/breast_cancer/accuracy"] > 0.95
    x, y, _ = tumours()
    optimum = solved(x, y, "linear", 1.0)[1].solution()[2]
    assert optimum < run.metrics["linear/breast_cancer/primal"] < 1.05 * optimum, (
        "descent ends just above"
    )
    assert {p.name for p in run.folder.figures.glob("*.png")} == {"templates.png", "margins.png"}
    rows = [row for row in run.folder.metrics() if row.get("stage") == "moons"]
    assert rows[-1]["violation"] <= 1e-3
    trained = etude.load(run.folder.path)
    assert trained.predict("0 1")["score"] < -1
    assert trained.predict([1.0, -0.5])["score"] > 1
    far = trained.predict([100.0, 100.0])["score"]
    assert math.isclose(far, trained.network.b.item(), abs_tol=1e-6), "no point is near"
