"""Beam search against every text that there is, against greedy writing, and its penalty."""

from __future__ import annotations

from itertools import product

import pytest
import torch

from etude.networks.recurrent_seq2seq import Bahdanau, Luong
from etude.networks.transformer import EncoderDecoder
from etude.studies.language.translation._beam_search import beam_search

PAD, BEGIN, END = 0, 1, 2
KINDS = {
    "transformer": lambda: EncoderDecoder(6, 16, 2, 1),
    "bahdanau": lambda: Bahdanau(6, 16),
    "luong": lambda: Luong(6, 16),
}
each_kind = pytest.mark.parametrize("kind", KINDS)


def sharp(kind: str, seed: int = 0):
    """A network whose tokens depend much on what was read and written, and which never writes PAD
    or BEGIN.
    """
    torch.manual_seed(seed)
    net = KINDS[kind]().double().eval()
    with torch.no_grad():
        for p in net.parameters():
            p += 0.5 * torch.randn_like(p)
    plain = net.decode

    def decode(*given):
        scores = plain(*given).clone()
        scores[..., [PAD, BEGIN]] = -1e9
        return scores

    net.decode = decode
    return net


def ln_p(net, source, text):
    """Of one text, by one pass with teacher forcing."""
    seen, memory = net.source_mask(source), net.encode(source)
    target = torch.tensor([text])
    scores = net.decode(torch.tensor([[BEGIN, *text[:-1]]]), memory, seen, net.cache())
    return float(scores.log_softmax(2).gather(2, target[:, :, None]).sum())


def texts(longest):
    """Every text of the tokens 3, 4, 5 that ends within ``longest``, and those that don't end in
    it.
    """
    for n in range(longest):
        yield from ((*text, END) for text in product((3, 4, 5), repeat=n))
    yield from product((3, 4, 5), repeat=longest)


@torch.no_grad()
@each_kind
@pytest.mark.parametrize("penalty", [0.0, 1.0])
def test_a_beam_as_wide_as_there_are_texts_finds_the_best(kind, penalty) -> None:
    for seed in range(4):
        net, source = sharp(kind, seed), torch.tensor([[3, 4, 5, END], [5, 3, END, PAD]])
        wide, ranks = beam_search(net, source, BEGIN, END, 3, width=40, penalty=penalty)
        _, lower = beam_search(net, source, BEGIN, END, 3, width=1, penalty=penalty)
        for row, rank, given in zip(wide.tolist(), ranks.tolist(), source, strict=True):
            every = {
                text: ln_p(net, given[None], text) / ((5 + len(text)) / 6) ** penalty
                for text in texts(3)
            }
            best = max(every, key=every.get)
            assert tuple(row) == best + (PAD,) * (3 - len(best))
            assert rank == pytest.approx(every[best], abs=1e-5)
        assert (lower <= ranks + 1e-5).all()


@torch.no_grad()
@each_kind
def test_a_beam_of_one_is_greedy(kind) -> None:
    net, source = sharp(kind), torch.randint(3, 6, (5, 4))
    source[1:3, 3] = PAD
    written, ranks = beam_search(net, source, BEGIN, END, 7)
    for row, rank, given in zip(written.tolist(), ranks.tolist(), source, strict=True):
        text = []
        while len(text) < 7 and END not in text:
            scores = net.decode(
                torch.tensor([[BEGIN, *text]]),
                net.encode(given[None]),
                net.source_mask(given[None]),
                net.cache(),
            )
            text.append(int(scores[0, -1].argmax()))
        assert row == text + [PAD] * (7 - len(text))
        assert rank == pytest.approx(ln_p(net, given[None], text), abs=1e-5)
    if kind == "transformer":
        assert written.tolist() == net.greedy(source, BEGIN, END, 7).tolist()


@torch.no_grad()
@each_kind
def test_rows_do_not_disturb_each_other_and_a_wider_beam_finds_nothing_less_likely_here(
    kind,
) -> None:
    net, source = sharp(kind, 1), torch.randint(3, 6, (4, 5))
    together, ranks = beam_search(net, source, BEGIN, END, 6, width=3)
    for i in range(4):
        alone, rank = beam_search(net, source[i : i + 1], BEGIN, END, 6, width=3)
        assert alone[0].tolist() == together[i].tolist()
        assert float(rank) == pytest.approx(float(ranks[i]), abs=1e-5)


class Script:
    """Its probabilities are written down: by the tokens before, of END, 3 and 4."""

    def __init__(self, table: dict[tuple[int, ...], tuple[float, float, float]]) -> None:
        self.table, self.calls = table, 0

    def encode(self, source):
        return source[:, :, None].float()

    def source_mask(self, source):
        return source != PAD

    class Past:
        """All that was written."""

        rows: list[tuple[int, ...]] | None = None

        def select(self, rows) -> None:
            self.rows = [self.rows[i] for i in rows.tolist()]

    def cache(self):
        return self.Past()

    def decode(self, target, memory, seen, past):
        self.calls += 1
        new = target[:, 0].tolist()
        past.rows = (
            [()] * len(new)
            if past.rows is None
            else [(*r, t) for r, t in zip(past.rows, new, strict=True)]
        )
        p = torch.zeros(len(new), 1, 5)
        for i, row in enumerate(past.rows):
            p[i, 0, 2:] = torch.tensor(self.table.get(row, (1.0, 0.0, 0.0)))
        return p.log()


ONE = torch.ones(1, 1, dtype=torch.long)


def test_greedy_cannot_take_back_a_first_token() -> None:
    table = {(): (0.0, 0.6, 0.4), (3,): (0.3, 0.4, 0.3), (4,): (0.9, 0.05, 0.05)}
    greedy, p = beam_search(Script(table), ONE, BEGIN, END, 5)
    assert greedy[0].tolist() == [3, 3, END, PAD, PAD]
    assert float(p.exp()) == pytest.approx(0.24)
    beam, p = beam_search(Script(table), ONE, BEGIN, END, 5, width=2)
    assert beam[0].tolist() == [4, END, PAD, PAD, PAD]
    assert float(p.exp()) == pytest.approx(0.36)


def test_the_penalty_lets_longer_texts_win() -> None:
    table = {(): (0.4, 0.6, 0.0), (3,): (0.4, 0.6, 0.0), (3, 3): (0.95, 0.05, 0.0)}
    short, _ = beam_search(Script(table), ONE, BEGIN, END, 4, width=4)
    assert short[0].tolist() == [END, PAD, PAD, PAD]
    long, rank = beam_search(Script(table), ONE, BEGIN, END, 4, width=4, penalty=2.0)
    assert long[0].tolist() == [3, 3, END, PAD]
    assert float(rank) == pytest.approx(torch.tensor(0.6 * 0.6 * 0.95).log().item() / (8 / 6) ** 2)


def test_it_stops_when_nothing_better_can_come() -> None:
    net = Script({(): (0.9, 0.1, 0.0), (3,): (0.0, 0.5, 0.5)})
    beam_search(net, ONE, BEGIN, END, 50, width=3)
    assert net.calls == 1
