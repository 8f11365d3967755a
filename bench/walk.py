"""Walks the newcomer's way and takes the time of each step: from an empty folder to a trained step, then to a notebook.

``python -m bench.walk [--base IMAGE] [--index-url URL] [--browser CHROMIUM] [--picture FILE]``

Needs an engine. The folder gets what the README's first users have: a ``requirements.txt`` with transformers and a
``train.py`` that trains one step of a small BERT on made-up tokens, on the GPU where there is one. Each command is the
installed ``gpuimg``, as typed. With --browser (and the package playwright) a real browser opens the notebook that
`gpuimg run` starts, types a cell that uses torch and matplotlib, and waits for its plot; --picture keeps what it saw.
The table is printed and written to ``bench/results/walk.md``. Images, volumes and containers of the walk are removed.
"""

from __future__ import annotations

import argparse
import datetime as dt
import importlib
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

_RESULT: Final = Path(__file__).parents[1] / "bench" / "results" / "walk.md"
_GPUIMG: Final = Path(sys.executable).with_name("gpuimg")
_NAME: Final = "gpuimg-walk"
_LABEL: Final = "bench.walk"
"""On all images of the walk: one that another took the name of has none."""
_REQUIREMENTS: Final = "transformers==4.40.0\ndatasets\naccelerate\npeft\nbitsandbytes\n"
_TRAIN: Final = """\
import torch
from transformers import BertConfig, BertForMaskedLM

device = "cuda" if torch.cuda.is_available() else "cpu"
config = BertConfig(hidden_size=128, num_hidden_layers=2, num_attention_heads=2, intermediate_size=512)
model = BertForMaskedLM(config).to(device)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
tokens = torch.randint(config.vocab_size, (8, 128), device=device)
loss = model(input_ids=tokens, labels=tokens).loss
loss.backward()
optimizer.step()
print(f"a step on the {device} with torch {torch.__version__}: loss {loss.item():.3f}")
"""
_CELL: Final = (
    "import torch, matplotlib.pyplot as plt\nx = torch.linspace(0, 12, 500)\nplt.plot(x, torch.sin(x) * x)\nplt.show()"
)


class _Walk:
    """The steps, each with its seconds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: list[tuple[str, float]] = []

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.rows.append((title, time.perf_counter() - began))
        sys.stderr.write(f"{title}: {self.rows[-1][1]:.1f} s\n")

    def gpuimg(self, title: str, *arguments: str, folder: Path | None = None) -> str:
        """What the command says on stdout; what it says on stderr is shown."""
        with self.step(title):
            done = subprocess.run([_GPUIMG, *arguments], cwd=folder or self.folder, stdout=subprocess.PIPE, check=False)
        if done.returncode != 0:
            raise SystemExit(f"`gpuimg {' '.join(arguments)}` ended with {done.returncode}")
        return done.stdout.decode()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", metavar="IMAGE", help="in place of Docker Hub's Debian")
    parser.add_argument("--index-url", metavar="URL", help="in place of PyPI")
    parser.add_argument("--build-network", metavar="NAME", help="such as host, for an index on this machine")
    parser.add_argument("--browser", type=Path, metavar="CHROMIUM")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="where the notebook's picture goes, a PNG")
    options = parser.parse_args()
    site = [f"--{name}={value}" for name, value in _site(options).items() if value] + ["--label", f"{_LABEL}=1"]
    with tempfile.TemporaryDirectory(prefix="gpuimg-") as name:
        walk = _Walk(Path(name, _NAME))
        walk.folder.mkdir()
        try:
            _train(walk, site)
            if options.browser:
                _notebook(walk, site, browser=options.browser, picture=options.picture)
        finally:
            _clean()
    table = _report(walk.rows)
    sys.stdout.write(table)
    _RESULT.write_text(table, encoding="utf-8")
    return 0


def _site(options: argparse.Namespace) -> dict[str, str | None]:
    return {"base": options.base, "index-url": options.index_url, "build-network": options.build_network}


def _train(walk: _Walk, site: Sequence[str]) -> None:
    (walk.folder / "requirements.txt").write_text(_REQUIREMENTS, encoding="utf-8")
    (walk.folder / "train.py").write_text(_TRAIN, encoding="utf-8")
    walk.gpuimg("`gpuimg init --spec 2.6-cu124 --yes`", "init", "--spec", "2.6-cu124", "--yes")
    walk.gpuimg("`gpuimg build`, with nothing built before", "build", *site)
    said = walk.gpuimg("`gpuimg run`: the first trained step", "run")
    if "loss" not in said:
        raise SystemExit(f"no step was trained: {said}")
    (walk.folder / "train.py").write_text(_TRAIN.replace("lr=1e-3", "lr=3e-4"), encoding="utf-8")
    walk.gpuimg("`gpuimg build --no-verify` after a changed line", "build", "--no-verify", *site)
    walk.gpuimg("`gpuimg run` again", "run")


def _notebook(walk: _Walk, site: Sequence[str], *, browser: Path, picture: Path | None) -> None:
    repository = ("--repository", _NAME)
    tag = f"{_NAME}:2.6.0-cu124-jupyter"
    walk.gpuimg(
        "`gpuimg build 2.6-cu124-jupyter --no-verify`", "build", "2.6-cu124-jupyter", "--no-verify", *repository, *site
    )
    notebooks = walk.folder.with_name("notebooks")
    notebooks.mkdir()
    said = walk.gpuimg(
        "`gpuimg run --detach`, until it answers", "run", tag, "--detach", "--name", _NAME, folder=notebooks
    )
    (url,) = re.findall(r"http://\S+token=\S+", said)
    with walk.step("a browser, until the plot of a cell with torch is there"):
        _plot(url, browser, picture)
    files = [path for path in notebooks.iterdir() if path.name.startswith("Untitled")]
    if not files or files[0].stat().st_uid != os.getuid():
        raise SystemExit("the notebook is not the user's own file")


def _plot(url: str, browser: Path, picture: Path | None) -> None:
    playwright = importlib.import_module("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        window = driver.chromium.launch(executable_path=str(browser), args=["--no-sandbox"])
        page: Any = window.new_page(viewport={"width": 1200, "height": 900})
        page.set_default_timeout(120_000)
        page.goto(url)
        page.locator('.jp-LauncherCard[data-category="Notebook"]').first.click()
        page.get_by_text("| Idle").wait_for()  # what is run before the kernel is there is never run
        cell = page.locator(".jp-Notebook .jp-Cell .cm-content").first
        cell.click()
        page.keyboard.insert_text(_CELL)
        page.keyboard.press("Shift+Enter")
        page.locator(".jp-OutputArea img").first.wait_for()
        page.keyboard.press("Control+s")
        page.wait_for_timeout(1500)
        if picture is not None:
            page.screenshot(path=str(picture))
        window.close()


def _clean() -> None:
    subprocess.run(["docker", "rm", "--force", _NAME], capture_output=True, check=False)
    command = ["docker", "images", "--quiet", "--filter", f"label={_LABEL}"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False)
    images = sorted(set(listed.stdout.split()))
    if images:
        subprocess.run(["docker", "rmi", "--force", *images], capture_output=True, check=False)


def _report(rows: Sequence[tuple[str, float]]) -> str:
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    engine = subprocess.run(
        ["docker", "version", "--format", "{{.Server.Version}}"], capture_output=True, text=True, check=False
    )
    lines = ["# From an empty folder to a trained step, and to a notebook", "", "| step | s |", "| --- | ---: |"]
    lines += [f"| {title} | {seconds:.1f} |" for title, seconds in rows]
    lines += [
        "",
        f"- {dt.datetime.now(tz=dt.timezone.utc).date()}; engine {engine.stdout.strip()}",
        f"- {os.cpu_count()} cores, {memory:.0f} GiB, {platform.machine()}; no step needs a GPU",
        "",
        "Made by `python -m bench.walk`, whose opening says what it does.",
    ]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    sys.exit(main())
