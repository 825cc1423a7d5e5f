"""Run folders of strangers, made to do harm: they lead elsewhere, never end, or name code.

Each is used as a person would use it, by the command line and from Python. Whatever of a person's
own files is changed or shown in a report, and whatever code is executed, leaves a folder
``executed``.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from PIL import Image

from etude import known
from etude.catalogue import Catalogue
from etude.cli import main
from etude.cli.run import parse
from etude.data.images import read_image
from etude.errors import UserError
from etude.results.export import export
from etude.results.listing import describe
from etude.results.load import load
from etude.results.pictures import small
from etude.runs.folder import RunFolder, find_runs
from etude.runs.report import write_report
from etude.runs.run import Run

SECRET = "this is nobody else's business"
EVIL = '''"""Evil."""
import os
from dataclasses import dataclass
from etude import Study

os.mkdir({marker!r})


@dataclass
class Evil(Study):
    def __call__(self, run):
        pass
'''
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
Plant = Callable[[Path, Path], None]


def _study(source: str) -> dict[str, object]:
    return {
        "study": "evil",
        "title": "Evil",
        "source": source,
        "scale": "quick",
        "seed": 0,
        "fields": {},
        "changed": {},
        "device": "cpu",
        "precision": "auto",
        "threads": 1,
        "compiled": False,
        "lesson": "",
        "versions": {},
        "machine": {},
        "started": "2025-01-01T00:00:00",
    }


def a_run(root: Path, source: str = "catalogue", name: str = "2025-01-01_00-00-00-aaaa") -> Path:
    """A run that was stopped, as it comes from somebody else, with a file of each kind."""
    path = root / "evil" / name
    for part in ("figures", "tables", "checkpoint", "source"):
        (path / part).mkdir(parents=True)
    (path / "study.json").write_text(json.dumps(_study(source)))
    (path / "metrics.jsonl").write_text('{"step": 1, "loss": 2.0}\n')
    (path / "tables" / "t.csv").write_text("a,b\n1,2\n")
    (path / "figures" / "f.svg").write_text("<svg/>")
    return path


@contextlib.contextmanager
def _at(place: Path) -> Iterator[None]:
    before, settings = Path.cwd(), os.environ.get("ETUDE_CONFIG")
    os.chdir(place)
    os.environ["ETUDE_CONFIG"] = str(place / "settings")
    try:
        yield
    finally:
        os.chdir(before)
        os.environ.pop("ETUDE_CONFIG")
        if settings is not None:
            os.environ["ETUDE_CONFIG"] = settings


def _refused(uses: Sequence[Callable[[], object]], saying: str) -> None:
    """Raise the last refusal; or an error, if something was not refused, or for another reason."""
    last = None
    for number, use in enumerate(uses):
        try:
            use()
        except UserError as error:
            if saying not in str(error):
                raise AssertionError(f"use {number}: {error}") from error
            last = error
        else:
            raise AssertionError(f"use {number} was not refused")
    assert last
    raise last


def _uses(folder: RunFolder) -> list[Callable[[], object]]:
    """What a person does with somebody's run."""
    return [
        lambda: RunFolder.open(folder.path),
        lambda: RunFolder.open(folder.path.name, folder.path.parents[1]),
        lambda: write_report(folder),
        lambda: load(folder),
        lambda: export(folder, "notebook", Path("out.ipynb")),
        lambda: export(folder, "safetensors", Path("out.safetensors")),
        lambda: Run("evil", resume=folder, quiet=True).__enter__(),
    ]


# -- what leads elsewhere, or is waited for -------------------------------------------------------


def link(path: Path, secret: Path) -> None:
    path.symlink_to(secret)


def link_to_a_folder(path: Path, secret: Path) -> None:
    path.symlink_to(secret.parent)


def link_to_nothing(path: Path, secret: Path) -> None:
    path.symlink_to(secret.with_name("made"))


def loop(path: Path, secret: Path) -> None:
    path.symlink_to(path)


def device(path: Path, secret: Path) -> None:
    path.symlink_to("/dev/zero")
    with contextlib.suppress(OSError):  # only the system's administrator may make one
        other = path.with_name(f"{path.name}.device")
        os.mknod(other, 0o020666, os.makedev(1, 5))
        other.replace(path)


def pipe(path: Path, secret: Path) -> None:
    os.mkfifo(path)


def listener(path: Path, secret: Path) -> None:
    with _at(path.parent), socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)  # the name of a socket may not be long


PARTS = (
    "study.json",
    "result.json",
    "metrics.jsonl",
    "log.txt",
    "error.txt",
    ".status.json",
    ".lock",
    "network.safetensors",
    "report.html",
    ".report.html.part",
    "figures",
    "tables",
    "checkpoint",
    "source",
    "figures/z.svg",
    "figures/z.png",
    "figures/z.gif",
    "tables/z.csv",
    "checkpoint/0-00000001.0000000000000000.pt",
    "checkpoint/0-00000001.shards",
    "source/z.py",
)


def planted(plant: Plant) -> Callable[[Path], None]:
    """An attack: at each place of a run's folder in turn stands what ``plant`` makes; and the list
    of runs shows the others, and nothing of a person's own is changed.
    """

    def attack(place: Path) -> None:
        last = None
        for number, part in enumerate(PARTS):
            here = place / str(number)
            (here / "home").mkdir(parents=True)
            secret = here / "home" / "authorized_keys"
            secret.write_text(SECRET)
            good = a_run(here / "runs", name="2025-01-02_00-00-00-bbbb")
            folder = RunFolder(a_run(here / "runs"))
            spot = folder.path / part
            if spot.is_dir():
                spot.rename(here / "taken")
            spot.unlink(missing_ok=True)
            plant(spot, secret)
            with _at(here):
                try:
                    _refused(_uses(folder), "expected a plain file")
                except UserError as error:
                    last = error
                states = {run.path.name: describe(run)["state"] for run in find_runs(here / "runs")}
            assert states[good.name] == "stopped", part
            if [*(here / "home").iterdir()] != [secret] or secret.read_text() != SECRET:
                (place / "executed").mkdir()
        assert last
        raise last

    return attack


def hard_link(place: Path) -> None:
    """A second name of a person's file, where a run is written to."""
    secret = place / "authorized_keys"
    secret.write_text(SECRET)
    last = None
    for name in ("metrics.jsonl", "log.txt", ".status.json", ".lock"):
        folder = RunFolder(a_run(place / name))
        (folder.path / name).unlink(missing_ok=True)
        os.link(secret, folder.path / name)
        assert describe(folder)["state"] == "stopped"
        try:
            with Run("evil", resume=folder, quiet=True):
                pass
        except UserError as error:
            last = error
        if secret.read_text() != SECRET:
            (place / "executed").mkdir()
    assert last
    raise last


def endless(place: Path) -> None:
    """Files of 100 GB that take no room on the disk."""
    last = None
    for part in ("study.json", "result.json", "metrics.jsonl", "tables/t.csv", "figures/f.svg"):
        folder = RunFolder(a_run(place / part.replace("/", "-")))
        with (folder.path / part).open("ab") as file:
            file.truncate(100 << 30)
        describe(folder)
        try:
            write_report(folder)
        except UserError as error:
            last = error
        else:
            raise AssertionError(f"{part} was read")
    assert last
    raise last


# -- what would be executed -----------------------------------------------------------------------


def source(recorded: str) -> Callable[[Path], None]:
    """An attack: a record that names a stranger's code by this path."""

    def attack(place: Path) -> None:
        pack = place / "pack"
        pack.mkdir()
        evil = EVIL.format(marker=str(place / "executed"))
        (pack / "evil.py").write_text(evil)
        (pack / "pack.py").write_text(evil)
        (pack / "linked.py").symlink_to(pack / "evil.py")
        with _at(pack):
            path = a_run(pack / "runs", recorded.format(pack=pack))
            (path / "network.safetensors").write_bytes(b"")
            folder = RunFolder(path)
            for words in (
                ["predict", "evil", "1"],
                ["export", "evil", "--to", "notebook"],
                ["resume", "evil"],
            ):
                assert main(words) == 2, words
            load(folder)

    return attack


def changed_since(place: Path) -> None:
    """A person's own study, over which somebody's was unpacked."""
    path = place / "evil.py"
    with _at(place):
        path.write_text("x = 1\n")
        known.remember(path)
        path.write_text(EVIL.format(marker=str(place / "executed")))
        load(RunFolder(a_run(place / "runs", str(path))))


def annotation(text: str) -> Callable[[Path], None]:
    """An attack: a field's type that is code; ``--help`` reads it."""

    def attack(place: Path) -> None:
        marker = str(place / "executed")
        code = text.replace("MARKER", repr(f"mkdir {marker}"))
        (place / "mine.py").write_text(
            '"""Mine."""\nfrom dataclasses import dataclass\nfrom etude import Study\n\n\n'
            f"@dataclass\nclass Mine(Study):\n    width: {code} = 2  # wide\n"
        )
        parse(Catalogue()[str(place / "mine.py")], ["--help"])

    return attack


SYSTEM = (
    "[c for c in ().__class__.__base__.__subclasses__() if c.__name__ == '_wrap_close'][0]"
    ".__init__.__globals__['system'](MARKER)"
)


# -- pictures -------------------------------------------------------------------------------------


def eps(name: str, look: Callable[[Path], object]) -> Callable[[Path], None]:
    """An attack: a page of PostScript, which Pillow would hand to Ghostscript."""

    def attack(place: Path) -> None:
        (place / "gs").write_text(f"#!/bin/sh\nmkdir -p '{place}/executed'\n")
        (place / "gs").chmod(0o755)
        before = os.environ["PATH"]
        os.environ["PATH"] = f"{place}{os.pathsep}{before}"
        (place / name).write_bytes(EPS)
        try:
            look(place / name)
        finally:
            os.environ["PATH"] = before

    return attack


def other_formats(place: Path) -> None:
    """What Pillow could read, and no figure or drawing is."""
    last = None
    for kind in ("PCX", "SGI", "TGA", "DDS", "IM", "MSP", "SPIDER", "XBM", "PDF", "EPS"):
        made = io.BytesIO()
        Image.new("1" if kind in ("MSP", "XBM") else "L", (8, 8)).save(made, kind)
        (place / "a.png").write_bytes(made.getvalue())
        for look in (read_image, small):
            try:
                look(place / "a.png")
            except UserError as error:
                last = error
            else:
                raise AssertionError(f"{kind} was read")
    assert last
    raise last


ATTACKS: tuple[tuple[str, str, Callable[[Path], None]], ...] = (
    ("leads elsewhere", "a link anywhere in a run's folder", planted(link)),
    ("leads elsewhere", "a link to a folder", planted(link_to_a_folder)),
    ("leads elsewhere", "a link to nothing, where a file would be made", planted(link_to_nothing)),
    ("leads elsewhere", "a link to itself", planted(loop)),
    ("leads elsewhere", "a hard link where a run is written to", hard_link),
    ("never ends", "a pipe anywhere in a run's folder", planted(pipe)),
    ("never ends", "a socket", planted(listener)),
    ("never ends", "a device", planted(device)),
    ("never ends", "files of 100 GB that take no room", endless),
    ("names code", "a source through /proc/self/cwd", source("/proc/self/cwd/evil.py")),
    ("names code", "the same of a folder", source("/proc/self/cwd")),
    ("names code", "a source by its path", source("{pack}/evil.py")),
    ("names code", "a source through a link", source("{pack}/linked.py")),
    ("names code", "a person's own study, exchanged", changed_since),
    ("names code", "a type that is a call", annotation(SYSTEM)),
    ("names code", "a call within tuple[…]", annotation(f"tuple[{SYSTEM}, ...]")),
    ("names code", "a call within Literal[…]", annotation(f"Literal[{SYSTEM}]")),
    ("names code", "a call behind a right type", annotation(f"{SYSTEM} and int")),
    ("names code", "EPS as a figure", eps("a.png", small)),
    ("names code", "EPS to be predicted", eps("a.eps", read_image)),
    ("names code", "the same, called JPEG", eps("a.jpg", read_image)),
    ("names code", "formats of pictures that are not asked for", other_formats),
)
