"""Which process writes a run: known by machine and start, so that a number that has gone to another
process since is never taken for it.

Numbers of processes are given anew once a process has ended, and two machines, or two containers,
that share a folder each count their own.
"""

from __future__ import annotations

import os
import platform
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from etude.errors import UserError


def owner(pid: int) -> dict[str, Any]:
    """A process as ``.status.json`` names it: its number, where that counts, and when it began."""
    return {"pid": pid, "host": _host(), "born": born(pid)}


def born(pid: int) -> str | None:
    """When a process began, in the system's words; None where it has ended or nobody can say."""
    if platform.system() == "Linux":
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None
        return stat.rpartition(")")[2].split()[19]  # ticks since the machine was started
    try:
        told = subprocess.run(
            ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, timeout=5
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return told.stdout.strip() or None


def is_same(status: Mapping[str, Any], pid: int) -> bool:
    """Whether ``.status.json`` names this process of this machine."""
    here = owner(pid)
    return here["born"] is not None and all(status.get(key) == here[key] for key in here)


def ask_to_stop(status: Mapping[str, Any], name: str) -> None:
    """Send the process that writes run ``name`` what Ctrl-C would.

    Raises:
        UserError: it is not a process of this machine, or has ended; nothing was sent to any.
    """
    pid, host = status.get("pid"), status.get("host")
    if not isinstance(pid, int) or isinstance(pid, bool) or pid <= 1:
        raise UserError(f"run {name} does not say which process it is; stop it where it was begun")
    if host != _host():
        raise UserError(
            f"run {name} is a process of another machine or container ({host or 'unknown'}); stop"
            " it there"
        )
    gone = UserError(f"run {name} has just ended")
    held = _held(pid)  # from here on the number stays that of one process
    try:
        if not is_same(status, pid):
            raise gone
        if held is None:
            os.kill(pid, signal.SIGINT)
        else:
            signal.pidfd_send_signal(held, signal.SIGINT)
    except ProcessLookupError:
        raise gone from None
    except PermissionError:
        raise UserError(f"run {name} is a process of another user; only they can stop it") from None
    finally:
        if held is not None:
            os.close(held)


def ending_signals() -> list[int]:
    """The signals that end a program: SIGTERM, and that of the terminal's end, unless this process
    is to outlive its terminal, as nohup asks.
    """
    numbers = [signal.SIGTERM]
    hangup = getattr(signal, "SIGHUP", None)  # not every system has one
    if hangup is not None and signal.getsignal(hangup) is not signal.SIG_IGN:
        numbers.append(hangup)
    return [*numbers]


def _held(pid: int) -> int | None:
    """A handle of a process, where the system has such; it never becomes that of another."""
    if sys.platform != "linux" or not hasattr(os, "pidfd_open"):
        return None
    try:
        return os.pidfd_open(pid)
    except OSError:  # it has ended, or the system is older
        return None


def _host() -> str:
    """The machine, since when it has been running, and the container: within these a number is one
    process's.
    """
    words = [socket.gethostname()]
    if sys.platform == "linux":
        try:
            words.append(Path("/proc/sys/kernel/random/boot_id").read_text("utf-8").strip())
            words.append(str(Path("/proc/self/ns/pid").readlink()))
        except OSError:
            pass
    return " ".join(words)
