"""A whole update: two indexes on this machine, small real wheels, the real uv; and what may go wrong on the way."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest
import yaml

from gpuimg.errors import MatrixError, UpstreamError
from gpuimg.facts import Stack
from gpuimg.matrix import load_matrix, load_wheels
from gpuimg.update.check import check_folder
from gpuimg.update.dump import dump
from gpuimg.update.run import Request, Update, update_matrix, write_update
from gpuimg.versions import Platform, PythonVersion
from tests.unit.update.index_server import Handler, IndexServer, make_wheel
from tests.unit.update.world import make_matrix, publish, publish_cu118, publish_on_pytorch

PY311 = PythonVersion(3, 11)
TODAY = date(2026, 11, 24)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_matrix(tmp_path / "matrices")


@pytest.fixture
def pytorch(index: IndexServer) -> Iterator[IndexServer]:
    with IndexServer() as server:
        server.habits.html = True
        yield server


@pytest.fixture
def request_for(
    index: IndexServer, pytorch: IndexServer, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Request:
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    return Request(folder=folder, pypi_url=f"{index.url}/", pytorch_url=f"{pytorch.url}/{{variant}}", today=TODAY)


def unreachable(handler: Handler) -> None:
    handler.reply(b"busy", status=503, content_type="text/plain")


@pytest.fixture
def run(request_for: Request, tmp_path: Path) -> Callable[..., Update]:
    """An update as of the given day; written unless it is an error."""

    def run(*, write: bool = True, **changes: object) -> Update:
        request = dataclasses.replace(request_for, **changes)  # type: ignore[arg-type]  # the tests' own keywords
        update = update_matrix(request, cache_dir=tmp_path / "cache", progress=lambda *_: None, backoff_s=0)
        if write:
            write_update(update, request.folder)
        return update

    return run


def rows(folder: Path) -> dict[str, Stack]:
    return {stack.name: stack for stack in load_matrix(base=folder).stacks}


def test_an_update_makes_rows_and_sets_and_a_second_one_changes_nothing(
    run: Callable[..., Update], index: IndexServer, pytorch: IndexServer, folder: Path
) -> None:
    publish(index, "2.6.0")
    pytorch.close()
    first = run()
    stack = rows(folder)["2.6.0-cu124"]
    assert (str(stack.cudnn), str(stack.nccl), str(stack.triton)) == ("9.1.0.70", "2.21.5", "3.6.0")
    assert (str(stack.torchvision), str(stack.torchaudio)) == ("0.21.0", "2.6.0")
    assert [str(python) for python in stack.platforms[0].pythons] == ["3.10", "3.11", "3.12"]
    wheels = load_wheels(stack.name, Platform.AMD64, PY311, base=folder)
    assert {wheel.name for wheel in wheels.cuda} == {"nvidia-cudnn-cu12", "nvidia-nccl-cu12"}
    assert wheels.locked
    assert "upstream/pypi.yaml" in first.files
    assert run(today=date(2027, 1, 1)).files == {}


def test_what_an_unreachable_index_alone_could_tell_stays_and_is_marked(
    run: Callable[..., Update], index: IndexServer, pytorch: IndexServer, folder: Path
) -> None:
    publish(index, "2.6.0")
    pytorch.faults["/torch/"].extend([unreachable] * 20)
    first = run()
    assert any("PyTorch's own index" in notice for notice in first.notices)
    told = rows(folder)["2.6.0-cu118"]
    assert told.last_seen == "never"
    assert told.platforms[0].libraries == "unknown"
    assert not load_wheels(told.name, Platform.AMD64, PY311, base=folder).closed

    pytorch.faults.clear()
    publish_cu118(pytorch, "2.6.0")
    second = run()
    assert second.notices == ()
    read = rows(folder)["2.6.0-cu118"]
    assert read.last_seen is not None
    assert read.last_seen != "never"
    assert (str(read.nccl), read.platforms[0].libraries) == ("2.21.5", "wheels")
    assert [str(python) for python in read.platforms[0].pythons] == ["3.10", "3.11"]
    assert load_wheels(read.name, Platform.AMD64, PY311, base=folder).locked, "the index told the hashes"

    pytorch.faults["/torch/"].extend([unreachable] * 20)
    third = run()
    assert "stays" in third.notices[0]
    assert third.files == {}
    assert rows(folder)["2.6.0-cu118"] == read


def test_a_new_release_comes_in_and_what_was_resolved_stays(
    run: Callable[..., Update], index: IndexServer, pytorch: IndexServer, folder: Path
) -> None:
    publish(index, "2.6.0")
    publish_cu118(pytorch, "2.6.0")
    run()
    old = (folder / "wheels" / "2.6.0-cu124.yaml").read_bytes()
    index.add("numpy-2.3.0-py3-none-any.whl")
    publish(index, "2.7.0", pythons=("cp311", "cp312"))
    update = run()
    assert set(update.files) == {"torch.yaml", "upstream/pypi.yaml", "wheels/2.7.0-cu124.yaml"}
    assert (folder / "wheels" / "2.6.0-cu124.yaml").read_bytes() == old
    numpy = {
        name: next(w for w in load_wheels(name, Platform.AMD64, PY311, base=folder).torch if w.name == "numpy").version
        for name in ("2.6.0-cu124", "2.7.0-cu124")
    }
    assert {name: str(version) for name, version in numpy.items()} == {"2.6.0-cu124": "2.2.0", "2.7.0-cu124": "2.3.0"}
    relocked = run(relock=frozenset({"2.6.0-cu124"}))
    assert set(relocked.files) == {"wheels/2.6.0-cu124.yaml"}


def test_a_re_upload_takes_the_place_of_the_first_file(
    run: Callable[..., Update], index: IndexServer, pytorch: IndexServer, folder: Path
) -> None:
    publish(index, "2.6.0")
    publish_cu118(pytorch, "2.6.0")
    name = "torch-2.6.0-3-cp311-cp311-manylinux1_x86_64.whl"
    first = index.files["torch"]["torch-2.6.0-cp311-cp311-manylinux1_x86_64.whl"].content
    index.add(name, first + b"\0")
    run()
    torch = next(w for w in load_wheels("2.6.0-cu124", Platform.AMD64, PY311, base=folder).torch if w.name == "torch")
    assert torch.sha256 == hashlib.sha256(first + b"\0").hexdigest()


def test_pythons_without_triton_are_left_out_with_the_reason(
    run: Callable[..., Update], index: IndexServer, pytorch: IndexServer, folder: Path
) -> None:
    publish(index, "2.6.0")
    publish_cu118(pytorch, "2.6.0")
    del index.files["triton"]["triton-3.6.0-cp312-cp312-manylinux1_x86_64.whl"]
    for name in ("torch-2.6.0-cp38-cp38-manylinux1_x86_64.whl",):
        index.add(name, make_wheel(name, requires=["numpy"], version_py="cuda: str = '12.4'\n"))
    run()
    on = rows(folder)["2.6.0-cu124"].platforms[0]
    assert [str(python) for python in on.pythons] == ["3.10", "3.11"]
    assert {str(left.python): left.reason for left in on.left_out} == {
        "3.8": "too old",
        "3.12": "triton 3.6.0 has no wheel for it",
    }


@pytest.mark.parametrize(
    ("answer", "content_type", "problem"),
    [
        (b"<html><title>Log in</title><form></form></html>", "text/html", "torch"),
        (b'{"meta": {"api-version": "1.0"}, "files": [', "application/vnd.pypi.simple.v1+json", "torch"),
    ],
)
def test_an_index_that_lies_is_an_error_and_the_old_matrix_stays(
    run: Callable[..., Update],
    index: IndexServer,
    pytorch: IndexServer,
    folder: Path,
    answer: bytes,
    content_type: str,
    problem: str,
) -> None:
    publish(index, "2.6.0")
    publish_cu118(pytorch, "2.6.0")
    run()
    before = {path: path.read_bytes() for path in folder.rglob("*.yaml")}
    index.add("torch-2.6.1-cp311-cp311-manylinux1_x86_64.whl")
    index.faults["/torch/"].append(lambda handler: handler.reply(answer, content_type=content_type))
    with pytest.raises(UpstreamError) as caught:
        run()
    assert problem in caught.value.message
    assert caught.value.exit_code == 3
    assert {path: path.read_bytes() for path in folder.rglob("*.yaml")} == before


def test_an_address_without_any_variant_is_no_index_of_pytorch_s(
    run: Callable[..., Update], index: IndexServer
) -> None:
    publish(index, "2.6.0")
    with pytest.raises(UpstreamError, match=r"pytorch: torch: none of cu117, cu118, .*cu132.* has a page"):
        run()


def test_a_variant_that_nobody_typed_is_found(
    run: Callable[..., Update], index: IndexServer, pytorch: IndexServer, folder: Path
) -> None:
    publish(index, "2.6.0")
    for variant in ("cu118", "cu126"):
        publish_on_pytorch(pytorch, "2.6.0", variant=variant)
    run()
    assert set(rows(folder)) == {"2.6.0-cu118", "2.6.0-cu124", "2.6.0-cu126"}


def test_a_set_that_can_t_be_closed_is_told_with_uv_s_reason(
    run: Callable[..., Update], index: IndexServer, pytorch: IndexServer, folder: Path
) -> None:
    publish(index, "2.6.0")
    publish_cu118(pytorch, "2.6.0")
    del index.files["setuptools"]
    with pytest.raises(UpstreamError, match=r"(?s)2\.6\.0-cu1.*setuptools was not found"):
        run()
    assert not (folder / "torch.yaml").exists()


def test_a_build_that_nobody_knows_how_it_was_compiled_is_no_row(
    run: Callable[..., Update], index: IndexServer, pytorch: IndexServer, folder: Path
) -> None:
    publish(index, "2.6.0")
    publish_cu118(pytorch, "2.6.0")
    document = yaml.safe_load((folder / "builds.yaml").read_text(encoding="utf-8"))
    document["binaries"][0]["torch"] = ">=9"
    (folder / "builds.yaml").write_text(dump(document, header="", one_line="-"), encoding="utf-8")
    with pytest.raises(UpstreamError, match=r"2\.6\.0-cu\d+: no row of `binaries`"):
        run()


def test_a_typed_fact_without_a_source_does_not_load(
    run: Callable[..., Update], index: IndexServer, pytorch: IndexServer, folder: Path
) -> None:
    publish(index, "2.6.0")
    publish_cu118(pytorch, "2.6.0")
    text = (folder / "builds.yaml").read_text(encoding="utf-8")
    (folder / "builds.yaml").write_text(text.replace("fields: [cxx11_abi, glibc]", "fields: [glibc]"), encoding="utf-8")
    with pytest.raises(MatrixError, match=r"binaries\[0\]\.cxx11_abi: has no source"):
        run()


def test_where_no_index_answers_there_is_nothing_to_say(
    run: Callable[..., Update], index: IndexServer, pytorch: IndexServer
) -> None:
    publish(index, "2.6.0")
    publish_cu118(pytorch, "2.6.0")
    run()
    index.close()
    pytorch.close()
    with pytest.raises(UpstreamError, match="no index could be read"):
        run()


@pytest.mark.parametrize(
    ("file", "text", "problem"),
    [
        ("builds.yaml", "schema: 1\nstacks: [\n", "is not valid YAML"),
        ("torchs.yaml", "schema: 1\n", "is none of the files that a matrix has"),
        ("upstream/pypi.yaml", "schema: 1\n", "missing"),
    ],
)
def test_validate_looks_at_files_that_only_an_update_reads(tmp_path: Path, file: str, text: str, problem: str) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(text, encoding="utf-8")
    with pytest.raises(MatrixError, match=problem):
        check_folder(tmp_path)


def test_a_wheel_on_pytorch_s_index_may_ask_for_a_toolkit_release(
    run: Callable[..., Update], index: IndexServer, pytorch: IndexServer, folder: Path
) -> None:
    """What its extras stand for, and what goes with them, is in the set: nothing of PyPI's own build of that torch."""
    publish(index, "2.6.0")
    publish(index, "2.7.0", more=("cuda-toolkit==12.4.1",))
    toolkit = "cuda_toolkit-12.6.3-py3-none-any.whl"
    index.add(toolkit, make_wheel(toolkit, requires=['nvidia-cublas-cu12==12.6.4.1.*; extra == "cublas"']))
    index.add("nvidia_cublas_cu12-12.6.4.1-py3-none-manylinux1_x86_64.whl")
    index.add("cuda_bindings-12.9.4-cp311-cp311-manylinux1_x86_64.whl")
    asks = ["cuda-toolkit[cublas]==12.6.3", "cuda-bindings>=12.9", "nvidia-cudnn-cu12==9.1.0.70", "triton==3.6.0"]
    publish_on_pytorch(pytorch, "2.6.0", variant="cu126", pythons=("cp311",), asks=asks)
    run()
    wheels = load_wheels("2.6.0-cu126", Platform.AMD64, PY311, base=folder)
    assert {wheel.name for wheel in wheels.cuda} == {"nvidia-cublas-cu12", "nvidia-cudnn-cu12"}
    assert {"cuda-bindings", "cuda-toolkit"} <= {wheel.name for wheel in wheels.torch}
    assert wheels.locked
