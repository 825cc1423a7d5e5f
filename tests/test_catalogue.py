"""The catalogue reads source and imports nothing."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Literal

import pytest

from etude.catalogue import Catalogue
from etude.entry import Field
from etude.errors import UserError
from etude.reading import _above_methods, read
from etude.study import Count, OptimizerName, Study

STUDY = '''"""{title}

References
----------
A (2020).
"""
raise RuntimeError("imported")  # a listing must never come here
@dataclass
class Other(Study):
    n: Count = 3  # how many
    kind: Literal["a", "b"] = "a"  # which
    claims = [Claim("x", at_least=0.5, seeds=2)]
    scales = {{"full": {{"n": 7}}}}
'''


def write(path: Path, text: str = STUDY, title: str = "Another.") -> Path:
    path.write_text(text.format(title=title) if text is STUDY else text, encoding="utf-8")
    return path


def test_a_study_is_read_without_being_imported(tmp_path: Path) -> None:
    entry = Catalogue()[str(write(tmp_path / "other.py"))]
    assert (entry.name, entry.title, entry.topic) == ("other", "Another", "yours")
    assert [(f.name, f.default, f.help) for f in entry.fields] == [
        ("n", 3, "how many"),
        ("kind", "a", "which"),
    ]
    assert entry.defaults("full") == {"n": 7, "kind": "a"}
    assert entry.claims[0].seeds == 2


@pytest.mark.parametrize("base", ["Study", "Study[GPT]", "etude.Study", "etude.Study[nn.Module]"])
def test_a_study_may_say_what_its_network_is(tmp_path: Path, base: str) -> None:
    path = write(tmp_path / "a.py", f"@dataclass\nclass A({base}):\n    n: Count = 3  # how many\n")
    assert Catalogue()[str(path)].class_name == "A"


def test_of_a_study_of_ours_with_a_network_only_what_stands_above_its_methods_is_parsed() -> None:
    head = "class A(Study[GPT]):\n    n: Count = 3\n\n"
    assert _above_methods(head + "    def __call__(self): ...\n") == head


def test_a_study_with_a_typed_network_checks_its_fields_like_any_other() -> None:
    from etude.networks.gpt import GPT

    @dataclasses.dataclass
    class Typed(Study[GPT]):
        n: Count = 3

    assert Typed(4).n == 4
    assert Typed.at(n=5).n == 5
    with pytest.raises(UserError, match="n is 0; expected a whole number of at least 1"):
        Typed(0)


def test_a_study_with_fields_that_is_no_dataclass_is_one_sentence() -> None:
    class Bare(Study):
        n: Count = 3

    for use in (Bare, Bare.at):
        with pytest.raises(UserError, match="class Bare states fields and is no dataclass"):
            use()


def test_another_package_adds_a_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "their_study.py", title="Theirs.")
    monkeypatch.syspath_prepend(str(tmp_path))
    about = tmp_path / "theirs-1.0.dist-info"  # as pip leaves it
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[etude.studies]\ntheirs = their_study\n")
    assert "theirs" in Catalogue().files
    assert Catalogue()["theirs"].title == "Theirs"
    assert "their_study" not in sys.modules


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "@dataclass\nclass A(Study):\n    x: int = f()\n",
            r"line 3: field x: f\(\) is no literal; expected a value that is written out",
        ),
        (
            "@dataclass\nclass A(Study):\n    x: Path = Path('a')\n",
            "line 3: field x: Path is no literal; use str",
        ),
        ("class A(Study):\n    x: int = 3\n", "line 1: class A states fields and is no dataclass"),
        ("class A(Study):\n    claims = [f()(1)]\n", "line 2: claims must be written out"),
        ("class A(Study):\n    claims = [3]\n", "line 2: claims must be literals; 3 is no Claim"),
        ("class A(Study):\n    scales = f()\n", "line 2: scales must be written out"),
        ("class A: pass\n", "holds 0 classes"),
        ("class A(Study): pass\nclass B(Study): pass\n", "holds 2 classes"),
        ("def (", "can't be read as Python"),
    ],
)
def test_what_is_wrong_with_a_file_is_one_sentence(tmp_path: Path, text: str, said: str) -> None:
    path = write(tmp_path / "wrong.py", text)
    with pytest.raises(UserError, match=said) as error:
        Catalogue()[str(path)]
    assert "wrong.py" in str(error.value)
    assert "\n" not in str(error.value)


def test_names_that_are_not_there() -> None:
    with pytest.raises(UserError, match="no study 'digit'; did you mean 'digits'"):
        Catalogue()["digit"]
    with pytest.raises(UserError, match="no study file at"):
        Catalogue()["./nowhere.py"]
    with pytest.raises(UserError, match="no scale 'ful'; did you mean 'full'"):
        Catalogue()["digits"].defaults("ful")


def test_a_type_that_no_field_has(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.py",
        "@dataclass\nclass A(Study):\n    x: __import__('os').system = 1  # run me\n",
    )
    with pytest.raises(UserError, match=r"a.py, line 3: field x has type .*; expected one of"):
        Catalogue()[str(path)]
    field = Field("x", "__import__('os').system", 1, "")
    with pytest.raises(UserError, match="expected one of"):
        field.type  # noqa: B018


EVERYTHING = "().__class__.__base__.__subclasses__()"


@pytest.mark.parametrize(
    "annotation",
    [
        f"[c for c in {EVERYTHING} if c.__name__ == '_wrap_close'][0] and int",
        f"tuple[{EVERYTHING}[0], ...]",
        f"Literal[{EVERYTHING}[0]]",
        "Literal['a'.upper()]",
        "Literal[[1]]",
        "(lambda: int)()",
        "Count.__origin__",
        "(x := int)",
        "int if Count else float",
        "Literal",
        "'__import__(\"os\")'",
        "int | open",
        "int[3]",
        "-Count",
    ],
)
def test_an_annotation_is_read_and_never_evaluated(
    annotation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builtins.eval", None)
    with pytest.raises(UserError, match="field x has type .*; expected one of"):
        Field("x", annotation, 1, "").type  # noqa: B018


@pytest.mark.parametrize(
    ("annotation", "kind"),
    [
        ("int", int),
        ("Count", Count),
        ("'Count'", Count),
        ("tuple[Count, ...]", tuple[Count, ...]),
        ("tuple[float, int]", tuple[float, int]),
        ("Literal['a', 'b']", Literal["a", "b"]),
        ("Literal[1, -1, None]", Literal[1, -1, None]),
        ("float | None", float | None),
        ("OptimizerName", OptimizerName),
    ],
)
def test_an_annotation_means_what_it_does_in_python(annotation: str, kind: object) -> None:
    assert Field("x", annotation, 1, "").type == kind


def test_a_study_is_parsed_with_no_option_at_all() -> None:
    from etude.cli.run import parse

    options, changes = parse(Catalogue()["spirals"], [])
    assert (options.scale, options.seed, changes) == ("quick", 0, {})
    options, changes = parse(
        Catalogue()["digits"], ["--scale", "full", "--seed=3", "--weight_decay", "0.5"]
    )
    assert (options.scale, options.seed, changes) == ("full", 3, {"weight_decay": 0.5})
    with pytest.raises(UserError, match="no scale ''"):
        parse(Catalogue()["digits"], ["--scale"])


@pytest.mark.parametrize("name", sorted(Catalogue().files))
def test_nothing_of_our_own_studies_stands_below_their_first_method(name: str) -> None:
    """Only what is above it is parsed for ``etude list``; a file named by its path is
    parsed whole.
    """
    quick = Catalogue()[name]
    whole = read(quick.path, None)
    assert quick == dataclasses.replace(whole, topic=quick.topic, module=quick.module)
