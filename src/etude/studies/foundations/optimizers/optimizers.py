"""Eleven optimisers: down three surfaces, and in a race on digits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from etude import Amount, Claim, Control, Count, Positive, Run, Study, data, training
from etude.demos import Demo
from etude.networks.mlp import MLP
from etude.training.optimizers import WRITTEN

from ._demo import walking_demo
from ._figures import animate, paths_and_losses, steps_per_digit
from ._quadratics import best_on_a_quadratic, quadratic_errors
from ._rates import RATES
from ._surfaces import SURFACES, Walk

FAMILIES = {
    "plain": ("sgd", "momentum", "nesterov"),
    "adaptive": ("adagrad", "adadelta", "rmsprop", "adam", "adamax", "adamw"),
    "quasi-Newton": ("bfgs", "lbfgs"),
}
NAMES = [name for names in FAMILIES.values() for name in names]
RADII = (0.5, 0.1, 0.01, 0.001)  # distances from a minimum: when does each come so near to stay?
RESTLESS = ("adadelta",)  # whose steps do not become short at a minimum
CONDITIONS = (3, 10, 30, 100, 300, 1000)  # condition numbers κ of the quadratics


@dataclass
class Optimizers(Study):
    """Walk eleven optimisers down three surfaces, hold two rates to theory, and race on digits."""

    steps: Count = 12_000  # most steps on Rosenbrock's and Beale's functions; a sixth at the saddle
    pace: Positive = 1.0  # factor of all learning rates on the surfaces
    scatter: Amount = 0.0  # standard deviation of the starts; at 0 all seeds walk the same paths
    weight_decay: Amount = 0.01  # λ of AdamW; the others have none
    width: Count = 12  # hidden units of the network that learns digits
    batch: Count = 128  # digits a step; quasi-Newton steps take all
    epochs: Positive = 40.0  # passes over the digits; a quasi-Newton step needs two or more
    repeats: Count = 3  # seeds of the race

    claims = [
        Claim(
            "rosenbrock/worst",
            at_most=0.01,
            source="all but Adadelta come to the minimum and stay; bound: Etude",
        ),
        Claim("beale/worst", at_most=0.01, source="Etude"),
        Claim("saddle/worst", at_most=0.01, source="Etude"),
        Claim(
            "quadratic/error", at_most=0.03, source="the rates derived in the lesson; bound: Etude"
        ),
        Claim(
            "quadratic/momentum/steps a digit",
            at_most=40,
            source="Polyak (1964), κ = 1000: 36.4; bound: Etude",
        ),
        Control(
            "quadratic/sgd/steps a digit",
            at_least=1_000,
            source="the rate derived in the lesson, 1151; bound: Etude",
            of="quadratic/momentum/steps a digit",
            without="momentum",
        ),
        Claim("race/worst", at_least=0.9, source="Etude"),
    ]
    needs = ["spirals"]

    def __call__(self, run: Run) -> None:
        for surface in SURFACES:
            self.walk(run, surface)

        self.compare_with_theory(run)

        variants = {name: partial(self.learn_digits, name=name) for name in NAMES}
        race = training.compare(
            run, variants, self.repeats, "validation/loss", better="lower", name="race"
        )
        worst = min(race.mean(name, "test/accuracy") for name in NAMES)
        run.result({"race/worst": worst}, held_out=len(data.uci_digits().test))

    def walk(self, run: Run, name: str) -> None:
        """All optimisers from one start down one surface: how near they come, and how soon."""
        surface = SURFACES[name]
        rates = {n: self.pace * RATES[n][name] for n in NAMES}
        rules = {n: partial(WRITTEN[n], lr=rates[n]) for n in NAMES}
        rules["adamw"] = partial(rules["adamw"], weight_decay=self.weight_decay)
        scattered = self.scatter * torch.randn(2, dtype=torch.double)
        walk = Walk(surface, torch.tensor(surface.start, dtype=torch.double) + scattered, rules)

        steps = math.ceil(self.steps / 6) if name == "saddle" else self.steps
        for _ in run.steps(range(steps), state=walk, name=name):
            walk.step()
            if not walk.walking:
                break
            run.log(distance=max(walk.distance(n) for n in walk.walking))

        distances = {n: walk.distance(n) for n in NAMES}
        run.result({f"{name}/{n}": distance for n, distance in distances.items()})
        quarter = steps * 3 // 4
        late = {n: walk.farthest(n, since=quarter) for n in NAMES}
        settled = [late[n] for n in NAMES if n not in RESTLESS]
        restless = [late[n] for n in RESTLESS]
        run.result({f"{name}/worst": max(settled)})
        run.result({f"{name}/restless": max(restless)})

        columns = [name, "rate"]
        columns += [f"within {radius}" for radius in RADII]
        columns += [
            "gradients",
            "distance",
            "farthest, last quarter",
            "at the end it",
        ]
        rows = []
        for n in NAMES:
            arrivals = [walk.arrival(n, radius) or "–" for radius in RADII]
            ends = [walk.gradients[n], distances[n], late[n], walk.ending(n)]
            rows.append([n, rates[n], *arrivals, *ends])
        run.table(name, columns, rows)

        groups = {family: {n: walk.paths[n] for n in names} for family, names in FAMILIES.items()}
        run.figure(name, paths_and_losses(surface, groups))
        if name == "beale":
            run.animation("walk", animate(surface, walk.paths))

    def compare_with_theory(self, run: Run) -> None:
        """Steps for each decimal digit on quadratics, measured and by the rates of the lesson."""
        measured: dict[str, list[float]] = {"sgd": [], "nesterov": [], "momentum": []}
        theory: dict[str, list[float]] = {"sgd": [], "nesterov": [], "momentum": []}
        for κ in CONDITIONS:
            steps = round(40 * math.sqrt(κ))
            for name, (coefficients, ρ) in best_on_a_quadratic(κ).items():
                errors = quadratic_errors(partial(WRITTEN[name], **coefficients), κ, 2 * steps)
                digits = math.log10(errors[steps] / errors[-1])  # gained in the second half
                measured[name].append(steps / digits)
                theory[name].append(-1 / math.log10(ρ))

        errors_of_theory = [
            abs(m / t - 1)
            for name in measured
            for m, t in zip(measured[name], theory[name], strict=True)
        ]
        run.result({"quadratic/error": max(errors_of_theory)})
        hardest = {name: steps[-1] for name, steps in measured.items()}
        run.result({f"quadratic/{name}/steps a digit": n for name, n in hardest.items()})
        run.figure("quadratics", steps_per_digit(CONDITIONS, measured, theory))

    def learn_digits(self, run: Run, name: str) -> None:
        """A small network learns digits by one optimiser; all get equal passes over the data."""
        digits = data.uci_digits()
        train, validation = training.split(run, digits.train, 237)
        x, label = on_device(run, train)
        x_validation, label_validation = on_device(run, validation)
        x_test, label_test = on_device(run, digits.test)

        net = run.place(MLP(64, [self.width], 10, "tanh"))
        weight_decay = self.weight_decay if name == "adamw" else 0.0
        optimizer = training.descent(name, net, RATES[name]["digits"], weight_decay)

        batch = self.batch
        epochs = self.epochs
        if name in FAMILIES["quasi-Newton"]:
            batch = len(x)
            epochs /= 2  # a step computes two gradients or more
        batches = training.Batches((x, label), batch)
        steps = math.ceil(epochs * len(x) / batch)
        for images, labels in run.steps(batches, steps, state=(net, optimizer)):
            loss = partial(loss_and_gradients, net, images, labels)  # a line search calls it again
            run.log(loss=optimizer.step(loss))

        validation_loss = cross_entropy(training.outputs(net, x_validation), label_validation)
        test_accuracy = training.accuracy(training.outputs(net, x_test), label_test)
        run.result({"validation/loss": validation_loss}, held_out=len(x_validation))
        run.result({"test/accuracy": test_accuracy}, held_out=len(x_test))

    def demo(self) -> Demo:
        """Choose a surface, click on a start, and watch all optimisers walk."""
        return walking_demo()


def on_device(run: Run, digits: data.Labelled[Tensor]) -> tuple[Tensor, Tensor]:
    """Pixels from 0 to 1, (digits, 64), and labels, (digits,)."""
    pixels = digits.inputs.flatten(1) / 16
    return run.place(pixels), run.place(digits.labels)


def loss_and_gradients(net: nn.Module, images: Tensor, labels: Tensor) -> float:
    """The cross entropy of a batch; its gradient goes into the parameters."""
    net.zero_grad()
    loss = cross_entropy(net(images), labels)
    loss.backward()  # type: ignore[no-untyped-call]
    return loss.item()
