"""The transformer study: what it is asked for is what it says, and it writes it without error."""

from __future__ import annotations

import pytest
import torch

import etude
from etude.errors import UserError
from etude.layers.attention import record_attention
from etude.studies.language.transformer.transformer import (
    BEGIN,
    END,
    FIRST,
    PAD,
    Transformer,
    exact_matches,
    names,
    shift_right,
)


@pytest.mark.parametrize(
    ("task", "asked"),
    [("sort", sorted), ("reverse", lambda row: row[::-1]), ("copy", lambda row: row)],
)
def test_the_task_is_what_its_name_says(task, asked) -> None:
    torch.manual_seed(0)
    source, target = Transformer(task=task, shortest=1, longest=9, symbols=5).sample("cpu", 300)
    assert source.shape == target.shape == (300, 10)
    lengths = set()
    for row, wanted in zip(source.tolist(), target.tolist(), strict=True):
        n = row.index(END)
        lengths.add(n)
        assert all(FIRST <= token < FIRST + 5 for token in row[:n])
        assert row[n + 1 :] == [PAD] * (9 - n)
        assert wanted == asked(row[:n]) + row[n:]
    assert lengths == set(range(1, 10))


def test_the_decoder_reads_what_stands_before_each_token() -> None:
    assert shift_right(torch.tensor([[7, 8, END, PAD]])).tolist() == [[BEGIN, 7, 8, END]]
    assert names(torch.tensor([FIRST, FIRST + 12, END])) == ["0", "12", "."]


def test_one_wrong_token_is_a_wrong_sequence(monkeypatch: pytest.MonkeyPatch) -> None:
    study = Transformer()
    net, (source, target) = study.network(), study.sample("cpu", 8)
    written = target.clone()
    written[3, 2] = BEGIN
    monkeypatch.setattr(net, "greedy", lambda *_: written)
    assert exact_matches(net, source, target) == 7 / 8


@pytest.mark.parametrize("positions", ["sinusoidal", "learned", "rotary", "alibi", "none"])
@pytest.mark.parametrize("norm", ["pre", "post"])
def test_a_batch_can_be_learned_by_heart(positions, norm) -> None:
    torch.manual_seed(0)
    study = Transformer(positions=positions, norm=norm, longest=6, shortest=3, width=32)
    net, (source, target) = study.network(), study.sample("cpu", 8)
    optimizer = torch.optim.AdamW(net.parameters(), 3e-3)
    for _ in range(80):
        scores = net(source, shift_right(target))
        loss = torch.nn.functional.cross_entropy(
            scores.flatten(0, 1), target.flatten(), ignore_index=PAD
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert exact_matches(net, source, target) == 1


def test_without_positions_no_order_can_be_read() -> None:
    """Whatever the weights: rows in another order get the same scores, so reversing can't be
    learned, and sorting can.
    """
    torch.manual_seed(0)
    study = Transformer(positions="none")
    net, (source, target) = study.network().double(), study.sample("cpu", 5, 8, 8)
    order = torch.cat([torch.randperm(8), torch.arange(8, source.shape[1])])
    torch.testing.assert_close(
        net(source[:, order], target), net(source, target), rtol=0, atol=1e-10
    )


def test_gradients_begin_as_xiong_and_others_say() -> None:
    torch.manual_seed(0)
    study = Transformer()
    assert study.last_gradient("post", 12) / study.last_gradient("post", 3) == pytest.approx(
        1, abs=0.2
    )
    assert study.last_gradient("pre", 12) / study.last_gradient("pre", 3) == pytest.approx(
        0.5, abs=0.12
    )


def test_lengths_that_cannot_be_are_refused(tmp_path) -> None:
    with pytest.raises(UserError, match="longest is 4; expected at least shortest, 6"):
        etude.run("transformer", root=tmp_path, quiet=True, longest=4)


@pytest.mark.claims
def test_the_claim_holds_and_the_heads_look_at_what_is_written(tmp_path) -> None:
    run = etude.run("transformer", seed=0, root=tmp_path, quiet=True)
    assert run.metrics["test/exact"] >= 0.99
    assert run.metrics["no_positions/test/exact"] <= 0.01
    trained = etude.load(run.folder.path)
    ((written, p),) = trained.predict("17 3 9 9 12 0 5").items()
    assert written == "5 0 12 9 9 3 17"
    assert p > 0.9
    for wrong in ("7 20", "", [1, -1]):
        with pytest.raises(UserError, match="expected numbers from 0 to 19"):
            trained.predict(wrong)
    torch.manual_seed(7)
    source, target = Transformer().sample("cpu", 200)
    with torch.no_grad(), record_attention(trained.network) as looks:
        trained.network(source, shift_right(target))
    same = (target[:, :, None] == source[:, None, :]) & (target >= FIRST)[
        :, :, None
    ]  # (batch, written, read)
    weights = looks["decoder.blocks.1.cross"].amax(1)
    assert weights[same].mean() > 2 * weights[~same & (target >= FIRST)[:, :, None]].mean()
