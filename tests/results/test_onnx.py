"""ONNX of every study that keeps a network, by onnxruntime at two sizes of each free axis."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from torch import nn

from etude import Study, UserError
from etude.catalogue import Catalogue
from etude.cli import show
from etude.layers.recurrence import LSTM
from etude.layers.rendering import sample_histogram
from etude.results.export import resized, sizes_to_compare, write_onnx

SMALLER: dict[str, dict[str, Any]] = {  # fewer blocks of one kind: all that is computed stays
    "gpt": {"layers": 1, "context": 16},
    "transformer": {"layers": 1},
    "fewest": {"cells": 8, "directions": 4},
}
OTHERS: list[tuple[str, dict[str, Any]]] = [  # other networks of the same studies
    ("translation", {"model": "transformer", "layers": 1}),
    ("recurrence", {"fused": False}),
]
ENTRIES = [entry for entry in Catalogue().all() if "def network(" in entry.path.read_text("utf-8")]


class Plain(Study[nn.Module]):
    """Four numbers in, of any batch."""

    def example(self) -> torch.Tensor:
        return torch.arange(8.0).view(2, 4)


def networks() -> list[Any]:
    each = [(entry.name, SMALLER.get(entry.name, {})) for entry in ENTRIES if not entry.no_onnx]
    return [
        pytest.param(name, fields, id="-".join([name, *map(str, fields.values())]))
        for name, fields in [*each, *OTHERS]
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "fields"), networks())
def test_every_network_is_the_same_in_onnx(
    name: str, fields: dict[str, Any], tmp_path: Path
) -> None:
    """What does not come out the same, at two sizes of each free axis, is an error."""
    torch.manual_seed(0)
    study = Catalogue()[name].load().at(**fields)
    write_onnx(study, study.network().eval(), tmp_path / "net.onnx")
    graph = onnx.load(str(tmp_path / "net.onnx")).graph
    free = study.free_axes() or [{0: "batch"}] * len(graph.input)
    for given, axes in zip(graph.input, free, strict=True):
        shape = given.type.tensor_type.shape.dim
        assert {axis for axis, size in enumerate(shape) if size.dim_param} == set(axes)


def test_a_study_that_onnx_cannot_express_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused = [each for each in ENTRIES if each.no_onnx]
    assert {each.name for each in refused} == {"gcn", "translation"}
    for entry in refused:
        with pytest.raises(UserError) as caught:
            write_onnx(entry.load()(), nn.Identity(), tmp_path / "net.onnx")
        expected = f"the network of {entry.name} can't be exported to ONNX: {entry.no_onnx}"
        assert str(caught.value) == expected
        show.main(show_options(entry.name))
        assert entry.no_onnx in " ".join(capsys.readouterr().out.split())
    assert not [*tmp_path.iterdir()]
    show.main(show_options("spirals"))
    assert "ONNX" not in capsys.readouterr().out


def show_options(study: str) -> Any:
    import argparse

    return argparse.Namespace(study=study, source=False)


class Baked(nn.Module):
    """Any batch goes in, and what is computed holds for that which was traced."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * (2 if torch.compiler.is_exporting() else x.shape[0])


class Fixed(nn.Module):
    """Nothing but the batch that was traced goes in."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + 2.0 if x.shape[0] == 2 else x


@pytest.mark.slow
def test_a_batch_that_is_baked_in_is_noticed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UserError, match="gives other numbers .+ for an input of 3 × 4; not kept"):
        write_onnx(Plain(), Baked(), tmp_path / "net.onnx")
    with pytest.raises(
        UserError, match=r"can't be expressed in ONNX: .*static shape of 2"
    ) as caught:
        write_onnx(Plain(), Fixed(), tmp_path / "net.onnx")
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("wrong", ["raises", "differs", "another shape"])
def test_what_onnxruntime_does_wrong_is_one_sentence(
    wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Session:
        def __init__(self, *args: object, **options: object) -> None:
            pass

        def get_inputs(self) -> list[Any]:
            return [type("Input", (), {"name": "input"})]

        def run(self, _: None, fed: dict[str, Any]) -> list[Any]:
            x = fed["input"]
            if wrong == "raises":
                raise ValueError("\x1b[96mGot: 3 Expected: 2\x1b[0m\nand more")
            return [x[:2]] if wrong == "another shape" else [x + (len(x) == 1) * 1e-3]

    class Program:
        class model:
            metadata_props: dict[str, str] = {}
            graph = type("Graph", (), {"inputs": [type("Value", (), {"shape": ("batch", 4)})]})

        def save(self, path: Path, **options: object) -> None:
            path.write_bytes(b"")

    monkeypatch.setattr("onnxruntime.InferenceSession", Session)
    monkeypatch.setattr(torch.onnx, "export", lambda *args, **options: Program())
    expected = {
        "raises": "onnxruntime can't compute the network of test_onnx for an input of 3 × 4: Got:"
        " 3 Expected: 2",
        "differs": "onnxruntime gives other numbers than PyTorch for the network of test_onnx, for"
        " an input of 1 × 4; not kept",
        "another shape": "onnxruntime gives other numbers than PyTorch for the network of"
        " test_onnx, for an input of 3 × 4; not kept",
    }[wrong]
    with pytest.raises(UserError) as caught:
        write_onnx(Plain(), nn.Identity(), tmp_path / "net.onnx")
    assert str(caught.value) == expected


def test_inputs_of_other_sizes_are_like_the_example() -> None:
    x = torch.tensor([[0.0, 1.0, 2.0], [10.0, 11.0, 12.0]])
    first, second = sizes_to_compare([x, x], [{0: "batch", 1: "source"}, {0: "batch", 1: "target"}])
    assert first == {"batch": 3, "source": 3, "target": 3}
    assert second == {"batch": 1, "source": 1, "target": 1}
    longer = torch.zeros(2, 12)
    _, second = sizes_to_compare(
        [longer, longer], [{0: "batch", 1: "source"}, {0: "batch", 1: "target"}]
    )
    assert second == {"batch": 1, "source": 5, "target": 4}  # no two the same
    found = resized(x, {0: "batch", 1: "length"}, {"batch": 5, "length": 2})
    assert found.shape == (5, 2)
    assert set((found % 10).flatten().tolist()) <= {0.0, 1.0}
    assert (found % 10 == torch.arange(2)).all()
    rows = resized(x.long(), {0: "batch"}, {"batch": 5})
    assert all(row in x.long().tolist() for row in rows.tolist())


def test_what_stands_in_while_exporting_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    lstm = LSTM(2, 5, layers=2).eval()
    x = torch.randn(3, 7, 2)
    edges = torch.rand(3, 9).cumsum(1)
    weights = torch.rand(3, 8) * (torch.rand(3, 8) < 0.7) + 1e-3
    with torch.inference_mode():
        expected = lstm(x)[0], sample_histogram(edges, weights, 20, random=False)
        monkeypatch.setattr(torch.compiler, "is_exporting", lambda: True)
        found = lstm(x)[0], sample_histogram(edges, weights, 20, random=False)
    assert expected[0].abs().amax() > 0.1
    torch.testing.assert_close(found[0], expected[0], rtol=1e-5, atol=1e-6)
    assert torch.equal(found[1], expected[1])
