"""Group `stack`: what is installed and what torch really loaded, against what the image promises."""

from __future__ import annotations

import importlib
import platform
import sys

from ..config import Expect
from ..env import Env
from ..installed import requirements_of, requires_python, torch_version, unmet
from ..libraries import cudnn_runtime
from ..outcome import Outcome, skipped, verdict
from ..requirements import Requirement, parse_requirement
from ..versions import capability, dotted, release, same


def torch(env: Env, expect: Expect) -> Outcome:
    """Import torch; its version, CUDA, C++ ABI and architectures equal the promised ones.

    Where nothing is promised: what it imports as is what is installed, and what its own metadata requires is there
    (its nvidia-* and triton pins are stack.pip_consistent's).
    """
    import torch as module

    flags = env.arch_flags()
    measured = {
        "torch": module.__version__,
        "cuda": module.version.cuda or "none",
        "cxx11_abi": str(module.compiled_with_cxx11_abi()).lower(),
        "architectures": " ".join(flags) if flags else "none",
    }
    problems = []
    if expect.torch is None:
        problems += _foreign(module.__version__)
    elif module.__version__ != expect.torch:
        problems.append(f"torch is {module.__version__} instead of {expect.torch}")
    if expect.cuda is not None and module.version.cuda != expect.cuda:
        problems.append(f"torch is built for CUDA {module.version.cuda} instead of {expect.cuda}")
    if expect.cxx11_abi is not None and bool(module.compiled_with_cxx11_abi()) is not expect.cxx11_abi:
        problems.append(f"the C++11 ABI is {measured['cxx11_abi']} instead of {str(expect.cxx11_abi).lower()}")
    if expect.compute_capabilities is not None and flags:
        wanted = {flag for item in expect.compute_capabilities for flag in _flags(item)}
        if set(flags) != wanted:
            problems.append(f"torch is compiled for {measured['architectures']} instead of {' '.join(sorted(wanted))}")
    return verdict(
        problems,
        measured=measured,
        expected=f"torch {expect.torch}" if expect.torch else "what is installed imports, and its requirements hold",
        remedy="rebuild the image, or correct the matrix row",
    )


def python(env: Env, expect: Expect) -> Outcome:
    """The interpreter is the promised minor release; else torch's Requires-Python holds."""
    del env
    found = platform.python_version()
    if expect.python is not None:
        wanted = f"Python {expect.python}"
        problems = [] if same(found, expect.python) else [f"Python is {found} instead of {expect.python}"]
    else:
        rule = requires_python("torch")
        wanted = f"Python {rule}" if rule else "reported"
        holds = parse_requirement(f"python{rule}").holds(found)
        problems = [] if holds else [f"Python is {found}, and torch requires {rule}"]
    return verdict(problems, measured={"python": found, "executable": sys.executable}, expected=wanted)


def companions(env: Env, expect: Expect) -> Outcome:
    """torchvision and torchaudio have the promised versions, import, and were built for this torch.

    By metadata *and* import: a companion of another torch installs without complaint and fails to load. torchvision's
    own operator runs, because its import alone only warns where its library doesn't load.
    """
    wanted = {"torchvision": expect.torchvision, "torchaudio": expect.torchaudio}
    found = {name: env.installed_version(name) for name in wanted}
    if not any(found.values()) and not any(wanted.values()):
        return skipped("neither torchvision nor torchaudio is installed or promised")
    problems: list[str] = []
    for name, version in found.items():
        problems += _companion(name, version, wanted[name])
    return verdict(
        problems,
        measured={name: version or "none" for name, version in found.items()},
        expected=", ".join(f"{name} {version}" for name, version in wanted.items() if version)
        or "companions import and were built for this torch",
        remedy="install the companions of this torch release",
    )


def cudart(env: Env, expect: Expect) -> Outcome:
    """cudaRuntimeGetVersion of the loaded runtime equals the row's CUDA."""
    return _library(env, "cudart", expect.cuda or _torch_cuda())


def cudnn(env: Env, expect: Expect) -> Outcome:
    """cudnnGetVersion of the loaded cuDNN equals the row, is of the major release that torch was compiled with and not
    older, and its own CUDA runtime is of torch's major release.

    torch's own wheels may pin a newer minor: that of 2.8.0 was compiled with 9.8.0 and pins 9.10.2.
    """
    import torch as module

    answer = env.library("cudnn")
    problems = _differs("cuDNN", answer.text, expect.cudnn or env.pin("nvidia-cudnn"))
    measured: dict[str, str] = {"cudnn": answer.text, "path": answer.path}
    compiled = getattr(getattr(module._C, "_cudnn", None), "getCompileVersion", None)
    if compiled is not None:
        built = tuple(compiled())
        measured["compiled_with"] = dotted(built)
        if answer.version[:1] != built[:1] or answer.version < built:
            problems.append(f"cuDNN {answer.text} is loaded, and torch was compiled with {dotted(built)}")
        runtime = cudnn_runtime(env.load_library)
        measured["cudnn_cudart"] = dotted(runtime)
        if module.version.cuda and runtime[:1] != release(module.version.cuda)[:1]:
            problems.append(f"cuDNN was built for CUDA {dotted(runtime)}, and torch for {module.version.cuda}")
    return verdict(
        problems,
        measured={**measured, "function": answer.function},
        expected=f"cuDNN {expect.cudnn}" if expect.cudnn else "the cuDNN that torch was compiled with",
        remedy="take other cuDNN copies off LD_LIBRARY_PATH: it decides which one torch loads",
    )


def nccl(env: Env, expect: Expect) -> Outcome:
    """ncclGetVersion of the loaded NCCL equals the row."""
    return _library(env, "nccl", expect.nccl or env.pin("nvidia-nccl"))


def nvrtc(env: Env, expect: Expect) -> Outcome:
    """nvrtcVersion equals the row's CUDA. Not every torch maps nvrtc at import: then the wheel's file answers."""
    return _library(env, "nvrtc", expect.cuda or _torch_cuda())


def cublas(env: Env, expect: Expect) -> Outcome:
    """cublasLtGetVersion equals torch's own pin: cuBLAS is numbered apart from CUDA, so a row can't promise it."""
    del expect
    return _library(env, "cublas", env.pin("nvidia-cublas"))


def _library(env: Env, name: str, wanted: str | None) -> Outcome:
    import torch as module

    assert module  # the question goes to what importing torch has loaded
    answer = env.library(name)
    return verdict(
        _differs(name, answer.text, wanted),
        measured={name: answer.text, "path": answer.path, "function": answer.function},
        expected=f"{name} {wanted}" if wanted else "it answers",
        remedy="rebuild the image, or take other copies off LD_LIBRARY_PATH",
    )


def _differs(name: str, found: str, wanted: str | None) -> list[str]:
    return [] if wanted is None or same(found, wanted) else [f"{name} is {found} instead of {wanted}"]


def _torch_cuda() -> str | None:
    import torch as module

    cuda: str | None = module.version.cuda
    return cuda


def _foreign(imported: str) -> list[str]:
    on_disk = torch_version()
    problems = [] if on_disk in (None, imported) else [f"{imported} imports, and {on_disk} is on disk"]
    elsewhere = ("nvidia-", "triton", "cuda-")
    return problems + unmet(tuple(item for item in requirements_of("torch") if not item.name.startswith(elsewhere)))


def _companion(name: str, found: str | None, wanted: str | None) -> list[str]:
    if found is None:
        return [f"{name} {wanted} is promised and not installed"] if wanted else []
    # A wheel from PyTorch's own index carries a local version (0.21.0+cu124), one from PyPI does not.
    problems = [] if wanted is None or found.partition("+")[0] == wanted else [f"{name} is {found} instead of {wanted}"]
    problems += [f"{name}: {text}" for text in unmet(_only(name, "torch"))]
    try:
        importlib.import_module(name)
        if name == "torchvision":
            _run_operator()
    except Exception as error:  # noqa: BLE001 - a broken companion raises whatever it likes
        problems.append(f"{name} does not work: {type(error).__name__}: {error}")
    return problems


def _only(name: str, dependency: str) -> tuple[Requirement, ...]:
    return tuple(item for item in requirements_of(name) if item.name == dependency)


def _run_operator() -> None:
    import torch as module

    operators = importlib.import_module("torchvision.ops")
    boxes = module.tensor([[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 2.0, 1.9], [5.0, 5.0, 6.0, 6.0]])
    kept = operators.nms(boxes, module.tensor([0.9, 0.8, 0.7]), 0.5).tolist()
    if kept != [0, 2]:
        raise RuntimeError(f"nms kept {kept} instead of [0, 2]")


def _flags(item: str) -> tuple[str, ...]:
    """How torch names a promised capability: ``9.0`` is sm_90, ``12.0+PTX`` is sm_120 and compute_120."""
    digits = "{}{}".format(*capability(item))
    return (f"sm_{digits}", f"compute_{digits}") if item.endswith("+PTX") else (f"sm_{digits}",)
