from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from etude.training.batches import Batches, Windows


def test_every_row_comes_once_an_epoch_and_every_batch_is_full() -> None:
    batches = Batches((torch.arange(10),), 4, seed=1)
    drawn = torch.cat([x for (x,) in islice(iter(batches), 15)])  # 60 rows: six epochs
    assert all(len(batches.batch(k)[0]) == 4 for k in range(5))
    for epoch in drawn.view(6, 10):
        assert sorted(epoch.tolist()) == list(range(10))
    assert len({tuple(epoch.tolist()) for epoch in drawn.view(6, 10)}) > 1  # orders differ


def test_a_batch_larger_than_the_data_repeats_it() -> None:
    (x,) = Batches((torch.arange(3),), 7, seed=0).batch(0)
    assert torch.bincount(x).tolist() in ([3, 2, 2], [2, 3, 2], [2, 2, 3])


def test_a_batch_depends_on_seed_and_number_alone() -> None:
    def stream() -> Batches:
        return Batches(
            (torch.rand(20, 1, 4, 4, generator=torch.Generator().manual_seed(1)),),
            6,
            seed=5,
            augment=lambda x, g: x + torch.rand(len(x), 1, 1, 1, generator=g),
        )

    first, second = stream(), stream()
    expected = [batch[0] for batch in islice(iter(first), 9)]
    torch.rand(100)
    assert torch.equal(second.batch(7)[0], expected[7])
    resumed = stream()
    resumed.load_state_dict({"seed": 5, "position": 4})
    assert torch.equal(next(iter(resumed))[0], expected[4])
    assert not torch.equal(expected[0], Batches(stream().columns, 6, seed=6).batch(0)[0])


def test_seed_comes_from_torch() -> None:
    torch.manual_seed(3)
    a = Batches((torch.arange(50),), 10).batch(0)[0]
    torch.manual_seed(3)
    b = Batches((torch.arange(50),), 10).batch(0)[0]
    assert torch.equal(a, b)


def test_in_order_without_shuffling() -> None:
    assert Batches((torch.arange(5),), 2, shuffle=False).batch(1)[0].tolist() == [2, 3]


@pytest.mark.parametrize(("rows", "size"), [(1_000, 32), (96, 32), (20, 32), (7, 20)])
def test_rows_alike_come_together_each_once_an_epoch(rows: int, size: int) -> None:
    lengths = torch.randint(1, 60, (rows,), generator=torch.Generator().manual_seed(0))
    batches = Batches((torch.arange(rows),), size, seed=1, alike=lengths)
    drawn = torch.cat([batches.batch(k)[0] for k in range(-(-6 * rows // size))])[: 6 * rows].view(
        6, rows
    )
    for epoch in drawn:
        assert sorted(epoch.tolist()) == list(range(rows))
    assert len({tuple(epoch.tolist()) for epoch in drawn}) > 1


def test_rows_alike_leave_little_to_fill_up() -> None:
    lengths = torch.randint(1, 60, (1_000,), generator=torch.Generator().manual_seed(0))

    def filled(alike: Tensor | None) -> float:
        """The part of three epochs' batches that would be padding."""
        batches = Batches((lengths,), 32, seed=1, alike=alike)
        drawn = [batches.batch(k)[0] for k in range(94)]
        return 1 - sum(int(x.sum()) for x in drawn) / sum(32 * int(x.max()) for x in drawn)

    assert filled(None) > 0.4
    assert filled(lengths) < 0.06

    firsts = [
        Batches((lengths,), 32, seed=seed, alike=lengths).batch(0)[0].max() for seed in range(20)
    ]
    assert len(set(map(int, firsts))) > 5  # batches come in any order, not the short ones first


def test_columns_must_agree() -> None:
    with pytest.raises(ValueError, match="5, 6 rows"):
        Batches((torch.arange(5), torch.arange(6)), 2)
    with pytest.raises(ValueError, match="0 rows"):
        Batches((torch.empty(0, 2),), 2)


def test_data_on_the_disk_is_read_by_rows(tmp_path: Path) -> None:
    file = np.memmap(tmp_path / "x", dtype=np.uint8, mode="w+", shape=(100, 3))
    file[:] = np.arange(300).reshape(100, 3) % 256
    file.flush()
    mapped = np.memmap(tmp_path / "x", dtype=np.uint8, mode="r+", shape=(100, 3))
    batches = Batches((torch.from_numpy(mapped), torch.arange(100)), 8, seed=0)
    x, rows = batches.batch(3)
    assert torch.equal(x[:, 0].long(), rows * 3 % 256)


def test_windows_lie_whole_in_the_row_and_begin_anywhere() -> None:
    row = torch.arange(12)
    windows = iter(Windows(row, 5, 40))
    seen = torch.cat([next(windows) for _ in range(5)])
    assert seen.shape == (200, 5)
    assert (seen.diff() == 1).all()
    assert sorted(set(seen[:, 0].tolist())) == list(range(8))
    assert next(iter(Windows(row, 12, 1))).tolist() == [row.tolist()]


def test_windows_longer_than_the_row() -> None:
    with pytest.raises(ValueError, match="stretches of 13 in a row of 12"):
        Windows(torch.arange(12), 13, 1)
