"""A script that several processes carry out together: a convolutional network, then a GPT, in
double precision.
"""

from __future__ import annotations

import argparse
import math
import os
import signal
from collections.abc import Sequence
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import LambdaLR

import etude
from etude.networks.gpt import GPT
from etude.networks.strided import StridedCNN
from etude.runs.stage import ROWS
from etude.training.batches import Batches
from etude.training.evaluation import accuracy, outputs
from etude.training.optimizers import descent
from etude.training.schedules import one_cycle

STEPS = 40  # of each stage


def carry_out(rank: int, size: int, port: int, words: Sequence[str], said: str) -> None:
    """Be process ``rank`` of ``size``, as by torchrun; what goes wrong is said in a file."""
    if size > 1:
        os.environ |= {
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(size),
            "LOCAL_WORLD_SIZE": str(size),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
        }
    with Path(said).open("w") as file:
        os.dup2(file.fileno(), 2)
    main(words)


def main(words: Sequence[str] | None = None) -> None:
    """Both stages; the second is left by ``break``, between two rows of the log, and each process
    then asks for the curves.

    ``--stop-at`` asks for a stop at that step, counted through both; ``--die-at`` kills the last
    process, the first time that it is there; ``--err-at`` makes its loss NaN; ``--by-hand``
    takes steps without averaging the gradients.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", required=True)
    parser.add_argument("--resume")
    parser.add_argument("--strategy", default="ddp")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--stop-at", type=int, default=-1)
    parser.add_argument("--die-at", type=int, default=-1)
    parser.add_argument("--err-at", type=int, default=-1)
    parser.add_argument("--by-hand", action="store_true")
    parser.add_argument("--every", type=float, default=None)
    options = parser.parse_args(words)
    torch.set_num_threads(1)
    torch.set_default_dtype(
        torch.float64
    )  # so that rounding stays small, and only a mistake can be large
    again = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") != "0"
    run = etude.Run(
        "shared",
        seed=5,
        root=options.root,
        resume=options.resume,
        strategy=options.strategy,
        precision="fp32",
        checkpoint_every=options.every,
        quiet=True,
    )
    with run:
        images, labels = (
            torch.rand(150, 1, 8, 8),
            torch.arange(150) % 10,
        )  # 150 rows: batches of 32 span the epochs
        net = run.place(StridedCNN(1, 8, 10, width=8))
        optimizer = descent("adamw", net, 1e-2, 0.1)
        schedule = LambdaLR(optimizer, one_cycle(options.steps))
        train = (images, labels)
        for x, y in run.steps(
            Batches(train, 31), options.steps, state=(net, optimizer, schedule), name="images"
        ):
            last = run.workers.rank == run.workers.size - 1
            loss = cross_entropy(net(x), y) * (
                math.nan if last and run.step == options.err_at else 1
            )
            if options.by_hand:
                loss.backward()
                optimizer.step()
            else:
                run.minimise(loss, optimizer, schedule, clip=1.0)
            run.log(loss=loss)
            if run.step == options.stop_at and run.workers.first:
                os.kill(os.getpid(), signal.SIGTERM)
            if run.step == options.die_at and last and not again:
                os.kill(os.getpid(), signal.SIGKILL)
        run.result({"accuracy": accuracy(outputs(net, images), labels)})
        run.keep(net)

        text = torch.randint(50, (64, 17))
        gpt = run.place(GPT(50, 32, 4, 2, 16))
        optimizer = descent("adamw", gpt, 3e-3, 0.1)
        for (rows,) in run.steps(
            Batches((text,), 16), 3 * ROWS, state=(gpt, optimizer), name="text"
        ):
            loss = cross_entropy(gpt(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())
            run.minimise(loss, optimizer)
            run.log(loss=loss)
            if options.steps + run.step == options.stop_at and run.workers.first:
                os.kill(os.getpid(), signal.SIGTERM)
            if run.step + 1 == options.steps:
                break
        last_row = run.curves()["loss"]["text"][0][-1]
        if last_row != options.steps:
            raise AssertionError(f"the log ends at step {last_row}; expected {options.steps}")
        run.result(
            {"nats": cross_entropy(outputs(gpt, text[:, :-1]).flatten(0, 1), text[:, 1:].flatten())}
        )
        run.keep(gpt, "gpt")


if __name__ == "__main__":
    main()
