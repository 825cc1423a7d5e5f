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

import inspect
import math
import re
import textwrap
import warnings
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules.conv import _ConvNd
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from etude.drawing import Edge, Group, Node, svg
from etude.errors import UserError
from etude.results.receptive import Reach, Receptive, merged
from etude.study import Study, study_name

KINDS = {  # of functions, and of the layers that call them: colours in the picture
    "convolution": r"conv(_transpose)?\dd",
    "linear": r"linear|bilinear|matmul|mm|bmm|addmm|baddbmm|einsum",
    "attention": r"scaled_dot_product_attention|multi_head_attention_forward",
    "recurrent": r"(lstm|gru|rnn_tanh|rnn_relu)(_cell)?",
    "embedding": r"embedding|embedding_bag",
    "pooling": r"(adaptive_)?(max|avg|lp)_pool\dd|interpolate",
    "normalisation": r"\w+_norm|normalize",
    "activation": (
        r"relu6?|leaky_relu|prelu|elu|selu|celu|gelu|silu|mish|hardswish|hardtanh|hardsigmoid|softplus"
        r"|softmax|log_softmax|sigmoid|logsigmoid|tanh|glu"
    ),
    "merge": r"add|sub|mul|div|cat|concat|concatenate|stack",
    "reshape": (
        r"flatten|unflatten|reshape|view|permute|transpose|squeeze|unsqueeze|expand|pad"
        r"|(alpha_|feature_)?dropout\d?d?"
    ),
}
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
        for step in reversed([*self.root.all()]):
            step.steps = self._folded(step.steps)

    def _folded(self, steps: list[Step]) -> list[Step]:
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
                    units = [
                        steps[start + n * length : start + (n + 1) * length] for n in range(times)
                    ]
                    if flow := self._flow(units):
                        best = worth, start, units, flow
        if best is None:
            return steps
        _, start, units, flow = best
        once = self._once(units, flow == "parallel")
        return [
            *self._folded(steps[:start]),
            once,
            *self._folded(steps[start + len(units) * len(units[0]) :]),
        ]

    def _flow(self, units: list[list[Step]]) -> str | None:
        """``chain``: each unit is made of the one before, which none else uses; ``parallel``: they
        are side by side.
        """
        where = {
            leaf: (n, i) for n, unit in enumerate(units) for i, leaf in enumerate(_leaves(unit))
        }
        inside: list[set[Any]] = [set() for _ in units]
        before: list[set[Any]] = [set() for _ in units]
        outside: list[set[Any]] = [set() for _ in units]
        for leaf, (n, i) in where.items():
            for source in self.sources(leaf):
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
        others = (leaf for leaf in self.root.leaves() if leaf not in where)
        return (
            "chain"
            if passed.isdisjoint(source for leaf in others for source in self.sources(leaf))
            else None
        )

    def _once(self, units: list[list[Step]], parallel: bool) -> Step:
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
            self.stands |= zip(_leaves(unit), _leaves(first), strict=True)
        for one, last in zip(_all(first), _all(units[-1]), strict=True):
            one.reach = last.reach  # of what comes out in the end
        step.reach = units[-1][-1].reach
        return step

    def svg(self, fused: bool = True) -> str:
        """The picture: boxes for modules and operations, frames around what is repeated.

        Args:
            fused: normalisation, activation and the like are named in the box of what they follow.
        """
        leaves = [*self.inputs, *self.root.leaves()]
        frames: dict[Step, tuple[Step, ...]] = dict.fromkeys([*self.inputs, self.root], ())
        for step in self.root.all():  # the frames around each, from the outermost on
            frames[step] = frames.get(step, ()) + ((step,) if step.times > 1 else ())
            frames |= dict.fromkeys(step.steps, frames[step])
        used = [source for step in leaves for source in self.sources(step)]
        head: dict[Step, Step] = {}  # of each step, the first in its box
        boxes: dict[Step, list[Step]] = {}
        for step in leaves:
            source, *more = self.sources(step) or [step]
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
                (step.operation if step.name else step.text).replace(" ", "\xa0")
                for step in steps[1:]
            )
            words = [line.replace("\xa0", " ").strip(" ·") for line in textwrap.wrap(then, 32)]
            lines = (first.called, *words, " × ".join(map(str, self.shape(steps[-1]))))
            return Node(
                key[first], tuple(filter(None, lines)), first.kind, "\n".join(map(self._tip, steps))
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
            (key[head[source]], key[head[step]]) for step in leaves for source in self.sources(step)
        )
        nodes = [*map(box, self.inputs), *members(self.root)]
        return svg(nodes, [Edge(a, b) for a, b in ends if a != b], self.name)

    def _tip(self, step: Step) -> str:
        words = [f"{step.name}: {step.text}" if step.name else step.text]
        words += [f"{step.parameters:,} parameters"] if step.parameters else []
        words += [f"{step.flops:,} FLOPs"] if step.flops else []
        words += (
            [f"receptive field {' × '.join(map(str, self.sees(step)))}"] if self.sees(step) else []
        )
        return ", ".join(words)


def _all(steps: Sequence[Step]) -> list[Step]:
    return [each for step in steps for each in step.all()]


def _leaves(steps: Sequence[Step]) -> list[Step]:
    return [leaf for step in steps for leaf in step.leaves()]


def _form(step: Step) -> Hashable:
    return step.alike, step.shape, step.times, tuple(map(_form, step.steps))


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


# -- the forward pass, watched ---------------------------------------------------------------------


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
            if _kind(name) == "recurrent"
            else nullcontext()
        ):
            result = function(*args, **kwargs)  # a recurrent layer in parts that PyTorch counts
        flops = self.counter.get_total_flops() - before
        outs = _tensors(args[0] if name == "__setitem__" else result)
        if not outs:
            return result
        given = _tensors([args, kwargs])
        known = [self.origin[id(x)] for x in given if id(x) in self.origin]
        step, plain = self.stack[-1], _plain(name)
        if known and not step.layer:
            if name in UNCHANGED:
                self.made(outs[:1], *known[0][1:])
                return result
            step = Step("", plain, _numbers(plain, args))
            step.alike = (plain, step.detail)
            self.stack[-1].steps.append(step)
        step.flops += (
            flops // self.batch if known else flops
        )  # what depends on no input is computed once
        self.use(given, step)
        step.kind = (
            _kind(plain) if step.kind in ("", "reshape") and (known or step.layer) else step.kind
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
            step = Step(name, type(module).__name__, _hyper(module), layer=layer, simple=not inside)
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


def _plain(name: str) -> str:
    """``add_``, ``__iadd__`` and ``__radd__`` are all ``add``."""
    name = name.strip("_").replace("getitem", "index")
    found = re.fullmatch(r"[ri]?(?:true)?(add|sub|mul|div|pow|matmul)", name)
    return found[1] if found else name


def _kind(name: str) -> str:
    return next((kind for kind, pattern in KINDS.items() if re.fullmatch(pattern, name)), "")


def _numbers(name: str, args: Sequence[Any]) -> str:
    """``0.5`` of ``x * 0.5``."""
    if name not in ("add", "sub", "mul", "div", "pow"):
        return ""
    return " ".join(f"{each:g}" for each in args if isinstance(each, int | float))


def _hyper(module: nn.Module) -> str:
    """``3×3, 64 → 128, stride 2``: what a reader wants to know of a layer."""
    m: Any = module
    words: list[str] = []
    if isinstance(module, _ConvNd):
        words = [_by(m.kernel_size), f"{m.in_channels} → {m.out_channels}"]
        words += [
            f"{name} {_even(getattr(m, name))}"
            for name in ("stride", "dilation")
            if {*getattr(m, name)} != {1}
        ]
        words += [f"{m.groups} groups"] * (m.groups > 1)
    elif isinstance(module, nn.Linear):
        words = [f"{m.in_features} → {m.out_features}"]
    elif isinstance(module, nn.Embedding | nn.EmbeddingBag):
        words = [f"{m.num_embeddings} × {m.embedding_dim}"]
    elif isinstance(module, nn.RNNBase | nn.RNNCellBase):
        words = [f"{m.input_size} → {m.hidden_size}"]
        words += [f"{getattr(m, 'num_layers', 1)} layers"] * (getattr(m, "num_layers", 1) > 1)
        words += ["both ways"] * getattr(m, "bidirectional", False)
    elif isinstance(module, nn.MultiheadAttention):
        words = [f"{m.embed_dim}", f"{m.num_heads} heads"]
    elif type(module).__name__.startswith("Adaptive"):
        words = [f"to {_by(m.output_size)}"]
    elif type(module).__name__.startswith(("MaxPool", "AvgPool")):
        words = [_by(m.kernel_size)] + [f"stride {_even(m.stride)}"] * (m.stride != m.kernel_size)
    return ", ".join(words)


def _by(sizes: int | Sequence[int]) -> str:
    """``3×3``; one number where a layer does not say how many axes it has, or has one."""
    return str(sizes) if isinstance(sizes, int) else "×".join(map(str, sizes))


def _even(sizes: int | Sequence[int]) -> str:
    """``2`` where it is the same along each axis."""
    return _by(sizes if isinstance(sizes, int) or len({*sizes}) > 1 else sizes[0])
