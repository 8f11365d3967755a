"""numerics.repeat: the same product, again and again."""

from __future__ import annotations

from typing import Any

from ..config import Expect
from ..env import Env
from ..outcome import Outcome, on_gpu, verdict

_RUNS = 200
_SHAPE = {"cpu": (64, 256, 64), "cuda": (1024, 4096, 1024)}


def repeat(env: Env, expect: Expect) -> Outcome:
    """One product in fp32 and one in fp16, 200 times each on one stream. Bound: 0 results that differ from the first.

    One algorithm on one device adds in one order, so that a differing bit is the hardware's (gpu-burn's test).
    """
    del expect
    import torch

    generator = torch.Generator().manual_seed(0)
    measured: dict[str, Any] = {}
    devices = env.devices()
    for device, index in devices:
        rows, inner, columns = _SHAPE[device.partition(":")[0]]
        problems = []
        for dtype in ("float32",) if device == "cpu" else ("float32", "float16"):
            left = torch.randn((rows, inner), generator=generator).to(device, getattr(torch, dtype))
            right = torch.randn((inner, columns), generator=generator).to(device, getattr(torch, dtype))
            first = env.matmul(left, right)
            differing = sum(not torch.equal(env.matmul(left, right), first) for _ in range(_RUNS - 1))
            measured[f"differing_{dtype}"] = (differing, "count")
            if differing:
                problems.append(f"{differing} of {_RUNS} results in {dtype} differ on {device}")
        outcome = on_gpu(
            verdict(
                problems,
                measured={**measured, "runs": (_RUNS, "count")},
                expected="0 differing results",
                remedy="take the GPU out of service and run the vendor's diagnostics",
            ),
            index,
        )
        if problems:
            return outcome
    return outcome if len(devices) == 1 else on_gpu(outcome, None)
