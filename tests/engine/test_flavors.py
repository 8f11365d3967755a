"""What the flavors `jupyter` and `serve` promise, in real images of 2.6.0 with CUDA 12.4."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest
from docker.models.containers import Container

from gpuimg.matrix import load_matrix
from gpuimg.pipeline.plan import make_plan
from gpuimg.pipeline.resolve import resolve
from gpuimg.pipeline.spec import parse_spec
from gpuimg.versions import PythonVersion
from tests.engine.commands import gpuimg, run_in
from tests.engine.wheel_index import WheelIndex

STACK = "2.6.0-cu124"
REPOSITORY = "gpuimg-test/flavors"
PYTHON = "/opt/venv/bin/python"
NOTEBOOK = """
import nbformat
cell = "import torch, matplotlib.pyplot as plt; print(torch.__version__); plt.plot(torch.arange(9)); plt.show()"
notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell)])
nbformat.write(notebook, "plot.ipynb")
"""
OUTPUTS = """
import nbformat
(cell,) = nbformat.read("plot.ipynb", 4).cells
for output in cell.outputs:
    print(output.get("text", ""), *output.get("data", ()))
"""
SERVER = """
import http.server
class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", 8000), Health).serve_forever()
"""


@pytest.fixture(scope="module")
def build(
    base_image: str,
    wheel_index: WheelIndex,
    wheel_index_url: Callable[..., str],
    build_network: str | None,
    test_label: str,
) -> Callable[[str], str]:
    """``build("jupyter")`` builds that flavor, unchecked, and gives its tag."""
    index = wheel_index_url(STACK, python=PythonVersion(3, 11))
    network = ["--build-network", build_network] if build_network else []
    matrix = load_matrix()
    wheel_index.allow(make_plan(resolve(parse_spec(f"{STACK}-jupyter"), matrix), matrix).wheels.flavor)

    def tag(flavor: str) -> str:
        done = gpuimg(
            *("build", f"{STACK}-{flavor}", "--base", base_image, "--index-url", index, *network),
            *("--label", test_label, "--repository", REPOSITORY, "--no-verify"),
        )
        assert done.returncode == 0, done.stderr
        return f"{REPOSITORY}:{STACK}-py311-{flavor}"

    return tag


@pytest.fixture(scope="module")
def jupyter(build: Callable[[str], str]) -> str:
    return build("jupyter")


@pytest.fixture(scope="module")
def serve(build: Callable[[str], str]) -> str:
    return build("serve")


@contextlib.contextmanager
def started(
    client: docker.DockerClient, image: str, *, environment: dict[str, str] | None = None
) -> Iterator[Container]:
    """A container that runs what the image runs by itself, once its health check holds."""
    container = client.containers.run(image, environment=environment, detach=True)
    try:
        deadline = time.monotonic() + 120
        while container.exec_run([PYTHON, "/opt/health.py"]).exit_code != 0:
            assert time.monotonic() < deadline, container.logs().decode()
            time.sleep(1)
        yield container
    finally:
        container.remove(force=True, v=True)


def status(container: Container, path: str, *, token: str = "") -> int:
    """The status that the notebook server answers with."""
    program = (
        "import sys, urllib.error, urllib.request as r\n"
        "try: print(r.urlopen(r.Request(sys.argv[1], headers={'Authorization': 'token ' + sys.argv[2]})).status)\n"
        "except urllib.error.HTTPError as error: print(error.code)\n"
    )
    output = container.exec_run([PYTHON, "-c", program, f"http://127.0.0.1:8888{path}", token]).output
    assert isinstance(output, bytes)
    return int(output)


def test_the_notebook_server_has_a_token_of_its_own_at_each_start(
    jupyter: str, engine_client: docker.DockerClient
) -> None:
    """An image that carries a token gives everybody who has the image the notebooks of all others."""
    tokens = set()
    for _ in range(2):
        with started(engine_client, jupyter) as container:
            (token, *_) = re.findall(r"[?&]token=([0-9a-f]{32,})", container.logs().decode())
            assert status(container, "/api/kernels") == 403
            assert status(container, "/api/kernels", token=token) == 200
            tokens.add(token)
    assert len(tokens) == 2
    attributes = json.dumps(engine_client.images.get(jupyter).attrs).lower()
    assert "token" not in attributes.replace("with a token of its own", "")


def test_the_token_that_it_is_given_opens_it(jupyter: str, engine_client: docker.DockerClient) -> None:
    with started(engine_client, jupyter, environment={"JUPYTER_TOKEN": "correct-horse"}) as container:
        assert status(container, "/api/kernels", token="correct-horse") == 200
        assert status(container, "/api/kernels", token="battery-staple") == 403
        owner = container.exec_run(["stat", "--format=%u", "/proc/1"]).output
        assert owner == b"1000\n", "it runs as the user"


@pytest.mark.parametrize("user", [None, "12345:0"])
def test_a_cell_with_torch_runs_and_gives_a_plot(
    jupyter: str, engine_client: docker.DockerClient, user: str | None
) -> None:
    steps = ['cd "$(mktemp -d)"', f"python -c '{NOTEBOOK}'", "jupyter execute --inplace plot.ipynb"]
    command = " && ".join([*steps, f"python -c '{OUTPUTS}'"])
    code, output = run_in(engine_client, jupyter, ["bash", "-c", command], user=user)
    assert code == 0, output
    assert "2.6.0+cu124" in output
    assert "image/png" in output


def test_serve_has_no_compiler_and_nothing_can_be_installed(serve: str, engine_client: docker.DockerClient) -> None:
    image = engine_client.images.get(serve)
    assert image.labels["io.gpuimg.torch.compile"] == "no"
    assert image.attrs["Config"]["Healthcheck"]["Test"][0] == "CMD"
    code, output = run_in(engine_client, serve, ["bash", "-c", "command -v gcc g++ cc nvcc jupyter; test $? != 0"])
    assert code == 0, output
    code, output = run_in(engine_client, serve, ["pip", "install", "--no-deps", "--no-index", "/opt/health.py"])
    assert code != 0
    code, output = run_in(engine_client, serve, ["touch", "/opt/venv/lib/x"])
    assert "Permission denied" in output


def test_serve_is_smaller_than_a_notebook(serve: str, jupyter: str, engine_client: docker.DockerClient) -> None:
    sizes = {name: engine_client.images.get(name).attrs["Size"] for name in (serve, jupyter)}
    assert sizes[serve] < sizes[jupyter] - 200e6, "compilers, headers and notebook"


def test_health_is_what_the_server_answers(serve: str, engine_client: docker.DockerClient) -> None:
    container = engine_client.containers.run(serve, ["sleep", "infinity"], detach=True, init=True)
    try:
        assert container.exec_run([PYTHON, "/opt/health.py"]).exit_code == 1
        container.exec_run([PYTHON, "-c", SERVER], detach=True)
        deadline = time.monotonic() + 60
        while container.exec_run([PYTHON, "/opt/health.py"]).exit_code != 0:
            assert time.monotonic() < deadline
            time.sleep(0.5)
        elsewhere = {"HEALTH_URL": "http://127.0.0.1:8000/elsewhere"}
        answer = container.exec_run([PYTHON, "/opt/health.py"], environment=elsewhere)
        assert (answer.exit_code, b"404" in answer.output) == (1, True)
    finally:
        container.remove(force=True, v=True)


def test_the_smoke_step_holds_in_both(serve: str, jupyter: str, tmp_path: Path) -> None:
    """What a flavor says that it can't do is a SKIP with that reason, and nothing fails."""
    done = gpuimg(
        *("verify", serve, jupyter, "--gpus", "none", "--json", tmp_path / "report.json"),
        *("--only", "stack", "--only", "compiler", "--only", "load.dlopen"),
    )
    assert done.returncode == 0, done.stderr
    serving, notebook = json.loads((tmp_path / "report.json").read_text())["reports"]
    checks = {check["name"]: check for check in serving["checks"]}
    assert "the flavor serve has no compiler, and says so" in checks["compiler.inductor_cpu"]["reason"]
    checks = {check["name"]: check for check in notebook["checks"]}
    assert checks["compiler.inductor_cpu"]["status"] == "PASS"
