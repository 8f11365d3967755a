"""One rank of a process group: what the checks of group `distributed` run in several processes at once."""

from __future__ import annotations

import copy
import datetime as dt
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from .parts import write_result

_SIZES = (4, 64 << 10, 4 << 20, 256 << 20)
_CPU_SIZES = (4, 64 << 10)
_TIMED = 10
_STEPS, _BATCH, _WIDTH = 3, 8, 64


def rank(arguments: Mapping[str, Any]) -> Any:
    """Join the group, run the program, and give what it found.

    Arguments: ``program``, ``backend``, ``timeout`` (s) and, unless torchrun sets them, ``rank``, ``world``, ``store``
    (a file); ``results``, a prefix of files, where several ranks share one command line; ``fault``.
    """
    import torch
    import torch.distributed as dist

    _misbehave(str(arguments.get("fault", "")), _number(arguments, "rank"))
    backend = arguments["backend"]
    device = "cpu"
    if backend == "nccl":
        device = f"cuda:{int(os.environ.get('LOCAL_RANK', _number(arguments, 'rank')))}"
        torch.cuda.set_device(device)
    where: dict[str, Any] = {}
    if "store" in arguments:
        where = {
            "init_method": f"file://{arguments['store']}",
            "rank": arguments["rank"],
            "world_size": arguments["world"],
        }
    dist.init_process_group(backend, timeout=dt.timedelta(seconds=arguments["timeout"]), **where)
    found = _PROGRAMS[arguments["program"]](torch, dist, device, arguments)
    dist.barrier()  # none leaves while another still waits for it
    if device != "cpu":
        torch.cuda.synchronize()
    if "results" in arguments:
        write_result(f"{arguments['results']}.{os.environ['RANK']}", found)
    return found


def _number(arguments: Mapping[str, Any], name: str) -> int:
    return int(arguments.get(name, os.environ.get(name.upper(), "0")))


def _misbehave(fault: str, number: int) -> None:
    if number != 1:
        return
    if fault == "stopped":
        os.kill(os.getpid(), signal.SIGSTOP)
    if fault == "failing":
        print("injected: this rank fails")
        sys.exit(3)


def _collectives(torch: Any, dist: Any, device: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Integers through every collective, and the bus bandwidth of the largest size in GB/s.

    Bus bandwidth is bytes ÷ time × a factor, as nccl-tests define it: see `_bus_factor`.
    """
    number, world = dist.get_rank(), dist.get_world_size()
    wrong: dict[str, int] = {}
    bus: dict[str, float] = {}
    sizes = _CPU_SIZES if device == "cpu" else _SIZES
    for size in sizes:
        for name in ("all_reduce", "broadcast", "all_gather", *(() if device == "cpu" else ("reduce_scatter",))):
            own = number + 1 + int(arguments.get("fault") == "wrong_sum" and number == 1)
            call, found, expected = _collective(torch, dist, name, size // 4, own, device)
            call()
            count = int((found != expected).sum())
            wrong[name] = wrong.get(name, 0) + count
            if size == sizes[-1] and device != "cpu" and world > 1:
                bus[name] = size * _bus_factor(name, world) / _seconds(torch, call) / 1e9
    return {"world": world, "wrong": wrong, "bus": bus}


def _bus_factor(name: str, world: int) -> float:
    """What each link carries for a byte of the result (github.com/NVIDIA/nccl-tests/blob/master/doc/PERFORMANCE.md)."""
    if name == "broadcast":
        return 1.0
    return (2 if name == "all_reduce" else 1) * (world - 1) / world


def _collective(torch: Any, dist: Any, name: str, count: int, value: int, device: str) -> tuple[Any, Any, Any]:
    """A collective over `count` 32-bit integers in all, where its result arrives, and what that must be.

    `value` is what this rank contributes: its number and 1. The call does nothing but the collective: it is timed.
    """
    number, world = dist.get_rank(), dist.get_world_size()
    part, total = -(-count // world), world * (world + 1) // 2

    def full(item: int, length: int = count) -> Any:
        return torch.full((length,), item, dtype=torch.int32, device=device)

    if name == "all_reduce":
        buffer = full(value)
        return lambda: dist.all_reduce(buffer), buffer, total
    if name == "broadcast":
        buffer = full(value)
        return lambda: dist.broadcast(buffer, 0), buffer, 1
    if name == "all_gather":
        pieces, own = full(-1, part * world), full(value, part)
        expected = torch.cat([full(other + 1, part) for other in range(world)])
        if device == "cpu":  # gloo gathers into a list
            return lambda: dist.all_gather(list(pieces.chunk(world)), own), pieces, expected
        return lambda: dist.all_gather_into_tensor(pieces, own), pieces, expected
    pieces, own = torch.cat([full(value + other, part) for other in range(world)]), full(-1, part)
    return lambda: dist.reduce_scatter_tensor(own, pieces), own, total + world * number


def _seconds(torch: Any, call: Any) -> float:
    """Of one call, on average."""
    for _ in range(2):
        call()
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    for _ in range(_TIMED):
        call()
    end.record()
    end.synchronize()
    return float(begin.elapsed_time(end)) / 1000 / _TIMED


def _train(torch: Any, dist: Any, device: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """3 steps with the strategy, each rank on its part of the batch, against one process on the whole of it.

    Gives the largest difference of a parameter, relative to the largest parameter.
    """
    from . import strategies

    number, world = dist.get_rank(), dist.get_world_size()
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        *(torch.nn.Sequential(torch.nn.Linear(_WIDTH, _WIDTH), torch.nn.Tanh()) for _ in range(3))
    ).to(device)
    batches = [torch.randn(_BATCH * world, _WIDTH, device=device) for _ in range(_STEPS)]
    alone = copy.deepcopy(net)
    wrapped = strategies.STRATEGIES[arguments["strategy"]](torch, dist, net, device)
    _steps(alone, wrapped.alone(alone), batches)
    own = [batch[number * _BATCH : (number + 1) * _BATCH] for batch in batches]
    _steps(wrapped.net, wrapped.optimizer, own, scaled=arguments.get("fault") == "gradient_scale")
    pairs = list(zip(wrapped.parameters(), alone.parameters()))
    largest = max(float(right.detach().abs().max()) for _, right in pairs)
    return {"world": world, "difference": max(float((a - b.detach()).abs().max()) for a, b in pairs) / largest}


def _steps(net: Any, optimizer: Any, batches: Sequence[Any], *, scaled: bool = False) -> None:
    for step, batch in enumerate(batches):
        optimizer.zero_grad()
        (net(batch).square().mean() * 10).backward()
        if scaled and step == 0:  # once only: Adam is blind to a factor that stays
            for parameter in net.parameters():
                if parameter.grad is not None:
                    parameter.grad.mul_(2)
        optimizer.step()


_PROGRAMS = {"collectives": _collectives, "train": _train}
