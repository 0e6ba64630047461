"""Files with the oddities of real ones, through `audit` and `constrain` with laws."""

import h5py
import numpy as np
import pytest
import xarray as xr

from physcon.cli import main
from physcon.datasets import constrain
from physcon.io import read_arrays

LAW = "mean: {of: tas, equals: 280}"
ORDER = ("time", "lat", "lon")
LAT = np.array([-60.0, 0.0, 60.0])
AREA = np.diff(np.sin(np.deg2rad([-90.0, -30.0, 30.0, 90.0])))


def run(*arguments):
    main([str(a) for a in arguments])


def field(rng, dtype="f8"):
    tas = rng.normal(281, 3, (2, 3, 4)).astype(dtype)
    tas[:, 1, 1] = np.nan
    return tas


def dataset(tas, order=ORDER, **time):
    """A field on the globe, with numbers for times."""
    attributes = {"units": "days since 2000-01-01", **time}
    data = xr.Dataset(
        {"tas": (("time", "lat", "lon"), tas, {"units": "K"})},
        {
            "lat": ("lat", LAT, {"units": "degrees_north"}),
            "lon": ("lon", np.arange(4) * 90.0, {"units": "degrees_east"}),
            "time": ("time", np.arange(tas.shape[0], dtype="f8"), attributes),
        },
    )
    return data.transpose(*order)


def corrected(path, capsys, eps, order=ORDER, engine="h5netcdf"):
    """Run both commands; check the means and the land, and return the output."""
    output = path.with_name(f"out{path.suffix}")
    run("audit", path, LAW)
    assert "2 of 2 rows violated" in capsys.readouterr().out
    run("constrain", path, LAW, "--spread", "2", "-o", output)
    run("audit", output, LAW)
    assert "0 of 2 rows violated" in capsys.readouterr().out
    files = []
    for each in (path, output):
        if engine == "scipy":
            data = xr.load_dataset(each, engine=engine, decode_times=False).tas
            files.append(data.transpose("time", "lat", "lon").values)
        else:
            values = read_arrays(each, ["tas"])["tas"]
            files.append(values.transpose([order.index(d) for d in ORDER]))
    before, after = files
    np.testing.assert_array_equal(np.isnan(before), np.isnan(after))
    w = np.where(np.isnan(after), 0.0, AREA[:, None])
    mean = (np.nan_to_num(after).astype("f8") * w).sum((1, 2)) / w.sum((1, 2))
    np.testing.assert_allclose(mean, 280, rtol=4 * eps)
    return output


F4, F8 = np.finfo("f4").eps, np.finfo("f8").eps


@pytest.mark.parametrize(
    ("units", "calendar"),
    [
        ("days since 1850-01-01", "noleap"),
        ("days since 1850-01-01", "360_day"),
        ("months since 1955-01-01", "standard"),
        ("days since 0000-01-01", "proleptic_gregorian"),
        ("fortnights", "none at all"),
    ],
)
def test_calendars(tmp_path, rng, capsys, units, calendar):
    path = tmp_path / "in.nc"
    dataset(field(rng), units=units, calendar=calendar).to_netcdf(
        path, engine="h5netcdf"
    )
    run("audit", path, LAW, "--report", tmp_path / "a.html")  # labels of the slider
    capsys.readouterr()
    with h5py.File(corrected(path, capsys, F8)) as file:
        assert file["time"].attrs["units"] == units
        assert file["time"][()].tolist() == [0.0, 1.0]


def test_durations_as_coordinates(tmp_path, rng, capsys):
    path = tmp_path / "in.nc"
    dataset(field(rng), units="hours").to_netcdf(path, engine="h5netcdf")
    with h5py.File(corrected(path, capsys, F8)) as file:
        assert file["time"][()].tolist() == [0.0, 1.0]


@pytest.mark.parametrize("engine", ["h5netcdf", "scipy"])
def test_packed_integers(tmp_path, rng, capsys, engine):
    path = tmp_path / "in.nc"
    data = dataset(field(rng).round(2))
    data.tas.attrs["valid_range"] = np.array([-30000, 30000], "i2")
    packing = {"dtype": "i2", "scale_factor": 0.01, "add_offset": 280.0}
    packing["_FillValue"] = np.int16(-32768)
    data.to_netcdf(path, engine=engine, encoding={"tas": packing})
    corrected(path, capsys, F8, engine=engine)


@pytest.mark.parametrize("dtype", [">f4", ">f8", "<f4"])
def test_byte_order(tmp_path, rng, capsys, dtype):
    path = tmp_path / "in.nc"
    encoding = {"tas": {"dtype": dtype, "_FillValue": np.array(-999.0, dtype)[()]}}
    dataset(field(rng)).to_netcdf(path, engine="h5netcdf", encoding=encoding)
    with h5py.File(corrected(path, capsys, np.finfo(dtype).eps)) as file:
        assert file["tas"].dtype.str == dtype
        assert file["tas"][0, 1, 1] == -999


def test_layout_groups_and_odd_variables(tmp_path, rng, capsys):
    """Unlimited, chunked, compressed, without a mark for missing values."""
    path = tmp_path / "in.nc"
    tas = np.nan_to_num(field(rng, "f4"), nan=285.0)
    packing = {"zlib": True, "complevel": 4, "chunksizes": (1, 3, 2), "shuffle": True}
    packing["_FillValue"] = None
    dataset(tas).to_netcdf(
        path, engine="h5netcdf", unlimited_dims=["time"], encoding={"tas": packing}
    )
    with h5py.File(path, "r+") as file:
        file["table"] = np.zeros(3, [("a", "i4"), ("b", "f8")])
        file["words"] = np.array(["a", "bc"], h5py.string_dtype())
        ragged = file.create_dataset("ragged", (2,), h5py.vlen_dtype(np.int32))
        ragged[0] = [1, 2, 3]
        file["group/deep/q"] = np.arange(5)
        file["tas"].attrs.create("place", np.bytes_("Zürich".encode("latin-1")))
    with h5py.File(corrected(path, capsys, F4)) as file:
        found = file["tas"]
        assert found.chunks == (1, 3, 2)
        assert found.maxshape == (None, 3, 4)
        assert (found.compression, found.compression_opts) == ("gzip", 4)
        assert found.shuffle
        assert "_FillValue" not in found.attrs
        assert bytes(found.attrs["place"]) == "Zürich".encode("latin-1")
        assert file["table"].dtype.names == ("a", "b")
        assert file["words"][1] == b"bc"
        assert file["ragged"][0].tolist() == [1, 2, 3]
        assert file["group/deep/q"][()].tolist() == list(range(5))


def test_two_marks_for_missing_values(tmp_path, rng, capsys):
    path = tmp_path / "in.nc"
    tas = field(rng, "f4")
    tas[0, 2, 2] = -888.0
    encoding = {"tas": {"_FillValue": np.float32(-999)}}
    dataset(tas).to_netcdf(path, engine="h5netcdf", encoding=encoding)
    with h5py.File(path, "r+") as file:
        file["tas"].attrs["missing_value"] = np.float32(-888)
    with h5py.File(corrected(path, capsys, F4)) as file:
        assert file["tas"][0, 1, 1] == -999  # each keeps its own mark
        assert file["tas"][0, 2, 2] == -888


@pytest.mark.parametrize("ending", ["nc", "zarr"])
def test_marks_of_missing_values_in_another_precision(tmp_path, rng, ending):
    """1e20 in double precision, for values in single precision: none equals it."""
    path = tmp_path / f"in.{ending}"
    output = tmp_path / f"out.{ending}"
    tas = np.nan_to_num(field(rng, "f4"), nan=1e20)
    data = dataset(tas)
    data.tas.attrs["missing_value"] = np.float64(1e20)
    if ending == "nc":
        data.to_netcdf(path, engine="h5netcdf", encoding={"tas": {"_FillValue": None}})
    else:
        data.to_zarr(path, consolidated=False, zarr_format=2)
    run("constrain", path, LAW, "--spread", "2", "-o", output)
    engine = {"engine": "zarr", "consolidated": False} if ending == "zarr" else {}
    after = xr.load_dataset(output, decode_cf=False, **engine).tas.values
    missing = tas == np.float32(1e20)
    marked = (after == np.float32(1e20)) | np.isnan(after)
    np.testing.assert_array_equal(marked, missing)
    after = np.where(missing, 0.0, after)
    w = np.where(missing, 0.0, AREA[:, None])
    mean = (after.astype("f8") * w).sum((1, 2)) / w.sum((1, 2))
    np.testing.assert_allclose(mean, 280, rtol=4 * F4)
    opened = xr.load_dataset(path, **engine)
    with pytest.raises(ValueError, match=r"2 values of 1e\+20, .*missing_value"):
        constrain(opened, LAW, spread=2.0)


@pytest.mark.parametrize("form", ["NETCDF3_CLASSIC", "NETCDF3_64BIT"])
def test_netcdf3(tmp_path, rng, capsys, form):
    path = tmp_path / "in.nc"
    dataset(field(rng, "f4")).to_netcdf(
        path, engine="scipy", format=form, unlimited_dims=["time"]
    )
    output = corrected(path, capsys, F4, engine="scipy")
    assert output.read_bytes()[:4] == path.read_bytes()[:4]


def test_netcdf3_of_64_bit_data_is_named(tmp_path):
    path = tmp_path / "in.nc"
    path.write_bytes(b"CDF\x05" + bytes(100))
    for command in (("audit",), ("constrain", "-o", tmp_path / "out.nc")):
        with pytest.raises(SystemExit, match=r"CDF5.*nccopy -k nc4"):
            run(command[0], path, LAW, *command[1:])


@pytest.mark.parametrize("name", ["in.nc4", "in.NC", "in.cdf"])
def test_endings(tmp_path, rng, capsys, name):
    path = tmp_path / name
    dataset(field(rng)).to_netcdf(path, engine="h5netcdf")
    corrected(path, capsys, F8)


@pytest.mark.parametrize(
    "order", [("lon", "lat", "time"), ("lat", "time", "lon"), ("time", "lon", "lat")]
)
def test_dimensions_in_any_order(tmp_path, rng, capsys, order):
    path = tmp_path / "in.nc"
    dataset(field(rng, "f4"), order).to_netcdf(path, engine="h5netcdf")
    with h5py.File(corrected(path, capsys, F4, order)) as file:
        assert [d[0].name[1:] for d in file["tas"].dims] == list(order)


def test_soft_links_are_followed(tmp_path, rng, capsys):
    path = tmp_path / "in.nc"
    dataset(field(rng)).to_netcdf(path, engine="h5netcdf")
    with h5py.File(path, "r+") as file:
        file["alias"] = h5py.SoftLink("/tas")
    with h5py.File(corrected(path, capsys, F8)) as file:
        assert isinstance(file.get("alias", getlink=True), h5py.SoftLink)
        np.testing.assert_array_equal(file["alias"][()], file["tas"][()])


def test_no_times(tmp_path, capsys):
    path = tmp_path / "in.nc"
    dataset(np.zeros((0, 3, 4))).to_netcdf(path, engine="h5netcdf")
    run("constrain", path, LAW, "--spread", "2", "-o", tmp_path / "out.nc")
    assert "0 of 0 rows violated" in capsys.readouterr().out
    with xr.open_dataset(tmp_path / "out.nc", engine="h5netcdf") as found:
        assert found.tas.shape == (0, 3, 4)


def test_options_are_named_as_they_are_typed(tmp_path, rng):
    path = tmp_path / "in.nc"
    dataset(field(rng)).to_netcdf(path, engine="h5netcdf")
    words = ("constrain", path, LAW, "-o", tmp_path / "out.nc")
    with pytest.raises(SystemExit, match="--coordinates"):
        run(*words, "--spread", "1", "--coordinates", "corners")
    with pytest.raises(SystemExit, match="--spread"):
        run(*words)
    with pytest.raises(SystemExit, match="--resume"):
        run(*words, "--spread", "1", "--resume")
