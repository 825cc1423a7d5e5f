"""Tables on a narrow terminal: no line is wider than it, no word broken, no number wrapped."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

import tiny
from etude.catalogue import Catalogue, topics
from etude.claims import Claim
from etude.cli import check, data, graph, main, show, sweep
from etude.cli import list as listing
from etude.cli.tables import Column, no_break, print_table, table_lines
from etude.data.store import Status
from etude.results.check import Checked, Judged, Outcome

CLAIM = Claim("validation/accuracy of random features", at_least=0.123456, seeds=3)
NUMBERS = {"level": 1, "parameters": 1_234_567, "flops": 12_345_678_901}


def words(text: str) -> set[str]:
    """What a table may be parted into: at spaces, and behind a slash."""
    return {piece for word in text.split() for piece in re.findall(r"[^/]*/+|[^/]+", word)}


def printed(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, show: object
) -> str:
    monkeypatch.setenv("COLUMNS", str(width))
    capsys.readouterr()
    assert callable(show)
    show()
    return capsys.readouterr().out


def one_run(place: Path) -> None:
    main(["runs"])


def compared(place: Path) -> None:
    names = sorted(path.name for path in (place / "runs" / "tiny").iterdir())
    main(["compare", *names, "--figure", "x.svg"])


def checked(place: Path) -> None:
    spirals = Catalogue()["policygradient"]
    judged = [Judged(CLAIM.judge([0.98765, 0.91234, 0.9]), 2)] * 2
    outcome = Outcome(0, result={"seconds": 12.3})
    check.show([Checked(spirals, "quick", [outcome], judged), Checked(spirals, "full", [], [])])


def swept(place: Path) -> None:
    names = ["learning_rate", "weight_decay", "dropout", "momentum", "units"]
    fields = dict.fromkeys(names, 0.000123456)
    run = "policygradient/2026-11-29_21-46-18-abcd"
    trial = SimpleNamespace(
        number=12, fields=fields, value=0.987654, seconds=345.6, run=run, state="complete"
    )
    trial.failure = None
    plan = SimpleNamespace(
        axes=[SimpleNamespace(name=name) for name in names], metric="validation/accuracy"
    )
    swept = SimpleNamespace(
        plan=plan, best=[trial], trials=[trial], importances={}, folder="x", command=None
    )
    sweep.show(swept)


def graphed(place: Path) -> None:
    row = {**NUMBERS, "name": "blocks", "operation": "Conv2d 3×3, 64 → 128, stride 2"}
    row |= {"output": [128, 1024, 1024], "receptive_field": [1023, 1023]}
    graph.show({**NUMBERS, "rows": [row], "trained": 3, "idle": 3})


def verified(place: Path) -> None:
    states = [Status("mnist", "full", "train-images-idx3-ubyte.gz", place / "a", 123_456_789, True)]
    states += [Status("mnist", "full", "t10k-images-idx3-ubyte.gz", place / "b", 1, False)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "find", lambda name: name == "mnist")
        patch.setattr(data, "verify", lambda name: states)
        main(["data", "verify"])


def fields(place: Path) -> None:
    for entry in Catalogue().all():
        show.print_fields(entry)


TABLES = {
    "runs": one_run,
    "compare": compared,
    "check": checked,
    "sweep": swept,
    "graph": graphed,
    "verify": verified,
    "fields": fields,
    "list": lambda place: main(["list"]),
    "data": lambda place: main(["data"]),
    "show": lambda place: main(["show", "translation"]),
}


@pytest.mark.parametrize("width", [80, 60])
@pytest.mark.parametrize("verb", TABLES)
def test_no_line_is_too_wide_and_no_word_broken(
    verb: str,
    width: int,
    run: Path,
    place: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for number in range(7):
        shutil.copytree(run, run.with_name(f"2020-01-01_00-00-00-000{number}"))
        tiny.alter(run.with_name(f"2020-01-01_00-00-00-000{number}"), fields={"hidden": number})
    wide = printed(400, capsys, monkeypatch, lambda: TABLES[verb](place))
    narrow = printed(width, capsys, monkeypatch, lambda: TABLES[verb](place))
    table = [line for line in narrow.splitlines() if str(place) not in line or "─" in line]
    table = [line for line in table if not re.match("source: |curves: |.ETUDE_DATA|'etude", line)]
    assert table
    sentences = (" FLOPs forward", "FLOPs are counted")
    too_wide = [
        line for line in table if len(line) > width and not any(s in line for s in sentences)
    ]
    assert not too_wide
    known = words(wide)
    drawn = {word for word in words(narrow) if set(word) & {*"─│┃━╭╰┏┗┡├└╇┳"}}
    cut = {word for word in words(narrow) - known - drawn if "…" not in word}
    assert not cut
    if verb not in ("list", "fields", "show"):
        assert "…" not in narrow


@pytest.mark.parametrize("width", [80, 60])
def test_a_study_takes_two_lines_of_the_list_at_most(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = printed(width, capsys, monkeypatch, lambda: main(["list"])).splitlines()
    names = [entry.name for entry in Catalogue().all()]
    begins = [line.split(" ")[0] for line in lines]
    assert all(begins.count(name) == 1 for name in names)
    assert sum(line.startswith("───") for line in lines) == 1  # one table
    for title in topics().values():
        assert lines.count(title) == 1
    spaces = 2 * len(topics()) + 3
    assert len(lines) <= 2 * len(names) + spaces
    assert len(lines) < 80 + spaces


def test_a_list_of_one_topic_has_its_title(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--topic", "agents"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert topics()["agents"] in out
    assert sum(title in out for title in topics().values()) == 1
    assert listing.seconds(Catalogue()["dqn"], "no") == "–"


# -- what gives way --------------------------------------------------------------------------------

PLAIN = [Column("a"), Column("b", right=True)]


def test_text_wraps_at_words_and_numbers_stay_whole() -> None:
    columns = [Column("a", wrap=True), Column("n", right=True)]
    rows = [["one two three", no_break("12 s")]]
    assert [*table_lines(columns, rows, 12)] == [
        "a          n",
        "────────────",
        "one     12 s",
        "two",
        "three",
        "",
    ]


def test_a_path_is_parted_behind_slashes() -> None:
    lines = [*table_lines([Column("x", wrap=True)], [["/home/someone/data"]], 10)]
    assert lines[2:] == ["/home/", "someone/", "data", ""]


def test_the_least_important_column_is_left_out_first() -> None:
    columns = [Column("first"), Column("second", drop=1), Column("third", drop=2)]
    rows = [["aaaaa", "bbbbbb", "ccccc"]]
    assert next(table_lines(columns, rows, 20)) == "first  second  third"
    assert next(table_lines(columns, rows, 19)) == "first  second"
    assert next(table_lines(columns, rows, 12)) == "first"


def test_what_remains_goes_on_below_with_the_first_column() -> None:
    rows = [["x", "1111", "2222", "3333"]]
    columns = [Column("f"), *[Column(name, right=True) for name in "123"]]
    assert [*table_lines(columns, rows, 13)] == [
        "f     1     2",
        "─────────────",
        "x  1111  2222",
        "",
        "f     3",
        "───────",
        "x  3333",
        "",
    ]


def test_only_then_is_a_text_cut() -> None:
    assert [*table_lines(PLAIN, [["a" * 30, "12"]], 20)][2] == f"{'a' * 15}…  12"
    columns = [Column("a", wrap=True)]
    lines = [*table_lines(columns, [["one two three four five"]], 9, lines=2)]
    assert lines[2:] == ["one two", "three f…", ""] or lines[2:] == ["one two", "three fo…", ""]


def test_a_heading_within_and_bold_letters() -> None:
    rows = ["Part", ["x", "1"], "Other", ["y", "2"]]
    plain = [*table_lines(PLAIN, rows, 40)]
    assert plain[2:] == ["Part", "x  1", "", "Other", "y  2", ""]
    bold = [*table_lines([Column("a", accent=True), Column("b")], rows, 40, colour=True)]
    assert bold[3] == "\x1b[1mx\x1b[0m  1"
    assert [re.sub(r"\x1b\[\dm", "", line) for line in bold] == plain


def test_a_table_without_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    print_table(PLAIN, [["x" * 200, "1"]])
    assert max(map(len, capsys.readouterr().out.splitlines())) == 120


def test_wide_and_combining_letters_take_their_places() -> None:
    lines = [*table_lines(PLAIN, [["数字", "1"], ["x̄", "2"], ["abcd", "3"]], 40)]
    assert lines[2:5] == ["数字  1", "x̄     2", "abcd  3"]
