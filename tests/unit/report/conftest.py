"""Reports as the smoke step makes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gpuimg.model import Check, Image, Measurement, Report, Status
from tests.unit.report import made_up

GOLDEN = Path(__file__).parents[2] / "golden" / "reports"
NO_GPU = "no GPU was asked for"
NOTICE = (
    "2.6.0 was never published for CUDA 12.1: this image has CUDA 12.4, which runs on the same drivers (525.60.13 and "
    "later)"
)
IMAGE = Image(
    reference="gpuimg:2.6.0-cu124-py311-runtime",
    id="sha256:1cb4cbb13d42c77e0711ee6f2c0facd2876a09b1e82ac3eedb79fe2a833ddcf3",
    tags=("gpuimg:2.6.0-cu124-py311-runtime", "gpuimg:2.6-cu121-compat"),
    size_bytes=5_312_000_000,
    platform="linux/amd64",
    labels={"io.gpuimg.requested": "2.6-cu121", "io.gpuimg.cuda": "12.4"},
)


def check(name: str, status: Status = Status.PASS, **values: float | str | tuple[float, str]) -> Check:
    """A check whose `values` are what it measured."""
    measured = {
        key: Measurement(value=value[0], unit=value[1]) if isinstance(value, tuple) else Measurement(value=value)
        for key, value in values.items()
    }
    return Check(name=name, group=name.split(".", 1)[0], status=status, measured=measured, seconds=0.25)


def stack(name: str, wanted: str, found: str) -> Check:
    return replace(
        check(f"stack.{name}", Status.PASS if wanted == found else Status.FAIL, found=found), expected=wanted
    )


def skip(name: str, reason: str = NO_GPU) -> Check:
    return replace(check(name, Status.SKIP), reason=reason, seconds=0.0)


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Holds a text against the golden file of that name; ``pytest --update-golden`` writes it anew."""

    def check(text: str, name: str) -> None:
        path = GOLDEN / name
        if request.config.getoption("--update-golden", default=False):
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8")

    return check


@pytest.fixture
def healthy() -> Report:
    """A good image on a machine without a GPU."""
    return Report(
        image=IMAGE,
        torch="2.6.0+cu124",
        python="3.11.2",
        gpus=(),
        seconds=64.2,
        notices=(NOTICE,),
        checks=(
            stack("torch", "2.6.0+cu124", "2.6.0+cu124"),
            stack("python", "3.11", "3.11"),
            stack("cudart", "12.4", "12.4"),
            stack("cudnn", "9.1.0", "9.1.0"),
            stack("nccl", "2.21.5", "2.21.5"),
            check("load.dlopen", libraries=(61, "count"), failed=(0, "count")),
            check("load.single_copy", copies=(0, "count")),
            skip("host.gpu"),
            skip("host.driver"),
            skip("host.arch"),
            check("host.user", uid=1000, gid=0),
            check("numerics.matmul_fp32_exact", wrong_elements=(0, "count"), z=(23.1, "u")),
            check("numerics.matmul_bf16_exact", wrong_elements=(0, "count")),
            skip("numerics.matmul_tf32_exact"),
            skip("numerics.matmul_fp8_exact", "torch 2.4 has no scaled matrix product: it came with 2.5"),
            skip("rate.matmul_bf16"),
            skip("rate.memory"),
            check("compiler.inductor_cpu", kernels=(3, "count"), graph_breaks=(0, "count"), max_error=(1.9e-7, "")),
            check("distributed.ddp_cpu", difference=6.0e-8),
            check(
                "dataloader.shm", free=(8_589_934_592, "B"), needed=(645_922_816, "B"), workers=8, prefetch=2, batch=64
            ),
            skip("allocator.effective"),
        ),
    )


@pytest.fixture
def measured(healthy: Report) -> Report:
    """Everything measured, on a GPU that does not exist."""
    return made_up.with_measurements(healthy)


@pytest.fixture
def without_gpu(healthy: Report) -> Report:
    """All that needs a GPU was planned, and skipped."""
    return made_up.without_gpu(healthy, reason=NO_GPU)


@pytest.fixture
def failing(healthy: Report) -> Report:
    """Two GPUs, a wrong cuDNN, a flipped bit and a shared memory that is too small."""
    wrong = replace(
        check("numerics.matmul_bf16_exact", Status.FAIL, wrong_elements=(1, "count"), elements=(1048576, "count")),
        expected="0 wrong elements",
        reason="1 of 1048576 differs at [17,33]: 41 instead of 40",
        remedy="run the check again; if the same place differs, the GPU computes wrongly: take it out of service",
        gpu=1,
    )
    good = replace(check(wrong.name, wrong_elements=(0, "count"), elements=(1048576, "count")), gpu=0)
    shm = replace(
        check("dataloader.shm", Status.FAIL, free=(67_108_864, "B"), needed=(645_922_816, "B")),
        expected="free ≥ 1 GiB",
        reason="killed by SIGBUS:\nRuntimeError: DataLoader worker (pid 41) is killed by signal: Bus error.",
        remedy="docker run --shm-size 8g … or --ipc=host; on Kubernetes an emptyDir with medium: Memory",
    )
    cudnn = replace(
        stack("cudnn", "9.1.0", "9.10.2"),
        reason="the one loaded is not the wheel's: /usr/lib/x86_64-linux-gnu/libcudnn_graph.so.9",
        remedy="unset LD_LIBRARY_PATH",
    )
    kept = [item for item in healthy.checks if item.name not in {wrong.name, shm.name, cudnn.name}]
    return replace(
        healthy,
        gpus=tuple(
            {"index": index, "name": "NVIDIA H100 80GB HBM3", "cc": "9.0", "memory_bytes": 85_045_000_000}
            for index in (0, 1)
        ),
        checks=(*kept, cudnn, good, wrong, shm),
        notices=(),
        seconds=212.4,
    )


@pytest.fixture
def strange(measured: Report) -> Report:
    """Markup of every kind for names, and no sense for numbers."""
    text = "`|@owner <img src=x onerror=alert(1)> </svg><script>1</script> ``` \\n# [a](//b) \u202e {{ 7*7 }} \\"
    return replace(measured, checks=made_up.strange_data(text))


@pytest.fixture
def hostile() -> Report:
    """What an image can put into every text that it has a say in."""
    attack = "\x1b[2J\x1b]0;owned\x07[bold red]PASS[/] \u202egnp.exe\x9b31m :smile: \r\n✓ PASS\x00 <b>&amp;]]>"
    return Report(
        image=Image(
            reference="evil/" + "x" * 200 + attack,
            id="sha256:" + attack,
            tags=(attack,),
            size_bytes=0,
            platform=attack,
            labels={attack: attack},
        ),
        torch=attack,
        python=attack,
        gpus=({"index": attack, "name": attack, "cc": attack, "memory_bytes": "much"},),
        seconds=float("nan"),
        notices=(attack,),
        node=attack,
        checks=(
            replace(check("stack." + attack, Status.PASS, found=attack), expected=attack),
            Check(
                name=attack,
                group=attack,
                status=Status.FAIL,
                measured={attack: Measurement(value=attack, unit=attack), "nan": Measurement(value=float("nan"))},
                expected=attack,
                reason=attack * 3,
                remedy=attack,
                seconds=float("inf"),
                gpu=0,
                data={attack: [float("inf"), {attack: object}]},
            ),
            skip(attack, attack),
            skip(attack + "2", attack),
        ),
    )
