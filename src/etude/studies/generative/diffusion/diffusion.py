"""Diffusion: digits made out of noise, step by step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss
from torch.optim.lr_scheduler import LambdaLR

from etude import data
from etude.claims import Claim
from etude.demos import Answer, Choice, Controls, Demo, Slider
from etude.figures.generated import developing, mixtures, sheets, trade
from etude.figures.latent import mosaic
from etude.networks.denoiser import Denoiser
from etude.runs.run import Run
from etude.study import Count, Fraction, OptimizerName, Positive, Study
from etude.training.averages import RunningMean
from etude.training.batches import Batches
from etude.training.diffusion import Diffusion, Flow, Process, blends, drawn, lit, slerp, walked
from etude.training.evaluation import accuracy, evaluating, outputs
from etude.training.judge import appraise, frechet, nearest, seen, trained_judge
from etude.training.optimizers import descent
from etude.training.playground import unmix
from etude.training.schedules import cosine
from etude.training.validation import split

NOTHING = 10  # the label that stands for no class


@dataclass
class DiffusionModel(Study):
    """Learn to tell noise from digits, and make digits of the class that is asked for out
    of noise.
    """

    dataset: Literal["uci", "mnist"] = "uci"  # 8×8; 28×28
    method: Literal["diffusion", "flow"] = (
        "diffusion"  # predict the noise; or the velocity along straight lines
    )
    schedule: Literal["cosine", "linear"] = "cosine"  # how a diffusion's noise grows
    times: Count = 1_000  # T, steps of the diffusion that is learned
    sampling: Count = 20  # steps back, in which a digit is made
    eta: Fraction = 0.0  # η, noise drawn anew in steps back: 0 is DDIM, 1 is DDPM
    heun: bool = False  # of a flow: steps back of second order, which ask the network twice
    guidance: Positive = 1.5  # w, by how much the class is exaggerated; 1: not at all
    weights: tuple[Positive, ...] = (0.5, 1.0, 1.5, 2.0, 4.0, 8.0)  # guidance that is compared
    dropped: Fraction = 0.1  # part of the training digits whose class is not told
    fakes: Count = 1_300  # digits that are made to be judged; at most as many as are trained on
    width: Count = 32  # channels at full size, an even number
    grow: tuple[Count, ...] = (1, 2)  # times as many at full size, half, …
    epochs: Positive = 70.0  # passes over the training data
    average: Fraction = 0.995  # decay of the running mean of the weights, which makes the digits
    batch: Count = 128  # digits a step
    judging: Count = 400  # steps in which a judge is trained
    optimizer: OptimizerName = "adam"  # the rule of a step; choose the learning rate with it
    learning_rate: Positive = 2e-3  # after a short warm-up; falls to zero along half a cosine
    held_out: Fraction = 0.1  # part of the training data kept for validation

    scales = {
        "full": {
            "dataset": "mnist",
            "sampling": 50,
            "grow": (1, 2, 4),
            "epochs": 30.0,
            "average": 0.999,
            "fakes": 5_000,
            "judging": 1_500,
            "learning_rate": 1e-3,
            "held_out": 0.02,
        },
    }
    claims = [
        Claim("generated/accuracy", at_least=0.98, source="the curriculum asks for 0.95"),
        Claim("student/accuracy", at_least=0.96, source="Etude"),
        Claim("generated/accuracy", at_least=0.95, scale="full", source="goal of the curriculum"),
    ]
    courses = ["CU"]

    def __call__(self, run: Run) -> None:
        digits = {"uci": data.uci_digits, "mnist": data.mnist}[self.dataset]()
        parts = *split(run, digits.train, round(self.held_out * len(digits.train))), digits.test
        most = 16 if self.dataset == "uci" else 255
        real, held, tested = (
            run.place(part.inputs.float() / most) for part in parts
        )  # from 0 to 1
        labels, held_labels, test_labels = (run.place(part.labels) for part in parts)
        judge = trained_judge(run, real, labels, seed=run.seed, steps=self.judging)

        process = self.process(self.eta)
        batches = Batches((2 * real - 1, labels), self.batch)
        steps = round(self.epochs * len(batches))
        net = run.place(self.network())
        mean = RunningMean(net, self.average)
        optimizer = descent(self.optimizer, net, self.learning_rate)
        schedule = LambdaLR(optimizer, cosine(steps, warmup=50))
        *fixed, answer = self.task(process, 2 * held - 1, held_labels)
        for x, label in run.steps(
            batches, steps, state=(net, mean, optimizer, schedule), name="denoiser"
        ):
            *mixture, target = self.task(process, x, label)
            loss = mse_loss(net(*mixture), target)
            run.minimise(loss, optimizer, schedule, clip=1.0)
            mean.update(net)
            run.log(loss=loss)
            if run.every(steps // 20):
                with evaluating(mean.net):
                    run.log(**{"validation/loss": mse_loss(mean.net(*fixed), answer)})
        net = mean.net

        rows = torch.randperm(len(labels), device=run.device)[: self.fakes]
        asked, others = labels[rows], real[rows]  # as many of each class as in training digits
        fakes = self.pictures(net, torch.randn_like(others), asked, self.guidance)
        student = trained_judge(
            run, fakes, asked, seed=run.seed, name="student", steps=self.judging
        )
        run.result({"generated/accuracy": accuracy(outputs(judge, fakes), asked)})
        appraise(
            run, judge, student, fakes, real, (held, held_labels), (tested, test_labels), others
        )

        z = torch.randn_like(held)
        made = [self.pictures(net, z, held_labels, w) for w in self.weights]
        right = [accuracy(outputs(judge, x), held_labels) for x in made]
        far = [frechet(seen(judge, x), seen(judge, held)) for x in made]
        alike = real[
            labels.argsort()[torch.linspace(0, len(real) - 1, len(held)).long()]
        ]  # the same classes
        floor = frechet(seen(judge, alike), seen(judge, held))
        run.table(
            "guidance", ["w", "accuracy", "distance"], zip(self.weights, right, far, strict=True)
        )
        run.figure("guidance", trade(self.weights, right, far, floor, self.guidance))
        self.draw(run, net, real)
        run.keep(net)

    def task(
        self, process: Process, x: Tensor, label: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What the network is given, a mixture, its time and a label or none, and what it should
        answer.
        """
        t, noise = process.times(len(x), x.device), torch.randn_like(x)
        told = label.masked_fill(torch.rand(len(x), device=x.device) < self.dropped, NOTHING)
        return process.noised(x, t, noise), process.part(t), told, process.target(x, noise)

    def pictures(
        self, net: nn.Module, z: Tensor, asked: Tensor, w: float, eta: float | None = None
    ) -> Tensor:
        """Digits with values from 0 to 1 out of noise: (n, 1, side, side), (n,) → (n, 1, side,
        side).
        """
        process = self.process(self.eta if eta is None else eta)
        return lit(drawn(process, net, z, asked, self.sampling, w, NOTHING))

    def draw(self, run: Run, net: nn.Module, real: Tensor) -> None:
        """The walk from noise, what lies at its end, the most similar training digits, the way
        between two noises.
        """
        one_each = torch.arange(10, device=run.device)
        names = [str(k) for k in range(10)]
        z, asked = (
            torch.randn(100, *real.shape[1:], device=run.device),
            one_each.repeat_interleave(10),
        )
        time, *film = walked(
            self.process(self.eta), net, z, asked, self.sampling, self.guidance, NOTHING
        )
        at, guess = (lit(x).view(len(time), 10, 10, -1) for x in film)  # (steps + 1, 10, 10, side²)
        run.figure(
            "samples", mosaic({f"asked for, with w = {self.guidance:g}": at[-1]}, names), cover=True
        )
        run.animation("walk", developing(at, [f"t = {t:.2f}" for t in time]), fps=8)
        shown = torch.linspace(0, len(time) - 1, 9).long()
        panels = {
            "$x_t$": at[shown, :, 0].transpose(0, 1),
            "guess of $x_0$": guess[shown, :, 0].transpose(0, 1),
        }
        run.figure("steps", sheets(panels, [f"{time[i]:.2f}" for i in shown], names, "t"))

        alike = torch.stack(
            [self.pictures(net, z[:10], one_each, w).flatten(1) for w in self.weights]
        )
        run.figure(
            "weights",
            sheets(
                {"one noise for each column": alike}, names, [f"w = {w:g}" for w in self.weights]
            ),
        )
        digits = at[-1, :, :7]  # (10, 7, side²)
        like = real[nearest(digits.flatten(0, 1), real)[1]].view_as(digits)
        run.figure(
            "nearest", mosaic({"generated": digits, "its nearest training digit": like}, names)
        )

        a, b = z.flatten(1).view(2, 5, 10, 1, -1)[:, :, 0]  # (5, 1, side²) each
        part = torch.linspace(0, 1, 9, device=run.device)[:, None]
        asked = torch.full((45,), NOTHING, device=run.device)
        ways = {
            "between two noises, on the sphere": slerp(a, b, part),
            "on the straight line": torch.lerp(a, b, part),
        }
        ends = {
            k: self.pictures(net, x.view(-1, *real.shape[1:]), asked, 1.0, 0.0)
            for k, x in ways.items()
        }
        run.figure("between", mosaic({name: x.view(5, 9, -1) for name, x in ends.items()}))
        run.figure("schedules", mixtures(blends()))

    def process(self, eta: float) -> Process:
        """How digits and noise are mixed, and the way back."""
        return (
            Diffusion(self.times, self.schedule, eta, clip=1.0)
            if self.method == "diffusion"
            else Flow(self.heun)
        )

    def network(self) -> Denoiser:
        """A new network for the data set's images."""
        return Denoiser(1, 10, self.width, self.grow)

    def example(self) -> tuple[Tensor, Tensor, Tensor]:
        """Two mixtures, their times and labels."""
        side = 8 if self.dataset == "uci" else 28
        return torch.randn(2, 1, side, side), torch.tensor([0.3, 0.6]), torch.tensor([3, NOTHING])

    def demo(self) -> Demo:
        """Ask for a digit, and watch noise become it."""
        digit, noise = (
            Choice("Digit", [*"0123456789", "any"], "3"),
            Slider("Noise number", 1, 100, 1, 1),
        )
        w = Slider("Guidance w", 0, 8, min(self.guidance, 8), 0.25)
        asks: Controls = {"digit": digit, "guidance": w, "noise": noise}
        return Demo(
            "When will you see which digit it is?", asks, self.watch, ("early", "halfway", "late")
        )

    def watch(self, net: nn.Module, digit: str, guidance: float, noise: float) -> Iterator[Answer]:
        z = torch.randn(
            self.example()[0][0].shape, generator=torch.Generator().manual_seed(int(noise))
        )
        label = NOTHING if digit == "any" else int(digit)
        yield unmix(self.process(self.eta), net, z, label, self.sampling, guidance, NOTHING)
