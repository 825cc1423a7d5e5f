"""What the sequences are asked."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.random import Generator

from etude.exercises.checks import (
    Code,
    Failure,
    Value,
    agree,
    array_of,
    check,
    numeric_gradient,
    require,
    same_answer,
    values_of,
)

# -- recurrent steps -------------------------------------------------------------------------------


def _cell(
    rng: Generator, parts: int = 1, n: int = 3, d: int = 2, h: int = 4
) -> dict[str, np.ndarray]:
    """Inputs, states and weights of a cell whose weights have several parts."""
    return {
        "x": rng.normal(size=(n, d)),
        "h": rng.normal(size=(n, h)),
        "wx": rng.normal(size=(d, parts * h)),
        "wh": rng.normal(size=(h, parts * h)),
        "b": rng.normal(size=parts * h),
    }


@check("rnn", public=True)
def a_recurrent_step(student: Code, reference: Code, rng: Generator) -> None:
    same_answer(student, reference, "rnn_step", *_cell(rng).values(), what="the new states")


@check("rnn")
def examples_do_not_meet(student: Code, reference: Code, rng: Generator) -> None:
    cell = _cell(rng, n=4, d=4)
    same_answer(student, reference, "rnn_step", *cell.values(), what="the new states")
    whole = array_of(student.call("rnn_step", *cell.values()), (4, 4), "the new states")
    cell["x"], cell["h"] = cell["x"][2:3], cell["h"][2:3]
    found = student.call("rnn_step", *cell.values())
    agree(found, whole[2:3], "one example alone, beside the same among others,")


@check("rnn-backward", public=True)
def the_gradients_of_your_step(student: Code, reference: Code, rng: Generator) -> None:
    cell = _cell(rng, n=2, h=3)
    by_new = rng.normal(size=(2, 3))
    found = student.call("rnn_step_backward", by_new, *cell.values())
    if not isinstance(found, dict) or found.keys() != cell.keys():
        raise Failure(
            f"the answer is a {type(found).__name__}; expected a table of x, h, wx, wh, b"
        )
    for name, at in cell.items():

        def loss(moved: np.ndarray, name: str = name) -> float:
            new = student.call("rnn_step", *(cell | {name: moved}).values())
            return float((array_of(new, (2, 3), "the new states") * by_new).sum())

        expected = numeric_gradient(loss, at)
        moves = bool(np.isfinite(expected).all() and expected.any())
        require(moves, f"your own step does not answer to {name}, or not with numbers")
        agree(
            found[name],
            expected,
            f"the gradient by {name}, beside differences of your own step",
            rtol=1e-4,
            atol=1e-6,
        )
    agree(found, reference.call("rnn_step_backward", by_new, *cell.values()), "the gradients")


@check("rnn-backward", points=2)
def gradients_of_many_examples(student: Code, reference: Code, rng: Generator) -> None:
    for n, d, h in ((5, 3, 4), (1, 1, 1), (3, 3, 3)):
        cell = _cell(rng, 1, n, d, h)
        arguments = (rng.normal(size=(n, h)), *cell.values())
        same_answer(student, reference, "rnn_step_backward", *arguments, what="the gradients")


def _lstm(rng: Generator) -> list[np.ndarray]:
    x, h, *weights = _cell(rng, 4).values()
    return [x, h, rng.normal(size=h.shape), *weights]


@check("lstm", public=True)
def an_lstm_step(student: Code, reference: Code, rng: Generator) -> None:
    same_answer(student, reference, "lstm_step", *_lstm(rng), what="states and cells")


@check("lstm", points=2)
def gates_that_are_open_or_closed(student: Code, reference: Code, rng: Generator) -> None:
    x, h, c, wx, wh, _ = _lstm(rng)
    shut, open_ = np.full(4, -1e4), np.full(4, 1e4)
    free = np.zeros(4)
    keeps = np.concatenate([shut, open_, open_, free])
    new, cell = values_of(student.call("lstm_step", x, h, c, wx, wh, keeps), 2)
    agree(cell, c, "the cell where all is kept and nothing taken in")
    agree(new, np.tanh(c), "the state where all is shown")
    takes = np.concatenate([open_, shut, shut, free])
    new, cell = values_of(student.call("lstm_step", x, h, c, wx, wh, takes), 2)
    agree(cell, np.tanh((x @ wx + h @ wh)[:, 12:]), "the cell where only the candidate is taken in")
    agree(new, np.zeros((3, 4)), "the state where nothing is shown")
    half = np.zeros((2, 16)), np.zeros((4, 16)), np.zeros(16)
    same_answer(
        student, reference, "lstm_step", x, h, c, *half, what="states and cells without weights"
    )


@check("gru", public=True)
def a_gru_step(student: Code, reference: Code, rng: Generator) -> None:
    same_answer(student, reference, "gru_step", *_cell(rng, 3).values(), what="the new states")


@check("gru", points=2)
def what_it_keeps_and_what_it_resets(student: Code, reference: Code, rng: Generator) -> None:
    x, h, wx, wh, _ = _cell(rng, 3).values()
    shut, open_, free = np.full(4, -1e4), np.full(4, 1e4), np.zeros(4)
    for reset, update, expected, what in (
        (free, open_, h, "where all is kept"),
        (shut, shut, np.tanh(x @ wx[:, 8:]), "where all is reset and nothing kept"),
        (open_, shut, np.tanh(x @ wx[:, 8:] + h @ wh[:, 8:]), "where nothing is reset or kept"),
    ):
        found = student.call("gru_step", x, h, wx, wh, np.concatenate([reset, update, free]))
        agree(found, expected, f"the state {what}")
    same_answer(
        student, reference, "gru_step", *_cell(rng, 3, 1, 4, 5).values(), what="the new states"
    )


# -- attention -------------------------------------------------------------------------------------


@check("attention", public=True)
def queries_that_see_all_or_only_what_came_before(
    student: Code, reference: Code, rng: Generator
) -> None:
    q, k, v = (rng.normal(size=(2, 5, width)) for width in (3, 3, 4))
    for mask in (np.ones((5, 5), bool), np.tri(5, dtype=bool)):
        same_answer(student, reference, "attention", q, k, v, mask)
    found = array_of(student.call("attention", q, k, v, np.tri(5, dtype=bool)), (2, 5, 4))
    agree(found[:, 0], v[:, 0], "the answer to a query that sees one key")


@check("attention")
def masks_of_any_kind_and_many_axes(student: Code, reference: Code, rng: Generator) -> None:
    q, k, v = rng.normal(size=(2, 3, 4, 6)), rng.normal(size=(2, 3, 5, 6)), np.ones((2, 3, 5, 2))
    mask = rng.random((2, 1, 4, 5)) < 0.5
    mask[..., 0] = True
    agree(student.call("attention", q, k, v, mask), np.ones((2, 3, 4, 2)), "a mean of equal values")
    v = rng.normal(size=(2, 3, 5, 2))
    same_answer(student, reference, "attention", q, k, v, mask)
    mask[0, 0, 1] = False
    found = student.call("attention", q, k, v, mask)
    agree(found, reference.call("attention", q, k, v, mask), "the answer where a query sees no key")


@check("attention")
def large_scores_and_the_order_of_keys(student: Code, reference: Code, rng: Generator) -> None:
    q, k, v = 200 * rng.normal(size=(4, 9)), 200 * rng.normal(size=(6, 9)), rng.normal(size=(6, 3))
    scores = q @ k.T
    mask = scores < scores.max(1, keepdims=True)  # the best is far above the rest, and is not seen
    same_answer(student, reference, "attention", q, k, v, mask, what="the answer for large scores")
    q, k = q / 200, k / 200
    order = rng.permutation(6)
    agree(
        student.call("attention", q, k[order], v[order], mask[:, order]),
        reference.call("attention", q, k, v, mask),
        "the answer for keys and values in another order",
    )


@check("positions", public=True)
def a_table_of_positions(student: Code, reference: Code, rng: Generator) -> None:
    found = array_of(student.call("positional_encoding", 7, 6), (7, 6), "the table")
    agree(found[0], np.array([0.0, 1, 0, 1, 0, 1]), "position 0")
    agree(found, reference.call("positional_encoding", 7, 6), "the table")


@check("positions")
def only_distances_matter(student: Code, reference: Code, rng: Generator) -> None:
    for length, width in ((1, 2), (30, 16), (2, 40)):
        same_answer(student, reference, "positional_encoding", length, width, what="the table")
    found = array_of(student.call("positional_encoding", 30, 16), (30, 16), "the table")
    products = found @ found.T
    for distance in (0, 3, 11):
        along = np.diagonal(products, distance)
        what = f"the product of positions that are {distance} apart"
        agree(along, np.full(30 - distance, along[0]), what)


# -- search ----------------------------------------------------------------------------------------


def _table(rng: Generator, words: int) -> np.ndarray:
    powers = np.exp(2 * rng.normal(size=(words, words)))
    return np.asarray(np.log(powers / powers.sum(1, keepdims=True)))


@check("beam", public=True)
def a_beam_of_one_and_of_three(student: Code, reference: Code, rng: Generator) -> None:
    for width in (1, 3):
        table = _table(rng, 5)
        what = f"the sentence and its sum for a width of {width}"
        same_answer(student, reference, "beam_search", table, 0, 4, width, 6, what=what)


@check("beam")
def what_a_greedy_search_misses(student: Code, reference: Code, rng: Generator) -> None:
    with np.errstate(divide="ignore"):
        p = [[0.0, 0.6, 0.4, 0.0], [0.4, 0.3, 0.2, 0.1], [0.0, 0.0, 0.1, 0.9], [0.0, 0.0, 0.0, 1.0]]
        table = np.log(np.array(p))
    for width, words, best in ((1, [1, 0], 0.24), (2, [2, 3], 0.36)):
        found, total = values_of(student.call("beam_search", table, 0, 3, width, 2), 2)
        agree(found, words, f"the sentence for a width of {width}")
        agree(total, float(np.log(best)), f"its sum for a width of {width}")
    same_answer(
        student, reference, "beam_search", table, 2, 3, 1, 9, what="a sentence that ends early"
    )


@check("beam", points=2)
def a_beam_that_forgets_nothing_finds_the_best(
    student: Code, reference: Code, rng: Generator
) -> None:
    for _ in range(3):
        table, start, end = _table(rng, 3), 1, 2
        best: tuple[float, list[int]] = (-np.inf, [])
        for words in product(range(3), repeat=4):
            sentence = [*words]
            if end in sentence:
                sentence = sentence[: sentence.index(end) + 1]
            total = sum(table[a, b] for a, b in zip([start, *sentence], sentence, strict=False))
            best = max(best, (float(total), sentence))
        found, total = values_of(student.call("beam_search", table, start, end, 81, 4), 2)
        agree(found, best[1], "the best of all sentences")
        agree(total, best[0], "its sum")
        for width in (1, 2, 4):
            for first in (0, 2):  # a sentence may begin after its own last word
                arguments = (_table(rng, 6), first, 2, width, 5)
                what = f"the sentence and its sum for a width of {width}"
                same_answer(student, reference, "beam_search", *arguments, what=what)


# -- a measure -------------------------------------------------------------------------------------


def _sentence(rng: Generator, length: int) -> list[str]:
    return [str(word) for word in rng.choice(["the", "cat", "sat", "on", "mat"], length)]


def _corpus(rng: Generator, sizes: Sequence[int], by: Sequence[int]) -> tuple[Value, Value]:
    """Sentences, and for each some references that are nearly the same."""
    sentences = [_sentence(rng, size) for size in sizes]
    references = []
    for sentence in sentences:
        several = []
        for more in by:
            words = [*sentence, *_sentence(rng, 9)][: len(sentence) + more]
            words[int(rng.integers(len(words)))] = "dog"
            several.append(words)
        references.append(several)
    return sentences, references


@check("matches", public=True)
def a_word_that_is_repeated(student: Code, reference: Code, rng: Generator) -> None:
    references = ["the cat is on the mat".split(), "there is a cat on the mat".split()]
    found = student.call("matches", ["the"] * 7, references, 1)
    agree(found, (2, 7), "matches and runs of Papineni's seven words")
    same_answer(student, reference, "matches", "a cat is on a mat".split(), references, 2)


@check("matches")
def runs_of_any_length(student: Code, reference: Code, rng: Generator) -> None:
    for n in (1, 2, 3, 5):
        for length in (1, 4, 12):
            arguments = (_sentence(rng, length), [_sentence(rng, 10) for _ in range(3)], n)
            what = f"matches and runs of {n} words in a sentence of {length}"
            same_answer(student, reference, "matches", *arguments, what=what)
    agree(student.call("matches", [], [["a"]], 1), (0, 0), "matches and runs of an empty sentence")


@check("bleu", public=True)
def a_corpus(student: Code, reference: Code, rng: Generator) -> None:
    corpus = _corpus(rng, (9, 12, 11), (0, 2))
    same_answer(student, reference, "bleu", *corpus, what="BLEU")
    sentences, _ = corpus
    same = student.call("bleu", sentences, [[sentence] for sentence in sentences])
    agree(same, 1.0, "BLEU of the references themselves")


@check("bleu", points=2)
def short_translations(student: Code, reference: Code, rng: Generator) -> None:
    for by in ((3,), (1, 4), (-1, 1), (-2, 2, 3), (-3, 1), (-3,)):
        corpus = _corpus(rng, (14, 11, 16), by)
        differences = ", ".join(f"{each:+d}" for each in by)
        same_answer(
            student, reference, "bleu", *corpus, what=f"BLEU for references of {differences} words"
        )
    sentence = _sentence(rng, 8)
    longer = [*sentence, *_sentence(rng, 4)]
    found = student.call("bleu", [sentence], [[longer]])
    agree(found, float(np.exp(1 - 12 / 8)), "BLEU of the first 8 of 12 words")


@check("bleu")
def nothing_in_common(student: Code, reference: Code, rng: Generator) -> None:
    words = _sentence(rng, 9)
    for sentence, what in (
        (["dog"] * 9, "of other words"),
        (words[:3], "of fewer words than the longest run"),
        ([], "without words"),
    ):
        found = student.call("bleu", [sentence], [[words]])
        agree(found, 0.0, f"BLEU of a sentence {what}")
    sentences, references = _corpus(rng, (9, 12), (0, 1))
    sentences.append(["cat"])  # has no runs of two words, and the others have
    references.append([["cat", "dog"]])
    found = student.call("bleu", sentences, references)
    require(isinstance(found, float | np.generic), "BLEU is no number")
    agree(found, reference.call("bleu", sentences, references), "BLEU with a sentence of one word")
    same_answer(student, reference, "bleu", sentences, references, 2, what="BLEU of runs up to two")
