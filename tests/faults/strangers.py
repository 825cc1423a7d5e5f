"""What a stranger's run folder has people read: a lesson, a report, words on a terminal.

Such a text is not refused. It is shown, and can do nothing: no script, no request, no form, no
escape sequence.
"""

from __future__ import annotations

import contextlib
import io
import json
import random
import re
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from etude.errors import UserError
from tests.faults.disks import Trial
from tests.faults.shown import INSIDE, OBEYED, equation, harm

WORDS = (
    "![](https://evil.example/x.png)",
    "![](//evil.example/x.svg)",
    "[a](javascript:1)",
    "[a](data:text/html,<script>1</script>)",
    "[a](vbscript:1 'onclick=1')",
    "<https://evil.example>",
    "<svg onload=1>",
    "[a]: javascript:1\n\n[a]",
    "a | b\n--:|:-:\n1 | <img src=x>",
    "```<script>\n1\n```",
    "# <iframe srcdoc=x>",
)
SIGNS = [*map(chr, range(32)), *map(chr, range(0x7F, 0xA0)), *"\u202a\u202e\u2066\u2028\u200f"]


def lessons(place: Path, tries: int) -> Trial:
    """Markdown with LaTeX, as it becomes a part of a report or a page."""
    from etude.runs.lesson import lesson_html

    trial = Trial("runs in a lesson", f"{tries:,} of LaTeX and Markdown with HTML inside")
    for number in range(tries):
        chance = random.Random(f"lesson {number}")
        pieces = [
            chance.choice(
                (f"${equation(chance)}$", f"$${equation(chance)}$$", *WORDS, chance.choice(INSIDE))
            )
            for _ in range(chance.randint(1, 4))
        ]
        trial.tried += 1
        lesson = chance.choice((" ", "\n\n")).join(pieces)
        if wrong := harm(lesson_html(lesson)):
            trial.failed.append(f"lesson {number}: {wrong}")
    return trial


def reports(place: Path, tries: int) -> Trial:
    """Reports of records whose every text is hostile; and reports and figures as they lie there."""
    from starlette.testclient import TestClient

    from etude.app.guard import Access
    from etude.app.server import application
    from etude.runs.folder import RunFolder
    from etude.runs.report import report

    trial = Trial("acts from a report", f"{tries:,} records of hostile texts, and their pages")
    root = place / "strangers"
    folder = RunFolder(root / "evil" / "2026-01-01_00-00-00-abcd")
    folder.figures.mkdir(parents=True)
    client = TestClient(application(root, Access("t")), base_url="http://127.0.0.1")
    client.cookies.set("etude-80", "t")
    for number in range(tries):
        chance = random.Random(f"report {number}")
        texts = [*INSIDE, *WORDS, *[f"${equation(chance)}$" for _ in range(5)]]
        _hostile_run(folder, partial(chance.choice, texts))
        trial.tried += 1
        page = report(folder)
        wrong = harm(page)
        policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
        if not policy or not policy[1].startswith("default-src 'none'; img-src data:"):
            wrong = wrong or "no policy of its own"
        content = f"<script>1</script><form method=post>{chance.choice(INSIDE)}</form>"
        folder.report_html.write_text(content, encoding="utf-8")
        (folder.figures / "a.svg").write_text(content, encoding="utf-8")
        for file in ("report", "figures/a.svg"):
            headers = client.get(f"/runs/{folder.name}/{file}").headers
            sandboxed = headers.get("content-security-policy", "").startswith("sandbox; default")
            if not sandboxed or headers.get("x-content-type-options") != "nosniff":
                wrong = wrong or f"{file} is served as the page's own"
        if wrong:
            trial.failed.append(f"report {number}: {wrong}")
        folder.report_html.unlink()
    return trial


def terminals(place: Path, tries: int) -> Trial:
    """Records whose texts hold control characters, as verbs print them."""
    from etude.cli import main
    from etude.runs.folder import RunFolder

    trial = Trial("reaches the terminal", f"{tries:,} records with control characters")
    root = place / "terminals"
    for number in range(tries):
        chance = random.Random(f"terminal {number}")
        folders = [RunFolder(root / "evil" / f"2026-01-0{k}_00-00-00\x1b[2J") for k in (1, 2)]
        for folder in folders:
            folder.path.mkdir(parents=True, exist_ok=True)
            texts = ["a" + "".join(chance.choices(SIGNS, k=4)) for _ in range(20)]
            _hostile_run(folder, partial(chance.choice, texts))
        paths = [str(folder.path) for folder in folders]
        trial.tried += 1
        for words in (["runs"], ["runs", "--json"], ["compare", *paths], ["resume", paths[0]]):
            with _said() as said, contextlib.suppress(UserError):
                main([*words, "--runs", str(root)])
            if found := OBEYED.findall(said.getvalue()):
                trial.failed.append(f"record {number}, etude {words[0]}: {found[0]!r}")
    return trial


def _hostile_run(folder: object, text: Callable[[], str]) -> None:
    from etude.runs.folder import RunFolder

    assert isinstance(folder, RunFolder)
    about = {
        **{key: text() for key in ("study", "title", "scale", "device", "started", "source")},
        "lesson": f"title\n{text()}\n\n{text()}",
        "seed": 0,
        "threads": 1,
        "fields": {"width": text()},
        "changed": {"width": text()},
        "versions": {text(): text()},
        "commit": text(),
        "machine": {key: text() for key in ("processor", "cores", "system")},
    }
    claim = {"claim": {"metric": text(), "source": text()}, "bound": text(), "mean": 1.0}
    result = {
        "metrics": {text(): 1.0},
        "held_out": {},
        "claims": [{**claim, "holds": True}],
        "notes": [text()],
        "seconds": 1.0,
        "peak_memory_bytes": None,
    }
    folder.study_json.write_text(json.dumps(about), encoding="utf-8")
    folder.result_json.write_text(json.dumps(result), encoding="utf-8")
    folder.metrics_jsonl.write_text(json.dumps({"step": 1, text(): 1.0}) + "\n", encoding="utf-8")
    folder.tables.mkdir(exist_ok=True)
    (folder.tables / "a.csv").write_text(f'"{text()}"\n'.replace('""', '"'), encoding="utf-8")


@contextlib.contextmanager
def _said() -> Iterator[io.StringIO]:
    said = io.StringIO()
    streams = contextlib.redirect_stdout(said), contextlib.redirect_stderr(said)
    with streams[0], streams[1], warnings.catch_warnings():
        warnings.simplefilter("ignore")  # signs that a figure's font does not have
        yield said


def attacks(place: Path, tries: int = 2_000) -> Iterator[Trial]:
    """All of them; of those that take longer, fewer."""
    for kind, share in ((lessons, 1), (reports, 10), (terminals, 20)):
        began = time.monotonic()
        trial = kind(place, max(1, tries // share))
        trial.seconds = time.monotonic() - began
        yield trial
