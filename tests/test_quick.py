"""What ``make quick`` chooses, and that the Makefile says what it can do."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests import quick, size

ROOT = Path(__file__).parents[1]


def test_a_touched_study_brings_its_tests_and_first_losses() -> None:
    chosen, studies = quick.choice(["src/etude/studies/agents/dqn/_replay.py", "README.md"])
    assert studies == ["dqn"]
    assert chosen == [*quick.ALWAYS, "tests/studies/test_dqn.py"]


def test_a_touched_leaf_brings_the_tests_beside_it() -> None:
    chosen, studies = quick.choice(["src/etude/cli/tables.py", "src/etude/catalogue.py"])
    assert studies == []
    assert "tests/cli/test_tables.py" in chosen
    assert chosen.count("tests/test_catalogue.py") == 1


def test_a_touched_test_is_run_unless_it_is_one_of_the_slow_ones() -> None:
    files = ["tests/data/test_idx.py", "tests/app/test_browser.py", "tests/data/test_gone.py"]
    chosen, _ = quick.choice(files)
    assert chosen == [*quick.ALWAYS, "tests/data/test_idx.py"]


def test_what_is_always_run_is_there() -> None:
    assert all((ROOT / file).is_file() for file in quick.ALWAYS)


def test_what_differs_is_asked_of_git() -> None:
    _, files = quick.touched()
    assert all(not file.startswith("/") for file in files)


def test_the_sizes_of_all_studies_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    size.main()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + len(size.ENTRIES)
    assert len({len(line.split()[0]) for line in lines}) > 1


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
def test_make_help_names_every_target() -> None:
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    for target in ("demo", "quick", "test", "lint", "size", "golden", "help"):
        assert f"\n  {target} " in f"\n{done.stdout}"
