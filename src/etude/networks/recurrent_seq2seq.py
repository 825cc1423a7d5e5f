"""Two recurrent networks with attention: one reads a sequence, the other writes another."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from etude.errors import UserError
from etude.layers.dropout import Dropout
from etude.layers.recurrent_attention import Additive, General
from etude.networks.token_embedding import TokenEmbedding


class State:
    """The state of a recurrent decoder between two calls: h, (batch, width), or None before the
    first.
    """

    def __init__(self) -> None:
        self.h: Tensor | None = None

    def select(self, rows: Tensor) -> None:
        """Go on with these rows of the batch, in this order."""
        if self.h is not None:
            self.h = self.h[rows]


class RecurrentEncoderDecoder(nn.Module):
    """A bidirectional GRU as encoder and a GRU as decoder; a subclass says how the decoder attends
    to the encoder's outputs.

    The cells are PyTorch's (``layers/recurrence.py`` has them written out, with the same weights).

    Args:
        vocabulary: the number of different tokens.
        width: features of each token, of the decoder's state, and of both directions of the encoder
            together.
        layers: layers of the encoder; the decoder has one.
        dropout: the fraction of embeddings, of the encoder's outputs and of the decoder's last
            features that is dropped in training.
        pad: the token that fills up the sequences of a batch: packed sequences end before it, and a
            mask hides it.

    Raises:
        UserError: the width is odd.
    """

    def __init__(
        self, vocabulary: int, width: int, layers: int = 1, *, dropout: float = 0.0, pad: int = 0
    ) -> None:
        super().__init__()
        if width % 2:
            raise UserError(f"two directions share a width of {width}; expected an even width")
        self.pad = pad
        self.embedding = TokenEmbedding(vocabulary, width, "none", 0)
        self.dropout = Dropout(dropout)
        self.encoder = nn.GRU(
            width,
            width // 2,
            layers,
            batch_first=True,
            bidirectional=True,
            dropout=dropout if layers > 1 else 0.0,
        )
        self.begin = nn.Linear(width // 2, width)
        self.output = nn.Linear(2 * width, width)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Logits of the token that follows each of ``target``: (batch, s), (batch, t) → (batch, t,
        vocabulary).
        """
        return self.decode(target, self.encode(source), self.source_mask(source), self.cache())

    def source_mask(self, source: Tensor) -> Tensor:
        """True where the source has a token and no padding: (batch, s) → (batch, 1, s)."""
        return (source != self.pad)[:, None]

    def encode(self, source: Tensor) -> Tensor:
        """Both directions side by side: (batch, s), padded at the end → (batch, s, width), zero
        at the padding.
        """
        x = self.dropout(self.embedding(source))
        lengths = (source != self.pad).sum(1).cpu()
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        outputs, _ = self.encoder(packed)
        memory, _ = pad_packed_sequence(outputs, batch_first=True, total_length=source.shape[1])
        return self.dropout(memory)  # type: ignore[no-any-return]

    def cache(self) -> State:
        """A state before the first token, for ``decode``."""
        return State()

    def first_state(self, memory: Tensor) -> Tensor:
        """The decoder's state before its first token, from the last state of the encoder's backward
        direction: (batch, width).
        """
        return torch.tanh(self.begin(memory[:, 0, memory.shape[2] // 2 :]))

    def logits(self, h: Tensor, context: Tensor) -> Tensor:
        """Logits of the next token, from state and context, each (…, width): (…, vocabulary)."""
        mixed = torch.tanh(self.output(torch.cat([h, context], -1)))
        return self.dropout(mixed) @ self.embedding.table.T  # type: ignore[no-any-return]

    def decode(self, target: Tensor, memory: Tensor, source_mask: Tensor, past: State) -> Tensor:
        """Logits of the next tokens; ``target`` holds the tokens that are new since the last call.

        Args:
            target: (batch, t).
            memory: the encoder's outputs, (batch, s, width).
            source_mask: the mask of the source, (batch, 1, s).
            past: the state after earlier calls, which is replaced.

        Returns:
            (batch, t, vocabulary).
        """
        raise NotImplementedError


class Bahdanau(RecurrentEncoderDecoder):
    r"""Attends before it steps: $c_t$ by $h_{t-1}$, then $h_t = \mathrm{GRU}(h_{t-1}, [y_{t-1};
    c_t])$.

    Source: Bahdanau, Cho & Bengio (2015), appendix A.1 and A.2; the maxout before the scores is a
    tanh here.
    """

    def __init__(
        self, vocabulary: int, width: int, layers: int = 1, *, dropout: float = 0.0, pad: int = 0
    ) -> None:
        super().__init__(vocabulary, width, layers, dropout=dropout, pad=pad)
        self.attention = Additive(width)
        self.cell = nn.GRUCell(2 * width, width)

    def decode(self, target: Tensor, memory: Tensor, source_mask: Tensor, past: State) -> Tensor:
        """See :class:`RecurrentEncoderDecoder`. Each step needs the attention of the one before."""
        keys = self.attention.key(memory)
        h = self.first_state(memory) if past.h is None else past.h
        states: list[Tensor] = []
        contexts: list[Tensor] = []
        steps: list[Tensor] = []  # the weights of each step
        for y in self.dropout(self.embedding(target)).unbind(1):
            context, weights = self.attention(h[:, None], keys, memory, source_mask)
            # (batch, 1, width), (batch, 1, s)
            h = self.cell(torch.cat([y, context[:, 0]], 1), h)
            states.append(h)
            contexts.append(context)
            steps.append(weights)
        past.h = h
        if self.attention.record is not None:
            self.attention.record(torch.stack(steps, 2))  # (batch, 1, t, s)
        return self.logits(torch.stack(states, 1), torch.cat(contexts, 1))


class Luong(RecurrentEncoderDecoder):
    r"""Steps before it attends: $h_t = \mathrm{GRU}(h_{t-1}, y_{t-1})$, then $c_t$ by $h_t$, for
    all t at once.

    The score is the paper's "general" one, $h_t^\top W m_s$, divided by $\sqrt{width}$ as in the
    transformer. The context is not fed to the next step.

    Source: Luong, Pham & Manning (2015), sections 3 and 3.1.
    """

    def __init__(
        self, vocabulary: int, width: int, layers: int = 1, *, dropout: float = 0.0, pad: int = 0
    ) -> None:
        super().__init__(vocabulary, width, layers, dropout=dropout, pad=pad)
        self.attention = General(width)
        self.cells = nn.GRU(width, width, batch_first=True)

    def decode(self, target: Tensor, memory: Tensor, source_mask: Tensor, past: State) -> Tensor:
        """See :class:`RecurrentEncoderDecoder`. All positions attend at once."""
        h = self.first_state(memory) if past.h is None else past.h
        states, last = self.cells(
            self.dropout(self.embedding(target)), h[None]
        )  # (batch, t, width)
        past.h = last[0]
        return self.logits(states, self.attention(states, memory, source_mask))
