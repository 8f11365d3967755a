"""What every check of a user's value owes a text that would get out of its place."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gpuimg.errors import RequestError


def refuses(check: Callable[[str], object], text: str) -> None:
    """`check` must refuse `text`, in a message that steers no terminal, with a hint."""
    with pytest.raises(RequestError) as caught:
        check(text)
    assert "\x1b" not in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.hints
