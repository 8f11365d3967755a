"""Each way in which a build ends badly becomes one error, with the command that helps."""

from __future__ import annotations

import pytest

from gpuimg.engine.events import Failed, Logged, StepChanged
from gpuimg.engine.failures import build_failure
from gpuimg.engine.progress import BuildState
from gpuimg.errors import BuildError, DiskFullError, ImageNotFoundError
from tests.unit.engine.test_progress import recorded


@pytest.mark.parametrize("name", ["missing-base", "20.10-missing-base"])
def test_a_missing_base_is_named(name: str) -> None:
    error = build_failure(recorded(name))
    assert isinstance(error, ImageNotFoundError)
    assert "/no/such:1` is not on the engine and can't be pulled: no such host" in error.message
    assert any("--base" in hint for hint in error.hints)


def test_a_failed_step_shows_its_last_forty_lines() -> None:
    error = build_failure(recorded("failing-run"))
    assert isinstance(error, BuildError)
    assert len(error.log_tail) == 40
    assert error.log_tail[-1] == "E: no such package"
    assert error.exit_code == 4


def test_the_step_that_broke_is_named_not_the_one_that_was_cancelled() -> None:
    """Its log in the recording ends with "No space left on device", and so does the error's kind."""
    error = build_failure(recorded("parallel-failing"))
    assert isinstance(error, DiskFullError)
    assert "[b 2/2] RUN sleep 0.5" in error.message


@pytest.mark.parametrize(
    ("log", "hint"),
    [
        ("error: Hash mismatch for `torch==2.6.0`", "not the one that the matrix has"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE", "not the one that the matrix has"),
        ("cause: invalid peer certificate: UnknownIssuer", "--ca-bundle"),
        (
            "SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed",
            "--ca-bundle",
        ),
        ("cause: dns error: failed to lookup address information", "--build-network host"),
        ("Temporary failure resolving 'deb.example.org'", "--build-network host"),
        ("ERROR: No matching distribution found for uv==0.13.9", "full mirror"),
        ("  × No solution found when resolving dependencies", "choose another version"),
    ],
)
def test_a_cause_in_the_log_gets_its_remedy(log: str, hint: str) -> None:
    error = build_failure(_failed("RUN uv pip install", log, "exit code: 1"))
    assert isinstance(error, BuildError)
    assert hint in error.hints[0]


def test_a_full_disk_is_the_hosts_trouble() -> None:
    error = build_failure(_failed("RUN uv pip install", "No space left on device (os error 28)", "exit code: 2"))
    assert isinstance(error, DiskFullError)
    assert error.exit_code == 3
    assert any("builder prune" in hint for hint in error.hints)


def test_an_unknown_cause_is_not_guessed() -> None:
    assert build_failure(_failed("RUN false", "nothing of note", "exit code: 1")).hints == ()


def _failed(step: str, log: str, message: str) -> BuildState:
    state = BuildState()
    state.apply(StepChanged(step="a", name=step, started=1.0))
    state.apply(Logged(step="a", stream=2, data=f"{log}\n".encode(), at=2.0))
    state.apply(StepChanged(step="a", name=step, started=1.0, completed=2.0, error=message))
    state.apply(Failed(message=f"process did not complete successfully: {message}"))
    return state
