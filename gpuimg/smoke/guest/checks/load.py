"""Group `load`: every library opens, each only once, and the CPU computes."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import warnings
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from typing import Any, Callable

from ..config import Expect
from ..env import Env
from ..libraries import plain_name, wheel_folders, wheel_libraries
from ..outcome import Outcome, Skip, skipped, verdict

_RTLD_NOW = getattr(os, "RTLD_NOW", 2)
_ERROR_BYTES = 4096
_BOUND_U = 64

_Function = Callable[..., Any]

# Plugins that NVIDIA's own libraries open by choice, and the parts of a cluster's fabric or MPI that they link.
# An image has those only where the cluster does, so that their absence is no fault of the image.
_PLUGINS = re.compile(
    r"lib(cufile_rdma|nvshmem_bootstrap_\w+|nvshmem_transport_\w+)\.so|nvshmem_(bootstrap|transport)_\w+\.so"
)
_FABRIC = re.compile(r"lib(ibverbs|mlx5|rdmacm|mpi|oshmem|pmix|pmi2?|ucp|ucs|uct|fabric|numa)\.so")

# NVIDIA's libraries, as far as torch loads them: two copies of one of these break in ways that nobody understands.
_NVIDIA = re.compile(
    r"lib(cudart|cudnn\w*|nccl|nvrtc\S*|cublas(Lt)?|cufft|curand|cusolver|cusparse(Lt)?|cupti|nvJitLink)\.so"
)


def dlopen(env: Env, expect: Expect) -> Outcome:
    """Open every library of the wheels, each in a process forked from one that has imported torch. Bound: 0 failures.

    Without a GPU a missing libcuda.so.1 is excused, and nothing else: the driver's library comes from the host.
    """
    del expect
    import torch

    assert torch
    paths = wheel_libraries()
    if not paths:
        raise Skip("torch has no libraries of its own here")
    errors = {path: error for path in paths for error in [_open(path, env.load_library)] if error is not None}
    excused = {path for path, error in errors.items() if _excused(path, error, has_gpu=bool(env.gpus))}
    return verdict(
        [f"{Path(path).name}: {error}" for path, error in errors.items() if path not in excused],
        measured={
            "libraries": (len(paths), "count"),
            "failures": (len(errors) - len(excused), "count"),
            "excused": (len(excused), "count"),
        },
        expected="0 failures",
        remedy="reinstall the wheel that the library belongs to, or what it needs",
        data={"excused": sorted(Path(path).name for path in excused)},
    )


def single_copy(env: Env, expect: Expect) -> Outcome:
    """After importing torch and waking cuDNN, each NVIDIA library is mapped from one file, all parts of cuDNN come from
    one folder, and where a wheel has the library it is the wheel's.

    torch's own libraries find theirs by RPATH, but cuDNN opens its parts through LD_LIBRARY_PATH: another cuDNN there
    is mixed with the wheel's, in silence.
    """
    del expect
    import torch

    assert torch
    with suppress(Skip):
        env.library("cudnn")  # its parts are opened by the first call, not by the import
    loaded = {path for path in env.mapped() if _NVIDIA.match(plain_name(path))}
    if not loaded:
        return skipped("torch has loaded no library of NVIDIA's: it is built without CUDA, or carries them itself")
    problems = _copies(loaded) + _cudnn_parts(loaded) + _not_the_wheels(loaded)
    return verdict(
        problems,
        measured={"libraries": (len(loaded), "count"), "problems": (len(problems), "count")},
        expected="one file for each library, all from the wheels",
        remedy="unset LD_LIBRARY_PATH, and remove the base image's copies of these libraries",
        data={"paths": sorted(loaded)},
    )


def dtype_ops(env: Env, expect: Expect) -> Outcome:
    """matmul, conv2d, SVD and FFT on the CPU against float64. Bound: relative error ≤ 64 u in the Frobenius norm.

    A build whose CPU libraries don't fit the machine is wrong by orders of magnitude, not by roundings: 64 u leaves
    room for every order of summation at these sizes.
    """
    del expect
    import torch

    torch.manual_seed(0)
    measured: dict[str, Any] = {}
    problems, missing = [], []
    for name, unit in (("float32", 2.0**-24), ("float16", 2.0**-11), ("bfloat16", 2.0**-8)):
        for label, operation, reference, shapes in _operations(env, torch):
            if label in ("svd", "fft") and name != "float32":
                continue
            inputs = [torch.randn(shape).to(getattr(torch, name)) for shape in shapes]
            try:
                found = operation(*inputs)
            except RuntimeError as error:
                if "not implemented for" not in str(error):
                    raise
                missing.append(f"{label} of {name}")
                continue
            exact = reference(*(item.double() for item in inputs))
            off = float(torch.linalg.norm(found.to(exact.dtype) - exact) / torch.linalg.norm(exact)) / unit
            measured[f"{label}_{name}"] = (round(off, 3), "u")
            if not off <= _BOUND_U:
                problems.append(f"{label} of {name} is off by {off:.3g} u")
    return verdict(
        problems, measured=measured, expected=f"relative error ≤ {_BOUND_U} u", data={"not_implemented": missing}
    )


def _operations(env: Env, torch: Any) -> tuple[tuple[str, _Function, _Function, tuple[tuple[int, ...], ...]], ...]:
    """Name, operation, its reference in float64, shapes of the inputs."""
    conv2d, svd, fft = torch.nn.functional.conv2d, torch.linalg.svdvals, torch.fft.fft
    return (
        ("matmul", env.matmul, torch.matmul, ((64, 256), (256, 64))),
        ("conv2d", conv2d, conv2d, ((2, 8, 32, 32), (16, 8, 3, 3))),
        ("svd", svd, svd, ((64, 64),)),
        ("fft", fft, fft, ((64, 256),)),
    )


def _open(path: str, load: Callable[..., ctypes.CDLL]) -> str | None:
    """Why the library doesn't open, or None. A fork, because opening one may crash, and must not help the next one."""
    read_end, write_end = os.pipe()
    with warnings.catch_warnings():
        # Python 3.12 warns of a fork beside torch's threads; the child calls nothing but dlopen and _exit.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        try:
            load(path, mode=_RTLD_NOW)
        except BaseException as error:  # noqa: BLE001 - nothing may leave the fork but through _exit
            os.write(write_end, (str(error) or repr(error)).encode(errors="replace")[:_ERROR_BYTES])
        os._exit(0)
    os.close(write_end)
    _, status = os.waitpid(child, 0)
    with os.fdopen(read_end, "rb") as pipe:
        message = pipe.read().decode(errors="replace")
    if os.WIFSIGNALED(status):
        return f"opening it died of {signal.Signals(os.WTERMSIG(status)).name}"
    return message or None


def _excused(path: str, error: str, *, has_gpu: bool) -> bool:
    missing = re.search(r"(\S+): cannot open shared object file", error)
    if missing is None:
        return False
    if missing[1] == "libcuda.so.1":
        return not has_gpu
    return bool(_PLUGINS.match(Path(path).name) and _FABRIC.match(missing[1]))


def _copies(loaded: set[str]) -> list[str]:
    files: dict[str, set[str]] = defaultdict(set)
    for path in loaded:
        files[plain_name(path)].add(os.path.realpath(path))
    return [
        f"{name} is mapped from {' and '.join(sorted(paths))}"
        for name, paths in sorted(files.items())
        if len(paths) > 1
    ]


def _cudnn_parts(loaded: set[str]) -> list[str]:
    folders = {str(Path(os.path.realpath(path)).parent) for path in loaded if plain_name(path).startswith("libcudnn")}
    return [f"parts of cuDNN come from {' and '.join(sorted(folders))}"] if len(folders) > 1 else []


def _not_the_wheels(loaded: set[str]) -> list[str]:
    """Libraries that a wheel has and that were mapped from elsewhere."""
    own = {Path(path).name: os.path.realpath(path) for path in wheel_libraries()}
    roots = tuple(os.path.realpath(folder) + os.sep for folder in wheel_folders())
    return [
        f"{path} is mapped, and the wheel's is {own[Path(path).name]}"
        for path in sorted(loaded)
        if Path(path).name in own and not os.path.realpath(path).startswith(roots)
    ]
