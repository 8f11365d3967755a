"""The wheels of a project as a package index lists them: JSON (PEP 691) where it gives that, else HTML (PEP 503).

An answer that doesn't hold is an error and is not kept: what a captive portal or a half-broken mirror says must not
come into the matrix, nor into the next run.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from email.message import Message
from typing import Final
from urllib.parse import unquote, urlsplit, urlunsplit

from packaging.tags import Tag
from packaging.utils import BuildTag, canonicalize_name, parse_wheel_filename
from packaging.version import Version
from pypi_simple import (
    ACCEPT_JSON_PREFERRED,
    DistributionPackage,
    ProjectPage,
    RepositoryPage,
    UnexpectedRepoVersionWarning,
    UnsupportedRepoVersionError,
)

from gpuimg.errors import UpstreamError
from gpuimg.text import printable, shorten
from gpuimg.update.failures import About, refused, shown
from gpuimg.update.session import PAGE_LIMIT_BYTES, Answer, Session

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_REASON_LENGTH: Final = 200

# A newer minor version of the format adds what we don't read; it is no news for the user.
warnings.simplefilter("ignore", UnexpectedRepoVersionWarning)


class NoProjectError(UpstreamError):
    """The index has no such project."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexFile:
    """One wheel as an index lists it. What the index doesn't tell is None."""

    filename: str
    version: Version
    build: BuildTag
    tags: frozenset[Tag]
    url: str
    """May hold a password, if that of the index does."""
    sha256: str | None
    size_bytes: int | None
    uploaded: date | None
    yanked: str | None
    """The reason, which may be empty; None: the file isn't yanked."""
    has_metadata: bool
    """Whether the index announces its METADATA beside it (PEP 658)."""
    metadata_sha256: str | None


def read_project(url: str, *, project: str, index: str, session: Session) -> tuple[IndexFile, ...]:
    """Give the wheels of `project`, by name, from the simple index at `url`.

    Raises:
        NoProjectError: the index has no such project.
        UpstreamError: the index gives no answer (`unreachable`), or one that doesn't hold.
    """
    page = f"{url.rstrip('/')}/{project}/"
    about = About(index=index, subject=project)
    answer = session.get(page, about=about, limit_bytes=PAGE_LIMIT_BYTES, accept=ACCEPT_JSON_PREFERRED)
    if answer.status in {404, 410}:
        raise NoProjectError(index, project, f"{shown(page)} answers {answer.status}: the index has no such project")
    if answer.status != 200:
        problem = f"{shown(answer.url)} answers {answer.status} {answer.reason}"
        raise about.error(problem, unreachable=refused(answer.status))
    packages = tuple(_packages(answer, project, about=about))
    files = tuple(_files(packages, project, index_url=page, about=about))
    if not files:
        raise about.error(f"{shown(answer.url)} lists no wheel of it{_title(answer.body)}")
    session.keep(answer)
    return files


def _packages(answer: Answer, project: str, *, about: About) -> Iterable[DistributionPackage]:
    """What the page lists, read by what it says it is."""
    header = Message()
    header["Content-Type"] = answer.content_type
    place = shown(answer.url)
    match header.get_content_type().rpartition("+")[2].rpartition("/")[2]:
        case "json":
            return _json_packages(answer, project, about=about)
        case "html" if answer.content_type:
            return _html_packages(answer, project, charset=header.get_content_charset(), about=about)
        case _:
            raise about.error(f"{place} is no page of a simple index, but `{answer.content_type}`")


def _json_packages(answer: Answer, project: str, *, about: About) -> Iterable[DistributionPackage]:
    place = shown(answer.url)
    try:
        page = ProjectPage.from_json_data(json.loads(answer.body), answer.url)
    except UnsupportedRepoVersionError as error:
        raise about.error(f"{place}: {error}") from error
    except (ValueError, RecursionError) as error:  # pydantic's errors are ValueErrors
        start = shorten(answer.body[:80].decode(errors="replace").strip(), 60)
        what = " ".join(str(error).split())
        raise about.error(
            f"{place} announces JSON, which does not hold: {shorten(what, 160)}; it begins `{start}`"
        ) from (error)
    if canonicalize_name(page.project) != project:
        raise about.error(f"{place} is the page of another project, {page.project}")
    return page.packages


def _html_packages(answer: Answer, project: str, *, charset: str | None, about: About) -> Iterator[DistributionPackage]:
    try:
        page = RepositoryPage.from_html(answer.body, base_url=answer.url, from_encoding=charset)
        links = [(link, DistributionPackage.from_link(link, project)) for link in page.links]
    except (UnsupportedRepoVersionError, ValueError, RecursionError, LookupError) as error:
        raise about.error(f"{shown(answer.url)} is no page of a simple index: {error}") from error
    for link, package in links:
        older = link.get_str_attrib("data-dist-info-metadata")  # PEP 658 before it was renamed
        if package.has_metadata is None and older is not None:
            name, _, digest = older.partition("=")
            package.has_metadata = True
            package.metadata_digests = {name: digest} if digest else {}
        # pip goes by the link too: directory listings cut the text short
        package.filename = unquote(urlsplit(package.url).path.rpartition("/")[2])
        yield package


def _files(
    packages: Iterable[DistributionPackage], project: str, *, index_url: str, about: About
) -> Iterator[IndexFile]:
    """The wheels, checked; a file that is listed twice must be the same."""
    found: dict[str, IndexFile] = {}
    for package in packages:
        if not package.filename.endswith(".whl"):
            continue
        file = _file(package, project, index_url=index_url, about=about)
        if found.setdefault(file.filename, file).sha256 != file.sha256:
            raise about.error(f"`{file.filename}` is listed with two hashes")
    yield from (found[name] for name in sorted(found))


def _file(package: DistributionPackage, project: str, *, index_url: str, about: About) -> IndexFile:
    try:
        name, version, build, tags = parse_wheel_filename(package.filename)
    except ValueError as error:
        raise about.error(f"lists a wheel whose name does not parse: {error}") from error
    if name != project:
        raise about.error(f"lists a file of another project, `{package.filename}`")
    scheme = package.url.partition(":")[0].lower()
    if shown(package.url).partition(":")[0] != scheme:
        raise about.error(f"offers `{package.filename}` at an address that does not parse")
    if scheme not in {"http", "https"} or (scheme == "http" and index_url.startswith("https:")):
        raise about.error(f"offers `{package.filename}` at {shown(package.url)}, which is not https")
    if package.size is not None and package.size < 1:
        raise about.error(f"gives `{package.filename}` a size of {package.size} bytes")
    return IndexFile(
        filename=package.filename,
        version=version,
        build=build,
        tags=tags,
        url=_with_password(package.url, index_url=index_url),
        sha256=_sha256(package.digests, package.filename, about=about),
        size_bytes=package.size,
        uploaded=package.upload_time.date() if package.upload_time else None,
        yanked=_reason(package.yanked_reason) if package.is_yanked else None,
        has_metadata=bool(package.has_metadata),
        metadata_sha256=_sha256(package.metadata_digests or {}, package.filename, about=about),
    )


def _sha256(digests: dict[str, str], filename: str, *, about: About) -> str | None:
    digest = digests.get("sha256")
    if digest is not None and not _SHA256.fullmatch(digest.lower()):
        raise about.error(f"gives `{filename}` a SHA-256 that is none: `{shorten(printable(digest), 80)}`")
    return None if digest is None else digest.lower()


def _reason(text: str | None) -> str:
    return shorten(printable(" ".join((text or "").split())), _REASON_LENGTH)


def _with_password(url: str, *, index_url: str) -> str:
    """User and password of the index serve for its own files too, as with pip."""
    own, parts = urlsplit(index_url), urlsplit(url)
    login, at, host = own.netloc.rpartition("@")
    if at and (own.scheme, host) == (parts.scheme, parts.netloc):
        return urlunsplit(parts._replace(netloc=f"{login}@{host}"))
    return url


def _title(body: bytes) -> str:
    """What a page calls itself: a login page says so."""
    title = re.search(rb"<title[^>]*>(.{1,300}?)</title", body[:100_000], re.IGNORECASE | re.DOTALL)
    text = " ".join(title[1].decode(errors="replace").split()) if title else ""
    return f"; the page is called `{shorten(text, 80)}`" if text else ""
