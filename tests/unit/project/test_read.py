"""A project file says what images are made of; what it can't mean is refused with its line and key."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import jsonschema
import pytest

from gpuimg.errors import RequestError
from gpuimg.paths import SCHEMAS
from gpuimg.project.model import Code, Project, ProjectImage, SmokeWishes
from gpuimg.project.read import project_name, read_project
from gpuimg.project.values import READERS
from gpuimg.versions import Platform, PythonVersion

HEAD = "schema: 1\nspec: 2.6-cu124\n"
ALL = """\
schema: 1
name: bert
spec: 2.6-cu124
flavor: devel
python: "3.10"
platform: linux/arm64
base: registry.example.com/base/debian:12
extras: [transformers == 4.40.0]
requirements: [requirements.txt]
packages: [libsndfile1]
code:
- {from: src, to: /app/src/}
- {from: train.py, to: /app/train.py}
workdir: /app
command: python train.py --name "a b"
environment: {OMP_NUM_THREADS: 4, MODE: "on"}
repository: registry.example.com/team/bert
tags: [v1, latest]
index-url: https://pypi.example.com/simple
torch-index-url: https://torch.example.com/whl
ca-bundle: ca.pem
build-network: host
smoke: {enabled: false, mode: full, only: [stack], skip: [load], gpus: "0"}
labels: {team: research, build: 7}
"""


def read(folder: Path, text: str, *, name: str = "gpuimg.yaml") -> Project:
    (folder / name).write_text(text, encoding="utf-8")
    return read_project(folder / name)


def image(folder: Path, text: str) -> ProjectImage:
    (found,) = read(folder, text).images
    return found


def refused(folder: Path, text: str, *, name: str = "gpuimg.yaml") -> RequestError:
    with pytest.raises(RequestError) as caught:
        read(folder, text, name=name)
    return caught.value


def test_every_key_is_read(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "train.py").touch()
    project = read(tmp_path, ALL)
    assert (project.label, project.name, project.folder) == ("gpuimg.yaml", "bert", tmp_path)
    assert project.images == (
        ProjectImage(
            name="bert",
            spec="2.6-cu124",
            flavor="devel",
            python=PythonVersion(3, 10),
            platform=Platform.ARM64,
            base="registry.example.com/base/debian:12",
            extras=("transformers==4.40.0",),
            requirements=(tmp_path / "requirements.txt",),
            packages=("libsndfile1",),
            code=(
                Code(source=tmp_path / "src", target="/app/src"),
                Code(source=tmp_path / "train.py", target="/app/train.py"),
            ),
            workdir="/app",
            command=("python", "train.py", "--name", "a b"),
            environment={"OMP_NUM_THREADS": "4", "MODE": "on"},
            repository="registry.example.com/team/bert",
            tags=("v1", "latest"),
            index_url="https://pypi.example.com/simple",
            torch_index_url="https://torch.example.com/whl",
            ca_bundle=tmp_path / "ca.pem",
            build_network="host",
            smoke=SmokeWishes(enabled=False, mode="full", only=("stack",), skip=("load",), gpus="0"),
            labels={"team": "research", "build": "7"},
        ),
    )
    assert project.images[0].references == (
        "registry.example.com/team/bert:v1",
        "registry.example.com/team/bert:latest",
    )


def test_a_table_of_pyproject_says_the_same(tmp_path: Path) -> None:
    text = """
[tool.gpuimg]
schema = 1
name = "bert"
spec = "2.6-cu124"
extras = ["einops"]
[tool.gpuimg.environment]
A = 1
[tool.gpuimg.images.train]
command = ["python", "train.py"]
"""
    project = read(tmp_path, text, name="pyproject.toml")
    assert project.label == "pyproject.toml [tool.gpuimg]"
    (train,) = project.images
    assert (train.name, train.spec, train.extras) == ("train", "2.6-cu124", ("einops",))
    assert (train.environment, train.command) == ({"A": "1"}, ("python", "train.py"))


def test_the_least_that_a_file_may_say(tmp_path: Path) -> None:
    folder = tmp_path / "My Project"
    folder.mkdir()
    found = image(folder, HEAD)
    assert found.references == ("my-project:latest",)
    assert found == ProjectImage(name="my-project", spec="2.6-cu124", repository="my-project", tags=("latest",))


def test_the_schema_has_the_fields_of_the_dataclass() -> None:
    schema = json.loads((SCHEMAS / "project.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    fields = {field.name.replace("_", "-") for field in dataclasses.fields(ProjectImage)} - {"name"}
    assert set(schema["$defs"]["image"]["properties"]) == fields == set(READERS)
    assert set(schema["properties"]) == fields | {"schema", "name", "images"}
    assert set(schema["$defs"]["smoke"]["properties"]) == {field.name for field in dataclasses.fields(SmokeWishes)}
    objects = [schema, *(schema["$defs"][name] for name in ("image", "copy", "smoke"))]
    assert all(item["additionalProperties"] is False for item in objects)
    assert all("description" in item for item in schema["$defs"]["image"]["properties"].values())


# --- several images --------------------------------------------------------------------------------------------------


def test_an_image_has_its_own_values_or_the_defaults(tmp_path: Path) -> None:
    text = (
        HEAD
        + """\
name: bert
extras: [einops]
environment: {A: a, B: b}
labels: {team: research}
smoke: {mode: full, skip: [rate]}
images:
  train: {}
  serve:
    spec: 2.7-cu126
    extras: [fastapi]
    environment: {B: c}
    labels: {kind: serve}
    smoke: {mode: quick}
    tags: [v2]
"""
    )
    train, serve = read(tmp_path, text).images
    assert (train.references, serve.references) == (("bert:train",), ("bert:v2",))
    assert (train.spec, serve.spec) == ("2.6-cu124", "2.7-cu126")
    assert (train.extras, serve.extras) == (("einops",), ("fastapi",))
    assert (train.environment, serve.environment) == ({"A": "a", "B": "b"}, {"A": "a", "B": "c"})
    assert serve.labels == {"team": "research", "kind": "serve"}
    assert (serve.smoke.mode, serve.smoke.skip) == ("quick", ("rate",))


def test_two_images_of_one_name_are_refused(tmp_path: Path) -> None:
    error = refused(tmp_path, HEAD + "name: bert\ntags: [v1]\nimages:\n  train: {}\n  serve: {}\n")
    assert error.message == "gpuimg.yaml, line 7: images.serve: train and serve would both be bert:v1"


@pytest.mark.parametrize("name", ["Train", "2.6-cu124", "a b", "-x", '"2026"', "x/y"])
def test_an_image_has_a_name_that_is_no_spec(tmp_path: Path, name: str) -> None:
    assert "does not look like a name" in refused(tmp_path, HEAD + f"images:\n  {name}: {{}}\n").message


# --- code and command ------------------------------------------------------------------------------------------------


def test_a_folder_of_code_is_the_working_directory(tmp_path: Path) -> None:
    found = image(tmp_path, HEAD + "code: .\n")
    assert (found.code, found.workdir) == ((Code(source=tmp_path, target="/app"),), "/app")
    found = image(tmp_path, HEAD + "code: .\nworkdir: /srv/bert\n")
    assert (found.code, found.workdir) == ((Code(source=tmp_path, target="/srv/bert"),), "/srv/bert")


def test_a_file_of_code_comes_into_the_working_directory(tmp_path: Path) -> None:
    (tmp_path / "train.py").touch()
    found = image(tmp_path, HEAD + "code: train.py\n")
    assert (found.code, found.workdir) == ((Code(source=tmp_path / "train.py", target="/app/train.py"),), "/app")


def test_code_stays_in_the_project(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "out").symlink_to(tmp_path)
    for text in ("..", "/etc", "out", "../project/../other"):
        error = refused(folder, HEAD + f"code: {text}\n")
        assert error.message == f"gpuimg.yaml, line 3: code: `{text}` is not in the project's folder"
    error = refused(folder, HEAD + "code:\n- {from: .., to: /app}\n")
    assert "is not in the project's folder" in error.message
    assert "there is no such file or folder" in refused(folder, HEAD + "code: src\n").message


def test_two_copies_to_one_place_are_refused(tmp_path: Path) -> None:
    text = HEAD + "code:\n- {from: ., to: /app}\n- {from: gpuimg.yaml, to: /app/}\n"
    assert "two of them go to `/app`" in refused(tmp_path, text).message


def test_a_line_is_split_as_a_shell_would(tmp_path: Path) -> None:
    assert image(tmp_path, HEAD + "command: python -c 'print(1 | 2)'\n").command == ("python", "-c", "print(1 | 2)")
    assert image(tmp_path, HEAD + "command: [bash, -c, a && $b]\n").command == ("bash", "-c", "a && $b")


@pytest.mark.parametrize(
    ("line", "sign"), [("a && b", "&&"), ("a > b", ">"), ("run --lr $LR", "$LR"), ("a${B}", "a${B}")]
)
def test_a_line_that_wants_a_shell_is_refused(tmp_path: Path, line: str, sign: str) -> None:
    error = refused(tmp_path, HEAD + f"command: {line}\n")
    assert f"`{line}` has `{sign}`, and no shell runs the command" in error.message
    assert error.hints == (f'write it as [bash, -c, "{line}"]',)


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (
            "spec: 2.6\nschema: 1\n",
            'line 1: spec: 2.6 is a number, so YAML drops its zeros; write it as text: "2.6"',
            "",
        ),
        (HEAD + "python: 3.10\n", "line 3: python: 3.1 is a number", ""),
        ("spec: 2.6-cu124\n", "gpuimg.yaml: field `schema` is missing", "`schema: 1`"),
        ("schema: 2\nspec: 2.6-cu124\n", "line 1: schema: 1 was expected", ""),
        ("schema: 1\n", "gpuimg.yaml: no spec says which stack", "`gpuimg init`"),
        ("schema: 1\nimages:\n  train: {}\n", "line 3: images.train: no spec says", "`gpuimg init`"),
        ("schema: 1\nspec: pytorch\n", "line 2: spec: `pytorch` is not a spec", "write it as"),
        (HEAD + "pyhton: x\n", "line 3: pyhton: unknown field `pyhton`; did you mean `python`?", "init --schema"),
        (HEAD + "smoke: {onyl: [stack]}\n", "line 3: smoke.onyl: unknown field `onyl`; did you mean `only`?", ""),
        (HEAD + "images:\n  a:\n    images: {}\n", "line 5: images.a.images: unknown field", ""),
        (HEAD + "extras:\n", "line 3: extras: there is no value", ""),
        (HEAD + "extras: einops\n", "line 3: extras: 'einops' is not of type 'array'", ""),
        (HEAD + "extras: [einops]\nextras: [six]\n", "line 4: is not valid YAML: the key `extras` stands twice", ""),
        (HEAD + "extras: &a [einops]\nimages: {a: {extras: *a}}\n", "aliases are not used", ""),
        (HEAD + "extras: ['$(curl evil)']\n", "line 3: extras: `$(curl evil)` is not a package requirement", ""),
        (HEAD + "extras: ['x @ https://me:secret@example.com/x']\n", "line 3: extras:", "index"),
        (HEAD + "python: three\n", "line 3: python: `three` is not a Python version", ""),
        (HEAD + "platform: windows/amd64\n", "line 3: platform:", ""),
        (HEAD + 'base: "debian:12\\nRUN id"\n', "line 3: base: `debian:12\\nRUN id` has control characters", ""),
        (HEAD + "packages: [libGL]\n", "line 3: packages: `libGL` is no system package", "apt"),
        (HEAD + "code:\n- {from: .}\n", "line 4: code[0]: field `to` is missing", ""),
        (HEAD + "code:\n- {from: ., to: app}\n", "line 3: code: `app` is no path for an image", "/app"),
        (HEAD + "workdir: /\n", "line 3: workdir: `/` is no path for an image", ""),
        (HEAD + "workdir: /usr/lib\n", "line 3: workdir: `/usr/lib` belongs to the system", ""),
        (HEAD + 'command: ""\n', "line 3: command:", ""),
        (HEAD + 'command: " "\n', "line 3: command: is empty", "the flavor"),
        (HEAD + "command: it's\n", "line 3: command: `it's` can't be split into words", ""),
        (HEAD + "command: []\n", "line 3: command:", ""),
        (HEAD + "environment: {PATH: /x}\n", "line 3: environment: PATH can't be set", ""),
        (HEAD + "environment: {A: no}\n", "line 3: environment.A: YAML reads this as false", ""),
        (HEAD + "environment:\n  A: 010\n", "line 4: is not valid YAML: YAML takes 010 for another number", ""),
        (HEAD + "environment: {1a: x}\n", "line 3: environment: `1a` can't name a variable", ""),
        (HEAD + "repository: Team/Bert\n", "line 3: repository: `Team/Bert` can't name a repository", ""),
        (HEAD + "tags: ['a b']\n", "line 3: tags: `a b` is no tag", "`repository`"),
        (HEAD + "tags: []\n", "line 3: tags: an image needs one", ""),
        (HEAD + "index-url: https://me:secret@example.com/\n", "line 3: index-url: the index URL for example.com", ""),
        (HEAD + "build-network: 'a b'\n", "line 3: build-network: `a b` can't name a network", ""),
        (HEAD + "smoke: {mode: fast}\n", "line 3: smoke.mode: 'fast' is not one of", ""),
        (HEAD + "smoke: {skip: [stak]}\n", "line 3: smoke: --skip: `stak` is no check", ""),
        (HEAD + "smoke: {gpus: some}\n", "line 3: smoke: `some` selects no GPUs", ""),
        (HEAD + "labels: {io.gpuimg.torch: x}\n", "line 3: labels: labels below io.gpuimg.", ""),
        (HEAD + "name: Bert\n", "line 3: name: `Bert` does not look like a name in lower case", ""),
        ("schema: 1\nspec: 2.6-cu124-py312\npython: '3.11'\n", "line 3: python: 3.11, and the spec", "say it once"),
        ("schema: 1\nspec: 2.6-devel\nflavor: runtime\n", "line 3: flavor: runtime, and the spec", "say it once"),
        ("", "gpuimg.yaml is empty", "gpuimg init"),
        ("- a\n", "gpuimg.yaml: ['a'] is not of type 'object'", ""),
        ("a: [\n", "gpuimg.yaml, line 2: is not valid YAML", ""),
    ],
)
def test_what_a_file_cant_mean_is_refused_with_its_line(tmp_path: Path, text: str, message: str, hint: str) -> None:
    error = refused(tmp_path, text)
    assert message in error.message
    assert hint in "\n".join(error.hints)
    assert "secret" not in error.message + "".join(error.hints)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[tool.gpuimg\n", "pyproject.toml is not valid TOML: "),
        ("[tool.gpuimg]\nschema = 1\nspec = 2.6\n", "pyproject.toml [tool.gpuimg]: spec: 2.6 is a number"),
        ("[tool.gpuimg]\nschema = 1\npyton = '3'\n", "[tool.gpuimg]: pyton: unknown field `pyton`"),
        ("[tool.gpuimg]\nspec = '2.6'\n", "pyproject.toml [tool.gpuimg]: field `schema` is missing"),
    ],
)
def test_a_table_that_doesnt_hold_is_refused(tmp_path: Path, text: str, message: str) -> None:
    assert message in refused(tmp_path, text, name="pyproject.toml").message


def test_a_file_that_cant_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="can't be read: No such file"):
        read_project(tmp_path / "gpuimg.yaml")
    with pytest.raises(RequestError, match="can't be read: Is a directory"):
        read_project(tmp_path)
    assert "more than 1 MiB" in refused(tmp_path, "#" * (1 << 20) + "\n").message
    (tmp_path / "gpuimg.yaml").write_bytes(b"\xff")
    with pytest.raises(RequestError, match="is not UTF-8 text"):
        read_project(tmp_path / "gpuimg.yaml")


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("bert", "bert"),
        ("My BERT_2 (copy)", "my-bert_2-copy"),
        ("2026", "project-2026"),
        ("日本", "project"),
        ("a--b", "a-b"),
    ],
)
def test_a_project_is_called_as_its_folder(folder: str, name: str) -> None:
    assert project_name(folder) == name
