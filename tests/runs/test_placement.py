from __future__ import annotations

import copy
import os
import subprocess
import sys

import pytest
import torch
from torch import nn

from etude.errors import UserError
from etude.runs.placement import (
    Precision,
    choose_device,
    choose_precision,
    has_bf16,
    in_fp32,
    place,
)

CPU = torch.device("cpu")


def convolutional() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 4)
    )


def test_the_choice_follows_the_network_and_can_be_overridden() -> None:
    bf16 = torch.bfloat16 if has_bf16(CPU) else torch.float32
    assert choose_precision(convolutional(), CPU, "auto")[0] == bf16
    assert choose_precision(nn.LSTM(2, 2), CPU, "auto")[0] == bf16
    assert choose_precision(nn.Linear(2, 2), CPU, "auto")[0] == torch.float32
    wide, narrow = (nn.TransformerEncoderLayer(width, 4) for width in (128, 64))
    assert choose_precision(wide, CPU, "auto")[0] == bf16
    assert choose_precision(narrow, CPU, "auto")[0] == torch.float32
    assert choose_precision(convolutional(), CPU, "fp32")[0] == torch.float32
    assert choose_precision(nn.Linear(2, 2), CPU, "bf16")[0] == torch.bfloat16


def test_bf16_computes_roughly_and_gives_back_fp32() -> None:
    x = torch.randn(5, 3, 8, 8)
    exact = convolutional()(x)
    net = convolutional()
    assert "bf16" in place(net, CPU, "bf16", False)
    out = net(x)
    assert out.dtype == torch.float32
    assert not torch.equal(out, exact)
    assert torch.allclose(out, exact, atol=0.1)
    assert not torch.is_autocast_enabled("cpu")
    assert net[0].weight.dtype == torch.float32
    assert net[0].weight.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_compiled_it_computes_the_same_and_learns(
    precision: Precision, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the part of the compiler that takes a network apart; what makes C++ of it needs a compiler
    and seconds.
    """
    compile = nn.Module.compile
    monkeypatch.setattr(nn.Module, "compile", lambda net: compile(net, backend="eager"))
    x, plain, compiled = torch.randn(5, 3, 8, 8), convolutional(), convolutional()
    place(plain, CPU, precision, False)
    assert "compiled" in place(compiled, CPU, precision, True)
    for net in (plain, compiled):
        out = net(x)
        assert out.dtype == torch.float32
        out.square().sum().backward()
    assert torch.allclose(plain(x), compiled(x), atol=1e-6)
    pairs = zip(plain.parameters(), compiled.parameters(), strict=True)
    assert all(torch.allclose(p.grad, q.grad, atol=1e-3, rtol=1e-2) for p, q in pairs)
    assert not torch.is_autocast_enabled("cpu")


def test_fp32_in_another_layout_is_the_same() -> None:
    x = torch.randn(5, 3, 8, 8)
    net = convolutional()
    place(net, CPU, "fp32", False)
    assert torch.allclose(net(x), convolutional()(x), atol=1e-5)


def test_few_rows_can_be_computed_in_fp32_all_the_same() -> None:
    torch.manual_seed(0)
    net, x = nn.Linear(30, 20), torch.randn(2, 30)
    exact = net(x)
    place(net, torch.device("cpu"), "bf16", False)
    rounded = net(x)
    with in_fp32():
        inside = net(x)
        with in_fp32():
            net(x)
        assert torch.equal(net(x), inside)
    torch.testing.assert_close(inside, exact)
    assert not torch.equal(rounded, inside)
    assert torch.equal(net(x), rounded), "and outside as before"


def test_a_copy_is_placed_like_the_original_and_apart_from_it() -> None:
    net = convolutional()
    place(net, CPU, "bf16", False)
    twin = copy.deepcopy(net)
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(twin(x), net(x))
    with torch.no_grad():
        twin[0].weight.zero_()
    assert not torch.equal(twin(x), net(x))


def test_an_error_inside_leaves_no_autocast_behind() -> None:
    net = convolutional()
    place(net, CPU, "bf16", False)
    with pytest.raises(RuntimeError):
        net(torch.randn(2, 5, 8, 8))
    assert not torch.is_autocast_enabled("cpu")


@pytest.mark.skipif(
    not sys.platform.startswith("linux") or "CS_GNU_LIBC_VERSION" not in os.confstr_names,
    reason="glibc's",
)
def test_freed_memory_is_kept_for_the_next_step() -> None:
    """A process of its own, for what is said to the C library cannot be taken back."""
    program = """
import ctypes, resource, torch
from etude.runs.placement import keep_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        held = [torch.ones(2**20) for _ in range(20)]  # 80 MB in blocks of 4
        del held
    return (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / 20

# glibc's first threshold; it may have been raised by what was freed before
ctypes.CDLL(None).mallopt(-3, 2**17)
plain = faults()
keep_memory()
faults()
print(plain, faults())
"""
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    plain, kept = map(float, said.split())
    assert plain > 10_000
    assert kept < 100


def test_an_apple_gpu_is_never_chosen_silently(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device() == torch.device("cpu")
    with pytest.raises(UserError, match="no device 'abacus' on this machine; there is cpu, mps"):
        choose_device("abacus")


def test_an_apple_gpu_is_taken_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[torch.device] = []
    monkeypatch.setattr(torch, "empty", lambda *_, device: taken.append(device))
    assert choose_device("mps") == torch.device("mps")
    assert taken == [torch.device("mps")]


def test_the_generator_of_an_apple_gpu_is_saved_and_put_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A stub of the generator, for there is no such machine here."""
    from etude.runs.random_state import random_state, restore_random_state

    assert random_state()["mps"] == [] or torch.backends.mps.is_available()
    state = torch.tensor([3], dtype=torch.uint8)
    restored: list[torch.Tensor] = []
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.mps, "get_rng_state", lambda: state)
    monkeypatch.setattr(torch.mps, "set_rng_state", restored.append)
    saved = random_state()
    restore_random_state(saved)
    assert restored == [state]
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    restore_random_state(saved)
    assert restored == [state], "a checkpoint of an Apple GPU is also read where there is none"
    del saved["mps"]
    restore_random_state(saved)  # one from before they were known
