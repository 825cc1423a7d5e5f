"""Run a study; any of its fields is an option.

The options come from the study's source, so ``--help`` and mistakes are answered before anything
heavy is imported.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin, get_type_hints

from etude.catalogue import Catalogue
from etude.cli.output import echo, echo_json
from etude.entry import Entry
from etude.errors import UserError, nearest, printable
from etude.runs.launch import launch, launched
from etude.runs.record import option_of
from etude.study import Count, Natural, Positive, check_field, expectation

if TYPE_CHECKING:
    from etude.runs.run import Run

USAGE = """usage: etude run STUDY [--scale SCALE] [--seed N] [--any-field VALUE] …

Runs a study, by its name in 'etude list' or by the path of your own study's file, and leaves a run
folder with its metrics, network, figures and report. 'etude run STUDY --help' shows the study's
fields and all options."""

OPTION = re.compile(r"--\w[\w-]*")


@dataclasses.dataclass(frozen=True)
class Options:
    """How a run is carried out; the study's own fields come beside them."""

    scale: Annotated[str, "a named setting of the study"] = "quick"
    seed: Annotated[Natural, "of every random generator"] = 0
    devices: Annotated[
        Count, "processes that share the work: GPUs, or processors where there is none"
    ] = 1
    strategy: Annotated[
        Literal["ddp", "fsdp"], "of several: each holds the network, or a shard of it"
    ] = "ddp"
    device: Annotated[str, "cpu, cuda, cuda:1 …, mps; cuda by default where there is one"] = ""
    precision: Annotated[
        Literal["auto", "fp32", "bf16"], "arithmetic; auto chooses by device and network"
    ] = "auto"
    compile: Annotated[bool, "compile the network: pays for long runs only"] = False
    folds: Annotated[Natural, "cross-validate first, on so many parts of the training data"] = 0
    threads: Annotated[
        Natural, "processor threads; 0: one for a small network, else as PyTorch chooses"
    ] = 0
    runs: Annotated[str, "folder of all runs; else $ETUDE_RUNS, else ./runs"] = ""
    checkpoint_every: Annotated[Positive, "seconds between checkpoints"] = 30.0
    quiet: Annotated[bool, "print nothing while it runs"] = False
    json: Annotated[bool, "print the result as JSON"] = False
    prove_resume: Annotated[
        bool, "run it once more, stopped and resumed on the way, and say whether anything differs"
    ] = False


def raw(words: list[str]) -> int:
    """``etude run``'s words, as they came."""
    if (entry := named(words, "run", USAGE)) is None:
        return 0
    options, changes = parse(entry, words[1:])

    if options.prove_resume and (options.devices > 1 or launched()):
        raise UserError("--prove-resume takes one process; expected no --devices beside it")
    if options.devices > 1 and not launched():
        return launch(["run", *words], options.devices, options.threads)

    from etude.study import execute

    def perform(root: str | Path | None, **more: Any) -> Run:
        return execute(
            entry.load().at(options.scale, **changes),
            seed=options.seed,
            scale=options.scale,
            source=entry.source,
            root=root,
            device=options.device or None,
            precision=options.precision,
            compiled=options.compile,
            quiet=options.quiet,
            folds=options.folds,
            threads=options.threads,
            strategy=options.strategy,
            checkpoint_every=(
                None
                if options.checkpoint_every == Options.checkpoint_every
                else options.checkpoint_every
            ),
            **more,
        )

    run = perform(options.runs or None)
    if options.prove_resume:
        from etude.results.prove import prove_resume

        proof = prove_resume(run, perform, None if entry.module else entry.path.parent)
        for line in proof.lines():
            echo(line)
        return 0 if proof.exact else 1
    if options.json and run.workers.first:
        echo_json({"run": str(run.folder.path), **(run.folder.result() or {})}, indent=None)
    return 0


def named(words: list[str], verb: str, usage: str) -> Entry | None:
    """The study that a verb's words begin with; None where they ask how it is used, which is told.

    Raises:
        UserError: no study, or none of that name.
    """
    if not words or words[0] in ("-h", "--help"):
        echo(usage, lines=True)
        return None
    if words[0].startswith("-"):
        raise UserError(
            f"etude {verb}: expected a study before {words[0]}; 'etude list' shows them"
        )
    return Catalogue()[words[0]]


def parse(
    entry: Entry, words: list[str], options: type[Any] = Options, verb: str = "run"
) -> tuple[Any, dict[str, Any]]:
    """The verb's own options, and those of the study's fields that differ from the scale's.

    Raises:
        UserError: an option is unknown, or a value is not what its type allows.
    """
    import tyro

    words = [_as_written(word) for word in words]
    scale = _scale(words)
    defaults = entry.defaults(scale)
    kinds = {field.name: field.type for field in entry.fields}
    helps = {field.name: printable(field.help) for field in entry.fields}
    ours: dict[str, Any] = {}
    for name, hint in get_type_hints(options, include_extras=True).items():
        ours[name], helps[name] = _parts(hint)
    known = {option_of(name): name for name in [*kinds, *ours]}
    known |= {f"--no-{o[2:]}": n for o, n in known.items() if (kinds | ours)[n] is bool}
    for word in words:
        option_word = OPTION.match(word)
        if option_word and option_word[0] not in [*known, "--help"]:
            raise UserError(
                f"study {entry.name} has no option"
                f" '{option_word[0]}'{nearest(option_word[0], known)}"
            )

    asked = not {"-h", "--help"}.isdisjoint(words)

    def argument(name: str, kind: Any, default: Any) -> tuple[str, Any, Any]:
        if asked:  # nothing is read then, all is shown
            kind, default = (
                _shown(kind),
                printable(default) if isinstance(default, str) else default,
            )
        called = option_of(name)[2:] if name.strip("_") != name else None
        described = Annotated[kind, tyro.conf.arg(help=helps[name], name=called)]
        return (name, described, dataclasses.field(default=default))

    fields = [argument(name, kind, defaults[name]) for name, kind in kinds.items()]
    fields += [
        argument(name, kind, scale if name == "scale" else getattr(options, name))
        for name, kind in ours.items()
    ]
    shape = dataclasses.make_dataclass(entry.class_name, fields)
    shape.__doc__ = f"{printable(entry.title)}."
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            chosen: Any = tyro.cli(shape, args=words, prog=f"etude {verb} {entry.name}")
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        raise _mistake(entry, said.getvalue(), words, known, kinds | ours) from None
    for name, kind in (kinds | ours).items():
        check_field(entry.name, name, kind, getattr(chosen, name))
    own = options(**{name: getattr(chosen, name) for name in ours})
    return own, {
        name: getattr(chosen, name) for name in kinds if getattr(chosen, name) != defaults[name]
    }


def _as_written(word: str) -> str:
    """An option as ``--help`` writes it: ``--weight_decay`` is ``--weight-decay``."""
    found = OPTION.match(word)
    return option_of(found[0][2:]) + word[found.end() :] if found else word


def _scale(words: list[str]) -> str:
    for place, word in enumerate(words):
        if word == "--scale":
            return words[place + 1] if place + 1 < len(words) else ""
        if word.startswith("--scale="):
            return word.partition("=")[2]
    return "quick"


def _shown(kind: Any) -> Any:
    """A field's type for its help: the texts to choose from stand there as they may be printed."""
    if get_origin(kind) is not Literal:
        return kind
    literal: Any = Literal
    return literal[tuple(printable(x) if isinstance(x, str) else x for x in get_args(kind))]


def _parts(hint: Any) -> tuple[Any, str]:
    help_text = hint.__metadata__[-1]
    rest = hint.__metadata__[:-1]
    return (Annotated[(hint.__origin__, *rest)] if rest else hint.__origin__), help_text


def _mistake(
    entry: Entry, said: str, words: list[str], known: dict[str, str], kinds: dict[str, Any]
) -> UserError:
    """The parser's box as one sentence: which option, what was given, what would be right."""
    for option in OPTION.findall(said):
        name = known.get(option)
        place = next(
            (i for i, w in enumerate(words) if w.partition("=")[0] == option),
            None,
        )
        if name is None or place is None:
            continue
        given = words[place].partition("=")[2] or next(iter(words[place + 1 : place + 2]), "")
        return UserError(
            f"{entry.name}: {option} can't be '{given}'; expected {expectation(kinds[name])}"
        )
    lines = [line.strip("│ ").strip() for line in said.splitlines() if line.startswith("│")]
    return UserError(f"{entry.name}: {lines[0] if lines else 'the options could not be read'}")
