"""Checks: what a student's code is asked, and how its answers are judged.

A check is a function of the student's code, the reference and a generator of random numbers. It
runs in the grader. The student's code runs elsewhere (:mod:`etude.exercises.remote`): a check sees
of it only the arrays that it returns, so it can't decide its own verdict::

    @check("softmax", points=1, public=True)
    def rows_sum_to_one(student: Code, reference: Code, rng: Generator) -> None:
        found = student.call("softmax", rng.normal(size=(5, 3)))
        agree(found.sum(1), np.ones(5))
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Protocol

import numpy as np

from etude.errors import verb

Value = Any  # an array, a number, a text, None, or a list, tuple or table of such


class Code(Protocol):
    """Code whose functions can be called: a student's, elsewhere, or the reference's."""

    def call(self, function: str, *args: Value, **kwargs: Value) -> Value:
        """What a function returns: arrays, numbers, texts, and lists and tables of them.

        Args:
            function: its name; ``Adam.step`` of a method is called on what ``Adam`` returned, its
                first argument.
            args: arguments by place.
            kwargs: arguments by name.
        """
        ...

    def source(self) -> str:
        """The text of the code."""
        ...


class Failure(Exception):
    """Why an answer is not right, in a sentence that may be shown to the student."""


Run = Callable[[Code, Code, np.random.Generator], None]


@dataclass(frozen=True)
class Check:
    """One question to the code.

    Attributes:
        task: the region that it is about.
        name: of the check, in words.
        points: what it is worth.
        public: whether students have it too.
        run: asks and judges; raises :class:`Failure` where an answer is not right.
        words: of a syllabus, where it is a condition of one.
    """

    task: str
    name: str
    points: int
    public: bool
    run: Run
    words: str = ""

    @property
    def id(self) -> str:
        """Its name among all checks of an assignment."""
        return f"{self.task}/{self.name}"


def check(task: str, *, points: int = 1, public: bool = False) -> Callable[[Run], Check]:
    """Make a function a check; its name, in words, is the check's."""

    def made(run: Run) -> Check:
        return Check(task, run.__name__.replace("_", " "), points, public, run)

    return made


def checks_of(module: ModuleType) -> list[Check]:
    """The checks of a module, in the order in which they stand there."""
    found = [each for each in vars(module).values() if isinstance(each, Check)]
    return sorted(found, key=lambda each: inspect.unwrap(each.run).__code__.co_firstlineno)


# -- judging ---------------------------------------------------------------------------------------


def agree(
    found: Value,
    expected: Value,
    what: str = "the answer",
    *,
    rtol: float = 1e-6,
    atol: float = 1e-8,
) -> None:
    """Whether an answer is the expected one.

    Numbers and arrays agree in shape, and in every entry within ``atol`` and ``rtol`` of the
    expected value; whole numbers, and truth values as such, exactly. Lists and tables agree entry
    by entry; all else must be equal.

    Raises:
        Failure: it is not; with what was found and expected, where they differ most.
    """
    if isinstance(expected, Mapping):
        if not isinstance(found, Mapping) or found.keys() != expected.keys():
            names = ", ".join(map(str, expected))
            raise Failure(f"{what} {verb(what, 'is')} {_kind(found)}; expected a table of {names}")
        for name, value in expected.items():
            agree(found[name], value, f"'{name}' of {what}", rtol=rtol, atol=atol)
    elif isinstance(expected, Sequence) and not isinstance(expected, str):
        if not isinstance(found, Sequence) or isinstance(found, str) or len(found) != len(expected):
            raise Failure(
                f"{what} {verb(what, 'is')} {_kind(found)}; expected {_values(len(expected))}"
            )
        for number, value in enumerate(expected):
            agree(found[number], value, f"value {number + 1} of {what}", rtol=rtol, atol=atol)
    elif isinstance(expected, np.ndarray | np.generic | int | float | complex):
        _agree_in_numbers(found, np.asarray(expected), what, rtol, atol)
    elif type(found) is not type(expected) or found != expected:
        raise Failure(_different(found, expected, what))


def _agree_in_numbers(
    found: Value, expected: np.ndarray, what: str, rtol: float, atol: float
) -> None:
    if not isinstance(found, np.ndarray | np.generic | int | float | complex):
        raise Failure(f"{what} {verb(what, 'is')} {_kind(found)}; expected {_kind(expected)}")
    array = np.asarray(found)
    if array.shape != expected.shape:
        raise Failure(f"{what} {verb(what, 'has')} shape {array.shape}; expected {expected.shape}")
    if array.dtype.kind not in "biufc":
        raise Failure(f"{what} {verb(what, 'holds')} {array.dtype}; expected numbers")
    if expected.dtype.kind in "biu":
        if array.dtype.kind not in "biu":
            raise Failure(f"{what} {verb(what, 'holds')} {array.dtype}; expected whole numbers")
        distances = (array != expected).astype(float)
    else:
        with np.errstate(all="ignore"):
            near = np.isclose(array, expected, rtol=rtol, atol=atol, equal_nan=True)
            distances = np.where(np.isnan(array), np.inf, np.abs(array - expected))
            distances = np.where(near, 0.0, np.nan_to_num(distances, nan=np.inf))
    wrong = int(np.count_nonzero(distances))
    if not wrong:
        return
    place = np.unravel_index(int(distances.argmax()), expected.shape)
    values = f"{_number(array[place])}; expected {_number(expected[place])}"
    if not expected.shape:
        raise Failure(f"{what} {verb(what, 'is')} {values}")
    at = ", ".join(str(int(number)) for number in place)
    raise Failure(
        f"{what} {verb(what, 'is')} wrong in {wrong} of {_entries(expected.size)}: at [{at}] it is"
        f" {values}"
    )


def same_answer(
    student: Code, reference: Code, function: str, *arguments: Value, what: str = "the answer"
) -> Value:
    """Ask both for one thing, and judge the student's answer by the reference's.

    Returns:
        The student's answer.

    Raises:
        Failure: they do not agree.
    """
    expected = reference.call(function, *arguments)
    found = student.call(function, *arguments)
    agree(found, expected, what)
    return found


LOOPS = ast.For | ast.AsyncFor | ast.While | ast.comprehension
DISGUISED = {"map", "filter", "vectorize", "frompyfunc", "apply_along_axis", "apply_over_axes"}


def without_loops(student: Code, function: str) -> None:
    """Require that a function has no loop, nor what it uses of its own file.

    Raises:
        Failure: it has a ``for``, a ``while``, a comprehension, or a function like ``map``.
    """
    parts: dict[str, list[ast.stmt]] = {}
    for statement in ast.parse(student.source()).body:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            parts.setdefault(statement.name, []).append(statement)
        elif isinstance(statement, ast.Assign):
            for target in statement.targets:
                parts.setdefault(ast.unparse(target), []).append(statement)
    waiting, seen = [function], {function}
    while waiting:
        for node in (each for part in parts[waiting.pop()] for each in ast.walk(part)):
            name = getattr(node, "id", getattr(node, "attr", ""))
            loops = isinstance(node, LOOPS) or name in DISGUISED
            require(not loops, f"{function} has a loop; expected array operations only")
            if name in parts and name not in seen:
                seen.add(name)
                waiting.append(name)


def values_of(found: Value, count: int) -> Sequence[Value]:
    """An answer that consists of several values.

    Raises:
        Failure: it does not, or not of so many.
    """
    if not isinstance(found, list | tuple) or len(found) != count:
        raise Failure(f"the answer is {_kind(found)}; expected {_values(count)}")
    return found


def require(holds: bool, sentence: str) -> None:
    """Raise a :class:`Failure` unless something holds."""
    if not holds:
        raise Failure(sentence)


def array_of(found: Value, shape: tuple[int, ...], what: str = "the answer") -> np.ndarray:
    """An answer that is an array of numbers of a shape.

    Raises:
        Failure: it is not.
    """
    if not isinstance(found, np.ndarray | np.generic) or found.dtype.kind not in "biufc":
        raise Failure(f"{what} {verb(what, 'is')} {_kind(found)}; expected an array of numbers")
    if found.shape != shape:
        raise Failure(f"{what} {verb(what, 'has')} shape {found.shape}; expected {shape}")
    return np.asarray(found)


def shape_of(found: Value, what: str = "the answer") -> tuple[int, ...]:
    """The shape of an answer that may have any.

    Raises:
        Failure: it is neither an array nor a number.
    """
    if isinstance(found, np.ndarray | np.generic | int | float):
        return np.shape(found)
    raise Failure(f"{what} is {_kind(found)}; expected an array of numbers")


def any_array(found: Value, what: str = "the answer") -> np.ndarray:
    """An answer that is an array of numbers of any shape, or one number.

    Raises:
        Failure: it is not.
    """
    shape = shape_of(found, what)
    return array_of(np.asarray(found), shape, what)


def _kind(value: Value) -> str:
    if isinstance(value, np.ndarray | np.generic):
        return f"an array of shape {value.shape}" if value.shape else "a number"
    if value is None:
        return "None"
    if isinstance(value, list | tuple):
        return f"a {type(value).__name__} of {_values(len(value))}"
    name = type(value).__name__
    return f"{'an' if name[:1] in 'aeiou' else 'a'} {name}"


def _values(count: int) -> str:
    return f"{count} value{'s' * (count != 1)}"


def _entries(count: int) -> str:
    return f"{count} entr{'ies' if count != 1 else 'y'}"


def _number(value: Value) -> str:
    plain = value.item()
    return repr(plain) if isinstance(plain, bool | int) else f"{plain:.6g}"


def _different(found: Value, expected: Value, what: str) -> str:
    """How two things differ; of long texts, from where on."""
    if isinstance(found, str) and isinstance(expected, str) and max(len(found), len(expected)) > 60:
        pairs = enumerate(zip(found, expected, strict=False))
        same = next((i for i, (a, b) in pairs if a != b), min(len(found), len(expected)))
        begin = max(0, same - 10)
        parts = [f"…{text[begin : same + 40]}" for text in (found, expected)]
        place = f"from place {same + 1} on: {parts[0]!r}; expected {parts[1]!r}"
        return f"{what} {verb(what, 'differs')} {place}"
    return f"{what} {verb(what, 'is')} {_short(found)}; expected {_short(expected)}"


def _short(value: Value) -> str:
    text = repr(value)
    return text if len(text) <= 70 else f"{text[:67]}…"


def numeric_gradient(
    loss: Callable[[np.ndarray], float], at: np.ndarray, step: float = 1e-5
) -> np.ndarray:
    """The gradient of a loss by central differences, (f(x + h) − f(x − h)) / 2h, entry by entry.

    Raises:
        Failure: a loss is no number, or none depends on where it is taken: such a loss has a
            gradient, but says nothing of one that was written for it.
    """
    gradient = np.zeros_like(at)
    for place in np.ndindex(at.shape):
        moved = at.copy()
        moved[place] += step
        above = loss(moved)
        moved[place] -= 2 * step
        gradient[place] = (above - loss(moved)) / (2 * step)
    require(bool(np.isfinite(gradient).all()), "your loss is not a number everywhere")
    require(bool(gradient.any()), "your loss is the same everywhere")
    return gradient


class Local:
    """Code of ours, in this process: a reference."""

    def __init__(self, module: ModuleType) -> None:
        self.module = module

    def call(self, function: str, *args: Value, **kwargs: Value) -> Value:
        """What a function returns; a method is called on its first argument."""
        found: Any = self.module
        for name in function.split("."):
            found = getattr(found, name)
        return found(*args, **kwargs)

    def source(self) -> str:
        """The module's text."""
        return inspect.getsource(self.module)
