"""A requirements file says packages by name and version; whatever else it says is refused with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpuimg.errors import RequestError
from gpuimg.extras.requirements import read_requirements


def test_a_plain_file_is_read_as_installers_read_it(tmp_path: Path) -> None:
    path = tmp_path / "requirements.txt"
    path.write_bytes(
        b"\xef\xbb\xbf# what we train with\r\n"
        b"transformers == 4.40.0   # pinned\r\n\r\n"
        b"datasets[audio] >=2.19, \\\r\n    <3\r\n"
        b"tomli; python_version < '3.11'\r\n"
        b"einops"
    )
    assert read_requirements(path) == (
        "transformers==4.40.0",
        "datasets[audio]<3,>=2.19",
        'tomli; python_version < "3.11"',
        "einops",
    )


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ("--index-url https://evil.example/simple", "`--index-url` is an option", "--index-url, which the whole build"),
        ("-i https://me:secret@example.com/simple", "`-i` is an option", "--index-url"),
        ("--extra-index-url=https://x.example", "`--extra-index-url` is an option", "--index-url"),
        ("-r other.txt", "`-r` is an option", "name that file too"),
        ("-c constraints.txt", "`-c` is an option", "name that file too"),
        ("-e .", "`-e` is an option", "wheel on an index"),
        ("six==1.16 --hash=sha256:00", "`--hash` is an option", "leave hashes out"),
        ("./six.whl", "names a file or URL", "wheel on an index"),
        ("six.tar.gz", "names a file or URL", "wheel on an index"),
        ("git+https://me:secret@example.com/six", "names a file or URL", "wheel on an index"),
        ("six @ https://me:secret@example.com/six.whl", "names a file or URL", "wheel on an index"),
        ("six; $(curl evil)", "is not a package requirement", "write it as"),
        ("torch \x1b[2J", "is not a package requirement", "write it as"),
    ],
)
def test_what_is_no_requirement_is_refused_with_its_line(tmp_path: Path, line: str, message: str, hint: str) -> None:
    path = tmp_path / "requirements.txt"
    path.write_text(f"einops\n{line}\n")
    with pytest.raises(RequestError, match=r"requirements\.txt, line 2: ") as caught:
        read_requirements(path)
    assert message in caught.value.message
    assert any(hint in text for text in caught.value.hints)
    assert "secret" not in caught.value.message + "".join(caught.value.hints)
    assert "\x1b" not in caught.value.message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe\x00", "is not UTF-8 text"),
        (b"six\x00", "is not a text file"),
        (b"#" * (1 << 20) + b"\n", "has more than 1 MiB"),
        (b"six\n" * 2002, "or 2000 lines"),
    ],
)
def test_a_file_that_is_no_list_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "requirements.txt"
    path.write_bytes(content)
    with pytest.raises(RequestError, match=message):
        read_requirements(path)


def test_a_path_that_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="is not a file"):
        read_requirements(tmp_path)
    with pytest.raises(RequestError, match="can't be read: No such file"):
        read_requirements(tmp_path / "absent")
