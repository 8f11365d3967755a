"""numerics.sdpa_*: each backend of scaled dot product attention, by force, against float64."""

from __future__ import annotations

import math
import warnings
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from ..config import Expect
from ..env import Env
from ..numerics import set_tf32
from ..outcome import Outcome, Skip, on_gpu, verdict

_BATCH, _HEADS, _WIDTH = 2, 4, 64
_LENGTHS = (128, 1000)
_FORWARD_U, _BACKWARD_U = 8, 32
_UNITS = {"float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}
# What backends.cuda.sdp_kernel of torch up to 2.2 calls them; it has no cuDNN.
_OLD_NAMES = {"math": "enable_math", "flash": "enable_flash", "efficient": "enable_mem_efficient"}
_NAMES = {
    "math": "MATH",
    "flash": "FLASH_ATTENTION",
    "efficient": "EFFICIENT_ATTENTION",
    "cudnn": "CUDNN_ATTENTION",
}
_NO_KERNEL = ("No available kernel", "no available kernel", "No viable backend")


def sdpa_math(env: Env, expect: Expect) -> Outcome:
    """Causal attention in fp32, 64 wide, over 128 and 1000 positions, by the plain formula.

    Bounds, as for all backends: 8 u of max |v| forward, 32 u of the largest gradient backward.
    """
    return _sdpa(env, expect, "math", "float32")


def sdpa_flash(env: Env, expect: Expect) -> Outcome:
    """As sdpa_math in bf16, by FlashAttention, from compute capability 8.0 on."""
    return _sdpa(env, expect, "flash", "bfloat16", capability=(8, 0))


def sdpa_efficient(env: Env, expect: Expect) -> Outcome:
    """As sdpa_math in bf16 (fp16 below compute capability 8.0), by memory-efficient attention."""
    return _sdpa(env, expect, "efficient", "bfloat16")


def sdpa_cudnn(env: Env, expect: Expect) -> Outcome:
    """As sdpa_math in bf16, by cuDNN."""
    return _sdpa(env, expect, "cudnn", "bfloat16", capability=(8, 0))


def _sdpa(env: Env, expect: Expect, backend: str, dtype: str, *, capability: tuple[int, int] = (0, 0)) -> Outcome:
    del expect
    import torch

    set_tf32(torch, False)
    measured: dict[str, Any] = {}
    problems: list[str] = []
    skips = []
    devices = env.devices()
    for device, index in devices:
        chip = (8, 0) if index is None else env.capability(index)
        if chip < capability:
            skips.append(f"{backend} attention needs compute capability {'{}.{}'.format(*capability)} or newer")
            continue
        used = "float16" if dtype == "bfloat16" and chip < (8, 0) else dtype
        for length in _LENGTHS:
            try:
                errors = _errors(torch, env, backend, device, getattr(torch, used), length)
            except Skip as reason:
                skips.append(str(reason))
                break
            for part, (error, bound) in errors.items():
                found = error / _UNITS[used]
                name = f"error_{part}"
                measured[name] = (round(max(found, measured.get(name, (0.0,))[0]), 3), "u")
                if not found <= bound:
                    problems.append(f"{part} over {length} positions is off by {found:.3g} u on {device}")
        if problems:
            break
    if skips and not measured:
        raise Skip(skips[0])
    outcome = verdict(
        problems,
        measured={**measured, "dtype": used},
        expected=f"≤ {_FORWARD_U} u of max |v| forward, ≤ {_BACKWARD_U} u of the largest gradient backward",
        remedy="use another backend meanwhile: torch.nn.attention.sdpa_kernel",
    )
    return on_gpu(outcome, index if problems or len(devices) == 1 else None)


def _errors(torch: Any, env: Env, backend: str, device: str, dtype: Any, length: int) -> dict[str, tuple[float, float]]:
    """Part → relative error and its bound in units of u. Raises Skip, with torch's reasons, where it has no kernel."""
    generator = torch.Generator().manual_seed(length)
    shape = (_BATCH, _HEADS, length, _WIDTH)
    stored = [torch.randn(shape, generator=generator).to(dtype) for _ in range(4)]
    reference = _attended(_exact_attention(torch, length), [item.double() for item in stored])
    forced = nullcontext() if env.simulated else _forced(torch, backend)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            with forced:
                found = _attended(env.attend, [item.to(device) for item in stored])
        except RuntimeError as error:
            if any(text in str(error) for text in _NO_KERNEL):
                reasons = [str(item.message).split(" (Triggered")[0] for item in told]
                raise Skip(f"torch has no such kernel here: {'; '.join(reasons) or error}") from error
            raise
    largest = float(stored[2].double().abs().max())
    errors = {"forward": (float((found[0] - reference[0]).abs().max()) / largest, float(_FORWARD_U))}
    gradients = [float((a - b).abs().max() / b.abs().max()) for a, b in zip(found[1:], reference[1:])]
    errors["gradients"] = (max(gradients), float(_BACKWARD_U))
    return errors


def _attended(attend: Any, operands: list[Any]) -> list[Any]:
    """The result and the gradients of query, key and value, as float64 on the CPU."""
    leaves = [item.detach().clone().requires_grad_() for item in operands[:3]]
    result = attend(*leaves)
    result.backward(operands[3])
    return [item.detach().double().cpu() for item in (result, *(leaf.grad for leaf in leaves))]


def _exact_attention(torch: Any, length: int) -> Any:
    mask = torch.ones(length, length, dtype=torch.bool).tril()

    def attend(query: Any, key: Any, value: Any) -> Any:
        scores = query @ key.transpose(-1, -2) / math.sqrt(_WIDTH)
        return torch.softmax(scores.masked_fill(~mask, -math.inf), -1) @ value

    return attend


def _forced(torch: Any, backend: str) -> AbstractContextManager[Any]:
    try:
        from torch.nn.attention import SDPBackend, sdpa_kernel
    except ImportError:
        wanted: AbstractContextManager[Any] = torch.backends.cuda.sdp_kernel(
            **{option: name == backend for name, option in _OLD_NAMES.items()}
        )
        return wanted
    kind = getattr(SDPBackend, _NAMES[backend], None)
    if kind is None:
        raise Skip(f"this torch has no {backend} attention")
    chosen: AbstractContextManager[Any] = sdpa_kernel([kind])
    return chosen
