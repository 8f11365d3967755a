"""``gpuimg export --format github``: a workflow for GitHub Actions. Nobody is asked."""

from __future__ import annotations

from gpuimg.cli.export.pipelines import pipeline_command

github = pipeline_command(
    "github",
    does="""A workflow for GitHub Actions that builds, checks and pushes images.

    A job for each. The file's head says what it needs.
    """,
    folder=".github/workflows",
)
