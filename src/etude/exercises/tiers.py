"""Which sandbox holds on this machine: each tier is tried before it is used."""

from __future__ import annotations

import json
import os
import socket
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from etude.errors import UserError
from etude.exercises.sandbox import Boxed, Limits, Sandbox, Tier


@dataclass(frozen=True)
class Probe:
    """What was found when a tier was tried.

    Attributes:
        tier: which.
        refused: why it can't be used; ``""`` where it can.
    """

    tier: Tier
    refused: str = ""


FORBIDDEN = """
import json, os, socket, sys, threading
path, port, parent = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
done = []
def attempt(words, act):
    try:
        act()
    except Exception:
        return
    done.append(words)
def connect():
    socket.create_connection(("127.0.0.1", port), 1).close()
def fork():
    for _ in range(100):
        if os.fork() == 0:
            threading.Event().wait(5)
            os._exit(0)
attempt("read a file of the grader's", lambda: open(path).read())
attempt("list the folder of a file of the grader's", lambda: os.listdir(os.path.dirname(path)))
attempt("write a file of the grader's", lambda: open(path, "a").close())
attempt("reach a port of this machine", connect)
attempt("see a process of the machine", lambda: os.kill(parent, 0))
attempt("take more memory than the limit", lambda: bytearray(1 << 33))
attempt("start a hundred processes", fork)
import numpy
print(json.dumps(done), flush=True)
"""


@cache
def probe(tier: Tier) -> Probe:
    """Try a tier: start code in it that does what is forbidden, and see whether it could.

    Of tier C only the limits are tried.
    """
    if sys.platform != "linux" and tier != Tier.C:
        return Probe(tier, f"it needs Linux, and this is {sys.platform}")
    with tempfile.TemporaryDirectory(prefix="etude-probe-") as folder:
        secret, program = Path(folder) / "secret", Path(folder) / "forbidden.py"
        secret.write_text("secret", encoding="utf-8")
        program.write_text(FORBIDDEN, encoding="utf-8")
        with socket.socket() as server:
            server.bind(("127.0.0.1", 0))
            server.listen()
            port = server.getsockname()[1]
            try:
                box = Sandbox(tier, Limits(wall=60, cpu=30)).start(
                    program, str(secret), str(port), str(os.getpid())
                )
            except UserError as error:
                return Probe(tier, str(error))
            with box:
                said = _line(box)
            code = box.end()
        if said is None:
            reason = " ".join(box.log.split())
            return Probe(tier, reason or f"its code ended with {code} and said nothing")
    if tier == Tier.C:
        said = [each for each in said if "memory" in each]
    return Probe(tier, f"code in it could {', '.join(said)}" if said else "")


def _line(box: Boxed) -> list[str] | None:
    """The list that code prints in one line; ``None`` where it says nothing."""
    found = b""
    try:
        while not found.endswith(b"\n") and len(found) < 10_000:
            found += box.exchange(b"", 1)
        return [str(each) for each in json.loads(found)]
    except (TimeoutError, EOFError, ValueError):
        return None


@dataclass(frozen=True)
class Choice:
    """The tier that is used, and why better ones are not."""

    tier: Tier
    refused: Mapping[Tier, str] = field(default_factory=dict)


def choose(wanted: Tier | None = None, *, unsafe: bool = False) -> Choice:
    """The best tier that holds on this machine.

    Args:
        wanted: this one and no other.
        unsafe: whether tier C may be used, which is no sandbox.

    Raises:
        UserError: there is none; with the reasons.
    """
    if wanted == Tier.C and not unsafe:
        raise UserError("tier C is no sandbox; it is used only where 'unsafe' is said")
    tiers = [wanted] if wanted else [Tier.A, Tier.B, *([Tier.C] if unsafe else [])]
    refused: dict[Tier, str] = {}
    for tier in tiers:
        found = probe(tier)
        if not found.refused:
            return Choice(tier, refused)
        refused[tier] = found.refused
    reasons = "; ".join(f"{tier} ({tier.words}): {reason}" for tier, reason in refused.items())
    raise UserError(f"there is no sandbox for students' code on this machine: {reasons}")
