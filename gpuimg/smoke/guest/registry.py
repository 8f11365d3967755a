"""Every check, in the order in which they run: what is cheap and explains the rest comes first.

To add a check: write a function ``(env, expect) -> Outcome`` in a module of `checks` and give it a line here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Callable

from . import arms, comparison, ranks
from .checks import (
    allocator,
    allocator_arms,
    allocator_env,
    allocator_training,
    attention,
    compiler,
    convolution,
    cuda_ext,
    dataloader,
    distributed,
    flags,
    gpu,
    host,
    load,
    matmul,
    pins,
    rate,
    repeat,
    stack,
    torchrun,
    workers,
)
from .config import Config, Expect
from .env import Env
from .outcome import Outcome
from .versions import Release


def _one(config: Config) -> int:
    del config
    return 1


def _all_workloads(config: Config) -> int:
    return comparison.most_runs(config) * len(allocator_arms.workloads(config))


@dataclass(frozen=True)
class Check:
    """One check, and what it needs."""

    name: str
    run: Callable[[Env, Expect], Outcome]
    minimum: Release = (2, 0)
    """The first torch release that it runs on."""
    needs_gpu: bool = False
    timeout: str = "default"
    """Which of the config's timeouts holds."""
    runs: Callable[[Config], int] = _one
    """How many times as long."""
    breaks_process: bool = False
    """Whether it leaves a process that can't be expected to end cleanly."""

    @property
    def group(self) -> str:
        return self.name.partition(".")[0]


_ALL: tuple[Check, ...] = (
    Check("stack.torch", stack.torch),
    Check("stack.python", stack.python),
    Check("stack.companions", stack.companions),
    Check("stack.cudart", stack.cudart),
    Check("stack.cudnn", stack.cudnn),
    Check("stack.nccl", stack.nccl),
    Check("stack.nvrtc", stack.nvrtc),
    Check("stack.cublas", stack.cublas),
    Check("stack.pip_consistent", pins.pip_consistent),
    Check("load.dlopen", load.dlopen),
    Check("load.single_copy", load.single_copy),
    Check("load.dtype_ops", load.dtype_ops),
    Check("host.gpu", gpu.usable, needs_gpu=True),
    Check("host.driver", gpu.driver_version, needs_gpu=True),
    Check("host.arch", gpu.arch, needs_gpu=True),
    Check("host.user", host.user),
    Check("host.limits", host.limits),
    Check("host.clock", host.clock, needs_gpu=True),
    Check("host.error_surfaces", gpu.error_surfaces, needs_gpu=True, breaks_process=True),
    Check("dataloader.shm", dataloader.shm),
    Check("dataloader.workers_fork", workers.workers_fork),
    Check("dataloader.workers_spawn", workers.workers_spawn),
    Check("dataloader.workers_forkserver", workers.workers_forkserver),
    Check("dataloader.pin_memory", workers.pin_memory, needs_gpu=True),
    Check("compiler.toolchain", compiler.toolchain, timeout="compiler"),
    Check("compiler.inductor_cpu", compiler.inductor_cpu, timeout="compiler"),
    Check("compiler.triton", compiler.triton, needs_gpu=True, timeout="compiler"),
    Check("compiler.cuda_ext", cuda_ext.cuda_ext, timeout="compiler"),
    Check("numerics.flags", flags.flags),
    Check("numerics.matmul_fp64_exact", matmul.fp64_exact),
    Check("numerics.matmul_fp64_rounding", matmul.fp64_rounding),
    Check("numerics.matmul_fp32_exact", matmul.fp32_exact),
    Check("numerics.matmul_fp32_rounding", matmul.fp32_rounding),
    Check("numerics.matmul_tf32_exact", matmul.tf32_exact, needs_gpu=True),
    Check("numerics.matmul_tf32_rounding", matmul.tf32_rounding, needs_gpu=True),
    Check("numerics.matmul_fp16_exact", matmul.fp16_exact),
    Check("numerics.matmul_fp16_rounding", matmul.fp16_rounding),
    Check("numerics.matmul_bf16_exact", matmul.bf16_exact),
    Check("numerics.matmul_bf16_rounding", matmul.bf16_rounding),
    Check("numerics.matmul_fp8_exact", matmul.fp8_exact, minimum=(2, 5), needs_gpu=True),
    Check("numerics.matmul_fp8_rounding", matmul.fp8_rounding, minimum=(2, 5), needs_gpu=True),
    Check("numerics.conv", convolution.conv, needs_gpu=True),
    Check("numerics.sdpa_math", attention.sdpa_math, needs_gpu=True),
    Check("numerics.sdpa_flash", attention.sdpa_flash, needs_gpu=True),
    Check("numerics.sdpa_efficient", attention.sdpa_efficient, needs_gpu=True),
    Check("numerics.sdpa_cudnn", attention.sdpa_cudnn, minimum=(2, 3), needs_gpu=True),
    Check("numerics.repeat", repeat.repeat, needs_gpu=True),
    Check("rate.matmul_fp32", rate.matmul_fp32, needs_gpu=True),
    Check("rate.matmul_tf32", rate.matmul_tf32, needs_gpu=True),
    Check("rate.matmul_fp16", rate.matmul_fp16, needs_gpu=True),
    Check("rate.matmul_bf16", rate.matmul_bf16, needs_gpu=True),
    Check("rate.matmul_fp8", rate.matmul_fp8, minimum=(2, 5), needs_gpu=True),
    Check("rate.memory", rate.memory, needs_gpu=True),
    Check("rate.h2d", rate.h2d, needs_gpu=True),
    Check("rate.d2h", rate.d2h, needs_gpu=True),
    Check("distributed.gloo", distributed.gloo, timeout="distributed"),
    Check("distributed.ddp_cpu", distributed.ddp_cpu, timeout="distributed"),
    Check("distributed.zero_cpu", distributed.zero_cpu, timeout="distributed"),
    Check("distributed.fsdp1_cpu", distributed.fsdp1_cpu, minimum=(2, 1), timeout="distributed"),
    Check("distributed.fsdp2_cpu", distributed.fsdp2_cpu, minimum=(2, 9), timeout="distributed"),
    Check("distributed.torchrun", torchrun.torchrun, timeout="distributed"),
    Check("distributed.nccl", distributed.nccl, needs_gpu=True, timeout="distributed"),
    Check("distributed.ddp_gpu", distributed.ddp_gpu, minimum=(2, 4), needs_gpu=True, timeout="distributed"),
    Check("distributed.zero_gpu", distributed.zero_gpu, minimum=(2, 4), needs_gpu=True, timeout="distributed"),
    Check("distributed.fsdp1_gpu", distributed.fsdp1_gpu, minimum=(2, 4), needs_gpu=True, timeout="distributed"),
    Check("distributed.fsdp2_gpu", distributed.fsdp2_gpu, minimum=(2, 4), needs_gpu=True, timeout="distributed"),
    Check("distributed.cuda_ipc", distributed.cuda_ipc, needs_gpu=True, timeout="distributed"),
    Check("distributed.nodes", torchrun.nodes, timeout="nodes"),
    Check("allocator.env_valid", allocator_env.env_valid),
    Check("allocator.effective", allocator.effective, minimum=(2, 1), needs_gpu=True, timeout="allocator"),
    Check("allocator.churn", allocator.churn, needs_gpu=True, timeout="allocator"),
    Check("allocator.leak", allocator_training.leak, needs_gpu=True, timeout="allocator"),
    Check("allocator.oom_recovery", allocator_training.oom_recovery, needs_gpu=True, timeout="allocator"),
    Check("allocator.grow_shrink", allocator_training.grow_shrink, needs_gpu=True, timeout="allocator"),
    *(
        Check(f"allocator.saving_{name}", run, needs_gpu=True, timeout="allocator", runs=comparison.most_runs)
        for name, run in (
            ("bert", allocator_arms.saving_bert),
            ("long", allocator_arms.saving_long),
            ("moe", allocator_arms.saving_moe),
            ("fixed", allocator_arms.saving_fixed),
        )
    ),
    *(
        Check(f"allocator.{run.__name__}", run, needs_gpu=True, timeout="allocator", runs=_all_workloads)
        for run in (allocator_arms.retries, allocator_arms.fragmentation, allocator_arms.no_worse)
    ),
)

CHECKS = {check.name: check for check in _ALL}

PARTS: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
    "rank": ranks.rank,
    "probe": arms.probe,
    "arm": arms.arm,
}
"""What checks start in processes of their own: see `parts`."""
