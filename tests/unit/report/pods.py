"""Recorded logs, and what `kubectl logs` puts before their lines."""

from __future__ import annotations

from pathlib import Path


def log(name: str) -> str:
    return Path(__file__).with_name("logs").joinpath(f"{name}.log").read_text(encoding="utf-8")


def prefixed(pod: str, text: str, *, timestamps: bool = False) -> str:
    """As ``kubectl logs --prefix``, and ``--timestamps``, of a pod whose container is called ``smoke``."""
    time = "2026-11-25T09:30:00.123456789Z " if timestamps else ""
    return "".join(f"[pod/{pod}/smoke] {time}{line}" for line in text.splitlines(keepends=True))
