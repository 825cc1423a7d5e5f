"""Packs: the assignments that come with Etude, each made from a reference that runs."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType

from etude.errors import UserError, nearest
from etude.exercises.checks import Check, Local, Value, checks_of
from etude.exercises.grading import Exercise
from etude.exercises.regions import Region, regions_of, starter
from etude.exercises.sandbox import Limits

HERE = Path(__file__).parent / "assignments"
EXPERIMENTS = Path(__file__).parent / "experiments"


@dataclass(frozen=True)
class Pack:
    """One assignment: its text, its reference, its checks.

    Attributes:
        name: of its folder.
    """

    name: str

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return HERE / self.name

    def module(self, part: str) -> ModuleType:
        """A file of it: ``checks``, ``reference``."""
        return importlib.import_module(
            f"etude.exercises.{self.folder.parent.name}.{self.name}.{part}"
        )

    @cached_property
    def text(self) -> str:
        """What is to be done, as Markdown; the title is its first line."""
        return (self.folder / "README.md").read_text(encoding="utf-8")

    @property
    def title(self) -> str:
        """The first line of its text."""
        return self.text.partition("\n")[0].removeprefix("# ")

    @cached_property
    def source(self) -> str:
        """The reference, with its regions."""
        return (self.folder / "reference.py").read_text(encoding="utf-8")

    @cached_property
    def regions(self) -> list[Region]:
        """The tasks, in their order."""
        return regions_of(self.source, f"{self.name}/reference.py")

    @property
    def points(self) -> int:
        """What it is worth."""
        return sum(region.points for region in self.regions)

    @cached_property
    def starter(self) -> str:
        """The file that a student begins with."""
        return starter(self.source, f"{self.name}/reference.py")

    @cached_property
    def checks(self) -> list[Check]:
        """What the student's code is asked."""
        return checks_of(self.module("checks"))

    def exercise(self) -> Exercise:
        """What it is for the grader."""
        packages: tuple[str, ...] = ("numpy",)
        limits = Limits()
        if re.search(r"^(?:import|from) torch\b", self.source, re.MULTILINE):
            packages = ("torch", "numpy")
            limits = Limits(
                wall=120.0, cpu=120, memory=4 << 30
            )  # PyTorch is large, and slow to load
        return Exercise(self.name, self.reference(), tuple(self.checks), packages, limits)

    def reference(self) -> Local:
        """The reference, as code that can be called."""
        return Local(self.module("reference"))

    def troubles(self) -> Iterator[str]:
        """What contradicts itself: a task without a check, points that don't add up."""
        tasks = {region.id: region for region in self.regions}
        ids = [check.id for check in self.checks]
        for name in sorted({name for name in ids if ids.count(name) > 1}):
            yield f"two checks are called {name}"
        for check in self.checks:
            if check.task not in tasks:
                near = nearest(check.task, tasks)
                yield f"the check '{check.name}' is about '{check.task}'{near}"
        for name, region in tasks.items():
            of = [check for check in self.checks if check.task == name]
            if sum(check.points for check in of) != region.points:
                found = sum(check.points for check in of)
                yield f"task {name} has {region.points} points and checks of {found}"
            if not any(check.public for check in of):
                yield f"task {name} has no public check; a student could not see how to begin"


@dataclass(frozen=True)
class Experiment(Pack):
    """An assignment in which a student trains a network, and hands in code, plots and the like.

    Its ``judge.py`` holds the conditions of the syllabus (:mod:`etude.exercises.work`), its
    ``LIMITS`` by scale, and its ``PACKAGES``; its ``twins.py`` solutions that lack one thing
    (:mod:`etude.exercises.twins`).
    """

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return EXPERIMENTS / self.name

    @cached_property
    def checks(self) -> list[Check]:
        """The conditions."""
        return checks_of(self.module("judge"))

    @cached_property
    def solution(self) -> str:
        """The reference as a student would hand it in: with the parts of Etude that it imports."""
        return alone(self.source)

    @property
    def home(self) -> str:
        """The scale at which students check what they have."""
        return str(getattr(self.module("judge"), "HOME", "quick"))

    def exercise(self, scale: str = "full") -> Exercise:
        """What it is for the grader.

        Args:
            scale: ``full``, the data set that the syllabus names; or ``quick``, for which nothing
                has to be downloaded.

        Raises:
            UserError: there is no such scale; its data are not on this machine.
        """
        judge = self.module("judge")
        limits: dict[str, Limits] = judge.LIMITS
        if scale not in limits:
            raise UserError(f"{self.name} has no scale '{scale}'{nearest(scale, limits)}")
        if prepare := getattr(judge, "prepare", None):
            prepare(scale)
        return Exercise(
            self.name,
            Written(self.source),
            tuple(self.checks),
            judge.PACKAGES,
            limits[scale],
            scale,
        )


@dataclass(frozen=True)
class Written:
    """A reference of which the grader needs the text only: it is not imported, and PyTorch neither.

    Attributes:
        text: of it.
    """

    text: str

    def call(self, function: str, *args: Value, **kwargs: Value) -> Value:
        """It is never asked."""
        raise TypeError(f"{function} of a reference is not run where students' code is graded")

    def source(self) -> str:
        """The text."""
        return self.text


OWN = re.compile(r"^ *from (etude\.[\w.]+) import .+$", re.MULTILINE)


def alone(source: str) -> str:
    """A file that needs nothing of Etude: what it imports from there stands in it."""
    parts: list[str] = []

    def with_parts(text: str) -> str:
        for name in dict.fromkeys(OWN.findall(text)):
            found = Path(__file__).parents[1].joinpath(*name.split(".")[1:]).with_suffix(".py")
            part = with_parts(found.read_text(encoding="utf-8"))
            if part not in parts:
                parts.append(part)
        text = text.replace("from __future__ import annotations\n", "")
        return OWN.sub(lambda line: re.sub(r"\S.*", "pass", line[0]), text)

    own = with_parts(source)
    return "from __future__ import annotations\n\n" + "\n\n".join([*parts, own])


def names() -> list[str]:
    """The packs there are."""
    found = [*HERE.glob("*/reference.py"), *EXPERIMENTS.glob("*/reference.py")]
    return sorted(path.parent.name for path in found)


def pack(name: str) -> Pack:
    """One of them.

    Raises:
        UserError: there is none of that name.
    """
    if name not in names():
        raise UserError(f"no assignment '{name}'{nearest(name, names())}")
    return Experiment(name) if (EXPERIMENTS / name).is_dir() else Pack(name)
