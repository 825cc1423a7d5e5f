"""Study: one experiment, whose fields are its hyper-parameters and whose one call is the
experiment.

    @dataclass
    class Spirals(Study):
        width: Count = 64             # units of each hidden layer
        noise: Amount = 0.05          # standard deviation of the points

        claims = [Claim("train/accuracy", at_least=1.0)]
        scales = {"full": {"width": 256}}

        def __call__(self, run: Run) -> None: ...

A field is an option on the command line, a line in the run's ``study.json`` and a control in the
browser; the comment behind it is its help. A study with methods that take its network says of which
type that is: ``class LanguageModel(Study[GPT])`` has ``predict(self, net: GPT, …)``. This module
needs no torch.
"""

from __future__ import annotations

import inspect
import math
import re
import sys
import traceback
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Generic, Literal, Self

from etude.claims import Claim
from etude.errors import UserError, nearest
from etude.runs.record import DIGITS, checked_file_name, short

if TYPE_CHECKING:
    from torch import Tensor, nn
    from typing_extensions import TypeVar

    from etude.demos import Demo
    from etude.runs.placement import Precision
    from etude.runs.run import Run
    from etude.runs.workers import Strategy

    Net = TypeVar("Net", bound=nn.Module, default=Any)  # a plain Study leaves its network open
else:
    Net = typing.TypeVar("Net")


@dataclass(frozen=True)
class Range:
    """The values that a numeric field may take, ends included unless ``above``."""

    low: float = -math.inf
    high: float = math.inf
    above: bool = False  # strictly greater than low

    def __contains__(self, value: float) -> bool:
        return (
            abs(value) < math.inf
            and (value > self.low if self.above else value >= self.low)
            and value <= self.high
        )

    def __str__(self) -> str:
        if self.high < math.inf:
            return f"from {self.low:g} to {self.high:g}"
        return (
            f"{'above' if self.above else 'of at least'} {self.low:g}"
            if self.low > -math.inf
            else ""
        )


RECORDED = re.compile(r"<!-- recorded -->.*?<!-- /recorded -->\n?", re.DOTALL)
"""The part of a study's README that a program writes."""

Count = Annotated[int, Range(1)]
Natural = Annotated[int, Range(0)]
Amount = Annotated[float, Range(0)]
Positive = Annotated[float, Range(0, above=True)]
Fraction = Annotated[float, Range(0, 1)]
OptimizerName = Literal[
    "sgd",
    "momentum",
    "nesterov",
    "adagrad",
    "adadelta",
    "rmsprop",
    "adam",
    "adamax",
    "adamw",
    "muon",
    "bfgs",
    "lbfgs",
]

FIELD_TYPES: dict[str, Any] = {
    "int": int,
    "float": float,
    "bool": bool,
    "str": str,
    "Count": Count,
    "Natural": Natural,
    "Amount": Amount,
    "Positive": Positive,
    "Fraction": Fraction,
    "OptimizerName": OptimizerName,
    "Literal": Literal,
    "tuple": tuple,
}
"""What a field may be; the catalogue reads annotations with these names and no others."""

OPTIONS = frozenset(
    (
        *("scale", "seed", "devices", "strategy", "device", "precision", "compile", "folds"),
        *("threads", "runs", "checkpoint_every", "quiet", "json", "help"),  # of etude run
        *("over", "trials", "sampler", "prune", "metric", "direction", "storage", "name", "jobs"),
        *("open", "full", "svg"),  # of etude graph
        *("study", "root", "compiled", "begin_again", "stop_after", "prove_resume"),  # of both
    )
)
"""What a study's options stand beside; no field is called so."""


@dataclass
class Study(Generic[Net]):
    """One experiment.

    Subclass it once, give it fields and a ``__call__``; nothing else is inherited. ``Study[GPT]``
    is one whose network is a ``GPT``: so :meth:`network`, :meth:`predict` and :meth:`write` are
    typed.

    Raises:
        UserError: a field's value is of another type, out of its range, or not one of its choices.
    """

    claims: ClassVar[Sequence[Claim]] = ()
    scales: ClassVar[
        Mapping[str, Mapping[str, Any]]
    ] = {}  # beside quick, which is the fields' own defaults
    needs: ClassVar[Sequence[str]] = ()  # the studies that one should know before
    no_onnx: ClassVar[str] = ""  # why ONNX can't express its network; empty where it can

    def __post_init__(self) -> None:
        cls = type(self)
        _check_dataclass(cls)
        name = study_name(cls)
        try:
            hints = typing.get_type_hints(cls, include_extras=True)
        except Exception as error:  # of names that are not there, or stand for something else
            raise UserError(
                f"{name}: the types of its fields can't be understood ({error}); are they imported"
                " from etude?"
            ) from error
        for field in fields(self):
            value = getattr(self, field.name)
            settled = as_python(value)
            check_field(name, field.name, hints[field.name], settled)
            if settled is not value:
                setattr(self, field.name, settled)

    def __call__(self, run: Run) -> None:
        """The experiment."""
        raise NotImplementedError(f"{type(self).__name__} has no __call__(self, run)")

    def network(self) -> Net:
        """A new network as these fields say; what ``etude.load`` puts the weights into."""
        raise UserError(f"study {study_name(type(self))} keeps no network")

    def predict(self, net: Net, input: Any) -> Mapping[str, float]:
        """Classes and probabilities for one input: a path, an array or a text, as the study
        says.
        """
        raise UserError(f"study {study_name(type(self))} has no prediction to offer")

    def demo(self) -> Demo:
        """Something to try on the page in the browser."""
        raise UserError(f"study {study_name(type(self))} has no demo")

    def read(self, input: Any) -> Any:
        """One picture as the network gets it, uint8 (1, height, width); ``etude predict --show``.

        Raises:
            UserError: the study reads no pictures, or can't read this one.
        """
        raise UserError(f"{study_name(type(self))} has no picture to show of what its network gets")

    def write(self, net: Net, input: Any) -> Iterator[str]:
        """What follows one input, piece by piece as it is made; ``etude predict`` shows it so,
        where a study writes.
        """
        raise UserError(f"study {study_name(type(self))} writes no text")

    def example(self) -> Tensor | tuple[Tensor, ...]:
        """A batch of two inputs (or several such tensors), as the network takes them; ONNX is
        traced with it.
        """
        raise UserError(
            f"study {study_name(type(self))} gives no example input; expected a method"
            " example(self)"
        )

    def free_axes(self) -> Sequence[Mapping[int, str]]:
        """For each input of :meth:`example` the axes that may have any size in ONNX, by name, as
        ``[{0: "batch", 1: "length"}]``; empty, as here, it stands for ``{0: "batch"}`` of each.

        Where ONNX can't express a network at all, the class says why instead: ``no_onnx = "…"``.
        """
        return ()

    def why_no_onnx(self) -> str:
        """Why ONNX can't express the network of these fields: ``no_onnx``, unless a study says that
        some of its networks can be expressed; then empty.
        """
        return self.no_onnx

    @classmethod
    def at(cls, scale: str = "quick", **changes: Any) -> Self:
        """The study at a scale, with some fields changed.

        Raises:
            UserError: no such scale, or no such field.
        """
        _check_dataclass(cls)
        settings = {"quick": {}, **cls.scales}
        if scale not in settings:
            raise UserError(
                f"study {study_name(cls)} has no scale '{scale}'{nearest(scale, settings)}"
            )
        values = {**settings[scale], **changes}
        known = [field.name for field in fields(cls)]
        for name in values:
            if name not in known:
                raise UserError(
                    f"study {study_name(cls)} has no field '{name}'{nearest(name, known)}"
                )
        return cls(**values)


def _check_dataclass(cls: type[Study]) -> None:
    """Raise a UserError where a class states fields that Python does not know as such, or ones that
    can't be options.
    """
    if "__dataclass_fields__" not in vars(cls) and vars(cls).get("__annotations__"):
        raise UserError(
            f"class {cls.__name__} states fields and is no dataclass; expected @dataclass in the"
            " line above it"
        )
    for field in fields(cls):
        if trouble := name_trouble(field.name):
            raise UserError(f"{study_name(cls)}: field {field.name} {trouble}")


def name_trouble(name: str) -> str:
    """Why no field can be called so, and how else; empty where it can."""
    other = f"expected another name, such as my_{name.strip('_')}"
    if name in OPTIONS:
        return f"is called as an option of Etude's own; {other}"
    if name in ("claims", "scales", "needs", "no_onnx"):
        return "is not a field but the class's own; expected it without a type, or as ClassVar"
    if hasattr(Study, name):
        return f"is called as something that every study has; {other}"
    if name.startswith("__"):
        return f"begins with two underscores, by which Python changes its name; {other}"
    return "" if name.strip("_") else "has no letter in its name; expected a word"


def as_python(value: Any) -> Any:
    """Numbers of NumPy and of PyTorch as Python's own, arrays of them as tuples."""
    if isinstance(value, tuple) and type(value) is tuple:
        items = tuple(map(as_python, value))
        return value if all(a is b for a, b in zip(items, value, strict=True)) else items
    if hasattr(value, "item") and hasattr(value, "tolist") and not isinstance(value, type):
        plain = value.tolist()
        return tuple(plain) if isinstance(plain, list) else plain
    return value


def check_field(study: str, name: str, kind: Any, value: Any) -> None:
    """Raise a UserError where ``value`` is not what the annotation ``kind`` allows."""
    if not is_kind(kind):
        raise UserError(
            f"{study}: field {name} has a type that no option has; expected one of"
            f" {', '.join(FIELD_TYPES)}, or such a one and None"
        )
    if isinstance(value, int) and value.bit_length() > DIGITS / math.log10(2):
        raise UserError(f"{study}: {name} has more than {DIGITS} digits; expected fewer")
    if not _allows(kind, value):
        raise UserError(f"{study}: {name} is {short(value)}; expected {expectation(kind)}")


def is_kind(kind: Any) -> bool:
    """Whether a field may be of this type."""
    if (origin := typing.get_origin(kind)) in (typing.Union, types.UnionType):
        kind, optional = alternatives(kind)
        return optional and kind is not None and is_kind(kind)
    arguments = typing.get_args(kind)
    if origin is Literal:
        return bool(arguments) and all(isinstance(each, str | int | float) for each in arguments)
    if origin is tuple:
        each = {each for each in arguments if each is not ...}
        return len(each) == 1 and all(
            is_kind(one) and typing.get_origin(one) in (None, Literal, Annotated) for one in each
        )
    return any(_parts(kind)[0] is plain for plain in (int, float, bool, str))


def alternatives(kind: Any) -> tuple[Any, bool]:
    """A type without None, and whether None was a part of it; one of several others is None."""
    if typing.get_origin(kind) not in (typing.Union, types.UnionType):
        return kind, False
    others = [each for each in typing.get_args(kind) if each is not type(None)]
    return others[0] if len(others) == 1 else None, len(others) < len(typing.get_args(kind))


def expectation(kind: Any) -> str:
    """What a field of this type takes, in words: ``a whole number of at least 1``."""
    kind, optional = alternatives(kind)
    if optional:
        return f"{expectation(kind)}, or None"
    if typing.get_origin(kind) is Literal:
        return "one of " + ", ".join(map(str, typing.get_args(kind)))
    if typing.get_origin(kind) is tuple:
        return f"several values, each {expectation(typing.get_args(kind)[0])}"
    plain, limits = _parts(kind)
    noun = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}[plain]
    return f"{noun} {limits}".strip()


def _allows(kind: Any, value: Any) -> bool:
    kind, optional = alternatives(kind)
    if optional and value is None:
        return True
    if typing.get_origin(kind) is Literal:
        return any(
            isinstance(value, type(each))
            and isinstance(value, bool) is isinstance(each, bool)
            and each == value
            for each in typing.get_args(kind)
        )
    if typing.get_origin(kind) is tuple:
        element = typing.get_args(kind)[0]
        return isinstance(value, tuple | list) and all(_allows(element, item) for item in value)
    plain, limits = _parts(kind)
    if isinstance(value, bool) or plain in (bool, str):
        return type(value) is plain or (plain is str and isinstance(value, str))
    return isinstance(value, (int, float) if plain is float else int) and value in limits


def _parts(kind: Any) -> tuple[type, Range]:
    limits = next(
        (item for item in getattr(kind, "__metadata__", ()) if isinstance(item, Range)), Range()
    )
    return (typing.get_args(kind)[0] if typing.get_origin(kind) is Annotated else kind), limits


def study_name(cls: type[Study]) -> str:
    """The name on the command line: that of the study's file."""
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    return Path(file).stem if file else cls.__name__.lower()


def check_study_name(file: Path) -> None:
    """Raise a UserError where the runs of a study in this file can't be in a folder of its name."""
    checked_file_name(f"the name of the study in {file}", file.stem)


def lesson_of(file: Path, docstring: str | None) -> str:
    """A study's lesson as Markdown, its first line the title: the folder's ``README.md``, else the
    docstring.

    What ``etude check --record`` wrote into the README, between its marks, is left out: a page
    shows that itself.
    """
    readme = file.with_name("README.md")
    if file.parent.name == file.stem and readme.is_file():
        # whoever wrote it with another editor is shown what can be read
        text = RECORDED.sub("", readme.read_text(encoding="utf-8-sig", errors="replace"))
        return re.sub(r"\n{3,}", "\n\n", text).removeprefix("# ").strip() + "\n"
    return inspect.cleandoc(docstring or "")


@contextmanager
def _own_files(run: Run, folder: Path) -> Iterator[None]:
    """Make a sentence of a file that the study could not read or write: a missing folder, say.

    What happens to the run's own folder is told by the run. The sentence names the line of the
    study, whose code lies in ``folder``, in which it happened.
    """
    try:
        yield
    except BrokenPipeError:  # the reader of what we print has gone
        raise
    except OSError as error:
        name = "" if error.filename is None else str(error.filename)
        if name and run.folder.path in Path(name).parents:
            raise
        where = traceback.extract_tb(error.__traceback__)
        own = [each for each in where if Path(each.filename).parent == folder]
        last = (own or where)[-1]
        reason = f"{name}: {error.strerror}" if name else str(error)
        raise UserError(
            f"{run.name}: {reason} ({Path(last.filename).name}, line {last.lineno})"
        ) from error


def execute(
    study: Study,
    *,
    seed: int = 0,
    scale: str = "quick",
    root: str | Path | None = None,
    resume: str | Path | None = None,
    device: str | None = None,
    precision: Precision = "auto",
    compiled: bool = False,
    checkpoint_every: float | None = None,
    quiet: bool = False,
    source: str | None = None,
    folds: int = 0,
    threads: int = 0,
    strategy: Strategy = "ddp",
    begin_again: bool = False,
    stop_after: int | None = None,
) -> Run:
    """Run a study to its end and give back the finished run; the arguments are those of
    :class:`etude.Run`.

    ``source`` says where the study is found again: ``catalogue``, or its file's path; by default
    that of its class. ``folds`` cross-validates it first, on so many parts of its training data.
    ``threads`` is the number of processor threads; 0 leaves it to the size of the network
    (:mod:`etude.runs.threads`).

    Claims are those of ``scale``; a study whose fields differ from the scale's is judged all the
    same, and its run says which fields were changed.
    """
    from etude import known, sources
    from etude.runs.run import Run
    from etude.runs.threads import threads_for

    cls = type(study)
    standard = asdict(cls.at(scale))
    values = asdict(study)
    module = sys.modules[cls.__module__]
    file = getattr(
        module, "__file__", None
    )  # none in a notebook, whose module's docstring is IPython's
    if source is None:
        path = str(Path(file).resolve()) if file else ""
        source = "catalogue" if cls.__module__.startswith("etude.studies.") else path
    own = cls.__doc__ or ""
    if own.startswith(f"{cls.__name__}("):  # what a dataclass writes where its author wrote nothing
        own = ""
    docstring = (module.__doc__ if file else None) or own
    lesson = lesson_of(Path(file), docstring) if file else inspect.cleandoc(docstring or "")
    digests = sources.digests(Path(file)) if file else {}
    about = {
        "title": lesson.partition("\n")[0].rstrip(".") or study_name(cls),
        "source": source,
        "digest": sources.together(digests) if file else None,
        "digests": digests,
        "changed": {name: value for name, value in values.items() if value != standard[name]},
        "lesson": lesson,
        **({"folds": folds} if folds else {}),
    }
    run = Run(
        study_name(cls),
        seed=None if resume else seed,  # that with which it began
        scale=scale,
        fields=values,
        claims=cls.claims,
        about=about,
        root=root,
        resume=resume,
        device=device,
        precision=precision,
        compiled=compiled,
        checkpoint_every=checkpoint_every,
        quiet=quiet,
        threads=threads or threads_for(study.network),
        strategy=strategy,
        begin_again=begin_again,
        stop_after=stop_after,
    )
    with run, _own_files(run, Path(file or ".").parent):
        if file and source != "catalogue" and run.workers.first:
            known.remember(Path(file))
        if file and not resume and run.workers.first:
            run.folder.keep_source(sources.kept(Path(file)))
        if folds:
            from etude.training.validation import cross_validate

            cross_validate(run, study, folds)
        study(run)
    return run
