"""Code that tries to deceive or to harm the grader scores nothing, and leaves nothing behind."""

from __future__ import annotations

import io
import json
import random
import socket
import stat
import sys
import tempfile
import textwrap
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from etude.exercises.grading import Exercise, Result, Verdict, grade
from etude.exercises.sandbox import Limits, Tier
from etude.exercises.tiers import Choice
from tests.exercises.small import (
    EXERCISE,
    REFERENCE,
    RIGHT,
    as_the_reference_has_it,
    handed_in,
    held,
    rows_sum_to_one,
    running,
    the_positive_part,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="tiers A and B need Linux")
SECRET = "the hidden tests"

# What the body of softmax is. PATH is a file of the grader's, PORT a server on this machine.
ATTACKS = {
    # -- to be believed
    "a patched assert_allclose": """
        np.testing.assert_allclose = lambda *a, **k: None
        np.testing.assert_array_equal = lambda *a, **k: None
        return x
    """,
    "patched NumPy": """
        np.allclose = np.isclose = np.array_equal = lambda *a, **k: True
        np.abs = np.max = lambda *a, **k: 0
        np.ndarray.sum = lambda *a, **k: np.ones(5)
        return x
    """,
    "patched torch": """
        import sys, types
        torch = types.ModuleType("torch")
        torch.allclose = torch.equal = lambda *a, **k: True
        torch.Tensor = type("Tensor", (), {})
        sys.modules["torch"] = torch
        return torch.Tensor()
    """,
    "an exit with success": "import os; os._exit(0)",
    "an exit that says that all is well": "import os; os._exit(98)",
    "sys.exit": "import sys; sys.exit(0)",
    "a skipped test": "import pytest; pytest.skip()",
    "a hard-coded answer": "return np.full(x.shape, 1 / x.shape[1])",
    "an object that equals all": """
        class Equal:
            def __eq__(self, other): return True
            def __array__(self, *a, **k): return np.ones((5, 3)) / 3
            def sum(self, *a): return 1
            shape, dtype = x.shape, x.dtype
        return Equal()
    """,
    "an array that equals all": """
        class Equal(np.ndarray):
            def __eq__(self, other): return True
            def __ne__(self, other): return False
            def __sub__(self, other): return 0
        return x.view(Equal)
    """,
    "a number that equals all": """
        class Equal(float):
            def __eq__(self, other): return True
        return Equal(1)
    """,
    "not a number": "return x * np.nan",
    "an input that is made easy": "x[:] = 0; return np.full(x.shape, 1 / x.shape[1])",
    "the caller's frames": """
        import inspect
        for frame in inspect.stack():
            for value in frame.frame.f_locals.values():
                if hasattr(value, "reference"):
                    return value.reference.call("softmax", x)
        return x
    """,
    "all objects of the process": """
        import gc
        for each in gc.get_objects():
            if type(each).__name__ in ("Check", "Local", "Reference"):
                return each.call("softmax", x)
        return x
    """,
    "Etude's own solution": "from etude.exercises import checks; return checks",
    "a worker that is changed": """
        import sys
        main = sys.modules["__main__"]
        main.message = lambda content, arrays: b'{"verdict": "pass"}' * 100
        return x
    """,
    # -- forged answers
    "a forged verdict": """
        import json, os, struct
        text = json.dumps({"ok": "yes", "verdict": "pass", "earned": 100}).encode()
        for pipe in range(3, 20):
            try: os.write(pipe, struct.pack(">QI", 4 + len(text), len(text)) + text)
            except OSError: pass
        return x
    """,
    "forged answers, many": """
        import json, os, struct
        text = json.dumps({"ok": "yes", "value": {"k": "bool", "v": True}}).encode()
        frame = struct.pack(">QI", 4 + len(text), len(text)) + text
        for pipe in range(3, 20):
            try: os.write(pipe, frame * 100)
            except OSError: pass
        return x
    """,
    "a frame without end": """
        import os, struct
        for pipe in range(3, 20):
            try: os.write(pipe, struct.pack(">QI", 2**63, 2**31))
            except OSError: pass
        return x
    """,
    "noise": """
        import os
        for pipe in range(3, 20):
            try: os.write(pipe, os.urandom(5000))
            except OSError: pass
        return x
    """,
    "an array larger than what is sent": """
        import json, os, struct
        head = b"{'descr': '<f8', 'fortran_order': False, 'shape': (9999999999999,), }".ljust(117)
        array = b"\\x93NUMPY\\x01\\x00" + struct.pack("<H", 118) + head + b"\\n"
        text = json.dumps({"ok": "yes", "value": {"k": "array", "n": len(array)}}).encode()
        frame = struct.pack(">QI", 4 + len(text) + len(array), len(text)) + text + array
        for pipe in range(3, 20):
            try: os.write(pipe, frame)
            except OSError: pass
        return x
    """,
    "a pickle": """
        class Evil:
            def __reduce__(self): return (eval, ("open(%r, 'w').write('harmed')" % PATH,))
        return np.array([[Evil()] * 3] * 5, dtype=object)
    """,
    "a forged pickle": """
        import io, json, os, struct
        class Evil:
            def __reduce__(self): return (eval, ("open(%r, 'w').write('harmed')" % PATH,))
        file = io.BytesIO()
        np.save(file, np.array([Evil()], dtype=object), allow_pickle=True)
        array = file.getvalue()
        text = json.dumps({"ok": "yes", "value": {"k": "array", "n": len(array)}}).encode()
        frame = struct.pack(">QI", 4 + len(text) + len(array), len(text)) + text + array
        for pipe in range(3, 20):
            try: os.write(pipe, frame)
            except OSError: pass
        return x
    """,
    "a giant answer": "return np.ones((5_000_000, 3))",
    "a giant list": "return [1.0] * 2_000_000",
    "a list in itself": "a = []; a.append(a); return a",
    "a list a thousand deep": """
        a = x
        for _ in range(1000): a = [a]
        return a
    """,
    "closed pipes": """
        import os
        os.closerange(0, 64)
        return x
    """,
    "an error that hides": """
        class Odd(Exception):
            def __str__(self): raise SystemExit
        raise Odd
    """,
    "signs for the terminal": "raise ValueError('\\x1b[2J\\x1b]0;pass\\x07 pass')",
    # -- to see
    "hidden tests by path": "return open(PATH).read()",
    "hidden tests by listing": """
        import os
        return [n for f in (os.path.dirname(PATH), "/work", "/home", "/etc") for n in os.listdir(f)]
    """,
    "hidden tests by /proc": """
        import os
        found = [open(f"/proc/{n}/cmdline").read() for n in os.listdir("/proc") if n.isdigit()]
        return open(f"/proc/{os.getppid()}/environ").read()
    """,
    "hidden tests by git": """
        import subprocess
        return subprocess.run(["git", "-C", PATH[:-7], "log", "-p"], check=True).stdout
    """,
    "a shell": "import os; assert os.system('cat ' + PATH) == 0; return x",
    "a link to the tests": """
        import os
        os.symlink(PATH, "link")
        return open("link").read()
    """,
    "the environment": "import os; return os.environ['ETUDE_SECRET']",
    "the network": """
        import socket
        return socket.create_connection(("127.0.0.1", PORT), 2).getsockname()
    """,
    # -- to harm
    "writing outside": "open(PATH, 'w').write('harmed'); return x",
    "changing Python": """
        import json
        open(json.__file__, "a").write("raise SystemExit")
        return x
    """,
    "filling the disk": """
        for n in range(1000):
            with open(f"f{n}", "wb") as file: file.write(bytes(10_000_000))
        return x
    """,
    "filling memory": "return np.ones(10**9).sum()",
    "filling memory slowly": """
        kept = []
        while True: kept.append(bytearray(10_000_000))
    """,
    "a fork bomb": """
        import os
        for _ in range(300):
            if os.fork() == 0:
                while True: pass
        return x
    """,
    "a process that outlives": """
        import os, time
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                while True: time.sleep(0.01)
            os._exit(0)
        return x
    """,
    "a thread that outlives": """
        import threading, time
        def for_ever():
            while True: time.sleep(0.01)
        threading.Thread(target=for_ever).start()
        return x
    """,
    "a thread that writes answers": """
        import os, threading
        def for_ever():
            while True: os.write(4, b"pass" * 100)
        threading.Thread(target=for_ever, daemon=True).start()
        return x
    """,
    "a loop without end": "while True: pass",
    "a loop that catches all": """
        while True:
            try:
                while True: pass
            except BaseException: pass
    """,
    "sleep": "import time; time.sleep(1000)",
    "a process that stops itself": "import os; os.kill(os.getpid(), 19); return x",
    "killing the parent": "import os; os.kill(os.getppid(), 9); return x",
    "killing all": "import os; os.kill(-1, 9); return x",
    "killing each": """
        import os
        for pid in range(1, 40000):
            try: os.kill(pid, 9)
            except OSError: pass
        return x
    """,
    "a broken process": "import ctypes; ctypes.string_at(0); return x",
    "recursion": "return softmax(x)",
    "wider limits": """
        import resource
        resource.setrlimit(resource.RLIMIT_AS, (1 << 50, 1 << 50))
        return x
    """,
    "a new namespace": """
        import ctypes
        libc = ctypes.CDLL(None)
        assert libc.unshare(0x10000000) == 0
        return x
    """,
    "a mount": """
        import ctypes
        libc = ctypes.CDLL(None)
        assert libc.mount(b"none", b"/tmp", b"tmpfs", 0, None) == 0
        return x
    """,
    "another process's memory": """
        import ctypes, os
        libc = ctypes.CDLL(None)
        assert libc.ptrace(16, os.getppid(), 0, 0) == 0
        return x
    """,
    "another user": "import os; os.setuid(0); return open(PATH).read()",
    # -- at another time
    "a time bomb": """
        global calls
        calls = globals().get("calls", 0) + 1
        powers = np.exp(x - x.max(1, keepdims=True))
        return powers / powers.sum(1, keepdims=True) if calls < 2 else x
    """,
    "a guess": "return np.eye(x.shape[1])[np.random.randint(0, x.shape[1], len(x))] * 1.01",
}
SLOW = {  # each takes the whole time that is allowed
    "a loop without end",
    "a loop that catches all",
    "sleep",
    "a process that stops itself",
    "a fork bomb",
}
BY_LANDLOCK = [  # in tier B too: what the walls are for
    "hidden tests by path",
    "hidden tests by listing",
    "hidden tests by /proc",
    "hidden tests by git",
    "a link to the tests",
    "the environment",
    "the network",
    "writing outside",
    "changing Python",
    "filling the disk",
    "filling memory",
    "a fork bomb",
    "a process that outlives",
    "killing the parent",
    "killing all",
    "sleep",
    "another user",
    "a new namespace",
    "a mount",
    "another process's memory",
]
CHECKS = (rows_sum_to_one, as_the_reference_has_it, the_positive_part)


class Place:
    """A grader's machine, and what has to be as it was."""

    def __init__(self, folder: Path, server: socket.socket) -> None:
        self.secret = folder / "hidden"
        self.secret.write_text(SECRET, encoding="utf-8")
        self.server = server
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        self.mark = random.randint(10**8, 10**9)
        limits = Limits(wall=4, memory=600 << 20, log=self.mark)
        self.exercise: Exercise = replace(EXERCISE, checks=CHECKS, limits=limits)

    def grade(self, content: bytes, tier: Tier, name: str = "solution.py") -> Result:
        return grade(self.exercise, name, content, key=b"a key", student="s", tier=Choice(tier))

    def attack(self, name: str) -> bytes:
        port = self.server.getsockname()[1]
        body = textwrap.indent(textwrap.dedent(ATTACKS[name]).strip(), "    ")
        body = body.replace("PATH", repr(str(self.secret))).replace("PORT", str(port))
        return handed_in(softmax=f"def softmax(x):\n{body}\n")

    def assert_unharmed(self) -> None:
        assert self.secret.read_text(encoding="utf-8") == SECRET
        assert not list(self.temporary.iterdir())
        self.server.settimeout(0)
        with pytest.raises(BlockingIOError):
            self.server.accept()
        deadline = time.monotonic() + 5  # of a process that was killed, the kernel takes leave
        while left := running(f'"log": {self.mark}'):
            assert time.monotonic() < deadline, left
            time.sleep(0.05)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setenv("ETUDE_SECRET", SECRET)
    with socket.create_server(("127.0.0.1", 0)) as server:
        found = Place(tmp_path, server)
        monkeypatch.setattr(tempfile, "tempdir", str(found.temporary))
        yield found


def judged(place: Place, name: str, tier: Tier) -> Result:
    held(tier)
    result = place.grade(place.attack(name), tier)
    verdicts = {each.check: each.verdict for each in result.outcomes}
    assert list(verdicts) == [check.id for check in CHECKS]
    assert result.scored, result.outcomes
    attacked = [each for each in result.outcomes if each.task == "softmax"]
    beside = [each for each in result.outcomes if each.task == "relu"]
    assert [each.earned for each in attacked] == [0, 0], verdicts
    assert [each.earned for each in beside] == [2], verdicts
    assert result.public.earned == 0
    assert result.hidden.earned == 2
    shown = result.encoded().decode()
    assert "\\u001b" not in shown
    assert SECRET not in shown
    place.assert_unharmed()
    return result


@pytest.mark.parametrize("name", [n for n in ATTACKS if n not in SLOW])
def test_an_attack_scores_nothing_and_leaves_nothing_behind(name: str, place: Place) -> None:
    judged(place, name, Tier.A)


@pytest.mark.parametrize("name", sorted(SLOW))
def test_an_attack_on_time_ends_in_time(name: str, place: Place) -> None:
    result = judged(place, name, Tier.A)
    assert result.seconds < 300


@pytest.mark.parametrize("name", BY_LANDLOCK)
def test_the_walls_of_tier_b_hold_as_well(name: str, place: Place) -> None:
    judged(place, name, Tier.B)


@pytest.mark.parametrize("tier", [Tier.A, Tier.B])
def test_a_right_solution_beside_them_scores_full(tier: Tier, place: Place) -> None:
    held(tier)
    result = place.grade(handed_in(), tier)
    assert [each.verdict for each in result.outcomes] == [Verdict.PASS] * 3
    assert (result.public.earned, result.hidden.earned) == (1, 4)
    place.assert_unharmed()


def test_a_right_solution_that_prints_without_end_loses_nothing(place: Place) -> None:
    held(Tier.A)
    noisy = RIGHT["softmax"].replace("    shifted", "    print('x' * 5_000_000)\n    shifted", 1)
    result = place.grade(handed_in(softmax=noisy), Tier.A)
    assert [each.verdict for each in result.outcomes] == [Verdict.PASS] * 3
    assert all(len(each.printed) <= 2_000 for each in result.outcomes)
    place.assert_unharmed()


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("an exit with success", Verdict.CRASHED),
        ("sys.exit", Verdict.ERROR),
        ("hidden tests by path", Verdict.ERROR),
        ("filling memory", Verdict.MEMORY),
        ("sleep", Verdict.TIMEOUT),
        ("another user", Verdict.FORBIDDEN),
        ("the network", Verdict.FORBIDDEN),
        ("changing Python", Verdict.FORBIDDEN),
        ("a time bomb", Verdict.FLAKY),
        ("a hard-coded answer", Verdict.FAIL),
    ],
)
def test_a_verdict_says_what_it_was(name: str, verdict: Verdict, place: Place) -> None:
    result = judged(place, name, Tier.A)
    assert verdict in [each.verdict for each in result.outcomes]


# -- files -----------------------------------------------------------------------------------------


def archive(*members: tuple[str, bytes, int]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content, mode in members:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            made.writestr(info, content)
    return file.getvalue()


PLAIN = stat.S_IFREG | 0o644
LINK = stat.S_IFLNK | 0o777


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.py", b"  \n"),
        ("binary.py", bytes(range(256)) * 10),
        ("zeros.py", b"x = 1\0"),
        ("other.py", "é".encode("latin-1")),
        ("large.py", b"#" * 1_000_001),
        ("words.py", b"The quick brown fox."),
        ("deep.py", b"(" * 5_000),
        ("deeper.py", b"x = " + b"-" * 200_000 + b"1"),
        ("sum.py", b"x = " + b"1+" * 100_000 + b"1"),
        ("long.py", b"x = " + b"1" * 5_000),
        ("model.h5", b"\x89HDF\r\n\x1a\n" + b"\x80\x04cos\nsystem\n"),
        ("model.pkl", b"cos\nsystem\n(S'true'\ntR."),
        ("broken.ipynb", b"{"),
        ("list.ipynb", b"[" * 100_000),
        ("nothing.ipynb", b'{"cells": []}'),
        ("link.zip", archive(("solution.py", b"/etc/passwd", LINK))),
        ("beside.zip", archive(("a.py", handed_in(), PLAIN), ("data", b"/etc", LINK))),
        ("outside.zip", archive(("../../../tmp/a.py", handed_in(), PLAIN))),
        ("absolute.zip", archive(("/tmp/a.py", handed_in(), PLAIN))),
        ("windows.zip", archive(("..\\a.py", handed_in(), PLAIN))),
        ("drive.zip", archive(("C:a.py", handed_in(), PLAIN))),
        ("two.zip", archive(("a.py", handed_in(), PLAIN), ("b.py", handed_in(), PLAIN))),
        ("none.zip", archive(("a.txt", handed_in(), PLAIN))),
        ("bomb.zip", archive(("a.py", b"#" * 50_000_000, PLAIN))),
        ("damaged.zip", archive(("a.py", handed_in(), PLAIN))[:-30]),
    ],
)
def test_what_is_no_solution_is_told_and_uses_no_attempt(
    name: str, content: bytes, place: Place
) -> None:
    result = place.grade(content, Tier.A, name)
    assert {each.verdict for each in result.outcomes} == {Verdict.INVALID_SUBMISSION}
    assert not result.attempt
    assert result.scored
    assert result.public.earned == result.hidden.earned == 0
    assert all(each.sentence for each in result.outcomes)
    place.assert_unharmed()


def notebook(*cells: str) -> bytes:
    made = [{"cell_type": "code", "source": each, "outputs": []} for each in cells]
    return json.dumps({"cells": made, "nbformat": 4, "metadata": {}}).encode()


WRONG = "def softmax(x):\n    return x\n"


@pytest.mark.parametrize(
    ("cells", "verdict"),
    [
        (["import numpy as np", RIGHT["softmax"], RIGHT["relu"]], Verdict.PASS),
        (["import numpy as np", WRONG, RIGHT["softmax"]], Verdict.PASS),
        (["import numpy as np", RIGHT["softmax"], WRONG], Verdict.FAIL),
        (["import numpy as np", RIGHT["relu"]], Verdict.NOT_ATTEMPTED),
        (["%matplotlib inline\nimport numpy as np", RIGHT["softmax"], "!rm -rf /"], Verdict.PASS),
        (["import numpy as np", RIGHT["softmax"], "this is a note"], Verdict.PASS),
        (["import numpy as np", RIGHT["softmax"], "raise SystemExit", "1 / 0"], Verdict.PASS),
        (["import nowhere", "import numpy as np", RIGHT["softmax"], "nowhere.x"], Verdict.PASS),
        (
            ["import numpy as np", RIGHT["softmax"], "def rows_sum_to_one(*a): return True"],
            Verdict.PASS,
        ),
    ],
)
def test_a_notebooks_cells_may_be_deleted_doubled_or_edited(
    cells: list[str], verdict: Verdict, place: Place
) -> None:
    held(Tier.A)
    result = place.grade(notebook(*cells), Tier.A, "solution.ipynb")
    assert {e.verdict for e in result.outcomes if e.task == "softmax"} == {verdict}
    place.assert_unharmed()


@pytest.mark.parametrize("name", ["hidden tests by path", "the network", "writing outside"])
def test_an_attack_works_where_there_is_no_sandbox(name: str, place: Place) -> None:
    """Else the tests above would hold whatever the walls were."""
    content = place.attack(name).replace(b"return open(", b"raise ValueError(open(")
    content = content.replace(b").read()", b").read())")
    result = place.grade(content, Tier.C)
    assert result.tier == "C"
    if name == "writing outside":
        assert place.secret.read_text(encoding="utf-8") == "harmed"
    elif name == "the network":
        place.server.settimeout(5)
        place.server.accept()[0].close()
    else:
        assert SECRET in result.outcomes[0].sentence


def test_no_attack_is_the_reference() -> None:
    assert not [name for name, body in ATTACKS.items() if body.strip() in REFERENCE]
    assert len(ATTACKS) >= 27
