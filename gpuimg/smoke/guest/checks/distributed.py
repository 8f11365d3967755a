"""Group `distributed`: process groups, and what trains in them, against one process.

Ranks are processes of this guest (`ranks`). On the CPU there are two, through gloo; on GPUs one each, through NCCL.
"""

from __future__ import annotations

import tempfile
import time
from multiprocessing.reduction import ForkingPickler
from typing import Any

from ..config import Expect
from ..env import Env
from ..known import wants_driver_on_cpu
from ..outcome import Outcome, Skip, on_gpu, verdict
from ..parts import PartEnd, started
from .dataloader import REMEDY as SHM_REMEDY

RANKS = 2
_DIFFERENCE = 1e-5
GROUP_SHARE = 5  # of the check's time a rank waits this part for the others
NETWORK_REMEDY = (
    "look whether the loopback interface is up in the container and the host's name resolves; "
    "GLOO_SOCKET_IFNAME=lo or NCCL_SOCKET_IFNAME chooses the interface"
)


def gloo(env: Env, expect: Expect) -> Outcome:
    """Integers through all_reduce, broadcast and all_gather between two ranks. Bound: 0 wrong ones."""
    del expect
    return _collectives(env, "gloo", RANKS)


def nccl(env: Env, expect: Expect) -> Outcome:
    """The same and reduce_scatter through NCCL between all visible GPUs, 4 B to 256 MiB; one GPU at least initialises.

    Bus bandwidth of the largest size is reported: it depends on links that no image chooses.
    """
    del expect
    return _collectives(env, "nccl", len(env.devices()))


def ddp_cpu(env: Env, expect: Expect) -> Outcome:
    """3 steps of DDP with SGD on two ranks against one process. Bound, as for all strategies: within 10⁻⁵."""
    return _training(env, expect, "ddp", "gloo")


def zero_cpu(env: Env, expect: Expect) -> Outcome:
    """DDP with ZeroRedundancyOptimizer over Adam."""
    return _training(env, expect, "zero", "gloo")


def fsdp1_cpu(env: Env, expect: Expect) -> Outcome:
    """FullyShardedDataParallel. Releases before 2.4 may ask for a driver: then SKIP."""
    return _training(env, expect, "fsdp1", "gloo")


def fsdp2_cpu(env: Env, expect: Expect) -> Outcome:
    """``fully_shard`` of each layer. Before 2.7 it can't on the CPU; 2.7 and 2.8 add gradients there, unaveraged."""
    return _training(env, expect, "fsdp2", "gloo")


def ddp_gpu(env: Env, expect: Expect) -> Outcome:
    """As ddp_cpu, on all visible GPUs through NCCL, under the image's allocator settings."""
    return _training(env, expect, "ddp", "nccl")


def zero_gpu(env: Env, expect: Expect) -> Outcome:
    """As zero_cpu, on all visible GPUs."""
    return _training(env, expect, "zero", "nccl")


def fsdp1_gpu(env: Env, expect: Expect) -> Outcome:
    """As fsdp1_cpu, on all visible GPUs."""
    return _training(env, expect, "fsdp1", "nccl")


def fsdp2_gpu(env: Env, expect: Expect) -> Outcome:
    """As fsdp2_cpu, on all visible GPUs."""
    return _training(env, expect, "fsdp2", "nccl")


def cuda_ipc(env: Env, expect: Expect) -> Outcome:
    """A CUDA tensor reaches another process through torch.multiprocessing, under the image's allocator settings.

    With expandable segments torch passes file descriptors by ``pidfd_getfd``, which a default container refuses
    (github.com/pytorch/pytorch/issues/165685); releases up to 2.4 can't share such tensors at all, and say so: SKIP.
    """
    del expect
    import torch
    from torch import multiprocessing

    device, index = env.devices()[0]
    values = torch.arange(1 << 20, dtype=torch.int64, device=device)
    try:
        passed_on = bytes(ForkingPickler.dumps(values))
    except RuntimeError as error:
        if "cannot be shared between processes" in str(error):
            raise Skip(f"{str(error).splitlines()[0]}: set expandable_segments:False for such a process") from error
        raise
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    consumer = context.Process(target=_consume, args=(theirs,), daemon=True)
    consumer.start()
    theirs.close()
    total: int | None = None
    try:
        ours.send_bytes(passed_on)
        answered = ours.poll(env.config.timeout("distributed") / GROUP_SHARE)
        total, problem = ours.recv() if answered else (None, "the other process did not answer in time")
    except (EOFError, OSError) as error:
        problem = f"the other process ended without an answer ({type(error).__name__})"
    finally:
        consumer.kill()
        consumer.join()
    expected = int(values.sum())
    if problem is None and total != expected:
        problem = f"the sum is {total} instead of {expected}"
    outcome = verdict(
        [problem] if problem else [],
        measured={"sum": str(total)},
        expected="the other process sees the same values",
        remedy="start the container with `--cap-add SYS_PTRACE` (on Kubernetes add that capability), or set "
        "expandable_segments:False for such a process",
    )
    return on_gpu(outcome, index)


def _consume(connection: Any) -> None:
    """The other process of cuda_ipc."""
    import pickle

    import torch

    assert torch
    try:
        answer: tuple[int | None, str | None] = int(pickle.loads(connection.recv_bytes()).sum()), None
    except Exception as error:  # noqa: BLE001 - whatever it raises is the answer
        answer = None, f"{type(error).__name__}: {error}"
    connection.send(answer)


def _collectives(env: Env, backend: str, world: int) -> Outcome:
    ends = _run(env, {"program": "collectives", "backend": backend}, world)
    return judge_collectives(ends, world, bandwidth(ends))


def judge_collectives(ends: list[PartEnd], world: int, measured: dict[str, Any]) -> Outcome:
    """The outcome of what the ranks found in `collectives`."""
    problems = _problems(ends)
    wrong: dict[str, int] = {}
    for end in ends:
        for name, count in (end.result or {}).get("wrong", {}).items():
            wrong[name] = wrong.get(name, 0) + count
    problems += [f"{name} gave {count} wrong integers" for name, count in wrong.items() if count]
    worlds = {end.result["world"] for end in ends if end.result}
    return verdict(
        problems,
        measured={
            "ranks": (max(worlds, default=world), "count"),
            "wrong_integers": (sum(wrong.values()), "count"),
            **measured,
        },
        expected="0 wrong integers",
        remedy=_remedy(ends),
        data=_output(ends) if problems else None,
    )


def bandwidth(ends: list[PartEnd]) -> dict[str, Any]:
    """Of each collective, by its slowest rank."""
    slowest: dict[str, float] = {}
    for end in ends:
        for name, rate in (end.result or {}).get("bus", {}).items():
            slowest[name] = min(rate, slowest.get(name, rate))
    return {f"bus_{name}": (round(rate, 2), "GB/s") for name, rate in slowest.items()}


def _training(env: Env, expect: Expect, strategy: str, backend: str) -> Outcome:
    del expect
    world = RANKS if backend == "gloo" else len(env.devices())
    ends = _run(env, {"program": "train", "strategy": strategy, "backend": backend}, world)
    problems = _problems(ends)
    output = " ".join(end.output for end in ends)
    if backend == "gloo" and problems and wants_driver_on_cpu(env.torch_release, output):
        raise Skip(f"{strategy} of this torch needs a GPU's driver, also on the CPU")
    differences = [end.result["difference"] for end in ends if end.result]
    measured: dict[str, Any] = {"ranks": (world, "count")}
    largest = max(differences, default=0.0)
    if differences:
        measured["difference"] = (largest, "relative")
    if not largest <= _DIFFERENCE:
        problems.append(f"the parameters differ by {largest:.3g} from those of one process")
    return verdict(
        problems,
        measured=measured,
        expected=f"within {_DIFFERENCE:g} of one process",
        remedy=NETWORK_REMEDY if len(differences) < len(ends) else "run it again; if it stays, report it to PyTorch",
        data=_output(ends) if problems else None,
    )


def _run(env: Env, arguments: dict[str, Any], world: int) -> list[PartEnd]:
    """Run `world` ranks on this machine to their ends."""
    wait = env.config.timeout("distributed") / GROUP_SHARE
    with tempfile.TemporaryDirectory() as folder:
        common = {**arguments, "world": world, "store": f"{folder}/store", "timeout": wait, "fault": env.part_fault}
        requests = [("rank", {**common, "rank": number}, rank_environment(env)) for number in range(world)]
        with started(requests) as parts:
            deadline = time.monotonic() + 2 * wait
            return [part.end(deadline) for part in parts]


def rank_environment(env: Env) -> dict[str, str]:
    """Ranks of one machine talk over loopback, whatever the container's network is; NCCL says what goes wrong."""
    defaults = {"NCCL_DEBUG": "WARN", "OMP_NUM_THREADS": "1"}
    if env.config.world is None:
        defaults["GLOO_SOCKET_IFNAME"] = "lo"
    return {**defaults, **env.environ}


def _remedy(ends: list[PartEnd]) -> str:
    """NCCL says in its own words when shared memory is what it lacks."""
    output = " ".join(end.output for end in ends).lower()
    return SHM_REMEDY if "shared memory" in output or "no space left" in output else NETWORK_REMEDY


def _problems(ends: list[PartEnd]) -> list[str]:
    return [f"rank {number}: {end.problem}" for number, end in enumerate(ends) if end.problem]


def _output(ends: list[PartEnd]) -> dict[str, Any]:
    return {
        "output": "\n".join(f"rank {number}: {end.output}" for number, end in enumerate(ends) if end.output)[-4096:]
    }
