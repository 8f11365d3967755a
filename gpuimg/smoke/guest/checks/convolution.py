"""numerics.conv: cuDNN's convolutions, forward and backward, against exact integers."""

from __future__ import annotations

from typing import Any

from ..config import Expect
from ..env import Env
from ..numerics import describe, set_tf32
from ..outcome import Outcome, Skip, on_gpu, verdict

_BATCH, _CHANNELS, _SIZE = 4, 64, 16
_BOUND_U = 8
_ISOLATED = 1e-3
"""Winograd and FFT round everywhere, or nowhere: fewer wrong elements than this share are no algorithm's doing."""
_UNITS = {"float32": 2.0**-24, "float16": 2.0**-11}


def conv(env: Env, expect: Expect) -> Outcome:
    """conv2d 3×3 in fp32 and fp16, contiguous and channels-last: the result and both gradients.

    All operands are ±1, so that every sum is below 2¹¹ and exact in fp16. Bound: 0 wrong elements; or, since Winograd
    and FFT may round, rounding everywhere of at most 8 u of Σ|a||b|.
    """
    del expect
    import torch

    set_tf32(torch, False)
    torch.backends.cudnn.benchmark = False
    generator = torch.Generator().manual_seed(0)
    signs = [_signs(torch, generator, shape) for shape in _SHAPES]
    reference = _convolved(torch.nn.functional.conv2d, [item.double() for item in signs], padding=1)
    measured: dict[str, Any] = {}
    devices = env.devices()
    for device, index in devices:
        for dtype, layout in (
            ("float32", "contiguous_format"),
            ("float16", "contiguous_format"),
            ("float16", "channels_last"),
        ):
            label = f"{dtype}{'_channels_last' if layout == 'channels_last' else ''}"
            operands = [item.to(device, getattr(torch, dtype), memory_format=getattr(torch, layout)) for item in signs]
            try:
                found = _convolved(env.convolve, operands)
            except RuntimeError as error:
                if device == "cpu" and "not implemented for" in str(error):
                    continue  # this CPU has no such convolution
                raise
            problems = _compare(found, reference, _UNITS[dtype], label, measured)
            if problems:
                return on_gpu(_outcome(problems, measured), index)
    if not measured:
        raise Skip("this torch convolves none of the types on the CPU")
    return on_gpu(_outcome([], measured), index if len(devices) == 1 else None)


_SHAPES = ((_BATCH, _CHANNELS, _SIZE, _SIZE), (_CHANNELS, _CHANNELS, 3, 3), (_BATCH, _CHANNELS, _SIZE, _SIZE))
"""Of the images, the weights and the gradient of the result."""


def _outcome(problems: list[str], measured: dict[str, Any]) -> Outcome:
    return verdict(
        problems,
        measured=measured,
        expected=f"0 wrong elements, or rounding everywhere of at most {_BOUND_U} u",
        remedy="run it again with torch.backends.cudnn.enabled = False: if it holds then, cuDNN is at fault",
    )


def _signs(torch: Any, generator: Any, shape: tuple[int, ...]) -> Any:
    return torch.randint(0, 2, shape, generator=generator).float() * 2 - 1


def _convolved(convolve: Any, operands: list[Any], **options: Any) -> dict[str, Any]:
    """The result and the gradients of both operands, as float64 on the CPU."""
    images, weights = (item.detach().clone().requires_grad_() for item in operands[:2])
    result = convolve(images, weights, **options)
    result.backward(operands[2])
    found = {"result": result, "images_gradient": images.grad, "weights_gradient": weights.grad}
    return {name: item.detach().double().cpu() for name, item in found.items()}


def _compare(
    found: dict[str, Any], reference: dict[str, Any], unit: float, label: str, measured: dict[str, Any]
) -> list[str]:
    problems = []
    terms = {  # Σ|a||b| of each, all operands being ±1
        "result": 9 * _CHANNELS,
        "images_gradient": 9 * _CHANNELS,
        "weights_gradient": _BATCH * _SIZE * _SIZE,
    }
    for part, value in found.items():
        wrong = value != reference[part]
        count = int(wrong.sum())
        measured[f"wrong_{label}_{part}"] = (count, "count")
        if not count:
            continue
        error = float((value - reference[part]).abs().max()) / terms[part] / unit
        measured[f"error_{label}_{part}"] = (round(error, 3), "u")
        if count < _ISOLATED * wrong.numel():
            problems.append(
                f"{label} {part}: {describe(wrong.flatten(1), value.flatten(1), reference[part].flatten(1))}"
            )
        elif not error <= _BOUND_U:
            problems.append(f"{label} {part} is off by {error:.3g} u in {count} of {wrong.numel()} elements")
    return problems
