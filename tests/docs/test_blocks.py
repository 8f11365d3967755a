"""Files that documents show are files that programs take."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest
import yaml

from gpuimg import toml
from gpuimg.paths import SCHEMAS
from tests.docs import documents
from tests.docs.documents import Block

PARSED: Final = ("yaml", "yml", "json", "toml")
SHOWN: Final = (*PARSED, "console", "bash", "sh", "shell", "dockerfile", "python", "text", "jinja", "")
"""Languages of blocks. What is none of them is written wrong, and no page would colour it."""

SITE_ONLY: Final = "docs/index.md"
"""The site's own front page, which may speak Sphinx's language; what else is in docs/ is read on GitHub too."""

each_file = pytest.mark.parametrize("block", documents.blocks(*PARSED), ids=str)


@each_file
def test_it_can_be_read(block: Block) -> None:
    assert read(block) is not None


@each_file
def test_it_is_what_its_reader_takes(block: Block, tmp_path: Path) -> None:
    """A project file by our own schema, a matrix file by its, a workflow by GitHub's, and so on."""
    content = read(block)
    if not isinstance(content, dict):
        return
    if builtin := _builtin_schema(content):
        file = tmp_path / "shown.yml"
        file.write_text(block.text, encoding="utf-8")
        command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", builtin, str(file)]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    elif name := _own_schema(content):
        jsonschema.validate(content, json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8")))


def test_the_project_file_of_the_readme_is_one() -> None:
    """What the test above rests on."""
    shown = [_own_schema(read(block)) for block in documents.blocks("yaml") if block.document == "README.md"]
    assert "project" in shown


def test_blocks_say_what_they_are() -> None:
    for block in documents.blocks():
        assert block.language in SHOWN or (block.document == SITE_ONLY and block.language == "{toctree}"), block


def read(block: Block) -> Any:
    """What a program would."""
    match block.language:
        case "json":
            return json.loads(block.text)
        case "toml":
            return toml.loads(block.text)
        case _:
            return yaml.safe_load(block.text)


def _builtin_schema(content: dict[Any, Any]) -> str | None:
    """What check-jsonschema calls the schema of a file of another program; None: it knows none, or it is ours."""
    if True in content and "jobs" in content:  # YAML 1.1 reads the key `on` as true
        return "vendor.github-workflows"
    if isinstance(content.get("runs"), dict) and "using" in content["runs"]:
        return "vendor.github-actions"
    if "services" in content and "schema" not in content:
        return "vendor.compose-spec"
    if content and all(isinstance(job, dict) and "script" in job for job in content.values()):
        return "vendor.gitlab-ci"
    return None


def _own_schema(content: Any) -> str | None:
    """A file that begins with ``schema: 1`` is ours: a matrix file's by its other fields, else a project's."""
    if not isinstance(content, dict) or content.get("schema") != 1:
        return None
    for path in sorted(SCHEMAS.glob("*.schema.json")):
        fields = json.loads(path.read_text(encoding="utf-8")).get("properties", {})
        name = path.name.removesuffix(".schema.json")
        if name != "project" and len(content) > 1 and content.keys() <= fields.keys():
            return name
    return "project"
