"""Images and wishes that compose and devcontainer files are made of, and the real Compose where there is one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from gpuimg.export.image import ExportedImage
from gpuimg.launch.decide import Decision
from gpuimg.launch.elsewhere import decide_elsewhere
from gpuimg.launch.launch import Target
from gpuimg.launch.wishes import Wishes
from gpuimg.versions import Platform

TRAPS: Final = [
    "",
    "a b",
    "it's",
    '"',
    "$HOME",
    "$$",
    "${HOME:-x}",
    "$(id)",
    "`id`",
    "\\",
    "{{ x }}",
    "# c",
    ": x",
    "- x",
    "no",
    "~",
    "1e3",
    "*a",
    "!!int 1",
    "ä",
    "%",
]
"""What means something to YAML, to Compose or to a shell."""


def image(flavor: str = "runtime", *, reference: str | None = None, **labels: str) -> ExportedImage:
    """One that gpuimg builds."""
    ports = {"jupyter": "8888", "serve": "8000"}.get(flavor, "")
    facts = {"stack": "2.6.0-cu124", "python": "3.11", "flavor": flavor, "ports": ports, **labels}
    return ExportedImage(
        reference=reference or f"gpuimg:2.6.0-cu124-py311-{flavor}",
        python="/opt/venv/bin/python",
        labels={f"io.gpuimg.{name}": value for name, value in facts.items() if value},
        platform=Platform.AMD64,
    )


def decided(exported: ExportedImage, *, cdi: bool = False, image_user: bool = False, **wishes: Any) -> Decision:
    """How `exported` is started elsewhere."""
    target = Target(reference=exported.reference, labels=exported.labels, here=False)
    wanted = Wishes(cwd=Path(), **{"gpus": "all", **wishes})
    return decide_elsewhere(wanted, target, cdi=cdi, keeps_home=exported.is_ours, image_user=image_user)


def compose_program() -> Sequence[str] | None:
    """The real Docker Compose: what GPUIMG_COMPOSE names, the one on PATH, or docker's plugin."""
    if named := os.environ.get("GPUIMG_COMPOSE"):
        return [named]
    if (alone := shutil.which("docker-compose")) is not None:
        return [alone] if _answers([alone, "version", "--short"]) else None
    plugin = ["docker", "compose"]
    return plugin if shutil.which("docker") and _answers([*plugin, "version", "--short"]) else None


def read_by_compose(
    program: Sequence[str], text: str, folder: Path, environ: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """What Compose makes of a file: as JSON, or its complaint."""
    (folder / "compose.yaml").write_text(text, encoding="utf-8")
    return subprocess.run(
        [*program, "--project-name", "test", "config", "--format", "json"],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def as_compose_reads(done: subprocess.CompletedProcess[str]) -> Any:
    """The model, with ``$$`` as the single ``$`` that containers get."""
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.replace("$$", "$"))


def _answers(command: Sequence[str]) -> bool:
    """Whether it is Compose 2 or newer: the first one was another program."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    version = done.stdout.strip().removeprefix("v")
    return done.returncode == 0 and version[:1].isdigit() and int(version.partition(".")[0]) >= 2
