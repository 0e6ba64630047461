"""Every Python block of the README and of the documentation runs as pasted.

The blocks of a page run one after another in one namespace, as a reader would paste
them. Code cells (`{code-cell}`) are executed by the build of the documentation.
"""

import re
import shlex
from pathlib import Path
from pkgutil import resolve_name

import numpy as np
import pytest
import xarray as xr

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


@pytest.mark.parametrize("page", [page for page, blocks in PAGES.items() if blocks])
def test_python_blocks_run_as_pasted(page, tmp_path, monkeypatch):
    if page in NEEDS:
        pytest.importorskip(NEEDS[page])
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "pasted"}
    for number, block in enumerate(PAGES[page], 1):
        exec(compile(block, f"{page}, block {number}", "exec"), namespace)


def test_the_readme_has_a_program_for_each_way_in():
    assert len(PAGES["README.md"]) >= 3


def command_of_the_readme(pattern):
    """The arguments of the one command of `physcon` in the README that fits."""
    readme = (ROOT / "README.md").read_text()
    (command,) = re.findall(rf"^physcon (constrain {pattern}.*)$", readme, re.M)
    return shlex.split(command)


def test_short_command_of_the_readme(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mean = np.full((3, 20), 0.5)
    mass = np.array([0.4, 0.5, 0.6])
    faces = np.linspace(0.0, 1.0, 21)
    np.savez("predictions.npz", mean=mean, std=0.1 * mean, x=faces, mass=mass)
    main(command_of_the_readme("predictions.npz"))
    found = np.load("conserved.npz")["mean"]
    assert np.abs(found.mean(axis=1) - mass).max() < 1e-12
    assert found.min() >= 0


def test_command_of_the_readme_for_named_variables(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    latitude = ("lat", np.linspace(-60.0, 60.0, 5), {"units": "degrees_north"})
    longitude = ("lon", np.arange(0.0, 360.0, 60.0), {"units": "degrees_east"})
    field = np.random.default_rng(0).normal(14.0, 3.0, (2, 5, 6))
    field[:, 2, 3] = np.nan
    data = xr.Dataset({"sst": (("time", "lat", "lon"), field)})
    data = data.assign_coords(lat=latitude, lon=longitude)
    data.to_netcdf("sst.nc", engine="h5netcdf")
    main(command_of_the_readme("sst.nc"))
    found = xr.load_dataset("fixed.nc", engine="h5netcdf").sst.values
    assert np.isnan(found[:, 2, 3]).all()
    bounds = np.deg2rad(np.linspace(-75.0, 75.0, 6))
    area = np.broadcast_to(np.diff(np.sin(bounds))[:, None], (5, 6))
    area = np.where(np.isnan(found), 0, area)
    mean = (np.nan_to_num(found) * area).sum((1, 2)) / area.sum((1, 2))
    assert np.abs(mean - 15).max() < 1e-12


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
