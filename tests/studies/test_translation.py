"""The translation study: what is read in, asked, measured, and shown."""

from __future__ import annotations

import sys

import pytest
import torch

import etude
from etude.data.pieces import END, PAD, Pieces
from etude.errors import UserError
from etude.layers.attention import record_attention
from etude.networks.recurrent_seq2seq import Bahdanau, Luong
from etude.networks.transformer import EncoderDecoder
from etude.studies.language.translation._controls import WithoutAttention
from etude.studies.language.translation._translate import bleu, exact, tokens_of, translate
from etude.studies.language.translation.translation import Translation

SMALL = {"pairs": 1_000, "width": 16, "steps": 3, "longest": 8, "beam": 2}


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> etude.Run:
    return etude.run(
        "translation", root=tmp_path_factory.mktemp("translation"), quiet=True, **SMALL
    )


def test_what_is_measured(run) -> None:
    assert run.metrics.keys() == {"test/exact", "greedy/exact", "no attention/test/exact"}
    assert run.held_out["test/exact"] == 1_000
    assert (
        (run.folder.path / "tables" / "translations.csv")
        .read_text()
        .startswith("English,German,written")
    )


def test_an_english_text_gives_the_german_and_how_probable_it_is(run) -> None:
    trained = etude.load(run)
    ((text, p),) = trained.predict("twenty-one").items()
    assert isinstance(text, str)
    assert 0 < p < 1
    assert trained.predict(" twenty-one ") == {text: pytest.approx(p)}
    for wrong in ("", 21):
        with pytest.raises(UserError, match="such as 'twenty-one'"):
            trained.predict(wrong)


def test_the_models() -> None:
    kinds = {"bahdanau": Bahdanau, "luong": Luong, "transformer": EncoderDecoder}
    for model, kind in kinds.items():
        assert isinstance(Translation(model=model, width=8, heads=2).network(), kind)


@pytest.mark.parametrize("model", ["luong", "transformer"])
def test_the_other_models_run_to_the_end(model, tmp_path) -> None:
    done = etude.run("translation", root=tmp_path, quiet=True, model=model, layers=2, **SMALL)
    assert 0 <= done.metrics["test/exact"] <= 1
    assert {path.stem for path in done.folder.pictures()} >= {"attention", "search"}


def test_texts_are_written_in_their_own_order_whatever_their_lengths(run) -> None:
    trained = etude.load(run)
    texts = [
        "one thousand and eleven",
        "six",
        "ninety-nine",
        "two hundred and one thousand and four",
    ]
    pieces = Pieces(texts, 60)
    together, rank = translate(trained.network, pieces, texts, 8, width=2, batch=4)
    alone = [translate(trained.network, pieces, [text], 8, width=2) for text in texts]
    assert together == [text for (text,), _ in alone]
    assert rank == pytest.approx(sum(r for _, r in alone) / 4, abs=1e-4)


def test_tokens_end_and_are_padded_behind() -> None:
    pieces = Pieces(["ab", "abab"], 8)
    rows = tokens_of(pieces, ["ab", "abab", "b"])
    padded = rows.padded(PAD)
    assert padded.shape == (3, int(rows.lengths.max()))
    for row, length in zip(padded, rows.lengths.tolist(), strict=True):
        assert row[length - 1] == END
        assert (row[length:] == PAD).all()
        assert END not in row[: length - 1]
    assert torch.equal(padded[padded != PAD], rows.values)


def test_exact_matches() -> None:
    assert exact(["a", "b", "c", "d"], ["a", "B", "c", "e"]) == 0.5


def test_bleu_is_the_formula() -> None:
    pytest.importorskip("sacrebleu")
    text = "a man rides a brown horse on the beach"
    assert bleu([text], [text]) == pytest.approx(100)
    written = "a man rides a brown horse"  # every run of words is right, but 6 of 9 words
    assert bleu([written], [text]) == pytest.approx(100 * 2.718281828 ** (1 - 9 / 6))
    written = "a man rides a black horse on the beach"  # 8 of 9, 6 of 8, 4 of 7, 2 of 6
    assert bleu([written], [text]) == pytest.approx(100 * (8 / 9 * 6 / 8 * 4 / 7 * 2 / 6) ** 0.25)


def test_without_sacrebleu_one_sentence_says_so_before_anything_is_trained(
    monkeypatch, tmp_path
) -> None:
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    with pytest.raises(UserError, match=r"sacrebleu; install it with: pip install 'etude\[text\]'"):
        bleu(["a"], ["a"])


def test_without_attention_one_vector_says_all_of_a_text() -> None:
    """Padding does not change it, and what the decoder attends to is that vector alone."""
    torch.manual_seed(0)
    net = WithoutAttention(60, 16, pad=PAD).eval()
    source = torch.tensor([[5, 9, 7, 4, 8, 6], [5, 9, 7, PAD, PAD, PAD]])
    target = torch.randint(4, 60, (2, 5))
    memory = net.encode(source)
    assert memory.shape == (2, 1, 16)
    alone = net.encode(source[1:, :3])
    torch.testing.assert_close(memory[1:], alone)
    assert (memory[0, 0] != memory[1, 0]).all(), "both directions have read the whole text"
    with record_attention(net) as weights:
        logits = net(source, target)
    assert (weights["attention"] == 1).all()
    torch.testing.assert_close(logits[1:], net(source[1:, :3], target[1:]))
