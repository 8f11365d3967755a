"""The small files of a build context: what the Dockerfile's layers read, never text inside an instruction.

One folder a layer, so that a change of one layer's list leaves the other layers' cache alone; ``network/`` holds how
this site reads its indexes, ``origin/`` where it has torch's sources or a wheel of them. Whatever a user may set (URLs,
requirements, certificates) stands in these files only.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from gpuimg.errors import RequestError
from gpuimg.facts import Flavor, Toolkit, Wheel
from gpuimg.model import Plan, TorchWheel
from gpuimg.paths import TEMPLATES
from gpuimg.source.files import source_files
from gpuimg.text import shown_path

_JOBS: Final = Path(__file__).resolve().parent / "source" / "guest" / "jobs.py"

CA_PATH: Final = "/tmp/network/ca.pem"
"""In the build container, on a tmpfs of its own."""


def build_files(plan: Plan) -> dict[str, bytes]:
    """Give the context's files but the Dockerfile: name → content."""
    files = {
        "layers/tools/requirements.txt": _requirements(w for w in plan.wheels.torch if w.name == "uv"),
        "layers/torch/requirements.txt": _requirements(from_index(plan, "pypi")),
        "layers/metadata/constraints.txt": _constraints(plan),
        "network/apt.conf": _apt_conf(plan),
        "network/pip.conf": _pip_conf(plan),
        "network/uv.toml": _uv_toml(plan.index_url),
    }
    if plan.wheels.cuda:
        files["layers/cuda/requirements.txt"] = _requirements(plan.wheels.cuda)
    if from_index(plan, "pytorch"):
        files["layers/torch/requirements-pytorch.txt"] = _requirements(from_index(plan, "pytorch"))
        files["network/uv-pytorch.toml"] = (
            _uv_toml(plan.torch_index_url)
            if plan.wheels.closed
            else _uv_toml(plan.index_url, first=plan.torch_index_url)
        )
    if plan.toolkit is not None and plan.toolkit.exclude_files:
        files["layers/system/apt.conf"] = _toolkit_apt_conf(plan.toolkit)
    if plan.wheels.toolkit:
        files["layers/toolkit/requirements.txt"] = _requirements(plan.wheels.toolkit)
    if plan.source is not None:
        files |= source_files(plan.source)
        files["layers/source/requirements.txt"] = _requirements(plan.source.tools)
        if plan.source.toolkit_wheels:
            files["layers/source/toolkit.txt"] = _requirements(plan.source.toolkit_wheels)
    if plan.torch_wheel is not None:
        files |= _wheel_files(plan.torch_wheel)
    if plan.wheels.flavor:
        files["layers/flavor/requirements.txt"] = _requirements(plan.wheels.flavor)
    files |= _extras_files(plan)
    if plan.ca_bundle is not None:
        files["network/ca.pem"] = plan.ca_bundle.decode("utf-8", "surrogateescape")
    return {name: text.encode("utf-8", "surrogateescape") for name, text in files.items()}


def flavor_files(flavor: Flavor, template_dirs: Sequence[Path]) -> dict[str, bytes]:
    """Give what the flavor's template copies: the files in ``files/<flavor>/`` of the template folders, ours last.

    With a health check comes the program that makes it. Raises RequestError for a file that can't be read.
    """
    found: dict[str, Path] = {}
    for folder in (TEMPLATES, *reversed(template_dirs)):
        common = [folder / "files" / "health.py"] if flavor.health is not None else []
        for path in (*common, *sorted((folder / "files" / flavor.name).glob("*"))):
            if path.is_file():
                found[path.name] = path
    try:
        return {f"layers/files/{name}": path.read_bytes() for name, path in sorted(found.items())}
    except OSError as error:
        raise RequestError(f"{shown_path(Path(str(error.filename)))} can't be read: {error.strerror}") from error


def large_files(plan: Plan) -> dict[str, Path]:
    """Give the context's files that are not held in memory: name → where it lies on this machine."""
    wheel = plan.torch_wheel
    return {f"wheels/{wheel.file_name}": wheel.path} if wheel is not None and wheel.path is not None else {}


def code_files(plan: Plan) -> dict[str, Path]:
    """Give the user's own files: name in the context → where it lies. Each copy has a folder of its own."""
    return {
        f"code/{number}/{name}" if name else f"code/{number}": copy.source / name
        for number, copy in enumerate(plan.code)
        for name in copy.files
    }


def _wheel_files(wheel: TorchWheel) -> dict[str, str]:
    """The requirement that installs a wheel of the user's; where a site keeps it is that site's own."""
    if wheel.url is not None:
        return {"origin/requirements-torch.txt": f"torch @ {wheel.url} \\\n    --hash=sha256:{wheel.sha256}\n"}
    place = f"file:///tmp/wheels/{urllib.parse.quote(wheel.file_name)}"
    return {"layers/torch/requirements-torch.txt": f"torch @ {place} \\\n    --hash=sha256:{wheel.sha256}\n"}


def _extras_files(plan: Plan) -> dict[str, str]:
    """What the layer of extras installs; each that is built from its sdist has a folder and a layer of its own."""
    if plan.extra_wheels is None:
        return {"layers/extras/requirements.txt": "".join(f"{extra}\n" for extra in plan.extras)} if plan.extras else {}
    files = {"layers/extras/requirements.txt": _requirements(plan.extra_wheels)} if plan.extra_wheels else {}
    for extra in plan.extra_sdists:
        files[f"layers/extra-{extra.row.name}/requirements.txt"] = _requirements([extra.sdist])
        if extra.tools:
            files[f"layers/extra-{extra.row.name}/tools.txt"] = _requirements(extra.tools)
        if extra.row.memory_per_job_gib is not None:
            files[f"layers/extra-{extra.row.name}/jobs.py"] = _JOBS.read_text(encoding="utf-8")
    return files


def from_index(plan: Plan, index: str) -> tuple[Wheel, ...]:
    """The wheels of the torch layer that one of the two indexes (``pypi``, ``pytorch``) has."""
    return tuple(wheel for wheel in plan.wheels.torch if wheel.index == index)


def _requirements(wheels: Iterable[Wheel]) -> str:
    pins = ((wheel, f"{wheel.name}=={wheel.version}") for wheel in sorted(wheels, key=lambda wheel: wheel.name))
    return "".join(pin + (f" \\\n    --hash=sha256:{wheel.sha256}\n" if wheel.sha256 else "\n") for wheel, pin in pins)


def _constraints(plan: Plan) -> str:
    """What a later `pip install` in the image must leave alone: torch, what is compiled for it, CUDA's libraries."""
    pinned = {"torch", "torchvision", "torchaudio", "triton"}
    wheels = sorted(
        [*plan.wheels.cuda, *plan.wheels.toolkit, *(wheel for wheel in plan.wheels.torch if wheel.name in pinned)],
        key=lambda wheel: wheel.name,
    )
    head = "# Keeps pip and uv (PIP_CONSTRAINT, UV_CONSTRAINT) from replacing torch or its CUDA libraries.\n"
    return head + "".join(f"{wheel.name}=={wheel.version}\n" for wheel in wheels)


_APT_CONF: Final = """\
APT::Install-Recommends "false";
Acquire::Retries "3";
// no caches that the next `apt-get update` makes anew, no manuals and translations that nobody reads in a container
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
DPkg::Options {
  "--path-exclude=/usr/share/doc/*";
  "--path-include=/usr/share/doc/*/copyright";
  "--path-exclude=/usr/share/info/*";
  "--path-exclude=/usr/share/locale/*";
  "--path-exclude=/usr/share/man/*";
};
"""


def _apt_conf(plan: Plan) -> str:
    return _APT_CONF + (f'Acquire::https::CAInfo "{CA_PATH}";\n' if plan.ca_bundle is not None else "")


def _toolkit_apt_conf(toolkit: Toolkit) -> str:
    """dpkg takes the last option that fits a path, so what comes in after all stands behind what stays out."""
    options = [f"--path-exclude={glob}" for glob in toolkit.exclude_files]
    options += [f"--path-include={glob}" for glob in toolkit.include_files]
    return "DPkg::Options {\n" + "".join(f'  "{option}";\n' for option in options) + "};\n"


def _pip_conf(plan: Plan) -> str:
    lines = ["[global]", "disable-pip-version-check = true", "root-user-action = ignore"]
    if plan.ca_bundle is not None:
        lines.append(f"cert = {CA_PATH}")
    if plan.index_url is not None:
        lines.append(f"index-url = {plan.index_url}")
        parts = urllib.parse.urlsplit(plan.index_url)
        if parts.scheme == "http":
            lines.append(f"trusted-host = {parts.hostname}")
    return "".join(f"{line}\n" for line in lines)


def _uv_toml(index_url: str | None, *, first: str | None = None) -> str:
    """uv's settings; the index `first` is asked before the default one, and what it has is taken from it alone."""
    lines = ['cache-dir = "/opt/.uv"', 'link-mode = "hardlink"', 'python-downloads = "manual"']
    if first is not None:
        lines += ["", "[[index]]", f'url = "{first}"']
    if index_url is not None:
        lines += ["", "[[index]]", f'url = "{index_url}"', "default = true"]
    return "".join(f"{line}\n" for line in lines)
