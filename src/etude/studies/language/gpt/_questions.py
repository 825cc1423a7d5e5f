"""Questions on a language model: bits, perplexity, sampling, the cache, tied tables."""

from __future__ import annotations

import math
from functools import cache
from random import Random

import torch
from torch.nn.functional import cross_entropy

from etude.networks.gpt import GPT
from etude.questions import (
    Choice,
    Count,
    Match,
    Number,
    Predict,
    Wrong,
    apart,
    measured,
    question,
    written,
)

from ._sampling import next_probabilities


@question
def bits_of_a_text(rng: Random) -> Number:
    """Loss, bits or perplexity of a few characters."""
    p = [rng.choice([0.5, 0.25, 0.2, 0.1, 0.8, 0.05, 0.9]) for _ in range(rng.choice([3, 4]))]
    table = torch.tensor(p).double()
    logits = torch.stack([table.log(), (1 - table).log()], 1)
    nats = float(cross_entropy(logits, torch.zeros(len(p), dtype=torch.long)))
    which = rng.choice(["bits", "perplexity"])
    found = nats / math.log(2) if which == "bits" else math.exp(nats)
    asked = (
        "How many bits a character does an arithmetic coder need with it?"
        if which == "bits"
        else "What is its perplexity on them?"
    )
    told = ", ".join(f"{each:g}" for each in p)
    return Number(
        prompt=(
            f"A model gives the characters of a text, as they come, the probabilities {told}."
            f" {asked}"
        ),
        answer=found,
        wrong=apart(
            found,
            Wrong(
                nats,
                "nats were given",
                "That is the loss with the natural logarithm. Bits divide it by $\\ln 2$; the"
                " perplexity is $e$ to its power.",
            ),
            Wrong(
                math.exp(nats) if which == "bits" else nats / math.log(2),
                "bits and perplexity were exchanged",
                "Bits are a logarithm, the perplexity is a number of equally probable choices:"
                " $2^{bits}$.",
            ),
            Wrong(
                len(p) * found if which == "bits" else math.exp(len(p) * nats),
                "the whole text was taken",
                "Both are asked for *a character*: the sum is divided by their number.",
            ),
            Wrong(
                -math.log2(sum(p) / len(p)) if which == "bits" else len(p) / sum(p),
                "probabilities were averaged",
                "Probabilities of characters are multiplied, so their *logarithms* are averaged.",
            ),
            within=0.03,
        ),
        why=(
            f"The mean of $-\\ln p$ is {written(nats)} nats; divided by $\\ln 2$ these are"
            f" {written(nats / math.log(2))} bits, and $e$ to that power is"
            f" {written(math.exp(nats))}."
        ),
        see="Bits and perplexity",
    )


@question
def probability_after_sharpening(rng: Random) -> Number:
    """What a temperature makes of probabilities."""
    p = rng.choice(
        [
            [0.5, 0.3, 0.2],
            [0.6, 0.3, 0.1],
            [0.7, 0.2, 0.1],
            [0.5, 0.25, 0.25],
            [0.8, 0.15, 0.05],
            [0.4, 0.35, 0.25],
        ]
    )
    temperature = rng.choice([0.5, 0.25, 2.0, 4.0])
    j = rng.randrange(3)
    logits = torch.tensor(p).double().log()
    found = float(next_probabilities(logits, temperature)[j])
    other = float(next_probabilities(logits, 1 / temperature)[j])
    told = ", ".join(f"{each:g}" for each in p)
    return Number(
        prompt=(
            f"A network gives three bytes the probabilities {told}. At the temperature"
            f" {temperature:g},"
            f" how probable is byte number {j + 1}?"
        ),
        answer=found,
        tolerance=0.015,
        wrong=apart(
            found,
            Wrong(
                other,
                "the temperature was turned around",
                "$p \\propto e^{z / T}$: below 1 it sharpens, above 1 it makes all more equal.",
            ),
            Wrong(
                p[j],
                "the temperature was forgotten",
                "Only at 1 is the distribution the learned one.",
            ),
            Wrong(
                p[j] ** (1 / temperature),
                "nothing was divided by the sum",
                "Probabilities have to sum to 1 again.",
            ),
            Wrong(
                p[j] / temperature,
                "the probability was divided",
                "The *logits* are divided; probabilities get an exponent, $p^{1/T}$.",
            ),
            within=0.045,
        ),
        why=f"$p^{{1/T}}$ with $1/T$ = {1 / temperature:g}, divided by its sum: {written(found)}.",
        see="temperature",
    )


@question
def what_the_nucleus_holds(rng: Random) -> Count:
    """How many tokens a nucleus keeps."""
    p = sorted(
        rng.choice(
            [
                [0.4, 0.3, 0.2, 0.06, 0.04],
                [0.9, 0.05, 0.03, 0.01, 0.01],
                [0.3, 0.25, 0.2, 0.15, 0.1],
                [0.6, 0.2, 0.1, 0.06, 0.04],
                [0.75, 0.1, 0.08, 0.05, 0.02],
            ]
        ),
        key=lambda _: rng.random(),
    )
    least = rng.choice([0.5, 0.65, 0.8, 0.85, 0.95])
    logits = torch.tensor(p).double().log()
    found = int((next_probabilities(logits, top_p=least) > 0).sum())
    above = sum(each >= least for each in p)
    told = ", ".join(f"{each:g}" for each in p)
    return Count(
        prompt=(
            f"Five bytes have the probabilities {told}. From how many of them is drawn, if the"
            " nucleus"
            f" has to hold {least:g}?"
        ),
        answer=found,
        unit="bytes",
        wrong=apart(
            found,
            Wrong(
                found - 1,
                "the last one that is needed was left out",
                f"The fewest bytes that hold *at least* {least:g} together.",
            ),
            Wrong(
                found + 1,
                "one more was taken",
                f"The *fewest* bytes that hold at least {least:g} together.",
            ),
            Wrong(
                above,
                "each byte was compared with the bound",
                "What counts is what they hold *together*, from the most probable one down.",
            ),
            Wrong(5, "nothing was cut off", "The tail is cut off."),
        ),
        why=(
            "From the most probable one down they hold"
            f" {', '.join(written(sum(sorted(p)[::-1][: n + 1]), 3) for n in range(found))}."
        ),
        see="nucleus",
    )


@cache
def _parameters(vocabulary: int, width: int, layers: int) -> int:
    with torch.random.fork_rng(devices=[]):
        net = GPT(vocabulary, width, 1, layers, 8, positions="rotary")
    return sum(each.numel() for each in net.parameters())


@question
def a_table_for_two(rng: Random) -> Count:
    """How many parameters tied weights save."""
    vocabulary = rng.choice([256, 1_000, 5_000, 20_000, 50_257])
    width = rng.choice([48, 64, 96, 128, 256, 768])
    layers = rng.choice([2, 4, 12])
    one = _parameters(7, 8, 2) - _parameters(6, 8, 2)  # what one token more costs, at width 8
    found = one // 8 * vocabulary * width
    return Count(
        prompt=(
            f"A GPT has {vocabulary:,} tokens, {layers} layers and a width of {width}, and one"
            " table for"
            " inputs and outputs. How many parameters more would it have with two tables?"
        ),
        answer=found,
        unit="parameters",
        wrong=apart(
            found,
            Wrong(
                2 * vocabulary * width,
                "both tables were counted",
                "One of the two is there already.",
            ),
            Wrong(
                vocabulary * width * layers,
                "each layer was given a table",
                "The table stands before the first layer and after the last one.",
            ),
            Wrong(
                width * width * layers,
                "the layers were counted",
                "The layers do not depend on the number of tokens.",
            ),
            Wrong(
                vocabulary,
                "one number was counted for each token",
                f"A row of the table has {width} numbers.",
            ),
        ),
        why=f"A row of {width} numbers for each of {vocabulary:,} tokens: {written(found)}.",
        see="One table for inputs and outputs",
    )


@question
def what_a_cache_saves(rng: Random) -> Match:
    """What grows how with the length of a text."""
    n = rng.choice([64, 128, 256, 512, 1024])
    width = rng.choice([64, 128, 256])
    layers = rng.choice([2, 4, 6])
    maps = 12 * layers * width**2
    pairs = (
        ("Multiplications of the linear maps with a cache", written(maps * n)),
        ("The same without a cache, about", written(maps * n * n // 2)),
        ("Numbers that the cache holds at the end", written(2 * layers * width * n)),
    )
    (one, a), (two, b), (three, _) = pairs
    return Match(
        prompt=(
            f"A GPT of width {width} with {layers} layers writes {n} bytes. A position costs"
            f" $12 \\ell w^2$ multiplications in the linear maps. Which number is which?"
        ),
        answer=pairs,
        wrong=(
            Wrong(
                (one, b),
                "everything was read again",
                "With a cache each position is computed once.",
            ),
            Wrong(
                (two, a),
                "the earlier bytes were not read again",
                "Without a cache byte $t$ costs $t$ positions: $n^2 / 2$ together.",
            ),
            Wrong(
                (three, a),
                "memory was taken for work",
                "The cache holds a key and a value of $w$ numbers for each layer and position.",
            ),
        ),
        why=(
            "$12 \\ell w^2 n$, $6 \\ell w^2 n^2$ and $2 \\ell w n$: the cache saves a factor of"
            " $n/2$ ="
            f" {n // 2} in multiplications, and costs memory."
        ),
        see="The cache",
    )


@question
def which_cut_was_made(rng: Random) -> Choice:
    """What top-k and top-p leave of a distribution."""
    p = rng.choice(
        [
            [0.5, 0.3, 0.15, 0.05],
            [0.6, 0.25, 0.1, 0.05],
            [0.4, 0.3, 0.2, 0.1],
            [0.7, 0.15, 0.1, 0.05],
        ]
    )
    k = rng.choice([1, 2, 3])
    p = sorted(p, key=lambda _: rng.random())
    logits = torch.tensor(p).double().log()

    def told(values: object) -> str:
        return ", ".join(written(float(each), 3) for each in values)  # type: ignore[attr-defined]

    kept = next_probabilities(logits, top_k=k)
    masked = [each if each >= sorted(p)[-k] else 0.0 for each in p]
    sharp = next_probabilities(logits, temperature=1 / (k + 1))
    equal = [1 / k if each >= sorted(p)[-k] else 0.0 for each in p]
    first = torch.tensor(p).double()
    first[k:] = 0
    return Choice(
        prompt=(
            f"Top-k with $k$ = {k} is applied to the probabilities {told(p)}. What is drawn from?"
        ),
        answer=told(kept),
        wrong=apart(
            told(kept),
            Wrong(
                told(masked),
                "nothing was divided by the sum",
                "What is kept has to sum to 1 again.",
            ),
            Wrong(
                told(equal),
                "the kept ones were made equal",
                "They keep their proportions.",
            ),
            Wrong(
                told(sharp),
                "a temperature was applied",
                "A temperature sharpens all; top-k cuts off the tail and changes no proportion.",
            ),
            Wrong(
                told(first / first.sum()),
                "the first in the list were kept",
                "The *most probable* ones are kept.",
            ),
            Wrong(
                told(p),
                "nothing was cut off",
                f"Only {k} of them {'is' if k == 1 else 'are'} kept.",
            ),
        ),
        why=f"The {k} most probable, divided by their sum: {told(kept)}.",
        see="top-k",
    )


@question(
    cites={"test/bits": 1.902, "with counting/test/bits": 1.7227, "counting/test/bits": 1.8254}
)
def better_together(rng: Random) -> Predict:
    """What the mean of a network and of counting reaches."""
    found = measured(__file__)
    net = found["test/bits"]
    counts = found["counting/test/bits"]
    both = found["with counting/test/bits"]
    assert both < counts < net
    return Predict(
        prompt=(
            f"On help texts of Python the small network needs {net:.2f} bits a character, and"
            " Kneser and"
            f" Ney's counting {counts:.2f}. What does the mean of both distributions need?"
        ),
        answer="Less than either",
        wrong=(
            Wrong(
                "Something between the two",
                "bits were averaged",
                "*Probabilities* are averaged. By Jensen's inequality the bits of a mean are at"
                " most the"
                " mean of the bits, and where each knows what the other does not, far less.",
            ),
            Wrong(
                "As much as the worse one",
                "one bad guess was thought to spoil both",
                "Where one gives a byte a high probability, the mean has at least half of it: one"
                " bit"
                " more, at most.",
            ),
            Wrong(
                "As much as counting: the network adds nothing",
                "the worse model was thought to be useless",
                "It is better elsewhere. Its mistakes are others.",
            ),
        ),
        why=f"{both:.2f} bits (mean of three seeds).",
        see="What counting knows",
        run="etude run gpt",
    )
