"""A student's code from outside: values go and come back; whatever else comes is the student's."""

from __future__ import annotations

import io
import json
import pickle
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from etude.exercises import remote, worker
from etude.exercises.remote import Handle, Kind, Remote, Trouble, Unstarted, Workers, without_paths
from etude.exercises.sandbox import Boxed, Limits, Sandbox, Tier
from tests.exercises.small import best

MODULE = """
import numpy as np

def same(*args, **kwargs):
    return [list(args), kwargs]

def divide(x):
    y = 0
    return x / y

class Counter:
    def __init__(self, n):
        self.n = n
    def add(self, k=1):
        self.n += k
        return self.n

def of(counter):
    return counter.n

def own_path():
    raise ValueError("/home/someone/course/secret.py is not 'a/b', nor 1/2")

def printing():
    print("a line")
    return 1

def strings():
    return np.array(["a", "bc"])

def exit():
    raise SystemExit(0)

def generator():
    yield 1
"""


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    limits = Limits(wall=60, answer=1 << 20, answers=3 << 20)
    with Workers(Sandbox(best().tier, limits)) as found:
        yield found


@pytest.fixture
def code(workers: Workers) -> Iterator[Remote]:
    with workers.load(MODULE) as found:
        yield found


def same(a: Any, b: Any) -> bool:
    """Whether two values are equal in type, too."""
    if isinstance(a, np.ndarray | np.generic):
        equal = type(a) is type(b) and a.dtype == b.dtype and a.shape == b.shape
        return equal and a.tobytes() == b.tobytes()
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return isinstance(b, dict) and same(list(a.items()), list(b.items()))
    return type(a) is type(b) and (a == b or (a != a and b != b))


numbers = st.one_of(
    arrays.boolean_dtypes(),
    arrays.integer_dtypes(endianness="="),
    arrays.unsigned_integer_dtypes(endianness="="),
    arrays.floating_dtypes(endianness="="),
    arrays.complex_number_dtypes(endianness="="),
)
made = arrays.arrays(numbers, arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3))
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(),
    st.complex_numbers(),
    st.text(st.characters(exclude_categories=["Cs"])),
    made,
)
values = st.recursive(
    leaves,
    lambda each: st.one_of(
        st.lists(each, max_size=3),
        st.lists(each, max_size=3).map(tuple),
        st.dictionaries(st.one_of(st.text(max_size=3), st.integers()), each, max_size=3),
    ),
    max_leaves=8,
)


class Canned:
    """A worker whose answers are given."""

    def __init__(self, content: bytes) -> None:
        self.sandbox = Sandbox(Tier.C, Limits(answer=10_000, answers=20_000))
        self.content = io.BytesIO(content)
        self.ended_by_us = False

    def exchange(self, sent: bytes, size: int) -> bytes:
        found = self.content.read(size)
        if len(found) < size:
            raise EOFError
        return found

    def end(self) -> int:
        self.ended_by_us = True
        return 0

    def ended(self, seconds: float) -> int:
        return 0


def answered(content: bytes) -> Any:
    """What a remote makes of an answer."""
    box = Canned(worker.message({"ok": "yes", "value": {"k": "none"}}, []) + content)
    with Workers(box.sandbox) as workers:
        return Remote(cast(Boxed, box), "", workers).call("f")


@settings(max_examples=60, deadline=None)
@given(values)
def test_every_value_comes_back_as_it_was(value: Any) -> None:
    tree, parts = worker.encoded(value, dict)
    assert same(answered(worker.message({"ok": "yes", "value": tree}, parts)), value)


@settings(max_examples=25, deadline=None)
@given(values)
def test_every_value_goes_to_the_worker_and_back(workers: Workers, value: Any) -> None:
    with workers.load(MODULE) as code:
        found = code.call("same", value, name=value)
    assert same(found, [[value], {"name": value}])


GOOD = worker.message(
    {
        "ok": "yes",
        "value": {"k": "list", "v": [{"k": "array", "n": 144}, {"k": "int", "v": "7"}]},
    },
    [cast(tuple[bytes, str], worker._array(np.arange(2.0)))[0]],
)


@settings(max_examples=400, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=300),
        st.tuples(st.integers(0, len(GOOD) - 1), st.binary(min_size=1, max_size=4)).map(
            lambda t: GOOD[: t[0]] + t[1] + GOOD[t[0] + len(t[1]) :]
        ),
        st.integers(0, len(GOOD) - 1).map(lambda n: GOOD[:n]),
    )
)
def test_whatever_comes_back_is_a_value_or_an_error_of_the_students(content: bytes) -> None:
    with suppress(Trouble):
        answered(content)


def framed(content: object, *parts: bytes) -> bytes:
    text = json.dumps(content).encode()
    size = 4 + len(text) + sum(map(len, parts))
    return struct.pack(">QI", size, len(text)) + text + b"".join(parts)


def npy(head: str, body: bytes = b"") -> bytes:
    text = head.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + body


def of_array(content: bytes) -> bytes:
    return framed({"ok": "yes", "value": {"k": "array", "n": len(content)}}, content)


def value(tree: object) -> bytes:
    return framed({"ok": "yes", "value": tree})


HEAD = "{'descr': %s, 'fortran_order': False, 'shape': %s, }"


@pytest.mark.parametrize(
    "content",
    [
        framed({"ok": "pass"}),
        framed({"ok": "yes"}),
        framed({"ok": "yes", "value": {"k": "none"}, "verdict": "pass"}),
        framed({"ok": "yes", "value": {"k": "none"}}, b"more"),
        framed([]),
        struct.pack(">QI", 2**63, 10),
        struct.pack(">QI", 3, 10) + bytes(10),
        struct.pack(">QI", 9_000, 0) + bytes(9_000),
        value({"k": "eval", "v": "1"}),
        value({"k": "int", "v": "9" * 5_000}),
        value({"k": "int", "v": "1_0"}),
        value({"k": "int", "v": 1}),
        value({"k": "float", "v": "0x1p999999"}),
        value({"k": "array", "n": -1}),
        value({"k": "array", "n": 10}),
        value({"k": "table", "v": [[{"k": "list", "v": []}, {"k": "none"}]]}),
        value({"k": "list", "v": [{"k": "none"}, 3]}),
        of_array(b""),
        of_array(npy(HEAD % ("'<f8'", "(9999999999,)"))),
        of_array(npy(HEAD % ("'<f8'", "(-1,)"), bytes(8))),
        of_array(npy(HEAD % ("'<f8'", "(2,)"), bytes(8))),
        of_array(npy(HEAD % ("'<f8'", "(" + "1," * 40 + ")"), bytes(8))),
        of_array(npy(HEAD % ("'|O'", "(1,)"), pickle.dumps([1]))),
        of_array(npy(HEAD % ("[('a', '<f8')]", "(1,)"), bytes(8))),
        of_array(npy(HEAD % ("'<M8[s]'", "(1,)"), bytes(8))),
        of_array(npy(HEAD % ("('<f8', (2,))", "(1,)"), bytes(16))),
        of_array(npy("__import__('os').system('true')")),
        of_array(npy("(" * 110)),
    ],
)
def test_what_is_no_answer_is_an_error_of_the_students(content: bytes) -> None:
    with pytest.raises(Trouble) as caught:
        answered(content)
    assert caught.value.kind == Kind.ERROR


def test_a_list_in_lists_without_end_is_an_error_of_the_students() -> None:
    for depth in (60, 1_000):
        tree = '{"k":"list","v":[' * depth + "]}" * depth
        text = f'{{"ok":"yes","value":{tree}}}'.encode()
        content = struct.pack(">QI", 4 + len(text), len(text)) + text
        with pytest.raises(Trouble) as caught:
            answered(content)
        assert caught.value.kind in (Kind.ERROR, Kind.CRASHED)


def test_true_is_one_and_nothing_else() -> None:
    found = answered(of_array(npy(HEAD % ("'|b1'", "(3,)"), b"\x00\x01\x02")))
    assert found.tolist() == [False, True, True]
    assert found.view(np.uint8).tolist() == [0, 1, 1]


def test_objects_stay_where_they_are(code: Remote) -> None:
    counter = code.call("Counter", 5)
    assert isinstance(counter, Handle)
    assert counter.type == "Counter"
    assert code.call("Counter.add", counter) == 6
    assert code.call("Counter.add", counter, k=4) == 10
    assert code.call("of", counter) == 10
    assert [each.type for each in code.call("same", counter)[0]] == ["Counter"]
    assert isinstance(code.call("generator"), Handle)


def test_a_handle_of_nothing_is_an_error(code: Remote) -> None:
    with pytest.raises(Trouble, match="IndexError"):
        code.call("of", Handle(7, "Counter"))


def test_an_error_comes_with_the_students_own_line(code: Remote) -> None:
    with pytest.raises(Trouble) as caught:
        code.call("divide", 1)
    trouble = caught.value
    assert (trouble.kind, trouble.type) == (Kind.ERROR, "ZeroDivisionError")
    assert [(each.text, each.function) for each in trouble.lines] == [("return x / y", "divide")]
    assert code.call("same", 1) == [[1], {}]  # and it goes on


def test_no_path_of_the_machine_is_told(code: Remote) -> None:
    with pytest.raises(Trouble, match=r"ValueError: …/secret.py is not 'a/b', nor 1/2") as caught:
        code.call("own_path")
    assert "home" not in caught.value.sentence


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("No such file: '/a/b/c.txt'", "No such file: '…/c.txt'"),
        ("(/etc/x)", "(…/x)"),
        ("1/2 and a/b", "1/2 and a/b"),
        ("/x", "/x"),
    ],
)
def test_a_path_is_cut_to_its_name(text: str, expected: str) -> None:
    assert without_paths(text) == expected


def test_what_is_printed_goes_to_the_log(code: Remote) -> None:
    assert code.call("printing") == 1
    assert code.box.take_log() == "a line\n"


def test_texts_in_arrays_come_back(code: Remote) -> None:
    assert code.call("strings").tolist() == ["a", "bc"]


def test_sys_exit_is_an_error(code: Remote) -> None:
    with pytest.raises(Trouble, match="SystemExit"):
        code.call("exit")
    assert code.call("same", 1) == [[1], {}]


def test_a_function_that_is_not_there_is_an_error(code: Remote) -> None:
    with pytest.raises(Trouble, match="no attribute 'nothing'"):
        code.call("nothing")


def test_an_argument_that_is_no_value_is_the_checks_error(code: Remote) -> None:
    with pytest.raises(TypeError, match="can't be an argument"):
        code.call("same", object())
    with pytest.raises(TypeError, match="objects"):
        code.call("same", np.array([object()]))


def test_an_answer_may_not_be_larger_than_allowed(workers: Workers) -> None:
    with workers.load("import numpy as np\ndef f(n): return np.zeros(n)") as code:
        assert code.call("f", 100_000).shape == (100_000,)
        with pytest.raises(Trouble, match="at most 1,048,576"):
            code.call("f", 1_000_000)
        with pytest.raises(Trouble, match="at most 1,048,576"):
            code.call("f", 1)
    with workers.load("import numpy as np\ndef f(n): return np.zeros(n)") as code:
        for _ in range(3):
            code.call("f", 125_000)
        with pytest.raises(Trouble, match="all answers together"):
            code.call("f", 125_000)


def test_a_module_that_fails_says_where(workers: Workers) -> None:
    with pytest.raises(Trouble) as caught:
        workers.load("x = 1\ny = x / 0\n")
    assert [each.text for each in caught.value.lines] == ["y = x / 0"]
    with pytest.raises(Trouble, match="SyntaxError") as caught:
        workers.load("x = 1\nreturn x\n")
    assert [each.text for each in caught.value.lines] == ["return x"]


def test_each_module_has_a_process_of_its_own(workers: Workers) -> None:
    with workers.load(
        "import os, numpy\nnumpy.mark = 1\nkept = 1\ndef f(): return os.getpid()"
    ) as code:
        first = code.call("f")
    text = (
        "import os, numpy\ndef f(): return os.getpid(), hasattr(numpy, 'mark'), 'kept' in globals()"
    )
    with workers.load(text) as code:
        second, *seen = code.call("f")
    assert second != first
    assert seen == [False, False]


def test_a_process_that_was_left_behind_is_gone_in_the_next_module(workers: Workers) -> None:
    text = """
import os, time
def start():
    if os.fork() == 0:
        os.setsid()
        time.sleep(1000)
    return True
def others():
    found = []
    for pid in range(2, 200):
        try: os.kill(pid, 0)
        except ProcessLookupError: continue
        except PermissionError: pass
        found.append(pid)
    return len(found)
"""
    with workers.load(text) as code:
        alone = code.call("others")
        code.call("start")
        assert code.call("others") == alone + 1
    with workers.load(text) as code:
        assert code.call("others") == alone


def test_a_worker_that_does_not_start_is_no_error_of_the_students() -> None:
    with pytest.raises(Unstarted, match="not installed"):
        Workers(Sandbox(best().tier, packages=("nowhere-to-be-found",))).load("")
    with pytest.raises(Unstarted, match="did not start"):
        Workers(Sandbox(best().tier, Limits(memory=1 << 20))).load("")


def test_the_module_of_remote_reads_nothing_by_pickle() -> None:
    for module in (remote, worker):
        text = Path(str(module.__file__)).read_text(encoding="utf-8")
        assert "import pickle" not in text
        assert "allow_pickle=True" not in text
