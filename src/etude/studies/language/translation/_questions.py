"""Questions on translation: search, lengths, pieces, padding, counted words."""

from __future__ import annotations

import math
from collections import Counter
from functools import cache
from itertools import pairwise
from random import Random

import torch
from torch import Tensor

from etude.data.pieces import FIRST, PAD, Pieces
from etude.layers.attention import attend
from etude.questions import (
    Choice,
    Count,
    Number,
    Redraw,
    TrueFalse,
    Wrong,
    apart,
    question,
    written,
)

from ._beam_search import beam_search, length_factor

BEGIN, END, A, B, C, D = range(1, 7)  # tokens of the network below


class Chain:
    """A network whose next token depends on the last one alone."""

    def __init__(self, next_tokens: dict[int, dict[int, float]]) -> None:
        table = torch.full((7, 7), 1e-12)
        for last, following in next_tokens.items():
            for token, p in following.items():
                table[last, token] = p
        self.log_p = table.log()
        self.calls = 0

    def encode(self, source: Tensor) -> Tensor:
        """Nothing is read."""
        return torch.zeros(*source.shape, 1)

    def source_mask(self, source: Tensor) -> Tensor:
        """All of it."""
        return torch.ones_like(source, dtype=torch.bool)

    def cache(self) -> Chain:
        """Nothing is kept."""
        return self

    def select(self, rows: Tensor) -> None:
        """Nothing is kept."""

    def decode(self, target: Tensor, memory: Tensor, source_mask: Tensor, past: object) -> Tensor:
        """Logits by the last token."""
        self.calls += 1
        return self.log_p[target]


def found_by(net: Chain, width: int) -> float:
    """The probability of the text that a beam finds."""
    source = torch.zeros(1, 1, dtype=torch.long)
    _, rank = beam_search(net, source, BEGIN, END, 4, width=width, pad=PAD)
    return math.exp(float(rank))


@question
def what_a_beam_finds(rng: Random) -> Number:
    """The probability of the text that a search finds."""
    first = rng.choice([0.55, 0.6, 0.65, 0.7])
    good = rng.choice([0.8, 0.9, 0.95])
    bad = rng.choice([0.3, 0.32, 0.35])
    net = Chain(
        {
            BEGIN: {A: first, B: 1 - first},
            A: {C: bad, D: bad - 0.02, END: bad - 0.05, A: 1.07 - 3 * bad},
            B: {C: good, END: 1 - good},
            C: {END: 1.0},
            D: {END: 1.0},
        }
    )
    width = rng.choice([1, 2])
    found = found_by(net, width)
    other = found_by(net, 3 - width)
    if abs(found - other) < 0.02:
        raise Redraw
    return Number(
        prompt=(
            f"A decoder writes $a$ with the probability {first:g} or $b$ with {1 - first:g}. After"
            " $a$ the"
            f" most probable token has {bad:g}, after $b$ it has {good:g}; each of these then ends"
            " the"
            f" text for certain. Which probability has the text that"
            f" {'greedy decoding' if width == 1 else 'a beam of two'} finds?"
        ),
        answer=found,
        tolerance=0.015,
        wrong=apart(
            found,
            Wrong(
                other,
                "beam search was taken for greedy" if width == 1 else "greedy decoding was taken",
                "Greedy decoding can't take back its first token; a beam of two continues both"
                " beginnings, and keeps the better results.",
            ),
            Wrong(
                first,
                "the first token was given",
                "The probability of a text is the *product* over its tokens.",
            ),
            Wrong(
                first * bad + (1 - first) * good,
                "both texts were added",
                "One text is found.",
            ),
            Wrong(
                (first + bad) / 2 if width == 1 else (1 - first + good) / 2,
                "a mean was taken",
                "Probabilities of tokens are multiplied.",
            ),
            within=0.045,
        ),
        why=(
            f"{first:g} · {bad:g} = {written(first * bad)} against {1 - first:.2g} · {good:g} ="
            f" {written((1 - first) * good)}."
        ),
        see="Search",
    )


@question
def which_length_wins(rng: Random) -> Choice:
    """Which text ranks first at a length penalty."""
    alpha = rng.choice([0.0, 0.5, 1.0, 2.0])
    lengths = sorted(rng.sample([2, 4, 7, 10, 15, 20], 3))
    logs = [
        -(length * rng.choice([0.3, 0.4, 0.5, 0.6]) + rng.choice([0.5, 1.0])) for length in lengths
    ]
    factors = length_factor(torch.tensor(lengths).double(), alpha)
    ranks = [log / float(each) for log, each in zip(logs, factors, strict=True)]
    best = max(range(3), key=lambda i: ranks[i])
    if sorted(ranks)[-1] - sorted(ranks)[-2] < 0.03:
        raise Redraw
    told = [
        f"{length} tokens, $\\ln p$ = {written(log, 3)}"
        for length, log in zip(lengths, logs, strict=True)
    ]
    says = []
    for i in range(3):
        if logs[i] == max(logs):
            says.append(
                (
                    "the most probable text was taken",
                    f"Ranks are $\\ln p / l(n)$, and $\\alpha$ = {alpha:g} favours longer ones.",
                )
            )
        elif lengths[i] == max(lengths):
            says.append(
                (
                    "the longest text was taken",
                    f"$\\alpha$ = {alpha:g} divides by $l(n)$; its $\\ln p$ is too low all the"
                    " same.",
                )
            )
        else:
            says.append(("ranks were misjudged", f"Its rank is {written(ranks[i], 3)}."))
    return Choice(
        prompt=(
            "Beam search ends with three texts. It ranks by $\\ln p / l(n)$ with"
            f" $l(n) = ((5 + n)/6)^\\alpha$ and $\\alpha$ = {alpha:g}. Which text wins?"
        ),
        answer=told[best],
        wrong=tuple(Wrong(told[i], *says[i]) for i in range(3) if i != best),
        why=f"The ranks are {', '.join(written(rank, 3) for rank in ranks)}.",
        see="Search",
    )


@question
def which_pair_is_joined(rng: Random) -> Choice:
    """Which pair byte-pair encoding joins first."""
    words = rng.sample(
        ["low", "lower", "newest", "widest", "wild", "sent", "test", "nest", "slow"], 4
    )
    counts = [rng.choice([1, 2, 3, 5, 6, 9]) for _ in words]
    texts = [word for word, count in zip(words, counts, strict=True) for _ in range(count)]
    letters = len({letter for word in words for letter in word})
    pieces = Pieces(texts, FIRST + letters + 1)
    (best,) = pieces.rank
    pairs: Counter[tuple[str, str]] = Counter()
    kinds: Counter[tuple[str, str]] = Counter()
    for word, count in zip(words, counts, strict=True):
        for pair in pairwise(word):
            pairs[pair] += count
        kinds.update(set(pairwise(word)))
    (_, most), (_, second) = pairs.most_common(2)
    if most == second:
        raise Redraw

    def told(pair: tuple[str, str]) -> str:
        return f"`{pair[0]}` and `{pair[1]}`, {pairs[pair]} times"

    longest = max(zip(words, counts, strict=True), key=lambda each: each[1])[0]
    others = [pair for pair, _ in kinds.most_common()] + list(pairwise(longest)) + list(pairs)
    listed = ", ".join(f"{word} {count}×" for word, count in zip(words, counts, strict=True))

    def bare(pair: tuple[str, str]) -> str:
        return f"`{pair[0]}` and `{pair[1]}`"

    wrong: list[Wrong[str]] = []
    for pair in others:
        if pair != best and len(wrong) < 3 and bare(pair) not in [each.answer for each in wrong]:
            spread = kinds[pair] > kinds[best]
            wrong.append(
                Wrong(
                    bare(pair),
                    "different words were counted" if spread else "a rarer pair was taken",
                    f"It stands there {pairs[pair]} times, and {bare(best)} {pairs[best]} times:"
                    " each"
                    " word counts as often as it occurs.",
                )
            )
    return Choice(
        prompt=(
            f"Byte-pair encoding learns from the words {listed}. It begins with letters. Which"
            " pair does"
            " it join first?"
        ),
        answer=bare(best),
        wrong=tuple(wrong),
        why=f"The most frequent pair of neighbours: {told(best)}.",
        see="Pieces",
    )


@cache
def calls_to_write(tokens: int, width: int) -> int:
    """How often a beam search calls the decoder for so many tokens."""
    net = Chain({BEGIN: {A: 1.0}, A: {A: 1.0}})
    source = torch.zeros(1, 1, dtype=torch.long)
    beam_search(net, source, BEGIN, END, tokens, width=width, pad=PAD)
    return net.calls


@question
def calls_of_the_decoder(rng: Random) -> Count:
    """How often the decoder is called to train on a text and to write one."""
    tokens = rng.choice([3, 5, 8, 12, 20, 40])
    width = rng.choice([1, 2, 3])
    training = rng.random() < 0.5
    writing = calls_to_write(tokens, width)
    found = 1 if training else writing
    asked = (
        "How many passes of a transformer's decoder does the loss of this text take in training?"
        if training
        else f"The network now *writes* {tokens} tokens; a beam's {width} texts are one batch."
        " How many passes of its decoder does that take, one after another?"
    )
    return Count(
        prompt=f"A translation has {tokens} tokens, the end included. {asked}",
        answer=found,
        unit="passes",
        wrong=apart(
            found,
            Wrong(
                tokens if training else 1,
                "training was taken for writing" if training else "writing was taken for training",
                "In training the decoder is given the true tokens, so all positions are computed"
                " in one"
                " pass. In writing each token has to wait for the one before.",
            ),
            Wrong(
                tokens * width,
                "the texts of a beam were computed one by one",
                "They are rows of one batch.",
            ),
            Wrong(
                tokens + 1,
                "the first token was counted",
                "The token before the first is given.",
            ),
            Wrong(
                tokens * (tokens + 1) // 2,
                "earlier tokens were computed again",
                "A pass gives the next token; the earlier positions need no pass of their own.",
            ),
        ),
        why=(
            "Teacher forcing: the true tokens are known, and the mask hides what comes later."
            if training
            else f"One pass for each of {tokens} tokens; what earlier ones gave is kept."
        ),
        see="One factor for each token",
    )


@question
def does_padding_change_it(rng: Random) -> TrueFalse:
    """Whether padding changes what attention gives."""
    masked = rng.random() < 0.5
    tokens = rng.choice([3, 4, 5, 6, 9])
    extra = rng.choice([2, 3, 5, 7])
    generator = torch.Generator().manual_seed(rng.getrandbits(32))
    keys = torch.randn(tokens, 4, generator=generator).double()
    q = torch.randn(1, 4, generator=generator).double()
    padding = torch.zeros(extra, 4).double()
    longer = torch.cat([keys, padding])
    mask = (torch.arange(tokens + extra) < tokens)[None] if masked else None
    changes = not torch.allclose(attend(q, longer, longer, mask)[0], attend(q, keys, keys)[0])
    hidden = "Masked scores become weights of exactly 0, and the other weights sum to 1."
    shares = "Padding gets a share of the weights, for $e^0$ is not 0."
    zeros = "Padding is made of zeros, and zeros add nothing."
    trained = "The network learns to pay no attention to padding, so there is no difference."
    right = shares if changes else hidden
    says = {
        hidden: ("a mask was seen where there is none", "Here nothing hides the padding."),
        shares: ("the mask was overlooked", "Masked scores are $-\\infty$: their weights are 0."),
        zeros: (
            "a score of 0 was taken for a weight of 0",
            "A score of 0 has the weight $e^0 = 1$ before it is divided by the sum.",
        ),
        trained: (
            "learning was thought to replace a mask",
            "It might learn to, in part. With a mask it is exact from the start.",
        ),
    }
    return TrueFalse(
        prompt=(
            f"A text of {tokens} tokens is padded to {tokens + extra} by vectors of zeros."
            f" Attention reads it {'with' if masked else 'without'} a mask of the padding. *The"
            " padding"
            " changes what is read.*"
        ),
        holds=changes,
        answer=right,
        wrong=tuple(Wrong(each, *said) for each, said in says.items() if each != right),
        why=right,
        see="The texts of one batch have different lengths",
    )


@question
def words_that_count(rng: Random) -> Number:
    """The clipped precision of a translation."""
    reference = rng.choice(
        [
            "the cat is on the mat",
            "a dog and a cat sleep",
            "the man sees the red car near the house",
        ]
    ).split()
    common = max(Counter(reference), key=lambda word: Counter(reference)[word])
    others = [word for word in dict.fromkeys(reference) if word != common]
    guess = [common] * rng.choice([3, 4, 5]) + rng.sample(others, rng.choice([1, 2])) + ["blue"]
    rng.shuffle(guess)
    limits = Counter(reference)
    kept = sum(min(count, limits[word]) for word, count in Counter(guess).items())
    found = kept / len(guess)
    loose = sum(word in limits for word in guess)
    return Number(
        prompt=(
            f"A translation reads *{' '.join(guess)}*; the reference is *{' '.join(reference)}*."
            " What is"
            " BLEU's modified precision $p_1$ of single words?"
        ),
        answer=found,
        wrong=apart(
            found,
            Wrong(
                loose / len(guess),
                "nothing was clipped",
                "Each word counts at most as often as it occurs in the reference.",
            ),
            Wrong(
                kept / len(reference),
                "it was divided by the reference",
                "Precision is a fraction of what was *written*; dividing by the reference gives"
                " recall.",
            ),
            Wrong(
                len(set(guess) & set(limits)) / len(set(guess)),
                "different words were counted",
                "Every occurrence counts, up to the reference's number.",
            ),
            Wrong(
                1 - found,
                "the mistakes were counted",
                "Precision is the fraction that is right.",
            ),
            within=0.03,
        ),
        why=f"{kept} of {len(guess)} words are in the reference, each at most as often as there.",
        see="BLEU",
    )
