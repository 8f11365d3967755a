"""Faults that a test injects: each swaps one member of the environment, or a promise, for a broken one.

``inject`` of the config names a check and a fault. Real broken inputs are better, and the tests use those where a
machine without a GPU can have them; these are for the rest, and show that a check looks at what it says it looks at.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable

from .config import ConfigError, Expect, nearest
from .env import Env
from .libraries import Answer

_State = tuple[Env, Expect]
_Fault = Callable[[Env, Expect], _State]


def inject(check: str, fault: str | None, env: Env, expect: Expect) -> _State:
    """The environment and the promises with the fault in them."""
    return (env, expect) if fault is None else find_fault(check, fault)(env, expect)


def find_fault(check: str, fault: str) -> _Fault:
    """The fault of that name. Raises ConfigError for an unknown one."""
    faults = FAULTS.get(check, {})
    if fault not in faults:
        raise ConfigError(f"inject.{check}: no fault `{fault}`{nearest(fault, faults)}")
    return faults[fault]


def _promise(**changes: Any) -> _Fault:
    return lambda env, expect: (env, replace(expect, **changes))


def _world(**changes: Any) -> _Fault:
    return lambda env, expect: (replace(env, **changes), expect)


def _simulated(**changes: Any) -> _Fault:
    return _world(simulated=True, **changes)


def _both(first: _Fault, second: _Fault) -> _Fault:
    return lambda env, expect: second(*first(env, expect))


def _answers(*version: int, **promise: Any) -> _Fault:
    """A library that says it is of this version, where another is promised."""

    def fault(env: Env, expect: Expect) -> _State:
        answer = Answer(version, "injected", "/injected")
        return replace(env, library=lambda _: answer), replace(expect, **promise)

    return fault


def _other_release(env: Env, expect: Expect) -> _State:
    """torchaudio of another torch is what metadata shows."""
    return replace(env, installed_version=lambda name: "0.0.1" if name == "torchaudio" else None), replace(
        expect, torchvision=None, torchaudio="2.0.0"
    )


def _unloadable(env: Env, expect: Expect) -> _State:
    def load(path: str, **options: Any) -> Any:
        if Path(path).name.startswith("libtorch_cpu"):
            raise OSError("libmissing.so.1: cannot open shared object file: No such file or directory")
        return env.load_library(path, **options)

    return replace(env, load_library=load), expect


def _two_copies(env: Env, expect: Expect) -> _State:
    """Two copies of cuDNN's main library are mapped."""
    paths = ("/one/libcudnn.so.9", "/two/libcudnn.so.9")
    return replace(env, mapped=lambda: paths), expect


def _off_by_one(env: Env, expect: Expect) -> _State:
    def matmul(left: Any, right: Any) -> Any:
        product = left @ right
        product[0, 0] += 1
        return product

    return replace(env, matmul=matmul), expect


def flipped_bit(position: int, *, simulated: bool = False) -> _Fault:
    """One bit of one element of the result is another."""

    def matmul(left: Any, right: Any) -> Any:
        import torch

        product = left @ right
        place = tuple(int(item) for item in product.nonzero()[0])  # the sign bit of a zero is no value
        integers = product.view({2: torch.int16, 4: torch.int32}[product.element_size()])
        width = 8 * product.element_size()
        integers[place] ^= (1 << position) if position < width - 1 else -(1 << position)
        return product

    return _world(matmul=matmul, simulated=simulated)


def _rounded_operands(bits: int) -> _Fault:
    """Operands cut to so many bits of significand: TF32 has 11, bf16 8."""

    def matmul(left: Any, right: Any) -> Any:
        return _rounded(left, bits) @ _rounded(right, bits)

    return _simulated(matmul=matmul)


def _rounded(tensor: Any, bits: int) -> Any:
    import torch

    mantissa, exponent = torch.frexp(tensor)
    return torch.ldexp(torch.round(mantissa * 2.0**bits) / 2.0**bits, exponent)


def _half_accumulation(left: Any, right: Any) -> Any:
    import torch

    total = torch.zeros(left.shape[0], right.shape[1], dtype=left.dtype)
    for start in range(0, left.shape[1], 8):
        chunk = left[:, start : start + 8].float() @ right[start : start + 8].float()
        total = (total.float() + chunk).to(left.dtype)
    return total


def _allocator(fault: str) -> _Fault:
    from .fakes import FakeMemory

    return _simulated(memory=lambda _: FakeMemory(fault))


def _setting_in_force(found: bool, fault: str = "") -> _Fault:
    """The image promises expandable segments; what the snapshot tells of them is `found`."""
    from .fakes import FakeMemory

    value = "expandable_segments:True"
    setting = {"variable": "PYTORCH_CUDA_ALLOC_CONF", "value": value}
    settings = {"PYTORCH_CUDA_ALLOC_CONF": value if found else "", "expandable_segments": found}
    return _both(_simulated(memory=lambda _: FakeMemory(fault, settings)), _promise(allocator=setting))


class _SmallShm:
    """As statvfs answers for an engine's default of 64 MiB."""

    f_bavail, f_blocks, f_frsize = 16_384, 16_384, 4096


def _setting(value: str) -> _Fault:
    return _world(environ={**os.environ, "PYTORCH_CUDA_ALLOC_CONF": value})


FAULTS: Mapping[str, dict[str, _Fault]] = {
    "stack.torch": {"wrong": _promise(torch="0.0.0")},
    "stack.python": {"wrong": _promise(python="3.0")},
    "stack.companions": {"wrong": _other_release},
    "stack.cudart": {"wrong": _answers(11, 8, cuda="12.4")},
    "stack.cudnn": {"wrong": _answers(9, 10, 2, cudnn="9.1.0.70")},
    "stack.nccl": {"wrong": _answers(2, 20, 5, nccl="2.21.5")},
    "stack.nvrtc": {"wrong": _answers(11, 8, cuda="12.4")},
    "stack.cublas": {"wrong": _both(_answers(11, 11, 3), _world(pin=lambda _: "12.4.5.8"))},
    "stack.pip_consistent": {"wrong": _promise(triton="0.0.0")},
    "load.dlopen": {"missing": _unloadable},
    "load.single_copy": {"two": _two_copies},
    "load.dtype_ops": {"wrong": _off_by_one},
    "host.arch": {"cc_12.0": _simulated(capability=lambda _: (12, 0), arch_flags=lambda: ["sm_50", "sm_90"])},
    "host.driver": {"old": _both(_world(driver_version=lambda: "470.57.02"), _promise(min_driver="525.60.13"))},
    "host.user": {"root": _both(_world(user_id=lambda: 0), _promise(non_root=True))},
    "host.error_surfaces": {"silent": _simulated(assert_async=lambda _: None)},
    "dataloader.shm": {"small": _world(statvfs=lambda _: _SmallShm), "absent": _world(shm_path="/nonexistent")},
    "compiler.toolchain": {"no_gcc": _world(which=lambda _: None, environ={})},
    "compiler.cuda_ext": {"no_nvcc": _both(_world(which=lambda _: None), _promise(toolkit=True))},
    "numerics.matmul_fp32_exact": {"flipped_bit": flipped_bit(0)},
    "numerics.matmul_fp32_rounding": {"tf32_operands": _rounded_operands(11)},
    "numerics.matmul_tf32_exact": {"flipped_bit": flipped_bit(0, simulated=True)},
    "numerics.matmul_tf32_rounding": {"bf16_operands": _rounded_operands(8), "healthy": _rounded_operands(11)},
    "numerics.matmul_fp16_exact": {"flipped_bit": flipped_bit(0)},
    "numerics.matmul_fp16_rounding": {"half_accumulation": _simulated(matmul=_half_accumulation)},
    "numerics.matmul_bf16_exact": {"flipped_bit": flipped_bit(0)},
    "numerics.matmul_bf16_rounding": {"half_accumulation": _simulated(matmul=_half_accumulation)},
    "allocator.env_valid": {
        "lower_case": _setting("expandable_segments:true"),
        "unknown": _setting("expandable_segment:True"),
    },
    "allocator.effective": {
        "ineffective": _setting_in_force(False),
        "not_expandable": _setting_in_force(True, "not_expandable"),
        "healthy": _setting_in_force(True),
    },
    "allocator.churn": {"corruption": _allocator("corruption"), "healthy": _allocator("")},
    "allocator.leak": {"leak": _allocator("leak"), "growth": _allocator("growth"), "healthy": _allocator("")},
    "allocator.oom_recovery": {
        name: _allocator("" if name == "healthy" else name)
        for name in ("no_refusal", "not_counted", "held_after_oom", "other_loss", "healthy")
    },
}
