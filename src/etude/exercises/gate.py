"""The release gate: what must hold of a pack before a student gets it.

The reference scores everything. The starter scores nothing, and each of its tasks counts as not
attempted. With one task taken out, a check of it fails. No line of a solution stands in what a
student gets. Of small mistakes that are put into the solutions, at least four in five are found.
"""

from __future__ import annotations

import ast
import copy
import hashlib
import pickle
import re
import signal
import types
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from etude.exercises.checks import Check, Code, Failure, Local, Value
from etude.exercises.packs import Experiment, Pack, alone
from etude.exercises.regions import Region, starter
from etude.exercises.syntax import Text
from etude.exercises.twins import Twin
from etude.exercises.work import Missing, Work

ENOUGH = 0.8  # of the mistakes are found
PATIENCE = 5.0  # seconds of the processor's that a check of a wrong solution may take
SHORT = 12  # signs below which a line says nothing of a solution


@dataclass
class Report:
    """What the gate found.

    Attributes:
        troubles: why the pack may not be handed out, a sentence each; empty where it may.
        killed: mistakes that a check found.
        survivors: those that none found: the task, and what was changed.
    """

    troubles: list[str] = field(default_factory=list)
    killed: int = 0
    survivors: list[str] = field(default_factory=list)

    @property
    def mutants(self) -> int:
        """How many mistakes were tried."""
        return self.killed + len(self.survivors)


def gate(pack: Pack) -> Report:
    """Try a pack as its students will."""
    report = Report([*pack.troubles()])
    if report.troubles:
        return report
    if isinstance(pack, Experiment):
        return _trial(pack, report)
    full = outcomes(pack, pack.reference())
    for name, outcome in full.items():
        if outcome is not None:
            report.troubles.append(f"the reference fails '{name}': {outcome}")
    if outcomes(pack, pack.reference()) != full:
        report.troubles.append("the reference scores otherwise the second time")

    for name, outcome in outcomes(pack, code_of(pack.starter, pack.name)).items():
        if outcome != NOT_ATTEMPTED:
            report.troubles.append(f"the starter is not 'not attempted' in '{name}': {outcome}")
    for region in pack.regions:
        without = code_of(starter(pack.source, pack.name, only=[region.id]), pack.name)
        found = outcomes(pack, without)
        if all(found[check.id] is None for check in pack.checks if check.task == region.id):
            report.troubles.append(f"no check of task {region.id} fails without its solution")
    report.troubles += leaks(pack)
    for region, what, text in mutants(pack):
        if fails(pack, code_of(text, pack.name)):
            report.killed += 1
        else:
            report.survivors.append(f"{region.id}: {what}")
    if report.killed < ENOUGH * report.mutants:
        report.troubles.append(
            f"checks find {report.killed} of {report.mutants} mistakes; expected {ENOUGH:.0%}"
        )
    return report


def _trial(pack: Experiment, report: Report, scale: str = "quick") -> Report:
    """Try an experiment: its reference, its starter, and its broken twins.

    A twin has to lose the points of the condition that it violates, and no others.
    """
    judge = pack.module("judge")
    known: dict[bytes, Any] = {}

    def files_by(text: str) -> dict[str, bytes]:
        made: dict[str, bytes] = judge.files(Known(text, pack.name, known))
        return made

    files = files_by(pack.solution) if hasattr(judge, "files") else {}
    for name, outcome in judged(pack, pack.solution, files, scale, known).items():
        if outcome is not None:
            report.troubles.append(f"the reference fails '{name}': {outcome}")
    for name, outcome in judged(pack, pack.starter, {}, scale, known).items():
        if outcome != NOT_ATTEMPTED:
            report.troubles.append(f"the starter is not 'not attempted' in '{name}': {outcome}")
    report.troubles += leaks(pack)
    twins: tuple[Twin, ...] = pack.module("twins").TWINS
    violated = {twin.condition for twin in twins}
    report.troubles += [
        f"no twin violates '{check.name}'" for check in pack.checks if check.name not in violated
    ]
    for twin in twins:
        text = alone(twin.of(pack.source))
        own = files_by(text) if twin.redrawn else files
        own = twin.files(own) if twin.files else own
        found = judged(pack, text, own, scale, known)
        lost = [id.partition("/")[2] for id, outcome in found.items() if outcome is not None]
        if lost == [twin.condition]:
            report.killed += 1
        else:
            report.survivors.append(f"{twin.what}: it loses {lost}; expected {twin.condition}")
    if report.survivors:
        report.troubles.append("a broken twin does not lose the one condition that it violates")
    return report


def judged(
    pack: Experiment, text: str, files: dict[str, bytes], scale: str, known: dict[bytes, Any]
) -> dict[str, str | None]:
    """``{condition: None where it is met, else why not}`` of code of ours, run in this process.

    Args:
        pack: the experiment.
        text: the code.
        files: what is handed in beside it.
        scale: how much data there is.
        known: answers that were given, to be added to.
    """
    code = Known(text, pack.name, known)
    work = Work(
        lambda: code, text, "handed.py", files, lambda name: generator(pack.name, name), scale
    )
    return {check.id: outcome_of(check, work) for check in pack.checks}


class Known:
    """Code of ours that is run once for the same question, also where another text has the same
    functions: a twin that draws other plots trains as the reference does.

    What it answers is what a grader would get: arrays where the code returns tensors.
    """

    def __init__(self, text: str, name: str, known: dict[bytes, Any]) -> None:
        self.code = code_of(text, name)
        self.text = Text(text)
        self.known = known

    def call(self, function: str, *args: Value, **kwargs: Value) -> Value:
        """What a function returns."""
        used = [ast.dump(each) for each in self.text.reached(function.partition(".")[0])]
        asked = pickle.dumps((function, args, kwargs, used))
        key = hashlib.sha256(asked).digest()
        if key not in self.known:
            self.known[key] = arrays(self.code.call(function, *args, **kwargs))
        return self.known[key]

    def source(self) -> str:
        """The text."""
        return self.code.source()


def arrays(value: Value) -> Value:
    """A value with arrays in place of tensors."""
    if isinstance(value, dict):
        return {name: arrays(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(arrays(each) for each in value)
    return value.detach().numpy() if hasattr(value, "detach") else value


# -- running ---------------------------------------------------------------------------------------

NOT_ATTEMPTED = "not attempted"


def code_of(text: str, name: str) -> Code:
    """A text of ours as code that can be called. It is executed here: never a student's."""
    module = types.ModuleType(f"{name}_variant")
    exec(compile(text, f"<{name}>", "exec", dont_inherit=True), vars(module))
    return Variant(module, text)


class Variant(Local):
    """A module that was made from a text."""

    def __init__(self, module: types.ModuleType, text: str) -> None:
        super().__init__(module)
        self.text = text

    def source(self) -> str:
        """The text."""
        return self.text


def generator(*words: str) -> np.random.Generator:
    """Random numbers that only these words decide."""
    digest = hashlib.sha256("\0".join(words).encode()).digest()
    return np.random.default_rng(np.frombuffer(digest, np.uint32))


def outcomes(pack: Pack, code: Code) -> dict[str, str | None]:
    """``{check: None where it passes, else why not}``."""
    return {check.id: outcome(pack, check, code) for check in pack.checks}


def outcome(pack: Pack, check: Check, code: Code) -> str | None:
    """Why a check does not pass; None where it does."""
    with at_most(PATIENCE):
        return outcome_of(check, code, pack.reference(), generator(pack.name, check.id))


def outcome_of(
    check: Check, code: Code, reference: Code | None = None, rng: np.random.Generator | None = None
) -> str | None:
    """Why a check does not pass; None where it does."""
    try:
        with np.errstate(all="ignore"):
            check.run(code, reference or code, rng or generator(check.id))
    except (NotImplementedError, Missing):
        return NOT_ATTEMPTED
    except Failure as failure:
        return str(failure)
    except Exception as error:  # of a solution that is wrong
        return f"{type(error).__name__}: {error}"
    return None


def fails(pack: Pack, code: Code) -> bool:
    """Whether any check does not pass; the first that does not is enough."""
    return any(outcome(pack, check, code) is not None for check in pack.checks)


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """End what computes longer by a :class:`TimeoutError`.

    The processor's time counts, not the clock's: a busy machine turns no right answer into a wrong.
    """

    def ring(number: int, frame: types.FrameType | None) -> None:
        raise TimeoutError(f"it computed longer than {seconds:g} s")

    before = signal.signal(signal.SIGPROF, ring)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


# -- leaks -----------------------------------------------------------------------------------------


def leaks(pack: Pack) -> Iterator[str]:
    """Lines of a solution that stand in what a student gets."""
    lines = pack.source.splitlines()
    given = {"the starter": pack.starter, "the text": pack.text}
    squeezed = {where: re.sub(r"\s+", "", text) for where, text in given.items()}
    inside = {n for region in pack.regions for n in range(region.first, region.last)}
    outside = {re.sub(r"\s+", "", line) for n, line in enumerate(lines, 1) if n not in inside}
    for region in pack.regions:
        for line in lines[region.first : region.last - 1]:
            text = re.sub(r"\s+", "", line)
            if len(text) < SHORT or text.startswith("#") or text in outside:
                continue
            for where, found in squeezed.items():
                if text in found:
                    yield f"{where} holds a line of the solution of {region.id}: {line.strip()}"


# -- mistakes --------------------------------------------------------------------------------------

OPERATORS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.Pow: ast.Mult,
    ast.Gt: ast.LtE,
    ast.GtE: ast.Lt,
    ast.Lt: ast.GtE,
    ast.LtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.And: ast.Or,
    ast.Or: ast.And,
}
NAMES = {
    "max": "min",
    "min": "max",
    "maximum": "minimum",
    "minimum": "maximum",
    "sum": "mean",
    "mean": "sum",
    "argmax": "argmin",
    "argmin": "argmax",
    "zeros": "ones",
    "ones": "zeros",
    "zeros_like": "ones_like",
    "ones_like": "zeros_like",
    "exp": "log",
    "log": "exp",
    "sqrt": "square",
    "sin": "cos",
    "cos": "sin",
}


def mutants(pack: Pack) -> Iterator[tuple[Region, str, str]]:
    """Small mistakes, one at a time: the region, what was changed, and the whole file with it."""
    tree = ast.parse(pack.source)
    for region in pack.regions:
        places = [
            node
            for node in ast.walk(tree)
            if region.first < getattr(node, "lineno", 0) <= region.last
        ]
        for place in places:
            for what, change in changes(place):
                yield region, f"line {place.lineno}, {what}", changed(tree, place, change)  # type: ignore[attr-defined]


def changes(node: ast.AST) -> Iterator[tuple[str, Any]]:
    """The mistakes that can be made of a node: in words, and as a function of its copy."""
    match node:
        case ast.BinOp(op=op) | ast.AugAssign(op=op) | ast.BoolOp(op=op) if type(op) in OPERATORS:
            new = OPERATORS[type(op)]
            yield f"{type(op).__name__} → {new.__name__}", lambda n: setattr(n, "op", new())
        case ast.Compare(ops=[op]) if type(op) in OPERATORS:
            other = OPERATORS[type(op)]
            yield f"{type(op).__name__} → {other.__name__}", lambda n: setattr(n, "ops", [other()])
        case ast.Constant(value=bool() as value):
            yield f"{value} → {not value}", lambda n: setattr(n, "value", not value)
        case ast.Constant(value=int() | float() as value):
            yield f"{value} → {value + 1}", lambda n: setattr(n, "value", value + 1)
        case ast.Attribute(attr=name) if name in NAMES:
            yield f"{name} → {NAMES[name]}", lambda n: setattr(n, "attr", NAMES[name])
        case ast.UnaryOp(op=ast.USub()):
            yield "− left out", lambda n: setattr(n, "op", ast.UAdd())
        case ast.AugAssign() | ast.Assign(targets=[ast.Subscript()]):
            yield "left out", None


def changed(tree: ast.Module, node: ast.AST, change: Any) -> str:
    """The file with one node changed, or left out where there is no change."""
    memo: dict[int, Any] = {}
    new = copy.deepcopy(tree, memo)
    twin = memo[id(node)]
    if change is not None:
        change(twin)
    else:
        for each in ast.walk(new):
            body = getattr(each, "body", None)
            if isinstance(body, list) and twin in body:
                body[body.index(twin)] = ast.copy_location(ast.Pass(), twin)
    return ast.unparse(ast.fix_missing_locations(new))
