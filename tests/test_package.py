"""What is installed holds all that lies in the source: a pattern takes every file along."""

from __future__ import annotations

import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

from etude.catalogue import Catalogue
from etude.entry import Entry

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "etude"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PATTERNS = PROJECT["tool"]["setuptools"]["package-data"]["etude"]


def packed(path: Path) -> bool:
    """Whether a pattern takes a file along, as setuptools reads them: ``**/`` is any folder."""
    name = path.relative_to(PACKAGE).as_posix()
    return any(fnmatch(name, pattern.removeprefix("**/")) for pattern in PATTERNS)


def test_every_file_beside_the_code_is_packed() -> None:
    others = [path for path in PACKAGE.rglob("*.*") if path.is_file()]
    others = [path for path in others if path.suffix not in (".py", ".pyc")]
    assert len(others) > 3 * len(Catalogue().files)
    assert [path for path in others if not packed(path)] == []


def test_a_file_of_no_pattern_is_found() -> None:
    assert not packed(PACKAGE / "studies" / "agents" / "dqn" / "weights.bin")


@pytest.mark.parametrize("entry", Catalogue().all(), ids=lambda entry: entry.name)
def test_a_study_brings_its_lesson_record_losses_and_cover(entry: Entry) -> None:
    for name in ("README.md", "record.json", "golden.json", "cover.webp"):
        assert entry.path.with_name(name).is_file()
        assert packed(entry.path.with_name(name))


def test_folders_of_studies_are_packed_without_an_init_of_their_own() -> None:
    """They are namespace packages, which setuptools finds unless it is told not to."""
    found = PROJECT["tool"]["setuptools"]["packages"]["find"]
    assert found["where"] == ["src"]
    assert found.get("namespaces", True)
    assert {*found} <= {"where", "namespaces"}  # nothing is included or excluded by name


def test_the_version_is_the_same_everywhere() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {PROJECT['project']['version']}\n" in citation
