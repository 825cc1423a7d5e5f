"""``report.html``: one file, readable offline and on paper, with all that a run has to show."""

from __future__ import annotations

import base64
import hashlib
from io import BytesIO
from pathlib import Path
from typing import Any

from etude.errors import UserError
from etude.runs import files
from etude.runs.checkpoints import write_atomically
from etude.runs.folder import RunFolder
from etude.runs.lesson import illustrated
from etude.runs.record import command_of

LARGEST_SVG = 400_000  # bytes; a larger drawing (thousands of points) is shown as its PNG


def write_report(folder: RunFolder, result: dict[str, Any] | None = None) -> Path:
    """Write ``report.html`` from what the run folder holds; needs nothing else.

    Args:
        folder: of the run.
        result: what the run is about to write as its result, where it has not yet.

    Raises:
        UserError: what it holds is damaged, or the report can't be written.
    """
    page = report(folder, result)
    write_atomically(folder.report_html, page.encode())
    return folder.report_html


def report(folder: RunFolder, result: dict[str, Any] | None = None) -> str:
    """The report as HTML. It executes nothing and fetches nothing, whoever made the run.

    Args:
        folder: of the run.
        result: what the run is about to write as its result, where it has not yet.

    Raises:
        UserError: what the folder holds is damaged.
    """
    from jinja2 import UndefinedError

    folder.check()
    try:
        return _page(folder, result or folder.result())
    except (KeyError, TypeError, ValueError, AttributeError, UndefinedError) as error:
        raise UserError(
            f"run {folder.name} is damaged: its study.json or result.json lacks {error}"
        ) from error


def paper(template: str, **content: Any) -> str:
    """A page in the style of reports. ``template``: its path within the package; it extends
    ``runs/paper.html``, whose policy lets a browser take nothing but what lies in the page: its own
    style, known by its digest, and pictures.
    """
    from jinja2 import Environment, PackageLoader

    environment = Environment(loader=PackageLoader("etude", "."), autoescape=True, trim_blocks=True)
    environment.filters["digest"] = digest
    return environment.get_template(template).render(content)


def digest(text: str) -> str:
    """The digest by which a page's policy names its own style or script."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _page(folder: RunFolder, result: dict[str, Any] | None) -> str:
    study = folder.study()
    pictures = {path.stem: picture(path) for path in folder.pictures()}
    lesson, others = illustrated(_without_title(study.get("lesson", "")), pictures)
    return paper(
        "runs/report.html",
        study=study,
        result=result,
        name=folder.name,
        command=command_of(study),
        title=study.get("title") or study["study"],
        lesson=lesson,
        figures=[(name.replace("_", " "), pictures[name]) for name in others],
        tables={name: rows for name, rows in folder.tables_of().items() if rows},
        curves=_curves(folder),
        minutes=_duration(result["seconds"]) if result else None,
        memory=(
            f"{result['peak_memory_bytes'] / 1e6:,.0f} MB"
            if result and result["peak_memory_bytes"]
            else None
        ),
    )


def _without_title(lesson: str) -> str:
    return lesson.partition("\n")[2].strip()


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.1f} min"


def picture(path: Path) -> str:
    """A figure as the address of an image, of the kind that shows it best."""
    gif, svg = path.with_suffix(".gif"), path.with_suffix(".svg")
    if gif.is_file():
        return data_uri(files.read(gif, files.PICTURE), "image/gif")
    if path == svg or (svg.is_file() and svg.stat().st_size <= LARGEST_SVG):
        return data_uri(files.read(svg, files.PICTURE), "image/svg+xml")
    return data_uri(files.read(path, files.PICTURE), "image/png")


def _curves(folder: RunFolder) -> str | None:
    logged: dict[str, Any] = folder.curves()
    logged = {m: s for m, s in logged.items() if any(len(steps) > 1 for steps, _ in s.values())}
    if not logged:
        return None
    from matplotlib import pyplot

    from etude.figures.curves import learning_curves

    figure, drawn = learning_curves(logged), BytesIO()
    figure.savefig(drawn, format="svg")
    pyplot.close(figure)
    return data_uri(drawn.getvalue(), "image/svg+xml")


def data_uri(content: bytes, kind: str) -> str:
    """An image's address that holds the image."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
