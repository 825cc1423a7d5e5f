"""A decoder alone, of the architecture of GPT-2: it reads tokens and gives the logits of the next
one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Literal, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from etude.errors import UserError
from etude.layers.cache import Cache
from etude.layers.dropout import Dropout
from etude.layers.transformer import Stack
from etude.networks.fast_gpt import FastCache


class GPT(nn.Module):
    r"""Embedding, pre-norm blocks of causal attention, and logits by the embedding's own table.

    Weights begin as GPT-2's: normal with standard deviation 0.02, and those that end a residual
    branch divided by $\sqrt{2 L}$, so that the sum of all 2L branches is as large at any depth.

    Args:
        vocabulary: the number of different tokens.
        width: features of each token.
        heads: heads of each attention.
        layers: L, the number of blocks.
        longest: how many tokens it reads at most.
        positions: ``learned`` as in GPT-2: a row for each position is added; ``rotary``: queries
            and keys are rotated.
        dropout: the fraction of the embedding and of what each branch adds that is dropped in
            training (GPT-2 drops attention weights, too).
        approximate: the form of GELU, as in ``torch.nn.functional.gelu``: ``none``, or ``tanh`` as
            in GPT-2, which differs by less than 5e-4 and takes two to four times as long on a CPU.

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
        dropout: float = 0.0,
        approximate: Literal["none", "tanh"] = "none",
    ) -> None:
        super().__init__()
        self.longest = longest
        self.table = nn.Parameter(0.02 * torch.randn(vocabulary, width))
        self.place = (
            nn.Parameter(0.02 * torch.randn(longest, width)) if positions == "learned" else None
        )
        self.dropout = Dropout(dropout)
        self.blocks = Stack(
            layers,
            width,
            heads,
            causal=True,
            positions="none" if positions == "learned" else "rotary",
            dropout=dropout,
            activation=partial(gelu, approximate=approximate),
        )
        for name, module in self.blocks.named_modules():
            if isinstance(module, nn.Linear):
                ends_branch = name.endswith("output")
                nn.init.normal_(
                    module.weight, std=0.02 / math.sqrt(2 * layers if ends_branch else 1)
                )
                nn.init.zeros_(module.bias)

    def forward(self, tokens: Tensor, past: Cache | None = None) -> Tensor:
        """Logits of the token that follows each: (batch, time) → (batch, time, vocabulary).

        Args:
            tokens: whole numbers; with a cache only those that are new since the last call.
            past: the cache of earlier calls.

        Raises:
            UserError: there are more than ``longest`` tokens, those in the cache included.
        """
        start = self.blocks.next_position(past)
        end = start + tokens.shape[1]
        if end > self.longest:
            raise UserError(f"{end} tokens are more than this network reads, {self.longest}")
        x = self.table[tokens]  # (batch, time, width)
        if self.place is not None:
            x = x + self.place[start:end]
        if start and isinstance(past, FastCache) and tokens.shape[1] == 1 and past.serves(x):
            x = past.read_one(x)  # the same, faster
        else:
            x = self.blocks(self.dropout(x), past=past)
        return x @ self.table.T  # (batch, time, vocabulary)

    def cache(self) -> Cache:
        """An empty cache, for ``forward``; it is valid as long as the weights do not change."""
        return FastCache(self.blocks)

    # -- GPT-2's weights ---------------------------------------------------------------------------

    @classmethod
    def from_gpt2(cls, weights: Mapping[str, Tensor], heads: int | None = None) -> Self:
        """A network with the weights of GPT-2, named as in ``transformers`` (``GPT2LMHeadModel`` or
        ``GPT2Model``).

        Args:
            weights: its state dict; ``safetensors.torch.load_file`` reads those that are published.
            heads: heads of each attention, which the weights do not tell; by default each is 64
                wide, as in all of GPT-2.

        Raises:
            UserError: a weight is missing or of another shape.
        """
        gpt2 = {name.removeprefix("transformer."): tensor for name, tensor in weights.items()}
        layers = sum(name.endswith(".ln_1.weight") for name in gpt2)
        try:
            vocabulary, width = gpt2["wte.weight"].shape
            longest = len(gpt2["wpe.weight"])
            heads = heads or width // 64 or 1
            net = cls(vocabulary, width, heads, layers, longest, approximate="tanh")
            state: dict[str, Tensor] = {}
            for names, gpt2_name, transposed in gpt2_names(layers):
                tensor = gpt2[gpt2_name].T if transposed else gpt2[gpt2_name]
                state.update(zip(names, tensor.chunk(len(names)), strict=True))
            net.load_state_dict(state)
        except KeyError as error:
            raise UserError(f"these are no weights of GPT-2: there is no {error}") from None
        except RuntimeError as error:
            raise UserError(
                f"these are no weights of GPT-2: {str(error).splitlines()[-1].strip()}"
            ) from None
        return net

    def to_gpt2(self) -> dict[str, Tensor]:
        """The network's weights, named as those of ``GPT2LMHeadModel``, which needs
        ``activation_function="gelu"`` for an exact GELU.

        Raises:
            UserError: the positions are rotary, which GPT-2 does not have.
        """
        if self.place is None:
            raise UserError("GPT-2's positions are learned, and those of this network are rotary")
        state = self.state_dict()
        gpt2 = {}
        for names, gpt2_name, transposed in gpt2_names(len(self.blocks.blocks)):
            tensor = torch.cat([state[name] for name in names])
            gpt2[f"transformer.{gpt2_name}"] = (tensor.T if transposed else tensor).contiguous()
        return {**gpt2, "lm_head.weight": gpt2["transformer.wte.weight"]}


def gpt2_names(layers: int) -> Iterator[tuple[tuple[str, ...], str, bool]]:
    """Names of weights here, the name of the one tensor that holds them all in GPT-2, and whether
    it is transposed.
    """
    yield ("table",), "wte.weight", False
    yield ("place",), "wpe.weight", False
    for i in range(layers):
        here = f"blocks.blocks.{i}"
        for kind in ("weight", "bias"):
            qkv = tuple(f"{here}.attention.{part}.{kind}" for part in ("query", "key", "value"))
            transposed = kind == "weight"
            yield (f"{here}.attention_norm.{kind}",), f"h.{i}.ln_1.{kind}", False
            yield qkv, f"h.{i}.attn.c_attn.{kind}", transposed
            yield (f"{here}.attention.output.{kind}",), f"h.{i}.attn.c_proj.{kind}", transposed
            yield (f"{here}.feedforward_norm.{kind}",), f"h.{i}.ln_2.{kind}", False
            yield (f"{here}.feedforward.hidden.{kind}",), f"h.{i}.mlp.c_fc.{kind}", transposed
            yield (f"{here}.feedforward.output.{kind}",), f"h.{i}.mlp.c_proj.{kind}", transposed
    yield ("blocks.norm.weight",), "ln_f.weight", False
    yield ("blocks.norm.bias",), "ln_f.bias", False
