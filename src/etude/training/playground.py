"""Watching: noise that becomes a picture, a text being written."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad

from etude.data.corpora import bytes_of
from etude.data.embedded import uci_digits
from etude.data.pieces import Pieces
from etude.demos import Answer, Frames, Grid, Image, Tokens
from etude.training.diffusion import Process, lit, walked
from etude.training.language import narrowed, sample


def unmix(
    process: Process,
    net: nn.Module,
    noise: Tensor,
    label: int,
    steps: int,
    weight: float,
    nothing: int,
) -> Frames:
    """The way from one noise to a picture: what is there beside what the network thinks it will be,
    step by step.

    Args:
        process: says how to walk.
        net: takes x, time and labels.
        noise: (1, side, side).
        label: the class asked for.
        steps: of the walk.
        weight: of guidance.
        nothing: the label that stands for no class.
    """
    time, at, guess = walked(
        process, net, noise[None], torch.tensor([label]), steps, weight, nothing
    )
    gap = torch.zeros(len(time), noise.shape[1], max(1, noise.shape[2] // 8))
    ink = torch.cat([lit(at)[:, 0, 0], gap, lit(guess)[:, 0, 0]], dim=2)
    images = [(1 - picture).numpy() for picture in ink]  # black on white
    return Frames(
        "What is there, and what it guesses", images, [f"t = {t:.2f}" for t in time], width=440
    )


def handwritten(n: int) -> dict[str, Image]:
    """Digits that people wrote, for a drawing of 28×28 to begin with; none of them was
    trained on.
    """
    test = uci_digits().test
    large = interpolate(test.inputs[:n].float() / 16, (20, 20), mode="bicubic").clamp(0, 1)
    return {
        chr(ord("a") + k): image.numpy() for k, image in enumerate(pad(large, (4, 4, 4, 4))[:, 0])
    }


def written(
    net: Any, text: str, n: int, seed: int, *, temperature: float, top_k: float, top_p: float
) -> Tokens:
    """A text and ``n`` bytes more that a network writes, shaded by surprise; a note tells what else
    it might have been.

    Args:
        net: an ``nn.Module`` and a :class:`etude.training.language.Reader` of bytes.
        text: what it begins with.
        n: bytes.
        seed: of the draws.
        temperature: as of :func:`etude.training.language.narrowed`, and so are the next two.
        top_k: see there.
        top_p: see there.
    """
    cut: dict[str, Any] = {"temperature": temperature, "top_k": int(top_k), "top_p": top_p}
    heard: list[Tensor] = []
    hook = net.register_forward_hook(lambda _, read, scores: heard.append(scores[0, -1]))
    letters = codecs.getincrementaldecoder("utf-8")("replace")  # a letter may be several bytes
    pieces, notes = [(text, 0.0)], [""]
    try:
        for byte in sample(
            net, bytes_of(text), n, generator=torch.Generator().manual_seed(seed), **cut
        ):
            p = heard[-1].softmax(0)
            left = int((narrowed(heard[-1], **cut) > 0).sum())
            best = ", ".join(f"{_name(k)} {p[k]:.0%}" for k in p.topk(4).indices.tolist())
            notes.append(f"{_name(byte)}, drawn from {left}, had {p[byte]:.1%}. Likeliest: {best}.")
            pieces.append((letters.decode(bytes([byte])), min(1.0, -float(p[byte].log2()) / 8)))
    finally:
        hook.remove()
    return Tokens("What it writes; the deeper a shade, the less expected", pieces, notes, given=1)


def last_looks(looks: Iterable[Tensor], before: Sequence[str], most: int = 32) -> Grid:
    """Where each head looked when the last letter of a text was due.

    Args:
        looks: of each layer, (1, heads, queries, keys); the last query counts.
        before: the letters before the last one, in order, as pieces.
        most: letters that are shown.
    """
    columns = [_shown(letter) for letter in "".join(before)][-most:]
    rows = torch.cat([look[0, :, -1] for look in looks])[
        :, -len(columns) :
    ].cpu()  # (layers · heads, letters)
    heads = next(iter(looks)).shape[1]
    names = [f"{k // heads + 1}.{k % heads + 1}" for k in range(len(rows))]
    return Grid(
        "Where each head looked for the last letter", names, columns[-rows.shape[1] :], rows.numpy()
    )


def look_across(
    pieces: Pieces, source: Tensor, target: Tensor, p: Tensor, looks: Mapping[str, Tensor]
) -> Iterator[Answer]:
    """A translation piece by piece, and where the decoder looked for each.

    Args:
        pieces: of both languages.
        source: what was read, (1, s).
        target: what was written, (1, t).
        p: how probable every token was at each place, (1, t, vocabulary).
        looks: by attention, (1, heads, t, s); of several the last layer's is shown, and the mean of
            its heads.
    """
    across = [
        look[0].mean(0)
        for name, look in looks.items()
        if name.endswith("cross") or name == "attention"
    ]
    read, wrote = (
        [*(_shown(n) for n in pieces.names(side[0].tolist())), "end"] for side in (source, target)
    )
    sure = p[0].gather(1, target[0, :, None])[:, 0].tolist()
    german = pieces.names(target[0].tolist())
    yield Tokens(
        "German; the deeper a shade, the less sure",
        [(n, 1 - s) for n, s in zip(german, sure, strict=False)],
        [f"{n.strip()}: {s:.1%}" for n, s in zip(german, sure, strict=False)],
    )
    yield Grid(
        "Where it looked (a row is a piece that it wrote)", wrote, read, across[-1].cpu().numpy()
    )


def _name(byte: int) -> str:
    """A byte, to be read."""
    return {10: "line end", 32: "space"}.get(byte) or (
        chr(byte) if 32 < byte < 127 else f"byte {byte}"
    )


def _shown(piece: str) -> str:
    """A piece with its spaces and line ends made visible."""
    return piece.replace(" ", "␣").replace("\n", "↵")
