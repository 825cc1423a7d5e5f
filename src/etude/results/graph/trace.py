"""One forward pass, watched: hooks for modules, a function mode for what is called in between."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from etude.results.graph.flow import Graph
from etude.results.graph.names import hyperparameters, kind_of, numbers_of, plain_name
from etude.results.graph.receptive import Reach, Receptive, merged
from etude.results.graph.step import Step

VECTORS = {  # products with a vector, which PyTorch does not count: FLOPs from the shapes
    torch.ops.aten.mv: lambda a, b, **_: 2 * math.prod(a),
    torch.ops.aten.addmv: lambda a, b, c, **_: 2 * math.prod(b),
    torch.ops.aten.dot: lambda a, b, **_: 2 * math.prod(a),
}
UNCHANGED = {  # not shown: the result stands for what went in
    "contiguous",
    "detach",
    "clone",
    "to",
    "float",
    "double",
    "long",
    "type",
    "type_as",
    "data",
    "requires_grad_",
}


def trace(network: nn.Module, inputs: Sequence[Tensor], name: str = "network") -> Graph:
    """Every module and function of one forward pass on whose result the network's depends.

    Args:
        network: on the processor; it is left in evaluation mode.
        inputs: as its ``forward`` takes them; the first dimension of the first is the batch.
        name: of the graph.
    """
    watch = _Watch(network.eval(), inputs)
    apply = torch.autograd.Function.__dict__["apply"].__func__

    def custom(cls: type, *args: Any, **kwargs: Any) -> Any:  # these the function mode does not see
        return watch.called(cls.__name__, lambda *a, **k: apply(cls, *a, **k), args, kwargs)

    with ExitStack() as stack:
        for path, module in network.named_modules():
            before = module.register_forward_pre_hook(
                watch.entering(path.rpartition(".")[2]), with_kwargs=True
            )
            after = module.register_forward_hook(watch.leaving, with_kwargs=True)
            stack.callback(before.remove)
            stack.callback(after.remove)
        stack.enter_context(warnings.catch_warnings(action="ignore"))
        stack.enter_context(torch.no_grad())
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))  # in parts that PyTorch counts
        stack.enter_context(
            mock.patch.object(torch.autograd.Function, "apply", classmethod(custom))
        )
        stack.enter_context(watch.counter)
        stack.enter_context(watch)
        network(*inputs)
    (root,) = watch.stack[0].steps
    needed: set[Step] = set()
    waiting = [*watch.results]
    while waiting:
        step = waiting.pop()
        if step not in needed:
            needed.add(step)
            waiting += step.sources
    idle = sum(p.numel() for p in watch.unused.values())
    watch.use(list(watch.unused.values()), root)
    for step in reversed([*root.all()]):
        for number in ("parameters", "trained", "flops"):
            setattr(
                step,
                number,
                getattr(step, number) + sum(getattr(each, number) for each in step.steps),
            )
    for step in root.all():  # checks and masks that a module makes by the way are left out
        step.steps = [
            each for each in step.steps if each.parameters or not needed.isdisjoint(each.leaves())
        ]
    return Graph(name, watch.inputs, root, sorted(watch.receptive.slid), watch.batch, idle)


class _Watch(TorchFunctionMode):
    """Notes what is called, in the modules that were entered and not left (``stack``)."""

    def __init__(self, network: nn.Module, inputs: Sequence[Tensor]) -> None:
        super().__init__()
        self.counter = FlopCounterMode(display=False, custom_mapping=VECTORS)
        self.receptive = Receptive()
        self.unused = {id(p): p for p in network.parameters()}
        self.batch = len(inputs[0])
        self.stack = [Step("", "")]
        self.results: list[Step] = []  # that give the network's result
        self.origin: dict[
            int, tuple[Tensor, Step, Reach]
        ] = {}  # by id; a tensor is kept, else its id might come again
        self.inputs = []
        given = inspect.signature(network.forward).parameters.values()
        names = [each.name for each in given if each.kind < each.VAR_POSITIONAL]
        names += map(str, range(1, len(inputs) + 1))
        for name, x in zip(names if len(inputs) > 1 else [""], inputs, strict=False):
            step = Step("", "input", name, "input", tuple(x.shape), self.receptive.of_input(x))
            self.inputs.append(step)
            self.made([x], step, step.reach)

    def __torch_function__(
        self,
        function: Any,
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        name = function.__name__
        if name == "__get__":
            name = function.__self__.__name__  # x.T
        return self.called(name, function, args, kwargs or {})

    def called(
        self,
        name: str,
        function: Callable[..., Any],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
    ) -> Any:
        """Call a function and note what came of it."""
        before = self.counter.get_total_flops()
        with (
            torch.backends.mkldnn.flags(enabled=False)
            if kind_of(name) == "recurrent"
            else nullcontext()
        ):
            result = function(*args, **kwargs)  # a recurrent layer in parts that PyTorch counts
        flops = self.counter.get_total_flops() - before
        outs = _tensors(args[0] if name == "__setitem__" else result)
        if not outs:
            return result
        given = _tensors([args, kwargs])
        known = [self.origin[id(x)] for x in given if id(x) in self.origin]
        step, plain = self.stack[-1], plain_name(name)
        if known and not step.layer:
            if name in UNCHANGED:
                self.made(outs[:1], *known[0][1:])
                return result
            step = Step("", plain, numbers_of(plain, args))
            step.alike = (plain, step.detail)
            self.stack[-1].steps.append(step)
        step.flops += (
            flops // self.batch if known else flops
        )  # what depends on no input is computed once
        self.use(given, step)
        step.kind = (
            kind_of(plain) if step.kind in ("", "reshape") and (known or step.layer) else step.kind
        )
        if known:
            step.sources += [source for _, source, _ in known if source is not step]
            step.shape = tuple(outs[0].shape)
            step.reach = self.receptive.after(
                plain, function, args, kwargs, [(x, reach) for x, _, reach in known], outs[0]
            )
        if known or step.layer:
            self.made(outs, step, step.reach if known else {})
        return result

    def made(self, tensors: Sequence[Tensor], step: Step, reach: Reach) -> None:
        """A step has made these."""
        for x in tensors:
            self.origin[id(x)] = x, step, reach

    def use(self, tensors: Sequence[Tensor], step: Step) -> None:
        """The parameters among these belong to the first step that uses them."""
        for p in tensors:
            if self.unused.pop(id(p), None) is not None:
                step.parameters += p.numel()
                step.trained += p.numel() if p.requires_grad else 0

    def entering(self, name: str) -> Callable[..., None]:
        """The hook before a module that has this name."""

        def hook(module: nn.Module, args: Any, kwargs: Any) -> None:
            if self.stack[-1].layer:
                self.stack.append(self.stack[-1])  # what a layer calls is the layer's
                return
            inside = {key for key, _ in module.named_children()} - {"parametrizations"}
            layer = _of_pytorch(module) and (
                not inside or isinstance(module, nn.MultiheadAttention)
            )
            step = Step(
                name, type(module).__name__, hyperparameters(module), layer=layer, simple=not inside
            )
            sizes = tuple((key, p.shape) for key, p in module.named_parameters())
            step.alike = type(module), module.extra_repr(), sizes
            self.stack[-1].steps.append(step)
            self.stack.append(step)

        return hook

    def leaving(self, module: nn.Module, args: Any, kwargs: Any, result: Any) -> None:
        """The hook behind every module."""
        step = self.stack.pop()
        if step is self.stack[-1]:
            return
        if isinstance(module, nn.Identity) and len(self.stack) > 1:
            self.stack[-1].steps.remove(step)
            return
        self.use(list(module.parameters(recurse=step.layer)), step)
        outs = _tensors(result)
        if not step.steps:  # a layer, or a module that calls no function
            known = [self.origin[id(x)] for x in _tensors([args, kwargs]) if id(x) in self.origin]
            step.sources = step.sources or [source for _, source, _ in known]
            for x in outs:
                reach = (
                    self.origin[id(x)][2]
                    if id(x) in self.origin
                    else merged([reach for *_, reach in known])
                )
                self.made([x], step, reach)
        if outs:
            step.shape = tuple(outs[0].shape)
            step.reach = self.origin[id(outs[0])][2] if id(outs[0]) in self.origin else {}
        if len(self.stack) == 1:
            self.results = [self.origin[id(x)][1] for x in outs if id(x) in self.origin]


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, Mapping):
        value = list(value.values())
    return [x for each in value for x in _tensors(each)] if isinstance(value, tuple | list) else []


def _of_pytorch(module: nn.Module) -> bool:
    classes = type(module).__mro__[: 2 if hasattr(module, "parametrizations") else 1]
    return any(cls.__module__.startswith("torch.nn.") for cls in classes)
