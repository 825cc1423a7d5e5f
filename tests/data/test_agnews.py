import csv

import pytest
import torch

from etude import data
from etude.data.agnews import clean
from etude.errors import UserError

TRAIN = (
    '"3","Oil, up","Prices ""rose""\\again."\n"1","Peace","A treaty was signed."\n"2","Goal","A'
    ' late goal."\n'
)
TEST = (
    '"4","Chips","A new chip was shown, faster than all before it, by a company that nobody'
    ' knew."\n'
)


@pytest.fixture
def folder(home):
    folder = home / "data" / "ag-news"
    folder.mkdir(parents=True)
    (folder / "test.csv").write_text(TEST)
    return folder


def test_the_official_layout(folder):
    (folder / "train.csv").write_text(TRAIN)
    news = data.ag_news()
    assert news.train.inputs == (
        'Oil, up Prices "rose" again.',
        "Peace A treaty was signed.",
        "Goal A late goal.",
    )
    assert news.train.labels.tolist() == [2, 0, 1]
    assert news.test.labels.tolist() == [3]
    assert news.classes == ("World", "Sports", "Business", "Sci/Tech")
    assert "official" in news.source


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("header", ["", "Class Index,Title,Description\n"])
def test_a_mark_a_header_blank_lines_and_line_ends_do_not_matter(folder, mark, end, header):
    text = f"{header}{TRAIN}\n\n".replace("\n", end)
    (folder / "train.csv").write_bytes(mark + text.encode())
    assert data.ag_news().train.labels.tolist() == [2, 0, 1]


def test_torchtexts_folder_is_found(folder):
    folder.rename(folder.with_name("AG_NEWS"))
    (folder.with_name("AG_NEWS") / "train.csv").write_text(TRAIN)
    assert "official" in data.ag_news().source


def test_the_subset_is_joined_without_what_is_double_or_in_the_test_set(folder):
    (folder / "train.first2000.csv").write_text(TRAIN)
    other_edition = TEST.split('"')[3] + " " + TEST.split('"')[5][:75].upper() + " (Reuters)"
    (folder / "subset5000.text-label.csv").write_text(
        f'PEACE a treaty was signed,0\n"{other_edition}",3\nNew text,2\n'
    )
    news = data.ag_news()
    assert news.train.inputs[3:] == ("New text",)
    assert news.train.labels.tolist() == [2, 0, 1, 2]
    assert "subset" in news.source
    assert "2 dropped" in news.source


def test_the_full_set_goes_before_the_subset(folder, home):
    (folder / "train.first2000.csv").write_text(TRAIN)
    (folder / "subset5000.text-label.csv").write_text("New text,2\n")
    (home / "cache" / "ag-news").mkdir(parents=True)
    (home / "cache" / "ag-news" / "train.csv").write_text(TRAIN * 2)
    assert "official" in data.ag_news().source


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('"5","a","b"', r"line 4: should be a class 1 to 4"),
        ('"1","a"', "line 4"),
        ('"1","a","b","c"', "line 4"),
        ("  ", "line 4"),
        ("Class Index,Title,Description", "line 4"),
        ('"1","a","b', "line 4: unexpected end"),
    ],
)
def test_a_wrong_row_is_named(folder, line, says):
    (folder / "train.csv").write_text(TRAIN + line + "\n")
    with pytest.raises(UserError, match=says) as error:
        data.ag_news()
    assert "train.csv" in str(error.value)


def test_files_that_are_empty_or_no_text(folder):
    (folder / "train.csv").write_bytes(b"")
    with pytest.raises(UserError, match="is empty"):
        data.ag_news()
    (folder / "train.csv").write_bytes(b'"1","\xff","b"\n')
    with pytest.raises(UserError, match="UTF-8"):
        data.ag_news()


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("Haiti #39;s  straits", "Haiti's straits"),
        ("the  #36;10 million", "the $10 million"),
        ("over \\$47 a\\barrel", "over $47 a barrel"),
        ("he said, quot;no quot; twice", 'he said, "no " twice'),
        ('Inc. &lt;A HREF="http://x.y/z"&gt;TXN.N&lt;/A&gt; said', "Inc. TXN.N said"),
        ("AT amp;T", "AT &T"),
        ("3 < 4; x #2", "3 < 4; x #2"),
    ],
)
def test_leftovers_of_html_go(text, cleaned):
    assert clean(text) == cleaned


def test_the_real_set(real):
    folder = real("ag-news")
    news = data.ag_news()
    assert len(news.test) == 7_600
    assert torch.bincount(news.test.labels).tolist() == [1_900] * 4
    letters = [
        {"".join(filter(str.isalnum, text.lower())) for text in part.inputs}
        for part in (news.train, news.test)
    ]
    assert letters[0].isdisjoint(letters[1])
    assert len(letters[0]) == len(news.train)
    assert next(state for state in data.verify("ag-news") if state.file == "test.csv").intact
    if not (folder / "train.csv").is_file():
        assert len(news.train) == 6_889


def test_the_overlaps_that_the_readme_names(real):
    from etude.data.agnews import _letters

    folder = real("ag-news")
    if not (folder / "subset5000.text-label.csv").is_file():
        pytest.skip("needs the subset")
    first, five, test = (
        [
            _letters(" ".join(row[1:] if len(row) == 3 else row[:1]))
            for row in csv.reader((folder / name).open())
        ]
        for name in ("train.first2000.csv", "subset5000.text-label.csv", "test.csv")
    )
    assert sum(text in set(first) for text in five) == 87
    assert sum(text in set(test) for text in five) == 1
