"""Every check, in the order in which they run: what is cheap and explains the rest comes first.

To add a check: write a function ``(env, expect) -> Outcome`` in a module of `checks` and give it a line here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable

from .checks import allocator, allocator_env, compiler, cuda_ext, dataloader, gpu, host, load, matmul, pins, stack
from .config import Expect
from .env import Env
from .outcome import Outcome
from .versions import Release


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
    Check("compiler.toolchain", compiler.toolchain, timeout="compiler"),
    Check("compiler.inductor_cpu", compiler.inductor_cpu, timeout="compiler"),
    Check("compiler.cuda_ext", cuda_ext.cuda_ext, timeout="compiler"),
    Check("numerics.matmul_fp32_exact", matmul.fp32_exact),
    Check("numerics.matmul_fp32_rounding", matmul.fp32_rounding),
    Check("numerics.matmul_tf32_exact", matmul.tf32_exact, needs_gpu=True),
    Check("numerics.matmul_tf32_rounding", matmul.tf32_rounding, needs_gpu=True),
    Check("numerics.matmul_fp16_exact", matmul.fp16_exact),
    Check("numerics.matmul_fp16_rounding", matmul.fp16_rounding),
    Check("numerics.matmul_bf16_exact", matmul.bf16_exact),
    Check("numerics.matmul_bf16_rounding", matmul.bf16_rounding),
    Check("allocator.env_valid", allocator_env.env_valid),
    Check("allocator.effective", allocator.effective, minimum=(2, 1), needs_gpu=True, timeout="allocator"),
    Check("allocator.churn", allocator.churn, needs_gpu=True, timeout="allocator"),
    Check("allocator.leak", allocator.leak, needs_gpu=True, timeout="allocator"),
    Check("allocator.oom_recovery", allocator.oom_recovery, needs_gpu=True, timeout="allocator"),
)

CHECKS = {check.name: check for check in _ALL}
