"""``gpuimg export --format gitlab``: a pipeline for GitLab CI. Nobody is asked."""

from __future__ import annotations

from gpuimg.cli.export.pipelines import pipeline_command

gitlab = pipeline_command(
    "gitlab",
    does="""A pipeline for GitLab CI that builds, checks and pushes images.

    A job for each. The file's head says what it needs.
    """,
)
