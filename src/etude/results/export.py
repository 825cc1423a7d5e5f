"""A run handed over: its network as HDF5, safetensors or ONNX, or the whole of it as a notebook."""

from __future__ import annotations

import ast
import importlib
import io
import json
import logging
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from etude.entry import Entry
from etude.errors import UserError
from etude.results.files import whole
from etude.results.load import Source, find, load, read_safetensors
from etude.runs.folder import RunFolder
from etude.sources import text_of, tree_of
from etude.study import Study, study_name

if TYPE_CHECKING:
    from torch import Tensor, nn

ENDINGS = {
    "hdf5": (".h5", ".hdf5"),
    "safetensors": (".safetensors",),
    "onnx": (".onnx",),
    "notebook": (".ipynb",),
}
TOLERANCE = 1e-5  # between PyTorch and onnxruntime, relative and absolute


def export(
    folder: RunFolder, kind: str, output: str | Path | None = None, study: Source = None
) -> Path:
    """Write what a run made to one file, whole or not at all; returns its path.

    Args:
        folder: the run.
        kind: ``hdf5``, ``safetensors``, ``onnx`` or ``notebook``.
        output: the file; by default ``<study>-<run>`` with the kind's ending, in the working
            folder.
        study: as for :func:`etude.load`.

    Raises:
        UserError: a package is missing, the run kept no network, the study is not to be found, the
            network can't be expressed in ONNX or gives other numbers there, or the file can't be
            written.
    """
    endings = ENDINGS[kind]
    path = Path(output) if output else Path(f"{folder.name.replace('/', '-')}{endings[0]}")
    if path.suffix not in endings:
        raise UserError(
            f"{path} has the ending '{path.suffix}'; expected {' or '.join(endings)} for {kind}"
        )
    writers: dict[str, Callable[[RunFolder, Path, Source], None]] = {
        "hdf5": _hdf5,
        "safetensors": _safetensors,
        "onnx": _onnx,
        "notebook": _notebook,
    }
    folder.check()
    with whole(path) as part:
        writers[kind](folder, part, study)
    return path


def metadata(folder: RunFolder) -> dict[str, str]:
    """What an exported file says of itself: study, fields, scale, seed, metrics, versions; JSON
    where it is no text.
    """
    about = folder.study()
    keys = (
        "study",
        "title",
        "source",
        "digest",
        "scale",
        "seed",
        "fields",
        "started",
        "commit",
        "versions",
    )
    said = {key: about[key] for key in keys if about.get(key) is not None}
    if said.get("source") not in (None, "catalogue"):
        said["source"] = Path(
            str(said["source"])
        ).name  # where it lies on this machine is nobody's business
    said["metrics"] = (folder.result() or {}).get("metrics", {})
    return {
        key: value if isinstance(value, str) else json.dumps(value) for key, value in said.items()
    }


def _need(kind: str, *packages: str) -> list[Any]:
    found = []
    for package in packages:
        try:
            found.append(importlib.import_module(package))
        except ImportError:
            raise UserError(
                f"exporting to {kind} needs {package}: pip install 'etude[export]'"
            ) from None
    return found


def _hdf5(folder: RunFolder, path: Path, study: Source) -> None:
    (h5py,) = _need("hdf5", "h5py")
    import torch

    def write(to: Any, key: str, value: str) -> None:
        """A text of fixed length: those of open length lie in a heap whose damage can lead libhdf5
        in circles.
        """
        text = value.encode() or b"\0"
        to.attrs.create(key, text, dtype=h5py.string_dtype("utf-8", len(text)))

    trained = load(folder, study=study)
    with h5py.File(
        path, "w", libver=("v108", "latest")
    ) as file:  # 1.8 lifts the limit of 64 KiB on an attribute
        for key, value in {**metadata(folder), "network": repr(trained.network)}.items():
            write(file, key, value)
        weights = file.create_group("weights")
        for key, tensor in trained.network.state_dict().items():
            half = tensor.dtype == torch.bfloat16  # which NumPy lacks: its bits are kept
            dataset = weights.create_dataset(
                key, data=(tensor.view(torch.int16) if half else tensor).numpy()
            )
            write(dataset, "dtype", str(tensor.dtype).removeprefix("torch."))


def _safetensors(folder: RunFolder, path: Path, study: Source) -> None:
    from safetensors.torch import save

    if not folder.network.is_file():
        raise UserError(f"run {folder.name} has no network.safetensors; there is nothing to export")
    path.write_bytes(
        save(read_safetensors(folder.network)[1], {**metadata(folder), "format": "pt"})
    )


def _onnx(folder: RunFolder, path: Path, study: Source) -> None:
    trained = load(folder, study=study)
    write_onnx(trained.study, trained.network, path, metadata(folder))


def write_onnx(
    study: Study, network: nn.Module, path: Path, said: Mapping[str, str] | None = None
) -> None:
    """Write a network in evaluation mode as ONNX, with the study's free axes, and compare it with
    onnxruntime at two sizes of each.

    Args:
        study: the network's study, which gives the example and names the free axes.
        network: what is written.
        path: the file.
        said: what the file says of itself.

    Raises:
        UserError: a package is missing; the study says that ONNX can't express the network, or it
            turns out so; or onnxruntime can't run it or gives other numbers.
    """
    name = study_name(type(study))
    if reason := study.why_no_onnx():
        raise UserError(f"the network of {name} can't be exported to ONNX: {reason}")
    _need("onnx", "onnx", "onnxscript", "onnxruntime")
    import torch

    example = study.example()
    inputs = example if isinstance(example, tuple) else (example,)
    names = ["input"] if len(inputs) == 1 else [f"input_{number}" for number in range(len(inputs))]
    axes = [dict(each) for each in study.free_axes()] or [{0: "batch"} for _ in inputs]
    if len(axes) != len(inputs):
        raise UserError(
            f"free_axes of study {name} names those of {len(axes)} inputs; expected"
            f" {len(inputs)}, as many as its example has"
        )
    with _quiet(), _reason(f"the network of {name} can't be expressed in ONNX"):
        program = torch.onnx.export(
            network,
            inputs,
            dynamo=True,
            input_names=names,
            verbose=False,
            dynamic_shapes=tuple(axes),
        )
    assert program
    for given, free in zip(program.model.graph.inputs, axes, strict=True):
        for axis, called in free.items():
            size = given.shape[axis] if given.shape else None
            if isinstance(size, int):  # where a Python int was made of it, as by len(x)
                raise UserError(
                    f"the network of {name} can't be expressed in ONNX: its axis '{called}' came"
                    f" out fixed at {size}; expected computations that hold for any size, such as"
                    " by x.shape[0] instead of len(x)"
                )
    program.model.metadata_props.update(said or {})
    program.save(path, external_data=False)
    for sizes in sizes_to_compare(inputs, axes):
        _compare(
            name, network, path, [resized(x, a, sizes) for x, a in zip(inputs, axes, strict=True)]
        )


def sizes_to_compare(
    inputs: Sequence[Tensor], axes: Sequence[Mapping[int, str]]
) -> tuple[dict[str, int], dict[str, int]]:
    """Two sizes of each free axis, of which at least one was not traced: 3 and 1 of the batch;
    of others that of the example and about half of it, no two the same.
    """
    traced = {
        called: x.shape[axis]
        for x, free in zip(inputs, axes, strict=True)
        for axis, called in free.items()
    }
    first = {called: 3 if called == "batch" else size for called, size in traced.items()}
    second = {
        called: 1 if called == "batch" else max(1, size // 2 - number)
        for number, (called, size) in enumerate(traced.items())
    }
    return first, second


def resized(x: Tensor, free: Mapping[int, str], sizes: Mapping[str, int]) -> Tensor:
    """An input like the example, of other sizes: each number is one that the example has at that
    place in a random one of its rows; whole numbers, which mean something together, come in whole
    rows.

    Normally distributed numbers would not do: ink, for one, is not negative.
    """
    import torch

    generator = torch.Generator().manual_seed(0)
    for axis, called in free.items():
        shape = list(x.shape)
        shape[axis] = sizes[called]
        if called == "batch" and not x.is_floating_point():
            x = x[torch.randint(len(x), shape[:1], generator=generator)]
        elif called == "batch":
            x = x.gather(axis, torch.randint(x.shape[axis], shape, generator=generator))
        else:  # a sequence keeps its order, and its end, where padding may be
            x = x.narrow(axis, 0, shape[axis])
    return x


def _compare(name: str, network: nn.Module, path: Path, inputs: Sequence[Tensor]) -> None:
    """Raise a UserError where onnxruntime gives other numbers than PyTorch."""
    import onnxruntime
    import torch

    shapes = " and ".join(" × ".join(map(str, x.shape)) for x in inputs)
    with _quiet():
        with _reason(f"the network of {name} takes no input of {shapes}"), torch.inference_mode():
            out = network(*inputs)
        ours = list(out) if isinstance(out, tuple | list) else [out]
        with _reason(f"onnxruntime can't compute the network of {name} for an input of {shapes}"):
            onnxruntime.set_default_logger_severity(4)
            session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
            names = [each.name for each in session.get_inputs()]
            fed = {key: x.numpy() for key, x in zip(names, inputs, strict=True)}
            theirs = [torch.from_numpy(each) for each in session.run(None, fed)]
    same = len(ours) == len(theirs) and all(
        a.shape == b.shape and torch.allclose(a, b, rtol=TOLERANCE, atol=TOLERANCE)
        for a, b in zip(ours, theirs, strict=True)
    )
    if not same:
        raise UserError(
            f"onnxruntime gives other numbers than PyTorch for the network of {name}, for an input"
            f" of {shapes}; not kept"
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Nothing is printed, warned of or logged: the exporter tells of its inner life on all three
    ways.
    """
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with (
            warnings.catch_warnings(),
            redirect_stdout(io.StringIO()),
            redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


@contextmanager
def _reason(wrong: str) -> Iterator[None]:
    """Make one sentence of whatever is raised inside: what is wrong, and the first cause's first
    line as the reason.
    """
    try:
        yield
    except Exception as error:  # exporter and runtime raise whatever their parts stumble over
        first: BaseException = error
        while first.__cause__ is not None:
            first = first.__cause__
        text = re.sub(r"\x1b\[[\d;]*m", "", str(first)).split("For more information")[0]
        lines = [line.strip(" -\t") for line in text.splitlines() if line.strip(" -\t")]
        line = next((line for line in lines if not line.endswith(":")), " ".join(lines))
        raise UserError(f"{wrong}: {line[:300] or type(first).__name__}") from error


# -- the notebook ----------------------------------------------------------------------------------


def _notebook(folder: RunFolder, path: Path, study: Source) -> None:
    (nbformat,) = _need("notebook", "nbformat")
    about = folder.study()
    if isinstance(study, type):
        raise UserError(
            "a notebook shows a study's source; expected the study's name or file, not its class"
        )
    entry = find(about, f"run {folder.name}", study, folder)
    new = nbformat.v4
    cells = [
        (new.new_markdown_cell if kind == "markdown" else new.new_code_cell)(text)
        for kind, text in notebook_cells(entry, about, folder.network.is_file())
    ]
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    notebook = new.new_notebook(
        cells=cells, metadata={**kernel, "language_info": {"name": "python"}}
    )
    nbformat.validate(notebook)
    nbformat.write(notebook, path)


def notebook_cells(entry: Entry, about: Mapping[str, Any], kept: bool) -> list[tuple[str, str]]:
    """``("markdown" | "code", text)`` for each cell, which run from top to bottom.

    The study stands in the notebook itself: change the cell, and what follows runs the changed
    study.

    Args:
        entry: the study.
        about: the run's ``study.json``.
        kept: whether the run kept a network.
    """
    name = entry.class_name
    settings = {
        "scale": about.get("scale", "quick"),
        "seed": about.get("seed", 0),
        **about.get("changed", {}),
    }
    words = ", ".join(
        f"{key}={tuple(v) if isinstance(v, list) else v!r}" for key, v in settings.items()
    )
    changed = about.get("digest") != entry.digest
    aged = (
        " The study has changed since the run of which this notebook was made." if changed else ""
    )
    title, _, lesson = entry.lesson.partition("\n")
    cells = [
        ("markdown", f"# {title}\n{lesson}".strip()),
        (
            "markdown",
            f"## The study\n\nThese cells need Etude in the notebook's environment.{aged}",
        ),
        *[("code", text) for text in study_cells(entry)],
        ("markdown", "## Training"),
        ("code", f"import etude\n\nrun = etude.run({name}, {words})"),
        ("markdown", "## What came out"),
        (
            "code",
            (
                "for metric, value in run.metrics.items():\n    print(f'{metric:<24}"
                " {value:.4g}')\nfor verdict in run.verdicts:\n    print(verdict.mark,"
                " verdict.claim.name, verdict.claim.bound, verdict.measured)"
            ),
        ),
        (
            "code",
            (
                "from IPython.display import SVG, Image, display\n\n"
                "for picture in run.folder.pictures():\n"
                "    display((SVG if picture.suffix == '.svg' else Image)(filename=str(picture)))"
            ),
        ),
    ]
    if not kept:
        return cells
    cls = entry.load()
    cells += [
        ("markdown", "## The trained network"),
        ("code", f"trained = etude.load(run, study={name})\nprint(trained.network)"),
    ]
    if cls.example is not Study.example:
        cells.append(
            (
                "code",
                (
                    "import torch\n\nx = trained.study.example()  # two inputs of the right shape\n"
                    "with torch.inference_mode():\n"
                    "    y = trained.network(*x) if isinstance(x, tuple) else trained.network(x)\ny"
                ),
            )
        )
    if cls.predict is not Study.predict:
        cells.append(
            (
                "markdown",
                "`trained.predict(…)` gives classes and probabilities for an input of your own.",
            )
        )
    return cells


def study_cells(entry: Entry) -> list[str]:
    """The study's code as cells that need no other file than Etude's own.

    A study of a package imports its parts from there. The parts of a user's own folder come first,
    as cells, and what a file imports from them is then there already.
    """
    if entry.module:
        package = entry.module.rpartition(".")[0]
        return [_without_docstring(_imports_rewritten(entry.path, package))]
    files: list[Path] = []

    def add(path: Path) -> None:
        for node in ast.walk(tree_of(path)):
            part = path.with_name(f"{getattr(node, 'module', None)}.py")
            if isinstance(node, ast.ImportFrom) and node.level and part.is_file():
                add(part)
        if path not in files:
            files.append(path)

    add(entry.path)
    return [_without_docstring(_imports_rewritten(path, None)) for path in files]


def _imports_rewritten(path: Path, package: str | None) -> str:
    """A file's source with its relative imports from ``package``, or without them."""
    source = text_of(path)
    lines = source.split("\n")  # as Python counts them
    for node in sorted(ast.walk(ast.parse(source)), key=lambda n: -getattr(n, "lineno", 0)):
        if isinstance(node, ast.ImportFrom) and node.level:
            names = ", ".join(ast.unparse(alias) for alias in node.names)
            renamed = [f"{alias.asname} = {alias.name}" for alias in node.names if alias.asname]
            new = [f"from {package}.{node.module} import {names}"] if package else renamed
            indent = " " * node.col_offset
            lines[node.lineno - 1 : node.end_lineno] = [indent + line for line in new]
    return "\n".join(lines)


def _without_docstring(source: str) -> str:
    tree = ast.parse(source)
    skip = (tree.body[0].end_lineno or 0) if ast.get_docstring(tree) is not None else 0
    return "\n".join(source.split("\n")[skip:]).strip()
