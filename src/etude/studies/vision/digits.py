r"""Handwritten digits, one small convolutional network.

A picture of a digit is a grid of grey values $x$, 28 by 28 in MNIST, 8 by 8 in the set that comes with scikit-learn.
Which of ten digits is it? Nobody can write the rule down. A network learns it from examples.

**The idea.** A digit stays the same digit when it moves a little, so the first things to measure should be the same
everywhere: is there an edge of this direction here? A convolution does just that. It slides one small filter $w$ over
the picture,

$$h_{c}(i, j) = \sum_{c'} \sum_{u, v} w_{c, c', u, v} \, x_{c'}(s i + u, s j + v),$$

with stride $s$. Four such layers follow one another. Three of them stride by 2, so that 28 pixels a side become 14, 7
and 4, and each later filter sees more of the picture. After each layer its channels are brought to mean 0 and variance
1 over the batch, then scaled and shifted by learned numbers (batch normalisation), and negative values are cut off,
$\max(0, h)$. One linear map turns the last features into ten scores $z$.

**The loss.** The scores become probabilities by the softmax, and the loss is the negative log-likelihood of the right
digit $y$, averaged over a batch:

$$p_k = \frac{e^{z_k}}{\sum_j e^{z_j}}, \qquad L = -\log p_y, \qquad \frac{\partial L}{\partial z_k} = p_k - [k = y].$$

The gradient says it all: raise the score of what was written, lower the others by as much as they were believed.

**Against overfitting.** In the quick set there are 1,365 pictures to learn from, and over a hundred weights for each of
them. Five things hold the network back.

- *L2 penalty.* Every step shrinks the weights by a part $\eta \lambda$ of themselves, apart from the gradient's step
  (AdamW): $w \leftarrow w - \eta \lambda w - \eta \, \hat m / (\sqrt{\hat v} + \epsilon)$. Biases and the norms' scales
  are left alone.
- *Dropout.* Before the last map each feature is set to 0 with probability `dropout`, and the others are scaled up, so
  that no score can lean on one feature.
- *Label smoothing.* A part $\epsilon$ (`smoothing`) of the target is spread over all classes:
  $q_k = (1 - \epsilon) \, [k = y] + \epsilon / 10$. Then the gradient $p_k - q_k$ is 0 at finite scores, and they need
  not grow for ever.
- *Augmentation.* Each time a picture is drawn it is turned, shifted and scaled a little, as another hand might have
  written it. A whole batch is changed in one tensor operation.
- *A validation split.* `held_out` of the training pictures are never trained on. Judge changes by
  `validation/accuracy`; the test pictures are looked at once, when all is decided.

**The schedule.** The learning rate climbs for a fifth of the run and then falls in a straight line to zero. High rates
cross the landscape quickly, the fall settles into a valley, and the run ends where it is best: at its last step.

**Five places.** When the network is judged, and `nudge` is not 0, it is shown the picture and the same shifted by
`nudge` pixels to either side, up, and down. The mean of the scores decides: what depends on the exact place averages
out.

What to look at
---------------
- *hardest*: the mistakes of which the network was surest. Many would be argued about by people.
- *confusion*: which digit is taken for which. The shade is the part of a row that went wrong.
- *calibration*: among answers given with 80 % confidence, are 80 % right? Points under the diagonal: overconfident.
  With smoothed labels they lie above it: the network learned never to be sure.
- *filters*: the first layer's filters. Look for edges and strokes in several directions.

Exercises
---------
1. `etude run digits --turn 0 --shift 0 --zoom 0` takes the augmentation away. Compare train loss and test accuracy with
   `etude compare`. Which of the two got better?
2. `etude run digits --dropout 0 --weight-decay 0`: does the calibration suffer before the accuracy does?
3. `etude run digits --turn 180`. Which pairs of digits does the confusion matrix now show, and why must it?
4. `etude run digits --width 4` has some thirty times fewer weights. What does that cost?
5. Draw a digit, photograph it, and `etude predict digits photo.png`. Then try `--scale full`: larger pictures.

References
----------
LeCun, Y., Bottou, L., Bengio, Y. & Haffner, P. (1998). Gradient-based learning applied to document recognition.
Proceedings of the IEEE 86(11).

Ioffe, S. & Szegedy, C. (2015). Batch normalization. ICML.

Krizhevsky, A., Sutskever, I. & Hinton, G. (2012). ImageNet classification with deep convolutional neural networks.
NeurIPS. Section 4.1: the mean over several places.

Srivastava, N., Hinton, G., Krizhevsky, A., Sutskever, I. & Salakhutdinov, R. (2014). Dropout. JMLR 15.

Loshchilov, I. & Hutter, F. (2019). Decoupled weight decay regularization. ICLR.

Szegedy, C., Vanhoucke, V., Ioffe, S., Shlens, J. & Wojna, Z. (2016). Rethinking the Inception architecture for
computer vision. CVPR. Section 7: label smoothing.

Guo, C., Pleiss, G., Sun, Y. & Weinberger, K. (2017). On calibration of modern neural networks. ICML.

Alpaydin, E. & Kaynak, C. (1998). Optical recognition of handwritten digits. UCI Machine Learning Repository.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Generator, Tensor
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import LambdaLR

from etude import data
from etude.claims import Claim
from etude.demos import Answer, Bars, Demo, Drawing, Image, Pictures
from etude.figures.classification import confusion_matrix, reliability
from etude.figures.images import filter_grid, image_grid
from etude.networks.strided import StridedCNN
from etude.runs.run import Run
from etude.study import Amount, Count, Fraction, Natural, OptimizerName, Positive, Study
from etude.training.augmentation import nudged, random_affine, random_flip
from etude.training.batches import Batches
from etude.training.evaluation import accuracy, outputs
from etude.training.looking import feature_maps, occlusion
from etude.training.optimizers import descent
from etude.training.playground import handwritten
from etude.training.schedules import one_cycle
from etude.training.validation import split


@dataclass
class Digits(Study):
    """Classify handwritten digits, with dropout, an L2 penalty and a validation split."""

    dataset: Literal["uci", "mnist", "fashion"] = "uci"  # 8×8 inside scikit-learn; 28×28; clothes, 28×28
    width: Count = 24  # channels of the first convolution; the others have 2 and 4 times as many
    epochs: Positive = 30.0  # passes over the training data
    batch: Count = 64  # images a step
    optimizer: OptimizerName = "adamw"  # the rule of a step; choose the learning rate with it
    learning_rate: Positive = 4e-3  # at the height of the cycle
    weight_decay: Amount = 0.05  # the L2 penalty; of AdamW decoupled from the gradient
    dropout: Fraction = 0.1  # part of the last features that is dropped
    smoothing: Fraction = 0.0  # ε, part of the target that is spread over all classes
    turn: Amount = 8.0  # augmentation: degrees, each way
    shift: Amount = 0.5  # augmentation: pixels, each way
    zoom: Fraction = 0.1  # augmentation: part of the size, each way
    held_out: Fraction = 0.05  # part of the training data kept for validation
    nudge: Natural = 0  # pixels: when judging, scores are means over five places so far apart; 0: one place

    scales = {
        "full": {
            "dataset": "mnist",
            "epochs": 7.0,
            "batch": 256,
            "learning_rate": 6e-3,
            "smoothing": 0.1,
            "turn": 10.0,
            "shift": 1.5,
            "nudge": 1,
        },
        "brief": {
            "dataset": "mnist",
            "width": 16,
            "epochs": 1.2,
            "batch": 128,
            "learning_rate": 6e-3,
            "dropout": 0.0,
            "smoothing": 0.1,
            "turn": 0.0,
            "shift": 0.0,
            "zoom": 0.0,
        },
        "fashion": {"dataset": "fashion", "epochs": 20.0, "batch": 256, "turn": 0.0, "shift": 1.0},
    }
    claims = [
        Claim("test/accuracy", at_least=0.98, source="floor of the curriculum"),
        Claim("test/accuracy", at_least=0.995, scale="full", source="ECE-472 (2022), assignment 3 asks for 0.955"),
        Claim("test/accuracy", at_least=0.99, scale="brief", source="goal: in 12 s, from the start of the process"),
        Claim("test/accuracy", at_least=0.93, scale="fashion", source="goal of the curriculum"),
    ]
    courses = ["CU A3", "ITU A1", "NCKU", "OU"]

    def __call__(self, run: Run) -> None:
        digits = {"uci": data.uci_digits, "mnist": data.mnist, "fashion": data.fashion_mnist}[self.dataset]()
        train, validation = split(run, digits.train, round(self.held_out * len(digits.train)))
        batches = Batches(train.pair, self.batch, augment=self.augment)
        steps = round(self.epochs * len(batches))

        net = run.place(self.network())
        optimizer = descent(self.optimizer, net, self.learning_rate, self.weight_decay)
        schedule = LambdaLR(optimizer, one_cycle(steps, warmup=0.2))

        for images, labels in run.steps(batches, steps, state=(net, optimizer, schedule)):
            loss = cross_entropy(net(images), labels, label_smoothing=self.smoothing)
            run.minimise(loss, optimizer, schedule)
            run.log(loss=loss)
            if run.every(len(batches)):
                scores = outputs(net, self.scaled(validation.inputs))
                run.log(**{"validation/accuracy": accuracy(scores, validation.labels)})

        scores = self.scores(net, validation.inputs)
        run.result({"validation/accuracy": accuracy(scores, validation.labels)}, held_out=len(validation))
        images, labels = self.scaled(digits.test.inputs), digits.test.labels
        probabilities = self.scores(net, digits.test.inputs).softmax(1)
        sure, predicted = probabilities.max(1)
        run.result({"test/accuracy": accuracy(probabilities, labels)}, held_out=len(labels))
        wrong = (predicted != labels).nonzero().squeeze(1)
        hardest = wrong[sure[wrong].argsort(descending=True)][:24]
        if len(hardest):
            names = [f"{digits.classes[labels[i]]} → {digits.classes[predicted[i]]} {sure[i]:.2f}" for i in hardest]
            run.figure("hardest", image_grid(images[hardest], names, title="wrong, and how sure: is → taken for"))
        run.figure("confusion", confusion_matrix(predicted, labels, digits.classes))
        run.figure("calibration", reliability(probabilities, labels))
        run.figure("filters", filter_grid(net.first.weight, title="filters of the first convolution"), cover=True)
        run.keep(net)

    def network(self) -> StridedCNN:
        """A new network for the data set's images."""
        return StridedCNN(1, 8 if self.dataset == "uci" else 28, 10, self.width, self.dropout)

    def example(self) -> Tensor:
        """Two images with values from 0 to 1."""
        side = 8 if self.dataset == "uci" else 28
        return torch.rand(2, 1, side, side)

    def scaled(self, images: Tensor) -> Tensor:
        """Whole numbers to values from 0 to 1."""
        return images.to(torch.float32, copy=True).div_(16 if self.dataset == "uci" else 255)

    def scores(self, net: torch.nn.Module, images: Tensor) -> Tensor:
        """Logits of images of whole numbers, their mean over five places if asked for. (rows, classes)."""
        places = nudged(self.scaled(images), self.nudge) if self.nudge else [self.scaled(images)]
        return torch.stack([outputs(net, place) for place in places]).mean(0)

    def augment(self, images: Tensor, generator: Generator) -> Tensor:
        """A turned, shifted and scaled version of each image."""
        images = self.scaled(images)
        if self.dataset == "fashion":
            images = random_flip(images, generator)
        return random_affine(images, generator, self.turn, self.shift, self.zoom)

    def predict(self, net: torch.nn.Module, input: Any) -> Mapping[str, float]:
        """Probabilities of the classes for one picture: a file, an array or a tensor, of any size and polarity."""
        image = (data.like_uci if self.dataset == "uci" else data.like_mnist)(input)
        return dict(zip(self.classes, self.scores(net, image[None]).softmax(1)[0].tolist(), strict=True))

    @property
    def classes(self) -> tuple[str, ...]:
        """Their names."""
        return data.FASHION if self.dataset == "fashion" else tuple("0123456789")

    def demo(self) -> Demo:
        """Draw, guess, and see what the network makes of it."""
        examples = {} if self.dataset == "fashion" else handwritten(5)
        asks = {"drawing": Drawing("Draw here", examples=examples)}
        return Demo("Draw a digit. Which one will it see?", asks, self.look, self.classes)

    def look(self, net: torch.nn.Module, drawing: Image) -> Iterator[Answer]:
        """Probabilities; the picture as the network gets it; its first layers' maps; what the answer hangs on."""
        yield Bars("What it sees", self.predict(net, drawing))
        image = self.scaled((data.like_uci if self.dataset == "uci" else data.like_mnist)(drawing))
        lost = occlusion(net, image).clamp_min(0)
        yield Pictures("What it gets, and where it looks", {"input": image[0].numpy(), "hangs on": lost.numpy()})
        maps = feature_maps(net, net.get_submodule("first"), image)[:12]
        shown = {f"{k + 1}": (m / m.amax().clamp_min(1e-6)).clamp_min(0).numpy() for k, m in enumerate(maps)}
        yield Pictures("What its first filters find", shown, width=72)
