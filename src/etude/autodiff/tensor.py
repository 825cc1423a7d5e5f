"""Tensors that remember how they were computed, and the walk back over that memory.

An operation computes its value with NumPy. *Reverse mode*: if an operand requires a gradient, the
result keeps its operands and, for each, the map from its own adjoint v̄ = ∂y/∂v to the operand's.
In the order of their birth, such tensors are the trace of Wengert (1964): operands stand before
what is computed from them, so that one walk from its end, without recursion, finds all adjoints.
*Forward mode*: if an operand carries a tangent ẋ, the result carries v̇ = Σ ∂v/∂x ẋ. The notation
is that of Baydin et al. (2018): v̄ is an adjoint, v̇ a tangent; in the code v_adjoint, v_tangent.

A change in place gives a tensor a new array and a new version. So arrays can be shared freely, and
a gradient that would need the old value is refused instead of being wrong.

References
----------
Baydin, A. G., Pearlmutter, B. A., Radul, A. A. & Siskind, J. M. (2018).
Automatic differentiation in machine learning: a survey. Journal of Machine Learning Research 18.

Wengert, R. E. (1964). A simple automatic derivative evaluation program. Communications of the ACM
7(8).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import count
from operator import attrgetter
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
Operand: TypeAlias = "Tensor | npt.ArrayLike"
Axis: TypeAlias = int | tuple[int, ...] | None
Dtype: TypeAlias = npt.DTypeLike | None
Pull: TypeAlias = Callable[..., "Tensor"]  # (v̄, v, x₁, x₂, …) ↦ v̄ ∂v/∂xᵢ, for one operand
Push: TypeAlias = Callable[..., "Tensor"]  # (v, [x₁, …], [ẋ₁ or None, …]) ↦ v̇ = Σᵢ ∂v/∂xᵢ ẋᵢ


class ShapeError(ValueError, IndexError):
    """A shape, an axis or an index that an operation can't take."""


class DtypeError(TypeError):
    """Numbers of a kind that an operation can't take: derivatives need floating-point ones."""


class GraphError(RuntimeError):
    """A derivative whose graph is freed, or changed, or was never recorded."""


_RECORDING: ContextVar[bool] = ContextVar("recording", default=True)
_BIRTHS = count()
ACTIVE: set[int] = (
    set()
)  # the levels of forward mode under way: one for each jvp, the inner ones higher
is_recording = _RECORDING.get


@contextmanager
def recording(on: bool) -> Iterator[None]:
    """Switch the recording for reverse mode on or off; tangents flow in either case."""
    token = _RECORDING.set(on)
    try:
        yield
    finally:
        _RECORDING.reset(token)


def no_grad() -> Any:
    """Record nothing for reverse mode: a context (``with``), or a decorator."""
    return recording(False)


def _method(name: str, swapped: bool = False) -> Callable[..., Tensor]:
    """A method that calls an operation of operations.py, which is read after this file."""

    def method(x: Tensor, *rest: Any, **options: Any) -> Tensor:
        v: Tensor = getattr(operations, name)(*((*rest, x) if swapped else (x, *rest)), **options)
        return v

    return method


def _compare(ufunc: np.ufunc) -> Callable[..., Any]:
    return lambda x, y: ufunc(x._value, y._value if isinstance(y, Tensor) else y)


def _in_place(ufunc: np.ufunc) -> Callable[..., Tensor]:
    return lambda x, y: x._become(ufunc(x._value, _constant(y)))


def _constant(y: Operand) -> npt.ArrayLike:
    """What a change in place brings in. It isn't recorded, so nothing may flow through it."""
    if not isinstance(y, Tensor):
        return y
    if levels(y) or (y.requires_grad and is_recording()):
        raise GraphError(
            "a change in place expected a constant, got what requires a derivative; write x = x + y"
        )
    return y._value


class Tensor:
    """An array, and how it came about.

    Args:
        data: copied. Python numbers and lists become float64 unless ``dtype`` says otherwise,
            arrays keep their dtype.
        requires_grad: gradients by it will be asked for; DtypeError if its numbers aren't
            floating-point.
        name: for drawings and messages.
    """

    _value: Array
    _birth: int
    _pulls: tuple[Pull, ...] | None = None
    _versions: tuple[int, ...] = ()  # its own and its parents', when it was recorded
    tangents: Mapping[int, Tensor] = {}  # by level
    requires_grad: bool = False
    grad: Tensor | None = None  # what backward added up
    operation: str = ""  # what computed it, "" for a leaf
    parents: tuple[Tensor, ...] = ()  # the operands, () for a leaf and in a freed graph
    version: int = 0  # how often it was changed in place
    name: str | None = None
    __array_ufunc__ = None  # array + tensor is the tensor's to compute
    __hash__ = object.__hash__

    def __init__(
        self,
        data: npt.ArrayLike,
        requires_grad: bool = False,
        dtype: Dtype = None,
        name: str | None = None,
    ) -> None:
        weak = dtype is None and not isinstance(data, np.ndarray | np.generic)
        self._value, self._birth = np.array(data, np.float64 if weak else dtype), next(_BIRTHS)
        self.requires_grad, self.name = requires_grad, name
        if self.dtype.kind not in ("f" if requires_grad else "fiub"):
            kind = (
                "floating-point numbers to take a derivative by"
                if requires_grad
                else "real numbers"
            )
            raise DtypeError(f"Tensor expected {kind}, got {self.dtype}")

    shape, ndim = property(attrgetter("_value.shape")), property(attrgetter("_value.ndim"))
    size, dtype = property(attrgetter("_value.size")), property(attrgetter("_value.dtype"))

    def numpy(self) -> Array:
        """The array as it is now, read-only."""
        view = self._value.view()
        view.flags.writeable = False
        return view

    data = property(numpy)

    def __array__(self, dtype: Dtype = None, copy: bool | None = None) -> Array:
        if self.requires_grad:
            raise GraphError(
                "NumPy expected an array, got a tensor that requires a gradient; use stack, or"
                " .numpy()"
            )
        return np.array(self._value, dtype)

    def item(self) -> Any:
        """The one entry, as a Python number."""
        if self.size != 1:
            raise ShapeError(f"item expected one entry, got shape {self.shape}")
        return self._value.item()

    def __float__(self) -> float:
        return float(self.item())

    def __bool__(self) -> bool:
        return bool(self.item())

    def __len__(self) -> int:
        return len(self._value)

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        numbers = np.array2string(self._value, separator=", ", prefix="Tensor(")
        notes = [
            f", {key}={getattr(self, key)!r}" for key in ("name", "operation") if getattr(self, key)
        ]
        return f"Tensor({numbers}, dtype={self.dtype}{''.join(notes)})"

    __add__, __radd__ = _method("add"), _method("add", swapped=True)
    __sub__, __rsub__ = _method("subtract"), _method("subtract", swapped=True)
    __mul__, __rmul__ = _method("multiply"), _method("multiply", swapped=True)
    __truediv__, __rtruediv__ = _method("divide"), _method("divide", swapped=True)
    __pow__, __rpow__ = _method("power"), _method("power", swapped=True)
    __matmul__, __rmatmul__ = _method("matmul"), _method("matmul", swapped=True)
    __neg__, __getitem__ = _method("negative"), _method("index")
    sum, mean, astype, T = (
        _method("sum"),
        _method("mean"),
        _method("astype"),
        property(_method("transpose")),
    )
    __lt__, __le__, __gt__, __ge__ = map(
        _compare, (np.less, np.less_equal, np.greater, np.greater_equal)
    )
    __eq__, __ne__ = _compare(np.equal), _compare(np.not_equal)
    __iadd__, __isub__, __imul__, __itruediv__ = map(
        _in_place, (np.add, np.subtract, np.multiply, np.divide)
    )

    def reshape(self, *shape: int) -> Tensor:
        """The same entries in another shape; one length may be -1."""
        return operations.reshape(self, shape)

    def __setitem__(self, key: Any, y: Operand) -> None:
        array = self._value.copy()
        array[key] = _constant(y)
        self._become(array)

    def _become(self, array: Array) -> Tensor:
        if levels(self):
            raise GraphError(
                "a change in place expected a tensor without tangent, got one that jvp"
                " differentiates by"
            )
        if array.shape != self.shape:
            raise ShapeError(f"a change in place expected shape {self.shape}, got {array.shape}")
        self._value, self.version = (
            array.astype(self.dtype, casting="same_kind", copy=False),
            self.version + 1,
        )
        return self

    def detach(self) -> Tensor:
        """The same value as a constant, through which nothing flows in either mode."""
        return _node("", self._value)

    def backward(
        self,
        v_adjoint: Operand | None = None,
        retain_graph: bool = False,
        create_graph: bool = False,
        retain_grads: bool = False,
    ) -> None:
        """Add the gradient of this tensor to ``.grad`` of every leaf that it was computed from.

        Args:
            v_adjoint: the adjoint of this tensor, of its shape; 1 for a scalar.
            retain_graph: keep the graph for another backward, instead of freeing each operation as
                it is passed.
            create_graph: record the way back as well, for derivatives of the gradient.
            retain_grads: add to ``.grad`` of the tensors between, too.

        Raises:
            GraphError: nothing was recorded, or it was freed, or a value in it was changed in
                place.
            ShapeError: ``v_adjoint`` has another shape, or is missing.
        """
        if not self.requires_grad:
            raise GraphError(
                "backward expected a tensor computed from one that requires a gradient, got a"
                " constant"
            )
        if v_adjoint is None and self.size != 1:
            raise ShapeError(
                f"backward expected a scalar, or an adjoint beside it, got shape {self.shape}"
            )
        v_adjoint = as_tensor(np.ones_like(self._value) if v_adjoint is None else v_adjoint)
        adjoints = pull_back(
            self,
            v_adjoint,
            trace(self),
            (),
            create_graph,
            retain_graph or create_graph,
            retain_grads,
        )
        with recording(create_graph):
            for x, x_adjoint in adjoints:
                x.grad = x_adjoint if x.grad is None else x.grad + x_adjoint


def as_tensor(x: Operand) -> Tensor:
    """A tensor as it is; anything else as a constant."""
    return x if isinstance(x, Tensor) else Tensor(x)


def as_tensors(*xs: Operand) -> tuple[Tensor, ...]:
    """Operands as tensors.

    A Python number takes the dtype of the others, so as not to promote them.
    """
    if False not in [type(x) is Tensor for x in xs]:
        return xs  # type: ignore[return-value]
    dtypes = [x.dtype for x in xs if isinstance(x, (Tensor, np.ndarray)) and x.dtype.kind == "f"]
    dtype = max(dtypes, key=attrgetter("itemsize"), default=None)
    return tuple(
        [
            _node("", np.asarray(x, dtype)) if isinstance(x, (int, float)) else as_tensor(x)
            for x in xs
        ]
    )


def record(
    name: str, value: Array, parents: tuple[Tensor, ...], pulls: tuple[Pull, ...], push: Push
) -> Tensor:
    """v, the result of an operation, with what reverse mode will need and, in forward mode, with
    its tangents.

    ``pulls`` (one for each parent) and ``push`` compute with operations on tensors, so that they
    can be differentiated.
    """
    v = _node(name, value, parents, pulls)
    for level in sorted({level for x in parents for level in levels(x)}) if ACTIVE else ():
        lower = alias(v, v.tangents)
        v_tangent = push(
            lower, [below(x, level) for x in parents], [x.tangents.get(level) for x in parents]
        )
        v.tangents = {**v.tangents, level: v_tangent.astype(v.dtype)}
    return v


def _node(
    name: str, value: Array, parents: tuple[Tensor, ...] = (), pulls: tuple[Pull, ...] = ()
) -> Tensor:
    v = Tensor.__new__(Tensor)
    v._value, v._birth = np.asarray(value), next(_BIRTHS)
    if True in [x.requires_grad for x in parents] and is_recording():
        v.requires_grad, v.operation, v.parents, v._pulls = True, name, parents, pulls
        v._versions = (0, *[x.version for x in parents])
    return v


def levels(x: Tensor) -> list[int]:
    """The levels of forward mode under way in which x has a tangent."""
    return [level for level in x.tangents if level in ACTIVE]


def alias(x: Tensor, tangents: Mapping[int, Tensor]) -> Tensor:
    """The same value, recorded as such, with other tangents."""
    v = _node("identity", x._value, (x,), (lambda v_adjoint, v, x: v_adjoint,))
    v.tangents = tangents
    return v


def below(x: Tensor, level: int) -> Tensor:
    """x without its tangents of a level and above: what a tangent of that level is computed
    from.
    """
    kept = {k: x_tangent for k, x_tangent in x.tangents.items() if k < level}
    return x if len(kept) == len(x.tangents) else alias(x, kept)


def trace(y: Tensor, stops: Collection[int] = ()) -> list[Tensor]:
    """What y was computed from, itself included, operands first; nothing behind the tensors whose
    ids are ``stops``.
    """
    found, seen, todo = [], {id(y)}, [y]
    while todo:
        v = todo.pop()
        found.append(v)
        for x in () if id(v) in stops else v.parents:
            if x.requires_grad and id(x) not in seen:
                seen.add(id(x))
                todo.append(x)
    return sorted(found, key=attrgetter("_birth"))


def pull_back(
    y: Tensor,
    y_adjoint: Tensor,
    order: list[Tensor],
    stops: Collection[int],
    create: bool,
    retain: bool,
    every: bool = False,
) -> list[tuple[Tensor, Tensor]]:
    """Walk a trace from its end, emptying it on the way: the leaves and stops, or every tensor,
    with their adjoints.

    An adjoint is complete when its tensor's turn comes, since all that was computed from it stood
    behind it.
    """
    if y_adjoint.shape != y.shape:
        raise ShapeError(f"backward expected an adjoint of shape {y.shape}, got {y_adjoint.shape}")
    inner = {id(_unchanged(v)) for v in order if v.operation and id(v) not in stops}
    known, adjoints, results = {id(v) for v in order}, {id(y): y_adjoint.astype(y.dtype)}, []
    with recording(create):
        while order:
            v = order.pop()
            v_adjoint = adjoints.pop(id(v))
            if every or id(v) not in inner:
                results.append(
                    (v, v_adjoint if create else alias(v_adjoint, v_adjoint.tangents))
                )  # no two of them one tensor
            for x, pull in zip(v.parents, v._pulls or (), strict=True) if id(v) in inner else ():
                if id(x) in known:
                    x_adjoint = pull(v_adjoint, v, *v.parents).astype(x.dtype)
                    adjoints[id(x)] = (
                        adjoints[id(x)] + x_adjoint if id(x) in adjoints else x_adjoint
                    )
            if id(v) in inner and not retain:
                v.parents, v._pulls = (), None
    return results


def _unchanged(v: Tensor) -> Tensor:
    if v._pulls is None:
        raise GraphError(
            f"backward through '{v.operation}' expected its graph, got it freed; use"
            " retain_graph=True"
        )
    for i, (x, version) in enumerate(zip((v, *v.parents), v._versions, strict=True)):
        if x.version != version:
            what = f"operand {x.name or i}" if i else "its result"
            raise GraphError(
                f"backward through '{v.operation}' expected {what} as recorded, got it changed in"
                " place"
            )
    return v


from etude.autodiff import operations  # noqa: E402 (operations needs what is above)
