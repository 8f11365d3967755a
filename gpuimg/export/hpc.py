"""Values that users give for Slurm and Apptainer, checked before a file has them: each stays one plain word."""

from __future__ import annotations

import posixpath
import re
from typing import Final

from gpuimg.errors import RequestError
from gpuimg.export import container
from gpuimg.launch import values as launch_values
from gpuimg.launch.launch import Mount
from gpuimg.text import printable, shown

_LONGEST: Final = 128
_TIME: Final = re.compile(r"\d{1,7}|\d{1,5}:\d{2}(?::\d{2})?|\d{1,4}-\d{1,2}(?::\d{2}){0,2}|UNLIMITED", re.ASCII)
"""https://slurm.schedmd.com/sbatch.html#OPT_time"""
_SIGNAL: Final = re.compile(r"(?:(?P<name>[A-Z]{3,6}\d?)@)?(?P<seconds>\d{1,5})", re.ASCII)
_LAUNCHERS: Final = ("torchrun", "accelerate", "deepspeed", "srun", "mpirun")
_SCHEDULERS: Final = ("SLURM_", "SBATCH_", "SRUN_", "APPTAINER", "SINGULARITY")


def name(text: str, *, option: str) -> str:
    """`text` if it can name a job, an account, a GPU's type. Raises RequestError."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.@+-]*", text) or len(text) > _LONGEST:
        raise RequestError(
            f"`{shown(text)}` is no name for Slurm",
            hints=[f"use letters, digits, _, - and dots: {option} my-name"],
        )
    return text


def partitions(text: str) -> str:
    """`text` if it is a partition or, with commas, several. Raises RequestError."""
    return ",".join(name(part, option="--partition") for part in text.split(","))


def time_limit(text: str) -> str:
    """`text` if it is a time as sbatch reads it. Raises RequestError."""
    if not _TIME.fullmatch(text):
        raise RequestError(
            f"`{shown(text)}` is no time limit",
            hints=["write it as --time 90 (minutes), --time 12:00:00 or --time 2-00:00:00"],
        )
    return text


def signal(text: str) -> str:
    """`text` if it is ``[NAME@]SECONDS``: seconds before the end; without a name SIGTERM. Raises RequestError.

    In the form that sbatch reads.
    """
    match = _SIGNAL.fullmatch(text)
    if match is None or not 0 < int(match["seconds"]) < 2**16:
        raise RequestError(
            f"`{shown(text)}` is no signal before the end",
            hints=["write it as --signal TERM@120: name and seconds"],
        )
    return f"{match['name'] or 'TERM'}@{int(match['seconds'])}"


def log(text: str) -> str:
    """`text` if it can be the file of a job's output, with Slurm's ``%x``, ``%j`` and the like. Raises RequestError."""
    if not re.fullmatch(r"[A-Za-z0-9_%./][A-Za-z0-9_%./+@-]*", text) or len(text) > 1024 or text.endswith("/"):
        raise RequestError(
            f"`{shown(text)}` can't be the file of a job's output",
            hints=["write it as --log logs/%x-%j.out: without spaces; Slurm makes no folder"],
        )
    return text


def image_file(text: str, *, option: str) -> str:
    """`text` if it can be the path of an image file. Raises RequestError."""
    if not text or printable(text) != text or text.startswith("-") or set(text) & set(":,#"):
        raise RequestError(
            f"`{shown(text)}` can't be an image's file",
            hints=[f"write it as {option} images/train{_ending(option)}"],
        )
    return text


def variable(text: str) -> tuple[str, str | None]:
    """Name and value of ``NAME=VALUE``; of ``NAME`` alone no value: the one that it has at the start.

    Raises RequestError, also for a value that looks like a secret: the file is there to be shared.
    """
    named, value = container.variable(text, start="when the job is sent")
    if named.startswith(_SCHEDULERS) or named == "CUDA_VISIBLE_DEVICES":
        raise RequestError(f"{named} is told by the scheduler or Apptainer: it can't be set by hand")
    return named, value


def mount(text: str) -> Mount:
    """The mount that ``SOURCE:TARGET[:ro]`` says: a folder of the nodes, by its absolute path. Raises RequestError."""
    found = container.beside_the_system(launch_values.mount(text))
    if not posixpath.isabs(found.source) or set(found.source + found.target) & set(",\\"):
        raise RequestError(
            f"`{shown(text)}` names no folder of the nodes",
            hints=["write it by its absolute path, without commas: -v /scratch/data:/data:ro"],
        )
    return found


def command(words: tuple[str, ...], *, torchrun: bool, what: str = "the script") -> tuple[str, ...]:
    """`words` if they can be the command in `what`; with `torchrun`, which starts it, no other launcher.

    Raises RequestError.
    """
    container.command(words)
    if words and words[0].startswith("-"):
        raise RequestError(
            f"`{shown(words[0])}` is no program", hints=["name the program first: -- python train.py --lr 1e-4"]
        )
    if torchrun and words and posixpath.basename(words[0]) in _LAUNCHERS:
        raise RequestError(
            f"{what} starts torchrun itself, and {shown(words[0])} would start its own processes in each",
            hints=["name what they run: -- python train.py", "or --no-torchrun, which runs the command once a node"],
        )
    return words


def torchrun_word(text: str) -> str:
    """`text` as torchrun hands it on unchanged; but for ``${local_rank}``, which it fills in, it reads ``$$`` as ``$``.

    https://github.com/pytorch/pytorch/blob/main/torch/distributed/elastic/utils/api.py

    >>> torchrun_word("a$$b $5"), torchrun_word("$HOME/${local_rank}")
    ('a$$$$b $$5', '$HOME/${local_rank}')
    """
    return text.replace("$", "$$") if "$$" in text else text


def _ending(option: str) -> str:
    return f".{option.removeprefix('--')}"
