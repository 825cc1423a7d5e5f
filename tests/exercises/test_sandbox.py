"""Sandboxes: what they allow, what they refuse, and that nothing is left of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import pytest

from etude.errors import UserError
from etude.exercises import tiers
from etude.exercises.mounts import importable, interpreter, unused_user
from etude.exercises.sandbox import Boxed, Limits, Sandbox, Tier
from etude.exercises.tiers import FORBIDDEN, Probe, choose
from tests.exercises.small import held, running

walls = pytest.mark.parametrize("tier", [Tier.A, Tier.B])
each_tier = pytest.mark.parametrize("tier", list(Tier))
WALL = 30.0  # seconds, on a machine that does other things, too


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def started(tmp_path: Path, code: str, tier: Tier, limits: Limits | None = None) -> Boxed:
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(code), encoding="utf-8")
    return Sandbox(tier, limits or Limits(wall=WALL)).start(program, "an argument")


def all_of(box: Boxed) -> bytes:
    """All that it writes until it ends."""
    found = b""
    while True:
        try:
            found += box.exchange(b"", 1)
        except EOFError:
            return found


@each_tier
def test_code_runs_with_numpy_and_nothing_else(tier: Tier, tmp_path: Path) -> None:
    held(tier)
    code = """
        import json, os, sys
        import numpy
        found = {"argv": sys.argv[1:], "sum": int(numpy.arange(4).sum())}
        for name in ("etude", "torch", "pytest", "msgspec"):
            try: __import__(name); found[name] = True
            except ImportError: found[name] = False
        print(json.dumps(found))
    """
    with started(tmp_path, code, tier) as box:
        said = all_of(box)
        assert box.ended(WALL) == 0, box.log
    nothing = dict.fromkeys(("etude", "torch", "pytest", "msgspec"), False)
    assert json.loads(said) == {"argv": ["an argument"], "sum": 6, **nothing}


@each_tier
def test_the_environment_of_the_grader_is_not_handed_on(
    tier: Tier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held(tier)
    monkeypatch.setenv("ETUDE_KEY", "a secret")
    monkeypatch.setenv("PYTHONSTARTUP", "x")
    with started(tmp_path, "import os, json; print(json.dumps(dict(os.environ)))", tier) as box:
        found = json.loads(all_of(box))
    assert not {"ETUDE_KEY", "PYTHONSTARTUP", "PATH"} & found.keys()


LIMITED = """
    import json, os, resource, threading
    found = {}
    def attempt(name, act):
        try:
            act()
            found[name] = True
        except (OSError, MemoryError, RuntimeError, ValueError):
            found[name] = False
    def write():
        with open("file", "wb") as file:
            file.write(bytes(3_000_000))
    def start(count):
        for _ in range(count):
            threading.Thread(target=threading.Event().wait, args=(20,), daemon=True).start()
    def opened(count):
        return [open("/dev/null") for _ in range(count)]
    attempt("some memory", lambda: bytearray(50_000_000))
    attempt("much memory", lambda: bytearray(900_000_000))
    attempt("few files", lambda: opened(10))
    attempt("many files", lambda: opened(100))
    attempt("a large file", write)
    attempt("few threads", lambda: start(3))
    attempt("many threads", lambda: start(100))
    attempt("more again", lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (5000, 5000)))
    print(json.dumps(found), flush=True)
    os._exit(0)
"""


@walls
def test_limits_hold_and_leave_room_below(tier: Tier, tmp_path: Path) -> None:
    held(tier)
    limits = Limits(wall=WALL, memory=500 << 20, file=2 << 20, files=40, processes=12)
    with started(tmp_path, LIMITED, tier, limits) as box:
        found = json.loads(all_of(box))
    assert {name for name, could in found.items() if could} == {
        "some memory",
        "few files",
        "few threads",
    }


def test_limits_of_tier_c_hold_too_but_for_root_on_processes(tmp_path: Path) -> None:
    limits = Limits(wall=WALL, memory=500 << 20, file=2 << 20, files=40, processes=12)
    with started(tmp_path, LIMITED, Tier.C, limits) as box:
        found = json.loads(all_of(box))
    could = {name for name, could in found.items() if could}
    expected = {"some memory", "few files", "few threads"}
    assert could - expected <= ({"many threads", "more again"} if os.geteuid() == 0 else set())
    assert could >= expected


def test_the_folder_of_tier_a_is_limited_as_a_whole(tmp_path: Path) -> None:
    held(Tier.A)
    code = """
        import os
        written = 0
        try:
            for n in range(100):
                with open(f"/tmp/{n}", "wb") as file:
                    written += file.write(bytes(1 << 20))
        except OSError: pass
        print(written >> 20)
    """
    with started(tmp_path, code, Tier.A, Limits(wall=WALL, folder=8 << 20)) as box:
        assert 6 <= int(all_of(box)) <= 8


@each_tier
def test_the_time_of_the_processor_is_limited(tier: Tier, tmp_path: Path) -> None:
    held(tier)
    code = "while True: pass"
    with started(tmp_path, code, tier, Limits(wall=60, cpu=1)) as box:
        with pytest.raises(EOFError):
            box.exchange(b"", 1)
        assert box.ended(5) in (-signal.SIGXCPU, -signal.SIGKILL)


@each_tier
def test_the_clock_is_the_graders(tier: Tier, tmp_path: Path) -> None:
    held(tier)
    code = """
        import signal, time
        for each in range(1, 32):
            try: signal.signal(each, signal.SIG_IGN)
            except OSError: pass
        while True: time.sleep(1000)
    """
    begun = time.monotonic()
    with started(tmp_path, code, tier, Limits(wall=2)) as box:
        with pytest.raises(TimeoutError):
            box.exchange(b"", 1)
        assert time.monotonic() - begun >= 2
    assert time.monotonic() - begun < 300


OUTLIVING = """
    import os, sys, time
    for _ in range(3):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                time.sleep(1000)
            os._exit(0)
    print("ready", flush=True)
    {then}
"""


@each_tier
@pytest.mark.parametrize("then", ["time.sleep(1000)", "sys.exit(3)", "os._exit(0)"])
def test_nothing_is_left_of_it(tier: Tier, then: str, tmp_path: Path, temporary: Path) -> None:
    held(tier)
    mark = 123_456_000 + list(Tier).index(tier) * 10 + len(then)
    limits = Limits(wall=WALL, log=mark)
    with started(tmp_path, textwrap.dedent(OUTLIVING).format(then=then), tier, limits) as box:
        assert box.exchange(b"", 6) == b"ready\n"
        assert running(f'"log": {mark}') or box.ended(5) is not None
    assert ended_soon(f'"log": {mark}')
    assert not list(temporary.iterdir())


def ended_soon(mark: str) -> bool:
    deadline = time.monotonic() + 10
    while running(mark) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not running(mark)


@each_tier
def test_it_ends_with_its_grader(tier: Tier, tmp_path: Path) -> None:
    """A grader that is killed leaves nothing that runs on."""
    held(tier)
    mark = 234_567_000 + list(Tier).index(tier)
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(OUTLIVING).format(then="time.sleep(1000)"), "utf-8")
    grader = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time, pathlib\n"
            "from etude.exercises.sandbox import Limits, Sandbox, Tier\n"
            f"limits = Limits(wall=60, log={mark})\n"
            f"box = Sandbox(Tier('{tier}'), limits).start(pathlib.Path(sys.argv[1]))\n"
            "print(box.exchange(b'', 6).decode(), flush=True)\n"
            "time.sleep(1000)\n",
            str(program),
        ],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(tmp_path)},
    )
    assert grader.stdout
    try:
        assert grader.stdout.readline() == b"ready\n"
        assert running(f'"log": {mark}')
    finally:
        grader.kill()
        grader.wait()
        grader.stdout.close()
    assert ended_soon(f'"log": {mark}')


@each_tier
def test_what_is_printed_is_kept_up_to_a_limit(tier: Tier, tmp_path: Path) -> None:
    held(tier)
    code = """
        import sys
        for _ in range(1000): print("x" * 1000, file=sys.stderr)
        print("end", flush=True)
    """
    with started(tmp_path, code, tier, Limits(wall=WALL, log=5_000)) as box:
        assert box.exchange(b"", 4) == b"end\n"
        assert len(box.log) == 5_000


def test_after_its_end_no_other_file_is_taken_for_its_pipes(tmp_path: Path) -> None:
    box = started(tmp_path, "print('x')", Tier.C)
    assert all_of(box) == b"x\n"
    box.end()
    pipes = [os.pipe() for _ in range(6)]  # they get the numbers that are free again
    try:
        for _, into in pipes:
            os.write(into, b"another's")
        assert {box._out, box._err} & {each for pair in pipes for each in pair}
        assert box.take_log() == ""
        with pytest.raises(EOFError):
            box.exchange(b"", 1)
        assert [os.read(out, 9) for out, _ in pipes] == [b"another's"] * 6
    finally:
        for pair in pipes:
            for each in pair:
                os.close(each)


@pytest.mark.parametrize("tier", list(Tier))
def test_a_package_that_is_not_there_leaves_nothing_open(tier: Tier, temporary: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(UserError, match="not installed"):
        Sandbox(tier, packages=("nowhere-to-be-found",)).start(temporary / "x.py")
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert not list(temporary.iterdir())


@walls
def test_no_file_gets_another_owner_length_time_or_right(tier: Tier, tmp_path: Path) -> None:
    held(tier)
    code = """
        import os
        for name, rest in (("chmod", [0]), ("chown", [1, 1]), ("utime", [(1, 1)]),
                           ("setxattr", [b"user.x", b"y"]), ("lchown", [1, 1]), ("truncate", [0])):
            try: getattr(os, name)("/nothing", *rest)
            except OSError as error: print(name, type(error).__name__)
    """
    with started(tmp_path, code, tier) as box:
        said = all_of(box).decode()
    refused = {line.split()[1] for line in said.splitlines()}
    assert (len(said.splitlines()), refused) == (6, {"PermissionError"}), said


@walls
def test_code_is_a_user_that_nobody_is(tier: Tier, tmp_path: Path) -> None:
    held(tier)
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    code = """
        import time
        print("ready", flush=True)
        time.sleep(60)
    """
    with started(tmp_path, code, tier, Limits(wall=WALL, log=345_678)) as box:
        assert box.exchange(b"", 6) == b"ready\n"
        users = set()
        for status in Path("/proc").glob("[0-9]*/status"):
            line = status.with_name("cmdline").read_bytes() if status.exists() else b""
            if b'"log": 345678' in line:
                text = status.read_text(encoding="utf-8")
                users.add(int(text.split("Uid:")[1].split()[0]))
        assert len(users) == 2, users  # bubblewrap's, or the guard's, and the code's
        assert max(users) > 1_000


def test_an_unused_user_is_none_of_the_machines() -> None:
    import pwd

    assert unused_user() not in {each.pw_uid for each in pwd.getpwall()}


# -- the choice of a tier --------------------------------------------------------------------------


def test_the_probe_finds_what_can_be_done(tmp_path: Path) -> None:
    """Where nothing is forbidden, the code of the probe says so."""
    import socket

    secret, program = tmp_path / "secret", tmp_path / "forbidden.py"
    secret.write_text("secret", encoding="utf-8")
    small = FORBIDDEN.replace("range(100)", "range(2)").replace("1 << 33", "1 << 20")
    program.write_text(small.replace("wait(5)", "wait(0.1)"), encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        said = subprocess.run(
            [sys.executable, str(program), str(secret), port, str(os.getpid())],
            capture_output=True,
            check=True,
        ).stdout
    assert len(json.loads(said.splitlines()[0])) == 7


def test_a_tier_is_never_exchanged_for_a_worse_one_in_silence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refused = {Tier.A: "there is no bubblewrap", Tier.B: "there is no Landlock"}
    monkeypatch.setattr(tiers, "probe", lambda tier: Probe(tier, refused.get(tier, "")))
    with pytest.raises(UserError, match=r"no bubblewrap.*no Landlock"):
        choose()
    with pytest.raises(UserError, match="no bubblewrap"):
        choose(Tier.A, unsafe=True)
    with pytest.raises(UserError, match="unsafe"):
        choose(Tier.C)
    found = choose(unsafe=True)
    assert (found.tier, dict(found.refused)) == (Tier.C, refused)
    del refused[Tier.B]
    found = choose()
    assert (found.tier, dict(found.refused)) == (Tier.B, {Tier.A: "there is no bubblewrap"})


def test_without_bubblewrap_tier_a_is_refused_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert "bubblewrap is not installed" in tiers.probe.__wrapped__(Tier.A).refused


def test_a_bubblewrap_that_is_refused_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho 'bwrap: No permissions to create a namespace' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setattr("shutil.which", lambda name: str(fake))
    assert "No permissions" in tiers.probe.__wrapped__(Tier.A).refused


def test_a_sandbox_without_walls_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bubblewrap that only starts what it is given, with no wall: each wall is missed."""
    plain = Sandbox(Tier.C)
    monkeypatch.setattr(tiers, "Sandbox", lambda tier, limits: replace(plain, limits=limits))
    found = tiers.probe.__wrapped__(Tier.A)
    assert "read a file of the grader's" in found.refused
    assert "reach a port" in found.refused


def test_what_is_importable_comes_with_what_it_needs() -> None:
    assert {"numpy"} <= importable(("numpy",)).keys()
    assert not {"etude", "pytest", "torch"} & importable(("numpy",)).keys()
    assert {"torch", "sympy", "typing_extensions.py"} <= importable(("torch",)).keys()
    with pytest.raises(UserError, match="not installed"):
        importable(("nowhere-to-be-found",))


def test_no_package_lies_in_what_is_shown_of_python() -> None:
    assert not {"site-packages", "dist-packages"} & {each.name for each in interpreter().parts}


@pytest.mark.parametrize("name", ["wall", "memory", "processes", "answer"])
def test_a_limit_of_nothing_is_refused(name: str) -> None:
    with pytest.raises(UserError, match=name):
        Limits(**{name: 0})
