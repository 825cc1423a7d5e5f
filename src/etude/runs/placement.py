"""Where a network runs and how precisely: device, memory layout, arithmetic.

The defaults were measured (see docs/speed.md): on a CPU with bf16 instructions a convolutional
network gains 2 to 3 times from bf16 and channels-last, an LSTM 1.5 times, a transformer 1.2 to 1.7
times if its rows are wide enough, and everything else nothing to rely on.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from contextvars import ContextVar
from typing import Any, Literal

import torch
from torch import nn

from etude.errors import UserError

Precision = Literal["auto", "fp32", "bf16"]
CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)
RECURRENT = (nn.LSTM, nn.GRU)
# numbers in a transformer's row, from which on bf16 pays on a CPU: at 64 1.05 to 1.3 times, at 96
# 1.2 to 1.4
WIDE = 96


MPS_PROMISE = (
    "mps: a resumed run goes on from the same state and random numbers; that its numbers are equal"
    " bit for bit is promised on a CPU and on NVIDIA's GPUs alone"
)


def choose_device(wanted: str | None = None, local: int | None = None) -> torch.device:
    """The device asked for, else an NVIDIA GPU, else the CPU; of several processes on a machine,
    number ``local`` its own.

    An Apple GPU (``mps``) is only ever taken where it is asked for: its bits are not promised.

    Raises:
        UserError: the name is unknown to PyTorch, or this machine has no such device.
    """
    if wanted is None:
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    if wanted == "cuda" and local is not None:
        wanted = f"cuda:{local}"
    try:
        device = torch.device(wanted)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError):
        there = "cpu" + ", cuda" * torch.cuda.is_available()
        there += ", mps" * torch.backends.mps.is_available()
        raise UserError(f"no device '{wanted}' on this machine; there is {there}") from None
    return device


def keep_memory() -> None:
    """Have the C library keep freed memory for the next step, where it is glibc, instead of handing
    it back.

    What a step frees goes back to the system otherwise, and comes again in pages of 4 kB, each of
    them cleared: some 4,000 a step of a small CNN or GPT. Blocks above 32 MB, glibc's own limit,
    come and go as before.
    """
    trim, direct = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of malloc.h
    if sys.platform == "linux":
        with suppress(AttributeError, OSError):  # another C library
            libc = ctypes.CDLL(None)
            libc.mallopt(trim, 2**31 - 1)
            libc.mallopt(direct, 32 * 2**20)


def has_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bf16 matrices in hardware; without it bf16 is emulated and
    slow.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    capabilities = torch.backends.cpu.get_cpu_capability()
    probe = getattr(
        torch.cpu, "_is_avx512_bf16_supported", None
    )  # private, but the only way to ask
    amx = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return "AVX512" in capabilities and bool((probe and probe()) or (amx and amx()))


def choose_precision(
    net: nn.Module, device: torch.device, wanted: Precision
) -> tuple[torch.dtype, str]:
    """The arithmetic for ``net``, and the reason in a few words."""
    if wanted == "bf16":
        return torch.bfloat16, "as asked"
    if wanted == "fp32":
        return torch.float32, "as asked"
    if not has_bf16(device):
        return torch.float32, "no bf16 instructions here"
    kinds = {type(module) for module in net.modules()}
    if any(issubclass(kind, CONVOLUTIONS) for kind in kinds):
        return torch.bfloat16, "convolutions gain 2–3× from it"
    if any(issubclass(kind, RECURRENT) for kind in kinds):
        return torch.bfloat16, "recurrence gains 1.5× from it"
    if any(
        isinstance(module, nn.LayerNorm) and module.normalized_shape[-1] >= WIDE
        for module in net.modules()
    ):
        return torch.bfloat16, "wide transformers gain 1.2–1.7× from it"
    if device.type == "cuda" and sum(p.numel() for p in net.parameters()) > 1_000_000:
        return torch.bfloat16, "matrix products gain from it"
    return torch.float32, "nothing here gains from bf16"


_exact: ContextVar[bool] = ContextVar("exact", default=False)


@contextmanager
def in_fp32() -> Iterator[None]:
    """Inside, placed networks compute in fp32 whatever was chosen for them.

    For what takes a few rows at a time, such as writing token by token: before each call every
    weight is turned to bf16, which then costs more than the call.
    """
    before = _exact.set(True)
    try:
        yield
    finally:
        _exact.reset(before)


class _Mixed:
    """Hooks that run a network under autocast and give back fp32, wherever it is called from.

    Hooks rather than a wrapper: the network keeps its type, its attributes and the names of its
    parameters, and a deep copy of it (a moving average, say) is placed like the original.
    """

    def __init__(self, device: str, dtype: torch.dtype, channels_last: bool) -> None:
        self.device, self.dtype, self.channels_last = device, dtype, channels_last
        self.entered: list[AbstractContextManager[Any]] = []

    def before(self, module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        exact = self.dtype == torch.float32 or _exact.get()
        context = nullcontext() if exact else torch.autocast(self.device, self.dtype)
        context.__enter__()
        self.entered.append(context)
        if self.channels_last:
            args = tuple(
                a.contiguous(memory_format=torch.channels_last)
                if isinstance(a, torch.Tensor) and a.ndim == 4
                else a
                for a in args
            )
        return args

    def after(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        if self.entered:  # not where what stood before failed
            self.entered.pop().__exit__(None, None, None)
        return _fp32(output)


def _fp32(output: Any) -> Any:
    if isinstance(output, torch.Tensor):
        return output.float() if output.dtype == torch.bfloat16 else output
    if isinstance(output, tuple) and not hasattr(output, "_fields"):
        return tuple(_fp32(item) for item in output)
    if isinstance(output, list):
        return [_fp32(item) for item in output]
    if isinstance(output, dict):
        return {key: _fp32(item) for key, item in output.items()}
    return output


def place(net: nn.Module, device: torch.device, wanted: Precision, compiled: bool) -> str:
    """Move ``net`` to its device, layout and precision, in place; returns what was chosen, in
    words.
    """
    net.to(device)
    dtype, reason = choose_precision(net, device, wanted)
    convolutional = any(isinstance(module, CONVOLUTIONS) for module in net.modules())
    if convolutional:
        net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if convolutional or dtype != torch.float32:
        mixed = _Mixed(device.type, dtype, convolutional)
        before, after = mixed.before, mixed.after
        if compiled:  # what is between them is compiled, and not they
            before, after = map(torch.compiler.disable, (before, after))
        net.register_forward_pre_hook(before)
        net.register_forward_hook(after, always_call=True)
    if compiled:
        net.compile()
    words = [f"{sum(p.numel() for p in net.parameters() if p.requires_grad):,} parameters"]
    words.append(f"{'bf16' if dtype == torch.bfloat16 else 'fp32'} ({reason})")
    if convolutional:
        words.append("channels-last")
    if compiled:
        words.append("compiled")
    return " · ".join(words)
