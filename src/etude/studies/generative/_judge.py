"""How good generated pictures are, by classifiers that are trained in the same run."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, relu
from torch.optim.lr_scheduler import LambdaLR

from etude import Run, training
from etude.training import accuracy, outputs


class Judge(nn.Module):
    """A classifier: three convolutions, a linear map to a few features, another to the classes.

    Input: pictures (batch, 1, side, side) from 0 to 1. Output: logits (batch, classes).

    Args:
        side: of a picture, in pixels.
        classes: how many there are.
        width: channels of the first convolution.
        size: the number of features.
    """

    def __init__(self, side: int, classes: int = 10, width: int = 32, size: int = 32) -> None:
        super().__init__()
        first = 2 if side >= 16 else 1
        layers: list[nn.Module] = []
        before = 1
        for after, stride in ((width, first), (2 * width, 2), (2 * width, 2)):
            convolution = nn.Conv2d(before, after, 3, stride, 1, bias=False)
            layers += [convolution, nn.BatchNorm2d(after), nn.ReLU()]
            before = after
        self.convolutions = nn.Sequential(*layers)
        self.project = nn.Linear(before * math.ceil(side / (4 * first)) ** 2, size)
        self.head = nn.Linear(size, classes)

    def features(self, x: Tensor) -> Tensor:
        """What the last layer reads: (batch, 1, side, side) → (batch, size)."""
        out: Tensor = self.project(self.convolutions(x).flatten(1))
        return out

    def forward(self, x: Tensor) -> Tensor:
        """Logits of the classes: (batch, 1, side, side) → (batch, classes)."""
        out: Tensor = self.head(relu(self.features(x)))
        return out


def train_judge(
    run: Run,
    images: Tensor,
    labels: Tensor,
    *,
    seed: int,
    name: str = "judge",
    steps: int = 400,
    batch: int = 64,
) -> Judge:
    """A classifier that is trained on these pictures, as a part of the run with its own seed.

    It depends on the pictures, the labels and the seed alone, not on what the run did before.

    Args:
        run: gets one more stage.
        images: training pictures, (n, 1, side, side), from 0 to 1.
        labels: their classes, (n,).
        seed: of this part of the run.
        name: of the part, and so of the stage.
        steps: updates by AdamW.
        batch: pictures a step.
    """
    with run.part(name, seed=seed):
        net = run.place(Judge(images.shape[-1], int(labels.max()) + 1))
        optimizer = training.descent("adamw", net, 4e-3, 0.05)
        schedule = LambdaLR(optimizer, training.one_cycle(steps, warmup=0.2))
        shift = images.shape[-1] / 20
        batches = training.Batches(
            (images, labels),
            batch,
            augment=lambda x, g: training.random_affine(x, g, 8.0, shift, 0.1),
        )
        for x, label in run.steps(batches, steps, state=(net, optimizer, schedule)):
            loss = cross_entropy(net(x), label)
            run.minimise(loss, optimizer, schedule)
            run.log(loss=loss)
    return net.eval()


def record_quality(
    run: Run,
    judge: Judge,
    student: Judge,
    generated: Tensor,
    real: Tensor,
    validation: tuple[Tensor, Tensor],
    test: tuple[Tensor, Tensor],
    others: Tensor,
) -> None:
    """Measure generated pictures, and write what was found into the run's result.

    Args:
        run: gets the accuracy of ``judge`` and ``student`` on validation and on test pictures; the
            Fréchet ``distance`` to test pictures and the ``coverage`` of test pictures, both of
            generated and of training pictures; the median distance of generated and of test
            pictures to the ``nearest`` training picture.
        judge: a classifier trained on ``real``.
        student: a classifier trained on ``generated``.
        generated: generated pictures, (n, 1, side, side).
        real: all training pictures.
        validation: pictures and labels that no network was trained on.
        test: pictures and labels that no network was trained on.
        others: training pictures, as many as were generated, for comparison.
    """
    for who, net in {"judge": judge, "student": student}.items():
        for part, (x, label) in {"validation accuracy": validation, "accuracy": test}.items():
            run.result({f"{who}/{part}": accuracy(outputs(net, x), label)}, held_out=len(x))
    expected = judge_features(judge, test[0])
    for name, x in {"generated": generated, "training digits": others}.items():
        found = judge_features(judge, x)
        run.result(
            {
                f"{name}/distance": frechet_distance(found, expected),
                f"{name}/coverage": coverage(expected, found),
            },
            held_out=len(expected),
        )
    for name, x in {"generated": generated, "test digits": test[0]}.items():
        run.result({f"{name}/nearest": nearest_neighbours(x, real)[0].median()})


def judge_features(judge: Judge, images: Tensor, batch: int = 1_000) -> Tensor:
    """The judge's features of pictures: (n, 1, side, side) → (n, size)."""
    with training.evaluating(judge):
        return torch.cat([judge.features(part) for part in torch.split(images, batch)])


def frechet_distance(a: Tensor, b: Tensor) -> float:
    r"""The Fréchet distance of two sets of features, (n, size) and (m, size), taken as Gaussian.

    $|\mu_a - \mu_b|^2 + \mathrm{tr}(\Sigma_a + \Sigma_b - 2 (\Sigma_a \Sigma_b)^{1/2})$, in the
    features' unit squared; 0 for equal sets. With the features of Inception it is the FID; each
    network has a scale of its own. Small sets seem farther apart than they are, so only distances
    of equally large sets can be compared.

    Source: Dowson & Landau (1982), equation 16; Heusel et al. (2017), equation 6.
    """
    a, b = a.double(), b.double()
    return gaussian_distance(a.mean(0), a.T.cov(), b.mean(0), b.T.cov())


def gaussian_distance(mean_a: Tensor, cov_a: Tensor, mean_b: Tensor, cov_b: Tensor) -> float:
    """The Fréchet distance of two Gaussians with means (size,) and covariances (size, size)."""
    values, vectors = torch.linalg.eigh(cov_a)
    root = (vectors * values.clamp_min(0).sqrt()) @ vectors.T  # of cov_a
    # ΣaΣb has the eigenvalues of √Σa Σb √Σa, which is symmetric
    shared = torch.linalg.eigvalsh(root @ cov_b @ root).clamp_min(0).sqrt().sum()
    distance = (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * shared
    return max(0.0, float(distance))


def nearest_neighbours(images: Tensor, among: Tensor) -> tuple[Tensor, Tensor]:
    """The Euclidean distance of each image to the nearest of others, (n,), and its index, (n,)."""
    found = torch.cdist(images.flatten(1), among.flatten(1)).min(1)
    return found.values, found.indices


def nearest_examples(generated: Tensor, real: Tensor) -> Tensor:
    """For each generated picture, (…, pixels), the nearest of all real ones, as ``generated``."""
    _, index = nearest_neighbours(generated.flatten(0, -2), real)
    return real[index].view_as(generated)


def coverage(real: Tensor, generated: Tensor, k: int = 5) -> float:
    """The fraction of real pictures that have a generated one among their nearest neighbours.

    A generated picture is among them if it is nearer than the k-th nearest real one. Near 1, unless
    some kind of picture is never generated.

    Source: Naeem et al. (2020), Reliable fidelity and diversity metrics for generative models,
    equation 6.

    Args:
        real: features of real pictures, (n, size).
        generated: features of generated pictures, (m, size).
        k: the number of neighbours.
    """
    radius = torch.cdist(real, real).kthvalue(k + 1, dim=1).values  # the first is itself
    return float((torch.cdist(real, generated).amin(1) < radius).double().mean())
