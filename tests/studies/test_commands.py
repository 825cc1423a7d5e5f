"""What lessons and documents tell one to type: each command is one, and each exercise runs."""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from etude.catalogue import Catalogue
from etude.cli import VERBS
from etude.cli.run import parse
from etude.entry import Entry
from etude.errors import UserError
from etude.study import execute

from .catalogue import FEWER, shortened

ROOT = Path(__file__).parents[2]
ENTRIES = Catalogue().all()
SPAN = re.compile(r"`(etude [^`]+)`")
LINE = re.compile(r"^\$ (etude .*?)(?: +#.*)?$", re.MULTILINE)
ANY = {"STUDY", "NAME", "VERB", "COURSE", "DIR", "…"}  # stands for what the reader chooses


def commands(path: Path) -> list[str]:
    text = re.sub(r"\s*\n\s*", " ", path.read_text(encoding="utf-8").replace("\n\n", "\0"))
    console = LINE.findall(path.read_text(encoding="utf-8"))
    return list(dict.fromkeys([*SPAN.findall(text.replace("\0", "\n\n")), *console]))


def exercises() -> Iterator[tuple[Entry, str]]:
    for entry in ENTRIES:
        text = entry.path.with_name("README.md").read_text(encoding="utf-8")
        _, _, part = text.partition("\n## Exercises\n")
        part = re.sub(r"\s*\n\s*", " ", part.partition("\n## ")[0])
        for command in dict.fromkeys(SPAN.findall(part)):
            words = command.split()
            if words[1] == "run" and words[2] == entry.name and len(words) > 3:
                yield entry, command


DOCUMENTS = sorted(
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]
    + [entry.path.with_name("README.md") for entry in ENTRIES]
)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_what_one_is_told_to_type_is_a_command(path: Path) -> None:
    names = {entry.name for entry in ENTRIES}
    for command in commands(path):
        words = shlex.split(command)[1:]
        if not words or words[0] in (*ANY, "--version", "--help", "VERB"):
            continue
        verb, *rest = words
        assert verb in VERBS or verb == "help", command
        if verb in ("run", "show", "graph", "path") and rest and rest[0] in names:
            assert verb != "run" or parsed(rest), command
        elif verb in ("check", "sweep", "reproduce") and rest and rest[0].isalpha():
            assert rest[0] in names | ANY, command


def parsed(words: list[str]) -> Any:
    """A study with what was typed; its own checks raise where a value is none."""
    if (ANY | {"--help"}) & set(words):
        return True
    entry = Catalogue()[words[0]]
    options, changes = parse(entry, words[1:])
    return entry.load().at(options.scale, **changes)


def test_a_wrong_command_is_found() -> None:
    with pytest.raises(UserError):
        parsed(["spirals", "--wdith", "3"])
    with pytest.raises(UserError):
        parsed(["spirals", "--width", "-3"])


def test_exercises_are_found() -> None:
    found = list(exercises())
    assert len({entry.name for entry, _ in found}) > 30
    assert len(found) > 80


@pytest.mark.claims
@pytest.mark.parametrize(
    ("entry", "command"), list(exercises()), ids=[command[10:] for _, command in exercises()]
)
def test_an_exercise_runs(
    entry: Entry, command: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    options, changes = parse(entry, shlex.split(command)[3:])
    if options.scale != "quick":
        pytest.skip("its data set is not part of the installation")
    shortened(2, monkeypatch)
    study = entry.load().at("quick", **changes)
    fewer = {name: few for name, few in FEWER.items() if getattr(study, name, few) > few}
    study = dataclasses.replace(study, **fewer)
    run = execute(
        study, root=tmp_path, precision="fp32", quiet=True, seed=options.seed, folds=options.folds
    )
    assert run.folder.result_json.is_file()
