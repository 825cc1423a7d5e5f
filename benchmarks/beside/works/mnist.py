"""How soon MNIST is learned, from the start of the process."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from typing import Any

from benchmarks.beside.pictures import Pictures, mnist, random_affine, to_tensor
from benchmarks.beside.studies import study
from benchmarks.beside.work import Contender, Measured, Work, so_far

OPTIONS = {0.99: ["--scale", "brief"], 0.995: ["--scale", "full"]}  # of ``etude run digits``
EPOCHS = {
    "PyTorch": 14,
    "Keras": 15,
    "Lightning": 15,
    "skorch": 20,
}  # at most; the first two are their examples'
TURN, SHIFT, ZOOM = (
    10.0,
    0.05,
    0.1,
)  # of the peers' random affine map: degrees, part of the size, part of the size
TEST_BATCH = 1_000


def _etude(goal: float) -> Contender:
    def run(seed: int) -> Measured:
        said, seconds = study("digits", *OPTIONS[goal], seed=seed)
        return Measured(seconds, {"test accuracy": said["metrics"]["test/accuracy"]})

    return run


def _sets(augmented: bool, mean: float = 0.1307, spread: float = 0.3081) -> tuple[Any, Any]:
    """Training and test data as PyTorch takes them: tensors, or pictures that are changed one by
    one.
    """
    import torch
    from torch.utils.data import TensorDataset

    images, labels, *test = mnist()

    def scaled(values: Any) -> Any:
        return (torch.tensor(values)[:, None] / 255 - mean) / spread

    tested = TensorDataset(scaled(test[0]), torch.tensor(test[1]))
    if not augmented:
        return TensorDataset(scaled(images), torch.tensor(labels)), tested
    changes: list[Callable[[Any], Any]] = [random_affine(TURN, SHIFT, ZOOM), to_tensor]
    return Pictures(images, labels, *changes, lambda values: (values - mean) / spread), tested


def _pytorch(goal: float, augmented: bool) -> Contender:
    """``examples/mnist/main.py``."""

    def run(seed: int) -> Measured:
        import torch
        from benchmarks.beside.networks import example_cnn
        from torch.nn import functional as F
        from torch.utils.data import DataLoader

        torch.manual_seed(seed)
        train, test = _sets(augmented)
        loader, held = DataLoader(train, 64, shuffle=True), DataLoader(test, TEST_BATCH)
        model = example_cnn()
        optimizer = torch.optim.Adadelta(model.parameters(), lr=1.0)
        scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.7)
        epochs, accuracy = 0, 0.0
        while accuracy < goal and epochs < EPOCHS["PyTorch"]:
            model.train()
            for x, y in loader:
                optimizer.zero_grad()
                loss = F.nll_loss(model(x), y)
                loss.backward()
                optimizer.step()
            model.eval()
            with torch.no_grad():
                accuracy = sum(int((model(x).argmax(1) == y).sum()) for x, y in held) / len(test)
            scheduler.step()
            epochs += 1
            so_far(**{"test accuracy": accuracy, "epochs": epochs})
        return Measured(None, {"test accuracy": accuracy, "epochs": epochs})

    return run


def _lightning(goal: float, augmented: bool) -> Contender:
    """A module, a trainer, Adam; early stopping at the goal."""

    def run(seed: int) -> Measured:
        import lightning as L
        import torch
        from benchmarks.beside.networks import example_cnn
        from lightning.pytorch.callbacks import EarlyStopping
        from torch.nn import functional as F
        from torch.utils.data import DataLoader

        class Module(L.LightningModule):
            def __init__(self) -> None:
                super().__init__()
                self.model = example_cnn()

            def training_step(self, batch: Any, index: int) -> Any:
                x, y = batch
                loss = F.nll_loss(self.model(x), y)
                self.log("train_loss", loss)
                return loss

            def validation_step(self, batch: Any, index: int) -> None:
                x, y = batch
                self.log("accuracy", (self.model(x).argmax(1) == y).float().mean())

            def on_train_epoch_end(self) -> None:
                reached = float(self.trainer.callback_metrics["accuracy"])
                so_far(**{"test accuracy": reached, "epochs": self.current_epoch + 1})

            def configure_optimizers(self) -> Any:
                return torch.optim.Adam(self.parameters(), lr=1e-3)

        L.seed_everything(seed)
        train, test = _sets(augmented)
        stop = EarlyStopping(
            "accuracy", mode="max", stopping_threshold=goal, patience=EPOCHS["Lightning"]
        )
        with tempfile.TemporaryDirectory() as folder:
            trainer = L.Trainer(
                max_epochs=EPOCHS["Lightning"],
                callbacks=[stop],
                default_root_dir=folder,
                enable_progress_bar=False,
            )
            trainer.fit(Module(), DataLoader(train, 64, shuffle=True), DataLoader(test, TEST_BATCH))
        reached = float(trainer.callback_metrics["accuracy"])
        return Measured(None, {"test accuracy": reached, "epochs": trainer.current_epoch})

    return run


def _keras(goal: float, augmented: bool) -> Contender:
    """The example ``simple_mnist_convnet``, on PyTorch; augmentation by Keras's own layers."""

    def run(seed: int) -> Measured:
        os.environ["KERAS_BACKEND"] = "torch"
        import keras
        from keras import layers

        class Stop(keras.callbacks.Callback):  # type: ignore[misc]
            def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
                self.model.stop_training = logs["val_accuracy"] >= goal
                so_far(**{"test accuracy": logs["val_accuracy"], "epochs": epoch + 1})

        keras.utils.set_random_seed(seed)
        images, labels, *test = mnist()
        x, x_test = (part.astype("float32")[..., None] / 255 for part in (images, test[0]))
        y, y_test = (keras.utils.to_categorical(part, 10) for part in (labels, test[1]))
        changes = [
            layers.RandomRotation(TURN / 360, fill_mode="constant"),
            layers.RandomTranslation(SHIFT, SHIFT, fill_mode="constant"),
            layers.RandomZoom((-ZOOM, ZOOM), fill_mode="constant"),
        ]
        model = keras.Sequential(
            [
                keras.Input(shape=(28, 28, 1)),
                *(changes if augmented else []),
                layers.Conv2D(32, kernel_size=(3, 3), activation="relu"),
                layers.MaxPooling2D(pool_size=(2, 2)),
                layers.Conv2D(64, kernel_size=(3, 3), activation="relu"),
                layers.MaxPooling2D(pool_size=(2, 2)),
                layers.Flatten(),
                layers.Dropout(0.5),
                layers.Dense(10, activation="softmax"),
            ]
        )
        model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
        history = model.fit(
            x,
            y,
            batch_size=128,
            epochs=EPOCHS["Keras"],
            validation_data=(x_test, y_test),
            callbacks=[Stop()],
            verbose=0,
        ).history["val_accuracy"]
        return Measured(None, {"test accuracy": history[-1], "epochs": len(history)})

    return run


def _skorch(goal: float, augmented: bool) -> Contender:
    """The convolutional network of its notebook ``MNIST``."""

    def run(seed: int) -> Measured:
        import torch
        from skorch import NeuralNetClassifier
        from skorch.callbacks import Callback
        from skorch.helper import predefined_split
        from torch import nn
        from torch.utils.data import Subset

        class Stop(Callback):  # type: ignore[misc]
            def on_epoch_end(self, net: Any, **_: Any) -> None:
                so_far(
                    **{
                        "test accuracy": float(net.history[-1, "valid_acc"]),
                        "epochs": len(net.history),
                    }
                )
                if net.history[-1, "valid_acc"] >= goal:
                    raise KeyboardInterrupt  # as skorch's early stopping does

        torch.manual_seed(seed)
        cnn = nn.Sequential(
            nn.Conv2d(1, 32, 3),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3),
            nn.Dropout2d(0.5),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(1600, 100),
            nn.Dropout(0.5),
            nn.ReLU(),
            nn.Linear(100, 10),
            nn.Softmax(-1),
        )
        train, test = _sets(augmented, 0.0, 1.0)
        net = NeuralNetClassifier(
            cnn,
            max_epochs=EPOCHS["skorch"],
            lr=0.002,
            optimizer=torch.optim.Adam,
            iterator_train__shuffle=True,
            train_split=predefined_split(test),
            callbacks=[Stop()],
            classes=[*range(10)],
            verbose=0,
        )
        net.fit(
            Subset(train, [*range(len(train))]), y=None
        )  # which is a Dataset, whatever it is of
        return Measured(
            None, {"test accuracy": float(net.history[-1, "valid_acc"]), "epochs": len(net.history)}
        )

    return run


def _work(goal: float, name: str, aim: str, repeat: int, patience: float, note: str) -> Work:
    augmented = goal > 0.99
    peers = {"skorch": _skorch, "Keras": _keras, "PyTorch": _pytorch, "Lightning": _lightning}
    return Work(
        name,
        f"MNIST to a test accuracy of {goal:g}, from the start of the process",
        "s",
        aim,
        {"etude": _etude(goal), **{peer: make(goal, augmented) for peer, make in peers.items()}},
        repeat=repeat,
        goal=("test accuracy", goal),
        note=f"{note} A peer is stopped after {patience:g} times Etude's time.",
        patience=patience,
    )


MOST = ", ".join(f"{peer} {most}" for peer, most in EPOCHS.items())
WORKS = [
    _work(
        0.99,
        "mnist-0.99",
        "≥ 15 × the fastest peer",
        3,
        15.0,
        f"Etude runs `etude run digits {' '.join(OPTIONS[0.99])}` to its end, report included; that"
        " scale's fields were chosen by validation accuracy on seeds 0 to 2, with the test's"
        " printed beside it. The peers have the recipes of their examples and decoded images at"
        " once. They are stopped after the first epoch at whose end the *test* accuracy is high"
        f" enough, which favours them; at most so many epochs: {MOST}.",
    ),
    _work(
        0.995,
        "mnist-0.995",
        "≥ 8 ×",
        3,
        8.0,
        f"`etude run digits {' '.join(OPTIONS[0.995])}`. The peers' recipes as before, with a"
        " random affine map: image by image as torchvision's transforms do it, and by Keras's"
        " layers.",
    ),
]
