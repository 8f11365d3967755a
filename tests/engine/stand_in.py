"""A small CUDA package that stands where torch stands: the same names, variables and tools, a minute to compile.

It is built as torch is: setup.py runs CMake and Ninja, with nvcc behind ccache, for the chips of TORCH_CUDA_ARCH_LIST;
it has libraries in ``torch/lib`` that link CUDA's runtime, an extension that finds them beside it, and a submodule.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

VERSION: Final = "0.1.0"
_FILES: Final = {
    "setup.py": """\
import os
import subprocess

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py


class BuildLibraries(build_py):
    def run(self):
        chips = os.environ["TORCH_CUDA_ARCH_LIST"].replace(".", "").split(";")
        real = [f"{chip.partition('+')[0]}-real" for chip in chips]
        virtual = [f"{chip.partition('+')[0]}-virtual" for chip in chips if chip.endswith("+PTX")]
        subprocess.check_call(["cmake", "-G", "Ninja", "-S", ".", "-B", "build/cmake",
                               f"-DCMAKE_CUDA_ARCHITECTURES={';'.join(real + virtual)}"])
        subprocess.check_call(["cmake", "--build", "build/cmake", "--verbose", "-j", os.environ["MAX_JOBS"]])
        with open("torch/version.py", "w") as file:
            release = subprocess.check_output(["nvcc", "--version"], text=True).split("release ")[1].split(",")[0]
            file.write(f"__version__ = {os.environ['PYTORCH_BUILD_VERSION']!r}\\ncuda: str = {release!r}\\n")
        super().run()


setup(
    name="torch",
    version=os.environ["PYTORCH_BUILD_VERSION"],
    packages=["torch"],
    package_data={"torch": ["lib/*.so"]},
    install_requires=os.environ["PYTORCH_EXTRA_INSTALL_REQUIREMENTS"].split(" | "),
    ext_modules=[
        Extension("torch._C", ["csrc/module.cpp"], include_dirs=["third"], libraries=["torch_cuda"],
                  library_dirs=["torch/lib"], runtime_library_dirs=["$ORIGIN/lib", os.path.abspath("torch/lib")])
    ],
    cmdclass={"build_py": BuildLibraries, "build_ext": build_ext},
)
""",
    "pyproject.toml": """\
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta:__legacy__"
""",
    "CMakeLists.txt": """\
cmake_minimum_required(VERSION 3.20)
project(torch LANGUAGES CXX CUDA)
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${CMAKE_SOURCE_DIR}/torch/lib)
set(CMAKE_CUDA_RUNTIME_LIBRARY Shared)
add_library(torch_cuda SHARED csrc/kernel.cu)
add_library(torch_cpu SHARED csrc/host.cpp)
add_library(torch_python SHARED csrc/host.cpp)
""",
    "csrc/kernel.cu": """\
__global__ void twice(float *values) { values[threadIdx.x] *= 2; }
extern "C" int runtime_version() {
  int version = 0;
  cudaRuntimeGetVersion(&version);
  return version;
}
extern "C" void launch(float *values) { twice<<<1, 32>>>(values); }
""",
    "csrc/host.cpp": "int on_the_host() { return 1; }\n",
    "csrc/module.cpp": """\
#include <Python.h>
#include "answer.h"
extern "C" int runtime_version();
static PyObject *version(PyObject *, PyObject *) { return PyLong_FromLong(runtime_version()); }
static PyMethodDef methods[] = {{"runtime_version", version, METH_NOARGS, ANSWER}, {nullptr, nullptr, 0, nullptr}};
static PyModuleDef module = {PyModuleDef_HEAD_INIT, "_C", nullptr, -1, methods};
PyMODINIT_FUNC PyInit__C() { return PyModule_Create(&module); }
""",
    "torch/__init__.py": "from torch._C import runtime_version\nfrom torch.version import __version__\n",
    ".gitmodules": '[submodule "third"]\n\tpath = third\n\turl = ../third.git\n',
}
_THIRD: Final = {"answer.h": '#define ANSWER "from the submodule"\n'}
_GIT: Final = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_AUTHOR_NAME": "test",
    "GIT_AUTHOR_EMAIL": "test@example.com",
    "GIT_AUTHOR_DATE": "2025-01-29T12:00:00Z",
    "GIT_COMMITTER_NAME": "test",
    "GIT_COMMITTER_EMAIL": "test@example.com",
    "GIT_COMMITTER_DATE": "2025-01-29T12:00:00Z",
}


def make_repositories(folder: Path) -> str:
    """Make ``torch.git`` with the tag ``v0.1.0`` and the submodule ``third.git``; give the tag's commit."""
    third = _commit(folder / "third.git", _THIRD)
    torch = folder / "torch.git"
    _commit(torch, _FILES, links={"third": third})
    _git(torch, "tag", f"v{VERSION}")
    return _git(torch, "rev-parse", "HEAD").strip()


@contextlib.contextmanager
def git_server(folder: Path, *, address: str) -> Iterator[str]:
    """Serve the repositories in `folder` until the end of the block; gives the URL that they lie below."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        port = probe.getsockname()[1]
    command = ["git", "daemon", "--reuseaddr", "--export-all", f"--listen={address}", f"--port={port}"]
    server = subprocess.Popen(
        [*command, f"--base-path={folder}", str(folder)], env={**os.environ, **_GIT}, stderr=subprocess.DEVNULL
    )
    try:
        _wait(address, port, server)
        yield f"git://{address}:{port}"
    finally:
        server.terminate()
        server.wait(timeout=10)


def _commit(repository: Path, files: Mapping[str, str], *, links: Mapping[str, str] | None = None) -> str:
    for name, text in files.items():
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / name).write_text(text)
    _git(repository, "init", "--quiet", "--initial-branch", "main")
    _git(repository, "add", ".")
    for path, commit in (links or {}).items():
        _git(repository, "update-index", "--add", "--cacheinfo", f"160000,{commit},{path}")
    _git(repository, "commit", "--quiet", "--message", "for the test")
    return _git(repository, "rev-parse", "HEAD").strip()


def _git(repository: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", repository, *arguments], env={**os.environ, **_GIT}, check=True, capture_output=True, text=True
    )
    return done.stdout


def _wait(address: str, port: int, server: subprocess.Popen[bytes]) -> None:
    for _ in range(100):
        assert server.poll() is None, "git daemon ended"
        with contextlib.suppress(OSError), socket.create_connection((address, port), timeout=0.1):
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(timeout=0.1)
    raise AssertionError("git daemon does not answer")
