"""One sequence is read, another is written: by recurrent cells that attend, or by attention
alone.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from etude.errors import UserError
from etude.layers.attention import (
    Additive,
    Cache,
    Dropout,
    General,
    Norm,
    Positions,
    Stack,
    sinusoids,
)


class TokenEmbedding(nn.Module):
    r"""Rows of a table, times $\sqrt{width}$, and positions where they are added to the rows.

    Args:
        vocabulary: how many tokens there are.
        width: of rows.
        positions: ``sinusoidal`` and ``learned`` act here; the others act in attention.
        longest: how many positions are learned.

    Source: Vaswani et al. (2017), sections 3.4 and 3.5.

    Raises:
        UserError: positions are sinusoidal, and the width is odd.
    """

    def __init__(self, vocabulary: int, width: int, positions: Positions, longest: int) -> None:
        super().__init__()
        if positions == "sinusoidal" and width % 2:
            raise UserError(
                f"sinusoidal positions come in pairs, but rows are {width} wide; expected an even"
                " width"
            )
        self.width, self.positions = width, positions
        self.table = nn.Parameter(torch.randn(vocabulary, width) / math.sqrt(width))
        if positions == "learned":
            self.place = nn.Parameter(torch.randn(longest, width))  # as large as a token's row

    def forward(self, tokens: Tensor, start: int = 0) -> Tensor:
        """(batch, time) → (batch, time, width); the first token stands at position ``start``.

        Raises:
            UserError: positions are learned, and the sequence is longer than they reach.
        """
        x = math.sqrt(self.width) * self.table[tokens]
        end = start + tokens.shape[1]
        if self.positions == "sinusoidal":
            x = x + sinusoids(torch.arange(start, end, device=x.device), self.width).to(x.dtype)
        if self.positions == "learned":
            if end > len(self.place):
                raise UserError(
                    f"a sequence of {end} tokens has more than the {len(self.place)} learned"
                    " positions"
                )
            x = x + self.place[start:end]
        return x


class EncoderDecoder(nn.Module):
    """The transformer: encoder and decoder; their tokens and the scores of the next token share one
    table.

    Args:
        vocabulary: how many tokens there are.
        width: of rows.
        heads: of each attention.
        layers: blocks of the encoder, and of the decoder.
        positions: how it knows where a token stands.
        norm: before each part of a block, or after it.
        longest: how many positions are learned, where they are.
        drop: the part that is dropped in training.
        pad: the token that fills up sequences in a batch: no one sees it.

    Source: Vaswani et al. (2017).
    """

    def __init__(
        self,
        vocabulary: int,
        width: int,
        heads: int,
        layers: int,
        *,
        positions: Positions = "sinusoidal",
        norm: Norm = "pre",
        longest: int = 512,
        drop: float = 0.0,
        pad: int = 0,
    ) -> None:
        super().__init__()
        self.pad = pad
        self.embedding = TokenEmbedding(vocabulary, width, positions, longest)
        self.drop = Dropout(drop)
        self.encoder = Stack(
            layers, width, heads, norm=norm, positions=positions, bias=False, drop=drop
        )
        self.decoder = Stack(
            layers,
            width,
            heads,
            norm=norm,
            positions=positions,
            bias=False,
            drop=drop,
            causal=True,
            cross=True,
        )
        for map in self.modules():
            if isinstance(map, nn.Linear):
                nn.init.xavier_uniform_(map.weight)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Scores of the token that follows each of ``target``: (batch, s), (batch, t) → (batch, t,
        vocabulary).
        """
        return self.decode(target, self.encode(source), self.seen(source))

    def seen(self, source: Tensor) -> Tensor:
        """The mask of what is no padding: (batch, s) → (batch, 1, 1, s)."""
        return (source != self.pad)[:, None, None]

    def encode(self, source: Tensor) -> Tensor:
        """(batch, s) → (batch, s, width). Padding stands behind the tokens."""
        return self.encoder(self.drop(self.embedding(source)), mask=self.seen(source))  # type: ignore[no-any-return]

    def decode(
        self, target: Tensor, memory: Tensor, seen: Tensor, past: Cache | None = None
    ) -> Tensor:
        """Scores of the next tokens; with a cache, ``target`` is only what is new since the last
        call.

        Padding behind the target needs no mask: only padding could see it.

        Args:
            target: (batch, t).
            memory: what the encoder gave, (batch, s, width).
            seen: the mask of the source, (batch, 1, 1, s).
            past: of earlier calls.

        Returns:
            (batch, t, vocabulary).
        """
        x = self.drop(self.embedding(target, self.decoder.read(past)))
        return self.decoder(x, memory, None, seen, past) @ self.embedding.table.T  # type: ignore[no-any-return]

    def cache(self) -> Cache:
        """An empty one, for ``decode``."""
        return Cache()

    def greedy(self, source: Tensor, begin: int, end: int, longest: int) -> Tensor:
        """The likeliest token, and again, up to ``end`` or ``longest`` tokens: (batch, s) → (batch,
        longest).

        Behind its ``end`` a row is padded.
        """
        memory, seen, past = self.encode(source), self.seen(source), Cache()
        written = torch.full((len(source), longest), self.pad, device=source.device)
        token = torch.full((len(source), 1), begin, device=source.device)
        over = torch.zeros_like(token, dtype=torch.bool)
        for t in range(longest):
            token = self.decode(token, memory, seen, past).argmax(2)  # (batch, 1)
            written[:, t : t + 1] = token.masked_fill(over, self.pad)
            over |= token == end
            if over.all():
                break
        return written


class State:
    """What a recurrent decoder takes from one call to the next: h, (batch, width), or None before
    the first.
    """

    def __init__(self) -> None:
        self.h: Tensor | None = None

    def pick(self, rows: Tensor) -> None:
        """Go on with these rows of the batch, in this order."""
        if self.h is not None:
            self.h = self.h[rows]


class RecurrentEncoderDecoder(nn.Module):
    """A GRU that reads both ways, and a GRU that writes; a subclass says how the second looks at
    the first.

    The cells are PyTorch's (``layers/recurrence.py`` has them written out, with the same weights).

    Args:
        vocabulary: how many tokens there are.
        width: of rows, of the decoder's state, and of both reading directions together.
        layers: of the encoder; the decoder has one.
        drop: the part of embeddings, of what was read and of what is scored that is dropped in
            training.
        pad: the token that fills up sequences in a batch: packed sequences end before it, and a
            mask hides it.

    Raises:
        UserError: the width is odd.
    """

    def __init__(
        self, vocabulary: int, width: int, layers: int = 1, *, drop: float = 0.0, pad: int = 0
    ) -> None:
        super().__init__()
        if width % 2:
            raise UserError(f"two directions share a width of {width}; expected an even width")
        self.pad = pad
        self.embedding = TokenEmbedding(vocabulary, width, "none", 0)
        self.drop = Dropout(drop)
        self.encoder = nn.GRU(
            width,
            width // 2,
            layers,
            batch_first=True,
            bidirectional=True,
            dropout=drop if layers > 1 else 0.0,
        )
        self.begin = nn.Linear(width // 2, width)
        self.output = nn.Linear(2 * width, width)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Scores of the token that follows each of ``target``: (batch, s), (batch, t) → (batch, t,
        vocabulary).
        """
        return self.decode(target, self.encode(source), self.seen(source), self.cache())

    def seen(self, source: Tensor) -> Tensor:
        """The mask of what is no padding: (batch, s) → (batch, 1, s)."""
        return (source != self.pad)[:, None]

    def encode(self, source: Tensor) -> Tensor:
        """Both directions side by side: (batch, s) → (batch, s, width), zero at padding, which
        stands behind.
        """
        x = self.drop(self.embedding(source))
        packed = pack_padded_sequence(
            x, (source != self.pad).sum(1).cpu(), batch_first=True, enforce_sorted=False
        )
        memory, _ = pad_packed_sequence(
            self.encoder(packed)[0], batch_first=True, total_length=source.shape[1]
        )
        return self.drop(memory)  # type: ignore[no-any-return]

    def cache(self) -> State:
        """A state before the first token, for ``decode``."""
        return State()

    def first(self, memory: Tensor) -> Tensor:
        """The decoder's state before its first token, from the last one of who read backwards:
        (batch, width).
        """
        return torch.tanh(self.begin(memory[:, 0, memory.shape[2] // 2 :]))

    def scores(self, h: Tensor, context: Tensor) -> Tensor:
        """Of the next token, from state and context, each (…, width): (…, vocabulary)."""
        mixed = torch.tanh(self.output(torch.cat([h, context], -1)))
        return self.drop(mixed) @ self.embedding.table.T  # type: ignore[no-any-return]

    def decode(self, target: Tensor, memory: Tensor, seen: Tensor, past: State) -> Tensor:
        """Scores of the next tokens; ``target`` is what is new since the last call.

        Args:
            target: (batch, t).
            memory: what the encoder gave, (batch, s, width).
            seen: the mask of the source, (batch, 1, s).
            past: of earlier calls; it is moved on.

        Returns:
            (batch, t, vocabulary).
        """
        raise NotImplementedError


class Bahdanau(RecurrentEncoderDecoder):
    r"""Looks before it steps: $c_t$ by $h_{t-1}$, then $h_t = \mathrm{GRU}(h_{t-1}, [y_{t-1};
    c_t])$.

    Source: Bahdanau, Cho & Bengio (2015), appendix A.1 and A.2; the maxout before the scores is a
    tanh here.
    """

    def __init__(
        self, vocabulary: int, width: int, layers: int = 1, *, drop: float = 0.0, pad: int = 0
    ) -> None:
        super().__init__(vocabulary, width, layers, drop=drop, pad=pad)
        self.attention = Additive(width)
        self.cell = nn.GRUCell(2 * width, width)

    def decode(self, target: Tensor, memory: Tensor, seen: Tensor, past: State) -> Tensor:
        """See :class:`RecurrentEncoderDecoder`. Each step waits for the look of the one before."""
        keys = self.attention.key(memory)
        h = self.first(memory) if past.h is None else past.h
        states, contexts, looks = [], [], []
        for y in self.drop(self.embedding(target)).unbind(1):
            context, weights = self.attention(
                h[:, None], keys, memory, seen
            )  # (batch, 1, width), (batch, 1, s)
            h = self.cell(torch.cat([y, context[:, 0]], 1), h)
            states.append(h)
            contexts.append(context)
            looks.append(weights)
        past.h = h
        if self.attention.watch is not None:
            self.attention.watch(torch.stack(looks, 2))  # (batch, 1, t, s)
        return self.scores(torch.stack(states, 1), torch.cat(contexts, 1))


class Luong(RecurrentEncoderDecoder):
    r"""Steps before it looks: $h_t = \mathrm{GRU}(h_{t-1}, y_{t-1})$, then $c_t$ by $h_t$: for all
    t at once.

    The score is the paper's "general" one, $h_t^\top W m_s$, divided by $\sqrt{width}$ as in the
    transformer. What was looked at is not fed to the next step.

    Source: Luong, Pham & Manning (2015), sections 3 and 3.1.
    """

    def __init__(
        self, vocabulary: int, width: int, layers: int = 1, *, drop: float = 0.0, pad: int = 0
    ) -> None:
        super().__init__(vocabulary, width, layers, drop=drop, pad=pad)
        self.attention = General(width)
        self.cells = nn.GRU(width, width, batch_first=True)

    def decode(self, target: Tensor, memory: Tensor, seen: Tensor, past: State) -> Tensor:
        """See :class:`RecurrentEncoderDecoder`. Nothing waits for a look."""
        h = self.first(memory) if past.h is None else past.h
        states, last = self.cells(self.drop(self.embedding(target)), h[None])  # (batch, t, width)
        past.h = last[0]
        return self.scores(states, self.attention(states, memory, seen))
