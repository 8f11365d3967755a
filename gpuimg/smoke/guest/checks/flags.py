"""numerics.flags: whether the image leaves the arithmetic as torch's releases have it."""

from __future__ import annotations

from typing import Any, Callable

from ..config import Expect
from ..env import Env
from ..outcome import Outcome, verdict

# Each overrides torch's flags from outside: NVIDIA_TF32_OVERRIDE inside cuBLAS and cuDNN, unseen by torch, the other
# when torch is imported. Source: NVIDIA's cuBLAS documentation; at::Context::allowTF32CuBLAS.
_VARIABLES = ("NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE")


def flags(env: Env, expect: Expect) -> Outcome:
    """Every flag that changes results without a word has torch's own default; read, never set.

    A ``sitecustomize``, a ``.pth`` or a variable of the image can turn TF32 on for every program in it.
    """
    del expect
    import torch

    found: dict[str, Any] = {}
    problems = [f"{name}={env.environ[name]} is set" for name in _VARIABLES if env.environ.get(name)]
    for name, (read, default) in _flags(torch).items():
        value = _first(read())
        found[name] = str(value)
        if value != default:
            problems.append(f"{name} is {value} instead of {default}")
    return verdict(
        [f"the image changes numerics: {'; '.join(problems)}"] if problems else [],
        measured=found,
        expected="torch's defaults",
        remedy="unset it in the image, and let each program choose its own arithmetic",
    )


def _flags(torch: Any) -> dict[str, tuple[Callable[[], Any], Any]]:
    """Name → how to read it, and its default: the same in all releases from 2.0 to 2.15 that have the flag."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    found: dict[str, tuple[Callable[[], Any], Any]] = {
        "allow_fp16_reduced_precision_reduction": (lambda: matmul.allow_fp16_reduced_precision_reduction, True),
        "allow_bf16_reduced_precision_reduction": (lambda: matmul.allow_bf16_reduced_precision_reduction, True),
        "cudnn.enabled": (lambda: cudnn.enabled, True),
        "cudnn.benchmark": (lambda: cudnn.benchmark, False),
        "cudnn.deterministic": (lambda: cudnn.deterministic, False),
        "default_dtype": (torch.get_default_dtype, torch.float32),
    }
    # A process must never use both interfaces to TF32, and reading counts.
    if hasattr(torch._C, "_set_fp32_precision_setter"):
        found["fp32_precision"] = (lambda: torch.backends.fp32_precision, "none")
        found["matmul.fp32_precision"] = (lambda: matmul.fp32_precision, "none")
        found["cudnn.conv.fp32_precision"] = (lambda: cudnn.conv.fp32_precision, "tf32")
    else:
        found["matmul.allow_tf32"] = (lambda: matmul.allow_tf32, False)
        found["cudnn.allow_tf32"] = (lambda: cudnn.allow_tf32, True)
    if hasattr(torch._C, "_get_cublas_allow_fp16_accumulation"):
        found["allow_fp16_accumulation"] = (lambda: matmul.allow_fp16_accumulation, False)
    return found


def _first(value: Any) -> Any:
    """Newer releases tell reduced-precision reductions with what else they allow, as a tuple."""
    return value[0] if isinstance(value, tuple) else value
