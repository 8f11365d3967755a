"""`Plan` → `Context`: a Dockerfile and its small files, the same bytes each time. No engine, no network, no clock."""

from __future__ import annotations

import dataclasses
import hashlib
import posixpath
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import jinja2

import gpuimg
from gpuimg.buildfiles import CA_PATH, build_files, code_files, flavor_files, from_index, large_files
from gpuimg.facts import UNKNOWN, Matrix
from gpuimg.model import HOME, USER, WORKSPACE, Context, Plan
from gpuimg.naming import REPOSITORY, image_tags, labels
from gpuimg.source.environment import COMPILER_CACHE, SOURCES, TOOLS, build_environment, build_packages
from gpuimg.templating import render_template, template_environment

VENV: Final = "/opt/venv"
CUDA_ROOT: Final = "/opt/cuda"
PYTHON_ROOT: Final = "/opt/python"
_OF_THE_SITE: Final = ("network/", "origin/")
"""How a site reaches its indexes, and where it has torch: other images of the site share the layers."""


def render(plan: Plan, matrix: Matrix, *, template_dirs: Sequence[Path] = (), repository: str = REPOSITORY) -> Context:
    """Give the build context of `plan`, with tags in `repository`.

    Templates in `template_dirs` take the place of gpuimg's by name.
    """
    environment = template_environment(template_dirs)
    digest = _plan_digest(environment, plan, template_dirs)
    files = {
        **build_files(plan),
        **flavor_files(plan.flavor, template_dirs),
        "Dockerfile": _dockerfile(environment, plan, digest=digest),
    }
    return Context(
        files=dict(sorted(files.items())),
        tags=image_tags(plan, matrix, repository=repository),
        plan_digest=digest,
        large=large_files(plan),
        code=code_files(plan),
    )


# --- the Dockerfile --------------------------------------------------------------------------------------------------


def _dockerfile(environment: jinja2.Environment, plan: Plan, *, digest: str) -> bytes:
    values = {
        "plan": plan,
        "version": gpuimg.__version__,
        "labels": labels(plan, digest=digest),
        "environment": _image_environment(plan),
        "venv": VENV,
        "site_packages": f"{VENV}/lib/python{plan.python}/site-packages",
        "cuda_root": CUDA_ROOT,
        "python_root": PYTHON_ROOT,
        "python": f"{PYTHON_ROOT}/python" if plan.standalone_python else "/usr/bin/python3",
        "packages": _packages(plan),
        "command": plan.command or plan.flavor.command,
        "folders": _own_folders(plan),
        "ca_path": CA_PATH if plan.ca_bundle is not None else None,
        "from_pytorch": from_index(plan, "pytorch"),
        **_source_values(plan),
        "trim_cuda": [rule for rule in plan.trim if rule.package in {wheel.name for wheel in plan.wheels.cuda}],
        "trim_torch": [rule for rule in plan.trim if rule.package in {wheel.name for wheel in plan.wheels.torch}],
    }
    return render_template(environment, "Dockerfile.j2", values).encode()


def _source_values(plan: Plan) -> Mapping[str, object]:
    """What the stage that compiles torch reads beside the plan."""
    stage = plan.source
    if stage is None:
        return {}
    return {
        "source_environment": build_environment(plan, stage, cuda_root=CUDA_ROOT),
        "source_packages": build_packages(stage),
        "tools": TOOLS,
        "sources": SOURCES,
        "compiler_cache": COMPILER_CACHE,
    }


def _plan_digest(environment: jinja2.Environment, plan: Plan, template_dirs: Sequence[Path]) -> str:
    """SHA-256 over what the image is: not how it was asked for, nor how this site reaches its indexes."""
    spec = dataclasses.replace(plan.resolution.spec, text="")
    resolution = dataclasses.replace(plan.resolution, spec=spec)
    anywhere = dataclasses.replace(plan, resolution=resolution, ca_bundle=None)
    files = {name: content for name, content in build_files(anywhere).items() if not name.startswith(_OF_THE_SITE)}
    files |= flavor_files(plan.flavor, template_dirs)
    files["Dockerfile"] = _dockerfile(environment, anywhere, digest="")
    digest = hashlib.sha256()
    for name, content in sorted(files.items()):
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return f"sha256:{digest.hexdigest()}"


def _image_environment(plan: Plan) -> Mapping[str, str]:
    """ENV of the image. No LD_LIBRARY_PATH: torch finds its libraries itself; a path there swaps cuDNN in silence."""
    variables = {
        "PATH": f"{VENV}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "VIRTUAL_ENV": VENV,
        "HOME": HOME,
        "USER": USER,  # torch.compile names its cache after the user, and fails for a uid that has no name
        "LANG": "C.UTF-8",
        "PIP_CONSTRAINT": f"{VENV}/constraints.txt",
        "UV_CONSTRAINT": f"{VENV}/constraints.txt",
        "NVIDIA_VISIBLE_DEVICES": "all",
        "NVIDIA_DRIVER_CAPABILITIES": "compute,utility",
        "NVIDIA_REQUIRE_CUDA": f"cuda>={plan.stack.cuda.major}.0",
    }
    if plan.allocator is not None:
        variables[plan.allocator.variable] = plan.allocator.value
    if plan.flavor.health is not None:
        variables["HEALTH_URL"] = plan.flavor.health
    if plan.toolkit is not None:
        programs = f"{plan.toolkit.home}/bin"
        if programs not in variables["PATH"].split(":"):
            variables["PATH"] = variables["PATH"].replace(f"{VENV}/bin:", f"{VENV}/bin:{programs}:")
        variables["CUDA_HOME"] = plan.toolkit.home
        if plan.on_platform.compute_capabilities is not UNKNOWN:
            *architectures, newest = map(str, plan.on_platform.compute_capabilities)
            newest = newest if newest.endswith("+PTX") else f"{newest}+PTX"  # serves chips to come
            variables["TORCH_CUDA_ARCH_LIST"] = ";".join([*architectures, newest])
        if plan.toolkit.kind == "image":
            variables["LD_LIBRARY_PATH"] = ""  # NVIDIA's images set one, which would put their libraries before torch's
        if plan.toolkit.host_compiler is not None:
            variables["CC"] = f"gcc-{plan.toolkit.host_compiler}"
            variables["CXX"] = f"g++-{plan.toolkit.host_compiler}"
            variables["CUDAHOSTCXX"] = f"g++-{plan.toolkit.host_compiler}"
    return {**variables, **plan.environment}


def _own_folders(plan: Plan) -> Sequence[str]:
    """Folders of the image that its user writes to: where containers start, and where the code is."""
    targets = [copy.target if copy.files != ("",) else posixpath.dirname(copy.target) for copy in plan.code]
    return sorted({plan.workdir, *targets} - {WORKSPACE, "/"})


def _packages(plan: Plan) -> Sequence[str]:
    """System packages: the flavor's, the Python of the image with its headers, and what the toolkit needs."""
    packages = [*plan.flavor.packages]
    if not plan.standalone_python:
        packages += ["python3", "python3-dev"] if plan.flavor.compiles else ["python3"]
    if plan.toolkit is not None:
        packages += plan.toolkit.packages
        if plan.toolkit.host_compiler is not None:
            packages += [f"gcc-{plan.toolkit.host_compiler}", f"g++-{plan.toolkit.host_compiler}"]
    return packages
