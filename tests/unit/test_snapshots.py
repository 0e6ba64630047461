"""Snapshots are intact, of this run and of this time, or they are not used."""

import resource

import numpy as np
import pytest
import xarray as xr

from physcon.studies.solver import snapshot_files, snapshots
from physcon.studies.solver._assemble import assemble
from physcon.studies.solver.problem_settings import (
    GridSettings,
    InitialSettings,
    SideSettings,
    SidesSettings,
)
from physcon.studies.solver.settings import SolveConfig

PERIODIC = SideSettings(kind="periodic")
CONFIG = SolveConfig(
    grid=GridSettings(cells=(8,)),
    sides=SidesSettings(PERIODIC, PERIODIC),
    initial=InitialSettings(name="sine", amplitude=(1.0,)),
)
TIMES = np.array([0.0, 0.5, 1.0], np.float32)


@pytest.fixture(scope="module")
def setup():
    return assemble(CONFIG)


@pytest.fixture
def files(setup, tmp_path):
    """Three snapshots of one run."""
    kept = snapshots.Files(CONFIG, setup, tmp_path, {"seed": 1})
    kept.prepare()
    for k, t in enumerate(TIMES.tolist()):
        kept.save(k, setup.u + k, t, 10 * k)
    return kept


def test_a_snapshot_is_read_back_bit_by_bit_by_any_reader_of_netcdf(files, setup):
    assert files.saved(TIMES) == 3
    u, steps = files.load(2)
    np.testing.assert_array_equal(u, setup.u + 2)
    assert steps == 20
    data = xr.load_dataset(files.folder / "00002.nc", engine="h5netcdf")
    np.testing.assert_array_equal(data["u"].values[0], (setup.u + 2)[0])


def test_every_flipped_byte_and_every_cut_is_noticed(files, rng, capsys):
    path = files.folder / "00001.nc"
    whole = path.read_bytes()
    for place in [*rng.integers(0, len(whole), 60).tolist(), len(whole) - 2]:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        assert files.saved(TIMES) == 1, place
    for length in (0, 1, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert files.saved(TIMES) == 1
    assert "00001.nc" in (said := capsys.readouterr().err)
    assert "continuing from the snapshot before it" in said
    path.write_bytes(whole)
    assert files.saved(TIMES) == 3


def test_a_snapshot_of_another_time_or_run_or_a_missing_one_is_not_used(
    files, setup, tmp_path, capsys
):
    assert files.saved(np.array([0.0, 0.25, 1.0], np.float32)) == 1
    assert "the state at t = 0.25" in capsys.readouterr().err
    other = snapshots.Files(CONFIG, setup, tmp_path, {"seed": 2})
    assert other.saved(TIMES) == 0
    assert "one of another run" in capsys.readouterr().err
    (files.folder / "00001.nc").unlink()
    assert files.saved(TIMES) == 1
    xr.Dataset({"u": ("x", np.zeros(3))}).to_netcdf(
        files.folder / "00001.nc", engine="h5netcdf"
    )
    assert files.saved(TIMES) == 1
    assert "without a checksum" in capsys.readouterr().err


def test_a_full_disk_ends_with_its_reason_and_leaves_nothing(files, tmp_path):
    """HDF5 would end the process where a write fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    every = [files.dataset(k) for k in range(3)]
    for limit in (0, 1000, 5000):
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
            with pytest.raises(OSError, match="File too large"):
                snapshot_files.combine(tmp_path / "solution.nc", iter(every), 3)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert [p.name for p in tmp_path.iterdir()] == ["snapshots"]
    snapshot_files.combine(tmp_path / "solution.nc", iter(every), 3)
    data = xr.load_dataset(tmp_path / "solution.nc", engine="h5netcdf")
    np.testing.assert_array_equal(data["t"].values, TIMES)
    assert "physcon_run" not in data.attrs
