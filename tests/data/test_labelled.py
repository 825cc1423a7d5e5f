import subprocess
import sys

import pytest
import torch

from etude.data import Labelled, folds, hold_out
from etude.errors import UserError


def split(n=100):
    labels = torch.tensor([0] * (n // 2) + [1] * (n // 5) + [2] * (n - n // 2 - n // 5))
    return Labelled(torch.arange(n)[:, None], labels)


def test_length_index_and_pair():
    part = split()
    assert len(part) == 100
    assert part[10:20].inputs.squeeze(1).tolist() == list(range(10, 20))
    assert len(part[part.labels == 1]) == 20
    assert part[[3, 1]].inputs.squeeze(1).tolist() == [3, 1]
    inputs, labels = part.pair
    assert inputs is part.inputs
    assert labels is part.labels
    text = Labelled(("a", "b", "c"), torch.tensor([0, 1, 2]))
    assert text[torch.tensor([2, 0])].inputs == ("c", "a")
    assert text[torch.tensor([True, False, True])].inputs == ("a", "c")
    assert text[1:].inputs == ("b", "c")
    assert len(text[[]]) == 0
    assert repr(part) == "Labelled(100 × int64 (1,))"
    assert repr(text) == "Labelled(3 × text)"


def test_it_is_not_taken_apart_by_mistake():
    with pytest.raises(TypeError, match="pair"):
        _inputs, _labels = split()
    with pytest.raises(UserError, match="3 inputs, and 2 labels"):
        Labelled(torch.zeros(3), torch.zeros(2))


@pytest.mark.parametrize("n", [1, 7, 20, 99])
def test_hold_out_is_exact_stratified_and_disjoint(n):
    part = split()
    train, validation = hold_out(part, n, torch.Generator().manual_seed(0))
    assert (len(train), len(validation)) == (100 - n, n)
    assert sorted(
        [*train.inputs.squeeze(1).tolist(), *validation.inputs.squeeze(1).tolist()]
    ) == list(range(100))
    count = torch.bincount(validation.labels, minlength=3)
    assert (count - torch.tensor([0.5, 0.2, 0.3]) * n).abs().max() < 1
    again = hold_out(part, n, torch.Generator().manual_seed(0))[1]
    assert torch.equal(again.inputs, validation.inputs)


@pytest.mark.parametrize("n", [-1, 0, 100, 101])
def test_hold_out_needs_something_on_both_sides(n):
    with pytest.raises(UserError, match="cannot be held out"):
        hold_out(split(), n)


@pytest.mark.parametrize("k", [2, 3, 7, 100])
def test_folds_cover_all_once(k):
    parts = list(folds(split(), k, torch.Generator().manual_seed(0)))
    assert len(parts) == k
    assert sorted(i for _, each in parts for i in each.inputs.squeeze(1).tolist()) == list(
        range(100)
    )
    for train, validation in parts:
        assert len(train) + len(validation) == 100
        count = torch.bincount(validation.labels, minlength=3)
        assert (count - torch.tensor([50, 20, 30]) / k).abs().max() <= 1
    with pytest.raises(UserError, match="folds"):
        folds(split(), 1)


def test_the_room_and_its_registry_import_nothing_heavy():
    code = (
        "import sys, etude.data; from etude.data import SETS, present; [present(name) for name in"
        " SETS]; heavy = {'torch', 'numpy', 'requests', 'sklearn', 'PIL', 'matplotlib'} &"
        " set(sys.modules); assert not heavy, heavy; assert set(etude.data.__all__) <="
        " set(dir(etude.data)); [getattr(etude.data, name) for name in etude.data.__all__]; heavy ="
        " {'requests', 'sklearn', 'PIL', 'matplotlib'} & set(sys.modules); assert not"
        " heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_wrong_name_is_no_attribute():
    import etude.data

    with pytest.raises(AttributeError, match="mnits"):
        _ = etude.data.mnits
