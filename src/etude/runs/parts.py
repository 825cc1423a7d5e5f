"""What stands in a loop's ``state``: what of it is kept, and what the loop changes without it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from etude.errors import UserError
from etude.runs import plain, shards
from etude.runs.gradients import Optimizers, Schedule
from etude.runs.streams import Stateful, held_by
from etude.runs.workers import is_sharded

RIGHT = "expected networks, optimisers, schedules and whatever else has a state_dict"
STANDARD = (nn.Module, torch.optim.Optimizer, Schedule)
Buffers = dict[str, tuple[Tensor, int]]  # each by its name, and how often it was changed


class Parts:
    """The parts of one loop's state.

    Args:
        state: one part or several, as ``run.steps`` was given them.

    Raises:
        UserError: one of them has no state that could be taken and put back.
    """

    def __init__(self, state: Any) -> None:
        given = list(state) if isinstance(state, Sequence) and not isinstance(state, str) else None
        self.parts: list[Any] = [state] if given is None else given
        for part in self.parts:
            if not isinstance(part, (Stateful, *plain.GENERATORS)):
                raise UserError(f"state holds a {type(part).__name__}; {RIGHT}")
        self._begun = [_buffers(part) for part in self.parts]

    @property
    def networks(self) -> list[nn.Module]:
        """Those that are networks."""
        return [part for part in self.parts if isinstance(part, nn.Module)]

    # -- taking and putting back -------------------------------------------------------------------

    def state(self) -> list[Any]:
        """Their states, as plain data.

        Raises:
            UserError: one holds what a checkpoint can't hold.
        """
        return [
            plain.pack(
                plain.generator_state(part)
                if isinstance(part, plain.GENERATORS)
                else part.state_dict(),
                type(part).__name__,
            )
            for part in self.parts
        ]

    def put_back(self, states: Sequence[Any]) -> None:
        """Give each part its state.

        Raises:
            ValueError: a state does not fit, says the part.
        """
        for part, packed in zip(self.parts, states, strict=True):
            state = plain.unpack(packed)
            if isinstance(part, plain.GENERATORS):
                plain.put_back_generator(part, state)
                continue
            try:
                shards.load(part, state)
            except (RuntimeError, ValueError, KeyError) as error:
                reason = str(error).splitlines()[0]
                raise ValueError(
                    f"the state of its {type(part).__name__} does not fit ({reason})"
                ) from error

    def modes(self) -> list[dict[str, Any] | None]:
        """What a network has beside its ``state_dict``: which of its modules train, which of its
        parameters are learned, and the buffers that its state leaves out, where the loop has
        changed them.
        """
        return [
            {
                "training": [module.training for module in part.modules()],
                "learned": [parameter.requires_grad for parameter in part.parameters()],
                "buffers": {
                    name: buffer
                    for name, (buffer, version) in _buffers(part).items()
                    if not _is_same(begun.get(name), buffer, version)
                },
            }
            if isinstance(part, nn.Module)
            else None
            for part, begun in zip(self.parts, self._begun, strict=True)
        ]

    def put_back_modes(self, saved: Sequence[dict[str, Any] | None]) -> None:
        """Put back what :meth:`modes` gave."""
        for part, modes in zip(self.parts, saved, strict=True):
            if modes is None:
                continue
            for module, training in zip(part.modules(), modes["training"], strict=True):
                module.training = training
            for parameter, learned in zip(part.parameters(), modes["learned"], strict=True):
                if parameter.requires_grad != learned:
                    parameter.requires_grad_(learned)
            for name, buffer in modes["buffers"].items():
                owner, _, last = name.rpartition(".")
                module = part.get_submodule(owner)
                here = module._buffers[last]
                if here is not None and here.shape == buffer.shape and here.dtype == buffer.dtype:
                    with torch.no_grad():
                        here.copy_(buffer)
                else:
                    module._buffers[last] = buffer.to(here.device) if here is not None else buffer

    # -- what is missing ---------------------------------------------------------------------------

    def missing(self, optimizers: Optimizers, schedules: Sequence[Schedule]) -> str | None:
        """What a step of these optimisers and schedules changes and no part holds, in words."""
        own = [part for part in self.parts if not isinstance(part, STANDARD)]
        others = {
            id(each)
            for part in [*own, *(part for part in self.parts if isinstance(part, Schedule))]
            for name, value in getattr(part, "__dict__", {}).items()
            if not (isinstance(part, Schedule) and name == "optimizer")
            for each in held_by(value, (torch.optim.Optimizer, Schedule), 3)
        }
        present = others | {id(part) for part in self.parts}
        for each in (*optimizers, *schedules):
            if id(each) not in present:
                kind = "optimiser" if isinstance(each, torch.optim.Optimizer) else "schedule"
                return f"the {kind} {type(each).__name__}"
        held = {id(p) for net in self.networks for p in (*net.parameters(), *net.buffers())}
        learned = [
            parameter
            for optimizer in optimizers
            for group in optimizer.param_groups
            for parameter in group["params"]
            if parameter.requires_grad
            and parameter.numel()
            and id(parameter) not in held
            and not is_sharded(parameter)  # those of a network that lies in shards
        ]
        if not learned:
            return None
        tensors = [tensor for part in own for tensor in _tensors_of(part)]
        places = {
            tensor.data_ptr() for tensor in (*tensors, *_tensors(self.networks)) if tensor.numel()
        }
        lost = [
            parameter
            for parameter in learned
            if parameter.data_ptr() not in places
            and not any(_is_equal(parameter.detach(), tensor) for tensor in tensors)
        ]
        if not lost:
            return None
        shape = f"({', '.join(map(str, lost[0].shape))})"
        number = f"{len(lost)} parameters, the first" if len(lost) > 1 else "a parameter"
        return f"{number} of shape {shape}"


def _tensors(nets: Sequence[nn.Module]) -> Iterator[Tensor]:
    for net in nets:
        yield from (t for t in (*net.parameters(), *net.buffers()) if not is_sharded(t))


def _tensors_of(part: Any) -> Iterator[Tensor]:
    """The numbers in the state of a part of one's own, as tensors."""
    if isinstance(part, plain.GENERATORS):
        return

    def look(value: Any) -> Iterator[Tensor]:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, np.ndarray | np.generic | float | int):
            if not isinstance(value, np.ndarray) or value.dtype.kind in "fiu":
                yield torch.tensor(np.asarray(value))
        elif isinstance(value, dict):
            for each in value.values():
                yield from look(each)
        elif isinstance(value, list | tuple):
            numbers = _as_numbers(value)
            if numbers is not None:
                yield numbers
                return
            for each in value:
                yield from look(each)

    yield from look(part.state_dict())


def _as_numbers(value: Sequence[Any]) -> Tensor | None:
    """Nested lists of numbers as a tensor; None where they are not."""
    first = value[0] if value else None
    while isinstance(first, list | tuple) and first:
        first = first[0]
    if type(first) not in (int, float):
        return None
    try:
        return torch.tensor(value)
    except (TypeError, ValueError):
        return None


def _is_equal(parameter: Tensor, tensor: Tensor) -> bool:
    if parameter.numel() != tensor.numel() or is_sharded(tensor):
        return False
    there = tensor.to(parameter.device, parameter.dtype).reshape(parameter.shape)
    return torch.equal(parameter, there)


def _buffers(part: Any) -> Buffers:
    """The buffers of a network that its ``state_dict`` leaves out."""
    if not isinstance(part, nn.Module):
        return {}
    found: Buffers = {}
    for owner, module in part.named_modules():
        for name in sorted(module._non_persistent_buffers_set):
            buffer = module._buffers.get(name)
            if buffer is not None:
                version = 0 if buffer.is_inference() else buffer._version
                found[f"{owner}.{name}" if owner else name] = (buffer, version)
    return found


def _is_same(before: tuple[Tensor, int] | None, buffer: Tensor, version: int) -> bool:
    return before is not None and before[0] is buffer and before[1] == version
