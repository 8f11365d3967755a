"""What real indexes serve, and what stands in their place when something is wrong."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest
from packaging.version import Version

from gpuimg.errors import UpstreamError
from gpuimg.update.index import IndexFile, NoProjectError, read_project
from gpuimg.update.session import Session
from tests.unit.update.index_server import JSON, Fault, IndexServer, dropped, endless, redirect, says, status

WHEEL = "torch-2.6.0-cp311-cp311-manylinux1_x86_64.whl"
LOGIN = (
    b"<!DOCTYPE html><html><head><title>Sign in to\n Example</title></head><body><a href='/help'>help</a></body></html>"
)


def read(index: IndexServer, session: Session) -> tuple[IndexFile, ...]:
    return read_project(index.url, project="torch", index="pypi", session=session)


def page(*files: dict[str, Any], name: str = "torch", version: str = "1.1") -> Fault:
    return says(json.dumps({"meta": {"api-version": version}, "name": name, "files": list(files)}).encode())


def row(filename: str = WHEEL, **fields: Any) -> dict[str, Any]:
    return {"filename": filename, "url": f"/files/{filename}", "hashes": {"sha256": "a" * 64}, **fields}


@pytest.mark.parametrize("html", [False, True], ids=["json", "html"])
def test_wheels_come_by_name_with_what_the_index_tells(index: IndexServer, session: Session, html: bool) -> None:
    index.habits.html = html
    index.add("torch-2.10.0-3-cp313-cp313t-manylinux_2_28_x86_64.whl")
    index.add(WHEEL, yanked="broken on\n old glibc")
    index.add("torch-2.6.0.tar.gz", b"no wheel")
    old, new = read(index, session)[1], read(index, session)[0]
    assert (old.filename, old.version, old.yanked) == (WHEEL, Version("2.6.0"), "broken on old glibc")
    assert (new.version, new.build, new.yanked) == (Version("2.10.0"), (3, ""), None)
    assert {str(tag) for tag in new.tags} == {"cp313-cp313t-manylinux_2_28_x86_64"}
    assert old.url == f"http://127.0.0.1:{index.port}/files/torch/{WHEEL}"
    assert len(old.sha256 or "") == len(old.metadata_sha256 or "") == 64
    assert old.has_metadata
    assert old.uploaded == (None if html else date(2025, 1, 29))
    assert (old.size_bytes is None) == html


def test_a_yank_without_a_reason_is_a_yank(index: IndexServer, session: Session) -> None:
    index.faults["/torch/"].append(page(row(yanked=True)))
    assert read(index, session)[0].yanked == ""


def test_pages_as_pytorch_writes_them(index: IndexServer, session: Session) -> None:
    """A folder a variant, ``+cu124`` as ``%2B``, the hash behind the link, METADATA announced in the older way."""
    index.habits.html = True
    index.habits.announces = ("dist-info-metadata",)
    name = "torch-2.6.0+cu124-cp311-cp311-linux_x86_64.whl"
    index.add(name, variant="cu124")
    (file,) = read_project(f"{index.url}/cu124", project="torch", index="pytorch/cu124", session=session)
    assert file.filename == name
    assert file.version == Version("2.6.0+cu124")
    assert file.url.endswith("/files/cu124/torch/torch-2.6.0%2Bcu124-cp311-cp311-linux_x86_64.whl")
    assert file.sha256 is not None
    assert file.metadata_sha256 is not None


def test_a_listing_without_hashes_and_with_cut_names_will_do(index: IndexServer, session: Session) -> None:
    body = f'<html><body><a href="../">..</a><a href="{WHEEL}">torch-2.6.0-cp311-cp3..&gt;</a></body></html>'
    index.faults["/torch/"].append(says(body.encode(), "text/html"))
    (file,) = read(index, session)
    assert (file.filename, file.sha256, file.size_bytes, file.has_metadata) == (WHEEL, None, None, False)
    assert file.url == f"{index.url}/torch/{WHEEL}"


def test_an_unchanged_page_is_not_sent_again(index: IndexServer, session: Session) -> None:
    index.add(WHEEL)
    assert read(index, session) == read(index, session)
    assert session.traffic.cache_hits == 1


def test_the_password_of_the_index_serves_for_its_files(index: IndexServer, session: Session) -> None:
    index.habits.login = "me:secret"
    index.add(WHEEL)
    index.faults["/torch/"].append(status(401))
    url = index.url.replace("//", "//me:secret@")
    with pytest.raises(UpstreamError) as caught:
        read_project(url, project="torch", index="mirror", session=session)
    assert "secret" not in str(caught.value)
    for _ in range(2):  # the second time from the cache
        (file,) = read_project(url, project="torch", index="mirror", session=session)
        assert file.url == f"http://me:secret@127.0.0.1:{index.port}/files/torch/{WHEEL}"


def test_the_password_stays_with_its_host(index: IndexServer, session: Session) -> None:
    index.faults["/torch/"].append(page(row(url="http://files.example.com/torch.whl")))
    url = index.url.replace("//", "//me:secret@")
    (file,) = read_project(url, project="torch", index="mirror", session=session)
    assert file.url == "http://files.example.com/torch.whl"


# --- what doesn't hold -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        (says(LOGIN, "text/html"), "lists no wheel of it; the page is called `Sign in to Example`"),
        (says(LOGIN, JSON), "announces JSON, which does not hold: .*it begins `<!DOCTYPE html>"),
        (says(b'{"meta": {"api-version": "1.1"}, "name": "torch", "fil'), "announces JSON, which does not hold"),
        (says(b"[1, 2]"), "announces JSON, which does not hold"),
        (says(b"[" * 100_000), "announces JSON, which does not hold"),
        (says(b"\xff\xfe\x00"), "announces JSON, which does not hold"),
        (says(b""), "announces JSON, which does not hold"),
        (says(b"PK\x03\x04", "application/zip"), "is no page of a simple index, but `application/zip`"),
        (says(b"\x00" * 1000, "text/html"), "lists no wheel"),
        (page(), "lists no wheel of it"),
        (page(row("torch-2.6.0.tar.gz")), "lists no wheel of it"),
        (page(row(), name="numpy"), "is the page of another project, numpy"),
        (page(row("numpy-2.0.0-cp311-cp311-manylinux1_x86_64.whl")), "lists a file of another project"),
        (page(row(), version="2.0"), "[Vv]ersion"),
        (page(row("torch-2.6.0-final!-py3-none-any.whl")), "name does not parse"),
        (page(row("torch-banana-py3-none-any.whl")), "name does not parse"),
        (page(row("torch.whl")), "name does not parse"),
        (page(row(hashes={"sha256": "short"})), "a SHA-256 that is none: `short`"),
        (page(row(), row(hashes={"sha256": "b" * 64})), "is listed with two hashes"),
        (page(row(size=-1)), "a size of -1 bytes"),
        (page(row(size="large")), "announces JSON, which does not hold"),
        (page(row(url="file:///etc/passwd")), "which is not https"),
        (page(row(url="http://[::1/torch.whl")), "does not (hold|parse)"),
        (says(b'<html><a href="http://[::1/torch.whl">x</a></html>', "text/html"), "is no page of a simple index"),
        (page({"filename": WHEEL}), "announces JSON, which does not hold"),
        (status(302, Location="http://127.0.0.1:1/login"), "Connection refused"),
    ],
)  # fmt: skip
def test_what_is_no_page_is_refused(index: IndexServer, session: Session, fault: Fault, problem: str) -> None:
    index.add(WHEEL)
    index.faults["/torch/"].append(fault)
    with pytest.raises(UpstreamError, match=problem) as caught:
        read(index, session)
    assert caught.value.message.startswith("pypi: torch: ")
    assert caught.value.message.isprintable()
    assert caught.value.unreachable == ("refused" in problem)
    assert read(index, session), "and it isn't kept"


def test_a_redirect_to_a_login_page_names_it(index: IndexServer, session: Session) -> None:
    index.faults["/torch/"].append(redirect(f"{index.url}/login?then=torch"))
    index.faults["/login"].append(says(LOGIN, "text/html"))
    with pytest.raises(
        UpstreamError, match=r"/simple/login lists no wheel of it; the page is called `Sign in"
    ) as caught:
        read(index, session)
    assert not caught.value.unreachable


def test_a_project_that_is_not_there_has_its_own_error(index: IndexServer, session: Session) -> None:
    with pytest.raises(NoProjectError, match="answers 404: the index has no such project") as caught:
        read(index, session)
    assert not caught.value.unreachable


@pytest.mark.parametrize(
    ("code", "unreachable"),
    [(401, True), (403, True), (407, True), (500, True), (503, True), (400, False), (418, False)],
)
def test_a_refusal_is_told_from_a_lie(index: IndexServer, session: Session, code: int, unreachable: bool) -> None:
    index.faults["/torch/"].extend([status(code)] * 10)
    with pytest.raises(UpstreamError, match=f"answers {code}") as caught:
        read(index, session)
    assert caught.value.unreachable == unreachable


def test_a_page_that_drops_once_is_read_whole(index: IndexServer, session: Session) -> None:
    index.add(WHEEL)
    index.faults["/torch/"].extend([dropped, status(500)])
    assert [file.filename for file in read(index, session)] == [WHEEL]


def test_an_endless_page_is_refused(index: IndexServer, session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpuimg.update.index.PAGE_LIMIT_BYTES", 1 << 20)
    index.faults["/torch/"].append(endless())
    with pytest.raises(UpstreamError, match="larger than 1048576 bytes"):
        read(index, session)


def test_control_characters_do_not_come_through(index: IndexServer, session: Session) -> None:
    index.faults["/torch/"].append(page(row(yanked="\x1b[2Jgone \u202e" + "x" * 1000)))
    reason = read(index, session)[0].yanked or ""
    assert reason.isprintable()
    assert len(reason) <= 200
