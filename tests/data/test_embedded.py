import sys

import pytest
import torch

from etude import data
from etude.data.embedded import SHARED, _runs
from etude.errors import UserError


def test_uci_digits_are_scikit_learns():
    from sklearn.datasets import load_digits

    digits = data.uci_digits()
    assert digits.train.inputs.shape == (1437, 1, 8, 8)
    assert digits.test.inputs.shape == (360, 1, 8, 8)
    assert digits.train.inputs.dtype == torch.uint8
    assert int(digits.train.inputs.max()) == 16
    rows = torch.cat([digits.train.inputs, digits.test.inputs]).flatten(1)
    labels = torch.cat([digits.train.labels, digits.test.labels])
    mine = sorted([*row, label] for row, label in zip(rows.tolist(), labels.tolist(), strict=True))
    theirs = load_digits()
    assert mine == sorted(
        [*map(int, row), int(label)] for row, label in zip(theirs.data, theirs.target, strict=True)
    )


def test_without_the_table_scikit_learn_is_asked(monkeypatch):
    expected = data.uci_digits()
    monkeypatch.setattr("etude.data.tables.find_spec", lambda name: None)
    assert torch.equal(data.uci_digits().train.inputs, expected.train.inputs)


def test_the_split_is_stratified_and_no_runs_seed_moves_it():
    torch.manual_seed(1)
    first = data.uci_digits()
    torch.manual_seed(2)
    assert torch.equal(data.uci_digits().test.inputs, first.test.inputs)
    share = torch.bincount(first.test.labels) / torch.bincount(first.train.labels)
    assert float(share.max() - share.min()) < 0.02


def test_no_digit_is_in_both_parts():
    digits = data.uci_digits()
    train, test = (
        {tuple(x.flatten().tolist()) for x in part.inputs} for part in (digits.train, digits.test)
    )
    assert train.isdisjoint(test)


def test_topics_share_no_text_between_the_parts():
    topics = data.pydoc_topics()
    assert len(topics.classes) == 5
    assert len(topics.train) > 200
    assert len(topics.test) > 80
    assert torch.bincount(topics.train.labels).min() >= 15
    train, test = (
        {run for text in part.inputs for run in _runs(text)} for part in (topics.train, topics.test)
    )
    assert SHARED == 12
    assert train
    assert train.isdisjoint(test)
    assert len({*topics.train.inputs, *topics.test.inputs}) == len(topics.train) + len(topics.test)
    assert data.pydoc_topics().test.inputs == topics.test.inputs


def test_topics_are_learnt_by_a_bag_of_words():
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import RidgeClassifier
    from sklearn.pipeline import make_pipeline

    topics = data.pydoc_topics()
    model = make_pipeline(TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), RidgeClassifier())
    model.fit(topics.train.inputs, topics.train.labels.numpy())
    assert model.score(topics.test.inputs, topics.test.labels.numpy()) >= 0.9


def test_a_python_without_help_texts(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    with pytest.raises(UserError, match=r"no pydoc_data\.topics"):
        data.pydoc_topics()


@pytest.mark.parametrize(
    ("name", "train", "test", "classes"),
    [
        ("iris", 113, 37, 3),
        ("wine", 134, 44, 3),
        ("breast_cancer", 427, 142, 2),
        ("diabetes", 332, 110, 0),
    ],
)
def test_tables_are_scikit_learns(name, train, test, classes, monkeypatch):
    import sklearn.datasets

    table = getattr(data, name)()
    assert (len(table.train), len(table.test), len(table.classes)) == (train, test, classes)
    options = {"scaled": False} if name == "diabetes" else {}
    inputs, labels = getattr(sklearn.datasets, f"load_{name}")(return_X_y=True, **options)
    rows = torch.cat([table.train.inputs, table.test.inputs])
    targets = torch.cat([table.train.labels, table.test.labels])
    mine = sorted([*row, label] for row, label in zip(rows.tolist(), targets.tolist(), strict=True))
    theirs = torch.from_numpy(inputs).float().tolist()
    assert mine == sorted([*row, label] for row, label in zip(theirs, labels.tolist(), strict=True))
    monkeypatch.setattr("etude.data.tables.find_spec", lambda name: None)
    assert torch.equal(
        getattr(data, name)().test.inputs, table.test.inputs
    )  # without the file, from the loader
