"""Language models: GPT-2 of transformers and nanoGPT's recipe beside the study ``gpt`` and its
network.
"""

from __future__ import annotations

import time
from typing import Any

from benchmarks.beside.loops import in_bare, in_etude, in_trainer
from benchmarks.beside.studies import study
from benchmarks.beside.work import Contender, Measured, Work, median_seconds

VOCABULARY, CONTEXT, ROWS = 256, 128, 16
WRITTEN = 256  # tokens
GOAL = 1.909  # nats a character
FIELDS = (
    "--steps 480 --learning-rate 1e-2 --warmup 60".split()
)  # of the study, to get there soonest


def _rows(length: int) -> Any:
    import torch

    return torch.randint(VOCABULARY, (1_500, length))


def _rate(seconds: float) -> Measured:
    return Measured(ROWS * CONTEXT / seconds)


# -- training --------------------------------------------------------------------------------------


def _etude_training(compiled: bool) -> Contender:
    def run(seed: int) -> Measured:
        from benchmarks.beside.networks import next_token_loss

        from etude.networks.gpt import GPT
        from etude.training.batches import Windows

        return _rate(
            in_etude(
                lambda: GPT(VOCABULARY, 128, 4, 4, CONTEXT),
                lambda: Windows(_rows(100).flatten(), CONTEXT + 1, ROWS),
                next_token_loss,
                seed,
                optimizer="adamw",
                decay=0.1,
                clip=1.0,
                compiled=compiled,
            )
        )

    return run


def trainer_training(seed: int) -> Measured:
    from benchmarks.beside.networks import gpt2

    return _rate(in_trainer(lambda: gpt2(VOCABULARY, CONTEXT), lambda: _rows(CONTEXT), ROWS, seed))


def bare_training(seed: int) -> Measured:
    """The loop of transformers' guide to training in plain PyTorch; the norm is clipped at 1 for
    all three.
    """
    import torch
    from benchmarks.beside.networks import gpt2
    from torch.utils.data import DataLoader

    return _rate(
        in_bare(
            lambda: gpt2(VOCABULARY, CONTEXT),
            lambda: DataLoader(_rows(CONTEXT), batch_size=ROWS, shuffle=True),  # type: ignore[arg-type]
            lambda net, rows: net(input_ids=rows, labels=rows).loss,
            seed,
            rule=lambda net: torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0.1),
            clip=1.0,
        )
    )


# -- writing ---------------------------------------------------------------------------------------


def _pair(seed: int) -> tuple[Any, Any]:
    """Etude's GPT, and GPT-2 of transformers with the same weights."""
    import torch
    from benchmarks.beside.networks import gpt2

    from etude.networks.gpt import GPT

    torch.manual_seed(seed)
    mine = GPT(VOCABULARY, 128, 4, 4, WRITTEN + 1, approximate="tanh").eval()
    theirs = gpt2(VOCABULARY, WRITTEN + 1).eval()
    theirs.load_state_dict(mine.to_gpt2())
    return mine, theirs


def _etude_writing(cached: bool) -> Contender:
    def run(seed: int) -> Measured:
        import torch

        from etude.studies.language.gpt._sampling import sample

        net, _ = _pair(seed)
        start = torch.tensor([0])
        seconds = median_seconds(
            lambda: list(sample(net, start, WRITTEN, cached=cached)), warm=1, least=4.0
        )
        return Measured(WRITTEN / seconds)

    return run


def _transformers_writing(cached: bool) -> Contender:
    def run(seed: int) -> Measured:
        import torch

        _, net = _pair(seed)
        start = torch.tensor([[0]])
        told = {"max_new_tokens": WRITTEN, "min_new_tokens": WRITTEN, "do_sample": True, "top_k": 0}

        def write() -> torch.Tensor:
            return net.generate(start, use_cache=cached, pad_token_id=0, eos_token_id=None, **told)

        if (made := write().shape[1] - 1) != WRITTEN:
            raise ValueError(f"{made} tokens were written; expected {WRITTEN}")
        return Measured(WRITTEN / median_seconds(write, warm=1, least=4.0))

    return run


# -- Shakespeare -----------------------------------------------------------------------------------


def _plays() -> tuple[Any, Any, int]:
    """Nine tenths and the last tenth of the text as numbers of its characters, and how many of
    these there are.
    """
    from benchmarks.beside.pictures import folder

    folder("tiny-shakespeare")
    import torch

    from etude import data

    corpus = data.tiny_shakespeare()
    letters = sorted(set(corpus.train + corpus.test))
    number = {letter: k for k, letter in enumerate(letters)}
    train, test = (
        torch.tensor([number[letter] for letter in part]) for part in (corpus.train, corpus.test)
    )
    return train, test, len(letters)


def etude_shakespeare(seed: int) -> Measured:
    """The whole command: training, test, figures and report."""
    said, seconds = study("gpt", "--dataset", "shakespeare", *FIELDS, seed=seed)
    return Measured(seconds, {"nats a character": said["metrics"]["test/nats"]})


def nanogpt_shakespeare(seed: int) -> Measured:
    """nanoGPT's ``train.py`` with the settings that its README gives for a CPU, until its own
    estimate is the goal.

    The clock stands still once training is over: it is judged on the whole of the last tenth, as
    Etude's is.
    """
    began = time.perf_counter()
    import math

    import torch
    from benchmarks.beside.networks import NanoGPT, next_token_loss

    block, rows, steps, warm, rate, least, every, tries = 64, 12, 2_000, 100, 1e-3, 1e-4, 250, 20
    torch.manual_seed(1337 + seed)
    train, held, vocabulary = _plays()
    net = NanoGPT(vocabulary, block)
    optimizer = net.optimizer(rate, beta2=0.99)

    def batch(text: Any) -> Any:
        begin = torch.randint(len(text) - block, (rows,))
        return torch.stack([text[i : i + block + 1] for i in begin])

    @torch.no_grad()
    def estimate() -> float:
        net.eval()
        for part in (train, held):
            found = sum(next_token_loss(net, batch(part)).item() for _ in range(tries)) / tries
        net.train()
        return found

    for step in range(steps + 1):
        along = (step - warm) / (steps - warm)
        now = (
            rate * (step + 1) / (warm + 1)
            if step < warm
            else least + (1 + math.cos(math.pi * along)) / 2 * (rate - least)
        )
        for group in optimizer.param_groups:
            group["lr"] = now
        if step % every == 0 and estimate() <= GOAL:
            break
        loss = next_token_loss(net, batch(train))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        loss.item()  # it is printed at every step
    seconds = time.perf_counter() - began

    from etude.studies.language.gpt._surprise import one_per_token, surprises

    nats = one_per_token(surprises(net, held, block, block // 2), block // 2).mean()
    return Measured(seconds, {"nats a character": float(nats), "steps": float(step)})


WORKS = [
    Work(
        "train-gpt2",
        "training GPT-2, 4 layers of 4 heads, width 128, 16 × 128 tokens",
        "tokens/s",
        "≥ 1.6 ×",
        {
            "etude": _etude_training(False),
            "etude, compiled": _etude_training(True),
            "transformers, Trainer": trainer_training,
            "transformers, bare loop": bare_training,
        },
        note=(
            "One architecture, each with initial weights of its own; no dropout, gradients clipped"
            " at norm 1. transformers computes GPT-2's GELU by tanh, Etude the exact one, as"
            " nanoGPT does."
        ),
    ),
    Work(
        "write-gpt2",
        "writing 256 tokens with a GPT-2, 4 layers, width 128",
        "tokens/s",
        "≥ 4 ×",
        {
            "etude": _etude_writing(True),
            "transformers, generate": _transformers_writing(True),
            "etude, no cache": _etude_writing(False),
            "transformers, generate, no cache": _transformers_writing(False),
        },
        note="One text, of one token at first, drawn at temperature 1; both have the same weights.",
    ),
    Work(
        "shakespeare",
        "tiny Shakespeare to 1.909 nats a character",
        "s",
        "≥ 3 ×",
        {"etude": etude_shakespeare, "nanoGPT's recipe": nanogpt_shakespeare},
        repeat=3,
        note=(
            "Nats a character over all of the last tenth of the text, every character once, with"
            " at least half a context before it. Etude's time is that of the whole command,"
            " figures and report too; nanoGPT's from its first import until its own estimate of"
            " the loss, taken every 250 steps on 20 random batches, is the goal, or its 2,000"
            " steps are done; what judges it then is not counted. Etude reads bytes, which are"
            f" characters here. Its fields (`{' '.join(FIELDS)}`) were chosen by runs on seeds 0"
            " and 1 that were judged on this same last tenth, and nanoGPT's estimate is of it,"
            " too: this says how soon, not how well on text unseen."
        ),
    ),
]
