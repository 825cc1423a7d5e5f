"""Of a submission only the functions with tasks are taken, and what they use."""

from __future__ import annotations

import ast
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etude import files
from etude.exercises.graft import LARGEST, Grafted, Invalid, content_of, graft, parsed, read
from etude.exercises.regions import frame, regions_of, starter
from tests.exercises.small import REFERENCE, RIGHT, handed_in

STARTER, REGIONS = starter(REFERENCE), regions_of(REFERENCE)


def grafted(source: str | bytes, name: str = "a.py") -> Grafted:
    content = source if isinstance(source, bytes) else source.encode()
    return graft(read(name, content), STARTER, REGIONS)


def names(text: str) -> list[str]:
    """What a module binds, at its level."""
    found = []
    for each in ast.parse(text).body:
        if isinstance(each, ast.Try):
            each = each.body[0]
        if isinstance(each, ast.Import | ast.ImportFrom):
            found += [alias.asname or alias.name for alias in each.names]
        elif isinstance(each, ast.FunctionDef | ast.ClassDef):
            found.append(each.name)
        elif isinstance(each, ast.Assign):
            found.append(ast.unparse(each.targets[0]))
    return found


def test_the_right_functions_are_all_taken() -> None:
    found = grafted(handed_in())
    assert not found.missing
    assert not found.other
    assert not found.notes
    assert "NotImplementedError" not in found.text
    assert names(found.text) == ["np", "softmax", "relu", "Momentum"]


def test_all_else_is_the_starters() -> None:
    odd = """
import numpy as np
@property
def softmax(x) -> "anything":
    "Another docstring."
    return x
class Momentum(dict):
    rate = 7
    def __init__(self): pass
    def step(self, weights, gradient): return weights
print("a note")
raise SystemExit
"""
    expected = frame(ast.parse(STARTER))
    bodies = (".softmax", ".Momentum.step")  # a docstring is of the body
    kept = [line for line in expected if not line.startswith(bodies)]
    assert set(kept) <= set(frame(ast.parse(grafted(odd).text)))
    text = grafted(odd).text
    assert "property" not in text
    assert "SystemExit" not in text
    assert "class Momentum:" in text


def test_a_missing_function_is_said() -> None:
    found = grafted(RIGHT["relu"])
    assert found.missing == {
        "softmax": "the function softmax is missing",
        "momentum": "the function Momentum.step is missing",
    }
    assert "NotImplementedError('softmax')" in found.text


def test_the_last_of_doubled_functions_counts_and_is_said() -> None:
    found = grafted(RIGHT["softmax"] + "\ndef softmax(x):\n    return 'the last'\n")
    assert "the last" in found.text
    assert found.notes == ("softmax stands there 2 times; the last one counts",)


@pytest.mark.parametrize(
    "signature", ["x, y", "", "*x", "x, /", "*, x", "y", "x=1", "x, **more", "x, axis=1"]
)
def test_another_signature_is_said(signature: str) -> None:
    found = grafted(f"def softmax({signature}):\n    return 1\n")
    assert found.other["softmax"].startswith("the function is softmax(")
    assert found.other["softmax"].endswith("; expected (x)")
    assert "NotImplementedError('softmax')" in found.text


@pytest.mark.parametrize("head", ["def softmax(x: 'array') -> 'array':", "def softmax( x ) :"])
def test_annotations_and_blanks_are_no_other_signature(head: str) -> None:
    assert not grafted(f"{head}\n    return 1\n").other


def test_what_a_function_uses_comes_with_it_and_nothing_else() -> None:
    found = grafted("""
import numpy as np
import math, statistics
from itertools import chain as joined
import matplotlib.pyplot as plt
from nowhere import nothing

BASE = 2 + 3
UNUSED = 1 / 0
TOP, LEFT = 1, 2

def helper(a):
    x = deeper(a) + BASE
    return x

def deeper(a):
    return math.exp(a)

def other():
    return plt.plot()

x = open("everything").read()
result = softmax(np.ones((2, 2)))

def softmax(x):
    result = helper(x)
    return [joined(result) for each in x]
""")
    assert set(names(found.text)) == {
        *("np", "softmax", "relu", "Momentum"),
        *("math", "joined", "BASE", "helper", "deeper"),
    }


def test_all_assignments_of_a_name_come_with_it_in_their_order() -> None:
    found = grafted("""
SCALE = 2
SCALE = SCALE / 4
LOW, (HIGH, *REST) = 0, (1, 5, 6)
A = B = 3
A += 1
UNUSED = LOW / 0
def relu(x):
    return [SCALE, LOW, HIGH, REST, A, B]
""")
    assert not found.notes
    assert "UNUSED" not in found.text
    module: dict[str, Any] = {}
    exec(found.text, module)
    assert module["relu"](0) == [0.5, 0, 1, [5, 6], 4, 3]


def test_a_value_that_is_not_taken_is_said() -> None:
    found = grafted("""
if True:
    SCALE = 2
softmax, LIMIT = None, 3
def relu(x):
    return SCALE * x + LIMIT
""")
    assert [note.split()[3] for note in found.notes] == ["LIMIT", "SCALE"]
    module: dict[str, Any] = {}
    exec(found.text, module)
    assert module["softmax"] is not None


def test_names_of_the_starters_are_not_replaced() -> None:
    found = grafted("""
import fake as np
def relu(x):
    return softmax(x) + np.ones(3)
class Momentum:
    def __init__(self): self.cheat = True
    def _half(self): return 0.5 * helper(self)
    def step(self, weights, gradient): return self._half()
def helper(x): return x
""")
    assert "fake" not in found.text
    assert "cheat" not in found.text
    tree = ast.parse(found.text)
    (made,) = [each for each in tree.body if isinstance(each, ast.ClassDef)]
    assert [e.name for e in made.body if isinstance(e, ast.FunctionDef)] == [
        *("__init__", "step", "_half")
    ]
    assert names(found.text)[-1] == "helper"


def test_imports_that_take_all_or_lie_beside_are_passed_over_and_said() -> None:
    found = grafted(
        "from numpy import *\nfrom . import other\nfrom __future__ import annotations\n"
        + RIGHT["relu"]
    )
    assert len(found.notes) == 2
    assert "import *" not in found.text


def test_an_import_that_fails_stops_nothing() -> None:
    found = grafted("import nowhere\ndef relu(x):\n    return nowhere.relu(x)\n")
    module: dict[str, object] = {}
    exec(found.text, module)
    assert "nowhere" not in module


def test_lines_lead_back_to_what_was_handed_in() -> None:
    source = (
        "\n\n# a comment\ndef relu(x):\n\n    # why\n    y = (\n        x\n    )\n    return y\n"
    )
    found = grafted(source)
    own = source.split("\n")
    written = found.text.split("\n")
    pairs = {written[new - 1].strip(): own[old - 1].strip() for new, old in found.lines.items()}
    assert pairs["return y"] == "return y"
    assert pairs["y = x"] == "y = ("


def test_places_of_a_notebook_are_cells() -> None:
    cells = [
        {"cell_type": "markdown", "source": "words"},
        {"cell_type": "code", "source": ["import numpy as np\n", "y = 1"]},
        {"cell_type": "code", "source": "%%bash\nls"},
        {"cell_type": "code", "source": RIGHT["relu"]},
        {"cell_type": "code", "source": "an idea that is not Python"},
    ]
    found = read("a.ipynb", json.dumps({"cells": cells}).encode())
    assert found.notes == ("cell 5 is not Python, and was passed over",)
    line = found.text.split("\n").index("def relu(x):") + 1
    assert found.place(line) == "cell 4, line 1"
    assert found.place(line + 1) == "cell 4, line 2"
    assert not grafted(json.dumps({"cells": cells}).encode(), "a.ipynb").missing.get("relu")


def test_percent_signs_of_python_stay() -> None:
    cell = {"cell_type": "code", "source": "def relu(x):\n    return (x\n    % 3)\n"}
    text = grafted(json.dumps({"cells": [cell]}).encode(), "a.ipynb").text
    assert "return x % 3" in text


def test_a_byte_order_mark_and_other_line_ends_are_read() -> None:
    content = b"\xef\xbb\xbf" + RIGHT["relu"].replace("\n", "\r\n").encode()
    assert "relu" not in grafted(content).missing


pieces = st.sampled_from(
    [
        *("def softmax(x):", "class Momentum:", "    def step(self, weights, gradient):", "@f"),
        *("    return x", "        return 1", "import numpy as np", "x = 1", "    x: int = 2"),
        *("lambda: (yield)", "async def relu(x):", "    await x", "del x", "global x", "if x:"),
        *("    nonlocal x", "    return super().x", "    f'{x!r:{y}}'", "    from a import *"),
        *("try:", "except* E:", "match x:", "    case _:", "        pass", "0x" + "f" * 5_000),
        *("\0", "\x0c", "é", '"""', "\\", "    return '\\ud800'", "    global np", "__name__ = 1"),
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(pieces, max_size=8).map("\n".join))
def test_any_text_is_grafted_or_told_to_be_invalid(text: str) -> None:
    try:
        found = grafted(text.encode(errors="surrogatepass"))
    except Invalid:
        return
    parsed(found.text)
    assert {*found.missing, *found.other} <= {"softmax", "relu", "momentum"}


@pytest.mark.parametrize("flags", [files.CAREFULLY, 0], ids=["here", "as on Windows"])
def test_a_file_is_read_only_where_it_is_one(
    flags: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "CAREFULLY", flags)
    file = tmp_path / "a.py"
    file.write_bytes(b"x = 1")
    assert content_of(file) == b"x = 1"
    (tmp_path / "link.py").symlink_to(file)
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "folder.py").mkdir()
    for name in ("link.py", "pipe.py", "folder.py", "nothing.py"):
        with pytest.raises(Invalid):
            content_of(tmp_path / name)
    with file.open("wb") as opened:
        opened.truncate(1 << 30)
    with pytest.raises(Invalid, match=f"more than {LARGEST:,} bytes"):
        content_of(file)


def test_a_file_that_is_exchanged_while_it_is_opened_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, other = tmp_path / "a.py", tmp_path / "b.py"
    file.write_bytes(b"x = 1")
    other.write_bytes(b"a secret")
    opened = os.open
    monkeypatch.setattr(os, "open", lambda path, *rest: opened(other, *rest))
    with pytest.raises(Invalid, match="has changed while it was opened"):
        content_of(file)
