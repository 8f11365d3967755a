"""What os-release and the kernel say of a distribution: files in a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpuimg.machine import Distribution, Machine, read_distribution


def _read(root: Path, **files: str) -> Distribution:
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_", "-")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return read_distribution(Machine(root=root, environ={}))


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("ID=debian\n", ("debian",)),
        ('ID="rocky"\nID_LIKE="rhel centos fedora"\n', ("rocky", "rhel", "centos", "fedora")),
        ("# ID=other\nID=arch\nID_LIKE='arch'\n", ("arch",)),
        ("PRETTY_NAME=nothing else\n", ()),
    ],
)
def test_the_nearest_family_comes_first(tmp_path: Path, text: str, ids: tuple[str, ...]) -> None:
    assert _read(tmp_path, etc__os_release=text).ids == ids


def test_the_vendor_s_file_counts_where_etc_has_none(tmp_path: Path) -> None:
    assert _read(tmp_path, usr__lib__os_release='ID=fedora\nPRETTY_NAME="Fedora Linux 41"\n').name == "Fedora Linux 41"


def test_windows_is_told_by_the_kernel(tmp_path: Path) -> None:
    found = _read(tmp_path, etc__os_release="ID=ubuntu\n", proc__sys__kernel__osrelease="5.15.1-microsoft-WSL2")
    assert found.wsl
    assert not found.systemd


def test_a_machine_without_any_of_it_has_no_name(tmp_path: Path) -> None:
    assert _read(tmp_path) == Distribution(name="")


def test_what_a_shell_would_refuse_and_a_terminal_obey_is_harmless(tmp_path: Path) -> None:
    found = _read(tmp_path, etc__os_release='PRETTY_NAME="open\x1b[2J\nID=x\n')
    assert "\x1b" not in found.name
    assert found.ids == ("x",)
