"""Generative adversarial networks: a forger and a critic."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from etude import data
from etude.claims import Claim
from etude.figures.generated import clouds, coverage_bars, developing, score_histogram
from etude.figures.latent import mosaic
from etude.networks.gan import Critic, Generator, Plane
from etude.runs.run import Run
from etude.study import Amount, Count, Fraction, Positive, Study
from etude.training.adversarial import GAMES, Film, at_modes, gradient_penalty, made
from etude.training.averages import RunningMean
from etude.training.batches import Batches
from etude.training.diffusion import slerp
from etude.training.evaluation import outputs
from etude.training.judge import appraise, nearest, trained_judge
from etude.training.schedules import one_cycle
from etude.training.validation import split


@dataclass
class GAN(Study):
    """Learn to make digits by deceiving a critic that learns to tell them from real ones."""

    dataset: Literal["uci", "mnist"] = "uci"  # 8×8; 28×28
    loss: Literal["dcgan", "wgan-gp"] = (
        "wgan-gp"  # minimax in log-odds; Wasserstein with a gradient penalty
    )
    conditional: bool = True  # both players are told the class
    penalty: Amount = 1.0  # λ, the price of a critic's slope that is not 1; of wgan-gp
    critic_steps: Count = 2  # steps of the critic for one of the generator
    latent: Count = 32  # numbers in a code z
    width: Count = 32  # channels of the first and the last convolutions
    steps: Count = 600  # of the generator
    circling: Count = 1_000  # the same, in the games on a ring of points
    average: Fraction = (
        0.995  # decay of the running mean of the generator's weights, which makes the digits
    )
    batch: Count = 64  # digits a step
    judging: Count = 400  # steps in which a judge is trained
    learning_rate: Positive = 2e-3  # of both players; falls in a straight line in the second half
    momentum: Fraction = 0.0  # Adam's β₁; a game turns, so memory of where it went does harm
    circling_momentum: Fraction = 0.5  # β₁ on the ring, as in the paper of DCGAN
    fakes: Count = 1_300  # digits that are made to be judged; at most as many as are trained on
    held_out: Fraction = 0.1  # part of the training data kept for validation

    scales = {
        "full": {
            "dataset": "mnist",
            "penalty": 10.0,
            "critic_steps": 5,
            "latent": 64,
            "width": 64,
            "steps": 20_000,
            "average": 0.999,
            "batch": 128,
            "judging": 1_500,
            "learning_rate": 2e-4,
            "fakes": 20_000,
            "held_out": 0.02,
        },
    }
    claims = [
        Claim("student/accuracy", at_least=0.95, source="the curriculum asks for 0.9"),
        Claim("ring/wgan-gp/modes", at_least=8, each=True, source="Etude"),
        Claim("ring/dcgan/modes", at_most=4, source="Etude"),
        Claim("student/accuracy", at_least=0.9, scale="full", source="goal of the curriculum"),
    ]
    courses = ["ITU", "OU"]

    def __call__(self, run: Run) -> None:
        digits = {"uci": data.uci_digits, "mnist": data.mnist}[self.dataset]()
        parts = *split(run, digits.train, round(self.held_out * len(digits.train))), digits.test
        real, held, tested = (run.place(self.scaled(part.inputs)) for part in parts)
        labels, held_labels, test_labels = (run.place(part.labels) for part in parts)
        judge = trained_judge(run, real, labels, seed=run.seed, steps=self.judging)

        players = self.network(), Critic(self.side, 10 * self.conditional, self.width)
        generator, film = self.play(
            run, (real, labels), players, self.loss, self.steps, self.momentum, self.average, "game"
        )
        rows = torch.randperm(len(labels), device=run.device)[: self.fakes]
        asked, others = labels[rows], real[rows]  # as many of each class as in training digits
        fakes = made(generator, self.codes(run, len(rows)), asked)
        taken = outputs(judge, fakes).argmax(1)
        if self.conditional:
            run.result({"generated/accuracy": (taken == asked).double().mean()})
        named = (
            asked if self.conditional else taken
        )  # who was told no class lets the judge name what it made
        student = trained_judge(
            run, fakes, named, seed=run.seed, name="student", steps=self.judging
        )
        appraise(
            run, judge, student, fakes, real, (held, held_labels), (tested, test_labels), others
        )

        shares = {"training digits": labels, "generated": taken}
        shares = {name: k.bincount(minlength=10).cpu() / len(k) for name, k in shares.items()}
        run.figure("classes", coverage_bars(shares, digits.classes))
        sets = {
            "training digits": (real, labels),
            "test digits": (tested, test_labels),
            "generated": (fakes, asked),
        }
        with torch.inference_mode():
            scores = {name: players[1](*pair).cpu() for name, pair in sets.items()}
        run.figure(
            "scores",
            score_histogram(scores, "what the critic thinks of them", GAMES[self.loss].unit),
        )
        self.draw(run, generator, real, film)
        self.ring(run)
        run.keep(generator)

    def play(
        self,
        run: Run,
        real: tuple[Tensor, Tensor],
        players: tuple[Generator, Critic] | tuple[Plane, Plane],
        loss: str,
        steps: int,
        momentum: float,
        average: float,
        name: str,
    ) -> tuple[nn.Module, Film]:
        """A game to its end, over pictures (or points) and their labels: the mean generator, and
        what it made.
        """
        generator, critic = (run.place(player) for player in players)
        game, of = GAMES[loss], self.critic_steps if loss == "wgan-gp" else 1
        mean = RunningMean(generator, average)
        adam = partial(torch.optim.Adam, lr=self.learning_rate, betas=(momentum, 0.9), fused=True)
        g_descent, c_descent = adam(generator.parameters()), adam(critic.parameters())
        g_schedule = LambdaLR(g_descent, one_cycle(steps, 0.5, start=1.0))
        c_schedule = LambdaLR(c_descent, one_cycle(steps * of, 0.5, start=1.0))
        film, z, shown = Film(), self.codes(run, 300), torch.arange(300, device=run.device) % 10
        state = (generator, critic, mean, g_descent, c_descent, g_schedule, c_schedule, film)
        for x, y in run.steps(Batches(real, self.batch * of), steps, state=state, name=name):
            for truth, label in zip(x.split(self.batch), y.split(self.batch), strict=True):
                with torch.no_grad():
                    fake = generator(self.codes(run, len(label)), label)
                scores, fake_scores = critic(truth, label), critic(fake, label)
                critic_loss = game.critic(scores, fake_scores)
                if loss == "wgan-gp":
                    critic_loss += self.penalty * gradient_penalty(
                        partial(critic, label=label), truth, fake
                    )
                run.minimise(critic_loss, c_descent, c_schedule)
            generator_loss = game.generator(
                critic(generator(self.codes(run, len(label)), label), label)
            )
            run.minimise(generator_loss, g_descent, g_schedule)
            mean.update(generator)
            run.log(
                loss=critic_loss,
                generator=generator_loss,
                distance=game.distance(scores, fake_scores),
            )
            if run.every(steps // 30):
                film.take(run.step + 1, made(mean.net, z, shown))
        return mean.net, film

    def ring(self, run: Run) -> None:
        """Both losses on eight clusters on a circle, which are easy to see and to count."""
        angle = torch.arange(8) * (math.pi / 4)
        centres = torch.stack([angle.cos(), angle.sin()], dim=1)
        k = torch.randint(8, (4_000,))
        points, films = run.place(centres[k] + 0.03 * torch.randn(4_000, 2)), {}
        for loss in GAMES:
            players = Plane(self.latent, 2), Plane(2, 1)
            settings = loss, self.circling, self.circling_momentum, 0.0, f"ring, {loss}"
            generator, films[loss] = self.play(run, (points, run.place(k)), players, *settings)
            x = made(
                generator, self.codes(run, 2_000), run.place(torch.zeros(2_000, dtype=torch.long))
            )
            share = at_modes(x.cpu(), centres, 0.12)
            run.result(
                {
                    f"ring/{loss}/modes": (share > 0.02).sum(),
                    f"ring/{loss}/near a mode": share.sum(),
                }
            )
        run.figure(
            "ring", clouds({name: (f.steps, f.pictures) for name, f in films.items()}, centres)
        )

    def draw(self, run: Run, generator: nn.Module, real: Tensor, film: Film) -> None:
        """What was made, what it is most like, how it came to be, and what lies between two
        codes.
        """
        names = [str(k) for k in range(10)] if self.conditional else []
        ten = torch.arange(10, device=run.device)
        x = made(generator, self.codes(run, 100), ten.repeat_interleave(10)).view(10, 10, -1)
        title = "asked for" if self.conditional else "generated"
        run.figure("samples", mosaic({title: x}, names), cover=True)
        frames = torch.stack([picture[:60].view(6, 10, -1) for picture in film.pictures])
        run.animation(
            "learning", developing(frames, [f"step {step:,}" for step in film.steps]), fps=6
        )
        like = real[nearest(x[:, :7].flatten(0, 1), real)[1]].view(10, 7, -1)
        run.figure(
            "nearest", mosaic({"generated": x[:, :7], "its nearest training digit": like}, names)
        )
        a, b = self.codes(run, 20).view(2, 10, 1, -1)
        codes = slerp(a, b, torch.linspace(0, 1, 9, device=run.device)[:, None])  # (10, 9, latent)
        x = made(generator, codes.flatten(0, 1), ten.repeat_interleave(9))
        run.figure("between", mosaic({"between two codes": x.view(10, 9, -1)}, names))

    def codes(self, run: Run, n: int) -> Tensor:
        """z, (n, latent)."""
        return torch.randn(n, self.latent, device=run.device)

    @property
    def side(self) -> int:
        """Of a picture, in pixels."""
        return 8 if self.dataset == "uci" else 28

    def scaled(self, images: Tensor) -> Tensor:
        """Whole numbers to values from 0 to 1."""
        return images.float() / (16 if self.dataset == "uci" else 255)

    def network(self) -> Generator:
        """A new generator for the data set's images."""
        return Generator(self.side, self.latent, 10 * self.conditional, self.width)

    def example(self) -> tuple[Tensor, Tensor]:
        """Two codes and the classes asked for."""
        return torch.randn(2, self.latent), torch.tensor([3, 7])
