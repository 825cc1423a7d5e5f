"""The first steps in Python: help and comments, printing, loops, functions, files, errors."""

from __future__ import annotations

import builtins
import inspect
import math
import tempfile
from pathlib import Path

# -- getting help, and comments --------------------------------------------------------------------


def summary(name: str, width: int = 60) -> str:
    """The first line of the help on one of Python's own functions or types.

    Args:
        name: a name of the module ``builtins``, such as ``"len"``.
        width: the largest number of characters of the answer, at least 1.

    Returns:
        The first line of what ``inspect.getdoc`` says. If this line has more than ``width``
        characters: as many of its first ones as leave room for one ``"…"`` behind them. If there
        is no such name: ``""``.
    """
    # task summary, 2 points: Look the object up with getattr, read its help, keep the first line,
    #   and shorten it if it is too long.
    if not hasattr(builtins, name):
        return ""
    text = inspect.getdoc(getattr(builtins, name)) or ""
    line = text.partition("\n")[0]
    return line if len(line) <= width else line[: width - 1] + "…"
    # end of task


def count_lines(source: str) -> tuple[int, int, int]:
    """How many lines of a program are code, how many are comments, and how many are blank.

    A blank line holds nothing but spaces and tabs. In a comment line, ``#`` is the first sign that
    is not a space or a tab. All other lines are code, those with a comment behind the code too.

    Args:
        source: the program; no text in it goes over several lines.
    """
    # task count-lines, 2 points: Go through the lines, and add 1 to one of three counters for each.
    code = comments = blank = 0
    for line in source.splitlines():
        bare = line.strip()
        if not bare:
            blank += 1
        elif bare.startswith("#"):
            comments += 1
        else:
            code += 1
    return code, comments, blank
    # end of task


# -- printing --------------------------------------------------------------------------------------


def results_table(results: dict[str, float], digits: int = 2) -> str:
    """A table of results, ready for ``print``.

    Args:
        results: ``{name: value}``; the lines have the same order.
        digits: how many digits stand behind the point, at least 1.

    Returns:
        One line for each result, with a line break between lines and none at the end: the name,
        which begins at the left margin; two spaces behind the longest name; the value, in a column
        that is as wide as the longest value, and whose values end in the same place. ``""`` for
        no results. For example::

            loss       0.25
            accuracy  91.40
    """
    # task table, 2 points: Format the values first; then both columns know how wide they are.
    if not results:
        return ""
    values = [f"{value:.{digits}f}" for value in results.values()]
    left = max(len(name) for name in results) + 2
    right = max(len(value) for value in values)
    rows = zip(results, values, strict=True)
    return "\n".join(name.ljust(left) + value.rjust(right) for name, value in rows)
    # end of task


# -- conditional statements and loops --------------------------------------------------------------


def stops_after(losses: list[float], patience: int) -> int:
    """The number of epochs that training takes if it stops early.

    Training stops after an epoch if this one and those before it make up ``patience`` epochs in a
    row none of which was *better*. An epoch is better if its loss is less than ∞ and less than the
    least number among the losses before it. So a loss that is equal to the least one is not
    better, and ``nan``, which is no number, is neither better nor the least.

    Args:
        losses: on the validation data, one for each epoch, as long as training would go on.
        patience: at least 1.

    Returns:
        From 0 (no losses) to ``len(losses)`` (training never stops early).
    """
    # task early-stopping, 2 points: Remember the least loss, and how many epochs have passed since.
    best = math.inf
    waited = 0
    for epoch, loss in enumerate(losses, 1):
        if loss < best:
            best = loss
            waited = 0
        else:
            waited += 1
        if waited == patience:
            return epoch
    return len(losses)
    # end of task


# -- variables and functions -----------------------------------------------------------------------


def smooth(values: list[float], decay: float = 0.9) -> list[float]:
    """The running mean of a curve, where older values count less.

    Args:
        values: the curve x₁, x₂, …; the function leaves this list as it is.
        decay: β, at least 0 and less than 1.

    Returns:
        A new list of equal length: at place t, (1 − β) Σᵢ β^(t−i) xᵢ over i = 1 … t, divided by
        1 − β^t, which is the sum of the weights.
    """
    # task smooth, 2 points: Keep one variable for the mean and one for the weight. Both shrink by
    #   β before the next value is added.
    mean = 0.0
    weight = 0.0
    smoothed = []
    for value in values:
        mean = decay * mean + (1 - decay) * value
        weight = decay * weight + (1 - decay)
        smoothed.append(mean / weight)
    return smoothed
    # end of task


# -- reading and writing files ---------------------------------------------------------------------


def append_result(path: Path, step: int, loss: float) -> None:
    """Add one line to a log, which is a text file in UTF-8.

    The line is the step, a comma and the loss, as ``repr`` writes it, for example ``20,0.125``. The
    line ``step,loss`` stands before the first result. Each line ends with a line break, and what
    stands in the file stays there.

    Args:
        path: the log; it may be missing or empty.
        step: at which the loss was measured.
        loss: what was measured.
    """
    # task append, 2 points: Open the file in a mode that keeps what is there. Such a file says
    #   with tell() where it ends.
    with path.open("a", encoding="utf-8") as file:
        if file.tell() == 0:
            file.write("step,loss\n")
        file.write(f"{step},{loss!r}\n")
    # end of task


def best_result(path: Path) -> tuple[int, float]:
    """The step with the least loss in a log that ``append_result`` wrote, and this loss.

    Of steps with equal losses it is the first. The log has one result at least.
    """
    # task best, 2 points: Skip the first line, and split each of the others at its comma.
    lines = path.read_text(encoding="utf-8").splitlines()[1:]
    results = [line.split(",") for line in lines]
    step, loss = min(results, key=lambda result: float(result[1]))
    return int(step), float(loss)
    # end of task


def log_after(begin: str | None, results: list[tuple[int, float]]) -> str:
    """Given: the text of a log to which ``append_result`` added results.

    Args:
        begin: what stands in the log before; None if there is no file.
        results: steps and losses.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.csv"
        if begin is not None:
            path.write_text(begin, encoding="utf-8")
        for step, loss in results:
            append_result(path, step, loss)
        return path.read_text(encoding="utf-8")


def best_of(log: str) -> tuple[int, float]:
    """Given: what ``best_result`` finds in a file with this text."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.csv"
        path.write_text(log, encoding="utf-8")
        return best_result(path)


# -- error handling --------------------------------------------------------------------------------


def numbers_in(text: str) -> tuple[list[float], list[int]]:
    """The numbers of a text that has one number a line, and some lines that are wrong.

    ``#`` begins a comment, which goes to the end of its line. A line without anything else is
    skipped. Every other line is a number if ``float`` can read it, and else it is wrong.

    Returns:
        The numbers, in their order; the lines that are wrong, counted from 1.
    """
    # task numbers, 2 points: Try to read each line, and catch the one error that float raises.
    numbers = []
    wrong = []
    for number, line in enumerate(text.splitlines(), 1):
        content = line.partition("#")[0].strip()
        if content:
            try:
                numbers.append(float(content))
            except ValueError:
                wrong.append(number)
    return numbers, wrong
    # end of task


def fraction_of(settings: dict[str, object], name: str) -> float:
    """The value of a setting that must be a fraction, such as the rate of dropout.

    Args:
        settings: ``{name: value}``.
        name: of the setting.

    Returns:
        The value, as a ``float``, from 0 to 1.

    Raises:
        KeyError: there is no setting of this name.
        TypeError: its value is neither an ``int`` nor a ``float``; ``True`` and ``False`` are
            not, either.
        ValueError: its value is less than 0, more than 1, or not a number (``nan``).
            The message of each of these errors holds the name of the setting.
    """
    # task fraction, 2 points: Check one thing after the other, and raise the error that says what
    #   is wrong. Python counts True as an int, so this needs a check of its own.
    if name not in settings:
        raise KeyError(f"there is no setting {name}")
    value = settings[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} is a {type(value).__name__}; expected a number")
    if not 0 <= value <= 1:
        raise ValueError(f"{name} is {value}; expected a number from 0 to 1")
    return float(value)
    # end of task


def error_of(settings: dict[str, object], name: str) -> tuple[str, str]:
    """Given: the type and the message of the error that ``fraction_of`` raises; twice ``""``
    where it raises none.
    """
    try:
        fraction_of(settings, name)
    except (LookupError, TypeError, ValueError, ArithmeticError) as error:
        return type(error).__name__, str(error)
    return "", ""
