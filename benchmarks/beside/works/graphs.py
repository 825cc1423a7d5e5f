"""Layers and networks on graphs, beside torch-geometric."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.beside.work import Contender, Measured, Work, median_seconds

PYG = {"gcn": "GCNConv", "cheb": "ChebConv", "sage": "SAGEConv", "gat": "GATConv", "gin": "GINConv"}
NODES, EDGES, WIDTH = 100_000, 1_000_000, 16
EPOCHS = 200  # of training on Cora


def _cora() -> Any:
    from etude import data
    from etude.errors import UserError

    try:
        return data.planetoid("cora")
    except UserError as error:
        raise ModuleNotFoundError(name="ETUDE_DATA") from error


def etude_cora(seed: int) -> Measured:
    """The study's network and training, with the weights that were best on the validation nodes."""
    import tempfile

    import etude
    from etude.studies.graphs.gcn.gcn import GraphConvolution

    graph, study = _cora(), GraphConvolution.at("full", steps=EPOCHS)
    with (
        tempfile.TemporaryDirectory() as folder,
        etude.Run("bench", seed=seed, root=folder, quiet=True) as run,
    ):
        net = study.train(run, graph, "gcn", [study.width])
        study.evaluate(run, net, graph)
        ended = [row["seconds"] for row in run.folder.metrics()]
    seconds = (ended[-1] - ended[0]) / (len(ended) - 1)  # each row of the log is an epoch
    return Measured(1e3 * seconds, {"test accuracy": run.metrics["test/accuracy"]})


def pyg_cora(seed: int) -> Measured:
    """Its documentation's example ``gcn.py``: dense features, the best weights by the validation
    nodes.
    """
    from statistics import fmean
    from time import perf_counter

    import torch
    from torch.nn import functional as F
    from torch_geometric.nn import GCNConv

    class GCN(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1, self.conv2 = GCNConv(x.shape[1], 16), GCNConv(16, len(graph.classes))

        def forward(self, x: Any, edge_index: Any) -> Any:
            x = F.dropout(x, p=0.5, training=self.training)
            x = self.conv1(x, edge_index).relu()
            x = F.dropout(x, p=0.5, training=self.training)
            return self.conv2(x, edge_index)

    graph = _cora()
    x, edges, y = graph.features.to_dense(), graph.edges, graph.labels
    torch.manual_seed(seed)
    model = GCN()
    groups = [
        {"params": model.conv1.parameters(), "weight_decay": 5e-4},
        {"params": model.conv2.parameters()},
    ]
    optimizer = torch.optim.Adam(groups, lr=0.01)
    seconds, best, test = [], 0.0, 0.0
    for _ in range(EPOCHS):
        began = perf_counter()
        model.train()
        optimizer.zero_grad()
        F.cross_entropy(model(x, edges)[graph.train], y[graph.train]).backward()
        optimizer.step()
        with torch.no_grad():
            model.eval()
            right = (model(x, edges).argmax(1) == y).float()
        if (valid := float(right[graph.validation].mean())) > best:
            best, test = valid, float(right[graph.test].mean())
        seconds.append(perf_counter() - began)
    return Measured(1e3 * fmean(seconds[1:]), {"test accuracy": test})


def _layer(kind: Any, ours: bool) -> Contender:
    """Forward and backward of one layer."""

    def run(seed: int) -> Measured:
        import torch
        from torch import nn

        generator = torch.Generator().manual_seed(seed)
        half = torch.randint(NODES, (2, EDGES // 2), generator=generator)
        edges = torch.cat([half, half.flip(0)], 1)
        x = torch.randn(NODES, WIDTH, generator=generator, requires_grad=True)
        torch.manual_seed(seed)
        if ours:
            from etude.layers.graphs import Graph
            from etude.networks.gnn import layer

            net: nn.Module = layer(kind, WIDTH, WIDTH)
            graph: Any = Graph(edges, NODES)
        else:
            import torch_geometric.nn as pyg

            graph = edges
            if kind == "gin":
                inner = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH))
                net = pyg.GINConv(inner, train_eps=True)
            else:
                net = getattr(pyg, PYG[kind])(WIDTH, WIDTH, *([3] if kind == "cheb" else []))
        step: Callable[[], object] = lambda: net(x, graph).sum().backward()  # noqa: E731
        return Measured(1e3 * median_seconds(step, warm=1, most=20))

    return run


WORKS = [
    Work(
        "epoch-gcn",
        "an epoch of a graph convolutional network on Cora",
        "ms",
        "≥ 4 ×",
        {"etude": etude_cora, "torch-geometric": pyg_cora},
        note=(
            f"Two layers, 16 hidden, dropout ½, Adam, {EPOCHS} epochs with a look at the validation"
            " nodes in each; the accuracy is the mean over seeds, on the public split. Etude keeps"
            " the features sparse, torch-geometric's example takes them dense."
        ),
    ),
    *(
        Work(
            f"layer-{kind}",
            f"a layer ({kind}) on 10⁵ nodes and 10⁶ edges, forward and backward",
            "ms",
            "≥ 1.3 ×" if kind == "gcn" else "",
            {"etude": _layer(kind, True), "torch-geometric": _layer(kind, False)},
            note="16 numbers a node, random edges." if kind == "gcn" else "",
        )
        for kind in PYG
    ),
]
