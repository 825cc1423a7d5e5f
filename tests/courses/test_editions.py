"""Editions: days that move, decisions that are made, files that are wrong."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from icalendar import Calendar

from etude.courses.calendar import calendar
from etude.courses.edition import edition_of
from etude.courses.library import NAMES, course, find
from etude.courses.making import make
from etude.courses.reading import read
from etude.errors import UserError

OWN = """
id = "OWN"
title = "My course"
school = "Here"
term = "Now"
about = "It is mine."
[[schedule]]
title = "Begin"
dates = [2027-01-18]
studies = ["spirals"]
[[schedule]]
title = "Go on"
dates = [2027-01-20]
due = ["A1"]
[[assignments]]
id = "A1"
title = "First"
item = "work"
task = "Do it."
[[grade]]
id = "work"
title = "Work"
weight = 60
words = "Work 60"
[[grade]]
id = "exam"
title = "Exam"
weight = 40
words = "Exam 40"
"""


LATE = "[[late]]\nwords = 'x'\nkind = "
LETTERS_OF = "[[letters]]\nletter = 'A'\nwords = 'x'\nabove = "
LAST = "[[letters]]\nletter = 'F'\nwords = 'x'"


@given(st.dates(date(1990, 1, 1), date(2100, 1, 1)), st.sampled_from(["OU", "ITU", "CUHK"]))
def test_classes_keep_their_days_of_the_week(start: date, name: str) -> None:
    before, after = course(name), edition_of(course(name), start).course
    old = [day for row in before.schedule for day in row.dates]
    new = [day for row in after.schedule for day in row.dates]
    assert 0 <= (min(new) - start).days < 7
    assert [day.weekday() for day in new] == [day.weekday() for day in old]
    assert {b - a for a, b in zip(old, new, strict=True)} == {min(new) - min(old)}
    for a, b in zip(before.assignments, after.assignments, strict=True):
        assert (a.due is None) == (b.due is None)
        assert a.due is None or b.due is None or b.due - a.due == min(new) - min(old)


def test_a_course_that_counts_weeks_has_days_from_its_start() -> None:
    cu = edition_of(course("CU"), date(2027, 1, 19))
    assert [row.dates[0] for row in cu.course.schedule][:3] == [
        date(2027, 1, 19),
        date(2027, 1, 26),
        date(2027, 2, 2),
    ]
    assert all(each.due is None for each in cu.course.assignments)  # Oct 27 means nothing there
    assert "midterm-hour" in {each.id for each in cu.open}


@pytest.mark.parametrize("name", NAMES)
def test_a_new_edition_is_read_as_it_stands(name: str, tmp_path: Path) -> None:
    path = make(course(name), date(2027, 1, 18), tmp_path / "mine")
    edition = find(str(path.parent))
    assert edition.start == date(2027, 1, 18)
    assert not edition.made
    with pytest.raises(UserError, match="is there already"):
        make(course(name), date(2027, 1, 18), tmp_path / "mine")


def test_decisions_are_written_into_the_course(tmp_path: Path) -> None:
    path = make(course("OU"), date(2027, 1, 19), tmp_path)
    text = path.read_text()
    for before, after in (
        ('# zone = "Europe/Berlin"', 'zone = "America/Chicago"'),
        ("# homework = { H1 = 0, H2 = 0, H3 = 0 }", "homework = { H1 = 7.5, H2 = 7.5, H3 = 15 }"),
        ("video = 2027-05-10", "video = 2027-05-11T12:00:00"),
        ("# H1 = 2027-01-19", "H1 = 2027-02-08"),
        ("# 1 = 2027-01-19", "1 = 2027-01-20"),
    ):
        assert before in text
        text = text.replace(before, after)
    path.write_text(text)
    edition = find(str(tmp_path))
    parts = {item.id: item.weight for item in edition.course.items()}
    assert [parts["H1"], parts["H3"]] == [Decimal("7.5"), Decimal(15)]
    due = {each.id: edition.due(each) for each in edition.course.assignments}
    assert due["video"] == datetime(2027, 5, 11, 17, tzinfo=UTC)  # noon in Chicago, in summer
    assert due["H1"] == date(2027, 2, 8)
    assert edition.course.schedule[0].dates == (date(2027, 1, 20),)
    still = {each.id for each in edition.open}
    assert not still & {"zone", "homework", "video-hour", "H1-due"}
    assert "late-day" in still


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('[decisions]\nlate-dai = "begun"', "no decision 'late-dai'; did you mean 'late-day'?"),
        ('[decisions]\nlate-day = "often"', "expected one of begun, whole, exact"),
        ("[decisions]\nlate-day = 3", "expected one of its choices"),
        ('[decisions]\nzone = "Mars/Olympus"', "which is no time zone"),
        ("[decisions]\nhomework = { H1 = 30 }", "expected each of H1, H2, H3"),
        ("[decisions]\nhomework = { H1 = 1, H2 = 2, H3 = 3 }", "sums to 6; expected 30"),
        ("[decisions]\nhomework = { H1 = true, H2 = 2, H3 = 3 }", "expected a number"),
        ("[decisions]\nhomework = { H1 = -10, H2 = 20, H3 = 20 }", "expected one from 0 to 100"),
        ("[decisions]\nhomework = { H1 = nan, H2 = 10, H3 = 20 }", "expected a number up to"),
        ("[decisions]\nhomework = { H1 = 1e-300, H2 = 10, H3 = 20 }", "homework.H1 is 1e-300"),
        (
            f"[decisions]\nhomework = {{ H1 = 0x{'f' * 9000}, H2 = 1, H3 = 2 }}",
            "thousands of digits",
        ),
        (f"[decisions]\nlate-day = 0x{'f' * 9000}", "thousands of digits"),
        (f"{LATE}'percent'\nper_day = -5\ndays = 10", "per_day of a late rule is -5"),
        (f"{LATE}'percent'\nper_day = nan\ndays = 10", "per_day of a late rule is NaN"),
        (f"{LATE}'percent'\nper_day = 5\ndays = 10\ngrace = 99999999999999", "grace"),
        (f"{LATE}'cap'\nmost = inf\nof = ['H1']", "most of a late rule is Infinity"),
        (f"{LATE}'cap'\nmost = 101\nof = ['H1']", "expected one from 0 to 100"),
        ("[decisions]\nvideo-hour = 12:00:00", "is decided in [due], for video"),
        ("[due]\nH9 = 2027-02-01", "no assignment 'H9'"),
        ('[due]\nH1 = "soon"', "expected a day like 2027-02-01"),
        ("[due]\nH1 = 2027-02-01T12:00:00Z", "a time zone of its own"),
        ("[days]\n31 = 2027-02-01", "no class '31'; expected its number, from 1 to 30"),
        ("[days]\n1 = 2027-02-01T12:00:00", "expected a day"),
        ('colour = "red"', "unknown field `colour`"),
    ],
)
def test_what_an_edition_can_not_say(line: str, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "course.toml"
    lines = ['base = "OU"', "start = 2027-01-19"]
    path.write_text("\n".join([*lines, line] if "[" in line else [line, *lines]))
    with pytest.raises(UserError) as caught:
        find(str(path))
    assert sentence in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ("weight = 60", "weight = 50", "the weights of the grade sum to 90; expected 100"),
        ("weight = 60", "weight = -60", "expected one from 0 to 100"),
        ("weight = 60", 'weight = "much"', "grade 1, weight"),
        ("weight = 60", "weight = nan", "the weight of work is NaN; expected one from 0 to 100"),
        ("weight = 60", "weight = 60\nleast = 101", "the least of work is 101"),
        ("weight = 60", "weight = 60\nmost = -1", "the most of work is -1"),
        ("weight = 60", "weight = 59.9999999999999", "with at most 12 digits"),
        ("[[grade]]", f"{LETTERS_OF}nan\n{LAST}\n[[grade]]", "the bound of the letter A is NaN"),
        ("[[grade]]", f"{LETTERS_OF}-1\n{LAST}\n[[grade]]", "the bound of the letter A is -1"),
        ("weight = 60\n", "", "work has no weight"),
        ("[2027-01-20]", "[2027-01-10]", "expected the days in order"),
        ("[2027-01-20]", "[2027-01-20, 2027-01-19]", "are out of order"),
        ('due = ["A1"]', 'due = ["A2"]', "names assignment 'A2'; there is A1"),
        ('item = "work"', 'item = "wrok"', "did you mean 'work'?"),
        ('id = "exam"', 'id = "work"', "stands there 2 times"),
        ('title = "Begin"', 'titel = "Begin"', "unknown field `titel`"),
        ('id = "OWN"', 'id = "../../etc"', "id: "),
        ('id = "OWN"', "id = 'OWN", "is no TOML"),
    ],
)
def test_what_a_course_can_not_say(before: str, after: str, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(OWN)
    assert read(path, path.read_bytes()).id == "OWN"
    assert before in OWN
    path.write_text(OWN.replace(before, after, 1))
    with pytest.raises(UserError) as caught:
        read(path, path.read_bytes())
    assert sentence in str(caught.value)
    assert str(path) in str(caught.value)


def test_parts_of_a_grade_lie_in_others_as_deep_as_ten(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    for depth, fits in ((10, True), (11, False), (45, False)):
        text = OWN
        for n in range(1, depth):
            part = f"id = 'p{n}'\ntitle = 'x'\nwords = 'x'\nweight = 40\n"
            text += f"[[grade{'.parts' * n}]]\n{part}"
        path.write_text(text)
        if fits:
            assert len([*read(path, path.read_bytes()).items()]) == 11
        else:
            with pytest.raises(UserError, match="more than 10 deep"):
                read(path, path.read_bytes())


@pytest.mark.parametrize(
    ("letters", "sentence"),
    [
        ("{ A = nan, F = 0 }", "letters.A is nan; expected a number"),
        ("{ AA = 90, F = 0 }", "'AA' is no letter"),
        ('{ "A\\n" = 90, F = 0 }', "is no letter"),
        ("{ A = 2000, F = 0 }", "the bound of the letter A is 2000; expected one from 0 to 1000"),
    ],
)
def test_letters_that_are_decided_are_letters(letters: str, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "course.toml"
    path.write_text(f'base = "CU"\nstart = 2027-01-19\n[decisions]\nletters = {letters}\n')
    with pytest.raises(UserError) as caught:
        find(str(path))
    assert sentence in str(caught.value)


def test_what_is_no_file_of_a_course(tmp_path: Path) -> None:
    for content in (b"\x00\xff\xfe", b"x = " + b"[" * 100_000, b"#" * 1_000_001, b""):
        path = tmp_path / "course.toml"
        path.write_bytes(content)
        with pytest.raises(UserError):
            find(str(path))
    for name in ("nothing", str(tmp_path / "none.toml"), str(tmp_path / "none" / "x.toml"), ""):
        with pytest.raises(UserError):
            find(name)


def test_a_calendar_is_read_by_others() -> None:
    itu = edition_of(course("ITU"), date(2027, 3, 9), {"zone": "Asia/Karachi"})
    content = calendar(itu)
    assert content == calendar(itu)
    file = Calendar.from_ical(content)
    events = file.walk("VEVENT")
    assert len(events) == 23
    assert len({event["UID"] for event in events}) == 23
    cancelled = [event for event in events if event.get("STATUS") == "CANCELLED"]
    assert len(cancelled) == 3
    assert sum("Make-up" in str(event["SUMMARY"]) for event in events) == 1
    assert events[0].decoded("DTSTART") == date(2027, 3, 9)
    assert max(map(len, content.split(b"\r\n"))) <= 75


def test_a_deadline_has_its_hour_once_the_zone_is_decided() -> None:
    start = date(2023, 1, 4)
    for decisions, expected in (
        ({}, date(2023, 3, 19)),
        ({"zone": "Asia/Shanghai"}, datetime(2023, 3, 19, 15, 59, tzinfo=UTC)),
    ):
        file = Calendar.from_ical(calendar(edition_of(course("CUHK"), start, decisions)))
        (event,) = [e for e in file.walk("VEVENT") if str(e["SUMMARY"]).startswith("CUHK A1 due")]
        assert event.decoded("DTSTART") == expected
        assert ("DTEND" in event) == (not decisions)  # an instant has no end


def test_editions_of_a_course_stand_side_by_side_in_a_calendar() -> None:
    uids = [
        {
            str(event["UID"])
            for event in Calendar.from_ical(calendar(edition_of(course("CUHK"), start))).walk(
                "VEVENT"
            )
        }
        for start in (None, date(2023, 1, 4), date(2024, 1, 3))
    ]
    assert len(set.union(*uids)) == sum(map(len, uids))


def test_a_course_without_days_makes_no_calendar() -> None:
    with pytest.raises(UserError, match="no class of NCKU has a day"):
        calendar(edition_of(course("NCKU")))
    with pytest.raises(UserError, match="--start DATE"):
        calendar(edition_of(course("CU")))
    edition = edition_of(course("NCKU"), date(2027, 2, 22), days={"1": date(2027, 2, 23)})
    assert len(Calendar.from_ical(calendar(edition)).walk("VEVENT")) == 1
