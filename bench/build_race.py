"""Builds the same stack four ways and compares time, size and layers.

``python -m bench.build_race [--base IMAGE] [--rounds N] [--compressed] [--only NAME]...``

The contenders are a plain pip Dockerfile, a plain uv one with a cache mount, hpccm's (all in ``bench/contenders``) and
gpuimg's own. All start from one Debian 12 base and install the same wheels, by hash, from one index on this machine,
which has them before the clock starts. They run in turn, first to last and last to first, through one engine's
BuildKit, told to use no cache; what cache the engine gained while one built is removed before the next one starts, and
so is the image. So let nothing else build there meanwhile. Each image is asked for its versions and its compiler: a
contender that lacks something is out. The table is printed and written to ``bench/results/build_race.md``.
"""

from __future__ import annotations

import argparse
import datetime as dt
import io
import json
import os
import platform as host_platform
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
import uuid
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import docker
from docker.errors import ContainerError

from gpuimg.engine.failures import build_failure
from gpuimg.engine.progress import BuildState, decode
from gpuimg.errors import BuildError, GpuimgError
from gpuimg.matrix import load_wheels
from gpuimg.versions import Platform, PythonVersion
from tests.engine.build_cache import cache_records, prune_since
from tests.engine.wheel_index import WheelIndex, build_network, open_index

_ROOT: Final = Path(__file__).parents[1]
_CONTENDERS: Final = _ROOT / "bench" / "contenders"
_RESULT: Final = _ROOT / "bench" / "results" / "build_race.md"
_SPEC: Final = "2.6-cu124"
_STACK: Final = "2.6.0-cu124"
_PYTHON: Final = PythonVersion(3, 11)
_BASE: Final = "debian:bookworm-slim"
_TOOLS: Final = frozenset({"pip", "uv"})
"""In our closed set, since our image carries them; no part of the race."""
_TIMEOUT_S: Final = 3600
_MB: Final = 1_000_000

_ASK: Final = """
import json, os, shutil, sysconfig
import torch, torchvision, torchaudio, numpy, setuptools
assert shutil.which("gcc") and shutil.which("g++"), "no compiler"
assert os.path.exists(sysconfig.get_path("include") + "/Python.h"), "no Python headers"
print(json.dumps({
    "torch": torch.__version__, "CUDA": torch.version.cuda, "cuDNN": torch.backends.cudnn.version(),
    "torchvision": torchvision.__version__, "torchaudio": torchaudio.__version__,
    "numpy": numpy.__version__, "setuptools": setuptools.__version__,
}))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Race:
    """What all contenders have in common."""

    client: docker.DockerClient
    index: WheelIndex
    base: str
    requirements: bytes
    show_steps: bool


@dataclass(slots=True, kw_only=True)
class _Score:
    """What one contender did, round by round."""

    seconds: list[float] = field(default_factory=list)
    size_bytes: int = 0
    compressed_bytes: int | None = None
    layers: int = 0
    versions: dict[str, str] = field(default_factory=dict)


def main() -> int:
    options = _options()
    client = docker.from_env(timeout=_TIMEOUT_S)
    names = options.only or list(_CONTEXTS)
    scores = {name: _Score() for name in names}
    base = options.base or _default_base()
    with open_index(client.api) as index:
        wheels = load_wheels(_STACK, Platform.AMD64, _PYTHON)
        index.add(wheels)
        pins = [wheel for wheel in (*wheels.cuda, *wheels.torch) if wheel.name not in _TOOLS]
        lines = [f"{wheel.name}=={wheel.version} --hash=sha256:{wheel.sha256}\n" for wheel in pins]
        requirements = "".join(sorted(lines)).encode()
        race = _Race(client=client, index=index, base=base, requirements=requirements, show_steps=options.steps)
        try:
            for round_ in range(options.rounds):
                for name in names if round_ % 2 == 0 else reversed(names):
                    _run(race, name, scores[name], compressed=options.compressed and round_ == 0)
        except GpuimgError as error:
            return _failed(error)
        table = _report(race, scores)
    sys.stdout.write(table)
    if not options.only:
        _RESULT.write_text(table, encoding="utf-8")
    client.close()
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", metavar="IMAGE", help=f"a Debian 12 image; by default {_BASE} or a stand-in")
    parser.add_argument("--rounds", type=int, default=2, metavar="N")
    parser.add_argument("--steps", action="store_true", help="show how long each step of each build took")
    parser.add_argument("--compressed", action="store_true", help="measure compressed sizes too (minutes an image)")
    parser.add_argument(
        "--only", action="append", choices=_CONTEXTS, metavar="NAME", help=f"of {', '.join(_CONTEXTS)}; writes no file"
    )
    return parser.parse_args()


def _default_base() -> str:
    made = subprocess.run(
        [_ROOT / "scripts" / "base-image", _BASE],
        env={**os.environ, "GPUIMG_PYTHON": sys.executable},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return made.stdout.strip()


# --- the contenders: name → build context ----------------------------------------------------------------------------


def _plain(name: str) -> Callable[[_Race], dict[str, bytes]]:
    def context(race: _Race) -> dict[str, bytes]:
        dockerfile = (_CONTENDERS / f"{name}.Dockerfile").read_text(encoding="utf-8")
        dockerfile = dockerfile.replace(f"FROM {_BASE}\n", f"FROM {race.base}\n")
        # a cache mount of its own, or the second round would find the first one's wheels
        dockerfile = dockerfile.replace("id=race", f"id=race-{uuid.uuid4().hex}")
        return {"Dockerfile": dockerfile.encode(), "requirements.txt": race.requirements}

    return context


def _ours(race: _Race) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        command = ["render", _SPEC, "--python", str(_PYTHON), "--base", race.base, "--index-url", race.index.url]
        done = subprocess.run(
            [Path(sys.executable).with_name("gpuimg"), *command, "-o", folder],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise SystemExit(done.stderr)
        files = [path for path in Path(folder).rglob("*") if path.is_file()]
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


_CONTEXTS: Final[dict[str, Callable[[_Race], dict[str, bytes]]]] = {
    "pip": _plain("pip"),
    "uv": _plain("uv"),
    "hpccm": _plain("hpccm"),
    "gpuimg": _ours,
}
_TITLES: Final = {
    "pip": "plain pip",
    "uv": "plain uv, cache mount",
    "hpccm": "hpccm 26.5.0",
    "gpuimg": "**gpuimg**",
}


# --- one build -------------------------------------------------------------------------------------------------------


def _run(race: _Race, name: str, score: _Score, *, compressed: bool) -> None:
    context = _CONTEXTS[name](race)
    api = race.client.api
    before = cache_records(api)
    image = None
    sys.stderr.write(f"{name}: building ... ")
    sys.stderr.flush()
    try:
        started = time.monotonic()
        state = _build(race, context)
        score.seconds.append(time.monotonic() - started)
        image = state.image_id
        assert image is not None
        sys.stderr.write(f"{score.seconds[-1]:.1f} s\n")
        if race.show_steps:
            sys.stderr.writelines(f"  {step.seconds or 0:5.1f} s  {step.name[:100]}\n" for step in state.steps)
        found: dict[str, Any] = api.inspect_image(image)  # type: ignore[no-untyped-call]  # SDK
        score.size_bytes, score.layers = found["Size"], len(found["RootFS"]["Layers"])
        score.versions = _versions(race.client, image)
        if compressed:
            score.compressed_bytes = _compressed(api, image)
    finally:
        if image is not None:
            api.remove_image(image, force=True)
        prune_since(api, before)


def _build(race: _Race, context: Mapping[str, bytes]) -> BuildState:
    """How the engine's BuildKit made an image of `context`."""
    api = race.client.api
    arguments = {
        "PIP_INDEX_URL": race.index.url,
        "PIP_TRUSTED_HOST": race.index.host,
        "UV_DEFAULT_INDEX": race.index.url,
    }
    parameters = {"version": "2", "nocache": "1", "buildargs": json.dumps(arguments), "platform": str(Platform.AMD64)}
    network = build_network(race.index)
    if network is not None:
        parameters["networkmode"] = network
    state = BuildState()
    with api.post(
        f"{api.base_url}/v{api.api_version}/build",
        params=parameters,
        data=_tar(context),
        headers={"Content-Type": "application/x-tar"},
        stream=True,
        timeout=_TIMEOUT_S,
    ) as response:
        response.raise_for_status()
        for event in decode(response.iter_content(chunk_size=None)):
            state.apply(event)
    if state.error is not None or state.image_id is None:
        raise build_failure(state)
    return state


def _tar(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _versions(client: docker.DockerClient, image: str) -> dict[str, str]:
    """What the image itself says that it holds. Raises BuildError where it lacks something."""
    try:
        said: bytes = client.containers.run(image, ["python3", "-c", _ASK], remove=True)
    except ContainerError as error:
        lines = str(error).splitlines()
        raise BuildError("the image lacks something", step="asking the image", log_tail=lines) from error
    versions: dict[str, str] = json.loads(said.decode().splitlines()[-1])
    return versions


def _compressed(api: docker.APIClient, image: str) -> int:
    """About what a push sends: the saved image through gzip's fastest level."""
    packer, size = zlib.compressobj(1), 0
    for chunk in api.get_image(image):
        size += len(packer.compress(chunk))
    return size + len(packer.flush())


def _failed(error: GpuimgError) -> int:
    tail = error.log_tail if isinstance(error, BuildError) else ()
    sys.stderr.write("\n".join([f"error: {error}", *tail, ""]))
    return error.exit_code


# --- the table -------------------------------------------------------------------------------------------------------


def _report(race: _Race, scores: Mapping[str, _Score]) -> str:
    first = next(iter(scores.values()))
    for name, score in scores.items():
        if score.versions != first.versions:
            raise SystemExit(f"not the same packages: {name} has {score.versions}, expected {first.versions}")
    has_compressed = any(score.compressed_bytes for score in scores.values())
    head = ["contender", "build, median (s)", "rounds (s)", "image (MB)", "layers"]
    rows = [_row(_TITLES[name], score, has_compressed=has_compressed) for name, score in scores.items()]
    if has_compressed:
        head.insert(4, "gzip -1 (MB)")
    table = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    packages = ", ".join(f"{name} {version}" for name, version in first.versions.items())
    word = (
        f"Each image has {packages}, gcc, g++ and the Python headers, by its own word. Ours has pip, uv, a user, labels"
        " and a patched distribution besides."
    )
    made = "Made by `python -m bench.build_race`, whose opening says how it is measured. MB are 10^6 bytes, unpacked."
    return "\n".join(
        [
            "# Build race: four ways to the same packages",
            "",
            *(f"| {' | '.join(cells)} |" for cells in table),
            "",
            word,
            "",
            *(f"- {fact}" for fact in _facts(race)),
            "",
            made,
            "",
        ]
    )


def _row(title: str, score: _Score, *, has_compressed: bool) -> list[str]:
    rounds = ", ".join(f"{seconds:.1f}" for seconds in score.seconds)
    cells = [title, f"{statistics.median(score.seconds):.1f}", rounds, f"{score.size_bytes / _MB:,.0f}"]
    if has_compressed:
        cells.append(f"{(score.compressed_bytes or 0) / _MB:,.0f}")
    return [*cells, str(score.layers)]


def _facts(race: _Race) -> Sequence[str]:
    version: dict[str, Any] = race.client.version()
    info: dict[str, Any] = race.client.info()
    base = race.client.images.get(race.base)
    today = dt.datetime.now(tz=dt.timezone.utc).date()
    network = build_network(race.index) or "the default bridge"
    machine = f"{info['NCPU']} cores, {info['MemTotal'] / 2**30:.0f} GiB, {host_platform.machine()}"
    return (
        f"{today}, {_STACK}, Python {_PYTHON}",
        f"engine {version['Version']}, {info['Driver']}; {machine}, Linux {info['KernelVersion'].partition('-')[0]}",
        f"base `{race.base}`, {base.attrs['Size'] / _MB:,.0f} MB; network of the builds: {network}",
        "no build cache: `nocache`, cache mounts of their own, and all cache that a build left removed after it",
    )


if __name__ == "__main__":
    sys.exit(main())
