"""A trained network out of a run folder, or out of an exported file.

Both are data, and may come from anyone: nothing in them is executed. The code is that of the study,
which is found by its name in the catalogue; or, for a user's own study, by the path of its file, as
long as that lies outside the runs and this user has run it, byte by byte as it is now
(:mod:`etude.known`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from etude import known
from etude.catalogue import Catalogue
from etude.entry import Entry
from etude.errors import UserError, nearest
from etude.results.listing import trusted
from etude.runs import files
from etude.runs.folder import RunFolder
from etude.study import Study, study_name

if TYPE_CHECKING:
    from torch import Tensor, nn

    from etude.runs.run import Run

Source = str | Path | type[Study] | None
HDF5 = (".h5", ".hdf5")


@dataclass(frozen=True)
class Trained:
    """A study and its trained network, on the CPU, in fp32, in evaluation mode."""

    study: Study
    network: nn.Module
    folder: RunFolder | None  # None: it came from an exported file

    def predict(self, input: Any) -> Mapping[str, float]:
        """Classes and probabilities for one input: a path, an array or a text, as the study says.

        Raises:
            UserError: the study has no prediction to offer, or can't read the input.
        """
        import torch

        self.network.eval()
        with torch.inference_mode():
            return self.study.predict(self.network, input)

    def write(self, input: Any) -> Iterator[str]:
        """What follows one input, piece by piece as it is made.

        Raises:
            UserError: the study writes no text, or can't read the input.
        """
        self.network.eval()
        return self.study.write(self.network, input)

    def but(self, **changes: Any) -> Trained:
        """The same network with some of the study's fields changed: how it is asked, not what it
        is.

        Raises:
            UserError: no such field, a value that it can't take, or one that asks for another
                network.
        """
        known = [field.name for field in fields(self.study)]
        for name in changes:
            if name not in known:
                raise UserError(
                    f"study {study_name(type(self.study))} has no field"
                    f" '{name}'{nearest(name, known)}"
                )
        study = replace(self.study, **changes)
        return Trained(study, _filled(study, self.network.state_dict(), "this run"), self.folder)


def load(
    run: str | Path | RunFolder | Run, *, study: Source = None, root: str | Path | None = None
) -> Trained:
    """The trained network of a run: ``etude.load("runs/digits/…").predict("seven.png")``.

    Args:
        run: a run's folder, (the beginning of) its name, a study's name for the newest of its runs
            whose claims hold, a run in hand; or the file that ``etude export --to hdf5`` or ``--to
            safetensors`` wrote.
        study: the study's name, file or class, where the run does not say it or is not to be
            believed: code that you have not run yourself is never executed for a run's record.
        root: the folder of all runs (else ``$ETUDE_RUNS``, else ``runs``).

    Raises:
        UserError: there is no such run, it kept no network, its study is not to be found, or its
            weights do not fit.
    """
    if isinstance(run, str | Path) and Path(run).suffix in (*HDF5, ".safetensors"):
        path = Path(run)
        if not path.is_file():
            raise UserError(f"no file at {path}; expected what 'etude export' wrote")
        about, tensors = read_hdf5(path) if path.suffix in HDF5 else read_safetensors(path)
        made = rebuild(about, str(path), study)
        return Trained(made, _filled(made, tensors, str(path)), None)
    if isinstance(run, str | Path):
        folder = RunFolder.open(run, root, trusted)
    else:
        folder = run if isinstance(run, RunFolder) else run.folder
        folder.check()
    made = rebuild(folder.study(), f"run {folder.name}", study, folder)
    if not folder.network.is_file():
        unfinished = "" if folder.state == "finished" else f", for it is {folder.state}"
        raise UserError(
            f"run {folder.name} has no network.safetensors{unfinished}; there is nothing to load"
        )
    return Trained(made, _filled(made, _weights(folder), str(folder.network)), folder)


def _weights(folder: RunFolder) -> dict[str, Tensor]:
    files.reading(folder.network, files.TENSORS).close()  # a plain file of a sound size
    return read_safetensors(folder.network)[1]


def rebuild(
    about: Mapping[str, Any], where: str, study: Source = None, folder: RunFolder | None = None
) -> Study:
    """The study as it was run, from what was recorded of it.

    Args:
        about: ``study.json``, or the metadata of an exported file.
        where: whose record it is, for messages.
        study: instead of the study that the record names.
        folder: the run's folder; nothing in it or in its root is executed. Without it no recorded
            path is followed, and with it only one to code that this user has run.

    Raises:
        UserError: the record is damaged, the study is not to be found, or it has no such fields any
            more.
    """
    fields = about.get("fields")
    if not isinstance(fields, dict):
        raise UserError(
            f"the record of {where} is damaged: its fields are {fields!r}; expected names and"
            " values"
        )
    cls = study if isinstance(study, type) else find(about, where, study, folder).load()
    values = {
        name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()
    }
    try:
        return cls.at("quick", **values)
    except (UserError, TypeError) as error:
        raise UserError(f"{where} was made by another version of its study: {error}") from None


def find(
    about: Mapping[str, Any],
    where: str,
    study: str | Path | None = None,
    folder: RunFolder | None = None,
) -> Entry:
    """The catalogue's entry of the study that was run; arguments and errors are those of
    :func:`rebuild`.
    """
    catalogue = Catalogue()
    if study is not None:
        return catalogue[str(study)]
    name, source = about.get("study"), about.get("source")
    if not isinstance(name, str) or not isinstance(source, str | None):
        raise UserError(
            f"the record of {where} is damaged: its study is {name!r}, from {source!r}; expected"
            " two texts"
        )
    if source is None:
        raise UserError(
            f"{where} is that of a plain script, which has no study; load its network.safetensors"
            " yourself"
        )
    if source == "catalogue":
        if name not in catalogue.files:  # names only: the catalogue would follow a path
            near = nearest(name, catalogue.files)
            raise UserError(f"{where} is of study '{name}', which is not in the catalogue{near}")
        return catalogue[name]
    yourself = "name the file yourself, with study=… in Python or --study on the command line"
    if not source:
        raise UserError(f"{where} was begun from a class that lies in no file; {yourself}")
    path = Path(source).resolve()
    if folder is None or not Path(source).is_absolute():
        raise UserError(
            f"{where} is of a study in {source}, and a path in a file is not followed; {yourself}"
        )
    runs = folder.path.resolve().parents
    if any(path.is_relative_to(place) for place in (folder.path.resolve(), *runs[:2])):
        raise UserError(
            f"{where} names a study among the runs, {source}: nothing there is executed; {yourself}"
        )
    if path.is_dir():
        path /= f"{path.name}.py"
    if not path.is_file():
        raise UserError(
            f"no study file at {source}, which {where} names; if it lies elsewhere now, {yourself}"
        )
    if not known.is_as_run(path):
        said = "has changed since you ran it" if known.has_run(path) else "you have not run"
        raise UserError(
            f"{where} names the code in {source}, which {said}; a record may be anyone's, so if"
            f" you trust that code, {yourself}"
        )
    return catalogue[str(path)]


def read_safetensors(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Metadata and weights.

    Raises:
        UserError: the file is damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            about: dict[str, Any] = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (it is no mapping)
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} can't be read as safetensors: {error}") from error
    return _plain(about, path), tensors


def read_hdf5(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Metadata and weights of what ``etude export --to hdf5`` wrote.

    Raises:
        UserError: h5py is not installed, or the file is damaged or of another kind.
    """
    import torch

    try:
        import h5py
    except ImportError:
        raise UserError(f"{path} needs h5py to be read: pip install 'etude[export]'") from None

    def read(of: Any, key: str) -> str:
        if (
            of.attrs.get_id(key).dtype.kind != "S"
        ):  # a text of open length is not followed: why, is told in export.py
            raise ValueError(f"its attribute {key} is no text of fixed length")
        text: bytes = of.attrs[key]
        return text.decode()

    try:
        with h5py.File(path, "r") as file:
            about = {key: read(file, key) for key in file.attrs}
            tensors = {}
            for key, dataset in file["weights"].items():
                if dataset.dtype.kind not in "fiub":
                    raise ValueError(f"{key} has values of type {dataset.dtype}; expected numbers")
                if dataset.nbytes > path.stat().st_size:  # it is not compressed
                    raise ValueError(
                        f"{key} would have {dataset.nbytes:,} bytes, more than the file"
                    )
                tensor = (
                    torch.from_numpy(dataset[()].copy())
                    if dataset.shape
                    else torch.tensor(dataset[()])
                )
                tensors[key] = (
                    tensor.view(torch.bfloat16) if read(dataset, "dtype") == "bfloat16" else tensor
                )
    except Exception as error:  # a damaged file can fail in many ways
        raise UserError(
            f"{path} can't be read as what 'etude export --to hdf5' writes: {error}"
        ) from error
    return _plain(about, path), tensors


def _plain(about: Mapping[str, str], path: Path) -> dict[str, Any]:
    try:
        return (
            {**about, "fields": json.loads(about["fields"])} if "fields" in about else dict(about)
        )
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is damaged: its fields are no JSON ({error})") from error


def _filled(study: Study, tensors: Mapping[str, Tensor], where: str) -> nn.Module:
    """The study's network with these weights; PyTorch's random generator is left where it was."""
    import torch

    with torch.random.fork_rng(devices=[]):
        net: nn.Module = study.network()
    try:
        net.load_state_dict(dict(tensors))
    except RuntimeError as error:
        first = " ".join(str(error).split("\n\t")[1:2]) or str(error)
        raise UserError(
            f"the weights in {where} do not fit the network of their study: {first.strip()}"
        ) from None
    return net.eval()
