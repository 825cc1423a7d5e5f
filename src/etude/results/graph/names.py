"""What functions and layers are called, and what a reader wants to know of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from torch import nn
from torch.nn.modules.conv import _ConvNd

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


def plain_name(name: str) -> str:
    """``add_``, ``__iadd__`` and ``__radd__`` are all ``add``."""
    name = name.strip("_").replace("getitem", "index")
    found = re.fullmatch(r"[ri]?(?:true)?(add|sub|mul|div|pow|matmul)", name)
    return found[1] if found else name


def kind_of(name: str) -> str:
    """The kind of a function of this name; nothing where it has none."""
    return next((kind for kind, pattern in KINDS.items() if re.fullmatch(pattern, name)), "")


def numbers_of(name: str, args: Sequence[Any]) -> str:
    """``0.5`` of ``x * 0.5``."""
    if name not in ("add", "sub", "mul", "div", "pow"):
        return ""
    return " ".join(f"{each:g}" for each in args if isinstance(each, int | float))


def hyperparameters(module: nn.Module) -> str:
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
