"""A script in two stages that uses all the randomness a study may use; the tests kill it and resume
it.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import LambdaLR

import etude
from etude.training.augmentation import random_affine
from etude.training.batches import Batches
from etude.training.best import Best
from etude.training.evaluation import accuracy, outputs
from etude.training.optimizers import descent
from etude.training.schedules import one_cycle

STEPS = 30


def train(
    root: str,
    resume: str | None = None,
    kill_in_write: int | None = None,
    after_rename: bool = False,
) -> None:
    """Run to the end; ``kill_in_write``: die at that file's writing, before or after it gets its
    name.
    """
    torch.set_num_threads(1)
    if kill_in_write is not None:
        die_in_write(kill_in_write, after_rename)
    with etude.Run(
        "durable", seed=3, root=root, resume=resume, checkpoint_every=1e-9, quiet=True
    ) as run:
        images, labels = torch.rand(96, 1, 8, 8), torch.arange(96) % 4
        net = run.place(
            nn.Sequential(
                nn.Conv2d(1, 6, 3),
                nn.BatchNorm2d(6),
                nn.ReLU(),
                nn.Flatten(),
                nn.Dropout(0.3),
                nn.Linear(216, 4),
            )
        )
        for stage in range(2):
            optimizer = descent("adamw", net, 0.01, 0.1)
            schedule = LambdaLR(optimizer, one_cycle(STEPS))
            best = Best(net)
            batches = Batches((images, labels), 16, augment=lambda x, g: random_affine(x, g, 20, 1))
            state = (net, optimizer, schedule, best)
            for x, y in run.steps(batches, STEPS, state=state, name=f"stage {stage}"):
                loss = cross_entropy(net(x + 0.01 * float(np.random.rand())), y)
                run.minimise(loss, optimizer, schedule, clip=1.0, accumulate=2)
                run.log(loss=loss)
                if run.every(7):
                    value = accuracy(outputs(net, images), labels)
                    run.log(**{"validation/accuracy": value})
                    best.update(value)
            best.restore()
            labels = labels[torch.randperm(96)]  # random draws between the stages
            run.log(shuffled=float(labels[0]))
        run.result({"train/accuracy": accuracy(outputs(net, images), labels)})
        run.keep(net)


def die_in_write(number: int, after_rename: bool) -> None:
    """Kill this process at the ``number``-th file that is renamed into place."""
    replace, count = Path.replace, 0

    def deadly(self: Path, target: Path) -> Path:
        nonlocal count
        count += 1
        if count == number and not after_rename:
            with self.open("r+b") as file:  # as if the disk had got half of it
                file.truncate(self.stat().st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)
        done = replace(self, target)
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    Path.replace = deadly  # type: ignore[method-assign]
