"""What is read of a wheel, from where, and that it is never the whole."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from gpuimg.errors import UpstreamError
from gpuimg.update.index import IndexFile, read_project
from gpuimg.update.session import Session
from gpuimg.update.wheelfile import TorchBuild, WheelFacts, read_wheel
from tests.unit.update.index_server import Fault, IndexServer, dropped, endless, huge, make_wheel, says, status

WHEEL = "torch-2.6.0-cp311-cp311-manylinux1_x86_64.whl"
REQUIRES = ("sympy (==1.13.1)", "nvidia-cudnn-cu12==9.1.0.70 ; platform_system == 'Linux'", "filelock")
VERSION_PY = """
from typing import Optional
__all__ = ['__version__', 'debug', 'cuda', 'git_version', 'hip']
__version__ = '2.6.0+cu124'
debug = False
cuda: Optional[str] = '12.4'
git_version = '2236df1770800ffea5697b11b0bb0d910b2e59e1'
hip: Optional[str] = None
raise SystemExit("nothing here is run")
"""
FACTS = WheelFacts(
    requires_python=">=3.9",
    requires_dist=("filelock", 'nvidia-cudnn-cu12==9.1.0.70; platform_system == "Linux"', "sympy==1.13.1"),
)
BUILD = TorchBuild(cuda="12.4", git_version="2236df1770800ffea5697b11b0bb0d910b2e59e1")


def torch_wheel(*, version_py: str | None = VERSION_PY, padding_bytes: int = 0) -> bytes:
    return make_wheel(WHEEL, requires=REQUIRES, version_py=version_py, padding_bytes=padding_bytes)


def listed(
    index: IndexServer, session: Session, content: bytes | None = None, *, announces_metadata: bool = True
) -> IndexFile:
    index.add(WHEEL, content if content is not None else torch_wheel(), announces_metadata=announces_metadata)
    return read_project(index.url, project="torch", index="pypi", session=session)[0]


def error_of(file: IndexFile, session: Session, *, with_build: bool = False) -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        read_wheel(file, session, index="pypi", with_build=with_build)
    assert (caught.value.index, caught.value.subject) == ("pypi", WHEEL)
    return caught.value


@pytest.mark.parametrize("announced", [True, False])
def test_metadata_comes_from_beside_the_wheel(index: IndexServer, session: Session, announced: bool) -> None:
    file = listed(index, session, announces_metadata=announced)
    assert read_wheel(file, session, index="pypi") == FACTS
    assert index.paths(WHEEL) == []


@pytest.mark.parametrize("announced", [True, False])
def test_else_from_the_archive_in_parts(index: IndexServer, session: Session, announced: bool) -> None:
    """Mirrors exist that announce what they don't serve."""
    index.habits.serves_metadata = False
    file = listed(index, session, announces_metadata=announced)
    assert read_wheel(file, session, index="pypi") == FACTS
    assert all("Range" in request.headers for request in index.requests if request.path.endswith(WHEEL))


def test_of_a_large_wheel_little_is_read(index: IndexServer, session: Session) -> None:
    """Padding that doesn't compress stands before the directory, and no size is known from the page."""
    index.habits.html = True
    index.habits.serves_metadata = False
    content = io.BytesIO(torch_wheel())
    with zipfile.ZipFile(content, "a", zipfile.ZIP_STORED) as archive:
        archive.writestr("torch/lib/libtorch_cuda.so", bytes(8 << 20))
        for n in range(2000):
            archive.writestr(f"torch/include/{'header' * 10}_{n}.h", "")
    file = listed(index, session, content.getvalue())
    assert file.size_bytes is None
    facts = read_wheel(file, session, index="pypi", with_build=True)
    assert facts.build == BUILD
    assert facts.requires_dist == FACTS.requires_dist
    assert session.traffic.received_bytes < 1 << 20


def test_the_build_is_read_without_running_it(index: IndexServer, session: Session) -> None:
    file = listed(index, session)
    facts = read_wheel(file, session, index="pypi", with_build=True)
    assert facts == WheelFacts(requires_python=FACTS.requires_python, requires_dist=FACTS.requires_dist, build=BUILD)


def test_a_cpu_build_names_no_cuda(index: IndexServer, session: Session) -> None:
    file = listed(index, session, torch_wheel(version_py="cuda = None\ngit_version = None\n"))
    facts = read_wheel(file, session, index="pypi", with_build=True)
    assert facts.build == TorchBuild(cuda=None, git_version=None)


@pytest.mark.parametrize("with_build", [False, True])
def test_a_second_run_reads_no_wheel(index: IndexServer, tmp_path: Path, with_build: bool) -> None:
    index.habits.serves_metadata = False
    with Session(cache_dir=tmp_path, backoff_s=0) as session:
        file = listed(index, session)
        first = read_wheel(file, session, index="pypi", with_build=with_build)
    before = len(index.requests)
    with Session(cache_dir=tmp_path, backoff_s=0) as session:
        assert read_wheel(file, session, index="pypi", with_build=with_build) == first
        assert read_wheel(file, session, index="pypi").requires_dist == first.requires_dist
        assert session.traffic.cache_hits == 2
    assert len(index.requests) == before


def test_what_the_cache_lacks_is_read(index: IndexServer, session: Session) -> None:
    file = listed(index, session)
    assert read_wheel(file, session, index="pypi").build is None
    assert read_wheel(file, session, index="pypi", with_build=True).build == BUILD


def test_facts_of_another_server_are_not_taken(index: IndexServer, session: Session) -> None:
    """A mirror that lies about a wheel must not be believed when the wheel comes from elsewhere."""
    lying = listed(index, session, torch_wheel())
    index.faults[".metadata"].append(says(b"Metadata-Version: 2.1\nName: torch\nVersion: 2.6.0\n"))
    unannounced = IndexFile(**{name: getattr(lying, name) for name in IndexFile.__slots__} | {"metadata_sha256": None})
    assert read_wheel(unannounced, session, index="mirror").requires_dist == ()
    elsewhere = lying.url.replace("127.0.0.1", "localhost")
    honest = IndexFile(**{name: getattr(lying, name) for name in IndexFile.__slots__} | {"url": elsewhere})
    assert read_wheel(honest, session, index="pypi") == FACTS


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"{}", b'{"requires_python": 1}', b'{"requires_dist": ["!"]}'])
def test_broken_facts_are_read_anew(index: IndexServer, tmp_path: Path, damage: bytes) -> None:
    with Session(cache_dir=tmp_path, backoff_s=0) as session:
        file = listed(index, session)
        read_wheel(file, session, index="pypi")
        for path in (tmp_path / "facts").rglob("*"):
            if path.is_file():
                path.write_bytes(damage)
        assert read_wheel(file, session, index="pypi") == FACTS


# --- what doesn't hold -----------------------------------------------------------------------------------------------


def test_metadata_with_another_hash_is_refused(index: IndexServer, session: Session) -> None:
    file = listed(index, session)
    index.faults[".metadata"].append(says(b"Metadata-Version: 2.1\nName: torch\nVersion: 2.6.0\n", "text/plain"))
    error = error_of(file, session)
    assert "another SHA-256 than the index announced" in error.problem
    assert not error.unreachable
    assert read_wheel(file, session, index="pypi") == FACTS, "and it isn't kept"


@pytest.mark.parametrize(
    ("name", "version", "problem"),
    [
        ("numpy", None, "is that of numpy 2.6.0"),
        (None, "2.6.1", "is that of torch 2.6.1"),
        (None, "2.6.0-banana", "does not hold"),
        (None, "", "does not hold"),
    ],
)
@pytest.mark.parametrize("beside", [True, False])
def test_metadata_of_something_else_is_refused(
    index: IndexServer, session: Session, name: str | None, version: str | None, problem: str, beside: bool
) -> None:
    index.habits.serves_metadata = beside
    content = make_wheel(WHEEL, name=name)
    if version is not None:
        content = make_wheel(WHEEL, version=version or " ")
    assert problem in error_of(listed(index, session, content), session).problem


@pytest.mark.parametrize("requirement", ["nvidia-cudnn-cu12==9.1.0.70; platform_system =", "==1", "a b c"])
def test_a_requirement_that_does_not_parse_is_an_error(index: IndexServer, session: Session, requirement: str) -> None:
    content = make_wheel(WHEEL, requires=[requirement])
    assert "METADATA does not hold" in error_of(listed(index, session, content), session).problem


def test_a_page_in_place_of_metadata_that_nobody_announced_is_passed_over(index: IndexServer, session: Session) -> None:
    file = listed(index, session, announces_metadata=False)
    index.faults[".metadata"].append(says(b"<html>all is well</html>", "text/html"))
    assert read_wheel(file, session, index="pypi") == FACTS


@pytest.mark.parametrize("fault", [dropped, status(500)])
def test_metadata_that_fails_once_is_read_again(index: IndexServer, session: Session, fault: Fault) -> None:
    file = listed(index, session)
    index.faults[".metadata"].append(fault)
    assert read_wheel(file, session, index="pypi") == FACTS


@pytest.mark.parametrize("fault", [endless(), huge], ids=["endless", "announced"])
def test_metadata_without_end_is_refused(index: IndexServer, session: Session, fault: Fault) -> None:
    file = listed(index, session)
    index.faults[".metadata"].append(fault)
    assert "larger than 8388608 bytes" in error_of(file, session).problem


@pytest.mark.parametrize("with_build", [False, True])
def test_a_server_without_ranges_is_refused(index: IndexServer, session: Session, with_build: bool) -> None:
    index.habits.serves_metadata = with_build
    index.habits.ranges = False
    file = listed(index, session, torch_wheel())
    before = session.traffic.received_bytes
    error = error_of(file, session, with_build=with_build)
    assert "can't be read in parts" in error.problem
    assert session.traffic.received_bytes - before < 2000


def test_a_wheel_of_another_size_is_refused(index: IndexServer, session: Session) -> None:
    index.habits.serves_metadata = False
    file = listed(index, session)
    index.add(WHEEL, torch_wheel(padding_bytes=1 << 20))
    assert f"and {file.size_bytes} by the index" in error_of(file, session).problem


@pytest.mark.parametrize(
    "content",
    [b"", b"PK", bytes(100_000), b"<html></html>" * 10_000, torch_wheel()[:-30], torch_wheel()[:400] * 200],
    ids=["empty", "short", "zeros", "html", "cut", "repeated"],
)
def test_what_is_no_archive_is_refused(index: IndexServer, session: Session, content: bytes) -> None:
    """With a size of 1 at least, as no index lists an empty file."""
    index.habits.serves_metadata = False
    file = listed(index, session, content or b"\0", announces_metadata=False)
    assert not error_of(file, session).unreachable


def test_a_wheel_without_version_py_is_refused(index: IndexServer, session: Session) -> None:
    file = listed(index, session, torch_wheel(version_py=None))
    assert "is no whole wheel: 0 files in it are called" in error_of(file, session, with_build=True).problem


@pytest.mark.parametrize(
    "text",
    ["cuda = ", "git_version = 'x'", "cuda = 12.4", "cuda = '12.4; rm'", "cuda = " + "(" * 5000, "\0", "cuda = f()"],
)
def test_a_version_py_that_does_not_say_is_refused(index: IndexServer, session: Session, text: str) -> None:
    file = listed(index, session, torch_wheel(version_py=text))
    assert "torch/version.py" in error_of(file, session, with_build=True).problem


def test_a_directory_that_claims_gigabytes_is_refused(index: IndexServer, session: Session) -> None:
    """The end of an archive says where its directory begins: a lie there must not fetch the wheel."""
    index.habits.serves_metadata = False
    content = bytearray(torch_wheel(padding_bytes=0))
    content = bytearray(bytes(40 << 20)) + content
    end = content.rindex(b"PK\x05\x06")
    content[end + 12 : end + 16] = (40 << 20).to_bytes(4, "little")
    file = listed(index, session, bytes(content), announces_metadata=False)
    before = session.traffic.received_bytes
    assert "that is no wheel" in error_of(file, session).problem
    assert session.traffic.received_bytes - before < 100_000
