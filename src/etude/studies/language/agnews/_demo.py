"""What the page shows of a text: its topics, and the words that decide them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from etude.demos import Answer, Bars, Tokens

Predict = Callable[[str], Mapping[str, float]]


def topic_answers(text: str, predict: Predict, most: int = 40) -> Iterator[Answer]:
    """The probability of each topic, and each word shaded by how much less probable the best topic
    is without it.

    Args:
        text: what is classified.
        predict: the probability of each topic for a text.
        most: words that are left out one by one.
    """
    p = predict(text)
    yield Bars("Topics", p)

    best = max(p, key=lambda topic: p[topic])
    words = text.split()[:most]
    lost = []
    for k in range(len(words)):
        rest = " ".join(words[:k] + words[k + 1 :])
        lost.append(max(0.0, p[best] - predict(rest or ".")[best]))
    scale = max(*lost, 1e-3)
    yield Tokens(
        "What it hangs on", [(f"{w} ", x / scale) for w, x in zip(words, lost, strict=True)]
    )
