"""A training step of common networks, data and all: Etude's loop, a bare loop with PyTorch's
defaults, and others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.beside.loops import in_bare, in_etude, in_keras, in_lightning, in_trainer
from benchmarks.beside.work import Contender, Measured, Work

Shape = tuple[int, ...]
CHARACTERS, TIME, ROWS = 65, 64, 32  # of the LSTM
VOCABULARY, CONTEXT = 256, 128  # of GPT


def _ms(seconds: float) -> Measured:
    return Measured(1e3 * seconds)


def _points() -> tuple[Any, Any]:
    import torch

    x = torch.rand(10_000, 2)
    return x, (x[:, :1] > x[:, 1:]).float()


def _pictures(rows: int, *shape: int) -> tuple[Any, Any]:
    import torch

    return torch.rand(rows, *shape), torch.randint(10, (rows,))


def _loader(columns: tuple[Any, ...], size: int) -> Any:
    from torch.utils.data import DataLoader, TensorDataset

    return DataLoader(TensorDataset(*columns), batch_size=size, shuffle=True)


def _text(rows: int, length: int, vocabulary: int) -> Any:
    """Stretches of a text, one token longer than what is read, (rows, length + 1)."""
    import torch

    return torch.randint(vocabulary, (rows, length + 1))


# -- the loss of a batch ---------------------------------------------------------------------------


def _classes(net: Any, batch: Any) -> Any:
    from torch.nn.functional import cross_entropy

    return cross_entropy(net(batch[0]), batch[1])


def _likelihoods(net: Any, batch: Any) -> Any:
    from torch.nn.functional import nll_loss

    return nll_loss(net(batch[0]), batch[1])


def _sides(net: Any, batch: Any) -> Any:
    from torch.nn.functional import binary_cross_entropy_with_logits

    return binary_cross_entropy_with_logits(net(batch[0]), batch[1])


def _tokens(net: Any, batch: Any) -> Any:
    from benchmarks.beside.networks import next_token_loss

    return next_token_loss(net, batch)


# -- networks: Etude's, plain PyTorch's, Keras's ---------------------------------------------------


def _etude_mlp() -> Any:
    from etude.networks.mlp import MLP

    return MLP(2, [64, 64], 1, "tanh")


def _etude_cnn() -> Any:
    from etude.networks.strided import StridedCNN

    return StridedCNN(1, 28, 10, 24)


def _etude_gpt() -> Any:
    from etude.networks.gpt import GPT

    return GPT(VOCABULARY, 128, 4, 4, CONTEXT)


def _plain(name: str, *sizes: int) -> Callable[[], Any]:
    def build() -> Any:
        from benchmarks.beside import networks

        return getattr(networks, name)(*sizes)

    return build


def _gpt2() -> Any:
    from benchmarks.beside.networks import gpt2

    return gpt2(VOCABULARY, CONTEXT)


def _keras_mlp(keras: Any) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((2,)),
            layers.Dense(64, "tanh"),
            layers.Dense(64, "tanh"),
            layers.Dense(1),
        ]
    )


def _keras_cnn(keras: Any) -> Any:
    layers = keras.layers

    def block(width: int, kernel: int, stride: int) -> list[Any]:
        convolution = layers.Conv2D(width, kernel, stride, "same", use_bias=False)
        return [convolution, layers.BatchNormalization(), layers.ReLU()]

    blocks = [*block(24, 5, 2), *block(48, 3, 2), *block(96, 3, 1), *block(96, 3, 2)]
    return keras.Sequential([keras.Input((28, 28, 1)), *blocks, layers.Flatten(), layers.Dense(10)])


def _keras_example(keras: Any) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Dropout(0.25),
            layers.Flatten(),
            layers.Dense(128, "relu"),
            layers.Dropout(0.5),
            layers.Dense(10),
        ]
    )


def _keras_resnet(keras: Any) -> Any:
    layers = keras.layers

    def convolved(x: Any, width: int, kernel: int, stride: int) -> Any:
        return layers.BatchNormalization()(
            layers.Conv2D(width, kernel, stride, "same", use_bias=False)(x)
        )

    inputs = keras.Input((32, 32, 3))
    x = layers.ReLU()(convolved(inputs, 64, 3, 1))
    for width, first in ((64, 1), (128, 2), (256, 2), (512, 2)):
        for stride in (first, 1):
            shortcut = x if stride == 1 and x.shape[-1] == width else convolved(x, width, 1, stride)
            h = layers.ReLU()(convolved(x, width, 3, stride))
            x = layers.ReLU()(layers.Add()([convolved(h, width, 3, 1), shortcut]))
    return keras.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


def _keras_lstm(keras: Any) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((TIME,)),
            layers.Embedding(CHARACTERS, 256),
            layers.LSTM(256, return_sequences=True),
            layers.Dense(CHARACTERS),
        ]
    )


def _keras_gpt(keras: Any) -> Any:
    layers, ops = keras.layers, keras.ops

    class Places(layers.Layer):  # type: ignore[misc]
        def build(self, shape: Any) -> None:
            self.table = self.add_weight(shape=(CONTEXT, 128), initializer="uniform", name="table")

        def call(self, x: Any) -> Any:
            return x + ops.expand_dims(self.table, 0)

    inputs = keras.Input((CONTEXT,), dtype="int32")
    x = Places()(layers.Embedding(VOCABULARY, 128)(inputs))
    for _ in range(4):
        h = layers.LayerNormalization()(x)
        x = x + layers.MultiHeadAttention(4, 32)(h, h, use_causal_mask=True)
        h = layers.Dense(512, "gelu")(layers.LayerNormalization()(x))
        x = x + layers.Dense(128)(h)
    return keras.Model(
        inputs, layers.Dense(VOCABULARY, use_bias=False)(layers.LayerNormalization()(x))
    )


def _binary(keras: Any) -> Any:
    return keras.losses.BinaryCrossentropy(from_logits=True)


def _sparse(keras: Any) -> Any:
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


# -- contenders ------------------------------------------------------------------------------------


def _supervised(
    data: Callable[[], tuple[Any, Any]],
    size: int,
    loss_of: Any,
    etude: Any,
    plain: Any,
    keras: Any,
    keras_loss: Any,
) -> dict[str, Contender]:
    """Rows and what is to be said of them."""

    def in_its_order() -> tuple[Any, Any]:
        x, y = data()
        return (
            x.permute(0, 2, 3, 1) if x.ndim == 4 else x
        ).numpy(), y.numpy()  # channels last, Keras's default

    def batches() -> Any:
        from etude.training.batches import Batches

        return Batches(data(), size)

    return {
        "etude": lambda seed: _ms(in_etude(etude, batches, loss_of, seed)),
        "bare loop": lambda seed: _ms(in_bare(plain, lambda: _loader(data(), size), loss_of, seed)),
        "Lightning": lambda seed: _ms(
            in_lightning(plain, lambda: _loader(data(), size), loss_of, seed)
        ),
        "Keras": lambda seed: _ms(in_keras(keras, in_its_order, size, keras_loss, seed)),
    }


def _windows(length: int, size: int, vocabulary: int) -> Callable[[], Any]:
    def build() -> Any:
        from etude.training.batches import Windows

        return Windows(_text(1, 100_000, vocabulary)[0], length + 1, size)

    return build


def _inputs(length: int, vocabulary: int) -> Callable[[], tuple[Any, Any]]:
    def build() -> tuple[Any, Any]:
        rows = _text(1_500, length, vocabulary).numpy()
        return rows[:, :-1], rows[:, 1:]

    return build


def _characters() -> dict[str, Contender]:
    """The LSTM, in characters a second."""

    def rate(seconds: float) -> Measured:
        return Measured(ROWS * TIME / seconds)

    def loader() -> Any:
        return _loader((_text(1_500, TIME, CHARACTERS),), ROWS)

    windows, inputs = _windows(TIME, ROWS, CHARACTERS), _inputs(TIME, CHARACTERS)
    return {
        "etude": lambda seed: rate(in_etude(_plain("CharacterLSTM"), windows, _tokens, seed)),
        "bare loop": lambda seed: rate(in_bare(_plain("CharacterLSTM"), loader, _tokens, seed)),
        "Lightning": lambda seed: rate(
            in_lightning(_plain("CharacterLSTM"), loader, _tokens, seed)
        ),
        "Keras": lambda seed: rate(in_keras(_keras_lstm, inputs, ROWS, _sparse, seed)),
    }


def _gpt() -> dict[str, Contender]:
    def loader() -> Any:
        return _loader((_text(1_500, CONTEXT, VOCABULARY),), 16)

    def rule(net: Any) -> Any:
        return net.optimizer()

    def etude(compiled: bool) -> Contender:
        told: Any = {"optimizer": "adamw", "decay": 0.1, "clip": 1.0, "compiled": compiled}
        return lambda seed: _ms(in_etude(_etude_gpt, windows, _tokens, seed, **told))

    def rows() -> Any:
        return _text(1_500, CONTEXT - 1, VOCABULARY)

    plain, inputs = _plain("NanoGPT", VOCABULARY, CONTEXT), _inputs(CONTEXT, VOCABULARY)
    windows = _windows(CONTEXT, 16, VOCABULARY)
    return {
        "etude": etude(False),
        "etude, compiled": etude(True),
        "bare loop": lambda seed: _ms(in_bare(plain, loader, _tokens, seed, rule=rule, clip=1.0)),
        "Lightning": lambda seed: _ms(
            in_lightning(plain, loader, _tokens, seed, rule=rule, clip=1.0)
        ),
        "Keras": lambda seed: _ms(in_keras(_keras_gpt, inputs, 16, _sparse, seed)),
        "transformers' Trainer": lambda seed: _ms(in_trainer(_gpt2, rows, 16, seed)),
    }


WORKS = [
    Work(
        "step-mlp",
        "a step of an MLP 2-64-64-1, batch 256",
        "ms",
        "≥ 1.3 ×",
        _supervised(_points, 256, _sides, _etude_mlp, _plain("mlp"), _keras_mlp, _binary),
    ),
    Work(
        "step-cnn",
        "a step of a CNN of four convolutions, 28×28, batch 256",
        "ms",
        "≥ 2.5 ×",
        _supervised(
            lambda: _pictures(4_096, 1, 28, 28),
            256,
            _classes,
            _etude_cnn,
            _plain("strided_cnn"),
            _keras_cnn,
            _sparse,
        ),
        note=(
            "The network of `digits`; peers have the same layers. All pictures lie in memory for"
            " all of them."
        ),
    ),
    Work(
        "step-example",
        "a step of the CNN of PyTorch's example for MNIST, 28×28, batch 256",
        "ms",
        "≥ 2.5 ×",
        _supervised(
            lambda: _pictures(4_096, 1, 28, 28),
            256,
            _likelihoods,
            _plain("example_cnn"),
            _plain("example_cnn"),
            _keras_example,
            _sparse,
        ),
        note=(
            "Two convolutions, which do not stride, and a pool: the network that peers train in the"
            " works on MNIST. Etude, the bare loop and Lightning train the same modules, all from"
            " pictures in memory."
        ),
    ),
    Work(
        "step-resnet",
        "a step of ResNet-18, 32×32, batch 64",
        "ms",
        "≥ 2 ×",
        _supervised(
            lambda: _pictures(1_024, 3, 32, 32),
            64,
            _classes,
            _plain("ResNet18"),
            _plain("ResNet18"),
            _keras_resnet,
            _sparse,
        ),
        note=(
            "Etude, the bare loop and Lightning train the same class; `run.place` chooses precision"
            " and layout."
        ),
    ),
    Work(
        "step-gpt",
        "a step of GPT, 4 layers of 4 heads, width 128, 16 × 128 tokens",
        "ms",
        "≥ 1.5 ×",
        _gpt(),
        note=(
            "The bare loop and Lightning train nanoGPT's network, which has no biases; the Trainer"
            " its GPT-2, whose GELU is the one by tanh; Keras the same layers, with untied tables"
            " and Adam. Compiled: after 15 to 30 seconds in which C++ is made of the network."
        ),
    ),
    Work(
        "step-lstm",
        "an LSTM over characters, 256 wide, 32 × 64",
        "characters/s",
        "≥ 1.4 ×",
        _characters(),
        note="Etude, the bare loop and Lightning train the same class, around `torch.nn.LSTM`.",
    ),
]
