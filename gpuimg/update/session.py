"""HTTP for reading package indexes: cached, bounded, patient with connections that drop, and never a whole wheel."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, TypeVar

import requests
import urllib3
from requests.adapters import HTTPAdapter

from gpuimg import __version__
from gpuimg.update.cache import Cache, Page
from gpuimg.update.failures import TLS_HINT, About, reason, refused, shown, unanswered

PAGE_LIMIT_BYTES: Final = 64 * 2**20
"""No index page is larger; those of the largest projects have a few MiB."""

METADATA_LIMIT_BYTES: Final = 8 * 2**20
"""No METADATA is larger; long ones have 100 kB."""

RANGE_LIMIT_BYTES: Final = 32 * 2**20
"""No part of a wheel that is read is larger; the directory of a torch wheel has 2 MiB."""

BACKOFF_S: Final = 0.5
"""How long a second try waits; each further one twice as long."""

_CONNECT_TIMEOUT_S: Final = 10.0
_READ_TIMEOUT_S: Final = 30.0
_ANSWER_S: Final = 600.0  # for a whole answer: a server that sends a byte now and then never times out
_TRIES: Final = 4
_CHUNK_BYTES: Final = 1 << 16
_RETRY_AFTER_S: Final = 60.0
_REDIRECTS: Final = 5

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a server answered; of anything but a 200 the body isn't read."""

    status: int
    reason: str
    asked: str
    url: str
    """Where the answer came from, after redirects."""
    content_type: str
    body: bytes
    etag: str | None = None
    last_modified: str | None = None


@dataclass(slots=True, kw_only=True)
class Traffic:
    """What a session has cost so far."""

    requests: int = 0
    received_bytes: int = 0
    """Bodies as they came over the wire."""
    cache_hits: int = 0
    """Pages of which the server said that the kept one still holds, and facts that took no request."""


class Session:
    """A connection pool with a cache; threads may share it. Close it, or use it as a context manager."""

    def __init__(
        self,
        *,
        cache_dir: Path | None,
        connections: int = 12,
        backoff_s: float = BACKOFF_S,
        timeout_s: float = _READ_TIMEOUT_S,
        traffic: Traffic | None = None,
    ) -> None:
        """`cache_dir` keeps pages and facts for the next run; None keeps nothing. `traffic` goes on counting."""
        self.traffic = traffic or Traffic()
        self._cache = Cache(cache_dir)
        self._backoff_s = backoff_s
        self._timeout_s = (min(_CONNECT_TIMEOUT_S, timeout_s), timeout_s)
        self._cancelled = threading.Event()
        self._lock = threading.Lock()
        self._http = _http(connections, backoff_s=backoff_s)
        self._http.hooks["response"].append(self._count)

    def get(self, url: str, *, about: About, limit_bytes: int, accept: str = "*/*") -> Answer:
        """Give the answer to a GET; the kept one where the server says that it still holds.

        Raises:
            UpstreamError: nobody answers (`unreachable`), or the answer is larger than `limit_bytes`.
        """
        kept = self._cache.page(url)
        headers = {"Accept": accept, **(kept.conditions if kept else {})}

        def once() -> Answer:
            with self._response(url, about=about, headers=headers) as response:
                if response.status_code == 304 and kept is not None:
                    return Answer(
                        status=200, reason="", asked=url, url=kept.url, content_type=kept.content_type, body=kept.body
                    )
                return Answer(
                    status=response.status_code,
                    reason=response.reason or "",
                    asked=url,
                    url=response.url,
                    content_type=response.headers.get("Content-Type", ""),
                    body=self._body(response, limit_bytes, about=about) if response.status_code == 200 else b"",
                    etag=response.headers.get("ETag"),
                    last_modified=response.headers.get("Last-Modified"),
                )

        return self._patiently(once, url, about=about)

    def keep(self, answer: Answer) -> None:
        """Keep an answer that was found to hold for the next run, if its server will recognise it."""
        if answer.etag is not None or answer.last_modified is not None:
            page = Page(
                etag=answer.etag,
                last_modified=answer.last_modified,
                url=shown(answer.url),
                content_type=answer.content_type,
                body=answer.body,
            )
            self._cache.keep_page(answer.asked, page)

    def known(self, key: str) -> dict[str, object] | None:
        """Facts that were kept for `key`."""
        row = self._cache.facts(key)
        with self._lock:
            self.traffic.cache_hits += row is not None
        return row

    def keep_facts(self, key: str, row: Mapping[str, object]) -> None:
        """Keep facts that never change."""
        self._cache.keep_facts(key, row)

    def get_range(self, url: str, *, about: About, start: int, stop: int) -> tuple[bytes, int]:
        """Give the bytes from `start` up to and without `stop`, and the size of the whole file.

        Raises:
            UpstreamError: nobody answers (`unreachable`), or the server gives anything but that range.
        """
        if not 0 <= start < stop or stop - start > RANGE_LIMIT_BYTES:
            raise about.error(f"would need bytes {start} to {stop} of the file: that is no wheel, or a broken one")
        headers = {"Range": f"bytes={start}-{stop - 1}", "Accept-Encoding": "identity"}

        def once() -> tuple[bytes, int]:
            with self._response(url, about=about, headers=headers) as response:
                first, last, total = _content_range(response, about=about)
                if first != start or not start <= last < stop:
                    raise about.error(f"bytes {start} to {stop - 1} were asked for, {first} to {last} answered")
                body = self._body(response, last + 1 - start, about=about)
                if len(body) != last + 1 - start:
                    raise about.error(f"{last + 1 - start} bytes were announced and {len(body)} sent")
                return body, total

        return self._patiently(once, url, about=about)

    def cancel(self) -> None:
        """End what other threads are reading, as soon as they notice: they get CancelledError."""
        self._cancelled.set()

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _count(self, response: requests.Response, **_: object) -> None:
        """Called for every answer, redirects too; what a redirect says beside where to go is never read."""
        if response.is_redirect:
            response.close()
        retries = response.raw.retries
        with self._lock:
            self.traffic.requests += 1 + (len(retries.history) if retries is not None else 0)
            self.traffic.cache_hits += response.status_code == 304

    @contextlib.contextmanager
    def _response(self, url: str, *, about: About, headers: Mapping[str, str]) -> Iterator[requests.Response]:
        self._check()
        with self._http.get(url, headers=headers, stream=True, timeout=self._timeout_s) as response:
            try:
                if url.startswith("https:") and not response.url.startswith("https:"):
                    raise about.error(
                        f"{shown(url)} leads to {shown(response.url)}, which anyone on the way may change"
                    )
                yield response
            finally:
                with self._lock:
                    self.traffic.received_bytes += response.raw.tell()

    def _body(self, response: requests.Response, limit_bytes: int, *, about: About) -> bytes:
        """The whole body; one that is larger than the limit is refused as soon as that is known."""
        announced = response.headers.get("Content-Length", "")
        size, chunks, end = 0, [], time.monotonic() + _ANSWER_S
        too_large = about.error(f"the answer of {shown(response.url)} is larger than {limit_bytes} bytes")
        if announced.isdigit() and int(announced) > limit_bytes:
            raise too_large
        try:
            for chunk in response.iter_content(_CHUNK_BYTES):
                self._check()
                size += len(chunk)
                if size > limit_bytes:
                    raise too_large
                if time.monotonic() > end:
                    raise about.error(f"{shown(response.url)} sends too slowly", unreachable=True)
                chunks.append(chunk)
        except requests.RequestException as error:
            raise _DroppedError from error
        return b"".join(chunks)

    def _patiently(self, once: Callable[[], Result], url: str, *, about: About) -> Result:
        """The adapter retries until an answer begins; an answer that then breaks off is asked for again here."""
        for n in range(_TRIES):
            try:
                return once()
            except _DroppedError as error:
                if n == _TRIES - 1:
                    problem = f"{shown(url)} breaks off each time: {reason(error)}"
                    raise about.error(problem, unreachable=True) from error
            except requests.RequestException as error:
                raise unanswered(error, url, about=about) from error
            except OSError as error:  # requests' own word for a certificate file that doesn't exist
                raise about.error(f"{shown(url)}: {error}", hints=(TLS_HINT,)) from error
            self._cancelled.wait(self._backoff_s * 2**n)
        raise AssertionError("the last try returns or raises")

    def _check(self) -> None:
        if self._cancelled.is_set():
            raise CancelledError


class _DroppedError(Exception):
    """An answer that broke off."""


class _Retry(urllib3.Retry):
    def get_retry_after(self, response: urllib3.BaseHTTPResponse) -> float | None:
        """At most a minute: who asks us to come back tomorrow gets an error today."""
        wanted = super().get_retry_after(response)
        return None if wanted is None else min(wanted, _RETRY_AFTER_S)


def _http(connections: int, *, backoff_s: float) -> requests.Session:
    retry = _Retry(
        total=2 * _TRIES,
        connect=2,
        read=_TRIES - 1,
        status=_TRIES - 1,
        other=0,  # a certificate or a proxy won't change its mind
        backoff_factor=backoff_s,
        backoff_max=10.0,
        status_forcelist={429, 500, 502, 503, 504},
        raise_on_status=False,
    )
    session = requests.Session()
    for scheme in ("https://", "http://"):
        session.mount(scheme, HTTPAdapter(max_retries=retry, pool_maxsize=connections))
    session.headers["User-Agent"] = f"gpuimg/{__version__}"
    session.max_redirects = _REDIRECTS
    # requests knows its own variable and curl's, but not the one that Python, uv and most firms go by
    if not os.environ.get("REQUESTS_CA_BUNDLE") and not os.environ.get("CURL_CA_BUNDLE"):
        session.verify = os.environ.get("SSL_CERT_FILE") or True
    return session


def _content_range(response: requests.Response, *, about: About) -> tuple[int, int, int]:
    """First and last byte of a part and the size of the whole."""
    place = shown(response.url)
    if response.status_code == 200:
        size = response.headers.get("Content-Length", "")
        whole = f"all {int(size):,} bytes of it" if size.isdigit() else "the whole file"
        raise about.error(f"{place} can't be read in parts: the server would send {whole}")
    if response.status_code != 206:
        problem = f"{place} answers {response.status_code} {response.reason}"
        raise about.error(problem, unreachable=refused(response.status_code))
    unit, _, rest = response.headers.get("Content-Range", "").partition(" ")
    numbers = rest.replace("-", "/").split("/")
    if unit != "bytes" or len(numbers) != 3 or not all(number.isdigit() for number in numbers):
        raise about.error(f"{place} doesn't say which part it sent")
    first, last, total = map(int, numbers)
    return first, last, total
