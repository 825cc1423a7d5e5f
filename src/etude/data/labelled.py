"""Inputs with their labels, a data set in two parts, and honest ways to part it further."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor

from etude.errors import UserError

Inputs = TypeVar("Inputs", Tensor, tuple[str, ...])


@dataclass(frozen=True, eq=False)
class Labelled(Generic[Inputs]):
    """`inputs`, a tensor (n, …) or n texts, and `labels`: classes, int64 (n,), or numbers to
    predict, float32 (n,).

    Its length is n, an index (tensor, slice or list of numbers) gives those examples, and `pair` is
    what a study hands on: ``Batches(data.train.pair, 128)``.
    """

    inputs: Inputs
    labels: Tensor

    def __post_init__(self) -> None:
        if len(self.inputs) != len(self.labels):
            raise UserError(
                f"there are {len(self.inputs):,} inputs, and {len(self.labels):,} labels for them"
            )

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        each = (
            "text"
            if isinstance(self.inputs, tuple)
            else f"{str(self.inputs.dtype)[6:]} {tuple(self.inputs.shape[1:])}"
        )
        return f"Labelled({len(self):,} × {each})"

    def __getitem__(self, index: Tensor | slice | Sequence[int]) -> Labelled[Inputs]:
        if isinstance(index, int):
            raise TypeError("an index is a tensor, a slice or a list; .pair gives (inputs, labels)")
        if isinstance(index, slice):
            return Labelled(self.inputs[index], self.labels[index])
        index = index if isinstance(index, Tensor) else torch.tensor(index, dtype=torch.long)
        if index.dtype == torch.bool:
            index = index.nonzero().squeeze(1)
        if isinstance(self.inputs, tuple):
            return Labelled(tuple(self.inputs[i] for i in index.tolist()), self.labels[index])
        return Labelled(self.inputs[index], self.labels[index])

    @property
    def pair(self) -> tuple[Inputs, Tensor]:
        """``(inputs, labels)``."""
        return self.inputs, self.labels


@dataclass(frozen=True, eq=False)
class Dataset(Generic[Inputs]):
    """A training and a test part, the names of the classes, and in `source` what it is and who made
    it.
    """

    train: Labelled[Inputs]
    test: Labelled[Inputs]
    classes: tuple[str, ...]
    source: str


def hold_out(
    split: Labelled[Inputs], n: int, generator: torch.Generator | None = None
) -> tuple[Labelled[Inputs], Labelled[Inputs]]:
    """Part `split` into (train, validation) with n examples in the second, each class in proportion
    to its share.

    Numbers to predict are no classes: they are parted at random.

    Both keep the order of `split`. Classes whose share is no whole number are rounded by largest
    remainder.

    Raises
    ------
    UserError
        if n is not between 1 and ``len(split) - 1``
    """
    if not 0 < n < len(split):
        raise UserError(
            f"{n:,} of {len(split):,} examples cannot be held out; from 1 to {len(split) - 1:,} can"
        )
    labels = _classes(split)
    count = torch.bincount(labels)  # (classes,)
    share = count.double() * n / len(split)
    quota = share.floor().long()
    quota[(share - quota).argsort(descending=True, stable=True)[: n - int(quota.sum())]] += 1
    held = torch.zeros(len(split), dtype=torch.bool)
    for k in range(len(count)):
        members = (labels == k).nonzero().squeeze(1)
        held[members[torch.randperm(len(members), generator=generator)[: quota[k]]]] = True
    return split[~held], split[held]


def folds(
    split: Labelled[Inputs], k: int, generator: torch.Generator | None = None
) -> Iterator[tuple[Labelled[Inputs], Labelled[Inputs]]]:
    """The k pairs (train, validation) of stratified cross-validation; each example is in one
    validation part.

    Raises
    ------
    UserError
        if k is not between 2 and ``len(split)``
    """
    if not 2 <= k <= len(split):
        raise UserError(
            f"{len(split):,} examples cannot be parted into {k} folds; 2 to {len(split):,} can be"
            " made"
        )
    shuffled = torch.randperm(len(split), generator=generator)
    by_class = shuffled[_classes(split)[shuffled].argsort(stable=True)]
    fold = torch.empty(len(split), dtype=torch.long)
    fold[by_class] = torch.arange(len(split)) % k  # classes are dealt out one after the other
    return ((split[fold != i], split[fold == i]) for i in range(k))


def _classes(split: Labelled[Inputs]) -> Tensor:
    """What to stratify by. int64 (n,)."""
    return (
        torch.zeros(len(split), dtype=torch.long)
        if split.labels.is_floating_point()
        else split.labels
    )
