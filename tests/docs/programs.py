"""What documents may type beside gpuimg, and which of gpuimg's commands a test can't run, with the reason."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tests.docs.shell import Command

PROGRAMS: Final[Mapping[str, str]] = {
    "apptainer": "runs a definition file",
    "cd": "goes into a folder",
    "curl": "asks a server that the reader has started",
    "docker": "the engine's own command",
    "git": "gets a checkout",
    "gzip": "packs an image for its way",
    "kubectl": "talks to the reader's cluster",
    "openssl": "makes a token, or shows a certificate",
    "pip": "Python's package manager",
    "podman": "an engine's own command",
    "python": "the reader's program",
    "python3": "the reader's program",
    "sbatch": "sends a batch script",
    "sh": "runs a script that the document shows",
    "squeue": "shows what waits",
    "srun": "Slurm's own command",
    "ssh": "reaches the machine that has the GPUs",
    "sudo": "what the distribution lets root do alone",
    "systemctl": "restarts the engine",
    "tar": "packs a folder",
    "torchrun": "PyTorch's own start",
}
"""A program that a reader has, and what it is for; tests don't run it."""
LOCAL: Final = frozenset({"cat", "cp", "echo", "find", "grep", "head", "ls", "mkdir", "sed", "sort", "tail"})
"""Programs that look at files or change them, which tests run where a reader would."""

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
_RESOLVES: Final = {"--extra", "-e", "--requirements", "--template-dir"}
"""Options of `render` that have uv ask an index; a flavor of one's own may have requirements."""
_NEEDS_A_FILE: Final = {"--ca-bundle"}
"""Options whose file is one of the reader's site."""


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
    if _NEEDS_A_FILE & set(given):
        return "it reads a file of the reader's"
    if given[0] == "export" and not _names_an_image(given):
        return "it exports the reader's project"
    return None


def _names_an_image(given: tuple[str, ...]) -> bool:
    return len(given) > 1 and not given[1].startswith("-")
