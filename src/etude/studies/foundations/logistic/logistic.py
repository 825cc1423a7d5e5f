"""Logistic and softmax regression: the most likely linear classifier."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from etude import Claim, Control, Count, Positive, Run, Study, data, training
from etude.networks.standardised import Standardised
from etude.studies.foundations._convergence import Series, convergence

from ._figures import decision_regions, signed_bars, spectra
from ._likelihood import (
    Table,
    choose_penalty,
    design,
    gradient,
    hessian,
    indicators,
    loss,
    maxima,
    newton_step,
    probabilities,
    safe_step_size,
)

NUCLEI = (
    "radius",
    "texture",
    "perimeter",
    "area",
    "smoothness",
    "compactness",
    "concavity",
    "concave points",
    "symmetry",
    "fractal dimension",
)
FLOWERS = ("sepal length", "sepal width", "petal length", "petal width")
ALONG = {"start": 0.0, "halfway": 0.5, "maximum": 1.0, "twice as far": 2.0}  # on the line through W


@dataclass
class Logistic(Study):
    """Tell tumours apart, and species of iris, by the most likely linear model."""

    penalties: tuple[Positive, ...] = (30.0, 10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01)  # values of λ
    parts: Count = 10  # parts of the data, each held out once: to choose λ, and to judge on iris
    steps: Count = 2_000  # steps of gradient descent
    step_size: Positive = (
        1.0  # step of gradient descent, as a fraction of one that never overshoots
    )
    newton_steps: Count = 10  # steps of Newton's method

    claims = [
        Claim("breast_cancer/test/accuracy", at_least=0.95, each=True, source="Etude"),
        Claim(
            "iris/accuracy",
            at_least=0.95,
            each=True,
            source="Etude; cross-validated",
        ),
        Claim(
            "breast_cancer/Newton/gradient",
            at_most=1e-8,
            each=True,
            source="0 at the maximum; bound: Etude",
        ),
        Claim(
            "iris/Newton/gradient",
            at_most=1e-8,
            each=True,
            source="0 at the maximum; bound: Etude",
        ),
        Control(
            "iris/gradient descent/gradient",
            at_least=1e-5,
            source="Etude",
            of="iris/Newton/gradient",
            without="second derivatives",
        ),
    ]
    needs = ["linear"]

    def __call__(self, run: Run) -> None:
        tables = {"breast_cancer": data.breast_cancer(), "iris": data.iris()}
        weights = {}
        climbs = {}
        eigenvalues = {}
        for name, table in tables.items():
            classes = len(table.classes)
            x = design(table.train.inputs, table.train.inputs)
            t = indicators(table.train.labels, classes)
            penalty = choose_penalty(table.train, classes, self.penalties, self.parts)

            w, curves = self.climb(run, name, x, t, penalty)
            weights[name] = w
            climbs[name] = curves, -float(loss(w, x, t, penalty))
            eigenvalues[name] = {
                place: torch.linalg.eigvalsh(hessian(fraction * w, x, penalty))
                for place, fraction in ALONG.items()
            }

            logits = design(table.test.inputs, table.train.inputs) @ w
            correct = training.accuracy(logits, table.test.labels)
            run.result({f"{name}/test/accuracy": correct}, held_out=len(table.test))
            run.result({f"{name}/penalty": penalty})

        iris = tables["iris"]
        everything = Table(
            torch.cat([iris.train.inputs, iris.test.inputs]),
            torch.cat([iris.train.labels, iris.test.labels]),
        )
        correct = self.cross_validated(everything, len(iris.classes))
        run.result({"iris/accuracy": correct}, held_out=len(everything))
        smallest = [
            float(values[0] / values[-1])
            for spectrum in eigenvalues.values()
            for values in spectrum.values()
        ]
        run.result({"hessian/smallest": min(smallest)})

        measure = "mean log-likelihood − penalty"
        run.figure("climb", convergence(climbs, "maximum", "step", measure))
        run.figure("spectrum", spectra(eigenvalues))
        run.figure("tumours", coefficients_of_tumours(weights["breast_cancer"]))
        run.figure("species", coefficients_of_species(weights["iris"], iris.classes))
        run.figure("petals", self.petals(iris.train, iris.classes))

        net = self.network()
        net.fill(iris.train.inputs, weights["iris"][1:].T, weights["iris"][0])
        run.keep(net)

    def climb(
        self, run: Run, name: str, x: Tensor, t: Tensor, penalty: float
    ) -> tuple[Tensor, dict[str, Series]]:
        """Maximise the likelihood from W = 0, by gradient descent and by Newton's method.

        Returns:
            W (d, k) where Newton's method ends, and ``{method: (steps, -J at each step)}``.
        """
        step_size = self.step_size * safe_step_size(x, t, penalty)
        curves: dict[str, Series] = {}
        for method, steps in {"gradient descent": self.steps, "Newton": self.newton_steps}.items():
            w = torch.zeros(x.shape[1], t.shape[1]).double()
            height = torch.zeros(steps).double()
            state = nn.ParameterDict({"w": w, "height": height})  # parameters with the same memory

            for _ in run.steps(repeat(None), steps, state=state, name=f"{name} {method}"):
                height[run.step] = -loss(w, x, t, penalty)
                run.log(loss=-height[run.step])
                if method == "Newton":
                    w.copy_(newton_step(w, x, t, penalty))
                else:
                    w -= step_size * gradient(w, x, t, penalty)

            curves[method] = range(1, steps + 1), height.tolist()
            run.result({f"{name}/{method}/gradient": gradient(w, x, t, penalty).norm()})
        return w, curves

    def cross_validated(self, table: Table, classes: int) -> float:
        """Accuracy over all examples, each classified by a model that saw it neither in fitting nor
        in choosing λ.
        """
        correct = 0.0
        for fit, held_out in data.folds(table, self.parts):
            penalty = choose_penalty(fit, classes, self.penalties, self.parts)
            (w,) = maxima(fit, classes, [penalty])
            logits = design(held_out.inputs, fit.inputs) @ w
            correct += len(held_out) * training.accuracy(logits, held_out.labels)
        return correct / len(table)

    def petals(self, train: Table, species: tuple[str, ...]) -> Figure:
        """The decision regions of a model that knows the length and width of the petals alone."""
        petals = Table(train.inputs[:, 2:], train.labels)
        penalty = choose_penalty(petals, len(species), self.penalties, self.parts)
        (w,) = maxima(petals, len(species), [penalty])

        def model(points: Tensor) -> Tensor:
            return probabilities(design(points, petals.inputs) @ w)

        names = [f"{name} in cm" for name in FLOWERS[2:]]
        return decision_regions(model, petals.inputs, petals.labels, species, names)

    def network(self) -> Standardised:
        """A new network, from four measurements of an iris to three logits."""
        return Standardised(4, 3)

    def example(self) -> Tensor:
        """A batch for export and tests: two flowers in cm, (2, 4)."""
        return torch.tensor([[5.1, 3.5, 1.4, 0.2], [6.3, 3.3, 6.0, 2.5]])

    def predict(self, net: nn.Module, input: Any) -> Mapping[str, float]:
        """Probabilities of the species, from four lengths in cm: numbers, or a text like ``5.1 3.5
        1.4 0.2``.
        """
        lengths = data.read_numbers(input, 4, f"{', '.join(FLOWERS)}, in cm")
        p = net(lengths).softmax(1)[0]
        return dict(zip(data.iris().classes, p.tolist(), strict=True))


def coefficients_of_tumours(w: Tensor) -> Figure:
    """The weights (31, 1) of the mean, standard error and worst value of each measurement."""
    mean, error, worst = w[1:].view(3, len(NUCLEI))
    panels = {"mean": mean, "standard error": error, "worst": worst}
    return signed_bars(panels, NUCLEI, "coefficient: malignant ← → benign")


def coefficients_of_species(w: Tensor, species: tuple[str, ...]) -> Figure:
    """The weights (5, 3) of each species."""
    panels = dict(zip(species, w[1:].T, strict=True))
    return signed_bars(panels, FLOWERS, "coefficient: other species ← → this one")
