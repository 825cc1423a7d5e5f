"""Writing with and without a cache of keys and values, and a training step beside that of
transformers' GPT-2.

``python benchmarks/gpt.py [--repeat 5]`` prints medians, interleaved, with the threads that PyTorch
takes by itself (``OMP_NUM_THREADS=1`` for one). Both networks of a step have the same weights, so
the first losses printed are equal but for rounding. Where ``transformers`` isn't installed it is
left out.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from etude.networks.gpt import GPT
from etude.studies.language.gpt._sampling import sample
from etude.training.optimizers import descent


def writing(net: GPT, length: int, *, cached: bool) -> Callable[[], list[int]]:
    """From one token to a whole context, always the likeliest."""
    return lambda: list(sample(net, torch.tensor([0]), length - 1, temperature=0, cached=cached))


def step(net: nn.Module, scores: Callable[[Tensor], Tensor], rows: Tensor) -> Callable[[], float]:
    """Forward, backward, clip, AdamW."""
    optimizer = descent("adamw", net, 1e-3, 0.1)

    def once() -> float:
        loss = cross_entropy(scores(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        return loss.item()

    return once


def medians(calls: dict[str, Callable[[], object]], repeat: int) -> dict[str, float]:
    """Seconds of each, taken in turn."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeat):
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - began)
    return {name: statistics.median(times) for name, times in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=5)
    repeat = parser.parse_args().repeat
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, medians of {repeat}")

    for width, heads, layers in ((128, 4, 2), (192, 6, 4), (384, 6, 6)):
        torch.manual_seed(0)
        net = GPT(256, width, heads, layers, 256, positions="rotary").eval()
        calls = {name: writing(net, 256, cached=name == "cache") for name in ("cache", "no cache")}
        assert calls["cache"]() == calls["no cache"]()
        took = medians(calls, repeat)
        print(
            f"width {width}, {layers} layers: 256 tokens in {took['cache']:.2f} s with the cache, "
            f"{took['no cache']:.2f} s without: {took['no cache'] / took['cache']:.1f} ×"
        )

    torch.manual_seed(0)
    rows, mine = torch.randint(256, (8, 129)), GPT(256, 192, 6, 4, 128, approximate="tanh")
    steps = {"etude": step(mine, mine, rows)}
    if importlib.util.find_spec("transformers"):
        import transformers

        config = transformers.GPT2Config(
            vocab_size=256,
            n_positions=128,
            n_embd=192,
            n_layer=4,
            n_head=6,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            use_cache=False,
            bos_token_id=0,
            eos_token_id=0,
        )
        theirs = transformers.GPT2LMHeadModel(config)
        theirs.load_state_dict(mine.to_gpt2())
        steps["transformers"] = step(theirs, lambda tokens: theirs(tokens).logits, rows)
    losses = {name: call() for name, call in steps.items()}
    took = medians(dict(steps), 4 * repeat)
    for name, seconds in took.items():
        print(
            f"step on 8 × 128 tokens, {name:<12} {seconds * 1e3:7.1f} ms   first loss"
            f" {losses[name]:.6f}"
        )


if __name__ == "__main__":
    main()
