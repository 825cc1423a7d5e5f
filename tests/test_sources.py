"""Which files a study's numbers rest on."""

from __future__ import annotations

from pathlib import Path

import pytest

from etude.catalogue import Catalogue
from etude.sources import changed, closure, digests, kept, together


def test_a_study_rests_on_the_leaves_that_it_imports() -> None:
    names = set(closure(Catalogue()["spirals"].path))
    assert "etude/studies/foundations/spirals/spirals.py" in names
    assert {"etude/data/generated.py", "etude/networks/mlp.py"} <= names
    assert "etude/training/batches.py" in names
    rooms = {name.split("/")[1] for name in names}
    assert rooms <= {"studies", "training", "networks", "layers", "data", "autodiff"}
    assert not [name for name in names if name.split("/")[-1].startswith(("_figures", "_demo"))]
    assert "etude/networks/gpt.py" not in names


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "mine.py").write_text('"""Mine."""\nfrom ._data import x\nfrom ._figures import f\n')
    (folder / "_data.py").write_text("x = 1\n")
    (folder / "_figures.py").write_text("f = 1\n")
    (folder / "README.md").write_text("# Mine\n")
    return folder / "mine.py"


def test_a_users_folder_is_followed(study: Path) -> None:
    assert set(closure(study)) == {"mine.py", "_data.py"}
    assert set(kept(study)) == {"mine.py", "_data.py", "_figures.py", "README.md"}


def test_a_changed_leaf_is_named(study: Path) -> None:
    before = digests(study)
    study.with_name("_figures.py").write_text("f = 2\n")
    assert digests(study) == before  # a figure makes no number
    study.with_name("_data.py").write_text("# the same\nx = 1\n")
    assert digests(study) == before
    study.with_name("_data.py").write_text("x = 2\n")
    assert changed(before, digests(study)) == ["_data.py"]
    assert together(before) != together(digests(study))
    study.write_text("from ._other import y\n")
    study.with_name("_other.py").write_text("y = 1\n")
    assert changed(before, digests(study)) == ["_data.py", "_other.py", "mine.py"]


def test_a_circle_of_imports_ends(study: Path) -> None:
    study.with_name("_data.py").write_text("from .mine import z\nfrom . import _more\n")
    study.with_name("_more.py").write_text("from ._data import x\n")
    assert set(closure(study)) == {"mine.py", "_data.py", "_more.py"}


def test_a_single_file_may_import_what_lies_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "alone.py"
    path.write_text("import beside\nimport numpy\n")
    (tmp_path / "beside.py").write_text("")
    assert set(closure(path)) == {"alone.py", "beside.py"}
    assert set(kept(path)) == {"alone.py", "beside.py"}
