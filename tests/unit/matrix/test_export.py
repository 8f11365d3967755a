"""Stacks as tables and as JSON, unknowns and all."""

from __future__ import annotations

import dataclasses
import json
from typing import Final

from gpuimg.cli.table import terminal_table
from gpuimg.facts import UNKNOWN, Matrix
from gpuimg.matrix.export import on_platforms, stack_as_json, stack_rows, verdict_as_json
from gpuimg.matrix.query import Host, judge, select_compatible
from gpuimg.matrix.wishes import read_host, read_wishes
from gpuimg.versions import Platform
from tests.unit.stacks import a_platform, a_stack, with_stacks

WIDE: Final = a_stack(
    "2.13.0-cu132",
    a_platform(pythons="3.10 3.11 3.12 3.13 3.13t 3.14 3.14t", code="7.5 8.0 12.0+PTX"),
    a_platform(Platform.ARM64, pythons="3.11", code="9.0 11.0"),
)
DIM: Final = a_stack("2.0.1-cu118", a_platform(code=None, index="pytorch"), cudnn=None, last_seen="never")


def test_a_row_for_programs_has_all(matrix: Matrix) -> None:
    headers, (row,) = stack_rows([WIDE], with_stacks(matrix, WIDE))
    cells = dict(zip(headers, row, strict=True))
    assert cells["python"] == "3.10-3.14,3.13t,3.14t"
    assert cells["gpus"] == "7.5,8.0,9.0,11.0,12.0+PTX"
    assert cells["platforms"] == "amd64,arm64"
    assert not any(" " in cell for cell in row)


def test_a_brief_row_has_first_and_last(matrix: Matrix) -> None:
    headers, (row,) = stack_rows([WIDE], with_stacks(matrix, WIDE), brief=True)
    cells = dict(zip(headers, row, strict=True))
    assert cells["python"] == "3.10-3.14+t"
    assert cells["gpus"] == "7.5-12.0+"


def test_what_is_unknown_is_said(matrix: Matrix) -> None:
    for brief in (False, True):
        headers, (row,) = stack_rows([DIM], with_stacks(matrix, DIM), brief=brief)
        cells = dict(zip(headers, row, strict=True))
        assert (cells["cudnn"], cells["nccl"], cells["gpus"]) == ("unknown", "unknown", "unknown")
    half = a_stack("2.6.0-cu124", a_platform(code="8.0 9.0"), a_platform(Platform.ARM64, code=None))
    headers, (row,) = stack_rows([half], with_stacks(matrix, half), brief=True)
    assert row[headers.index("gpus")] == "8.0-9.0?"


def test_every_stack_is_one_line_on_a_terminal_of_80_columns(matrix: Matrix) -> None:
    """With what is longest in each column. A hundred stacks are a hundred lines."""
    stack = dataclasses.replace(WIDE, nccl=UNKNOWN)
    many = with_stacks(matrix, *matrix.stacks, stack, DIM)
    headers, rows = stack_rows(many.stacks, many, compatible=select_compatible(many, read_wishes()), brief=True)
    lines = terminal_table(headers, rows, width=80, elastic="gpus")
    assert len(lines) == 1 + len(rows)
    assert max(map(len, lines)) <= 80


def test_compatible_names_stand_where_their_versions_do(matrix: Matrix) -> None:
    stacks = [a_stack(name) for name in ("2.6.0-cu126", "2.6.0-cu124", "2.6.0-cu118")]
    small = with_stacks(matrix, *stacks)
    _, rows = stack_rows(stacks, small, compatible=small.compatible)
    assert [row[0] for row in rows] == ["2.6.0-cu126", "2.6.0-cu124", "2.6.0-cu121", "2.6.0-cu118"]
    assert rows[2][1] == "→ 2.6.0-cu124"


def test_a_stack_can_be_shown_on_some_platforms(matrix: Matrix) -> None:
    narrow = on_platforms(WIDE, {Platform.ARM64})
    _, (row,) = stack_rows([narrow], with_stacks(matrix, WIDE))
    assert row[-2:] == ("arm64", "9.0,11.0")


def test_json_keeps_unknowns_and_reasons(matrix: Matrix) -> None:
    stack = a_stack("2.4.1-cu124", a_platform(code=None, left_out={"3.8": "too old"}), cudnn=None, last_seen="never")
    small = with_stacks(matrix, stack)
    value = json.loads(json.dumps(stack_as_json(stack, small)))
    assert (value["cudnn"], value["nccl"], value["last_seen"]) == ("unknown", "unknown", "never")
    (platform,) = value["platforms"]
    assert platform["compute_capabilities"] == "unknown"
    assert platform["left_out"] == [{"python": "3.8", "reason": "too old"}]


def test_a_verdict_as_json_has_answer_and_reasons(matrix: Matrix) -> None:
    small = with_stacks(matrix, WIDE)
    cannot = verdict_as_json(judge(WIDE, read_host(matrix, driver="535.104"), small))
    assert cannot == {
        "answer": "cannot",
        "reasons": ["driver 535.104 is below 580, which CUDA 13 needs"],
        "notes": [],
        "platforms": ["linux/amd64", "linux/arm64"],
    }
    runs = verdict_as_json(judge(WIDE, read_host(matrix, gpus=["Thor"]), small))
    assert runs == {"answer": "runs", "reasons": [], "notes": [], "platforms": ["linux/arm64"]}
    assert (
        verdict_as_json(judge(DIM, read_host(matrix, gpus=["H100"]), with_stacks(matrix, DIM)))["answer"] == "unknown"
    )
    assert verdict_as_json(judge(DIM, Host(), with_stacks(matrix, DIM)))["answer"] == "runs"
