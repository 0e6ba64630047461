"""`physcon audit` and `physcon constrain` on datasets in files, as people have them."""

import json

import h5py
import numpy as np
import pytest
import xarray as xr

from physcon.cli import main
from physcon.datasets import _work

LAW = "mean: {of: tos, equals: 15}"


def ocean(rng, dtype="f4"):
    """A model's sea surface: 2-D coordinates with corners, land, odd calendar."""
    lat, lon = np.linspace(-60, 60, 7), np.linspace(0, 360, 10)
    grids = np.meshgrid(lat, lon, indexing="ij")
    corners = [
        np.stack([g[:-1, :-1], g[:-1, 1:], g[1:, 1:], g[1:, :-1]], -1) for g in grids
    ]
    tos = rng.normal(15, 5, (2, 6, 9)).astype(dtype)
    tos[:, 2:4, 3:5] = np.nan
    data = xr.Dataset(
        {
            "tos": (
                ("time", "y", "x"),
                tos,
                {"units": "degC", "coordinates": "lat lon"},
            ),
            "lat_b": (("y", "x", "v"), corners[0]),
            "lon_b": (("y", "x", "v"), corners[1]),
            "other": ("k", np.arange(3)),
            "lat": (
                ("y", "x"),
                corners[0].mean(-1),
                {"units": "degrees_north", "bounds": "lat_b"},
            ),
            "lon": (
                ("y", "x"),
                corners[1].mean(-1),
                {"units": "degrees_east", "bounds": "lon_b"},
            ),
            "time": (
                "time",
                [0.0, 1.0],
                {"units": "months since 1850-01-01", "calendar": "noleap"},
            ),
        }
    )
    zones = np.diff(np.sin(np.deg2rad(lat)))
    return data, np.where(np.isnan(tos[0]), 0.0, zones[:, None])


def run(*arguments):
    main([str(a) for a in arguments])


@pytest.mark.parametrize("engine", ["h5netcdf", "scipy"])
def test_one_command_for_an_ocean_model(tmp_path, rng, engine, capsys, monkeypatch):
    monkeypatch.setattr(_work, "VALUES_AT_ONCE", 60)  # time by time
    data, w = ocean(rng)
    packing = {"tos": {"_FillValue": np.float32(9.96921e36)}}
    source, output = tmp_path / "in.nc", tmp_path / "out.nc"
    data.to_netcdf(source, engine=engine, encoding=packing)
    run("audit", source, LAW)
    assert "2 of 2 rows violated" in capsys.readouterr().out
    run("constrain", source, LAW, "--spread", "uniform", "-o", output)
    run("audit", output, LAW)
    assert "0 of 2 rows violated" in capsys.readouterr().out
    with xr.open_dataset(output, engine=engine, decode_times=False) as found:
        tos = found.tos.values.astype(np.float64)
        np.testing.assert_array_equal(np.isnan(tos), np.isnan(data.tos))
        mean = (np.nan_to_num(tos) * w).sum((1, 2)) / w.sum()
        np.testing.assert_allclose(mean, 15, rtol=4 * np.finfo(np.float32).eps)
        assert found.tos.encoding["_FillValue"] == np.float32(9.96921e36)
        assert found.time.attrs == data.time.attrs
        offset = tos - data.tos
        assert float(offset.max(("y", "x"))[0] - offset.min(("y", "x"))[0]) < 1e-5
    raw = [np.frombuffer(p.read_bytes(), np.uint8) for p in (source, output)]
    assert raw[0].size == raw[1].size
    assert np.sum(raw[0] != raw[1]) <= data.tos.nbytes


def test_odd_variables_and_a_report(tmp_path, rng):
    data, _ = ocean(rng, "f8")
    source, output = tmp_path / "in.nc", tmp_path / "out.nc"
    data.to_netcdf(source, engine="h5netcdf")
    with h5py.File(source, "r+") as file:
        file["table"] = np.zeros(3, [("a", "i4"), ("b", "f8")])
        file["words"] = np.array(["a", "bc"], h5py.string_dtype())
        file.attrs.create("author", np.bytes_("Müller".encode("latin-1")))
        file["tos"].attrs.create("place", np.bytes_("Zürich".encode("latin-1")))
    (tmp_path / "laws.yaml").write_text(
        "laws:\n- mean: {of: tos, equals: 15}\n- between: {of: tos, lower: 5}\n"
        "spread: {tos: 10%}\n"
    )
    run(
        "constrain",
        source,
        tmp_path / "laws.yaml",
        "-o",
        output,
        "--report",
        tmp_path / "report.json",
    )
    report = json.loads((tmp_path / "report.json").read_text())
    assert [entry["law"] for entry in report["laws"]] == [
        "mean of tos",
        "between of tos",
    ]
    assert report["laws"][0]["largest_after"] < 1e-13
    assert report["laws"][1]["largest_after"] == 0
    with h5py.File(output) as file:
        assert file["table"].dtype.names == ("a", "b")
        assert np.nanmin(file["tos"][()]) >= 5


@pytest.mark.parametrize("chunk", [1, 2])
def test_a_store_is_constrained_piece_by_piece(tmp_path, rng, chunk, monkeypatch):
    monkeypatch.setattr(_work, "VALUES_AT_ONCE", 60)
    data, w = ocean(rng)
    source, output = tmp_path / "in.zarr", tmp_path / "out.zarr"
    encoding = {"tos": {"chunks": (chunk, 6, 9), "_FillValue": np.float32(-999)}}
    data.to_zarr(source, encoding=encoding, zarr_format=2, consolidated=False)
    run("constrain", source, LAW, "--spread", "0.5", "-o", output)
    with xr.open_zarr(output, decode_times=False, consolidated=False) as found:
        tos = found.tos.values.astype(np.float64)
        np.testing.assert_array_equal(np.isnan(tos), np.isnan(data.tos))
        mean = (np.nan_to_num(tos) * w).sum((1, 2)) / w.sum()
        np.testing.assert_allclose(mean, 15, rtol=4 * np.finfo(np.float32).eps)
        assert found.other.values.tolist() == [0, 1, 2]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.zarr", "out.zarr"]
    with pytest.raises(SystemExit, match="contradict"):
        run(
            "constrain",
            source,
            "laws: [{mean: {of: tos, equals: 15}}, {mean: {of: tos, equals: 16}}]",
            "--spread",
            "1",
            "-o",
            tmp_path / "b.zarr",
        )
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.zarr", "out.zarr"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([LAW], "a spread of \\['tos'\\]"),
        ([LAW, "--integral", "1"], "either LAWS or --integral"),
        ([], "either LAWS or --integral"),
        (["mean: {of: tos, equals: 1, over: [k]}", "--spread", "1"], "among"),
        ([LAW, "--spread", "1", "--coordinates", "corners"], "centres, nodes or faces"),
        ([LAW, "--spread", "1", "--lower", "0"], "got LAWS and --lower; put it into"),
        ([LAW, "--spread", "1", "--names.mean", "q"], "got LAWS and --names.mean"),
        ([LAW, "--spread", "1", "--noise_std", "1"], "got LAWS and --noise_std"),
        (["--integral", "1", "--coordinates", "nodes"], "LAWS for --coordinates"),
        (["--integral", "1", "--radius", "1"], "LAWS for --radius"),
    ],
)
def test_what_can_not_be_meant_ends_in_one_line(tmp_path, rng, options, message):
    source, output = tmp_path / "in.nc", tmp_path / "out.nc"
    ocean(rng)[0].to_netcdf(source, engine="h5netcdf")
    with pytest.raises(SystemExit, match=message) as found:
        run("constrain", source, *options, "-o", output)
    assert "\n" not in str(found.value)
    assert not output.exists()


def test_help_shows_examples_line_by_line(capsys):
    with pytest.raises(SystemExit):
        run("audit", "--help")
    lines = capsys.readouterr().out.splitlines()
    assert '  physcon audit winds.nc "mean: {of: uwnd, equals: 0}"' in lines


def test_the_output_of_one_law_is_the_input_of_the_next(tmp_path, rng):
    """The short form, then a law as text, on the same file."""
    x = np.linspace(0, 1, 9)
    data = xr.Dataset({"mean": ("x", rng.normal(2, 1, 8)), "std": ("x", np.ones(8))})
    data["xf"] = ("xf", x)
    first, second, third = (tmp_path / f"{k}.nc" for k in "abc")
    data.to_netcdf(first, engine="h5netcdf")
    run(
        "constrain", first, "--integral", "2", "--names.coordinates", "xf", "-o", second
    )
    run(
        "constrain",
        second,
        "between: {of: mean, lower: 1}",
        "--spread",
        "std",
        "-o",
        third,
    )
    with xr.open_dataset(third, engine="h5netcdf") as found:
        assert float(found["mean"].min()) >= 1
