"""Why an index gave no answer, in words that hold neither passwords nor what a terminal would obey."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import requests

from gpuimg.errors import UpstreamError
from gpuimg.text import printable, shorten

TLS_HINT: Final = (
    "where TLS is re-signed on the way, name the certificates to trust: REQUESTS_CA_BUNDLE=/path/to/ca-certificates.pem"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """Whom an error names: the index, and what is read from it: a project or a file."""

    index: str
    subject: str

    def error(self, problem: str, *, unreachable: bool = False, hints: Sequence[str] = ()) -> UpstreamError:
        subject, problem = shorten(printable(self.subject), 200), shorten(printable(problem), 400)
        return UpstreamError(self.index, subject, problem, unreachable=unreachable, hints=hints)


def unanswered(error: requests.RequestException, url: str, *, about: About) -> UpstreamError:
    """Give the error for a request that got no answer. What `requests` prints would show the URL's password."""
    place = shown(url)
    match error:
        case requests.exceptions.SSLError():
            problem, hints = f"{place}: TLS failed: {reason(error)}", [TLS_HINT]
        case requests.exceptions.ProxyError():
            problem, hints = f"{place}: the proxy says no: {reason(error)}", []
        case requests.exceptions.Timeout():
            problem, hints = f"{place} gives no answer in time", []
        case requests.exceptions.ConnectionError() | requests.exceptions.RetryError():
            problem, hints = f"{place} gives no answer: {reason(error)}", []
        case requests.exceptions.TooManyRedirects():
            return about.error(f"{place} leads from one place to the next without end")
        case _:
            return about.error(f"{place} can't be asked for ({type(error).__name__})")
    return about.error(problem, unreachable=True, hints=hints)


def refused(status: int) -> bool:
    """Whether a status says that the server won't or can't just now, and nothing about what was asked for."""
    return status in {401, 403, 407, 408, 429, 451} or status >= 500


def reason(error: BaseException) -> str:
    """What the innermost error says: those around it only repeat URL and pool."""
    while True:
        inner = getattr(error, "reason", None) or getattr(error, "original_error", None)
        inner = inner if isinstance(inner, BaseException) else error.__cause__
        inner = inner or next((item for item in error.args if isinstance(item, BaseException)), None)
        if inner is None:
            return shorten(getattr(error, "strerror", None) or str(error) or type(error).__name__, 200)
        error = inner


def shown(url: str) -> str:
    """A URL that is safe to print: without user, password and query, which may be a signature."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an address that does not parse"
    return printable(urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="")))
