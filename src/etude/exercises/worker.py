"""The process in which a student's code runs: it is asked through one pipe and answers by another.

It is a single file of the standard library; NumPy and PyTorch are imported only where values are
theirs. It may be run by code that tries to deceive it, because the student's code shares its
process: all that it sends is read as the student's (:mod:`etude.exercises.remote`), and nothing
here decides a verdict.

A message is eight bytes with its length, four with the length of a text in JSON, that text, and
the arrays that it names, one after the other, as ``.npy`` files without pickle.
"""

from __future__ import annotations

import contextlib
import io
import json
import linecache
import os
import signal
import struct
import sys
import types
from collections.abc import Callable
from typing import Any

NAME = "<submission>"  # what a traceback calls the student's file
LARGEST_DEPTH = 50  # of a list in a list
LONGEST = 2_000  # signs of a message
HANDLES = 10_000  # objects that are kept for the grader
ENDED = 98  # exit code of a copy that has ended as it was asked to

Other = Callable[[Any], dict[str, Any]]


# -- values ----------------------------------------------------------------------------------------


def encoded(value: Any, other: Other) -> tuple[Any, list[bytes]]:
    """A value as JSON, and its arrays.

    Args:
        value: an array, a number, a text, None, or a list, tuple or table of such.
        other: what stands for anything else.

    Raises:
        TypeError: an array holds objects.
        ValueError: the value is nested too deep.
    """
    arrays: list[bytes] = []

    def visit(each: Any, depth: int) -> dict[str, Any]:
        if depth > LARGEST_DEPTH:
            raise ValueError("the value is nested too deep")
        if each is None:
            return {"k": "none"}
        if isinstance(each, bool):
            return {"k": "bool", "v": bool(each)}
        array = _array(each)
        if array is not None:
            content, kind = array
            arrays.append(content)
            return {"k": kind, "n": len(content)}
        if isinstance(each, int):
            return {"k": "int", "v": str(int(each))}
        if isinstance(each, float):
            return {"k": "float", "v": float(each).hex()}
        if isinstance(each, complex):
            return {"k": "complex", "re": each.real.hex(), "im": each.imag.hex()}
        if isinstance(each, str):
            return {"k": "str", "v": str(each)}
        if isinstance(each, list | tuple):
            kind = "list" if isinstance(each, list) else "tuple"
            return {"k": kind, "v": [visit(one, depth + 1) for one in each]}
        if isinstance(each, dict):
            pairs = [[visit(k, depth + 1), visit(v, depth + 1)] for k, v in each.items()]
            return {"k": "table", "v": pairs}
        return other(each)

    return visit(value, 0), arrays


def _array(value: Any) -> tuple[bytes, str] | None:
    """An array as a file, and whether it is an array, a scalar of NumPy's, or a tensor."""
    kind = "array"
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        kind = "tensor"
        value = value.detach().cpu().numpy()
    numpy = sys.modules.get("numpy")
    if numpy is None or not isinstance(value, numpy.ndarray | numpy.generic):
        return None
    if kind == "array" and not isinstance(value, numpy.ndarray):
        kind = "scalar"
    array = numpy.asarray(value)
    if array.dtype.hasobject:
        raise TypeError("an array of objects can't be sent; expected one of numbers")
    file = io.BytesIO()
    numpy.lib.format.write_array(file, array, allow_pickle=False)
    return file.getvalue(), kind


def decoded(tree: dict[str, Any], arrays: io.BytesIO, handle: Callable[[int], Any]) -> Any:
    """A value of the grader's."""
    kind = tree["k"]
    if kind in ("array", "scalar", "tensor"):
        import numpy

        content = io.BytesIO(arrays.read(tree["n"]))
        array = numpy.lib.format.read_array(content, allow_pickle=False)
        if kind == "tensor":
            import torch

            return torch.from_numpy(array)
        return array[()] if kind == "scalar" else array
    if kind == "handle":
        return handle(tree["id"])
    if kind in ("list", "tuple"):
        values = [decoded(each, arrays, handle) for each in tree["v"]]
        return values if kind == "list" else tuple(values)
    if kind == "table":
        pairs = [
            (decoded(key, arrays, handle), decoded(each, arrays, handle)) for key, each in tree["v"]
        ]
        return dict(pairs)
    if kind == "complex":
        return complex(float.fromhex(tree["re"]), float.fromhex(tree["im"]))
    if kind == "none":
        return None
    if kind == "int":
        return int(tree["v"])
    return float.fromhex(tree["v"]) if kind == "float" else tree["v"]


def message(content: dict[str, Any], arrays: list[bytes]) -> bytes:
    """A message, ready to be sent."""
    text = json.dumps(content, separators=(",", ":")).encode("ascii")
    size = 4 + len(text) + sum(map(len, arrays))
    return b"".join([struct.pack(">QI", size, len(text)), text, *arrays])


# -- the student's module --------------------------------------------------------------------------


class Student:
    """A student's module, and the objects that its classes made."""

    def __init__(self) -> None:
        self.module = types.ModuleType("submission")
        self.objects: list[Any] = []

    def load(self, source: str) -> None:
        """Execute the module's text."""
        lines = source.splitlines(keepends=True)
        linecache.cache[NAME] = (len(source), None, lines, NAME)  # for inspect.getsource
        sys.modules["submission"] = self.module
        exec(compile(source, NAME, "exec"), self.module.__dict__)

    def function(self, name: str) -> Any:
        """A function, or ``Class.method``."""
        found: Any = self.module
        for part in name.split("."):
            found = getattr(found, part)
        return found

    def kept(self, value: Any) -> dict[str, Any]:
        """What stands for an object outside: a number."""
        if len(self.objects) >= HANDLES:
            raise MemoryError("too many objects are handed out")
        self.objects.append(value)
        return {
            "k": "handle",
            "id": len(self.objects) - 1,
            "type": str(type(value).__name__)[:100],
        }

    def answer(self, asked: dict[str, Any], arrays: io.BytesIO) -> bytes:
        """Do what is asked, and say what came of it."""
        if asked["do"] == "load":
            self.load(asked["source"])
            return message({"ok": "yes", "value": {"k": "none"}}, [])

        def handle(number: int) -> Any:
            return self.objects[number]

        args = decoded(asked["args"], arrays, handle)
        kwargs = decoded(asked["kwargs"], arrays, handle)
        tree, parts = encoded(self.function(asked["function"])(*args, **kwargs), self.kept)
        return message({"ok": "yes", "value": tree}, parts)


def failure(error: BaseException) -> bytes:
    """An error of the student's code: its type, its message, and the lines that it passed."""
    try:
        text = str(error)[:LONGEST]
    except BaseException:
        text = ""
    lines = []
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == NAME:
            lines.append([trace.tb_lineno, str(trace.tb_frame.f_code.co_name)[:100]])
        trace = trace.tb_next
    if isinstance(error, SyntaxError) and error.filename == NAME and error.lineno:
        lines.append([error.lineno, ""])
    content = {
        "ok": "no",
        "type": type(error).__name__[:100],
        "number": error.errno if isinstance(error, OSError) else None,
        "message": text,
        "lines": lines[-5:],
    }
    return message(content, [])


# -- the pipes -------------------------------------------------------------------------------------


def read(pipe: int, size: int) -> bytes:
    """A number of bytes.

    Raises:
        EOFError: there are no more.
    """
    found = bytearray()
    while len(found) < size:
        part = os.read(pipe, min(size - len(found), 1 << 20))
        if not part:
            raise EOFError
        found += part
    return bytes(found)


def write(pipe: int, content: bytes) -> None:
    """Write all of it."""
    waiting = memoryview(content)
    while waiting:
        waiting = waiting[os.write(pipe, waiting) :]


def asked(pipe: int) -> tuple[dict[str, Any], io.BytesIO]:
    """The next question, and its arrays.

    Raises:
        EOFError: there is none.
    """
    size, text = struct.unpack(">QI", read(pipe, 12))
    content = read(pipe, text)
    arrays = io.BytesIO(read(pipe, size - 4 - text))
    found: dict[str, Any] = json.loads(content)
    return found, arrays


def serve(question: tuple[dict[str, Any], io.BytesIO], questions: int, answers: int) -> None:
    """Answer this question and those that follow, until the end is asked for."""
    student = Student()
    while question[0]["do"] != "end":
        try:
            answer = student.answer(*question)
        except BaseException as error:  # SystemExit and KeyboardInterrupt are answers, too
            answer = failure(error)
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(BaseException):
                stream.flush()
        write(answers, answer)
        question = asked(questions)


def alone() -> bool:
    """Whether this process is the first of a namespace of processes, or bubblewrap's only child:
    then whatever else there is was started by the student's code.
    """
    return (os.getpid(), os.getppid()) in ((1, 0), (2, 1))


def ended(child: int) -> int:
    """How a child has ended; what it left behind is killed."""
    while True:
        found, status = os.waitpid(-1, 0)  # the first process is the parent of orphans, too
        if found == child:
            break
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)
    return os.waitstatus_to_exitcode(status)


def main() -> None:
    """Answer until the questions end: each student's module in a process of its own.

    Starting Python takes longer than most exercises. So this process, in which no student's code
    ever runs, imports what is needed, and is copied for each module (``fork``).
    """
    questions, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)  # what the student prints goes to the log
    for name in sys.argv[1:]:
        __import__(name)
    ready = message({"ok": "yes", "value": {"k": "str", "v": "ready"}}, [])
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            write(answers, ready)
            first = asked(questions)
            if not alone():  # nothing would tell what such a copy leaves behind
                serve(first, questions, answers)
                return
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    serve(first, questions, answers)
                    code = ENDED
                finally:
                    os._exit(code)  # threads of the student's don't keep it
            code = ended(child)
            if code != ENDED:
                os._exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    main()
