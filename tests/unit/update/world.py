"""A small world for whole updates: what PyPI and PyTorch's own index publish, and what people typed."""

from __future__ import annotations

import shutil
from pathlib import Path

from gpuimg.paths import MATRICES
from gpuimg.update.dump import dump
from tests.unit.update.index_server import IndexServer, make_wheel

LIBRARIES = (
    "nvidia_cudnn_cu12-9.1.0.70",
    "nvidia_nccl_cu12-2.21.5",
    "nvidia_cudnn_cu11-9.1.0.70",
    "nvidia_nccl_cu11-2.21.5",
)
ON_LINUX = 'platform_system == "Linux" and platform_machine == "x86_64"'
BUILDS = {
    "schema": 1,
    "oldest_torch": "2.0.0",
    "index_builds": [
        {
            "torch": ["2.6.0"],
            "cuda": "11.8",
            "platforms": ["linux/amd64"],
            "cudnn": "9.1.0.70",
            "nccl": "unknown",
            "libraries": "unknown",
            "requirements": [],
            "sources": [
                {
                    "fields": ["torch", "cuda", "platforms", "cudnn", "nccl", "libraries", "requirements"],
                    "source": "hearsay",
                    "confidence": "seen",
                }
            ],
        }
    ],
    "binaries": [
        {
            "torch": ">=2.0",
            "cuda": None,
            "cxx11_abi": False,
            "glibc": "2.17",
            "sources": [{"fields": ["cxx11_abi", "glibc"], "source": "a look", "confidence": "stated"}],
        }
    ],
    "compute_capabilities": [
        {
            "torch": ["2.6.0"],
            "cuda": "12.4",
            "platform": "linux/amd64",
            "compute_capabilities": ["8.0", "9.0"],
            "sources": [{"fields": ["compute_capabilities"], "source": "a look", "confidence": "stated"}],
        }
    ],
    "companions": [
        {
            "torch": ">=9",
            "cuda": None,
            "package": "torchaudio",
            "version": None,
            "reason": "none",
            "sources": [{"fields": ["version"], "source": "a look", "confidence": "stated"}],
        }
    ],
    "left_out": [
        {
            "torch": None,
            "cuda": None,
            "python": "<3.9",
            "reason": "too old",
            "sources": [{"fields": ["python"], "source": "us", "confidence": "stated"}],
        },
        {
            "torch": "==2.6.0",
            "cuda": "12.4",
            "python": "3.13t",
            "reason": "numpy has no wheel for it",
            "sources": [{"fields": ["python"], "source": "us", "confidence": "stated"}],
        },
    ],
}


def make_matrix(folder: Path) -> Path:
    """A matrix with the real typed rows, but for the builds, and nothing derived yet."""
    shutil.copytree(MATRICES, folder, ignore=shutil.ignore_patterns("wheels", "upstream", "builds.yaml", "torch.yaml"))
    (folder / "builds.yaml").write_text(dump(BUILDS, header="", one_line="-"), encoding="utf-8")
    return folder


def publish(
    index: IndexServer,
    torch: str,
    *,
    pythons: tuple[str, ...] = ("cp310", "cp311", "cp312"),
    more: tuple[str, ...] = (),
) -> None:
    """PyPI's side of a release: torch for CUDA 12.4 and all that it comes with."""
    minor = int(torch.split(".")[1])
    asks = [
        *(f"{name.replace('_', '-').replace('-cu12-', '-cu12==')}; {ON_LINUX}" for name in LIBRARIES[:2]),
        f"triton==3.{minor}.0; {ON_LINUX}",
        "numpy",
        *more,
    ]
    tag = "manylinux1_x86_64"
    for python in pythons:
        size = int(python[2:])  # wheels of different Pythons are different files
        name = f"torch-{torch}-{python}-{python}-{tag}.whl"
        index.add(
            name,
            make_wheel(name, requires=asks, padding_bytes=size, version_py="__version__ = 'x'\ncuda: str = '12.4'\n"),
        )
        for companion, version in (("torchvision", f"0.{minor + 15}.0"), ("torchaudio", torch)):
            name = f"{companion}-{version}-{python}-{python}-{tag}.whl"
            index.add(name, make_wheel(name, requires=[f"torch=={torch}"], padding_bytes=size))
        name = f"triton-3.{minor}.0-{python}-{python}-{tag}.whl"
        index.add(name, make_wheel(name, padding_bytes=size))
    for name in LIBRARIES:
        index.add(f"{name}-py3-none-{tag}.whl")
    for name in ("numpy-2.2.0", "pip-25.0", "setuptools-80.9.0", "uv-0.8.0", "pillow-11.0", "cuda_toolkit-12.4.1"):
        index.add(f"{name}-py3-none-any.whl")


def publish_cu118(pytorch: IndexServer, torch: str) -> None:
    publish_on_pytorch(pytorch, torch, variant="cu118")


def publish_on_pytorch(
    pytorch: IndexServer,
    torch: str,
    *,
    variant: str,
    pythons: tuple[str, ...] = ("cp310", "cp311"),
    asks: list[str] | None = None,
) -> None:
    """PyTorch's own side of a release: torch and its companions for one CUDA."""
    minor = int(torch.split(".")[1])
    major = variant[2:4]
    asks = asks or [
        f"nvidia-cudnn-cu{major}==9.1.0.70; {ON_LINUX}",
        f"nvidia-nccl-cu{major}==2.21.5; {ON_LINUX}",
        f"triton==3.{minor}.0; {ON_LINUX}",
        "numpy",
    ]
    for python in pythons:
        size = int(python[2:])
        name = f"torch-{torch}+{variant}-{python}-{python}-linux_x86_64.whl"
        cuda = f"{major}.{variant[4:]}"
        wheel = make_wheel(name, requires=asks, padding_bytes=size, version_py=f"cuda: str = '{cuda}'\n")
        pytorch.add(name, wheel, variant=variant)
        for companion, version in (("torchvision", f"0.{minor + 15}.0"), ("torchaudio", torch)):
            name = f"{companion}-{version}+{variant}-{python}-{python}-linux_x86_64.whl"
            pytorch.add(name, make_wheel(name, requires=[f"torch=={torch}"]), variant=variant)
