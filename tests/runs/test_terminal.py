"""Whoever watches a run may go away: the run does not."""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from etude.cli import complain, main
from etude.cli.tables import terminal_width
from etude.runs.owner import ending_signals
from etude.runs.progress import Progress
from etude.runs.run import Interrupted, Run
from runs.test_stage import train


class Gone(io.StringIO):
    """Standard error that fails after some lines, as a closed pipe or terminal does."""

    def __init__(self, error: Exception, lines: int, *, tty: bool) -> None:
        super().__init__()
        self.error, self.lines, self.tty = error, lines, tty

    def isatty(self) -> bool:
        return self.tty

    def write(self, text: str) -> int:
        self.lines -= 1
        if self.lines < 0:
            raise self.error
        return len(text)


ERRORS = [BrokenPipeError(errno.EPIPE, "gone"), OSError(errno.EIO, "gone"), ValueError("closed")]


@pytest.mark.parametrize("tty", [False, True])
@pytest.mark.parametrize("lines", [0, 1, 3])
@pytest.mark.parametrize("error", ERRORS, ids=["pipe", "terminal", "closed"])
def test_nobody_there_to_read_ends_no_loop(
    monkeypatch: pytest.MonkeyPatch, error: Exception, lines: int, tty: bool
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", Gone(error, lines, tty=tty))
    out = sys.stdout
    progress = Progress()
    for step in range(3):
        progress.say("a line")
        progress.start("a loop", 10)
        progress.update(step, last=True)
        progress.stop(10)
    assert progress.quiet
    assert sys.stdout is out, "what the bar had taken is given back"


def test_no_standard_error_at_all_ends_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    with Run("unit", root=tmp_path) as run:
        train(run, 3)
    assert run.folder.state == "finished"
    assert main(["nonsense"]) == 2
    assert capsys.readouterr().out == "", "nor is anything said where results are expected"


def test_a_sentence_that_nobody_reads_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Gone(BrokenPipeError(), 0, tty=False))
    complain("all is well")


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "utf-8"])
@pytest.mark.parametrize("words", [["list"], ["show", "spirals"], ["--help"]])
def test_any_encoding_will_do(
    monkeypatch: pytest.MonkeyPatch, encoding: str, words: list[str]
) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    assert main(words) == 0
    sys.stdout.flush()
    assert len(raw.getvalue().decode(encoding)) > 100
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(raw := io.BytesIO(), encoding=encoding))
    Progress().say("→ 0.9 ✓")
    assert b" 0.9 " in raw.getvalue()


@pytest.mark.parametrize(
    ("columns", "width"), [("", 120), ("abc", 120), ("0", 120), ("-5", 120), ("60", 60)]
)
def test_any_width_will_do(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    columns: str,
    width: int,
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("TERM", "xterm")
    assert terminal_width() == width
    assert main(["list"]) == 0
    assert "spirals" in capsys.readouterr().out
    monkeypatch.setattr(sys, "stderr", seen := Gone(ValueError(), 1_000, tty=True))
    progress = Progress()
    progress.start("a loop", 10)
    progress.update(3, last=True)
    progress.stop(10)
    assert not progress.quiet
    assert seen.lines < 1_000, "a bar was drawn"


@pytest.fixture
def in_a_terminal() -> Iterator[None]:
    """The tests may themselves run under nohup, which would have a run outlive its terminal."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("in_a_terminal")
def test_the_end_of_the_terminal_saves_the_run(tmp_path: Path) -> None:
    """Also where it is told twice, as it is."""
    with (
        pytest.raises(Interrupted) as stop,
        Run("unit", root=tmp_path, quiet=True) as run,
    ):
        for step in run.steps(range(9)):
            if step == 4:
                os.kill(os.getpid(), signal.SIGHUP)
                os.kill(os.getpid(), signal.SIGHUP)
    assert stop.value.message.startswith("stopped after step 5 of 9, all saved")
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL


def test_a_run_that_is_to_outlive_its_terminal_does(tmp_path: Path) -> None:
    """As nohup asks for."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Run("unit", root=tmp_path, quiet=True) as run:
            for _ in run.steps(range(3)):
                os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert run.folder.state == "finished"


def test_nothing_that_is_to_outlive_its_terminal_hears_of_its_end() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        assert ending_signals() == [signal.SIGTERM, signal.SIGHUP]
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        assert ending_signals() == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGHUP, before)


def forked(what: Callable[[], None]) -> int:
    """The end of a child that does it."""
    if (child := os.fork()) == 0:
        what()
        os._exit(7)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_forked_worker_leaves_stopping_to_its_parent(tmp_path: Path) -> None:
    def hit(*numbers: int) -> Callable[[], None]:
        return lambda: [os.kill(os.getpid(), number) for number in numbers] and None

    with Run("unit", root=tmp_path, quiet=True) as run:
        for _ in run.steps(range(1)):
            assert forked(hit(signal.SIGINT, signal.SIGINT, signal.SIGHUP)) == 7
            assert forked(hit(signal.SIGTERM)) == -signal.SIGTERM
    assert "stopping" not in run.folder.log_txt.read_text(encoding="utf-8")
