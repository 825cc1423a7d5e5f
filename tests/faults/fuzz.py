"""Malformed files by the thousand, each of which must be read rightly or refused in one sentence.

Inputs are made of valid ones by mutation: bits flipped, bytes set, parts cut, doubled, or taken
from another file, lengths set to huge numbers, and, of JSON, values replaced by others. Input k of
a format is always the same.

A format is read in a process of its own, with 1 GiB more of address space than it begins with. An
input fails if reading it raises anything but a ``UserError``, takes 30 s of processor time, runs
out of that memory, or ends the process.
"""

from __future__ import annotations

import gc
import io
import json
import math
import mmap
import os
import random
import resource
import signal
import struct
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from etude.errors import UserError

SECONDS = 30.0  # of processor time, for one input
PATIENCE = (
    120.0  # seconds on the clock without a new input: it sleeps, or the machine is far too busy
)
MEMORY = 1 << 30  # bytes
LONGEST = 2_010  # characters of a sentence
Content = bytes
Change = Callable[[random.Random, Sequence[Content]], Content]


@dataclass(frozen=True)
class Format:
    """What is read, valid examples of it, and how it is read.

    Args:
        name: of the format.
        what: which files of this kind Etude reads.
        valid: contents of valid files; the reader takes each of them.
        read: the outermost function that reads it, given a content and an empty folder of its own.
        packed: from the content that is mutated to that of the file, which is mutated more rarely:
            gzip, checksums.
        change: how inputs are made; by default :func:`mutated`.
    """

    name: str
    what: str
    valid: Callable[[], Sequence[Content]]
    read: Callable[[Content, Path], object]
    packed: Callable[[random.Random, Content], Content] | None = None
    change: Change | None = None

    def input(self, number: int, valid: Sequence[Content]) -> Content:
        """Input ``number``, always the same."""
        chance = random.Random(f"{self.name} {number}")
        if self.packed is None:
            return (self.change or mutated)(chance, valid)
        inside = chance.random() < 0.7
        content = (self.change or mutated)(chance, valid) if inside else chance.choice(valid)
        content = self.packed(chance, content)
        return content if inside and chance.random() < 0.7 else mutated(chance, [content])


@dataclass
class Found:
    """What became of a format's inputs."""

    name: str
    inputs: int = 0
    read: int = 0
    refused: int = 0
    failed: list[tuple[int, str]] = field(
        default_factory=list
    )  # number of the input, and what happened
    longest: float = 0.0  # seconds of processor time
    memory: int = 0  # bytes more than at the beginning, at most
    seconds: float = 0.0

    @property
    def held(self) -> bool:
        return not self.failed and self.read + self.refused == self.inputs > 0


class Hung(BaseException):
    """An input took too long; no reader catches this."""


# -- making inputs ---------------------------------------------------------------------------------

HUGE = (
    0,
    1,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0xFFFF,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
    0x7FFFFFFFFFFFFFFF,
    1 << 31,
    1 << 40,
)
SCRAPS = (
    b"",
    b"\0",
    b"\xff" * 4,
    b"\n",
    b'"',
    b"'",
    b"../",
    b"/etc/passwd",
    b"1e999",
    b"-1",
    b"NaN",
    b"99999999999999999999",
    b"<!",
    b"&a;",
    b"[" * 2000,
    b"{",
    b"}",
    b"\r",
    b",",
    b" ",
    b"\xc3",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    b"%s%n",
    b"--",
)


def mutated(chance: random.Random, valid: Sequence[Content]) -> Content:
    """One of the valid contents with one to four changes."""
    content = bytearray(chance.choice(valid))
    for _ in range(min(4, 1 + int(chance.expovariate(1.0)))):
        at = chance.randint(0, len(content))
        if chance.random() < 0.4:  # headers matter
            at = min(int(chance.expovariate(1 / 30)), len(content))
        length = min(int(chance.expovariate(1 / 20)) + 1, len(content))
        match chance.randrange(9):
            case 0 | 1 if content:
                content[min(at, len(content) - 1)] ^= 1 << chance.randrange(8)
            case 2 if content:
                content[min(at, len(content) - 1)] = chance.choice(
                    (0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256))
                )
            case 3:
                del content[at:]
            case 4:
                del content[at : at + length]
            case 5:
                content[at:at] = content[at : at + length] * chance.choice((1, 1, 2, 50))
            case 6:
                other = chance.choice(valid)
                start = chance.randint(0, len(other))
                content[at : at + chance.choice((0, length))] = other[
                    start : start + length * chance.choice((1, 20))
                ]
            case 7:
                order, kind = chance.choice("<>"), chance.choice("HIQ")
                number = struct.pack(
                    order + kind, chance.choice(HUGE) & ((1 << 8 * struct.calcsize(kind)) - 1)
                )
                content[at : at + len(number)] = number
            case _:
                content[at:at] = chance.choice(SCRAPS)
    return bytes(content)


ODD: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1.5,
    1e308,
    float("inf"),
    float("nan"),
    10**25,
    10**350,
    "",
    "x",
    "\ud800",
    "\0",
    "é" * 300,
    "../../etc/passwd",
    [],
    {},
    [1],
    ["a", None],
    {"a": {"b": []}},
    [[[]]],
    "1",
    [{}],
    {"metric": []},
)


def json_changed(chance: random.Random, valid: Sequence[Content]) -> Content:
    """JSON, a value to a line, with values and names replaced; or its bytes changed as any
    others.
    """
    if chance.random() < 0.4:
        return mutated(chance, valid)
    lines = chance.choice(valid).splitlines(keepends=True)
    whole = not all(
        line.strip().startswith(b"{") and line.strip().endswith(b"}")
        for line in lines
        if line.strip()
    )
    pieces = [b"".join(lines)] if whole else lines
    at = chance.randrange(len(pieces))
    try:
        value = json.loads(pieces[at])
    except ValueError:
        return mutated(chance, valid)
    for _ in range(chance.randint(1, 3)):
        value = _odd(chance, value, chance.randint(1, 4))
    pieces[at] = json.dumps(value).encode() + b"\n"
    return b"".join(pieces)


def _odd(chance: random.Random, value: Any, depth: int) -> Any:
    if depth == 0 or not value or not isinstance(value, dict | list):
        return chance.choice(ODD)
    if isinstance(value, list):
        at = chance.randrange(len(value))
        return [_odd(chance, each, depth - 1) if k == at else each for k, each in enumerate(value)]
    name = chance.choice([*value])
    rest = dict(value)
    match chance.randrange(6):
        case 0:
            del rest[name]
        case 1:
            rest[chance.choice(("", "x", "step", "\ud800", name + "s", "__class__"))] = rest.pop(
                name
            )
        case _:
            rest[name] = _odd(chance, value[name], depth - 1)
    return rest


# -- reading them ----------------------------------------------------------------------------------


def fuzz(
    each: Format, inputs: int, place: Path, only: int | None = None, late: float = math.inf
) -> Found:
    """Read so many malformed inputs, in processes of their own; from a time of ``time.monotonic``
    on, a hundredth.
    """
    found = Found(each.name)
    valid = each.valid()
    began = time.monotonic()
    inputs = inputs if time.monotonic() < late else -(-inputs // 100)
    parts = [(0, inputs) if only is None else (only, only + 1)]
    found.inputs = parts[0][1] - parts[0][0]
    counter = mmap.mmap(-1, 8)  # shared with the child: which input it is at
    while parts:
        first, end = parts.pop()
        struct.pack_into("<q", counter, 0, first)
        told, tell = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(told)
            _child(each, valid, first, end, place, counter, tell)
        os.close(tell)
        answer, killed = _listen(told, child, counter)
        _, status = os.waitpid(child, 0)
        at: int = struct.unpack_from("<q", counter)[0]
        if answer:
            part = json.loads(answer)
            found.read += part["read"]
            found.refused += part["refused"]
            found.failed += [(number, what) for number, what in part["failed"]]
            found.longest, found.memory = (
                max(found.longest, part["longest"]),
                max(found.memory, part["memory"]),
            )
        else:  # what it had read before it died is read again
            found.failed.append(
                (at, "it hung" if killed else f"the process ended ({_ending(status)})")
            )
            parts += [part for part in ((first, at), (at + 1, end)) if part[0] < part[1]]
    found.seconds = time.monotonic() - began
    return found


def _ending(status: int) -> str:
    return (
        signal.Signals(os.WTERMSIG(status)).name
        if os.WIFSIGNALED(status)
        else f"code {os.waitstatus_to_exitcode(status)}"
    )


def _listen(told: int, child: int, counter: mmap.mmap) -> tuple[bytes, bool]:
    """All that the child says until it ends, and whether it had to be killed, for it made no
    headway.
    """
    import select

    pieces, last, since = [], -1, time.monotonic()
    while True:
        ready, _, _ = select.select([told], [], [], 1.0)
        if ready:
            if not (piece := os.read(told, 1 << 16)):
                break
            pieces.append(piece)
        at = struct.unpack_from("<q", counter)[0]
        if at != last:
            last, since = at, time.monotonic()
        elif time.monotonic() - since > PATIENCE:
            os.kill(child, signal.SIGKILL)
            os.close(told)
            return b"", True
    os.close(told)
    return b"".join(pieces), False


def _child(
    each: Format,
    valid: Sequence[Content],
    first: int,
    end: int,
    place: Path,
    counter: mmap.mmap,
    tell: int,
) -> None:
    code = 1
    try:
        warnings.simplefilter("ignore")
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        part = _read_all(each, valid, first, end, place, counter)
        with os.fdopen(tell, "wb") as out:
            out.write(json.dumps(part).encode())
        code = 0
    finally:
        os._exit(code)


def _read_all(
    each: Format, valid: Sequence[Content], first: int, end: int, place: Path, counter: mmap.mmap
) -> dict[str, Any]:
    folder = place / each.name.replace(" ", "-").replace("/", "-")
    folder.mkdir(parents=True, exist_ok=True)
    for content in valid:
        each.read(
            each.packed(random.Random(0), content) if each.packed else content, folder
        )  # what is right is read

    def late(number: int, frame: object) -> None:
        raise Hung

    signal.signal(signal.SIGPROF, late)
    gc.collect()
    limit = _memory("VmSize") + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    _reset_peak()
    before = _memory("VmRSS")
    part: dict[str, Any] = {"read": 0, "refused": 0, "failed": [], "longest": 0.0, "memory": 0}
    for number in range(first, end):
        struct.pack_into("<q", counter, 0, number)
        content = each.input(number, valid)
        began = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            each.read(content, folder)
            outcome = "read"
        except UserError as error:
            outcome = refused(error)
        except Hung:
            outcome = f"it took {SECONDS:g} s"
        except Exception as error:
            outcome = _where(error)
        signal.setitimer(signal.ITIMER_PROF, 0)
        part["longest"] = max(part["longest"], time.process_time() - began)
        if outcome in ("read", "refused"):
            part[outcome] += 1
        else:
            part["failed"].append((number, outcome))
    part["memory"] = max(0, _memory("VmHWM") - before)
    return part


def refused(error: UserError) -> str:
    """``refused`` if the sentence is one, and did not come too late; else what is wrong with it."""
    text = str(error)
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MemoryError):
            return f"out of memory: {text[:200]}"
        cause = cause.__cause__ or cause.__context__
    if not text.strip() or "\n" in text or len(text) > LONGEST:
        return f"no sentence: {text[:200]!r}"
    try:
        text.encode()
    except UnicodeEncodeError:
        return f"a sentence that cannot be printed: {text[:200]!r}"
    return "refused"


def _where(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "etude" in f.filename and "tests" not in f.filename] or frames
    last = own[-1]
    return f"{type(error).__name__}: {str(error)[:160]} ({Path(last.filename).name}:{last.lineno})"


def _memory(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return 0


def _reset_peak() -> None:
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # VmHWM begins anew


def in_memory(write: Callable[[io.BytesIO], object]) -> Content:
    """What ``write`` writes to a file."""
    out = io.BytesIO()
    write(out)
    return out.getvalue()
