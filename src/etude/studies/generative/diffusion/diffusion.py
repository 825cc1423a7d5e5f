"""Diffusion: digits made out of noise, step by step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import mse_loss
from torch.optim.lr_scheduler import LambdaLR

from etude import Claim, Control, Count, Fraction, OptimizerName, Positive, Run, Study, training
from etude.demos import Answer, Choice, Controls, Demo, Slider
from etude.networks.denoiser import Denoiser
from etude.studies.generative._digits import Part, split_digits
from etude.studies.generative._figures import mosaic, mosaic_film
from etude.studies.generative._judge import (
    Judge,
    frechet_distance,
    judge_features,
    nearest_examples,
    record_quality,
    train_judge,
)
from etude.studies.generative._running_mean import RunningMean
from etude.training import accuracy, outputs

from ._controls import measure_controls
from ._demo import denoising
from ._figures import guidance_effect, interpolations, mixtures, reverse_steps
from ._flow import Flow
from ._process import Diffusion
from ._sampling import NO_CLASS, Process, sample, sampling_path


@dataclass
class DiffusionModel(Study):
    """Learn to separate digits from noise, and generate digits of a given class out of noise."""

    dataset: Literal["uci", "mnist"] = "uci"  # images of 8×8 or of 28×28 pixels
    method: Literal["diffusion", "flow"] = "diffusion"  # predict noise, or flow matching's velocity
    schedule: Literal["cosine", "linear"] = "cosine"  # how the noise of a diffusion grows
    times: Count = 1_000  # T, steps of the diffusion
    sampling: Count = 20  # reverse steps in which a digit is generated
    eta: Fraction = 0.0  # η, the fresh noise of a reverse step: 0 is DDIM, 1 is DDPM
    heun: bool = False  # Heun's steps for a flow, which evaluate the network twice
    guidance: Positive = 1.5  # w, the weight of the class; 1 is no guidance
    weights: tuple[Positive, ...] = (0.5, 1.0, 1.5, 2.0, 4.0, 8.0)  # weights w that are compared
    dropped: Fraction = 0.1  # fraction of the training examples whose class is hidden
    fakes: Count = 1_300  # digits that are generated to be judged; at most the training digits
    width: Count = 32  # channels at full size, an even number
    grow: tuple[Count, ...] = (1, 2)  # factors of the channels at full size, at half …
    epochs: Positive = 70.0  # passes over the training data
    average: Fraction = 0.995  # decay of the running mean of the weights, which generates
    batch: Count = 128  # digits per step
    judging: Count = 400  # steps in which a judge is trained
    optimizer: OptimizerName = "adam"  # the update rule; change learning_rate with it
    learning_rate: Positive = 2e-3  # after a short warm-up; falls to zero along half a cosine
    held_out: Fraction = 0.1  # fraction of the training data kept for validation

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
        Claim("generated/accuracy", at_least=0.995, source="Etude"),
        Control(
            "w = 1/generated/accuracy", at_most=0.99, of="generated/accuracy", without="guidance"
        ),
        Claim("student/accuracy", at_least=0.96, source="Etude"),
        Control(
            "one step/student/accuracy", at_most=0.9, of="student/accuracy", without="many steps"
        ),
        Claim("generated/accuracy", at_least=0.95, scale="full", source="Etude"),
    ]
    needs = ["vae"]

    def __call__(self, run: Run) -> None:
        train, validation, test = split_digits(run, self.dataset, self.held_out)
        real, labels = train
        judge = train_judge(run, real, labels, seed=run.seed, steps=self.judging)

        net = self.train(run, train, validation)

        rows = torch.randperm(len(labels), device=run.device)[: self.fakes]
        others = real[rows]
        asked = labels[rows]  # as many of each class as among training digits
        noise = torch.randn_like(others)
        fakes = self.generate(net, noise, asked, self.guidance)
        predicted = outputs(judge, fakes)
        run.result({"generated/accuracy": accuracy(predicted, asked)})
        student = train_judge(run, fakes, asked, seed=run.seed, name="student", steps=self.judging)
        record_quality(run, judge, student, fakes, real, validation, test, others)

        self.compare_guidance(run, net, judge, train, validation)
        self.draw(run, net, real)
        measure_controls(run, self, net, judge, noise, asked, test)
        run.keep(net)

    def train(self, run: Run, train: Part, validation: Part) -> nn.Module:
        """The running mean of a denoiser."""
        real, labels = train
        held, held_labels = validation
        process = self.process(self.eta)
        batches = training.Batches((2 * real - 1, labels), self.batch)
        steps = round(self.epochs * len(batches))
        net = run.place(self.network())
        mean = RunningMean(net, self.average)
        optimizer = training.descent(self.optimizer, net, self.learning_rate)
        schedule = LambdaLR(optimizer, training.cosine(steps, warmup=50))
        state = (net, mean, optimizer, schedule)
        *fixed, answer = self.corrupt(process, 2 * held - 1, held_labels)

        for x, label in run.steps(batches, steps, state=state, name="denoiser"):
            x_t, t, y, target = self.corrupt(process, x, label)
            loss = mse_loss(net(x_t, t, y), target)
            run.minimise(loss, optimizer, schedule, clip=1.0)
            mean.update(net)
            run.log(loss=loss)
            if run.every(steps // 20):
                with training.evaluating(mean.net):
                    run.log(**{"validation/loss": mse_loss(mean.net(*fixed), answer)})
        return mean.net

    def corrupt(
        self, process: Process, x: Tensor, label: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """A task for the network: x_t, t from 0 to 1, the class or none; and the right answer."""
        t = process.sample_times(len(x), x.device)  # (batch,)
        noise = torch.randn_like(x)
        hidden = torch.rand(len(x), device=x.device) < self.dropped
        x_t = process.mix(x, t, noise)
        y = label.masked_fill(hidden, NO_CLASS)
        return x_t, process.fraction(t), y, process.target(x, noise)

    def process(self, eta: float) -> Process:
        """How digits and noise are mixed, and how the mixing is reversed."""
        if self.method == "flow":
            return Flow(self.heun)
        return Diffusion(self.times, self.schedule, eta, clip=1.0)

    def generate(self, net: nn.Module, noise: Tensor, labels: Tensor, weight: float) -> Tensor:
        """Digits from 0 to 1 out of noise: (n, 1, side, side), (n,) → (n, 1, side, side)."""
        return sample(self.process(self.eta), net, noise, labels, self.sampling, weight)

    def compare_guidance(
        self,
        run: Run,
        net: nn.Module,
        judge: Judge,
        train: Part,
        validation: Part,
    ) -> None:
        """Accuracy and Fréchet distance of digits that are generated with each weight."""
        real, labels = train
        held, held_labels = validation
        expected = judge_features(judge, held)
        evenly = torch.linspace(0, len(real) - 1, len(held)).long()
        others = real[labels.argsort()[evenly]]  # training digits, evenly from all classes
        floor = frechet_distance(judge_features(judge, others), expected)

        noise = torch.randn_like(held)
        right = []
        distances = []
        for w in self.weights:
            x = self.generate(net, noise, held_labels, w)
            right.append(accuracy(outputs(judge, x), held_labels))
            distances.append(frechet_distance(judge_features(judge, x), expected))

        rows = zip(self.weights, right, distances, strict=True)
        run.table("guidance", ["w", "accuracy", "distance"], rows)
        figure = guidance_effect(self.weights, right, distances, floor, self.guidance)
        run.figure("guidance", figure)

    def draw(self, run: Run, net: nn.Module, real: Tensor) -> None:
        """Generated digits, the path to them, and the training digits that are most similar."""
        ten = torch.arange(10, device=run.device)
        names = [str(k) for k in range(10)]
        noise = torch.randn(100, *real.shape[1:], device=run.device)
        time, *states = sampling_path(
            self.process(self.eta),
            net,
            noise,
            ten.repeat_interleave(10),
            self.sampling,
            self.guidance,
        )
        x_t, guess = (x.view(len(time), 10, 10, -1) for x in states)  # (steps + 1, 10, 10, side²)

        title = f"asked for, with w = {self.guidance:g}"
        run.figure("samples", mosaic({title: x_t[-1]}, names), cover=True)
        x = x_t[-1, :, :7]
        panels = {"generated": x, "its nearest training digit": nearest_examples(x, real)}
        run.figure("nearest", mosaic(panels, names))
        run.figure("steps", reverse_steps(time, x_t[:, :, 0], guess[:, :, 0]))
        film = mosaic_film(x_t, [f"t = {t:.2f}" for t in time], hold=15)
        run.animation("walk", film, fps=8)

        by_weight = {}
        for w in self.weights:
            by_weight[f"w = {w:g}"] = self.generate(net, noise[:10], ten, w).flatten(1)
        panels = {"one noise for each column": torch.stack([*by_weight.values()])}
        run.figure("weights", mosaic(panels, [*by_weight], names))
        run.figure("between", interpolations(noise, partial(self.generate_any, net)))
        run.figure("schedules", mixtures())

    def generate_any(self, net: nn.Module, noise: Tensor) -> Tensor:
        """Digits of no given class, without fresh noise: (n, 1, side, side) → the same shape."""
        unknown = torch.full((len(noise),), NO_CLASS, device=noise.device)
        return sample(self.process(eta=0.0), net, noise, unknown, self.sampling, 1.0)

    def network(self) -> Denoiser:
        """A new network for the images of the data set."""
        return Denoiser(1, 10, self.width, self.grow)

    def example(self) -> tuple[Tensor, Tensor, Tensor]:
        """A batch for export and tests: two mixtures, their times and labels."""
        side = 8 if self.dataset == "uci" else 28
        return torch.randn(2, 1, side, side), torch.tensor([0.3, 0.6]), torch.tensor([3, NO_CLASS])

    def demo(self) -> Demo:
        """Ask for a digit, and watch how noise becomes it."""
        inputs: Controls = {
            "digit": Choice("Digit", [*"0123456789", "any"], "3"),
            "guidance": Slider("Guidance w", 0, 8, min(self.guidance, 8), 0.25),
            "noise": Slider("Noise number", 1, 100, 1, 1),
        }
        question = "When will you see which digit it is?"
        return Demo(question, inputs, self.answer, ("early", "halfway", "late"))

    def answer(self, net: nn.Module, digit: str, guidance: float, noise: float) -> Iterator[Answer]:
        """The path from one noise to a digit."""
        generator = Generator().manual_seed(int(noise))
        start = torch.randn(self.example()[0][0].shape, generator=generator)  # (1, side, side)
        label = NO_CLASS if digit == "any" else int(digit)
        yield denoising(self.process(self.eta), net, start, label, self.sampling, guidance)
