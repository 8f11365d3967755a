"""Shared libraries: which ones this process has mapped, which the wheels bring, what NVIDIA's say of themselves.

A question is put to the file that torch really loaded, by the path in ``/proc/self/maps``: opening a library by name
could load another copy and would then praise the wrong one.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from .installed import torch_folder
from .outcome import Skip
from .versions import Release, cublas_version, cuda_version, cudnn_version, dotted, nccl_version

Loader = Callable[[str], ctypes.CDLL]

# cudaErrorInsufficientDriver: what libcudart of CUDA 11 answers to any call on a machine without a driver.
_NO_DRIVER = 35


@dataclass(frozen=True)
class Answer:
    """What a loaded library says of itself, by which function, and the file that said it."""

    version: Release
    function: str
    path: str

    @property
    def text(self) -> str:
        return dotted(self.version)


def mapped() -> tuple[str, ...]:
    """Every shared library that this process has mapped, each path once."""
    found: dict[str, None] = {}
    for line in Path("/proc/self/maps").read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and ".so" in Path(fields[5]).name and fields[5].startswith("/"):
            found.setdefault(fields[5])
    return tuple(found)


def plain_name(path: str) -> str:
    """The file name without the hash of repaired wheels: ``libcudart-d0da41ae.so.11.0`` → ``libcudart.so.11.0``."""
    return re.sub(r"-[0-9a-f]{8}(?=\.so)", "", Path(path).name)


def wheel_folders() -> tuple[Path, ...]:
    """The folders in which wheels keep libraries for torch: ``nvidia/*/lib``, ``cusparselt/lib``, ``torch/lib``."""
    folders: list[Path] = []
    for package in ("nvidia", "cusparselt"):
        spec = importlib.util.find_spec(package)
        for location in (spec.submodule_search_locations or ()) if spec else ():
            folders += [Path(location) / "lib", *sorted(Path(location).glob("*/lib"))]
    torch = torch_folder()
    if torch is not None:
        folders.append(torch / "lib")
    # The same folder can be reached twice: by its own path and by a link in site-packages.
    return tuple({os.path.realpath(folder): folder for folder in folders if folder.is_dir()}.values())


def wheel_libraries() -> tuple[str, ...]:
    """Every ``*.so*`` in `wheel_folders`, each real file once."""
    files = (path for folder in wheel_folders() for path in sorted(folder.glob("*.so*")) if path.is_file())
    return tuple({os.path.realpath(path): str(path) for path in files}.values())


def locate(stem: str, candidates: Iterable[str]) -> str | None:
    """The first candidate that is ``<stem>.so`` or ``<stem>.so.N``, hash or not."""
    return next((path for path in candidates if re.match(re.escape(stem) + r"\.so(\.|$)", plain_name(path))), None)


def ask(library: str, load: Loader) -> Answer:
    """Ask one of NVIDIA's libraries for its version. Raises Skip where it isn't there or can't tell without a driver.

    torch must have been imported. nvrtc isn't mapped by the import on every torch: then the wheel's file is asked.
    """
    stem, function, question = _QUESTIONS[library]
    path = locate(stem, mapped()) or locate(stem, wheel_libraries())
    if path is None:
        raise Skip(f"this torch has no {stem}.so: it is linked into torch itself, or torch is built without CUDA")
    return Answer(question(load(path)), function, path)


def cudnn_runtime(load: Loader) -> Release:
    """The CUDA runtime that the loaded cuDNN was built for."""
    return cuda_version(_size(load(ask("cudnn", load).path), "cudnnGetCudartVersion"))


def _size(library: ctypes.CDLL, function: str) -> int:
    call = getattr(library, function)
    call.restype = ctypes.c_size_t
    return int(call())


def _code(library: ctypes.CDLL, function: str) -> int:
    value = ctypes.c_int()
    status = getattr(library, function)(ctypes.byref(value))
    if status == _NO_DRIVER:
        raise Skip(f"{function} of this CUDA release needs a driver")
    if status != 0:
        raise RuntimeError(f"{function} returned {status}")
    return value.value


def _nvrtc(library: ctypes.CDLL) -> Release:
    major, minor = ctypes.c_int(), ctypes.c_int()
    status = library.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
    if status != 0:
        raise RuntimeError(f"nvrtcVersion returned {status}")
    return major.value, minor.value


_QUESTIONS: dict[str, tuple[str, str, Callable[[ctypes.CDLL], Release]]] = {
    "cudart": ("libcudart", "cudaRuntimeGetVersion", lambda lib: cuda_version(_code(lib, "cudaRuntimeGetVersion"))),
    "cudnn": ("libcudnn", "cudnnGetVersion", lambda lib: cudnn_version(_size(lib, "cudnnGetVersion"))),
    "nccl": ("libnccl", "ncclGetVersion", lambda lib: nccl_version(_code(lib, "ncclGetVersion"))),
    "nvrtc": ("libnvrtc", "nvrtcVersion", _nvrtc),
    "cublas": ("libcublasLt", "cublasLtGetVersion", lambda lib: cublas_version(_size(lib, "cublasLtGetVersion"))),
}
