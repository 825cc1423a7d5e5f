"""Regions: what is taken out of a reference, and what stays."""

from __future__ import annotations

import ast

import pytest

from etude.errors import UserError
from etude.exercises.regions import frame, regions_of, starter

SOURCE = '''"""A file."""

import numpy as np


class Adder:
    """It adds."""

    def add(self, x: int, *, by: int = 2) -> int:
        """More than x."""
        y = x
        # task add, 2 points: Add ``by``,
        #   once.
        # (there are other ways)
        for _ in range(1):
            y += by
        # end of task
        return y


def sign(x: int) -> int:
    """−1, 0 or 1."""
    if x < 0:
        # task negative, 1 point: Of a negative one.
        return -1
        # end of task
    return int(x > 0)  # task is no comment of its own here
'''


def test_regions_are_found_with_all_that_they_say() -> None:
    add, negative = regions_of(SOURCE)
    assert (add.id, add.points, add.function) == ("add", 2, "Adder.add")
    assert add.text == "Add ``by``, once."
    assert (negative.id, negative.points, negative.function) == ("negative", 1, "sign")
    lines = SOURCE.splitlines()
    assert lines[add.first - 1].strip().startswith("# task add")
    assert lines[add.last - 1].strip() == "# end of task"


def test_the_starter_keeps_all_else_to_the_letter() -> None:
    text = starter(SOURCE)
    assert frame(ast.parse(text)) == frame(ast.parse(SOURCE))
    assert text.count("raise NotImplementedError") == 2
    assert "# Your turn, 2 points: Add ``by``, once." in text
    kept = [line for line in SOURCE.splitlines() if "task" not in line and "by" not in line]
    lost = [line for line in kept if line not in text.splitlines()]
    assert [line.strip() for line in lost] == [
        "#   once.",
        "# (there are other ways)",
        "for _ in range(1):",
        "return -1",
    ]
    assert regions_of(text) == []


def test_one_task_alone_is_taken_out() -> None:
    text = starter(SOURCE, only=["negative"])
    assert 'raise NotImplementedError("negative")' in text
    assert "y += by" in text
    space: dict[str, object] = {}
    exec(text, space)
    assert space["Adder"]().add(3) == 5  # type: ignore[operator]
    with pytest.raises(NotImplementedError, match="negative"):
        space["sign"](-3)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ("# task add, 2 points: Add", "# task add: Add", "expected '# task NAME, N points"),
        ("# task add, 2 points: Add", "# task Add, 2 points: Add", "expected '# task NAME"),
        ("        # end of task\n        return y", "        return y", "expected '# end of task'"),
        ("        # end of task\n    return int", "    return int", "the task has no end"),
        (
            "        # end of task\n        return y",
            "    # end of task\n        return y",
            "column",
        ),
        ("# task negative", "# task add", "two tasks are called add"),
        ("        # task negative, 1 point: Of a negative one.\n", "", "before it"),
        ("y += by", "y += by(", "is not Python"),
        (
            "            y += by\n        # end of task",
            "        # end of task\n            y += by",
            "not made of whole statements",
        ),
    ],
)
def test_comments_that_are_no_task(before: str, after: str, sentence: str) -> None:
    assert before in SOURCE
    with pytest.raises(UserError) as caught:
        regions_of(SOURCE.replace(before, after, 1), "x.py")
    assert sentence in str(caught.value)
    assert str(caught.value).startswith("x.py")


@pytest.mark.parametrize(
    "source",
    [
        "# task a, 1 point: x\nx = 1\n# end of task\n",  # of no function
        "class A:\n    # task a, 1 point: x\n    x = 1\n    # end of task\n",
        "def f():\n    # task a, 1 point: x\n    # end of task\n    return 1\n",  # nothing in it
    ],
)
def test_a_task_is_made_of_statements_of_a_function(source: str) -> None:
    with pytest.raises(UserError, match="whole statements of one function"):
        regions_of(source)


def test_a_task_may_hold_a_function_of_its_own() -> None:
    source = (
        "def outer(x):\n"
        "    # task outer, 1 point: Write it.\n"
        "    def inner(y):\n"
        "        return 2 * y\n\n"
        "    return inner(x)\n"
        "    # end of task\n\n\n"
        "def other(x):\n"
        "    def within(y):\n"
        "        # task within, 1 point: Write it.\n"
        "        return y\n"
        "        # end of task\n\n"
        "    return within(x)\n"
    )
    assert [each.function for each in regions_of(source)] == ["outer", "other"]
