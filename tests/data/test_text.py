"""Texts as numbers: words, hashes that never change, rows of different lengths."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from etude import UserError
from etude.data.ragged import Ragged
from etude.data.text import document_frequency, fingerprint, frequent, ngrams, subwords, words
from etude.training.batches import Batches

EXPECTED_ROW = [
    901876,
    525535,
    256735,
    977432,
    450540,
    448629,
    352327,
    565946,
    765752,
    254995,
    116501,
    981890,
]


def test_words_are_lower_case_with_their_apostrophes() -> None:
    assert words("Oil's PRICES rise 3.5%, don’t they?") == [
        "oil's",
        "prices",
        "rise",
        "3",
        "5",
        "%",
        "don't",
        "they",
        "?",
    ]
    assert words(" …! ") == ["!"]
    assert words("") == []


def test_subwords_mark_the_ends_of_a_word() -> None:
    assert subwords("oil", 4) == ["<oi", "oil", "il>", "<oil", "oil>"]
    assert subwords("oil", 2) == []


def test_the_hash_is_the_same_for_ever_and_in_every_process() -> None:
    """A changed value makes all networks that were kept useless."""
    assert fingerprint("oil") == 1_290_905_746
    assert ngrams(["Oil prices"], 1_000_003, letters=3).values.tolist() == EXPECTED_ROW
    code = (
        "from etude.data.text import ngrams; print(ngrams(['Oil prices'], 1_000_003,"
        " letters=3).values.tolist())"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == str(EXPECTED_ROW)


def test_a_row_holds_words_then_phrases_then_subwords() -> None:
    row = ngrams(["new york city"], 2**30, phrase=3, letters=0).values.tolist()
    assert len(row) == 3 + 2 + 1
    assert ngrams(["new york"], 2**30, phrase=2, letters=0).values.tolist() == [
        row[0],
        row[1],
        row[3],
    ]
    assert ngrams(["york new"], 2**30, phrase=2, letters=0).values.tolist()[2] != row[3], (
        "order matters in a phrase"
    )
    assert len(ngrams(["new york"], 2**30, phrase=1, letters=4)) == 1
    assert ngrams(["oil"], 7).values.max() < 7


def test_frequent_terms_and_document_frequency() -> None:
    texts = ["big cat", "big dog", "big cat cat"]
    assert set(frequent(texts, 2)) == {"big", "cat", "big cat"}
    assert frequent(texts, 3) == ["big"]
    rows = Ragged.of([[0, 1, 1], [1], [], [2, 0]])
    assert document_frequency(rows, 4).tolist() == [2, 2, 1, 0]


def test_ragged_rows_equal_a_loop() -> None:
    rows = [[1, 2, 3], [], [4], [5, 6], []]
    ragged = Ragged.of(rows)
    assert len(ragged) == 5
    assert ragged.lengths.tolist() == [3, 0, 1, 2, 0]
    for index in ([4, 0, 0, 3], [2], [], [1, 1], [0, 1, 2, 3, 4]):
        part = ragged[torch.tensor(index, dtype=torch.int64)]
        assert len(part) == len(index)
        cut = [
            part.values[a:b].tolist()
            for a, b in zip(part.offsets[:-1], part.offsets[1:], strict=True)
        ]
        assert cut == [rows[i] for i in index]


def test_ragged_rows_can_be_batched() -> None:
    ragged = Ragged.of([[i] * i for i in range(10)])
    seen = []
    for (rows, labels), _ in zip(
        Batches((ragged, torch.arange(10)), 5, seed=0), range(2), strict=False
    ):
        assert rows.lengths.tolist() == labels.tolist()
        seen += labels.tolist()
    assert sorted(seen) == list(range(10))


def test_offsets_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UserError, match="offsets"):
        Ragged(torch.arange(3), torch.tensor([0, 2]))
