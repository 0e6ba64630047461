"""What is not named stays as it is; what is named keeps its type and layout."""

import zipfile

import h5py
import numpy as np
import pytest
import xarray as xr
from scipy.io import netcdf_file

from physcon.constrain import Law, Names, constrain_file
from physcon.io import read_arrays, write_arrays

FACES = np.linspace(0, 1, 11)
ONES = ("x", np.ones(10))
FIELDS = {"mean": ONES, "std": ONES, "xf": ("xf", FACES)}
NAMES = Names(coordinates="xf")


def conserve(path, total="2", names=NAMES, **law):
    output = path.with_name("out" + path.suffix)
    constrain_file(path, output, Law(total, **law), names, force=True)
    return output


@pytest.mark.parametrize(
    ("units", "calendar"),
    [
        ("days since 1850-01-01", "noleap"),
        ("months since 1955-01-01", "standard"),
        ("days since 0000-01-01", "360_day"),
        ("hours", "none at all"),
    ],
)
def test_times_are_not_decoded(tmp_path, units, calendar):
    times = ("t", [0.5, 1.0], {"units": units, "calendar": calendar})
    data = xr.Dataset(FIELDS | {"time": times})
    data.to_netcdf(tmp_path / "in.nc", engine="h5netcdf")
    with h5py.File(conserve(tmp_path / "in.nc")) as file:
        assert file["time"].attrs["units"] == units
        assert file["time"][()].tolist() == [0.5, 1.0]
        np.testing.assert_allclose(file["mean"][()], 2, rtol=1e-15)


def test_everything_else_of_a_netcdf_file_survives(tmp_path):
    """Groups, odd types, Latin-1 attributes, compression, unlimited dimensions."""
    path = tmp_path / "in.nc"
    data = xr.Dataset(FIELDS | {"big": (("t", "x"), np.ones((3, 10), ">f4"))})
    packing = {"zlib": True, "chunksizes": (1, 5), "complevel": 3}
    data.to_netcdf(
        path, engine="h5netcdf", unlimited_dims=["t"], encoding={"big": packing}
    )
    group = xr.Dataset({"q": ("k", FACES)})
    group.to_netcdf(path, engine="h5netcdf", group="obs/deep", mode="a")
    with h5py.File(path, "r+") as file:
        file["table"] = np.zeros(3, [("a", "i4"), ("b", "f8")])
        file["words"] = np.array(["a", "bc"], h5py.string_dtype())
        ragged = file.create_dataset("ragged", (2,), h5py.vlen_dtype(np.int32))
        ragged[0] = [1, 2, 3]
        file.attrs.create("author", np.bytes_("Müller".encode("latin-1")))
        file["obs/mask"] = np.array([True, False])
        before = described(file)
    with h5py.File(conserve(path)) as file:
        after = described(file)
        np.testing.assert_allclose(file["mean"][()], 2, rtol=1e-15)
        assert "_FillValue" not in set(file["big"].attrs) - set(before["big"][-1])
    changed = {name for name in before if before[name] != after.get(name)}
    assert changed == {"mean", "std"}
    assert set(after) == set(before)


def described(file):
    """Layout, attributes and raw bytes of every object."""
    found = {}

    def look(name, item):
        attributes = {
            k: bytes(np.asarray(item.attrs.get_id(k).dtype.str, "S"))
            for k in item.attrs
        }
        if isinstance(item, h5py.Dataset):
            values = repr(item[()].tolist()) if item.size else ""
            layout = (item.shape, item.maxshape, item.chunks, item.compression)
            found[name] = (item.dtype, layout, values, attributes)
        else:
            found[name] = (attributes,)

    file.visititems(look)
    return found


def test_packed_integers_are_unpacked_with_their_ranges(tmp_path):
    """Ranges in packed units would hide every value from netCDF4."""
    path = tmp_path / "in.nc"
    ranges = {"valid_range": np.array([-32766, 32767], "i2"), "units": "Pa"}
    mean = ("x", 101325 + FACES[:10], ranges)
    packing = {
        "dtype": "i2",
        "scale_factor": 0.1,
        "add_offset": 101325.0,
        "_FillValue": np.int16(-32768),
    }
    data = xr.Dataset(FIELDS | {"mean": mean})
    data.to_netcdf(path, engine="h5netcdf", encoding={"mean": packing})
    with h5py.File(conserve(path, "101326")) as file:
        mean = file["mean"]
        assert mean.dtype == np.float64
        assert not {"valid_range", "scale_factor", "add_offset"} & set(mean.attrs)
        assert mean.attrs["units"] == "Pa"
        assert np.isnan(mean.attrs["_FillValue"][0])
        assert mean.dims[0][0].name == "/x"
        assert mean[()].mean() == pytest.approx(101326, rel=1e-15)
    with xr.open_dataset(tmp_path / "out.nc", engine="h5netcdf") as out:
        assert out["mean"].dims == ("x",)


def test_ranges_that_would_hide_new_values_are_dropped(tmp_path):
    kept = {"valid_min": 0.0, "valid_max": 5.0}
    lost = {"valid_range": [0.0, 1.5], "actual_range": [1.0, 1.0]}
    for name, attributes in (("kept", kept), ("lost", lost)):
        path = tmp_path / f"{name}.nc"
        data = xr.Dataset(FIELDS | {"mean": (*ONES, attributes)})
        data.to_netcdf(path, engine="h5netcdf")
        with h5py.File(conserve(path)) as file:
            found = set(file["mean"].attrs) & {*kept, *lost}
            assert found == (set(kept) if name == "kept" else set())


@pytest.mark.parametrize("ending", [".npz", ".h5", ".nc"])
@pytest.mark.parametrize("dtype", [">f8", "<f8", ">f4", "<f4", "<f2"])
def test_type_and_byte_order_are_kept(tmp_path, rng, ending, dtype):
    path = tmp_path / f"in{ending}"
    mean = rng.normal(1, 0.1, (2, 10)).astype(dtype)
    write_arrays(path, {"mean": mean, "std": np.full((2, 10), 0.1), "x": FACES})
    output = tmp_path / f"out{ending}"
    report = constrain_file(path, output, Law("1.001"))
    found = read_arrays(output)["mean"]
    assert found.dtype.str == dtype
    total = found.astype(np.float64).mean(-1)
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(total, 1.001, rtol=2 * eps)
    assert report.error_after == pytest.approx(np.abs(total - 1.001).max(), abs=1e-15)


def test_layout_of_a_dataset_is_kept(tmp_path):
    path = tmp_path / "in.h5"
    with h5py.File(path, "w") as file:
        layout = {"chunks": (1, 5), "compression": "gzip", "shuffle": True}
        for name, dtype in (("mean", "i4"), ("std", "f8")):
            values = np.ones((2, 10), dtype)
            file.create_dataset(name, data=values, maxshape=(None, 10), **layout)
            file[name].attrs["units"] = "K"
        file["x"] = FACES
    with h5py.File(conserve(path, "1.5", Names())) as file:
        for name in ("mean", "std"):
            assert file[name].chunks == (1, 5)
            assert file[name].compression == "gzip"
            assert file[name].shuffle
            assert file[name].maxshape == (None, 10)
            assert file[name].attrs["units"] == "K"
        np.testing.assert_allclose(file["mean"], 1.5, rtol=1e-15)


def test_std_and_variance_stay_consistent(tmp_path, rng):
    std = rng.uniform(0.1, 1, 10)
    arrays = {"mean": np.ones(10), "std": std, "variance": std**2, "x": FACES}
    np.savez(tmp_path / "in.npz", **arrays)
    out = read_arrays(conserve(tmp_path / "in.npz", names=Names()))
    assert np.all(out["variance"] < arrays["variance"])
    np.testing.assert_allclose(out["variance"], out["std"] ** 2, rtol=1e-14)


def test_a_std_next_to_members_stays_consistent(tmp_path, rng):
    samples = rng.normal(1, 0.3, (6, 2, 10))
    arrays = {"samples": samples, "std": samples.std(0, ddof=1), "x": FACES}
    np.savez(tmp_path / "in.npz", **arrays)
    out = read_arrays(conserve(tmp_path / "in.npz", names=Names()))
    np.testing.assert_allclose(out["samples"].mean(-1), 2, rtol=1e-14)
    np.testing.assert_allclose(out["std"], out["samples"].std(0, ddof=1), rtol=1e-12)


@pytest.mark.parametrize("packed", [False, True])
def test_netcdf3_is_read_and_written(tmp_path, packed):
    path = tmp_path / "in.nc"
    attributes = {"long_name": "a field"}
    times = (("t", "x"), np.ones((2, 10)), attributes)
    data = xr.Dataset(
        {"mean": times, "std": times, "xf": ("xf", FACES), "n": ("k", [1, 2, 3])}
    )
    packing = {"dtype": "i2", "scale_factor": 0.5, "_FillValue": -1} if packed else {}
    data.to_netcdf(
        path, engine="scipy", unlimited_dims=["t"], encoding={"mean": packing}
    )
    output = conserve(path)
    assert output.read_bytes()[:3] == b"CDF"
    with netcdf_file(output, mmap=False) as file:
        np.testing.assert_allclose(file.variables["mean"][:], 2, rtol=1e-15)
        assert file.variables["mean"].long_name == b"a field"
        assert file.variables["mean"].dimensions == ("t", "x")
        assert file.variables["n"][:].tolist() == [1, 2, 3]
    if not packed:  # in place: only the bytes of two variables differ
        before = np.frombuffer(path.read_bytes(), np.uint8)
        after = np.frombuffer(output.read_bytes(), np.uint8)
        assert before.size == after.size
        assert 0 < np.sum(before != after) <= 2 * 20 * 8


def test_records_need_not_be_the_first_dimension_of_netcdf3(tmp_path):
    """Climate models declare their time last; a packed field is written anew."""
    with netcdf_file(tmp_path / "in.nc", "w") as file:
        file.dimensions.update({"x": 10, "xf": 11, "t": None})
        file._dims.extend(["x", "xf", "t"])  # createDimension refuses this order
        for name, value in (("mean", 100), ("std", 1)):
            variable = file.createVariable(name, "i2", ("t", "x"))
            variable.scale_factor = 0.01
            variable[:] = np.full((2, 10), value)
        file.createVariable("xf", "f8", ("xf",))[:] = FACES
    with netcdf_file(conserve(tmp_path / "in.nc"), mmap=False) as file:
        np.testing.assert_allclose(file.variables["mean"][:], 2, rtol=1e-15)
        assert file.dimensions["t"] is None


def test_npz_members_of_any_name_and_compression(tmp_path):
    path = tmp_path / "in.npz"
    arrays = {"file": FACES, "mean": np.ones(10), "std": np.ones(10), "x": FACES}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            with archive.open(name + ".npy", "w") as stream:
                np.lib.format.write_array(stream, array)
        archive.writestr("notes.txt", "not an array")
    output = conserve(path, names=Names())
    with zipfile.ZipFile(output) as archive:
        assert [i.compress_type for i in archive.infolist()] == [8] * 5
        assert archive.read("notes.txt") == b"not an array"
        assert archive.testzip() is None
    with np.load(output) as out:
        np.testing.assert_array_equal(out["file"], FACES)
        np.testing.assert_allclose(out["mean"], 2, rtol=1e-15)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.ones(10) + 1j, "real numbers in 'mean'.*complex"),
        (np.ones(10).astype("m8[s]"), "'mean' holds durations"),
        (np.ones(10).astype("M8[s]"), "'mean' holds dates"),
        (np.array(["a"] * 10), "'mean' holds text"),
    ],
)
def test_what_is_no_real_number_is_refused_by_name(tmp_path, array, message):
    np.savez(tmp_path / "in.npz", mean=array, std=np.ones(10), x=FACES)
    with pytest.raises(ValueError, match=message):
        conserve(tmp_path / "in.npz", names=Names())
    assert not (tmp_path / "out.npz").exists()


def test_units_do_not_matter(tmp_path):
    """Number densities of 1e20 and charges of 1e-19, stored in float32."""
    relative = np.linspace(0.5, 1.5, 10, dtype=np.float32)
    found = []
    for unit in (1.0, 1e-19, 1e20):
        mean = relative * np.float32(unit)
        arrays = {"mean": mean, "std": mean, "x": FACES}
        np.savez(tmp_path / "in.npz", **arrays)
        out = read_arrays(conserve(tmp_path / "in.npz", str(2 * unit), Names()))
        found.append((out["mean"] / unit, out["std"] / unit))
    for mean, std in found[1:]:
        np.testing.assert_allclose(mean, found[0][0], rtol=1e-6)
        np.testing.assert_allclose(std, found[0][1], rtol=1e-6)
