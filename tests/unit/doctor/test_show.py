"""What people and programs read of a host. Whole pages are in ``tests/golden/doctor``: read them when they change."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

import gpuimg.doctor
from gpuimg.doctor import show
from gpuimg.doctor.examine import examine
from gpuimg.doctor.finding import Status
from gpuimg.doctor.registry import CHECKS
from gpuimg.errors import RequestError
from gpuimg.text import cell_width
from tests.golden_file import Golden
from tests.unit.doctor.hosts import Host, engine, load_hosts_once, make_host

GOLDEN = Path(__file__).parents[2] / "golden" / "doctor"


@pytest.fixture
def troubled(tmp_path: Path) -> Host:
    """Ubuntu with an old driver and no toolkit, but with the list of its former repository; behind a proxy."""
    host = make_host(tmp_path, "ubuntu")
    host.driver("525.147.05")
    host.write("etc/apt/sources.list.d/nvidia-docker.list", "deb https://nvidia.github.io/nvidia-docker/ …\n")
    host.write("proc/self/mounts", "shm /dev/shm tmpfs rw,size=65536k 0 0\n")
    host.environ["HTTPS_PROXY"] = "http://proxy.example.com:3128"
    return host


def test_a_host_with_nothing_is_the_golden_page(tmp_path: Path, golden: Golden) -> None:
    findings = [item for item in examine(make_host(tmp_path).look()) if item.check != "clock"]
    page = show.render(findings, width=80) + show.summary(findings) + "\n"
    golden(page, GOLDEN / "nothing.txt")


def test_a_troubled_host_is_the_golden_page(troubled: Host, golden: Golden) -> None:
    with engine(troubled, "docker-20.10"):
        findings = [item for item in examine(troubled.look()) if item.check not in {"engine", "disk"}]
    page = show.render(findings, width=80) + show.summary(findings) + "\n"
    golden(page, GOLDEN / "troubled.txt")


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_only_commands_are_wider_than_the_terminal(troubled: Host, width: int) -> None:
    with engine(troubled, "docker-20.10"):
        lines = show.render(examine(troubled.look()), width=width).splitlines()
    commands = ("  $ ", "      ")
    assert all(cell_width(line) <= width or line.startswith(commands) for line in lines)


def test_what_fails_comes_last(troubled: Host) -> None:
    with engine(troubled, "docker-20.10"):
        text = show.render(examine(troubled.look()), width=80)
    heads = [line.split()[0] for line in text.splitlines() if line[:1].isupper()]
    assert heads == sorted(heads, key=[status.value for status in Status].index)


def test_a_command_that_is_broken_for_the_eye_is_the_same_to_a_shell(troubled: Host) -> None:
    with engine(troubled, "docker-20.10"):
        (finding,) = examine(troubled.look(), only=["toolkit"])
    lines = show.render([finding], width=80).splitlines()
    shown = " ".join(line.removeprefix("  $ ").strip() for line in lines if line.startswith(("  $ ", "      ")))
    assert " ".join(" ".join(finding.mend.commands).split()) in " ".join(shown.split())


def test_a_gpu_s_name_can_t_steer_the_terminal(tmp_path: Path) -> None:
    host = make_host(tmp_path)
    host.program("nvidia-smi", "printf '0, GPU-1, A100\\033[2J, 81920, 570.133.20, 8.0\\n'")
    text = show.render(examine(host.look(), only=["driver"]), width=80)
    assert "\x1b" not in text


def test_json_has_the_host_and_each_finding(troubled: Host) -> None:
    with engine(troubled, "docker-20.10"):
        subject = troubled.look()
        document = json.loads(json.dumps(show.as_json(examine(subject), subject)))
    assert document["schema"] == 1
    assert document["host"]["driver"] == "525.147.05"
    assert document["host"]["engine"]["release"] == "20.10.24+dfsg1"
    assert {finding["check"] for finding in document["findings"]} == set(CHECKS)
    (toolkit,) = (finding for finding in document["findings"] if finding["check"] == "toolkit")
    assert toolkit["status"] == "FAIL"
    assert toolkit["commands"][-1] == "sudo systemctl restart docker"


def test_a_check_that_is_none_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(RequestError) as caught:
        examine(make_host(tmp_path).look(), only=["tolkit"])
    assert "did you mean `toolkit`?" in caught.value.hints


def test_every_problem_has_a_remedy_anywhere_and_every_remedy_a_problem() -> None:
    """A row that no check asks for is dead; a problem without a row for `any` is a crash on some distribution."""
    files = Path(gpuimg.doctor.__file__).parent.glob("*.py")
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in files]
    texts = {
        node.value
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    rows = load_hosts_once().remedies
    assert {row.problem for row in rows} <= texts
    assert {row.problem for row in rows} == {row.problem for row in rows if row.distribution == "any"}
    assert {row.feature for row in load_hosts_once().engine_features} <= texts
