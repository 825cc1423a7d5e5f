"""The networks of the peers, in plain PyTorch, as their authors' examples have them."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, relu, scaled_dot_product_attention


def mlp() -> nn.Module:
    """2-64-64-1."""
    return nn.Sequential(
        nn.Linear(2, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1)
    )


def strided_cnn() -> nn.Module:
    """The layers of Etude's network for MNIST."""

    def block(before: int, after: int, kernel: int, stride: int) -> list[nn.Module]:
        convolution = nn.Conv2d(before, after, kernel, stride, kernel // 2, bias=False)
        return [convolution, nn.BatchNorm2d(after), nn.ReLU()]

    layers = [*block(1, 24, 5, 2), *block(24, 48, 3, 2), *block(48, 96, 3, 1), *block(96, 96, 3, 2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(96 * 4 * 4, 10))


def example_cnn() -> nn.Module:
    """The network of PyTorch's own example for MNIST; it gives logarithms of probabilities."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Dropout(0.25),
        nn.Flatten(),
        nn.Linear(9216, 128),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(128, 10),
        nn.LogSoftmax(1),
    )


class BasicBlock(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.shortcut = nn.Sequential()
        if stride != 1 or before != after:
            self.shortcut = nn.Sequential(
                nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(batch, before, side, side) → (batch, after, side / stride, side / stride)."""
        out = relu(self.bn1(self.conv1(x)))
        return relu(self.bn2(self.conv2(out)) + self.shortcut(x))


class ResNet18(nn.Module):
    """For pictures of 32 × 32: the first convolution is 3 × 3, and nothing is pooled before the
    end.
    """

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64)
        before, blocks = 64, []
        for width, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
            blocks += [BasicBlock(before, width, stride), BasicBlock(width, width, 1)]
            before = width
        self.blocks = nn.Sequential(*blocks)
        self.linear = nn.Linear(512, classes)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, 3, 32, 32) → (batch, classes)."""
        x = self.blocks(relu(self.bn1(self.conv1(x))))
        return self.linear(x.mean((2, 3)))  # type: ignore[no-any-return]


class CharacterLSTM(nn.Module):
    """Embedding, LSTM, scores of the next character."""

    def __init__(self, vocabulary: int = 65, width: int = 256) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.lstm = nn.LSTM(width, width, batch_first=True)
        self.scores = nn.Linear(width, vocabulary)

    def forward(self, tokens: Tensor) -> Tensor:
        """(batch, time) → (batch, time, vocabulary)."""
        return self.scores(self.lstm(self.embedding(tokens))[0])  # type: ignore[no-any-return]


class Block(nn.Module):
    """Of nanoGPT: attention and a perceptron, each behind its norm."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2 = nn.LayerNorm(width, bias=False), nn.LayerNorm(width, bias=False)
        self.c_attn = nn.Linear(width, 3 * width, bias=False)
        self.c_proj = nn.Linear(width, width, bias=False)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width, bias=False),
            nn.GELU(),
            nn.Linear(4 * width, width, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(batch, time, width) → the same."""
        batch, time, width = x.shape
        parts = self.c_attn(self.ln_1(x)).split(width, dim=2)
        q, k, v = (
            part.view(batch, time, self.heads, width // self.heads).transpose(1, 2)
            for part in parts
        )
        y = scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.c_proj(y.transpose(1, 2).contiguous().view(batch, time, width))
        return x + self.mlp(self.ln_2(x))  # type: ignore[no-any-return]


class NanoGPT(nn.Module):
    """GPT as nanoGPT's ``model.py`` has it: no biases, tied tables, learned places."""

    def __init__(
        self, vocabulary: int, context: int, width: int = 128, heads: int = 4, layers: int = 4
    ) -> None:
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocabulary, width), nn.Embedding(context, width)
        self.h = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.ln_f = nn.LayerNorm(width, bias=False)
        self.lm_head = nn.Linear(width, vocabulary, bias=False)
        self.wte.weight = self.lm_head.weight
        for name, weight in self.named_parameters():
            if weight.ndim >= 2:
                ends = name.endswith(("c_proj.weight", "mlp.2.weight"))
                nn.init.normal_(weight, std=0.02 / math.sqrt(2 * layers) if ends else 0.02)

    def forward(self, tokens: Tensor) -> Tensor:
        """(batch, time) → (batch, time, vocabulary)."""
        x = self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1]))
        for block in self.h:
            x = block(x)
        return self.lm_head(self.ln_f(x))  # type: ignore[no-any-return]

    def optimizer(self, rate: float = 1e-3, beta2: float = 0.95) -> torch.optim.Optimizer:
        """AdamW that decays matrices only; nanoGPT takes the fused one on a GPU alone."""
        parameters = list(self.parameters())
        groups = [
            {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": 0.1},
            {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=rate, betas=(0.9, beta2))


def next_token_loss(net: nn.Module, batch: Tensor | list[Tensor]) -> Tensor:
    """Of rows (batch, time + 1), each token from those before it."""
    rows = batch[0] if isinstance(batch, list | tuple) else batch
    scores = net(rows[:, :-1])
    return cross_entropy(scores.flatten(0, 1), rows[:, 1:].flatten())


def gpt2(
    vocabulary: int, context: int, width: int = 128, heads: int = 4, layers: int = 4
) -> nn.Module:
    """GPT-2 of transformers, without dropout."""
    import transformers

    return transformers.GPT2LMHeadModel(  # type: ignore[no-any-return]
        transformers.GPT2Config(
            vocab_size=vocabulary,
            n_positions=context,
            n_embd=width,
            n_layer=layers,
            n_head=heads,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            bos_token_id=0,
            eos_token_id=0,
        )
    )
