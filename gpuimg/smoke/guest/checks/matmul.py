"""numerics.matmul_*: two tests for each type, because one can't do both jobs.

*Exact*: the operands are integers so small that every partial sum, in any order, split or accumulator, is a number that
the type holds exactly. The result must equal the reference bit for bit on every chip, whatever its tiling; a single
flipped bit shows, the last one included.

*Rounding*: normal operands against float64 tell which arithmetic ran. z = |ĉ - c| / (‖a‖‖b‖/√K) is the error in units
of a typical result, u the unit roundoff of the type. Rounding the output costs up to 5 u, rounding TF32's inputs 0.6 u
(rms), and accumulating K terms in fp32 a random walk of about 0.3 √K u₃₂ (Higham and Mary, 2019:
doi.org/10.1137/18M1226312); the worst case K·u would hide TF32 in the place of fp32.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ..config import Expect
from ..env import Env
from ..numerics import describe, set_tf32
from ..outcome import Outcome, Skip, on_gpu, skipped, verdict

_K = 4096
_PARTS, _ROWS = 64, 1024
_SIZE = {"cpu": 512, "cuda": 1024}  # rows and columns of the result: some CPUs have no fast fp16


@dataclass(frozen=True)
class Type:
    """A type of matrix product: its arithmetic, and the integers that keep its exact test exact."""

    name: str
    dtype: str
    unit: float
    nonzeros: int
    left_max: int
    right_max: int
    """nonzeros · left_max · right_max ≤ 2⁸ (bf16, and fp8 whose result is bf16), 2¹¹ (fp16), 2²⁴ (fp32), 2⁵³ (fp64);
    TF32's inputs have 11 bits."""
    capability: tuple[int, int] = (0, 0)


FP64 = Type("fp64", "float64", 2.0**-53, _K, 1 << 20, 1 << 20)
FP32 = Type("fp32", "float32", 2.0**-24, _K, 16, 16)
TF32 = Type("tf32", "float32", 2.0**-11, _K, 16, 16, capability=(8, 0))
FP16 = Type("fp16", "float16", 2.0**-11, 256, 2, 4)
BF16 = Type("bf16", "bfloat16", 2.0**-8, 256, 1, 1, capability=(8, 0))
FP8 = Type("fp8", "float8_e4m3fn", 2.0**-8, 256, 1, 1, capability=(8, 9))


def fp64_exact(env: Env, expect: Expect) -> Outcome:
    """Integers up to 2⁵² in fp64, against products of 64-bit integers. Bound: 0 wrong elements."""
    return _exact(env, expect, FP64)


def fp64_rounding(env: Env, expect: Expect) -> Outcome:
    """Max z. Bound: 5 √K u = 320 u; fp32 in its place is some 10⁷ times over it."""
    return _rounding(env, expect, FP64, [(None, 5 * math.sqrt(_K))])


def fp32_exact(env: Env, expect: Expect) -> Outcome:
    """Integers up to 2²⁴ in fp32. Bound: 0 wrong elements."""
    return _exact(env, expect, FP32)


def fp32_rounding(env: Env, expect: Expect) -> Outcome:
    """Max z with TF32 off. Bound: 5 √K u = 320 u; TF32 left on is 70 times over it."""
    return _rounding(env, expect, FP32, [(None, 5 * math.sqrt(_K))])


def tf32_exact(env: Env, expect: Expect) -> Outcome:
    """Integers of 11 bits in TF32, from compute capability 8.0 on. Bound: 0 wrong elements."""
    return _exact(env, expect, TF32)


def tf32_rounding(env: Env, expect: Expect) -> Outcome:
    """Max z with TF32 on. Bounds: ≤ 12 u; below 0.25 u TF32 did not engage: SKIP.

    Operands rounded to 11 bits give 3.3 u here, truncated ones, as tensor cores may take them, 7.4 u; bf16 in their
    place 26 u.
    """
    return _rounding(env, expect, TF32, [(None, 12)], least=0.25)


def fp16_exact(env: Env, expect: Expect) -> Outcome:
    """Integers up to 2¹¹ in fp16, split-K in half precision included. Bound: 0 wrong elements."""
    return _exact(env, expect, FP16)


def fp16_rounding(env: Env, expect: Expect) -> Outcome:
    """Max z with reduced-precision reductions forbidden (≤ 8 u) and allowed, torch's default (≤ 16 u).

    Accumulation in half precision is near 46 u.
    """
    return _rounding(env, expect, FP16, [(False, 8), (True, 16)])


def bf16_exact(env: Env, expect: Expect) -> Outcome:
    """Integers up to 2⁸ in bf16, on GPUs from compute capability 8.0 on. Bound: 0 wrong elements."""
    return _exact(env, expect, BF16)


def bf16_rounding(env: Env, expect: Expect) -> Outcome:
    """As fp16_rounding."""
    return _rounding(env, expect, BF16, [(False, 8), (True, 16)])


def fp8_exact(env: Env, expect: Expect) -> Outcome:
    """Integers in e4m3 with a result in bf16, from compute capability 8.9 on. Bound: 0 wrong elements.

    It holds with Hopper's 14-bit accumulator, too: no partial sum exceeds 2⁸.
    """
    return _exact(env, expect, FP8)


def fp8_rounding(env: Env, expect: Expect) -> Outcome:
    """Max z of e4m3 with a result in bf16. Bound: 16 u of bf16; a wrong scale or e5m2 decoding exceeds it."""
    return _rounding(env, expect, FP8, [(None, 16)])


def _exact(env: Env, expect: Expect, kind: Type) -> Outcome:
    del expect
    import torch

    devices = able_devices(env, kind)
    generator = torch.Generator().manual_seed(0)
    size = _SIZE[devices[0][0].partition(":")[0]]
    left = integers(torch, generator, (size, _K), kind.left_max, kind.nonzeros)
    right = integers(torch, generator, (_K, size), kind.right_max, _K)
    reference = _int64_product(left, right) if kind is FP64 else left @ right  # float64, and far below 2⁵³
    set_tf32(torch, kind is TF32)
    expected = "0 wrong elements"
    for device, index in devices:
        found = _product(env, kind, left, right, device)
        wrong = found != reference  # a NaN differs from everything
        count = int(wrong.sum())
        problems = [describe(wrong, found, reference)] if count else []
        measured: dict[str, Any] = {
            "wrong_elements": (count, "count"),
            "elements": (wrong.numel(), "count"),
            "device": device,
        }
        outcome = on_gpu(verdict(problems, measured=measured, expected=expected, remedy=_remedy(device)), index)
        if problems:
            return outcome
    return on_gpu(outcome, index if len(devices) == 1 else None)


def _rounding(
    env: Env, expect: Expect, kind: Type, modes: list[tuple[bool | None, float]], *, least: float = 0.0
) -> Outcome:
    """`modes`: whether reduced-precision reductions are allowed (None: the type has none), and the bound in u."""
    del expect
    import torch

    devices = able_devices(env, kind)
    if devices[0][0] == "cpu":
        modes = modes[:1]  # the flag is the GPU's
    dtype = getattr(torch, kind.dtype)
    size = _SIZE[devices[0][0].partition(":")[0]]
    generator = torch.Generator().manual_seed(0)
    # The reference is of the operands as they are stored.
    left = torch.randn((size, _K), generator=generator, dtype=torch.float64).to(dtype).double()
    right = torch.randn((_K, size), generator=generator, dtype=torch.float64).to(dtype).double()
    # In parts: a product under test that is in float64, too, needs a reference that rounds less than it may.
    reference = sum(left[:, part] @ right[part] for part in torch.arange(_K).chunk(_PARTS))
    scale = left.norm(dim=1)[:, None] * right.norm(dim=0)[None] / math.sqrt(_K)
    set_tf32(torch, kind is TF32)
    measured: dict[str, Any] = {}
    problems: list[str] = []
    expected = " and ".join(f"max z ≤ {bound:g} u{_mode(reduced)}" for reduced, bound in modes)
    for device, index in devices:
        for reduced, bound in modes:
            if reduced is not None:
                setattr(torch.backends.cuda.matmul, f"allow_{kind.name}_reduced_precision_reduction", reduced)
            z = float(((_product(env, kind, left, right, device) - reference).abs() / scale).max()) / kind.unit
            name = "max_z_reduced" if reduced else "max_z"
            measured[name] = (round(max(z, measured.get(name, (0.0,))[0]), 3), "u")
            if not z <= bound:
                problems.append(f"max z is {z:.3g} u on {device}{_mode(reduced)}")
            elif z < least:
                return on_gpu(skipped(f"TF32 is allowed and did not engage on {device}", measured=measured), index)
        measured["device"] = device
        if problems:
            break
    data = {"unit": kind.unit, "bounds_u": {"max_z_reduced" if reduced else "max_z": bound for reduced, bound in modes}}
    outcome = verdict(problems, measured=measured, expected=expected, remedy=_remedy(device), data=data)
    return on_gpu(outcome, index if problems or len(devices) == 1 else None)


def able_devices(env: Env, kind: Type) -> list[tuple[str, int | None]]:
    """The devices that compute in this type. Raises Skip where none does."""
    found = env.devices()
    able = [(device, index) for device, index in found if index is None or env.capability(index) >= kind.capability]
    if not able:
        raise Skip(f"{kind.name} needs a GPU of compute capability {'{}.{}'.format(*kind.capability)} or newer")
    return able


def _product(env: Env, kind: Type, left: Any, right: Any, device: str) -> Any:
    """The product in the type's arithmetic, on the device, as float64 on the CPU."""
    import torch

    dtype = getattr(torch, kind.dtype)
    multiply = env.scaled_matmul if kind is FP8 else env.matmul
    try:
        return multiply(left.to(device, dtype), right.to(device, dtype)).cpu().double()
    except RuntimeError as error:
        if device == "cpu" and "not implemented for" in str(error):
            raise Skip(f"this torch multiplies no {kind.name} on the CPU: {error}") from error
        raise


def integers(torch: Any, generator: Any, shape: tuple[int, int], largest: int, nonzeros: int) -> Any:
    """Integers ±1…±largest; in each row as many as `nonzeros`, at random places, and zeros elsewhere."""
    where = {"generator": generator, "device": generator.device}
    values = torch.randint(1, largest + 1, shape, **where).double()
    values *= torch.randint(0, 2, shape, **where).double() * 2 - 1
    if nonzeros >= shape[1]:
        return values
    for rows in values.split(_ROWS):  # sorting all at once takes many times the memory of the result
        places = torch.rand(rows.shape, **where).argsort(dim=1)[:, nonzeros:]
        rows.scatter_(1, places, 0.0)
    return values


def _int64_product(left: Any, right: Any) -> Any:
    """The product of two float64 matrices of integers, computed in integers, as float64."""
    return (left.long() @ right.long()).double()


def _mode(reduced: bool | None) -> str:
    return " with reduced-precision reductions" if reduced else ""


def _remedy(device: str) -> str:
    if device == "cpu":
        return "the CPU libraries of this torch compute wrongly here: run it on another machine, then reinstall torch"
    return "run it again; if it stays, take the GPU out of service and run the vendor's diagnostics"
