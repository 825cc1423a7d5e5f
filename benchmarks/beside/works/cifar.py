"""An epoch of CIFAR-10, estimated from some of its batches."""

from __future__ import annotations

import statistics
import tempfile
from itertools import pairwise
from typing import Any

from benchmarks.beside.work import Measured, Work, median_seconds

PART = 0.17  # of an epoch that the study takes
SECONDS, STEPS = 45.0, 30  # of the bare loop, the first that is reached
WORKERS = 2


def etude_cifar(seed: int) -> Measured:
    """The study for a part of an epoch; its log says when each step ended."""
    import etude
    from etude.errors import UserError
    from etude.studies.vision.cifar import Cifar

    with tempfile.TemporaryDirectory() as folder:
        try:
            run = etude.run("cifar", scale="full", epochs=PART, seed=seed, root=folder, quiet=True)
        except UserError as error:
            raise ModuleNotFoundError(name="ETUDE_DATA") from error
        ended = [row["seconds"] for row in run.folder.metrics()]
    study = Cifar.at("full")
    seconds = statistics.median(after - before for before, after in pairwise(ended))
    return Measured(seconds * (50_000 - study.held_out) / study.batch, {"steps": len(ended)})


def bare_resnet(seed: int) -> Measured:
    """ResNet-18 for small pictures as in kuangliu/pytorch-cifar: batch 128, SGD, PIL images cropped and flipped."""
    import torch
    from benchmarks.beside.networks import ResNet18
    from benchmarks.beside.pictures import Pictures, normalize, random_crop, random_flip, to_tensor
    from torch.nn.functional import cross_entropy
    from torch.utils.data import DataLoader

    images, labels = _cifar()
    scale = normalize([0.4914, 0.4822, 0.4465], [0.2023, 0.1994, 0.2010])
    rows: Any = Pictures(images, labels, random_crop(4), random_flip, to_tensor, scale)
    torch.manual_seed(seed)
    loader = DataLoader(rows, 128, shuffle=True, num_workers=WORKERS)
    net = ResNet18()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    batches, taken = iter(loader), 0

    def step() -> None:
        nonlocal taken
        x, y = next(batches)
        optimizer.zero_grad()
        cross_entropy(net(x), y).backward()
        optimizer.step()
        taken += 1

    seconds = median_seconds(step, warm=2, least=SECONDS, most=STEPS)
    return Measured(seconds * len(loader), {"steps": taken})


def _cifar() -> tuple[Any, Any]:
    """Training images (50000, 32, 32, 3) and labels, as arrays."""
    from etude import data
    from etude.errors import UserError

    try:
        train = data.cifar10().train
    except UserError as error:
        raise ModuleNotFoundError(name="ETUDE_DATA") from error
    return train.inputs.permute(0, 2, 3, 1).contiguous().numpy(), train.labels.numpy()


WORKS = [
    Work(
        "epoch-cifar",
        "an epoch of CIFAR-10 (estimated)",
        "s",
        "≥ 8 ×",
        {"etude (study `cifar`)": etude_cifar, "bare loop, ResNet-18": bare_resnet},
        repeat=3,
        note=(
            "The median step, times the steps of an epoch: both take a few steps only. Two networks: the study's own, "
            "which reaches 94 % in 12 epochs, and ResNet-18, which needs many times as many; so the ratio of an epoch "
            f"is the smaller part of the difference. The bare loop: batch 128, SGD, {WORKERS} processes that crop and "
            "flip PIL images."
        ),
    ),
]
