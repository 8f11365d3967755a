"""Values that users give beside the spec, checked before anything is planned.

Whatever passes here is safe to write into a Dockerfile or a file of the build context: it can become neither an
instruction nor a shell word.
"""

from __future__ import annotations

import re
import urllib.parse
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from gpuimg.errors import RequestError
from gpuimg.text import shown
from gpuimg.versions import Platform, PythonVersion

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_HOST = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*(?::\d{1,5})?/)?"
_REPOSITORY = rf"{_HOST}{_COMPONENT}(?:/{_COMPONENT})*"
_TAG = r"[\w][\w.-]{0,127}"
_REFERENCE = re.compile(rf"{_REPOSITORY}(?::{_TAG})?(?:@sha256:[0-9a-f]{{64}})?", re.ASCII)
_TAGGED = re.compile(rf"{_REPOSITORY}(?::{_TAG})?", re.ASCII)
_URL = re.compile(r"https?://[A-Za-z0-9._~:/?#\[\]@!&()*+,;=%-]+")
_STAGES = {"scratch", "tools", "libraries", "source", "wheel"}
"""Names that FROM takes for something else than an image."""
_OF_THE_IMAGE = {
    "PATH": "the image's programs are found by it",
    "LD_LIBRARY_PATH": "it would put other CUDA libraries before torch's own, in silence",
    "VIRTUAL_ENV": "it says where the image's packages are",
    "PIP_CONSTRAINT": "it keeps pip from replacing torch",
    "UV_CONSTRAINT": "it keeps uv from replacing torch",
}
"""Variables that a user's value would break, each with the reason."""
_SECRET = re.compile(r"(^|_)(TOKEN|PASSWORD|PASSWD|SECRET|API_?KEY|ACCESS_KEY(_ID)?|CREDENTIALS?)$")
_USERINFO = re.compile(r"(?<!ssh)://[^\s/?#]*@|://[^\s/?#@]*:[^\s/?#]*@")
"""A URL's; a name alone is a token to some, and to ssh an account."""
_SYSTEM_FOLDERS = {
    "bin",
    "boot",
    "dev",
    "etc",
    "lib",
    "lib64",
    "proc",
    "root",
    "run",
    "sbin",
    "sys",
    "tmp",
    "usr",
    "var",
}
_MAX_CA_BYTES = 4 * 1024 * 1024


def python_version(text: str) -> PythonVersion:
    """The Python that `text` names. Raises RequestError."""
    try:
        return PythonVersion.parse(text)
    except ValueError as error:
        raise RequestError(shown(str(error)), hints=["write it as --python 3.11"]) from error


def platform(text: str) -> Platform:
    """The platform that `text` names. Raises RequestError."""
    try:
        return Platform(text)
    except ValueError as error:
        known = " or ".join(str(platform) for platform in Platform)
        raise RequestError(f"`{shown(text)}` is no platform that gpuimg builds for: use {known}") from error


def image_reference(text: str) -> str:
    """`text` if it is an image reference (name, tag, digest) in the engine's grammar. Raises RequestError."""
    if not _REFERENCE.fullmatch(text) or len(text) > 512 or text in _STAGES:
        raise RequestError(
            f"`{shown(text)}` is not an image reference",
            hints=["write it as debian:bookworm-slim or registry.example.com/base/debian:12"],
        )
    return text


def image_tag(text: str) -> str:
    """`text` with its tag (``latest`` if it has none), if it can name an image. Raises RequestError."""
    if not _TAGGED.fullmatch(text) or len(text) > 255:
        raise RequestError(
            f"`{shown(text)}` can't be an image's name and tag",
            hints=["write it as registry.example.com/team/train:2.6 (repository in lower case)"],
        )
    return text if ":" in text.rpartition("/")[2] else f"{text}:latest"


def names_registry(reference: str) -> bool:
    """Whether an image's name begins with a registry's host, where it can be pulled from.

    >>> names_registry("registry.example.com/team/bert:latest"), names_registry("team/bert:latest")
    (True, False)
    """
    host, slash, _ = reference.partition("/")
    return bool(slash) and (host == "localhost" or bool(set(host) & {".", ":"}))


def repository(text: str) -> str:
    """`text` if it can name a repository, which tags are added to. Raises RequestError."""
    if not re.fullmatch(_REPOSITORY, text, re.ASCII) or len(text) > 200:
        raise RequestError(
            f"`{shown(text)}` can't name a repository",
            hints=["write it as registry.example.com/team/gpuimg, in lower case and without a tag"],
        )
    return text


def index_url(text: str) -> str:
    """`text` if it is the URL of a package index without credentials. Raises RequestError."""
    return _url(text, "an index", what="a package index", example="https://pypi.example.com/simple")


def wheel_url(text: str) -> str:
    """`text` if it is the URL of a wheel without credentials. Raises RequestError."""
    example = "https://files.example.com/torch-2.6.0+cu121-cp310-cp310-linux_x86_64.whl"
    return _url(text, "a wheel", what="a wheel", example=example)


def repository_url(text: str) -> str:
    """`text` if git can clone it by HTTP or its own protocol without credentials. Raises RequestError."""
    example = "https://git.example.com/mirror/pytorch"
    _url(re.sub(r"^git://", "http://", text), "a repository", what="a git repository", example=example)
    return text


def _url(text: str, one: str, *, what: str, example: str) -> str:
    """`text` if it is the URL of `one`, which is in full `what`."""
    if not _URL.fullmatch(text):
        raise RequestError(f"`{shown(text)}` is not the URL of {what}", hints=[f"write it as {example}"])
    try:
        parts = urllib.parse.urlsplit(text)
        reachable = bool(parts.hostname) and parts.port != 0
    except ValueError as error:
        raise RequestError(f"`{shown(text)}` is not the URL of {what}: {error}") from error
    if not reachable:
        raise RequestError(f"`{shown(text)}` has no host that can be asked")
    if parts.username or parts.password or "@" in parts.netloc:
        raise RequestError(
            f"the {one.split()[1]} URL for {parts.hostname} holds a user name or password;"
            " a build must not carry those",
            hints=[f"use {one} that the build can read without one, such as a mirror in the company's network"],
        )
    return text


def requirement(text: str) -> str:
    """`text` as a normalised PEP 508 requirement by name and version. Raises RequestError."""
    try:
        parsed = Requirement(text)
    except InvalidRequirement as error:
        raise RequestError(
            f"`{shown(text)}` is not a package requirement: {str(error).splitlines()[0]}",
            hints=["write it as transformers==4.40.0 or 'datasets>=2.19'"],
        ) from error
    if not text.isascii() or not text.isprintable() or set(text) & set("\\$#`") or len(text) > 300:
        raise RequestError(f"`{shown(text)}` is not a package requirement: it has characters that none needs")
    if parsed.url:
        raise RequestError(
            f"`{shown(parsed.name)}` with a URL: extras come from the package index by name and version",
            hints=["put the wheel on an index and name that with --index-url"],
        )
    return str(parsed)


def ca_bundle(path: Path) -> bytes:
    """The PEM certificates in the file at `path`. Raises RequestError."""
    try:
        if path.exists() and not path.is_file():
            raise RequestError(
                f"the CA bundle {shown(str(path))} is not a file", hints=["--ca-bundle takes a PEM file"]
            )
        with path.open("rb") as file:
            content = file.read(_MAX_CA_BYTES + 1)
    except OSError as error:
        raise RequestError(
            f"the CA bundle {shown(str(path))} can't be read: {error.strerror}",
            hints=["name the file with --ca-bundle, or unset SSL_CERT_FILE if it points nowhere"],
        ) from error
    if b"-----BEGIN CERTIFICATE-----" not in content or len(content) > _MAX_CA_BYTES:
        raise RequestError(
            f"{shown(str(path))} is not a bundle of PEM certificates", hints=["--ca-bundle takes a PEM file"]
        )
    return content


def system_package(text: str) -> str:
    """`text` if it can name a package of Debian or Ubuntu. Raises RequestError."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9+.-]*[a-z0-9+]", text) or len(text) > 100:
        raise RequestError(
            f"`{shown(text)}` is no system package", hints=["name it as apt does, such as git, libgl1 or ffmpeg"]
        )
    return text


def variable(name: str, value: str) -> tuple[str, str]:
    """`name` and `value` if a user may set that variable in an image. Raises RequestError."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,127}", name):
        raise RequestError(f"`{shown(name)}` can't name a variable", hints=["use letters, digits and _"])
    if name in _OF_THE_IMAGE:
        raise RequestError(f"{name} can't be set: {_OF_THE_IMAGE[name]}")
    refuse_secret(name, value, where="image", hint=f"give it when the image runs: `gpuimg run --env {name}`")
    return name, value


def refuse_secret(name: str, value: str, *, where: str, hint: str) -> None:
    """Raise RequestError for a variable that few may read, by its name or for a password in a URL of its value."""
    if looks_secret(name):
        problem = "looks like a secret"
    elif holds_credentials(value):
        problem = "has a URL with a user name or password"
    else:
        return
    raise RequestError(f"{name} {problem}, and whoever has the {where} could read it", hints=[hint])


def looks_secret(name: str) -> bool:
    """Whether a variable of that name is likely to hold what few may read.

    >>> looks_secret("HF_TOKEN"), looks_secret("TOKENIZERS_PARALLELISM")
    (True, False)
    """
    return _SECRET.search(name.upper()) is not None


def holds_credentials(value: str) -> bool:
    """Whether a URL in `value` has a user name or password.

    >>> holds_credentials("http://u:pw@proxy:3128"), holds_credentials("http://proxy:3128/a@b")
    (True, False)
    """
    return _USERINFO.search(value) is not None


def container_path(text: str) -> str:
    """`text` if it is an absolute path that a Dockerfile can name, without ``..``. Raises RequestError."""
    if not re.fullmatch(r"/[A-Za-z0-9._@+-][A-Za-z0-9._@+/-]{0,255}", text) or {"..", "."} & set(text.split("/")):
        raise RequestError(
            f"`{shown(text)}` is no path for an image",
            hints=["write it as /app: absolute, without spaces and .."],
        )
    if text.rstrip("/").partition("/")[2].partition("/")[0] in _SYSTEM_FOLDERS:
        raise RequestError(f"`{shown(text)}` belongs to the system", hints=["use a folder such as /app or /workspace"])
    return text.rstrip("/")


def network(text: str, *, option: str = "--build-network") -> str:
    """`text` if it can name a network of the engine; `option` gave it. Raises RequestError."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}", text):
        raise RequestError(
            f"`{shown(text)}` can't name a network", hints=[f"`{option} host`, or a name of `docker network ls`"]
        )
    return text


def label(text: str) -> tuple[str, str]:
    """Name and value of ``NAME=VALUE``. Raises RequestError."""
    name, separator, value = text.partition("=")
    if not separator or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,127}", name):
        raise RequestError(f"`{shown(text)}` is no label", hints=["write it as --label team=research"])
    if name.lower().startswith("io.gpuimg.") and not name.startswith("io.gpuimg.test"):
        raise RequestError(f"labels below io.gpuimg. tell what the image is; `{shown(name)}` can't be set by hand")
    return name, value


def gpus(text: str) -> str:
    """`text` if it selects GPUs: ``auto``, ``none``, ``all``, or indexes and UUIDs. Raises RequestError."""
    one = r"(?:\d{1,3}(?::\d{1,2})?|(?:GPU|MIG)-[0-9a-fA-F-]+(?:/\d+/\d+)?)"
    if not re.fullmatch(rf"auto|none|all|{one}(?:,{one})*", text):
        raise RequestError(
            f"`{shown(text)}` selects no GPUs", hints=["use --gpus auto, none, all, or indexes such as 0,1"]
        )
    return text


def size_bytes(text: str) -> int:
    """`text` such as ``64m`` or ``8g`` in bytes (powers of 1024, as the engine counts). Raises RequestError.

    >>> size_bytes("64m")
    67108864
    """
    match = re.fullmatch(r"([0-9]{1,12})([bkmgt]?)b?", text.lower())
    if match is None or not 0 < int(match[1]) * 1024 ** "bkmgt".index(match[2] or "b") < 2**63:
        raise RequestError(f"`{shown(text)}` is not a size", hints=["write it as 8g or 512m"])
    return int(match[1]) * int(1024 ** "bkmgt".index(match[2] or "b"))


def user(text: str) -> str:
    """`text` if it names a user of a container, as ``UID``, ``UID:GID`` or by name. Raises RequestError."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,31})?", text):
        raise RequestError(f"`{shown(text)}` is no user", hints=["write it as --user 1000 or --user 1000:0"])
    return text
