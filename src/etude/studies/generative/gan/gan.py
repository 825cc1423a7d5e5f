"""Generative adversarial networks: a generator and a critic."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn
from torch.optim import Adam
from torch.optim.lr_scheduler import LambdaLR

from etude import Amount, Claim, Control, Count, Fraction, Positive, Run, Study, training
from etude.networks.gan import Critic, Generator
from etude.studies.generative._digits import Part, split_digits
from etude.studies.generative._figures import mosaic, mosaic_film
from etude.studies.generative._interpolation import slerp
from etude.studies.generative._judge import nearest_examples, record_quality, train_judge
from etude.studies.generative._running_mean import RunningMean
from etude.training import outputs

from ._figures import class_shares, score_histogram
from ._losses import LOSSES, slope_penalty
from ._ring import play_on_a_ring
from ._sampling import generate

Film = tuple[list[int], Tensor]  # steps; what was generated then, (steps, 300, …)


@dataclass
class GAN(Study):
    """Generate digits with a network that learns to deceive a critic."""

    dataset: Literal["uci", "mnist"] = "uci"  # images of 8×8 or of 28×28 pixels
    loss: Literal["non-saturating", "wgan-gp"] = "wgan-gp"  # Goodfellow's; Wasserstein's, penalised
    conditional: bool = True  # whether both networks are given the class
    gradient_penalty: Amount = 1.0  # λ, the weight of the critic's gradient penalty in wgan-gp
    critic_steps: Count = 2  # steps of the critic for each step of the generator
    latent: Count = 32  # dimensions of a code z
    width: Count = 32  # channels of the first and the last convolutions
    steps: Count = 600  # updates of the generator
    ring_steps: Count = 1_000  # updates of the generator in the games on a ring of points
    average: Fraction = 0.995  # decay of the running mean of the generator's weights
    batch: Count = 64  # digits per step
    judging: Count = 400  # steps in which a judge is trained
    learning_rate: Positive = 2e-3  # of both networks; falls linearly in the second half
    beta1: Fraction = 0.0  # β₁, Adam's momentum, which is 0 because the game turns in circles
    ring_beta1: Fraction = 0.5  # β₁ in the games on the ring, as in the paper of DCGAN
    fakes: Count = 1_300  # digits that are generated to be judged; at most the training digits
    held_out: Fraction = 0.1  # fraction of the training data kept for validation

    scales = {
        "full": {
            "dataset": "mnist",
            "gradient_penalty": 10.0,
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
        Claim("student/accuracy", at_least=0.95, source="Etude"),
        Claim("ring/wgan-gp/modes", at_least=8, each=True, source="Etude"),
        Control(
            "ring/non-saturating/modes",
            at_most=4,
            of="ring/wgan-gp/modes",
            without="Wasserstein's distance, its penalty and a second step of the critic",
        ),
        Claim("ring/wgan-gp/near a mode", at_least=0.43, source="Etude"),
        Control(
            "ring/uniform circle/near a mode",
            at_most=0.31,
            of="ring/wgan-gp/near a mode",
            without="clusters",
        ),
        Claim("student/accuracy", at_least=0.9, scale="full", source="Etude"),
    ]
    needs = ["spirals"]

    def __call__(self, run: Run) -> None:
        train, validation, test = split_digits(run, self.dataset, self.held_out)
        real, labels = train
        judge = train_judge(run, real, labels, seed=run.seed, steps=self.judging)

        generator = self.network()
        critic = Critic(self.side, 10 * self.conditional, self.width)
        mean, film = self.play(
            run,
            train,
            generator,
            critic,
            loss=self.loss,
            steps=self.steps,
            beta1=self.beta1,
            average=self.average,
            name="game",
        )

        rows = torch.randperm(len(labels), device=run.device)[: self.fakes]
        asked = labels[rows]  # as many of each class as among training digits
        others = real[rows]
        fakes = generate(mean, self.codes(run, len(rows)), asked)
        predicted = outputs(judge, fakes).argmax(1)
        if self.conditional:
            run.result({"generated/accuracy": (predicted == asked).double().mean()})
        student = train_judge(
            run,
            fakes,
            asked if self.conditional else predicted,  # without classes the judge names them
            seed=run.seed,
            name="student",
            steps=self.judging,
        )
        record_quality(run, judge, student, fakes, real, validation, test, others)

        with torch.inference_mode():
            scores = {
                "training digits": critic(real, labels).cpu(),
                "test digits": critic(*test).cpu(),
                "generated": critic(fakes, asked).cpu(),
            }
        run.figure("scores", score_histogram(scores, LOSSES[self.loss].unit))
        run.figure("classes", class_shares({"training digits": labels, "generated": predicted}))
        self.draw(run, mean, real, film)
        play_on_a_ring(run, self)
        run.keep(mean)

    def play(
        self,
        run: Run,
        train: Part,
        generator: nn.Module,
        critic: nn.Module,
        *,
        loss: str,
        steps: int,
        beta1: float,
        average: float,
        name: str,
    ) -> tuple[nn.Module, Film]:
        """Train two networks against each other.

        Returns:
            The running mean of the generator; what it makes of fixed codes during training.
        """
        generator = run.place(generator)
        critic = run.place(critic)
        mean = RunningMean(generator, average)
        game = LOSSES[loss]
        critic_steps = self.critic_steps if loss == "wgan-gp" else 1
        batches = training.Batches(train, self.batch * critic_steps)

        adam = partial(Adam, lr=self.learning_rate, betas=(beta1, 0.9), fused=True)
        linear = partial(training.one_cycle, warmup=0.5, start=1.0)
        g_adam = adam(generator.parameters())
        c_adam = adam(critic.parameters())
        g_schedule = LambdaLR(g_adam, linear(steps))
        c_schedule = LambdaLR(c_adam, linear(steps * critic_steps))

        pictures = training.History()
        times = training.History()
        z = self.codes(run, 300)
        ten = torch.arange(300, device=run.device) % 10
        state = (generator, critic, mean, g_adam, c_adam, g_schedule, c_schedule, pictures, times)

        for x, y in run.steps(batches, steps, state=state, name=name):
            for real, label in zip(x.split(self.batch), y.split(self.batch), strict=True):
                with torch.no_grad():
                    fake = generator(self.codes(run, len(label)), label)
                scores = critic(real, label)
                fake_scores = critic(fake, label)
                critic_loss = game.critic(scores, fake_scores)
                if loss == "wgan-gp":
                    penalty = slope_penalty(partial(critic, label=label), real, fake)
                    critic_loss += self.gradient_penalty * penalty
                run.minimise(critic_loss, c_adam, c_schedule)

            fake = generator(self.codes(run, len(label)), label)
            generator_loss = game.generator(critic(fake, label))
            run.minimise(generator_loss, g_adam, g_schedule)
            mean.update(generator)

            distance = game.distance(scores, fake_scores)
            run.log(loss=critic_loss, generator=generator_loss, distance=distance)
            if run.every(steps // 30):
                pictures.keep(generate(mean.net, z, ten))
                times.keep(torch.tensor(run.step + 1))
        return mean.net, (times.stacked().tolist(), pictures.stacked())

    def draw(self, run: Run, generator: nn.Module, real: Tensor, film: Film) -> None:
        """Generated digits, how they changed in training, and what lies between two codes."""
        names = [str(k) for k in range(10)] if self.conditional else []
        ten = torch.arange(10, device=run.device)
        x = generate(generator, self.codes(run, 100), ten.repeat_interleave(10)).view(10, 10, -1)
        run.figure("samples", mosaic({"generated": x}, names), cover=True)
        nearest = nearest_examples(x[:, :7], real)
        panels = {"generated": x[:, :7], "its nearest training digit": nearest}
        run.figure("nearest", mosaic(panels, names))

        times, pictures = film
        frames = pictures[:, :60].view(len(times), 6, 10, -1)
        captions = [f"step {step:,}" for step in times]
        run.animation("learning", mosaic_film(frames, captions, hold=15), fps=6)

        a, b = self.codes(run, 20).view(2, 10, 1, -1)
        fraction = torch.linspace(0, 1, 9, device=run.device)[:, None]
        codes = slerp(a, b, fraction)  # (10, 9, latent)
        x = generate(generator, codes.flatten(0, 1), ten.repeat_interleave(9)).view(10, 9, -1)
        run.figure("between", mosaic({"between two codes": x}, names))

    def codes(self, run: Run, n: int) -> Tensor:
        """Random codes z, (n, latent)."""
        return torch.randn(n, self.latent, device=run.device)

    @property
    def side(self) -> int:
        """The height of a picture in pixels."""
        return 8 if self.dataset == "uci" else 28

    def network(self) -> Generator:
        """A new generator for the images of the data set."""
        return Generator(self.side, self.latent, 10 * self.conditional, self.width)

    def example(self) -> tuple[Tensor, Tensor]:
        """A batch for export and tests: two codes and the classes that are asked for."""
        return torch.randn(2, self.latent), torch.tensor([3, 7])
