"""Digits in three parts, as pictures from 0 to 1 beside their labels."""

from __future__ import annotations

from torch import Tensor

from etude import Run, data, training

Part = tuple[Tensor, Tensor]  # pictures (n, 1, side, side) from 0 to 1, labels (n,)


def split_digits(run: Run, dataset: str, held_out: float) -> tuple[Part, Part, Part]:
    """Training, validation and test digits, on the run's device.

    Args:
        run: chooses the validation digits at random.
        dataset: ``uci`` (8×8 pixels) or ``mnist`` (28×28 pixels).
        held_out: the fraction of the training data that is kept for validation.
    """
    digits = data.uci_digits() if dataset == "uci" else data.mnist()
    largest = 16 if dataset == "uci" else 255
    n = round(held_out * len(digits.train))
    parts = (*training.split(run, digits.train, n), digits.test)
    train, validation, test = (
        (run.place(part.inputs.float() / largest), run.place(part.labels)) for part in parts
    )
    return train, validation, test
