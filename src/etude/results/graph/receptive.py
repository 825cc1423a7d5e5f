r"""Receptive fields: how far along the input's axes an element of a tensor sees, from the functions
that made it.

A window of $k$ places with stride $s$, padding $p$ and dilation $d$ makes the element at place $i$
of those from $s i - p$ to $s i - p + (k - 1) d$. Followed back to the input, layer by layer, that
gives the first and the last place that the element sees; where branches meet it sees what either
sees. The field is the largest distance between the two, both included: all that *could* matter,
beyond the border as well and whatever the weights are. Statistics of normalisation are not counted.

What any other function does is found by trying it: one that moves elements is given their places,
and for every other one NaN is put at an end of the axis; where it comes out, that end is seen.

References
----------
Araujo, A., Norris, W. & Sim, J. (2019). Computing receptive fields of
convolutional neural networks. Distill.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import torch
from torch import Tensor

Span = Callable[[int], tuple[int, int]]


@dataclass(eq=False)
class Window:
    """What each element of a tensor sees of one axis of the input.

    Args:
        dim: the tensor's dimension along which the axis runs; None: it is left behind.
        span: the first and the last place of the input that a place along ``dim`` sees; None:
            nobody knows.
        places: how many there are along ``dim``.
        fixed: the size, where there is no span.
    """

    dim: int | None
    span: Span | None = None
    places: int = 0
    fixed: float = 0

    @cached_property
    def size(self) -> float:
        """How many places an element sees at most; infinite: all there are."""
        if self.span is None:
            return self.fixed
        return max(last - first + 1 for first, last in map(self.span, range(self.places)))

    def over(self, low: Callable[[int], int], high: Callable[[int], int], places: int) -> Window:
        """Of a result whose place i is made of the places from ``low(i)`` to ``high(i)`` here."""
        span = self.span
        return Window(
            self.dim,
            span and cache(lambda i: (span(low(i))[0], span(high(i))[1])),
            places,
            self.fixed,
        )

    def moved(self, dim: int, stride: int, start: int, places: int) -> Window:
        """Of a result whose place i along ``dim`` is the place ``stride * i + start`` here."""
        if (dim, stride, start, places) == (self.dim, 1, 0, self.places):
            return self

        def place(i: int) -> int:
            return stride * i + start

        window = self.over(place, place, places)
        window.dim = dim
        return window


ALL = Window(None, fixed=math.inf)
Reach = dict[int, Window | None]
"""``{axis: window}``. An axis that is not named has no part in the tensor; None: nobody
knows which.
"""

SLIDING = re.compile(
    r"(conv|conv_transpose|max_pool|avg_pool|adaptive_max_pool|adaptive_avg_pool)([123])d"
)
ARGUMENTS = {
    "conv": "input weight bias stride padding dilation groups",
    "conv_transpose": "input weight bias stride padding output_padding groups dilation",
    "max_pool": "input kernel_size stride padding dilation",
    "avg_pool": "input kernel_size stride padding",
    "interpolate": "input size scale_factor mode align_corners",
}
KEEPING = {  # each element stays where it is, but for statistics
    "batch_norm",
    "layer_norm",
    "group_norm",
    "instance_norm",
    "rms_norm",
    "normalize",
    "local_response_norm",
    "embedding",
    "one_hot",
    "relu",
    "relu6",
    "leaky_relu",
    "elu",
    "gelu",
    "silu",
    "mish",
    "sigmoid",
    "tanh",
    "dropout",
}
MOVING = {
    "reshape",
    "view",
    "flatten",
    "unflatten",
    "ravel",
    "squeeze",
    "unsqueeze",
    "transpose",
    "swapaxes",
    "swapdims",
    "permute",
    "movedim",
    "moveaxis",
    "T",
    "mT",
    "H",
    "mH",
    "t",
    "index",
    "select",
    "narrow",
    "chunk",
    "split",
    "tensor_split",
    "unbind",
    "expand",
    "expand_as",
    "repeat",
    "tile",
    "flip",
    "roll",
    "repeat_interleave",
    "pixel_shuffle",
    "pixel_unshuffle",
    "channel_shuffle",
    "view_as",
    "reshape_as",
}


class Receptive:
    """Reaches of the tensors of one forward pass; ``slid`` are the axes along which a window slides
    somewhere.
    """

    def __init__(self) -> None:
        self.slid: set[int] = set()

    def of_input(self, x: Tensor) -> Reach:
        """Each element sees itself, along every dimension but that of the batch."""
        return {dim: Window(dim, lambda i: (i, i), x.shape[dim]) for dim in range(1, x.ndim)}

    def after(
        self,
        name: str,
        function: Callable[..., Any],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        inputs: Sequence[tuple[Tensor, Reach]],
        out: Tensor,
    ) -> Reach:
        """The reach of a function's result.

        Args:
            name: which function it is.
            function: to try it.
            args: what it was called with.
            kwargs: and by name.
            inputs: the tensors among these that come from the network's input, with their reaches.
            out: the (first) result.
        """
        sliding = SLIDING.fullmatch(name)
        kind = sliding[1] if sliding else name
        given = {**dict(zip(ARGUMENTS.get(kind, "").split(), args, strict=False)), **kwargs}
        found: list[Reach] = []
        for x, reach in inputs:
            found.append({})
            for axis, window in reach.items():
                seen: Window | None
                if window is None or window.dim is None or name in KEEPING:
                    seen = window
                elif sliding and window.dim >= x.ndim - int(sliding[2]):
                    self.slid.add(axis)
                    place = window.dim - x.ndim
                    seen = (
                        _slide(kind, given, window, place, out.shape[place])
                        if window.span
                        else None
                    )
                elif name == "interpolate" and window.dim >= 2:
                    self.slid.add(axis)
                    seen = _resize(given, window, out.shape[window.dim]) if window.span else None
                elif sliding or name in ("interpolate", "grid_sample"):
                    seen = ALL  # channels are summed over
                else:
                    tried = _of(function, args, kwargs, x)
                    seen = (
                        _move(tried, window, x)
                        if name in MOVING
                        else _spread(tried, window, x, out)
                    )
                found[-1][axis] = seen
        return merged(found)


def merged(reaches: Sequence[Reach]) -> Reach:
    """What an element sees that is made of elements with these reaches."""
    result: Reach = {}
    for reach in reaches:
        for axis, window in reach.items():
            result[axis] = _union(result[axis], window) if axis in result else window
    return result


def _union(a: Window | None, b: Window | None) -> Window | None:
    if a is b or ALL in (a, b):
        return a if a is b else ALL
    if a is None or b is None or a.span is None or b.span is None or a.dim != b.dim:
        return None
    one, other = a.span, b.span
    span = cache(lambda i: (min(one(i)[0], other(i)[0]), max(one(i)[1], other(i)[1])))
    return Window(a.dim, span, a.places)


def _slide(kind: str, given: Mapping[str, Any], window: Window, place: int, after: int) -> Window:
    """A convolution or pooling; ``place`` is the dimension, counted from the last."""
    before = window.places
    if kind.startswith("adaptive"):
        if after == 1:
            return ALL
        return window.over(
            lambda i: i * before // after, lambda i: -(-(i + 1) * before // after) - 1, after
        )

    def one(name: str, default: int) -> int:
        value = given.get(name)
        value = default if value is None or value == [] else value
        return int(
            value[place if len(value) > 1 else 0] if isinstance(value, tuple | list) else value
        )

    k = given["weight"].shape[place] if "weight" in given else one("kernel_size", 1)
    s, d = one("stride", 1 if "weight" in given else k), one("dilation", 1)
    span = (k - 1) * d
    p = given.get("padding", 0)
    p = (span // 2 if p == "same" else 0) if isinstance(p, str) else one("padding", 0)
    if kind == "conv_transpose":
        return window.over(lambda i: -((span - i - p) // s), lambda i: (i + p) // s, after)
    return window.over(lambda i: i * s - p, lambda i: i * s - p + span, after)


def _resize(given: Mapping[str, Any], window: Window, after: int) -> Window | None:
    s, rest = divmod(after, window.places)
    mode = given.get("mode", "nearest")
    if (
        rest
        or given.get("align_corners")
        or mode not in ("nearest", "linear", "bilinear", "trilinear")
    ):
        return None
    if mode == "nearest":
        return window.over(lambda i: i // s, lambda i: i // s, after)
    # The two places around (i + 1/2) / s - 1/2.
    return window.over(
        lambda i: (2 * i + 1 - s) // (2 * s), lambda i: -((s - 1 - 2 * i) // (2 * s)), after
    )


def _of(
    function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], x: Tensor
) -> Callable[[Tensor], Tensor | None]:
    """The function of one of its arguments; the others are copied, for it may change them."""

    def swapped(value: Any, new: Tensor) -> Any:
        if isinstance(value, tuple | list):
            parts = [swapped(each, new) for each in value]
            return parts if isinstance(value, list) else tuple(parts)
        if value is x:
            return new
        return value.clone() if isinstance(value, Tensor) else value

    def tried(new: Tensor) -> Tensor | None:
        given = swapped(tuple(args), new)
        try:
            result = function(*given, **{key: swapped(value, new) for key, value in kwargs.items()})
        except (RuntimeError, TypeError, ValueError, IndexError):  # not everything takes NaN
            return None
        result = given[0] if result is None else result  # x[i] = y
        while isinstance(result, tuple | list):
            result = result[0]
        return result if isinstance(result, Tensor) else None

    return tried


def _move(function: Callable[[Tensor], Tensor | None], window: Window, x: Tensor) -> Window | None:
    """Elements are moved, and perhaps some left out: where the places along the window's dimension
    are then.
    """
    assert window.dim is not None
    size = x.shape[window.dim]
    shape = [size if dim == window.dim else 1 for dim in range(x.ndim)]
    places = function(torch.arange(size).view(shape).expand(x.shape))
    if places is None:
        return None
    along = [dim for dim in range(places.ndim) if (places != places.narrow(dim, 0, 1)).any()]
    if len(along) != 1:
        return None if along else Window(None, fixed=window.size)
    (dim,) = along
    line = (
        places.movedim(dim, -1).flatten(0, -2)[0].tolist() if places.ndim > 1 else places.tolist()
    )
    step = line[1] - line[0]
    if step > 0 and line == list(range(line[0], line[-1] + 1, step)):
        return window.moved(dim, step, line[0], len(line))
    s = len(line) // size
    if line == [i // s for i in range(s * size)]:
        window = window.over(lambda i: i // s, lambda i: i // s, len(line))
        window.dim = dim
        return window
    return Window(dim, fixed=window.size)


def _spread(
    function: Callable[[Tensor], Tensor | None], window: Window, x: Tensor, out: Tensor
) -> Window | None:
    """Where NaN comes out that is put at the first or the last place along the window's
    dimension.
    """
    assert window.dim is not None
    size = x.shape[window.dim]
    if size == 1:  # whatever is made of it sees the same
        return (
            window
            if out.shape[window.dim : window.dim + 1] == (1,)
            else Window(None, fixed=window.size)
        )
    if not x.is_floating_point():
        return window if out.shape[window.dim : window.dim + 1] == (size,) else None
    ends = []
    for place in (0, size - 1):
        probe = x.clone()
        probe.select(window.dim, place).fill_(math.nan)
        result = function(probe)
        if result is None:
            return None
        nan = result.isnan()
        ends.append(
            [
                nan.movedim(dim, 0).flatten(1).any(1) if nan.ndim > 1 else nan
                for dim in range(nan.ndim)
            ]
        )
    if not any(line.any() for end in ends for line in end):  # a comparison, say
        return window if out.shape == x.shape else None
    moved = []
    for dim, (a, b) in enumerate(zip(*ends, strict=True)):
        start, stop = a.nonzero().flatten().tolist(), b.nonzero().flatten().tolist()
        if len(start) == len(stop) == 1 and stop[0] - start[0] == size - 1:
            moved.append(window.moved(dim, 1, -start[0], out.shape[dim]))
    along = [(a, b) for a, b in zip(*ends, strict=True) if not a.equal(b)]
    if not moved and (not along or any(end.all() for pair in along for end in pair)):
        return ALL
    return moved[0] if len(moved) == 1 else None
