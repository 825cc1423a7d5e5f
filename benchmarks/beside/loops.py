"""The loops in which steps are taken: Etude's, a bare one with PyTorch's defaults, and those of
libraries.

Each builds a network, trains it for some seconds and gives the median seconds of a step, data and
all.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from benchmarks.beside.work import median_seconds

if TYPE_CHECKING:
    from etude.study import Study

Build = Callable[[], Any]  # → a network
LossOf = Callable[[Any, Any], Any]  # network, batch → loss


class Laps:
    """Seconds from call to call, after some to warm up: as :func:`median_seconds`, where the loop
    is another's.
    """

    def __init__(self, warm: int = 3, least: float = 3.0) -> None:
        self.seconds: list[float] = []
        self.skip, self.least, self.last = warm, least, 0.0

    def enough(self) -> bool:
        """One more step is done; whether that will do."""
        now = time.perf_counter()
        if self.skip:
            self.skip -= 1
        else:
            self.seconds.append(now - self.last)
        self.last = time.perf_counter()
        return sum(self.seconds) >= self.least

    @property
    def median(self) -> float:
        """Seconds of a step."""
        return statistics.median(self.seconds)


def in_etude(
    build: Build,
    batches: Callable[[], Iterable[Any]],
    loss_of: LossOf,
    seed: int,
    *,
    optimizer: str = "adam",
    decay: float = 0.0,
    clip: float | None = None,
    compiled: bool = False,
) -> float:
    """Etude's loop, as in a script of a user's own: the run places the network, and logs
    the loss.
    """
    from etude.runs.run import Run
    from etude.training.optimizers import descent

    with (
        tempfile.TemporaryDirectory() as folder,
        Run("bench", seed=seed, root=folder, quiet=True, compiled=compiled) as run,
    ):
        net = run.place(build())
        rule = descent(optimizer, net, 1e-3, decay)
        steps = iter(run.steps(batches(), 10**6, state=(net, rule)))

        def step() -> None:
            loss = loss_of(net, next(steps))
            run.minimise(loss, rule, clip=clip)
            run.log(loss=loss)

        return median_seconds(step)


class _Enough(Exception):
    """The steps that count have been timed."""


def in_study(study: Study, stage: str | None, seed: int) -> float:
    """A study from its beginning, and the steps of that loop of it."""
    import etude

    laps = Laps()

    class Clocked(etude.Run):
        def steps(self, *words: Any, name: str | None = None, **options: Any) -> Iterator[Any]:
            for batch in super().steps(*words, name=name, **options):
                yield batch
                if name == stage and laps.enough():
                    raise _Enough

    with tempfile.TemporaryDirectory() as folder:
        try:
            with Clocked("bench", seed=seed, root=folder, quiet=True) as run:
                study(run)
        except _Enough:
            return laps.median
    raise ValueError(f"{type(study).__name__} ended before its loop {stage!r} had been timed")


def in_bare(
    build: Build,
    loader: Callable[[], Iterable[Any]],
    loss_of: LossOf,
    seed: int,
    *,
    rule: Callable[[Any], Any] | None = None,
    clip: float | None = None,
) -> float:
    """The loop of PyTorch's tutorials, with its Adam as it is unless another rule is given."""
    import torch

    torch.manual_seed(seed)
    net = build()
    optimizer = rule(net) if rule else torch.optim.Adam(net.parameters(), lr=1e-3)
    batches = _again(loader())

    def step() -> None:
        batch = next(batches)
        optimizer.zero_grad()
        loss = loss_of(net, batch)
        loss.backward()
        if clip is not None:
            torch.nn.utils.clip_grad_norm_(net.parameters(), clip)
        optimizer.step()

    return median_seconds(step)


def _again(loader: Iterable[Any]) -> Iterator[Any]:
    while True:
        yield from loader


def in_lightning(
    build: Build,
    loader: Callable[[], Iterable[Any]],
    loss_of: LossOf,
    seed: int,
    *,
    rule: Callable[[Any], Any] | None = None,
    clip: float | None = None,
) -> float:
    """Lightning's Trainer without logger, checkpoints and progress bar."""
    import lightning
    import torch

    laps = Laps()

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = build()

        def training_step(self, batch: Any, number: int) -> Any:
            return loss_of(self.net, batch)

        def configure_optimizers(self) -> Any:
            return rule(self.net) if rule else torch.optim.Adam(self.parameters(), lr=1e-3)

    class Clock(lightning.Callback):
        def on_train_batch_end(self, trainer: Any, *told: Any) -> None:
            trainer.should_stop = laps.enough()

    lightning.seed_everything(seed, verbose=False)
    with tempfile.TemporaryDirectory() as folder:
        trainer = lightning.Trainer(
            max_epochs=-1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            gradient_clip_val=clip,
            callbacks=[Clock()],
            default_root_dir=folder,
        )
        trainer.fit(Module(), loader())
    return laps.median


def in_keras(
    build: Callable[[Any], Any],
    data: Callable[[], tuple[Any, Any]],
    size: int,
    loss: Callable[[Any], Any],
    seed: int,
) -> float:
    """``compile`` and ``fit`` of Keras, over PyTorch."""
    os.environ["KERAS_BACKEND"] = "torch"
    import keras

    laps = Laps()

    class Clock(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.model.stop_training = laps.enough()

    keras.utils.set_random_seed(seed)
    net = build(keras)
    net.compile(optimizer=keras.optimizers.Adam(1e-3), loss=loss(keras))
    net.fit(*data(), batch_size=size, epochs=10**6, verbose=0, callbacks=[Clock()])
    return laps.median


def in_trainer(build: Build, rows: Callable[[], Any], size: int, seed: int) -> float:
    """The Trainer of transformers, on rows of tokens, (n, time); nothing is saved or reported."""
    import transformers

    laps = Laps()

    class Clock(transformers.TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **told: Any) -> None:
            control.should_training_stop = laps.enough()

    with tempfile.TemporaryDirectory() as folder:
        settings = transformers.TrainingArguments(
            folder,
            per_device_train_batch_size=size,
            max_steps=10**6,
            learning_rate=1e-3,
            weight_decay=0.1,
            seed=seed,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        transformers.set_seed(seed)
        data = [{"input_ids": row, "labels": row} for row in rows()]
        transformers.Trainer(build(), settings, train_dataset=data, callbacks=[Clock()]).train()
    return laps.median
