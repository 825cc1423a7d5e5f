r"""Sparse matrices whose values can be learned, and the two products that all layers are made of.

In a matrix $P$ with the value $v_e$ at entry $e$, in row $t$ and column $s$, these are

$$(P x)_t = \sum_{e:\, s \to t} v_e \, x_s, \qquad
\mathrm{inner}(p, q)_e = p_t \cdot q_s \text{ for } e:\, s \to t.$$

They are each other's gradients. For $y = P x$, and $\bar y$ the gradient of the loss by $y$, the
one by $v$ is $\mathrm{inner}(\bar y, x)$, and the one by $x$ is $P^\top \bar y$. Both run in the
kernels of ``torch.sparse`` on compressed rows (CSR). With 10⁶ entries and 16 columns of $x$, on one
CPU thread, the product took 9 ms; ``index_add_``, ``scatter_add_`` and ``segment_reduce`` took
140 ms and more, and need memory for a row of each entry. `benchmarks/beside/works/graphs.py`
measures layers.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor

from etude.errors import UserError


class Sparse:
    """The positions of a sparse matrix's entries, sorted by row and then by column.

    Args:
        places: row and column of each entry, int64 (2, entries), in any order; duplicates count
            once.
        rows: the number of rows.
        columns: the number of columns.

    Raises:
        UserError: a position lies outside of the matrix.
    """

    def __init__(self, places: Tensor, rows: int, columns: int) -> None:
        if places.ndim != 2 or len(places) != 2 or places.is_floating_point():
            raise UserError(
                f"edges are {places.dtype} {tuple(places.shape)}; expected whole numbers (2, edges)"
            )
        limits = places.new_tensor([[rows], [columns]])
        if (outside := (places < 0) | (places >= limits)).any():
            wrong = int(places[outside][0])
            raise UserError(
                f"an edge names node {wrong}; expected nodes from 0 to {max(rows, columns) - 1}"
            )
        self.shape = rows, columns
        keys = torch.unique(places[0] * columns + places[1])
        self.rows = keys.div(columns, rounding_mode="floor")
        self.columns = keys % columns
        self.order = self.columns.argsort(stable=True)  # of the transpose's entries among these
        self._csr = starts(self.rows, rows), self.columns.int()
        self._transposed = starts(self.columns[self.order], columns), self.rows[self.order].int()

    def __len__(self) -> int:
        return len(self.rows)

    def to(self, device: Any) -> Sparse:
        """The same positions on a device."""
        if self.rows.device == torch.device(device):
            return self
        places = torch.stack([self.rows, self.columns])
        return type(self)._made(places.to(device), self.shape)

    @classmethod
    def _made(cls, places: Tensor, shape: tuple[int, int]) -> Sparse:
        return cls(places, *shape)

    def times(self, values: Tensor, x: Tensor) -> Tensor:
        """The product P x: values (entries,), x (columns, width) → (rows, width)."""
        out: Tensor = _Times.apply(self, values, x.to(values.dtype))  # type: ignore[no-untyped-call]
        return out

    def inner(self, p: Tensor, q: Tensor) -> Tensor:
        """Each entry's p of its row times q of its column: (rows, d), (columns, d) → (entries,)."""
        out: Tensor = _Inner.apply(self, p, q)  # type: ignore[no-untyped-call]
        return out

    def softmax(self, scores: Tensor) -> Tensor:
        """Softmax over the entries of each row: (entries,) → (entries,)."""
        bounds = self._csr[0].long()
        highest = torch.segment_reduce(scores.detach(), "max", offsets=bounds, axis=0)  # (rows,)
        e = (scores - highest[self.rows]).exp()
        total = self.times(e, e.new_ones(self.shape[1], 1))  # (rows, 1)
        return e / self.inner(total, e.new_ones(self.shape[1], 1))

    def _product(self, values: Tensor, x: Tensor) -> Tensor:
        return csr(*self._csr, values, self.shape) @ x

    def _product_of_transpose(self, values: Tensor, x: Tensor) -> Tensor:
        return csr(*self._transposed, values[self.order], self.shape[::-1]) @ x

    def _inner(self, p: Tensor, q: Tensor) -> Tensor:
        empty = csr(*self._csr, p.new_zeros(len(self)), self.shape)
        found: Tensor = torch.sparse.sampled_addmm(empty, p, q.T, beta=0.0).values()
        return found


def csr(starts: Tensor, columns: Tensor, values: Tensor, shape: tuple[int, int]) -> Tensor:
    """A CSR tensor, whose positions are not checked again."""
    return torch.sparse_csr_tensor(
        starts, columns, values.contiguous(), shape, check_invariants=False
    )


def starts(sorted_rows: Tensor, rows: int) -> Tensor:
    """Where each row begins among sorted entries, and the end: int32 (rows + 1,)."""
    return torch.searchsorted(sorted_rows, torch.arange(rows + 1, device=sorted_rows.device)).int()


with warnings.catch_warnings():  # the warning that CSR is in beta appears once, so not again
    warnings.simplefilter("ignore")
    csr(torch.zeros(2, dtype=torch.int), torch.zeros(0, dtype=torch.int), torch.zeros(0), (1, 1))


class _Times(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, places: Sparse, values: Tensor, x: Tensor) -> Tensor:
        ctx.places = places
        ctx.save_for_backward(values, x)
        return places._product(values, x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor | None, Tensor | None]:
        (g,) = gradients
        values, x = ctx.saved_tensors
        by_values = ctx.places._inner(g.contiguous(), x) if ctx.needs_input_grad[1] else None
        by_x = (
            ctx.places._product_of_transpose(values, g.contiguous())
            if ctx.needs_input_grad[2]
            else None
        )
        return None, by_values, by_x


class _Inner(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, places: Sparse, p: Tensor, q: Tensor) -> Tensor:
        ctx.places = places
        ctx.save_for_backward(p, q)
        return places._inner(p, q)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor | None, Tensor | None]:
        (g,) = gradients
        p, q = ctx.saved_tensors
        by_p = ctx.places._product(g, q) if ctx.needs_input_grad[1] else None
        by_q = ctx.places._product_of_transpose(g, p) if ctx.needs_input_grad[2] else None
        return None, by_p, by_q
