"""Demos: what a visitor gave, checked; the trained network, loaded once; the answer, as JSON."""

from __future__ import annotations

import base64
import io
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from etude.app.pages import all_entries
from etude.demos import (
    Answer,
    Bars,
    Demo,
    Drawing,
    Frames,
    Grid,
    Image,
    Pictures,
    Points,
    Said,
    Tokens,
)
from etude.entry import Entry
from etude.errors import UserError
from etude.results.listing import trusted
from etude.results.load import Trained, load
from etude.runs.folder import RunFolder, find_runs

if TYPE_CHECKING:
    from torch import nn

KEPT = 4  # networks in memory


class Trying:
    """The demos of all studies, over the runs in ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._loaded: dict[str, tuple[Trained, Demo]] = {}
        self._warmed: set[str] = set()
        self._lock = threading.Lock()  # one answer at a time: PyTorch uses every core for it

    def latest(self, entry: Entry) -> RunFolder | None:
        """The run of a study that answers, if one is finished and kept a network: the newest whose
        claims hold, else the newest.
        """
        runs = [f for f in find_runs(self.root) if f.path.parent.name == entry.name]
        whole = [f for f in runs if f.result_json.is_file() and f.network.is_file()]
        return trusted(whole) if whole else None

    def chosen(self, entry: Entry, request: Request) -> RunFolder | None:
        """The run that the address names by ``run=``, whose network is tried; else the newest."""
        name = request.query_params.get("run")
        if name is None:
            return self.latest(entry)
        runs = (
            f
            for f in find_runs(self.root)
            if f.path.parent.name == entry.name and f.path.name == name
        )
        run = next((f for f in runs if f.network.is_file()), None)
        if run is None:
            raise HTTPException(404)
        return run

    def demo(self, entry: Entry, run: RunFolder | None) -> Demo:
        """A study's demo, with the fields of the run whose network it shows."""
        with self._lock:
            return self._trained(run)[1] if run else entry.load().at("quick").demo()

    def warm(self, entry: Entry) -> None:
        """Load PyTorch, the study and its network, while the visitor still reads about it."""
        if entry.name in self._warmed:
            return
        self._warmed.add(entry.name)

        def load() -> None:
            with suppress(UserError, OSError):  # who tries it is told
                self.demo(entry, self.latest(entry))

        threading.Thread(target=load, daemon=True).start()

    async def answer(self, request: Request) -> Response:
        """The answer to what a visitor gave."""
        entry = next((e for e in all_entries() if e.name == request.path_params["study"]), None)
        if entry is None or not entry.has_demo:
            raise HTTPException(404)
        try:
            given = await request.json()
        except (ValueError, UnicodeDecodeError, RecursionError):
            given = None
        if not isinstance(given, dict):
            raise UserError("the request is no JSON object")
        return JSONResponse(
            await run_in_threadpool(self._answer, entry, self.chosen(entry, request), given)
        )

    def _answer(
        self, entry: Entry, run: RunFolder | None, given: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        import torch

        demo = self.demo(entry, run)
        if set(given) != set(demo.inputs):
            raise UserError(
                f"the inputs are {', '.join(given) or 'none'}; expected {', '.join(demo.inputs)}"
            )
        values = {name: control.read(given[name]) for name, control in demo.inputs.items()}
        if demo.trained and run is None:
            raise UserError(f"study {entry.name} has no finished run here; train it first")
        with self._lock:
            net: nn.Module | None = (
                self._trained(run)[0].network.eval() if demo.trained and run else None
            )
            with torch.set_grad_enabled(not demo.trained), torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                return [encoded(answer) for answer in demo.answer(net, **values)]

    def _trained(self, run: RunFolder) -> tuple[Trained, Demo]:
        if run.name not in self._loaded:
            while len(self._loaded) >= KEPT:
                self._loaded.pop(next(iter(self._loaded)))
            trained = load(run)
            self._loaded[run.name] = trained, trained.study.demo()
        return self._loaded[run.name]

    @staticmethod
    def described(demo: Demo) -> dict[str, Any]:
        """The demo's controls, as the page's script takes them."""
        controls = {}
        for name, control in demo.inputs.items():
            about = {"kind": type(control).__name__.lower(), **asdict(control)}
            if isinstance(control, Drawing):
                about["examples"] = {key: _levels(image) for key, image in control.examples.items()}
            elif isinstance(control, Points):
                about["examples"] = {
                    key: [list(p) for p in points] for key, points in control.examples.items()
                }
            controls[name] = about
        return {"inputs": controls, "guesses": list(demo.guesses), "live": demo.live}


def encoded(answer: Answer) -> dict[str, Any]:
    """An answer as the page's script takes it: images as PNG in data addresses."""
    about: dict[str, Any] = {"kind": type(answer).__name__.lower(), "title": answer.title}
    match answer:
        case Bars():
            return about | {"values": {str(k): float(v) for k, v in answer.values.items()}}
        case Pictures():
            images = [[caption, address(image)] for caption, image in answer.images.items()]
            return about | {"images": images, "width": answer.width, "smooth": answer.smooth}
        case Frames():
            images = [[c, address(i)] for c, i in zip(answer.captions, answer.images, strict=True)]
            return about | {"images": images, "width": answer.width, "smooth": answer.smooth}
        case Tokens():
            pieces = [[text, round(float(weight), 4)] for text, weight in answer.pieces]
            return about | {"pieces": pieces, "notes": list(answer.notes), "given": answer.given}
        case Grid():
            values = np.asarray(answer.values, dtype=np.float64).round(3).tolist()
            return about | {
                "rows": list(answer.rows),
                "columns": list(answer.columns),
                "values": values,
            }
        case Said():
            return about | {"text": answer.text}


def address(image: Image) -> str:
    """An image, (height, width) or (height, width, 3), from 0 to 1, as a data address; a large one
    as WebP.
    """
    from PIL import Image as Pillow

    levels = (
        (np.clip(np.nan_to_num(np.asarray(image, dtype=np.float64)), 0, 1) * 255)
        .round()
        .astype(np.uint8)
    )
    out, kind = io.BytesIO(), "webp" if levels.size > 100_000 else "png"
    Pillow.fromarray(levels).save(out, kind, method=0, quality=80)  # of WebP: fast
    return f"data:image/{kind};base64,{base64.b64encode(out.getvalue()).decode()}"


def _levels(image: Image) -> list[int]:
    return (np.clip(np.asarray(image), 0, 1) * 255).round().astype(int).flatten().tolist()
