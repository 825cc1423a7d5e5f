"""CIFAR-10 to two test accuracies, beside ResNet-18 in a plain loop."""

from __future__ import annotations

from typing import Any

from benchmarks.beside.studies import study
from benchmarks.beside.work import Contender, Measured, Work, so_far

GOALS = {
    0.90: ["--epochs", "4"],
    0.94: [],
}  # and what ``etude run cifar --scale full`` is told to get there
EPOCHS = 200  # of the bare loop, at most
WORKERS = 2


def _etude(goal: float) -> Contender:
    def run(seed: int) -> Measured:
        said, seconds = study("cifar", "--scale", "full", *GOALS[goal], seed=seed)
        return Measured(seconds, {"test accuracy": said["metrics"]["test/accuracy"]})

    return run


def _bare(goal: float) -> Contender:
    """ResNet-18 for small pictures as in kuangliu/pytorch-cifar: batch 128, SGD, PIL images cropped
    and flipped.
    """

    def run(seed: int) -> Measured:
        import torch
        from benchmarks.beside.networks import ResNet18
        from benchmarks.beside.pictures import (
            Pictures,
            normalize,
            random_crop,
            random_flip,
            to_tensor,
        )
        from torch.nn.functional import cross_entropy
        from torch.utils.data import DataLoader

        train, test = _cifar()
        scale = normalize([0.4914, 0.4822, 0.4465], [0.2023, 0.1994, 0.2010])
        rows: Any = Pictures(*train, random_crop(4), random_flip, to_tensor, scale)
        tested: Any = Pictures(*test, to_tensor, scale)
        torch.manual_seed(seed)
        loader = DataLoader(rows, 128, shuffle=True, num_workers=WORKERS)
        held = DataLoader(tested, 100, num_workers=WORKERS)
        net = ResNet18()
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=EPOCHS)
        epochs, accuracy = 0, 0.0
        while accuracy < goal and epochs < EPOCHS:
            net.train()
            for x, y in loader:
                optimizer.zero_grad()
                cross_entropy(net(x), y).backward()
                optimizer.step()
            net.eval()
            with torch.no_grad():
                accuracy = sum(int((net(x).argmax(1) == y).sum()) for x, y in held) / len(tested)
            schedule.step()
            epochs += 1
            so_far(**{"test accuracy": accuracy, "epochs": epochs})
        return Measured(None, {"test accuracy": accuracy, "epochs": epochs})

    return run


def _cifar() -> list[tuple[Any, Any]]:
    """Of training and test: images (rows, 32, 32, 3) and labels, as arrays."""
    from etude import data
    from etude.errors import UserError

    try:
        pictures = data.cifar10()
    except UserError as error:
        raise ModuleNotFoundError(name="ETUDE_DATA") from error
    parts = pictures.train, pictures.test
    return [
        (part.inputs.permute(0, 2, 3, 1).contiguous().numpy(), part.labels.numpy())
        for part in parts
    ]


WORKS = [
    Work(
        f"cifar-{goal:g}",
        f"CIFAR-10 to a test accuracy of {goal:.2f}, from the start of the process",
        "s",
        aim,
        {"etude": _etude(goal), "bare loop, ResNet-18": _bare(goal)},
        repeat=1,
        goal=("test accuracy", goal),
        patience=patience,
        note=(
            f"Etude runs `{' '.join(['etude run cifar --scale full', *GOALS[goal]])}` to its end,"
            f" report included. The bare loop: batch 128, SGD, {WORKERS} processes that crop and"
            f" flip PIL images, {EPOCHS} epochs at most; it is stopped after {patience:g} times"
            " Etude's time."
        ),
    )
    for goal, aim, patience in ((0.90, "≥ 10 ×", 10.0), (0.94, "≤ 45 min", 2.0))
]
