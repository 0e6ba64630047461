"""Files of arrays: three formats, whole or absent, nothing unpickled, the rest carried
over.
"""

import numpy as np
import pytest
import xarray as xr

from physcon.io import read_arrays, write_arrays

FORMATS = [".npz", ".h5", ".nc"]


def arrays(rng) -> dict[str, np.ndarray]:
    return {
        "mean": rng.normal(size=(3, 5)).astype(np.float32),
        "x": np.linspace(0, 1, 5),
    }


@pytest.mark.parametrize("ending", FORMATS)
def test_round_trip_keeps_values_and_dtypes(tmp_path, rng, ending):
    written = arrays(rng)
    write_arrays(tmp_path / f"a{ending}", written)
    read = read_arrays(tmp_path / f"a{ending}")
    for name, array in written.items():
        np.testing.assert_array_equal(read[name], array)
        assert read[name].dtype == array.dtype


@pytest.mark.parametrize("ending", FORMATS)
def test_like_carries_everything_else_over(tmp_path, rng, ending):
    source, output = tmp_path / f"in{ending}", tmp_path / f"out{ending}"
    original = arrays(rng)
    write_arrays(source, original)
    write_arrays(output, {"mean": original["mean"] + 1}, like=source)
    read = read_arrays(output)
    np.testing.assert_array_equal(read["mean"], original["mean"] + 1)
    np.testing.assert_array_equal(read["x"], original["x"])


def test_netcdf_dimensions_coordinates_and_attributes_survive(tmp_path, rng):
    source, output = tmp_path / "in.nc", tmp_path / "out.nc"
    values = rng.normal(size=(2, 4))
    data = xr.Dataset(
        {"mean": (("t", "x"), values, {"units": "K"})}, {"x": np.arange(4.0)}
    )
    data.to_netcdf(source, engine="h5netcdf")
    write_arrays(output, {"mean": 2 * values}, like=source)
    with xr.open_dataset(output, engine="h5netcdf") as read:
        assert read["mean"].dims == ("t", "x")
        assert read["mean"].attrs["units"] == "K"
        np.testing.assert_array_equal(read["x"], np.arange(4.0))
        np.testing.assert_array_equal(read["mean"], 2 * values)


@pytest.mark.parametrize("ending", [".h5", ".nc"])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, rng, ending):
    path = tmp_path / f"a{ending}"
    original = arrays(rng)
    write_arrays(path, original)
    with pytest.raises(
        (TypeError, ValueError)
    ):  # a shape that the file's own array refuses
        write_arrays(path, {"mean": np.ones((9, 9, 9))}, like=path, force=True)
    np.testing.assert_array_equal(read_arrays(path)["mean"], original["mean"])
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("absent.npz", None, "no file at"),
        ("a.csv", b"1,2", r"expected one of \.npz"),
        ("cut.npz", b"PK\x03\x04 cut off", "truncated"),
        ("cut.h5", b"\x89HDF\r\n\x1a\n", "truncated"),
        ("foreign.nc", b"not a file of arrays", "truncated"),
    ],
)
def test_unreadable_files_are_refused(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_arrays(tmp_path / name)


def test_pickles_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", mean=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ValueError, match="pickled"):
        read_arrays(tmp_path / "a.npz")


def test_objects_are_not_written(tmp_path):
    with pytest.raises(ValueError, match="nothing is pickled"):
        write_arrays(tmp_path / "a.npz", {"mean": np.array([{}])})
    assert not list(tmp_path.iterdir())


def test_existing_output_needs_force(tmp_path, rng):
    write_arrays(tmp_path / "a.npz", arrays(rng))
    with pytest.raises(ValueError, match="--force"):
        write_arrays(tmp_path / "a.npz", arrays(rng))
