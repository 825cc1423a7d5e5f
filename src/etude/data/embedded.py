"""Real data that lies inside the installed packages: no file, no network."""

from __future__ import annotations

import re

import numpy as np
import torch
from torch import Tensor

from etude.data.corpora import Corpus
from etude.data.labelled import Dataset, Labelled, hold_out
from etude.data.tables import SPLIT_SEED, table_of
from etude.errors import UserError


def uci_digits() -> Dataset[Tensor]:
    """The optical digits of the UCI repository in scikit-learn: uint8 (1437, 1, 8, 8) and (360, 1,
    8, 8), 0 to 16.

    A pixel counts the ink in a 4×4 block of a 32×32 bitmap; its values stay the set's own, 0
    (paper) to 16 (ink). scikit-learn ships the repository's test part only; here it is split once
    more, stratified, always the same way.

    References
    ----------
    E. Alpaydin, C. Kaynak: Optical Recognition of Handwritten Digits, UCI
    Machine Learning Repository (1998), https://doi.org/10.24432/C50P49
    """
    table = table_of("digits", "digits.csv.gz", delimiter=",")  # (1797, 64 pixels and the label)
    images = torch.from_numpy(table[:, :64].astype(np.uint8)).reshape(-1, 1, 8, 8)
    whole = Labelled(images, torch.from_numpy(table[:, 64].astype(np.int64)))
    train, test = hold_out(whole, 360, torch.Generator().manual_seed(SPLIT_SEED))
    source = (
        "E. Alpaydin, C. Kaynak: Optical Recognition of Handwritten Digits (UCI, 1998); the 1,797"
        " in scikit-learn"
    )
    return Dataset(train, test, tuple("0123456789"), source)


# Help topics of Python, by what they are about. A topic that a version of Python lacks is left out.
TOPICS: dict[str, tuple[str, ...]] = {
    "text": ("string-methods", "formatstrings", "strings"),
    "debugger": ("debugger",),
    "containers": ("typesseq", "typesmapping", "typesseq-mutable", "dict", "lists", "slicings"),
    "statements": (
        "compound",
        "try",
        "with",
        "function",
        "class",
        "for",
        "while",
        "if",
        "assert",
        "del",
        "return",
        "yield",
        "raise",
        "break",
        "continue",
        "pass",
        "global",
        "nonlocal",
        "async",
        "assignment",
        "augassign",
        "else",
    ),
    "special methods": ("specialnames", "customization", "attribute-access"),
}
WORDS = 80  # of one passage
SHARED = 12  # words in a row that no training and test passage may share


def pydoc_topics() -> Dataset[tuple[str, ...]]:
    """Passages of 80 words from Python's own help texts, to be told apart by subject: 5 classes,
    some 430 passages.

    The help topics repeat each other; a paragraph is used once, and not at all where two subjects
    have it. A quarter of the passages of each class is the test part, and a training passage that
    shares 12 words in a row with it is dropped. The texts, and with them the counts, differ a
    little between versions of Python.

    Raises
    ------
    UserError
        if this Python was installed without its help texts

    References
    ----------
    The Python Language Reference and Library Reference, as `pydoc_data.topics` has them
    """
    passages = _passages(_help_topics())
    if any(len(texts) < 8 for texts in passages.values()):
        raise UserError(
            "the help texts of this Python, pydoc_data.topics, are not what they should be: a"
            " subject lacks text"
        )
    texts = tuple(text for group in passages.values() for text in group)
    labels = torch.tensor([k for k, group in enumerate(passages.values()) for _ in group])
    generator = torch.Generator().manual_seed(SPLIT_SEED)
    train, test = hold_out(Labelled(texts, labels), len(texts) // 4, generator)
    in_test = {run for text in test.inputs for run in _runs(text)}
    train = train[[i for i, text in enumerate(train.inputs) if in_test.isdisjoint(_runs(text))]]
    return Dataset(train, test, tuple(passages), "the help topics of Python (pydoc_data.topics)")


def python_help() -> Corpus:
    """Python's own help texts, some 370,000 characters of English with bits of code; the last tenth
    is the test part.

    The topics, in the order of their names, repeat each other: a paragraph stands only where it
    comes first. A training paragraph that shares 12 words in a row with the test part is dropped.
    The texts differ a little between versions of Python.

    Raises
    ------
    UserError
        if this Python was installed without its help texts

    References
    ----------
    The Python Language Reference and Library Reference, as `pydoc_data.topics` has them
    """
    topics = _help_topics()
    paragraphs: dict[str, str] = {}
    for name in sorted(topics):
        for text in re.split(r"\n\s*\n", topics[name]):
            paragraphs.setdefault(_plain(text), text.rstrip())
    texts = [text for key, text in paragraphs.items() if key]
    at, tenth = len(texts) - 1, sum(map(len, texts)) / 10
    while sum(map(len, texts[at:])) < tenth:
        at -= 1
    train, test = texts[:at], "\n\n".join(texts[at:])
    in_test = _runs(test)
    train = [text for text in train if in_test.isdisjoint(_runs(text))]
    return Corpus("\n\n".join(train), test, "the help topics of Python (pydoc_data.topics)")


def _help_topics() -> dict[str, str]:
    try:
        from pydoc_data.topics import topics
    except ImportError as error:
        raise UserError(
            "this Python has no pydoc_data.topics, its help texts; a full installation of Python"
            " has them"
        ) from error
    return topics


def _passages(topics: dict[str, str]) -> dict[str, list[str]]:
    """For each subject its paragraphs, each once and of no other subject, joined and cut into
    passages.
    """
    paragraphs = {
        subject: {
            _plain(text): text
            for name in names
            for text in re.split(r"\n\s*\n", topics.get(name, ""))
        }
        for subject, names in TOPICS.items()
    }
    passages: dict[str, list[str]] = {}
    for subject, own in paragraphs.items():
        others = {key for other, keys in paragraphs.items() if other != subject for key in keys}
        words = [
            word
            for key, text in own.items()
            if key not in others and key.count(" ") >= 3
            for word in re.sub(
                r"[*=~+|-]{3,}", " ", text
            ).split()  # the lines under headings and around tables
        ]
        passages[subject] = [
            " ".join(words[i : i + WORDS]) for i in range(0, len(words) - WORDS // 2, WORDS)
        ]
    return passages


def _plain(text: str) -> str:
    return " ".join(re.findall(r"[a-z0-9]+", text.lower()))


def _runs(text: str) -> set[str]:
    words = _plain(text).split()
    return {" ".join(words[i : i + SHARED]) for i in range(len(words) - SHARED + 1)}
