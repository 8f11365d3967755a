"""From which release on engines have what checks ask about."""

from __future__ import annotations

from packaging.version import Version

from gpuimg.facts import HostFacts


def feature(hosts: HostFacts, name: str) -> Version:
    """The first release of Docker's engine that has it."""
    return next(row.engine for row in hosts.engine_features if row.feature == name)
