"""Repetitions in a network: what follows itself, or stands beside itself, is shown once."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

from etude.results.graph.step import Step

if TYPE_CHECKING:
    from etude.results.graph.flow import Graph


def fold(graph: Graph) -> None:
    """Show what follows itself once, and what stands beside itgraph."""
    for step in reversed([*graph.root.all()]):
        step.steps = _folded(graph, step.steps)


def _folded(graph: Graph, steps: list[Step]) -> list[Step]:
    """The repetition that saves most is shown once, then what is left and right of it is looked
    through.
    """
    numbers: dict[Hashable, int] = {}
    forms = [numbers.setdefault(_form(step), len(numbers)) for step in steps]
    best: tuple[tuple[int, bool, int], int, list[list[Step]], str] | None = None
    for length in range(1, len(steps) // 2 + 1):
        if best and best[0][0] >= len(steps) - length:
            break
        for start in range(len(steps) - 2 * length + 1):
            times = 1
            while (
                forms[start : start + length]
                == forms[start + times * length : start + (times + 1) * length]
            ):
                times += 1
            worth = (times - 1) * length, bool(steps[start].name), -length
            if times > 1 and (best is None or worth > best[0]):
                units = [steps[start + n * length : start + (n + 1) * length] for n in range(times)]
                if flow := _flow(graph, units):
                    best = worth, start, units, flow
    if best is None:
        return steps
    _, start, units, flow = best
    once = _once(graph, units, flow == "parallel")
    return [
        *_folded(graph, steps[:start]),
        once,
        *_folded(graph, steps[start + len(units) * len(units[0]) :]),
    ]


def _flow(graph: Graph, units: list[list[Step]]) -> str | None:
    """``chain``: each unit is made of the one before, which none else uses; ``parallel``: they
    are side by side.
    """
    where = {leaf: (n, i) for n, unit in enumerate(units) for i, leaf in enumerate(_leaves(unit))}
    inside: list[set[Any]] = [set() for _ in units]
    before: list[set[Any]] = [set() for _ in units]
    outside: list[set[Any]] = [set() for _ in units]
    for leaf, (n, i) in where.items():
        for source in graph.sources(leaf):
            m, j = where.get(source, (None, source))
            if m is None or n - m > 1:
                outside[n].add((i, source))
            else:
                (inside if m == n else before)[n].add((i, j))
    if any(found[1:] != found[1:2] * (len(units) - 1) for found in (inside, before, outside)):
        return None
    if inside[0] != inside[1] or not outside[1] <= outside[0]:
        return None
    if not before[1]:
        return "parallel" if outside[0] == outside[1] and len(units) > 3 else None
    fed = {i for i, _ in outside[0] - outside[1]}  # nothing where it begins with a constant
    if fed and fed != {i for i, _ in before[1]}:
        return None
    passed = {
        leaf for leaf, (n, _) in where.items() if n < len(units) - 1
    }  # these only the next unit may use
    others = (leaf for leaf in graph.root.leaves() if leaf not in where)
    return (
        "chain"
        if passed.isdisjoint(source for leaf in others for source in graph.sources(leaf))
        else None
    )


def _once(graph: Graph, units: list[list[Step]], parallel: bool) -> Step:
    first = units[0]
    if len(first) > 1:
        step = Step("", f"({', '.join(step.operation for step in first)})", steps=first)
        step.shape, step.alike = first[-1].shape, tuple(each.alike for each in first)
    else:
        (step,) = first
        end = units[-1][0].name
        step.name = f"{step.name} … {end}" if step.name != end else end
    step.times, step.parallel = len(units), parallel
    for number in ("parameters", "trained", "flops"):
        setattr(step, number, sum(getattr(each, number) for unit in units for each in unit))
    for unit in units[1:]:
        graph.stands |= zip(_leaves(unit), _leaves(first), strict=True)
    for one, last in zip(_all(first), _all(units[-1]), strict=True):
        one.reach = last.reach  # of what comes out in the end
    step.reach = units[-1][-1].reach
    return step


def _all(steps: Sequence[Step]) -> list[Step]:
    return [each for step in steps for each in step.all()]


def _leaves(steps: Sequence[Step]) -> list[Step]:
    return [leaf for step in steps for leaf in step.leaves()]


def _form(step: Step) -> Hashable:
    return step.alike, step.shape, step.times, tuple(map(_form, step.steps))
