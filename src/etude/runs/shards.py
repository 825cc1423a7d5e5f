"""States that lie in shards over several processes: to disk, and back on any number of processes.

Each process writes its own shards, with PyTorch's distributed checkpoint in the form of
safetensors: tensors only, no pickle. Within a state a shard's place is held by ``{MARK: name}``,
and in a whole state by ``{MARK: tensor}``, so that whoever loads it knows what to cut up again.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from etude.runs.workers import Workers, is_sharded

MARK = "sharded over processes"


def take_out(state: Any) -> tuple[Any, dict[str, Tensor]]:
    """The state with marks for what lies in shards, and those by name."""
    taken: dict[str, Tensor] = {}

    def take(value: Any) -> Any:
        if not is_sharded(value):
            return value
        name = f"{len(taken):05d}"
        taken[name] = value.detach()
        return {MARK: name}

    return _each(state, take), taken


def gather(state: Any) -> Any:
    """The state with every shard put together, on every process; all must call it."""
    return _each(
        state, lambda value: {MARK: value.full_tensor().cpu()} if is_sharded(value) else value
    )


def scatter(state: Any, workers: Workers, device: torch.device) -> Any:
    """What :func:`gather` gave, each process with its own shard again; whole tensors where the run
    has no shards.
    """

    def cut(value: Any) -> Any:
        if not (isinstance(value, dict) and set(value) == {MARK}):
            return value
        whole = value[MARK]
        if not workers.many or workers.strategy != "fsdp":
            return whole
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.tensor import Shard, distribute_tensor

        mesh = init_device_mesh(device.type, (workers.size,))
        return distribute_tensor(whole.to(device), mesh, [Shard(0)], src_data_rank=None)

    return _each(state, cut)


def load(part: Any, state: Any) -> None:
    """``part.load_state_dict(state)``, whether the state and the part are whole or in shards, and
    however laid out.
    """
    if isinstance(part, nn.Module):
        now = part.state_dict()
        state = OrderedDict(
            (key, _like(value, now[key]) if key in now else value) for key, value in state.items()
        )
        state._metadata = getattr(now, "_metadata", None)  # the versions of its modules' states
    part.load_state_dict(state)
    if isinstance(part, torch.optim.Optimizer):
        for (
            parameter,
            values,
        ) in part.state.items():  # fused steps go through memory: the same order for all of them
            for key, value in values.items():
                if isinstance(value, Tensor) and value.shape == parameter.shape:
                    values[key] = _like(value, parameter)


def _like(value: Any, tensor: Tensor) -> Any:
    """A whole tensor, cut up or laid out in memory as another of its shape is."""
    if not isinstance(value, Tensor) or is_sharded(value) or value.shape != tensor.shape:
        return value
    if is_sharded(tensor):
        from torch.distributed.tensor import DTensor, distribute_tensor

        cut = cast(DTensor, tensor)
        return distribute_tensor(
            value.to(cut.device).contiguous(), cut.device_mesh, cut.placements, src_data_rank=None
        )
    if value.stride() == tensor.stride():
        return value
    return torch.empty_like(tensor, dtype=value.dtype, device=value.device).copy_(value)


def write(folder: Path, tensors: dict[str, Tensor]) -> None:
    """Each process's shards into files of its own; all must call it."""
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageWriter
    from torch.distributed.checkpoint.state_dict_saver import save

    own = {
        name: tensor.clone() for name, tensor in tensors.items()
    }  # safetensors takes no two views of one memory
    save(own, storage_writer=HuggingFaceStorageWriter(str(folder), save_distributed=True))


def read(folder: Path, shapes: dict[str, tuple[list[int], str]]) -> dict[str, Tensor]:
    """Whole tensors from the shards of a folder, whoever wrote them. ``shapes``: shape and
    type of each.
    """
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader
    from torch.distributed.checkpoint.state_dict_loader import load

    whole = {
        name: torch.empty(shape, dtype=getattr(torch, kind))
        for name, (shape, kind) in shapes.items()
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that it reads alone, which it does
        load(whole, storage_reader=HuggingFaceStorageReader(str(folder)), no_dist=True)
    return whole


def put_in(state: Any, whole: dict[str, Tensor]) -> Any:
    """The state with tensors instead of names behind its marks."""

    def put(value: Any) -> Any:
        marked = isinstance(value, dict) and set(value) == {MARK}
        return {MARK: whole[value[MARK]]} if marked else value

    return _each(state, put)


def _each(state: Any, change: Callable[[Any], Any]) -> Any:
    """A state with ``change`` applied to what is in it; what it changes is not looked into."""
    changed = change(state)
    if changed is not state:
        return changed
    if isinstance(state, dict):
        kept = {key: _each(value, change) for key, value in state.items()}
        return type(state)(kept) if type(state) is not dict else kept
    if isinstance(state, list | tuple) and not hasattr(state, "_fields"):
        return type(state)(_each(value, change) for value in state)
    return state
