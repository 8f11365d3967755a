"""A wheel of torch that was compiled before: found, hashed and held against what is to be built."""

from __future__ import annotations

import email.parser
import hashlib
import re
import urllib.parse
import zipfile
from pathlib import Path
from typing import Final

from packaging.tags import Tag
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from gpuimg import settings
from gpuimg.errors import RequestError
from gpuimg.facts import Base, Stack
from gpuimg.model import TorchWheel
from gpuimg.text import printable, shorten
from gpuimg.versions import Platform, PythonVersion

_CHUNK_BYTES: Final = 1 << 20
_MAX_METADATA_BYTES: Final = 1 << 20
_ALIASES: Final = {"manylinux1": "manylinux_2_5", "manylinux2010": "manylinux_2_12", "manylinux2014": "manylinux_2_17"}


def read_wheel(text: str) -> TorchWheel:
    """Give the wheel that `text` names: a file, with or without ``#sha256=…``, or a URL with it.

    A file is read once, for its hash, and must be the wheel that its name says.

    Raises:
        RequestError: it isn't there, is no wheel, has another hash, or a URL names none.
    """
    place, _, fragment = text.partition("#")
    wanted = _hash(fragment, text)
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", place):
        if wanted is None:
            raise RequestError(
                f"`{_shown(place)}` is a URL without a hash, so anything could come from there",
                hints=["add it: --torch-wheel URL#sha256=…, as `sha256sum` prints it"],
            )
        url = settings.wheel_url(place)
        name = urllib.parse.unquote(urllib.parse.urlsplit(url).path.rpartition("/")[2])
        _parsed(name)
        return TorchWheel(file_name=name, sha256=wanted, url=url)
    path = Path(place).expanduser()
    name = path.name
    version = _parsed(name)[0]
    try:
        found = _sha256(path)
        problem = _unlike(path, version)
    except OSError as error:
        raise RequestError(f"the wheel {_shown(place)} can't be read: {error.strerror or error}") from error
    if wanted not in {None, found}:
        raise RequestError(
            f"{_shown(name)} has SHA-256 {found}, not {wanted}: it is not the wheel that was meant",
            hints=["copy it again from where it was built, or correct the hash"],
        )
    if problem:
        raise RequestError(f"{_shown(name)} {problem}")
    return TorchWheel(file_name=name, sha256=found, path=path.resolve())


def check_fits(wheel: TorchWheel, stack: Stack, *, python: PythonVersion, platform: Platform, base: Base) -> None:
    """Raise RequestError where the name of `wheel` says that it is for another stack, Python, platform or glibc."""
    version, tags = _parsed(wheel.file_name)
    if version != Version(stack.local_version):
        raise RequestError(
            f"{_shown(wheel.file_name)} is torch {version}; {stack.name} is torch {stack.local_version}",
            hints=[f"`gpuimg wheel {stack.name} --exact` compiles it"],
        )
    abi = f"cp{python.major}{python.minor}{'t' if python.free_threaded else ''}"
    pythons = sorted({tag.interpreter for tag in tags})
    fitting = [tag for tag in tags if tag.interpreter == f"cp{python.major}{python.minor}" and tag.abi == abi]
    if not fitting:
        raise RequestError(
            f"{_shown(wheel.file_name)} is for {', '.join(pythons)}; the image has Python {python}",
            hints=["--python chooses another"],
        )
    if not any(_runs_on(tag.platform, platform, base) for tag in fitting):
        platforms = ", ".join(sorted({tag.platform for tag in fitting}))
        raise RequestError(f"{_shown(wheel.file_name)} is for {platforms}; the image is {platform}, glibc {base.glibc}")


def _runs_on(tag: str, platform: Platform, base: Base) -> bool:
    """Whether a platform tag is one of the machine, and of a glibc that the base has."""
    name = tag.removesuffix(f"_{platform.machine}")
    if name == "linux":
        return True
    floor = re.fullmatch(r"manylinux_(\d+)_(\d+)", _ALIASES.get(name, name))
    return floor is not None and (int(floor[1]), int(floor[2])) <= base.glibc.release


def _parsed(file_name: str) -> tuple[Version, frozenset[Tag]]:
    try:
        name, version, _, tags = parse_wheel_filename(file_name)
    except (InvalidWheelFilename, InvalidVersion) as error:
        raise RequestError(
            f"`{_shown(file_name)}` is not the name of a wheel",
            hints=["--torch-wheel takes a file or URL such as torch-2.6.0+cu121-cp310-cp310-linux_x86_64.whl"],
        ) from error
    if name != "torch":
        raise RequestError(f"`{_shown(file_name)}` is a wheel of {name}, not of torch")
    return version, tags


def _hash(fragment: str, text: str) -> str | None:
    """The hash that stands behind the ``#``; None without one."""
    if not fragment:
        return None
    match = re.fullmatch(r"sha256=([0-9a-f]{64})", fragment.lower())
    if match is None:
        raise RequestError(
            f"`{_shown(text)}` ends in no hash that can be checked", hints=["write it as #sha256= and 64 digits"]
        )
    return match[1]


def _sha256(path: Path) -> str:
    """Of a file of gigabytes, so piece by piece."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _unlike(path: Path, version: Version) -> str | None:
    """What the wheel says of itself that its file name doesn't; None: they agree."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name)]
            if len(names) != 1 or archive.getinfo(names[0]).file_size > _MAX_METADATA_BYTES:
                return "is not a whole wheel: it has no METADATA"
            metadata = email.parser.BytesHeaderParser().parsebytes(archive.read(names[0]))
    except zipfile.BadZipFile as error:
        return f"is not a whole wheel: {printable(str(error))}"
    name, found = str(metadata["Name"]), str(metadata["Version"])
    try:
        same = canonicalize_name(name) == "torch" and Version(found) == version
    except InvalidVersion:
        same = False
    return None if same else f"holds {_shown(name)} {_shown(found)}, which its name doesn't say"


def _shown(text: str) -> str:
    return shorten(printable(text), 120)
