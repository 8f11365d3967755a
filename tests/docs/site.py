"""The site, built once a session as `scripts/docs` builds it: a warning is an error."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.docs.documents import ROOT

BUILD = ("--fail-on-warning", "--keep-going", "--nitpicky", "--quiet", "--fresh-env", "--write-all")


def build_site(folder: Path) -> Path:
    """The folder of its pages."""
    doctrees = str(folder / "doctrees")
    command = [sys.executable, "-m", "sphinx", *BUILD, "--doctree-dir", doctrees, "docs", str(folder / "site")]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return folder / "site"
