"""A network's graph: parameters, FLOPs and receptive fields are right; the data flow is; what
repeats is folded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from etude.entry import Entry
from etude.errors import UserError
from etude.results.graph import Graph, graph, trace
from etude.study import Study
from studies.catalogue import ENTRIES


class Block(nn.Module):
    """Of ResNet-18 (He et al., 2016)."""

    def __init__(self, inputs: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        same = inputs == width and stride == 1
        shortcut = (nn.Conv2d(inputs, width, 1, stride, bias=False), nn.BatchNorm2d(width))
        self.shortcut = nn.Identity() if same else nn.Sequential(*shortcut)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm2(self.conv2(self.relu(self.norm1(self.conv1(x)))))
        y += self.shortcut(x)
        return self.relu(y)


class ResNet(nn.Module):
    def __init__(self, depths: Sequence[int] = (2, 2, 2, 2)) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 64, 7, 2, 3, bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, 1),
        )
        stages, inputs = [], 64
        for number, depth in enumerate(depths):
            width = 64 * 2**number
            first = Block(inputs, width, stride=2 if number else 1)
            stages.append(nn.Sequential(first, *[Block(width, width) for _ in range(depth - 1)]))
            inputs = width
        self.stages = nn.Sequential(*stages)
        self.head = nn.Linear(inputs, 1_000)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.stages(self.stem(x)).mean((2, 3)))
        return out


class Of(nn.Module):
    """A function with some modules, as a network."""

    def __init__(self, function: Any, **modules: nn.Module | nn.Parameter | Tensor) -> None:
        super().__init__()
        for name, module in modules.items():
            setattr(self, name, module)
        self.function = function

    def forward(self, *inputs: Tensor) -> Any:
        return self.function(self, *inputs)


def seen(
    network: nn.Module, *inputs: Tensor, fold: bool = True, full: bool = False, levels: int = 99
) -> Graph:
    found = trace(network, inputs)
    found.close(levels, full)
    if fold:
        found.fold()
    return found


def lines(found: Graph) -> list[str]:
    return [f"{'  ' * row['level']}{row['name']}:{row['operation']}" for row in found.rows()]


def flow(found: Graph) -> set[tuple[str, str]]:
    """Edges as pairs of what stands at their ends."""
    words = [row["name"] or row["operation"] for row in found.rows()]
    return {
        (words[source], words[place])
        for place, row in enumerate(found.rows())
        for source in row["from"]
    }


# -- parameters ------------------------------------------------------------------------------------


def test_every_parameter_is_counted_once_where_it_is_first_used() -> None:
    shared = nn.Linear(8, 8)
    frozen = nn.Linear(8, 3)
    frozen.weight.requires_grad = False
    net = Of(
        lambda m, x: m.head(m.second(m.first(x)) * m.scale + F.linear(x, m.matrix.exp())),
        first=shared,
        second=shared,
        head=frozen,
        scale=nn.Parameter(torch.ones(8)),
        matrix=nn.Parameter(torch.ones(8, 8)),
        never=nn.Linear(5, 5),
    )
    found = seen(net, torch.randn(2, 8))
    counts = {row["name"] or row["operation"]: row["parameters"] for row in found.rows()}
    assert (counts["first"], counts["head"], counts["mul"], counts["linear"]) == (72, 27, 8, 0)
    assert "first:2 × Linear 8 → 8" in [line.strip() for line in lines(found)]
    total = sum(p.numel() for p in net.parameters())
    assert (found.root.parameters, found.root.trained, found.idle) == (total, total - 24, 30)


def test_a_network_that_is_one_layer() -> None:
    found = seen(nn.Linear(4, 3), torch.randn(2, 4))
    assert lines(found) == [":input", ":Linear 4 → 3"]
    assert (found.root.parameters, found.root.flops) == (15, 24)
    assert flow(found) == {("input", "Linear 4 → 3")}


# -- FLOPs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("network", "shape", "flops"),
    [
        (nn.Linear(5, 7), (2, 5), 2 * 5 * 7),
        (nn.Linear(5, 7), (4, 3, 5), 3 * 2 * 5 * 7),
        (nn.Conv2d(3, 8, 3, stride=2, padding=1), (2, 3, 9, 9), 2 * 8 * 25 * 3 * 9),
        (nn.Conv2d(4, 8, (3, 1), groups=2), (2, 4, 9, 9), 2 * 8 * 7 * 9 * 2 * 3),
        (nn.ConvTranspose1d(3, 5, 4, stride=2), (2, 3, 6), 2 * 3 * 6 * 5 * 4),
        (nn.LSTM(4, 6, batch_first=True), (2, 5, 4), 5 * 2 * 4 * 6 * (4 + 6)),
        (nn.MultiheadAttention(8, 2, batch_first=True), (2, 5, 8), None),
        (Of(lambda m, x: x @ m.w, w=nn.Parameter(torch.ones(9))), (2, 4, 9), 2 * 4 * 9),
        (
            Of(lambda m, x: F.scaled_dot_product_attention(x, x, x)),
            (2, 3, 7, 4),
            3 * 2 * 2 * 7 * 7 * 4,
        ),
        (nn.Sequential(nn.BatchNorm1d(4), nn.ReLU(), nn.MaxPool1d(2)), (2, 4, 8), 0),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else None,
)
def test_flops_are_those_of_the_formula(
    network: nn.Module, shape: tuple[int, ...], flops: int | None
) -> None:
    x = torch.randn(shape)
    if flops is None:  # attention: four projections, two products
        network, flops = (
            Of(lambda m, x: m.a(x, x, x)[0], a=network),
            4 * 5 * 2 * 8 * 8 + 2 * 2 * 5 * 5 * 8,
        )
    found = seen(network, x)
    assert found.root.flops == flops
    assert found.root.flops == sum(step.flops for step in found.root.leaves())


def test_flops_do_not_depend_on_the_batch() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(8 * 36, 10))
    counts = {seen(network, torch.randn(n, 3, 8, 8)).root.flops for n in (1, 2, 5)}
    assert len(counts) == 1


def test_known_numbers_of_resnet_18() -> None:
    """11.69 million parameters, 1.81 billion multiplications with their additions, 435 pixels (He
    et al., 2016).
    """
    found = seen(ResNet(), torch.randn(1, 3, 224, 224))
    assert found.root.parameters == 11_689_512
    assert found.root.flops == pytest.approx(2 * 1.814e9, rel=1e-3)
    last = next(row for row in reversed(found.rows()) if "Block" in row["operation"])
    assert last["receptive_field"] == [435, 435]
    assert found.rows()[-1]["receptive_field"] == ["all", "all"]


# -- receptive fields ------------------------------------------------------------------------------

LENGTH = 160


def measured(network: nn.Module, x: Tensor) -> int:
    """The largest extent of the inputs that move one output, of the outputs that see no border."""
    x.requires_grad_()
    y = network(x)
    largest = 0
    for place in range(y.shape[-1]):
        (gradient,) = torch.autograd.grad(y[..., place].sum(), x, retain_graph=True)
        places = gradient.abs().sum((0, 1)).nonzero().flatten().tolist()
        if places and places[0] > 0 and places[-1] < x.shape[-1] - 1:
            largest = max(largest, places[-1] - places[0] + 1)
    return largest


def positive(network: nn.Module) -> nn.Module:
    """In double precision with positive weights: nothing cancels, no unit is dead."""
    for p in network.double().parameters():
        nn.init.uniform_(p, 0.1, 1)
    return network.eval()


class Residual(nn.Module):
    def __init__(self, kernel: int, dilation: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(2, 2, kernel, padding="same", dilation=dilation)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.conv(x))


class Branches(nn.Module):
    """Two that look to different sides, side by side; only a few channels go on."""

    def __init__(self, left: int, right: int) -> None:
        super().__init__()
        self.left, self.right = nn.Conv1d(2, 1, left, padding=left - 1), nn.Conv1d(2, 1, right)

    def forward(self, x: Tensor) -> Tensor:
        left = self.left(x)[..., : x.shape[-1]]
        right = self.right(F.pad(x, (0, self.right.kernel_size[0] - 1)))
        return torch.cat([left, right], 1)


small, size = st.integers(1, 2), st.integers(1, 4)
local = st.one_of(
    st.builds(
        lambda k, s, d, p: nn.Conv1d(2, 2, k, s, p, d),
        size,
        st.integers(1, 3),
        small,
        st.integers(0, 2),
    ),
    st.builds(lambda k, s: nn.AvgPool1d(k, s, k // 2), size, small),
    st.builds(lambda k, s: nn.MaxPool1d(k, s, k // 2), st.integers(1, 3), small),
    st.builds(Residual, size, small),
    st.builds(Branches, size, size),
    st.builds(lambda start, step: Of(lambda m, x: x[..., start::step]), st.integers(0, 3), small),
    st.builds(lambda: Of(lambda m, x: x.transpose(1, 2).squeeze().mul(2).mT)),
)


@given(st.lists(local, min_size=1, max_size=4), st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_a_field_is_what_the_gradient_reaches(layers: list[nn.Module], seed: int) -> None:
    torch.manual_seed(seed)
    network = positive(
        nn.Sequential(nn.Conv1d(2, 2, 1), *layers)
    )  # so that there is a window in any case
    x = torch.rand(
        64, 2, LENGTH
    ).double()  # many, for a maximum passes the gradient to one place only
    (field,) = seen(network, x[:2]).rows()[-1]["receptive_field"]
    assume(field <= LENGTH // 3)
    assert field == measured(network, x)


up = st.one_of(
    st.builds(
        lambda s, mode: nn.Upsample(None, s, mode),
        st.integers(1, 3),
        st.sampled_from(["nearest", "linear"]),
    ),
    st.builds(
        lambda s, k: nn.ConvTranspose1d(2, 2, s + k, s, 1), st.integers(1, 3), st.integers(0, 3)
    ),
)


@given(st.lists(local, max_size=2), up, small, st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_a_field_behind_upsampling(
    layers: list[nn.Module], up: nn.Module, kernel: int, seed: int
) -> None:
    torch.manual_seed(seed)
    network = positive(nn.Sequential(*layers, up, nn.Conv1d(2, 2, kernel)))
    x = torch.rand(64, 2, LENGTH).double()
    (field,) = seen(network, x[:2]).rows()[-1]["receptive_field"]
    assume(field <= LENGTH // 3)
    assert field == measured(network, x)


@pytest.mark.parametrize(
    "pool", [nn.AdaptiveAvgPool1d(16), nn.AdaptiveAvgPool1d(30), nn.AdaptiveMaxPool1d(7)]
)
def test_a_field_behind_adaptive_pooling(pool: nn.Module) -> None:
    network = positive(nn.Sequential(nn.Conv1d(2, 2, 3, padding=1), pool))
    x = torch.rand(64, 2, LENGTH).double()
    (field,) = seen(network, x[:2]).rows()[-1]["receptive_field"]
    real = measured(network, x)
    assert real <= field <= real + 1  # where it does not go evenly, windows differ


def field(network: nn.Module, *inputs: Tensor) -> list[int | str]:
    found: list[int | str] = seen(network, *inputs).rows()[-1]["receptive_field"]
    return found


IMAGE = torch.randn(2, 3, 16, 16)
CONV = nn.Conv2d(3, 4, (3, 5))


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda m, x: m.conv(x), [3, 5]),
        (lambda m, x: m.conv(x).permute(0, 2, 3, 1).unsqueeze(1).softmax(-1), [3, 5]),
        (lambda m, x: m.conv(x).flatten(2).transpose(1, 2), [3, 5]),  # tokens
        (lambda m, x: m.conv(x).flatten(2).transpose(1, 2)[:, 0], [3, 5]),
        (lambda m, x: m.conv(x).amax(3), [3, "all"]),
        (lambda m, x: m.conv(x).mean((2, 3), keepdim=True) + 1, ["all", "all"]),
        (lambda m, x: m.conv(x) * m.conv(x).mean((2, 3), keepdim=True).sigmoid(), ["all", "all"]),
        (lambda m, x: F.adaptive_avg_pool2d(m.conv(x), 1), ["all", "all"]),
        (lambda m, x: m.conv(x).flatten(1) @ m.w, ["all", "all"]),
        (lambda m, x: F.linear(m.conv(x)[..., :1].exp().flatten(1), m.w[:56]), ["all", 5]),
        (lambda m, x: torch.einsum("nchw,ch->nhw", m.conv(x), m.w[:56].view(4, 14)), [3, 5]),
        (lambda m, x: (t := m.conv(x).flatten(2)) @ (t.mT @ t).softmax(-1), ["all", "all"]),
        (
            lambda m, x: F.scaled_dot_product_attention(
                *[m.conv(x).flatten(2).mT] * 3, is_causal=True
            ),
            ["all", "all"],
        ),
        (lambda m, x: m.conv(x).cumsum(2), ["all", 5]),
        (
            lambda m, x: F.conv2d(m.conv(x).transpose(1, 2), torch.ones(1, 14, 1, 1)),
            ["all", 5],
        ),  # over channels
        (lambda m, x: F.grid_sample(m.conv(x), torch.zeros(2, 4, 4, 2)), ["all", "all"]),
        (lambda m, x: F.group_norm(m.conv(x), 2), [3, 5]),  # statistics apart
        (lambda m, x: F.pixel_shuffle(m.conv(x), 2), [3, 5]),
        (lambda m, x: m.conv(x).where(m.conv(x) > 0, 0.0), [3, 5]),
        (lambda m, x: m.conv(x).flip(2), [3, 5]),
        (lambda m, x: m.conv(x.repeat_interleave(2, 2)), [2, 5]),
        (lambda m, x: m.conv(x.flip(2)), []),  # nobody knows
        (lambda m, x: m.conv(x).unflatten(2, (7, 2)).transpose(2, 3), []),
        (lambda m, x: x.mean((2, 3)), []),  # no window slides
        (lambda m, x: torch.linalg.svdvals(m.conv(x)), []),  # NaN does not pass
    ],
)
def test_fields_behind_other_functions(function: Any, expected: list[int | str]) -> None:
    assert (
        field(Of(function, conv=CONV, w=nn.Parameter(torch.ones(4 * 14 * 12))), IMAGE) == expected
    )


def test_a_field_along_a_text() -> None:
    net = Of(
        lambda m, x: m.conv(m.table(x).transpose(1, 2)),
        table=nn.Embedding(9, 4),
        conv=nn.Conv1d(4, 2, 3, dilation=2),
    )
    assert field(net, torch.zeros(2, 12, dtype=torch.long)) == [5]
    assert (
        field(
            Of(lambda m, x: m.table(x).mean(1), table=nn.Embedding(9, 4)),
            torch.zeros(2, 5, dtype=torch.long),
        )
        == []
    )
    network = nn.Sequential(
        nn.Conv1d(3, 4, 3), Of(lambda m, x: m.rnn(x.mT)[0], rnn=nn.GRU(4, 5, batch_first=True))
    )
    assert field(network, torch.randn(2, 3, 12)) == ["all"]


def test_the_network_and_its_inputs_are_left_as_they_were() -> None:
    """Trying functions with NaN must not reach what they change in place."""

    def function(m: Of, x: Tensor) -> Tensor:
        y = m.conv(x)
        y += m.conv(x)
        y[:, 0] = y[:, 1]
        y.mul_(y.mean(1, keepdim=True))
        return y

    net, x = Of(function, conv=nn.Conv2d(3, 4, 3)), IMAGE.clone()
    expected = net(x)
    results: list[Tensor] = []
    net.register_forward_hook(lambda module, args, result: results.append(result.clone()))
    assert field(net, x) == [3, 3]
    assert torch.equal(results[0], expected)
    assert torch.equal(x, IMAGE)


# -- data flow -------------------------------------------------------------------------------------


class Double(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, x: Tensor) -> Tensor:  # type: ignore[override]
        return 2 * x


def test_the_flow_of_a_residual_block() -> None:
    found = seen(Block(3, 3), IMAGE)
    assert flow(found) == {
        ("input", "conv1"),
        ("conv1", "norm1"),
        ("norm1", "relu"),
        ("relu", "conv2"),
        ("conv2", "norm2"),
        ("norm2", "add"),
        ("input", "add"),
        ("add", "relu"),
    }


def test_functions_of_every_kind_are_seen() -> None:
    def function(m: Of, x: Tensor, y: Tensor) -> dict[str, Any]:
        a = Double.apply(x).T.float()
        b = torch.zeros(4, 2)
        b[1:] = a[1:]
        rows = [row + 1 for row in b]
        unused = y.exp().log()  # noqa: F841
        return {"result": (torch.stack(rows).detach(), m.same(y).view(-1))}

    found = seen(Of(function, same=nn.Identity()), torch.randn(2, 4), torch.randn(2, 3))
    assert flow(found) == {
        ("input 1", "Double"),
        ("Double", "T"),
        ("T", "index"),
        ("index", "setitem"),
        ("setitem", "unbind"),
        ("unbind", "4 parallel add 1"),
        ("4 parallel add 1", "stack"),
        ("input 2", "view"),
    }


def test_a_number_stands_beside_its_operation() -> None:
    found = seen(Of(lambda m, x: ((1 - x) / 4) ** 2 * torch.ones(3)), torch.randn(2, 3))
    assert lines(found)[2:] == ["  :sub 1", "  :div 4", "  :pow 2", "  :mul"]


# -- what is shown ---------------------------------------------------------------------------------


def test_a_residual_network_is_short() -> None:
    deep, twice = (
        seen(ResNet(depths), torch.randn(2, 3, 32, 32)) for depths in ((3, 4, 6, 3), (2, 2, 2, 2))
    )
    assert len(deep.rows()) <= len(twice.rows()) + 10 < 100
    blocks = [row["operation"] for row in deep.rows() if "Block" in row["operation"]]
    assert blocks == ["3 × Block", "Block", "3 × Block", "Block", "5 × Block", "Block", "2 × Block"]
    for found in (deep, twice):
        rows = found.rows()
        assert rows[1]["parameters"] == sum(row["parameters"] for row in rows if row["level"] == 1)
    whole = seen(ResNet((3, 4, 6, 3)), torch.randn(2, 3, 32, 32), fold=False)
    assert whole.root.parameters == deep.root.parameters
    assert sum(row["operation"] == "Block" for row in whole.rows()) == 16


def test_what_follows_itself_is_folded() -> None:
    class Perceptron(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList(
                [nn.Linear(2, 8), *[nn.Linear(8, 8) for _ in range(3)], nn.Linear(8, 1)]
            )

        def forward(self, x: Tensor) -> Tensor:
            for layer in self.layers[:-1]:
                x = torch.tanh(layer(x))
            return self.layers[-1](x)  # type: ignore[no-any-return]

    found = seen(Perceptron(), torch.randn(2, 2))
    assert lines(found)[2:] == [
        "  0:Linear 2 → 8",
        "  :tanh",
        "  :3 × (Linear, tanh)",
        "    1:Linear 8 → 8",
        "    :tanh",
        "  4:Linear 8 → 1",
    ]
    three, one = found.rows()[4:6]
    assert (three["parameters"], one["parameters"], three["flops"], one["flops"]) == (
        3 * 72,
        72,
        3 * 128,
        128,
    )
    assert found.rows()[-1]["from"] == [6]


def test_a_cell_in_a_loop_is_one_cell() -> None:
    def function(m: Of, x: Tensor) -> Tensor:
        h = torch.zeros(len(x), 5)
        for t in range(x.shape[1]):
            h = m.cell(x[:, t], h)
        return h

    found = seen(Of(function, cell=nn.GRUCell(3, 5)), torch.randn(2, 7, 3))
    assert lines(found)[2:] == ["  :7 × (index, GRUCell)", "    :index", "    cell:GRUCell 3 → 5"]
    assert found.rows()[2]["parameters"] == sum(p.numel() for p in nn.GRUCell(3, 5).parameters())


def test_what_stands_side_by_side_is_folded_from_four_on() -> None:
    heads = nn.ModuleList(nn.Linear(6, 2) for _ in range(5))
    found = seen(
        Of(lambda m, x: torch.cat([h(x) for h in m.heads], 1), heads=heads), torch.randn(2, 6)
    )
    assert lines(found)[2:] == ["  0 … 4:5 parallel Linear 6 → 2", "  :cat"]
    assert flow(found) == {("input", "0 … 4"), ("0 … 4", "cat")}
    few = Of(
        lambda m, x: m.q(x) @ m.k(x).mT @ m.v(x),
        q=nn.Linear(6, 6),
        k=nn.Linear(6, 6),
        v=nn.Linear(6, 6),
    )
    assert [line for line in lines(seen(few, torch.randn(2, 5, 6))) if "Linear" in line] == [
        "  q:Linear 6 → 6",
        "  k:Linear 6 → 6",
        "  v:Linear 6 → 6",
    ]


def test_what_is_used_elsewhere_too_is_not_folded() -> None:
    layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))

    def function(m: Of, x: Tensor) -> Tensor:
        a = m.layers[0](x)
        b = m.layers[1](a)
        c = m.layers[2](b)
        return a + b + c

    assert (
        sum(
            "Linear" in line for line in lines(seen(Of(function, layers=layers), torch.randn(2, 4)))
        )
        == 3
    )


@pytest.mark.parametrize(
    "function",
    [
        lambda x, y, w: x * w * y,  # the second takes something else
        lambda x, y, w: (a := x.exp(), b := x * w, a.exp() * b)[-1],  # wired otherwise inside
        lambda x, y, w: (b := (a := x.exp()) * a).exp() * b,  # and by what comes in
    ],
)
def test_what_is_wired_otherwise_is_not_folded(function: Any) -> None:
    net = Of(lambda m, x, y: function(x, y, m.w), w=nn.Parameter(torch.ones(4)))
    found = seen(net, torch.randn(2, 4), torch.randn(2, 4))
    assert not [line for line in lines(found) if "×" in line]


def test_modules_are_opened_as_deep_as_asked() -> None:
    norm = Of(lambda m, x: x / x.std())
    net = nn.Sequential(nn.Sequential(nn.Linear(4, 4), norm), nn.Linear(4, 2))
    x = torch.randn(2, 4)
    assert lines(seen(net, x, levels=0)) == [":input", ":Sequential"]
    assert lines(seen(net, x, levels=1)) == [
        ":input",
        ":Sequential",
        "  0:Sequential",
        "  1:Linear 4 → 2",
    ]
    assert lines(seen(net, x))[3:] == ["    0:Linear 4 → 4", "    1:Of", "  1:Linear 4 → 2"]
    assert lines(seen(net, x, full=True))[4:7] == ["    1:Of", "      :std", "      :div"]
    assert {seen(net, x, levels=n).root.parameters for n in range(3)} == {30}
    assert flow(seen(net, x, levels=1)) == {("input", "0"), ("0", "1")}


def test_the_picture() -> None:
    found = seen(ResNet((3, 1, 1, 1)), torch.randn(2, 3, 64, 64))
    text = found.svg()
    root = ElementTree.fromstring(text)
    words = [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert words[:3] == ["× 3", "input", "3 × 64 × 64"]
    assert words.count("Conv2d 3×3, 64 → 64") == 2
    assert words.count("BatchNorm2d · ReLU") == 5
    edges = sum(len(row["from"]) for row in found.rows())
    assert found.svg(fused=False).count("marker-end") == edges
    boxes = len(root.findall(".//{http://www.w3.org/2000/svg}g/{http://www.w3.org/2000/svg}rect"))
    assert boxes == 19
    assert text.count("marker-end") == edges - (1 + len([*found.root.leaves()]) - boxes)


def test_what_is_used_twice_has_a_box_of_its_own() -> None:
    net = Of(lambda m, x: (y := m.conv(x)).relu().exp() + y, conv=nn.Conv2d(3, 4, 1))
    text = seen(net, IMAGE).svg()
    assert text.count("<rect") == 4  # input, conv, relu with exp, add
    assert text.count("marker-end") == 4


# -- studies ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_every_study_has_a_graph(entry: Entry) -> None:
    cls = entry.load()
    study = cls.at("quick")
    state = torch.random.get_rng_state()
    if cls.network is Study.network or cls.example is Study.example:
        with pytest.raises(UserError, match=entry.name):
            graph(study)
        return
    found = graph(study)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert found.root.parameters == sum(p.numel() for p in study.network().parameters())
    rows = found.rows()
    assert rows[0]["operation"].startswith("input")
    assert all(row["operation"] and all(size > 0 for size in row["output"]) for row in rows)
    assert all(source < place for place, row in enumerate(rows) for source in row["from"])
    ElementTree.fromstring(found.svg())
    whole = graph(study, full=True)
    assert (whole.root.parameters, whole.root.flops) == (found.root.parameters, found.root.flops)
    ElementTree.fromstring(whole.svg(fused=False))


@dataclass
class Mine(Study):
    """Whose example does not fit."""

    kind: str = "shape"  # of the mistake

    def network(self) -> nn.Module:
        return nn.Linear(3, 2)

    def example(self) -> Tensor:
        if self.kind == "none":
            return super().example()  # type: ignore[return-value]
        return torch.zeros(2, 4)


def test_a_network_that_does_not_fit_its_example_gets_one_sentence() -> None:
    with pytest.raises(
        UserError,
        match=r"network of study test_graph can't be applied to its example: mat1 and mat2",
    ):
        graph(Mine())
    with pytest.raises(UserError, match="gives no example input"):
        graph(Mine(kind="none"))


def test_nothing_is_left_in_pytorch() -> None:
    before = (
        torch.autograd.Function.__dict__["apply"],
        torch.is_grad_enabled(),
        torch.backends.mkldnn.enabled,
    )
    net = ResNet((1, 1, 1, 1))
    trace(net, [torch.randn(2, 3, 32, 32)])
    with pytest.raises(RuntimeError):
        trace(net, [torch.randn(2, 4, 32, 32)])
    assert before == (
        torch.autograd.Function.__dict__["apply"],
        torch.is_grad_enabled(),
        torch.backends.mkldnn.enabled,
    )
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())
    assert math.isfinite(net(torch.randn(1, 3, 32, 32)).sum().item())
