"""The pages. Nothing of a request is used as a path: studies, runs and files are looked up
among those there are.
"""

from __future__ import annotations

import io
import os
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response

from etude.app import forms, processes
from etude.app.guard import FOREIGN
from etude.app.waiting import Waiting
from etude.catalogue import Catalogue, in_order, topics
from etude.courses.library import asked_by
from etude.courses.paths import after
from etude.entry import Entry
from etude.errors import UserError, printable
from etude.results import trash
from etude.results.compare import compare
from etude.results.export import ENDINGS, export
from etude.results.listing import SECOND, Listing, describe, duration, standing
from etude.results.pictures import cover, small
from etude.runs import files
from etude.runs.folder import RunFolder
from etude.runs.lesson import illustrated
from etude.runs.record import command_of

if TYPE_CHECKING:
    from etude.app.trying import Trying

LOG_BYTES = 20_000
ROWS = 500  # of the table of runs, unless all are asked for
KINDS = {".png": "image/png", ".svg": "image/svg+xml", ".gif": "image/gif"}


class Pages:
    """What each address shows.

    Args:
        root: the folder of all runs.
        trying: the demos.
    """

    def __init__(self, root: Path, trying: Trying) -> None:
        self.root, self.trying = root, trying
        self.waiting = Waiting(root)
        self.listing = Listing(root)
        self.templates = Environment(
            loader=PackageLoader("etude.app", "templates"),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.templates.policies[
            "json.dumps_kwargs"
        ] = {}  # controls in the order in which the study names them
        self.templates.filters |= {
            "duration": duration,
            "words": lambda name: name.replace("_", " "),
        }

    def show(
        self, request: Request, template: str, status: int = 200, **context: Any
    ) -> HTMLResponse:
        """A page from a template."""
        here = request.url.path.split("/")[1] or "studies"
        return HTMLResponse(
            self.templates.get_template(template).render(here=here, **context), status
        )

    def trouble(self, request: Request, sentence: str, status: int) -> Response:
        """One sentence on a page of its own; as JSON, where a script asked."""
        if "application/json" in request.headers.get("accept", ""):
            return JSONResponse({"error": sentence}, status)
        return self.show(request, "trouble.html", status, title="Not here", sentence=sentence)

    # -- studies -----------------------------------------------------------------------------------

    def catalogue(self, request: Request) -> Response:
        """All studies as cards."""
        entries = in_order(all_entries())
        cards = [(entry, self._held(entry)) for entry in entries]
        here = dict.fromkeys(entry.topic for entry in entries)
        titles = {topic: topics().get(topic, topic) for topic in here}
        asked = {e.name: {course.split()[0] for course in asked_by(e.name)} for e in entries}
        pictured = {
            entry.name
            for entry in entries
            if entry.cover or any(cover(f) for f in reversed(self._runs_of(entry.name)))
        }
        return self.show(
            request,
            "catalogue.html",
            title="Studies",
            cards=cards,
            topics=titles,
            courses=sorted(set().union(*asked.values())),
            asked=asked,
            pictured=pictured,
            words={entry.name: _words(entry.name, entry.lesson) for entry in entries},
        )

    def finished(self, studies: Iterable[str]) -> set[str]:
        """Those of which a run has finished here."""
        return {
            name for name in studies if any(f.result_json.is_file() for f in self._runs_of(name))
        }

    def study(self, request: Request) -> Response:
        """One study: lesson, figures, claims, the form."""
        entry = self._entry(request)
        scale = request.query_params.get("scale", "quick")
        typed = {name: value for name, value in request.query_params.items() if name != "scale"}
        if entry.has_demo:
            self.trying.warm(entry)
        return self._study(request, entry, scale, typed, {})

    def _study(
        self,
        request: Request,
        entry: Entry,
        scale: str,
        typed: Mapping[str, str],
        errors: Mapping[str, str],
    ) -> Response:
        finished = [f for f in self._runs_of(entry.name) if f.result_json.is_file()]
        measured = entry.measured.get(scale, {})
        claims = [
            (claim, next((m for m in measured.get("claims", []) if self._same(m, claim)), None))
            for claim in entry.claims
            if claim.scale == scale
        ]
        last = finished[-1] if finished else None
        pictures = self._pictures(last) if last else []
        lesson, others = lesson_of(entry, last, pictures)
        return self.show(
            request,
            "study.html",
            422 if errors else 200,
            title=entry.title,
            entry=entry,
            asked=asked_by(entry.name),
            after=after(entry.name, Catalogue().all()),
            scale=scale,
            controls=forms.controls(entry, scale, typed, errors),
            seed=typed.get("seed", "0"),
            errors=errors,
            claims=claims,
            measured=measured,
            last=last,
            pictures=others,
            lesson=lesson,
            runs=[describe(f) for f in reversed(self._runs_of(entry.name)[-5:])],
        )

    async def start(self, request: Request) -> Response:
        """Run a study with what the form says; or the form again, with what is wrong beside each
        field.
        """
        from starlette.concurrency import run_in_threadpool

        entry = self._entry(request)
        form = {
            name: value for name, value in (await request.form()).items() if isinstance(value, str)
        }
        scale = form.pop("scale", "quick")
        for field in entry.fields:
            if field.type is bool and f"has-{field.name}" in form:
                form.setdefault(field.name, "false")  # a box that is not ticked sends nothing
        changes, seed, errors = forms.read(entry, scale, form)
        if errors:
            return self._study(request, entry, scale, form, errors)
        title = " ".join(
            [f"{entry.name}, {scale}, seed {seed}"]
            + [f"· {name.replace('_', ' ')} {forms.written(v)}" for name, v in changes.items()]
        )
        words = processes.words_to_run(entry, scale, seed, changes)
        before = self._runs_of(entry.name)
        threads = processes.threads_of(before[-1]) if before else None
        try:
            folder = await run_in_threadpool(self.waiting.begin, title, words, threads)
        except UserError as error:
            return self._study(request, entry, scale, form, {"": str(error)})
        return RedirectResponse(f"/runs/{folder.name}" if folder else WAITING, 303)

    def demo(self, request: Request) -> Response:
        """Something to try."""
        entry = self._entry(request)
        if not entry.has_demo:
            raise HTTPException(404)
        run = self.trying.chosen(entry, request)
        demo = self.trying.demo(entry, run)
        shown = self.trying.described(demo)
        missing = demo.trained and run is None
        return self.show(
            request,
            "try.html",
            title=entry.title,
            entry=entry,
            demo=demo,
            described=shown,
            missing=missing,
            run=run,
            standing=standing(run) if run else "",
        )

    def picture(self, request: Request) -> Response:
        """A small picture of a study: of its last run, or one that Etude ships."""
        entry = self._entry(request)
        for folder in reversed(self._runs_of(entry.name)):
            if path := cover(folder):
                return Response(
                    _small(path, path.stat().st_mtime_ns), media_type="image/webp", headers=BRIEFLY
                )
        if entry.cover:
            return FileResponse(entry.cover, media_type="image/webp")
        raise HTTPException(404)

    # -- runs --------------------------------------------------------------------------------------

    def runs(self, request: Request) -> Response:
        """All runs as a table."""
        rows = self.listing.rows()[::-1]
        shown = len(rows) if "all" in request.query_params else ROWS
        return self.show(
            request,
            "runs.html",
            title="Runs",
            rows=rows[:shown],
            left_out=len(rows[shown:]),
            waiting=self.waiting.asked(),
            cores=self.waiting.cores,
            thrown=len(trash.discarded(self.root)),
        )

    def take_out(self, request: Request) -> Response:
        """A run that waits is not wanted any more."""
        number = request.path_params["number"]
        self.waiting.drop(number)
        return RedirectResponse("/runs", 303)

    def run(self, request: Request) -> Response:
        """One run: while it is under way, and afterwards."""
        folder = self._folder(request)
        about, result = folder.study(), folder.result()
        entry = next((e for e in all_entries() if e.name == about.get("study")), None)
        return self.show(
            request,
            "run.html",
            command=command_of(about),
            title=folder.name,
            folder=folder,
            about=about,
            result=result,
            entry=entry,
            state=folder.state,
            pictures=self._pictures(folder),
            log=self._log(folder),
            error=self._error(folder),
            tables={name: rows for name, rows in folder.tables_of().items() if rows},
            row=describe(folder),
            kinds=[*ENDINGS] if folder.network.is_file() else ["notebook"],
        )

    def live(self, request: Request) -> Response:
        """What changes while a run is under way, as JSON; curves only where there are new rows."""
        folder = self._folder(request)
        size = folder.metrics_jsonl.stat().st_size if folder.metrics_jsonl.is_file() else 0
        new = str(size) != request.query_params.get("size")
        status = folder.status()
        return JSONResponse(
            {
                "state": folder.state,
                "stage": status.get("stage") or "",
                "step": status.get("step"),
                "total": status.get("total"),
                "seconds": (folder.result() or folder.last_row()).get("seconds"),
                "size": size,
                "curves": folder.curves() if new else None,
                "log": self._log(folder),
                "pictures": [(name, file) for name, file in self._pictures(folder)],
            }
        )

    def report(self, request: Request) -> Response:
        """The run's report, whole; its own styles and pictures are inside it.

        It may be a stranger's file, so it is shown and can do nothing. One that is missing is made
        for this answer: to look at a run writes nothing.
        """
        folder = self._folder(request)
        if folder.report_html.is_file():
            return FileResponse(folder.report_html, media_type="text/html", headers=FOREIGN)
        from etude.runs.report import report  # needs PyTorch, which the other pages do without

        return HTMLResponse(report(folder), headers=FOREIGN)

    def figure(self, request: Request) -> Response:
        """One figure of a run."""
        folder = self._folder(request)
        path = folder.figures / request.path_params["file"]
        if path.parent != folder.figures or path.suffix not in KINDS or not path.is_file():
            raise HTTPException(404)
        return FileResponse(path, media_type=KINDS[path.suffix], headers=BRIEFLY | FOREIGN)

    def export(self, request: Request) -> Response:
        """The run's network, or its notebook, to download."""
        folder = self._folder(request)
        kind = request.path_params["kind"]
        if kind not in ENDINGS:
            raise HTTPException(404)
        with tempfile.TemporaryDirectory() as place:
            name = f"{folder.name.replace('/', '-')}{ENDINGS[kind][0]}"
            content = export(folder, kind, Path(place) / name).read_bytes()
        headers = {"content-disposition": f'attachment; filename="{name}"'}
        return Response(content, media_type="application/octet-stream", headers=headers | FOREIGN)

    def act(self, request: Request) -> Response:
        """Stop, resume, or throw away."""
        folder = self._folder(request)
        act = request.path_params["act"]
        if act == "stop":
            processes.stop(folder)
        elif act == "resume":
            title, words = f"{folder.name}, resumed", processes.words_to_resume(folder)
            if not self.waiting.begin(title, words, processes.threads_of(folder)):
                return RedirectResponse(WAITING, 303)
        elif act == "discard":
            trash.discard(folder, self.root)
            return RedirectResponse("/runs", 303)
        else:
            raise HTTPException(404)
        return RedirectResponse(f"/runs/{folder.name}", 303)

    # -- comparison and trash ----------------------------------------------------------------------

    def compare(self, request: Request) -> Response:
        """Two runs or more, side by side."""
        folders = self._chosen(request)
        found = compare(folders)
        names = dict.fromkeys(name for folder in folders for name, _ in self._pictures(folder))
        pictures = {
            name: [
                (folder, file)
                for folder in folders
                for n, file in self._pictures(folder)
                if n == name
            ]
            for name in names
        }
        query = urlencode([("run", folder.name) for folder in folders])
        return self.show(
            request,
            "compare.html",
            title="Runs compared",
            found=found,
            pictures=pictures,
            query=query,
        )

    def compared_curves(self, request: Request) -> Response:
        """The curves of several runs, as JSON: the run takes the place of the stage."""
        curves: dict[str, dict[str, Any]] = {}
        for folder in self._chosen(request):
            for metric, stages in folder.curves().items():
                for stage, series in stages.items():
                    curves.setdefault(metric, {})[
                        " ".join(filter(None, (folder.path.name, stage)))
                    ] = series
        return JSONResponse({"curves": curves})

    def trash(self, request: Request) -> Response:
        """What was thrown away."""
        rows = [describe(folder) for folder in reversed(trash.discarded(self.root))]
        return self.show(request, "trash.html", title="Thrown away", rows=rows)

    def restore(self, request: Request) -> Response:
        """Have a run back."""
        trash.restore(self._folder(request, trash.discarded(self.root)), self.root)
        return RedirectResponse("/runs", 303)

    def empty_trash(self, request: Request) -> Response:
        """Delete for good."""
        trash.empty(self.root)
        return RedirectResponse("/trash", 303)

    # -- looked up ---------------------------------------------------------------------------------

    def _entry(self, request: Request) -> Entry:
        name = request.path_params["study"]
        entry = next((entry for entry in all_entries() if entry.name == name), None)
        if entry is None:
            raise HTTPException(404)
        return entry

    def _folder(self, request: Request, among: list[RunFolder] | None = None) -> RunFolder:
        name = f"{request.path_params['study']}/{request.path_params['run']}"
        return self._named(name, among)

    def _named(self, name: str, among: list[RunFolder] | None = None) -> RunFolder:
        study, _, run = name.partition("/")
        if among is None and (path := _inside(_inside(self.root, study), run)):
            folder = RunFolder(path)  # by two names that are there, and without the others
            if folder.study_json.is_file():
                folder.check()
                return folder
        found = next((f for f in among or [] if f.name == name), None)
        if found is None:
            raise HTTPException(404)
        found.check()
        return found

    def _chosen(self, request: Request) -> list[RunFolder]:
        names = list(dict.fromkeys(request.query_params.getlist("run")))
        return [self._named(name) for name in names[:8]]

    def _runs_of(self, study: str) -> list[RunFolder]:
        """The runs of one study, oldest first, without a look at those of others."""
        home = _inside(self.root, study)
        found = [RunFolder(path.parent) for path in home.glob("*/study.json")] if home else []
        return sorted(
            found,
            key=lambda run: (
                run.path.name[:SECOND],
                run.study_json.lstat().st_mtime_ns,
                run.path.name,
            ),
        )

    @staticmethod
    def _same(measured: Mapping[str, Any], claim: Any) -> bool:
        return bool(measured.get("metric") == claim.metric and measured.get("bound") == claim.bound)

    def _held(self, entry: Entry) -> tuple[int, int]:
        """How many of the quick claims hold as they were measured, and how many there are."""
        measured = entry.measured.get("quick", {}).get("claims", [])
        quick = [claim for claim in entry.claims if claim.scale == "quick"]
        held = sum(
            any(m.get("mark") == "✓" and self._same(m, claim) for m in measured) for claim in quick
        )
        return held, len(quick)

    @staticmethod
    def _pictures(folder: RunFolder) -> list[tuple[str, str]]:
        """(name, file) of each figure: the animation where there is one, else the drawing, else the
        picture.
        """
        found = []
        for path in folder.pictures():
            moving, drawn = path.with_suffix(".gif"), path.with_suffix(".svg")
            best = moving if moving.is_file() else path
            if not moving.is_file() and drawn.is_file() and drawn.stat().st_size < 200_000:
                best = drawn
            found.append((path.stem.replace("_", " "), best.name))
        return found

    @staticmethod
    def _log(folder: RunFolder) -> str:
        try:
            with files.reading(folder.log_txt) as file:
                file.seek(max(0, file.seek(0, io.SEEK_END) - LOG_BYTES))
                return printable(file.read().decode(errors="replace"), keep="\n\t")
        except (OSError, UserError):
            return ""

    @staticmethod
    def _error(folder: RunFolder) -> str:
        path = folder.path / "error.txt"
        if not path.is_file():
            return ""
        return printable(files.read(path).decode(errors="replace")[-4_000:], keep="\n\t")


WAITING = "/runs#waiting"


def _inside(folder: Path | None, name: str) -> Path | None:
    """The folder of a name among those that are there; None where there is none."""
    if folder is None:
        return None
    try:
        with os.scandir(folder) as entries:
            return next((Path(e.path) for e in entries if e.name == name and e.is_dir()), None)
    except OSError:
        return None


BRIEFLY = {"cache-control": "no-cache"}
_known: dict[tuple[str, int], Entry] = {}


def all_entries() -> list[Entry]:
    """Every study of the catalogue; a file is read anew when it has changed."""
    catalogue = Catalogue()
    found = []
    for name, (path, _) in catalogue.files.items():
        key = (name, path.stat().st_mtime_ns)
        if key not in _known:
            _known[key] = catalogue[name]
        found.append(_known[key])
    return found


@lru_cache(256)
def _words(name: str, lesson: str) -> str:
    """All words by which a study is found, each once."""
    return " ".join(dict.fromkeys(re.findall(r"[\w-]{2,}", f"{name} {lesson}".lower())))


@lru_cache(256)
def _lesson(lesson: str, figures: tuple[tuple[str, str], ...]) -> tuple[str, list[str]]:
    return illustrated(lesson.partition("\n")[2].strip(), dict(figures), studies="/studies")


def lesson_of(
    entry: Entry, run: RunFolder | None, pictures: Sequence[tuple[str, str]]
) -> tuple[str, list[tuple[str, str]]]:
    """The lesson as HTML, without its title, with the figures of a run beside the words that speak
    of them; and the figures of which it says nothing.
    """
    at = {
        name.replace(" ", "_"): f"/runs/{run.name}/figures/{file}"
        for name, file in pictures
        if run is not None
    }
    html, others = _lesson(entry.lesson, tuple(at.items()))
    return html, [each for each in pictures if each[0].replace(" ", "_") in others]


@lru_cache(256)
def _small(path: Path, changed: int) -> bytes:
    return small(path)
