from __future__ import annotations

import json
import math
import re
import shutil
import statistics
import subprocess
from pathlib import Path
from typing import Any

import pytest

import tiny
from etude.catalogue import Catalogue
from etude.cli import main
from etude.errors import UserError
from etude.results.latex import Latex, from_markdown, latex
from etude.results.reproduce import Reproduction, reproduce
from etude.runs.folder import RunFolder

SPECIAL = re.compile(r"(?<!\\)[&#%$]")


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Reproduction, list[RunFolder]]:
    """A report of three runs of a study whose words hold signs that LaTeX takes for its own."""
    place = tmp_path_factory.mktemp("reproduced")
    path = tiny.write(
        place,
        old_1="Nobody (2025). Tiny studies.",
        new_1="Nobody & Söhne (2025). *Tiny* #1: 100 % of $x_1^2$. JMLR."
        "\n\nSomeone_else (2024). See [the page](https://example.org/a_b).",
        old_2="# units of the first layer",
        new_2="# units of the 1st layer: 50 % of a_b & more, ≥ 1",
        old_3='source="nobody"',
        new_3='source="A & B_2"',
    )
    folders = [tiny.run(path, place / "runs", seed=seed).folder for seed in range(3)]
    entry = Catalogue()[str(path)]
    return reproduce(
        entry, seeds=3, reuse=True, root=place / "runs", say=lambda line: None
    ), folders


def values(folders: list[RunFolder], metric: str) -> list[float]:
    return [(folder.result() or {})["metrics"][metric] for folder in folders]


def test_both_reports_have_the_numbers_of_the_runs(
    done: tuple[Reproduction, list[RunFolder]],
) -> None:
    report, folders = done
    assert not report.checked.failed
    for text in (report.html.read_text(), report.tex.read_text()):
        for metric in ("test/accuracy", "test/loss", "train/seen"):
            measured = values(folders, metric)
            half = (
                4.302653 * statistics.stdev(measured) / math.sqrt(3)
            )  # t of 0.975 with two degrees of freedom
            sign = "±" if "<html" in text else r"\ensuremath{\pm}"
            assert f"{statistics.fmean(measured):.4g} {sign} {half:.2g}" in text
            for value in measured:
                assert f"{value:.6g}" in text
        for word in (
            "The sign of a sum",
            "etude reproduce",
            "seed 2",
            "torch version",
            "units of the 1st layer",
            "MB",
        ):
            assert word in text
        for folder in folders:
            name = folder.path.name
            assert (name if "<html" in text else name.replace("_", r"\_")) in text


def test_the_page_asks_the_network_for_nothing(done: tuple[Reproduction, list[RunFolder]]) -> None:
    page = done[0].html.read_text()
    assert re.findall(r'(?:src|srcset|data)="(?!data:image/)[^"]*"', page) == []
    assert "<script" not in page
    assert "<link" not in page
    assert "url(" not in page
    assert "@import" not in page
    assert page.count('src="data:image/') == 2  # curves and the one figure
    assert "A &amp; B_2" in page
    assert "<em>Tiny</em>" in page


def test_latex_is_balanced_and_escaped(done: tuple[Reproduction, list[RunFolder]]) -> None:
    report, _ = done
    text = report.tex.read_text()
    assert text.isascii()
    open_: list[str] = []
    for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", text):
        if kind == "begin":
            open_.append(name)
        else:
            assert open_.pop() == name
    assert open_ == []
    assert text.count("{") - text.count(r"\{") == text.count("}") - text.count(r"\}")
    assert r"50 \% of a\_b \& more" in text
    assert r"A \& B\_2" in text
    assert (
        r"\bibitem{r1} Nobody \& S\"ohne (2025). \emph{Tiny} \#1: 100 \% of $x_1^2$. JMLR." in text
    )
    assert r"the page (\texttt{https://example.org/a\_b})" in text
    for line in text.splitlines():
        columns = line.endswith(r"\\")
        words = re.sub(r"\$[^$]*\$|&|%$" if columns else r"\$[^$]*\$|%$", "", line)
        assert not SPECIAL.search(words), line
    for file in re.findall(r"\\includegraphics\[[^\]]*\]\{([^}]+)\}", text):
        assert (report.tex.parent / file).stat().st_size > 500


def test_latex_compiles(done: tuple[Reproduction, list[RunFolder]], tmp_path: Path) -> None:
    if not shutil.which("pdflatex"):
        pytest.skip("pdflatex is not installed")
    shutil.copytree(done[0].tex.parent, tmp_path, dirs_exist_ok=True)
    words = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "report.tex"]
    told = subprocess.run(
        words, cwd=tmp_path, capture_output=True, text=True, errors="replace", timeout=400
    )
    assert told.returncode == 0, told.stdout[-2000:]
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")


def test_texts_become_latex() -> None:
    assert latex("a_b 5% #1 & {x} $") == r"a\_b 5\% \#1 \& \{x\} \$"
    assert latex("≥ 1 ± 2 … σ").isascii()
    assert latex(Latex(r"\emph{a_b}")) == r"\emph{a_b}"
    assert (
        from_markdown("`a_b` **so** *it* $a_b$ 1 * 2 * 3")
        == r"\texttt{a\_b} \textbf{so} \emph{it} $a_b$ 1 * 2 * 3"
    )


def test_a_failed_run_is_told(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from etude.results import check as module
    from etude.results.check import Outcome

    run = RunFolder(next((place / "runs" / "tiny").glob("2*")))

    def outcome(self: object, entry: object, seed: int) -> Outcome:
        return (
            Outcome(seed, run, run.result()) if seed else Outcome(seed, failure="it broke at 50 %")
        )

    monkeypatch.setattr(module._Runners, "run", outcome)
    entry = Catalogue()[str(place / "tiny.py")]
    report = reproduce(
        entry, seeds=2, root=place / "runs", out=place / "there", say=lambda line: None
    )
    assert report.checked.failed
    assert report.html == place / "there" / "report.html"
    assert "it broke at 50 %" in report.html.read_text()
    assert r"it broke at 50 \%" in report.tex.read_text()
    assert "does not hold" in report.tex.read_text()
    with pytest.raises(
        UserError,
        match="no run of tiny ended well, and there is nothing to report: tiny seed 0: it",
    ):
        reproduce(entry, seeds=1, root=place / "runs", say=lambda line: None)


def test_the_verb(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from etude.results import check as module
    from etude.results.check import Outcome

    run = RunFolder(next((place / "runs" / "tiny").glob("2*")))
    monkeypatch.setattr(
        module._Runners, "run", lambda self, entry, seed: Outcome(seed, run, run.result())
    )
    assert main(["reproduce", "./tiny.py", "--seeds", "2"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[-1].endswith("tiny/reproductions/quick/report.tex")
    (line,) = [line for line in out if line.startswith("test/accuracy")]
    assert "≥ 0.6" in line
    assert line.endswith("✓")
    assert main(["reproduce", "./tiny.py", "--seeds", "2", "--json", "--out", "there"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert Path(found["html"]).is_file()
    for words, sentence in (
        (["./tiny.py", "--scale", "qick"], "has no scale 'qick'; did you mean 'quick'?"),
        (
            ["./tiny.py", "--scale", "full"],
            "study tiny claims nothing at scale full; there is nothing to reproduce",
        ),
        (["./tiny.py", "--seeds", "0"], "'0' is not a whole number of at least 1"),
        (["digitz"], "no study 'digitz'; did you mean 'digits'?"),
    ):
        assert main(["reproduce", *words]) == 2
        error = capsys.readouterr().err
        assert sentence in error
        assert len(error.splitlines()) == 1
