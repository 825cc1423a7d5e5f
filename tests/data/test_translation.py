"""Sentences in two languages."""

from __future__ import annotations

import gzip

import pytest

from etude import data
from etude.data.translation import in_words
from etude.errors import UserError


def test_numbers_in_words() -> None:
    pairs = in_words([21, 762_421])
    assert pairs.source[0] == "twenty-one"
    assert pairs.target == (
        "einundzwanzig",
        "siebenhundertzweiundsechzigtausendvierhunderteinundzwanzig",
    )


def test_the_parts_are_different_numbers_and_the_same_ones_always() -> None:
    few, more = data.number_words(50, 30), data.number_words(80, 30)
    assert [len(part) for part in (few.train, few.validation, few.test)] == [50, 30, 1_000]
    assert (few.test, few.validation) == (more.test, more.validation)
    assert more.train.source[:50] == few.train.source
    everything = more.train.source + more.validation.source + more.test.source
    assert len(set(everything)) == len(everything)
    with pytest.raises(UserError, match="expected 998,500 at most"):
        data.number_words(999_999)


def written(folder, name: str, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(gzip.compress(text.encode()))


def test_captions_are_read_from_files(home) -> None:
    folder = home / "data" / "multi30k"
    for name in ("train", "val", "test_2016_flickr", "test_2017_flickr"):
        written(folder, f"{name}.en.gz", f"A {name}.\nTwo.\n")
        written(folder, f"{name}.de.gz", f"Ein {name}.\nZwei, schön.\n")
    found = data.multi30k()
    assert found.train == data.Pairs(("A train.", "Two."), ("Ein train.", "Zwei, schön."))
    assert found.validation.source[0] == "A val."
    assert found.test.target[0] == "Ein test_2016_flickr."
    written(folder, "val.de.gz", "Nur eine.\n")
    with pytest.raises(UserError, match=r"val\.en\.gz of multi30k has 2 lines and val\.de\.gz 1"):
        data.multi30k()
    (folder / "val.de.gz").write_bytes(b"no gzip")
    with pytest.raises(UserError, match="cannot be read as gzip'd text"):
        data.multi30k()


def test_the_real_captions(real) -> None:
    real("multi30k")
    found = data.multi30k()
    assert [len(part) for part in (found.train, found.validation, found.test)] == [
        29_000,
        1_014,
        1_000,
    ]
    assert found.train.source[0].startswith("Two young, White males")
