"""A study's claims over seeds as a report that stands alone: one HTML file, and LaTeX with its
figures beside it.
"""

from __future__ import annotations

import math
import re
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from etude.entry import Entry
from etude.errors import UserError
from etude.results.check import Checked, Judged, Outcome, Say, check
from etude.results.files import whole
from etude.results.latex import Latex, from_markdown, latex
from etude.results.listing import duration
from etude.runs.folder import RunFolder, runs_root

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from etude.figures.seeds import Band


@dataclass(frozen=True)
class Reproduction:
    """What was measured, and the two files that tell it."""

    checked: Checked
    html: Path
    tex: Path

    def as_json(self) -> dict[str, Any]:
        """Plain data for ``etude reproduce --json``."""
        return {**self.checked.as_json(), "html": str(self.html), "latex": str(self.tex)}


def reproduce(
    entry: Entry,
    scale: str = "quick",
    *,
    seeds: int = 5,
    reuse: bool = False,
    root: str | Path | None = None,
    out: str | Path | None = None,
    jobs: int = 1,
    say: Say = print,
) -> Reproduction:
    """Run a study over seeds 0 … seeds-1, judge its claims, and write ``report.html`` and
    ``report.tex``.

    Args:
        entry: the study.
        scale: whose claims.
        seeds: how many.
        reuse: take finished, unchanged runs instead of running again.
        root: the folder of all runs.
        out: the report's folder; by default ``<study>/reproductions/<scale>`` among the runs.
        jobs: how many run at once.
        say: gets lines of progress.

    Raises:
        UserError: the study claims nothing at this scale, no run ended well, or the folder can't be
            written.
    """
    folder = Path(out) if out else runs_root(root) / entry.name / "reproductions" / scale
    entry.defaults(scale)  # raises where there is no such scale
    (checked,) = check([entry], scale, seeds=seeds, reuse=reuse, root=root, jobs=jobs, say=say)
    if not any(outcome.folder for outcome in checked.outcomes):
        raise UserError(
            f"no run of {entry.name} ended well, and there is nothing to report:"
            f" {checked.failures[0]}"
        )
    try:
        (folder / "figures").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"the folder {folder} can't be made: {error.strerror or error}") from error
    words = [
        "etude",
        "reproduce",
        entry.name if entry.module else str(entry.path),
        "--seeds",
        str(seeds),
    ]
    told = contents(checked, shlex.join([*words, "--scale", scale]))
    curves = _bands([outcome.folder for outcome in checked.outcomes if outcome.folder])
    return Reproduction(
        checked, _html(folder, told, curves, checked), _tex(folder, told, curves, checked)
    )


def contents(checked: Checked, command: str) -> dict[str, Any]:
    """All that both reports say, as texts; a number of the runs is given to six digits, a mean with
    its interval.
    """
    entry, outcomes = checked.entry, checked.outcomes
    ended = [outcome for outcome in outcomes if outcome.folder and outcome.result]
    assert ended[0].folder
    about = ended[0].folder.study()
    machine = about.get("machine", {})
    claimed = [judged.claim.metric for judged in checked.claims]
    metrics = dict.fromkeys(
        key for outcome in ended for key in (outcome.result or {}).get("metrics", {})
    )
    helps = {field.name: field.help for field in entry.fields}
    return {
        "study": entry.name,
        "title": entry.title,
        "scale": checked.scale,
        "command": command,
        "seeds": [outcome.seed for outcome in outcomes],
        "claims": [_claimed(judged, outcomes) for judged in checked.claims],
        "metrics": [
            {"metric": name, "mean": _mean(_values(outcomes, name)), "each": _each(outcomes, name)}
            for name in metrics
            if name not in claimed
        ],
        "runs": [
            {
                "seed": o.seed,
                "time": duration((o.result or {}).get("seconds")),
                "failure": o.failure or "",
                "memory": _memory((o.result or {}).get("peak_memory_bytes")),
                "run": o.folder.name if o.folder else "",
            }
            for o in outcomes
        ],
        "failures": checked.failures,
        "fields": [
            {"name": name, "value": _text(value), "help": helps.get(name, "")}
            for name, value in about.get("fields", {}).items()
        ],
        "machine": {
            "processor": (
                f"{machine.get('processor')}, {machine.get('cores')} cores, {machine.get('system')}"
            ),
            "device": f"{about.get('device')}, {about.get('threads')} threads",
            **{f"{name} version": version for name, version in about.get("versions", {}).items()},
            "commit": about.get("commit") or "unknown",
            "date": str(about.get("started", ""))[:10],
        },
        "references": [
            " ".join(text.split())
            for text in re.split(r"\n\s*\n", entry.references)
            if text.strip()
        ],
    }


def _claimed(judged: Judged, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    claim = judged.claim
    words = (
        "suspiciously perfect"
        if judged.verdict.suspicious
        else "holds"
        if judged.held
        else "does not hold"
    )
    if judged.partial and not judged.failed:
        words = f"on {judged.seeds} of the {claim.seeds} seeds that it states"
    return {
        "metric": claim.name,
        "bound": claim.bound,
        "of": "each seed" if claim.each else "the mean",
        "mean": _mean(_values(outcomes, claim.metric)),
        "each": _each(outcomes, claim.metric),
        "verdict": words,
        "held": judged.held,
        "source": claim.source,
    }


def _values(outcomes: Sequence[Outcome], metric: str) -> list[float]:
    return [value for outcome in outcomes if (value := outcome.metric(metric)) is not None]


def _each(outcomes: Sequence[Outcome], metric: str) -> list[str]:
    values = [outcome.metric(metric) for outcome in outcomes]
    return ["–" if value is None else f"{value:.6g}" for value in values]


def _mean(values: list[float]) -> str:
    """The mean ± half the width of its 95 % interval, by Student's t."""
    from etude.training.comparison import interval

    return str(interval(values)) if values else "not measured"


def _memory(amount: Any) -> str:
    return f"{amount / 1e6:,.0f} MB" if isinstance(amount, int | float) else "–"


def _text(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


# -- curves ----------------------------------------------------------------------------------------


def _bands(folders: Sequence[RunFolder]) -> dict[str, dict[str, Band]]:
    """Mean and 95 % interval over the runs, of each metric and stage that all of them have logged
    at the same steps.
    """
    from etude.figures.seeds import Band
    from etude.training.comparison import interval

    logged = [folder.curves() for folder in folders]
    found: dict[str, dict[str, Band]] = {}
    for metric, stages in logged[0].items():
        for stage, (steps, _) in stages.items():
            series = [curves.get(metric, {}).get(stage) for curves in logged]
            whole_series = [each for each in series if each is not None and each[0] == steps]
            if len(steps) < 2 or len(whole_series) < len(folders):
                continue
            each = [values for _, values in whole_series]
            known = [interval([values[i] for values in each]) for i in range(len(steps))]
            halves = [0.0 if math.isnan(line.half) else line.half for line in known]
            mean = [line.mean for line in known]
            low = [m - h for m, h in zip(mean, halves, strict=True)]
            high = [m + h for m, h in zip(mean, halves, strict=True)]
            found.setdefault(metric, {})[stage] = Band(steps, mean, low, high, each)
    return found


def _drawn(curves: dict[str, dict[str, Band]]) -> Figure:
    from etude.figures.seeds import bands

    return bands(curves)


# -- the two files ---------------------------------------------------------------------------------


def _html(
    folder: Path, told: dict[str, Any], curves: dict[str, dict[str, Band]], checked: Checked
) -> Path:
    from matplotlib import pyplot

    from etude.runs.lesson import lesson_html
    from etude.runs.report import data_uri, paper, picture

    image = None
    if curves:
        figure, drawn = _drawn(curves), BytesIO()
        figure.savefig(drawn, format="svg")
        pyplot.close(figure)
        image = data_uri(drawn.getvalue(), "image/svg+xml")
    first = next(outcome for outcome in checked.outcomes if outcome.folder)
    assert first.folder
    page = paper(
        "results/reproduction.html",
        **{**told, "references": [lesson_html(text) for text in told["references"]]},
        curves=image,
        first=first.seed,
        figures=[(path.stem.replace("_", " "), picture(path)) for path in first.folder.pictures()],
    )
    with whole(folder / "report.html") as part:
        part.write_text(page, encoding="utf-8")
    return folder / "report.html"


def _tex(
    folder: Path, told: dict[str, Any], curves: dict[str, dict[str, Band]], checked: Checked
) -> Path:
    from jinja2 import Environment, PackageLoader
    from matplotlib import pyplot

    figures = folder / "figures"
    if curves:
        figure = _drawn(curves)
        with whole(figures / "curves.pdf") as part:
            figure.savefig(part, format="pdf")
        pyplot.close(figure)
    first = next(outcome for outcome in checked.outcomes if outcome.folder)
    assert first.folder
    kept = []
    for path in [path for path in first.folder.pictures() if path.suffix == ".png"]:
        name = "seed-" + re.sub(r"[^\w-]|_", "-", path.stem, flags=re.ASCII)
        with whole(figures / f"{name}.png") as part:
            shutil.copyfile(path, part)
        kept.append({"caption": path.stem.replace("_", " "), "file": Latex(f"figures/{name}.png")})
    environment = Environment(
        loader=PackageLoader("etude.results", "."),
        finalize=latex,
        trim_blocks=True,
        lstrip_blocks=True,
        block_start_string="<%",
        block_end_string="%>",
        variable_start_string="<<",
        variable_end_string=">>",
        comment_start_string="<#",
        comment_end_string="#>",
        autoescape=False,
        keep_trailing_newline=True,
    )
    page = environment.get_template("reproduction.tex").render(
        **{
            **told,
            "title": from_markdown(told["title"]),
            "references": [*map(from_markdown, told["references"])],
        },
        curves=bool(curves),
        first=first.seed,
        figures=kept,
        columns=Latex("r" * len(told["seeds"])),
    )
    with whole(folder / "report.tex") as part:
        part.write_text(page, encoding="utf-8")
    return folder / "report.tex"
