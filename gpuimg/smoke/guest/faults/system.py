"""Faults of the stack, of loading, of the host and its shared memory, of compilers and of process groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..config import Expect, World
from ..env import Env
from ..libraries import Answer
from .base import Fault, State, both, promise, simulated, world


def _answers(*version: int, **promised: Any) -> Fault:
    """A library that says it is of this version, where another is promised."""

    def fault(env: Env, expect: Expect) -> State:
        answer = Answer(version, "injected", "/injected")
        return replace(env, library=lambda _: answer), replace(expect, **promised)

    return fault


def _other_release(env: Env, expect: Expect) -> State:
    """torchaudio of another torch is what metadata shows."""
    return replace(env, installed_version=lambda name: "0.0.1" if name == "torchaudio" else None), replace(
        expect, torchvision=None, torchaudio="2.0.0"
    )


def _unloadable(env: Env, expect: Expect) -> State:
    def load(path: str, **options: Any) -> Any:
        if Path(path).name.startswith("libtorch_cpu"):
            raise OSError("libmissing.so.1: cannot open shared object file: No such file or directory")
        return env.load_library(path, **options)

    return replace(env, load_library=load), expect


def _two_copies(env: Env, expect: Expect) -> State:
    """Two copies of cuDNN's main library are mapped."""
    paths = ("/one/libcudnn.so.9", "/two/libcudnn.so.9")
    return replace(env, mapped=lambda: paths), expect


def _world_of_two(env: Env, expect: Expect) -> State:
    """Two nodes, of which this one doesn't know which it is."""
    environ = {
        key: text for key, text in env.environ.items() if key not in ("JOB_COMPLETION_INDEX", "GPUIMG_NODE_RANK")
    }
    config = replace(env.config, world=World(nodes=2, address="127.0.0.1", port=29500))
    return replace(env, config=config, environ=environ), expect


class _SmallShm:
    """As statvfs answers for an engine's default of 64 MiB."""

    f_bavail, f_blocks, f_frsize = 16_384, 16_384, 4096


def _off_by_one(env: Env, expect: Expect) -> State:
    def matmul(left: Any, right: Any) -> Any:
        product = left @ right
        product[0, 0] += 1
        return product

    return replace(env, matmul=matmul), expect


FAULTS: Mapping[str, Mapping[str, Fault]] = {
    "stack.torch": {"wrong": promise(torch="0.0.0")},
    "stack.python": {"wrong": promise(python="3.0")},
    "stack.companions": {"wrong": _other_release},
    "stack.cudart": {"wrong": _answers(11, 8, cuda="12.4")},
    "stack.cudnn": {"wrong": _answers(9, 10, 2, cudnn="9.1.0.70")},
    "stack.nccl": {"wrong": _answers(2, 20, 5, nccl="2.21.5")},
    "stack.nvrtc": {"wrong": _answers(11, 8, cuda="12.4")},
    "stack.cublas": {"wrong": both(_answers(11, 11, 3), world(pin=lambda _: "12.4.5.8"))},
    "stack.pip_consistent": {"wrong": promise(triton="0.0.0")},
    "load.dlopen": {"missing": _unloadable},
    "load.single_copy": {"two": _two_copies},
    "load.dtype_ops": {"wrong": _off_by_one},
    "host.arch": {"cc_12.0": simulated(capability=lambda _: (12, 0), arch_flags=lambda: ["sm_50", "sm_90"])},
    "host.driver": {"old": both(world(driver_version=lambda: "470.57.02"), promise(min_driver="525.60.13"))},
    "host.user": {"root": both(world(user_id=lambda: 0), promise(non_root=True))},
    "host.error_surfaces": {"silent": simulated(assert_async=lambda _: None)},
    "dataloader.shm": {"small": world(statvfs=lambda _: _SmallShm), "absent": world(shm_path="/nonexistent")},
    **{
        f"dataloader.workers_{method}": {
            "wrong": world(part_fault="wrong"),
            "too_large": world(part_fault="too_large"),
        }
        for method in ("fork", "spawn", "forkserver")
    },
    "compiler.toolchain": {"no_gcc": world(which=lambda _: None, environ={})},
    "compiler.cuda_ext": {"no_nvcc": both(world(which=lambda _: None), promise(toolkit=True))},
    "distributed.gloo": {"wrong_sum": world(part_fault="wrong_sum"), "stopped": world(part_fault="stopped")},
    **{
        f"distributed.{strategy}_cpu": {"gradient_scale": world(part_fault="gradient_scale")}
        for strategy in ("ddp", "zero", "fsdp1", "fsdp2")
    },
    "distributed.torchrun": {"failing": world(part_fault="failing")},
    "distributed.nodes": {"unnumbered": _world_of_two},
}
