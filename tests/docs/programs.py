"""What documents may type beside gpuimg, and which of gpuimg's commands a test can't run, with the reason."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.docs.documents import ROOT
from tests.docs.shell import Command

PROGRAMS: Final[Mapping[str, str]] = {
    "apptainer": "runs a definition file",
    "cat": "shows a file",
    "cd": "goes into a folder",
    "cp": "copies a file",
    "curl": "asks a server that the reader has started",
    "do": "what a loop of the shell does",
    "docker": "the engine's own command",
    "find": "names files",
    "for": "a loop of the shell",
    "git": "gets a checkout",
    "grep": "shows lines of a file",
    "gzip": "packs an image for its way",
    "kubectl": "talks to the reader's cluster",
    "ls": "shows a folder",
    "mkdir": "makes a folder",
    "openssl": "makes a token, or shows a certificate",
    "pip": "Python's package manager",
    "podman": "an engine's own command",
    "python": "the reader's program",
    "python3": "the reader's program",
    "sbatch": "sends a batch script",
    "sort": "puts lines in order",
    "squeue": "shows what waits",
    "srun": "Slurm's own command",
    "ssh": "reaches the machine that has the GPUs",
    "sudo": "what the distribution lets root do alone",
    "systemctl": "restarts the engine",
    "tail": "shows the end of a file",
    "tar": "packs a folder",
    "torchrun": "PyTorch's own start",
}
"""A program, and what it is for."""

_READS_NOTHING: Final = (
    ("--version",),
    ("export",),
    ("init", "--schema"),
    ("matrix", "export"),
    ("matrix", "list"),
    ("matrix", "show"),
    ("matrix", "validate"),
    ("render",),
    ("report", "schema"),
    ("why",),
)
"""Commands that need neither engine nor network, by their first words."""
_RESOLVES: Final = {"--extra", "-e", "--requirements"}
"""Options of `render` that have uv ask an index."""
_NEEDS_A_FILE: Final = {"--ca-bundle"}
"""Options whose file is one of the reader's site."""

STAGES: Final[Mapping[str, str]] = {
    "docs/guides/own-flavor.md": "examples/own-flavor",
    "docs/guides/own-stack.md": "examples/own-stack",
}
"""A document → the folder in docs/ in which its commands are typed."""


def reason_not_to_run(command: Command) -> str | None:
    """Why a test can't run it; None: it can."""
    given = command.arguments
    if "--help" in given:
        return None
    if command.piped:
        return "it reads what another program writes"
    if any(word.isupper() and word.isalpha() for word in given):
        return "a word in capitals stands for something of the reader's"
    if given[0] == "run" and "--print" in given:
        return None
    if not any(given[: len(words)] == words for words in _READS_NOTHING):
        return "it needs an engine, a network, a machine with GPUs, or files of the reader's"
    if given[0] == "render" and _RESOLVES & set(given):
        return "it asks a package index"
    if "--template-dir" in given:
        return "a flavor of the reader's asks a package index for its requirements"
    if _NEEDS_A_FILE & set(given):
        return "it reads a file of the reader's"
    if given[0] == "export" and not _names_an_image(given):
        return "it exports the reader's project"
    return None


def stage(command: Command, folder: Path) -> None:
    """Put into `folder` what the document says is there."""
    source = STAGES.get(command.where.rpartition(":")[0])
    if source is not None:
        shutil.copytree(ROOT / "docs" / source, folder, dirs_exist_ok=True)


def _names_an_image(given: tuple[str, ...]) -> bool:
    return len(given) > 1 and not given[1].startswith("-")
