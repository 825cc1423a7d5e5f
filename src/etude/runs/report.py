"""``report.html``: one file, readable offline and on paper, with all that a run has to show."""

from __future__ import annotations

import base64
from io import BytesIO
from pathlib import Path
from typing import Any

from etude.errors import UserError
from etude.runs import files
from etude.runs.checkpoints import write_atomically
from etude.runs.folder import RunFolder
from etude.runs.lesson import lesson_html

LARGEST_SVG = 400_000  # bytes; a larger drawing (thousands of points) is shown as its PNG


def write_report(folder: RunFolder) -> Path:
    """Write ``report.html`` from what the run folder holds; needs nothing else.

    Raises:
        UserError: what it holds is damaged, or the report can't be written.
    """
    from jinja2 import UndefinedError

    folder.check()
    try:
        page = _page(folder)
    except (KeyError, TypeError, ValueError, AttributeError, UndefinedError) as error:
        raise UserError(
            f"run {folder.name} is damaged: its study.json or result.json lacks {error}"
        ) from error
    write_atomically(folder.report_html, page.encode())
    return folder.report_html


def paper(template: str, **content: Any) -> str:
    """A page in the style of reports. ``template``: its path within the package; it extends
    ``runs/paper.html``.
    """
    from jinja2 import Environment, PackageLoader

    environment = Environment(loader=PackageLoader("etude", "."), autoescape=True, trim_blocks=True)
    return environment.get_template(template).render(content)


def _page(folder: RunFolder) -> str:
    study, result = folder.study(), folder.result()
    return paper(
        "runs/report.html",
        study=study,
        result=result,
        name=folder.name,
        title=study.get("title") or study["study"],
        lesson=lesson_html(_without_title(study.get("lesson", ""))),
        figures=[(path.stem.replace("_", " "), picture(path)) for path in folder.pictures()],
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
