"""The texts of both languages, and the pieces of words that are learned from them."""

from __future__ import annotations

from functools import lru_cache

from etude import data
from etude.data.pieces import Pieces


@lru_cache(maxsize=2)
def load_texts(dataset: str, pairs: int) -> data.Parallel:
    """The texts of a data set; of numbers, the first ``pairs`` to train with."""
    return data.multi30k() if dataset == "multi30k" else data.number_words(pairs)


@lru_cache(maxsize=2)
def learn_pieces(dataset: str, pairs: int, vocabulary: int) -> Pieces:
    """The pieces of both languages; a thousand numbers contain all that there is to join."""
    train = load_texts(dataset, pairs).train
    some = 1_000 if dataset == "numbers" else len(train)
    return Pieces((*train.source[:some], *train.target[:some]), vocabulary)
