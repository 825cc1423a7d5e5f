"""Sentences in English and in German: number words, and captions of pictures."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path

import torch

from etude.data.store import obtain
from etude.data.tables import SPLIT_SEED
from etude.errors import UserError

NUMBERS = 1_000_000  # from 0
TESTED = 1_000  # of them
LARGEST = 1 << 26  # bytes of one file of captions, unpacked; the largest has 2 MB


@dataclass(frozen=True)
class Pairs:
    """Sentence i of the first is translated by sentence i of the second."""

    source: tuple[str, ...]
    target: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.source)


@dataclass(frozen=True)
class Parallel:
    """Pairs to learn from, to choose by, and to be measured on, and where they come from."""

    train: Pairs
    validation: Pairs
    test: Pairs
    source: str


def number_words(train: int, validation: int = 500) -> Parallel:
    """Numbers below a million in words, English and German: "twenty-one", "einundzwanzig".

    A thousand are tested; they, those for validation and those of training are different numbers,
    always the same ones.

    Raises
    ------
    UserError
        if there are not so many numbers
    """
    if train + validation + TESTED > NUMBERS:
        raise UserError(
            f"{train:,} numbers to train on are too many; expected"
            f" {NUMBERS - TESTED - validation:,} at most"
        )
    order = torch.randperm(NUMBERS, generator=torch.Generator().manual_seed(SPLIT_SEED)).tolist()
    parts = (
        order[:TESTED],
        order[TESTED : TESTED + validation],
        order[TESTED + validation :][:train],
    )
    test, checked, trained = (in_words(numbers) for numbers in parts)
    return Parallel(trained, checked, test, "numbers from 0 to 999,999 in words (num2words)")


def in_words(numbers: list[int]) -> Pairs:
    """Each number in English and in German."""
    from num2words import num2words

    english, german = (tuple(num2words(n, lang=lang) for n in numbers) for lang in ("en", "de"))
    return Pairs(english, german)


def multi30k() -> Parallel:
    """Captions of pictures, 29,000 to learn from, 1,014 to choose by, and the 1,000 of the test of
    2016.

    Raises
    ------
    UserError
        if a file is not there and can't be downloaded, or is damaged
    """
    found = obtain("multi30k")
    parts = []
    for name in ("train", "val", "test_2016_flickr"):
        english, german = (
            _lines(found.paths[f"{name}.{language}.gz"]) for language in ("en", "de")
        )
        if len(english) != len(german) or not english:
            raise UserError(
                f"{name}.en.gz of multi30k has {len(english):,} lines and {name}.de.gz"
                f" {len(german):,}; expected as many, at least one"
            )
        parts.append(Pairs(english, german))
    train, validation, test = parts
    return Parallel(train, validation, test, found.set.source)


def _lines(path: Path) -> tuple[str, ...]:
    try:
        with gzip.open(path) as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise UserError(
                f"{path} unpacks to more than {LARGEST:,} bytes; expected some captions of pictures"
            )
        return tuple(line.strip() for line in content.decode("utf-8").splitlines())
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as gzip'd text: {error}") from error
