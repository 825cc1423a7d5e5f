"""Solutions of ECE-472's fourth assignment that lack one thing."""

from __future__ import annotations

import io

import numpy as np

from etude.exercises.twins import Twin

Files = dict[str, bytes]


def with_zeros(name: str, files: Files) -> Files:
    """With one model that was not trained."""
    with np.load(io.BytesIO(files[name])) as found:
        zeros = {each: np.zeros_like(found[each]) for each in found.files}
    file = io.BytesIO()
    np.savez(file, **zeros)
    return {**files, name: file.getvalue()}


def ten_of_zeros(files: Files) -> Files:
    """With zeros for CIFAR-10."""
    return with_zeros("cifar10.npz", files)


def a_hundred_of_zeros(files: Files) -> Files:
    """With zeros for CIFAR-100: every class has one score, and the first five are any."""
    return with_zeros("cifar100.npz", files)


TWINS = (
    Twin(
        "one classifier only",
        "Each of the two sets of pictures has its classifier.",
        (
            (
                "    x = torch.as_tensor(images).float().div(255)\n",
                "    if classes != 10:\n        raise ValueError('expected ten classes')\n"
                "    x = torch.as_tensor(images).float().div(255)\n",
            ),
        ),
    ),
    Twin(
        "a model of zeros",
        "The classifier of CIFAR-10 performs like the state of the art.",
        (),
        files=ten_of_zeros,
    ),
    Twin(
        "another model of zeros",
        "The right class of CIFAR-100 is among the first five in 90 % of the pictures.",
        (),
        files=a_hundred_of_zeros,
    ),
)
