"""What the page shows of GPT: a text while it is written, and what each head attends to."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from etude import data
from etude.demos import Answer, Controls, Demo, Grid, Slider, Tokens, Words
from etude.layers.attention import record_attention

from ._sampling import next_probabilities, sample


def writing_demo(starts: Sequence[str]) -> Demo:
    """A text to begin with, and how to sample what follows.

    Args:
        starts: beginnings that are proposed.
    """
    controls: Controls = {
        "text": Words("It begins with", starts[0], tuple(starts)),
        "temperature": Slider("Temperature", 0, 2, 0.8, 0.05),
        "top_k": Slider("Top-k (0: all)", 0, 64, 0, 1),
        "top_p": Slider("Nucleus", 0.05, 1, 0.95, 0.05),
        "seed": Slider("Seed of the draws", 0, 99, 0, 1),
    }
    return Demo(
        "What will it write?",
        controls,
        write_and_attend,
        ("sense", "words without sense", "letters"),
        live=False,
    )


def write_and_attend(net: nn.Module, text: str, seed: float, **sampling: float) -> Iterator[Answer]:
    """The text that is written, then the attention of each head at its last byte."""
    with record_attention(net) as weights:
        tokens = continuation(net, text, 240, int(seed), **sampling)
        yield tokens
    yield last_attention(weights.values(), [piece for piece, _ in tokens.pieces[:-1]])


def continuation(
    net: Any, text: str, n: int, seed: int, *, temperature: float, top_k: float, top_p: float
) -> Tokens:
    """A text and ``n`` more bytes that a network writes, shaded by surprise; a note names the most
    probable alternatives.

    Args:
        net: an ``nn.Module`` and a :class:`Reader` of bytes.
        text: what it begins with.
        n: the number of bytes.
        seed: the seed of the draws.
        temperature: as for :func:`next_probabilities`, and so are the next two.
        top_k: tokens that are kept.
        top_p: probability that is kept.
    """
    sampling: dict[str, Any] = {"temperature": temperature, "top_k": int(top_k), "top_p": top_p}
    logits: list[Tensor] = []
    hook = net.register_forward_hook(lambda _, inputs, outputs: logits.append(outputs[0, -1]))
    decoder = codecs.getincrementaldecoder("utf-8")("replace")  # a character may be several bytes
    pieces = [(text, 0.0)]
    notes = [""]
    draws = torch.Generator().manual_seed(seed)
    try:
        for byte in sample(net, data.bytes_of(text), n, generator=draws, **sampling):
            p = logits[-1].softmax(0)
            left = int((next_probabilities(logits[-1], **sampling) > 0).sum())
            best = ", ".join(f"{byte_name(k)} {p[k]:.0%}" for k in p.topk(4).indices.tolist())
            notes.append(
                f"{byte_name(byte)}, drawn from {left}, had {p[byte]:.1%}. Likeliest: {best}."
            )
            pieces.append((decoder.decode(bytes([byte])), min(1.0, -float(p[byte].log2()) / 8)))
    finally:
        hook.remove()
    return Tokens("What it writes; the deeper a shade, the less expected", pieces, notes, given=1)


def last_attention(weights: Iterable[Tensor], before: Sequence[str], most: int = 32) -> Grid:
    """The attention of each head at the prediction of a text's last byte.

    Args:
        weights: of each layer, (1, heads, queries, keys); only the last query is shown.
        before: the pieces of the text before its last byte, in order.
        most: characters that are shown.
    """
    layers = list(weights)
    columns = [c.replace(" ", "␣").replace("\n", "↵") for c in "".join(before)][-most:]
    rows = torch.cat([layer[0, :, -1] for layer in layers])[:, -len(columns) :].cpu()
    heads = layers[0].shape[1]
    names = [f"{k // heads + 1}.{k % heads + 1}" for k in range(len(rows))]
    return Grid(
        "Where each head looked for the last letter", names, columns[-rows.shape[1] :], rows.numpy()
    )


def byte_name(byte: int) -> str:
    """A readable name of a byte."""
    if byte in (10, 32):
        return "line end" if byte == 10 else "space"
    return chr(byte) if 32 < byte < 127 else f"byte {byte}"
