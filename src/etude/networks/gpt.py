"""A decoder alone, of the architecture of GPT-2: it reads a row of tokens and scores what may come
next.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

from etude.errors import UserError
from etude.layers.attention import Block, Cache, Dropout, MultiHeadAttention, Stack, rotate


class Memory(Cache):
    """What blocks have read, and a shorter way through them for one more token.

    A token's products are so small that most of its time goes between them. So they are taken here
    one after another, with no calls of modules, and queries, keys and values in one: it takes less
    than half the time.

    Args:
        blocks: of a GPT; the weights are those that they have at the first token.
    """

    def __init__(self, blocks: Stack) -> None:
        super().__init__()
        self.blocks = blocks
        self.attentions: list[MultiHeadAttention] = [block.attention for block in blocks.blocks]  # type: ignore[misc]
        self.weights: list[tuple[Any, ...]] = []  # of each block, looked up once

    def serves(self, x: Tensor) -> bool:
        """Whether the shorter way is the same: nothing is learned, dropped, rounded, watched, or in
        shards.
        """
        if (
            torch.is_grad_enabled()
            or self.blocks.training
            or torch.is_autocast_enabled(x.device.type)
        ):
            return False
        return all(
            a.watch is None and not hasattr(a.query.weight, "full_tensor") for a in self.attentions
        )

    def read_one(self, x: Tensor) -> Tensor:
        """(batch, 1, width) → the same, as of the blocks."""
        if not self.weights:
            self.weights = [weights_of(block) for block in self.blocks.blocks]  # type: ignore[arg-type]
        x = x[:, 0]  # (batch, width)
        shape = len(x), 3, self.attentions[0].heads, 1, -1
        for attention, weights in zip(self.attentions, self.weights, strict=True):
            (
                norm,
                to_qkv,
                qkv_bias,
                back,
                back_bias,
                norm_2,
                up,
                up_bias,
                activation,
                down,
                down_bias,
            ) = weights
            qkv = torch.addmm(qkv_bias, torch.layer_norm(x, *norm), to_qkv).view(shape)
            if attention.positions == "rotary":
                at = torch.tensor([self.length(attention)], device=x.device)
                qkv = torch.cat([rotate(qkv[:, :2], at), qkv[:, 2:]], 1)
            k, v = self.extend(attention, qkv[:, 1:]).unbind(1)  # (batch, heads, time, d)
            mixed = scaled_dot_product_attention(qkv[:, 0], k, v).view(x.shape)
            x = x + torch.addmm(back_bias, mixed, back)
            x = x + torch.addmm(
                down_bias, activation(torch.addmm(up_bias, torch.layer_norm(x, *norm_2), up)), down
            )
        return self.blocks.norm(x)[:, None]  # type: ignore[no-any-return]


def weights_of(block: Block) -> tuple[Any, ...]:
    """Of the norms, of all maps, transposed, and the activation, in the order in which one row
    meets them.
    """

    def norm(layer: nn.LayerNorm) -> tuple[Any, ...]:
        return layer.normalized_shape, layer.weight, layer.bias, layer.eps

    def map(layer: nn.Linear) -> tuple[Tensor, Tensor]:
        return layer.weight.T, layer.bias

    attention, forward = block.attention, block.feedforward
    three = attention.query, attention.key, attention.value
    qkv = torch.cat([layer.weight for layer in three]).T, torch.cat([layer.bias for layer in three])
    return (
        norm(block.attention_norm),
        *qkv,
        *map(attention.output),
        norm(block.feedforward_norm),
        *map(forward.hidden),
        forward.activation,
        *map(forward.output),
    )


class GPT(nn.Module):
    r"""Embedding, pre-norm blocks of causal attention, and scores by the embedding's own table.

    Weights begin as GPT-2's: normal with deviation 0.02, and those that end a residual branch
    divided by $\sqrt{2 L}$, so that the sum of all 2L branches is as large at any depth.

    Args:
        vocabulary: how many tokens there are.
        width: of rows.
        heads: of each attention.
        layers: L, blocks.
        longest: how many tokens it reads at most.
        positions: ``learned`` as in GPT-2: a row for each is added; ``rotary``: queries and keys
            are turned.
        drop: the part of what is added to the stream that is dropped in training (GPT-2: of
            attention's weights, too).
        approximate: of GELU, as in ``torch.nn.functional.gelu``: ``none``, or ``tanh`` as in GPT-2,
            from which it differs by less than 5e-4 and which takes two to four times as long on a
            CPU.

    Source: Radford et al. (2019), Language models are unsupervised multitask learners, section 2.3.
    """

    def __init__(
        self,
        vocabulary: int,
        width: int,
        heads: int,
        layers: int,
        longest: int,
        *,
        positions: Literal["learned", "rotary"] = "learned",
        drop: float = 0.0,
        approximate: Literal["none", "tanh"] = "none",
    ) -> None:
        super().__init__()
        self.longest = longest
        self.table = nn.Parameter(0.02 * torch.randn(vocabulary, width))
        self.place = (
            nn.Parameter(0.02 * torch.randn(longest, width)) if positions == "learned" else None
        )
        self.drop = Dropout(drop)
        self.blocks = Stack(
            layers,
            width,
            heads,
            causal=True,
            positions="none" if positions == "learned" else "rotary",
            drop=drop,
            activation=partial(gelu, approximate=approximate),
        )
        for name, map in self.blocks.named_modules():
            if isinstance(map, nn.Linear):
                nn.init.normal_(
                    map.weight,
                    std=0.02 / math.sqrt(2 * layers) if name.endswith("output") else 0.02,
                )
                nn.init.zeros_(map.bias)

    def forward(self, tokens: Tensor, past: Cache | None = None) -> Tensor:
        """Scores of the token that follows each: (batch, time) → (batch, time, vocabulary).

        Args:
            tokens: whole numbers; with a cache only those that are new since the last call.
            past: of earlier calls.

        Raises:
            UserError: with what was read before there are more than ``longest``.
        """
        start = self.blocks.read(past)
        end = start + tokens.shape[1]
        if end > self.longest:
            raise UserError(f"{end} tokens are more than this network reads, {self.longest}")
        x = self.table[tokens]
        if self.place is not None:
            x = x + self.place[start:end]
        if start and isinstance(past, Memory) and tokens.shape[1] == 1 and past.serves(x):
            x = past.read_one(x)
        else:
            x = self.blocks(self.drop(x), past=past)
        return x @ self.table.T

    def cache(self) -> Cache:
        """An empty one, for ``forward``; it holds as long as the weights do not change."""
        return Memory(self.blocks)

    # -- GPT-2's weights ---------------------------------------------------------------------------

    @classmethod
    def from_gpt2(cls, weights: Mapping[str, Tensor], heads: int | None = None) -> Self:
        """A network with the weights of GPT-2, named as in ``transformers`` (``GPT2LMHeadModel`` or
        ``GPT2Model``).

        Args:
            weights: its state dict; ``safetensors.torch.load_file`` reads those that are published.
            heads: of each attention, which the weights do not tell; by default each is 64 wide, as
                in all of GPT-2.

        Raises:
            UserError: a weight is missing or of another shape.
        """
        theirs = {name.removeprefix("transformer."): tensor for name, tensor in weights.items()}
        layers = sum(name.endswith(".ln_1.weight") for name in theirs)
        try:
            (vocabulary, width), longest = theirs["wte.weight"].shape, len(theirs["wpe.weight"])
            net = cls(
                vocabulary, width, heads or width // 64 or 1, layers, longest, approximate="tanh"
            )
            mine: dict[str, Tensor] = {}
            for names, other, turned in gpt2_names(layers):
                tensor = theirs[other].T if turned else theirs[other]
                mine.update(zip(names, tensor.chunk(len(names)), strict=True))
            net.load_state_dict(mine)
        except KeyError as error:
            raise UserError(f"these are no weights of GPT-2: there is no {error}") from None
        except RuntimeError as error:
            raise UserError(
                f"these are no weights of GPT-2: {str(error).splitlines()[-1].strip()}"
            ) from None
        return net

    def to_gpt2(self) -> dict[str, Tensor]:
        """Its weights as those of ``GPT2LMHeadModel``, which wants ``activation_function="gelu"``
        for an exact GELU.

        Raises:
            UserError: its positions are rotary, for which GPT-2 has no place.
        """
        if self.place is None:
            raise UserError("GPT-2's positions are learned, and those of this network are rotary")
        mine = self.state_dict()
        theirs = {}
        for names, other, turned in gpt2_names(len(self.blocks.blocks)):
            tensor = torch.cat([mine[name] for name in names])
            theirs[f"transformer.{other}"] = (tensor.T if turned else tensor).contiguous()
        return {**theirs, "lm_head.weight": theirs["transformer.wte.weight"]}


def gpt2_names(layers: int) -> Iterator[tuple[tuple[str, ...], str, bool]]:
    """Names of weights here, the one name of all of them together in GPT-2, and whether that one is
    transposed.
    """
    yield ("table",), "wte.weight", False
    yield ("place",), "wpe.weight", False
    for i in range(layers):
        here = f"blocks.blocks.{i}"
        for kind in ("weight", "bias"):
            qkv = tuple(f"{here}.attention.{part}.{kind}" for part in ("query", "key", "value"))
            turned = kind == "weight"
            yield (f"{here}.attention_norm.{kind}",), f"h.{i}.ln_1.{kind}", False
            yield qkv, f"h.{i}.attn.c_attn.{kind}", turned
            yield (f"{here}.attention.output.{kind}",), f"h.{i}.attn.c_proj.{kind}", turned
            yield (f"{here}.feedforward_norm.{kind}",), f"h.{i}.ln_2.{kind}", False
            yield (f"{here}.feedforward.hidden.{kind}",), f"h.{i}.mlp.c_fc.{kind}", turned
            yield (f"{here}.feedforward.output.{kind}",), f"h.{i}.mlp.c_proj.{kind}", turned
    yield ("blocks.norm.weight",), "ln_f.weight", False
    yield ("blocks.norm.bias",), "ln_f.bias", False
