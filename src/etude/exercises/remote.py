"""A student's code from outside: it is asked, and what comes back is read as a stranger's.

:class:`Remote` implements :class:`etude.exercises.checks.Code` over a worker in a sandbox. Nothing
that the worker sends is obeyed. It is a value (numbers, texts, arrays, lists and tables of them), a
handle to an object that stays in the worker, or an error of the student's; all else is an error of
the student's, too. Arguments are copies: a function that changes its arguments in place changes
nothing here, and is asked through a function that returns what was changed.
"""

from __future__ import annotations

import errno
import io
import math
import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

from etude.errors import UserError, printable
from etude.exercises import worker
from etude.exercises.checks import Value
from etude.exercises.sandbox import REFUSED, Boxed, Sandbox, Tier

LONGEST_TEXT = 8 << 20  # bytes of the part of a message that is JSON
LONGEST_NUMBER = 1_000  # digits
DIMENSIONS = 32  # of an array
KINDS = "biufcU"  # of what arrays hold: numbers and texts


class Kind(StrEnum):
    """What went wrong in a student's code."""

    NOT_ATTEMPTED = "not attempted"
    ERROR = "error"
    TIMEOUT = "timeout"
    MEMORY = "memory"
    CRASHED = "crashed"
    FORBIDDEN = "forbidden"


@dataclass(frozen=True)
class Line:
    """A line of the student's.

    Attributes:
        number: in the module that was sent.
        text: as it stands there.
        function: in which it stands.
    """

    number: int
    text: str
    function: str


class Trouble(Exception):
    """The student's code gave no answer.

    Attributes:
        kind: what went wrong.
        sentence: what may be shown to the student.
        type: the name of the exception, ``""`` where there was none.
        lines: of the student's, the innermost last.
    """

    def __init__(
        self, kind: Kind, sentence: str, *, type: str = "", lines: Sequence[Line] = ()
    ) -> None:
        self.kind = kind
        self.sentence = sentence
        self.type = type
        self.lines = tuple(lines)
        super().__init__(sentence)


class Unstarted(Exception):
    """The worker did not start: nothing of the student's has run."""


@dataclass(frozen=True)
class Handle:
    """An object that stays in the worker.

    Attributes:
        id: its number there.
        type: what it calls its class.
    """

    id: int
    type: str = field(compare=False)


# -- what a worker may send ------------------------------------------------------------------------


class _Tree(msgspec.Struct, tag_field="k", forbid_unknown_fields=True):
    pass


class _None(_Tree, tag="none"):
    pass


class _Bool(_Tree, tag="bool"):
    v: bool


class _Int(_Tree, tag="int"):
    v: str


class _Float(_Tree, tag="float"):
    v: str


class _Complex(_Tree, tag="complex"):
    re: str
    im: str


class _Str(_Tree, tag="str"):
    v: str


class _Array(_Tree, tag="array"):
    n: int


class _Scalar(_Tree, tag="scalar"):
    n: int


class _Tensor(_Tree, tag="tensor"):
    n: int


class _Handle(_Tree, tag="handle"):
    id: int
    type: str


class _List(_Tree, tag="list"):
    v: list[_Any]


class _Tuple(_Tree, tag="tuple"):
    v: list[_Any]


class _Table(_Tree, tag="table"):
    v: list[tuple[_Any, _Any]]


_Any = (
    _None
    | _Bool
    | _Int
    | _Float
    | _Complex
    | _Str
    | _Array
    | _Scalar
    | _Tensor
    | _Handle
    | _List
    | _Tuple
    | _Table
)


class _Answer(msgspec.Struct, tag_field="ok", tag="yes", forbid_unknown_fields=True):
    value: _Any


class _Failure(msgspec.Struct, tag_field="ok", tag="no", forbid_unknown_fields=True):
    type: str
    number: int | None
    message: str
    lines: list[tuple[int, str]]


_read = msgspec.json.Decoder(_Answer | _Failure)


def _value(tree: _Tree, arrays: io.BytesIO, depth: int = 0) -> Value:
    """What a tree says.

    Raises:
        ValueError: it is no value.
    """
    if depth > worker.LARGEST_DEPTH:
        raise ValueError("nested too deep")
    match tree:
        case _None():
            return None
        case _Bool(v) | _Str(v):
            return v
        case _Int(v):
            if len(v) > LONGEST_NUMBER or not re.fullmatch(r"-?\d+", v, re.ASCII):
                raise ValueError("a whole number is too long, or none")
            return int(v)
        case _Float(v):
            return _number(v)
        case _Complex(re=real, im=imaginary):
            return complex(_number(real), _number(imaginary))
        case _Array(n) | _Tensor(n):
            return _array(arrays.read(_length(n, arrays)))
        case _Scalar(n):
            return _array(arrays.read(_length(n, arrays)))[()]
        case _Handle(id=number, type=kind):
            return Handle(number, printable(kind[:100]))
        case _List(v):
            return [_value(each, arrays, depth + 1) for each in v]
        case _Tuple(v):
            return tuple(_value(each, arrays, depth + 1) for each in v)
        case _Table(v):
            return {_value(k, arrays, depth + 1): _value(e, arrays, depth + 1) for k, e in v}
    raise ValueError("no value")


def _number(text: str) -> float:
    if len(text) > LONGEST_NUMBER:
        raise ValueError("a number is too long")
    return float.fromhex(text)


def _length(count: int, arrays: io.BytesIO) -> int:
    if not 0 <= count <= len(arrays.getbuffer()) - arrays.tell():
        raise ValueError("an array is longer than what was sent")
    return count


def _array(content: bytes) -> np.ndarray:
    """An array from a ``.npy`` file; its size is that of what was sent, whatever its head says.

    Raises:
        ValueError: it is none.
    """
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, by_columns, dtype = np.lib.format.read_array_header_1_0(file)
    elif version == (2, 0):
        shape, by_columns, dtype = np.lib.format.read_array_header_2_0(file)
    else:
        raise ValueError("another version of .npy")
    if dtype.kind not in KINDS or dtype.hasobject or dtype.shape:
        raise ValueError("an array of other things than numbers")
    if len(shape) > DIMENSIONS or any(each < 0 for each in shape):
        raise ValueError("an array of an impossible shape")
    body = content[file.tell() :]
    if math.prod(shape) * dtype.itemsize != len(body):
        raise ValueError("an array of another size than its head says")
    order: Literal["F", "C"] = "F" if by_columns else "C"
    if not body:
        return np.zeros(shape, dtype)
    if dtype.kind == "b":  # a byte other than 0 and 1 would be neither true nor false
        truth: np.ndarray = np.frombuffer(body, np.uint8) != 0
        return truth.reshape(shape, order=order)
    found: np.ndarray = np.frombuffer(body, dtype).reshape(shape, order=order)
    native: np.ndarray = found.astype(dtype.newbyteorder("="))
    return native


# -- the code --------------------------------------------------------------------------------------


class Workers:
    """Hands out fresh processes for a student's modules, one at a time.

    A process in a sandbox is started where there is none, and is copied for each module. As soon as
    anything is odd with it, it is ended, and the next module gets another.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self._idle: Boxed | None = None

    def load(self, source: str) -> Remote:
        """A module in a process of its own.

        Raises:
            Unstarted: the sandbox can't be started.
            Trouble: the module's code fails when it is loaded.
        """
        box = self._idle or self._started()
        self._idle = None
        box.begin()
        return Remote(box, source, self)

    def _started(self) -> Boxed:
        program = Path(worker.__file__)
        try:
            box = self.sandbox.start(program, *self.sandbox.packages)
        except UserError as error:
            raise Unstarted(str(error)) from None
        box.left = START
        if not _is_ready(box):
            code = box.end()
            reason = " ".join(box.log.split())[-500:] or f"it ended with {code}"
            words = "the sandbox was refused" if code == REFUSED else "the worker did not start"
            raise Unstarted(f"{words}: {reason}")
        return box

    def take_back(self, box: Boxed) -> None:
        """Keep a process for the next module, if it says that it is ready."""
        box.left = TAKE_BACK
        try:
            ready = self.sandbox.tier != Tier.C and _is_ready(box, _END)
        except BaseException:
            box.end()
            raise
        if ready and self._idle is None:
            self._idle = box
        else:
            box.end()

    def close(self) -> None:
        """End what is kept."""
        if self._idle is not None:
            self._idle.end()
            self._idle = None

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


START, TAKE_BACK = 180.0, 5.0  # seconds; PyTorch takes long to import on a busy machine
_END = worker.message({"do": "end"}, [])
_READY = worker.message({"ok": "yes", "value": {"k": "str", "v": "ready"}}, [])


def _is_ready(box: Boxed, sent: bytes = b"") -> bool:
    """Whether a worker says that it is ready, and nothing else."""
    try:
        return box.exchange(sent, len(_READY)) == _READY
    except (TimeoutError, EOFError):
        return False


class Remote:
    """A student's module in a process of its own.

    After an answer that did not come (the time is over, the process has ended, what came is no
    answer) the process is dead, and all further calls say so.

    Raises:
        Trouble: the module's code fails when it is loaded.
    """

    def __init__(self, box: Boxed, source: str, workers: Workers) -> None:
        self.box = box
        self.text = source
        self.limits = box.sandbox.limits
        self.received = 0
        self.dead: Trouble | None = None
        self._workers = workers
        try:
            self._asked(worker.message({"do": "load", "source": source}, []))
        except BaseException:
            self.close()
            raise

    def call(self, function: str, *args: Value, **kwargs: Value) -> Value:
        """What a function of the student's returns.

        Raises:
            Trouble: it returns nothing that could be read.
            TypeError: an argument is not a value.
        """
        listed, arrays = worker.encoded(list(args), _handled)
        named, more = worker.encoded(kwargs, _handled)
        asked = {"do": "call", "function": function, "args": listed, "kwargs": named}
        return self._asked(worker.message(asked, arrays + more))

    def source(self) -> str:
        """The text of the module."""
        return self.text

    def close(self) -> None:
        """End the process, and all that it has started."""
        if self.dead is None:
            self.dead = Trouble(Kind.CRASHED, "the code has been ended")
            self._workers.take_back(self.box)
        else:
            self.box.end()

    def __enter__(self) -> Remote:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- what comes back

    def _asked(self, question: bytes) -> Value:
        if self.dead is not None:
            raise self.dead
        try:
            content, arrays = self._received(question)
        except TimeoutError:
            raise self._died(
                Kind.TIMEOUT, f"there was no answer within {self.limits.wall:g} s"
            ) from None
        except EOFError:
            raise self._died(*self._ending()) from None
        try:
            answer = _read.decode(content)
            if isinstance(answer, _Answer):
                value = _value(answer.value, arrays)
                if arrays.read(1):
                    raise ValueError("more was sent than the answer")
                return value
        except Exception:  # whatever is wrong in it, it is the student's
            raise self._died(Kind.ERROR, "what came back is not an answer") from None
        raise self._error(answer)

    def _received(self, question: bytes) -> tuple[bytes, io.BytesIO]:
        """The two parts of an answer.

        Raises:
            TimeoutError: none comes in time.
            EOFError: the worker has ended.
            Trouble: the answer is larger than it may be.
        """
        size, text = struct.unpack(">QI", self.box.exchange(question, 12))
        self.received += size
        if size > self.limits.answer or self.received > self.limits.answers:
            raise self._died(
                Kind.ERROR,
                f"the answer has {size:,} bytes; expected at most {self.limits.answer:,},"
                f" and {self.limits.answers:,} of all answers together",
            )
        if not 0 < text <= min(size - 4, LONGEST_TEXT):
            raise self._died(Kind.ERROR, "what came back is not an answer, or too long a list")
        content = self.box.exchange(b"", text)
        return content, io.BytesIO(self.box.exchange(b"", size - 4 - text))

    def _died(self, kind: Kind, sentence: str) -> Trouble:
        self.box.end()
        self.dead = Trouble(kind, sentence)
        return self.dead

    def _ending(self) -> tuple[Kind, str]:
        """Why the worker has ended, as far as can be known."""
        code = self.box.ended(1.0)
        if code is None:
            return Kind.CRASHED, "the code has closed the pipe by which it answers"
        if code == -24:  # SIGXCPU
            return Kind.TIMEOUT, f"the code used more than {self.limits.cpu} s of the processor"
        if code < 0:
            return Kind.CRASHED, f"the process of the code was ended by signal {-code}"
        return Kind.CRASHED, f"the code ended its process, with exit code {code}"

    def _error(self, found: _Failure) -> Trouble:
        """An error that the student's code has raised."""
        name = printable(found.type[:100])
        words = printable(without_paths(found.message[: worker.LONGEST])).strip()
        kind = Kind.ERROR
        if name == "NotImplementedError":
            kind = Kind.NOT_ATTEMPTED
        elif name in ("MemoryError", "_ArrayMemoryError") or "can't allocate memory" in words:
            kind = Kind.MEMORY
        elif name == "PermissionError" or found.number in FORBIDDEN:
            kind = Kind.FORBIDDEN
        sentence = f"{name}: {words}" if words else name
        return Trouble(kind, sentence, type=name, lines=list(self._lines(found.lines)))

    def _lines(self, found: list[tuple[int, str]]) -> Iterator[Line]:
        own = self.text.splitlines()
        for number, function in found[-5:]:
            if 0 < number <= len(own):
                yield Line(number, own[number - 1].strip(), printable(function[:100]))


FORBIDDEN = {
    errno.EPERM,
    errno.EACCES,
    errno.EROFS,
    errno.ENETUNREACH,
    errno.EFBIG,
    errno.ENOSPC,
    errno.EAGAIN,  # too many processes
}


def without_paths(text: str) -> str:
    """A text in which a path of the machine is no more than its last name."""
    return re.sub(r"(?<![\w/])(/[^\s/'\"]+)+/(?=[^\s/'\"]*)", "…/", text)


def _handled(value: Any) -> dict[str, Any]:
    """What stands for a handle in a question.

    Raises:
        TypeError: the value is no handle.
    """
    if isinstance(value, Handle):
        return {"k": "handle", "id": value.id}
    kind = type(value).__name__
    raise TypeError(f"a {kind} can't be an argument; expected arrays, numbers, texts or lists")
