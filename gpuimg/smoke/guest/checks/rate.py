"""Group `rate`: how fast the GPU multiplies and copies. Reported; only what can't be true fails.

Where the chip's datasheet is known, more than 1.05 of it is impossible: the timing or the row is wrong. There is no
lower bound: what a GPU reaches depends on its power, its cooling and its neighbours.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any, Callable

from ..chip import promise
from ..config import Expect
from ..env import Env
from ..numerics import set_tf32
from ..outcome import Outcome, Skip, on_gpu, verdict
from .matmul import BF16, FP8, FP16, FP32, TF32, Type, able_devices, integers

_MARGIN = 1.05
_TENSOR_CORES = 1.2
"""fp16 over fp32, from compute capability 7.0 on. The smallest true ratio is 2, of GeForce cards."""
_SHAPES = ((4096, 4096, 4096), (8192, 8192, 8192), (2048, 2048, 13312), (1024, 10240, 5120))
_SIMULATED_SHAPES = ((256, 256, 256),)
_RUNS, _BATCH = 50, 5
_WARM_S, _STEADY, _TIMED_S = 10.0, 0.02, 15.0
_FLUSH_BYTES = 256 << 20  # larger than any GPU's L2
_COPY_BYTES = 1 << 30
_VECTORS = 8


def matmul_fp32(env: Env, expect: Expect) -> Outcome:
    """TFLOP/s in fp32 with TF32 off. Bound, as for all types: ≤ 1.05 × the datasheet's, where that is known."""
    return _matmul(env, expect, FP32)


def matmul_tf32(env: Env, expect: Expect) -> Outcome:
    """TFLOP/s in TF32."""
    return _matmul(env, expect, TF32)


def matmul_fp16(env: Env, expect: Expect) -> Outcome:
    """TFLOP/s in fp16. Bound besides: ≥ 1.2 × fp32 from compute capability 7.0 on, or no tensor core works."""
    return _matmul(env, expect, FP16)


def matmul_bf16(env: Env, expect: Expect) -> Outcome:
    """TFLOP/s in bf16."""
    return _matmul(env, expect, BF16)


def matmul_fp8(env: Env, expect: Expect) -> Outcome:
    """TFLOP/s of e4m3 with a result in bf16."""
    return _matmul(env, expect, FP8)


def memory(env: Env, expect: Expect) -> Outcome:
    """GB/s of a copy of 1 GiB within the GPU, read and written bytes both counted. Bound: ≤ 1.05 × the datasheet's."""
    del expect
    import torch

    device, index = env.devices()[0]
    size = _COPY_BYTES if device != "cpu" else 1 << 20
    source, target = (torch.empty(size, dtype=torch.uint8, device=device) for _ in range(2))
    rate = 2 * size / _steady(env, lambda: target.copy_(source), device) / 1e9
    sheet = promise(env, index)
    return on_gpu(_judged(rate, sheet.bandwidth, sheet.reason, "GB/s"), index)


def h2d(env: Env, expect: Expect) -> Outcome:
    """GB/s from pinned host memory to the GPU. Bound: > 0.9 × the rate from pageable memory."""
    return _transfer(env, expect, to_gpu=True)


def d2h(env: Env, expect: Expect) -> Outcome:
    """GB/s from the GPU to pinned host memory. Bound: > 0.9 × the rate to pageable memory."""
    return _transfer(env, expect, to_gpu=False)


def _matmul(env: Env, expect: Expect, kind: Type) -> Outcome:
    del expect
    import torch

    device, index = able_devices(env, kind)[0]
    set_tf32(torch, kind is TF32)
    shapes = _SIMULATED_SHAPES if device == "cpu" else _fitting(torch, device)
    rows = [_rates(torch, env, kind, device, shape) for shape in shapes]
    best, median = max(row["best"] for row in rows), max(row["median"] for row in rows)
    sheet = promise(env, index)
    peak = sheet.peak(kind.name)
    measured: dict[str, Any] = {"best": (round(best, 2), "TFLOP/s"), "median": (round(median, 2), "TFLOP/s")}
    problems: list[str] = []
    if kind is FP16 and (env.simulated or env.capability(index or 0) >= (7, 0)):
        set_tf32(torch, False)
        plain = max(_rates(torch, env, FP32, device, shape)["median"] for shape in shapes[:1])
        measured["fp32_median"] = (round(plain, 2), "TFLOP/s")
        if rows[0]["median"] < _TENSOR_CORES * plain:
            problems.append(f"fp16 is {rows[0]['median'] / plain:.2f} × as fast as fp32: no tensor core is at work")
    if device != "cpu":
        wrong = _freivalds(torch, env, kind, device, max(shapes))
        measured["wrong_rows"] = (wrong, "count")
        if wrong:
            problems.append(f"{wrong} rows of the largest product are wrong")
    return on_gpu(_judged(best, peak, sheet.reason, "TFLOP/s", measured, problems, {"shapes": rows}), index)


def _judged(
    rate: float,
    peak: float | None,
    reason: str,
    unit: str,
    measured: dict[str, Any] | None = None,
    problems: Sequence[str] = (),
    data: dict[str, Any] | None = None,
) -> Outcome:
    """The outcome of a rate: too high a share of the datasheet's fails, and without one it is only reported."""
    measured = dict(measured or {"rate": (round(rate, 2), unit)})
    found = list(problems)
    if peak is None:
        measured["of_peak"] = "–"
        return verdict(
            found, measured=measured, expected=f"reported: {reason or 'its datasheet does not tell'}", data=data
        )
    measured["peak"] = (peak, unit)
    measured["of_peak"] = (round(100 * rate / peak, 1), "%")
    if rate > _MARGIN * peak:
        found.append(
            f"{rate:.4g} {unit} is more than the datasheet's {peak:g}: the timing or the datasheet's row is wrong"
        )
    return verdict(
        found,
        measured=measured,
        expected=f"≤ {_MARGIN} × {peak:g} {unit}",
        remedy="compare with `nvidia-smi -q -d CLOCK`, and report the chip's name and the rate",
        data=data,
    )


def _rates(torch: Any, env: Env, kind: Type, device: str, shape: tuple[int, int, int]) -> dict[str, Any]:
    rows, columns, inner = shape
    dtype = getattr(torch, kind.dtype)
    left = torch.randn((rows, inner), device=device).to(dtype)
    right = torch.randn((inner, columns), device=device).to(dtype)
    multiply = env.scaled_matmul if kind is FP8 else env.matmul
    if kind is FP8:  # so that what is timed is the product and not the transposition
        right = right.t().contiguous().t()
    flush = torch.empty(_FLUSH_BYTES if device != "cpu" else 1, dtype=torch.uint8, device=device)
    times = _times(env, lambda: multiply(left, right), device, before=flush.zero_)
    work = 2 * rows * columns * inner / 1e12
    return {
        "m": rows,
        "n": columns,
        "k": inner,
        "best": round(work / min(times), 3),
        "median": round(work / statistics.median(times), 3),
    }


def _steady(env: Env, call: Callable[[], Any], device: str) -> float:
    return statistics.median(_times(env, call, device))


def _times(env: Env, call: Callable[[], Any], device: str, *, before: Callable[[], Any] = lambda: None) -> list[float]:
    """Seconds of 50 calls, or of those that fit into 15 s, once three medians lie within 2 % or 10 s are over."""

    def run() -> float:
        before()
        return max(env.time_call(call, device), 1e-12)

    medians: list[float] = []
    end = env.clock() + _WARM_S
    while env.clock() < end and device != "cpu":
        medians = [*medians[-2:], statistics.median(run() for _ in range(_BATCH))]
        if len(medians) == 3 and max(medians) < (1 + _STEADY) * min(medians):
            break
    times: list[float] = []
    end = env.clock() + _TIMED_S
    while len(times) < _RUNS and (env.clock() < end or len(times) < _BATCH):
        times.append(run())
    return times


def _fitting(torch: Any, device: str) -> list[tuple[int, int, int]]:
    """The shapes whose operands in fp32, result and a float64 copy of it fit into what is free."""
    free = torch.cuda.mem_get_info(device)[0] - _FLUSH_BYTES
    found = [shape for shape in _SHAPES if _needed(shape) < 0.5 * free]
    if not found:
        raise Skip(f"{free / 2**30:.1f} GiB are free on {device}: too few to multiply at full speed")
    return found


def _needed(shape: tuple[int, int, int]) -> int:
    rows, columns, inner = shape
    return 8 * (rows * inner + inner * columns) + 12 * rows * columns


def _freivalds(torch: Any, env: Env, kind: Type, device: str, shape: tuple[int, int, int]) -> int:
    """How many rows of a large product of integers are wrong: C r = A (B r) for 8 random r of ±1, in float64.

    One wrong element is always seen; several in a row that cancel, with a chance of 2⁻⁸ not.
    """
    rows, columns, inner = shape
    generator = torch.Generator(device).manual_seed(0)  # on the host the operands alone would take seconds
    dtype = getattr(torch, kind.dtype)
    left = integers(torch, generator, (rows, inner), kind.left_max, min(kind.nonzeros, inner)).to(dtype)
    right = integers(torch, generator, (inner, columns), kind.right_max, inner).to(dtype)
    product = (env.scaled_matmul if kind is FP8 else env.matmul)(left, right)
    signs = (torch.randint(0, 2, (columns, _VECTORS), generator=generator, device=device) * 2 - 1).double()
    wrong = 0
    expected = right.double() @ signs
    for part in torch.arange(rows, device=device).chunk(8):
        found = product[part].double() @ signs
        wrong += int((found != left[part].double() @ expected).any(dim=1).sum())
    return wrong


def _transfer(env: Env, expect: Expect, *, to_gpu: bool) -> Outcome:
    del expect
    import torch

    device, index = env.devices()[0]
    size = _COPY_BYTES if device != "cpu" else 1 << 20
    on_device = torch.empty(size, dtype=torch.uint8, device=device)
    rates = {}
    for name in ("pinned", "pageable"):
        on_host = torch.empty(size, dtype=torch.uint8, pin_memory=name == "pinned" and device != "cpu")
        source, target = (on_host, on_device) if to_gpu else (on_device, on_host)
        rates[name] = size / _steady(env, lambda: target.copy_(source, non_blocking=True), device) / 1e9  # noqa: B023
    problems = []
    if rates["pinned"] <= 0.9 * rates["pageable"]:
        problems.append(f"pinned copies run at {rates['pinned']:.3g} GB/s, pageable ones at {rates['pageable']:.3g}")
    outcome = verdict(
        problems,
        measured={"rate": (round(rates["pinned"], 2), "GB/s"), "pageable": (round(rates["pageable"], 2), "GB/s")},
        expected="pinned > 0.9 × pageable",
        remedy="look at memlock in host.limits, at NUMA binding, and at the slot's PCIe width in `nvidia-smi -q`",
    )
    return on_gpu(outcome, index)
