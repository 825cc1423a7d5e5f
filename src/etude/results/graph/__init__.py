"""A study's network as a graph: its modules and operations with shapes, parameters, FLOPs and
receptive fields.

The network is applied once to the study's example input, in fp32 on the processor, in evaluation
mode. Hooks tell which module is entered and left, PyTorch's function mode which functions are
called in between, and the tensors themselves what flows from one to the other. What follows itself,
as the blocks of a residual network do, is shown once.

FLOPs are those of the forward pass of one example: convolutions and products of matrices, a
multiplication and an addition counted as two. PyTorch counts them.
"""

from __future__ import annotations

import torch

from etude.errors import UserError
from etude.results.graph.flow import Graph
from etude.results.graph.trace import trace
from etude.study import Study, study_name

__all__ = ["Graph", "graph", "trace"]


def graph(study: Study, levels: int | None = None, full: bool = False) -> Graph:
    """The graph of a study's network.

    Args:
        study: one with a network and an example input.
        levels: how many levels of modules are opened; by default every module that has modules in
            it.
        full: open the others as well, and show every repetition.

    Raises:
        UserError: the study has no network or no example, or the one can't be applied to the other.
    """
    name = study_name(type(study))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network, example = study.network(), study.example()
        try:
            found = trace(network, example if isinstance(example, tuple) else (example,), name)
        except Exception as error:  # whatever its layers stumble over
            reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise UserError(
                f"the network of study {name} can't be applied to its example: {reason}"
            ) from error
    found.close(levels, full)
    if not full:
        found.fold()
    return found
