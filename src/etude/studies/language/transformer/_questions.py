"""Questions on the transformer: attention, heads, masks, positions."""

from __future__ import annotations

import math
from functools import cache
from random import Random

import torch
from torch import Tensor

from etude.layers.attention import MultiHeadAttention, attend, record_attention
from etude.layers.positions import rotate
from etude.questions import (
    Choice,
    Code,
    Count,
    Number,
    Predict,
    Several,
    Shape,
    Wrong,
    apart,
    changed,
    measured,
    question,
    written,
)


@question
def weight_of_a_key(rng: Random) -> Number:
    """The weight that attention gives to a key."""
    d = rng.choice([4, 9, 16, 25])
    scores = [float(each) for each in rng.sample([0, 2, 4, 5, 6, 8, 10], 2)]
    q = torch.zeros(1, d).double()
    q[0, 0] = 1
    k = torch.zeros(2, d).double()
    k[:, 0] = torch.tensor(scores)  # so that q · k are the scores
    _, weights = attend(q, k, torch.zeros(2, 1).double())
    found = float(weights[0, 0])

    def weight(divisor: float) -> float:
        return 1 / (1 + math.exp((scores[1] - scores[0]) / divisor))

    return Number(
        prompt=(
            f"A query of width $d$ = {d} meets two keys, with the dot products $q \\cdot k_1$ ="
            f" {scores[0]:g} and $q \\cdot k_2$ = {scores[1]:g}. Which weight does attention give"
            " to"
            " the value of the first key?"
        ),
        answer=found,
        tolerance=0.02,
        wrong=apart(
            found,
            Wrong(
                weight(1),
                "the division by the root of d was forgotten",
                f"The scores are $q \\cdot k / \\sqrt d$: divided by {d**0.5:g}. Without it the"
                " softmax"
                " saturates.",
            ),
            Wrong(
                weight(d),
                "it was divided by d",
                "The dot product of $d$ components has variance $d$, so its *standard deviation*"
                " $\\sqrt d$ is divided by.",
            ),
            Wrong(
                scores[0] / sum(scores),
                "the softmax was forgotten",
                "Weights are $e^z / \\sum e^z$, not $z / \\sum z$.",
            ),
            Wrong(
                1 - found,
                "the other key was taken",
                "This is the weight of the second one.",
            ),
            Wrong(
                float(scores[0] > scores[1]),
                "attention was taken for a dictionary",
                "A dictionary returns one value. Attention returns a mean in which better keys"
                " weigh"
                " more.",
            ),
            within=0.06,
        ),
        why=(
            f"$1 / (1 + e^{{(z_2 - z_1)}})$ with $z$ = {scores[0]:g}/{d**0.5:g} and"
            f" {scores[1]:g}/{d**0.5:g}: {written(found)}."
        ),
        see="Attention is a soft dictionary",
    )


@question
def shape_of_the_weights(rng: Random) -> Shape:
    """The shape of the weights of many heads."""
    heads = rng.choice([2, 3, 4])
    width = heads * rng.choice([2, 3, 4])
    t, s = rng.sample([5, 6, 7, 9, 11], 2)
    layer = _attention(width, heads)
    with torch.no_grad(), record_attention(layer) as weights:
        layer(torch.zeros(1, t, width), torch.zeros(1, s, width))
    _, *found = weights[""].shape
    answer: tuple[int | str, ...] = ("N", *found)
    return Shape(
        prompt=(
            f"In cross-attention with {heads} heads and a width of {width}, a decoder has written"
            f" {t}"
            f" tokens and attends to {s} that were read, in a batch of $N$. What is the shape of"
            " the"
            " attention weights?"
        ),
        answer=answer,
        wrong=apart(
            answer,
            Wrong(
                ("N", heads, s, t),
                "queries and keys were exchanged",
                "A row for each query (what is written), a column for each key (what was read):"
                " each"
                " row sums to 1.",
            ),
            Wrong(
                ("N", t, s),
                "the heads were forgotten",
                "Each head takes a weighted mean of its own.",
            ),
            Wrong(
                ("N", heads, t, t),
                "self-attention was taken for cross-attention",
                "The keys come from the tokens that were read.",
            ),
            Wrong(
                ("N", heads, t, width // heads),
                "the queries were taken for the weights",
                "This is the shape of the queries of all heads. A weight belongs to a query and a"
                " key.",
            ),
            Wrong(
                ("N", t, width),
                "the output was taken for the weights",
                "This is the shape of the attention's output.",
            ),
        ),
        why=f"For each of {heads} heads a weight for each of {t} queries and each of {s} keys.",
        see="Many heads",
    )


@cache
def _attention(width: int, heads: int, causal: bool = False) -> MultiHeadAttention:
    with torch.random.fork_rng(devices=[]):
        return MultiHeadAttention(width, heads, causal=causal)


@cache
def _parameters(width: int, heads: int, bias: bool) -> int:
    with torch.device("meta"):
        layer = MultiHeadAttention(width, heads, bias=bias)
    return sum(parameter.numel() for parameter in layer.parameters())


@question
def parameters_of_many_heads(rng: Random) -> Count:
    """How many parameters multi-head attention has."""
    heads = rng.choice([2, 4, 8, 16])
    width = heads * rng.choice([8, 12, 16, 32])
    bias = rng.random() < 0.5
    found = _parameters(width, heads, bias)
    square, vector = width * width, width if bias else 0
    return Count(
        prompt=(
            f"Multi-head attention has a width of {width} and {heads} heads. Its linear maps have"
            f" {'biases' if bias else 'no biases'}. How many parameters has it?"
        ),
        answer=found,
        unit="parameters",
        wrong=apart(
            found,
            Wrong(
                3 * (square + vector),
                "the last map was forgotten",
                "Besides queries, keys and values, a last linear map mixes the heads.",
            ),
            Wrong(
                4 * heads * (square + vector),
                "each head was given the full width",
                f"The heads share the width: each projects to {width} / {heads} = {width // heads}."
                " Many heads cost no more than one.",
            ),
            Wrong(
                4 * (square // heads + vector),
                "one head was counted",
                f"Each of the {heads} heads projects to its part of the width.",
            ),
            Wrong(
                4 * square if bias else 4 * (square + width),
                "the biases were forgotten" if bias else "biases were added",
                f"Here the maps have {'a bias' if bias else 'no bias'} each.",
            ),
            Wrong(
                square + vector,
                "one map was counted",
                "Queries, keys, values and the output each have one.",
            ),
        ),
        why=(
            f"Four maps of {width} × {width}"
            + (f" and a bias of {width} each" if bias else "")
            + f": {written(found)}, whatever the number of heads."
        ),
        see="Many heads",
    )


@question
def pairs_that_a_mask_leaves(rng: Random) -> Count:
    """How many pairs of positions the causal mask leaves."""
    heads = rng.choice([1, 2])
    t = rng.randint(4, 24)
    layer = _attention(4, heads, causal=True)
    x = torch.linspace(-1, 1, 4 * t).view(1, t, 4)
    with torch.no_grad(), record_attention(layer) as weights:
        layer(x)
    found = int((weights[""][0, 0] > 0).sum())
    return Count(
        prompt=(
            f"A causal mask lies on self-attention over {t} tokens. In one head, how many of the"
            f" {t} × {t} weights can be other than 0?"
        ),
        answer=found,
        unit="weights",
        wrong=apart(
            found,
            Wrong(
                t * (t - 1) // 2,
                "a token was thought not to see itself",
                "The mask hides what is written *after* a position. Its own stays.",
            ),
            Wrong(
                t * t,
                "the mask was forgotten",
                "Weights of later tokens are 0.",
            ),
            Wrong(
                t * t // 2,
                "half was taken",
                "The diagonal stays whole: it is a little more than half.",
            ),
            Wrong(t, "only the diagonal was counted", "Earlier tokens are seen, too."),
        ),
        why=f"Position $t$ sees $t$ tokens: 1 + 2 + … + {t} = {found}.",
        see="Masks",
    )


@question
def what_a_set_does_not_see(rng: Random) -> Several:
    """Which changes of the input attention without positions does not notice."""
    generator = torch.Generator().manual_seed(rng.getrandbits(32))
    n = rng.choice([4, 5, 6])
    x = torch.randn(n, 4, generator=generator).double()
    i, j = rng.sample(range(1, n), 2)
    swapped = x.clone()
    swapped[[i, j]] = x[[j, i]]
    other = x.clone()
    other[i] += 1
    reverse = torch.cat([x[:1], x[1:].flip(0)])
    doubled = torch.cat([x, x])
    twice = torch.cat([x, x[i : i + 1]])
    shorter = torch.cat([x[:i], x[i + 1 :]])

    def first(tokens: Tensor) -> Tensor:
        return attend(tokens[:1], tokens, tokens)[0]

    changes = {
        f"Tokens {i + 1} and {j + 1} change places": swapped,
        "All tokens but the first are put in reverse order": reverse,
        "The whole sequence is written twice, one behind the other": doubled,
        f"Token {i + 1} is replaced by another one": other,
        f"Token {i + 1} is written once more at the end": twice,
        f"Token {i + 1} is left out": shorter,
    }
    kept = {words for words, each in changes.items() if torch.allclose(first(each), first(x))}
    chosen = rng.sample(sorted(changes), 5)
    return Several(
        prompt=(
            f"Self-attention without positions and without a mask reads {n} different tokens. Which"
            " changes leave the output at the *first* token as it was?"
        ),
        answer=tuple(words for words in chosen if words in kept),
        missed=(
            "Attention treats its input as a set: an order changes nothing, nor does it when every"
            " token comes equally often."
        ),
        wrong=tuple(
            Wrong(
                words,
                "the mean was thought to stay",
                "The output is a weighted mean over all tokens. Another token, or another share of"
                " one, moves it.",
            )
            for words in chosen
            if words not in kept
        ),
        why=(
            "Scores, softmax and mean know tokens, not places. Written twice, each token has half"
            " of"
            " the weight in two places, and the mean is the same."
        ),
        see="Positions",
    )


@question
def equal_distances(rng: Random) -> Choice:
    """Which pair of positions has the same score under rotary positions."""
    t = rng.randint(4, 12)
    distance = rng.choice([1, 2, 3])
    s = t - distance
    moved = rng.choice([2, 3, 5, 9])
    angle = rng.uniform(0.5, 2.5)
    q = torch.tensor([[1.0, 0.0, 0.6, 0.3]]).double()
    k = torch.tensor([[math.cos(angle), math.sin(angle), -0.2, 0.7]]).double()

    def score(at: int, to: int) -> float:
        turned = rotate(q, torch.tensor([at])), rotate(k, torch.tensor([to]))
        return float((turned[0] * turned[1]).sum())

    def told(pair: tuple[int, int]) -> str:
        return f"a query at {pair[0]}, a key at {pair[1]}"

    right = (t + moved, s + moved)
    pairs = {
        (s, t): (
            "the distance lost its sign",
            "A product with a conjugate turns by $\\omega (t - s)$: who stands first matters.",
        ),
        (2 * t, 2 * s): (
            "the ratio was kept",
            f"The distance became {2 * distance}; it is the difference that counts.",
        ),
        (t + moved, s): (
            "one of both was moved",
            "Both have to move alike, so that their distance stays.",
        ),
        (t, s + moved): (
            "one of both was moved",
            "Both have to move alike, so that their distance stays.",
        ),
    }
    assert abs(score(*right) - score(t, s)) < 1e-6
    differ = [pair for pair in pairs if abs(score(*pair) - score(t, s)) > 1e-6 and pair != right]
    return Choice(
        prompt=(
            f"Positions are *rotary*. A query at position {t} and a key at position {s} have a"
            " certain"
            " score. Which pair with the same contents is sure to have the same score?"
        ),
        answer=told(right),
        wrong=tuple(Wrong(told(pair), *pairs[pair]) for pair in differ),
        why=(
            "The score is $\\mathrm{Re}[q \\bar k \\, e^{i \\omega (t - s)}]$: it depends on"
            f" $t - s$ = {distance} alone."
        ),
        see="rotary",
    )


CHANGES = (
    (
        "scores.softmax(-1)",
        "scores.softmax(-2)",
        "The softmax goes over the keys, so that the weights of each query sum to 1. Here it goes"
        " over the queries.",
    ),
    (
        "math.sqrt(q.shape[-1])",
        "math.sqrt(q.shape[-2])",
        "The scores are divided by the root of the *width* $d$; this divides by that of the number"
        " of queries.",
    ),
    (
        "scores.masked_fill(~mask,",
        "scores.masked_fill(mask,",
        "The mask is True where a query may see a key. Filled is what it may *not* see.",
    ),
    (
        "scores + bias",
        "scores * bias",
        "A bias is added to the scores.",
    ),
    (
        "weights @ v, weights",
        "weights @ k, weights",
        "The mean is one of the *values*; keys only decide on the weights.",
    ),
)


@question
def changed_line(rng: Random) -> Code:
    """Which line of attention is wrong."""
    before, after, why = rng.choice(CHANGES)
    lines, number = changed(attend, before, after)
    return Code(
        prompt="One line of this function was changed, and it is no attention any more. Which one?",
        lines=lines,
        answer=number,
        wrong=(
            Wrong(
                1 if number != 1 else 2,
                "the signature was taken",
                "The signature is as it was.",
            ),
        ),
        why=why,
        see="Attention is a soft dictionary",
    )


@question(cites={"test/exact": 1.0, "no_positions/test/exact": 0.000667})
def without_positions(rng: Random) -> Predict:
    """What is reversed without positions."""
    found = measured(__file__)
    blind = found["no_positions/test/exact"]
    whole = found["test/exact"]
    assert blind < 0.01 < 0.99 < whole
    return Predict(
        prompt=(
            "A transformer reverses sequences of 6 to 12 numbers that it never saw. Trained in the"
            " same"
            " way but *without positions*, how many does it reverse without an error?"
        ),
        answer="Almost none",
        wrong=(
            Wrong(
                "About half",
                "positions were thought to help only a little",
                "To reverse, the decoder has to attend to place $n - t$. A set has no places.",
            ),
            Wrong(
                "Almost all, for the causal mask tells it where it is",
                "the decoder's mask was thought to be enough",
                "It tells the decoder how many tokens it has *written*. The encoder has no such"
                " mask,"
                " so what was read stays a set.",
            ),
            Wrong(
                "Almost all, for the tokens are all different",
                "contents were taken for places",
                "Numbers repeat, and no number says where it stood.",
            ),
        ),
        why=(
            f"{100 * whole:.1f} % with positions, {100 * blind:.2f} % without (means of three"
            " seeds)."
        ),
        see="Positions",
        run="etude run transformer",
    )
