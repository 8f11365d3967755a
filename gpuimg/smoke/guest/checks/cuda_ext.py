"""compiler.cuda_ext: whether an image with nvcc can compile a CUDA extension for its own torch."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from ..config import Expect
from ..env import Env
from ..outcome import Outcome, Skip, failed, verdict
from ..versions import dotted, release

_CPP = "torch::Tensor twice(torch::Tensor x);"
_CUDA = """
#include <torch/extension.h>
__global__ void twice_kernel(const long long *x, long long *y, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) y[i] = 2 * x[i];
}
torch::Tensor twice(torch::Tensor x) {
  auto y = torch::empty_like(x);
  int n = static_cast<int>(x.numel());
  twice_kernel<<<(n + 255) / 256, 256>>>(
      reinterpret_cast<const long long *>(x.data_ptr<int64_t>()),
      reinterpret_cast<long long *>(y.data_ptr<int64_t>()), n);
  return y;
}
"""


def cuda_ext(env: Env, expect: Expect) -> Outcome:
    """Compile, link and import one CUDA kernel with ``cpp_extension.load_inline``; run it where there is a GPU.

    Bounds: the kernel's integers are exact, and nvcc is of torch's CUDA release in major.minor. Where no toolkit is
    promised the major release is enough: that is what torch itself insists on.
    """
    if expect.toolkit is False:
        raise Skip(f"the flavor {expect.flavor or 'of this image'} has no CUDA toolkit, and says so")
    nvcc = _find_nvcc(env, expect)
    if nvcc is None:
        if expect.toolkit:
            return failed("the image promises a CUDA toolkit and has no nvcc", expected="nvcc compiles an extension")
        raise Skip("this image has no nvcc")
    import torch

    if torch.version.cuda is None:
        raise Skip("this torch is built without CUDA")
    found = _nvcc_release(nvcc)
    measured: dict[str, Any] = {"nvcc": found, "path": nvcc, "torch_cuda": torch.version.cuda}
    problems: list[str] = []
    parts = 2 if expect.toolkit else 1
    if release(found)[:parts] != release(torch.version.cuda)[:parts]:
        problems.append(f"nvcc is of CUDA {found}, and torch of {torch.version.cuda}")
    else:
        home = expect.toolkit_home or env.environ.get("CUDA_HOME") or _toolkit_home(nvcc)
        problems += _compile_and_run(env, home, measured)
    return verdict(
        problems,
        measured=measured,
        expected=f"nvcc {dotted(release(torch.version.cuda)[:parts])} compiles an extension that computes exactly",
        remedy="install the toolkit of torch's own CUDA release, a host compiler that it supports, and ninja",
    )


def _find_nvcc(env: Env, expect: Expect) -> str | None:
    for home in (expect.toolkit_home, env.environ.get("CUDA_HOME"), env.environ.get("CUDA_PATH"), "/usr/local/cuda"):
        found = env.which(str(Path(home) / "bin" / "nvcc")) if home else None
        if found is not None:
            return found
    return env.which("nvcc")


def _nvcc_release(nvcc: str) -> str:
    answer = subprocess.run([nvcc, "--version"], capture_output=True, text=True, timeout=60, check=True).stdout
    match = re.search(r"release (\d+\.\d+)", answer)
    if match is None:
        raise RuntimeError(f"`{nvcc} --version` names no release: {answer.strip()}")
    return match[1]


def _toolkit_home(nvcc: str) -> str:
    """Where nvcc's toolkit lies, by its own account: on Debian, for one, nvcc is a script beside other programs."""
    command = [nvcc, "--dryrun", "-x", "cu", "-c", os.devnull, "-o", os.devnull]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    match = re.search(r"^#\$ TOP=(.+)$", answer.stderr, re.MULTILINE)
    return os.path.realpath(match[1]) if match else str(Path(os.path.realpath(nvcc)).parent.parent)


def _compile_and_run(env: Env, home: str, measured: dict[str, Any]) -> list[str]:
    # Both are read when cpp_extension is imported.
    os.environ["CUDA_HOME"] = home
    os.environ["TORCH_CUDA_ARCH_LIST"] = _architecture(env)
    extension = importlib.import_module("torch.utils.cpp_extension")
    import torch

    with tempfile.TemporaryDirectory() as folder:
        module = extension.load_inline(
            name="gpuimg_probe",
            cpp_sources=[_CPP],
            cuda_sources=[_CUDA],
            functions=["twice"],
            build_directory=folder,
        )
        measured["compiled_for"] = os.environ["TORCH_CUDA_ARCH_LIST"]
        if not env.gpus or not torch.cuda.is_available():
            measured["ran"] = "compiled and imported; not run: no GPU"
            return []
        values = torch.arange(100_003, device="cuda", dtype=torch.int64)
        wrong = int((module.twice(values) != values * 2).sum())
        measured["ran"] = "on the GPU"
        return [f"{wrong} of {values.numel()} integers are wrong"] if wrong else []


def _architecture(env: Env) -> str:
    """The GPU's own; without one the newest plain one of torch's, which its toolkit must know."""
    if env.gpus:
        return "{}.{}".format(*env.capability(0))
    plain = [flag[3:] for flag in env.arch_flags() or () if re.fullmatch(r"sm_\d+", flag)]
    if not plain:
        raise Skip("this torch doesn't tell which architectures it was compiled for")
    newest = max(plain, key=int)
    return f"{newest[:-1]}.{newest[-1]}"
