"""Faults of arithmetic and of rates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Callable

from ..config import Datasheet, Expect
from ..driver import Gpu
from ..env import Env
from ..memory import GIB
from .base import Fault, State, both, simulated, world

_Tensors = Callable[..., Any]
_CHIP = Gpu(index=0, name="Made-up GPU", cc="9.0", memory_bytes=80 * GIB)


def flipped_bit(position: int, *, simulated: bool = False) -> Fault:
    """One bit of one element of the result is another."""

    def matmul(left: Any, right: Any) -> Any:
        import torch

        product = left @ right
        place = tuple(int(item) for item in product.nonzero()[0])  # the sign bit of a zero is no value
        integers = product.view({2: torch.int16, 4: torch.int32, 8: torch.int64}[product.element_size()])
        width = 8 * product.element_size()
        integers[place] ^= (1 << position) if position < width - 1 else -(1 << position)
        return product

    return world(matmul=matmul, simulated=simulated)


def _rounded_operands(bits: int) -> Fault:
    """Operands cut to so many bits of significand: TF32 has 11, bf16 8."""

    def matmul(left: Any, right: Any) -> Any:
        return _rounded(left, bits) @ _rounded(right, bits)

    return simulated(matmul=matmul)


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


def _fp8_in_bf16(decoded_bits: int = 0, *, flipped: bool = False) -> Fault:
    """A product of fp8 operands on the CPU, which has none of its own."""

    def multiply(left: Any, right: Any) -> Any:
        left, right = left.float(), right.float()
        if decoded_bits:
            left, right = _rounded(left, decoded_bits), _rounded(right, decoded_bits)
        product = (left @ right).bfloat16()
        if flipped:
            product[0, 0] += 1
        return product

    return simulated(scaled_matmul=multiply)


def _one_wrong(function: _Tensors, *, share: float) -> _Tensors:
    """The function, with one element of its result off by a share of the largest."""

    def wrong(*operands: Any) -> Any:
        result = function(*operands)
        offset = result.detach().clone().zero_()
        offset.view(-1)[offset.numel() // 2] = share * result.detach().abs().max()
        return result + offset

    return wrong


def _attention(env: Env, expect: Expect) -> State:
    return replace(env, simulated=True, attend=_one_wrong(env.attend, share=0.1)), expect


def _convolution(env: Env, expect: Expect) -> State:
    return replace(env, simulated=True, convolve=_one_wrong(env.convolve, share=0.05)), expect


def _sometimes_wrong(env: Env, expect: Expect) -> State:
    """Every hundredth product has one bit less than the others."""
    calls = iter(range(10**6))

    def matmul(left: Any, right: Any) -> Any:
        product = left @ right
        if next(calls) % 100 == 99:
            product[0, 0] *= 1 + 2.0**-20
        return product

    return replace(env, simulated=True, matmul=matmul), expect


def _tf32_forced(env: Env, expect: Expect) -> State:
    return replace(env, environ={**env.environ, "NVIDIA_TF32_OVERRIDE": "1"}), expect


def _chip(**promises: Any) -> Fault:
    """A made-up GPU with a datasheet, so slow that any rate is above it, unless `promises` say else."""
    peaks = {"tflops": dict.fromkeys(("fp32", "tf32", "fp16", "bf16", "fp8"), 1e-9), "bandwidth_gb_s": 1e-6, **promises}

    def fault(env: Env, expect: Expect) -> State:
        config = replace(env.config, datasheets=(Datasheet(devices=(_CHIP.name,), **peaks),))
        return replace(env, config=config, gpus=(_CHIP,), simulated=True, which=lambda _: None), expect

    return fault


def _steps(call: Callable[[], Any], device: str) -> float:
    """A clock by which every call takes as long; what multiplies in fp16 half as long as what does in fp32."""
    del device
    result = call()
    return 1e-3 * (result.element_size() / 4 if hasattr(result, "element_size") else 1)


def _pinned_slow(env: Env, expect: Expect) -> State:
    """A clock by which the copies of the first half, which are to pinned memory, take twice as long."""
    calls = iter(range(10**6))

    def time_call(call: Callable[[], Any], device: str) -> float:
        del call, device
        return 2.0 if next(calls) < 50 else 1.0

    return replace(env, simulated=True, time_call=time_call), expect


FAULTS: Mapping[str, Mapping[str, Fault]] = {
    "numerics.flags": {"override": _tf32_forced},
    "numerics.matmul_fp64_exact": {"flipped_bit": flipped_bit(0)},
    "numerics.matmul_fp64_rounding": {"fp32_operands": _rounded_operands(24)},
    "numerics.matmul_fp8_exact": {"off_by_one": _fp8_in_bf16(flipped=True), "healthy": _fp8_in_bf16()},
    "numerics.matmul_fp8_rounding": {"e5m2_decoding": _fp8_in_bf16(3), "healthy": _fp8_in_bf16()},
    "numerics.conv": {"one_wrong": _convolution, "healthy": simulated()},
    **{
        f"numerics.sdpa_{backend}": {"one_wrong": _attention, "healthy": simulated()}
        for backend in ("math", "flash", "efficient", "cudnn")
    },
    "numerics.repeat": {"sometimes": _sometimes_wrong, "healthy": simulated()},
    "numerics.matmul_fp32_exact": {"flipped_bit": flipped_bit(0)},
    "numerics.matmul_fp32_rounding": {"tf32_operands": _rounded_operands(11)},
    "numerics.matmul_tf32_exact": {"flipped_bit": flipped_bit(0, simulated=True)},
    "numerics.matmul_tf32_rounding": {"bf16_operands": _rounded_operands(8), "healthy": _rounded_operands(11)},
    "numerics.matmul_fp16_exact": {"flipped_bit": flipped_bit(0)},
    "numerics.matmul_fp16_rounding": {"half_accumulation": simulated(matmul=_half_accumulation)},
    "numerics.matmul_bf16_exact": {"flipped_bit": flipped_bit(0)},
    "numerics.matmul_bf16_rounding": {"half_accumulation": simulated(matmul=_half_accumulation)},
    **{
        f"rate.matmul_{kind}": {"too_fast": _chip(), "healthy": both(_chip(tflops={}), simulated(time_call=_steps))}
        for kind in ("fp32", "tf32", "fp16", "bf16")
    },
    "rate.matmul_fp8": {"too_fast": both(_fp8_in_bf16(), _chip()), "healthy": both(_fp8_in_bf16(), _chip(tflops={}))},
    "rate.memory": {"too_fast": _chip(), "healthy": _chip(bandwidth_gb_s=None)},
    "rate.h2d": {"slow_pinned": _pinned_slow, "healthy": simulated(time_call=_steps)},
    "rate.d2h": {"slow_pinned": _pinned_slow, "healthy": simulated(time_call=_steps)},
}
