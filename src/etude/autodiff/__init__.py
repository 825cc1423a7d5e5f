"""A differentiable graph from scratch, on NumPy alone: both modes, derivatives of any order, and
what learns by them.

    from etude.autodiff import Tensor, grad

    x = Tensor([1.0, 2.0], requires_grad=True)
    (x**2).sum().backward()
    x.grad  # [2, 4]
    grad(grad(lambda x: x**3))(2.0)  # 12

``tensor.py`` records and walks back. ``operations.py`` and ``convolution.py`` hold each operation
beside its derivative, ``derivatives.py`` gradients, Jacobians and Hessians of functions,
``modules.py`` layers, ``training.py`` losses and optimisers, ``drawing.py`` graphs as pictures.
"""

# ruff: noqa: F403, F405

from etude.autodiff.convolution import *
from etude.autodiff.derivatives import *
from etude.autodiff.modules import *
from etude.autodiff.operations import *
from etude.autodiff.tensor import *
from etude.autodiff.training import *

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "BatchNorm",
    "Conv2d",
    "Dropout",
    "DtypeError",
    "Embedding",
    "GradientError",
    "GraphError",
    "LayerNorm",
    "Linear",
    "Module",
    "MultiHeadAttention",
    "Optimizer",
    "Sequential",
    "ShapeError",
    "Tensor",
    "TransformerBlock",
    "abs",
    "amax",
    "amin",
    "attention",
    "avg_pool2d",
    "binary_cross_entropy_with_logits",
    "broadcast_to",
    "check_gradients",
    "clip",
    "concatenate",
    "conv2d",
    "conv_transpose2d",
    "cos",
    "cross_entropy",
    "dropout",
    "einsum",
    "embedding",
    "exp",
    "expm1",
    "flatten",
    "gelu",
    "grad",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "kaiming",
    "log",
    "log1p",
    "log_softmax",
    "logsumexp",
    "matmul",
    "max_pool2d",
    "maximum",
    "mean",
    "minimum",
    "mse",
    "no_grad",
    "normal",
    "orthogonal",
    "pad",
    "relu",
    "reshape",
    "sigmoid",
    "sin",
    "softmax",
    "softplus",
    "split",
    "sqrt",
    "stack",
    "standardise",
    "sum",
    "tanh",
    "transpose",
    "var",
    "vjp",
    "where",
    "xavier",
    "zeros",
]
