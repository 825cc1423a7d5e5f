"""The rules of the house: which room may import which, where a leaf lives, how a study reads."""

from __future__ import annotations

import ast
import importlib
import io
import tokenize
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

from etude.catalogue import STUDIES, Catalogue
from etude.entry import Entry
from etude.sources import imported_files

SOURCE = STUDIES.parent
BASE = {"errors", "files", "claims", "demos"}
LEAVES = {"autodiff", "layers", "networks", "data", "figures", "training", "runs", "study"}
MAY_IMPORT = {
    "errors": set(),
    "files": set(),
    "claims": set(),
    "demos": {"errors"},
    "sources": {"errors"},
    "importing": {"errors"},
    "known": {"errors", "sources"},
    "layers": BASE,
    "networks": BASE | {"layers"},
    "data": BASE,
    "figures": BASE,
    "drawing": set(),
    "questions": BASE | {"runs"},  # which makes lessons into HTML
    "autodiff": {"drawing"},
    "runs": BASE | {"figures"},
    "study": BASE | {"runs", "training", "sources", "known"},
    "training": BASE | {"runs", "data", "figures"},
    "studies": BASE | LEAVES | {"questions"},
    "entry": BASE | {"study", "sources", "importing", "questions"},
    "reading": BASE | {"entry", "study", "sources", "runs"},
    "catalogue": BASE | {"entry", "reading", "sources"},
    "session": BASE | {"entry", "catalogue", "study", "runs"},
    "results": BASE
    | {
        "study",
        "entry",
        "catalogue",
        "session",
        "runs",
        "figures",
        "training",
        "drawing",
        "sources",
        "known",
    },
    "courses": BASE | {"results", "catalogue", "entry", "study", "exercises", "questions"},
    "exercises": BASE | {"runs", "data", "networks"},
    "cli": BASE
    | {
        "results",
        "catalogue",
        "entry",
        "session",
        "study",
        "runs",
        "data",
        "courses",
        "exercises",
        "questions",
        "app",
        "sources",
    },
    "app": BASE | {"results", "catalogue", "entry", "session", "study", "runs", "data", "courses"},
}
QUESTIONS = "_questions.py"  # which asks about a study, and is no part of it
FACE = {"__init__", "__main__"}  # the public face may name everything
FILES = sorted(SOURCE.rglob("*.py"))
ENTRIES = Catalogue().all()
each_study = pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)


def place(path: Path) -> tuple[str, ...]:
    return path.relative_to(SOURCE).with_suffix("").parts


def room(path: Path) -> str:
    return place(path)[0]


# -- who may import whom --------------------------------------------------------------------------


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_room_imports_only_rooms_below_it(path: Path) -> None:
    here = room(path)
    if here in FACE:
        return
    assert here in MAY_IMPORT, f"{here} is a new room: say what it may import"
    for other in imported_files(path):
        there = room(other)
        said = f"{path.relative_to(SOURCE)} imports {other.relative_to(SOURCE)}"
        if there in FACE:
            continue
        assert there in MAY_IMPORT[here] | {here}, f"{said}: {here} may not import {there}"
        if here == there == "studies":
            assert is_part(other, path), f"{said}: a study imports its own parts and its topic's"


def is_part(file: Path, of: Path) -> bool:
    """Whether a file belongs to the same study, or to its topic as ``_x.py``."""
    topic_leaf = len(place(file)) == 3 and place(file)[2].startswith("_")
    return file.parent == of.parent or (topic_leaf and place(file)[1] == place(of)[1])


@pytest.mark.parametrize(
    ("line", "file"),
    [
        ("from etude import data\ndata.two_spirals", "data/generated.py"),
        ("from etude import data\nx = getattr(data, name)", "data/idx.py"),
        ("from etude.data import mnist", "data/idx.py"),
        ("from etude import Run", "runs/run.py"),
        ("import etude.cli.list", "cli/list.py"),
        ("def f():\n    from etude.networks.gpt import GPT", "networks/gpt.py"),
    ],
)
def test_every_way_to_import_is_seen(line: str, file: str, tmp_path: Path) -> None:
    path = tmp_path / "x.py"
    path.write_text(line)
    assert SOURCE / file in imported_files(path)


@pytest.mark.parametrize("name", ["data", "figures", "training"])
def test_a_face_hands_on_all_that_it_names_whatever_was_imported_before(name: str) -> None:
    """A name that is also a file's would be that file as soon as somebody has imported it."""
    face = importlib.import_module(f"etude.{name}")
    files = {path.stem for path in (SOURCE / name).glob("*.py")}
    assert not files & set(face.__all__)
    for one in face.__all__:
        assert getattr(face, one) is not None


def test_the_rooms_that_answer_at_once_import_nothing_heavy() -> None:
    quick = (
        "catalogue reading entry study sources known importing claims errors cli/list cli/show"
        " runs/folder runs/record"
    )
    for name in quick.split():
        tree = ast.parse((SOURCE / f"{name}.py").read_text(encoding="utf-8"))
        top = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        modules = {a.name for n in top if isinstance(n, ast.Import) for a in n.names}
        modules |= {n.module or "" for n in top if isinstance(n, ast.ImportFrom)}
        slow = ("torch", "numpy", "matplotlib", "sklearn", "rich")
        heavy = {m for m in modules if m.split(".")[0] in slow}
        assert not heavy, f"{name} imports {heavy}"


# -- where a leaf lives ---------------------------------------------------------------------------


@cache
def users() -> dict[Path, set[tuple[str, ...]]]:
    """``{leaf: who rests on it}``: a study by its place, any other room by its name."""
    direct: dict[Path, set[Path]] = defaultdict(set)
    for path in FILES:
        for other in imported_files(path):
            direct[other].add(path)

    def reach(path: Path, seen: frozenset[Path]) -> set[tuple[str, ...]]:
        found: set[tuple[str, ...]] = set()
        for user in direct[path] - seen:
            where = place(user)
            if where[-1] == "__init__":
                continue  # a face uses nothing
            if where[0] == "studies" and len(where) == 4:
                found.add(where[:3])
            elif where[0] == room(path) or where[0] == "studies":
                found |= reach(user, seen | {user})
            else:
                found.add(where[:1])
        return found

    return {path: reach(path, frozenset({path})) for path in FILES}


@pytest.mark.parametrize("of", ["training", "figures"])
def test_a_leaf_of_a_room_serves_two_topics_or_another_room(of: str) -> None:
    lonely = {}
    for path in sorted((SOURCE / of).glob("[!_]*.py")):
        who = users()[path]
        topics = {where[1] for where in who if where[0] == "studies"}
        rooms = {where[0] for where in who} - {"studies"}
        if len(topics) + 2 * len(rooms) < 2:
            lonely[path.name] = who
    assert not lonely, "these belong to the study or the topic that uses them"


def test_a_leaf_of_a_topic_serves_two_of_its_studies() -> None:
    lonely = {
        "/".join(place(path)[1:]): users()[path]
        for path in STUDIES.glob("*/_[!_]*.py")
        if len(users()[path]) < 2
    }
    assert not lonely, "these belong into the folder of the study that uses them"


def test_nothing_stands_about_unused() -> None:
    rooms = ("training", "figures", "networks", "layers", "studies")
    main = {entry.path for entry in ENTRIES}
    main |= {entry.path.with_name(QUESTIONS) for entry in ENTRIES}
    idle = [
        str(path.relative_to(SOURCE))
        for path in FILES
        if room(path) in rooms and path.stem != "__init__" and path not in main
        if not users()[path]
    ]
    assert not idle


# -- how a study reads ----------------------------------------------------------------------------

WORDS = (600, 2_000)  # of a lesson
LINES = 240  # of a main file, docstrings apart
TOKENS = 2_200  # of a main file, docstrings and comments apart
TOKENS_A_LINE = 11.0  # on average over lines that hold code
PACKED = 60  # characters of an assignment of several values to several names
READING = 900  # lines, docstrings apart, of all that one has to read to know a study whole
LONGER = {  # those that are not there yet; when one gets shorter, its line here goes
    "translation": 1_205,
    "gpt": 1_235,
    "dqn": 1_150,
    "policygradient": 1_145,  # three methods, a file each
    "gcn": 1_055,
}
SHARED = {  # what every study may use, and is read once
    "augmentation",
    "batches",
    "best",
    "optimizers",
    "quasi_newton",
    "schedules",
    "evaluation",
    "comparison",
    "validation",
}


def docstrings(tree: ast.AST) -> set[int]:
    """The lines of all docstrings."""
    lines: set[int] = set()
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            for statement in body:
                if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                    lines |= set(range(statement.lineno, (statement.end_lineno or 0) + 1))
    return lines


def code(path: Path) -> tuple[int, int, int]:
    """Lines outside of docstrings; tokens; lines that hold some."""
    source = path.read_text(encoding="utf-8")
    told = docstrings(ast.parse(source))
    skipped = {
        tokenize.COMMENT,
        tokenize.NL,
        tokenize.NEWLINE,
        tokenize.INDENT,
        tokenize.DEDENT,
        tokenize.ENDMARKER,
    }
    tokens = [
        token
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type not in skipped and token.start[0] not in told
    ]
    lines = len(source.splitlines()) - len(told)
    return lines, len(tokens), len({token.start[0] for token in tokens})


def words(lesson: str) -> int:
    return len(lesson.split())


def packed(path: Path) -> list[str]:
    """Assignments of several values to several names that are too long to be read at once."""
    source = path.read_text(encoding="utf-8")
    return [
        ast.get_source_segment(source, node) or ""
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Tuple)
        and isinstance(node.value, ast.Tuple)
        and len(" ".join((ast.get_source_segment(source, node) or "").split())) > PACKED
    ]


def reading(entry: Entry) -> dict[str, int]:
    """``{file: lines}`` of what one reads to know a study whole."""
    waiting = sorted({*entry.path.parent.glob("*.py")} - {entry.path.with_name(QUESTIONS)})
    found: dict[Path, int] = {}
    while waiting:
        path = waiting.pop()
        if path in found or path.stem == "__init__":
            continue
        found[path] = code(path)[0]
        waiting += [
            other
            for other in imported_files(path)
            if room(other) in ("networks", "layers", "training", "studies")
            and not (room(other) == "training" and other.stem in SHARED)
        ]
    return {"/".join(place(path)): lines for path, lines in sorted(found.items())}


@each_study
def test_the_lesson_is_neither_a_note_nor_a_book(entry: Entry) -> None:
    assert WORDS[0] <= words(entry.lesson) <= WORDS[1]


@each_study
def test_the_code_is_short_and_not_squeezed(entry: Entry) -> None:
    lines, tokens, filled = code(entry.path)
    assert lines <= LINES
    assert tokens <= TOKENS
    assert tokens / filled <= TOKENS_A_LINE


@each_study
def test_no_assignment_is_packed(entry: Entry) -> None:
    assert not [line for path in entry.path.parent.glob("*.py") for line in packed(path)]


@each_study
def test_a_study_measures_what_is_left_without_its_idea(entry: Entry) -> None:
    controlled = {claim.scale for claim in entry.claims if claim.kind == "control"}
    assert "quick" in controlled


@each_study
def test_a_study_is_read_whole_in_one_sitting(entry: Entry) -> None:
    files = reading(entry)
    assert sum(files.values()) <= LONGER.get(entry.name, READING), files


def test_no_study_is_called_longer_than_it_is() -> None:
    there = {entry.name: sum(reading(entry).values()) for entry in ENTRIES if entry.name in LONGER}
    assert there.keys() == LONGER.keys()
    assert all(READING < lines <= LONGER[name] < lines + 15 for name, lines in there.items()), there


def test_formatting_is_switched_off_nowhere() -> None:
    off = "fmt: " + "skip", "fmt: " + "off"
    folders = [SOURCE, Path(__file__).parent, SOURCE.parents[1] / "benchmarks"]
    files = [path for folder in folders for path in folder.rglob("*.py")]
    assert not [path for path in files if any(word in path.read_text() for word in off)]


def test_the_measures_can_fail(tmp_path: Path) -> None:
    path = tmp_path / "x.py"
    path.write_text(
        '"""A\nlesson."""\n\na = 1  # one\n'
        "first_name, second_name = first_value + 1, second_value + 2\n"
    )
    assert code(path) == (3, 14, 2)
    assert packed(path) == []
    path.write_text("first_name, second_name = first_value_of_many + 1, second_value_of_many + 2\n")
    assert len(packed(path)) == 1


# -- what a field's name means --------------------------------------------------------------------

GLOSSARY = {  # a name that several studies use has one type and one meaning in all of them
    "activation": ("Literal", "the nonlinearity of the hidden units"),
    "average": ("Fraction", "decay of the running mean of the weights"),
    "bases": ("Count", "basis functions that are added up"),
    "batch": ("Count", "examples a step"),
    "copies": ("Count", "environments that are stepped together"),
    "dataset": ("Literal", "what is learned from"),
    "discount": ("Fraction", "γ, of a reward one step later"),
    "dropout": ("Fraction", "the fraction of activations that is dropped in training"),
    "draws": ("Count", "data sets that are drawn"),
    "environment": ("str", "a name of Gymnasium's"),
    "episodes": ("Count", "episodes on which a policy is judged"),
    "epochs": ("Positive", "passes over the training data"),
    "gradient_clip": ("Positive", "the largest norm of the gradient"),
    "fakes": ("Count", "examples that are generated to be judged"),
    "heads": ("Count", "of each attention"),
    "held_out": ("Fraction", "the fraction of the training data that is kept for validation"),
    "judging": ("Count", "steps in which the judge is trained"),
    "latent": ("Count", "dimensions of a code"),
    "layers": ("Natural", "hidden layers, or blocks"),
    "learning_rate": ("Positive", "the largest of the run"),
    "length": ("Count", "steps of a sequence"),
    "levels": ("Count", "resolutions of a network, each half of the one before"),
    "longest": ("Count", "the longest sequence"),
    "loss": ("Literal", "what is minimised"),
    "method": ("Literal", "the algorithm"),
    "model": ("Literal", "the architecture"),
    "momentum": ("Fraction", "the fraction of the last step that is kept"),
    "noise": ("Amount", "standard deviation of what is added to the data"),
    "optimizer": ("OptimizerName", "the rule of a step"),
    "padding": ("Natural", "augmentation: the largest shift in pixels, into a mirrored border"),
    "parts": ("Count", "parts of the training data, each held out once"),
    "penalties": ("tuple", "values of λ to choose from"),
    "points": ("Count", "generated examples"),
    "positions": ("Literal", "how a token's position is encoded"),
    "repeats": ("Count", "seeds for each variant of a comparison"),
    "rotation": ("Amount", "augmentation: degrees, each way"),
    "scenes": ("Count", "drawn scenes to train with"),
    "shift": ("Amount", "augmentation: pixels, each way"),
    "side": ("Count", "height of a picture in pixels"),
    "smoothing": ("Fraction", "the part of a target that is spread over all classes"),
    "step_size": ("Positive", "in units of the step that a bound gives"),
    "steps": ("Count", "updates by the optimiser"),
    "reward_scale": ("Positive", "rewards are divided by it"),
    "warmup": ("Count", "steps in which the learning rate rises"),
    "weight_decay": ("Amount", "λ of an L2 penalty, or of AdamW's decoupled decay"),
    "width": ("Count", "units or channels of a hidden layer"),
    "widths": ("tuple", "widths that are compared"),
    "zoom": ("Fraction", "augmentation: fraction of the size, each way"),
}
NARROWER = {"Natural": "Count"}  # a study may ask for at least one
OTHER_NAMES = {  # what the glossary's names are called elsewhere
    "drop": "dropout",
    "rate": "learning_rate",
    "lr": "learning_rate",
    "depth": "layers",
    "hidden_size": "width",
    "batch_size": "batch",
    "penalty": "weight_decay, or whose penalty it is (gradient_penalty)",
    "l2": "weight_decay",
    "passes": "epochs",
    "seeds": "repeats",
    "turn": "rotation",
}


def kind(annotation: str) -> str:
    return annotation.partition("[")[0]


def test_a_fields_name_means_one_thing() -> None:
    named = defaultdict(list)
    for entry in ENTRIES:
        for field in entry.fields:
            named[field.name].append((entry.name, field))
    wrong = [
        f"{study}: {name} is a {kind(field.annotation)}; expected {GLOSSARY[name]}"
        for name in named.keys() & GLOSSARY.keys()
        for study, field in named[name]
        if kind(field.annotation) not in (GLOSSARY[name][0], NARROWER.get(GLOSSARY[name][0]))
    ]
    wrong += [
        f"{study}: {name}; expected {OTHER_NAMES[name]}"
        for name in named.keys() & OTHER_NAMES.keys()
        for study, _ in named[name]
    ]
    wrong += [
        f"{[study for study, _ in those]} share {name}: say in the glossary what it means"
        for name, those in named.items()
        if len(those) > 1 and name not in GLOSSARY and name not in OTHER_NAMES
    ]
    assert not wrong, "\n".join(wrong)
