"""The next steps in Python: comprehensions, classes, modules, lambda, decorators, async IO, pip."""

from __future__ import annotations

import ast
import asyncio
import functools
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

T = TypeVar("T")

# -- list comprehension ----------------------------------------------------------------------------


def vocabulary(texts: Sequence[str], least: int = 1) -> dict[str, int]:
    """The number of each word that occurs often enough.

    Args:
        texts: words with white space between them; ``"The"`` and ``"the"`` are one word.
        least: how often a word must occur in all texts together.

    Returns:
        ``{word: number}`` in lower case and in the order of ``sorted``; the numbers are 2, 3, 4, ….
        0 and 1 are kept for padding and for unknown words.
    """
    # task vocabulary, 2 points: Make a list of all words in one comprehension with two "for", count
    #   them, and number those that are left in another one.
    counts = Counter([word for text in texts for word in text.lower().split()])
    kept = sorted([word for word, count in counts.items() if count >= least])
    return {word: number for number, word in enumerate(kept, 2)}
    # end of task


# -- class definition and inheritance --------------------------------------------------------------


class Mean:
    """The mean of the values so far, which are not kept.

    Attributes:
        count: how many values there were, n.
        mean: their mean, m; 0 before the first one.
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean = 0.0

    def update(self, value: float) -> None:
        """Take in one more value x: mₙ = mₙ₋₁ + (x − mₙ₋₁) / n."""
        # task mean, 2 points: Count first, and then move the mean.
        self.count += 1
        self.mean += (value - self.mean) / self.count
        # end of task


class Variance(Mean):
    """The mean and the variance of the values so far (Welford, 1962).

    Attributes:
        squares: the sum of (x − m)² over the values so far, where m is their present mean.
    """

    def __init__(self) -> None:
        super().__init__()
        self.squares = 0.0

    def update(self, value: float) -> None:
        """Take in one more value x: Sₙ = Sₙ₋₁ + (x − mₙ₋₁)(x − mₙ); the mean follows, as in
        :class:`Mean`.
        """
        # task variance, 2 points: Let the method of the class above move the mean; it is called by
        #   super().
        before = value - self.mean
        super().update(value)
        self.squares += before * (value - self.mean)
        # end of task

    def variance(self) -> float:
        """S / (n − 1); 0 for less than two values."""
        return self.squares / (self.count - 1) if self.count > 1 else 0.0


def running_means(values: list[float]) -> list[float]:
    """Given: the mean after each value, by :class:`Mean`."""
    mean = Mean()
    found = []
    for value in values:
        mean.update(value)
        found.append(mean.mean)
    return found


def running_variances(values: list[float]) -> list[tuple[int, float, float]]:
    """Given: count, mean and variance after each value, by :class:`Variance`."""
    variance = Variance()
    found = []
    for value in values:
        variance.update(value)
        found.append((variance.count, variance.mean, variance.variance()))
    return found


# -- modules ---------------------------------------------------------------------------------------


def imported_modules(source: str) -> list[str]:
    """The modules that a program imports, wherever the statements stand in it.

    Args:
        source: a program.

    Returns:
        The first part of each module's name (``numpy`` for ``import numpy.linalg as la`` and for
        ``from numpy.random import Generator``), each once, sorted. A relative import, such as
        ``from .data import load`` or ``from . import data``, names a part of the program itself and
        does not count.
    """
    # task modules, 2 points: Walk through the syntax tree, and look for the two kinds of nodes. The
    #   level of an ast.ImportFrom counts its dots.
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.append(node.module or "")
    return sorted({name.split(".")[0] for name in names})
    # end of task


# -- lambda functions ------------------------------------------------------------------------------


def ranking(results: dict[str, tuple[float, int]]) -> list[str]:
    """The names of models, the best first.

    Args:
        results: ``{name: (accuracy, number of parameters)}``.

    Returns:
        The names: a higher accuracy first; of equal accuracies, the smaller number of parameters
        first; if that is equal too, in the order of ``sorted``.
    """
    # task ranking, 2 points: One call of sorted with a lambda as its key is enough, since tuples
    #   are compared place by place.
    return sorted(results, key=lambda name: (-results[name][0], results[name][1], name))
    # end of task


# -- decorators ------------------------------------------------------------------------------------


def retried(times: int) -> Callable[[Callable[[str], T]], Callable[[str], T]]:
    """A decorator for a function that may fail now and then, such as a download.

    The function that it makes calls the original one, and calls it again after each
    ``ConnectionError``, up to ``times`` calls altogether. It returns what the first call without an
    error returns. An error of the last call is raised, and so is every other error at once. It
    has the name and the docstring of the original function.

    Args:
        times: at least 1.
    """

    # task retried, 2 points: Write a function that takes a function, and in it another one that
    #   calls it. functools.wraps copies name and docstring.
    def decorator(function: Callable[[str], T]) -> Callable[[str], T]:
        @functools.wraps(function)
        def wrapper(address: str) -> T:
            for _ in range(times - 1):
                try:
                    return function(address)
                except ConnectionError:
                    pass
            return function(address)

        return wrapper

    return decorator
    # end of task


def download(times: int, failures: int, error: str = "") -> dict[str, str | int]:
    """Given: what happens to a function that ``retried(times)`` decorates.

    Args:
        times: for the decorator.
        failures: how many calls end with a ``ConnectionError`` before the first that does not.
        error: ``"KeyError"`` if the call after them raises one.

    Returns:
        ``result``: what is returned, or the name of the error; ``calls``: how many there were;
        ``name`` and ``help``: of the decorated function.
    """
    calls = 0

    @retried(times)
    def fetch(address: str) -> str:
        """Get a page."""
        nonlocal calls
        calls += 1
        if calls <= failures:
            raise ConnectionError(address)
        if error:
            raise KeyError(address)
        return f"the page at {address}"

    try:
        result = fetch("etude.example")
    except (OSError, LookupError) as caught:
        result = type(caught).__name__
    return {"result": result, "calls": calls, "name": fetch.__name__, "help": fetch.__doc__ or ""}


# -- async IO --------------------------------------------------------------------------------------


async def gather_in_groups(
    jobs: Sequence[Callable[[], Awaitable[T]]], most: int, pause: Callable[[], Awaitable[None]]
) -> list[T]:
    """Run jobs in groups: those of one group at the same time, one group after the other.

    Args:
        jobs: functions without arguments; each returns something to ``await``.
        most: the size of a group, at least 1; the last group may be smaller.
        pause: a function of the same kind, to be awaited once between two groups, and neither
            before the first nor after the last one.

    Returns:
        What the jobs return, in the order of ``jobs``; an empty list for no jobs.
    """
    # task gather, 2 points: Step through the jobs by groups, and let asyncio.gather wait for all of
    #   one group.
    found: list[T] = []
    for first in range(0, len(jobs), most):
        if first > 0:
            await pause()
        found += await asyncio.gather(*[job() for job in jobs[first : first + most]])
    return found
    # end of task


def events_of(number: int, most: int) -> tuple[list[int], list[str]]:
    """Given: what ``gather_in_groups`` returns for jobs that return 0, 1, 4, …, and what happens
    meanwhile: ``"start i"``, ``"end i"`` and ``"pause"``. A later job of a group ends earlier.
    """
    events: list[str] = []

    def job(i: int) -> Callable[[], Awaitable[int]]:
        async def run() -> int:
            events.append(f"start {i}")
            for _ in range(2 * (number - i)):
                await asyncio.sleep(0)
            events.append(f"end {i}")
            return i * i

        return run

    async def pause() -> None:
        events.append("pause")

    found = asyncio.run(gather_in_groups([job(i) for i in range(number)], most, pause))
    return list(found), events


# -- virtual environments and pip ------------------------------------------------------------------

VERSION = re.compile(r"(\d+(?:\.\d+)*)(?:(a|b|rc)(\d+))?")
REQUIREMENT = re.compile(r"([\w.-]+)\s*(?:\[([^]]*)\])?\s*([^;]*)(?:;(.*))?")


def compare_versions(a: str, b: str) -> int:
    """Which of two versions is older, by a part of packaging's rules (PEP 440).

    A version is a release, whole numbers with dots between them, and perhaps a mark of a
    pre-release: ``a``, ``b`` or ``rc`` and a whole number. Releases are compared number by number,
    and numbers that are missing at the end are zeros: 1.9 is older than 1.10, and 1.0 is equal to
    1. Of one release, ``a`` is older than ``b``, ``b`` is older than ``rc``, and ``rc`` is older
    than the release without a mark; of one mark, the smaller number is older.

    Returns:
        −1 if ``a`` is older than ``b``, 0 if they are equal, 1 if ``b`` is older.

    Raises:
        ValueError: one of them is not such a version.
    """
    # task versions, 2 points: Make of each version a tuple that Python compares in the right way.
    #   VERSION.fullmatch finds the three parts; Python compares "a" < "b" < "rc" as you need it.

    def key(version: str) -> tuple[list[int], str, int]:
        match = VERSION.fullmatch(version)
        if match is None:
            raise ValueError(f"{version} is not a version")
        release = [int(number) for number in match[1].split(".")]
        while release and release[-1] == 0:
            release.pop()
        return release, match[2] or "release", int(match[3] or 0)

    return (key(a) > key(b)) - (key(a) < key(b))
    # end of task


def compared(a: str, b: str) -> int | str:
    """Given: what ``compare_versions`` returns, or ``"ValueError"`` where it raises one."""
    try:
        return compare_versions(a, b)
    except ValueError:
        return "ValueError"


def requirement(line: str) -> dict[str, str | list[str] | list[list[str]]] | None:
    """What a line of a file of requirements says, as ``pip install -r`` reads it.

    A line is ``name[extra, …] operator version, … ; marker  # comment``. Everything but the name
    may be missing, and there may be spaces around each part. ``#`` begins a comment at the begin of
    a line and behind white space.

    Args:
        line: without a line break; it is right, blank, or only a comment.

    Returns:
        ``name``: in lower case, where each run of ``-``, ``_`` and ``.`` becomes one ``-``
        (PEP 503); ``extras``: a list of names as they stand there; ``versions``: a list of
        ``[operator, version]``, where the operator is one of ``==``, ``!=``, ``<=``, ``>=``,
        ``~=``, ``<``, ``>``; ``marker``: the condition behind ``;``, or ``""``. None for a line
        that asks for nothing.
    """
    # task requirement, 2 points: Cut off the comment; let REQUIREMENT.fullmatch find name, extras,
    #   versions and marker; then split the lists at their commas.
    text = re.split(r"(?:^|\s)#", line, maxsplit=1)[0].strip()
    match = REQUIREMENT.fullmatch(text)
    if match is None:
        return None
    conditions = [part.strip() for part in match[3].split(",") if part.strip()]
    found = [re.fullmatch(r"([=!<>~]+)\s*(.*)", condition) for condition in conditions]
    return {
        "name": re.sub(r"[-_.]+", "-", match[1]).lower(),
        "extras": [extra.strip() for extra in (match[2] or "").split(",") if extra.strip()],
        "versions": [[each[1], each[2]] for each in found if each],
        "marker": (match[4] or "").strip(),
    }
    # end of task
