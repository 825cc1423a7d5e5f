"""What the README shows works as it stands there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from etude.catalogue import Catalogue, topics
from etude.cli import VERBS, main
from etude.results.documents import FEATURED, featured, overview

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_study_in_thirty_lines_reaches_its_claim(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    (tmp_path / "mine.py").write_text(code, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    (options,) = re.findall(r"run `etude run ./mine.py ([^`]*)`", README)
    assert main(["run", "./mine.py", *options.split(), "--quiet", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert [claim["holds"] for claim in result["claims"]] == [True, True]
    assert main(["show", "./mine.py"]) == 0
    assert "tanh units" in capsys.readouterr().out


def test_the_table_shows_eight_studies_of_every_topic() -> None:
    table = README.partition("<!-- results -->")[2].partition("<!-- /results -->")[0]
    names = re.findall(r"^\| `(\w+)` \|", table, flags=re.MULTILINE)
    assert sorted(names) == sorted(FEATURED)
    assert len(names) == 8
    files = Catalogue().files
    assert {files[name][0].parents[1].name for name in names} == set(topics())
    assert table.strip() == overview(featured(Catalogue().all()))
    assert "docs/results.md" in README


def test_every_command_that_is_shown_exists() -> None:
    shown = re.findall(r"^\$ etude (\w+) ?([\w./-]*)", README, flags=re.MULTILINE)
    assert len(shown) >= 9
    names = set(Catalogue().files)
    for verb, argument in shown:
        assert verb in VERBS
        if verb in ("run", "show", "check"):
            assert argument in names


def test_every_linked_file_is_there() -> None:
    for page in ROOT.glob("*.md"):
        for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (ROOT / target).exists(), f"{page.name} links to {target}"
