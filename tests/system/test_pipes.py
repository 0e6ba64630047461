"""Commands whose output nobody reads: they do their work and end quietly."""

import os
import subprocess
import sys

import xarray as xr


def run(arguments, shell_ending):
    command = f'"{sys.executable}" -m physcon {arguments} {shell_ending}'
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        capture_output=True,
        text=True,
        timeout=200,
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
    )


def test_a_reader_that_has_gone_is_no_error_of_files(tmp_path):
    done = run("info", "| true")
    assert done.returncode in (0, 141)
    assert done.stderr == ""


def test_a_solution_is_written_though_nobody_listens(tmp_path):
    """Neither the progress bar nor the table can be written."""
    folder = tmp_path / "run"
    small = "--grid.cells [16] --snapshots 2 --end 0.01 --figure false"
    done = run(f"solve fv_sod --output {folder} {small}", "2>&- | true")
    assert done.returncode in (0, 141)
    assert done.stderr == ""
    data = xr.load_dataset(folder / "solution.nc", engine="h5netcdf")
    assert data.sizes["t"] == 3
    assert {p.name for p in folder.iterdir()} == {
        "settings.json", "provenance.json", "solution.nc", "table.txt"
    }  # fmt: skip
