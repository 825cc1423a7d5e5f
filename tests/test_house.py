"""The rules of the house: which room may import which, and how large a study may be."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from etude.catalogue import STUDIES

SOURCE = STUDIES.parent
BASE = {"errors", "claims", "demos"}
LEAVES = {"autodiff", "layers", "networks", "data", "figures", "training", "runs", "study"}
MAY_IMPORT = {
    "errors": set(),
    "claims": set(),
    "demos": {"errors"},
    "layers": BASE,
    "networks": BASE | {"layers"},
    "data": BASE,
    "figures": BASE,
    "autodiff": set(),
    "runs": BASE | {"figures"},
    "study": BASE | {"runs", "training"},
    "training": BASE | {"runs", "data", "figures"},
    "studies": BASE | LEAVES,
    "catalogue": BASE | {"study"},
    "session": BASE | {"study", "catalogue", "runs"},
    "results": BASE | {"study", "catalogue", "session", "runs", "figures", "training", "autodiff"},
    "courses": BASE | {"results", "catalogue", "study"},
    "cli": BASE | {"results", "catalogue", "session", "study", "runs", "data", "courses", "app"},
    "app": BASE | {"results", "catalogue", "session", "study", "runs", "data", "courses"},
}
FACE = {"__init__", "__main__"}  # the public face may name everything
FILES = sorted(SOURCE.rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """The modules of etude that a file imports: anywhere in it, also for types."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.startswith("etude")}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("etude"):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= names if node.module == "etude" else {node.module or ""}
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_room_imports_only_rooms_below_it(path: Path) -> None:
    here = room(path)
    if here in FACE:
        return
    assert here in MAY_IMPORT, f"{here} is a new room: say what it may import"
    for module in imported(path):
        there = module.split(".")[1] if "." in module else "the face"
        allowed = there in MAY_IMPORT[here] | {here}
        if here == "studies" and there == "studies":
            allowed = False  # a study imports no study
        assert allowed, (
            f"{path.relative_to(SOURCE)} imports {module}: {here} may not import {there}"
        )


def test_the_import_rule_can_fail(tmp_path: Path) -> None:
    file = tmp_path / "x.py"
    file.write_text(
        "from etude import data\nfrom etude.studies.vision.digits import digits\nimport etude.cli\n"
    )
    assert imported(file) == {"etude.data", "etude.studies.vision.digits", "etude.cli"}


def needed(path: Path) -> set[Path]:
    """The files that one has to read to know a study's network: its own imports from networks and
    layers, in turn.
    """
    files: set[Path] = set()
    for module in imported(path):
        if module.split(".")[1] in ("networks", "layers"):
            file = SOURCE.joinpath(*module.split(".")[1:]).with_suffix(".py")
            if file.is_file() and file not in files:
                files |= {file} | needed(file)
    return files


STUDY_FILES = [path for path in sorted(STUDIES.glob("*/*.py")) if path.stem != "__init__"]


@pytest.mark.parametrize("path", STUDY_FILES, ids=lambda path: path.stem)
def test_a_study_is_short_and_three_files_deep_at_most(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 250
    assert len(needed(path)) <= 2, (
        "a study is read in three files: itself and two from networks and layers"
    )


def test_the_rooms_that_answer_at_once_import_nothing_heavy() -> None:
    for name in (
        "catalogue.py",
        "study.py",
        "claims.py",
        "errors.py",
        "cli/list.py",
        "cli/show.py",
        "runs/folder.py",
    ):
        tree = ast.parse((SOURCE / name).read_text(encoding="utf-8"))
        top = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        modules = {a.name for n in top if isinstance(n, ast.Import) for a in n.names}
        modules |= {n.module or "" for n in top if isinstance(n, ast.ImportFrom)}
        heavy = {
            m
            for m in modules
            if m.split(".")[0] in ("torch", "numpy", "matplotlib", "sklearn", "rich")
        }
        assert not heavy, f"{name} imports {heavy}"
