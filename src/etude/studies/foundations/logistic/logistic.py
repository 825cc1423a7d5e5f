"""Logistic and softmax regression: the most likely linear classifier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot, pad

from etude import data
from etude.claims import Claim
from etude.figures.regression import approach, decision_regions, signed_bars, spectra
from etude.networks.standardised import Standardised
from etude.runs.run import Run
from etude.study import Count, Positive, Study
from etude.training.evaluation import accuracy

Rows = data.Labelled[Tensor]
NUCLEI = (
    "radius,texture,perimeter,area,smoothness,compactness,concavity,concave points,symmetry,fractal"
    " dimension"
)
FLOWERS = ("sepal length", "sepal width", "petal length", "petal width")
PLACES = {"start": 0.0, "halfway": 0.5, "maximum": 1.0, "twice as far": 2.0}  # on one line


@dataclass
class Logistic(Study):
    """Tell tumours apart, and species of iris, by the most likely linear model."""

    penalties: tuple[Positive, ...] = (
        30.0,
        10.0,
        3.0,
        1.0,
        0.3,
        0.1,
        0.03,
        0.01,
    )  # λ, of which one is chosen
    parts: Count = 10  # of the rows, each held out once: to choose λ, and to judge on iris
    steps: Count = 2_000  # of gradient descent
    rate: Positive = 1.0  # its step, as a part of one that never overshoots
    newton_steps: Count = 10  # of Newton's method

    claims = [
        Claim(
            "breast_cancer/test/accuracy", at_least=0.95, each=True, source="goal of the curriculum"
        ),
        Claim(
            "iris/accuracy",
            at_least=0.95,
            each=True,
            source="goal of the curriculum; cross-validated",
        ),
        Claim("hessian/smallest", at_least=-1e-12, each=True, source="convexity, but for rounding"),
    ]
    courses = ["OU", "ITU", "CU"]

    def __call__(self, run: Run) -> None:
        tables = {"breast_cancer": data.breast_cancer(), "iris": data.iris()}
        found, climbs, eigenvalues = {}, {}, {}
        for name, table in tables.items():
            x, t = (
                design(table.train.inputs, table.train.inputs),
                indicators(table.train.labels, len(table.classes)),
            )
            penalty = self.chosen(table.train, len(table.classes))
            bend = 0.25 if t.shape[1] == 1 else 0.5  # no eigenvalue of diag(p) - ppᵀ is larger
            safe = 1 / (bend * torch.linalg.eigvalsh(x.T @ x / len(x))[-1] + penalty / len(x))
            lines = {}
            for way, steps in {"gradient descent": self.steps, "Newton": self.newton_steps}.items():
                w, height = (
                    torch.zeros(x.shape[1], t.shape[1]).double(),
                    torch.zeros(steps).double(),
                )
                state = nn.ParameterDict({"w": w, "height": height})  # which share their memory
                for _ in run.steps(repeat(None), steps, state=state, name=f"{name} {way}"):
                    height[run.step] = -loss(w, x, t, penalty)
                    run.log(loss=-height[run.step])
                    if way == "Newton":
                        w.copy_(newton(w, x, t, penalty))
                    else:
                        w -= self.rate * safe * gradient(w, x, t, penalty)
                lines[way] = range(1, steps + 1), height.tolist()
            found[name], climbs[name] = w, (lines, -float(loss(w, x, t, penalty)))
            eigenvalues[name] = {
                at: torch.linalg.eigvalsh(hessian(s * w, x, penalty)) for at, s in PLACES.items()
            }
            scores = design(table.test.inputs, table.train.inputs) @ w
            run.result(
                {f"{name}/test/accuracy": accuracy(scores, table.test.labels)},
                held_out=len(table.test),
            )
            run.result({f"{name}/penalty": penalty})

        iris, species = tables["iris"], tables["iris"].classes
        whole = Rows(
            *(torch.cat(pair) for pair in zip(iris.train.pair, iris.test.pair, strict=True))
        )
        run.result(
            {"iris/accuracy": self.cross_validated(whole, len(species))}, held_out=len(whole)
        )
        run.result(
            {
                "hessian/smallest": min(
                    float(e[0] / e[-1]) for at in eigenvalues.values() for e in at.values()
                )
            }
        )
        run.figure(
            "climb",
            approach(climbs, "maximum", "step", "log-likelihood of a row, less the penalty"),
        )
        run.figure("spectrum", spectra(eigenvalues))
        kinds = dict(
            zip(
                ("mean", "standard error", "worst"),
                found["breast_cancer"][1:].view(3, 10),
                strict=True,
            )
        )
        run.figure(
            "tumours", signed_bars(kinds, NUCLEI.split(","), "coefficient: malignant ← → benign")
        )
        weights = dict(zip(species, found["iris"][1:].T, strict=True))
        run.figure(
            "species", signed_bars(weights, FLOWERS, "coefficient: other species ← → this one")
        )
        two = Rows(
            iris.train.inputs[:, 2:], iris.train.labels
        )  # length and width of the petals alone
        (w,) = maxima(two, len(species), [self.chosen(two, len(species))])
        names = [f"{name} in cm" for name in FLOWERS[2:]]
        told = decision_regions(
            lambda v: probabilities(design(v, two.inputs) @ w), *two.pair, species, names
        )
        run.figure("petals", told)

        net = self.network()
        net.fill(iris.train.inputs, found["iris"][1:].T, found["iris"][0])
        run.keep(net)

    def chosen(self, rows: Rows, classes: int) -> float:
        """The λ under which held-out rows are most likely."""
        missed = torch.zeros(len(self.penalties)).double()
        for fit, held in data.folds(rows, self.parts):
            x, t = design(held.inputs, fit.inputs), indicators(held.labels, classes)
            missed += len(held) * torch.stack(
                [loss(w, x, t, 0) for w in maxima(fit, classes, self.penalties)]
            )
        return self.penalties[int(missed.argmin())]

    def cross_validated(self, rows: Rows, classes: int) -> float:
        """Accuracy over all rows, each told by a model that saw it neither in fitting nor in
        choosing λ.
        """
        right = 0.0
        for fit, held in data.folds(rows, self.parts):
            (w,) = maxima(fit, classes, [self.chosen(fit, classes)])
            right += len(held) * accuracy(design(held.inputs, fit.inputs) @ w, held.labels)
        return right / len(rows)

    def network(self) -> Standardised:
        """Four measurements of an iris to three logits."""
        return Standardised(4, 3)

    def example(self) -> Tensor:
        """Two flowers, in cm."""
        return torch.tensor([[5.1, 3.5, 1.4, 0.2], [6.3, 3.3, 6.0, 2.5]])

    def predict(self, net: nn.Module, input: Any) -> Mapping[str, float]:
        """Probabilities of the species by four lengths in cm: numbers, or a text like ``5.1 3.5 1.4
        0.2``.
        """
        p = net(data.read_numbers(input, 4, f"{', '.join(FLOWERS)}, in cm")).softmax(1)[0]
        return dict(zip(data.iris().classes, p.tolist(), strict=True))


def design(inputs: Tensor, like: Tensor) -> Tensor:
    """X (n, d) in float64: a column of ones, and the inputs by mean and deviation of others."""
    x = (inputs - like.double().mean(0)) / like.double().std(0, correction=0)
    return torch.cat([torch.ones_like(x[:, :1]), x], 1)


def indicators(labels: Tensor, classes: int) -> Tensor:
    """T (n, k) in float64: a column of 0 and 1 for each class; of two classes that of the second is
    enough.
    """
    t = one_hot(labels, classes).double()
    return t[:, 1:] if classes == 2 else t


def probabilities(z: Tensor) -> Tensor:
    """P (n, k) from logits (n, k): the sigmoid of a single column, the softmax of several."""
    return z.sigmoid() if z.shape[1] == 1 else z.softmax(1)


def loss(w: Tensor, x: Tensor, t: Tensor, penalty: float) -> Tensor:
    """J(W), W (d, k)."""
    z = x @ w
    a = (pad(z, (1, 0)) if z.shape[1] == 1 else z).logsumexp(1)  # log(1 + eᶻ) is that of 0 and z
    return (a - (t * z).sum(1)).mean() + penalty / 2 * w[1:].square().sum() / len(x)


def gradient(w: Tensor, x: Tensor, t: Tensor, penalty: float) -> Tensor:
    """∂J/∂W (d, k), by hand."""
    g = x.T @ (probabilities(x @ w) - t)
    g[1:] += penalty * w[1:]
    return g / len(x)


def hessian(w: Tensor, x: Tensor, penalty: float) -> Tensor:
    """∂²J/∂W² (dk, dk), by hand; W is read row by row."""
    p = probabilities(x @ w)
    s = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]  # (n, k, k)
    h: Tensor = torch.einsum("na,nkl,nb->akbl", x, s, x).flatten(2).flatten(0, 1)
    h.diagonal()[w.shape[1] :] += penalty
    return h / len(x)


def newton(w: Tensor, x: Tensor, t: Tensor, penalty: float) -> Tensor:
    """W after one step, halved until it gains at least a quarter of what the slope promises."""
    g, step = gradient(w, x, t, penalty), 1.0
    d: Tensor = (torch.linalg.pinv(hessian(w, x, penalty), hermitian=True) @ g.flatten()).view_as(w)
    while loss(w - step * d, x, t, penalty) > loss(w, x, t, penalty) - step / 4 * (g * d).sum():
        step /= 2
    return w - step * d


def maxima(rows: Rows, classes: int, penalties: Sequence[float]) -> list[Tensor]:
    """The most likely W for each penalty, by Newton's method; each climb starts where the last
    ended.
    """
    x, t = design(rows.inputs, rows.inputs), indicators(rows.labels, classes)
    w, found = torch.zeros(x.shape[1], t.shape[1]).double(), []
    for penalty in penalties:
        for _ in range(50):
            before, w = w, newton(w, x, t, penalty)
            if (w - before).abs().max() < 1e-6:  # what is left is of the order of its square
                break
        found.append(w)
    return found
