"""The graph of an expression as a picture."""

from __future__ import annotations

import numpy as np

from etude.autodiff.tensor import Tensor
from etude.drawing import Edge, Node, svg


def draw(tensor: Tensor) -> str:
    """The expression that a tensor is the result of, as SVG: operations are boxes, their operands
    the edges between them.

    Each edge is labelled with the operand's shape and, after a backward pass, with the Euclidean
    norm of its gradient.

    Args:
        tensor: the result, of any shape. ``tensor.backward(retain_graph=True, retain_grads=True)``
            before it leaves the graph there, and gradients everywhere in it.
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

    nodes = [_node(each) for each in reversed(order)]
    nodes.append(Node("result", ("result",), "input"))
    edges = [_edge(operand, str(id(each))) for each in order for operand in each.parents]
    edges.append(_edge(tensor, "result"))
    return svg(nodes, edges, "an expression")


def _node(tensor: Tensor) -> Node:
    key = str(id(tensor))
    if tensor.operation:
        lines = (tensor.operation, tensor.name) if tensor.name else (tensor.operation,)
        return Node(key, lines)
    if tensor.name:
        return Node(key, (tensor.name,), "leaf")
    text = f"{float(tensor.data):.4g}" if tensor.shape == () else "tensor"
    return Node(key, (text,), "leaf")


def _edge(operand: Tensor, end: str) -> Edge:
    label = " × ".join(map(str, operand.shape)) or "scalar"
    if operand.grad is not None:
        norm = np.linalg.norm(np.asarray(operand.grad.data))
        label += f"\n‖∇‖ {norm:.3g}"
    return Edge(str(id(operand)), end, label)
