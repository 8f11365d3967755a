"""Group `compiler`: gcc and Python's headers are run-time needs of torch.compile."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any, Callable

from ..config import Expect
from ..env import Env
from ..known import why_compile_cannot_work
from ..outcome import Outcome, Skip, failed, on_gpu, skipped, verdict

_BOUND_U = 32
_REMEDY = "install gcc, g++, libc6-dev and the Python headers (python3-dev)"
_MODULE = """\
#include <Python.h>
static PyObject *answer(PyObject *self, PyObject *none) { return PyLong_FromLong(42); }
static PyMethodDef methods[] = {{"answer", answer, METH_NOARGS, ""}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "gpuimg_probe", "", -1, methods};
PyMODINIT_FUNC PyInit_gpuimg_probe(void) { return PyModule_Create(&module); }
"""
_KERNEL = """\
import torch
import triton
import triton.language as tl


@triton.jit
def kernel(x, y, out, n, BLOCK: tl.constexpr):
    places = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = places < n
    tl.store(out + places, tl.load(x + places, mask=inside) + tl.load(y + places, mask=inside), mask=inside)


def add(x, y):
    out = torch.empty_like(x)
    kernel[((x.numel() + 255) // 256,)](x, y, out, x.numel(), BLOCK=256)
    return out
"""


def toolchain(env: Env, expect: Expect) -> Outcome:
    """What triton does before its first kernel: find a C compiler ($CC, gcc, clang), compile a module against Python.h,
    and import it; then /sbin/ldconfig, by which it finds libcuda, and a cache folder that can be written to.
    """
    _needs_compiler(expect)
    compiler = env.environ.get("CC") or env.which("gcc") or env.which("clang")
    if compiler is None:
        return failed(
            "torch.compile cannot work here: no C compiler ($CC, gcc, clang)", expected="it works", remedy=_REMEDY
        )
    problems = []
    include = _include_folder()
    if not (Path(include) / "Python.h").is_file():
        problems.append(f"torch.compile cannot work here: no Python.h in {include}")
    else:
        problems += _build_and_import(compiler, include)
    if not os.access("/sbin/ldconfig", os.X_OK):
        problems.append("no /sbin/ldconfig: triton can't find libcuda without it")
    cache = Path(env.environ.get("TRITON_CACHE_DIR") or Path.home() / ".triton")
    try:
        cache.mkdir(parents=True, exist_ok=True)
        (cache / "probe").write_bytes(b"")
    except OSError as error:
        problems.append(f"triton's cache can't be written: {error}")
    return verdict(problems, measured={"compiler": compiler, "include": include}, expected="it works")


def inductor_cpu(env: Env, expect: Expect) -> Outcome:
    """torch.compile of sin+cos and of a linear layer with a layer norm on the CPU, forward and backward.

    Bounds: within 32 u of eager; at least one generated kernel and no graph break, or eager was compared with itself.
    """
    return _compiled(env, expect, "cpu")


def triton(env: Env, expect: Expect) -> Outcome:
    """The same on the GPU, where torch.compile generates Triton code, and a Triton kernel written by hand.

    Bounds: as inductor_cpu, and the kernel's integers are exact.
    """
    device, index = env.devices()[0]
    outcome = _compiled(env, expect, device)
    if outcome.status != "PASS":
        return on_gpu(outcome, index)
    wrong, count = _run_kernel(device)
    measured = {**outcome.measured, "kernel_wrong_elements": (wrong, "count")}
    problems = [f"{wrong} of {count} integers of a Triton kernel are wrong"] if wrong else []
    expected = f"{outcome.expected}, 0 wrong integers"
    return on_gpu(verdict(problems, measured=measured, expected=expected, remedy=_REMEDY), index)


def _compiled(env: Env, expect: Expect, device: str) -> Outcome:
    _needs_compiler(expect)
    reason = why_compile_cannot_work(env.torch_release, sys.version_info[:2])
    if reason is not None:
        return skipped(reason)
    import torch
    from torch._dynamo.utils import counters
    from torch._inductor import metrics

    torch.manual_seed(0)
    errors: dict[str, float] = {}
    for label, function, inputs in _functions(torch, device):
        compiled = torch.compile(function, fullgraph=True)
        eager, generated = _with_gradients(torch, function, inputs), _with_gradients(torch, compiled, inputs)
        errors[label] = max(float((a - b).abs().max() / a.abs().max()) for a, b in zip(eager, generated)) * 2.0**24
    kernels, breaks = int(metrics.generated_kernel_count), sum(counters["graph_break"].values())
    problems = [f"{label} is off by {error:.3g} u" for label, error in errors.items() if not error <= _BOUND_U]
    if kernels < 1:
        problems.append("no kernel was generated")
    if breaks:
        problems.append(f"{breaks} graph breaks")
    measured: dict[str, Any] = {f"error_{label}": (round(error, 3), "u") for label, error in errors.items()}
    return verdict(
        problems,
        measured={**measured, "generated_kernels": (kernels, "count"), "graph_breaks": (breaks, "count")},
        expected=f"within {_BOUND_U} u of eager, ≥ 1 generated kernel, 0 graph breaks",
        remedy=_REMEDY,
    )


def _run_kernel(device: str) -> tuple[int, int]:
    """Add integers with a kernel written by hand: how many are wrong, and of how many.

    Triton reads the kernel's source from a file of its own, which a module inside a zipapp doesn't have.
    """
    import torch

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "gpuimg_triton_probe.py"
        path.write_text(_KERNEL, encoding="utf-8")
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module
        spec.loader.exec_module(module)
        left = torch.arange(100_003, device=device, dtype=torch.int64)
        found = module.add(left, left * 3)
        return int((found != left * 4).sum()), left.numel()


def _needs_compiler(expect: Expect) -> None:
    if expect.compiles is False:
        raise Skip(f"the flavor {expect.flavor or 'of this image'} has no compiler, and says so")


def _include_folder() -> str:
    """As triton takes it: that of the base interpreter, also in a venv."""
    name = "get_default_scheme" if hasattr(sysconfig, "get_default_scheme") else "_get_default_scheme"  # Python 3.9
    scheme = str(getattr(sysconfig, name)())
    if scheme == "posix_local":  # Debian's Python installs below /usr/local, and has its headers below /usr
        scheme = "posix_prefix"
    return sysconfig.get_paths(scheme=scheme)["include"]


def _build_and_import(compiler: str, include: str) -> list[str]:
    """Build below the temporary folder, so that one mounted noexec shows."""
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder) / "gpuimg_probe.c", Path(folder) / "gpuimg_probe.so"
        source.write_text(_MODULE, encoding="utf-8")
        command = [compiler, str(source), "-O1", "-shared", "-fPIC", f"-I{include}", "-o", str(library)]
        try:
            answer = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        except OSError as error:
            return [f"torch.compile cannot work here: {compiler}: {error.strerror}"]
        if answer.returncode != 0:
            return [f"torch.compile cannot work here: {compiler} failed: {_first_error(answer.stderr)}"]
        refusal = _import_error(library)
        return [] if refusal is None else [f"torch.compile cannot work here: what it builds can't be loaded: {refusal}"]


def _import_error(library: Path) -> str | None:
    spec = importlib.util.spec_from_file_location("gpuimg_probe", library)
    if spec is None or spec.loader is None:
        return "the import system refuses it"
    try:
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    except ImportError as error:
        return str(error)
    return None if module.answer() == 42 else "it computes a wrong answer"


def _first_error(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return next((line for line in lines if "error" in line.lower()), lines[-1] if lines else "no message")


def _functions(torch: Any, device: str) -> tuple[tuple[str, Callable[..., Any], tuple[Any, ...]], ...]:
    norm, linear = torch.nn.LayerNorm(64).to(device), torch.nn.Linear(64, 64).to(device)
    return (
        ("sin_cos", lambda x: torch.sin(x) + torch.cos(x), (torch.randn(128, 64, device=device),)),
        ("norm_linear", lambda x: linear(norm(x)), (torch.randn(32, 64, device=device),)),
    )


def _with_gradients(torch: Any, function: Callable[..., Any], inputs: tuple[Any, ...]) -> list[Any]:
    """The value and the gradients of the inputs; the cosine weights make every gradient another."""
    leaves = [item.detach().clone().requires_grad_() for item in inputs]
    value = function(*leaves)
    weights = torch.cos(torch.arange(value.numel(), dtype=value.dtype, device=value.device)).reshape(value.shape)
    (value * weights).sum().backward()
    return [value.detach(), *(leaf.grad for leaf in leaves)]
