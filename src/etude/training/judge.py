"""Judging generated pictures: a classifier of real ones, trained in the run, and what it says of
generated ones.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, relu
from torch.optim.lr_scheduler import LambdaLR

from etude.runs.run import Run
from etude.training.augmentation import random_affine
from etude.training.batches import Batches
from etude.training.evaluation import accuracy, evaluating, outputs
from etude.training.optimizers import descent
from etude.training.schedules import one_cycle


class Judge(nn.Module):
    """Three convolutions, a linear map to a few features, another to the classes.

    Args:
        side: of the pictures, in pixels.
        classes: how many there are.
        width: channels of the first convolution.
        size: numbers in the features.

    Input (batch, 1, side, side) with values from 0 to 1, output (batch, classes), scores.
    """

    def __init__(self, side: int, classes: int = 10, width: int = 32, size: int = 32) -> None:
        super().__init__()
        first = 2 if side >= 16 else 1
        channels, strides = (1, width, 2 * width, 2 * width), (first, 2, 2)
        layers: list[nn.Module] = []
        for before, after, stride in zip(channels, channels[1:], strides, strict=False):
            layers += [
                nn.Conv2d(before, after, 3, stride, 1, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(),
            ]
        self.convolutions = nn.Sequential(*layers)
        self.project = nn.Linear(2 * width * math.ceil(side / (4 * first)) ** 2, size)
        self.head = nn.Linear(size, classes)

    def features(self, x: Tensor) -> Tensor:
        """What the judge sees in pictures: (batch, 1, side, side) → (batch, size)."""
        out: Tensor = self.project(self.convolutions(x).flatten(1))
        return out

    def forward(self, x: Tensor) -> Tensor:
        """(batch, 1, side, side) → (batch, classes)."""
        out: Tensor = self.head(relu(self.features(x)))
        return out


def trained_judge(
    run: Run,
    images: Tensor,
    labels: Tensor,
    *,
    seed: int,
    name: str = "judge",
    steps: int = 400,
    batch: int = 64,
) -> Judge:
    """A judge trained on these pictures alone, as a part of the run with a seed of its own.

    It depends on the pictures, their labels and the seed, and on nothing else that the run did
    before. Trained on real pictures it judges generated ones; trained on generated ones its
    accuracy on real ones judges their maker.

    Args:
        run: gets one more stage.
        images: (n, 1, side, side), from 0 to 1.
        labels: their classes, (n,).
        seed: of the part.
        name: of the part, and so of the stage.
        steps: of training, at most a learning rate of 4e-3, with small turns, shifts and zooms.
        batch: pictures a step.
    """
    with run.part(name, seed=seed):
        net = run.place(Judge(images.shape[-1], int(labels.max()) + 1))
        optimizer = descent("adamw", net, 4e-3, 0.05)
        schedule = LambdaLR(optimizer, one_cycle(steps, warmup=0.2))
        shift = images.shape[-1] / 20
        batches = Batches(
            (images, labels), batch, augment=lambda x, g: random_affine(x, g, 8.0, shift, 0.1)
        )
        for x, label in run.steps(batches, steps, state=(net, optimizer, schedule)):
            loss = cross_entropy(net(x), label)
            run.minimise(loss, optimizer, schedule)
            run.log(loss=loss)
    return net.eval()


def appraise(
    run: Run,
    judge: Judge,
    student: Judge,
    fakes: Tensor,
    real: Tensor,
    held: tuple[Tensor, Tensor],
    tested: tuple[Tensor, Tensor],
    others: Tensor,
) -> None:
    """Results of the run: how right judge and student are, how far and how varied the generated
    pictures are.

    Args:
        run: gets ``judge/accuracy``, ``student/accuracy``, both on validation pictures too;
            ``distance`` to test pictures (:func:`frechet`) and :func:`coverage` of them, by
            generated pictures and by training pictures; and the median distance of generated
            pictures and of test pictures to the ``nearest`` training picture.
        judge: trained on ``real``.
        student: trained on ``fakes``.
        fakes: generated pictures, (n, 1, side, side).
        real: all training pictures.
        held: validation pictures and their labels, on which nobody was trained.
        tested: test pictures and theirs, likewise.
        others: as many training pictures as there are fakes, for comparison.
    """
    for who, net in {"judge": judge, "student": student}.items():
        run.result(
            {f"{who}/validation accuracy": accuracy(outputs(net, held[0]), held[1])},
            held_out=len(held[0]),
        )
        run.result(
            {f"{who}/accuracy": accuracy(outputs(net, tested[0]), tested[1])},
            held_out=len(tested[0]),
        )
    to = seen(judge, tested[0])
    for of, x in {"generated": fakes, "training digits": others}.items():
        features = seen(judge, x)
        found = {f"{of}/distance": frechet(features, to), f"{of}/coverage": coverage(to, features)}
        run.result(found, held_out=len(to))
    for of, x in {"generated": fakes, "test digits": tested[0]}.items():
        run.result({f"{of}/nearest": nearest(x, real)[0].median()})


def seen(judge: Judge, images: Tensor, batch: int = 1_000) -> Tensor:
    """The judge's features of pictures, without gradients: (n, 1, side, side) → (n, size)."""
    with evaluating(judge):
        return torch.cat([judge.features(part) for part in torch.split(images, batch)])


def frechet(a: Tensor, b: Tensor) -> float:
    r"""The Fréchet distance between two clouds of features, each taken for a Gaussian: (n, size),
    (m, size).

    $|\mu_a - \mu_b|^2 + \mathrm{tr}(\Sigma_a + \Sigma_b - 2 (\Sigma_a \Sigma_b)^{1/2})$, in the
    features' unit squared; 0 for equal clouds. Of Inception's features it is called FID; a judge of
    its own kind has a scale of its own, so compare only what the same judge saw. Small clouds seem
    farther apart than they are: compare equal numbers.

    Source: Dowson & Landau (1982), equation 16; Heusel et al. (2017), equation 6.
    """
    a, b = a.double(), b.double()
    return gaussian_frechet(a.mean(0), a.T.cov(), b.mean(0), b.T.cov())


def gaussian_frechet(mean_a: Tensor, cov_a: Tensor, mean_b: Tensor, cov_b: Tensor) -> float:
    """The same between two Gaussians, by their means (size,) and covariances (size, size)."""
    values, vectors = torch.linalg.eigh(cov_a)
    root = (vectors * values.clamp_min(0).sqrt()) @ vectors.T  # of cov_a
    # ΣaΣb has the eigenvalues of √Σa Σb √Σa, which is symmetric
    shared = torch.linalg.eigvalsh(root @ cov_b @ root).clamp_min(0).sqrt().sum()
    distance = (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * shared
    return max(0.0, float(distance))


def nearest(images: Tensor, among: Tensor) -> tuple[Tensor, Tensor]:
    """How far the most similar of other pictures is, as a Euclidean length, and which it is: (n,)
    and (n,).
    """
    found = torch.cdist(images.flatten(1), among.flatten(1)).min(1)
    return found.values, found.indices


def coverage(real: Tensor, made: Tensor, k: int = 5) -> float:
    """The part of real pictures that have a made one among their neighbours: near 1, but if
    something is left out.

    Neighbours are nearer than the k-th nearest of the other real pictures, in features: (n, size),
    (m, size).

    Source: Naeem et al. (2020), Reliable fidelity and diversity metrics for generative models,
    equation 6.
    """
    reach = (
        torch.cdist(real, real).kthvalue(k + 1, dim=1).values
    )  # the nearest is the picture itself
    return float((torch.cdist(real, made).amin(1) < reach).double().mean())
