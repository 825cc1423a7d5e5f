"""The graph of an expression as a picture."""

from __future__ import annotations

import numpy as np

from etude.autodiff.tensor import Tensor, no_grad, pull_back, trace
from etude.drawing import Edge, Node, svg


def draw(tensor: Tensor) -> str:
    """The expression that a tensor is the result of, as SVG: operations are boxes, their operands
    the edges between them.

    A box shows the value v of what it computes, where that is a scalar, and its adjoint
    v̄ = ∂y/∂v. The edge from an operand u to v shows what v contributes to the adjoint of u, that
    is v̄ ∂v/∂u: the contributions on all edges that leave u add up to ū. Of an array, an edge shows
    the shape, and Euclidean norms stand in place of the adjoint and of the contribution; norms do
    not add up.

    Args:
        tensor: the result, of any shape; one that is no scalar is drawn without adjoints.
    """
    found = {id(tensor): tensor}
    waiting = [tensor]
    order = []
    while waiting:
        order.append(waiting.pop())
        for operand in order[-1].parents:
            if id(operand) not in found:
                found[id(operand)] = operand
                waiting.append(operand)

    adjoints = _adjoints(tensor)
    nodes = [_node(each, adjoints.get(id(each))) for each in reversed(order)]
    nodes.append(Node("result", ("result",), "input"))
    edges = [edge for each in order for edge in _edges(each, adjoints.get(id(each)))]
    edges.append(Edge(str(id(tensor)), "result", _shape(tensor)))
    return svg(nodes, edges, "an expression")


def _adjoints(tensor: Tensor) -> dict[int, Tensor]:
    """The adjoint of every tensor that a scalar was computed from, by its id."""
    if not tensor.requires_grad or tensor.size != 1:
        return {}
    one = Tensor(np.ones_like(tensor.data))
    pairs = pull_back(tensor, one, trace(tensor), (), False, True, True)
    return {id(each): adjoint for each, adjoint in pairs}


def _node(tensor: Tensor, adjoint: Tensor | None) -> Node:
    key = str(id(tensor))
    scalar = tensor.shape == ()
    value = f"{float(tensor.data):.4g}" if scalar else "tensor"
    names = tuple(each for each in (tensor.operation, tensor.name) if each) or (value,)
    lines = names
    if scalar and names != (value,):
        lines += (f"value {value}",)
    if adjoint is not None:
        lines += (f"adjoint {_size(adjoint)}",)
    kind = "" if tensor.operation else "leaf"
    return Node(key, lines, kind, title="\n".join(names))


def _edges(tensor: Tensor, adjoint: Tensor | None) -> list[Edge]:
    """The edges to a tensor from its operands."""
    edges = []
    for i, operand in enumerate(tensor.parents):
        label = _shape(operand)
        if adjoint is not None and operand.requires_grad and tensor._pulls:
            with no_grad():
                contribution = tensor._pulls[i](adjoint, tensor, *tensor.parents)
            size = _size(contribution)
            label = size if operand.shape == () else f"{label}\n{size}"
        edges.append(Edge(str(id(operand)), str(id(tensor)), label))
    return edges


def _shape(tensor: Tensor) -> str:
    return " × ".join(map(str, tensor.shape)) or "scalar"


def _size(tensor: Tensor) -> str:
    """A scalar as it is, an array as its norm."""
    if tensor.shape == ():
        return f"{float(tensor.data):.3g}"
    return f"‖·‖ {np.linalg.norm(tensor.data):.3g}"
