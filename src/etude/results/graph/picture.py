"""A network as a picture."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from etude.drawing import Edge, Group, Node, svg
from etude.results.graph.step import Step

if TYPE_CHECKING:
    from etude.results.graph.flow import Graph


def picture(graph: Graph, fused: bool = True) -> str:
    """The picture: boxes for modules and operations, frames around what is repeated.

    Args:
        graph: the network's data flow.
        fused: normalisation, activation and the like are named in the box of what they follow.
    """
    leaves = [*graph.inputs, *graph.root.leaves()]
    frames: dict[Step, tuple[Step, ...]] = dict.fromkeys([*graph.inputs, graph.root], ())
    for step in graph.root.all():  # the frames around each, from the outermost on
        frames[step] = frames.get(step, ()) + ((step,) if step.times > 1 else ())
        frames |= dict.fromkeys(step.steps, frames[step])
    used = [source for step in leaves for source in graph.sources(step)]
    head: dict[Step, Step] = {}  # of each step, the first in its box
    boxes: dict[Step, list[Step]] = {}
    for step in leaves:
        source, *more = graph.sources(step) or [step]
        first = head.get(source, step)
        joins = fused and step.minor and first.kind != "input" and frames[step] == frames[first]
        if not joins or more or used.count(source) > 1 or step.times > 1:
            first = step
        head[step] = first
        boxes.setdefault(first, []).append(step)
    key = {step: str(number) for number, step in enumerate(boxes)}

    def box(first: Step) -> Node:
        steps = boxes[first]
        then = " · ".join(
            (step.operation if step.name else step.text).replace(" ", "\xa0") for step in steps[1:]
        )
        words = [line.replace("\xa0", " ").strip(" ·") for line in textwrap.wrap(then, 32)]
        lines = (first.called, *words, " × ".join(map(str, graph.shape(steps[-1]))))
        return Node(
            key[first],
            tuple(filter(None, lines)),
            first.kind,
            "\n".join(_tip(graph, step) for step in steps),
        )

    def members(step: Step) -> list[Node | Group]:
        inside = [each for part in step.steps for each in members(part)] if step.steps else []
        if step in boxes:
            inside = [box(step)]
        if step.times == 1 or not inside:
            return inside
        label = f"{step.times} parallel" if step.parallel else f"× {step.times}"
        return [Group(label, tuple(inside))]

    ends = dict.fromkeys(
        (key[head[source]], key[head[step]]) for step in leaves for source in graph.sources(step)
    )
    nodes = [*map(box, graph.inputs), *members(graph.root)]
    return svg(nodes, [Edge(a, b) for a, b in ends if a != b], graph.name)


def _tip(graph: Graph, step: Step) -> str:
    words = [f"{step.name}: {step.text}" if step.name else step.text]
    words += [f"{step.parameters:,} parameters"] if step.parameters else []
    words += [f"{step.flops:,} FLOPs"] if step.flops else []
    words += (
        [f"receptive field {' × '.join(map(str, graph.sees(step)))}"] if graph.sees(step) else []
    )
    return ", ".join(words)
