"""A step of a network: a module's call, or a function that is called between modules."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field

from etude.results.graph.receptive import Reach


@dataclass(eq=False)
class Step:
    """A module's call with all that it calls, or a function that is called between modules."""

    name: str  # in the module around it; empty for a function
    operation: str
    detail: str = ""  # the hyper-parameters that one wants to read
    kind: str = ""
    shape: tuple[int, ...] = ()  # of its (first) result
    reach: Reach = field(default_factory=dict)
    parameters: int = 0  # that nothing before it has used
    trained: int = 0
    flops: int = 0
    steps: list[Step] = field(default_factory=list)
    sources: list[Step] = field(
        default_factory=list
    )  # where its inputs come from, if it has no steps
    alike: Hashable = None  # what must be equal in repetitions
    layer: bool = False  # of PyTorch's own: never opened
    simple: bool = False  # a module without modules in it: opened on request
    times: int = 1
    parallel: bool = False  # the times are beside one another, not behind

    @property
    def text(self) -> str:
        """``2 × Conv2d 3×3, 64 → 64``."""
        times = (
            ""
            if self.times == 1
            else f"{self.times} parallel "
            if self.parallel
            else f"{self.times} × "
        )
        return times + self.called

    @property
    def called(self) -> str:
        """``Conv2d 3×3, 64 → 64``."""
        return f"{self.operation} {self.detail}".strip()

    @property
    def minor(self) -> bool:
        """Whether it can stand in the box of what it follows."""
        if self.name or self.parameters:
            return self.kind in ("normalisation", "activation", "reshape")
        return self.kind in ("", "normalisation", "activation", "reshape") or bool(self.detail)

    def all(self) -> Iterator[Step]:
        """Itself and all in it, in order."""
        yield self
        for step in self.steps:
            yield from step.all()

    def leaves(self) -> Iterator[Step]:
        """The steps without steps, in order."""
        return (step for step in self.all() if not step.steps)
