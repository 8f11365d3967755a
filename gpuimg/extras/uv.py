"""Asking uv: requirements and constraints in, the packages of a lock file out, or why there are none."""

from __future__ import annotations

import importlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gpuimg import toml
from gpuimg.errors import CommandNotFoundError, UpstreamError
from gpuimg.extras.stubs import write_stubs
from gpuimg.facts import Wheel
from gpuimg.text import printable, shorten
from gpuimg.wheels import Target

_KEPT: Final = {"UV_CACHE_DIR", "UV_HTTP_TIMEOUT", "UV_HTTP_RETRIES", "UV_OFFLINE"}
"""uv's variables that say nothing of what an answer is; others would have it ask what the build doesn't."""
_LIMIT_S: Final = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What uv is asked to resolve."""

    requirements: tuple[str, ...]
    constraints: tuple[str, ...]
    target: Target
    preferred: tuple[Wheel, ...] = ()
    """Taken where nothing speaks against it, though a newer one may exist."""
    known: tuple[Wheel, ...] = ()
    """Offered to uv by name and version, so that no index needs to have them."""
    sdists: Mapping[str, Sequence[str]]
    """What may come as an sdist, and what it asks for, which no index tells."""
    index_url: str | None = None
    ca_bundle: bytes | None = None


class UnsolvableError(Exception):
    """Nothing fits: uv's `reason`, for what it was asked."""

    def __init__(self, reason: str, question: Question) -> None:
        super().__init__(reason)
        self.reason = reason
        self.question = question


def ask_uv(question: Question, *, environ: Mapping[str, str]) -> tuple[Mapping[str, Any], ...]:
    """Give the packages of the lock file (PEP 751) that uv comes to. No code of any package is run.

    Raises:
        UnsolvableError: nothing fits.
        UpstreamError: the index doesn't answer, or uv can't work with its answer.
        CommandNotFoundError: there is no uv.
    """
    target = question.target
    environment = uv_environment(environ)
    with tempfile.TemporaryDirectory(prefix="gpuimg-") as scratch:
        folder = Path(scratch)
        write_stubs(question.known, folder / "known")
        _write(folder, question)
        if question.ca_bundle is not None:
            environment["SSL_CERT_FILE"] = str(folder / "ca.pem")
            environment.pop("SSL_CERT_DIR", None)
        command = [
            *find_uv(), "pip", "compile", "--quiet", "--color", "never", "--config-file", "uv.toml",
            "--only-binary", ":all:", *(f"--no-binary={name}" for name in question.sdists),
            "--python", sys.executable, "--python-version", f"{target.python.major}.{target.python.minor}",
            "--python-platform", f"{target.platform.machine}-manylinux_{str(target.glibc).replace('.', '_')}",
            "--constraints", "constraints.txt", "--format", "pylock.toml", "--output-file", "pylock.toml",
            "requirements.txt",
        ]  # fmt: skip
        try:
            done = subprocess.run(
                command, cwd=folder, env=environment, check=False, capture_output=True, timeout=_LIMIT_S
            )
        except subprocess.TimeoutExpired as error:
            raise UpstreamError(_index(question), "", f"has not answered in {_LIMIT_S:.0f} s") from error
        if done.returncode != 0:
            raise _failure(done.stderr.decode(errors="replace").replace(scratch, ""), question)
        lock = (folder / "pylock.toml").read_text(encoding="utf-8")
    return tuple(toml.loads(lock)["packages"])


def uv_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables for uv, without those that would have it ask, or take, something else."""
    others = {"VIRTUAL_ENV", "CONDA_PREFIX"}
    return {
        name: value
        for name, value in environ.items()
        if name not in others and (not name.startswith("UV_") or name in _KEPT)
    }


def find_uv() -> tuple[str, ...]:
    """The command that runs uv: beside this Python, else from PATH. Raises CommandNotFoundError."""
    try:
        return (str(importlib.import_module("uv").find_uv_bin()),)
    except (ImportError, FileNotFoundError):
        path = shutil.which("uv")
    if path is None:
        raise CommandNotFoundError(
            "there is no uv, which resolves packages",
            hints=["`pip install uv`", "or --unlocked-extras, which leaves extras to the build"],
        )
    return (path,)


def _write(folder: Path, question: Question) -> None:
    def quoted(items: Sequence[str]) -> str:
        return ", ".join(map(json.dumps, items))  # a JSON string is a TOML string

    config = ['find-links = ["known"]', 'python-downloads = "never"']
    if question.index_url is not None:
        config += ["[[index]]", f"url = {json.dumps(question.index_url)}", "default = true"]
    for name, requires in question.sdists.items():
        config += ["[[dependency-metadata]]", f"name = {json.dumps(name)}", f"requires-dist = [{quoted(requires)}]"]
    preferred = ['lock-version = "1.0"', 'created-by = "gpuimg"'] if question.preferred else []
    for wheel in question.preferred:
        preferred += ["[[packages]]", f'name = "{wheel.name}"', f'version = "{wheel.version}"']
    files = {
        "uv.toml": config,
        "requirements.txt": question.requirements,
        "constraints.txt": question.constraints,
        "pylock.toml": preferred,
    }
    for name, lines in files.items():
        if lines or name != "pylock.toml":  # an empty one would be no lock file
            (folder / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    if question.ca_bundle is not None:
        (folder / "ca.pem").write_bytes(question.ca_bundle)


def _index(question: Question) -> str:
    return question.index_url or "the package index"


def _failure(stderr: str, question: Question) -> UnsolvableError | UpstreamError:
    """What uv says, as one of our errors: it can't be solved, or there was nobody to ask."""
    text = printable(stderr.strip(), multiline=True)
    head, separator, reason = text.partition("No solution found when resolving dependencies")
    if separator:
        return UnsolvableError(reason.lstrip(":\n").rstrip(), question)
    causes = [line.strip().removeprefix("cause:").strip() for line in text.splitlines() if "cause:" in line]
    last = shorten(causes[-1] if causes else head.removeprefix("error:").strip(), 300)
    hints = ["--unlocked-extras leaves extras to the build"]
    if "certificate" in text:
        hint = "name the certificates that this network takes: --ca-bundle FILE, or SSL_CERT_FILE"
        return UpstreamError(_index(question), "", f"TLS failed: {last}", unreachable=True, hints=[hint, *hints])
    if any(sign in text for sign in ("error sending request", "Failed to fetch", "Request failed")):
        problem = f"can't be read to resolve extras: {last}"
        return UpstreamError(
            _index(question),
            "",
            problem,
            unreachable=True,
            hints=["name an index that answers: --index-url URL", *hints],
        )
    return UpstreamError("uv", "", f"could not resolve the extras\n{text}", hints=hints)
