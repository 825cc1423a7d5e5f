"""Vary a study's fields over many runs, and find which values serve best on validation data."""

from __future__ import annotations

import dataclasses
import re
from typing import Annotated, Any, Literal

from etude.cli.output import echo, echo_json
from etude.cli.run import named, parse
from etude.cli.tables import Column, print_table
from etude.errors import UserError
from etude.results.axes import axes_of
from etude.results.listing import duration
from etude.results.trials import Plan, direction_of, metric_of
from etude.study import Count, Natural

USAGE = """usage: etude sweep STUDY --over FIELD=VALUES [--over …] [--trials N] [--any-field VALUE]
…

Runs a study many times with other fields, and finds those that serve best by a metric of its
validation data; test data has no say. Each trial is a run like any other.

  --over width=16,32,64                a list of values
  --over dropout=0:0.5                 a range
  --over learning_rate=log:1e-4:1e-1   a range by orders of magnitude

The same command goes on with a sweep that was stopped, and joins one that is under way: any number
of workers share its trials, on one machine as it is, on many by --storage
postgresql://USER@HOST/NAME. 'etude sweep STUDY --help' shows all options and the study's fields;
those that are given are fixed for all trials."""

SHOWN = 8  # trials in the table


@dataclasses.dataclass(frozen=True)
class Options:
    """How a sweep is carried out; the study's own fields come beside them."""

    over: Annotated[
        tuple[str, ...], "what varies: FIELD=a,b,c or FIELD=low:high or FIELD=log:low:high"
    ] = ()
    trials: Annotated[Natural, "in all, over all workers; 0: 30, or the whole grid"] = 0
    sampler: Annotated[Literal["tpe", "random", "grid", "cmaes"], "how fields are drawn"] = "tpe"
    prune: Annotated[bool, "end a trial whose metric stays worse than the median of the others"] = (
        False
    )
    metric: Annotated[
        str, "to choose by; else the last validation/… that the study's source names"
    ] = ""
    direction: Annotated[
        Literal["guess", "maximize", "minimize"], "of the metric; else by its name"
    ] = "guess"
    storage: Annotated[
        str, "a database, postgresql://USER@HOST/NAME; else a file in the sweep's folder"
    ] = ""
    name: Annotated[str, "of the sweep; else made of what it searches"] = ""
    jobs: Annotated[Count, "trials at once in this worker"] = 1
    scale: Annotated[str, "a named setting of the study"] = "quick"
    seed: Annotated[Natural, "of every trial's run, and of the search"] = 0
    runs: Annotated[str, "folder of all runs; else $ETUDE_RUNS, else ./runs"] = ""
    json: Annotated[bool, "print the result as JSON"] = False


def raw(words: list[str]) -> int:
    """``etude sweep``'s words, as they came."""
    if (entry := named(words, "sweep", USAGE)) is None:
        return 0
    options, fixed = parse(entry, gathered(words[1:]), Options, "sweep")
    axes = axes_of(entry, options.over)
    for axis in axes:
        if axis.name in fixed:
            raise UserError(
                f"field {axis.name} is both varied by --over and fixed; expected one of the two"
            )
    if options.name and not re.fullmatch(r"\w[\w.-]*", options.name):
        raise UserError(
            f"--name '{options.name}' can't be a folder's name; expected letters, digits, '-', '_'"
            " and '.'"
        )
    metric = metric_of(entry, options.metric)
    direction = direction_of(metric) if options.direction == "guess" else options.direction
    plan = Plan(
        entry,
        axes,
        metric,
        direction,
        fixed,
        options.scale,
        options.seed,
        options.sampler,
        options.prune,
        options.name,
    )
    from etude.results.sweep import sweep

    swept = sweep(
        plan,
        trials=options.trials or None,
        storage=options.storage,
        root=options.runs or None,
        jobs=options.jobs,
        say=say,
    )
    if options.json:
        echo_json(swept.as_json(), indent=None)
    else:
        show(swept)
    return int(not swept.best)


def gathered(words: list[str]) -> list[str]:
    """All that is varied behind one ``--over``, however often the option stands there."""
    over: list[str] = []
    rest: list[str] = []
    follows = False
    for word in words:
        if word == "--over":
            follows = True
        elif word.startswith("--over="):
            over.append(word.partition("=")[2])
            follows = False
        elif follows and not word.startswith("--"):
            over.append(word)
        else:
            follows = False
            rest.append(word)
    return [*rest, "--over", *over] if over else rest


def say(line: str) -> None:
    """Progress goes to standard error, so that standard output stays for results."""
    echo(line, error=True)


def show(swept: Any) -> None:
    """The best trials, what the fields explain, where the figures lie, and the command that repeats
    the best.
    """
    from etude.results.sweep import text

    names = [axis.name for axis in swept.plan.axes]
    rows = [
        [
            str(t.number),
            *(text(t.fields[name]) for name in names),
            f"{t.value:.6g}",
            duration(t.seconds),
            t.run or "",
        ]
        for t in swept.best[:SHOWN]
    ]
    if rows:
        columns = [Column("trial", right=True)]
        columns += [Column(name, right=True, wrap=True) for name in names]
        columns += [
            Column(swept.plan.metric, right=True, accent=True, wrap=True),
            Column("time", right=True, drop=1),
            Column("run", wrap=True, drop=2),
        ]
        print_table(columns, rows)
    states = [trial.state for trial in swept.trials]
    counts = [
        f"{states.count(s)} {s}"
        for s in ("complete", "pruned", "failed", "running", "waiting")
        if s in states
    ]
    echo(f"{len(states)} trials: {', '.join(counts)}")
    for trial in [trial for trial in swept.trials if trial.failure][:3]:
        echo(f"✗ trial {trial.number}: {trial.failure}")
    if swept.importances:
        shares = ", ".join(f"{name} {share:.0%}" for name, share in swept.importances.items())
        echo(f"what explains {swept.plan.metric}: {shares}")
    echo(f"trials and figures: {swept.folder}")
    if swept.command:
        echo(swept.command)
