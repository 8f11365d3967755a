"""An engine's build cache, as far as tests and benchmarks clean up after themselves."""

from __future__ import annotations

import docker


def cache_records(api: docker.APIClient) -> frozenset[str]:
    """The ids of all records."""
    answer = api.df()
    return frozenset(record["ID"] for record in answer.get("BuildCache") or ())


def prune_since(api: docker.APIClient, before: frozenset[str]) -> int:
    """Remove the records that came after `before`, and give the bytes that this freed.

    The engine takes one id a call, and a record only when no other builds on it: so again, until nothing more goes.
    """
    freed = 0
    while True:
        new = cache_records(api) - before
        for record in new:
            answer = api.prune_builds(filters={"id": record}, all=True)  # type: ignore[arg-type]  # stub lacks id
            freed += answer["SpaceReclaimed"]
        if not new or not new - cache_records(api):
            return freed
