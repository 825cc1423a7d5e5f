from __future__ import annotations

import ast
import json
import sys
from pathlib import Path
from typing import Any

import h5py
import nbformat
import onnx
import onnxruntime
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import tiny
from etude import UserError, load
from etude.catalogue import Catalogue
from etude.results.export import export, study_cells
from etude.results.files import whole
from etude.results.load import read_hdf5
from etude.runs.folder import RunFolder


def kept(run: Path) -> dict[str, torch.Tensor]:
    weights = load_file(run / "network.safetensors")
    assert len(weights) == 6
    return weights


def left(place: Path) -> set[str]:
    return {path.name for path in place.iterdir()} - {"tiny.py", "runs", "__pycache__"}


def test_hdf5_comes_back_exactly(run: Path, place: Path) -> None:
    path = export(RunFolder(run), "hdf5", "net.h5")
    trained = load(path, study="tiny.py")
    weights = kept(run)
    assert trained.folder is None
    assert trained.study.hidden == 5
    assert trained.network.state_dict().keys() == weights.keys()
    assert all(
        torch.equal(tensor, weights[key]) for key, tensor in trained.network.state_dict().items()
    )
    assert trained.predict("1 2 3 4") == load(run).predict("1 2 3 4")
    with h5py.File(path) as file:
        said = {key: text.decode() for key, text in file.attrs.items()}
    assert (said["study"], said["scale"], said["seed"]) == ("tiny", "quick", "0")
    assert json.loads(said["fields"]) == {"hidden": 5, "more": [8], "rate": 0.1, "steps": 20}
    assert json.loads(said["metrics"]) == json.loads((run / "result.json").read_text())["metrics"]
    assert json.loads(said["versions"])["torch"].startswith("2.")
    assert "Linear(in_features=4, out_features=5" in said["network"]
    assert str(place) not in str(said)
    assert left(place) == {"net.h5"}


def test_hdf5_keeps_every_kind_of_tensor(run: Path, place: Path) -> None:
    path = tiny.write(
        place,
        old_1="return nn.Sequential(",
        new_1="return Many(",
        old_2="\n\n@dataclass",
        new_2="""


class Many(nn.Sequential):
    def __init__(self, *parts: nn.Module) -> None:
        super().__init__(*parts)
        self.register_buffer("halves", torch.randn(3).bfloat16())
        self.register_buffer("count", torch.tensor(7))
        self.register_buffer("mask", torch.tensor([True, False]))
        self.register_buffer("doubles", torch.randn(2, 0, 3).double())

    def extra_repr(self) -> str:
        return "x" * 100_000


@dataclass""",
    )
    made = tiny.run(path, place / "runs", seed=1)
    exported = export(made.folder, "hdf5", "many.h5")
    expected = load_file(made.folder.network)
    _, tensors = read_hdf5(exported)
    assert tensors.keys() == expected.keys() >= {"halves", "count", "mask", "doubles"}
    for key, tensor in expected.items():
        assert tensors[key].dtype == tensor.dtype
        assert torch.equal(tensors[key], tensor)
    assert torch.equal(load(exported, study=path).network.halves, expected["halves"])


def test_an_exported_file_never_leads_to_code(run: Path, place: Path) -> None:
    for kind in ("hdf5", "safetensors"):
        path = export(RunFolder(run), kind)
        assert path.name.startswith(f"tiny-{run.name}")
        with pytest.raises(
            UserError, match="a path in a file is not followed; name the file yourself"
        ):
            load(path)


def test_safetensors_says_what_it_is(run: Path, place: Path) -> None:
    path = export(RunFolder(run), "safetensors", "net.safetensors")
    with safe_open(path, framework="pt") as file:
        said = file.metadata()
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    assert said["study"] == "tiny"
    assert json.loads(said["metrics"])["test/accuracy"] > 0.5
    assert tensors.keys() == kept(run).keys()
    assert all(torch.equal(tensors[key], tensor) for key, tensor in kept(run).items())
    assert load(path, study="tiny.py").predict("1 1 1 1") == load(run).predict("1 1 1 1")


@pytest.mark.slow
def test_onnx_gives_the_numbers_of_pytorch_for_any_batch(run: Path, place: Path) -> None:
    path = export(RunFolder(run), "onnx", "net.onnx")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    network = load(run).network
    for batch in (1, 2, 7):
        x = torch.randn(batch, 4)
        (theirs,) = session.run(None, {"input": x.numpy()})
        with torch.inference_mode():
            ours = network(x)
        assert theirs.shape == (batch, 2)
        assert ours.abs().max() > 0.01
        torch.testing.assert_close(torch.from_numpy(theirs), ours, rtol=1e-5, atol=1e-5)
    model = onnx.load(str(path))
    said = {prop.key: prop.value for prop in model.metadata_props}
    assert said["study"] == "tiny"
    assert left(place) == {"net.onnx"}  # one file, weights and all


def test_onnx_that_differs_is_not_kept(
    run: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Wrong(onnxruntime.InferenceSession):
        def run(self, *args: Any) -> list[Any]:
            (found,) = super().run(*args)
            return [found + 1]

    monkeypatch.setattr(onnxruntime, "InferenceSession", Wrong)
    with pytest.raises(UserError, match=r"onnxruntime gives other numbers .+ the network of tiny"):
        export(RunFolder(run), "onnx", "net.onnx")
    assert left(place) == set()


def test_what_onnx_cannot_express_gets_a_sentence(
    place: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tiny.write(
        place,
        old_1="return nn.Sequential(",
        new_1="return Branches(",
        old_2="\n\n@dataclass",
        new_2="""


class Branches(nn.Sequential):
    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        return y if float(y.sum()) > 0 else -y


@dataclass""",
    )
    made = tiny.run(path, place / "runs", seed=1)
    capfd.readouterr()
    with pytest.raises(UserError, match=r"can't be expressed in ONNX: .+") as caught:
        export(made.folder, "onnx", "net.onnx")
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert left(place) == set()
    assert capfd.readouterr() == ("", "")


def test_onnx_needs_an_example(run: Path, place: Path) -> None:
    tiny.write(place, old_1="def example(", new_1="def sample(")
    with pytest.raises(UserError, match="study tiny gives no example input"):
        export(RunFolder(run), "onnx", "net.onnx")
    assert left(place) == set()


@pytest.mark.parametrize(
    ("kind", "package"),
    [
        ("hdf5", "h5py"),
        ("onnx", "onnx"),
        ("onnx", "onnxscript"),
        ("onnx", "onnxruntime"),
        ("notebook", "nbformat"),
    ],
)
def test_a_missing_package_is_named(
    run: Path, kind: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError) as caught:
        export(RunFolder(run), kind)
    assert str(caught.value) == f"exporting to {kind} needs {package}: pip install 'etude[export]'"


def test_reading_hdf5_without_h5py_says_so(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = export(RunFolder(run), "hdf5")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(UserError, match=r"needs h5py to be read: pip install 'etude\[export\]'"):
        load(path, study="tiny.py")


@pytest.mark.parametrize("kind", ["hdf5", "safetensors", "notebook"])
def test_where_it_cannot_be_written(run: Path, place: Path, kind: str) -> None:
    ending = {"hdf5": ".h5", "safetensors": ".safetensors", "notebook": ".ipynb"}[kind]
    with pytest.raises(UserError, match=r"has the ending '\.bin'; expected"):
        export(RunFolder(run), kind, "net.bin")
    with pytest.raises(UserError, match="there is no folder nowhere"):
        export(RunFolder(run), kind, f"nowhere/net{ending}")
    (place / f"net{ending}").mkdir()
    with pytest.raises(UserError, match="it is a folder"):
        export(RunFolder(run), kind, f"net{ending}")


def test_a_run_without_a_network_exports_none(run: Path, place: Path) -> None:
    (run / "network.safetensors").unlink()
    for kind in ("hdf5", "safetensors", "onnx"):
        with pytest.raises(UserError, match=r"no network.safetensors"):
            export(RunFolder(run), kind)
    assert left(place) == set()


def test_a_file_is_whole_or_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("before")

    def cut() -> None:
        with whole(path) as part:
            part.write_text("ha")
            raise RuntimeError("cut")

    with pytest.raises(RuntimeError, match="cut"):
        cut()
    assert path.read_text() == "before"
    with whole(path) as part:
        part.write_text("after")
    assert path.read_text() == "after"
    assert [*tmp_path.iterdir()] == [path]

    def full() -> None:
        with whole(path):
            raise OSError(28, "No space left on device")

    with pytest.raises(UserError, match="can't be written: No space left on device"):
        full()


@pytest.mark.slow
def test_a_notebook_runs_from_top_to_bottom(run: Path, place: Path) -> None:
    from nbclient import NotebookClient

    path = export(RunFolder(run), "notebook", "tiny.ipynb")
    (place / "tiny.py").unlink()  # the notebook stands alone
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=400, resources={"metadata": {"path": str(place)}}).execute()
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert len(code) == 6
    assert all(cell.execution_count for cell in code)
    said = "".join(output.get("text", "") for cell in code for output in cell.outputs)
    (again,) = [folder for folder in (place / "runs" / "tiny").iterdir() if folder != run]
    assert kept(again).keys() == kept(run).keys()
    assert all(
        torch.equal(tensor, kept(run)[key]) for key, tensor in kept(again).items()
    )  # trained to the same bits
    accuracy = json.loads((again / "result.json").read_text())["metrics"]["test/accuracy"]
    assert f"test/accuracy            {accuracy:.4g}" in said
    assert "✓ test/accuracy ≥ 0.6" in said
    assert any("image/png" in output.get("data", {}) for cell in code for output in cell.outputs)
    last = code[-1].outputs[-1]["data"]["text/plain"]
    assert last.startswith("tensor([[")
    assert json.loads((again / "study.json").read_text())["fields"]["hidden"] == 5


def test_a_notebook_holds_lesson_and_source(run: Path) -> None:
    notebook = nbformat.read(export(RunFolder(run), "notebook"), as_version=4)
    nbformat.validate(notebook)
    assert notebook.cells[0].source.startswith("# The sign of a sum.\n")
    assert "Nobody (2025)" in notebook.cells[0].source
    assert "has changed" not in notebook.cells[1].source
    source = notebook.cells[2].source
    assert source.startswith("from __future__ import annotations")
    assert "class Tiny(Study):" in source
    assert "run = etude.run(Tiny, scale='quick', seed=0, hidden=5)" in notebook.cells[4].source


def test_a_notebook_of_a_folder_holds_its_parts(tmp_path: Path) -> None:
    from nbclient import NotebookClient

    folder = tmp_path / "parted"
    folder.mkdir()
    tiny.write(
        folder,
        name="parted.py",
        old_1="import torch\n",
        new_1="import torch\n\nfrom ._drawing import examples as drawn\n",
        old_2="x = torch.randn(512, 4)",
        new_2="x = drawn(512)",
    )
    (folder / "_drawing.py").write_text(
        '"""Examples."""\n\nfrom ._sizes import INPUTS\n\nimport torch\n\n\n'
        "def examples(n):\n    return torch.randn(n, INPUTS)\n"
    )
    (folder / "_sizes.py").write_text("INPUTS = 4\n")
    (folder / "README.md").write_text("# Parted\n\nIn three files.\n")
    run = tiny.run(folder, tmp_path / "runs")
    path = export(run.folder, "notebook", tmp_path / "parted.ipynb")
    for file in folder.iterdir():
        file.unlink()  # the notebook stands alone
    notebook = nbformat.read(path, as_version=4)
    assert notebook.cells[0].source.startswith("# Parted\n")
    NotebookClient(notebook, timeout=400, resources={"metadata": {"path": str(tmp_path)}}).execute()
    said = "".join(
        output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", ())
    )
    assert f"test/accuracy            {run.metrics['test/accuracy']:.4g}" in said


def test_a_notebook_of_the_catalogue_imports_its_parts_from_there() -> None:
    for entry in Catalogue().all():
        for cell in study_cells(entry):
            tree = ast.parse(cell)
            assert not [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.level]


def test_a_notebook_of_a_changed_study_says_so(run: Path, place: Path) -> None:
    tiny.write(place, old_1="momentum=0.9", new_1="momentum=0.8")
    notebook = nbformat.read(export(RunFolder(run), "notebook"), as_version=4)
    assert "The study has changed since the run" in notebook.cells[1].source


def test_a_run_that_kept_nothing_has_a_shorter_notebook(run: Path) -> None:
    (run / "network.safetensors").unlink()
    notebook = nbformat.read(export(RunFolder(run), "notebook"), as_version=4)
    assert not any("etude.load" in cell.source for cell in notebook.cells)
    assert any("etude.run" in cell.source for cell in notebook.cells)


def test_a_damaged_hdf5_gets_a_sentence(run: Path, place: Path) -> None:
    path = export(RunFolder(run), "hdf5", "net.h5")
    content = path.read_bytes()
    for damaged in (content[: len(content) // 2], content[:8] + b"\0" * 500):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match="can't be read as what"):
            load(path, study="tiny.py")
    with h5py.File(path, "w") as file:
        file.attrs["study"] = b"tiny"
    with pytest.raises(UserError, match="can't be read as what"):
        load(path, study="tiny.py")
    with h5py.File(path, "w") as file:
        file.attrs["study"] = (
            "tiny"  # of open length: in a heap, which a damaged file can bend into a circle
        )
    with pytest.raises(UserError, match="attribute study is no text of fixed length"):
        load(path, study="tiny.py")
    with h5py.File(path, "w") as file:
        file["weights/a"] = ["a text", "another"]
    with pytest.raises(UserError, match="expected numbers"):
        load(path, study="tiny.py")
    save_file({"a": torch.zeros(1)}, place / "bare.safetensors")
    with pytest.raises(UserError, match="damaged"):
        load(place / "bare.safetensors", study="tiny.py")
