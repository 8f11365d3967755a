"""How several ranks train one network: DDP, ZeRO, FSDP 1 and 2, each by the interface that this torch has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Callable

_RATE = 1e-2
_ADAM = {"lr": _RATE, "eps": 1e-3}
"""With its default eps Adam turns the rounding of a gradient near zero into a whole step."""


@dataclass(frozen=True)
class Wrapped:
    """A network that a strategy has taken over."""

    net: Any
    optimizer: Any
    parameters: Callable[[], list[Any]]
    """All parameters, whole, on every rank."""
    alone: Callable[[Any], Any]
    """The same optimizer for the same network in one process."""


def _ddp(torch: Any, dist: Any, net: Any, device: str) -> Wrapped:
    del dist
    wrapped = _parallel(torch, net, device)
    sgd = _sgd(torch)
    return Wrapped(wrapped, sgd(wrapped), lambda: _detached(net), sgd)


def _zero(torch: Any, dist: Any, net: Any, device: str) -> Wrapped:
    from torch.distributed.optim import ZeroRedundancyOptimizer

    del dist
    wrapped = _parallel(torch, net, device)
    optimizer = ZeroRedundancyOptimizer(wrapped.parameters(), optimizer_class=torch.optim.Adam, **_ADAM)
    return Wrapped(
        wrapped, optimizer, lambda: _detached(net), lambda alone: torch.optim.Adam(alone.parameters(), **_ADAM)
    )


def _fsdp1(torch: Any, dist: Any, net: Any, device: str) -> Wrapped:
    from torch.distributed.fsdp import FullyShardedDataParallel

    del dist
    # Without device_id it looks for an accelerator, and refuses a machine that has none.
    wrapped = FullyShardedDataParallel(net, device_id=torch.device(device), use_orig_params=True)
    sgd = _sgd(torch)

    def parameters() -> list[Any]:
        with FullyShardedDataParallel.summon_full_params(wrapped):
            return [item.clone() for item in _detached(wrapped)]

    return Wrapped(wrapped, sgd(wrapped), parameters, sgd)


def _fsdp2(torch: Any, dist: Any, net: Any, device: str) -> Wrapped:
    try:
        from torch.distributed.fsdp import fully_shard
    except ImportError:  # up to 2.5
        from torch.distributed._composable.fsdp import fully_shard
    from torch.distributed.device_mesh import init_device_mesh

    mesh = init_device_mesh(torch.device(device).type, (dist.get_world_size(),))
    for layer in net:
        fully_shard(layer, mesh=mesh)
    fully_shard(net, mesh=mesh)
    sgd = _sgd(torch)
    return Wrapped(net, sgd(net), lambda: [item.full_tensor() for item in _detached(net)], sgd)


def _parallel(torch: Any, net: Any, device: str) -> Any:
    ids = None if device == "cpu" else [torch.device(device).index]
    return torch.nn.parallel.DistributedDataParallel(net, device_ids=ids)


def _sgd(torch: Any) -> Callable[[Any], Any]:
    return lambda net: torch.optim.SGD(net.parameters(), lr=_RATE, momentum=0.9)


def _detached(net: Any) -> list[Any]:
    return [item.detach() for item in net.parameters()]


STRATEGIES: Mapping[str, Callable[[Any, Any, Any, str], Wrapped]] = {
    "ddp": _ddp,
    "zero": _zero,
    "fsdp1": _fsdp1,
    "fsdp2": _fsdp2,
}
