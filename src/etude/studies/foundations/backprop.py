r"""Backpropagation by hand: a convolutional network in NumPy alone.

A network is a chain of functions, $x_0 \to x_1 \to \dots \to x_K \to L$. How does the loss $L$ change with a weight
deep inside? The chain rule answers with a product of Jacobians. Multiplied from the left, as they are written, each
product is a matrix; from the right, where the single number $L$ stands, it is a vector, and stays one:

$$\frac{\partial L}{\partial x_{k-1}} = \Big( \frac{\partial x_k}{\partial x_{k-1}} \Big)^{\top}
\frac{\partial L}{\partial x_k}.$$

So a layer needs to know two things only: its output for an input, and what a gradient at its output is at its input
and at its own weights. No layer knows of the others. One sweep forward, one sweep backward, and the gradient by *all*
weights costs about twice what the loss costs.

**The layers**, in `etude/layers/by_hand.py`, each with its derivation. With $dy$ for $\partial L / \partial y$:

| layer | forward | backward |
|---|---|---|
| affine | $y = x W^\top + b$ | $dx = dy \, W$, $dW = dy^\top x$, $db = \sum_n dy_n$ |
| convolution | affine on patches $X$ | the same, and patches are added up where they overlap |
| max pooling | largest of four | to the largest, all of it |
| batch norm | $\hat x = (x - \mu) / s$, $y = \gamma \hat x + \beta$ | $dx = \frac{\gamma}{s} (dy - \overline{dy} - \hat x \, \overline{dy \, \hat x})$ |
| ReLU, dropout | $x$ times 0 or a factor | $dy$ times the same |
| softmax and cross-entropy | $L = -\log p_y$ | $dz = p - e_y$ |

**Are they right?** A derivative can always be asked for numerically: move one number by $h$ to both sides, and look.

$$\frac{\partial L}{\partial w} = \frac{L(w + h) - L(w - h)}{2 h} + O(h^2).$$

The truncation error falls with $h^2$, and the rounding error grows as $1 / h$: the best is near $h = 10^{-5}$ in double
precision, with some ten digits right. The run checks every layer's gradients so, and claims a relative error below
$10^{-6}$. (ReLU and max pooling have kinks. A difference that steps over one is wrong, not the gradient: the checks use
inputs on which none lies within reach.)

**Then it trains**, by momentum, $v \leftarrow \mu v + g$, $w \leftarrow w - \eta v$, with a rate that falls along half a
cosine. At the end the numbers are put into the same network made of `torch.nn`, which gives the same scores.

What to look at
---------------
- *differences*: the error of the difference quotient against $h$, for each layer: a V, down with slope 2, up with −1.
- *confusion*, *filters*: the network works like any other.
- the curve *gradient norm*, layer by layer: does it vanish towards the input?

Exercises
---------
1. In `BatchNorm.backward` leave out the last term. Which test notices, and how good does the network still become?
2. `etude run backprop --dropout 0`, then `--dropout 0.8`. Where do train and test accuracy part?
3. Write the backward pass of average pooling, and of tanh. Add them to the checks before you use them.
4. `etude run backprop --scale full` is MNIST with NumPy alone. Which layer takes the time? (`python -m cProfile`)

References
----------
Rumelhart, D., Hinton, G. & Williams, R. (1986). Learning representations by back-propagating errors. Nature 323.

Linnainmaa, S. (1976). Taylor expansion of the accumulated rounding error. BIT 16.

LeCun, Y., Bottou, L., Orr, G. & Müller, K.-R. (1998). Efficient BackProp. Neural Networks: Tricks of the Trade.

Ioffe, S. & Szegedy, C. (2015). Batch normalization. ICML.
"""  # noqa: E501

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from etude import data
from etude.claims import Claim
from etude.figures.classification import confusion_matrix
from etude.figures.differences import error_by_step
from etude.figures.images import filter_grid
from etude.layers import by_hand as hand
from etude.layers.by_hand import Array
from etude.runs.run import Run
from etude.study import Count, Fraction, Positive, Study
from etude.training.batches import Batches
from etude.training.evaluation import accuracy, outputs
from etude.training.schedules import cosine
from etude.training.validation import split


@dataclass
class Backprop(Study):
    """Train a convolutional network with backward passes written by hand."""

    dataset: Literal["uci", "mnist"] = "uci"  # 8×8 inside scikit-learn; 28×28
    width: Count = 16  # filters of the first convolution; the second has twice as many
    hidden: Count = 64  # units between the convolutions and the scores
    dropout: Fraction = 0.2  # part of these that is dropped
    epochs: Positive = 15.0  # passes over the training data
    batch: Count = 64  # images a step
    learning_rate: Positive = 0.05  # at the start; falls to zero along half a cosine
    momentum: Fraction = 0.9  # μ, the part of the last step that is kept
    weight_decay: Fraction = 5e-4  # λ, the factor of the L2 penalty
    held_out: Fraction = 0.05  # part of the training data kept for validation

    scales = {"full": {"dataset": "mnist", "width": 8, "epochs": 3.0}}
    claims = [
        Claim("test/accuracy", at_least=0.97, source="floor of the curriculum"),
        Claim("gradients/error", at_most=1e-6, each=True, source="central differences"),
        Claim("torch/error", at_most=1e-4, each=True, source="the same network in torch.nn"),
        Claim("test/accuracy", at_least=0.98, scale="full", source="floor of the curriculum"),
    ]
    courses = ["ITU A2", "OU"]

    def __call__(self, run: Run) -> None:
        errors = {name: hand.differences(layer, x) for name, (layer, x) in checks().items()}
        run.result({"gradients/error": max(min(found.values()) for found in errors.values())})
        run.figure("differences", error_by_step(errors))

        digits = data.uci_digits() if self.dataset == "uci" else data.mnist()
        train, validation = split(run, digits.train, round(self.held_out * len(digits.train)))
        batches = Batches((self.scaled(train.inputs), train.labels), self.batch)
        steps = round(self.epochs * len(batches))
        net, shape = hand.Network(self.layers()), cosine(steps)

        for images, labels in run.steps(batches, steps, state=net):
            z = net.forward(images.numpy(), training=True)
            loss, dz = hand.softmax_cross_entropy(z, labels.numpy())
            norms = net.backward(dz)
            net.step(self.learning_rate * shape(run.step), self.momentum, self.weight_decay)
            run.log(loss=loss, **{"first layer/gradient norm": norms[-2], "last layer/gradient norm": norms[0]})
            if run.every(len(batches)):
                scores = torch.from_numpy(net.forward(self.scaled(validation.inputs).numpy()))
                run.log(**{"validation/accuracy": accuracy(scores, validation.labels)})

        scores = torch.from_numpy(net.forward(self.scaled(validation.inputs).numpy()))
        run.result({"validation/accuracy": accuracy(scores, validation.labels)}, held_out=len(validation))
        images, labels = self.scaled(digits.test.inputs), digits.test.labels
        scores = torch.cat([torch.from_numpy(net.forward(part.numpy())) for part in torch.split(images, 500)])
        run.result({"test/accuracy": accuracy(scores, labels)}, held_out=len(labels))
        twin = self.network()
        twin.load_state_dict(net.state_dict(), strict=False)
        run.result({"torch/error": (outputs(twin, images) - scores).abs().max()})
        run.figure("confusion", confusion_matrix(scores.argmax(1), labels, digits.classes))
        run.figure("filters", filter_grid(twin.state_dict()["0.weight"], title="filters of the first convolution"))
        run.keep(twin)

    @property
    def side(self) -> int:
        """Pixels of an image, along each axis."""
        return 8 if self.dataset == "uci" else 28

    def layers(self) -> list[hand.Layer]:
        """The network, by hand: two convolutions, each normalised, cut off and pooled, and two affine layers."""
        w, flat = self.width, 2 * self.width * (self.side // 4) ** 2
        return [
            hand.Convolution(1, w, 3), hand.BatchNorm(w), hand.ReLU(), hand.MaxPool(),
            hand.Convolution(w, 2 * w, 3), hand.BatchNorm(2 * w), hand.ReLU(), hand.MaxPool(), hand.Flatten(),
            hand.Affine(flat, self.hidden), hand.ReLU(), hand.Dropout(self.dropout), hand.Affine(self.hidden, 10),
        ]  # fmt: skip

    def network(self) -> nn.Sequential:
        """The same network made of ``torch.nn``, for what others do with networks."""
        w, flat = self.width, 2 * self.width * (self.side // 4) ** 2
        return nn.Sequential(
            nn.Conv2d(1, w, 3, padding=1, bias=False), nn.BatchNorm2d(w), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(w, 2 * w, 3, padding=1, bias=False), nn.BatchNorm2d(2 * w), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(flat, self.hidden), nn.ReLU(), nn.Dropout(self.dropout), nn.Linear(self.hidden, 10),
        )  # fmt: skip

    def example(self) -> Tensor:
        """Two images with values from 0 to 1."""
        return torch.rand(2, 1, self.side, self.side)

    def scaled(self, images: Tensor) -> Tensor:
        """Whole numbers to values from 0 to 1."""
        return images.float() / (16 if self.dataset == "uci" else 255)

    def predict(self, net: nn.Module, input: Any) -> Mapping[str, float]:
        """Probabilities of the classes for one picture: a file, an array or a tensor, of any size and polarity."""
        image = (data.like_uci if self.dataset == "uci" else data.like_mnist)(input)
        return dict(zip("0123456789", net(self.scaled(image[None])).softmax(1)[0].tolist(), strict=True))


def checks() -> dict[str, tuple[hand.Layer, Array]]:
    """Each kind of layer, in double precision, with an input on which no kink lies near."""
    spaced = (np.random.permutation(96) / 48 - 0.99).reshape(2, 3, 4, 4)  # no two within 0.02, nor one near 0
    return {
        "affine": (hand.Affine(6, 5), np.random.normal(size=(4, 6))),
        "convolution": (hand.Convolution(3, 4, 3), np.random.normal(size=(2, 3, 5, 4))),
        "max pooling": (hand.MaxPool(), spaced),
        "batch norm": (hand.BatchNorm(3), np.random.normal(size=spaced.shape)),
        "ReLU": (hand.ReLU(), spaced),
        "dropout": (hand.Dropout(0.3), np.random.normal(size=(4, 6))),
        "softmax, cross-entropy": (hand.CrossEntropy(np.array([2, 0, 1, 2])), np.random.normal(size=(4, 3))),
    }
