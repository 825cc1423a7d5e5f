"""Texts of many pages: a part to learn from, and a part to be measured on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from etude.data.store import obtain
from etude.errors import UserError


@dataclass(frozen=True)
class Corpus:
    """Training and test part of one text, and where it comes from."""

    train: str
    test: str
    source: str


def tiny_shakespeare() -> Corpus:
    """Forty thousand lines of Shakespeare's plays, 1,115,394 characters; the last tenth is the test
    part.

    It is cut where nanoGPT cuts it, which calls the second part validation.

    Raises
    ------
    UserError
        if the file is not there and can't be downloaded, or is no text
    """
    found = obtain("tiny-shakespeare")
    path = found.paths["input.txt"]
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as text: {error}") from error
    if not text:
        raise UserError(f"{path} should hold the plays of Shakespeare, and is empty")
    at = int(0.9 * len(text))
    return Corpus(text[:at], text[at:], found.set.source)


def bytes_of(text: str) -> Tensor:
    """The bytes of a text in UTF-8, as whole numbers from 0 to 255: (n,), int64.

    Raises
    ------
    UserError
        if it holds what is no character, as a terminal's word in another encoding does
    """
    try:
        encoded = text.encode()
    except UnicodeEncodeError as error:
        raise UserError(
            f"sign {error.start + 1:,} of the text is no character; expected text in UTF-8"
        ) from error
    return torch.from_numpy(np.frombuffer(encoded, np.uint8).astype(np.int64))
