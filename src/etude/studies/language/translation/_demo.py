"""What the page shows of a translation: how sure each piece is, and what the decoder attends to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor

from etude.data.pieces import Pieces
from etude.demos import Answer, Grid, Tokens


def translation_answers(
    pieces: Pieces, source: Tensor, target: Tensor, p: Tensor, maps: Sequence[Tensor]
) -> Iterator[Answer]:
    """A translation piece by piece, shaded by doubt, and the attention of each piece.

    Args:
        pieces: the pieces of both languages.
        source: the tokens of the text, (1, s).
        target: the tokens of its translation, (1, t).
        p: the probability of every token at each position, (1, t, vocabulary).
        maps: attention weights by layer, (heads, t, s); the mean of the last layer's heads is
            shown.
    """
    confidence = p[0].gather(1, target[0, :, None])[:, 0].tolist()  # of each token that was written
    german = list(zip(pieces.names(target[0].tolist()), confidence, strict=False))
    yield Tokens(
        "German; the deeper a shade, the less sure",
        [(piece, 1 - sure) for piece, sure in german],
        [f"{piece.strip()}: {sure:.1%}" for piece, sure in german],
    )
    yield Grid(
        "Where it looked (a row is a piece that it wrote)",
        visible(pieces, target),
        visible(pieces, source),
        maps[-1].mean(0).cpu().numpy(),
    )


def visible(pieces: Pieces, tokens: Tensor) -> list[str]:
    """The pieces of tokens (1, n), with visible spaces and line ends, and their end."""
    names = pieces.names(tokens[0].tolist())
    return [*(name.replace(" ", "␣").replace("\n", "↵") for name in names), "end"]
