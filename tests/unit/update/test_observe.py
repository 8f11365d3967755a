"""From an index to its record: what is chosen, what is read again, and what ends a run."""

from __future__ import annotations

import dataclasses
import signal
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from packaging.version import Version

from gpuimg.errors import UpstreamError
from gpuimg.update.index import NoProjectError
from gpuimg.update.observe import IndexSource, observe
from gpuimg.update.record import Project, Record, Release
from gpuimg.update.session import Session
from tests.unit.update.index_server import Hanging, IndexServer, make_wheel, status

CUDA_12 = 'cuda = "12.4"\n'
CPU = "cuda = None\n"
PLATFORMS = {"x86_64": "manylinux1_x86_64", "aarch64": "manylinux2014_aarch64"}
EARLIER = date(2020, 1, 1)


def source(index: IndexServer, **fields: tuple[str, ...]) -> IndexSource:
    url = f"{index.url}/{{variant}}" if fields else index.url
    return IndexSource(name="pypi", url=url, oldest_torch=Version("2.0.0"), **fields)


def read(index: IndexServer, session: Session, previous: Record | None = None) -> Record:
    return observe(source(index), session, previous=previous, progress=lambda *_: None)


def add_torch(index: IndexServer, version: str, *, triton: str = "3.2.0", toolkit: str | None = None) -> None:
    """Two Pythons on x86_64, with libraries; one on aarch64, without. What other platforms have is there too."""
    requires = [f"triton=={triton}", "sympy", 'optree; extra == "optree"']
    requires += [f"cuda-toolkit[cublas,cudart]=={toolkit}"] if toolkit else ["nvidia-cudnn-cu12==9.1.0.70"]
    for python in ("cp39", "cp310"):
        name = f"torch-{version}-{python}-{python}-{PLATFORMS['x86_64']}.whl"
        index.add(name, make_wheel(name, requires=requires, version_py=CUDA_12))
    name = f"torch-{version}-cp39-cp39-{PLATFORMS['aarch64']}.whl"
    index.add(name, make_wheel(name, requires=["sympy"], version_py=CPU))
    index.add(f"torch-{version}-cp39-cp39-win_amd64.whl")
    index.add(f"torch-{version}-cp39-cp39-macosx_11_0_x86_64.whl")
    index.add(f"torch-{version}-cp39-cp39-musllinux_1_2_x86_64.whl")


def add(index: IndexServer, project: str, version: str, *requires: str) -> None:
    name = f"{project}-{version}-cp39-cp39-{PLATFORMS['x86_64']}.whl"
    index.add(name, make_wheel(name, requires=requires))


@pytest.fixture
def pypi(index: IndexServer) -> IndexServer:
    """What PyPI looks like, with an old, a new and an unfinished release of each."""
    for version in ("1.13.1", "2.5.0", "2.6.0", "2.7.0rc1"):
        add_torch(index, version)
    add(index, "torchvision", "0.14.1", "torch==1.13.1")
    add(index, "torchvision", "0.20.0", "torch==2.5.0")
    add(index, "torchvision", "0.21.0", "torch==2.6.0")
    add(index, "torchaudio", "0.13.1", "torch")
    add(index, "torchaudio", "2.5.0", "torch==2.5.0")
    add(index, "torchaudio", "2.6.0")
    for version in ("2.0.0", "3.2.0", "3.3.0"):
        add(index, "triton", version)
    return index


def releases(record: Record, name: str) -> list[str]:
    project = record.find(name)
    return [str(release.version) for release in project.releases] if project else []


def release_of(record: Record, name: str, version: str) -> Release:
    project = record.find(name)
    assert isinstance(project, Project)
    return next(release for release in project.releases if release.version == Version(version))


def test_the_releases_that_matter_are_recorded(pypi: IndexServer, session: Session) -> None:
    """A companion that says nothing of torch counts once an earlier release asked for a torch that does."""
    record = read(pypi, session)
    assert releases(record, "torch") == ["2.5.0", "2.6.0"]
    assert releases(record, "torchvision") == ["0.20.0", "0.21.0"]
    assert releases(record, "torchaudio") == ["2.5.0", "2.6.0"]
    assert releases(record, "triton") == ["3.2.0"]
    assert record.find("cuda-toolkit") is None
    assert record.index == "pypi"


def test_a_release_has_its_wheels_for_linux_and_what_they_say(pypi: IndexServer, session: Session) -> None:
    release = release_of(read(pypi, session), "torch", "2.6.0")
    x86_310, x86_39, arm = release.files
    assert [wheel.machine for wheel in release.files] == ["x86_64", "x86_64", "aarch64"]
    assert (x86_310.metadata, x86_39.metadata, arm.metadata) == (0, 0, 1)
    assert release.metadata[0].requires_dist == ("nvidia-cudnn-cu12==9.1.0.70", "sympy", "triton==3.2.0")
    assert release.metadata[1].requires_dist == ("sympy",)
    assert [(item.file, item.cuda) for item in release.inspected] == [(x86_39.file, "12.4"), (arm.file, None)]


def test_of_triton_the_files_are_enough(pypi: IndexServer, session: Session) -> None:
    release = release_of(read(pypi, session), "triton", "3.2.0")
    assert [wheel.metadata for wheel in release.files] == [None]
    assert not pypi.paths("triton-3.2.0-cp39-cp39-manylinux1_x86_64.whl.metadata")


def test_the_toolkit_keeps_its_extras(pypi: IndexServer, session: Session) -> None:
    """13.0.3 is published as 13.0.3.0."""
    add_torch(pypi, "2.13.0", toolkit="13.0.3")
    for version in ("13.0.2", "13.0.3.0"):
        name = f"cuda_toolkit-{version}-py2.py3-none-any.whl"
        pypi.add(name, make_wheel(name, requires=['nvidia-cublas==13.1.*; extra == "cublas"']))
    record = read(pypi, session)
    assert releases(record, "cuda-toolkit") == ["13.0.3.0"]
    assert release_of(record, "cuda-toolkit", "13.0.3.0").metadata[0].requires_dist == (
        'nvidia-cublas==13.1.*; extra == "cublas"',
    )


def test_the_last_build_that_is_not_yanked_speaks(pypi: IndexServer, session: Session) -> None:
    for build, cuda, yanked in (("2", "12.8", None), ("10", "12.9", None), ("11", "13.0", "broken")):
        name = f"torch-2.6.0-{build}-cp310-cp310-{PLATFORMS['x86_64']}.whl"
        pypi.add(name, make_wheel(name, version_py=f'cuda = "{cuda}"\n'), yanked=yanked)
    release = release_of(read(pypi, session), "torch", "2.6.0")
    assert release.inspected[0].cuda == "12.9"
    assert [wheel.yanked for wheel in release.files if wheel.build == (11, "")] == ["broken"]


def test_two_readings_are_the_same(pypi: IndexServer, tmp_path: Path) -> None:
    records = []
    for n in range(3):
        with Session(cache_dir=tmp_path / str(n), backoff_s=0) as session:
            records.append(read(pypi, session))
    assert records[0] == records[1] == records[2]


def test_progress_is_told_to_the_end(pypi: IndexServer, session: Session) -> None:
    calls: list[tuple[int, int, str]] = []
    observe(source(pypi), session, previous=None, progress=lambda *call: calls.append(call))
    assert [done for done, _, _ in calls] == list(range(1, len(calls) + 1))
    assert calls[-1][0] == calls[-1][1]
    assert all(done <= total for done, total, _ in calls)
    assert {"torch", "torchvision-0.21.0-cp39-cp39-manylinux1_x86_64.whl"} <= {what for _, _, what in calls}


# --- a second time ---------------------------------------------------------------------------------------------------


def test_nothing_new_gives_the_previous_record_with_its_date(pypi: IndexServer, session: Session) -> None:
    previous = dataclasses.replace(read(pypi, session), read_on=EARLIER)
    assert read(pypi, session, previous) is previous


def test_something_new_gets_today_s_date(pypi: IndexServer, session: Session) -> None:
    previous = dataclasses.replace(read(pypi, session), read_on=EARLIER)
    add_torch(pypi, "2.6.1")
    record = read(pypi, session, previous)
    assert record.read_on > EARLIER
    assert releases(record, "torch") == ["2.5.0", "2.6.0", "2.6.1"]


def test_what_the_previous_record_tells_is_not_read_again(pypi: IndexServer, session: Session) -> None:
    previous = read(pypi, session)
    add_torch(pypi, "2.6.1")
    pypi.requests.clear()
    with Session(cache_dir=None, backoff_s=0) as fresh:
        record = read(pypi, fresh, previous)
    assert record == read(pypi, session)
    assert not [path for path in pypi.paths() if "/torch-2.6.0-" in path or "/torchvision-0.2" in path]
    assert [path for path in pypi.paths() if "/torch-2.6.1-" in path]


def test_a_wheel_with_another_hash_is_read_again(pypi: IndexServer, session: Session) -> None:
    previous = read(pypi, session)
    name = f"torch-2.6.0-cp39-cp39-{PLATFORMS['x86_64']}.whl"
    pypi.add(name, make_wheel(name, requires=["triton==3.3.0"], version_py='cuda = "12.6"\n'))
    record = read(pypi, session, previous)
    assert release_of(record, "torch", "2.6.0").inspected[0].cuda == "12.6"
    assert releases(record, "triton") == ["3.2.0", "3.3.0"]


def test_a_run_that_ended_half_way_goes_on(pypi: IndexServer, tmp_path: Path) -> None:
    """One wheel of each machine is read first, so these are known when another wheel ends the run."""
    pypi.habits.announces = ()
    last = f"torch-2.6.0-cp310-cp310-{PLATFORMS['x86_64']}.whl.metadata"
    pypi.faults[last].append(status(200, b"Metadata-Version: broken"))
    with Session(cache_dir=tmp_path, backoff_s=0) as session, pytest.raises(UpstreamError, match="METADATA"):
        read(pypi, session)
    pypi.requests.clear()
    with Session(cache_dir=tmp_path, backoff_s=0) as session:
        read(pypi, session)
    assert pypi.paths(last)
    assert not [path for path in pypi.paths() if path.startswith("/files/torch/torch-") and "-cp39-" in path]


# --- other indexes ---------------------------------------------------------------------------------------------------


def test_pytorch_s_index_has_a_page_for_each_variant(index: IndexServer, session: Session) -> None:
    index.habits.html = True
    for variant, cuda in (("cu124", "12.4"), ("cu126", "12.6")):
        for version in (f"2.6.0+{variant}", "2.6.0+cpu", f"2.6.0+{variant}.full"):
            name = f"torch-{version}-cp39-cp39-linux_x86_64.whl"
            wheel = make_wheel(name, requires=["triton==3.2.0"], version_py=f'cuda = "{cuda}"\n')
            index.add(name, wheel, variant=variant)
    name = "torchvision-0.21.0+cu124-cp39-cp39-linux_x86_64.whl"
    index.add(name, make_wheel(name, requires=["torch==2.6.0"]), variant="cu124")
    record = observe(source(index, variants=("cu126", "cu124")), session, previous=None, progress=lambda *_: None)
    told = [
        (item.project, item.variant, [str(release.version) for release in item.releases]) for item in record.projects
    ]
    assert told == [
        ("torch", "cu124", ["2.6.0+cu124"]),
        ("torch", "cu126", ["2.6.0+cu126"]),
        ("torchvision", "cu124", ["0.21.0+cu124"]),
    ]
    torch = record.find("torch", variant="cu126")
    assert torch is not None
    (release,) = torch.releases
    assert release.inspected[0].cuda == "12.6"
    assert (release.files[0].size_bytes, release.files[0].uploaded) == (None, None)
    assert release.files[0].sha256 is not None


def test_a_mirror_may_tell_little(pypi: IndexServer, session: Session) -> None:
    """HTML, neither sizes nor dates nor METADATA beside the wheels: the same facts come from the wheels."""
    rich = read(pypi, session)
    pypi.habits.html, pypi.habits.serves_metadata, pypi.habits.announces = True, False, ()
    with Session(cache_dir=None, backoff_s=0) as fresh:
        poor = read(pypi, fresh)
    assert [item.releases[-1].metadata for item in poor.projects] == [
        item.releases[-1].metadata for item in rich.projects
    ]
    assert release_of(poor, "torch", "2.6.0").inspected == release_of(rich, "torch", "2.6.0").inspected


def test_a_mirror_may_lack_what_it_never_had(pypi: IndexServer, session: Session) -> None:
    del pypi.files["torchaudio"]
    assert read(pypi, session).find("torchaudio") is None


def test_a_project_that_was_there_before_must_be_there(pypi: IndexServer, session: Session) -> None:
    previous = read(pypi, session)
    del pypi.files["torchaudio"]
    with pytest.raises(NoProjectError, match="torchaudio"):
        read(pypi, session, previous)


# --- what ends a run -------------------------------------------------------------------------------------------------


def test_an_index_without_torch_is_an_error(pypi: IndexServer, session: Session) -> None:
    del pypi.files["torch"]
    with pytest.raises(NoProjectError):
        read(pypi, session)


def test_an_index_with_old_torch_only_is_an_error(index: IndexServer, session: Session) -> None:
    add_torch(index, "1.13.1")
    with pytest.raises(UpstreamError, match=r"no wheel for Linux of a stable release from 2\.0\.0 on"):
        read(index, session)


def test_an_index_that_is_down_is_unreachable(pypi: IndexServer, session: Session) -> None:
    pypi.faults["/torch/"].extend([status(503)] * 10)
    with pytest.raises(UpstreamError) as caught:
        read(pypi, session)
    assert caught.value.unreachable


def test_metadata_of_another_project_ends_the_run(pypi: IndexServer, session: Session) -> None:
    name = f"torch-2.6.0-cp310-cp310-{PLATFORMS['x86_64']}.whl"
    pypi.add(name, make_wheel(name, name="numpy"))
    with pytest.raises(UpstreamError, match=r"its METADATA is that of numpy 2\.6\.0") as caught:
        read(pypi, session)
    assert (caught.value.index, caught.value.subject, caught.value.unreachable) == ("pypi", name, False)


def test_the_first_error_does_not_wait_for_a_silent_server(pypi: IndexServer, session: Session) -> None:
    hanging = Hanging()
    pypi.faults["/torchvision/"].append(hanging)
    pypi.faults["/torch/"].append(lambda handler: (hanging.reached.wait(), status(418)(handler))[1])
    try:
        with pytest.raises(UpstreamError, match="answers 418"):
            read(pypi, session)
    finally:
        hanging.let_go.set()


def test_ctrl_c_does_not_wait_for_a_silent_server(pypi: IndexServer) -> None:
    """The server answers only after the program has ended."""
    hanging = Hanging()
    pypi.faults["/torch/"].append(hanging)
    program = (
        "import sys; from packaging.version import Version\n"
        "from gpuimg.update.observe import IndexSource, observe; from gpuimg.update.session import Session\n"
        "source = IndexSource(name='pypi', url=sys.argv[1], oldest_torch=Version('2.0.0'))\n"
        "with Session(cache_dir=None) as session:\n"
        "    observe(source, session, previous=None, progress=lambda *_: None)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", program, pypi.url], stderr=subprocess.PIPE, text=True)
    try:
        assert hanging.reached.wait(timeout=60)
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=90)
    finally:
        child.kill()
        hanging.let_go.set()
    assert err.rstrip().endswith("KeyboardInterrupt")
