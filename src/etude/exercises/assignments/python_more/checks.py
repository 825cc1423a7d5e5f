"""What the next steps in Python are asked."""

from __future__ import annotations

import ast
import statistics

from numpy.random import Generator

from etude.exercises.checks import Code, Failure, agree, check, require, same_answer

# -- list comprehension ----------------------------------------------------------------------------


@check("vocabulary", public=True)
def two_texts(student: Code, reference: Code, rng: Generator) -> None:
    found = student.call("vocabulary", ["The cat sat", "the  mat"])
    agree(found, {"cat": 2, "mat": 3, "sat": 4, "the": 5}, "the vocabulary")


@check("vocabulary")
def rare_words_and_their_order(student: Code, reference: Code, rng: Generator) -> None:
    words = ["Loss", "loss", "net", "Net", "a", "B", "layer", "deep\tdeep", "\n", "z"]
    for length in (0, 1, 12):
        texts = [" ".join(rng.choice(words, length)) for _ in range(3)]
        for least in (1, 2, 3, 5):
            what = f"the vocabulary of words that occur {least} times"
            found = same_answer(student, reference, "vocabulary", texts, least, what=what)
            require(list(found) == sorted(found), f"{what} is not in the order of its words")


# -- class definition and inheritance --------------------------------------------------------------


@check("mean", public=True)
def means_of_four_numbers(student: Code, reference: Code, rng: Generator) -> None:
    agree(student.call("running_means", [4.0, 2.0, 6.0, 0.0]), [4.0, 3.0, 4.0, 3.0], "the means")


@check("mean")
def means_of_many_numbers(student: Code, reference: Code, rng: Generator) -> None:
    values = [float(value) for value in rng.normal(3, 2, 50)]
    expected = [statistics.fmean(values[: n + 1]) for n in range(50)]
    agree(student.call("running_means", values), expected, "the means")


@check("variance", public=True)
def variances_of_three_numbers(student: Code, reference: Code, rng: Generator) -> None:
    expected = [[1, 4.0, 0.0], [2, 3.0, 2.0], [3, 4.0, 4.0]]
    found = student.call("running_variances", [4.0, 2.0, 6.0])
    agree(found, expected, "counts, means and variances")


@check("variance")
def far_from_zero_and_by_inheritance(student: Code, reference: Code, rng: Generator) -> None:
    for shift in (0.0, 1e8):
        values = [float(value) for value in shift + rng.normal(size=30)]
        found = student.call("running_variances", values)
        expected = [
            [n, statistics.fmean(values[:n]), statistics.variance(values[:n]) if n > 1 else 0.0]
            for n in range(1, 31)
        ]
        agree(found, expected, f"counts, means and variances around {shift:g}", atol=1e-6)
    calls = [
        ast.unparse(call.func)
        for node in ast.walk(ast.parse(student.source()))
        if isinstance(node, ast.ClassDef) and node.name == "Variance"
        for call in ast.walk(node)
        if isinstance(call, ast.Call)
    ]
    require("super().update" in calls, "Variance.update does not call super().update")


# -- modules ---------------------------------------------------------------------------------------


@check("modules", public=True)
def both_statements(student: Code, reference: Code, rng: Generator) -> None:
    source = "import os\nimport numpy.linalg as la, torch\nfrom numpy.random import Generator\n"
    agree(student.call("imported_modules", source), ["numpy", "os", "torch"], "the modules")


@check("modules")
def at_any_place_and_relative(student: Code, reference: Code, rng: Generator) -> None:
    lines = [
        "from . import near",
        "from .. import above",
        "from .near import x",
        "text = 'import no.module'",
        "# import nothing",
        "def f():\n    import json.decoder",
        "class C:\n    from math import pi, tau",
        "import zlib, abc.x.y as y",
        "from math import *",
    ]
    same_answer(student, reference, "imported_modules", "", what="the modules of an empty program")
    for line in lines:
        same_answer(student, reference, "imported_modules", line, what=f"the modules of {line!r}")
    source = "\n".join(rng.permutation(lines))
    same_answer(student, reference, "imported_modules", source, what="the modules of all lines")


# -- lambda functions ------------------------------------------------------------------------------


@check("ranking", public=True)
def the_best_first(student: Code, reference: Code, rng: Generator) -> None:
    results = {"linear": (0.92, 7850), "lenet": (0.99, 61706), "mlp": (0.98, 101770)}
    agree(student.call("ranking", results), ["lenet", "mlp", "linear"], "the ranking")


@check("ranking")
def equal_results(student: Code, reference: Code, rng: Generator) -> None:
    for number in (0, 1, 30):
        results = {
            str(name): (float(rng.integers(0, 3)) / 4, int(rng.integers(1, 4)))
            for name in rng.permutation(number)
        }
        same_answer(student, reference, "ranking", results, what=f"the ranking of {number} models")


# -- decorators ------------------------------------------------------------------------------------


@check("retried", public=True)
def a_second_call_helps(student: Code, reference: Code, rng: Generator) -> None:
    same_answer(student, reference, "download", 3, 1, what="one failure and three calls")
    same_answer(student, reference, "download", 3, 0, what="no failure and three calls")


@check("retried")
def no_call_helps_or_the_error_is_another(student: Code, reference: Code, rng: Generator) -> None:
    for times in (1, 2, 4):
        for failures in (0, times - 1, times, times + 1):
            what = f"{failures} failures and {times} calls"
            same_answer(student, reference, "download", times, failures, what=what)
            what = f"a KeyError after {failures} failures, and {times} calls"
            same_answer(student, reference, "download", times, failures, "KeyError", what=what)


# -- async IO --------------------------------------------------------------------------------------


def _events(student: Code, number: int, most: int) -> None:
    """Whether jobs run in groups, with a pause between two of them."""
    answer = student.call("events_of", number, most)
    if not isinstance(answer, list | tuple) or len(answer) != 2:
        raise Failure(f"the answer is a {type(answer).__name__}; expected results and events")
    found, events = answer
    agree(found, [i * i for i in range(number)], f"the results of {number} jobs")
    groups: list[list[str]] = [[]]
    for event in events:
        if event == "pause":
            groups.append([])
        else:
            groups[-1].append(event)
    expected = [range(first, min(first + most, number)) for first in range(0, number, most)]
    what = f"{number} jobs in groups of {most}"
    agree(len(groups), max(len(expected), 1), f"{what}: the number of groups between pauses")
    for group, jobs in zip(groups, expected, strict=False):
        starts = {f"start {i}" for i in jobs}
        ends = {f"end {i}" for i in jobs}
        require(set(group) == starts | ends, f"{what}: a group holds other jobs than it should")
        require(set(group[: len(jobs)]) == starts, f"{what}: a job waits for another of its group")


@check("gather", public=True)
def two_groups(student: Code, reference: Code, rng: Generator) -> None:
    _events(student, 4, 2)


@check("gather")
def groups_of_all_sizes(student: Code, reference: Code, rng: Generator) -> None:
    for number, most in ((0, 2), (1, 1), (1, 3), (5, 1), (5, 2), (6, 3), (7, 3), (3, 9)):
        _events(student, number, most)


# -- virtual environments and pip ------------------------------------------------------------------


@check("versions", public=True)
def releases(student: Code, reference: Code, rng: Generator) -> None:
    for a, b, order in (("1.9", "1.10", -1), ("1.0", "1", 0), ("2.0", "1.26.4", 1)):
        agree(student.call("compared", a, b), order, f"{a} beside {b}")


def _version(rng: Generator) -> str:
    release = [str(number) for number in rng.choice([0, 1, 2, 10], int(rng.integers(1, 4)))]
    mark = str(rng.choice(["", "", "a", "b", "rc"]))
    return ".".join(release) + (mark and mark + str(rng.choice([0, 1, 2, 10])))


@check("versions")
def marks_and_what_is_no_version(student: Code, reference: Code, rng: Generator) -> None:
    versions = [_version(rng) for _ in range(25)] + ["0", "0.0", "0a1", "1.0.0", "1rc1", "1"]
    for a in versions:
        for b in ("1", "1.0b2", "1.0.0rc10", "0.0", "10.1", a, str(rng.choice(versions))):
            same_answer(student, reference, "compared", a, b, what=f"{a} beside {b}")
    for wrong in ("", "1.", "one", "1.x", "1c1", "-1", "1 "):
        same_answer(student, reference, "compared", wrong, "1", what=f"{wrong!r} beside 1")
        same_answer(student, reference, "compared", "1", wrong, what=f"1 beside {wrong!r}")


@check("requirement", public=True)
def common_lines(student: Code, reference: Code, rng: Generator) -> None:
    for line, expected in (
        ("torch>=2.6", {"name": "torch", "extras": [], "versions": [[">=", "2.6"]], "marker": ""}),
        ("# nothing", None),
        ("NumPy", {"name": "numpy", "extras": [], "versions": [], "marker": ""}),
    ):
        agree(student.call("requirement", line), expected, f"the requirement {line!r}")


@check("requirement")
def every_part_of_a_line(student: Code, reference: Code, rng: Generator) -> None:
    names = ["torch", "Scikit_Learn", "ruamel.yaml", "a-_.b", "x2", "Zope.-interface"]
    extras = ["", "", "[cli]", " [a, b_c]", "[ a ,b ]", "[]"]
    versions = ["", "==1.0", " >= 1.2, <2", "~=3.1 ,!=3.1.4", "<=1.0rc1", " > 0.9"]
    markers = ["", "; python_version < '3.12'", ' ;sys_platform == "win32" ']
    markers.append("; platform_version != '6#1'")
    comments = ["", " # why", "\t# pin, [this] ; too"]
    for _ in range(60):
        line = "".join(
            str(rng.choice(parts)) for parts in (names, extras, versions, markers, comments)
        )
        same_answer(student, reference, "requirement", line, what=f"the requirement {line!r}")
    for line in ("", "   ", "#x", "\t# x", "  numpy  ", "numpy[a]"):
        same_answer(student, reference, "requirement", line, what=f"the requirement {line!r}")
