"""`Plan` → `Context`: a Dockerfile and its small files, the same bytes each time. No engine, no network, no clock."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import jinja2

import gpuimg
from gpuimg.buildfiles import CA_PATH, build_files, from_index
from gpuimg.model import Context, Matrix, Plan
from gpuimg.naming import REPOSITORY, image_tags, labels
from gpuimg.paths import TEMPLATES

VENV: Final = "/opt/venv"
CUDA_ROOT: Final = "/opt/cuda"
PYTHON_ROOT: Final = "/opt/python"
_UNSET_DIGEST: Final = "-"


def render(plan: Plan, matrix: Matrix, *, template_dirs: Sequence[Path] = (), repository: str = REPOSITORY) -> Context:
    """Give the build context of `plan`, with tags in `repository`.

    Templates in `template_dirs` take the place of gpuimg's by name.
    """
    files = build_files(plan)
    environment = _environment(template_dirs)
    files["Dockerfile"] = _dockerfile(environment, plan, digest=_UNSET_DIGEST)
    digest = _digest(files)
    files["Dockerfile"] = _dockerfile(environment, plan, digest=digest)
    return Context(
        files=dict(sorted(files.items())), tags=image_tags(plan, matrix, repository=repository), plan_digest=digest
    )


# --- the Dockerfile --------------------------------------------------------------------------------------------------


def _environment(template_dirs: Sequence[Path]) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([*map(str, template_dirs), str(TEMPLATES)]),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # a Dockerfile is no HTML: `quoted` is its escape
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["quoted"] = quoted
    return environment


def _dockerfile(environment: jinja2.Environment, plan: Plan, *, digest: str) -> bytes:
    text = environment.get_template("Dockerfile.j2").render(
        plan=plan,
        version=gpuimg.__version__,
        labels=labels(plan, digest=digest),
        environment=_image_environment(plan),
        venv=VENV,
        site_packages=f"{VENV}/lib/python{plan.python}/site-packages",
        cuda_root=CUDA_ROOT,
        python_root=PYTHON_ROOT,
        python=f"{PYTHON_ROOT}/python" if plan.standalone_python else "/usr/bin/python3",
        packages=_packages(plan),
        ca_path=CA_PATH if plan.ca_bundle is not None else None,
        from_pytorch=from_index(plan, "pytorch"),
        trim_cuda=[rule for rule in plan.trim if rule.package in {wheel.name for wheel in plan.wheels.cuda}],
        trim_torch=[rule for rule in plan.trim if rule.package in {wheel.name for wheel in plan.wheels.torch}],
    )
    return text.encode()


def _image_environment(plan: Plan) -> Mapping[str, str]:
    """ENV of the image. No LD_LIBRARY_PATH: torch finds its libraries itself; a path there swaps cuDNN in silence."""
    variables = {
        "PATH": f"{VENV}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "VIRTUAL_ENV": VENV,
        "HOME": "/home/gpuimg",
        "PIP_CONSTRAINT": f"{VENV}/constraints.txt",
        "UV_CONSTRAINT": f"{VENV}/constraints.txt",
        "NVIDIA_VISIBLE_DEVICES": "all",
        "NVIDIA_DRIVER_CAPABILITIES": "compute,utility",
        "NVIDIA_REQUIRE_CUDA": f"cuda>={plan.stack.cuda.major}.0",
    }
    if plan.allocator is not None:
        variables[plan.allocator.variable] = plan.allocator.value
    if plan.toolkit is not None:
        programs = f"{plan.toolkit.home}/bin"
        if programs not in variables["PATH"].split(":"):
            variables["PATH"] = f"{programs}:{variables['PATH']}"
        variables["CUDA_HOME"] = plan.toolkit.home
        variables["TORCH_CUDA_ARCH_LIST"] = ";".join(map(str, plan.compute_capabilities))
        if plan.toolkit.host_compiler is not None:
            variables["CC"] = f"gcc-{plan.toolkit.host_compiler}"
            variables["CXX"] = f"g++-{plan.toolkit.host_compiler}"
            variables["CUDAHOSTCXX"] = f"g++-{plan.toolkit.host_compiler}"
    return variables


def _packages(plan: Plan) -> Sequence[str]:
    """System packages: the flavor's, the Python of the image with its headers, and what the toolkit needs."""
    packages = [*plan.flavor.packages]
    if not plan.standalone_python:
        packages += ["python3", "python3-dev"]
    if plan.toolkit is not None:
        packages += plan.toolkit.packages
        if plan.toolkit.host_compiler is not None:
            packages += [f"gcc-{plan.toolkit.host_compiler}", f"g++-{plan.toolkit.host_compiler}"]
    return packages


def quoted(value: str) -> str:
    r"""`value` as a double-quoted word of a Dockerfile instruction: it can end neither the word nor the line.

    >>> print(quoted('a "b" $c'))
    "a \"b\" \$c"
    """
    if any(ord(character) < 32 or ord(character) == 127 for character in value):
        raise ValueError(f"{value!r} has control characters")
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$") + '"'


def _digest(files: Mapping[str, bytes]) -> str:
    """SHA-256 over names and contents; the CA bundle is how this site reads its index, not what the image is."""
    digest = hashlib.sha256()
    for name, content in sorted(files.items()):
        if name != "network/ca.pem":
            digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return f"sha256:{digest.hexdigest()}"
