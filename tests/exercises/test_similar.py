"""Submissions that resemble each other: a renamed copy is found, two minds are not."""

from __future__ import annotations

import ast

import pytest

from etude.exercises.packs import pack
from etude.exercises.similar import LEAST, K, W, fingerprints, similar
from tests.exercises.small import REFERENCE

SOURCE = pack("classifiers").source
STARTER = pack("classifiers").starter


class Renamed(ast.NodeTransformer):
    """Every variable has another name, and numbers are others."""

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(f"my_{node.id}", node.ctx)

    def visit_arg(self, node: ast.arg) -> ast.arg:
        return ast.arg(f"my_{node.arg}", node.annotation)

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        return ast.Constant(node.value + 1) if type(node.value) is int else node


def renamed(text: str) -> str:
    return "# mine\n" + ast.unparse(Renamed().visit(ast.parse(text)))


def test_a_copy_is_found_whatever_its_names_and_layout() -> None:
    other = pack("sequences").source
    pairs = similar({"a": SOURCE, "b": renamed(SOURCE), "c": other, "d": STARTER}, STARTER)
    assert [pair.students for pair in pairs] == [("a", "b")]
    assert pairs[0].share > 0.9
    assert pairs[0].common >= LEAST


def test_a_copied_function_is_found_in_a_program_of_ones_own() -> None:
    tree = ast.parse(SOURCE)
    functions = [ast.unparse(each) for each in tree.body if isinstance(each, ast.FunctionDef)]
    longest = max(functions, key=len)
    own = ast.unparse(ast.parse(pack("boxes").source))
    pairs = similar({"a": longest, "b": f"{own}\n{renamed(longest)}"}, STARTER)
    assert [pair.students for pair in pairs] == [("a", "b")]


def test_what_the_starter_has_or_many_have_says_nothing() -> None:
    assert similar({"a": STARTER, "b": STARTER}, STARTER) == []
    assert similar({"a": SOURCE, "b": SOURCE}, SOURCE) == []
    many = {f"s{n}": SOURCE for n in range(4)}
    assert similar(many, STARTER) == []
    assert len(similar(dict([*many.items()][:3]), STARTER)) == 3


@pytest.mark.parametrize("text", ["", "x = (", "(" * 5_000, "\0", "x = 1", '"""Words."""\n'])
def test_what_is_short_or_no_python_resembles_nothing(text: str) -> None:
    assert fingerprints(text) == set()
    assert similar({"a": text, "b": text, "c": SOURCE}, STARTER) == []


def test_whatever_is_shared_for_long_enough_is_found() -> None:
    """The promise of winnowing: K + W − 1 signs in common leave a fingerprint in common."""
    shared = "\n".join(f"x.a{n} = y.b{n} + z.c{n}" for n in range((K + W) // 3))
    for before in range(1, 12):
        one = f"{chr(10).join(['for i in w: pass'] * before)}\n{shared}\n"
        two = f"{shared}\n{chr(10).join(['import m'] * before)}\n"
        assert fingerprints(one) & fingerprints(two)


def test_two_solutions_of_one_exercise_are_two() -> None:
    own = (
        "import numpy as np\n\n\ndef softmax(x):\n    found = []\n    for row in x:\n"
        "        top = max(row)\n        powers = [np.exp(v - top) for v in row]\n"
        "        total = sum(powers)\n        found.append([p / total for p in powers])\n"
        "    return np.array(found)\n\n\ndef relu(x):\n    return np.where(x < 0, 0, x)\n"
    )
    assert similar({"a": REFERENCE, "b": own}, "import numpy as np\n") == []
