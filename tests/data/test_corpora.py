import re

import pytest

from etude import data
from etude.errors import UserError


def words(text):
    return re.findall(r"[a-z0-9]+", text.lower())


def test_the_help_texts_of_python_are_split_without_overlap():
    corpus = data.python_help()
    assert len(corpus.train) > 200_000
    assert 0.07 < len(corpus.test) / len(corpus.train) < 0.15
    runs = [
        {tuple(found[i : i + 12]) for i in range(len(found) - 11)}
        for found in (words(corpus.test), *map(words, corpus.train.split("\n\n")))
    ]
    assert all(runs[0].isdisjoint(others) for others in runs[1:])
    paragraphs = [" ".join(words(text)) for text in corpus.train.split("\n\n")]
    assert len(set(paragraphs)) == len(paragraphs)


def test_what_training_shares_with_the_test_part_is_dropped(monkeypatch):
    shared = "one two three four five six seven eight nine ten eleven twelve"
    topics = {
        "a": f"Kept as it is.\n\nSo {shared}, said he.\n\nAlso  kept.",
        "b": "x" * 20,
        "c": f"Not {shared}.",
    }
    monkeypatch.setattr("pydoc_data.topics.topics", topics)
    assert data.python_help().train == f"Kept as it is.\n\nAlso  kept.\n\n{'x' * 20}"
    assert data.python_help().test == f"Not {shared}."


def test_bytes():
    assert data.bytes_of("aé").tolist() == [97, 195, 169]
    assert data.bytes_of("").shape == (0,)
    with pytest.raises(UserError, match="sign 2 of the text is no character"):
        data.bytes_of("a\udcff")


def test_the_plays_are_cut_after_nine_tenths(home):
    folder = home / "data" / "tiny-shakespeare"
    folder.mkdir(parents=True)
    (folder / "input.txt").write_text("First Citizen:\nSpeak")
    corpus = data.tiny_shakespeare()
    assert (corpus.train, corpus.test) == ("First Citizen:\nSpe", "ak")
    (folder / "input.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match=r"input\.txt cannot be read as text"):
        data.tiny_shakespeare()
    (folder / "input.txt").write_text("")
    with pytest.raises(UserError, match="is empty"):
        data.tiny_shakespeare()


def test_the_real_plays(real):
    real("tiny-shakespeare")
    corpus = data.tiny_shakespeare()
    assert (len(corpus.train), len(corpus.test)) == (1_003_854, 111_540)
    assert len(set(corpus.train)) == 65
    assert all(state.intact for state in data.verify("tiny-shakespeare"))
