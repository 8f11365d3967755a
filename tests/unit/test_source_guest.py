"""What runs in the builder: how many compilers memory carries, and what ends a build that isn't what was ordered."""

from __future__ import annotations

import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import gpuimg.source

GUEST = Path(gpuimg.source.__file__).parent / "guest"
GIB = 2**30


def machine(root: Path, *, available_gib: int, **files: str) -> Path:
    """A root with what the kernel tells there; file names have ``__`` where paths have a slash."""
    (root / "proc").mkdir()
    (root / "proc/meminfo").write_text(f"MemTotal: 1 kB\nMemAvailable:   {available_gib * 1024 * 1024} kB\n")
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name.replace("__", "/").replace("_DOT_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """``jobs`` on 16 CPUs."""
    module = runpy.run_path(str(GUEST / "jobs.py"))
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(16)))
    return module["jobs"]  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("available_gib", "files", "expected"),
    [
        (32, {}, 5),
        (1000, {}, 16),
        (3, {}, 1),
        (32, {"memory_DOT_max": "max", "memory_DOT_current": "5"}, 5),
        (64, {"memory_DOT_max": str(20 * GIB), "memory_DOT_current": str(GIB)}, 3),
        (64, {"memory__memory_DOT_limit_in_bytes": str(13 * GIB), "memory__memory_DOT_usage_in_bytes": "0"}, 2),
        (1000, {"cpu_DOT_max": "400000 100000"}, 4),
        (1000, {"cpu_DOT_max": "max 100000"}, 16),
        (1000, {"cpu_DOT_max": "50000 100000"}, 1),
    ],
)
def test_jobs_are_what_memory_and_cpus_carry(
    jobs: Callable[..., int], tmp_path: Path, available_gib: int, files: dict[str, str], expected: int
) -> None:
    assert jobs(6, machine(tmp_path, available_gib=available_gib, **files)) == expected


@pytest.fixture(scope="module")
def finish() -> dict[str, Any]:
    return runpy.run_path(str(GUEST / "finish.py"))


class Order:
    version, python, machine = "2.6.0+cu121", "cp310", "x86_64"


def test_a_wheel_of_another_name_ends_the_build(finish: dict[str, Any]) -> None:
    finish["check_name"]("torch-2.6.0+cu121-cp310-cp310-linux_x86_64.whl", Order)
    with pytest.raises(SystemExit, match=r"made torch-2\.6\.0a0\+git1eba9b3-cp310.*, ordered was torch-2\.6\.0\+cu121"):
        finish["check_name"]("torch-2.6.0a0+git1eba9b3-cp310-cp310-linux_x86_64.whl", Order)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("cuda: Optional[str] = '12.1'\n", None),
        ("cuda = '12.4'\n", "compiled for CUDA 12.4, ordered was 12.1"),
        ("cuda: Optional[str] = None\n", "compiled for CUDA none"),
    ],
)
def test_another_cuda_ends_the_build(finish: dict[str, Any], tmp_path: Path, text: str, problem: str | None) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch/version.py").write_text(f"__version__ = '2.6.0'\n{text}hip: Optional[str] = None\n")
    if problem is None:
        finish["check_cuda"](tmp_path, "12.1")
        return
    with pytest.raises(SystemExit, match=problem):
        finish["check_cuda"](tmp_path, "12.1")


def test_missing_chips_end_the_build_and_more_do_not(finish: dict[str, Any], tmp_path: Path) -> None:
    """With a program in cuobjdump's place, which says what the test wrote."""
    library = tmp_path / "libtorch_cuda.so"
    library.write_bytes(b"\x7fELF .nv_fatbin")
    program = tmp_path / "bin" / "cuobjdump"
    program.parent.mkdir()
    program.write_text(
        '#!/bin/sh\nif [ "$1" = --list-ptx ]; then echo "PTX file    1: x.1.sm_80.ptx"; else '
        'echo "ELF file    1: x.1.sm_80.cubin"; echo "ELF file    2: x.2.sm_90a.cubin"; fi\n'
    )
    program.chmod(0o755)
    finish["check_chips"]([library], ["8.0+PTX"], toolkit=tmp_path)
    for chip in ("9.0", "8.6", "9.0+PTX"):
        with pytest.raises(SystemExit, match=r"hold code for compute_80 sm_80 sm_90a, ordered was"):
            finish["check_chips"]([library], [chip], toolkit=tmp_path)
    library.write_bytes(b"\x7fELF")
    with pytest.raises(SystemExit, match="hold code for no chip"):
        finish["check_chips"]([library], ["8.0"], toolkit=tmp_path)


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs a compiler")
def test_the_programs_are_found_that_have_libraries_to_find(finish: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "x.c").write_text("int x;\n")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", tmp_path / "libx.so", tmp_path / "x.c"], check=True)
    subprocess.run(["gcc", "-c", "-o", tmp_path / "x.o", tmp_path / "x.c"], check=True)
    (tmp_path / "link.so").symlink_to("libx.so")
    assert [path.name for path in sorted(tmp_path.iterdir()) if finish["is_elf"](path)] == ["libx.so"]


def test_the_programs_need_nothing_but_python() -> None:
    """They run in a Python that has neither gpuimg nor its dependencies."""
    for path in sorted(GUEST.glob("*.py")):
        code = f"import runpy; runpy.run_path({str(path)!r})"
        subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True)
