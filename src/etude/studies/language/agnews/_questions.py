"""Questions on text classification: n-grams, buckets, rare words, what a test can tell."""

from __future__ import annotations

import math
from random import Random

import torch

from etude.data.ragged import Ragged
from etude.data.text import document_frequency, ngrams, subwords, words
from etude.questions import (
    Choice,
    Count,
    Number,
    Redraw,
    Several,
    TrueFalse,
    Wrong,
    apart,
    question,
    written,
)

from ._baseline import naive_bayes

WORDS = ["oil", "price", "champion", "market", "orbit", "goal", "senate", "chip", "league", "virus"]


@question
def pieces_of_a_word(rng: Random) -> Count:
    """How many subwords a word has."""
    word = rng.choice(WORDS)
    longest = rng.choice([3, 4, 5])
    found = len(subwords(word, longest))
    n = len(word)
    told = "3 letters" if longest == 3 else f"3 to {longest} letters"
    return Count(
        prompt=(
            f"The subwords of `{word}` are the strings of {told} in `<{word}>`, the signs for its"
            " ends"
            " included. How many are there?"
        ),
        answer=found,
        unit="subwords",
        wrong=apart(
            found,
            Wrong(
                sum(max(0, n - k + 1) for k in range(3, longest + 1)),
                "the signs for the ends were forgotten",
                f"`<{word}>` has {n + 2} signs: through them a piece at the beginning or the end"
                " of a"
                " word differs from one inside.",
            ),
            Wrong(
                n + 2 - longest + 1,
                "only the longest pieces were counted",
                f"Those of all lengths from 3 to {longest} count.",
            ),
            Wrong(
                sum(range(3, longest + 1)),
                "lengths were added",
                "A string of $n$ signs has $n - k + 1$ pieces of length $k$.",
            ),
            Wrong(
                (n + 2) // 3,
                "pieces were thought not to overlap",
                "Each begins one sign after the one before.",
            ),
        ),
        why=(
            " + ".join(str(max(0, n + 3 - k)) for k in range(3, longest + 1))
            + f" = {found}: one for each place where a piece can begin."
        ),
        see="A bag of n-grams",
    )


@question
def sharing_a_bucket(rng: Random) -> Number:
    """How likely an n-gram shares its bucket."""
    buckets = rng.choice([1_000, 5_000, 10_000, 100_000])
    ratio = rng.choice([0.1, 0.25, 0.5, 1.0, 1.5, 2.0])
    m = round(buckets * ratio)
    found = 1 - (1 - 1 / buckets) ** (m - 1)
    return Number(
        prompt=(
            f"{m:,} different n-grams are hashed evenly into {buckets:,} buckets. What is the"
            " probability"
            " that a given one shares its bucket with another?"
        ),
        answer=found,
        tolerance=0.02,
        wrong=apart(
            found,
            Wrong(
                min(1.0, ratio),
                "the load was given",
                "Two of the others may fall into the same bucket. For small loads the two are"
                " nearly"
                " equal.",
            ),
            Wrong(
                1 - found,
                "the bucket was kept for itself",
                "That is the probability that it is *alone*.",
            ),
            Wrong(
                1 / buckets,
                "one other n-gram was counted",
                f"There are {m - 1:,} others.",
            ),
            Wrong(
                1.0,
                "a collision somewhere was meant",
                "That *some* two collide is nearly certain. The question is about a given one.",
            ),
            within=0.06,
        ),
        why=f"$1 - (1 - 1/B)^{{m - 1}} \\approx 1 - e^{{-{ratio:g}}}$ = {written(found)}.",
        see="A bag of n-grams",
    )


@question
def weight_of_a_rare_word(rng: Random) -> Number:
    """The weight of an n-gram by how many texts contain it."""
    texts = rng.choice([99, 199, 499, 999])
    share = rng.choice([1, 4, 9, 24, 49])
    everywhere = rng.random() < 0.15
    count = texts if everywhere else share
    rows = Ragged.of([[0] if i < count else [1] for i in range(texts)])
    seen = float(document_frequency(rows, 2)[0])
    found = math.log((1 + texts) / (1 + seen))
    return Number(
        prompt=(
            f"Of {texts} training texts {count} contain a word. Which weight"
            " $w_g = \\log \\frac{1 + N}{1 + n_g}$ does it get (natural logarithm)?"
        ),
        answer=found,
        wrong=apart(
            found,
            Wrong(
                math.log(1 + count),
                "frequent words were given more weight",
                "A word that stands in every text says nothing: its weight is 0.",
            ),
            Wrong(
                math.log10((1 + texts) / (1 + count)),
                "the logarithm to base 10 was taken",
                "Here it is the natural one.",
            ),
            Wrong(
                1 - count / texts,
                "the share was taken",
                "The weight is a logarithm: a word in one of a thousand texts weighs twice as much"
                " as one"
                " in thirty.",
            ),
            Wrong(
                math.log(texts / count) if count > 1 else math.log(texts) / 2,
                "the ones were forgotten",
                "Adding 1 keeps a word finite that no training text has.",
            ),
            within=0.03,
        ),
        why=f"$\\log$ {1 + texts}/{1 + count} = {written(found)}.",
        see="A bag of n-grams",
    )


@question
def how_sure_a_test_is(rng: Random) -> Number:
    """The standard error of an accuracy."""
    accuracy = rng.choice([0.5, 0.8, 0.9, 0.95, 0.96])
    n = rng.choice([100, 108, 400, 1_000, 7_600])
    right = torch.zeros(n * 100 // math.gcd(n, 100)).double()
    right[: round(accuracy * len(right))] = 1
    found = float(right.std(correction=0)) / n**0.5
    return Number(
        prompt=(
            f"A classifier is right on a fraction {accuracy:g} of {n:,} test texts. What is the"
            " standard"
            " error of this accuracy?"
        ),
        answer=found,
        tolerance=0.03,
        wrong=apart(
            found,
            Wrong(
                accuracy * (1 - accuracy) / n,
                "the variance was given",
                "The standard error is its root.",
            ),
            Wrong(
                (accuracy * (1 - accuracy)) ** 0.5,
                "one text was counted",
                "That is the deviation of a *single* text's 0 or 1.",
            ),
            Wrong(
                1 / n**0.5,
                "the accuracy was left out",
                "Near 0 or 1 it varies less: $\\sqrt{a (1 - a)}$.",
            ),
            Wrong(
                1 / n,
                "one text's worth was given",
                "One text is worth $1/n$, but many vary at once.",
            ),
            within=0.09,
        ),
        why=(
            f"$\\sqrt{{a (1 - a) / n}}$ = {written(found, 3)}: differences of this size between two"
            " classifiers mean nothing."
        ),
        see="Cross-validation",
    )


@question
def what_counting_says(rng: Random) -> Choice:
    """Which class naive Bayes gives a text."""
    topics = {
        "business": ["oil prices rise", "market prices fall", "oil market closes"],
        "sports": ["late goal wins", "champion wins title", "title match goal"],
        "science": ["new chip orbit", "virus study new", "orbit of a probe"],
    }
    names = list(topics)
    mixed = [rng.sample(texts, rng.choice([2, 3])) for texts in topics.values()]
    asked = rng.choice(["oil", "goal", "orbit", "prices", "title", "new", "market", "wins"])
    extra = rng.choice(["goal", "oil", "chip", "wins", "new"])
    text = f"{asked} {extra}"
    texts = [each for group in mixed for each in group]
    labels = torch.tensor([k for k, group in enumerate(mixed) for _ in group])
    number = {
        word: i for i, word in enumerate(sorted({w for t in [*texts, text] for w in words(t)}))
    }
    rows = Ragged.of([[number[word] for word in words(each)] for each in texts])
    query = Ragged.of([[number[word] for word in words(text)]])
    found = int(naive_bayes(rows, labels, query, len(number))[0])
    seen = [sum(word in words(each) for each in group for word in words(text)) for group in mixed]
    if sorted(seen)[-2] == seen[found]:
        raise Redraw  # how long the classes' texts are would decide
    listed = "; ".join(
        f"{name}: {', '.join(f'*{each}*' for each in group)}"
        for name, group in zip(names, mixed, strict=True)
    )
    return Choice(
        prompt=(
            "Naive Bayes counts in how many texts of a class a word stands, and adds 1 to each"
            " count. The"
            f" training texts are {listed}. Which class does it give to *{text}*?"
        ),
        answer=names[found],
        wrong=tuple(
            Wrong(
                name,
                "a class was taken that has fewer of the words",
                f"In its texts the words stand {seen[k]} times, and in those of {names[found]}"
                f" {seen[found]} times; what is left is decided by how many words and texts a"
                " class has.",
            )
            for k, name in enumerate(names)
            if k != found
        ),
        why=(
            "Probabilities of the words are multiplied, as if they were independent given the"
            " class:"
            f" {', '.join(f'{name} has them {n}×' for name, n in zip(names, seen, strict=True))}."
        ),
        see="What to look at",
    )


@question
def does_order_matter(rng: Random) -> TrueFalse:
    """Whether a bag of n-grams sees the order of words."""
    first = rng.sample(WORDS, 3)
    second = rng.sample(first, 3)
    phrase = rng.choice([1, 2])
    if second == first:
        second = first[::-1]
    texts = (" ".join(first), " ".join(second))
    bags = [sorted(ngrams([each], 1_000_003, phrase, 0).values.tolist()) for each in texts]
    same = bags[0] == bags[1]
    bag = "A bag knows how often each word stands there, and not where."
    pairs = "Pairs of neighbouring words differ, and they are in the bag, too."
    hashed = "The hash of a text depends on its order."
    learned = "The embeddings of the words are learned in their order."
    right = bag if same else pairs
    says = {
        bag: ("pairs of words were overlooked", "Here pairs of neighbours are counted as well."),
        pairs: ("pairs were seen where there are none", "Here only single words are counted."),
        hashed: (
            "texts were thought to be hashed",
            "*N-grams* are hashed, each by itself; the bag has no order.",
        ),
        learned: (
            "embeddings were thought to know places",
            "They are added up, and a sum has no order.",
        ),
    }
    what = "words alone" if phrase == 1 else "words and pairs of neighbouring words"
    return TrueFalse(
        prompt=(
            f"A classifier sees a bag of {what}, without subwords. *It can tell*"
            f" “{' '.join(first)}” *from* “{' '.join(second)}”."
        ),
        holds=not same,
        answer=right,
        wrong=tuple(Wrong(each, *said) for each, said in says.items() if each != right),
        why=f"The two bags are {'the same' if same else 'different'}.",
        see="A bag of n-grams",
    )


@question
def what_makes_a_test_luck(rng: Random) -> Several:
    """What may be concluded from folds and seeds."""
    folds = rng.choice([5, 10])
    settings = rng.choice([5, 20, 50])
    seeds = rng.choice([3, 5, 10])
    right = [
        f"The spread over {folds} folds contains that folds have different texts",
        f"The spread over {seeds} seeds leaves out that another test would have other texts",
        "A network that was validated on a fold has not seen the fold's texts",
    ]
    wrong = {
        f"The deviation over {folds} folds divided by $\\sqrt{{{folds}}}$ is a standard error": (
            "folds were thought to be independent",
            "Their networks share most of the training texts.",
        ),
        f"The best of {settings} settings on the test keeps its accuracy on new texts": (
            "the luckiest setting was trusted",
            "Part of that result is luck; the test was used to choose.",
        ),
        f"{seeds} seeds that agree show that the accuracy is right for other texts": (
            "seeds were taken for texts",
            "All seeds share the test texts, and may be lucky together.",
        ),
    }
    chosen = rng.sample(right, 2)
    others = rng.sample(sorted(wrong), 2)
    return Several(
        prompt="Which of these statements on judging a text classifier hold?",
        answer=tuple(chosen),
        missed="One more holds.",
        wrong=tuple(Wrong(each, *wrong[each]) for each in others),
        why=(
            "Folds differ in their texts, seeds in weights and order. Neither spread is a standard"
            " error"
            " of the accuracy on new texts, and a test that chose is none."
        ),
        see="Cross-validation",
    )
