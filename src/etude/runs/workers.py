"""Several processes that carry out one run together, on PyTorch's process groups.

Each of them executes the study from its first line, with the same seed: the same data, the same
first weights, the same order of batches. Of each batch every process takes its own rows, and the
gradients are averaged (``ddp``), or the weights, gradients and optimisers' states themselves lie in
shards (``fsdp``: PyTorch's ``fully_shard``). So the global batch is what the study's field says,
whatever the number of processes, and the numbers are those of one process but for the order in
which sums are taken.

The processes are those of ``etude run --devices N``, of ``torchrun`` or of SLURM's ``srun``; their
environment says who each one is.
"""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Literal, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed import PrefixStore, Store, rendezvous  # type: ignore[attr-defined]  # public, but not listed

from etude.errors import UserError

Strategy = Literal["ddp", "fsdp"]
T = TypeVar("T")
BUCKET_BYTES = (
    25 * 2**20
)  # gradients go in messages of about this size: large enough for bandwidth, small in memory
PATIENCE = timedelta(minutes=10)  # for the slowest process, before the others give up


@dataclass
class Workers:
    """Who this process is among those of its run.

    Args:
        rank: its number, from 0; the first one writes the run folder.
        size: how many there are.
        local: its number on its machine: that of its GPU.
        strategy: ``ddp`` (each holds the whole network) or ``fsdp`` (each holds a shard of it).
    """

    rank: int = 0
    size: int = 1
    local: int = 0
    strategy: Strategy = "ddp"
    sent: int = 0  # bytes of gradients given to be averaged so far

    @classmethod
    def here(cls, strategy: Strategy = "ddp") -> Workers:
        """Who the environment says that this process is: ``torchrun``'s variables, then SLURM's.

        Raises:
            UserError: the variables contradict one another.
        """
        env = os.environ
        try:
            if "WORLD_SIZE" in env and "RANK" in env:
                rank, size, local = (
                    int(env["RANK"]),
                    int(env["WORLD_SIZE"]),
                    int(env.get("LOCAL_RANK", env["RANK"])),
                )
            elif (
                int(env.get("SLURM_STEP_NUM_TASKS", "1")) > 1
            ):  # set by srun only: a batch script itself is no worker
                rank, size = int(env["SLURM_PROCID"]), int(env["SLURM_STEP_NUM_TASKS"])
                local = int(env.get("SLURM_LOCALID", "0"))
                env.setdefault(
                    "MASTER_ADDR", first_host(env.get("SLURM_STEP_NODELIST", "localhost"))
                )
                env.setdefault(
                    "MASTER_PORT", str(20_000 + int(env.get("SLURM_JOB_ID", "0")) % 20_000)
                )
            else:
                return cls(strategy=strategy)
        except (KeyError, ValueError) as error:
            raise UserError(
                f"the environment does not say which process this is: {error}; start with torchrun"
            ) from error
        if not 0 <= rank < size:
            raise UserError(
                f"the environment says that this is process {rank} of {size}; expected one from 0"
                f" to {size - 1}"
            )
        return cls(rank, size, local, strategy)

    @property
    def first(self) -> bool:
        """Whether this process writes and speaks for all."""
        return self.rank == 0

    @property
    def many(self) -> bool:
        """Whether there are others."""
        return self.size > 1

    def join(self, device: torch.device) -> None:
        """Meet the others.

        Raises:
            UserError: they did not come, or can't be reached.
        """
        if not self.many or dist.is_initialized():
            return
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        try:
            store, _, _ = next(iter(rendezvous("env://", self.rank, self.size, timeout=PATIENCE)))
            store.set_timeout(PATIENCE)
            corner = self._meet(store)
            dist.init_process_group(
                backend, store=corner, rank=self.rank, world_size=self.size, timeout=PATIENCE
            )
        except (RuntimeError, ValueError) as error:
            where = f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}"
            raise UserError(
                f"process {self.rank} of {self.size} did not meet the others at {where}:"
                f" {str(error).splitlines()[0]}"
            ) from error

    def _meet(self, store: Store) -> Store:
        """A corner of the store for this start alone.

        The store of torchrun outlives a restart, and in it the addresses of processes that are dead
        (PyTorch's issue 135712); the number of the restart is not the same on all machines. So the
        first process gives the corner a name, tells it to whoever says hello, and waits for those
        that answer in that name.
        """
        me = secrets.token_hex(8)
        store.set(f"hello/{self.rank}", me)
        if not self.first:
            name = store.get(f"welcome/{me}").decode()
            store.set(f"{name}/{self.rank}", "here")
            return PrefixStore(name, store)
        missing, until = set(range(1, self.size)), time.monotonic() + PATIENCE.total_seconds()
        while missing:
            for other in sorted(missing):
                if store.check(
                    [f"hello/{other}"]
                ):  # perhaps that of a dead one, which nobody reads
                    store.set(f"welcome/{store.get(f'hello/{other}').decode()}", me)
                if store.check([f"{me}/{other}"]):
                    missing.discard(other)
            if time.monotonic() > until:
                raise RuntimeError(f"no word from {sorted(missing)}")
            time.sleep(0.02)
        return PrefixStore(me, store)

    def leave(self) -> None:
        """The run is over for this process."""
        if self.many and dist.is_initialized():
            dist.destroy_process_group()

    # -- data --------------------------------------------------------------------------------------

    def share(self, batch: T) -> tuple[T, float] | None:
        """The rows of a batch for this process, and their mean's weight; None where the batch has
        no rows.

        The rows are cut into ``size`` stretches as equal as can be. The mean over all rows is the
        mean over processes of ``weight`` times the mean over each one's rows. Where there are fewer
        rows than processes, some repeat a row, with weight 0.
        """
        rows = count_rows(batch)
        if not rows:
            return None
        mine = torch.arange(rows).tensor_split(self.size)[self.rank]
        weight = len(mine) * self.size / rows
        return cast(T, take_rows(batch, mine if len(mine) else torch.arange(1))), weight

    # -- networks ----------------------------------------------------------------------------------

    def spread(self, net: nn.Module, dtype: torch.dtype = torch.float32) -> None:
        """Make a network that is on its device one of all processes, in place: alike everywhere, or
        in shards.
        """
        if not self.many:
            return
        with torch.no_grad():
            for tensor in [
                *net.parameters(),
                *net.buffers(),
            ]:  # alike, also where machines round differently
                whole = tensor.data.contiguous()
                dist.broadcast(whole, 0)
                tensor.data.copy_(whole)
        synchronise_batch_norm(net)
        if self.strategy == "fsdp":
            shard(net, dtype)

    def average(self, parameters: Sequence[Tensor]) -> None:
        """The mean over all processes of each parameter's gradient, in place; shards are averaged
        already.
        """
        if not self.many:
            return
        gradients = [p.grad for p in parameters if p.grad is not None and not is_sharded(p.grad)]
        for bucket in _buckets(gradients):
            flat = torch.cat([gradient.reshape(-1) for gradient in bucket])
            dist.all_reduce(flat)
            flat /= self.size
            self.sent += flat.nbytes
            pieces = torch.split(flat, [gradient.numel() for gradient in bucket])
            torch._foreach_copy_(
                bucket, [piece.view_as(g) for piece, g in zip(pieces, bucket, strict=True)]
            )

    # -- words -------------------------------------------------------------------------------------

    def mean(self, values: Mapping[str, float]) -> dict[str, float]:
        """The mean of each number over all processes, which give the same names."""
        if not self.many or not values:
            return dict(values)
        numbers = torch.tensor(list(values.values()), dtype=torch.float64)
        dist.all_reduce(numbers)
        return dict(zip(values, (numbers / self.size).tolist(), strict=True))

    def highest(self, *values: float) -> list[float]:
        """The highest of each number over all processes."""
        numbers = torch.tensor(values, dtype=torch.float64)
        if self.many:
            dist.all_reduce(numbers, dist.ReduceOp.MAX)
        return cast("list[float]", numbers.tolist())

    def gather(self, numbers: Sequence[float]) -> list[list[float]]:
        """The numbers of every process, by its rank; all give as many."""
        if not self.many or not numbers:
            return [list(numbers)] * self.size
        own = torch.tensor(numbers, dtype=torch.float64)
        each = [torch.empty_like(own) for _ in range(self.size)]
        dist.all_gather(each, own)
        return [one.tolist() for one in each]

    def tell(self, word: str) -> str:
        """What the first process says, to all."""
        words: list[Any] = [word]
        if self.many:
            dist.broadcast_object_list(words, src=0)
        return str(words[0])

    def wait(self) -> None:
        """Until all are here."""
        if self.many:
            dist.barrier()

    def check_alike(self, nets: Sequence[nn.Module], study: str) -> None:
        """Raise a UserError where replicas have gone apart: some step was not taken by
        ``run.minimise``.
        """
        if not self.many or self.strategy != "ddp":
            return
        sums = [float(p.detach().double().sum()) for net in nets for p in net.parameters()]
        highest, lowest = self.highest(*sums), [-v for v in self.highest(*(-s for s in sums))]
        if any(high != low and high == high for high, low in zip(highest, lowest, strict=True)):
            raise UserError(
                f"the processes of {study} hold different weights: it takes steps of its own;"
                " expected run.minimise, or run.average(parameters) before optimizer.step(), or one"
                " device"
            )


def first_host(nodes: str) -> str:
    """The first machine of SLURM's short list: ``gpu[03-05,7],login`` begins with ``gpu03``."""
    match = re.match(r"([^\[,]+)(?:\[([^\],-]+))?", nodes)
    return "".join(filter(None, match.groups())) if match else nodes


def launch_name() -> str:
    """What all starts of one launch have in common, also after ``torchrun --max-restarts`` or
    SLURM's requeue.
    """
    env = os.environ
    if "TORCHELASTIC_RUN_ID" in env:
        return f"torchrun {env['TORCHELASTIC_RUN_ID']} {os.getppid()}"
    if "SLURM_JOB_ID" in env:
        return f"slurm {env['SLURM_JOB_ID']} {env.get('SLURM_STEP_ID', '')}"
    return env.get("ETUDE_LAUNCH", "")


def restarted() -> bool:
    """Whether the launcher has started this process again, after a fault."""
    return any(
        os.environ.get(name, "0") != "0"
        for name in ("TORCHELASTIC_RESTART_COUNT", "SLURM_RESTART_COUNT")
    )


def lost(error: BaseException) -> bool:
    """Whether an error says that another process is gone, rather than that something is
    wrong here.
    """
    return isinstance(error, dist.DistError) or (
        isinstance(error, RuntimeError) and "gloo" in str(error).lower()
    )


# -- rows ------------------------------------------------------------------------------------------


def count_rows(batch: Any) -> int | None:
    """How many rows a batch has: a tensor, ragged rows, or a tuple or list of such, all alike; None
    for all else.
    """
    if isinstance(batch, tuple | list):
        counts = {count_rows(part) for part in batch}
        return counts.pop() if len(counts) == 1 else None
    if isinstance(batch, Tensor):
        return len(batch) if batch.ndim else None
    return (
        len(batch)
        if all(hasattr(batch, name) for name in ("__len__", "__getitem__", "to"))
        else None
    )


def take_rows(batch: Any, rows: Tensor) -> Any:
    """Some consecutive rows of a batch."""
    if isinstance(batch, tuple | list):
        parts = [take_rows(part, rows) for part in batch]
        return type(batch)(*parts) if hasattr(batch, "_fields") else type(batch)(parts)
    return batch[int(rows[0]) : int(rows[-1]) + 1] if isinstance(batch, Tensor) else batch[rows]


def _buckets(gradients: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Gradients of one type and device together, up to a message's size."""
    kinds: dict[tuple[torch.dtype, torch.device], list[Tensor]] = {}
    for gradient in gradients:
        bucket = kinds.setdefault((gradient.dtype, gradient.device), [])
        bucket.append(gradient)
        if sum(g.nbytes for g in bucket) >= BUCKET_BYTES:
            yield kinds.pop((gradient.dtype, gradient.device))
    yield from kinds.values()


# -- networks that all processes hold together -----------------------------------------------------


def shard(net: nn.Module, dtype: torch.dtype = torch.float32) -> None:
    """Cut a network's parameters into shards, one for each process: each block of a list by itself,
    then the rest.

    Zhao et al. (2023), PyTorch FSDP; ``fully_shard`` is its second form. Methods other than
    ``forward`` are given the whole parameters, too.
    """
    from torch.distributed.fsdp import (
        MixedPrecisionPolicy,
        fully_shard,
        register_fsdp_forward_method,
    )

    policy = MixedPrecisionPolicy()
    if dtype != torch.float32:
        policy = MixedPrecisionPolicy(
            param_dtype=dtype, reduce_dtype=torch.float32, cast_forward_inputs=False
        )
    for parameter in net.parameters():
        parameter.data = parameter.data.contiguous()  # a stretch of memory is what can be cut
    blocks = [block for part in net.modules() if isinstance(part, nn.ModuleList) for block in part]
    for block in blocks:
        if any(True for _ in block.parameters()):
            fully_shard(block, mp_policy=policy)
    fully_shard(net, mp_policy=policy)
    for kind in type(net).__mro__:
        if kind.__module__.startswith("torch."):
            break
        for name, method in vars(kind).items():
            if callable(method) and not name.startswith("_") and name != "forward":
                register_fsdp_forward_method(net, name)


def is_sharded(value: Any) -> bool:
    """Whether a tensor lies in shards."""
    return hasattr(value, "full_tensor")


def whole(state: Mapping[str, Any]) -> dict[str, Any]:
    """A state with every shard put together; all processes must call it."""
    return {
        key: value.full_tensor() if is_sharded(value) else value for key, value in state.items()
    }


class _SumOver(torch.autograd.Function):
    """A sum over processes; the gradient of a sum is a sum."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        x = x.clone()
        dist.all_reduce(x)
        return x

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        gradient = gradients[0].clone()
        dist.all_reduce(gradient)
        return gradient


def synchronise_batch_norm(net: nn.Module) -> None:
    """Let every batch norm take its mean and variance over the whole batch, not over one process's
    rows.

    torch.nn.SyncBatchNorm does this on GPUs only; here it is a sum of three numbers a channel, on
    any device.
    """
    for module in net.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
            setattr(module, "forward", partial(_whole_batch_norm, module))  # noqa: B010


def _whole_batch_norm(norm: nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d, x: Tensor) -> Tensor:
    if not norm.training:
        return nn.functional.batch_norm(
            x, norm.running_mean, norm.running_var, norm.weight, norm.bias, False, 0.0, norm.eps
        )
    axes = [axis for axis in range(x.ndim) if axis != 1]
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    sums = torch.cat([wide.sum(axes), wide.new_tensor([x.numel() / x.shape[1]])])
    total = _SumOver.apply(sums)  # type: ignore[no-untyped-call]
    n = total[-1].detach()
    shape = [1, -1, *[1] * (x.ndim - 2)]
    mean = total[:-1] / n
    centred = wide - mean.view(shape)
    variance = _SumOver.apply(centred.square().sum(axes)) / n  # type: ignore[no-untyped-call]
    if norm.track_running_stats and norm.running_mean is not None and norm.running_var is not None:
        with torch.no_grad():
            if norm.num_batches_tracked is not None:
                norm.num_batches_tracked.add_(1)
            m = (
                norm.momentum
                if norm.momentum is not None
                else 1 / float(norm.num_batches_tracked or 1)
            )
            norm.running_mean.lerp_(mean.to(norm.running_mean.dtype), m)
            norm.running_var.lerp_((variance * n / (n - 1)).to(norm.running_var.dtype), m)
    y = centred * (variance + norm.eps).rsqrt().view(shape)
    if norm.affine:
        y = y * norm.weight.to(y.dtype).view(shape) + norm.bias.to(y.dtype).view(shape)
    return cast(Tensor, y.to(x.dtype))
