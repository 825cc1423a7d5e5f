"""What students have handed in: whose it is, what of it is read, and what is refused."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etude.errors import UserError
from etude.exercises import handed
from etude.exercises.graft import MOST_CODE, MOST_FILES, Invalid
from etude.exercises.handed import (
    HandIn,
    file_name,
    for_exercise,
    hand_ins,
    read_hand_in,
)

ROSTER = {
    "s1": "Ada Lovelace",
    "s12": "Zoë de Wit",
    "u-7": "Bob Ross",
    "u-8": "Bob Ross",
    "4711": "Hopper, Grace",
    "1815": "Charles Babbage",
    "2": "Two",
}


def students(folder: Path, roster: dict[str, str] | None = None) -> dict[str, list[str]]:
    return {each.student: each.names for each in hand_ins(folder, roster)}


def archive(**files: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        for name, text in files.items():
            made.writestr(name.replace("__", ".").replace("_of_", "/"), text)
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "student"),
    [
        ("s1.py", "s1"),
        ("s1", "s1"),
        ("s1.final.zip", "s1.final"),
        ("s1_assign_2.py", "s1"),
        ("s1_assignment-2_layers.ipynb", "s1"),
        ("a_b_assign_1.zip", "a_b"),
        ("lovelaceada_12345_67890_layers-1.py", "12345"),
        ("lovelaceada_LATE_12345_67890_layers.py", "12345"),
        ("Ada Lovelace_815_assignsubmission_file_", "Ada Lovelace_815"),
        ("Ada Lovelace_815_assignsubmission_file_layers.py", "Ada Lovelace_815"),
        ("assignment.py", "assignment"),
        ("Zoe\u0308.py", "Zoë"),
    ],
)
def test_a_name_says_whose_it_is(name: str, student: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("")
    assert students(tmp_path) == {student: [name]}


@pytest.mark.parametrize(
    ("name", "student"),
    [
        ("s1.py", "s1"),
        ("S1.py", "s1"),
        ("s12.zip", "s12"),
        ("s1_layers.py", "s1"),
        ("u-7-layers (2).py", "u-7"),
        ("layers_4711_x.py", "4711"),
        ("2_layers.py", "2"),
        ("lovelaceada_12345_67890_layers.py", "s1"),
        ("Ada Lovelace_815_assignsubmission_file_", "s1"),
        ("Ada Lovelace.py", "s1"),
        ("dewitzoe_12345_67890_a.py", "s12"),
        ("Grace Hopper_816_assignsubmission_file_a.py", "4711"),
    ],
)
def test_a_roster_says_whose_it_is(name: str, student: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("")
    assert students(tmp_path, ROSTER) == {student: [name]}


@pytest.mark.parametrize(
    "name",
    [
        "s2.py",
        "s13.py",
        "Bob Ross.py",
        "s1x.py",
        "layers_4711_1815.py",
        "layers_2.py",
        "x.py",
        "ada-lovelace.py",
    ],
)
def test_what_is_nobodys_is_told_before_anything_is_graded(name: str, tmp_path: Path) -> None:
    for each in (name, "s12.py"):
        (tmp_path / each).write_text("")
    with pytest.raises(UserError, match=f"has 1 that belong to nobody of the roster: {name};"):
        hand_ins(tmp_path, {**ROSTER, "ada": "Ada Yonath"})


def test_several_files_of_a_student_are_one_submission_and_clutter_is_none(tmp_path: Path) -> None:
    for name in ("s1_layers.py", "s1_sequences.py", "s12.py", ".DS_Store", "Thumbs.db"):
        (tmp_path / name).write_text("x = 1\n")
    (tmp_path / "__MACOSX").mkdir()
    assert students(tmp_path, ROSTER) == {
        "s1": ["s1_layers.py", "s1_sequences.py"],
        "s12": ["s12.py"],
    }


def test_a_folder_without_submissions_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(UserError, match="holds no submission|can't be read: No such file"):
            hand_ins(path)
    os.mkdir(os.fsencode(tmp_path) + b"/\xff")  # noqa: PTH102
    with pytest.raises(UserError, match="not UTF-8"):
        hand_ins(tmp_path)


# -- reading --------------------------------------------------------------------------------------


def test_what_is_read_has_a_digest_and_a_time(tmp_path: Path) -> None:
    one = tmp_path / "s1.py"
    one.write_bytes(b"x = 1\n")
    os.utime(one, (1_000_000_000, 1_000_000_000))
    content = read_hand_in(HandIn("s1", (one,)))
    assert content.files == {"s1.py": b"x = 1\n"}
    assert content.digest == hashlib.sha256(b"x = 1\n").hexdigest()
    assert content.modified == datetime.fromtimestamp(1_000_000_000, UTC)

    for odd in (-(10**9), 10**12):
        os.utime(one, (odd, odd))
        assert read_hand_in(HandIn("s1", (one,))).modified.year in (1970, 2446, 9999)

    folder = tmp_path / "s2"
    (folder / "inner" / ".git").mkdir(parents=True)
    (folder / "inner" / "a.py").write_text("y = 1\n")
    (folder / "inner" / ".git" / "b.py").write_text("")
    (folder / "report.pdf").write_text("words")
    (folder / "more.zip").write_bytes(archive(b__ipynb="{}", MACOSX_of_c__txt=""))
    content = read_hand_in(HandIn("s2", (folder,)))
    assert content.files == {"s2/inner/a.py": b"y = 1\n", "s2/more.zip/b.ipynb": b"{}"}
    before = content.digest
    for name in ("inner/a.py", "more.zip"):
        os.utime(folder / name, (1_000_000_000, 1_000_000_000))
    assert read_hand_in(HandIn("s2", (folder,))).modified.year == 2001  # not the folder's own
    (folder / "inner" / "a.py").rename(folder / "inner" / "b.py")
    assert read_hand_in(HandIn("s2", (folder,))).digest != before


def linked(place: Path) -> None:
    place.symlink_to("/etc/passwd")


def linked_within(place: Path) -> None:
    place.mkdir()
    (place / "a.py").write_text("x = 1\n")
    (place / "data").symlink_to("/etc")


def a_pipe(place: Path) -> None:
    place.mkdir()
    os.mkfifo(place / "a.py")


def nothing(place: Path) -> None:
    place.mkdir()
    (place / "report.pdf").write_text("words")


def many(place: Path) -> None:
    place.mkdir()
    for number in range(MOST_CODE + 1):
        (place / f"{number}.py").write_text("x = 1\n")


def deep(place: Path) -> None:
    place.joinpath(*"abcdefghij").mkdir(parents=True)


def crowded(place: Path) -> None:
    place.mkdir()
    for number in range(MOST_FILES):
        (place / f"{number}.txt").touch()


def large(place: Path) -> None:
    place.mkdir()
    with (place / "a.py").open("wb") as file:
        file.truncate(10**9)


def a_bad_archive(place: Path) -> None:
    place.mkdir()
    (place / "a.zip").write_bytes(b"PK\3\4")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (linked, "is a link"),
        (linked_within, "s1/data is a link"),
        (a_pipe, "neither a file nor a folder"),
        (nothing, "nothing to grade; expected a .py"),
        (many, f"more than {MOST_CODE} files"),
        (deep, "folders more than"),
        (crowded, f"more than {MOST_FILES:,} files"),
        (large, "more than 1,000,000 bytes"),
        (a_bad_archive, "the archive can't be read"),
        (lambda place: None, "can't be read: No such file"),
    ],
)
def test_what_can_not_be_graded_is_told(
    make: Callable[[Path], None], reason: str, tmp_path: Path
) -> None:
    make(tmp_path / "s1")
    content = read_hand_in(HandIn("s1", (tmp_path / "s1",)))
    assert isinstance(content.files, Invalid)
    assert reason in str(content.files)
    assert content.digest == read_hand_in(HandIn("s1", (tmp_path / "s1",))).digest


# -- which is which -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "only", "found"),
    [
        ("s1.py", True, "s1.py"),
        ("s1.py", False, "s1.py"),
        ("s1/a.py s1/layers.py", True, "s1/layers.py"),
        ("s1/a.py s1/Layers-2.ipynb", False, "s1/Layers-2.ipynb"),
        ("x_1_2_layers.py x_1_2_players.py", True, "x_1_2_layers.py"),
        (
            "s1/a.py s1/b.py",
            True,
            "2 files might be graded (s1/a.py, s1/b.py); expected one called",
        ),
        ("a/layers.py b/layers.py", True, "2 files might be graded (a/layers.py, b/layers.py)"),
        ("s1/a.py s1/b.py", False, "no file is for layers (s1/a.py, s1/b.py); expected one called"),
    ],
)
def test_the_file_of_an_exercise(names: str, only: bool, found: str) -> None:
    files = {name: name.encode() for name in names.split()}
    name, content = for_exercise(files, "layers", only=only)
    if isinstance(content, Invalid):
        assert str(content).startswith(found)
    else:
        assert (name, content) == (found, found.encode())


@given(st.text(min_size=1, max_size=300), st.text(min_size=1, max_size=300))
def test_two_students_have_no_file_in_common(one: str, two: str) -> None:
    if any("\ud800" <= sign <= "\udfff" for sign in one + two):
        return
    names = [file_name(one), file_name(two)]
    assert (names[0] == names[1]) == (one == two)
    assert all("/" not in n and not n.startswith(".") and len(n.encode()) <= 255 for n in names)


def test_the_limits_hold_each_other() -> None:
    assert handed.LONGEST_ID + len(".0123456789abcdef.json") < 255


def test_what_lies_beside_the_code_goes_with_it_where_it_is_asked_for(tmp_path: Path) -> None:
    folder = tmp_path / "s1"
    (folder / "plots").mkdir(parents=True)
    (folder / "a1.py").write_text("x = 1\n")
    for name in ("plots/fit.svg", "model.h5", ".hidden.svg", "other.bin"):
        (folder / name).write_bytes(name.encode())
    archive = tmp_path / "s2.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.write(folder / "a1.py", "work/a1.py")
        file.write(folder / "plots" / "fit.svg", "work/fit.svg")
        file.write(folder / "other.bin", "work/other.bin")
    one, other = HandIn("s1", (folder,)), HandIn("s2", (archive,))
    found = read_hand_in(one, parts=True)
    assert found.parts == {"fit.svg": b"plots/fit.svg", "model.h5": b"model.h5"}
    assert list(found.files) == ["s1/a1.py"]  # type: ignore[arg-type]
    assert read_hand_in(other, parts=True).parts == {"fit.svg": b"plots/fit.svg"}
    assert read_hand_in(one).parts == {}
    assert read_hand_in(one).digest != found.digest
