"""Every Python block of the README and of the documentation runs as pasted.

The blocks of a page run one after another in one namespace, as a reader would paste
them. Code cells (`{code-cell}`) are executed by the build of the documentation.
"""

import re
from pathlib import Path
from pkgutil import resolve_name

import numpy as np
import pytest

from physcon.cli import main

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.M | re.S)
PAGES = {
    page.relative_to(ROOT).as_posix(): BLOCK.findall(page.read_text())
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    if "generated" not in page.parts
}
#: Pages whose programs need a package that is not part of the test extra.
NEEDS = {"docs/coming_from/pytorch.md": "torch"}
#: Pages that are being rewritten.
LATER = {f"docs/{page}.md" for page in ("finite_volumes",)}


@pytest.mark.parametrize("page", [page for page, blocks in PAGES.items() if blocks])
def test_python_blocks_run_as_pasted(page, tmp_path, monkeypatch):
    if page in NEEDS:
        pytest.importorskip(NEEDS[page])
    if page in LATER:
        pytest.skip("being rewritten")
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "pasted"}
    for number, block in enumerate(PAGES[page], 1):
        exec(compile(block, f"{page}, block {number}", "exec"), namespace)


def test_the_readme_has_a_program_for_each_way_in():
    assert len(PAGES["README.md"]) >= 3


def test_command_of_the_readme(tmp_path, monkeypatch):
    readme = (ROOT / "README.md").read_text()
    (command,) = re.findall(r"^physcon (constrain .*npz.*)$", readme, re.M)
    monkeypatch.chdir(tmp_path)
    mean = np.full((3, 20), 0.5)
    mass = np.array([0.4, 0.5, 0.6])
    faces = np.linspace(0.0, 1.0, 21)
    np.savez("predictions.npz", mean=mean, std=0.1 * mean, x=faces, mass=mass)
    main(command.split())
    found = np.load("conserved.npz")["mean"]
    assert np.abs(found.mean(axis=1) - mass).max() < 1e-12
    assert found.min() >= 0


def test_files_that_the_architecture_page_names_exist():
    page = (ROOT / "docs" / "architecture.md").read_text()
    named = re.findall(r"`([\w/]+\.py)`", page)
    assert len(named) > 15
    package = ROOT / "src" / "physcon"
    assert not {name for name in named if not (package / name).exists()}


@pytest.mark.parametrize(
    "page", sorted((ROOT / "docs").glob("*.md")), ids=lambda p: p.stem
)
def test_links_to_the_reference_lead_somewhere(page):
    for target in re.findall(
        r"\{py:\w+\}`[^`]*?<?~?(physcon[\w.]+)>?`", page.read_text()
    ):
        assert resolve_name(target) is not None
