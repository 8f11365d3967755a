"""Values for Slurm and Apptainer: what either would refuse or misread is refused here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest

from gpuimg.errors import RequestError
from gpuimg.export import hpc
from gpuimg.launch.launch import Mount
from tests.unit.export.hostile import refuses

CHECKS: Final[dict[str, Callable[[str], object]]] = {
    "name": lambda text: hpc.name(text, option="--name"),
    "partitions": hpc.partitions,
    "time_limit": hpc.time_limit,
    "signal": hpc.signal,
    "log": hpc.log,
    "variable": hpc.variable,
    "mount": hpc.mount,
}
HOSTILE: Final = [
    "",
    "a b",
    "a\n#SBATCH --uid=0",
    "$(id)",
    "`id`",
    "a\x1b[2J",
    "a\u202e",
    "-rf",
    'a"',
    "a: b",
    "ä",
    "a;b",
]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("name", CHECKS)
def test_hostile_text_is_refused(name: str, text: str) -> None:
    refuses(CHECKS[name], text)


@pytest.mark.parametrize("text", ["90", "30:00", "12:00:00", "2-12", "2-12:30", "2-00:00:00", "UNLIMITED"])
def test_times_are_those_of_sbatch(text: str) -> None:
    assert hpc.time_limit(text) == text


@pytest.mark.parametrize("text", ["2d", "1:2:3:4", "12:0", "-1", "2-", "1.5"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match="no time limit"):
        hpc.time_limit(text)


@pytest.mark.parametrize(("text", "expected"), [("120", "TERM@120"), ("USR1@0300", "USR1@300")])
def test_signals_have_a_name_and_seconds(text: str, expected: str) -> None:
    assert hpc.signal(text) == expected


@pytest.mark.parametrize("text", ["TERM", "TERM@", "B:TERM@60", "TERM@0", "TERM@65536", "term@60"])
def test_what_is_no_signal_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match="no signal"):
        hpc.signal(text)


def test_several_partitions_are_one_value() -> None:
    assert hpc.partitions("gpu,gpu-long") == "gpu,gpu-long"
    with pytest.raises(RequestError):
        hpc.partitions("gpu,,long")


@pytest.mark.parametrize("name", ["CUDA_VISIBLE_DEVICES", "SLURM_JOB_ID", "APPTAINER_BIND", "SINGULARITYENV_X"])
def test_what_the_scheduler_says_cannot_be_set(name: str) -> None:
    with pytest.raises(RequestError, match="can't be set by hand"):
        hpc.variable(f"{name}=0")


def test_a_secret_goes_by_name_alone() -> None:
    assert hpc.variable("HF_TOKEN") == ("HF_TOKEN", None)
    with pytest.raises(RequestError, match="looks like a secret") as caught:
        hpc.variable("HF_TOKEN=hf_abc")
    assert "hf_abc" not in caught.value.message
    assert caught.value.hints == ("--env HF_TOKEN passes on the value that it has when the job is sent",)


@pytest.mark.parametrize("text", ["data:/data", "./data:/data", "/a,b:/data", "/a:/data,x"])
def test_a_mount_is_a_folder_of_the_nodes(text: str) -> None:
    with pytest.raises(RequestError, match="names no folder of the nodes"):
        hpc.mount(text)


def test_mounts_are_read() -> None:
    assert hpc.mount("/scratch/my data:/data:ro") == Mount(source="/scratch/my data", target="/data", read_only=True)


@pytest.mark.parametrize("text", ["", "-x.sif", "a:b.sif", "a\nb.sif", "a#b.sif"])
def test_what_cannot_be_an_image_file_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match="can't be an image's file"):
        hpc.image_file(text, option="--sif")


@pytest.mark.parametrize("program", ["torchrun", "/opt/venv/bin/torchrun", "accelerate"])
def test_torchrun_starts_no_launcher(program: str) -> None:
    with pytest.raises(RequestError, match="starts torchrun itself"):
        hpc.command((program, "train.py"), torchrun=True)
    assert hpc.command((program, "train.py"), torchrun=False)


@pytest.mark.parametrize("words", [("--lr", "1"), ("sh", "-c", "a\nb"), ("echo", "\x1b[2J")])
def test_what_cannot_be_a_command_is_refused(words: tuple[str, ...]) -> None:
    with pytest.raises(RequestError):
        hpc.command(words, torchrun=False)
