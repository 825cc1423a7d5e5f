"""A study of somebody's own: each thing works as in Python, or is one sentence with its line."""

from __future__ import annotations

import dataclasses
import re
import shlex
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import etude
from etude import importing, sources
from etude.app import forms
from etude.catalogue import Catalogue
from etude.cli import graph, run, sweep
from etude.entry import Entry
from etude.errors import UserError
from etude.reading import read
from etude.results.axes import parse_axis
from etude.results.trials import metrics_in
from etude.runs.record import command_of, option_of
from etude.study import OPTIONS, Count, Fraction, Study

HEAD = "from dataclasses import dataclass, field\nfrom typing import ClassVar, Literal\n"
HEAD += "from etude import Amount, Claim, Count, Study\n"


@pytest.fixture(autouse=True)
def path_and_modules(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(importing, "_beside", {})
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if not name.startswith(("etude.", "torch", "numpy")):
            del sys.modules[name]


def study(folder: Path, body: str, head: str = HEAD, name: str = "mine.py") -> Path:
    path = folder / name
    lines = textwrap.indent(textwrap.dedent(body).strip("\n"), "    ")
    path.write_text(f"{head}@dataclass\nclass Mine(Study):\n{lines}\n", encoding="utf-8")
    return path


def entry(folder: Path, body: str, head: str = HEAD) -> Entry:
    return read(study(folder, body, head), None)


def test_a_study_that_says_nothing_of_itself_is_called_by_its_name(tmp_path: Path) -> None:
    body = """
        rate: Amount = 0.5

        def __call__(self, run):
            run.result({"train/x": 1.0})
        """
    done = etude.run(str(study(tmp_path, body)), root=tmp_path / "runs", quiet=True)
    assert done.folder.study()["title"] == "mine"
    assert done.folder.study()["lesson"] == ""


# -- what works ------------------------------------------------------------------------------------


def test_a_field_may_be_written_as_python_allows(tmp_path: Path) -> None:
    """What the source says is what Python makes of it."""
    head = (
        "import dataclasses as dc, etude as tu, typing\nfrom etude import Count as C, Study as S\n"
    )
    head += "from dataclasses import dataclass as made, field\n"
    path = tmp_path / "mine.py"
    path.write_text(
        head
        + textwrap.dedent("""
        @made(kw_only=True)
        class Mine(S):
            a: C = 3  # how many
            b: tu.Amount = 1 / 255
            c: 'float' = -0.0
            d: float | None = None
            e: int = field(default=60 * 60)
            f: tuple[int, ...] = dc.field(default_factory=lambda: (1, 2))
            g: tuple[int, ...] = dc.field(default_factory=tuple)
            h: typing.Literal["x", "y"] | None = "x"
            lambda_: float = 2**-3  # the penalty's weight
            größe: int = 1
            i: int = 1
            i = 2
            j: int = 1
            j: int = 3
            kinds: typing.ClassVar[int] = 5
            claims: typing.ClassVar[list[tu.Claim]] = [tu.Claim("x", at_least=0.5)]
        """).replace("'float'", "float"),
        encoding="utf-8",
    )
    found = read(path, None)
    cls = found.load()
    assert {f.name: f.default for f in found.fields} == dataclasses.asdict(cls())
    assert [f.name for f in found.fields] == [f.name for f in dataclasses.fields(cls)]
    assert found.claims == tuple(cls.claims)
    assert found.fields[0].help == "how many"
    words = ["--d", "0.5", "--lambda", "0.2", "--größe=2", "--h", "None", "--f", "4", "5"]
    _, changes = run.parse(found, words)
    assert changes == {"d": 0.5, "lambda_": 0.2, "größe": 2, "h": None, "f": (4, 5)}
    assert dataclasses.asdict(cls.at(**changes))["lambda_"] == 0.2
    assert run.parse(found, ["--lambda_=0.2", "--d", "None"])[1] == {"lambda_": 0.2}
    with pytest.raises(UserError, match="--d can't be 'x'; expected a number, or None"):
        run.parse(found, ["--d", "x"])


def test_a_field_that_may_be_none_is_one_on_the_page_and_in_a_sweep_too(tmp_path: Path) -> None:
    found = entry(tmp_path, "clip: Amount | None = None\nkind: Literal['a'] | None = 'a'\n")
    clip, kind = forms.controls(found, "quick", {}, {})
    assert (clip.value, clip.kind, clip.numeric) == ("None", "text", True)
    assert clip.expected == "a number of at least 0, or None"
    assert kind.choices == ("a", "None")
    assert forms.read(found, "quick", {"clip": "0.5", "kind": "None"})[0] == {
        "clip": 0.5,
        "kind": None,
    }
    assert forms.read(found, "quick", {"clip": ""})[0] == {}
    assert forms.read(found, "quick", {"clip": "-1"})[2] == {
        "clip": "clip is -1.0; expected a number of at least 0, or None"
    }
    assert parse_axis(found, "clip=None,0.5").choices == (None, 0.5)
    assert parse_axis(found, "clip=0:1").high == 1


def test_an_option_is_called_as_help_says_everywhere(tmp_path: Path) -> None:
    found = entry(tmp_path, "lambda_: float = 0.5\n_p: int = 1\n")
    assert [option_of(f.name) for f in found.fields] == ["--lambda", "--p"]
    assert parse_axis(found, "lambda=0:1").name == "lambda_"
    assert parse_axis(found, "lambda_=0:1").name == "lambda_"
    assert run.parse(found, ["--p", "3"])[1] == {"_p": 3}
    with pytest.raises(UserError, match="no option '--lamda'; did you mean '--lambda'"):
        run.parse(found, ["--lamda", "3"])


def test_the_command_that_repeats_a_run_is_read_as_its_fields(tmp_path: Path) -> None:
    path = study(
        tmp_path,
        "flag: bool = True\nlambda_: float = 0.5\nclip: float | None = 1.0\n"
        "sizes: tuple[int, ...] = (1, 2)\ntext: str = 'a'\n",
        name="my own.py",
    )
    changed: dict[str, Any] = {"flag": False, "lambda_": -0.25, "clip": None, "sizes": [3, 4]}
    about = {"study": "my own", "source": str(path), "seed": 3, "scale": "quick", "folds": 2}
    words = shlex.split(command_of({**about, "changed": {**changed, "text": ""}}))
    assert words[:3] == ["etude", "run", str(path)]
    options, changes = run.parse(read(path, None), words[3:])
    assert changes == {**changed, "sizes": (3, 4), "text": ""}
    assert (options.seed, options.folds) == (3, 2)
    assert command_of({**about, "source": "catalogue"}).startswith("etude run 'my own' --scale")
    assert command_of({"study": "script"}) == ""


ENCODED = [
    ("utf-8-sig", ""),
    ("latin-1", "# -*- coding: latin-1 -*-\n"),
    ("cp1252", "#!/usr/bin/env python\n# vim: set fileencoding=cp1252 :\n"),
]


@pytest.mark.parametrize(("encoding", "first"), ENCODED)
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_a_file_is_read_in_its_encoding(
    tmp_path: Path, encoding: str, first: str, ends: str
) -> None:
    text = f'{first}"""Größe."""\n{HEAD}@dataclass\nclass Mine(Study):\n'
    text += '    a: str = "ä"  # Länge\n    b: Literal["ü"] = "ü"  # zwei\n'
    path = tmp_path / "mine.py"
    path.write_bytes(text.replace("\n", ends).encode(encoding))
    found = read(path, None)
    assert (found.title, [f.help for f in found.fields]) == ("Größe", ["Länge", "zwei"])
    assert found.load()().a == found.fields[0].default == "ä"  # type: ignore[attr-defined]
    assert found.digest
    assert metrics_in(found) == []


def test_a_module_beside_the_study_is_imported(tmp_path: Path) -> None:
    """Also as the study runs, and anew where it has changed or is another study's."""
    folders = [tmp_path / name for name in "ab"]
    for number, folder in enumerate(folders):
        folder.mkdir()
        (folder / "own_helper.py").write_text(f"GAIN = {number}\n")
        (folder / "own_package").mkdir()
        (folder / "own_package" / "__init__.py").write_text("from .inner import X\n")
        (folder / "own_package" / "inner.py").write_text(f"X = {number}\n")
        body = "def gain(self):\n    import own_helper\n    return own_helper.GAIN, X\n"
        path = study(folder, body, f"import own_helper\nfrom own_package import X\n{HEAD}")
        loaded = read(path, None).load()()
        assert loaded.gain() == (number, number)  # type: ignore[attr-defined]
        files = {"own_helper.py", "own_package/__init__.py", "own_package/inner.py"}
        assert set(sources.digests(path)) == {"mine.py", *files}
    (folders[1] / "own_helper.py").write_text("GAIN = 75\n")
    assert read(path, None).load()().gain() == (75, 1)  # type: ignore[attr-defined]
    assert str(folders[0]) not in sys.path


def test_what_is_installed_goes_before_what_lies_beside(tmp_path: Path) -> None:
    for name in ("random", "torch", "etude", "colorsys"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('the wrong one')\n")
    sys.modules.pop("colorsys", None)
    read(study(tmp_path, "pass", f"import colorsys, random, torch\n{HEAD}"), None).load()


def test_every_process_that_is_started_keeps_the_working_folder_off_its_path() -> None:
    started = 0
    for path in Path(etude.__file__).parent.rglob("*.py"):
        for found in re.finditer(r'(.*)"-m", "etude"', path.read_text(encoding="utf-8")):
            started += 1
            assert found[1].endswith('"-P", '), path
    assert started >= 4


def test_numbers_of_numpy_are_numbers(tmp_path: Path) -> None:
    @dataclasses.dataclass
    class Mine(Study):
        n: Count = 3
        x: Fraction = 0.5
        flag: bool = False
        text: str = ""
        several: tuple[int, ...] = ()

    made = Mine(np.int64(8), np.float32(0.25), np.bool_(True), np.str_("a"), np.arange(2))  # type: ignore[arg-type]
    assert dataclasses.astuple(made) == (8, 0.25, True, "a", (0, 1))
    assert [type(each) for each in dataclasses.astuple(made)] == [int, float, bool, str, tuple]
    assert Mine(several=(np.int64(1), 2)).several == (1, 2)  # type: ignore[arg-type]
    for wrong, said in [
        ({"n": True}, "n is True; expected a whole number of at least 1"),
        ({"x": True}, "x is True; expected a number from 0 to 1"),
        ({"n": np.int64(0)}, "n is 0; expected a whole number of at least 1"),
        ({"n": np.float32(2.5)}, "n is 2.5; expected a whole number"),
        ({"flag": 1}, "flag is 1; expected true or false"),
        ({"n": 10**400}, "n has more than 300 digits"),
    ]:
        with pytest.raises(UserError, match=said):
            Mine(**wrong)


# -- what is refused -------------------------------------------------------------------------------

FIRST = HEAD.count("\n") + 3  # the line of the first field

REFUSED = [
    ("seed: Count = 3", "field seed is called as an option of Etude's own; expected another name"),
    ("metric: str = ''", "field metric is called as an option of Etude's own"),
    ("network: str = 'mlp'", "field network is called as something that every study has"),
    ("claims: list = []", "field claims is not a field but the class's own; expected it without"),
    ("__x: int = 3", "field __x begins with two underscores"),
    ("_: int = 3", "field _ has no letter in its name"),
    ("n: Count", "field n has no default; expected one, as in n: Count = …"),
    ("n: Count = field()", r"field n has no default; expected field\(default=…\)"),
    ("n: Count = field(init=False, default=3)", "field n is set by init"),
    ("n: Count = field(default_factory=list)", "field n: field.* is no literal"),
    ("n: Count = 0", "field n: is 0; expected a whole number of at least 1"),
    ("n: Count = True", "field n: is True; expected a whole number of at least 1"),
    ("n: Count = 'a'", "field n: is 'a'; expected a whole number of at least 1"),
    ("x: float = np.float32(0.1)", r"field x: np.float32\(0.1\) is no literal; expected a value"),
    ("x: float = float('inf')", r"field x: float\('inf'\) is no literal"),
    ("x: float = 1e999", "field x: is inf; expected a number"),
    ("x: float = 1 / 0", "field x: 1 / 0 is no literal"),
    ("x: int = 9 ** 9 ** 9", r"field x: 9 \*\* 9 \*\* 9 is no literal"),
    ("x: int = " + "9" * 400, "field x: has more than 300 digits"),
    ("x: int = {[]: 1}", "field x: .* is no literal"),
    ("x: list[int] = (1,)", r"field x has type list\[int\]; expected one of int, float"),
    ("x: tuple = ()", "field x has type tuple; expected one of int, float"),
    ("x: int | str = 1", "field x has a type that no option has"),
    ("x: Path = Path('a')", "field x: Path is no literal; use str"),
    ("a: int = 1\na_: int = 1", "field a_ has the option of a, --a; expected two"),
    ("scales = 5", 'scales are 5; expected names, and of each the fields that it sets: {"full"'),
    ("scales = {'full': {'n': 1}}", "full sets a field 'n' that is not there"),
    ("n: Count = 1\nscales = {'full': {'n': 0}}", "full: n is 0; expected a whole number of at"),
    ("needs = 5", "needs is 5; expected the names of studies"),
    ("needs = 'linear'", "needs is 'linear'; expected the names of studies"),
    ("claims = [Claim()]", r"Claim\(\): missing 1 required positional argument: 'metric'"),
    ("claims = [Claim('x')]", "the claim on x has no bound: give at_least or at_most"),
    ("claims = [Claim('x', nonsense=1)]", "got an unexpected keyword argument 'nonsense'"),
    ("claims = [Claim('x', at_least='1')]", "a claim's at_least is '1'; expected a number"),
    ("claims = [Claim(3, at_least=1)]", "a claim's metric is 3; expected a text"),
    ("claims = [Claim('x', at_least=1, seeds=0)]", "a claim is over 0 seeds; expected at least 1"),
    (
        "scales = {'full': {}}\nclaims = [Claim('x', at_least=1, scale='ful')]",
        "the claim on x is of a scale 'ful'; did you mean 'full'",
    ),
    ("claims = [Claim(*x)]", r"claims must be written out, as literals; this is Claim\(\*x\)"),
    ("claims = [Claim(**x)]", r"claims must be written out, as literals; this is Claim\(\*\*x\)"),
    ("claims = f()", r"claims must be written out, as a list; this is f\(\)"),
]


@pytest.mark.parametrize(("body", "said"), REFUSED)
def test_a_field_is_refused_with_its_line(tmp_path: Path, body: str, said: str) -> None:
    path = study(tmp_path, body)
    with pytest.raises(UserError, match=f"line {FIRST + body.count(chr(10))}.*{said}") as error:
        read(path, None)
    assert str(path) in str(error.value)
    assert "0x" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "holds 0 classes derived from Study; expected one"),
        (b"class A(Study): pass\nclass B(Study): pass", r"2 classes .*\(A in line 1, B in line 2"),
        (b"if True:\n    class A(Study): pass", "expected one, and not within another class"),
        (b"class A(\n", "line 1 can't be read as Python: '\\(' was never closed"),
        (
            b"x = '\xe4'\n",
            "can't be read as Python: .*expected a text in UTF-8, or in the encoding",
        ),
        (b"# coding: nonsense\n", "can't be read as Python: unknown encoding"),
        (b"# coding: hex\n", "can't be read as Python"),
        ("class A: pass".encode("utf-16"), "expected a text in UTF-8, or in the encoding"),
        (b"x = 1\x00\n", "can't be read as Python: source code string cannot contain null"),
        (b"x = " + b"-" * 5_000 + b"1", "can't be read as Python|0 classes"),
        (b"x = " + b"(" * 500, "can't be read as Python: too many nested"),
        (
            b"@dataclass\nclass A(Study):\n    x: int = " + b"-" * 900 + b"1\n",
            "nested too deeply|x is|no literal|",
        ),
    ],
)
def test_a_file_is_refused_in_one_sentence(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "mine.py"
    path.write_bytes(content)
    try:
        read(path, None)
    except UserError as error:
        assert re.search(said, str(error))  # noqa: PT017 (the last may be read)
        assert str(path) in str(error)  # noqa: PT017
    else:
        assert said.endswith("|")


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ("import no_such_helper\n", "ModuleNotFoundError: No module named 'no_such_helper'"),
        ("from etude import Cuont\n", "ImportError: cannot import name 'Cuont'.* line 1"),
        ("x = 1 / 0\n", r"ZeroDivisionError: division by zero \(mine.py, line 1\)"),
        ("import own_broken\n", r"invalid syntax \(own_broken.py, line 2\)"),
        ("import own_failing\n", r"KeyError: 'a' \(own_failing.py, line 1\)"),
        ("return 3\n", r"'return' outside function \(mine.py, line 1\)"),
    ],
)
def test_what_fails_as_it_is_imported_is_one_sentence(tmp_path: Path, head: str, said: str) -> None:
    (tmp_path / "own_broken.py").write_text("\nx = = 1\n")
    (tmp_path / "own_failing.py").write_text("{}['a']\n")
    found = read(study(tmp_path, "n: Count = 3", head + HEAD), None)
    with pytest.raises(UserError, match=f"mine.py can't be imported: {said}"):
        found.load()
    if "broken" in head:
        with pytest.raises(UserError, match=r"own_broken.py, line 2 can't be read as Python"):
            assert found.digest


def test_a_type_that_was_not_imported_is_one_sentence(tmp_path: Path) -> None:
    head = "from __future__ import annotations\nfrom dataclasses import dataclass\n"
    found = entry(tmp_path, "n: Count = 3", head + "from etude import Study\n")
    with pytest.raises(UserError, match="name 'Count' is not defined.*imported from etude"):
        found.load().at()


def test_a_class_that_is_no_study_after_all_is_one_sentence(tmp_path: Path) -> None:
    for after in ("class Study: pass\n", "class Study: pass\n"):
        found = entry(tmp_path, "n = 3", HEAD + after)
        with pytest.raises(UserError, match="Mine is not derived from etude.Study once the file"):
            found.load()


def test_a_class_is_held_to_the_same_names() -> None:
    @dataclasses.dataclass
    class Mine(Study):
        seed: Count = 3

    for use in (Mine, Mine.at):
        with pytest.raises(UserError, match="field seed is called as an option of Etude's own"):
            use()


def test_the_names_that_no_field_has_are_the_options_there_are() -> None:
    """A new option of a verb belongs into ``OPTIONS``, and no study of ours has such a field."""
    own = {f.name for verb in (run, sweep, graph) for f in dataclasses.fields(verb.Options)}
    assert own <= OPTIONS, f"add to etude.study.OPTIONS: {own - OPTIONS}"
    for each in Catalogue().all():
        taken = [f.name for f in each.fields if f.name in OPTIONS or hasattr(Study, f.name)]
        assert not taken, each.name


def test_a_lesson_in_another_encoding_is_shown(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "README.md").write_bytes(b"\xef\xbb\xbf# Gr\xf6\xdfe\n")
    assert read(study(folder, "n: Count = 3"), None).title.startswith("Gr")


@pytest.mark.parametrize("name", ["-x.py", ".hidden.py", "a\nb.py", "two: three.py"])
def test_a_file_whose_name_no_folder_can_have(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="the name of the study in .* expected"):
        read(study(tmp_path, "n: Count = 3", name=name), None)


def test_paths_that_cannot_be_looked_at_are_one_sentence() -> None:
    for name in ("./" + "x" * 5_000 + ".py", "./a\0.py"):
        with pytest.raises(UserError, match="no study file"):
            Catalogue()[name]


# -- any file --------------------------------------------------------------------------------------

SMALL = f'''"""Small."""
{HEAD}
@dataclass
class Mine(Study):
    width: Count = 3  # how wide
    rate: Amount | None = 1 / 4
    kind: Literal["a", "b"] = field(default="a")
    sizes: tuple[int, ...] = (1, 2)

    claims = [Claim("x", at_least=0.5, seeds=2)]
    scales = {{"full": {{"width": 7}}}}
    needs = ("linear",)

    def __call__(self, run):
        run.result({{"x": 1.0}})
'''
WORDS = re.findall(r"\w+|\s+|[^\w\s]", SMALL)
ODD = ("None", "-", "*", "**", "{[]: 1}", "1e999", "float", "'", '"""', "\\", "|", "lambda: 0")
ODD += ("field()", "ClassVar", "seed", "\x00", "\x0c", "\r", "é", "9" * 500, "@", ":=", "np.")
PIECES = st.sampled_from([*sorted(set(WORDS)), *ODD])


@st.composite
def mutants(draw: st.DrawFn) -> str:
    words = list(WORDS)
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(words) - 1))
        match draw(st.sampled_from(["replace", "insert", "drop", "cut", "double"])):
            case "replace":
                words[place] = draw(PIECES)
            case "insert":
                words.insert(place, draw(PIECES))
            case "drop":
                del words[place : place + draw(st.integers(1, 6))]
            case "double":
                words[place:place] = words[place : place + draw(st.integers(1, 12))]
            case "cut":
                words = words[: place + 1]
        words = words or [""]
    return "".join(words)


def use(path: Path) -> dict[str, Any] | None:
    """All that is done with a study before it runs; None where a sentence says why not."""
    try:
        found = read(path, None)
        run.parse(found, [])
        forms.controls(found, "quick", {}, {})
        assert found.digest
        assert metrics_in(found) is not None
        return dataclasses.asdict(found.load().at(**found.defaults()))
    except UserError as error:
        assert "\n" not in str(error)  # noqa: PT017 (it may also succeed)
        return None


def test_the_small_study_is_used_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(SMALL, encoding="utf-8")
    assert use(path) == {"width": 3, "rate": 0.25, "kind": "a", "sizes": (1, 2)}


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(mutants())
def test_any_file_is_used_or_refused_in_a_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.py"
    path.write_bytes(text.encode())
    use(path)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.binary(max_size=40), st.integers(0, len(SMALL)))
def test_any_bytes_are_read_or_refused_in_a_sentence(
    tmp_path: Path, added: bytes, place: int
) -> None:
    path = tmp_path / "mine.py"
    content = SMALL.encode()
    path.write_bytes(content[:place] + added + content[place:])
    use(path)
