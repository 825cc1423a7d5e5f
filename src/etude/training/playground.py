"""Watching: a boundary as it forms, optimisers on their way, a text being written."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.colors import to_rgb
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, interpolate, pad

from etude.data.corpora import bytes_of
from etude.data.embedded import uci_digits
from etude.data.pieces import Pieces
from etude.demos import Answer, Frames, Grid, Image, Tokens
from etude.figures.style import PALETTE
from etude.figures.walks import stills
from etude.training.language import narrowed, sample
from etude.training.surfaces import Make, Place, Surface, Walk

SIDE = 121  # pixels of a frame


def grow(
    points: Sequence[tuple[float, float, int]],
    net: nn.Module,
    *,
    rate: float = 0.02,
    steps: int = 240,
    frames: int = 48,
) -> Frames:
    """Train ``net`` on two classes of points from -1 to 1, all at every step, by Adam; a frame
    every few steps.

    Args:
        points: (x, y, class 0 or 1) of each.
        net: (n, 2) → (n, 1), the logit of class 1. Changed in place.
        rate: the learning rate.
        steps: of gradient descent.
        frames: pictures of the plane, evenly in time.
    """
    x = torch.tensor([point[:2] for point in points])
    label = torch.tensor([float(point[2]) for point in points])
    optimizer = torch.optim.Adam(net.parameters(), rate, fused=True)
    marks = _marks(x, label)
    axis = torch.linspace(-1, 1, SIDE)
    plane = torch.stack(torch.meshgrid(axis, axis.flip(0), indexing="xy"), -1).view(
        -1, 2
    )  # top row first
    images, captions = [], []
    for step in range(steps + 1):
        scores = net(x).squeeze(1)
        loss = binary_cross_entropy_with_logits(scores, label)
        if step % (steps // frames) == 0:
            with torch.no_grad():
                images.append(_picture(net(plane).sigmoid().view(SIDE, SIDE), marks))
            right = float(((scores > 0) == (label > 0.5)).double().mean())
            captions.append(f"step {step}: loss {loss.item():.3f}, {right:.0%} right")
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return Frames("What it has learned so far", images, captions, width=420, smooth=True)


def race(surface: Surface, start: Place, rules: Mapping[str, Make], steps: int = 300) -> Frames:
    """Optimisers that begin at one place, and where each is as time goes on.

    Args:
        surface: what they walk on.
        start: in the square from -1 to 1 that the surface's view is stretched over.
        rules: by name, each makes an optimiser from a list of parameters.
        steps: of each.
    """
    left, right, bottom, top = surface.view
    x, y = (start[0] + 1) / 2, (start[1] + 1) / 2
    place = torch.tensor(
        [left + x * (right - left), bottom + y * (top - bottom)], dtype=torch.double
    )
    walk = Walk(surface, place, rules)
    for _ in range(steps):
        walk.step()
    images, captions = stills(surface.loss, surface.view, surface.minima, walk.paths)
    return Frames("Their ways", images, captions, width=620, smooth=True)


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


def _marks(x: Tensor, label: Tensor) -> Image:
    """The points on the plane: (SIDE, SIDE, 3), in the colour of their class with a white rim;
    elsewhere NaN.
    """
    marks = np.full((SIDE, SIDE, 3), np.nan)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    places = ((x.numpy() * [1, -1] + 1) / 2 * (SIDE - 1)).round()
    for (column, row), is_one in zip(places, label.numpy() > 0.5, strict=True):
        near = (rows - row) ** 2 + (columns - column) ** 2
        marks[near <= 7] = 1.0
        marks[near <= 4] = to_rgb(PALETTE[int(is_one)])
    return marks


def _picture(probability: Tensor, marks: Image) -> Image:
    """The plane shaded by the probability of class 1, and the points on it."""
    none, one = (np.array(to_rgb(colour)) for colour in PALETTE[:2])
    p = probability.numpy()[:, :, None]
    sure = np.abs(2 * p - 1)
    shaded: Image = np.where(
        np.isnan(marks),
        0.35 + 0.65 * (1 - sure) + sure * 0.65 * np.where(p > 0.5, one, none),
        marks,
    )
    return shaded.clip(0, 1)
