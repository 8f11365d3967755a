"""Streams recorded from engines, decoded and folded. Their folder: ``streams``."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from gpuimg.engine.events import Event, Failed, ImageBuilt, Logged, Printed, StepChanged, TaskProgressed, Warned
from gpuimg.engine.progress import LOG_LINES, BuildState, decode
from gpuimg.errors import HostError

STREAMS = Path(__file__).parent / "streams"


def stream(name: str) -> bytes:
    return (STREAMS / f"{name}.jsonl").read_bytes()


def folded(events: Sequence[Event]) -> BuildState:
    state = BuildState()
    for event in events:
        state.apply(event)
    return state


def recorded(name: str) -> BuildState:
    return folded(list(decode([stream(name)])))


@pytest.mark.parametrize("path", sorted(STREAMS.glob("*.jsonl")), ids=lambda path: path.stem)
@pytest.mark.parametrize("size", [1, 7, 1000, 10**6])
def test_stream_means_the_same_however_it_is_cut(path: Path, size: int) -> None:
    data = path.read_bytes()
    chunks = [data[start : start + size] for start in range(0, len(data), size)]
    assert list(decode(chunks)) == list(decode([data]))


@pytest.mark.parametrize("path", sorted(STREAMS.glob("*.jsonl")), ids=lambda path: path.stem)
def test_build_ends_with_an_image_or_an_error(path: Path) -> None:
    state = folded(list(decode([path.read_bytes()])))
    assert (state.image_id is None) != (state.error is None)
    assert state.error or not any(step.running or step.error for step in state.steps)


def test_steps_come_in_build_order() -> None:
    """BuildKit announces its graph from the end."""
    names = [step.name.split(" ", 2)[0] for step in recorded("success").steps if not step.internal]
    assert names[1:] == ["[2/4]", "[3/4]", "[4/4]", "exporting"]
    assert [step.number for step in recorded("success").steps] == list(range(1, 9))


def test_progress_bars_and_colours_are_cleaned() -> None:
    run = next(step for step in recorded("success").steps if step.name.startswith("[2/4]"))
    assert run.log_tail == ("collecting torch", "100%", "done")
    assert run.line == "done"
    assert run.seconds == pytest.approx(1.02, abs=0.02)


def test_cached_steps_are_marked() -> None:
    assert [step.cached for step in recorded("cached").steps if not step.internal] == [True, True, True, True, False]


def test_failed_step_has_its_last_lines() -> None:
    state = recorded("failing-run")
    failed = state.failed_step
    assert failed is not None
    assert failed.name.startswith("[2/3] RUN for n in")
    assert len(failed.log_tail) == LOG_LINES
    assert failed.log_tail[-2:] == ("line 60", "E: no such package")
    assert state.error is not None
    assert state.error.endswith("did not complete successfully: exit code: 100")
    never = state.steps[-1]
    assert (never.name, never.began, never.ended) == ("[3/3] RUN echo never", False, False)


def test_step_that_was_only_cancelled_is_not_the_failed_one() -> None:
    failed = recorded("parallel-failing").failed_step
    assert failed is not None
    assert failed.log_tail == ("No space left on device",)


@pytest.mark.parametrize(
    ("name", "step", "error"),
    [
        ("missing-file", "[2/2] COPY absent.txt /", '"/absent.txt": not found'),
        ("missing-base", "[internal] load metadata for gpuimg.invalid/no/such:1", "no such host"),
        ("bad-dockerfile", None, "unknown instruction: RUNN"),
    ],
)
def test_failures_before_any_command_ran(name: str, step: str | None, error: str) -> None:
    state = recorded(name)
    assert state.error is not None
    assert error in state.error
    assert (state.failed_step.name if state.failed_step else None) == step


def test_older_engine_names_the_image_before_its_last_traces() -> None:
    """20.10 sends both at once: reading on is what completes the steps."""
    data = stream("20.10-success").splitlines()
    named = next(number for number, line in enumerate(data) if b"moby.image.id" in line)
    assert any(b"moby.buildkit.trace" in line for line in data[named + 1 :])
    assert [step.name for step in recorded("20.10-success").steps if not step.internal][1:] == [
        "[2/3] RUN printf 'a\\r%s%%\\n' 10; echo two >&2",
        "[3/3] COPY hello.txt /",
        "exporting to image",
    ]


def test_download_counts_bytes() -> None:
    data = stream("pull").splitlines(keepends=True)
    state = BuildState()
    seen: list[tuple[int, int | None]] = []
    for event in decode(data):
        state.apply(event)
        if isinstance(event, TaskProgressed) and event.name == "downloading":
            seen.append((state.steps[3].done_bytes, state.steps[3].total_bytes))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert state.steps[3].done_bytes == state.steps[3].total_bytes == 588 + 263 + 40012389 + 25007822
    assert state.steps[3].line.startswith("extracting sha256:")


def test_warnings_are_kept() -> None:
    assert recorded("warning").warnings[1].startswith("LegacyKeyValueFormat: ")


def test_line_without_an_end_is_in_the_log() -> None:
    run = next(step for step in recorded("heredoc").steps if "RUN" in step.name)
    assert (run.log_tail, run.line) == (("no newline at end",), "no newline at end")


def test_legacy_builder_has_steps_without_times() -> None:
    state = recorded("legacy-success")
    assert [(step.name, step.ended, step.seconds) for step in state.steps] == [
        ("[1/3] FROM debian:bookworm-slim", True, None),
        ("[2/3] RUN echo one; echo two >&2", True, None),
        ("[3/3] COPY hello.txt /", True, None),
    ]
    assert state.steps[1].log_tail == ("two", "one")
    assert [step.cached for step in recorded("legacy-cached").steps] == [False, True, True]


def test_legacy_builder_names_its_failed_step() -> None:
    state = recorded("legacy-failing")
    assert state.failed_step is not None
    assert state.failed_step.name == "[2/2] RUN echo one; exit 3"
    assert state.failed_step.log_tail == ("one",)


def test_podman_prints_its_steps_in_capitals() -> None:
    lines = ["STEP 1/2: FROM debian", "--> Using cache 4a5b", "STEP 2/2: RUN true", "Successfully built 0123456789ab"]
    state = folded([Printed(text=line + "\n") for line in lines])
    assert [(step.name, step.cached) for step in state.steps] == [
        ("[1/2] FROM debian", True),
        ("[2/2] RUN true", False),
    ]
    assert state.image_id == "0123456789ab"


def test_letters_cut_between_pieces_stay_whole() -> None:
    data = "größer\n".encode()
    state = folded([Logged(step="s", stream=1, data=bytes([byte]), at=None) for byte in data])
    assert state.steps[0].log_tail == ("größer",)


def test_both_streams_keep_their_lines_apart() -> None:
    pieces = [(1, b"out"), (2, b"err"), (1, b"put\n"), (2, b"or\n")]
    state = folded([Logged(step="s", stream=number, data=data, at=None) for number, data in pieces])
    assert state.steps[0].log_tail == ("output", "error")


def test_endless_progress_bar_does_not_grow() -> None:
    state = folded([Logged(step="s", stream=1, data=b"\r%d%%" % (n % 100) + b" " * 500, at=None) for n in range(5000)])
    assert state.steps[0].line == "99%"
    assert len(state.steps[0]._partial[1]) < 20_000


def test_names_and_lines_can_not_steer_a_terminal() -> None:
    state = folded(
        [
            StepChanged(step="s", name="RUN", started=1.0),
            Logged(step="s", stream=1, data=b"\x1b]0;owned\x07a\x08\x1b[2J\xff\xe2\x80\xae\n", at=None),
        ]
    )
    assert state.steps[0].log_tail == ("a\\x08\N{REPLACEMENT CHARACTER}\\u202e",)


def test_objects_need_no_line_break_between_them() -> None:
    data = b'{"stream":"a"}{"aux":{"ID":"sha256:1"}} {"stream":"b"}'
    assert list(decode([data])) == [Printed(text="a"), ImageBuilt(image_id="sha256:1"), Printed(text="b")]


def test_error_object_without_detail_is_a_failure() -> None:
    assert list(decode([b'{"error":"no\\u001b[2J"}'])) == [Failed(message=r"no\x1b[2J")]


@pytest.mark.parametrize(
    "message",
    [
        {"id": "moby.buildkit.trace", "aux": "!!!"},
        {"id": "moby.buildkit.trace", "aux": base64.b64encode(b"\xff\xff\xff").decode()},
        {"id": "moby.buildkit.trace"},
        {"id": "moby.something.new", "aux": {}},
        {"aux": None},
        ["a list"],
        7,
    ],
)
def test_messages_of_another_kind_are_passed_over(message: object) -> None:
    assert list(decode([json.dumps(message).encode()])) == []


@pytest.mark.parametrize("data", [b'{"stream":"a"}\r\n{"stream":"b', b"404 page not found", b'{"a":1}\x00'])
def test_answer_that_breaks_off_is_an_error_of_the_host(data: bytes) -> None:
    with pytest.raises(HostError, match="the engine's answer can't be read"):
        list(decode([data]))


def test_every_kind_of_event_is_recorded() -> None:
    kinds = {type(event) for path in STREAMS.glob("*.jsonl") for event in decode([path.read_bytes()])}
    assert kinds == {StepChanged, TaskProgressed, Logged, Warned, Printed, ImageBuilt, Failed}
