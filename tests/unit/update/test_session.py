"""HTTP as it is in firms and on trains: cached, retried, bounded, and never a word about passwords."""

from __future__ import annotations

import gzip
import socket
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError
from pathlib import Path

import pytest
import trustme

from gpuimg.errors import UpstreamError
from gpuimg.update.failures import About
from gpuimg.update.session import Session
from tests.unit.update.index_server import (
    Fault,
    Handler,
    Hanging,
    IndexServer,
    dropped,
    endless,
    huge,
    redirect,
    status,
    unanswered,
)

ABOUT = About(index="pypi", subject="torch")
LIMIT_BYTES = 1 << 20


def get(session: Session, url: str, limit_bytes: int = LIMIT_BYTES) -> bytes:
    return session.get(url, about=ABOUT, limit_bytes=limit_bytes).body


def error_of(session: Session, url: str) -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        get(session, url)
    assert caught.value.index == "pypi"
    assert caught.value.subject == "torch"
    return caught.value


def keep(session: Session, url: str) -> bytes:
    answer = session.get(url, about=ABOUT, limit_bytes=LIMIT_BYTES)
    session.keep(answer)
    return answer.body


@pytest.mark.parametrize("header", ["ETag", "Last-Modified"])
def test_a_second_session_asks_whether_what_was_kept_still_holds(
    index: IndexServer, tmp_path: Path, header: str
) -> None:
    def fault(handler: Handler) -> None:
        if "If-None-Match" in handler.headers or "If-Modified-Since" in handler.headers:
            handler.reply(b"", status=304)
        else:
            handler.reply(b"a page", headers={header: "Wed, 29 Jan 2025 16:19:12 GMT"})

    index.faults["/a"].extend([fault, fault])
    with Session(cache_dir=tmp_path) as session:
        assert keep(session, f"{index.url}/a") == b"a page"
    with Session(cache_dir=tmp_path) as second:
        assert keep(second, f"{index.url}/a") == b"a page"
    assert (second.traffic.requests, second.traffic.cache_hits, second.traffic.received_bytes) == (1, 1, 0)


def test_what_was_not_found_to_hold_is_not_kept(index: IndexServer, session: Session) -> None:
    index.faults["/torch/"].append(status(200, b"a login page", ETag='"1"'))
    index.add("torch-2.6.0-py3-none-any.whl")
    assert get(session, f"{index.url}/torch/") == b"a login page"
    assert b"torch-2.6.0" in get(session, f"{index.url}/torch/")
    assert "If-None-Match" not in index.requests[-1].headers


def test_a_changed_page_replaces_the_kept_one(index: IndexServer, session: Session) -> None:
    index.add("torch-2.6.0-py3-none-any.whl")
    keep(session, f"{index.url}/torch/")
    index.add("torch-2.7.0-py3-none-any.whl")
    assert b"torch-2.7.0" in keep(session, f"{index.url}/torch/")
    assert b"torch-2.7.0" in keep(session, f"{index.url}/torch/")
    assert session.traffic.cache_hits == 1


def test_without_a_cache_all_is_asked_for_again(index: IndexServer) -> None:
    index.add("torch-2.6.0-py3-none-any.whl")
    with Session(cache_dir=None) as session:
        assert keep(session, f"{index.url}/torch/") == keep(session, f"{index.url}/torch/") != b""
        assert (session.traffic.requests, session.traffic.cache_hits) == (2, 0)


def test_a_cache_that_cannot_be_written_costs_time_only(index: IndexServer, tmp_path: Path) -> None:
    index.add("torch-2.6.0-py3-none-any.whl")
    (tmp_path / "pages").write_text("a file where a folder should be")
    with Session(cache_dir=tmp_path) as session:
        assert keep(session, f"{index.url}/torch/") == keep(session, f"{index.url}/torch/") != b""


@pytest.mark.parametrize("damage", [b"", b"{}\n", b"[]\n", b"\x00\n\x00", None], ids=str)
def test_a_broken_cache_entry_is_read_anew(index: IndexServer, tmp_path: Path, damage: bytes | None) -> None:
    index.add("torch-2.6.0-py3-none-any.whl")
    with Session(cache_dir=tmp_path) as session:
        body = keep(session, f"{index.url}/torch/")
        (entry,) = (path for path in tmp_path.rglob("*") if path.is_file())
        entry.write_bytes(entry.read_bytes()[:-1] if damage is None else damage)
        assert keep(session, f"{index.url}/torch/") == body
        assert session.traffic.cache_hits == 0


def test_the_cache_holds_no_password(index: IndexServer, tmp_path: Path) -> None:
    index.habits.login = "me:secret"
    index.add("torch-2.6.0-py3-none-any.whl")
    with Session(cache_dir=tmp_path) as session:
        assert b"torch-2.6.0" in keep(session, f"{index.url.replace('//', '//me:secret@')}/torch/")
    (entry,) = (path for path in tmp_path.rglob("*") if path.is_file())
    assert b"secret" not in entry.read_bytes()


@pytest.mark.parametrize("fault", [dropped, unanswered, status(500), status(503), status(429)])
def test_what_passes_is_tried_again(index: IndexServer, session: Session, fault: Fault) -> None:
    index.add("torch-2.6.0-py3-none-any.whl")
    index.faults["/torch/"].extend([fault, fault])
    assert b"torch-2.6.0" in get(session, f"{index.url}/torch/")
    assert len(index.paths("/torch/")) == 3


def test_what_a_dropped_answer_began_with_is_not_kept(index: IndexServer, session: Session) -> None:
    index.faults["/torch/"].extend([dropped] * 4)
    error = error_of(session, f"{index.url}/torch/")
    assert error.unreachable
    assert "breaks off each time" in error.problem
    index.add("torch-2.6.0-py3-none-any.whl")
    assert b"torch-2.6.0" in get(session, f"{index.url}/torch/")


def test_an_index_that_stays_down_gives_its_status(index: IndexServer, session: Session) -> None:
    index.faults["/torch/"].extend([status(503)] * 10)
    assert session.get(f"{index.url}/torch/", about=ABOUT, limit_bytes=LIMIT_BYTES).status == 503
    assert len(index.paths()) == 4


def test_who_asks_to_come_back_tomorrow_is_not_waited_for(
    index: IndexServer, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.faults["/a"].append(status(503, Retry_After="86400"))
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    session.get(f"{index.url}/a", about=ABOUT, limit_bytes=LIMIT_BYTES)
    assert slept == [60]


@pytest.mark.parametrize("fault", [endless(), huge], ids=["endless", "announced"])
def test_an_answer_beyond_the_limit_is_refused_while_it_streams(
    index: IndexServer, session: Session, fault: Fault
) -> None:
    index.faults["/torch/"].append(fault)
    error = error_of(session, f"{index.url}/torch/")
    assert not error.unreachable
    assert f"larger than {LIMIT_BYTES} bytes" in error.problem
    assert session.traffic.received_bytes < 2 * LIMIT_BYTES


def test_a_small_answer_that_unpacks_to_a_large_one_is_refused(index: IndexServer, session: Session) -> None:
    index.faults["/a"].append(status(200, gzip.compress(bytes(64 << 20)), Content_Encoding="gzip"))
    assert "larger than" in error_of(session, f"{index.url}/a").problem


def test_the_body_of_a_redirect_is_never_read(index: IndexServer, session: Session) -> None:
    def endless_redirect(handler: Handler) -> None:
        handler.close_connection = True
        handler.send_response(302)
        handler.send_header("Location", f"{index.url}/torch/")
        handler.send_header("Content-Length", str(2**40))
        handler.end_headers()
        while True:
            handler.wfile.write(bytes(2**16))

    index.add("torch-2.6.0-py3-none-any.whl")
    index.faults["/a"].append(endless_redirect)
    assert b"torch-2.6.0" in get(session, f"{index.url}/a")


def test_redirects_end(index: IndexServer, session: Session) -> None:
    index.faults["/a"].extend([redirect(f"{index.url}/a")] * 10)
    assert "without end" in error_of(session, f"{index.url}/a").problem


def test_nobody_there_is_unreachable(session: Session) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    error = error_of(session, f"http://127.0.0.1:{port}/simple/torch/")
    assert error.unreachable
    assert "Connection refused" in error.problem


def test_a_name_that_does_not_resolve_is_unreachable(session: Session) -> None:
    assert error_of(session, "http://no-such-host.invalid/simple/torch/").unreachable


def test_a_proxy_that_says_no_is_unreachable(
    index: IndexServer, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy of the environment is used; this one knows no CONNECT."""
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{index.port}")
    error = error_of(session, "https://pypi.example.com/simple/torch/")
    assert error.unreachable
    assert "the proxy says no: Tunnel connection failed: 501" in error.problem


def test_silence_is_unreachable(index: IndexServer) -> None:
    hanging = Hanging()
    index.faults["/a"].extend([hanging] * 4)
    try:
        with Session(cache_dir=None, backoff_s=0, timeout_s=0.05) as session:
            error = error_of(session, f"{index.url}/a")
    finally:
        hanging.let_go.set()
    assert error.unreachable
    assert error.problem.endswith("gives no answer: timed out")


@pytest.mark.parametrize("url", ["ftp://pypi.example.com/simple/", "simple/torch/", "http://[::1/", "http:///"])
def test_what_is_no_address_is_an_error_of_ours(session: Session, url: str) -> None:
    assert not error_of(session, url).unreachable


def test_no_message_shows_a_password(session: Session) -> None:
    error = error_of(session, "http://me:secret@127.0.0.1:1/simple/torch/?token=hidden")
    assert "secret" not in str(error)
    assert "hidden" not in str(error)
    assert "http://127.0.0.1:1/simple/torch/" in str(error)


def test_a_reader_that_is_cancelled_stops(index: IndexServer, session: Session) -> None:
    index.faults["/a"].append(endless())
    ended: list[BaseException] = []

    def read() -> None:
        try:
            get(session, f"{index.url}/a", limit_bytes=1 << 40)
        except CancelledError as error:
            ended.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    session.cancel()
    reader.join(timeout=30)
    assert ended


# --- parts -----------------------------------------------------------------------------------------------------------


def part(session: Session, url: str, start: int, stop: int) -> tuple[bytes, int]:
    return session.get_range(url, about=ABOUT, start=start, stop=stop)


def test_a_part_comes_with_the_size_of_the_whole(index: IndexServer, session: Session) -> None:
    content = index.add("torch-2.6.0-py3-none-any.whl").content
    url = f"http://127.0.0.1:{index.port}/files/torch/torch-2.6.0-py3-none-any.whl"
    assert part(session, url, 10, 20) == (content[10:20], len(content))
    assert part(session, url, 10, 10**6) == (content[10:], len(content))
    assert index.requests[-1].headers["Accept-Encoding"] == "identity"


def test_a_server_that_sends_the_whole_is_refused_unread(index: IndexServer, session: Session) -> None:
    index.faults["/a"].append(huge)
    with pytest.raises(UpstreamError, match="can't be read in parts: the server would send all 1,073,741,824 bytes"):
        part(session, f"{index.url}/a", 0, 10)
    assert session.traffic.received_bytes == 0


@pytest.mark.parametrize(
    ("span", "body", "problem"),
    [
        ("bytes 5-14/100", bytes(10), "bytes 0 to 9 were asked for, 5 to 14 answered"),
        ("bytes 0-99/100", bytes(100), "bytes 0 to 9 were asked for, 0 to 99 answered"),
        ("bytes 0-9/*", bytes(10), "doesn't say which part"),
        ("", bytes(10), "doesn't say which part"),
        ("bytes 0-9/100", bytes(5), "10 bytes were announced and 5 sent"),
    ],
)
def test_another_part_than_was_asked_for_is_refused(
    index: IndexServer, session: Session, span: str, body: bytes, problem: str
) -> None:
    index.faults["/a"].append(status(206, body, Content_Range=span))
    with pytest.raises(UpstreamError, match=problem):
        part(session, f"{index.url}/a", 0, 10)


def test_a_part_that_breaks_off_is_read_again(index: IndexServer, session: Session) -> None:
    def half(handler: Handler) -> None:
        handler.close_connection = True
        handler.send_response(206)
        handler.send_header("Content-Range", "bytes 0-9/100")
        handler.send_header("Content-Length", "10")
        handler.end_headers()
        handler.wfile.write(b"01234")

    index.faults["/a"].extend([half, status(206, b"0123456789", Content_Range="bytes 0-9/100")])
    assert part(session, f"{index.url}/a", 0, 10) == (b"0123456789", 100)


def test_no_part_is_larger_than_a_directory_of_a_wheel_can_be(session: Session) -> None:
    with pytest.raises(UpstreamError, match="that is no wheel"):
        part(session, "http://127.0.0.1:1/a", 0, 2**32)


# --- TLS -------------------------------------------------------------------------------------------------------------


CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


@pytest.fixture
def signed(index: IndexServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Path]]:
    """The index behind TLS that a company signs: its URL and the company's certificate. No variable names that."""
    for name in CA_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    company = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    company.issue_cert("127.0.0.1").configure_cert(context)
    company.cert_pem.write_to_path(tmp_path / "company.pem")
    index.add("torch-2.6.0-py3-none-any.whl")
    with index.behind_tls(context) as url:
        yield url, tmp_path / "company.pem"


def fetch_fresh(url: str) -> bytes:
    with Session(cache_dir=None, backoff_s=0) as session:
        return get(session, url)


@pytest.mark.parametrize("variable", CA_VARIABLES)
def test_the_certificates_that_a_variable_names_are_trusted(
    signed: tuple[str, Path], monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    url, certificate = signed
    monkeypatch.setenv(variable, str(certificate))
    assert b"torch-2.6.0" in fetch_fresh(f"{url}/torch/")


def test_a_certificate_of_nobody_is_unreachable_with_a_way_out(signed: tuple[str, Path]) -> None:
    with pytest.raises(UpstreamError, match=r"TLS failed: .*certificate verify failed") as caught:
        fetch_fresh(f"{signed[0]}/torch/")
    assert caught.value.unreachable
    assert "REQUESTS_CA_BUNDLE" in caught.value.hints[0]


@pytest.mark.parametrize("variable", CA_VARIABLES)
def test_a_certificate_file_that_is_not_there_is_an_error_of_ours(
    signed: tuple[str, Path], monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "/nonexistent.pem")
    with pytest.raises(UpstreamError, match=r"/nonexistent\.pem") as caught:
        fetch_fresh(f"{signed[0]}/torch/")
    assert not caught.value.unreachable


def test_https_that_leads_to_http_is_refused(
    signed: tuple[str, Path], index: IndexServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, certificate = signed
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    index.faults["/a"].append(redirect(f"{index.url}/torch/"))
    with pytest.raises(UpstreamError, match="anyone on the way may change"):
        fetch_fresh(f"{url}/a")
