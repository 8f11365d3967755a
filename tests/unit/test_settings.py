"""Hostile values stop before anything is planned: none can become an instruction or a shell word."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpuimg import settings
from gpuimg.errors import RequestError

HOSTILE = [
    "debian AS x\nRUN id",
    "debian; id",
    "$(id)",
    "`id`",
    'debian" x="',
    "debian'",
    "debian\\",
    "debian\x1b[2J",
    "debian\u202e",
    "debian\r\nUSER root",
    "deb ian",
    "",
    "${IFS}",
    "debian#x",
    "../debian",
    "-debian",
]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize(
    "accept",
    [
        settings.image_reference,
        settings.image_tag,
        settings.index_url,
        settings.network,
        settings.repository,
        settings.requirement,
    ],
)
def test_hostile_text_is_refused(accept: object, text: str) -> None:
    assert callable(accept)
    with pytest.raises(RequestError) as caught:
        accept(text)
    assert "\x1b" not in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    "text",
    [
        "debian:bookworm-slim",
        "ubuntu",
        "registry.example.com:5000/base/debian:12",
        "localhost/x__y/z:T_1.2-3",
        f"debian@sha256:{'0' * 64}",
        f"debian:12@sha256:{'0' * 64}",
    ],
)
def test_image_references_pass(text: str) -> None:
    assert settings.image_reference(text) == text


def test_a_tag_without_one_is_latest() -> None:
    assert settings.image_tag("registry.example.com:5000/team/train") == "registry.example.com:5000/team/train:latest"
    assert settings.image_tag("train:2.6") == "train:2.6"


@pytest.mark.parametrize("text", ["https://pypi.example.com/simple", "http://127.0.0.1:8080/simple/"])
def test_index_urls_pass(text: str) -> None:
    assert settings.index_url(text) == text


@pytest.mark.parametrize(
    "text", ["https://user:secret@pypi.example.com/simple", "https://token@pypi.example.com/simple"]
)
def test_credentials_are_refused_and_never_repeated(text: str) -> None:
    """A build has no session, so a credential would be readable in the image's history."""
    with pytest.raises(RequestError, match="user name or password") as caught:
        settings.index_url(text)
    assert "secret" not in str(caught.value)
    assert "token" not in str(caught.value)


def test_requirements_are_normalised_and_urls_refused() -> None:
    assert settings.requirement("transformers == 4.40.0") == "transformers==4.40.0"
    assert settings.requirement("datasets[vision]>=2.19,<3") == "datasets[vision]<3,>=2.19"
    with pytest.raises(RequestError, match="`x` with a URL"):
        settings.requirement("x @ https://example.com/x.whl")


def test_a_ca_bundle_must_be_pem(tmp_path: Path) -> None:
    bad = tmp_path / "ca.pem"
    with pytest.raises(RequestError, match="can't be read"):
        settings.ca_bundle(bad)
    bad.write_text("not a certificate")
    with pytest.raises(RequestError, match="not a bundle of PEM"):
        settings.ca_bundle(bad)


@pytest.mark.parametrize(("text", "size"), [("64m", 2**26), ("8g", 2**33), ("8GB", 2**33), ("512", 512), ("1k", 1024)])
def test_sizes(text: str, size: int) -> None:
    assert settings.size_bytes(text) == size


@pytest.mark.parametrize("text", ["", "0", "-1g", "8 gigs", "1.5g", "9" * 40])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match="is not a size"):
        settings.size_bytes(text)


def test_labels_that_tell_what_the_image_is_cant_be_set() -> None:
    assert settings.label("team=a=b") == ("team", "a=b")
    with pytest.raises(RequestError, match="can't be set by hand"):
        settings.label("io.gpuimg.torch=3.0")
