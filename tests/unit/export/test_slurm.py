"""Batch scripts: right for sbatch and shellcheck, and run for real, with stand-ins for what a cluster has."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuimg import __version__
from gpuimg.errors import RequestError
from gpuimg.export.image import ExportedImage
from gpuimg.export.slurm import Job, render_job
from gpuimg.launch.launch import Mount
from gpuimg.templating import shell_word
from gpuimg.versions import Platform
from tests.golden_file import Golden
from tests.unit.export.cluster import Cluster

GOLDEN: Final = Path(__file__).parents[2] / "golden" / "slurm"
SHELLCHECK: Final = Path(sys.executable).with_name("shellcheck")
OURS: Final = ExportedImage(
    reference="registry.example.com:5000/team/gpuimg:2.6.0-cu124",
    python="/opt/venv/bin/python",
    platform=Platform.AMD64,
    labels={"io.gpuimg.stack": "2.6.0-cu124"},
)
ONE_GPU: Final = Job(image=OURS, command=("python", "train.py"))
TWO_NODES: Final = Job(image=OURS, command=("python", "-u", "train.py", "--lr", "1e-4"), nodes=2, gpus=8, cpus=64)
ALL_OPTIONS: Final = replace(
    TWO_NODES,
    image_file="images/my train.sif",
    name="bert-large",
    gpu_type="h100",
    memory_bytes=512 * 2**30,
    time="2-00:00:00",
    partition="gpu,gpu-long",
    account="nlp",
    signal="TERM@120",
    log="logs/%x-%j.out",
    environment=(("HF_TOKEN", None), ("NCCL_SOCKET_IFNAME", "ib0"), ("MOTTO", "it's $(id)")),
    mounts=(Mount(source="/scratch/my data", target="/data", read_only=True),),
    caches=False,
)
PYXIS: Final = replace(TWO_NODES, container="pyxis", environment=(("HF_TOKEN", None),))
CASES: Final = {
    "one-gpu": ONE_GPU,
    "all-options": ALL_OPTIONS,
    "pyxis": PYXIS,
    "pyxis-file": replace(ONE_GPU, container="pyxis", image_file="train.sqsh"),
    "own-launcher": replace(TWO_NODES, torchrun=False),
    "no-gpu": replace(ONE_GPU, gpus=0, nodes=3),
}
NASTY: Final = [
    "",
    "a b",
    "it's",
    '"',
    "$HOME",
    "$(id)",
    "`id`",
    "\\",
    "{{ x }}",
    "#",
    "*",
    "ä",
    "-n",
    "~",
    "!",
    "&",
    ";",
]


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(tmp_path)


def directives(text: str) -> Mapping[str, str]:
    """What sbatch reads: lines before the first one that is neither empty nor a comment."""
    head = re.split(r"^(?!#|\n)", text, maxsplit=1, flags=re.MULTILINE)[0]
    return dict(re.findall(r"^#SBATCH --([a-z-]+)=(.*)$", head, flags=re.MULTILINE))


@pytest.mark.parametrize("name", CASES)
def test_script_is_the_golden_one(name: str, golden: Golden) -> None:
    text = render_job(CASES[name]).replace(__version__, "VERSION")
    golden(text, GOLDEN / f"{name}.sbatch")


def test_shellcheck_has_no_complaint() -> None:
    check = [str(SHELLCHECK), "--norc", "--shell=bash"]
    done = subprocess.run(
        [*check, *map(str, GOLDEN.glob("*.sbatch"))], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.stdout, done.returncode) == ("", 0)
    broken = render_job(ONE_GPU).replace('"${command[@]}"', "${command[@]}")
    done = subprocess.run([*check, "-"], input=broken, capture_output=True, text=True, check=False, timeout=60)
    assert "SC2068" in done.stdout


def test_sbatch_reads_every_option() -> None:
    assert directives(render_job(ALL_OPTIONS)) == {
        "job-name": "bert-large",
        "nodes": "2",
        "ntasks-per-node": "1",
        "gpus-per-node": "h100:8",
        "cpus-per-task": "64",
        "mem": "512G",
        "time": "2-00:00:00",
        "partition": "gpu,gpu-long",
        "account": "nlp",
        "signal": "TERM@120",
        "output": "logs/%x-%j.out",
    }
    assert render_job(ALL_OPTIONS).count("#SBATCH") == 11
    assert "gpus-per-node" not in directives(render_job(CASES["no-gpu"]))


def test_torchrun_meets_at_the_first_node(cluster: Cluster) -> None:
    done = cluster.send(TWO_NODES, SLURM_GPUS_ON_NODE="8")
    assert (done.returncode, done.stderr) == (0, "")
    for node in (0, 1):
        assert cluster.saw(node)["arguments"] == [
            *("-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=8", "--max-restarts=0"),
            *("--rdzv-backend=c10d", "--rdzv-endpoint=node-1:13456", "--rdzv-id=123456"),
            *("--no-python", "python", "-u", "train.py", "--lr", "1e-4"),
        ]


def test_options_of_sbatch_decide_how_many_processes_there_are(cluster: Cluster) -> None:
    """`sbatch --nodes=1 --gpus-per-node=4` leaves the script's lines as they are; variables tell it."""
    assert cluster.send(TWO_NODES, nodes=1, SLURM_GPUS_ON_NODE="4").returncode == 0
    assert cluster.saw()["arguments"][2:4] == ["--nnodes=1", "--nproc-per-node=4"]


def test_a_script_of_python_needs_no_python_in_the_command(cluster: Cluster) -> None:
    assert cluster.send(replace(TWO_NODES, command=("train.py", "--lr", "1"))).returncode == 0
    assert cluster.saw()["arguments"][-3:] == ["train.py", "--lr", "1"]
    assert "--no-python" not in cluster.saw()["arguments"]
    assert cluster.send(replace(ONE_GPU, command=("train.py", "--lr", "1"))).returncode == 0
    assert cluster.saw()["arguments"] == ["train.py", "--lr", "1"]


def test_a_launcher_of_ones_own_runs_once_a_node(cluster: Cluster) -> None:
    done = cluster.send(replace(TWO_NODES, torchrun=False, command=("program", "launch")))
    assert done.returncode == 0
    for node in (0, 1):
        saw = cluster.saw(node)
        assert saw["arguments"] == ["launch"]
        assert (saw["environ"]["MASTER_ADDR"], saw["environ"]["MASTER_PORT"]) == ("node-1", "13456")
        assert saw["environ"]["SLURM_NODEID"] == str(node)


def test_the_command_arrives_word_for_word(cluster: Cluster) -> None:
    assert cluster.send(replace(ONE_GPU, command=("program", *NASTY))).returncode == 0
    assert cluster.saw()["arguments"] == NASTY
    assert cluster.send(replace(TWO_NODES, command=("program", *NASTY))).returncode == 0
    assert cluster.saw(1)["arguments"][-len(NASTY) :] == NASTY


@pytest.mark.parametrize("job", [ONE_GPU, TWO_NODES])
def test_the_exit_code_is_passed_on(job: Job, cluster: Cluster) -> None:
    job = replace(job, command=("program",), environment=(("CODE", "7"),))
    assert cluster.send(job).returncode == 7
    assert "--kill-on-bad-exit=1" in cluster.log("srun")


def test_the_container_gets_what_was_named_and_no_more(cluster: Cluster) -> None:
    """Of CC, which a module has set, torch.compile would take a compiler that isn't in the image."""
    wanted = (("HF_TOKEN", None), ("UNSET", None), *((f"V{place}", text) for place, text in enumerate(NASTY)))
    job = replace(TWO_NODES, environment=wanted, command=("program",))
    assert cluster.send(job, HF_TOKEN="hf a,b", NCCL_SOCKET_IFNAME="ib0").returncode == 0
    environ = cluster.saw(1)["environ"]
    assert [environ[f"V{place}"] for place in range(len(NASTY))] == NASTY
    assert (environ["HF_TOKEN"], environ["NCCL_SOCKET_IFNAME"], environ["NCCL_DEBUG"]) == ("hf a,b", "ib0", "WARN")
    assert (environ["SLURM_JOB_ID"], environ["CUDA_VISIBLE_DEVICES"]) == ("123456", "1,7")
    assert environ["PYTHONNOUSERSITE"] == "1"
    assert not {"CC", "HOME", "UNSET"} & set(environ)


def test_what_variables_hold_is_not_evaluated_by_apptainer(cluster: Cluster) -> None:
    """Apptainer's own shell would: APPTAINERENV_A='$(id)' runs id, unless this variable is set."""
    assert "APPTAINER_NO_EVAL=1" in render_job(ONE_GPU)
    job = replace(ONE_GPU, command=("program",), environment=(("A", "$(id)"),))
    assert cluster.send(job).returncode == 0
    assert cluster.saw()["environ"]["A"] == "$(id)"


def test_folders_are_where_docker_would_have_them(cluster: Cluster) -> None:
    job = replace(ONE_GPU, mounts=ALL_OPTIONS.mounts, command=("program",))
    assert cluster.send(job, TORCH_HOME=str(cluster.folder / "hub")).returncode == 0
    assert cluster.log("apptainer-0") == [
        "--nv",
        "--cleanenv",
        "--pwd /workspace",
        f"--bind {cluster.folder}:/workspace",
        "--bind /scratch/my data:/data:ro",
        f"--bind {cluster.home}/.cache/huggingface:/cache/huggingface",
        f"--bind {cluster.folder}/hub:/cache/torch",
    ]
    assert (cluster.home / ".cache" / "huggingface").is_dir()
    environ = cluster.saw()["environ"]
    assert (environ["HF_HOME"], environ["TORCH_HOME"]) == ("/cache/huggingface", "/cache/torch")
    assert cluster.log("image") == ["gpuimg_2.6.0-cu124.sif"]


def test_an_image_with_its_program_in_a_folder_of_its_own_starts_there(cluster: Cluster) -> None:
    image = replace(OURS, labels={**OURS.labels, "io.gpuimg.workdir": "/app"})
    assert cluster.send(replace(ONE_GPU, image=image, caches=False, command=("program",))).returncode == 0
    assert cluster.log("apptainer-0")[2:] == ["--pwd /app", f"--bind {cluster.folder}:/workspace"]


def test_an_image_that_is_not_there_is_said_before_anything_starts(cluster: Cluster) -> None:
    done = cluster.run(render_job(ALL_OPTIONS), nodes=2)
    assert done.returncode == 2
    assert "error: images/my train.sif is not there" in done.stderr
    assert not (cluster.logs / "srun").exists()


def test_one_process_stays_one_whatever_sbatch_is_told(cluster: Cluster) -> None:
    assert cluster.send(replace(ONE_GPU, command=("program",))).returncode == 0
    assert {"--nodes=1", "--ntasks=1"} <= set(cluster.log("srun"))
    assert cluster.send(TWO_NODES).returncode == 0
    assert cluster.log("srun").count("--ntasks=1") == 1


def test_pyxis_gets_image_mounts_and_names_of_variables(cluster: Cluster) -> None:
    job = replace(PYXIS, mounts=(Mount(source="/scratch", target="/data", read_only=True),))
    done = cluster.send(job, SLURM_GPUS_ON_NODE="8", HF_TOKEN="hf", NCCL_SOCKET_IFNAME="ib0", ENROOT_X="1")
    assert (done.returncode, done.stderr) == (0, "")
    named = "PYTHONNOUSERSITE,HF_HOME,TORCH_HOME,HF_TOKEN,NCCL_DEBUG,NCCL_SOCKET_IFNAME"
    caches = ",".join(f"{cluster.home}/.cache/{name}:/cache/{name}" for name in ("huggingface", "torch"))
    assert cluster.log("srun") == [
        "--kill-on-bad-exit=1",
        f"--export=HOME,PATH,USER,ENROOT_X,{named}",
        f"--container-env={named}",
        "--container-image=registry.example.com:5000#team/gpuimg:2.6.0-cu124",
        f"--container-mounts={cluster.folder}:/workspace,/scratch:/data:ro,{caches}",
        "--container-workdir=/workspace",
        "--no-container-mount-home",
    ]
    assert cluster.saw(1)["arguments"][:3] == ["-m", "torch.distributed.run", "--nnodes=2"]


def test_pyxis_gets_a_file_by_its_whole_path(cluster: Cluster) -> None:
    """A name without a slash would be one of Docker Hub's."""
    job = replace(ONE_GPU, container="pyxis", image_file="train.sqsh", command=("program",))
    assert cluster.send(job).returncode == 0
    assert f"--container-image={cluster.folder}/train.sqsh" in cluster.log("srun")


def test_a_job_without_a_command_is_refused() -> None:
    with pytest.raises(RequestError, match="needs a command"):
        render_job(replace(ONE_GPU, command=()))


@given(st.text(max_size=30))
@settings(deadline=None)
def test_any_text_is_refused_or_one_word(text: str) -> None:
    try:
        word = shell_word(text)
    except RequestError:
        return
    assert shlex.split(word) == [text]
    assert "\n" not in word


@pytest.mark.parametrize(
    "job",
    [
        replace(ONE_GPU, image=replace(OURS, reference="x:1\nid")),
        replace(ONE_GPU, name="x\n#SBATCH --uid=0"),
        replace(ONE_GPU, partition="x\nid"),
        replace(ONE_GPU, log="x\nid"),
        replace(ONE_GPU, signal="TERM@1\nid"),
        replace(ONE_GPU, image_file="x\nid"),
        replace(ONE_GPU, command=("a\nid",)),
        replace(ONE_GPU, environment=(("A\nid", "x"),)),
        replace(ONE_GPU, mounts=(Mount(source="/x\nid", target="/y"),)),
    ],
)
def test_no_value_begins_a_line(job: Job) -> None:
    """The second wall: `hpc` would not have let it through."""
    with pytest.raises(RequestError):
        render_job(job)
