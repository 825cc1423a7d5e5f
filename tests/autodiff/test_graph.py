"""The recorded graph: how it is walked, freed and guarded."""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from etude import autodiff as ad
from etude.autodiff import DtypeError, GraphError, ShapeError, Tensor


def leaf(*numbers: float) -> Tensor:
    return Tensor(numbers, requires_grad=True)


def test_a_tensor_says_how_it_came_about() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True, name="x")
    y = ad.exp(x) * 3
    assert (x.operation, x.parents, x.name, x.grad) == ("", (), "x", None)
    assert y.operation == "multiply"
    assert [p.operation for p in y.parents] == ["exp", ""]
    assert y.parents[0].parents == (x,)
    assert (y.shape, y.ndim, y.size, y.dtype, len(y)) == ((2,), 1, 2, np.float64, 2)
    assert repr(x) == "Tensor([1., 2.], dtype=float64, name='x')"
    assert "operation='multiply'" in repr(y)
    y.name = "y"
    assert "name='y'" in repr(y)


def test_gradients_add_up_over_uses_and_over_calls() -> None:
    x = leaf(2.0)
    y = x * x + 3 * x
    y.sum().backward()
    assert x.grad.item() == 7
    (x * 10).sum().backward()
    assert x.grad.item() == 17


def test_a_diamond_is_walked_once() -> None:
    x, calls = leaf(1.0), []
    y = x * 1
    pulls = y._pulls
    y._pulls = tuple(lambda *a, pull=pull: calls.append(1) or pull(*a) for pull in pulls)
    (y * 2 + y * 3).sum().backward()
    assert x.grad.item() == 5
    assert len(calls) == 1


def test_a_chain_of_20_000_operations() -> None:
    limit = sys.getrecursionlimit()
    x = Tensor(1.0, requires_grad=True)
    y = x
    for _ in range(20_000):
        y = -y
    assert y.item() == 1
    y.backward()
    assert x.grad.item() == 1
    y = x
    for _ in range(20_000):
        y = -y
    del y  # dropped without a walk
    _, y_tangent = ad.jvp(lambda x: _many(x, 3_000), x, 1.0)
    assert y_tangent.item() == 1
    assert sys.getrecursionlimit() == limit


def _many(x: Tensor, n: int) -> Tensor:
    for _ in range(n):
        x = -x
    return x


def test_a_used_graph_is_freed_and_says_so() -> None:
    x = leaf(1.0, 2.0)
    y = (x * x).sum()
    inner = weakref.ref(y.parents[0])
    y.backward()
    assert y.parents == ()
    assert inner() is None
    with pytest.raises(
        GraphError, match=r"backward through 'sum' expected its graph, .* retain_graph=True"
    ):
        y.backward()


def test_what_nothing_else_holds_is_freed_while_the_graph_is_walked() -> None:
    x, alive = Tensor(np.zeros(10), requires_grad=True), []

    def counted(v_adjoint: Tensor, v: Tensor, x: Tensor) -> Tensor:
        alive.append(sum(ref() is not None for ref in refs))
        return v_adjoint

    y, refs = x, []
    for _ in range(10):
        y = ad.sin(y)
        refs.append(weakref.ref(y._value))
        y._pulls = (counted,)
    y = y.sum()
    gc.disable()
    y.backward()
    gc.enable()
    assert alive == list(range(10, 0, -1))


def test_a_failed_call_of_backward_changes_nothing() -> None:
    x, w = leaf(1.0), leaf(2.0)
    freed = x * x
    freed.backward()
    x.grad = None
    y = freed * w
    with pytest.raises(GraphError):
        y.backward()
    assert x.grad is None
    assert w.grad is None


def test_a_graph_can_be_kept() -> None:
    x = leaf(3.0)
    y = x * x
    y.backward(retain_graph=True)
    assert y.parents == (x, x)
    y.backward()
    assert x.grad.item() == 12


def test_a_graph_dies_with_its_tensors_without_the_garbage_collector() -> None:
    gc.disable()
    try:
        x = leaf(1.0)
        y = ad.softmax(
            ad.standardise(x * 2, 0, 1e-5)
            + ad.conv2d(np.ones((1, 1, 3, 3)), np.ones((1, 1, 3, 3))).reshape(1)
        )
        inner = weakref.ref(y.parents[0])
        del y
        assert inner() is None
    finally:
        gc.enable()


def test_gradients_of_the_tensors_between() -> None:
    x = leaf(2.0)
    y = x * x
    z = y * 3
    z.backward(retain_graph=True, retain_grads=True)
    assert (z.grad.item(), y.grad.item(), x.grad.item()) == (1, 3, 12)
    assert z.parents[0] is y


def test_create_graph_makes_the_gradient_a_graph() -> None:
    x = leaf(2.0)
    (x**3).backward(create_graph=True)
    g, x.grad = x.grad, None
    assert g.requires_grad
    g.backward()
    assert x.grad.item() == pytest.approx(12)
    x.grad = None
    (x**3).backward()
    assert not x.grad.requires_grad


def test_no_grad_and_detach() -> None:
    x = leaf(1.0)
    with ad.no_grad():
        y = x * 2
    assert not y.requires_grad
    assert y.parents == ()

    @ad.no_grad()
    def f(x: Tensor) -> Tensor:
        return x * 2

    assert not f(x).requires_grad
    assert (x * 2).requires_grad
    (x * (x * 5).detach()).backward()
    assert x.grad.item() == 5
    _, y_tangent = ad.jvp(lambda x: x * x.detach(), 3.0, 1.0)
    assert y_tangent.item() == 3


def test_no_grad_is_this_threads_own() -> None:
    seen = []
    with ad.no_grad():
        thread = threading.Thread(target=lambda: seen.append((leaf(1.0) * 2).requires_grad))
        thread.start()
        thread.join()
    assert seen == [True]


def test_an_array_is_copied_and_given_out_read_only() -> None:
    a = np.array([1.0, 2.0])
    x = Tensor(a, requires_grad=True)
    y = (x * x).sum()
    a[0] = 100
    for view in (x.data, x.numpy()):
        assert view[0] == 1
        with pytest.raises(ValueError, match="read-only"):
            view[0] = 5
    y.backward()
    assert x.grad.numpy().tolist() == [2, 4]


def test_a_constant_operand_is_copied_too() -> None:
    a, x = np.array([1.0, 2.0]), leaf(1.0, 1.0)
    y = (x * a).sum()
    a[0] = 100
    y.backward()
    assert x.grad.numpy().tolist() == [1, 2]


def test_changes_in_place_do_not_show_in_what_was_computed_before() -> None:
    x = leaf(1.0, 2.0, 3.0, 4.0)
    view, square = x.reshape(2, 2), x.detach()
    x[0] = 100
    x += 1
    assert x.numpy().tolist() == [101, 3, 4, 5]
    assert x.version == 2
    assert view.numpy().tolist() == [[1, 2], [3, 4]]
    assert square.numpy().tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x.__setitem__(0, 5.0),
        lambda x: x.__iadd__(1),
        lambda x: x.__isub__(1),
        lambda x: x.__imul__(2),
        lambda x: x.__itruediv__(2),
        lambda x: x.__setitem__(slice(None), Tensor([7.0, 8.0])),
    ],
)
def test_a_changed_operand_is_refused(change: Callable[[Tensor], Any]) -> None:
    x = Tensor([1.0, 2.0], requires_grad=True, name="weight")
    y = ad.exp(x) * x
    change(x)
    with pytest.raises(
        GraphError,
        match=r"backward through '\w+' expected operand weight as recorded, got it changed",
    ):
        y.sum().backward()
    assert x.grad is None


def test_a_changed_result_is_refused() -> None:
    x = leaf(1.0, 2.0)
    y = ad.sin(x)
    y[0] = 0
    with pytest.raises(GraphError, match="backward through 'sin' expected its result as recorded"):
        y.sum().backward()


def test_a_change_after_the_way_back_is_fine() -> None:
    x = leaf(1.0)
    (x * x).backward()
    x -= 0.1 * x.grad
    assert x.item() == pytest.approx(0.8)
    x.grad = None
    (x * x).backward()
    assert x.grad.item() == pytest.approx(1.6)


def test_what_requires_a_derivative_cannot_be_brought_in_by_a_change_in_place() -> None:
    x, loss = leaf(1.0), Tensor(0.0)
    with pytest.raises(
        GraphError, match="a change in place expected a constant, .* write x = x \\+ y"
    ):
        loss += (x * x).sum()
    with ad.no_grad():
        loss += (x * x).sum()
    assert loss.item() == 1

    def f(x: Tensor) -> Tensor:
        y = x * 1
        y += 1
        return y

    with pytest.raises(GraphError, match="a change in place expected a tensor without tangent"):
        ad.jvp(f, 1.0, 1.0)


def test_python_lists_are_float64_and_arrays_keep_their_dtype() -> None:
    assert Tensor([1, 2]).dtype == np.float64
    assert Tensor(3).dtype == np.float64
    assert Tensor(np.array([1, 2])).dtype == np.int64
    assert Tensor(np.float32(1)).dtype == np.float32
    assert Tensor([1], dtype=np.float32).dtype == np.float32
    assert float(Tensor(2.5)) == 2.5
    assert bool(Tensor(0.0)) is False
    assert [row.numpy().tolist() for row in Tensor([[1, 2], [3, 4]])] == [[1, 2], [3, 4]]


x23, x4, image, kernel = np.ones((2, 3)), np.ones(4), np.ones((1, 4, 5, 5)), np.ones((2, 4, 3, 3))
integers = np.array([0, 1])
WRONG: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "add": (
        lambda: Tensor(x23) + x4,
        ShapeError,
        r"add expected shapes that broadcast, got \(2, 3\) and \(4,\)",
    ),
    "where": (
        lambda: ad.where(x23 > 0, x4, 0.0),
        ShapeError,
        "where expected shapes that broadcast",
    ),
    "matmul": (
        lambda: Tensor(x23) @ x4,
        ShapeError,
        r"matmul expected shapes \(…, n, k\) and \(…, k, m\), got",
    ),
    "matmul batches": (
        lambda: ad.matmul(np.ones((2, 3, 3)), np.ones((3, 3, 3))),
        ShapeError,
        "matmul expected",
    ),
    "matmul scalar": (lambda: ad.matmul(x23, 2.0), ShapeError, "matmul expected"),
    "einsum": (
        lambda: ad.einsum("ij,jk->ik", x23, x23),
        ShapeError,
        "einsum expected operands that fit 'ij,jk->ik'",
    ),
    "einsum count": (
        lambda: ad.einsum("ij,jk->ik", x23),
        ShapeError,
        "einsum expected operands that fit",
    ),
    "einsum twice": (
        lambda: ad.einsum("ii->i", np.ones((2, 2))),
        ShapeError,
        "no letter twice in a term",
    ),
    "einsum output": (
        lambda: ad.einsum("ij->k", x23),
        ShapeError,
        "einsum expected operands that fit",
    ),
    "sum": (
        lambda: ad.sum(x23, 2),
        ShapeError,
        r"sum expected different axes from -2 to 1 of shape \(2, 3\), got 2",
    ),
    "mean": (
        lambda: ad.mean(x23, (0, -2)),
        ShapeError,
        r"mean expected different axes .* got \(0, -2\)",
    ),
    "softmax": (lambda: ad.softmax(x23, -3), ShapeError, "softmax expected different axes"),
    "amax": (lambda: ad.amax(np.ones((0, 2)), 0), ShapeError, "amax expected at least one entry"),
    "reshape": (
        lambda: Tensor(x23).reshape(4, 2),
        ShapeError,
        r"reshape expected as many .* \(4, 2\) has, got \(2, 3\)",
    ),
    "transpose": (
        lambda: ad.transpose(x23, 0, 0),
        ShapeError,
        r"transpose expected a shape with the axes \(0, 0\)",
    ),
    "broadcast_to": (
        lambda: ad.broadcast_to(x23, (4, 2)),
        ShapeError,
        "broadcast_to expected a shape that broadcasts",
    ),
    "index": (
        lambda: Tensor(x23)[5],
        ShapeError,
        r"index expected .* got \(2, 3\) \(index 5 is out of bounds",
    ),
    "index array": (lambda: Tensor(x23)[np.array([0, 2])], ShapeError, "index 2 is out of bounds"),
    "index as IndexError": (lambda: Tensor(x23)[5], IndexError, "index expected"),
    "concatenate": (
        lambda: ad.concatenate([x23, x4]),
        ShapeError,
        r"concatenate expected shapes equal but for axis 0",
    ),
    "concatenate axis": (
        lambda: ad.concatenate([x23, x23], 2),
        ShapeError,
        "concatenate expected different axes",
    ),
    "concatenate nothing": (
        lambda: ad.concatenate([]),
        ShapeError,
        "concatenate expected at least one tensor, got none",
    ),
    "stack": (
        lambda: ad.stack([x23, x4]),
        ShapeError,
        r"stack expected tensors of one shape, .* got \[\(2, 3\), \(4,\)\]",
    ),
    "stack nothing": (lambda: ad.stack([]), ShapeError, "stack expected tensors of one shape"),
    "stack axis": (lambda: ad.stack([x4, x4], 2), ShapeError, "stack expected .* got .* and 2"),
    "split": (
        lambda: ad.split(x23, [1, 3], 1),
        ShapeError,
        r"split expected lengths that add up to 3, got \[1, 3\]",
    ),
    "pad": (
        lambda: ad.pad(x23, [(1, 1)]),
        ShapeError,
        r"pad expected 2 pairs of widths from 0 .* got \[\(1, 1\)\]",
    ),
    "conv2d channels": (
        lambda: ad.conv2d(image, np.ones((2, 3, 3, 3))),
        ShapeError,
        r"conv2d expected images \(batch, 3, height, width\) .* got \(1, 4, 5, 5\)",
    ),
    "conv2d groups": (
        lambda: ad.conv2d(image, np.ones((3, 2, 3, 3)), groups=2),
        ShapeError,
        "kernels .3, 2, 3, 3. in 2 groups that divide",
    ),
    "conv2d axes": (lambda: ad.conv2d(x23, kernel), ShapeError, "conv2d expected images"),
    "conv2d size": (
        lambda: ad.conv2d(image, np.ones((2, 4, 6, 6))),
        ShapeError,
        "an image that the kernel fits in",
    ),
    "conv2d stride": (
        lambda: ad.conv2d(image, kernel, stride=0),
        ShapeError,
        "conv2d expected kernel, stride .* from 1",
    ),
    "conv_transpose2d": (
        lambda: ad.conv_transpose2d(image, kernel),
        ShapeError,
        "conv_transpose2d expected images .batch, 2, height",
    ),
    "output padding": (
        lambda: ad.conv_transpose2d(image, np.ones((4, 1, 3, 3)), output_padding=1),
        ShapeError,
        "conv_transpose2d expected an output padding below the stride 1, got 1",
    ),
    "cropped to nothing": (
        lambda: ad.conv_transpose2d(np.ones((1, 2, 3, 3)), np.ones((2, 1, 3, 3)), padding=4),
        ShapeError,
        "conv_transpose2d expected kernel, stride and dilation from 1",
    ),
    "max_pool2d": (
        lambda: ad.max_pool2d(x23, 2),
        ShapeError,
        "max_pool2d expected images of four axes",
    ),
    "avg_pool2d": (
        lambda: ad.avg_pool2d(image, 2, padding=2),
        ShapeError,
        "avg_pool2d expected .* at most half the kernel",
    ),
    "embedding": (
        lambda: ad.embedding(x23, [0, 2]),
        ShapeError,
        "embedding expected integers from 0 to 1, got 0 to 2",
    ),
    "embedding dtype": (
        lambda: ad.embedding(x23, [0.5]),
        DtypeError,
        "embedding expected integers, got float64",
    ),
    "mse": (
        lambda: ad.mse(x23, x4),
        ShapeError,
        r"mse expected a target of shape \(2, 3\), got \(4,\)",
    ),
    "bce": (
        lambda: ad.binary_cross_entropy_with_logits(x4, x23),
        ShapeError,
        "expected a target of shape",
    ),
    "cross_entropy": (
        lambda: ad.cross_entropy(x23, [0, 1, 2]),
        ShapeError,
        r"labels of shape \(2,\), got \(3,\)",
    ),
    "cross_entropy class": (
        lambda: ad.cross_entropy(x23, [0, 3]),
        ShapeError,
        "cross_entropy expected integers from 0 to 2",
    ),
    "cross_entropy dtype": (
        lambda: ad.cross_entropy(x23, [0.0, 1.0]),
        DtypeError,
        "cross_entropy expected integers",
    ),
    "dropout": (
        lambda: ad.dropout(x4, 1.0, np.random.default_rng(0)),
        ValueError,
        "dropout expected a probability .* got 1.0",
    ),
    "item": (lambda: Tensor(x4).item(), ShapeError, r"item expected one entry, got shape \(4,\)"),
    "in place": (
        lambda: Tensor(x4).__iadd__(x23[:, :1]),
        ShapeError,
        r"a change in place expected shape \(4,\), got \(2, 4\)",
    ),
    "integers": (
        lambda: Tensor(integers, requires_grad=True),
        DtypeError,
        "Tensor expected floating-point numbers .* got int64",
    ),
    "grad of integers": (
        lambda: ad.grad(ad.sum)(integers),
        DtypeError,
        "a derivative expected floating-point",
    ),
    "jvp of integers": (
        lambda: ad.jvp(ad.sum, integers, integers),
        DtypeError,
        "a derivative expected floating-point",
    ),
    "text": (lambda: Tensor(np.array(["a"])), DtypeError, "Tensor expected real numbers, got <U1"),
    "complex": (
        lambda: Tensor(np.array([1j])),
        DtypeError,
        "Tensor expected real numbers, got complex128",
    ),
    "constant": (
        lambda: Tensor(1.0).backward(),
        GraphError,
        "backward expected a tensor computed from",
    ),
    "not scalar": (
        lambda: (leaf(1.0, 2.0) * 2).backward(),
        ShapeError,
        r"backward expected a scalar, .* got shape \(2,\)",
    ),
    "adjoint": (
        lambda: (leaf(1.0, 2.0) * 2).backward(x4),
        ShapeError,
        r"an adjoint of shape \(2,\), got \(4,\)",
    ),
    "grad": (
        lambda: ad.grad(ad.exp)(x4),
        ShapeError,
        r"grad expected a function with a scalar value, got shape \(4,\)",
    ),
    "vjp": (lambda: ad.vjp(ad.exp, x4, x23), ShapeError, "backward expected an adjoint of shape"),
    "jvp": (
        lambda: ad.jvp(ad.exp, x4, x23),
        ShapeError,
        r"jvp expected tangents of shape \[\(4,\)\], got \[\(2, 3\)\]",
    ),
    "jacobian": (
        lambda: ad.jacobian(ad.exp, "sideways"),
        ValueError,
        "jacobian expected mode .* got 'sideways'",
    ),
    "asarray": (
        lambda: np.asarray(leaf(1.0)),
        GraphError,
        "NumPy expected an array, got a tensor that requires",
    ),
    "list of tensors": (lambda: Tensor([leaf(1.0), leaf(2.0)]), GraphError, "use stack"),
    "initialiser": (
        lambda: ad.kaiming((3,), np.random.default_rng(0)),
        ShapeError,
        "an initialiser expected a matrix",
    ),
    "heads": (
        lambda: ad.MultiHeadAttention(6, 4, np.random.default_rng(0)),
        ShapeError,
        "4 heads divide, got 6",
    ),
    "batch norm": (lambda: ad.BatchNorm(3)(image), ShapeError, "BatchNorm expected 3 channels"),
    "batch norm of one": (
        lambda: ad.BatchNorm(4)(np.ones((1, 4))),
        ShapeError,
        "2 numbers or more",
    ),
    "optimiser's state": (
        lambda: ad.SGD([leaf(1.0)], 0.1).load_state_dict(ad.Adam([leaf(1.0)], 0.1).state_dict()),
        ShapeError,
        r"load_state_dict expected .*'momentum.0'.*, got .*'mean.0'",
    ),
    "state": (
        lambda: ad.LayerNorm(3).load_state_dict({"weight": x4}),
        ShapeError,
        "load_state_dict expected",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_told_in_one_sentence(name: str) -> None:
    call, kind, message = WRONG[name]
    with pytest.raises(kind, match=message) as caught:
        call()
    text = str(caught.value)
    assert "expected" in text
    assert "got" in text
    assert "\n" not in text


def test_no_two_gradients_are_one_tensor() -> None:
    x, y, v_adjoint = leaf(1.0, 2.0), leaf(3.0, 4.0), Tensor([1.0, 1.0])
    z = x + y
    z.backward(v_adjoint, retain_graph=True, retain_grads=True)
    x.grad *= 10
    assert (
        y.grad.numpy().tolist() == z.grad.numpy().tolist() == v_adjoint.numpy().tolist() == [1, 1]
    )
    x_adjoint, y_adjoint = ad.grad(lambda x, y: (x + y).sum())(x.detach(), y.detach())
    x_adjoint += 1
    assert y_adjoint.numpy().tolist() == [1, 1]
