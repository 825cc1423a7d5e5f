"""A network's data flow: its steps, where their inputs come from, and its rows as a table."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from etude.results.graph.fold import fold
from etude.results.graph.picture import picture
from etude.results.graph.step import Step


@dataclass
class Graph:
    """A network's data flow."""

    name: str
    inputs: list[Step]
    root: Step
    axes: list[int]  # dimensions of the input along which a window slides somewhere
    batch: int
    idle: int  # parameters that the forward pass does not use
    stands: dict[Step, Step] = field(
        default_factory=dict
    )  # for a step that is not shown, the one that is

    def shape(self, step: Step) -> tuple[int, ...]:
        """Of the result for one example."""
        return step.shape[1:] if step.shape[:1] == (self.batch,) else step.shape

    def sees(self, step: Step) -> list[int | str]:
        """The receptive field: places along each axis, or ``all``; empty where nobody knows or it
        means nothing.
        """
        sizes = [window.size for window in map(step.reach.get, self.axes) if window]
        known = len(sizes) == len(self.axes)
        return ["all" if math.isinf(size) else int(size) for size in sizes] if known else []

    def sources(self, step: Step) -> list[Step]:
        """Where its inputs come from, among the steps that are shown."""
        shown = dict.fromkeys(self.shown(source) for source in step.sources if not step.steps)
        return [source for source in shown if source is not step]

    def shown(self, step: Step) -> Step:
        """The step that stands for one."""
        while step in self.stands:
            step = self.stands[step]
        return step

    def rows(self) -> list[dict[str, Any]]:
        """Inputs, modules and operations in order.

        Numbers are of all times together, those inside of one time.
        """
        order = [*self.inputs, *self.root.all()]
        number = {step: place for place, step in enumerate(order)}
        level = dict.fromkeys(self.inputs, 0) | {self.root: 0}
        for step in self.root.all():
            level |= dict.fromkeys(step.steps, level[step] + 1)
        return [
            {
                "level": level[step],
                "name": step.name,
                "operation": step.text,
                "output": [*self.shape(step)],
                "parameters": step.parameters,
                "flops": step.flops,
                "receptive_field": self.sees(step),
                "from": [number[source] for source in self.sources(step)],
            }
            for step in order
        ]

    def as_json(self) -> dict[str, Any]:
        """What a program wants to know; ``from`` holds numbers of rows."""
        totals = {
            "parameters": self.root.parameters,
            "trained": self.root.trained,
            "flops": self.root.flops,
        }
        return {"network": self.name, **totals, "idle": self.idle, "rows": self.rows()}

    def close(self, levels: int | None, full: bool) -> None:
        """Take the insides of modules away that lie ``levels`` deep, and unless ``full`` of those
        without modules.
        """

        def visit(step: Step, level: int) -> None:
            for each in step.steps:
                visit(each, level + 1)
            if step.steps and (level == levels or (step.simple and level and not full)):
                inside = [*step.leaves()]
                self.stands |= dict.fromkeys(inside, step)
                kinds = {leaf.kind for leaf in inside} - {"", "reshape", "merge"}
                step.kind = kinds.pop() if len(kinds) == 1 else ""
                step.sources, step.steps = (
                    [source for leaf in inside for source in leaf.sources],
                    [],
                )

        visit(self.root, 0)

    def fold(self) -> None:
        """Show what follows itself once, and what stands beside itself."""
        fold(self)

    def svg(self, fused: bool = True) -> str:
        """The picture: boxes for modules and operations, frames around what is repeated.

        Args:
            fused: normalisation, activation and the like are named in the box of what they follow.
        """
        return picture(self, fused)
