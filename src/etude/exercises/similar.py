"""Which submissions resemble each other: for the instructor's eye, and never a verdict.

A program is fingerprinted by winnowing (S. Schleimer, D. S. Wilkerson, A. Aiken: Winnowing, 2003,
section 3). Its signs are the nodes of its syntax tree, without names of variables, numbers,
comments and docstrings, so a copy that is renamed or laid out anew stays a copy. Each run of K of
them gets a hash, and of each window of W hashes the smallest is kept: whatever two programs share
over at least K + W − 1 signs is found, and nothing that is shorter than K.

What the starter has explains itself, and so does what many hand in: a short task has few solutions.
"""

from __future__ import annotations

import ast
import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import combinations

from etude.exercises.grading import Exercise
from etude.exercises.graft import Invalid, parsed, read
from etude.exercises.handed import HandIn, read_hand_in
from etude.exercises.queue import Work

K = 16  # signs: what is shorter is chance
W = 8  # hashes of a window
LEAST = 6  # fingerprints that two programs share
SHARE = 0.5  # of the smaller one's fingerprints that are shared
FEW = 3  # programs: what more than that, and more than a tenth, have in common says nothing


@dataclass(frozen=True)
class Pair:
    """Two submissions that resemble each other.

    Attributes:
        students: whose.
        share: of the smaller one's unusual fingerprints that the other one has, too.
        common: how many fingerprints they share.
    """

    students: tuple[str, str]
    share: float
    common: int


def similar(texts: Mapping[str, str], starter: str) -> list[Pair]:
    """The pairs that resemble each other, the most alike first.

    Args:
        texts: the Python that each student has handed in; what is no Python is passed over.
        starter: what all of them began with.
    """
    given = fingerprints(starter)
    found = {student: fingerprints(text) - given for student, text in texts.items()}
    counts = Counter(each for prints in found.values() for each in prints)
    most = max(FEW, len(texts) // 10)
    unusual = {
        student: {each for each in prints if counts[each] <= most}
        for student, prints in found.items()
    }
    owners: dict[int, list[str]] = defaultdict(list)
    for student in sorted(unusual):
        for each in unusual[student]:
            owners[each].append(student)
    shared = Counter(pair for who in owners.values() for pair in combinations(who, 2))
    pairs = []
    for (one, two), common in shared.items():
        share = common / min(len(unusual[one]), len(unusual[two]))
        if common >= LEAST and share >= SHARE:
            pairs.append(Pair((one, two), share, common))
    return sorted(pairs, key=lambda pair: (-pair.share, -pair.common, pair.students))


def texts_of(work: Work, hand_ins: Iterable[HandIn], exercise: Exercise) -> dict[str, str]:
    """The Python that each student has handed in for an exercise, as far as it can be read."""
    texts = {}
    for hand_in in hand_ins:
        name, content = work.file(read_hand_in(hand_in), exercise)
        if isinstance(content, bytes):
            with suppress(Invalid):
                texts[hand_in.student] = read(name, content).text
    return texts


def fingerprints(text: str) -> set[int]:
    """The fingerprints of a program; none of what is no Python."""
    try:
        signs = [*_signs(parsed(text))]
    except SyntaxError:
        return set()
    grams = [" ".join(signs[n : n + K]) for n in range(len(signs) - K + 1)]
    hashes = [
        int.from_bytes(hashlib.blake2b(gram.encode(), digest_size=8).digest()) for gram in grams
    ]
    return {min(hashes[n : n + W]) for n in range(max(1, len(hashes) - W + 1)) if hashes}


def _signs(tree: ast.AST) -> Iterator[str]:
    """The nodes of a tree from its first to its last, as far as they make a program what it is."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue  # a docstring
        if isinstance(node, ast.expr_context):
            continue
        yield type(node).__name__
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.keyword) and node.arg:
            yield node.arg
        waiting += reversed([*ast.iter_child_nodes(node)])
